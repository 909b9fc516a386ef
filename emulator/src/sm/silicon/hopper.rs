//! Whole kernels of what only Hopper has: products of warp groups, and what goes its way by itself.

use super::kernels::{Argument, Run, halves, memory, number, random, room};

/// Runs of the kernels of `warpgroup.cu`, `eighths.cu` and `bulk.cu`.
pub(super) fn runs() -> Vec<Run> {
    let mut all = products();
    all.extend(bulk());
    all
}

/// Words of the image of shared memory, the first of them for A.
const IMAGE: usize = 10240;
const B_AT: u64 = 8192;

/// What elements are.
#[derive(Clone, Copy)]
enum Kind {
    Halves,
    Bfloats,
    Words,
    /// Floats of eight bits, in either format.
    Eighths,
    /// Bytes and bits: all that there is.
    Bits,
}

/// How a matrix lies in shared memory, all in bytes: from where on, the two distances, and the width of the pattern.
type Layout = (u64, u64, u64, u64);

/// A descriptor.
fn place((start, leading, stride, width): Layout) -> u64 {
    let mode = match width {
        128 => 1,
        64 => 2,
        32 => 3,
        _ => 0,
    };
    (start / 16) | ((leading / 16) << 16) | ((stride / 16) << 32) | (mode << 62)
}

/// Layouts by rows of A, or columns of B. With swizzles the first distance says nothing.
const LINES: [Layout; 8] = [
    (0, 1024, 128, 16),
    (0, 16, 1024, 128),
    (32, 16, 512, 64),
    (0, 16, 256, 32),
    (0, 128, 256, 16),
    (96, 4096, 1024, 128),
    (0, 0, 768, 64),
    (2048, 48, 512, 32),
];

/// Layouts by columns of A, or rows of B.
const TURNED: [Layout; 8] = [
    (0, 2048, 1024, 128),
    (0, 1024, 512, 64),
    (0, 1024, 256, 32),
    (0, 128, 1024, 16),
    (0, 2048, 128, 16),
    (1024, 1024, 4096, 128),
    (0, 512, 3072, 64),
    (0, 512, 2048, 32),
];

/// Words of an image. Most elements are of about the same size, so that sums need all their bits; one word in four
/// is of any size, and one in a hundred has infinities, NaN, zeros and the smallest numbers.
fn elements(kind: Kind, seed: u64, count: usize) -> Vec<u32> {
    let special: [u32; 6] = match kind {
        Kind::Halves => [0x7c00_0001, 0x8000_0001, 0x83ff_fc00, 0x7e01_0000, 0xfbff_7bff, 0],
        Kind::Bfloats => [0x7f80_0001, 0x8000_0001, 0x807f_ff80, 0x7fc1_0000, 0xff7f_7f7f, 0],
        _ => [0x7f80_0000, 0xff80_0000, 0x7fc0_1234, 0x8000_2000, 0x0000_1fff, 0x7f7f_ffff],
    };
    let (keep, add, wide, base) = match kind {
        Kind::Halves => (0x8fff_8fff, 0x3000_3000, 0xbfff_bfff, 0),
        Kind::Bfloats => (0x81ff_81ff, 0x3e00_3e00, 0x8fff_8fff, 0x3000_3000),
        Kind::Words => (0x81ff_ffff, 0x3e00_0000, 0x8fff_ffff, 0x3800_0000),
        Kind::Eighths => return eighths(seed, count),
        Kind::Bits => return random(seed, count),
    };
    let choice = random(seed + 1000, count);
    let one = |(word, choice): (u32, u32)| match choice % 128 {
        0 => special[(choice >> 8) as usize % 6],
        1..32 => word & wide | base,
        _ => word & keep | add,
    };
    random(seed, count).into_iter().zip(choice).map(one).collect()
}

/// The same for floats of eight bits.
fn eighths(seed: u64, count: usize) -> Vec<u32> {
    let one = |(word, choice): (u32, u32)| match choice % 128 {
        0 => word,
        1..32 => word & 0xbfbf_bfbf,
        _ => word & 0x8f8f_8f8f | 0x3030_3030,
    };
    random(seed, count).into_iter().zip(random(seed + 1, count)).map(one).collect()
}

