//! Kernels that name one operation after the other, compiled from `kernels/*.cu`, against plain Rust.

use super::harness::*;
use crate::sm::meaning::half::{Kind as HalfKind, f16_to_f32};
use crate::sm::meaning::{Round, tensor};
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

#[test]
fn integers() {
    both(|arch| {
        let (a, b, c) = (words(1), words(2), words(3));
        let rows = apply(arch, "int", "int_basic", &[a.clone(), b.clone(), c.clone()], 48, &[]);
        for (i, p) in rows.iter().enumerate() {
            let (ux, uy, uz) = (a[i], b[i], c[i]);
            let (x, y, z) = (ux as i32, uy as i32, uz as i32);
            let expected = |n: usize| -> Option<u32> {
                Some(match n {
                    0 => x.wrapping_add(y).wrapping_sub(z) as u32,
                    1 => x.wrapping_mul(y).wrapping_add(z) as u32,
                    2 => ((i64::from(x) * i64::from(y)) >> 32) as u32,
                    3 => ((u64::from(ux) * u64::from(uy)) >> 32) as u32,
                    4 => ux & uy | !uz,
                    5 => ux ^ uy ^ uz,
                    6 => ux << (uy & 31),
                    7 => (x >> (uy & 31)) as u32,
                    8 => ux >> (uy & 31),
                    // __funnelshift_l(low, high, shift), __funnelshift_rc clamps.
                    9 => (((u64::from(uy) << 32 | u64::from(ux)) << (uz & 31)) >> 32) as u32,
                    10 => ((u64::from(uy) << 32 | u64::from(ux)) >> uz.min(32)) as u32,
                    11 => x.min(y) as u32,
                    12 => ux.max(uy),
                    13 => x.wrapping_abs() as u32,
                    14 => ux.count_ones(),
                    15 => ux.leading_zeros(),
                    16 => ux.reverse_bits(),
                    17 => {
                        if x == 0 {
                            0
                        } else {
                            ux.trailing_zeros() + 1
                        }
                    }
                    19 => {
                        if x < y {
                            uz
                        } else {
                            ux
                        }
                    }
                    20 => ux / (uy | 1),
                    21 => x.wrapping_rem(y | 1) as u32,
                    22 => (0..4).fold(uz, |s, k| {
                        let byte = |v: u32| i32::from((v >> (8 * k)) as i8);
                        s.wrapping_add((byte(ux) * byte(uy)) as u32)
                    }),
                    23 => (0..4).fold(uz, |s, k| {
                        let byte = |v: u32| v >> (8 * k) & 0xff;
                        s.wrapping_add(byte(ux) * byte(uy))
                    }),
                    24 => (0..2).fold(uz, |s, k| {
                        let half = i32::from((ux >> (16 * k)) as i16);
                        let byte = i32::from((uy >> (8 * k)) as i8);
                        s.wrapping_add((half * byte) as u32)
                    }),
                    25 => x.abs_diff(y).wrapping_add(uz),
                    26 => (0..4).fold(0, |s, k| {
                        let byte = |v: u32| v >> (8 * k) & 0xff;
                        s | byte(ux).abs_diff(byte(uy)) << (8 * k)
                    }),
                    28 => ((i64::from(x) + i64::from(y)) >> 1) as u32,
                    29 => ((i64::from(x) + i64::from(y) + 1) >> 1) as u32,
                    30 => (((ux << 18) as i32) >> 23) as u32,
                    36 => match if x < 0 { !ux } else { ux } {
                        0 => u32::MAX,
                        v => 31 - v.leading_zeros(),
                    },
                    37 => {
                        if ux == 0 {
                            u32::MAX
                        } else {
                            ux.leading_zeros()
                        }
                    }
                    40 => (((u64::from(uy) << 32 | u64::from(ux)) << (uz & 31)) >> 32) as u32,
                    42 => u32::from(x > 5) + u32::from(y > 3) * 2 + u32::from(z > 1) * 4,
                    43 => crate::sm::meaning::integer::lop3(0x6a, ux, uy, uz),
                    44 => x as i16 as u32,
                    45 => y as i8 as u32,
                    46 => uz & 0xff,
                    47 => x.min(y).min(z) as u32,
                    _ => return None,
                })
            };
            for (n, got) in p.iter().enumerate() {
                if let Some(want) = expected(n) {
                    assert_eq!(*got, want, "{arch:?} result {n} of {ux:x} {uy:x} {uz:x}");
                }
            }
        }
    });
}

