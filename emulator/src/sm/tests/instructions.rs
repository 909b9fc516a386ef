//! Kernels that name one operation after the other, compiled from `kernels/*.cu`, against plain Rust.

mod floats;
mod integers;
mod matrices;
mod warps;

use super::harness::*;
use crate::sm::*;

const THREADS: usize = 64;

/// Runs a kernel whose arguments are pointers: inputs first, then an output of `out` words per thread.
/// The rows of outputs come back by thread.
fn apply(
    arch: Arch,
    file: &str,
    kernel: &str,
    inputs: &[Vec<u32>],
    out: usize,
    tail: &[u32],
) -> Vec<Vec<u32>> {
    let arena = Arena::new();
    let loaded = Kernel::load(&arena, arch, &own(arch, file), kernel);
    let mut set = Set::new(1, THREADS as u32);
    for input in inputs {
        set = set.wide(arena.put(input));
    }
    let at = arena.room((out * THREADS * 4) as u64);
    set = set.wide(at);
    for word in tail {
        set = set.word(*word);
    }
    if let Err(fault) = loaded.run(&arena, &set) {
        panic!("{}: {fault}", arch_name(arch));
    }
    arena.get(at, out * THREADS).chunks(out).map(<[u32]>::to_vec).collect()
}

/// Words with the edges that integers have, then random ones.
fn words(seed: u64) -> Vec<u32> {
    let mut words = vec![0, 1, u32::MAX, 0x7fff_ffff, 0x8000_0000, 31, 32, 33, 0xff, 0x1_0000];
    words.rotate_left(seed as usize % 10);
    words.extend(random(seed, THREADS - words.len()));
    words
}

/// Singles with the edges that floats have, then random ones of every size.
fn singles(seed: u64) -> Vec<u32> {
    let mut edges = vec![
        0,
        0x8000_0000,
        0x7f80_0000,
        0xff80_0000,
        0x7fc0_0000,
        1,
        0x8000_0001,
        0x007f_ffff,
        0x0080_0000,
        0x7f7f_ffff,
        0x3f80_0000,
        0xbf80_0000,
        0x4b80_0000,
        0x3f00_0000,
    ];
    edges.rotate_left(seed as usize % 14);
    let rest = THREADS - edges.len();
    for (n, word) in random(seed, rest).into_iter().enumerate() {
        // Half of them near one, where roundings differ most.
        edges.push(match n % 2 {
            0 => word,
            _ => word & 0x83ff_ffff | 0x3c00_0000,
        });
    }
    edges
}
