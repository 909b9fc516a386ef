//! The tensor cores: one product of small matrices, spread over the registers of a warp. The floating
//! products have a file of their own.

use super::round::Round;

/// What the elements of A and B are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    F16,
    Bf16,
    Tf32,
}

/// The value of each lane of one register.
pub(crate) type Row = [u32; 32];

/// The fragment of a floating product: how many rows, and how many columns of A it multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) m: usize,
    pub(crate) k: usize,
}

/// How many registers hold A (`m` by `k`) and B (`k` by 8) with elements of `bits`.
pub(crate) fn registers(shape: Shape, bits: usize) -> (usize, usize) {
    (shape.m * shape.k * bits / 1024, shape.k * 8 * bits / 1024)
}

/// A register of B in the order in which products need it: eight columns at a time, the even ones before the odd
/// ones as C has them, for each of the four words that a column has there.
#[inline(always)]
pub(super) fn columns(register: &Row) -> Row {
    let mut out = [0; 32];
    for word in 0..4 {
        for column in 0..8 {
            out[word * 8 + column] = register[(column % 4 * 2 + column / 4) * 4 + word];
        }
    }
    out
}

/// The sums of an `m` by 8 result, by row: the even columns before the odd ones. Eight rows lie in two registers,
/// the even columns in one and the odd ones in the other, four lanes for each row.
type Sums = [[f32; 8]; 16];

/// The elements of a register, `N` in a word: those at the same place of all words beside each other. The inner
/// loop is over the places: the other way round the compiler turns four words at a time around.
#[inline(always)]
fn elements<const N: usize>(register: &Row, value: impl Fn(u32, usize) -> f32) -> [[f32; 32]; N] {
    let mut out = [[0.0; 32]; N];
    for (lane, word) in register.iter().enumerate() {
        for (at, row) in out.iter_mut().enumerate() {
            row[lane] = value(*word, at);
        }
    }
    out
}

/// Adds `A * B`, product after product along `k`. Whole rows of the result are formed together, which
/// the compiler turns into vector instructions.
#[inline(always)]
fn multiply<const N: usize>(
    shape: Shape,
    (a, left): (&[Row], impl Fn(u32, usize) -> f32),
    (b, right): (&[Row], impl Fn(u32, usize) -> f32),
    sums: &mut Sums,
) {
    let along = shape.k / (4 * N);
    let down = shape.m / 8;
    for step in 0..along {
        // Four words hold what is met along `k`, of a row of A and of a column of B.
        let factors: [_; N] = elements(&columns(&b[step]), &right);
        for part in 0..down {
            let values: [_; N] = elements(&a[step * down + part], &left);
            for row in 0..8 {
                let mut sum = sums[part * 8 + row];
                for (values, factors) in values.iter().zip(&factors) {
                    for word in 0..4 {
                        let value = values[row * 4 + word];
                        for column in 0..8 {
                            sum[column] = value.mul_add(factors[word * 8 + column], sum[column]);
                        }
                    }
                }
                sums[part * 8 + row] = sum;
            }
        }
    }
}

/// An integer element: its bits and sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Small {
    pub(crate) bits: usize,
    pub(crate) signed: bool,
}

impl Small {
    #[inline(always)]
    fn read(self, word: u32, at: usize) -> f32 {
        let shift = 32 - self.bits;
        let bits = word >> (self.bits * at) << shift;
        match self.signed {
            true => (bits as i32 >> shift) as f32,
            false => (bits >> shift) as i32 as f32,
        }
    }
}