#[test]
fn integers_of_64_bits() {
    both(|arch| {
        let wide = |s| -> Vec<u64> {
            let halves = (words(s), words(s + 3));
            halves
                .0
                .iter()
                .zip(&halves.1)
                .map(|(l, h)| u64::from(*l) | u64::from(*h) << 32)
                .collect()
        };
        let flat = |v: &[u64]| v.iter().flat_map(|w| [*w as u32, (*w >> 32) as u32]).collect();
        let (a, b) = (wide(4), wide(5));
        let rows = apply(arch, "int", "int64", &[flat(&a), flat(&b)], 48, &[]);
        for (i, p) in rows.iter().enumerate() {
            let (ux, uy) = (a[i], b[i]);
            let (x, y) = (ux as i64, uy as i64);
            let expected = [
                ux.wrapping_add(uy),
                ux.wrapping_sub(uy),
                ux.wrapping_mul(uy),
                ((i128::from(x) * i128::from(y)) >> 64) as u64,
                ((u128::from(ux) * u128::from(uy)) >> 64) as u64,
                ux << (uy & 63),
                (x >> (uy & 63)) as u64,
                ux >> (uy & 63),
                u64::from(x < y),
                u64::from(ux < uy),
                x.wrapping_div(y | 1) as u64,
                ux % (uy | 1),
                ux.count_ones().into(),
                ux.leading_zeros().into(),
                ux.reverse_bits(),
                x.min(y) as u64,
                ux.max(uy),
                if x == y {
                    1
                } else if x > y {
                    2
                } else {
                    3
                },
                (i64::from(x as i32) * i64::from(y as i32)) as u64,
                u64::from(ux as u32).wrapping_mul(u64::from(uy as u32)).wrapping_add(uy),
                ux & uy,
                ux.wrapping_neg(),
                x.unsigned_abs(),
                if ux == 0 { 0 } else { u64::from(ux.trailing_zeros()) + 1 },
            ];
            for (n, want) in expected.into_iter().enumerate() {
                let got = u64::from(p[n * 2]) | u64::from(p[n * 2 + 1]) << 32;
                assert_eq!(got, want, "{arch:?} result {n} of {ux:x} {uy:x}");
            }
        }
    });
}

/// Equal, or both NaN.
fn same(got: u32, want: f32) -> bool {
    got == want.to_bits() || (f32::from_bits(got).is_nan() && want.is_nan())
}

#[test]
fn single_precision() {
    both(|arch| {
        let (a, b, c) = (singles(1), singles(2), singles(3));
        let rows = apply(arch, "flt", "f32_basic", &[a.clone(), b.clone(), c.clone()], 64, &[]);
        for (i, p) in rows.iter().enumerate() {
            let [x, y, z] = [a[i], b[i], c[i]].map(f32::from_bits);
            // Directed results from double precision, which holds products exactly.
            let directed = |exact: f64, up: bool| {
                let near = exact as f32;
                match (up, f64::from(near).partial_cmp(&exact)) {
                    (true, Some(std::cmp::Ordering::Less)) => next_above(near),
                    (false, Some(std::cmp::Ordering::Greater)) => -next_above(-near),
                    _ => near,
                }
            };
            let product = f64::from(x) * f64::from(y);
            let expected = |n: usize| {
                Some(match n {
                    0 => x + y,
                    1 => x - y,
                    2 => x * y,
                    3 => x.mul_add(y, z),
                    11 if product != 0.0 => directed(product, true),
                    12 if product != 0.0 => directed(product, false),
                    15 => x.abs() - y.abs(),
                    18 => {
                        if x < y {
                            z
                        } else {
                            x
                        }
                    }
                    19 => {
                        if x >= y || z.is_nan() {
                            1.0
                        } else {
                            2.0
                        }
                    }
                    20 => x / y,
                    21 => x.sqrt(),
                    22 => 1.0 / x,
                    47 => y.copysign(x),
                    _ => return None,
                })
            };
            for (n, got) in p.iter().enumerate() {
                if let Some(want) = expected(n) {
                    assert!(
                        same(*got, want),
                        "{arch:?} result {n} of {x:e} {y:e} {z:e}: {:e}, want {want:e}",
                        f32::from_bits(*got)
                    );
                }
            }
            let close = |got: u32, want: f64, ulps: f64| {
                let got = f64::from(f32::from_bits(got));
                let scale =
                    f64::from((want.abs() as f32).max(f32::MIN_POSITIVE)) * f64::from(f32::EPSILON);
                (got - want).abs() <= ulps * scale || (want.abs() as f32) < f32::MIN_POSITIVE
            };
            if x.is_finite() && x.abs() < 80.0 {
                let wide = f64::from(x);
                assert!(
                    close(p[24], wide.exp(), 3.0),
                    "{arch:?} exp {x:e} {:e}",
                    f32::from_bits(p[24])
                );
                assert!(close(p[28], wide.tanh(), 3.0), "{arch:?} tanh {x:e}");
                assert!(close(p[30], wide.exp2(), 2.0), "{arch:?} ex2 {x:e}");
                if x > 0.0 {
                    assert!(
                        (f64::from(f32::from_bits(p[25])) - wide.ln()).abs()
                            <= 1e-6 * wide.ln().abs().max(1.0),
                        "{arch:?} log {x:e}"
                    );
                }
            }
            if x.is_finite() {
                let wide = f64::from(x);
                let near =
                    |got: u32, want: f64| (f64::from(f32::from_bits(got)) - want).abs() < 3e-7;
                assert!(near(p[26], wide.sin()), "{arch:?} sin {x:e} {}", f32::from_bits(p[26]));
                assert!(near(p[27], wide.cos()), "{arch:?} cos {x:e} {}", f32::from_bits(p[27]));
            }
        }
    });
}

