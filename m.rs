#![allow(dead_code)]
mod tensor { #[derive(Clone,Copy,PartialEq,Eq,Debug)] pub(crate) enum Element{F16,Bf16,Tf32} pub(crate) type Row=[u32;32];
#[derive(Clone,Copy,Debug,PartialEq,Eq)] pub(crate) struct Shape{pub(crate) m:usize,pub(crate) k:usize} }
mod round { #[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format { pub(crate) exponent: u32, pub(crate) fraction: u32 }
pub(crate) const F16: Format = Format { exponent: 5, fraction: 10 };
pub(crate) const BF16: Format = Format { exponent: 8, fraction: 7 };
pub(crate) const TF32: Format = Format { exponent: 8, fraction: 10 };
pub(crate) const F32: Format = Format { exponent: 8, fraction: 23 };
impl Format { pub(crate) fn bias(self) -> i32 { (1 << (self.exponent - 1)) - 1 } } }
mod floating {












use super::round::{BF16, F16, F32, Format, TF32};
use super::tensor::{Element, Row, Shape};

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

/// The number of some format in the low bits of a word.
#[inline(always)]
fn value(format: Format, bits: u32) -> f32 {
    let Format { exponent, fraction } = format;
    let sign = bits >> (exponent + fraction) << 31;
    let magnitude = bits & ((1 << (exponent + fraction)) - 1);
    // In the place of a single's bits it is a single, smaller by the difference of the biases.
    let place = magnitude << (F32.fraction - fraction);
    if exponent == F32.exponent {
        return f32::from_bits(sign | place);
    }
    let lift = f32::from_bits(((127 + F32.bias() - format.bias()) as u32) << 23);
    let finite = (f32::from_bits(place) * lift).to_bits();
    let special = place | 0x7f80_0000;
    let infinity = ((1 << exponent) - 1) << fraction;
    f32::from_bits(sign | if magnitude >= infinity { special } else { finite })
}

/// The exponent of its leading bit, whether that is set or not.
#[inline(always)]
fn exponent(format: Format, bits: u32) -> i32 {
    let magnitude = bits & ((1 << (format.exponent + format.fraction)) - 1);
    let exponent = (magnitude >> format.fraction).max(1) as i32 - format.bias();
    if magnitude == 0 { NONE } else { exponent }
}

/// The elements at one place of the words of a register.
struct Opened {
    values: [f64; 32],
    exponents: [i32; 32],
}

impl Opened {
    const EMPTY: Opened = Opened { values: [0.0; 32], exponents: [NONE; 32] };

