//! The curves that the functions of the multi-function unit are read from.
//!
//! A curve is a row of parabolas over segments of equal width: the leading bits of the place pick a
//! segment, the last 17 are the offset into it. The square of the offset is one of the unit's
//! economies: of its partial products the lower half is never formed.

/// Bits after the point of a value.
pub(super) const POINT: u32 = 40;
/// Bits of an offset into a segment.
pub(super) const OFFSET_BITS: u32 = 17;

/// Bits after the point of the constants in the tables.
const CONSTANT_POINT: u32 = 26;
/// Partial products of a square below this bit are left out.
const SQUARE_CUT: u32 = 19;

pub(super) struct Curve {
    /// Added to every value, in units of 2^-40.
    pub(super) bias: i64,
    /// Of each segment the constant in units of 2^-26, the slope in units of 2^-40 for a step of the
    /// offset, and the curvature in units of 2^-40 for a unit of its `square`.
    pub(super) segments: &'static [[i32; 3]],
}

impl Curve {
    /// The value at a place, in units of 2^-40.
    pub(super) fn at(&self, place: u32) -> i64 {
        let offset = place & ((1 << OFFSET_BITS) - 1);
        let segment = self.segments[(place >> OFFSET_BITS) as usize];
        let [constant, slope, curvature] = segment.map(i64::from);
        (constant << (POINT - CONSTANT_POINT))
            + self.bias
            + slope * i64::from(offset)
            + curvature * i64::from(square(offset))
    }
}

/// The square of an offset, without the products of two of its bits that are below the cut.
fn square(x: u32) -> u32 {
    let row = |bit: u32| match x >> bit & 1 {
        0 => 0,
        _ => {
            // A pair of different bits comes twice: one product at the next higher place.
            let pairs = x & ((1 << bit) - 1) & (u32::MAX << (SQUARE_CUT - 1 - bit));
            (1 << (2 * bit)) + (u64::from(pairs) << (bit + 1))
        }
    };
    // Rows of lower bits are below the cut as a whole.
    let sum: u64 = (SQUARE_CUT.div_ceil(2)..OFFSET_BITS).map(row).sum();
    (sum >> SQUARE_CUT) as u32
}