#[test]
fn double_precision() {
    both(|arch| {
        let wide = |s: u64| -> Vec<u64> {
            let mut values =
                [0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NAN, 1e-310, 1e308, 0.1, 7.5]
                    .map(f64::to_bits)
                    .to_vec();
            values.rotate_left(s as usize % 10);
            let (l, h) = (random(s, 64), random(s + 9, 64));
            for n in values.len()..THREADS {
                // Magnitudes around one.
                let high = h[n] & 0x83ff_ffff | 0x3c00_0000;
                values.push(u64::from(l[n]) | u64::from(high) << 32);
            }
            values
        };
        let flat = |v: &[u64]| v.iter().flat_map(|w| [*w as u32, (*w >> 32) as u32]).collect();
        let (a, b, c) = (wide(1), wide(2), wide(3));
        let rows = apply(arch, "flt", "f64_basic", &[flat(&a), flat(&b), flat(&c)], 48, &[]);
        for (i, p) in rows.iter().enumerate() {
            let [x, y, z] = [a[i], b[i], c[i]].map(f64::from_bits);
            let exact = [
                (0, x + y),
                (1, x * y),
                (2, x.mul_add(y, z)),
                (3, x / y),
                (4, x.sqrt()),
                (7, if x < y { z } else { x }),
                (11, x.floor()),
                (12, x.round_ties_even()),
                (13, f64::from(x as f32)),
                (18, x + 1.5),
                (19, x.mul_add(3.0, -y)),
                (20, x.abs() - y),
                (21, if x.is_nan() || y >= z { 1.0 } else { -2.0 }),
                (22, 1.0 / x),
                (
                    5,
                    if x.is_nan() || y.is_nan() {
                        x.min(y)
                    } else if x <= y {
                        x
                    } else {
                        y
                    },
                ),
                (
                    6,
                    if x.is_nan() || y.is_nan() {
                        x.max(y)
                    } else if x >= y {
                        x
                    } else {
                        y
                    },
                ),
            ];
            for (n, want) in exact {
                let got = f64::from_bits(u64::from(p[n * 2]) | u64::from(p[n * 2 + 1]) << 32);
                let zeros = (n == 5 || n == 6) && got == 0.0 && want == 0.0;
                assert!(
                    got.to_bits() == want.to_bits() || zeros || (got.is_nan() && want.is_nan()),
                    "{arch:?} result {n} of {x:e} {y:e} {z:e}: {got:e}, want {want:e}"
                );
            }
        }
    });
}

