//! The kernels that are measured.

use super::harness::{Arena, Set, random};

/// One kernel and its launch.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) cubin: &'static str,
    pub(super) kernel: &'static str,
    pub(super) set: fn(&Arena) -> Set,
}

const ROWS: u32 = 256;
const COLUMNS: u32 = 2048;

/// A matrix in blocks of `size` bytes for every `weights` weights, times a vector of bytes.
fn gemv(arena: &Arena, size: u32, weights: u32) -> Set {
    let w = arena.put(&random(1, (ROWS * COLUMNS / weights * size).div_ceil(4) as usize));
    let x = arena.put(&random(2, COLUMNS as usize / 4));
    let scales = arena.put(&[0x3c00_0000; COLUMNS as usize / 32]);
    let y = arena.room(u64::from(ROWS) * 4);
    Set::new(ROWS / 4, 128).wide(y).wide(w).wide(x).wide(scales).word(ROWS).word(COLUMNS)
}

pub(super) const CASES: [Case; 6] = [
    Case {
        name: "GEMV Q8_0",
        cubin: "gemv.cubin",
        kernel: "gemv_q8_0",
        set: |arena| gemv(arena, 34, 32),
    },
    Case {
        name: "GEMV Q4_K",
        cubin: "gemv.cubin",
        kernel: "gemv_q4_k",
        set: |arena| gemv(arena, 144, 256),
    },
    Case {
        name: "GEMV Q6_K",
        cubin: "gemv.cubin",
        kernel: "gemv_q6_k",
        set: |arena| gemv(arena, 210, 256),
    },
    Case {
        name: "GEMV f16",
        cubin: "gemv.cubin",
        kernel: "gemv_f16",
        set: |arena| {
            let w = arena.put(&[0x3c01_bc02; (ROWS * COLUMNS / 2) as usize]);
            let x = arena.put(&[0x3f9d_f3b6; COLUMNS as usize]);
            let y = arena.room(u64::from(ROWS) * 4);
            Set::new(ROWS / 4, 128).wide(y).wide(w).wide(x).word(ROWS).word(COLUMNS)
        },
    },
    Case {
        name: "matrix product f16, HMMA and LDSM",
        cubin: "matmul.cubin",
        kernel: "matmul_half",
        set: |arena| {
            let halves = |_| arena.put(&[0x3c01_bc02; 256 * 256 / 2]);
            let [a, b] = [0, 1].map(halves);
            let c = arena.room(256 * 256 * 4);
            let mut set = Set::new(4, 128).wide(c).wide(a).wide(b).word(256).word(256).word(256);
            set.grid[1] = 4;
            set
        },
    },
    Case {
        name: "matrix product s8, IMMA",
        cubin: "matmul_bytes.cubin",
        kernel: "matmul_bytes",
        set: |arena| {
            let bytes = |seed| arena.put(&random(seed, 256 * 256 / 4));
            let [a, b] = [3, 4].map(bytes);
            let c = arena.room(256 * 256 * 4);
            let mut set = Set::new(4, 32).wide(c).wide(a).wide(b).word(256).word(256).word(256);
            set.grid[1] = 16;
            set
        },
    },
];
