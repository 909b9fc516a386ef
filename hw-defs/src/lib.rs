//! What an NVIDIA GPU reads.
//!
//! Class methods, launch descriptors, ring entries: numbers and the few functions that put them
//! together and take them apart. Nothing here allocates, makes a system call, or knows which driver
//! brought the words to the GPU.

#![no_std]

mod name;

#[macro_use]
mod field;
pub mod class;
pub mod decode;
pub mod gpfifo;
pub mod push;
pub mod qmd;
pub mod semaphore;
pub mod userd;
pub mod usermode;

pub use class::{Class, Method, c7b5, c7c0, c8b5, c56f, c76f, c86f, cbc0};
pub use field::{Field, Value};
