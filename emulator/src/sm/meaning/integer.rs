//! Integers: 32-bit lanes, with carries as the hardware chains them.

/// Three-input bitwise function by truth table (a = f0, b = cc, c = aa).
#[inline(always)]
pub(crate) fn lop3(table: u8, a: u32, b: u32, c: u32) -> u32 {
    let mut result = 0;
    let mut row = 0;
    while row < 8 {
        if table >> row & 1 == 1 {
            let x = if row & 4 != 0 { a } else { !a };
            let y = if row & 2 != 0 { b } else { !b };
            let z = if row & 1 != 0 { c } else { !c };
            result |= x & y & z;
        }
        row += 1;
    }
    result
}

/// A three-input sum with its two carries: the sum reached 2^32, and 2^33.
#[inline(always)]
pub(crate) fn add3(a: u32, b: u32, c: u32, carry: u32, negated: [bool; 3]) -> (u32, bool, bool) {
    // A subtracted source is its complement plus one, in wide arithmetic: a carry means "no borrow".
    let one = |x: u32, n: bool| if n { u64::from(!x) + 1 } else { x.into() };
    let sum = one(a, negated[0]) + one(b, negated[1]) + one(c, negated[2]) + u64::from(carry);
    (sum as u32, sum >> 32 >= 1, sum >> 32 >= 2)
}

/// The extended sum: negated sources are complemented and both carry-ins are added.
#[inline(always)]
pub(crate) fn add3_extended(
    a: u32,
    b: u32,
    c: u32,
    carry: u32,
    negated: [bool; 3],
) -> (u32, bool, bool) {
    let one = |x: u32, n: bool| u64::from(if n { !x } else { x });
    let sum = one(a, negated[0]) + one(b, negated[1]) + one(c, negated[2]) + u64::from(carry);
    (sum as u32, sum >> 32 >= 1, sum >> 32 >= 2)
}

/// The 64-bit product of two words.
#[inline(always)]
pub(crate) fn product(signed: bool, a: u32, b: u32) -> u64 {
    match signed {
        true => (i64::from(a as i32) * i64::from(b as i32)) as u64,
        false => u64::from(a) * u64::from(b),
    }
}

/// `a * b + c` in 64 bits, with the carry out of the unsigned sum.
pub(crate) fn multiply_wide(signed: bool, a: u32, b: u32, c: u64, carry: bool) -> (u64, bool) {
    let sum = u128::from(product(signed, a, b)) + u128::from(c) + u128::from(carry);
    (sum as u64, sum >> 64 != 0)
}

/// How the four products of a dot product are formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dot {
    /// Two 16-bit by 8-bit products of the low (false) or high pair instead of four of bytes.
    pub(crate) pairs: Option<bool>,
    pub(crate) a_signed: bool,
    pub(crate) b_signed: bool,
}

#[inline(always)]
fn byte(x: u32, at: u32, signed: bool) -> i32 {
    let bits = x >> (8 * at);
    if signed { i32::from(bits as i8) } else { i32::from(bits as u8) }
}

/// Four signed byte products and an accumulator.
#[inline(always)]
pub(crate) fn dot4_signed(a: u32, b: u32, c: u32) -> u32 {
    let term = |at| byte(a, at, true) * byte(b, at, true);
    c.wrapping_add((term(0) + term(1) + term(2) + term(3)) as u32)
}

/// Any dot product of small integers.
pub(crate) fn dot(how: Dot, a: u32, b: u32, c: u32) -> u32 {
    let sum = match how.pairs {
        None => (0..4).fold(0i32, |sum, at| {
            sum.wrapping_add(byte(a, at, how.a_signed) * byte(b, at, how.b_signed))
        }),
        Some(high) => (0..2).fold(0i32, |sum, at| {
            let bits = a >> (16 * at);
            let word = if how.a_signed { i32::from(bits as i16) } else { i32::from(bits as u16) };
            let other = byte(b, at + if high { 2 } else { 0 }, how.b_signed);
            sum.wrapping_add(word.wrapping_mul(other))
        }),
    };
    c.wrapping_add(sum as u32)
}

/// A funnel shift: `{high:low}` by `amount`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Funnel {
    pub(crate) right: bool,
    pub(crate) wrap: bool,
    pub(crate) wide: bool,
    pub(crate) signed: bool,
    /// The upper word of the result is wanted.
    pub(crate) high: bool,
}