#[test]
fn conversions() {
    both(|arch| {
        let f = singles(4);
        let n = words(6);
        let (l, h) = (words(7), words(8));
        let wide: Vec<u32> = l.iter().zip(&h).flat_map(|(l, h)| [*l, *h]).collect();
        let doubles: Vec<f64> = f.iter().map(|b| f64::from(f32::from_bits(*b)) * 1.7).collect();
        let flat: Vec<u32> =
            doubles.iter().flat_map(|d| [d.to_bits() as u32, (d.to_bits() >> 32) as u32]).collect();
        let rows = apply(arch, "flt", "convert", &[f.clone(), n.clone(), wide, flat], 128, &[]);
        for (i, p) in rows.iter().enumerate() {
            let (x, int, g) = (f32::from_bits(f[i]), n[i] as i32, doubles[i]);
            let long = u64::from(l[i]) | u64::from(h[i]) << 32;
            let got = |k: usize| u64::from(p[k * 2]) | u64::from(p[k * 2 + 1]) << 32;
            let check = |k: usize, want: u64| {
                assert_eq!(got(k), want, "{arch:?} result {k} of {x:e} {int} {long:x} {g:e}");
            };
            let word = |v: i32| u64::from(v as u32);
            if !x.is_nan() {
                check(0, word(x.round_ties_even() as i32));
                check(1, word(x as i32));
                check(2, word(x.ceil() as i32));
                check(3, word(x.floor() as i32));
                check(4, u64::from(x.round_ties_even() as u32));
                check(5, u64::from(x as u32));
                check(6, x.round_ties_even() as i64 as u64);
                check(7, x as u64);
                check(8, word(g as i32));
                check(9, u64::from(g.round_ties_even() as u32));
                check(10, g as i64 as u64);
                check(22, u64::from((g as f32).to_bits()));
                check(24, f64::from(x).to_bits());
                check(25, u64::from(x.round_ties_even().to_bits()));
                check(26, u64::from(x.floor().to_bits()));
                check(27, u64::from(x.ceil().to_bits()));
                check(28, u64::from(x.trunc().to_bits()));
                check(46, u64::from(x.round_ties_even().clamp(-128.0, 127.0) as i32 as u32));
                check(47, u64::from(x.trunc().clamp(0.0, 65535.0) as u32));
            }
            check(12, u64::from((int as f32).to_bits()));
            check(14, u64::from((n[i] as f32).to_bits()));
            check(16, u64::from((long as i64 as f32).to_bits()));
            check(18, f64::from(int).to_bits());
            check(20, (long as i64 as f64).to_bits());
            check(39, u64::from(f32::from(int as i8).to_bits()));
            check(40, u64::from(f32::from((int >> 8) as u8).to_bits()));
            check(41, u64::from(f32::from(int as i16).to_bits()));
            check(42, u64::from(f32::from((n[i] >> 16) as u16).to_bits()));
            check(59, u64::from(int.clamp(-128, 127) as u32));
            check(60, u64::from(int.clamp(0, 65535) as u32));
            // Narrowed and widened again, a half is the nearest to what it came from.
            let half = f16_to_f32(p[58] as u16);
            assert!(p[59] == 0 && (half.is_nan() == x.is_nan()));
        }
    });
}

#[test]
fn packed_halves() {
    both(|arch| {
        let edges = [0x3c00_0000, 0x7c00_fc00, 0x0001_83ff, 0x7bff_fbff, 0x7e00_3c00, 0x8000_0400];
        let input = |s| -> Vec<u32> { edges.into_iter().chain(random(s, THREADS - 6)).collect() };
        let (a, b, c) = (input(1), input(2), input(3));
        let rows = apply(arch, "flt", "half_basic", &[a.clone(), b.clone(), c.clone()], 48, &[]);
        let narrow = |v: f64| {
            // Doubles hold sums and products of halves exactly enough to round once.
            let single = v as f32;
            let odd = match f64::from(single) == v || v.is_nan() || v.is_infinite() {
                true => single,
                // Keep a trace of what the first rounding cut off.
                false => f32::from_bits(
                    (if f64::from(single).abs() > v.abs() {
                        single.to_bits() - 1
                    } else {
                        single.to_bits()
                    }) | 1,
                ),
            };
            HalfKind::F16.narrow(odd.to_bits(), Round::Nearest)
        };
        for (i, p) in rows.iter().enumerate() {
            for half in 0..2 {
                let take = |w: u32| f64::from(f16_to_f32((w >> (16 * half)) as u16));
                let (x, y, z) = (take(a[i]), take(b[i]), take(c[i]));
                let expected = [(0, x + y), (1, x - y), (2, x * y), (3, x.mul_add(y, z))];
                for (n, want) in expected {
                    let got = (p[n] >> (16 * half)) as u16;
                    let want = narrow(want);
                    let nan = |h: u16| h & 0x7fff > 0x7c00;
                    assert!(
                        got == want || (nan(got) && nan(want)),
                        "{arch:?} result {n} of {x:e} {y:e} {z:e}: {got:x}, want {want:x}"
                    );
                }
                let got = |n: usize| f16_to_f32((p[n] >> (16 * half)) as u16);
                assert_eq!(got(12), if x == y { 1.0 } else { 0.0 });
                assert_eq!(got(13), if x < y { 1.0 } else { 0.0 });
                assert_eq!((p[26] >> (16 * half)) as u16, if x > y { 0xffff } else { 0 });
                if !x.is_nan() && !y.is_nan() && (x != 0.0 || y != 0.0) {
                    assert_eq!(f64::from(got(9)), x.min(y));
                    assert_eq!(f64::from(got(10)), x.max(y));
                }
            }
        }
    });
}

