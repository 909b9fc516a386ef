//! The instructions that are not worth a vector loop of their own: one lane after the other.

use super::block::Shared;
use super::code::{Code, code};
use super::fault::{FaultKind, Step, trap};
use super::lanes::{float_mods, holds, map1, map2, map3, row, scalar, set_both};
use super::run::Flow;
use super::warp::Warp;
use super::{across, control, group, memory, packed, tensor, uniform};
use crate::sm::meaning::convert::{self, Float};
use crate::sm::meaning::{compare, double, float, half, integer, mufu, pack};
use crate::sm::op::*;

/// The value of a 64-bit source that is the same in all lanes. An immediate is the upper word.
pub(crate) fn scalar64(w: &Warp, e: &Shared, s: Src) -> Step<u64> {
    Ok(match s.from {
        From::Imm => u64::from(s.value) << 32,
        From::Ureg => w.upair(s.index & 63),
        From::Const => {
            let low = memory::constant(e, s.index, s.value as usize)?;
            let high = memory::constant(e, s.index, s.value as usize + 4)?;
            u64::from(low) | u64::from(high) << 32
        }
        From::Reg => 0,
    })
}

/// A 64-bit source in every lane.
#[inline(always)]
fn wide(w: &Warp, e: &Shared, s: Src) -> Step<[u64; 32]> {
    match s.from {
        From::Reg => Ok(std::array::from_fn(|lane| w.pair(s.index.into(), lane))),
        _ => Ok([scalar64(w, e, s)?; 32]),
    }
}

/// The same with the sign handling of doubles, which leaves alone what is no number.
#[inline(always)]
fn wide_float(w: &Warp, e: &Shared, s: Src) -> Step<[u64; 32]> {
    let keep = if s.abs { u64::MAX >> 1 } else { u64::MAX };
    let flip = if s.neg { 1 << 63 } else { 0 };
    let change = |x: u64| if f64::from_bits(x).is_nan() { x } else { x & keep ^ flip };
    Ok(wide(w, e, s)?.map(change))
}

#[inline(always)]
fn write_wide(w: &mut Warp, d: u16, exec: u32, values: &[u64; 32]) -> Flow {
    for (lane, value) in values.iter().enumerate() {
        if exec >> lane & 1 == 1 {
            w.set_pair(d, lane, *value);
        }
    }
    Flow::Next
}

