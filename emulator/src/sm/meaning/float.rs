//! Single precision.

use super::round::{F32, Round, fused};

/// The NaN that every single-precision operation yields.
pub(crate) const NAN: u32 = 0x7fff_ffff;
const SIGN: u32 = 0x8000_0000;

/// How an operation rounds and what it does with denormals and its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    pub(crate) round: Round,
    /// Denormal inputs and results are zero.
    pub(crate) flush: bool,
    /// Zero times anything is zero, infinities and NaN included; denormals flushed.
    pub(crate) zero_wins: bool,
    /// The result is clamped to 0..1 and NaN becomes 0.
    pub(crate) saturate: bool,
}

impl Mode {
    /// Round to nearest, nothing else.
    pub(crate) const PLAIN: Mode =
        Mode { round: Round::Nearest, flush: false, zero_wins: false, saturate: false };

    fn input(self, x: u32) -> u32 {
        if self.flush || self.zero_wins { flush(x) } else { x }
    }

    /// What is flushed is decided before rounding: a result that only rounding made normal is taken
    /// back to what it was cut off.
    fn tiny(self, result: u32, cut_off: impl Fn() -> u32) -> u32 {
        match (self.flush || self.zero_wins) && result & !SIGN == 0x0080_0000 {
            true => cut_off(),
            false => result,
        }
    }

    fn output(self, x: u32) -> u32 {
        let x = self.input(x);
        match self.saturate {
            true => saturate(x),
            false => x,
        }
    }
}

/// Denormals become zeros of their sign.
#[inline(always)]
pub(crate) fn flush(x: u32) -> u32 {
    if x & 0x7f80_0000 == 0 { x & SIGN } else { x }
}

/// Clamped to 0..1; NaN and minus zero give plus zero.
pub(crate) fn saturate(x: u32) -> u32 {
    let value = f32::from_bits(x);
    if value >= 1.0 {
        1f32.to_bits()
    } else if value > 0.0 {
        x
    } else {
        0
    }
}

/// The single NaN of the hardware.
#[inline(always)]
pub(crate) fn canonical(x: f32) -> u32 {
    if x.is_nan() { NAN } else { x.to_bits() }
}

/// Addition, to nearest without any mode.
#[inline(always)]
pub(crate) fn add_plain(a: u32, b: u32) -> u32 {
    canonical(f32::from_bits(a) + f32::from_bits(b))
}

/// Multiplication, to nearest without any mode.
#[inline(always)]
pub(crate) fn multiply_plain(a: u32, b: u32) -> u32 {
    canonical(f32::from_bits(a) * f32::from_bits(b))
}

/// Fused multiply-add, to nearest without any mode.
#[inline(always)]
pub(crate) fn fuse_plain(a: u32, b: u32, c: u32) -> u32 {
    canonical(f32::from_bits(a).mul_add(f32::from_bits(b), f32::from_bits(c)))
}

pub(crate) fn add(mode: Mode, a: u32, b: u32) -> u32 {
    fuse(Mode { zero_wins: false, ..mode }, a, 1f32.to_bits(), b)
}

/// `a * b`, scaled by `2^scale` before it is rounded.
pub(crate) fn multiply(mode: Mode, scale: i32, a: u32, b: u32) -> u32 {
    let (a, b) = (mode.input(a), mode.input(b));
    if mode.zero_wins && (a & !SIGN == 0 || b & !SIGN == 0) {
        return 0;
    }
    let (Some(mut x), Some(y)) = (F32.open(a.into()), F32.open(b.into())) else {
        return mode.output(canonical(f32::from_bits(a) * f32::from_bits(b)));
    };
    x.exponent += scale;
    let exact = x.times(y);
    let result = F32.close(exact, mode.round) as u32;
    mode.output(mode.tiny(result, || F32.close(exact, Round::Zero) as u32))
}

pub(crate) fn fuse(mode: Mode, a: u32, b: u32, c: u32) -> u32 {
    let (a, b, c) = (mode.input(a), mode.input(b), mode.input(c));
    // A product that zero wins is plus zero, whatever the signs.
    let (a, b) = match mode.zero_wins && (a & !SIGN == 0 || b & !SIGN == 0) {
        true => (0, 0),
        false => (a, b),
    };
    let directed = |round| fused(F32, a.into(), b.into(), c.into(), round, NAN.into()) as u32;
    let result = match mode.round {
        Round::Nearest => fuse_plain(a, b, c),
        round => directed(round),
    };
    mode.output(mode.tiny(result, || directed(Round::Zero)))
}

/// What a minimum or maximum does with special values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extreme {
    pub(crate) flush: bool,
    /// A NaN operand makes the result NaN instead of the other operand.
    pub(crate) nan: bool,
    /// The sign of the result is the exclusive or of the signs that the registers hold, whatever is
    /// done to the operands.
    pub(crate) xor_sign: bool,
}

/// The smaller of two numbers; minus zero is below plus zero.
pub(crate) fn minimum(how: Extreme, a: u32, b: u32) -> u32 {
    extreme(how, a, b, true)
}

/// The larger of two numbers.
pub(crate) fn maximum(how: Extreme, a: u32, b: u32) -> u32 {
    extreme(how, a, b, false)
}

fn extreme(how: Extreme, a: u32, b: u32, smaller: bool) -> u32 {
    let (a, b) = match how.flush {
        true => (flush(a), flush(b)),
        false => (a, b),
    };
    let (x, y) = (f32::from_bits(a), f32::from_bits(b));
    match (x.is_nan(), y.is_nan()) {
        (true, true) => NAN,
        (true, false) | (false, true) if how.nan => NAN,
        (true, false) => b,
        (false, true) => a,
        _ if x < y || (x == y && a & SIGN != 0) => {
            if smaller {
                a
            } else {
                b
            }
        }
        _ => {
            if smaller {
                b
            } else {
                a
            }
        }
    }
}

/// The comparison of two numbers by a four-bit mask.
#[inline(always)]
pub(crate) fn compare(mask: u8, flushed: bool, a: u32, b: u32) -> bool {
    let (a, b) = match flushed {
        true => (flush(a), flush(b)),
        false => (a, b),
    };
    let (x, y) = (f32::from_bits(a), f32::from_bits(b));
    (mask & 1 != 0 && x < y)
        | (mask & 2 != 0 && x == y)
        | (mask & 4 != 0 && x > y)
        | (mask & 8 != 0 && (x.is_nan() || y.is_nan()))
}

/// Whether a division needs the careful path: an operand is special, or an intermediate of the fast
/// path could overflow, underflow or lose bits.
pub(crate) fn division_is_hard(a: u32, b: u32) -> bool {
    let exponent = |x: u32| (x >> 23 & 0xff) as i32;
    let (x, y) = (exponent(a), exponent(b));
    let difference = x - y;
    !(2..=251).contains(&y) || x <= 24 || x == 255 || !(-124..=126).contains(&difference)
}