#[test]
fn votes_and_matches() {
    both(|arch| {
        let a: Vec<u32> = (0..THREADS as u32).map(|i| (i * 7 % 5).wrapping_sub(2)).collect();
        let rows = apply(arch, "int", "vote_match", std::slice::from_ref(&a), 16, &[]);
        for warp in 0..THREADS / 32 {
            let lanes = &a[warp * 32..warp * 32 + 32];
            let where_ = |f: &dyn Fn(i32) -> bool| {
                lanes.iter().enumerate().fold(0u32, |m, (l, v)| m | u32::from(f(*v as i32)) << l)
            };
            for lane in 0..32 {
                let p = &rows[warp * 32 + lane];
                let own = lanes[lane] as i32;
                assert_eq!(p[0], where_(&|v| v > 0));
                assert_eq!(p[1], 0);
                assert_eq!(p[2], 1);
                assert_eq!(p[3], 0);
                assert_eq!(p[4], where_(&|v| v == own));
                assert_eq!((p[5], p[6]), (0, 0));
                assert_eq!(p[7], where_(&|v| v == own));
                assert_eq!(p[8], lanes.iter().fold(0u32, |s, v| s.wrapping_add(*v)));
                assert_eq!(p[9] as i32, -2);
                assert_eq!(p[10], u32::MAX);
                assert_eq!(p[13], lanes.iter().fold(0, |s, v| s ^ v));
                assert_eq!(p[14], u32::MAX);
            }
        }
    });
}

#[test]
fn shuffles() {
    both(|arch| {
        let a = random(1, THREADS);
        let mut b: Vec<u32> = random(2, THREADS);
        (b[0], b[1]) = (0x1f, 0x1f);
        let rows = apply(arch, "int", "shuffles", &[a.clone(), b.clone()], 12, &[]);
        for i in 0..THREADS {
            let (warp, lane) = (i / 32 * 32, i % 32);
            let at = |l: usize| a[warp + l];
            let by = (b[i] & 31) as usize;
            let p = &rows[i];
            assert_eq!(p[0], at(3));
            assert_eq!(p[1], at(if lane >= 2 { lane - 2 } else { lane }));
            assert_eq!(p[2], at(if lane + 5 < 32 { lane + 5 } else { lane }));
            assert_eq!(p[3], at(lane ^ 16));
            assert_eq!(p[4], at(by));
            assert_eq!(p[5], at(if lane >= by { lane - by } else { lane }));
            assert_eq!(p[6], at(if lane % 8 + by < 8 { lane + by } else { lane }));
            let bound = lane / 16 * 16 + 15;
            assert_eq!(p[7], at(if lane ^ by <= bound { lane ^ by } else { lane }));
            assert_eq!((p[8], p[9]), (at(by), 1));
            assert_eq!(p[11], u32::from(lane + 7 < 32));
        }
    });
}