/// What sums start with: floats from tiny to large, whole numbers near both limits too.
fn sums(kind: Kind, single: bool, seed: u64, count: usize) -> Vec<u32> {
    let choice = random(seed + 1000, count);
    let one = |(word, choice): (u32, u32)| match (kind, choice % 128) {
        (Kind::Bits, 0..32) => word | 0x7fff_0000,
        (Kind::Bits, 32..64) => word & 0xffff | 0x8000_0000,
        (Kind::Bits, _) => word,
        (_, 0) if single => [0x7f80_0000, 0xff80_0000, 0x7fc0_1234, 0x8000_0000][word as usize % 4],
        (_, 1) if single => word & 0x807f_ffff,
        // From a millionth to a thousand.
        (_, n) if single => word & 0x807f_ffff | (107 + n % 32) << 23,
        (_, 0) => [0x7c00_8000, 0xfc00_03ff, 0x7e00_0000, 0x7bff_fbff][word as usize % 4],
        _ => word & 0xbfff_bfff,
    };
    random(seed, count).into_iter().zip(choice).map(one).collect()
}

/// Products of warp groups, each of several matrices in the same image.
fn products() -> Vec<Run> {
    use Kind::*;
    let (lines, turned) = (LINES, TURNED);
    let product = |seed, kernel, kind, (single, count): (bool, usize), [a, b]: [[Layout; 8]; 2]| {
        let cubin = if matches!(kind, Eighths) { "eighths" } else { "warpgroup" };
        // The larger ones of half as many layouts.
        let cases = if count >= 64 { 4 } else { 8 };
        let each = |n: usize| {
            let (b_start, leading, stride, width) = b[(n * 3 + n / 4 + 1) % 8];
            let b = place((b_start + B_AT, leading, stride, width));
            [place(a[n]), b, u64::from(n % 4 != 3)]
        };
        let cases = (0..cases).flat_map(each);
        let cases: Vec<u32> = cases.flat_map(|word| [word as u32, (word >> 32) as u32]).collect();
        let n = cases.len() / 6;
        Run::new(cubin, kernel, 1, 128).with([
            memory(sums(kind, single, seed, n * 128 * count)),
            memory(elements(kind, seed + 1, IMAGE)),
            memory(cases),
            number(n as u32),
        ])
    };
    let (single, half) = (|count| (true, count), |count| (false, count));
    let registers = Run::new("warpgroup", "registers", 1, 384)
        .with([room(384), memory(random(250, 384 + 190))]);
    let chain: Vec<u32> = [(0, 16, 1024, 128), (B_AT, 16, 1024, 128), (0, 0, 0, 16)]
        .into_iter()
        .flat_map(|layout| [place(layout) as u32, (place(layout) >> 32) as u32])
        .collect();
    let chained = Run::new("warpgroup", "chained", 1, 128).with([
        room(128 * 32),
        memory(halves(251, IMAGE)),
        memory(chain),
    ]);
    vec![
        product(200, "halves_8", Halves, single(4), [lines, lines]),
        product(202, "halves_a_turned", Halves, single(8), [turned, lines]),
        product(204, "halves_b_turned", Halves, single(32), [lines, turned]),
        product(206, "halves_turned", Halves, single(64), [turned, turned]),
        product(208, "halves_256", Halves, single(128), [lines, lines]),
        product(210, "halves_from_registers", Halves, single(8), [lines, turned]),
        product(212, "half_sums_16", Halves, half(4), [lines, lines]),
        product(214, "half_sums_turned", Halves, half(64), [turned, turned]),
        product(216, "half_sums_from_registers", Halves, half(8), [lines, lines]),
        product(218, "bfloats_24", Bfloats, single(12), [lines, lines]),
        product(220, "bfloats_turned", Bfloats, single(32), [turned, turned]),
        product(222, "bfloats_from_registers", Bfloats, single(64), [lines, lines]),
        product(224, "words_8", Words, single(4), [lines, lines]),
        product(226, "words_64", Words, single(32), [lines, lines]),
        product(228, "words_from_registers", Words, single(24), [lines, lines]),
        product(230, "bytes_8", Bits, single(4), [lines, lines]),
        product(232, "bytes_24", Bits, single(12), [lines, lines]),
        product(234, "bytes_48", Bits, single(24), [lines, lines]),
        product(236, "bytes_256", Bits, single(128), [lines, lines]),
        product(238, "bytes_from_registers", Bits, single(32), [lines, lines]),
        product(240, "bytes_unlike", Bits, single(16), [lines, lines]),
        product(242, "bits_16", Bits, single(8), [lines, lines]),
        product(244, "bits_from_registers", Bits, single(64), [lines, lines]),
        chained,
        registers,
        product(300, "e4m3_16", Eighths, single(8), [lines, lines]),
        product(302, "e4m3_128", Eighths, single(64), [lines, lines]),
        product(304, "e5m2_64", Eighths, single(32), [lines, lines]),
        product(306, "e5m2_half", Eighths, half(16), [lines, lines]),
        product(308, "e4m3_half_registers", Eighths, half(8), [lines, lines]),
        product(310, "e4m3_registers", Eighths, single(32), [lines, lines]),
    ]
}

