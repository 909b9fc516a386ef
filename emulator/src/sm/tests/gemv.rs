//! Matrix times vector, in the formats that language models are stored in.

use super::harness::*;
use crate::sm::meaning::half::f16_to_f32;

const ROWS: usize = 13;
const COLUMNS: usize = 768;

/// Random bytes, with halves between 0.25 and 4 at some offsets of each block.
fn blocks(seed: u64, size: usize, halves: &[usize]) -> Vec<u8> {
    let count = ROWS * COLUMNS / if size == 34 { 32 } else { 256 };
    let mut bytes: Vec<u8> = random(seed, count * size).iter().map(|word| *word as u8).collect();
    for block in bytes.chunks_exact_mut(size) {
        for at in halves {
            block[at + 1] = 0x34 + (block[at + 1] & 0x0f);
        }
    }
    bytes
}

fn half(block: &[u8], at: usize) -> f64 {
    f16_to_f32(u16::from_le_bytes([block[at], block[at + 1]])).into()
}

/// The weights of a block of Q8_0.
fn q8_0(block: &[u8]) -> Vec<f64> {
    block[2..].iter().map(|byte| half(block, 0) * f64::from(*byte as i8)).collect()
}

/// The weights of a block of Q4_K.
fn q4_k(block: &[u8]) -> Vec<f64> {
    let packed = &block[4..16];
    let weight = |at: usize| {
        let group = at / 32;
        let (scale, minimum) = match group {
            0..4 => (packed[group] & 63, packed[group + 4] & 63),
            _ => (
                packed[group + 4] & 15 | packed[group - 4] >> 6 << 4,
                packed[group + 4] >> 4 | packed[group] >> 6 << 4,
            ),
        };
        let byte = block[16 + group / 2 * 32 + at % 32];
        let nibble = if group % 2 == 0 { byte & 15 } else { byte >> 4 };
        half(block, 0) * f64::from(scale) * f64::from(nibble) - half(block, 2) * f64::from(minimum)
    };
    (0..256).map(weight).collect()
}

/// The weights of a block of Q6_K.
fn q6_k(block: &[u8]) -> Vec<f64> {
    let weight = |at: usize| {
        let (part, group, l) = (at / 128, at % 128 / 32, at % 32);
        let low = block[part * 64 + group % 2 * 32 + l] >> (group / 2 * 4) & 15;
        let high = block[128 + part * 32 + l] >> (2 * group) & 3;
        let scale = f64::from(block[192 + at / 16] as i8);
        half(block, 208) * scale * (f64::from(low | high << 4) - 32.0)
    };
    (0..256).map(weight).collect()
}

/// Runs a kernel that multiplies blocks of weights with a quantised vector.
fn quantised(kernel: &str, size: usize, halves: &[usize], weights: impl Fn(&[u8]) -> Vec<f64>) {
    both(|arch| {
        let arena = Arena::new();
        let cubin = shipped(arch, "gemv.cubin");
        let vector: Vec<f32> =
            random(5, COLUMNS).iter().map(|x| (*x >> 8) as f32 / 4e6 - 2.0).collect();
        let bits: Vec<u32> = vector.iter().map(|x| x.to_bits()).collect();
        let (x, bytes, scales) =
            (arena.put(&bits), arena.room(COLUMNS as u64), arena.room(COLUMNS as u64 / 8));
        let groups = COLUMNS as u32 / 32;
        let set = Set::new(groups / 4, 128).wide(bytes).wide(scales).wide(x).word(groups);
        Kernel::load(&arena, arch, &cubin, "quantise_q8").run(&arena, &set).unwrap();
        let scale: Vec<f64> =
            arena.get(scales, COLUMNS / 32).iter().map(|s| f32::from_bits(*s).into()).collect();
        let x: Vec<f64> = (arena.read(bytes, COLUMNS).iter().enumerate())
            .map(|(at, byte)| f64::from(*byte as i8) * scale[at / 32])
            .collect();
        for (wanted, found) in vector.iter().zip(&x) {
            assert!((f64::from(*wanted) - found).abs() < 0.01, "{wanted} became {found}");
        }

        let data = blocks(7, size, halves);
        let w = arena.room(data.len() as u64);
        arena.write(w, &data);
        let y = arena.room(ROWS as u64 * 4);
        let set = Set::new(4, 128).wide(y).wide(w).wide(bytes).wide(scales);
        let set = set.word(ROWS as u32).word(COLUMNS as u32);
        Kernel::load(&arena, arch, &cubin, kernel).run(&arena, &set).unwrap();
        let all: Vec<f64> = data.chunks_exact(size).flat_map(&weights).collect();
        for (row, found) in arena.get(y, ROWS).into_iter().enumerate() {
            let products = all[row * COLUMNS..][..COLUMNS].iter().zip(&x).map(|(w, x)| w * x);
            close(found, products);
        }
    });
}