#[test]
fn diverges_and_collects() {
    both(|arch| {
        for order in [Order::Plain, Order::Seeded(1), Order::Seeded(77)] {
            let a = random(11, THREADS);
            let arena = Arena::new();
            let kernel = Kernel::load(&arena, arch, &own(arch, "int"), "collectives");
            let (input, out) = (arena.put(&a), arena.room(THREADS as u64 * 4));
            let set = Set { order, ..Set::new(1, THREADS as u32).wide(input).wide(out).word(9) };
            kernel.run(&arena, &set).unwrap();
            let result = arena.get(out, THREADS);
            for i in 0..THREADS {
                let mates = &a[i / 32 * 32..i / 32 * 32 + 32];
                let mut r = 0u32;
                for k in 0..9 {
                    let with = |v: &&u32| **v >> k & 1 == a[i] >> k & 1;
                    if a[i] >> k & 1 == 1 {
                        let mut group = mates.iter().filter(with).filter(|v| *v & 3 == a[i] & 3);
                        let sum = group.clone().fold(0u32, |s, v| s.wrapping_add(*v));
                        r = r.wrapping_add(sum).wrapping_add(*group.next().unwrap());
                    } else {
                        r ^= (0..32).fold(0, |m, l| {
                            m | u32::from(with(&&mates[l]) && mates[l] & 2 != 0) << l
                        });
                    }
                }
                assert_eq!(result[i], r, "{arch:?} {order:?} thread {i}");
            }
        }
    });
}

#[test]
fn calls_through_tables_and_recursion() {
    both(|arch| {
        let a = random(5, THREADS);
        let rows = apply(arch, "mem", "calls", std::slice::from_ref(&a), 3, &[]);
        let f2 = |x: i32, y: i32| {
            let mut t = [0i32; 8];
            for i in 0..8i32 {
                t[(i.wrapping_mul(x) & 7) as usize] = i.wrapping_add(y);
            }
            (t[(x & 7) as usize], t[(y & 7) as usize])
        };
        let call = |n: u32, x: i32, y: i32| match n {
            0 => Some(x.wrapping_add(y)),
            1 => Some(x.wrapping_mul(y)),
            // Reads places that it may not have written: no expectation for even x.
            2 => (x % 2 != 0).then(|| f2(x, y).0.wrapping_add(f2(x, y).1)),
            _ => Some(x.wrapping_div(y | 1)),
        };
        let fib = |n: u32| (0..n).fold((0u32, 1u32), |(p, q), _| (q, p + q)).0;
        for (i, p) in rows.iter().enumerate() {
            let x = a[i] as i32;
            assert_eq!(p[1], fib(a[i] & 7));
            if let Some(want) = call(a[i] & 3, x, i as i32) {
                assert_eq!(p[0] as i32, want, "{arch:?} case {} of {x} {i}", a[i] & 3);
            }
            if let Some(want) = call(a[i] >> 2 & 3, x, i as i32 + 1) {
                assert_eq!(p[2] as i32, want);
            }
        }
    });
}

#[test]
fn sums_with_barriers() {
    both(|arch| {
        let input: Vec<f32> = (0..400).map(|i| (i % 13) as f32 - 2.0).collect();
        let bits: Vec<u32> = input.iter().map(|v| v.to_bits()).collect();
        for order in [Order::Plain, Order::Seeded(5)] {
            let arena = Arena::new();
            let kernel = Kernel::load(&arena, arch, &own(arch, "mem"), "reduce");
            let (at, out) = (arena.put(&bits), arena.room(64));
            let set =
                Set { order, dynamic_shared: 64, ..Set::new(2, 128).wide(at).wide(out).word(200) };
            kernel.run(&arena, &set).unwrap();
            let got = arena.get(out, 8);
            for block in 0..2 {
                let sum: f32 = input[block * 200..block * 200 + 200].iter().sum();
                assert_eq!(f32::from_bits(got[block]), sum);
            }
            // 128 threads: those whose partial sums are positive.
            let [count, all, any] = [2, 3, 4].map(|n| f32::from_bits(got[n]));
            assert!((1.0..=128.0).contains(&count), "{count}");
            assert_eq!((all, any), (if count == 128.0 { 1.0 } else { 0.0 }, 0.0));
        }
    });
}