/// Stores, copies and reductions that tell a barrier.
fn bulk() -> Vec<Run> {
    let mut given = random(260, 33 * 32);
    let mut there = random(261, 33 * 32);
    // Singles, doubles, halves and bfloats of an ordinary size.
    for line in [&mut given, &mut there] {
        let mut only = |n: usize, keep: u32, add: u32| {
            line[n * 32..][..32].iter_mut().for_each(|word| *word = *word & keep | add);
        };
        only(3, 0x83ff_ffff, 0x3c00_0000);
        only(4, 0xbfff_ffff, 0);
        only(5, 0xbfff_bfff, 0);
        only(6, 0x8fff_8fff, 0x3000_3000);
        only(11, 0xbfff_bfff, 0);
        only(12, 0xbfff_bfff, 0);
        only(17, 0xbfff_bfff, 0);
        only(18, 0xbfff_bfff, 0);
    }
    // Doubles have their exponents in every other word.
    for words in [&mut given, &mut there] {
        for word in words[4 * 32..5 * 32].iter_mut().skip(1).step_by(2) {
            *word = *word & 0x803f_ffff | 0x3fc0_0000;
        }
    }
    // What is not a number, infinite, tiny, or zero: every one meets every one.
    let singles =
        [0x7f80_0000, 0xff80_0000, 0x7fc0_1234, 0xffa0_0001, 1, 0x8070_0000, 0, 0x8000_0000];
    let pairs = [0x7c00_fe01, 0x0001_8001, 0x0000_8000, 0xfc00_7d55, 0x8000_0000, 0x03ff_7bff];
    for n in 0..32 {
        given[27 * 32 + n] = singles[n % 8];
        there[27 * 32 + n] = singles[(n / 8 * 3 % 8) ^ (n % 2)];
        if n % 2 == 1 {
            let high = [0x7ff0_0000, 0xfff8_1234, 0, 0x8000_0000, 0x8008_0000, 0x7ff0_0001];
            given[28 * 32 + n] = high[n / 2 % 6];
            there[28 * 32 + n] = high[n / 12 + n / 2 % 3];
        }
        for line in [29, 30, 31, 32] {
            given[line * 32 + n] = pairs[n % 6];
            there[line * 32 + n] = pairs[(n / 6 + n % 5) % 6];
        }
    }
    // A barrier in use is not in memory: an H200 brings it there when it is given up. And an arrival gives the upper
    // half of what it returns; of the first two registers nobody has written the lower one.
    let unsaid = (0..17).flat_map(|row| [row * 6, row * 6 + 1]).chain([10, 16]).collect();
    vec![
        Run::new("bulk", "stores", 8, 32).with([room(8 * 32 * 9), memory(random(262, 8 * 32 * 8))]),
        Run::new("bulk", "reductions_that_signal", 4, 32).with([
            memory(random(263, 16 + 32)),
            memory(random(264, 4 * 32 * 16).into_iter().enumerate().map(small_first).collect()),
        ]),
        Run::new("bulk", "copies", 2, 64).with([room(2 * 8192), memory(random(265, 2 * 8192))]),
        Run::new("bulk", "between_blocks", 8, 64).with([
            room(8 * 14 * 64),
            memory(random(266, 64 + 8 * 13 * 64)),
            number(0b1011),
        ]),
        Run::new("bulk", "reductions", 1, 32).with([memory(there), memory(given)]),
        Run::new("bulk", "transactions", 1, 1).with([Argument::Memory(vec![0; 17 * 6], unsaid)]),
    ]
}

/// The bounds of what counts up and down are small.
fn small_first((at, word): (usize, u32)) -> u32 {
    if at < 2 { word % 50 + 10 } else { word }
}
