//! The software Orin.

pub mod gpu;
pub mod inject;
pub mod memory;
pub mod nodes;
pub mod profile;
pub mod va;
