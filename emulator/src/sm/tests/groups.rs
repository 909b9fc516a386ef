//! Products of warp groups, against plain sums of numbers small enough to be exact in any order. Where elements lie in
//! shared memory is what the documents say; `silicon` compares whole kernels with an H200.

use super::harness::*;
use crate::sm::meaning::Round;
use crate::sm::meaning::half::{Kind as HalfKind, f16_to_f32};
use crate::sm::*;

const ROWS: usize = 64;
const COLUMNS: usize = 16;
/// Where B begins in the image of shared memory.
const B_AT: usize = 8192;

/// How a matrix lies: the bytes of a row of the pattern, and whether by columns.
#[derive(Clone, Copy, Debug)]
struct Layout {
    row: usize,
    turned: bool,
}

impl Layout {
    /// Which piece of 16 bytes of a row of the pattern a piece is in.
    fn piece(self, row: usize, piece: usize) -> usize {
        match self.row {
            128 => piece ^ (row % 8),
            64 => piece ^ (row / 2 % 4),
            32 => piece ^ (row / 4 % 2),
            _ => piece,
        }
    }

    /// The descriptor's two distances for as many lines, and its mode.
    fn distances(self, lines: usize) -> (usize, usize, u64) {
        let mode = match self.row {
            128 => 1,
            64 => 2,
            32 => 3,
            _ => 0,
        };
        match (self.row, self.turned) {
            (16, false) => (lines * 16, 128, mode),
            // From eight steps to the next, and from eight lines to the next.
            (16, true) => (lines * 16, 128, mode),
            (row, false) => (0, 8 * row, mode),
            // As many lines as fit into a row are one stretch.
            (row, true) => (16 * row, 8 * row, mode),
        }
    }

    fn descriptor(self, at: usize, lines: usize) -> u64 {
        let (leading, stride, mode) = self.distances(lines);
        ((at / 16) | ((leading / 16) << 16) | ((stride / 16) << 32)) as u64 | (mode << 62)
    }

    /// Where the byte at `byte` along a line lies.
    fn place(self, lines: usize, line: usize, byte: usize) -> usize {
        let (leading, stride, _) = self.distances(lines);
        match (self.row, self.turned) {
            (16, false) => line / 8 * stride + line % 8 * 16 + byte / 16 * leading + byte % 16,
            (row, false) => {
                let (group, line) = (line / 8, line % 8);
                group * stride + line * row + self.piece(line, byte / 16) * 16 + byte % 16
            }
            (16, true) => {
                let k = byte / 2;
                line / 8 * stride + k / 8 * leading + k % 8 * 16 + line % 8 * 2 + byte % 2
            }
            (row, true) => {
                let (k, across) = (byte / 2, line * 2);
                let within = self.piece(k % 8, across % row / 16) * 16 + across % 16 + byte % 2;
                across / row * leading + k / 8 * stride + k % 8 * row + within
            }
        }
    }

    /// Puts lines of 32 bytes into an image.
    fn put(self, image: &mut [u8], at: usize, lines: &[[u8; 32]]) {
        for (n, line) in lines.iter().enumerate() {
            for (byte, value) in line.iter().enumerate() {
                image[at + self.place(lines.len(), n, byte)] = *value;
            }
        }
    }
}

/// A line of elements as bytes.
fn line<const N: usize>(values: &[f32], narrow: impl Fn(f32) -> [u8; N]) -> [u8; 32] {
    let bytes: Vec<u8> = values.iter().flat_map(|v| narrow(*v)).collect();
    bytes.try_into().unwrap()
}

fn half(kind: HalfKind) -> impl Fn(f32) -> [u8; 2] {
    move |v| kind.narrow(v.to_bits(), Round::Nearest).to_le_bytes()
}

/// Small whole numbers.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    random(seed, count).into_iter().map(|x| (x >> 28) as f32 - 8.0).collect()
}

