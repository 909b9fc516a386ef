//! The floating products of the tensor cores.
//!
//! Products are exact. A group of them and the accumulator are aligned to the largest exponent, cut off
//! a few bits below its last place, added up exactly and cut off again: nothing is rounded to nearest.
//! How large a group is and how many bits are kept was measured on Hopper, where the whole depth of an
//! instruction is one group; of floats of eight bits, 32 at once, it keeps 13 bits, also of the sum. For Ampere both are assumed: no such GPU was asked.
//!
//! All of it happens in floating point, where it is exact: a product has at most 22 bits, what is kept of a
//! group 33, and no exponent of these formats comes near the ends of a double's. To cut off below a place is to
//! scale until that place is the ones, and to truncate. Infinities and NaN need no words: they do in a sum of
//! doubles what they do in silicon. Products of finite binary16 numbers fit a single, of which a vector holds
//! twice as many, and what is kept of their sum without the accumulator fits an integer.

use std::ops::AddAssign;

use super::round::{BF16, E4M3, F16, F32, Format, TF32};
use super::tensor::{Element, Row, Shape, columns};

/// How products are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summation {
    /// How many products are added at once.
    pub(crate) group: usize,
    /// How many bits are kept below the leading one of the largest.
    pub(crate) kept: i32,
}

/// What counts as exponent of a zero: below those of all products, also beside the largest factor.
const NONE: i32 = -1000;
/// The exponent to which nothing but zeros is aligned.
const LOWEST: i32 = -300;

