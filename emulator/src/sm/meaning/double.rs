//! Double precision.

use super::round::{F64, Round, fused};

/// The NaN that every double-precision operation yields.
pub(crate) const NAN: u64 = 0x7fff_ffff_ffff_ffff;

pub(crate) fn fuse(round: Round, a: u64, b: u64, c: u64) -> u64 {
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

pub(crate) fn multiply(round: Round, a: u64, b: u64) -> u64 {
    // Adding a zero of the product's sign changes nothing, the sign of a zero product included.
    fuse(round, a, b, (a ^ b) & 1 << 63)
}

/// `.MIN` and `.MAX` select by comparison; NaN operands lose.
pub(crate) fn compare(mask: u8, a: u64, b: u64) -> bool {
    super::compare(mask, f64::from_bits(a).partial_cmp(&f64::from_bits(b)))
}