/// Runs a kernel of one warp group on lines of A and B, `words` of output to a thread.
fn run(
    kernel: &str,
    (left, a): (Layout, &[[u8; 32]]),
    (right, b): (Layout, &[[u8; 32]]),
    (more, words): (&[u32], usize),
) -> Vec<u32> {
    let arena = Arena::new();
    let loaded = Kernel::load(&arena, Arch::Sm90, &own(Arch::Sm90, "group"), kernel);
    let mut image = vec![0; 16384];
    left.put(&mut image, 0, a);
    right.put(&mut image, B_AT, b);
    let from: Vec<u32> =
        image.chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect();
    let (out, from) = (arena.room(128 * 4 * words as u64), arena.put(&from));
    let set = Set::new(1, 128).wide(out).wide(from);
    let set = set.wide(left.descriptor(0, a.len())).wide(right.descriptor(B_AT, b.len()));
    let set = if more.is_empty() { set } else { set.wide(arena.put(more)) };
    loaded.run(&arena, &set).unwrap();
    arena.get(out, 128 * words)
}

/// Row and column of the nth element that a thread has.
fn element(thread: usize, n: usize) -> (usize, usize) {
    let (warp, lane) = (thread / 32, thread % 32);
    (warp * 16 + lane / 4 + n / 2 % 2 * 8, n / 4 * 8 + lane % 4 * 2 + n % 2)
}

/// Compares what threads have of a product of single precision.
fn compare(got: &[u32], depth: usize, a: &[f32], b: &[f32], factor: f32, what: &str) {
    for (n, got) in got.iter().enumerate() {
        let (row, column) = element(n / 8, n % 8);
        let sum: f32 = (0..depth).map(|k| a[row * depth + k] * b[column * depth + k]).sum();
        assert_eq!(f32::from_bits(*got), sum * factor, "{what}: {row}, {column}");
    }
}

#[test]
fn halves_in_every_layout() {
    let (a, b) = (numbers(1, ROWS * 16), numbers(2, COLUMNS * 16));
    let lines = |values: &[f32]| -> Vec<[u8; 32]> {
        values.chunks(16).map(|values| line(values, half(HalfKind::F16))).collect()
    };
    let rows = [16, 32, 64, 128];
    for (left, right) in rows.into_iter().flat_map(|l| rows.map(|r| (l, r))) {
        let [left, right] = [left, right].map(|row| Layout { row, turned: false });
        let got = run("halves", (left, &lines(&a)), (right, &lines(&b)), (&[], 8));
        compare(&got, 16, &a, &b, 2.0, &format!("{left:?} {right:?}"));
    }
    for (left, right) in [(16, 16), (32, 32), (64, 16), (128, 32)] {
        let [left, right] = [left, right].map(|row| Layout { row, turned: true });
        let got = run("halves_turned", (left, &lines(&a)), (right, &lines(&b)), (&[], 8));
        compare(&got, 16, &a, &b, 2.0, &format!("{left:?} {right:?}"));
    }
}

#[test]
fn other_floats_and_signs() {
    let plain = Layout { row: 128, turned: false };
    let (a, b) = (numbers(3, ROWS * 16), numbers(4, COLUMNS * 16));
    let lines = |values: &[f32]| -> Vec<[u8; 32]> {
        values.chunks(16).map(|values| line(values, half(HalfKind::Bf16))).collect()
    };
    let got = run("halves_negated", (plain, &lines(&a)), (plain, &lines(&b)), (&[], 8));
    compare(&got, 16, &a, &b, -2.0, "bf16");
    let (a, b) = (&a[..ROWS * 8], &b[..COLUMNS * 8]);
    let lines = |values: &[f32]| -> Vec<[u8; 32]> {
        values.chunks(8).map(|values| line(values, f32::to_le_bytes)).collect()
    };
    let got = run("words", (plain, &lines(a)), (plain, &lines(b)), (&[], 8));
    compare(&got, 8, a, b, -2.0, "tf32");
}

