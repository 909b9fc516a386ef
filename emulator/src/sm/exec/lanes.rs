//! Sources read and results stored in all 32 lanes at once, in loops that the compiler turns into a few vector
//! instructions.
//!
//! Rows are copied out of the register file before the loop over them. The copies vanish; through references the
//! compiler would have to find out first, each time, that the result lies nowhere near.

use super::block::Shared;
use super::fault::Step;
use super::memory;
use super::run::Flow;
use super::warp::Warp;
use crate::sm::op::*;

/// The sign handling of a float source: bits to keep, bits to flip.
#[inline(always)]
pub(crate) fn float_mods(s: Src) -> (u32, u32) {
    (if s.abs { 0x7fff_ffff } else { u32::MAX }, if s.neg { 0x8000_0000 } else { 0 })
}

#[inline(always)]
pub(super) fn is_zero(s: Src) -> bool {
    s.from == From::Reg && s.index == ZERO as u8
}

/// Whether a source is this number.
pub(super) fn is_number(s: Src, number: u32) -> bool {
    s.from == From::Imm && s.value == number
}

/// The value of a source that is the same in all lanes.
#[inline(always)]
pub(crate) fn scalar(w: &Warp, e: &Shared, s: Src) -> Step<u32> {
    match s.from {
        From::Imm | From::Reg => Ok(s.value),
        From::Ureg => Ok(w.uregs[s.index as usize & 63]),
        From::Const => memory::constant(e, s.index, s.value as usize),
    }
}

/// Whether all sources are registers: most are, and code that knows it has little to do before its loop.
#[inline(always)]
pub(super) fn registers<const N: usize>(sources: [Src; N]) -> bool {
    sources.iter().all(|source| source.from == From::Reg)
}

/// The row of a source; what is no register is spread over the `nth` scratch row first.
#[inline(always)]
pub(crate) fn row(w: &mut Warp, e: &Shared, s: Src, nth: u16) -> Step<usize> {
    if s.from == From::Reg {
        return Ok(s.index as usize);
    }
    let value = scalar(w, e, s)?;
    let at = (SCRATCH + nth) as usize;
    w.regs[at] = [value; 32];
    Ok(at)
}

#[inline(always)]
pub(crate) fn map1(
    w: &mut Warp,
    e: &Shared,
    exec: u32,
    d: u16,
    b: Src,
    f: impl Fn(u32) -> u32,
) -> Step<Flow> {
    let b = row(w, e, b, 0)?;
    let mut out = [0; 32];
    let x = w.regs[b];
    for lane in 0..32 {
        out[lane] = f(x[lane]);
    }
    w.write(d, exec, &out);
    Ok(Flow::Next)
}

#[inline(always)]
pub(crate) fn map2(
    w: &mut Warp,
    e: &Shared,
    exec: u32,
    d: u16,
    [a, b]: [Src; 2],
    f: impl Fn(u32, u32) -> u32,
) -> Step<Flow> {
    let (a, b) = (row(w, e, a, 0)?, row(w, e, b, 1)?);
    let mut out = [0; 32];
    let (x, y) = (w.regs[a], w.regs[b]);
    for lane in 0..32 {
        out[lane] = f(x[lane], y[lane]);
    }
    w.write(d, exec, &out);
    Ok(Flow::Next)
}

#[inline(always)]
pub(crate) fn map3(
    w: &mut Warp,
    e: &Shared,
    exec: u32,
    d: u16,
    [a, b, c]: [Src; 3],
    f: impl Fn(u32, u32, u32) -> u32,
) -> Step<Flow> {
    let (a, b, c) = (row(w, e, a, 0)?, row(w, e, b, 1)?, row(w, e, c, 2)?);
    let mut out = [0; 32];
    let (x, y, z) = (w.regs[a], w.regs[b], w.regs[c]);
    for lane in 0..32 {
        out[lane] = f(x[lane], y[lane], z[lane]);
    }
    w.write(d, exec, &out);
    Ok(Flow::Next)
}

