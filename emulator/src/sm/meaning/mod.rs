//! What each instruction computes: pure functions of the values of one lane (of a whole warp for the
//! tensor cores). No registers, no memory, no state.

pub(crate) mod convert;
pub(crate) mod double;
pub(crate) mod float;
pub(crate) mod floating;
pub(crate) mod fp8;
pub(crate) mod half;
pub(crate) mod integer;
pub(crate) mod mbarrier;
pub(crate) mod mufu;
pub(crate) mod pack;
pub(crate) mod round;
pub(crate) mod sparse;
pub(crate) mod tensor;

pub(crate) use round::Round;

/// A four-bit floating comparison: less, equal, greater, unordered, each bit one case that holds.
pub(crate) fn compare(mask: u8, ordering: Option<std::cmp::Ordering>) -> bool {
    use std::cmp::Ordering::*;
    let case = match ordering {
        Some(Less) => 1,
        Some(Equal) => 2,
        Some(Greater) => 4,
        None => 8,
    };
    mask & case != 0
}

/// How a comparison is combined with a predicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Combine {
    And,
    Or,
    Xor,
}

impl Combine {
    /// Lane masks combined.
    #[inline(always)]
    pub(crate) fn masks(self, a: u32, b: u32) -> u32 {
        match self {
            Combine::And => a & b,
            Combine::Or => a | b,
            Combine::Xor => a ^ b,
        }
    }
}