/// Whether a sum in single precision is that of the products.
fn close(found: u32, products: impl Iterator<Item = f64> + Clone) {
    let (sum, size) =
        (products.clone().sum::<f64>(), products.map(f64::abs).fold(0.0, |a, b| a + b));
    let found = f64::from(f32::from_bits(found));
    assert!((found - sum).abs() <= size * 1e-6, "{found} instead of {sum}");
}

#[test]
fn multiplies_q8_0() {
    quantised("gemv_q8_0", 34, &[0], q8_0);
}

#[test]
fn multiplies_q4_k() {
    quantised("gemv_q4_k", 144, &[0, 2], q4_k);
}

#[test]
fn multiplies_q6_k() {
    quantised("gemv_q6_k", 210, &[208], q6_k);
}

#[test]
fn multiplies_halves() {
    both(|arch| {
        let arena = Arena::new();
        // No infinities and no NaN.
        let w: Vec<u32> =
            random(9, ROWS * COLUMNS / 2).into_iter().map(|x| x & 0xbfff_bfff).collect();
        let x: Vec<f32> =
            random(10, COLUMNS).iter().map(|x| (*x >> 8) as f32 / 4e6 - 2.0).collect();
        let bits: Vec<u32> = x.iter().map(|x| x.to_bits()).collect();
        let (pw, px, y) = (arena.put(&w), arena.put(&bits), arena.room(ROWS as u64 * 4));
        let kernel = Kernel::load(&arena, arch, &shipped(arch, "gemv.cubin"), "gemv_f16");
        let set = Set::new(4, 128).wide(y).wide(pw).wide(px);
        kernel.run(&arena, &set.word(ROWS as u32).word(COLUMNS as u32)).unwrap();
        let weights: Vec<f64> = (w.iter())
            .flat_map(|pair| [*pair as u16, (*pair >> 16) as u16])
            .map(|half| f16_to_f32(half).into())
            .collect();
        for (row, found) in arena.get(y, ROWS).into_iter().enumerate() {
            let row = &weights[row * COLUMNS..][..COLUMNS];
            close(found, row.iter().zip(&x).map(|(w, x)| w * f64::from(*x)));
        }
    });
}

#[test]
fn multiplies_bytes_on_tensor_cores() {
    let (m, n, k) = (32, 64, 96);
    both(|arch| {
        let arena = Arena::new();
        let (a, b) = (random(11, m * k / 4), random(12, n * k / 4));
        let (pa, pb, c) = (arena.put(&a), arena.put(&b), arena.room((m * n * 4) as u64));
        let kernel =
            Kernel::load(&arena, arch, &shipped(arch, "matmul_bytes.cubin"), "matmul_bytes");
        let mut set = Set::new((n / 64) as u32, 32).wide(c).wide(pa).wide(pb);
        set.grid[1] = (m / 16) as u32;
        let set = set.word(m as u32).word(n as u32).word(k as u32);
        kernel.run(&arena, &set).unwrap();
        let byte = |words: &[u32], at: usize| i32::from((words[at / 4] >> (at % 4 * 8)) as i8);
        for (at, found) in arena.get(c, m * n).into_iter().enumerate() {
            let (row, column) = (at / n, at % n);
            let sum: i32 = (0..k).map(|i| byte(&a, row * k + i) * byte(&b, column * k + i)).sum();
            assert_eq!(found as i32, sum, "row {row}, column {column}");
        }
    });
}
