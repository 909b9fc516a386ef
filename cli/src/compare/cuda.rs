//! Modules and launches of the CUDA driver as the comparison wants them.

use std::ptr::null_mut;

use libcuda::{Cuda, Function, Geometry, Module};

use crate::bench::Outcome;

/// Loads one of this program's cubins.
pub(crate) fn module(cuda: &Cuda, cubin: &'static [u8]) -> Outcome<Module> {
    // SAFETY: the cubins inside this program are whole.
    Ok(unsafe { cuda.module(cubin) }?)
}

/// Launches with arguments of 4 or 8 bytes each, in the low bytes of a number each.
#[inline]
pub(crate) fn launch(
    cuda: &Cuda,
    function: Function,
    grid: u32,
    block: u32,
    args: &mut [u64],
) -> Outcome<()> {
    launch_as(false, cuda, function, grid, block, args)
}

/// The same; a kernel that waits for the one before itself may start earlier.
#[inline]
pub(crate) fn launch_as(
    early: bool,
    cuda: &Cuda,
    function: Function,
    grid: u32,
    block: u32,
    args: &mut [u64],
) -> Outcome<()> {
    let mut pointers = [null_mut(); 4];
    for (pointer, arg) in pointers.iter_mut().zip(args) {
        *pointer = std::ptr::from_mut(arg).cast();
    }
    let geometry = Geometry { grid: [grid, 1, 1], block: [block, 1, 1], shared: 0, early };
    // SAFETY: the driver reads as many arguments as the function has, four at most, and of each its
    // first bytes, which on a little-endian CPU are the low ones; callers pass what their kernels want.
    Ok(unsafe { cuda.launch(function, &geometry, &mut pointers) }?)
}
