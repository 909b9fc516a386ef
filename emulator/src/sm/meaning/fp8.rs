//! Floats of eight bits.

use super::half::Kind;

/// A format of eight bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Small {
    /// Four bits of exponent, three of fraction, no infinity.
    E4M3,
    /// Five and two: the upper byte of a half.
    E5M2,
}

impl Small {
    /// Rounds to nearest. What is too large becomes the largest number, where wanted, or what comes after it.
    pub(crate) fn narrow(self, x: f32, finite: bool) -> u32 {
        let (fraction, least, largest) = match self {
            Small::E4M3 => (3, -6, 0x7e),
            Small::E5M2 => (2, -14, 0x7b),
        };
        if x.is_nan() {
            return 0x7f;
        }
        let sign = u32::from(x.is_sign_negative()) << 7;
        let x = f64::from(x.abs());
        let exponent = ((x.to_bits() >> 52) as i32 - 1023).max(least);
        // In units of the last place, which is the number itself in the bits of a subnormal.
        let units = (x * f64::from(fraction - exponent).exp2()).round_ties_even();
        let code = units + f64::from((exponent - least) << fraction);
        match code <= f64::from(largest) {
            true => sign | code as u32,
            false if finite => sign | largest,
            // What is no number has no sign.
            false if self == Small::E4M3 => 0x7f,
            false => sign | 0x7c,
        }
    }

    /// The half of the same value.
    pub(crate) fn widen(self, byte: u32) -> u32 {
        let (sign, rest) = ((byte & 0x80) << 8, byte & 0x7f);
        match self {
            Small::E5M2 if rest > 0x7c => 0x7fff,
            Small::E5M2 => sign | rest << 8,
            Small::E4M3 if rest == 0x7f => 0x7fff,
            Small::E4M3 => {
                // The exponent is eight less than a half's.
                let units = Kind::F16.widen((rest << 7) as u16) * 256.0;
                sign | u32::from(Kind::F16.narrow(units.to_bits(), super::Round::Nearest))
            }
        }
    }
}
