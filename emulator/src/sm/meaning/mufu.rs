//! The multi-function unit.
//!
//! Silicon approximates with tables. Here each function is correctly rounded (or as close as the host's
//! double-precision library brings it, which is far below one unit in the last place of a single); a
//! bit-exact table belongs in this file and nowhere else.

use super::float::{self, NAN};

/// The functions, in the order of their field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Cos,
    Sin,
    Exp2,
    Log2,
    Reciprocal,
    ReciprocalRoot,
    /// The upper word of an approximate double-precision reciprocal.
    Reciprocal64,
    /// The upper word of an approximate double-precision reciprocal square root.
    ReciprocalRoot64,
    Root,
    Tanh,
}

impl Function {
    pub(crate) fn from_field(value: u64) -> Function {
        use Function::*;
        [
            Cos,
            Sin,
            Exp2,
            Log2,
            Reciprocal,
            ReciprocalRoot,
            Reciprocal64,
            ReciprocalRoot64,
            Root,
            Tanh,
        ][value as usize]
    }
}

/// The function of a single-precision number (or of the upper word of a double). Angles are in turns.
/// Denormal inputs count as zeros, denormal results become zeros.
pub(crate) fn apply(function: Function, x: u32) -> u32 {
    use Function::*;
    match function {
        Reciprocal64 => return upper(x, |v| 1.0 / v),
        ReciprocalRoot64 => return upper(x, |v| 1.0 / v.sqrt()),
        _ => {}
    }
    if function == Tanh && x & 0x7f80_0000 == 0 {
        // Denormals are their own tangents.
        return x;
    }
    let v = f64::from(f32::from_bits(float::flush(x)));
    let turns = |f: fn(f64) -> f64| match v.is_finite() {
        // Whole turns drop out exactly.
        true => f((v - v.trunc()) * std::f64::consts::TAU),
        false => f64::NAN,
    };
    let result = match function {
        Cos => turns(f64::cos),
        Sin => turns(f64::sin),
        Exp2 => v.exp2(),
        Log2 => v.log2(),
        Reciprocal => 1.0 / v,
        ReciprocalRoot => 1.0 / v.sqrt(),
        Root => v.sqrt(),
        _ => v.tanh(),
    };
    match result.is_nan() {
        true => NAN,
        // The zeros of the sine have the sign of the angle.
        false if function == Sin && result == 0.0 => x & 0x8000_0000,
        false => float::flush((result as f32).to_bits()),
    }
}

/// Twenty mantissa bits of a double-precision function, of the upper word of its argument.
fn upper(x: u32, f: impl Fn(f64) -> f64) -> u32 {
    // Denormal doubles count as zeros.
    let x = if x & 0x7ff0_0000 == 0 { x & 0x8000_0000 } else { x };
    let result = f(f64::from_bits(u64::from(x) << 32));
    match result.is_nan() {
        true => 0x7fff_ffff,
        false => {
            let bits = (result.to_bits() >> 32) as u32;
            if bits & 0x7ff0_0000 == 0 { bits & 0x8000_0000 } else { bits }
        }
    }
}
