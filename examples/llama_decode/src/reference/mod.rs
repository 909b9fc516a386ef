//! The whole model on the CPU in plain f32, to compare with.