    #[inline(always)]
    fn fill(&mut self, format: Format, register: &Row, element: impl Fn(u32) -> u32) {
        for lane in 0..32 {
            self.values[lane] = value(format, element(register[lane])).into();
        }
        for lane in 0..32 {
            self.exponents[lane] = exponent(format, element(register[lane]));
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
    match element {
        Element::F16 => sum_up::<2>((shape.k, how, F16), single, sources, half, out),
        Element::Bf16 => sum_up::<2>((shape.k, how, BF16), single, sources, half, out),
        Element::Tf32 => sum_up::<1>((shape.k, how, TF32), single, sources, |w, _| w >> 13, out),
    }
}

/// The same with `N` elements in a word.
///
/// Four lanes of a register hold a row of A or a column of B, `4 * N` elements deep. Within a group the order
/// of products does not matter, so A stays in the order of its lanes. The columns of B and C are taken in the
/// order in which C has them: the even ones in one register or half, the odd ones in the other.
#[inline(always)]
fn sum_up<const N: usize>(
    (depth, how, format): (usize, Summation, Format),
    single: bool,
    (a, b, c): (&[Row], &[Row], &[Row]),
    element: impl Fn(u32, usize) -> u32,
    out: &mut [Row],
) {
    let steps = depth / (4 * N);
    let mut left = [const { [Opened::EMPTY; N] }; 4];
    let mut right = [const { [Opened::EMPTY; N] }; 2];
    for (opened, register) in left.iter_mut().zip(&a[..steps * 2]) {
        for (at, opened) in opened.iter_mut().enumerate() {
            opened.fill(format, register, |word| element(word, at));
        }
    }
    for (opened, register) in right.iter_mut().zip(&b[..steps]) {
        let mut columns = [0; 32];
        for lane in 0..4 {
            for column in 0..8 {
                columns[lane * 8 + column] = register[(column % 4 * 2 + column / 4) * 4 + lane];
            }
        }
        for (at, opened) in opened.iter_mut().enumerate() {
            opened.fill(format, &columns, |word| element(word, at));
        }
    }
    let together = (how.group / (4 * N)).min(steps);
    for row in 0..16 {
        let (part, first) = (row / 8, row % 8 * 4);
        let mut sums = [0; 8];
        for lane in 0..4 {
            (sums[lane], sums[4 + lane]) = match single {
                true => (c[part * 2][first + lane], c[part * 2 + 1][first + lane]),
                false => (c[part][first + lane] & 0xffff, c[part][first + lane] >> 16),
            };
        }
        for step in (0..steps).step_by(together) {
            let group = step..step + together;
            let pairs = group.map(|step| (&left[step * 2 + part], &right[step]));
            match single {
                true => add_group(how.kept, F32, pairs, first, &mut sums, cut_off),
                false => add_group(how.kept, F16, pairs, first, &mut sums, round_to_half),
            }
        }
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

/// Adds a group of products to the sums of a row, which begins at a lane of A.
#[inline(always)]
fn add_group<'a, const N: usize>(
    kept: i32,
    to: Format,
    pairs: impl Iterator<Item = (&'a [Opened; N], &'a [Opened; N])> + Clone,
    first: usize,
    sums: &mut [u32; 8],
    close: impl Fn(f64) -> u32,
) {
    let mut largest = [0; 8];
    for column in 0..8 {
        largest[column] = exponent(to, sums[column]).max(LOWEST);
    }
    let elements = pairs.flat_map(|(x, y)| x.iter().zip(y));
    for (x, y) in elements.clone() {
        for lane in 0..4 {
            let exponent = x.exponents[first + lane];
            for column in 0..8 {
                let product = exponent + y.exponents[lane * 8 + column];
                largest[column] = largest[column].max(product);
            }
        }
    }
    let (mut scale, mut total) = ([0.0; 8], [0.0; 8]);
    for column in 0..8 {
        scale[column] = power(kept - largest[column]);
        // A zero has no sign here.
        total[column] = 0.0 + (f64::from(value(to, sums[column])) * scale[column]).trunc();
    }
    for (x, y) in elements {
        for lane in 0..4 {
            let value = x.values[first + lane];
            for column in 0..8 {
                let product = value * y.values[lane * 8 + column];
                total[column] += (product * scale[column]).trunc();
            }
        }
    }
    for column in 0..8 {
        sums[column] = close(total[column] * power(largest[column] - kept));
    }
}

/// A sum cut off to a single.
#[inline(always)]
fn cut_off(sum: f64) -> u32 {
    let normal = f64::from_bits(sum.to_bits() & !((1 << 29) - 1));
    let denormal = (sum * power(149)).trunc() * power(-149);
    let small = sum.abs() < f64::from(f32::MIN_POSITIVE);
    let result = if small { denormal } else { normal } as f32;
    if sum.is_nan() { 0x7fff_ffff } else { result.to_bits() }
}

/// A sum rounded to the nearest half.
#[inline(always)]
fn round_to_half(sum: f64) -> u32 {
    let exponent = (sum.to_bits() >> 52 & 0x7ff) as i32 - 1023;
    // What is added to it has its last place where the half has its own.
    let large = 1.5 * power(exponent.clamp(1 - F16.bias(), 16) + 52 - F16.fraction as i32);
    let rounded = (sum + large - large).copysign(sum) as f32;
    let lower = f32::from_bits(((127 + F16.bias() - F32.bias()) as u32) << 23);
    let place = (rounded * lower).to_bits();
    let finite = place >> 16 & 0x8000 | place >> (F32.fraction - F16.fraction) & 0x7fff;
    match sum.abs() {
        magnitude if magnitude.is_nan() => 0x7fff,
        // Half a unit above the largest.
        magnitude if magnitude >= 65520.0 => place >> 16 & 0x8000 | 0x7c00,
        _ => finite,
    }
}
}
use floating::*; use tensor::*;
#[target_feature(enable = "avx2,fma")]
#[inline(never)]
unsafe fn go(shape: Shape, element: Element, how: Summation, single: bool, a:&[Row],b:&[Row],c:&[Row],out:&mut [Row]) { float((shape,element,how),single,(a,b,c),out) }
fn main() {
  let mut s=0x1234_5678_9abc_def1u64; let mut draw=move||{s^=s<<13;s^=s>>7;s^=s<<17;(s.wrapping_mul(0x2545_f491_4f6c_dd1d)>>32) as u32};
  let a:[Row;4]=std::array::from_fn(|_|std::array::from_fn(|_|draw()&0xbfffbfff));
  let b:[Row;2]=std::array::from_fn(|_|std::array::from_fn(|_|draw()&0xbfffbfff));
  let c:[Row;4]=std::array::from_fn(|_|std::array::from_fn(|_|draw()&0xbfffffff));
  for (e,k,g,kept,single) in [(Element::F16,16,8,24,true),(Element::F16,16,16,25,true),(Element::F16,16,16,25,false),(Element::Bf16,16,8,24,true),(Element::Tf32,8,4,24,true),(Element::F16,8,8,24,true)] {
   let n=std::env::args().nth(1).map_or(200_000,|x|x.parse().unwrap());
   let mut best=f64::MAX; let mut o=[[0;32];4];
   for _ in 0..5 { let t=std::time::Instant::now();
   for _ in 0..n/5 { unsafe{go(Shape{m:16,k},e,Summation{group:g,kept},single,std::hint::black_box(&a),&b,&c,&mut o)}; std::hint::black_box(&o); }
   best=best.min(t.elapsed().as_secs_f64()/(n/5) as f64*1e9); }
   println!("{e:?} k{k} g{g} single {single}: {best:.0} ns, check {:08x}", o.iter().flatten().fold(0u32,|h,x|h.wrapping_mul(31)^x));
  }
}
