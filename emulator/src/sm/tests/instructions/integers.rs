//! Integers of 32 and 64 bits.

use super::*;

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
