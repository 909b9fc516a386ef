//! Words that compilers of other people's kernels wrote and those of `ptx/` hold none of: how they read, and what
//! they do.

use crate::sm::silicon::{Check, OUTPUTS, THREADS};
use crate::sm::table::{DST, Field, SLOT32_REG, SLOT64_REG, SRC_A, UDST, USRC_A};
use crate::sm::{Arch, decode};

use Arch::{Sm87, Sm90};

/// What the vendor's disassembler prints, but for how it spells targets and predicates as a whole.
const READ: &[(Arch, u128, &str)] = &[
    (Sm87, 0x000fe200_00001000_0000007f_03037803, "P2R.B1 R3, R3, 0x7f"),
    (Sm87, 0x000fda00_00003000_0000000f_b0007804, "R2P.B3 R176, 0xf"),
    (Sm87, 0x000fe400_000f141d_ffffffff_001d7411, "LEA.HI.X R29, R0, R29, 0xffffffff, 0x2, P0"),
    (Sm87, 0x000fc600_0f8fda3f_00000010_090a7291, "ULEA.HI.SX32 UR10, UR9, UR16, 0x1b"),
    (Sm87, 0x000fc600_08000000_00000004_3f04729b, "UBMSK UR4, URZ, UR4"),
    (Sm87, 0x000fc400_08000400_00005880_08087abb, "ULDC.U16 UR8, c[0x0][UR8+0x162]"),
    (Sm90, 0x000fc400_08000800_00c00f00_05057abb, "ULDC UR5, c[0x3][UR5+0x3c]"),
    (Sm87, 0x0001e200_08100c0b_00000004_ff007987, "STL.128 [UR11], R4"),
    (Sm87, 0x0003e200_0b920948_00000000_46021dae, "@P1 LDGSTS.E.LTC128B [R2+UR8], [R70.64]"),
    (Sm87, 0x000fea00_03800000_00000191_00000947, "@P0 BRA.U .+0x1a0"),
    (Sm87, 0x000fea00_0b83ffff_fffc11f0_04007958, "BRXU UR4 -0x3ee10"),
    (Sm87, 0x001fea00_03c00000_00000004_00007943, "CALL.ABS.NOINC 0x4"),
    (Sm90, 0x001fea00_03c00000_00000004_00ff7943, "CALL.ABS.NOINC 0x7fc"),
    (Sm87, 0x000fe400_08000000_00000040_3f097883, "UP2UR UR9, URZ, 0x40"),
    (Sm90, 0x000fe400_08000000_00000040_09007884, "UR2UP UR9, 0x40"),
    (
        Sm90,
        0x000fe400_080f2407_ffffffff_29297491,
        "ULEA.HI.X UR41, UR41, UR7, 0xffffffff, 0x4, UP0",
    ),
    (Sm87, 0x000e6400_0c000500_00003824_ffff79aa, "QSPC.E.S P0, RZ, [RZ.64+UR36+0x38]"),
    (Sm90, 0x000fce00_00000000_00000000_1014794e, "LEPC R20, .+0x20"),
    (Sm90, 0x000fc400_03800005_00000003_0000720f, "VIMNMX3.U32 R0, R0, R3, R5, PT"),
];

#[test]
fn read_as_they_should() {
    for (arch, word, text) in READ {
        let decoded = decode(*arch, *word).unwrap_or_else(|why| panic!("{text}: {why}"));
        decoded.check().unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(decoded.to_string(), *text);
    }
}

/// Registers of the kernel around one word: three sources, the destination, the predicates; first in the record
/// of a thread.
const FIRST: u64 = 8;
const A: usize = 0;
const B: usize = 4;
const C: usize = 8;
const D: usize = 12;
const PREDICATES: usize = 16;
const RECORD: usize = 20;

/// A word with other operands.
fn with(word: u128, fields: &[(Field, usize)]) -> u128 {
    fields
        .iter()
        .fold(word, |word, (field, at)| word & !field.mask() | field.put(FIRST + *at as u64))
}

/// Runs a word in all threads, and gives what each was given, what its warp was given, and what it left.
fn each(arch: Arch, word: u128, check: impl Fn(&[u32], &[u32], &[u32])) {
    let word = Check::new(arch, word).expect("the word is legal");
    let (inputs, outputs) = (word.inputs(0), word.interpret(0).expect("the word runs"));
    for thread in 0..THREADS {
        let record = |at: usize| &inputs[at * RECORD..][..RECORD];
        check(
            record(thread),
            record(THREADS + thread / 32),
            &outputs[thread * OUTPUTS..][..OUTPUTS],
        );
    }
}