#[inline(always)]
pub(crate) fn funnel(how: Funnel, low: u32, amount: u32, high: u32) -> u32 {
    let width = if how.wide { 64 } else { 32 };
    let amount = match how.wrap {
        true => amount & (width - 1),
        false => amount.min(width),
    };
    let value = u64::from(high) << 32 | u64::from(low);
    let shifted = match (how.right, how.signed) {
        (false, _) => value.checked_shl(amount).unwrap_or(0),
        (true, false) => match amount {
            64 => 0,
            n if !how.wide => {
                // A 32-bit shift right still funnels the upper word in for the lower one.
                let upper = u64::from(high.checked_shr(n).unwrap_or(0));
                upper << 32 | value >> n & 0xffff_ffff
            }
            n => value >> n,
        },
        (true, true) => ((value as i64) >> amount.min(63)) as u64,
    };
    if how.high { (shifted >> 32) as u32 } else { shifted as u32 }
}

/// Byte permutation of `{b:a}`.
#[inline(always)]
pub(crate) fn permute(mode: u8, a: u32, selector: u32, b: u32) -> u32 {
    let bytes = u64::from(b) << 32 | u64::from(a);
    let pick = |at: u32| (bytes >> (8 * (at & 7))) as u32 & 0xff;
    let n = selector & 3;
    let choose: [u32; 4] = match mode {
        0 => {
            let mut result = 0;
            for at in 0..4 {
                let nibble = selector >> (4 * at) & 15;
                let byte = pick(nibble);
                // The fourth bit replicates the sign of the chosen byte.
                let byte = match nibble & 8 != 0 {
                    true => (byte >> 7) * 0xff,
                    false => byte,
                };
                result |= byte << (8 * at);
            }
            return result;
        }
        1 => [n, n + 1, n + 2, n + 3],
        2 => [n, n.wrapping_sub(1), n.wrapping_sub(2), n.wrapping_sub(3)],
        3 => [n, n, n, n],
        4 => [n, n.max(1), n.max(2), 3],
        5 => [0, n.min(1), n.min(2), n],
        _ => {
            let half = selector & 1;
            [half * 2, half * 2 + 1, half * 2, half * 2 + 1]
        }
    };
    choose.iter().rev().fold(0, |word, at| word << 8 | pick(*at))
}

/// The position of the highest set bit (of the highest bit that differs from the sign).
pub(crate) fn find_leading(signed: bool, from_top: bool, x: u32) -> u32 {
    let x = if signed && x >> 31 == 1 { !x } else { x };
    match (x.leading_zeros(), from_top) {
        (32, _) => u32::MAX,
        (zeros, true) => zeros,
        (zeros, false) => 31 - zeros,
    }
}

/// Sign or zero extension from `width` bits.
pub(crate) fn extend(signed: bool, wrap: bool, x: u32, width: u32) -> u32 {
    let width = if wrap { width & 31 } else { width.min(32) };
    match (width, signed) {
        (0, _) => 0,
        (32, _) => x,
        (n, true) => ((x << (32 - n)) as i32 >> (32 - n)) as u32,
        (n, false) => x & ((1 << n) - 1),
    }
}

/// A mask of `width` bits from `position` on.
pub(crate) fn bit_mask(wrap: bool, position: u32, width: u32) -> u32 {
    let (position, width) = match wrap {
        true => (position & 31, width & 31),
        false => (position.min(32), width.min(32)),
    };
    let ones = ((1u64 << width) - 1) as u32;
    ones.checked_shl(position).unwrap_or(0)
}

/// A three-bit comparison: less, equal, greater.
#[inline(always)]
pub(crate) fn compare(mask: u8, signed: bool, a: u32, b: u32) -> bool {
    // Flipping the sign bit turns the signed order into the unsigned one.
    let flip = if signed { 0x8000_0000 } else { 0 };
    let (a, b) = (a ^ flip, b ^ flip);
    (mask & 1 != 0 && a < b) | (mask & 2 != 0 && a == b) | (mask & 4 != 0 && a > b)
}

/// The comparison of the upper words of 64-bit numbers, `low` being that of the lower words.
#[inline(always)]
pub(crate) fn compare_extended(mask: u8, signed: bool, low: bool, a: u32, b: u32) -> bool {
    match a == b {
        // Equality needs both words; inequality and order are decided by the lower words.
        true => low && mask != 0,
        false => compare(mask & 5, signed, a, b),
    }
}

/// The shifted-and-added address forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lea {
    pub(crate) shift: u32,
    pub(crate) high: bool,
    /// The shifted value is the sign extension of `a` instead of `{c:a}`.
    pub(crate) sign_extended: bool,
    pub(crate) negate_a: bool,
    pub(crate) negate_b: bool,
    pub(crate) extended: bool,
}

