//! The multi-function unit, bit for bit as an H200 computes, over all inputs.
//!
//! Each function brings its argument into a range, looks it up on a curve there, and scales the value
//! back. Nothing is rounded anywhere: what has no room is cut off.

mod curve;
mod tables;

use super::Round;
use super::float::NAN;
use super::half::Kind;
use super::round::{F32, Format};
use curve::{OFFSET_BITS, POINT};

const SIGN: u32 = 0x8000_0000;
const INFINITY: u32 = 0x7f80_0000;
const ONE: u32 = 0x3f80_0000;
/// Mantissas are handed to the curves with 23 bits, whatever their format.
const MANTISSA_BITS: u32 = 23;
const MANTISSA: u32 = (1 << MANTISSA_BITS) - 1;
/// Bits of an angle within a quarter turn.
const QUARTER_BITS: u32 = 23;

/// The functions, in the order of their field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Cos,
    Sin,
    Exp2,
    Log2,
    Reciprocal,
    ReciprocalRoot,
    /// The upper word of an approximate double-precision reciprocal.
    Reciprocal64,
    /// The upper word of an approximate double-precision reciprocal square root.
    ReciprocalRoot64,
    Root,
    Tanh,
}

impl Function {
    pub(crate) fn from_field(value: u64) -> Function {
        use Function::*;
        [
            Cos,
            Sin,
            Exp2,
            Log2,
            Reciprocal,
            ReciprocalRoot,
            Reciprocal64,
            ReciprocalRoot64,
            Root,
            Tanh,
        ][value as usize]
    }
}

/// The function of a single-precision number (or of the upper word of a double). Angles are in turns.
/// Denormal inputs count as zeros, denormal results become zeros.
pub(crate) fn apply(function: Function, x: u32) -> u32 {
    match function {
        Function::Cos => sine(x & !SIGN, 1),
        Function::Sin => sine(x, 0),
        Function::Exp2 => exp2(x),
        Function::Log2 => log2(x),
        Function::Reciprocal => reciprocal(F32, x),
        Function::ReciprocalRoot => reciprocal_root(F32, x),
        Function::Reciprocal64 => reciprocal(UPPER, x),
        Function::ReciprocalRoot64 => reciprocal_root(UPPER, x),
        Function::Root => root(x),
        Function::Tanh => tanh(x),
    }
}

/// The function of a half, cut out of that of a single.
pub(crate) fn apply_half(function: Function, kind: Kind, x: u32) -> u16 {
    let result = apply(function, x);
    // What is beyond the range is infinity, as rounding would have it.
    let beyond = kind == Kind::F16 && f32::from_bits(result).abs() >= 65536.0;
    kind.narrow(result, if beyond { Round::Nearest } else { Round::Zero })
}

/// The upper word of a double.
const UPPER: Format = Format { exponent: 11, fraction: 20 };

/// What a word stands for, its sign aside.
enum Number {
    /// Denormals too.
    Zero,
    /// 1.`mantissa` times 2^`exponent`.
    Normal {
        exponent: i32,
        mantissa: u32,
    },
    Infinite,
    Nan,
}

use Number::*;

fn open(format: Format, x: u32) -> Number {
    let infinity = format.infinity() as u32;
    let lowest = 1 << format.fraction;
    match x & !SIGN {
        magnitude if magnitude < lowest => Zero,
        magnitude if magnitude < infinity => Normal {
            exponent: (magnitude >> format.fraction) as i32 - format.bias(),
            mantissa: magnitude << (MANTISSA_BITS - format.fraction) & MANTISSA,
        },
        magnitude if magnitude == infinity => Infinite,
        _ => Nan,
    }
}

/// A positive value of a curve times 2^`exponent`, cut off; too small a result is zero.
fn close(format: Format, value: i64, exponent: i32) -> u32 {
    let Some(leading) = value.checked_ilog2() else { return 0 };
    let exponent = exponent + leading as i32 - POINT as i32 + format.bias();
    let fraction = ((value as u64) << (63 - leading) << 1) >> (64 - format.fraction);
    match exponent {
        ..=0 => 0,
        _ => (exponent as u32) << format.fraction | fraction as u32,
    }
}

/// The mantissa with its leading bit as a number with `bits` bits after the point, cut off.
fn fixed(exponent: i32, mantissa: u32, bits: u32) -> i64 {
    let mantissa = i64::from(1 << MANTISSA_BITS | mantissa);
    match exponent + bits as i32 - MANTISSA_BITS as i32 {
        // What is lost here would be whole turns.
        up @ 0.. => mantissa << up.min(39),
        down => mantissa >> (-down).min(63),
    }
}

