//! The kernels of `ptx/`.

use super::harness::*;
use crate::sm::*;

fn floats(seed: u64, count: usize) -> Vec<f32> {
    let scale = |x: u32| (x >> 8) as f32 / (1 << 23) as f32 - 1.0;
    random(seed, count).into_iter().map(scale).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// Loads, runs, and hands the memory to the check.
fn run(arch: Arch, file: &str, kernel: &str, prepare: impl Fn(&Arena) -> Set) -> Arena {
    let arena = Arena::new();
    let loaded = Kernel::load(&arena, arch, &shipped(arch, file), kernel);
    let set = prepare(&arena);
    if let Err(fault) = loaded.run(&arena, &set) {
        panic!("{}: {fault}", arch_name(arch));
    }
    arena
}

#[test]
fn adds_vectors() {
    both(|arch| {
        let (a, b) = (floats(1, 1000), floats(2, 1000));
        let arena = Arena::new();
        let kernel = Kernel::load(&arena, arch, &shipped(arch, "vector.cubin"), "vector_add");
        let out = arena.put(&[7; 1024]);
        let (pa, pb) = (arena.put(&bits(&a)), arena.put(&bits(&b)));
        kernel.run(&arena, &Set::new(4, 256).wide(out).wide(pa).wide(pb).word(1000)).unwrap();
        let result = arena.get(out, 1024);
        for i in 0..1000 {
            assert_eq!(result[i], (a[i] + b[i]).to_bits());
        }
        // Surplus threads leave memory alone.
        assert_eq!(result[1000..], [7; 24]);
    });
}

#[test]
fn fuses_saxpy() {
    both(|arch| {
        let (x, y) = (floats(3, 300), floats(4, 300));
        let arena = Arena::new();
        let kernel = Kernel::load(&arena, arch, &shipped(arch, "vector.cubin"), "saxpy");
        let (py, px) = (arena.put(&bits(&y)), arena.put(&bits(&x)));
        let set = Set::new(3, 128).wide(py).wide(px).word(2.5f32.to_bits()).word(300);
        kernel.run(&arena, &set).unwrap();
        for (i, result) in arena.get(py, 300).into_iter().enumerate() {
            assert_eq!(result, 2.5f32.mul_add(x[i], y[i]).to_bits());
        }
    });
}

#[test]
fn reduces() {
    both(|arch| {
        for kernel in ["sum_shared", "sum_shuffle"] {
            let input: Vec<f32> = (0..3000).map(|i| (i % 17) as f32).collect();
            let arena = Arena::new();
            let loaded = Kernel::load(&arena, arch, &shipped(arch, "reduce.cubin"), kernel);
            let (sums, at) = (arena.room(64), arena.put(&bits(&input)));
            loaded.run(&arena, &Set::new(4, 256).wide(sums).wide(at).word(3000)).unwrap();
            let sums: f32 = arena.get(sums, 4).into_iter().map(f32::from_bits).sum();
            assert_eq!(sums, input.iter().sum::<f32>(), "{kernel}");
        }
    });
}

#[test]
fn parts_and_meets() {
    both(|arch| {
        let arena = run(arch, "divergence.cubin", "part_and_meet", |arena| {
            Set::new(1, 32).wide(arena.room(128))
        });
        let sum = |lane: u32| {
            let mut sum = 0;
            for a in (0..lane).filter(|a| a % 3 != 2) {
                for b in 0..=a.min(7) {
                    sum += a * b + 1;
                }
            }
            sum
        };
        let out = first(&arena, 32);
        for lane in 0..32 {
            assert_eq!(out[lane as usize], sum(lane) + sum((lane + 1) % 32));
        }
    });
}

/// The first allocation of a test whose cubin has no globals.
fn first(arena: &Arena, count: usize) -> Vec<u32> {
    arena.get(0x7_0000_0000, count)
}

#[test]
fn walks_collatz() {
    both(|arch| {
        let arena = run(arch, "divergence.cubin", "collatz", |arena| {
            Set::new(2, 96).wide(arena.room(1024)).word(5).word(150)
        });
        for (i, steps) in first(&arena, 150).into_iter().enumerate() {
            let (mut v, mut count) = (i as u64 + 5, 0);
            while v > 1 {
                v = if v % 2 == 1 { 3 * v + 1 } else { v / 2 };
                count += 1;
            }
            assert_eq!(steps, count);
        }
    });
}

#[test]
fn passes_a_lock_between_lanes() {
    both(|arch| {
        for order in [Order::Plain, Order::Seeded(3), Order::Seeded(9)] {
            let arena = run(arch, "divergence.cubin", "lane_lock", |arena| Set {
                order,
                ..Set::new(1, 64).wide(arena.room(4)).wide(arena.room(4))
            });
            assert_eq!(arena.get(0x7_0000_0100, 1), [64]);
        }
    });
}

#[test]
fn jumps_by_table() {
    both(|arch| {
        let ops: Vec<u32> = (0..256).map(|i| i * 7 % 14).collect();
        let arena = run(arch, "divergence.cubin", "switch_table", |arena| {
            let out = arena.room(1024);
            Set::new(2, 128).wide(out).wide(arena.put(&ops)).word(256)
        });
        for (i, result) in first(&arena, 256).into_iter().enumerate() {
            let v = i as u32;
            let expected = match ops[i] {
                0 => v * 3,
                1 => v ^ 0x5555_5555,
                2 => v.reverse_bits(),
                3 => v.count_ones(),
                4 => v.leading_zeros(),
                5 => v / 7,
                6 => v % 11,
                7 => v << 5,
                8 => !v,
                9 => v * v,
                10 => v.rotate_right(3),
                11 => crate::sm::meaning::integer::permute(0, v, 0x3715, 0x1234_5678),
                _ => u32::MAX,
            };
            assert_eq!(result, expected, "case {}", ops[i]);
        }
    });
}

#[test]
fn multiplies_matrices() {
    both(|arch| {
        let (m, n, k) = (64, 128, 64);
        let small = |seed, count| -> Vec<u16> {
            let value = |x: u32| ((x >> 28) as f32 - 8.0) / 4.0;
            random(seed, count)
                .into_iter()
                .map(|x| {
                    let narrow = crate::sm::meaning::half::Kind::F16;
                    narrow.narrow(value(x).to_bits(), crate::sm::meaning::Round::Nearest)
                })
                .collect()
        };
        let (a, b) = (small(5, m * k), small(6, k * n));
        let pack = |v: &[u16]| -> Vec<u32> {
            v.chunks(2).map(|c| u32::from(c[0]) | u32::from(c[1]) << 16).collect()
        };
        let arena = run(arch, "matmul.cubin", "matmul_half", |arena| {
            let c = arena.room(m as u64 * n as u64 * 4);
            let (pa, pb) = (arena.put(&pack(&a)), arena.put(&pack(&b)));
            let set = Set::new(n as u32 / 64, 128).wide(c).wide(pa).wide(pb);
            set.word(m as u32).word(n as u32).word(k as u32)
        });
        let wide = |x: u16| crate::sm::meaning::half::f16_to_f32(x);
        let c = first(&arena, m * n);
        for row in 0..m {
            for column in 0..n {
                // Quarters of small integers: every order of summation is exact.
                let sum: f32 = (0..k).map(|i| wide(a[row * k + i]) * wide(b[i * n + column])).sum();
                assert_eq!(f32::from_bits(c[row * n + column]), sum);
            }
        }
    });
}

#[test]
fn counts_atomically() {
    both(|arch| {
        let start = [0, 5000, 100, 3, u32::MAX, 0, 0, 0, 0, 0];
        let arena = run(arch, "atomics.cubin", "atomics", |arena| {
            let words = arena.put(&start);
            Set::new(2, 64).wide(words).wide(arena.room(4))
        });
        let words = first(&arena, 10);
        let all = 128u32;
        let sum: u32 = (0..all).sum();
        let xor = (0..all).fold(0, |x, i| x ^ i);
        let expected =
            [sum, 5000u32.wrapping_sub(sum), -127i32 as u32, 127, 0, u32::MAX, xor, 128, 128];
        assert_eq!(words[..9], expected);
        assert!(words[9] < all);
        assert_eq!(f32::from_bits(arena.get(0x7_0000_0100, 1)[0]), 128.0);
    });
}

#[test]
fn bins_a_histogram() {
    both(|arch| {
        let data = random(8, 1000);
        let bytes: Vec<u8> = data.iter().flat_map(|w| w.to_le_bytes()).collect();
        let arena = run(arch, "atomics.cubin", "histogram", |arena| {
            let bins = arena.room(1024);
            Set::new(3, 128).wide(bins).wide(arena.put(&data)).word(4000)
        });
        let mut bins = [0; 256];
        bytes.iter().for_each(|b| bins[*b as usize] += 1);
        assert_eq!(first(&arena, 256), bins);
    });
}

#[test]
fn recurses() {
    both(|arch| {
        let arena = run(arch, "local.cubin", "recursion", |arena| {
            Set::new(1, 32).wide(arena.room(128)).word(2).word(3)
        });
        assert_eq!(first(&arena, 32), [9; 32]);
    });
}

#[test]
fn keeps_local_memory_apart() {
    both(|arch| {
        let arena = run(arch, "local.cubin", "local_big", |arena| {
            Set::new(1, 64).wide(arena.room(256)).word(3)
        });
        assert_eq!(first(&arena, 64), [0; 64]);
        let arena = run(arch, "local.cubin", "local_generic", |arena| {
            Set::new(1, 32).wide(arena.room(128)).word(20)
        });
        for (i, sum) in first(&arena, 32).into_iter().enumerate() {
            assert_eq!(sum, (0..20).map(|k| i as u32 + k).sum());
        }
    });
}

/// Those of the decoder's attention too, which on sm_90 stores to other blocks of a cluster.
#[test]
fn every_shipped_word_decodes() {
    for arch in [Arch::Sm87, Arch::Sm90] {
        let folder =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../ptx").join(arch_name(arch));
        let mut words = 0;
        let mut folders = vec![folder];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        for file in files {
            let cubin = std::fs::read(file).unwrap();
            for name in names(&cubin) {
                let arena = Arena::new();
                let kernel = Kernel::load(&arena, arch, &cubin, &name);
                for index in 0.. {
                    let Some(word) = kernel.program.word(index) else {
                        break;
                    };
                    let decoded = decode(arch, word).unwrap_or_else(|e| panic!("{name}: {e}"));
                    decoded.check().unwrap_or_else(|e| panic!("{name}: {e}"));
                    assert!(!decoded.to_string().is_empty());
                    words += 1;
                }
            }
        }
        assert!(words > 1000);
    }
}
