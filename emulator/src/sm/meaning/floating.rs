//! The floating products of the tensor cores.
//!
//! Products are exact. A group of them and the accumulator are aligned to the largest exponent, cut off
//! a few bits below its last place, added up exactly and cut off again: nothing is rounded to nearest.
//! How large a group is and how many bits are kept was measured on Hopper, where the whole depth of an
//! instruction is one group. For Ampere both are assumed: no such GPU was asked.

use super::half::Kind;
use super::round::{BF16, Exact, F16, F32, Format, Round, TF32};
use super::tensor::{Element, Row, Shape, elements};

/// How products are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summation {
    /// How many products are added at once.
    pub(crate) group: usize,
    /// How many bits are kept below the leading one of the largest.
    pub(crate) kept: i32,
}

/// A number as the adder sees it: `mantissa * 2^(exponent - fraction)` with the fraction of its format,
/// the exponent being that of the leading bit, whether it is set or not.
#[derive(Clone, Copy, Default)]
struct Part {
    mantissa: i32,
    exponent: i32,
    /// Infinite or no number; the rest is zero then.
    special: bool,
}

impl Part {
    #[inline(always)]
    fn open(format: Format, bits: u32) -> Part {
        let fraction = bits & ((1 << format.fraction) - 1);
        let field = bits >> format.fraction & ((1 << format.exponent) - 1);
        let special = field == (1 << format.exponent) - 1;
        let leading = if field != 0 { 1 << format.fraction } else { 0 };
        let magnitude = if special { 0 } else { (fraction | leading) as i32 };
        let negative = u64::from(bits) & format.sign() != 0;
        Part {
            mantissa: if negative { -magnitude } else { magnitude },
            exponent: field.max(1) as i32 - format.bias(),
            special,
        }
    }
}

/// What counts as exponent of a zero: below all others.
const NONE: i32 = -10_000;

/// A sum of units of `2^last`, cut off to a single.
#[inline(always)]
fn cut_off(sum: i64, last: i32) -> u32 {
    let magnitude = sum.unsigned_abs();
    let sign = if sum < 0 { 1 << 31 } else { 0 };
    let top = 63 - magnitude.leading_zeros() as i32;
    let exponent = last + top;
    match exponent {
        _ if sum == 0 => 0,
        -126..=127 => {
            // A sum has at most 40 bits: there is room above.
            let fraction = (magnitude << 23 >> top) as u32 & 0x7f_ffff;
            sign | ((exponent + 127) as u32) << 23 | fraction
        }
        128.. => sign | 0x7f80_0000,
        _ => close(F32, sum, last, Round::Zero),
    }
}

fn close(format: Format, sum: i64, last: i32, round: Round) -> u32 {
    let magnitude = sum.unsigned_abs().into();
    let exact = Exact { negative: sum < 0, magnitude, exponent: last, sticky: false };
    format.close(exact, round) as u32
}

/// `A * B + C`. `c` and the result are in single precision (four registers) or in halves (two); there are
/// always 16 rows.
#[inline(always)]
pub(crate) fn float(
    (shape, element, how): (Shape, Element, Summation),
    single: bool,
    (a, b, c): (&[Row], &[Row], &[Row]),
    out: &mut [Row],
) {
    let f16 = |word: u32, at: usize| Part::open(F16, word >> (16 * at) & 0xffff);
    let bf16 = |word: u32, at: usize| Part::open(BF16, word >> (16 * at) & 0xffff);
    let tf32 = |word: u32, _: usize| Part::open(TF32, word >> 13);
    let sources = (a, b, c);
    match element {
        Element::F16 => sum_up::<8>((shape, how, F16), single, sources, f16, out),
        Element::Bf16 => sum_up::<8>((shape, how, BF16), single, sources, bf16, out),
        Element::Tf32 => sum_up::<4>((shape, how, TF32), single, sources, tf32, out),
    }
}

