//! The software Orin.

pub mod va;
