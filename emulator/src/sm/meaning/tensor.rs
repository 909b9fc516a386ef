//! The tensor cores: one product of small matrices, spread over the registers of a warp.
//!
//! Products are exact. Silicon aligns a group of products to the largest and truncates; here the sum of
//! products and accumulator is formed in double precision and rounded once to nearest, which differs in
//! the last bits only.

use super::convert::tf32;
use super::half::Kind;
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

/// Bits per element of a register fragment.
fn element_bits(element: Element) -> usize {
    match element {
        Element::Tf32 => 32,
        Element::F16 | Element::Bf16 => 16,
    }
}

/// How many registers hold A (`m` by `k`) and B (`k` by 8) with elements of `bits`.
pub(crate) fn registers(shape: Shape, bits: usize) -> (usize, usize) {
    (shape.m * shape.k * bits / 1024, shape.k * 8 * bits / 1024)
}

/// Where element (`row`, `column`) of A is: register, lane, position within the register. A register
/// holds eight rows by 128 bits; lanes run along a row in steps of 32 bits. Registers run down the rows
/// first, then along the columns.
fn place_a(shape: Shape, bits: usize, row: usize, column: usize) -> (usize, usize, usize) {
    let per_register = 128 / bits;
    let per_lane = 32 / bits;
    let register = (row / 8) + (column / per_register) * (shape.m / 8);
    let lane = row % 8 * 4 + column % per_register / per_lane;
    (register, lane, column % per_lane)
}

/// Where element (`row`, `column`) of B is: as A transposed, columns of eight.
fn place_b(bits: usize, row: usize, column: usize) -> (usize, usize, usize) {
    let (register, lane, at) = place_a(Shape { m: 8, k: 0 }, bits, column, row);
    (register, lane, at)
}

/// Where element (`row`, `column`) of C is for 32-bit accumulators.
fn place_c(row: usize, column: usize) -> (usize, usize) {
    (row / 8 * 2 + column % 2, row % 8 * 4 + column / 2)
}

fn value(element: Element, word: u32, at: usize) -> f64 {
    let half = (word >> (16 * at)) as u16;
    match element {
        Element::F16 => Kind::F16.widen(half).into(),
        Element::Bf16 => Kind::Bf16.widen(half).into(),
        Element::Tf32 => tf32(word).into(),
    }
}

/// `A * B + C` for floating elements. `c` and the result are in single precision (four registers) or in
/// halves (two); `m` is always 16.
pub(crate) fn float(
    shape: Shape,
    element: Element,
    single: bool,
    a: &[Row],
    b: &[Row],
    c: &[Row],
    out: &mut [Row],
) {
    let bits = element_bits(element);
    for row in 0..shape.m {
        for column in 0..8 {
            let (register, lane) = place_c(row, column);
            let old = match single {
                true => f32::from_bits(c[register][lane]),
                false => {
                    let word = c[register / 2][lane];
                    Kind::F16.widen((word >> (16 * (register % 2))) as u16)
                }
            };
            let mut sum = f64::from(old);
            for k in 0..shape.k {
                let (ra, la, pa) = place_a(shape, bits, row, k);
                let (rb, lb, pb) = place_b(bits, k, column);
                sum += value(element, a[ra][la], pa) * value(element, b[rb][lb], pb);
            }
            let result = match sum.is_nan() {
                true => super::float::NAN,
                false => (sum as f32).to_bits(),
            };
            match single {
                true => out[register][lane] = result,
                false => {
                    let half = u32::from(Kind::F16.narrow(result, Round::Nearest));
                    let shift = 16 * (register % 2);
                    let word = &mut out[register / 2][lane];
                    *word = *word & !(0xffff << shift) | half << shift;
                }
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
    fn read(self, word: u32, at: usize) -> i64 {
        let shift = 32 - self.bits;
        let bits = word >> (self.bits * at) << shift;
        match self.signed {
            true => i64::from(bits as i32 >> shift),
            false => i64::from(bits >> shift),
        }
    }
}

/// `A * B + C` for integers, wrapping or saturating.
pub(crate) fn integer(
    shape: Shape,
    kinds: (Small, Small),
    saturate: bool,
    a: &[Row],
    b: &[Row],
    c: &[Row],
    out: &mut [Row],
) {
    // Both sides are laid out with the wider element's width.
    let bits = kinds.0.bits.max(kinds.1.bits);
    for row in 0..shape.m {
        for column in 0..8 {
            let (register, lane) = place_c(row, column);
            let mut sum = i64::from(c[register][lane] as i32);
            for k in 0..shape.k {
                let (ra, la, pa) = place_a(shape, bits, row, k);
                let (rb, lb, pb) = place_b(bits, k, column);
                sum += kinds.0.read(a[ra][la], pa) * kinds.1.read(b[rb][lb], pb);
            }
            out[register][lane] = match saturate {
                true => sum.clamp(i32::MIN.into(), i32::MAX.into()) as u32,
                false => sum as u32,
            };
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
pub(crate) fn transpose(x: &Row) -> Row {
    std::array::from_fn(|lane| {
        let (row, column) = (lane / 4, lane % 4 * 2);
        let element = |r: usize, c: usize| x[r * 4 + c / 2] >> (16 * (c % 2)) & 0xffff;
        element(column, row) | element(column + 1, row) << 16
    })
}