#[inline(always)]
fn sum_up<const N: usize>(
    (shape, how, format): (Shape, Summation, Format),
    single: bool,
    (a, b, c): (&[Row], &[Row], &[Row]),
    open: impl Fn(u32, usize) -> Part,
    out: &mut [Row],
) {
    // Rows of A and columns of B, taken apart once; eight of them lie in a register, N elements deep.
    let mut left = [[Part::default(); 16]; 16];
    let mut right = [[Part::default(); 8]; 16];
    for step in 0..shape.k / N {
        for part in 0..2 {
            let rows: [[Part; N]; 8] = elements(&a[step * 2 + part], &open);
            for (row, values) in rows.iter().enumerate() {
                left[part * 8 + row][step * N..][..N].copy_from_slice(values);
            }
        }
        let columns: [[Part; N]; 8] = elements(&b[step], &open);
        for (column, values) in columns.iter().enumerate() {
            for (k, value) in values.iter().enumerate() {
                right[step * N + k][column] = *value;
            }
        }
    }
    let special_columns: [bool; 8] =
        std::array::from_fn(|column| right.iter().any(|row| row[column].special));
    let to = if single { F32 } else { F16 };
    for (row, left) in left.iter().enumerate() {
        let special_row = left.iter().any(|part| part.special);
        // Columns in pairs along the lanes.
        let place = |column: usize| (row % 8 * 4 + column / 2, row / 8 * 2 + column % 2);
        let mut sums: [u32; 8] = std::array::from_fn(|column| {
            let (lane, register) = place(column);
            match single {
                true => c[register][lane],
                false => c[register / 2][lane] >> (16 * (column % 2)) & 0xffff,
            }
        });
        let old = sums;
        for first in (0..shape.k).step_by(how.group) {
            let group = first..(first + how.group).min(shape.k);
            add_group(how, (format, to), &left[group.clone()], &right[group], &mut sums);
        }
        for column in 0..8 {
            if special_row || special_columns[column] || Part::open(to, old[column]).special {
                let word = |register: &[Row], of: usize, k: usize, down: usize| {
                    let per_lane = N / 4;
                    let at = register[of / 8 + k / N * down][of % 8 * 4 + k % N / per_lane];
                    at >> (16 * (k % per_lane))
                };
                let pairs = (0..shape.k).map(|k| (word(a, row, k, 2), word(b, column, k, 1)));
                sums[column] = special(format, to, old[column], pairs);
            }
            let (lane, register) = place(column);
            match single {
                true => out[register][lane] = sums[column],
                false => {
                    let shift = 16 * (column % 2);
                    let word = &mut out[register / 2][lane];
                    *word = *word & !(0xffff << shift) | sums[column] << shift;
                }
            }
        }
    }
}

/// Adds a group of products to the sums of a row.
#[inline(always)]
fn add_group(
    how: Summation,
    (format, to): (Format, Format),
    left: &[Part],
    right: &[[Part; 8]],
    sums: &mut [u32; 8],
) {
    let old: [Part; 8] = std::array::from_fn(|column| Part::open(to, sums[column]));
    let mut largest = [NONE; 8];
    for column in 0..8 {
        if old[column].mantissa != 0 {
            largest[column] = old[column].exponent;
        }
    }
    let mut products = [([0i32; 8], [NONE; 8]); 16];
    for (x, (y, (mantissas, exponents))) in left.iter().zip(right.iter().zip(&mut products)) {
        for column in 0..8 {
            let product = x.mantissa * y[column].mantissa;
            let exponent = x.exponent + y[column].exponent;
            mantissas[column] = product;
            exponents[column] = if product == 0 { NONE } else { exponent };
            largest[column] = largest[column].max(exponents[column]);
        }
    }
    // Lifted so that the last kept bit of the largest has the value one, then down by the distance.
    let lift = how.kept - 2 * format.fraction as i32;
    let align = |mantissa: i32, lift: i32, distance: i32| {
        let magnitude = i64::from(mantissa.unsigned_abs()) << lift >> distance.min(63);
        if mantissa < 0 { -magnitude } else { magnitude }
    };
    let mut total: [i64; 8] = std::array::from_fn(|column| {
        let part = old[column];
        let distance = if part.mantissa == 0 { 63 } else { largest[column] - part.exponent };
        align(part.mantissa, how.kept - to.fraction as i32, distance)
    });
    for (mantissas, exponents) in &products[..left.len()] {
        for column in 0..8 {
            let distance = largest[column] - exponents[column];
            total[column] += align(mantissas[column], lift, distance);
        }
    }
    for column in 0..8 {
        let last = largest[column] - how.kept;
        sums[column] = match to == F32 {
            true => cut_off(total[column], last),
            false => close(to, total[column], last, Round::Nearest),
        };
    }
}

/// A sum in which infinities or NaN take part: finite numbers beside them do not matter, but for zeros.
#[cold]
fn special(format: Format, to: Format, old: u32, pairs: impl Iterator<Item = (u32, u32)>) -> u32 {
    let value = |format: Format, bits: u32| {
        let bits = u64::from(bits) & (format.sign() << 1).wrapping_sub(1);
        let sign = if bits & format.sign() != 0 { -1.0 } else { 1.0 };
        match bits & (format.sign() - 1) {
            0 => 0.0,
            magnitude if magnitude > format.infinity() => f32::NAN,
            magnitude if magnitude == format.infinity() => sign * f32::INFINITY,
            _ => sign,
        }
    };
    // A word of TF32 has bits below those that count.
    let cut = |word: u32| if format == TF32 { word >> 13 } else { word };
    let total = pairs
        .fold(value(to, old), |sum, (x, y)| sum + value(format, cut(x)) * value(format, cut(y)));
    match to == F32 {
        true => super::float::canonical(total),
        false => Kind::F16.narrow(total.to_bits(), Round::Nearest).into(),
    }
}