#[test]
fn tensor_cores() {
    both(|arch| {
        // Halves that are small integers: exact in any order.
        let half = |x: u32| {
            let value = |b: u32| ((b & 7) as f32 - 3.0).to_bits();
            let one = |b| u32::from(HalfKind::F16.narrow(value(b), Round::Nearest));
            one(x) | one(x >> 16) << 16
        };
        let a: Vec<u32> = random(1, 128).into_iter().map(half).collect();
        let b: Vec<u32> = random(2, 64).into_iter().map(half).collect();
        let c: Vec<u32> = (0..128).map(|i| (i as f32).to_bits()).collect();
        let arena = Arena::new();
        let kernel = Kernel::load(&arena, arch, &own(arch, "mma"), "mma_f16");
        let (pa, pb, pc) = (arena.put(&a), arena.put(&b), arena.put(&c));
        let out = arena.room(512);
        kernel.run(&arena, &Set::new(1, 32).wide(pa).wide(pb).wide(pc).wide(out)).unwrap();
        let got = arena.get(out, 128);
        // PTX's description of the fragments, written down a second time.
        let element = |words: &[u32], per: usize, lane: usize, n: usize| {
            f16_to_f32((words[lane * per + n / 2] >> (16 * (n % 2))) as u16)
        };
        let at_a = |row: usize, col: usize| {
            let lane = row % 8 * 4 + col % 8 / 2;
            element(&a, 4, lane, col % 2 + row / 8 * 2 + col / 8 * 4)
        };
        let at_b =
            |row: usize, col: usize| element(&b, 2, col * 4 + row % 8 / 2, row % 2 + row / 8 * 2);
        for lane in 0..32 {
            for n in 0..4 {
                let (row, col) = (lane / 4 + n / 2 * 8, lane % 4 * 2 + n % 2);
                let deep: f32 = (0..16).map(|k| at_a(row, k) * at_b(k, col)).sum();
                let shallow: f32 = (0..8).map(|k| at_a(row, k) * at_b(k, col)).sum();
                let want = f32::from_bits(c[lane * 4 + n]) + deep + shallow;
                assert_eq!(f32::from_bits(got[lane * 4 + n]), want, "{arch:?} lane {lane} {n}");
            }
        }
    });
}

#[test]
fn matrix_loads() {
    both(|arch| {
        let words = random(3, 128);
        let arena = Arena::new();
        let kernel = Kernel::load(&arena, arch, &own(arch, "mma"), "ldmatrix");
        let (input, out) = (arena.put(&words), arena.room(32 * 15 * 4));
        kernel.run(&arena, &Set::new(1, 32).wide(input).wide(out)).unwrap();
        let got = arena.get(out, 32 * 15);
        let matrix = |n: usize| -> tensor::Row { words[n * 32..n * 32 + 32].try_into().unwrap() };
        for lane in 0..32 {
            let p = &got[lane * 15..lane * 15 + 15];
            for (n, at) in [(0, 0), (0, 1), (1, 2), (0, 3), (1, 4), (2, 5), (3, 6)] {
                assert_eq!(p[at], matrix(n)[lane]);
                let (row, col) = (lane / 4, lane % 4 * 2);
                let pick = |r: usize, c: usize| matrix(n)[r * 4 + c / 2] >> (16 * (c % 2)) & 0xffff;
                assert_eq!(p[at + 7], pick(col, row) | pick(col + 1, row) << 16);
            }
            assert_eq!(p[14], p[7]);
        }
    });
}

#[test]
fn copies_to_shared_memory() {
    both(|arch| {
        let data = random(9, 160);
        for whole in [16u32, 6] {
            let arena = Arena::new();
            let kernel = Kernel::load(&arena, arch, &own(arch, "mma"), "cpasync");
            let (input, out) = (arena.put(&data), arena.room(32 * 12 * 4));
            kernel.run(&arena, &Set::new(1, 32).wide(input).wide(out).word(whole)).unwrap();
            let got = arena.get(out, 384);
            for lane in 0..32 {
                assert_eq!(got[lane * 4], data[lane * 4]);
                assert_eq!(got[128 + lane * 4..][..2], data[lane * 4..][..2]);
                let bytes = |words: &[u32]| -> Vec<u8> {
                    words.iter().flat_map(|w| w.to_le_bytes()).collect()
                };
                let (from, to) =
                    (bytes(&data[lane * 4..][..4]), bytes(&got[256 + lane * 4..][..4]));
                let kept = whole as usize;
                assert_eq!(to[..kept], from[..kept]);
                assert!(to[kept..].iter().all(|b| *b == 0));
            }
        }
    });
}

/// The smallest single above `x`.
fn next_above(x: f32) -> f32 {
    match x.to_bits() {
        0x8000_0000 => f32::from_bits(1),
        bits if x.is_sign_negative() => f32::from_bits(bits - 1),
        bits => f32::from_bits(bits + 1),
    }
}
