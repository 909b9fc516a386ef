//! The kernels of a decoder of language models, from both toolchains, against plain Rust.

use super::harness::*;
use crate::sm::meaning::Round;
use crate::sm::meaning::half::{Kind as HalfKind, f16_to_f32};

/// Runs a kernel of `decoder.cubin` and gives back the words at `out`.
fn run(folder: &str, kernel: &str, prepare: impl Fn(&Arena) -> (Set, u64, usize)) -> Vec<u32> {
    let arena = Arena::new();
    let (arch, cubin) = shipped_in(folder, "decoder.cubin");
    let loaded = Kernel::load(&arena, arch, &cubin, kernel);
    let (set, out, count) = prepare(&arena);
    if let Err(fault) = loaded.run(&arena, &set) {
        panic!("{folder}: {fault}");
    }
    arena.get(out, count)
}

/// Numbers between -1 and 1.
fn singles(seed: u64, count: usize) -> Vec<f32> {
    random(seed, count).into_iter().map(|x| (x >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}

fn words(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn half(x: f32) -> u16 {
    HalfKind::F16.narrow(x.to_bits(), Round::Nearest)
}

fn pairs(values: &[u16]) -> Vec<u32> {
    values.chunks(2).map(|h| u32::from(h[0]) | u32::from(h[1]) << 16).collect()
}

fn put_bytes(arena: &Arena, bytes: &[u8]) -> u64 {
    let at = arena.room(bytes.len() as u64);
    arena.write(at, bytes);
    at
}

fn close(got: u32, want: f64, scale: f64, what: &str) {
    let got = f64::from(f32::from_bits(got));
    assert!((got - want).abs() <= scale, "{what}: {got:e}, want {want:e}");
}

const ROWS: usize = 8;

/// Two warps with four rows each.
fn rows_of_warps() -> Set {
    Set { grid: [2, 1, 1], block: [32, 4, 1], ..Set::new(1, 1) }
}

/// A vector in blocks of 32 bytes, each with a scale.
struct Quantised {
    bytes: Vec<u8>,
    scales: Vec<f32>,
}

impl Quantised {
    fn new(seed: u64, k: usize) -> Quantised {
        let bytes = random(seed, k).into_iter().map(|x| x as u8).collect();
        let scales = singles(seed + 1, k / 32).into_iter().map(|s| s.abs() / 100.0).collect();
        Quantised { bytes, scales }
    }

    fn value(&self, at: usize) -> f64 {
        f64::from(self.bytes[at] as i8) * f64::from(self.scales[at / 32])
    }
}

/// The sum of the products of a row, and of their magnitudes.
fn product(x: &Quantised, row: impl Fn(usize) -> f64) -> (f64, f64) {
    let terms = (0..x.bytes.len()).map(|at| row(at) * x.value(at));
    terms.fold((0.0, 0.0), |(sum, all), term| (sum + term, all + term.abs()))
}

#[test]
fn multiplies_halves() {
    toolchains(|folder| {
        let k = 512;
        let w: Vec<u16> = singles(1, k * ROWS).into_iter().map(half).collect();
        let x: Vec<u16> = singles(2, k).into_iter().map(half).collect();
        let got = run(folder, "gemv_f16", |arena| {
            let y = arena.room(ROWS as u64 * 4);
            let (w, x) = (arena.put(&pairs(&w)), arena.put(&pairs(&x)));
            (rows_of_warps().wide(y).wide(w).wide(x).word(k as u32), y, ROWS)
        });
        for (row, got) in got.into_iter().enumerate() {
            let wide = |h: u16| f64::from(f16_to_f32(h));
            let want: f64 = (0..k).map(|i| wide(w[row * k + i]) * wide(x[i])).sum();
            // Pairs of products are rounded to halves on the way.
            close(got, want, 0.02, &format!("{folder} row {row}"));
        }
    });
}

#[test]
fn multiplies_q8_0() {
    toolchains(|folder| {
        let k = 1024;
        let x = Quantised::new(3, k);
        let w = random(5, k * ROWS);
        let scales: Vec<u16> = singles(6, k / 32 * ROWS).into_iter().map(half).collect();
        let mut bytes = Vec::new();
        for (block, scale) in scales.iter().enumerate() {
            bytes.extend(scale.to_le_bytes());
            bytes.extend(w[block * 32..block * 32 + 32].iter().map(|q| *q as u8));
        }
        let got = run(folder, "gemv_q8_0", |arena| {
            let y = arena.room(ROWS as u64 * 4);
            let (w, q) = (put_bytes(arena, &bytes), put_bytes(arena, &x.bytes));
            let scales = arena.put(&words(&x.scales));
            (rows_of_warps().wide(y).wide(w).wide(q).wide(scales).word(k as u32), y, ROWS)
        });
        for (row, got) in got.into_iter().enumerate() {
            let (want, all) = product(&x, |at| {
                let at = row * k + at;
                f64::from(w[at] as i8) * f64::from(f16_to_f32(scales[at / 32]))
            });
            close(got, want, all * 1e-6, &format!("{folder} row {row}"));
        }
    });
}

#[test]
fn multiplies_q4_k() {
    toolchains(|folder| {
        let k = 1024;
        let x = Quantised::new(7, k);
        let sums: Vec<u32> = x
            .bytes
            .chunks(32)
            .map(|b| b.iter().map(|v| i32::from(*v as i8)).sum::<i32>() as u32)
            .collect();
        const BYTES: usize = 144;
        let mut blocks: Vec<u8> =
            random(9, k / 256 * ROWS * BYTES).into_iter().map(|b| b as u8).collect();
        let scales = singles(10, k / 256 * ROWS * 2);
        for (block, scale) in blocks.chunks_mut(BYTES).zip(scales.chunks(2)) {
            block[..2].copy_from_slice(&half(scale[0]).to_le_bytes());
            block[2..4].copy_from_slice(&half(scale[1]).to_le_bytes());
        }
        let got = run(folder, "gemv_q4_k", |arena| {
            let y = arena.room(ROWS as u64 * 4);
            let (w, q) = (put_bytes(arena, &blocks), put_bytes(arena, &x.bytes));
            let (scales, sums) = (arena.put(&words(&x.scales)), arena.put(&sums));
            let set = rows_of_warps().wide(y).wide(w).wide(q).wide(scales).wide(sums);
            (set.word(k as u32), y, ROWS)
        });
        for (row, got) in got.into_iter().enumerate() {
            let (want, all) = product(&x, |at| {
                let block = &blocks[(row * k / 256 + at / 256) * BYTES..][..BYTES];
                let number = |at: usize| {
                    f64::from(f16_to_f32(u16::from_le_bytes([block[at], block[at + 1]])))
                };
                let (parts, j) = (&block[4..16], at % 256 / 32);
                let (scale, minimum) = match j {
                    0..4 => (parts[j] & 63, parts[j + 4] & 63),
                    _ => (
                        parts[j + 4] & 15 | parts[j - 4] >> 6 << 4,
                        parts[j + 4] >> 4 | parts[j] >> 6 << 4,
                    ),
                };
                let q = block[16 + j / 2 * 32 + at % 32] >> (j % 2 * 4) & 15;
                number(0) * f64::from(scale) * f64::from(q) - number(2) * f64::from(minimum)
            });
            close(got, want, all * 2e-5, &format!("{folder} row {row}"));
        }
    });
}

#[test]
fn multiplies_q6_k() {
    toolchains(|folder| {
        let k = 512;
        let x = Quantised::new(11, k);
        const BYTES: usize = 210;
        let mut blocks: Vec<u8> =
            random(13, k / 256 * ROWS * BYTES).into_iter().map(|b| b as u8).collect();
        let scales = singles(14, k / 256 * ROWS);
        for (block, scale) in blocks.chunks_mut(BYTES).zip(scales) {
            block[208..].copy_from_slice(&half(scale).to_le_bytes());
        }
        let got = run(folder, "gemv_q6_k", |arena| {
            let y = arena.room(ROWS as u64 * 4);
            let (w, q) = (put_bytes(arena, &blocks), put_bytes(arena, &x.bytes));
            let scales = arena.put(&words(&x.scales));
            (rows_of_warps().wide(y).wide(w).wide(q).wide(scales).word(k as u32), y, ROWS)
        });
        for (row, got) in got.into_iter().enumerate() {
            let (want, all) = product(&x, |at| {
                let block = &blocks[(row * k / 256 + at / 256) * BYTES..][..BYTES];
                // Halves of 128: quarters of 32 take four bits here and two there.
                let (half, quarter, l) = (at % 256 / 128, at % 128 / 32, at % 32);
                let low = block[half * 64 + quarter % 2 * 32 + l] >> (quarter / 2 * 4) & 15;
                let high = block[128 + half * 32 + l] >> (quarter * 2) & 3;
                let part = block[192 + half * 8 + quarter * 2 + l / 16] as i8;
                let scale = f16_to_f32(u16::from_le_bytes([block[208], block[209]]));
                let q = i32::from(low | high << 4) - 32;
                f64::from(scale) * f64::from(part) * f64::from(q)
            });
            close(got, want, all * 2e-6, &format!("{folder} row {row}"));
        }
    });
}

#[test]
fn normalises() {
    toolchains(|folder| {
        let n = 300;
        let (x, weight) = (singles(15, n * 2), singles(16, n));
        let got = run(folder, "rms_norm", |arena| {
            let out = arena.room(n as u64 * 8);
            let (x, weight) = (arena.put(&words(&x)), arena.put(&words(&weight)));
            let set = Set::new(2, 96).wide(out).wide(x).wide(weight);
            (set.word(n as u32).word(1e-5f32.to_bits()), out, n * 2)
        });
        for (at, got) in got.into_iter().enumerate() {
            let row = &x[at / n * n..at / n * n + n];
            let square: f64 = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
            let want =
                f64::from(x[at]) * f64::from(weight[at % n]) / (square / n as f64 + 1e-5).sqrt();
            close(got, want, 2e-6, &format!("{folder} element {at}"));
        }
    });
}

#[test]
fn rotates() {
    toolchains(|folder| {
        let (n, position) = (128, 1000u32);
        let x = singles(17, n);
        let got = run(folder, "rope", |arena| {
            let out = arena.put(&words(&x));
            let set = Set::new(2, 32).wide(out).word(n as u32).word(position);
            (set.word(10_000f32.to_bits()), out, n)
        });
        for at in 0..n / 2 {
            let angle = f64::from(position) * 10_000f64.powf(-2.0 * at as f64 / n as f64);
            let (s, c) = angle.sin_cos();
            let (a, b) = (f64::from(x[at]), f64::from(x[at + n / 2]));
            // The angle itself has the precision of a single: a thousand turns of the last place.
            close(got[at], a * c - b * s, 3e-4, &format!("{folder} element {at}"));
            close(got[at + n / 2], a * s + b * c, 3e-4, &format!("{folder} element {at}, upper"));
        }
    });
}

#[test]
fn attends() {
    toolchains(|folder| {
        let (heads, n, width) = (3, 20, 64);
        let q = singles(18, heads * width);
        let keys: Vec<u16> = singles(19, n * width).into_iter().map(half).collect();
        let values: Vec<u16> = singles(20, n * width).into_iter().map(half).collect();
        let got = run(folder, "attend", |arena| {
            let out = arena.room((heads * width * 4) as u64);
            let (q, k) = (arena.put(&words(&q)), arena.put(&pairs(&keys)));
            let v = arena.put(&pairs(&values));
            let set = Set { dynamic_shared: width as u32 * 4, ..Set::new(heads as u32, 32) };
            let set = set.wide(out).wide(q).wide(k).wide(v).word(n as u32).word(width as u32);
            (set.word(0.125f32.to_bits()), out, heads * width)
        });
        let wide = |h: u16| f64::from(f16_to_f32(h));
        for head in 0..heads {
            let weights: Vec<f64> = (0..n)
                .map(|at| {
                    let dot: f64 = (0..width)
                        .map(|i| f64::from(q[head * width + i]) * wide(keys[at * width + i]))
                        .sum();
                    (dot * 0.125).exp()
                })
                .collect();
            let total: f64 = weights.iter().sum();
            for i in 0..width {
                let sum: f64 = (0..n).map(|at| weights[at] * wide(values[at * width + i])).sum();
                let what = format!("{folder} head {head} element {i}");
                close(got[head * width + i], sum / total, 3e-6, &what);
            }
        }
    });
}

#[test]
fn weighs_by_softmax() {
    toolchains(|folder| {
        let n = 200;
        let x: Vec<f32> = singles(21, n * 2).into_iter().map(|v| v * 9.0).collect();
        let got = run(folder, "softmax", |arena| {
            let (out, at) = (arena.room(n as u64 * 8), arena.put(&words(&x)));
            let set = Set { dynamic_shared: n as u32 * 4, ..Set::new(2, 64) };
            (set.wide(out).wide(at).word(n as u32), out, n * 2)
        });
        for (at, got) in got.into_iter().enumerate() {
            let row = &x[at / n * n..at / n * n + n];
            let total: f64 = row.iter().map(|v| f64::from(*v).exp()).sum();
            let want = f64::from(x[at]).exp() / total;
            close(got, want, want * 2e-6, &format!("{folder} element {at}"));
        }
    });
}

#[test]
fn finds_the_largest() {
    toolchains(|folder| {
        let n = 5000;
        let mut x = singles(22, n);
        (x[77], x[3210], x[4000]) = (1.25, 1.25, f32::NEG_INFINITY);
        let got = run(folder, "argmax", |arena| {
            let (best, at) = (arena.put(&[0, 0]), arena.put(&words(&x)));
            (Set::new(5, 128).wide(best).wide(at).word(n as u32), best, 2)
        });
        // Of equals the first.
        assert_eq!(!got[0], 77, "{folder}");
    });
}