/// The lanes in which a comparison of two rows holds.
#[inline(always)]
pub(crate) fn holds(
    w: &mut Warp,
    e: &Shared,
    [a, b]: [Src; 2],
    f: impl Fn(u32, u32) -> bool,
) -> Step<u32> {
    let (a, b) = (row(w, e, a, 0)?, row(w, e, b, 1)?);
    let (x, y) = (w.regs[a], w.regs[b]);
    let mut mask = 0;
    for lane in 0..32 {
        mask |= u32::from(f(x[lane], y[lane])) << lane;
    }
    Ok(mask)
}

/// Stores both results of a set-predicate instruction.
#[inline(always)]
pub(crate) fn set_both(w: &mut Warp, exec: u32, compare: Compare, mask: u32) {
    let with = w.mask(compare.with);
    w.set_pred(compare.p, exec, compare.combine.masks(mask, with));
    w.set_pred(compare.q, exec, compare.combine.masks(!mask, with));
}

/// A function of one source and a number of each lane's own.
#[inline(always)]
pub(super) fn map1_with(
    w: &mut Warp,
    e: &Shared,
    exec: u32,
    d: u16,
    b: Src,
    with: &[u32; 32],
    f: impl Fn(u32, u32) -> u32,
) -> Step<Flow> {
    let b = row(w, e, b, 0)?;
    let x = w.regs[b];
    let mut out = [0; 32];
    for lane in 0..32 {
        out[lane] = f(x[lane], with[lane]);
    }
    w.write(d, exec, &out);
    Ok(Flow::Next)
}

/// The same of two sources.
#[inline(always)]
pub(super) fn map2_with(
    w: &mut Warp,
    e: &Shared,
    exec: u32,
    d: u16,
    [a, b]: [Src; 2],
    with: &[u32; 32],
    f: impl Fn(u32, u32, u32) -> u32,
) -> Step<Flow> {
    let (a, b) = (row(w, e, a, 0)?, row(w, e, b, 1)?);
    let (x, y) = (w.regs[a], w.regs[b]);
    let mut out = [0; 32];
    for lane in 0..32 {
        out[lane] = f(x[lane], y[lane], with[lane]);
    }
    w.write(d, exec, &out);
    Ok(Flow::Next)
}

/// The same of three.
#[inline(always)]
pub(super) fn map3_with(
    w: &mut Warp,
    e: &Shared,
    exec: u32,
    d: u16,
    [a, b, c]: [Src; 3],
    with: &[u32; 32],
    f: impl Fn(u32, u32, u32, u32) -> u32,
) -> Step<Flow> {
    let (a, b, c) = (row(w, e, a, 0)?, row(w, e, b, 1)?, row(w, e, c, 2)?);
    let mut out = [0; 32];
    let (x, y, z) = (w.regs[a], w.regs[b], w.regs[c]);
    for lane in 0..32 {
        out[lane] = f(x[lane], y[lane], z[lane], with[lane]);
    }
    w.write(d, exec, &out);
    Ok(Flow::Next)
}

/// A function whose denormal results are flushed. What is flushed is decided before rounding: where the
/// result is the least normal number, `exact` has the say.
#[inline(always)]
pub(super) fn map_flushed<const N: usize>(
    (w, e, exec, d): (&mut Warp, &Shared, u32, u16),
    sources: [Src; N],
    f: impl Fn([u32; N]) -> u32,
    exact: impl Fn([u32; N]) -> u32,
) -> Step<Flow> {
    let mut rows = [[0; 32]; N];
    for (nth, source) in sources.into_iter().enumerate() {
        let at = row(w, e, source, nth as u16)?;
        rows[nth] = w.regs[at];
    }
    let mut out = [0; 32];
    let mut least = 0;
    for lane in 0..32 {
        out[lane] = f(rows.map(|row| row[lane]));
        least |= u32::from(out[lane] & 0x7fff_ffff == 0x0080_0000);
    }
    if least != 0 {
        for lane in 0..32 {
            out[lane] = exact(rows.map(|row| row[lane]));
        }
    }
    w.write(d, exec, &out);
    Ok(Flow::Next)
}

/// One in the lanes of a mask, else zero.
#[inline(always)]
pub(super) fn spread(mask: u32) -> [u32; 32] {
    let mut out = [0; 32];
    for (lane, one) in out.iter_mut().enumerate() {
        *one = mask >> lane & 1;
    }
    out
}
