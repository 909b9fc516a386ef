//! Clusters, stores that signal, copies in bulk, and barriers in shared memory: what the documents say they do.
//! What an H200 leaves of others like them is compared in `silicon`.

use super::harness::*;
use crate::sm::meaning::Round;
use crate::sm::meaning::half::{Kind as HalfKind, f16_to_f32};
use crate::sm::*;

/// Orders in which a kernel is to give the same.
const ORDERS: [Order; 4] = [Order::Plain, Order::Seeded(1), Order::Seeded(2), Order::Seeded(3)];

fn clusters_of(blocks: u32, grid: u32, threads: u32) -> Set {
    Set { cluster: [blocks, 1, 1], ..Set::new(grid, threads) }
}

/// Runs a kernel of `bulk.cu`, and gives what is left in the first of its buffers.
fn bulk(
    kernel: &str,
    set: Set,
    buffers: &[Vec<u32>],
    tail: &[u32],
) -> Result<Vec<u32>, Box<Fault>> {
    let arena = Arena::new();
    let kernel = Kernel::load(&arena, Arch::Sm90, &own(Arch::Sm90, "bulk"), kernel);
    let places: Vec<u64> = buffers.iter().map(|words| arena.put(words)).collect();
    let set = places.iter().fold(set, |set, at| set.wide(*at));
    let set = tail.iter().fold(set, |set, word| set.word(*word));
    kernel.run(&arena, &set)?;
    Ok(arena.get(places[0], buffers[0].len()))
}

#[test]
fn clusters_read_their_neighbours() {
    let arena = Arena::new();
    for folder in ["sm_90", "cuda13/sm_90"] {
        let (arch, cubin) = shipped_in(folder, "cluster.cubin");
        for order in ORDERS {
            let launch = |kernel: &str, set: Set, blocks: u32| {
                let kernel = Kernel::load(&arena, arch, &cubin, kernel);
                let out = arena.put(&vec![0; blocks as usize]);
                kernel.run(&arena, &Set { order, ..set }.wide(out)).unwrap();
                arena.get(out, blocks as usize)
            };
            for (kernel, size) in [("cluster_of_4", 4), ("cluster_sum", 8), ("cluster_up_to_8", 2)]
            {
                let sums = launch(kernel, clusters_of(size, 16, 32), 16);
                let sum = |block: u32| (0..size).map(|i| (block / size * size + i) * 3 + 1).sum();
                assert_eq!(sums, (0..16).map(sum).collect::<Vec<u32>>());
            }
            let set = Set { grid: [4, 4, 1], cluster: [2, 2, 1], ..Set::new(1, 32) };
            let ranks = [0, 1, 0, 1, 2, 3, 2, 3];
            assert_eq!(launch("cluster_of_2_by_2", set, 16), [ranks, ranks].concat());
        }
    }
}

#[test]
fn stores_signal_a_barrier_of_another_block() {
    let input = random(4, 8 * 128);
    for order in ORDERS {
        let set = Set { order, ..clusters_of(4, 8, 32) };
        let out = bulk("signals", set, &[vec![0; 2 * 513], input.clone()], &[0]).unwrap();
        for (got, input) in out.chunks(513).zip(input.chunks(4 * 128)) {
            assert_eq!(got[..512], *input);
            let firsts = input.iter().step_by(4);
            assert_eq!(got[512], firsts.fold(0, |sum: u32, x| sum.wrapping_add(*x)));
        }
    }
}

#[test]
fn bulk_copies_go_there_and_back() {
    let input = random(5, 3 * 256);
    for order in ORDERS {
        let set = Set { order, ..Set::new(3, 64) };
        let out = bulk("there_and_back", set, &[vec![0; 3 * 256], input.clone()], &[0]).unwrap();
        assert_eq!(out, input.iter().map(|x| x.wrapping_add(1)).collect::<Vec<u32>>());
    }
}

#[test]
fn bulk_copies_go_to_several_blocks_and_between_them() {
    let input = random(6, 64);
    for (order, ranks) in ORDERS.into_iter().zip([0b1011, 0b0001, 0b1111, 0b0110]) {
        let set = Set { order, ..clusters_of(4, 4, 64) };
        let out = bulk("to_many", set, &[vec![0; 256], input.clone()], &[ranks]).unwrap();
        for (block, words) in out.chunks(64).enumerate() {
            // What the block before has, copied and then added once more.
            let before = (block + 3) % 4;
            let brought = ranks >> before & 1 == 1;
            let want = |i: usize| if brought { input[i].wrapping_mul(2) } else { 14 };
            assert_eq!(words, (0..64).map(want).collect::<Vec<_>>(), "block {block} of {ranks:b}");
        }
    }
}

/// What a reduction leaves of what was there and what came.
type Combine = Box<dyn Fn(&[u32], &[u32]) -> Vec<u32>>;

