//! Rounding of exact values: the one place where a wide result becomes a narrow format.

/// The four IEEE directions that instructions can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    /// To nearest, ties to even (`.RN`).
    Nearest,
    /// Toward minus infinity (`.RM`).
    Down,
    /// Toward plus infinity (`.RP`).
    Up,
    /// Toward zero (`.RZ`).
    Zero,
}

impl Round {
    /// The two-bit field 79:78.
    pub(crate) fn from_field(value: u64) -> Round {
        match value {
            0 => Round::Nearest,
            1 => Round::Down,
            2 => Round::Up,
            _ => Round::Zero,
        }
    }

    /// Whether a magnitude must grow by one unit, given what was cut off.
    fn away(self, negative: bool, odd: bool, guard: bool, sticky: bool) -> bool {
        match self {
            Round::Nearest => guard && (sticky || odd),
            Round::Zero => false,
            Round::Down => negative && (guard || sticky),
            Round::Up => !negative && (guard || sticky),
        }
    }
}

/// A binary interchange format: how many bits the exponent and the fraction have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) exponent: u32,
    pub(crate) fraction: u32,
}

pub(crate) const F16: Format = Format { exponent: 5, fraction: 10 };
pub(crate) const BF16: Format = Format { exponent: 8, fraction: 7 };
/// Four bits of exponent and three of fraction, and no infinity.
pub(crate) const E4M3: Format = Format { exponent: 4, fraction: 3 };
pub(crate) const E5M2: Format = Format { exponent: 5, fraction: 2 };
pub(crate) const TF32: Format = Format { exponent: 8, fraction: 10 };
pub(crate) const F32: Format = Format { exponent: 8, fraction: 23 };
pub(crate) const F64: Format = Format { exponent: 11, fraction: 52 };

/// A finite number `(-1)^negative * magnitude * 2^exponent`; `sticky` says that its true magnitude is a
/// little larger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exact {
    pub(crate) negative: bool,
    pub(crate) magnitude: u128,
    pub(crate) exponent: i32,
    pub(crate) sticky: bool,
}

impl Format {
    /// The exponent of the largest numbers.
    pub(crate) fn bias(self) -> i32 {
        (1 << (self.exponent - 1)) - 1
    }

    fn top(self) -> u64 {
        (1 << self.exponent) - 1
    }

    pub(crate) fn infinity(self) -> u64 {
        self.top() << self.fraction
    }

    /// The largest finite magnitude.
    pub(crate) fn largest(self) -> u64 {
        self.infinity() - 1
    }

    pub(crate) fn sign(self) -> u64 {
        1 << (self.exponent + self.fraction)
    }

    /// A number of this format taken apart; `None` for infinities and NaN.
    pub(crate) fn open(self, bits: u64) -> Option<Exact> {
        let exponent = bits >> self.fraction & self.top();
        let fraction = bits & ((1 << self.fraction) - 1);
        if exponent == self.top() {
            return None;
        }
        let (magnitude, biased) = match exponent {
            0 => (fraction, 1),
            e => (fraction | 1 << self.fraction, e as i32),
        };
        Some(Exact {
            negative: bits & self.sign() != 0,
            magnitude: magnitude.into(),
            exponent: biased - self.bias() - self.fraction as i32,
            sticky: false,
        })
    }

    /// The nearest number of this format in direction `round`.
    pub(crate) fn close(self, value: Exact, round: Round) -> u64 {
        let sign = if value.negative { self.sign() } else { 0 };
        if value.magnitude == 0 {
            return match value.sticky && round.away(value.negative, false, false, true) {
                true => sign | 1,
                false => sign,
            };
        }
        let length = 128 - value.magnitude.leading_zeros() as i32;
        // The exponent of the last kept bit: that of the fraction, or of the denormals.
        let last = (value.exponent + length - 1 - self.fraction as i32)
            .max(1 - self.bias() - self.fraction as i32);
        let drop = last - value.exponent;
        let (mut kept, guard, mut sticky) = if drop <= 0 {
            (value.magnitude << -drop, false, false)
        } else if drop > 128 {
            (0, false, true)
        } else {
            let kept = if drop == 128 { 0 } else { value.magnitude >> drop };
            let guard = value.magnitude >> (drop - 1) & 1 == 1;
            let below = value.magnitude & ((1u128 << (drop - 1)) - 1);
            (kept, guard, below != 0)
        };
        sticky |= value.sticky;
        if round.away(value.negative, kept & 1 == 1, guard, sticky) {
            kept += 1;
        }
        // `kept` is below 2 to the (fraction + 2): a carry moves into the exponent by itself.
        let biased = last + self.fraction as i32 + self.bias();
        let bits = if kept >> self.fraction == 0 {
            kept as u64
        } else {
            let field = (biased - 1) as u64;
            if field >= self.top() {
                return sign | self.overflow(value.negative, round);
            }
            (field << self.fraction) + kept as u64
        };
        if bits >= self.infinity() {
            return sign | self.overflow(value.negative, round);
        }
        sign | bits
    }