/// `(a << shift) + b` and its carry.
#[inline(always)]
pub(crate) fn lea(how: Lea, a: u32, b: u32, c: u32, carry: bool) -> (u32, bool) {
    let shifted = if how.high {
        let high = if how.sign_extended { (a as i32 >> 31) as u32 } else { c };
        let value = u64::from(high) << 32 | u64::from(a);
        ((value << how.shift) >> 32) as u32
    } else {
        a << how.shift
    };
    let negated = [how.negate_a, how.negate_b, false];
    let (sum, carry, _) = match how.extended {
        true => add3_extended(shifted, b, 0, carry.into(), negated),
        false => add3(shifted, b, 0, 0, negated),
    };
    (sum, carry)
}

/// The sum of absolute differences of words, and its carry.
pub(crate) fn difference(signed: bool, a: u32, b: u32, c: u32) -> (u32, bool) {
    let distance = match signed {
        true => (a as i32).abs_diff(b as i32),
        false => a.abs_diff(b),
    };
    distance.overflowing_add(c)
}

/// Absolute differences of four bytes, in place or summed with a carry.
pub(crate) fn difference4(signed: bool, accumulate: bool, a: u32, b: u32, c: u32) -> (u32, bool) {
    let distance = |at| byte(a, at, signed).abs_diff(byte(b, at, signed));
    match accumulate {
        true => c.overflowing_add((0..4).map(distance).sum()),
        false => ((0..4).fold(0, |word, at| word | (distance(at) & 0xff) << (8 * at)), false),
    }
}

/// How minimum, maximum and packed additions treat a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lanes {
    /// Two 16-bit halves instead of one word.
    pub(crate) pairs: bool,
    pub(crate) signed: bool,
    /// Negative results become zero.
    pub(crate) relu: bool,
}

impl Lanes {
    fn each(self, a: u32, b: u32, f: impl Fn(i64, i64) -> i64) -> u32 {
        let take = |x: u32| match (self.pairs, self.signed) {
            (true, true) => i64::from(x as i16),
            (true, false) => i64::from(x as u16),
            (false, true) => i64::from(x as i32),
            (false, false) => i64::from(x),
        };
        let one = |a, b| {
            let result = f(take(a), take(b));
            if self.relu { result.max(0) } else { result }
        };
        match self.pairs {
            true => one(a, b) as u32 & 0xffff | (one(a >> 16, b >> 16) as u32) << 16,
            false => one(a, b) as u32,
        }
    }

    pub(crate) fn minimum(self, a: u32, b: u32) -> u32 {
        self.each(a, b, i64::min)
    }

    pub(crate) fn maximum(self, a: u32, b: u32) -> u32 {
        self.each(a, b, i64::max)
    }

    /// Wrapping addition per lane.
    pub(crate) fn add(self, a: u32, b: u32) -> u32 {
        Lanes { relu: false, ..self }.each(a, b, |x, y| x + y)
    }
}

/// The atomic operations on integers: the new value in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Atomic {
    Add,
    Min,
    Max,
    /// Up to and including the operand, then zero.
    Increment,
    /// Down from the operand; above it or at zero, the operand.
    Decrement,
    And,
    Or,
    Xor,
    Exchange,
}

impl Atomic {
    pub(crate) fn from_field(value: u64) -> Atomic {
        use Atomic::*;
        match value {
            0 => Add,
            1 => Min,
            2 => Max,
            3 => Increment,
            4 => Decrement,
            5 => And,
            6 => Or,
            7 => Xor,
            _ => Exchange,
        }
    }

    pub(crate) fn apply(self, signed: bool, old: u64, operand: u64) -> u64 {
        let less = match signed {
            true => (operand as i64) < old as i64,
            false => operand < old,
        };
        match self {
            Atomic::Add => old.wrapping_add(operand),
            Atomic::Min => {
                if less {
                    operand
                } else {
                    old
                }
            }
            Atomic::Max => {
                if less {
                    old
                } else {
                    operand
                }
            }
            Atomic::Increment => {
                if old >= operand {
                    0
                } else {
                    old + 1
                }
            }
            Atomic::Decrement => {
                if old == 0 || old > operand {
                    operand
                } else {
                    old - 1
                }
            }
            Atomic::And => old & operand,
            Atomic::Or => old | operand,
            Atomic::Xor => old ^ operand,
            Atomic::Exchange => operand,
        }
    }
}
