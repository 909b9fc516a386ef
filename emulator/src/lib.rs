//! The software Orin.

pub mod gpu;
pub mod memory;
pub mod va;