/// `2^exponent`.
#[inline(always)]
fn power(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

/// What factors are kept as.
trait Factor: Copy {
    const ZERO: Self;
    /// What cut-off products are added up in.
    type Sum: Copy + Default + AddAssign + Into<f64>;

    fn open(value: f32) -> Self;
    /// What to multiply products with before they are cut off.
    fn scale(exponent: i32) -> Self;
    fn cut_product(self, other: Self, scale: Self) -> Self::Sum;
}

/// For all formats.
impl Factor for f64 {
    const ZERO: f64 = 0.0;
    type Sum = f64;

    #[inline(always)]
    fn open(value: f32) -> f64 {
        value.into()
    }

    #[inline(always)]
    fn scale(exponent: i32) -> f64 {
        power(exponent)
    }

    #[inline(always)]
    fn cut_product(self, other: f64, scale: f64) -> f64 {
        (self * other * scale).trunc()
    }
}

/// For finite numbers of binary16.
impl Factor for f32 {
    const ZERO: f32 = 0.0;
    type Sum = i32;

    #[inline(always)]
    fn open(value: f32) -> f32 {
        value
    }

    #[inline(always)]
    fn scale(exponent: i32) -> f32 {
        // Beyond that all products are zero, and aligned to a tiny accumulator.
        f32::from_bits(((exponent.min(127) + 127) as u32) << 23)
    }

    #[inline(always)]
    fn cut_product(self, other: f32, scale: f32) -> i32 {
        let scaled = self * other * scale;
        // SAFETY: the scale makes a product less than four times 2^kept, and `kept` is at most 25.
        unsafe { scaled.to_int_unchecked() }
    }
}

/// The exponent of the leading bit of a number in the low bits of a word, whether that bit is set or not.
#[inline(always)]
fn exponent(format: Format, bits: u32) -> i32 {
    let magnitude = bits & ((1 << (format.exponent + format.fraction)) - 1);
    let exponent = (magnitude >> format.fraction).max(1) as i32 - format.bias();
    if magnitude == 0 { NONE } else { exponent }
}

/// The number itself.
#[inline(always)]
fn value(format: Format, bits: u32) -> f32 {
    let Format { exponent, fraction } = format;
    let sign = bits >> (exponent + fraction) << 31;
    let magnitude = bits & ((1 << (exponent + fraction)) - 1);
    // The fields where a single has them.
    let place = magnitude << (F32.fraction - fraction);
    if exponent == F32.exponent {
        return f32::from_bits(sign | place);
    }
    let lift = ((F32.bias() - format.bias()) as u32) << F32.fraction;
    let special = if format == E4M3 { 0x7f } else { ((1 << exponent) - 1) << fraction };
    let normal = place + lift + if magnitude >= special { lift } else { 0 };
    // A denormal lacks the leading bit of its exponent. Hosts are slow with denormals of their own, so none
    // is made on the way.
    let least = lift + (1 << F32.fraction);
    let denormal = f32::from_bits(place + least) - f32::from_bits(least);
    let small = magnitude < 1 << fraction;
    f32::from_bits(sign | if small { denormal.to_bits() } else { normal })
}

/// What the lanes of a register hold, taken apart.
#[derive(Clone, Copy)]
struct Opened<T> {
    values: [T; 32],
    exponents: [i32; 32],
}

impl<T: Factor> Opened<T> {
    const EMPTY: Opened<T> = Opened { values: [T::ZERO; 32], exponents: [0; 32] };

    #[inline(always)]
    fn fill(&mut self, format: Format, bits: impl Fn(usize) -> u32) {
        for lane in 0..32 {
            self.exponents[lane] = exponent(format, bits(lane));
        }
        for lane in 0..32 {
            self.values[lane] = T::open(value(format, bits(lane)));
        }
    }
}

/// `A * B + C`. `c` and the result are in single precision (four registers) or in halves (two); there are
/// always 16 rows.
#[inline(always)]
pub(crate) fn float(
    (shape, element, how): (Shape, Element, Summation),
    single: bool,
    sources: (&[Row], &[Row], &[Row]),
    out: &mut [Row],
) {
    let half = |word: u32, at: usize| word >> (16 * at) & 0xffff;
    let tf32 = |word, _| word >> 13;
    match element {
        Element::F16 if finite(sources.0) && finite(sources.1) => {
            sum_up::<f32, 2>((shape.k, how, [F16; 2]), single, sources, half, out)
        }
        Element::F16 => sum_up::<f64, 2>((shape.k, how, [F16; 2]), single, sources, half, out),
        Element::Bf16 => sum_up::<f64, 2>((shape.k, how, [BF16; 2]), single, sources, half, out),
        Element::Tf32 => sum_up::<f64, 1>((shape.k, how, [TF32; 2]), single, sources, tf32, out),
    }
}

/// The same for floats of eight bits, 32 deep, of a format for A and one for B.
#[inline(always)]
pub(crate) fn eighths(
    formats: [Format; 2],
    single: bool,
    sources: (&[Row], &[Row], &[Row]),
    out: &mut [Row],
) {
    let how = Summation { group: 32, kept: 13 };
    let byte = |word: u32, at: usize| word >> (8 * at) & 0xff;
    sum_up::<f64, 4>((32, how, formats), single, sources, byte, out);
}

/// Whether all halves are finite.
#[inline(always)]
fn finite(registers: &[Row]) -> bool {
    let mut special = 0;
    for register in registers {
        for word in register {
            // One more in an exponent that is all ones goes into the bit above, which is the sign's.
            special |= (word & 0x7c00_7c00) + 0x0400_0400;
        }
    }
    special & 0x8000_8000 == 0
}

/// Some registers with `N` elements in a word.
type Registers<'a, T, const N: usize> = &'a [[Opened<T>; N]];

/// The rows of the result, the even columns before the odd ones.
type Tile<T> = [[T; 8]; 16];

/// The same with `N` elements in a word.
///
/// Four lanes of a register hold a row of A, C or the result, or a column of B. Within a group the order of
/// products does not matter, so A stays in the order of its lanes. C has the even columns in one register or
/// half and the odd ones in another, and B is put into that order.
#[inline(always)]
fn sum_up<T: Factor, const N: usize>(
    (depth, how, formats): (usize, Summation, [Format; 2]),
    single: bool,
    (a, b, c): (&[Row], &[Row], &[Row]),
    element: impl Fn(u32, usize) -> u32,
    out: &mut [Row],
) {
    let steps = depth / (4 * N);
    // Of the whole depth the upper eight rows, and then the lower.
    let mut left = [[[Opened::<T>::EMPTY; N]; 2]; 2];
    let mut right = [[Opened::<T>::EMPTY; N]; 2];
    for step in 0..steps {
        let columns = columns(&b[step]);
        for at in 0..N {
            right[step][at].fill(formats[1], |lane| element(columns[lane], at));
            for part in 0..2 {
                let register = &a[step * 2 + part];
                left[part][step][at].fill(formats[0], |lane| element(register[lane], at));
            }
        }
    }
    let mut sums = [[0; 8]; 16];
    for (row, sums) in sums.iter_mut().enumerate() {
        let (part, first) = (row / 8, row % 8 * 4);
        for lane in 0..4 {
            (sums[lane], sums[4 + lane]) = match single {
                true => (c[part * 2][first + lane], c[part * 2 + 1][first + lane]),
                false => (c[part][first + lane] & 0xffff, c[part][first + lane] >> 16),
            };
        }
    }
    let together = (how.group / (4 * N)).min(steps);
    for first in (0..steps).step_by(together) {
        let group = first..first + together;
        let factors = ([&left[0][group.clone()], &left[1][group.clone()]], &right[group]);
        match single {
            true => {
                let close = |exact: &_, sums: &mut _| cut_off(how.kept, exact, sums);
                add_group(how.kept, F32, factors, &mut sums, close);
            }
            false => add_group(how.kept, F16, factors, &mut sums, round_to_halves),
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        let (part, first) = (row / 8, row % 8 * 4);
        for lane in 0..4 {
            let (even, odd) = (sums[lane], sums[4 + lane]);
            match single {
                true => {
                    out[part * 2][first + lane] = even;
                    out[part * 2 + 1][first + lane] = odd;
                }
                false => out[part][first + lane] = even | odd << 16,
            }
        }
    }
}

/// Adds a group of products to the sums. The inner loops are over what vectors hold.
#[inline(always)]
fn add_group<T: Factor, const N: usize>(
    kept: i32,
    to: Format,
    (left, right): ([Registers<T, N>; 2], Registers<T, N>),
    sums: &mut Tile<u32>,
    close: impl Fn(&Tile<f64>, &mut Tile<u32>),
) {
    let mut largest: Tile<i32> = [[0; 8]; 16];
    for (largest, sum) in largest.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
        *largest = exponent(to, *sum).max(LOWEST);
    }
    let mut totals: Tile<T::Sum> = [[T::Sum::default(); 8]; 16];
    for (row, (largest, total)) in largest.iter_mut().zip(&mut totals).enumerate() {
        let first = row % 8 * 4;
        for (x, y) in left[row / 8].as_flattened().iter().zip(right.as_flattened()) {
            for lane in 0..4 {
                let columns = &y.exponents[lane * 8..lane * 8 + 8];
                for (largest, exponent) in largest.iter_mut().zip(columns) {
                    *largest = (*largest).max(x.exponents[first + lane] + exponent);
                }
            }
        }
        let mut scale = [T::ZERO; 8];
        for column in 0..8 {
            scale[column] = T::scale(kept - largest[column]);
        }
        for (x, y) in left[row / 8].as_flattened().iter().zip(right.as_flattened()) {
            for lane in 0..4 {
                for column in 0..8 {
                    let (x, y) = (x.values[first + lane], y.values[lane * 8 + column]);
                    total[column] += x.cut_product(y, scale[column]);
                }
            }
        }
    }
    let mut exact: Tile<f64> = [[0.0; 8]; 16];
    let terms = sums.as_flattened().iter().zip(totals.as_flattened()).zip(largest.as_flattened());
    for (exact, ((sum, total), largest)) in exact.as_flattened_mut().iter_mut().zip(terms) {
        let old = (f64::from(value(to, *sum)) * power(kept - largest)).trunc();
        // A zero has no sign here.
        *exact = (0.0 + old + (*total).into()) * power(largest - kept);
    }
    close(&exact, sums);
}

/// Sums cut off to singles, of which no more bits remain than are kept.
#[inline(always)]
fn cut_off(kept: i32, exact: &Tile<f64>, sums: &mut Tile<u32>) {
    let remain = !((1 << (52 - kept.min(F32.fraction as i32))) - 1);
    let mut rare = false;
    for (sum, exact) in sums.as_flattened_mut().iter_mut().zip(exact.as_flattened()) {
        *sum = (f64::from_bits(exact.to_bits() & remain) as f32).to_bits();
        let magnitude = *sum & 0x7fff_ffff;
        rare |= magnitude.wrapping_sub(1) < 0x00ff_ffff || magnitude > 0x7f80_0000;
    }
    if rare {
        cut_off_rare(exact, sums);
    }
}

/// The same for NaN, and for denormals, which have fewer bits.
#[cold]
fn cut_off_rare(exact: &Tile<f64>, sums: &mut Tile<u32>) {
    for (sum, exact) in sums.as_flattened_mut().iter_mut().zip(exact.as_flattened()) {
        if exact.is_nan() {
            *sum = 0x7fff_ffff;
        } else if exact.abs() < f64::from(f32::MIN_POSITIVE) {
            *sum = (((exact * power(149)).trunc() * power(-149)) as f32).to_bits();
        }
    }
}

/// Sums rounded to the nearest halves.
#[inline(always)]
fn round_to_halves(exact: &Tile<f64>, sums: &mut Tile<u32>) {
    for (sum, exact) in sums.as_flattened_mut().iter_mut().zip(exact.as_flattened()) {
        *sum = round_to_half(*exact);
    }
}

#[inline(always)]
fn round_to_half(sum: f64) -> u32 {
    let exponent = (sum.to_bits() >> 52 & 0x7ff) as i32 - 1023;
    // What is added to it has its last place where the half has its own.
    let large = 1.5 * power(exponent.clamp(1 - F16.bias(), 16) + 52 - F16.fraction as i32);
    let magnitude = sum.abs();
    let rounded = magnitude + large - large;
    // The fields of a half within a double, and the bias that is too much.
    let normal =
        (rounded.to_bits() >> (52 - F16.fraction)) as i32 - ((1023 - F16.bias()) << F16.fraction);
    let denormal = (rounded * power(24)) as i32;
    let finite = if rounded < power(1 - F16.bias()) { denormal } else { normal };
    let sign = (sum.to_bits() >> 48) as u32 & 0x8000;
    match magnitude {
        _ if sum.is_nan() => 0x7fff,
        // Half a unit above the largest.
        65520.0.. => sign | 0x7c00,
        _ => sign | finite as u32,
    }
}