/// The code of any instruction: of the room that knows it.
pub(super) fn choose(op: &Op) -> Code {
    match op {
        Op::Illegal => code!(|w, e, _exec, _inst| match e.program.illegal(w.now.pc as usize) {
            Some(why) => trap(FaultKind::IllegalInstruction(why)),
            None => trap(FaultKind::OutsideCode),
        }),
        Op::Fence => code!(|_w, _e, _exec, _inst| {
            std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
            Ok(Flow::Next)
        }),
        Op::Uniform(_) => code!(|w, e, _exec, Op::Uniform(op)| uniform::step(w, e, op)),
        Op::Load { .. }
        | Op::Store { .. }
        | Op::Atom { .. }
        | Op::AtomWide { .. }
        | Op::CopyAsync { .. }
        | Op::Signal { .. }
        | Op::Bulk { .. }
        | Op::QuerySpace { .. }
        | Op::PhaseCheck { .. }
        | Op::ExchangeUniform { .. }
        | Op::Ldc { .. }
        | Op::Uldc { .. } => code!(|w, e, exec, inst| memory::step(w, e, &inst.op, exec)),
        Op::Hmma { .. }
        | Op::Imma { .. }
        | Op::Bmma { .. }
        | Op::Dmma { .. }
        | Op::Sparse { .. }
        | Op::Stsm { .. }
        | Op::Ldsm { .. }
        | Op::Movm { .. } => code!(|w, e, exec, inst| tensor::step(w, e, &inst.op, exec)),
        Op::Group(_) => {
            code!(|w, e, exec, Op::Group(group)| group::multiply(w, e, group, exec))
        }
        Op::HAdd { .. }
        | Op::HMul { .. }
        | Op::HFma { .. }
        | Op::HSet { .. }
        | Op::HSetP { .. }
        | Op::HMnMx { .. }
        | Op::Pack { .. } => code!(|w, e, exec, inst| packed::step(w, e, &inst.op, exec)),
        Op::Vote { .. }
        | Op::VoteU { .. }
        | Op::Match { .. }
        | Op::Redux { .. }
        | Op::Elect { .. }
        | Op::RegToUreg { .. }
        | Op::Shfl { .. } => code!(|w, e, exec, inst| across::step(w, e, &inst.op, exec)),
        Op::FAdd { .. }
        | Op::FMul { .. }
        | Op::FFma { .. }
        | Op::FMnMx { .. }
        | Op::FSel { .. }
        | Op::FSet { .. }
        | Op::FSetP { .. }
        | Op::Fchk { .. }
        | Op::Mufu { .. } => code!(|w, e, exec, inst| single(w, e, &inst.op, exec)),
        Op::DFma { .. } | Op::DAdd { .. } | Op::DMul { .. } | Op::DSetP { .. } => {
            code!(|w, e, exec, inst| doubles(w, e, &inst.op, exec))
        }
        Op::FromInteger { .. }
        | Op::ToInteger { .. }
        | Op::Refloat { .. }
        | Op::RoundIntegral { .. }
        | Op::Narrow { .. } => code!(|w, e, exec, inst| conversion(w, e, &inst.op, exec)),
        Op::IMadWide { .. }
        | Op::IMadHigh { .. }
        | Op::Dot { .. }
        | Op::Plop3 { .. }
        | Op::PlopSign { .. }
        | Op::NarrowPair { .. }
        | Op::BytePair { .. }
        | Op::PackBytes { .. }
        | Op::UnpackBytes { .. }
        | Op::RoundTf32 { .. }
        | Op::Abs { .. }
        | Op::Difference { .. }
        | Op::Difference4 { .. }
        | Op::Permute { .. }
        | Op::Extreme { .. }
        | Op::Extreme3 { .. }
        | Op::AddLanes { .. }
        | Op::AddExtreme { .. }
        | Op::Extend { .. }
        | Op::BitMask { .. }
        | Op::Popc { .. }
        | Op::Brev { .. }
        | Op::Flo { .. }
        | Op::PredToReg { .. }
        | Op::RegToPred { .. } => {
            code!(|w, e, exec, inst| integers(w, e, &inst.op, exec))
        }
        _ => code!(|w, e, exec, inst| control::step(w, e, &inst.op, exec)),
    }
}

