//! Products of matrices, and how matrices come to registers and to shared memory.

use super::*;
use crate::sm::meaning::half::{Kind as HalfKind, f16_to_f32};
use crate::sm::meaning::{Round, tensor};

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
