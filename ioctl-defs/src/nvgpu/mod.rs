//! The nvgpu driver of a Jetson: one file per fd.

pub mod address_space;
pub mod channel;
pub mod ctrl;
pub mod event;
pub mod tsg;