fn reciprocal(format: Format, x: u32) -> u32 {
    let sign = x & SIGN;
    match open(format, x) {
        Zero => sign | format.infinity() as u32,
        // The segments are of half the width: their offsets have a bit less.
        Normal { exponent, mantissa } => {
            sign | close(format, tables::RECIPROCAL.at(mantissa << 1), -exponent)
        }
        Infinite => sign,
        Nan => NAN,
    }
}

/// Where a number is that was scaled into 1..4 by a power of four, and half the exponent of that.
fn between_one_and_four(exponent: i32, mantissa: u32) -> (u32, i32) {
    let odd = exponent & 1;
    ((odd as u32) << MANTISSA_BITS | mantissa, (exponent - odd) / 2)
}

fn reciprocal_root(format: Format, x: u32) -> u32 {
    match open(format, x) {
        Zero => x & SIGN | format.infinity() as u32,
        Infinite | Normal { .. } if x & SIGN != 0 => NAN,
        Normal { exponent, mantissa } => match between_one_and_four(exponent, mantissa) {
            // The curve would give the number below one.
            (0, exponent) => close(format, 1 << POINT, -exponent),
            (place, exponent) => close(format, tables::RECIPROCAL_ROOT.at(place), -exponent),
        },
        Infinite => 0,
        Nan => NAN,
    }
}

fn root(x: u32) -> u32 {
    match open(F32, x) {
        Zero => x & SIGN,
        Infinite | Normal { .. } if x & SIGN != 0 => NAN,
        Normal { exponent, mantissa } => {
            let (place, exponent) = between_one_and_four(exponent, mantissa);
            close(F32, tables::ROOT.at(place), exponent)
        }
        Infinite => x,
        Nan => NAN,
    }
}

fn exp2(x: u32) -> u32 {
    let (exponent, mantissa) = match open(F32, x) {
        Zero => return ONE,
        Normal { exponent: exponent @ ..7, mantissa } => (exponent, mantissa),
        Normal { .. } | Infinite if x & SIGN != 0 => return 0,
        Normal { .. } | Infinite => return INFINITY,
        Nan => return NAN,
    };
    let magnitude = fixed(exponent, mantissa, MANTISSA_BITS);
    let x = match (x & SIGN, magnitude as u32 & MANTISSA) {
        (0, _) => magnitude,
        (_, 0) => -magnitude,
        // The complement is a little below the negative.
        _ => !magnitude,
    };
    close(F32, tables::EXP2.at(x as u32 & MANTISSA), (x >> MANTISSA_BITS) as i32)
}

fn log2(x: u32) -> u32 {
    match open(F32, x) {
        Zero => SIGN | INFINITY,
        Infinite | Normal { .. } if x & SIGN != 0 => NAN,
        Normal { exponent: 0, mantissa: 0 } => 0,
        Normal { exponent, mantissa } => {
            let sum = (i64::from(exponent) << POINT) + tables::LOG2.at(mantissa);
            // Four bits of the sum are lost. A magnitude is the complement of what is left.
            let (sign, magnitude) = if sum < 0 { (SIGN, !sum) } else { (0, sum) };
            sign | close(F32, magnitude & !15, 0)
        }
        Infinite => INFINITY,
        Nan => NAN,
    }
}

/// The sine of a number of turns that is some quarters further.
fn sine(x: u32, quarters: u32) -> u32 {
    let angle = match open(F32, x) {
        Zero => 0,
        Normal { exponent, mantissa } => fixed(exponent, mantissa, QUARTER_BITS + 2),
        Infinite | Nan => return NAN,
    };
    let quarter = (angle >> QUARTER_BITS) as u32 + quarters;
    // The curve is of the first quarter; every second one runs backwards on it.
    let place = if quarter & 1 == 0 { angle } else { !angle } as u32 & ((1 << QUARTER_BITS) - 1);
    let sign = x & SIGN ^ (quarter & 2) << 30;
    sign | close(F32, tables::SINE.at(place), 0).min(ONE)
}

fn tanh(x: u32) -> u32 {
    /// Of each binade from 2^-8 on, the first segment and how many bits of a place pick one.
    const BINADES: [(u32, u32); 11] = [
        (0, 0),
        (1, 0),
        (2, 0),
        (3, 1),
        (5, 1),
        (7, 2),
        (11, 2),
        (15, 2),
        (19, 3),
        (27, 4),
        (43, 3),
    ];
    match open(F32, x) {
        // Small numbers are their own tangents, denormals too.
        Zero | Normal { exponent: ..-8, .. } => x,
        Normal { exponent: exponent @ -8..3, mantissa } => {
            let (first, bits) = BINADES[(exponent + 8) as usize];
            let place = mantissa >> (MANTISSA_BITS - OFFSET_BITS - bits);
            x & SIGN | close(F32, tables::TANH.at((first << OFFSET_BITS) + place), 0)
        }
        Normal { .. } | Infinite => x & SIGN | ONE,
        Nan => NAN,
    }
}