    /// What a magnitude beyond the largest number becomes.
    fn overflow(self, negative: bool, round: Round) -> u64 {
        let infinite = match round {
            Round::Nearest => true,
            Round::Zero => false,
            Round::Down => negative,
            Round::Up => !negative,
        };
        match infinite {
            true => self.infinity(),
            false => self.largest(),
        }
    }
}

impl Exact {
    /// `self * other`, exactly. The magnitudes must have at most 64 bits each.
    pub(crate) fn times(self, other: Exact) -> Exact {
        Exact {
            negative: self.negative != other.negative,
            magnitude: self.magnitude * other.magnitude,
            exponent: self.exponent + other.exponent,
            sticky: false,
        }
    }

    /// `self + other`, exact up to a sticky bit far below what any format keeps. A zero sum has the
    /// sign that `round` gives it. Magnitudes must have at most 110 bits.
    pub(crate) fn plus(self, other: Exact, round: Round) -> Exact {
        if self.magnitude == 0 && other.magnitude == 0 {
            let negative = match self.negative == other.negative {
                true => self.negative,
                false => round == Round::Down,
            };
            return Exact { negative, ..self };
        }
        if self.magnitude == 0 {
            return other;
        }
        if other.magnitude == 0 {
            return self;
        }
        let top = |x: &Exact| x.exponent + 127 - x.magnitude.leading_zeros() as i32;
        let (big, small) = match top(&self) >= top(&other) {
            true => (self, other),
            false => (other, self),
        };
        // Bring the larger to 2^125 so that the sum cannot overflow, then align the smaller to it.
        let up = big.magnitude.leading_zeros() as i32 - 2;
        let (magnitude, exponent) = match up >= 0 {
            true => (big.magnitude << up, big.exponent - up),
            false => (big.magnitude, big.exponent),
        };
        let shift = small.exponent - exponent;
        let (aligned, lost) = if shift >= 0 {
            (small.magnitude << shift, false)
        } else if shift <= -128 {
            (0, true)
        } else {
            let down = -shift;
            (small.magnitude >> down, small.magnitude & ((1u128 << down) - 1) != 0)
        };
        if big.negative == small.negative {
            return Exact {
                negative: big.negative,
                magnitude: magnitude + aligned,
                exponent,
                sticky: lost,
            };
        }
        if aligned > magnitude {
            // Both reach the same power of two, and the other one is larger. Nothing was lost then.
            return Exact {
                negative: small.negative,
                magnitude: aligned - magnitude,
                exponent,
                sticky: false,
            };
        }
        // What is lost below is taken away from the difference: borrow one and keep the rest sticky.
        let difference = magnitude - aligned - u128::from(lost);
        if difference == 0 && !lost {
            return Exact { negative: round == Round::Down, magnitude: 0, exponent, sticky: false };
        }
        Exact { negative: big.negative, magnitude: difference, exponent, sticky: lost }
    }
}

/// `a * b + c` in `format`, rounded once. NaN and infinities by the rules that silicon follows: any NaN
/// gives `nan`.
pub(crate) fn fused(format: Format, a: u64, b: u64, c: u64, round: Round, nan: u64) -> u64 {
    let magnitude = |x: u64| x & !format.sign();
    let infinity = format.infinity();
    if [a, b, c].iter().any(|x| magnitude(*x) > infinity) {
        return nan;
    }
    let negative = (a ^ b) & format.sign();
    if magnitude(a) == infinity || magnitude(b) == infinity {
        let zero = magnitude(a) == 0 || magnitude(b) == 0;
        let cancels = magnitude(c) == infinity && c & format.sign() != negative;
        return if zero || cancels { nan } else { negative | infinity };
    }
    let (Some(x), Some(y), Some(z)) = (format.open(a), format.open(b), format.open(c)) else {
        return c;
    };
    format.close(x.times(y).plus(z, round), round)
}
