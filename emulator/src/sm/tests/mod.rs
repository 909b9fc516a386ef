//! Kernels of `ptx/` and of `tests/kernels` run by the interpreter, against plain Rust.

mod clusters;
mod decoder;
mod gemv;
mod groups;
mod harness;
mod instructions;
mod kernels;
mod math;
mod mufu;
mod mutants;
mod silicon;
mod watched;
mod words;
