//! Kernels of `ptx/` and of `tests/kernels` run by the interpreter, against plain Rust.

mod gemv;
mod harness;
mod instructions;
mod kernels;
mod mutants;
mod watched;
