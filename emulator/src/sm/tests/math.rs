//! The mathematical functions that compilers build, from both toolchains, against double precision.

use super::harness::*;

const COUNT: usize = 512;

fn run(folder: &str, kernel: &str, x: &[u32], y: &[u32], row: usize) -> Vec<u32> {
    let arena = Arena::new();
    let (arch, cubin) = shipped_in(folder, "math.cubin");
    let loaded = Kernel::load(&arena, arch, &cubin, kernel);
    let out = arena.room((COUNT * row * 4) as u64);
    let (x, y) = (arena.put(x), arena.put(y));
    let set = Set::new(COUNT as u32 / 64, 64).wide(out).wide(x).wide(y).word(COUNT as u32);
    if let Err(fault) = loaded.run(&arena, &set) {
        panic!("{folder}: {fault}");
    }
    arena.get(out, COUNT * row)
}

/// Numbers of all sizes, special ones among them.
fn inputs(seed: u64) -> Vec<f64> {
    let edges = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        2.0,
        1e-3,
        -7.25,
        100.0,
        -100.0,
        1e6,
        1e-30,
        1e30,
        -1e30,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        1e-40,
        3.5,
        88.5,
        -87.5,
        0.999,
        1.001,
        1e-42,
    ];
    let mut values = edges.to_vec();
    values.rotate_left(seed as usize % edges.len());
    let dice = random(seed, COUNT * 2);
    for roll in dice.chunks(2).take(COUNT - edges.len()) {
        let size = 2f64.powi((roll[0] % 24) as i32 - 12);
        values.push((f64::from(roll[1]) / f64::from(1u32 << 31) - 1.0) * size);
    }
    values
}

/// How far `got` is from `want` in units of the last place of a format with `bits` of fraction and the
/// smallest normal exponent `least`.
fn distance(got: f64, want: f64, bits: i32, least: i32) -> f64 {
    if got == want || (got.is_nan() && want.is_nan()) {
        return 0.0;
    }
    let exponent = want.abs().log2().floor().max(f64::from(least));
    (got - want).abs() / (exponent - f64::from(bits)).exp2()
}

#[test]
fn single_precision() {
    toolchains(|folder| {
        let singles = |seed| -> Vec<f32> { inputs(seed).into_iter().map(|v| v as f32).collect() };
        let (xs, ys) = (singles(1), singles(2));
        let bits = |v: &[f32]| -> Vec<u32> { v.iter().map(|v| v.to_bits()).collect() };
        let rows = run(folder, "single", &bits(&xs), &bits(&ys), 32);
        for (i, row) in rows.chunks(32).enumerate() {
            let (x, y) = (f64::from(xs[i]), f64::from(ys[i]));
            // The largest errors that the vendor's guide states, in units of the last place.
            let stated: [(usize, f64, f64); 16] = [
                (0, x.sin(), 2.0),
                (1, x.cos(), 2.0),
                (2, x.tan(), 4.0),
                (3, x.exp(), 2.0),
                (4, x.exp2(), 2.0),
                (5, x.exp_m1(), 1.0),
                (6, x.ln(), 1.0),
                (7, x.log2(), 1.0),
                (8, x.ln_1p(), 1.0),
                (9, x.powf(y), 4.0),
                (10, x.tanh(), 2.0),
                (11, x.sinh(), 3.0),
                (13, x.atan2(y), 3.0),
                (14, x.asin(), 2.0),
                (15, x.cbrt(), 1.0),
                (16, x.hypot(y), 3.0),
            ];
            for (at, want, ulps) in stated {
                let got = f64::from(f32::from_bits(row[at]));
                let beyond = want.abs() > f64::from(f32::MAX) && got.is_infinite();
                let off = if beyond { 0.0 } else { distance(got, want, 23, -126) };
                // Half a unit for the rounding of the stated bound itself.
                assert!(off <= ulps + 0.5, "{folder} {at} of {x:e} {y:e}: {got:e}, want {want:e}");
            }
            let (x, y) = (xs[i], ys[i]);
            let exact: [(usize, f32); 8] = [
                (18, x / y),
                (19, x.sqrt()),
                (20, 1.0 / x),
                (21, x % y),
                (22, x.floor()),
                (23, x.round_ties_even()),
                (24, x.trunc()),
                (25, x.mul_add(y, x)),
            ];
            for (at, want) in exact {
                let got = f32::from_bits(row[at]);
                let same = got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan());
                assert!(same, "{folder} {at} of {x:e} {y:e}: {got:e}, want {want:e}");
            }
            if x.abs() < 80.0 {
                let (fast, want) = (f64::from(f32::from_bits(row[26])), f64::from(x).exp());
                assert!((fast / want - 1.0).abs() < 1e-5, "{folder} fast exp of {x:e}: {fast:e}");
            }
            if x > 0.01 && x < 100.0 {
                let (fast, want) = (f64::from(f32::from_bits(row[28])), f64::from(x).ln());
                assert!((fast - want).abs() < 1e-6 * want.abs().max(1.0), "{folder} log {x:e}");
                let (fast, want) = (f64::from(f32::from_bits(row[29])), f64::from(x).powf(-0.5));
                assert!(distance(fast, want, 23, -126) <= 2.5, "{folder} rsqrt of {x:e}: {fast:e}");
            }
        }
    });
}