#[test]
fn predicates_go_to_and_from_any_byte() {
    let byte = Field::new(77, 76);
    for n in 0..4u32 {
        let save = with(0x000fe200_00000000_0000007f_03037803, &[(DST, D), (SRC_A, A)]);
        each(Sm87, save | byte.put(n.into()), |given, _, left| {
            let mask = 0x7f << (8 * n);
            assert_eq!(left[0], given[A] & !mask | (given[PREDICATES] & 0x7f) << (8 * n));
        });
        let restore = with(0x000fda00_00000000_0000002f_b0007804, &[(SRC_A, A)]);
        each(Sm87, restore | byte.put(n.into()), |given, _, left| {
            let now = given[A] >> (8 * n) & 0x2f | given[PREDICATES] & 0x50;
            assert_eq!(left[4] & 0x7f, now);
        });
    }
}

#[test]
fn uniform_predicates_go_to_and_from_any_byte() {
    let byte = Field::new(77, 76);
    for n in 0..4u32 {
        let save = with(0x000fe400_08000000_0000007f_3f097883, &[(UDST, D), (USRC_A, A)]);
        each(Sm87, save | byte.put(n.into()), |_, warp, left| {
            let mask = 0x7f << (8 * n);
            assert_eq!(left[5], warp[A] & !mask | (warp[PREDICATES] & 0x7f) << (8 * n));
        });
        let restore = with(0x000fe400_08000000_0000002f_09007884, &[(USRC_A, A)]);
        each(Sm87, restore | byte.put(n.into()), |_, warp, left| {
            let now = warp[A] >> (8 * n) & 0x2f | warp[PREDICATES] & 0x50;
            assert_eq!(left[7] & 0x7f, now);
        });
    }
}

#[test]
fn upper_halves_of_scaled_sums() {
    let word = 0x000fe400_000f141d_12345678_001d7411;
    each(Sm87, with(word, &[(DST, D), (SRC_A, A), (SLOT64_REG, B)]), |given, _, left| {
        let scaled = (0x1234_5678_u64 << 32 | u64::from(given[A])) << 2 >> 32;
        let sum = (scaled as u32).wrapping_add(given[B]).wrapping_add(given[PREDICATES] & 1);
        assert_eq!(left[0], sum);
    });
    let word = 0x000fc600_0f8fda3f_00000010_090a7291;
    let b = Field::new(37, 32);
    each(Sm87, with(word, &[(UDST, D), (USRC_A, A), (b, B)]), |_, warp, left| {
        let scaled = i64::from(warp[A] as i32) << 27 >> 32;
        assert_eq!(left[5], (scaled as u32).wrapping_add(warp[B]));
    });
}

#[test]
fn uniform_masks() {
    let word = 0x000fc600_08000000_00000004_3f04729b;
    let b = Field::new(37, 32);
    each(Sm87, with(word, &[(UDST, D), (USRC_A, A), (b, B)]), |_, warp, left| {
        let ones = (1u64 << warp[B].min(32)) - 1;
        let mask = if warp[A] < 32 { (ones << warp[A]) as u32 } else { 0 };
        assert_eq!(left[5], mask, "{} bits from {}", warp[B], warp[A]);
    });
}

#[test]
fn the_extreme_of_three() {
    let operands = [(DST, D), (SRC_A, A), (SLOT32_REG, B), (SLOT64_REG, C)];
    let (signed, relu, negated) = (Field::bit(72), Field::bit(76), Field::bit(90));
    let word = with(0x000fc400_03800005_00000003_0000720f, &operands);
    each(Sm90, word, |given, _, left| {
        assert_eq!(left[0], given[A].min(given[B]).min(given[C]));
    });
    each(Sm90, word | signed.put(1) | negated.put(1), |given, _, left| {
        let [a, b, c] = [A, B, C].map(|at| given[at] as i32);
        assert_eq!(left[0] as i32, a.max(b).max(c));
    });
    each(Sm90, word | signed.put(1) | relu.put(1), |given, _, left| {
        let [a, b, c] = [A, B, C].map(|at| given[at] as i32);
        assert_eq!(left[0] as i32, a.min(b).min(c).max(0));
    });
}
