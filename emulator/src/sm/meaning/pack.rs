//! Two converted numbers in one register.

use super::Round;
use super::convert::{Float, Integer, narrow, to_integer};
use super::fp8::Small;
use super::half::Kind;
use super::round::{F32, TF32};

/// How two floats become two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BytePair {
    pub(crate) signed: bool,
    pub(crate) round: Round,
    pub(crate) nan_to_zero: bool,
}

/// How floats are packed into bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackBytes {
    /// The sources are the two halves of B instead of singles.
    pub(crate) halves: bool,
    pub(crate) finite: bool,
    pub(crate) relu: bool,
    /// The upper half of C stays, instead of the lower one becoming the upper.
    pub(crate) high: bool,
}

/// Two numbers of `bits` each, `high` above `low`, and above them `rest` or its upper half.
fn join(bits: u32, [high, low]: [u32; 2], rest: u32, upper: bool) -> u32 {
    let mask = (1u64 << bits) - 1;
    let rest = u64::from(if upper { rest >> 16 } else { rest });
    let pair = (u64::from(high) & mask) << bits | u64::from(low) & mask;
    (rest << (2 * bits) | pair) as u32
}

/// Saturates two signed words and packs them.
pub(crate) fn narrow_pair(to: Integer, a: u32, b: u32, rest: u32, upper: bool) -> u32 {
    join(to.bits, [a, b].map(|x| narrow(to, x)), rest, upper)
}

/// Turns two floats into bytes and packs them.
pub(crate) fn byte_pair(how: BytePair, a: u32, b: u32, rest: u32, upper: bool) -> u32 {
    let to = Integer { bits: 8, signed: how.signed };
    let one =
        |x: u32| to_integer(Float::F32, to, how.round, (false, how.nan_to_zero), x.into()) as u32;
    join(8, [a, b].map(one), rest, upper)
}

/// Two floats of eight bits made of singles or of the halves of the second source, and above them a half
/// of `rest`, or below them its upper one.
pub(crate) fn floats_to_bytes(to: Small, how: PackBytes, [a, b]: [u32; 2], rest: u32) -> u32 {
    let pair = match how.halves {
        true => [Kind::F16.widen((b >> 16) as u16), Kind::F16.widen(b as u16)],
        false => [f32::from_bits(a), f32::from_bits(b)],
    };
    let [high, low] = pair.map(|x| match how.relu && x.is_sign_negative() && !x.is_nan() {
        true => 0,
        false => to.narrow(x, how.finite),
    });
    let pair = high << 8 | low;
    match how.high {
        true => pair | rest & 0xffff_0000,
        false => pair | rest << 16,
    }
}

/// Two halves of the values of the two bytes of half a word.
pub(crate) fn bytes_to_halves(from: Small, relu: bool, x: u32, high: bool) -> u32 {
    let x = if high { x >> 16 } else { x };
    let one = |byte: u32| match from.widen(byte & 0xff) {
        half if relu && half & 0x8000 != 0 => 0,
        half => half,
    };
    one(x >> 8) << 16 | one(x)
}

/// A single with the fraction of TF32, its lower bits zero.
pub(crate) fn round_tf32(x: u32, zero: bool, relu: bool) -> u32 {
    let round = if zero { Round::Zero } else { Round::Nearest };
    let result = match F32.open(x.into()) {
        Some(exact) => (TF32.close(exact, round) as u32) << 13,
        None if x << 1 == 0xff00_0000 => x,
        None => 0x7fff_e000,
    };
    if relu && result >> 31 == 1 { 0 } else { result }
}