#[test]
fn double_precision() {
    toolchains(|folder| {
        let (xs, ys) = (inputs(3), inputs(4));
        let words = |v: &[f64]| -> Vec<u32> {
            v.iter().map(|v| v.to_bits()).flat_map(|b| [b as u32, (b >> 32) as u32]).collect()
        };
        let rows = run(folder, "twofold", &words(&xs), &words(&ys), 32);
        for (i, row) in rows.chunks(32).enumerate() {
            let (x, y) = (xs[i], ys[i]);
            let got = |at: usize| {
                f64::from_bits(u64::from(row[at * 2]) | u64::from(row[at * 2 + 1]) << 32)
            };
            // The host's library errs by a unit itself.
            let stated: [(usize, f64, f64); 9] = [
                (0, x.sin(), 2.0),
                (1, x.cos(), 2.0),
                (2, x.exp(), 1.0),
                (3, x.ln(), 1.0),
                (4, x.powf(y), 2.0),
                (5, x.tanh(), 1.0),
                (6, x.atan(), 2.0),
                (8, x.cbrt(), 1.0),
                (9, 1.0 / x.sqrt(), 1.0),
            ];
            for (at, want, ulps) in stated {
                let off = distance(got(at), want, 52, -1022);
                assert!(
                    off <= ulps + 1.0,
                    "{folder} {at} of {x:e} {y:e}: {:e}, want {want:e}",
                    got(at)
                );
            }
            let exact: [(usize, f64); 6] = [
                (10, x / y),
                (11, x.sqrt()),
                (12, x % y),
                (13, x.floor()),
                (14, 1.0 / x),
                (15, x.mul_add(y, x)),
            ];
            for (at, want) in exact {
                let got = got(at);
                let same = got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan());
                assert!(same, "{folder} {at} of {x:e} {y:e}: {got:e}, want {want:e}");
            }
        }
    });
}

#[test]
fn integers() {
    toolchains(|folder| {
        let numbers = |seed: u64| -> Vec<u64> {
            let words = random(seed, COUNT * 3);
            let one = |w: &[u32]| (u64::from(w[0]) | u64::from(w[1]) << 32) >> (w[2] % 64);
            let mut numbers: Vec<u64> = words.chunks(3).map(one).collect();
            let edges = [0, 1, u64::MAX, 1 << 63, 1 << 31, 0xffff_ffff, 7, u64::MAX - 12];
            numbers[seed as usize..][..edges.len()].copy_from_slice(&edges);
            numbers
        };
        let (xs, ys) = (numbers(5), numbers(6));
        let words = |v: &[u64]| v.iter().flat_map(|b| [*b as u32, (b >> 32) as u32]).collect();
        let (x_words, y_words): (Vec<u32>, Vec<u32>) = (words(&xs), words(&ys));
        let rows = run(folder, "whole", &x_words, &y_words, 32);
        for (i, row) in rows.chunks(32).enumerate() {
            let (x, y) = (xs[i], ys[i]);
            let (sx, sy, u, v) = (x as i64, y as i64, x as u32, y as u32);
            let (su, sv) = (u as i32, v as i32);
            let or_zero =
                |by_zero: bool, value: &dyn Fn() -> u64| if by_zero { 0 } else { value() };
            let expected = [
                or_zero(v == 0, &|| (u / v).into()),
                or_zero(v == 0, &|| (u % v).into()),
                or_zero(v == 0, &|| (su.wrapping_div(sv) as u32).into()),
                or_zero(v == 0, &|| (su.wrapping_rem(sv) as u32).into()),
                or_zero(y == 0, &|| x / y),
                or_zero(y == 0, &|| x % y),
                or_zero(y == 0, &|| sx.wrapping_div(sy) as u64),
                or_zero(y == 0, &|| sx.wrapping_rem(sy) as u64),
                (u / 7).into(),
                ((su / -13) as u32).into(),
                x / 1_000_003,
                ((u128::from(x) * u128::from(y)) >> 64) as u64,
                ((i128::from(sx) * i128::from(sy)) >> 64) as u64,
                x.wrapping_mul(y),
                u64::from(x.count_ones() + y.leading_zeros()),
                x.reverse_bits() ^ if y == 0 { 0 } else { u64::from(y.trailing_zeros()) + 1 },
            ];
            for (at, want) in expected.into_iter().enumerate() {
                let got = u64::from(row[at * 2]) | u64::from(row[at * 2 + 1]) << 32;
                assert_eq!(got, want, "{folder} {at} of {x:#x} {y:#x}");
            }
        }
    });
}
