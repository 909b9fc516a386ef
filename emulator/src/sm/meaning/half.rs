//! Half precision: IEEE binary16 and bfloat16, alone and in pairs.

use super::round::{BF16, F16, F32, Format, Round, fused};

/// Every binary16 number is exact in single precision.
#[inline(always)]
pub(crate) fn f16_to_f32(x: u16) -> f32 {
    let sign = u32::from(x & 0x8000) << 16;
    let rest = u32::from(x & 0x7fff) << 13;
    // Scaling by 2^112 corrects the exponent bias, of denormals too; infinity and NaN have all ones there.
    let scaled = (f32::from_bits(rest) * f32::from_bits(0x7780_0000)).to_bits();
    let special = if rest >= 0x0f80_0000 { 0x7f80_0000 } else { 0 };
    f32::from_bits(sign | scaled | special)
}

/// A half format within a 16-bit lane of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    F16,
    Bf16,
}

impl Kind {
    pub(crate) fn format(self) -> Format {
        match self {
            Kind::F16 => F16,
            Kind::Bf16 => BF16,
        }
    }

    /// The NaN that operations in this format yield.
    pub(crate) fn nan(self) -> u16 {
        0x7fff
    }

    #[inline(always)]
    pub(crate) fn widen(self, x: u16) -> f32 {
        match self {
            Kind::F16 => f16_to_f32(x),
            Kind::Bf16 => f32::from_bits(u32::from(x) << 16),
        }
    }

    /// Rounds a single to this format.
    pub(crate) fn narrow(self, x: u32, round: Round) -> u16 {
        let sign = (x >> 16) as u16 & 0x8000;
        match F32.open(x.into()) {
            Some(exact) => self.format().close(exact, round) as u16,
            None if x & 0x7fff_ffff == 0x7f80_0000 => sign | self.format().infinity() as u16,
            None => self.nan(),
        }
    }

    fn is_nan(self, x: u16) -> bool {
        u64::from(x & 0x7fff) > self.format().infinity()
    }

    fn flush(self, x: u16) -> u16 {
        match u64::from(x) & self.format().infinity() {
            0 => x & 0x8000,
            _ => x,
        }
    }
}

/// How a packed operation treats its lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    pub(crate) kind: Kind,
    pub(crate) flush: bool,
    pub(crate) zero_wins: bool,
    pub(crate) saturate: bool,
    /// Negative results and NaN become zero.
    pub(crate) relu: bool,
}

impl Mode {
    fn input(self, x: u16) -> u16 {
        if self.flush || self.zero_wins { self.kind.flush(x) } else { x }
    }

    fn output(self, x: u16) -> u16 {
        let x = self.input(x);
        let value = self.kind.widen(x);
        if self.saturate {
            return match value {
                v if v >= 1.0 => self.kind.narrow(1f32.to_bits(), Round::Nearest),
                v if v > 0.0 => x,
                _ => 0,
            };
        }
        if self.relu && !self.kind.is_nan(x) && x & 0x8000 != 0 {
            return 0;
        }
        x
    }

    /// `a * b + c`, rounded once.
    pub(crate) fn fuse(self, a: u16, b: u16, c: u16) -> u16 {
        let (a, b, c) = (self.input(a), self.input(b), self.input(c));
        // A product that zero wins is plus zero, whatever the signs.
        let (a, b) = match self.zero_wins && (a & 0x7fff == 0 || b & 0x7fff == 0) {
            true => (0, 0),
            false => (a, b),
        };
        let format = self.kind.format();
        let directed = |round| {
            fused(format, a.into(), b.into(), c.into(), round, self.kind.nan().into()) as u16
        };
        let result = directed(Round::Nearest);
        // What is flushed is decided before rounding.
        let least = 1 << format.fraction;
        self.output(match (self.flush || self.zero_wins) && result & 0x7fff == least {
            true => directed(Round::Zero),
            false => result,
        })
    }

    pub(crate) fn add(self, a: u16, b: u16) -> u16 {
        let one = self.kind.narrow(1f32.to_bits(), Round::Nearest);
        Mode { zero_wins: false, ..self }.fuse(a, one, b)
    }

    pub(crate) fn multiply(self, a: u16, b: u16) -> u16 {
        if self.zero_wins && (self.input(a) & 0x7fff == 0 || self.input(b) & 0x7fff == 0) {
            return 0;
        }
        Mode { zero_wins: false, flush: self.flush || self.zero_wins, ..self }.fuse(
            a,
            b,
            (a ^ b) & 0x8000,
        )
    }
}

/// The smaller or larger of two halves, by the rules of the single-precision one.
pub(crate) fn extreme(
    kind: Kind,
    how: super::float::Extreme,
    a: u16,
    b: u16,
    smaller: bool,
) -> u16 {
    let (a, b) = match how.flush {
        true => (kind.flush(a), kind.flush(b)),
        false => (a, b),
    };
    let plain = super::float::Extreme { flush: false, ..how };
    let (x, y) = (kind.widen(a).to_bits(), kind.widen(b).to_bits());
    let result = match smaller {
        true => super::float::minimum(plain, x, y),
        false => super::float::maximum(plain, x, y),
    };
    kind.narrow(result, Round::Nearest)
}

/// Both halves of `pair` with the signs of those of `signs`, NaN excepted.
pub(crate) fn with_signs(kind: Kind, pair: u32, signs: u32) -> u32 {
    let (pair, signs) = (pick(0, pair), pick(0, signs));
    let one = |at: usize| match pair[at] == kind.nan() {
        true => pair[at],
        false => pair[at] & 0x7fff | signs[at] & 0x8000,
    };
    pack([one(0), one(1)])
}

/// The comparison of two halves by a four-bit mask.
pub(crate) fn compare(kind: Kind, mask: u8, flush: bool, a: u16, b: u16) -> bool {
    let (a, b) = match flush {
        true => (kind.flush(a), kind.flush(b)),
        false => (a, b),
    };
    super::float::compare(mask, false, kind.widen(a).to_bits(), kind.widen(b).to_bits())
}

/// The choice of both halves crosswise, the high one with its sign changed: what the imaginary part of
/// one factor of a complex product is multiplied with.
pub(crate) const CROSSED: u8 = 4;

/// Which halves of a register a packed operand takes: both, the low one twice, the high one twice.
pub(crate) fn pick(choice: u8, x: u32) -> [u16; 2] {
    let (low, high) = (x as u16, (x >> 16) as u16);
    match choice {
        2 => [low, low],
        3 => [high, high],
        CROSSED => [high ^ 0x8000, low],
        _ => [low, high],
    }
}

/// Two halves in a register, low one first.
pub(crate) fn pack(halves: [u16; 2]) -> u32 {
    u32::from(halves[0]) | u32::from(halves[1]) << 16
}