#[test]
fn bulk_reductions_combine_with_what_is_there() {
    let given: Vec<u32> = (0..16).map(|i| 0x4040_4040 + i * 0x0010_0010).collect();
    let old: Vec<u32> = (0..12 * 16).map(|i| 0x3f80_3c00 + i * 0x0001_0001).collect();
    let out = bulk("reduces", Set::new(1, 16), &[old.clone(), given.clone()], &[]).unwrap();
    let word = |how: fn(u32, u32) -> u32| -> Combine {
        Box::new(move |a, b| a.iter().zip(b).map(|(a, b)| how(*a, *b)).collect())
    };
    let double = |how: fn(u64, u64) -> u64| -> Combine {
        let wide = |w: &[u32]| u64::from(w[0]) | u64::from(w[1]) << 32;
        Box::new(move |a, b| {
            let pairs = a.chunks(2).zip(b.chunks(2)).map(|(a, b)| how(wide(a), wide(b)));
            pairs.flat_map(|x| [x as u32, (x >> 32) as u32]).collect()
        })
    };
    let halves = |a: u32, b: u32, one: &dyn Fn(u16, u16) -> u16| {
        let [low, high] = [0, 16].map(|at| u32::from(one((a >> at) as u16, (b >> at) as u16)));
        low | high << 16
    };
    for (n, expected) in [
        word(u32::wrapping_add),
        word(|a, b| (a as i32).min(b as i32) as u32),
        word(u32::max),
        word(|a, b| if a >= b { 0 } else { a + 1 }),
        word(|a, b| a & b),
        word(|a, b| a ^ b),
        double(u64::wrapping_add),
        double(|a, b| (a as i64).max(b as i64) as u64),
        word(|a, b| (f32::from_bits(a) + f32::from_bits(b)).to_bits()),
        Box::new(move |a: &[u32], b: &[u32]| {
            let add = |a, b| {
                let sum = f16_to_f32(a) + f16_to_f32(b);
                HalfKind::F16.narrow(sum.to_bits(), Round::Nearest)
            };
            a.iter().zip(b).map(|(a, b)| halves(*a, *b, &add)).collect()
        }),
        Box::new(move |a: &[u32], b: &[u32]| {
            // All of them are positive.
            a.iter().zip(b).map(|(a, b)| halves(*a, *b, &|a, b| a.max(b))).collect()
        }),
        double(|a, b| (f64::from_bits(a) + f64::from_bits(b)).to_bits()),
    ]
    .into_iter()
    .enumerate()
    {
        let at = n * 16..n * 16 + 16;
        assert_eq!(out[at.clone()], expected(&old[at], &given), "reduction {n}");
    }
}

#[test]
fn addresses_tell_whose_memory_they_mean() {
    let out = bulk("spaces", clusters_of(2, 4, 32), &[vec![0; 24]], &[]).unwrap();
    for (block, line) in out.chunks(6).enumerate() {
        let [me, other] = [block as u32 % 2, (block as u32 + 1) % 2];
        assert_eq!(line[..4], [1, 0, 1, other]);
        let before = [10 + other, 10 + other + 5 * 32];
        assert!((before[0]..=before[1]).contains(&line[4]), "{}", line[4]);
        assert_eq!(line[5], 10 + me + 5 * 32);
    }
}

#[test]
fn the_memory_of_a_block_that_is_not_there_is_a_fault() {
    for (block, rank) in [(1, 1), (7, 7)] {
        let fault =
            bulk("reads_too_late", clusters_of(2, 2, 32), &[vec![0]], &[block]).unwrap_err();
        assert_eq!(fault.kind, FaultKind::NoBlock { rank });
        assert!(fault.to_string().contains("is in the cluster, or it has ended"), "{fault}");
    }
}

#[test]
fn a_block_that_waits_for_a_cluster_that_never_comes_is_stuck() {
    // Without the others, what the first block waits for does not come.
    let arena = Arena::new();
    let kernel = Kernel::load(&arena, Arch::Sm90, &own(Arch::Sm90, "bulk"), "signals");
    let out = arena.put(&[0; 513]);
    let set = clusters_of(4, 4, 32).wide(out).wide(out).word(0);
    let banks = kernel.banks(&set);
    let banks: Vec<&[u8]> = banks.iter().map(Vec::as_slice).collect();
    let mut alone = Block::new(&kernel.program, kernel.launch(&set, [0; 3], &banks), Order::Plain);
    match alone.run(&arena, 1 << 20) {
        Outcome::Fault(fault) => assert_eq!(fault.kind, FaultKind::NoBlock { rank: 0 }),
        // Block 0 finds itself, and waits for bytes.
        other => assert_eq!(other, Outcome::Budget),
    }
}

#[test]
fn phases_order_hand_over_and_copies() {
    both(|arch| {
        let cubin = own(arch, "copies");
        for order in ORDERS {
            let arena = Arena::new();
            let kernel = Kernel::load(&arena, arch, &cubin, "hand_over");
            let out = arena.put(&[0; 32]);
            let set = Set { order, ..Set::new(1, 64) }.wide(out).word(5).word(0);
            kernel.run(&arena, &set).unwrap();
            let sums: Vec<u32> =
                (0..32).map(|lane| (0..5).map(|i| i * 32 + 31 - lane).sum()).collect();
            assert_eq!(arena.get(out, 32), sums);
            let kernel = Kernel::load(&arena, arch, &cubin, "swap");
            let input = random(7, 256);
            for by_barrier in [0, 1] {
                let (out, from) = (arena.put(&[0; 256]), arena.put(&input));
                let set = Set { order, ..Set::new(1, 64) }.wide(out).wide(from);
                kernel.run(&arena, &set.word(by_barrier).word(0)).unwrap();
                assert_eq!(arena.get(out, 256), [&input[128..], &input[..128]].concat());
            }
        }
    });
}