#[test]
fn sums_of_halves_with_a_in_registers() {
    let layout = Layout { row: 64, turned: false };
    let (a, b) = (numbers(5, ROWS * 16), numbers(6, COLUMNS * 16));
    let lines: Vec<[u8; 32]> =
        b.chunks(16).map(|values| line(values, half(HalfKind::F16))).collect();
    // As the fragments of a product of one warp: pairs of elements, eight rows and eight elements apart.
    let left: Vec<u32> = (0..128 * 4)
        .map(|n| {
            let (thread, register) = (n / 4, n % 4);
            let (warp, lane) = (thread / 32, thread % 32);
            let row = warp * 16 + lane / 4 + register % 2 * 8;
            let k = lane % 4 * 2 + register / 2 * 8;
            let [low, high] = [0, 1].map(|i| half(HalfKind::F16)(a[row * 16 + k + i]));
            u32::from_le_bytes([low[0], low[1], high[0], high[1]])
        })
        .collect();
    let got = run("half_sums", (layout, &[]), (layout, &lines), (&left, 4));
    for (n, word) in got.iter().enumerate() {
        for i in 0..2 {
            let (row, column) = element(n / 4, n % 4 * 2 + i);
            let sum: f32 = (0..16).map(|k| a[row * 16 + k] * b[column * 16 + k]).sum();
            assert_eq!(f16_to_f32((word >> (16 * i)) as u16), -sum, "{row}, {column}");
        }
    }
}

#[test]
fn bytes_and_bits() {
    let (left, right) = (Layout { row: 32, turned: false }, Layout { row: 16, turned: false });
    let lines = |seed, count| -> Vec<[u8; 32]> {
        let bytes: Vec<u8> = random(seed, count * 32).into_iter().map(|x| x as u8).collect();
        bytes.chunks(32).map(|line| line.try_into().unwrap()).collect()
    };
    let (a, b) = (lines(7, ROWS), lines(8, COLUMNS));
    let products = run("bytes", (left, &a), (right, &b), (&[], 8));
    let common = run("bits", (left, &a), (right, &b), (&[], 8));
    for n in 0..128 * 8 {
        let (row, column) = element(n / 8, n % 8);
        let pairs = || a[row].iter().zip(&b[column]);
        let sum: i32 = pairs().map(|(a, b)| i32::from(*a) * i32::from(*b as i8)).sum();
        assert_eq!(products[n] as i32, sum + n as i32 % 8, "{row}, {column}");
        let count: u32 = pairs().map(|(a, b)| (a & b).count_ones()).sum();
        assert_eq!(common[n], count + n as u32 % 8, "{row}, {column}");
    }
}

#[test]
fn a_matrix_outside_shared_memory_is_a_fault() {
    let arena = Arena::new();
    let kernel = Kernel::load(&arena, Arch::Sm90, &own(Arch::Sm90, "group"), "halves");
    let (out, image) = (arena.room(4096), arena.put(&[0; 4096]));
    for (descriptor, kind) in
        [(0x3000, FaultKind::Shared { size: 17408 }), (1 << 49, FaultKind::MatrixOffset)]
    {
        let set = Set::new(1, 128).wide(out).wide(image).wide(descriptor).wide(0);
        assert_eq!(kernel.run(&arena, &set).unwrap_err().kind, kind);
    }
}

#[test]
fn what_is_not_run_says_why() {
    let word = 0x0800_8000_0000_0004_0800_75b4_u128;
    let refused = decode(Arch::Sm90, word).unwrap_err().to_string();
    assert!(refused.contains("UTMALDG is not run here: "), "{refused}");
    assert!(refused.contains("the 128 bytes of a tensor map"), "{refused}");
    assert!(decode(Arch::Sm87, word).unwrap_err().to_string().contains("unknown opcode"));
}

