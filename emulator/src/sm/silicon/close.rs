//! How close the functions that silicon approximates are: the bounds were measured on an H200.

use super::Check;
use crate::sm::meaning::half::Kind;

/// How far two results of a word are apart, in units of the stated bound: 1 is as far as can be.
///
/// Reciprocals and roots differ by one unit in the last place at most, powers of two by two. Sines and
/// cosines differ by 2^-21, hyperbolic tangents by 2^-16, logarithms by 2^-22 or two units in the last
/// place. In halves each differs by one unit in the last place, or by as much as in singles.
pub fn distance(check: &Check, silicon: u32, model: u32) -> f64 {
    if silicon == model {
        return 0.0;
    }
    let (function, format) = (check.word() >> 74 & 15, check.word() >> 72 & 3);
    let (units, absolute) = match function {
        0 | 1 => (1.0, 2f64.powi(-21)),
        2 => (2.0, 0.0),
        3 => (2.0, 2f64.powi(-22)),
        9 => (1.0, 2f64.powi(-16)),
        _ => (1.0, 0.0),
    };
    let (bits, units, value): (u32, f64, fn(u32) -> f64) = match format {
        0 => (31, units, |x| f32::from_bits(x).into()),
        1 => (15, 1.0, |x| Kind::F16.widen(x as u16).into()),
        _ => (15, 1.0, |x| Kind::Bf16.widen(x as u16).into()),
    };
    let magnitude = |x: u32| f64::from(x & ((1 << bits) - 1));
    let apart = match (silicon ^ model) >> bits & 1 {
        0 => (magnitude(silicon) - magnitude(model)).abs(),
        _ => magnitude(silicon) + magnitude(model),
    };
    let far = (value(silicon) - value(model)).abs();
    // What is no number is never near by value.
    match absolute > 0.0 && far <= absolute {
        true => far / absolute,
        false => apart / units,
    }
}
