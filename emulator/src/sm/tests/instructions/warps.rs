//! What lanes do together: votes, shuffles, barriers; and where they part: branches, calls.

use super::*;

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
