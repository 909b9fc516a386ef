//! Kernels of `ptx/` and of `tests/kernels` run by the interpreter, against plain Rust.

mod harness;
mod instructions;
mod kernels;
mod mutants;