#[test]
fn words_read_as_the_vendor_prints_them() {
    for (word, text) in [
        (0x0bf0_0818_0000_0000_0418_79f0_u128, "HGMMA.64x8x16.F32 R24, gdesc[UR4], R24, UP0"),
        (
            0x0c00_09ff_e000_0000_0418_79f0,
            "HGMMA.64x8x16.F32 R24, gdesc[UR4].negA.negB.tnspA.tnspB, RZ, !UPT, gsb0",
        ),
        (
            0x0b80_1918_c3e0_0004_9818_7df0,
            "HGMMA.64x256x16.F32.BF16 R24, -R152, gdesc[UR4].negB.tnspB, R24, UP0, gsb0",
        ),
        (
            0x0b80_2918_8420_0000_0818_79f0,
            "HGMMA.64x16x8.F32.TF32 R24, gdesc[UR8].negA.negB, R24, UP0, gsb0",
        ),
        (
            0x0b84_1818_0660_0000_0818_79f1,
            "IGMMA.64x256x32.S8.S8.SAT R24, gdesc[UR8], R24, UP0, gsb0",
        ),
        (0x0b84_1018_0420_0000_0818_79f1, "IGMMA.64x160x32.S8.S8 R24, gdesc[UR8], R24, UP0, gsb0"),
        (
            0x0b81_4018_0020_0004_2018_7df2,
            "BGMMA.64x16x256.AND.POPC R24, R32, gdesc[UR4], R24, UP0, gsb0",
        ),
        (
            0x0b81_4018_0120_0004_5818_7df2,
            "BGMMA.64x128x256.AND.POPC R24, R88, gdesc[UR4], R24, UP0, gsb0",
        ),
        (
            0x0b80_0818_0020_0000_0818_79f3,
            "QGMMA.64x16x32.F32.E4M3.E4M3 R24, gdesc[UR8], R24, UP0, gsb0",
        ),
        (
            0x0b80_2918_01e0_0000_0818_79f3,
            "QGMMA.64x128x32.F32.E4M3.E5M2 R24, gdesc[UR8].negA, R24, UP0, gsb0",
        ),
        (
            0x0b80_1018_80e0_0000_0818_79f3,
            "QGMMA.64x64x32.F16.E5M2.E4M3 R24, gdesc[UR8].negB, R24, UP0, gsb0",
        ),
        (0x0001_0100_0000_8000_0000_79c5, "WARPGROUP.DEPBAR.LE gsb0, 0x1"),
        (0x79c5, "WARPGROUP.ARRIVE"),
        (0x0800_0600_0000_00f0_0000_79c8, "USETMAXREG.TRY_ALLOC.CTAPOOL UP0, 0xf0"),
        (0x080e_0500_0000_0028_0000_79c8, "USETMAXREG.DEALLOC.CTAPOOL 0x28"),
        (0x0800_1a04_0000_0608_0a00_73ba, "UBLKCP.S.G.MULTICAST [UR8], [UR10], UR4, desc[UR6]"),
        (0x0882_0404_0000_0006_0500_73bb, "UBLKRED.G.S.MIN.S32 [UR6], [UR5], UR4"),
        (0x0800_0004_0000_0000_0600_73bc, "UBLKPF.L2 [UR6], UR4"),
        (0x0c00_0a3f_0000_0004_0e00_7dbd, "STAS.64 [R14.64], R4"),
        (0x0880_033f_0000_000c_0200_7dbe, "REDAS.MIN.S32 [R2.64], R12"),
        (0x0800_0500_0000_0004_ffff_79aa, "QSPC.E.S P0, RZ, [RZ.U32+UR4]"),
        (0x0804_0000_0000_0000_0400_79b9, "UTMACCTL.PF [UR4]"),
    ] {
        let decoded = decode(Arch::Sm90, word).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(decoded.to_string(), text);
        decoded.check().unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}
