//! Double precision.

use super::round::{F64, Round, fused};

/// The NaN that comes of operands that are numbers.
pub(crate) const NAN: u64 = 0xfff8_0000_0000_0000;

/// A NaN operand as a result: its sign and payload stay, the bit that makes it quiet is set.
pub(crate) fn quiet(x: u64) -> u64 {
    x | 1 << 51
}

fn is_nan(x: u64) -> bool {
    f64::from_bits(x).is_nan()
}

/// The NaN operand that an operation passes on: the second before the third before the first.
fn passed(a: u64, b: u64, c: u64) -> Option<u64> {
    [b, c, a].into_iter().find(|x| is_nan(*x)).map(quiet)
}

pub(crate) fn fuse(round: Round, a: u64, b: u64, c: u64) -> u64 {
    if let Some(nan) = passed(a, b, c) {
        return nan;
    }
    match round {
        Round::Nearest => {
            let result = f64::from_bits(a).mul_add(f64::from_bits(b), f64::from_bits(c));
            if result.is_nan() { NAN } else { result.to_bits() }
        }
        round => fused(F64, a, b, c, round, NAN),
    }
}

pub(crate) fn add(round: Round, a: u64, b: u64) -> u64 {
    fuse(round, a, 1f64.to_bits(), b)
}

/// The addition of the memory's own units, which pass a NaN on as it is.
pub(crate) fn add_in_memory(old: u64, operand: u64) -> u64 {
    match [operand, old].into_iter().find(|x| is_nan(*x)) {
        Some(nan) => nan,
        None => add(Round::Nearest, old, operand),
    }
}

pub(crate) fn multiply(round: Round, a: u64, b: u64) -> u64 {
    // Adding a zero of the product's sign changes nothing, the sign of a zero product included.
    fuse(round, a, b, (a ^ b) & 1 << 63)
}

/// `.MIN` and `.MAX` select by comparison; NaN operands lose.
pub(crate) fn compare(mask: u8, a: u64, b: u64) -> bool {
    super::compare(mask, f64::from_bits(a).partial_cmp(&f64::from_bits(b)))
}