#[inline(always)]
fn single(w: &mut Warp, e: &Shared, op: &Op, exec: u32) -> Step<Flow> {
    match *op {
        Op::FAdd { d, a, b, mode } => {
            let ((ka, na), (kb, nb)) = (float_mods(a), float_mods(b));
            map2(w, e, exec, d, [a, b], |x, y| float::add(mode, x & ka ^ na, y & kb ^ nb))
        }
        Op::FMul { d, a, b, mode, scale } => {
            let ((ka, na), (kb, nb)) = (float_mods(a), float_mods(b));
            map2(w, e, exec, d, [a, b], |x, y| {
                float::multiply(mode, scale.into(), x & ka ^ na, y & kb ^ nb)
            })
        }
        Op::FFma { d, a, b, c, mode } => {
            let ((ka, na), (kb, nb), (kc, nc)) = (float_mods(a), float_mods(b), float_mods(c));
            map3(w, e, exec, d, [a, b, c], |x, y, z| {
                float::fuse(mode, x & ka ^ na, y & kb ^ nb, z & kc ^ nc)
            })
        }
        Op::FMnMx { d, a, b, how, pick } => {
            let ((ka, na), (kb, nb)) = (float_mods(a), float_mods(b));
            select2(w, e, exec, d, [a, b], pick, |smaller, x, y| {
                let sign = (x ^ y) & 0x8000_0000;
                let (x, y) = (x & ka ^ na, y & kb ^ nb);
                let result = match smaller {
                    true => float::minimum(how, x, y),
                    false => float::maximum(how, x, y),
                };
                match how.xor_sign && result != float::NAN {
                    true => result & 0x7fff_ffff | sign,
                    false => result,
                }
            })
        }
        Op::FSel { d, a, b, flush, pick } => {
            let ((ka, na), (kb, nb)) = (float_mods(a), float_mods(b));
            select2(w, e, exec, d, [a, b], pick, |first, x, y| {
                let chosen = if first { x & ka ^ na } else { y & kb ^ nb };
                if flush { float::flush(chosen) } else { chosen }
            })
        }
        Op::FSet { d, a, b, flush, compare } => {
            let ((ka, na), (kb, nb)) = (float_mods(a), float_mods(b));
            let mask = holds(w, e, [a, b], |x, y| {
                float::compare(compare.mask, flush, x & ka ^ na, y & kb ^ nb)
            })?;
            let mask = compare.combine.masks(mask, w.mask(compare.with));
            let out = std::array::from_fn(|lane| match mask >> lane & 1 {
                1 => 1f32.to_bits(),
                _ => 0,
            });
            w.write(d, exec, &out);
            Ok(Flow::Next)
        }
        Op::FSetP { a, b, flush, compare } => {
            let ((ka, na), (kb, nb)) = (float_mods(a), float_mods(b));
            let mask = holds(w, e, [a, b], |x, y| {
                float::compare(compare.mask, flush, x & ka ^ na, y & kb ^ nb)
            })?;
            set_both(w, exec, compare, mask);
            Ok(Flow::Next)
        }
        Op::Fchk { p, a, b } => {
            let mask = holds(w, e, [a, b], float::division_is_hard)?;
            w.set_pred(p, exec, mask);
            Ok(Flow::Next)
        }
        Op::Mufu { d, b, function, format, high } => {
            let (keep, flip) = float_mods(b);
            if format == Float::F32 {
                return map1(w, e, exec, d, b, |x| mufu::apply(function, x & keep ^ flip));
            }
            let kind = match format {
                Float::F16 => half::Kind::F16,
                _ => half::Kind::Bf16,
            };
            let shift = if high { 16 } else { 0 };
            map1(w, e, exec, d, b, |x| {
                let wide = kind.widen((x >> shift) as u16).to_bits() & keep ^ flip;
                mufu::apply_half(function, kind, wide).into()
            })
        }
        _ => unreachable!("sorted by the caller"),
    }
}

/// A function of two lanes and of whether a predicate holds.
#[inline(always)]
fn select2(
    w: &mut Warp,
    e: &Shared,
    exec: u32,
    d: u16,
    [a, b]: [Src; 2],
    pick: Pred,
    f: impl Fn(bool, u32, u32) -> u32,
) -> Step<Flow> {
    let pick = w.mask(pick);
    let (a, b) = (row(w, e, a, 0)?, row(w, e, b, 1)?);
    let out =
        std::array::from_fn(|lane| f(pick >> lane & 1 == 1, w.regs[a][lane], w.regs[b][lane]));
    w.write(d, exec, &out);
    Ok(Flow::Next)
}