/// `A * B + C` for integers, wrapping or saturating.
#[inline(always)]
pub(crate) fn integer(
    shape: Shape,
    kinds: (Small, Small),
    saturate: bool,
    a: &[Row],
    b: &[Row],
    c: &[Row],
    out: &mut [Row],
) {
    // Sums of 64 products of bytes stay below 2^23: they are exact in single precision, for which every
    // host has fast vectors.
    let mut sums: Sums = [[0.0; 8]; 16];
    // A byte in the last place of 2^23, which is taken away again: a conversion would take bytes apart first.
    let unsigned =
        |word: u32, at: usize| f32::from_bits(word >> (8 * at) & 0xff | 0x4b00_0000) - 8_388_608.0;
    let signed =
        |word: u32, at: usize| f32::from_bits(word >> (8 * at) & 0xff ^ 0x4b00_0080) - 8_388_736.0;
    let small = |kind: Small| move |word: u32, at: usize| kind.read(word, at);
    let bytes = kinds.0.bits == 8 && kinds.1.bits == 8;
    match (bytes, kinds.0.signed, kinds.1.signed) {
        (true, true, true) => multiply::<4>(shape, (a, signed), (b, signed), &mut sums),
        (true, false, true) => multiply::<4>(shape, (a, unsigned), (b, signed), &mut sums),
        (true, true, false) => multiply::<4>(shape, (a, signed), (b, unsigned), &mut sums),
        (true, false, false) => multiply::<4>(shape, (a, unsigned), (b, unsigned), &mut sums),
        // Both sides are laid out with the wider element's width.
        _ if kinds.0.bits.max(kinds.1.bits) == 8 => {
            multiply::<4>(shape, (a, small(kinds.0)), (b, small(kinds.1)), &mut sums)
        }
        _ => multiply::<8>(shape, (a, small(kinds.0)), (b, small(kinds.1)), &mut sums),
    }
    match saturate {
        true => add_sums(shape, &sums, c, out, i32::saturating_add),
        false => add_sums(shape, &sums, c, out, i32::wrapping_add),
    }
}

/// Adds sums that are whole numbers of less than 23 bits to C.
#[inline(always)]
fn add_sums(shape: Shape, sums: &Sums, c: &[Row], out: &mut [Row], add: impl Fn(i32, i32) -> i32) {
    for half in 0..shape.m / 8 {
        let mut whole = [[0; 32]; 2];
        for row in 0..8 {
            for at in 0..2 {
                for lane in 0..4 {
                    // As above: the last place of 1.5 * 2^23 is one.
                    let sum = sums[half * 8 + row][at * 4 + lane] + 12_582_912.0;
                    whole[at][row * 4 + lane] = (sum.to_bits() as i32).wrapping_sub(0x4b40_0000);
                }
            }
        }
        for at in 0..2 {
            let old = c[half * 2 + at];
            let mut new = [0; 32];
            for lane in 0..32 {
                new[lane] = add(old[lane] as i32, whole[at][lane]) as u32;
            }
            out[half * 2 + at] = new;
        }
    }
}

/// Per element of C, how many bits of a row of A and a column of B are both set (or `differ`), added up.
pub(crate) fn bits(shape: Shape, differ: bool, a: &[Row], b: &[Row], c: &[Row], out: &mut [Row]) {
    let down = shape.m / 8;
    for row in 0..shape.m {
        for column in 0..8 {
            // A register holds eight rows, or columns, of 128 bits.
            let count: u32 = (0..shape.k / 32)
                .map(|word| {
                    let x = a[row / 8 + word / 4 * down][row % 8 * 4 + word % 4];
                    let y = b[word / 4][column * 4 + word % 4];
                    if differ { x ^ y } else { x & y }.count_ones()
                })
                .sum();
            let (register, lane) = (row / 8 * 2 + column % 2, row % 8 * 4 + column / 2);
            out[register][lane] = c[register][lane].wrapping_add(count);
        }
    }
}

/// `A * B + C` in double precision, 8 by 8 by 4: one element of A and B and two of C in each lane.
pub(crate) fn double(
    round: Round,
    a: &[u64; 32],
    b: &[u64; 32],
    c: [&[u64; 32]; 2],
) -> [[u64; 32]; 2] {
    let mut out = [[0; 32]; 2];
    for row in 0..8 {
        for column in 0..8 {
            let (at, lane) = (column % 2, row * 4 + column / 2);
            out[at][lane] = (0..4).fold(c[at][lane], |sum, k| {
                super::double::fuse(round, a[row * 4 + k], b[column * 4 + k], sum)
            });
        }
    }
    out
}

/// An 8 by 8 matrix of 16-bit elements, transposed: lane `l` holds row `l / 4`, elements `2 * (l % 4)`.
#[inline(always)]
pub(crate) fn transpose(x: &Row) -> Row {
    let mut out = [0; 32];
    for pair in 0..4 {
        for at in 0..4 {
            // Two rows that follow each other, in two columns: two squares of halves.
            let (upper, lower) = (x[at * 8 + pair], x[at * 8 + 4 + pair]);
            out[pair * 8 + at] = upper & 0xffff | lower << 16;
            out[pair * 8 + 4 + at] = upper >> 16 | lower & 0xffff_0000;
        }
    }
    out
}
