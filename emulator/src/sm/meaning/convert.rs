//! Conversions between number formats.

use super::round::{BF16, Exact, F16, F32, F64, Format, Round};

/// An integer type: how many bits and whether signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Integer {
    pub(crate) bits: u32,
    pub(crate) signed: bool,
}

impl Integer {
    fn limits(self) -> (i128, i128) {
        match self.signed {
            true => (-(1i128 << (self.bits - 1)), (1i128 << (self.bits - 1)) - 1),
            false => (0, (1i128 << self.bits) - 1),
        }
    }

    /// The number that the low bits of `x` stand for.
    pub(crate) fn read(self, x: u64) -> i128 {
        let shift = 128 - self.bits;
        match self.signed {
            true => (i128::from(x) << shift) >> shift,
            false => i128::from(x) & ((1i128 << self.bits) - 1),
        }
    }
}

/// A floating format as conversions name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Float {
    F16,
    Bf16,
    F32,
    F64,
}

impl Float {
    pub(crate) fn from_field(value: u64) -> Float {
        match value {
            1 => Float::F16,
            2 => Float::F32,
            3 => Float::F64,
            _ => Float::Bf16,
        }
    }

    pub(crate) fn format(self) -> Format {
        match self {
            Float::F16 => F16,
            Float::Bf16 => BF16,
            Float::F32 => F32,
            Float::F64 => F64,
        }
    }

    /// The NaN that conversions to this format yield.
    pub(crate) fn nan(self) -> u64 {
        match self {
            Float::F64 => super::double::NAN,
            Float::F32 => super::float::NAN.into(),
            Float::F16 | Float::Bf16 => 0x7fff,
        }
    }

    fn flush(self, x: u64) -> u64 {
        let format = self.format();
        match x & format.infinity() {
            0 => x & format.sign(),
            _ => x,
        }
    }
}

/// An integer as a float.
pub(crate) fn from_integer(to: Float, round: Round, value: i128) -> u64 {
    to.format().close(
        Exact { negative: value < 0, magnitude: value.unsigned_abs(), exponent: 0, sticky: false },
        round,
    )
}

/// Rounded to an integer, in the direction of `round`.
fn integral(value: Exact, round: Round) -> i128 {
    let magnitude = if value.exponent >= 0 {
        // Beyond 127 bits every integer type saturates anyway.
        if value.magnitude == 0 {
            0
        } else if value.exponent + 128 - value.magnitude.leading_zeros() as i32 > 126 {
            i128::MAX as u128
        } else {
            value.magnitude << value.exponent
        }
    } else {
        let down = value.exponent.unsigned_abs();
        let whole = value.magnitude.checked_shr(down).unwrap_or(0);
        let rest = match down {
            0..=127 => value.magnitude & ((1u128 << down) - 1),
            _ => value.magnitude,
        };
        let half = if down <= 127 { 1u128 << (down - 1) } else { u128::MAX };
        let up = match round {
            Round::Nearest => rest > half || (rest == half && whole & 1 == 1),
            Round::Zero => false,
            Round::Down => value.negative && rest != 0,
            Round::Up => !value.negative && rest != 0,
        };
        whole + u128::from(up)
    };
    if value.negative { -(magnitude as i128) } else { magnitude as i128 }
}

/// A float as an integer, saturating. NaN becomes the top bit alone, or zero where that is asked for.
pub(crate) fn to_integer(
    from: Float,
    to: Integer,
    round: Round,
    (flush, nan_to_zero): (bool, bool),
    x: u64,
) -> u64 {
    let x = if flush { from.flush(x) } else { x };
    let format = from.format();
    let (low, high) = to.limits();
    let value = match format.open(x) {
        Some(exact) => integral(exact, round).clamp(low, high),
        None if x & (format.sign() - 1) == format.infinity() => {
            if x & format.sign() != 0 {
                low
            } else {
                high
            }
        }
        None if nan_to_zero => 0,
        None => return 1 << (to.bits - 1),
    };
    value as u64
}

/// A float in another format.
pub(crate) fn refloat(from: Float, to: Float, round: Round, flush: bool, x: u64) -> u64 {
    let x = if flush { from.flush(x) } else { x };
    let format = from.format();
    let result = match format.open(x) {
        Some(exact) => to.format().close(exact, round),
        None if x & (format.sign() - 1) == format.infinity() => {
            let sign = if x & format.sign() != 0 { to.format().sign() } else { 0 };
            sign | to.format().infinity()
        }
        None if from == Float::F64 || to == Float::F64 => payload(format, to.format(), x),
        None => to.nan(),
    };
    if flush { to.flush(result) } else { result }
}

/// A NaN in another format: sign and upper bits stay, the bit that makes it quiet is set.
fn payload(from: Format, to: Format, x: u64) -> u64 {
    let sign = if x & from.sign() != 0 { to.sign() } else { 0 };
    let fraction = x & ((1 << from.fraction) - 1);
    let fraction = match to.fraction >= from.fraction {
        true => fraction << (to.fraction - from.fraction),
        false => fraction >> (from.fraction - to.fraction),
    };
    sign | to.infinity() | fraction | 1 << (to.fraction - 1)
}

/// A float rounded to an integral value of the same format.
pub(crate) fn round_integral(kind: Float, round: Round, flush: bool, x: u64) -> u64 {
    let x = if flush { kind.flush(x) } else { x };
    let format = kind.format();
    match format.open(x) {
        None if x & (format.sign() - 1) == format.infinity() => x,
        None if kind == Float::F64 => super::double::quiet(x),
        None => kind.nan(),
        Some(exact) if exact.exponent >= 0 => x,
        Some(exact) => {
            let whole = integral(exact, round);
            // The sign survives, of zeros too.
            from_integer(kind, Round::Nearest, whole) | x & format.sign()
        }
    }
}

/// Saturation of a signed word to a narrower integer.
pub(crate) fn narrow(to: Integer, x: u32) -> u32 {
    let (low, high) = to.limits();
    i128::from(x as i32).clamp(low, high) as u32
}