#[inline(always)]
fn doubles(w: &mut Warp, e: &Shared, op: &Op, exec: u32) -> Step<Flow> {
    let values = match *op {
        Op::DAdd { a, b, round, .. } => {
            let (x, y) = (wide_float(w, e, a)?, wide_float(w, e, b)?);
            std::array::from_fn(|lane| double::add(round, x[lane], y[lane]))
        }
        Op::DMul { a, b, round, .. } => {
            let (x, y) = (wide_float(w, e, a)?, wide_float(w, e, b)?);
            std::array::from_fn(|lane| double::multiply(round, x[lane], y[lane]))
        }
        Op::DFma { a, b, c, round, .. } => {
            let (x, y, z) = (wide_float(w, e, a)?, wide_float(w, e, b)?, wide_float(w, e, c)?);
            std::array::from_fn(|lane| double::fuse(round, x[lane], y[lane], z[lane]))
        }
        Op::DSetP { a, b, compare } => {
            let (x, y) = (wide_float(w, e, a)?, wide_float(w, e, b)?);
            let lanes = |f: &dyn Fn(usize) -> bool| {
                (0..32).fold(0, |mask, lane| mask | u32::from(f(lane)) << lane)
            };
            let p = lanes(&|lane| holds_or_first(compare.mask, x[lane], y[lane]));
            if !matches!(compare.mask, 0 | 15) {
                set_both(w, exec, compare, p);
                return Ok(Flow::Next);
            }
            // The second answer of `.MIN` and `.MAX` stands alone: neither operand is a number.
            let nan = |x: u64| f64::from_bits(x).is_nan();
            let q = lanes(&|lane| nan(x[lane]) && nan(y[lane]));
            let with = w.mask(compare.with);
            w.set_pred(compare.p, exec, compare.combine.masks(p, with));
            w.set_pred(compare.q, exec, q);
            return Ok(Flow::Next);
        }
        _ => unreachable!("sorted by the caller"),
    };
    let (Op::DAdd { d, .. } | Op::DMul { d, .. } | Op::DFma { d, .. }) = *op else {
        unreachable!("sorted by the caller");
    };
    Ok(write_wide(w, d, exec, &values))
}

/// Whether a comparison of doubles holds, or for `.MIN` and `.MAX` (0 and 15) whether the first operand
/// is the one to take.
fn holds_or_first(mask: u8, a: u64, b: u64) -> bool {
    let (x, y) = (f64::from_bits(a), f64::from_bits(b));
    // Minus zero is below plus zero.
    let below = |x: f64, y: f64| x < y || (x == y && x.is_sign_negative() && !y.is_sign_negative());
    match mask {
        0 => (y.is_nan() && !x.is_nan()) || (!x.is_nan() && !below(y, x)),
        15 => (y.is_nan() && !x.is_nan()) || below(y, x),
        mask => double::compare(mask, a, b),
    }
}

#[inline(always)]
fn conversion(w: &mut Warp, e: &Shared, op: &Op, exec: u32) -> Step<Flow> {
    let is_wide = |kind: Float| kind == Float::F64;
    let read = |w: &mut Warp, b: Src, wide_source: bool| -> Step<[u64; 32]> {
        match wide_source {
            true => wide(w, e, b),
            false => {
                let b = row(w, e, b, 0)?;
                Ok(w.regs[b].map(u64::from))
            }
        }
    };
    // The bits of a float source after choice of half and sign handling.
    // The unit for doubles leaves the sign of what is no number alone.
    let unsigned_nan = match *op {
        Op::Refloat { from, to, .. } => is_wide(from) || is_wide(to),
        Op::RoundIntegral { kind, .. } => is_wide(kind),
        _ => false,
    };
    let float_source = |w: &mut Warp, b: Src, kind: Float, high: bool| -> Step<[u64; 32]> {
        let sign = kind.format().sign();
        let bits = (sign << 1).wrapping_sub(1);
        let keep = if b.abs { !sign } else { u64::MAX };
        let flip = if b.neg { sign } else { 0 };
        let shift = if high { 16 } else { 0 };
        let change = |x: u64| match unsigned_nan && x & (sign - 1) > kind.format().infinity() {
            true => x,
            false => x & keep ^ flip,
        };
        Ok(read(w, b, is_wide(kind))?.map(|x| change(x >> shift & bits)))
    };
    let (d, result, wide_result): (u16, [u64; 32], bool) = match *op {
        Op::FromInteger { d, b, from, to, round, part } => {
            // An immediate is already the value itself.
            let part = if b.from == From::Imm { 0 } else { part };
            let shift = u32::from(part) * from.bits.min(16);
            let source = read(w, b, from.bits == 64)?;
            let f = |x: u64| convert::from_integer(to, round, from.read(x >> shift));
            (d, source.map(f), is_wide(to))
        }
        Op::ToInteger { d, b, from, to, how, high } => {
            let source = float_source(w, b, from, high)?;
            let special = (how.flush, how.nan_to_zero);
            let f = |x| convert::to_integer(from, to, how.round, special, x);
            (d, source.map(f), to.bits == 64)
        }
        Op::Refloat { d, b, from, to, round, flush, high } => {
            let source = float_source(w, b, from, high)?;
            let f = |x| convert::refloat(from, to, round, flush, x);
            (d, source.map(f), is_wide(to))
        }
        Op::RoundIntegral { d, b, kind, round, flush, high } => {
            let source = float_source(w, b, kind, high)?;
            let f = |x| convert::round_integral(kind, round, flush, x);
            (d, source.map(f), is_wide(kind))
        }
        Op::Narrow { d, b, to } => {
            return map1(w, e, exec, d, b, |x| convert::narrow(to, x));
        }
        _ => unreachable!("sorted by the caller"),
    };
    match wide_result {
        true => Ok(write_wide(w, d, exec, &result)),
        false => {
            w.write(d, exec, &result.map(|x| x as u32));
            Ok(Flow::Next)
        }
    }
}

