//! Single and double precision, packed halves, and conversions among them and integers.

use super::*;
use crate::sm::meaning::Round;
use crate::sm::meaning::half::{Kind as HalfKind, f16_to_f32};

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

/// The smallest single above `x`.
fn next_above(x: f32) -> f32 {
    match x.to_bits() {
        0x8000_0000 => f32::from_bits(1),
        bits if x.is_sign_negative() => f32::from_bits(bits - 1),
        bits => f32::from_bits(bits + 1),
    }
}