#[inline(always)]
fn integers(w: &mut Warp, e: &Shared, op: &Op, exec: u32) -> Step<Flow> {
    Ok(match *op {
        Op::IMadWide { d, a, b, c, signed, extended, carry, out }
        | Op::IMadHigh { d, a, b, c, signed, extended, carry, out } => {
            let high = matches!(op, Op::IMadHigh { .. });
            let carry = if extended { w.mask(carry) } else { 0 };
            let (x, y) = (row(w, e, a, 0)?, row(w, e, b, 1)?);
            // A negated addend is its complement plus one, under .X the complement alone.
            let addend = match c.from {
                From::Imm => [c.value as i32 as u64; 32],
                _ => wide(w, e, c)?,
            }
            .map(|z| if c.neg { !z } else { z });
            let carry = if c.neg && !extended { u32::MAX } else { carry };
            let mut p = 0;
            let values: [u64; 32] = std::array::from_fn(|lane| {
                let (result, over) = integer::multiply_wide(
                    signed,
                    w.regs[x][lane],
                    w.regs[y][lane],
                    addend[lane],
                    carry >> lane & 1 == 1,
                );
                p |= u32::from(over) << lane;
                result
            });
            w.set_pred(out, exec, p);
            match high {
                true => {
                    w.write(d, exec, &values.map(|v| (v >> 32) as u32));
                    Flow::Next
                }
                false => write_wide(w, d, exec, &values),
            }
        }
        Op::Dot { d, a, b, c, how } => {
            let n = if c.neg { u32::MAX } else { 0 };
            map3(w, e, exec, d, [a, b, c], |x, y, z| {
                integer::dot(how, x, y, (z ^ n).wrapping_sub(n))
            })?
        }
        Op::Plop3 { from, tables, out, uniform } => {
            let [a, b, c] = from.map(|p| w.mask(p));
            let [p, q] = tables.map(|table| integer::lop3(table, a, b, c));
            match uniform {
                true => {
                    w.set_upred(out[0], p & 1 == 1);
                    w.set_upred(out[1], q & 1 == 1);
                }
                false => {
                    w.set_pred(out[0], exec, p);
                    w.set_pred(out[1], exec, q);
                }
            }
            Flow::Next
        }
        Op::PlopSign { a, b, c, tables, out } => {
            let rows = [row(w, e, a, 0)?, row(w, e, b, 1)?, row(w, e, c, 2)?];
            let signs =
                rows.map(|r| (0..32).fold(0, |mask, lane| mask | (w.regs[r][lane] >> 31) << lane));
            for (table, out) in tables.into_iter().zip(out) {
                let [x, y, z] = signs;
                w.set_pred(out, exec, integer::lop3(table, x, y, z));
            }
            Flow::Next
        }
        Op::NarrowPair { d, a, b, c, to, high } => {
            map3(w, e, exec, d, [a, b, c], |x, y, z| pack::narrow_pair(to, x, y, z, high))?
        }
        Op::BytePair { d, a, b, c, how, high } => {
            map3(w, e, exec, d, [a, b, c], |x, y, z| pack::byte_pair(how, x, y, z, high))?
        }
        Op::PackBytes { d, a, b, c, to, how } => {
            map3(w, e, exec, d, [a, b, c], |x, y, z| pack::floats_to_bytes(to, how, [x, y], z))?
        }
        Op::UnpackBytes { d, b, from, relu, high } => {
            map1(w, e, exec, d, b, |x| pack::bytes_to_halves(from, relu, x, high))?
        }
        Op::RoundTf32 { d, b, zero, relu } => {
            map1(w, e, exec, d, b, |x| pack::round_tf32(x, zero, relu))?
        }
        Op::Abs { d, b } => map1(w, e, exec, d, b, |x| (x as i32).wrapping_abs() as u32)?,
        Op::Difference { d, a, b, c, signed, out } => {
            let rows = [row(w, e, a, 0)?, row(w, e, b, 1)?, row(w, e, c, 2)?];
            let mut carries = 0;
            let values = std::array::from_fn(|lane| {
                let [x, y, z] = rows.map(|r| w.regs[r][lane]);
                let (sum, carry) = integer::difference(signed, x, y, z);
                carries |= u32::from(carry) << lane;
                sum
            });
            w.write(d, exec, &values);
            w.set_pred(out, exec, carries);
            Flow::Next
        }
        Op::Difference4 { d, a, b, c, signed, accumulate, out } => {
            let rows = [row(w, e, a, 0)?, row(w, e, b, 1)?, row(w, e, c, 2)?];
            let mut carries = 0;
            let values = std::array::from_fn(|lane| {
                let [x, y, z] = rows.map(|r| w.regs[r][lane]);
                let (value, carry) = integer::difference4(signed, accumulate, x, y, z);
                carries |= u32::from(carry) << lane;
                value
            });
            w.write(d, exec, &values);
            w.set_pred(out, exec, carries);
            Flow::Next
        }
        Op::Permute { d, a, b, c, mode } => {
            map3(w, e, exec, d, [a, b, c], |x, y, z| integer::permute(mode, x, y, z))?
        }
        Op::Extreme { d, a, b, lanes, pick } => {
            select2(w, e, exec, d, [a, b], pick, |smaller, x, y| match smaller {
                true => lanes.minimum(x, y),
                false => lanes.maximum(x, y),
            })?
        }
        Op::Extreme3 { d, a, b, c, lanes, pick } => {
            let pick = w.mask(pick);
            let rows = [row(w, e, a, 0)?, row(w, e, b, 1)?, c as usize];
            let out = std::array::from_fn(|lane| {
                let [x, y, z] = rows.map(|r| w.regs[r][lane]);
                match pick >> lane & 1 {
                    1 => lanes.minimum(lanes.minimum(x, y), z),
                    _ => lanes.maximum(lanes.maximum(x, y), z),
                }
            });
            w.write(d, exec, &out);
            Flow::Next
        }
        Op::AddLanes { d, a, b, lanes } => {
            let sign = negate(lanes, a.neg);
            let other = negate(lanes, b.neg);
            map2(w, e, exec, d, [a, b], |x, y| lanes.add(sign(x), other(y)))?
        }
        Op::AddExtreme { d, a, b, c, lanes, pick } => {
            let pick = w.mask(pick);
            let other = negate(lanes, b.neg);
            let rows = [row(w, e, a, 0)?, row(w, e, b, 1)?, row(w, e, c, 2)?];
            let out = std::array::from_fn(|lane| {
                let [x, y, z] = rows.map(|r| w.regs[r][lane]);
                let sum = lanes.add(x, other(y));
                match pick >> lane & 1 {
                    1 => lanes.minimum(sum, z),
                    _ => lanes.maximum(sum, z),
                }
            });
            w.write(d, exec, &out);
            Flow::Next
        }
        Op::Extend { d, a, b, signed, wrap } => {
            map2(w, e, exec, d, [a, b], |x, y| integer::extend(signed, wrap, x, y))?
        }
        Op::BitMask { d, a, b, wrap } => {
            map2(w, e, exec, d, [a, b], |x, y| integer::bit_mask(wrap, x, y))?
        }
        Op::Popc { d, b } => {
            let n = if b.neg { u32::MAX } else { 0 };
            map1(w, e, exec, d, b, |x| (x ^ n).count_ones())?
        }
        Op::Brev { d, b } => {
            let n = if b.neg { u32::MAX } else { 0 };
            map1(w, e, exec, d, b, |x| (x ^ n).reverse_bits())?
        }
        Op::Flo { d, b, signed, from_top, out } => {
            let n = if b.neg { u32::MAX } else { 0 };
            let found = holds(w, e, [b, b], |x, _| {
                integer::find_leading(signed, false, x ^ n) != u32::MAX
            })?;
            w.set_pred(out, exec, found);
            map1(w, e, exec, d, b, |x| integer::find_leading(signed, from_top, x ^ n))?
        }
        Op::PredToReg { d, a, b, byte } => {
            let preds = w.preds;
            let (a, b) = (row(w, e, a, 0)?, row(w, e, b, 1)?);
            let out = std::array::from_fn(|lane| {
                let bits = (0..7).fold(0, |bits, p| bits | (preds[p] >> lane & 1) << p);
                // Eight bits can be replaced; the eighth predicate does not exist and reads zero.
                let (keep, mask) = (w.regs[a][lane], w.regs[b][lane] & 0xff);
                let (mask, bits) = (mask << (8 * byte), bits << (8 * byte));
                keep & !mask | bits & mask
            });
            w.write(d, exec, &out);
            Flow::Next
        }
        Op::RegToPred { a, b, byte } => {
            let (a, b) = (row(w, e, a, 0)?, row(w, e, b, 1)?);
            for p in 0..7 {
                let (mut value, mut chosen) = (0, 0);
                for lane in 0..32 {
                    value |= (w.regs[a][lane] >> (8 * byte + p) & 1) << lane;
                    chosen |= (w.regs[b][lane] >> p & 1) << lane;
                }
                w.set_pred(p, exec & chosen, value);
            }
            Flow::Next
        }
        _ => unreachable!("sorted by the caller"),
    })
}

/// Two's complement negation, per half where there are halves.
fn negate(lanes: integer::Lanes, negative: bool) -> impl Fn(u32) -> u32 {
    move |x| match (negative, lanes.pairs) {
        (false, _) => x,
        (true, false) => x.wrapping_neg(),
        (true, true) => {
            let (low, high) = (x as u16, (x >> 16) as u16);
            u32::from(low.wrapping_neg()) | u32::from(high.wrapping_neg()) << 16
        }
    }
}

/// The comparison of two numbers by a four-bit mask, for the uniform datapath.
pub(crate) fn compare_words(mask: u8, signed: bool, a: u32, b: u32) -> bool {
    compare(
        mask,
        Some(match signed {
            true => (a as i32).cmp(&(b as i32)),
            false => a.cmp(&b),
        }),
    )
}

/// The value of a scalar source with integer negation.
pub(crate) fn scalar_plain(w: &Warp, e: &Shared, s: Src) -> Step<u32> {
    scalar(w, e, s)
}
