//! The uniform datapath: one value for the whole warp.

use super::block::Shared;
use super::fault::Step;
use super::general::{compare_words, scalar_plain, scalar64};
use super::run::Flow;
use super::warp::Warp;
use crate::sm::meaning::{Combine, integer};
use crate::sm::op::*;

fn combine(how: Combine, a: bool, b: bool) -> bool {
    how.masks(a.into(), b.into()) == 1
}

fn on(w: &Warp, p: Pred) -> bool {
    w.mask(Pred { uniform: true, ..p }) & 1 == 1
}

fn uniform(index: u8) -> Pred {
    Pred { index, not: false, uniform: true }
}

#[inline(always)]
pub(super) fn step(w: &mut Warp, e: &Shared, op: UOp) -> Step<Flow> {
    let (d, value) = match op {
        UOp::Mov { d, b } => (d, scalar_plain(w, e, b)?),
        UOp::Add3 { d, a, b, c, extended, out, carry } => {
            let [x, y, z] = values(w, e, [a, b, c])?;
            let negated = [a.neg, b.neg, c.neg];
            let carries = carry.iter().filter(|p| on(w, **p)).count() as u32;
            let (sum, p, q) = match extended {
                true => integer::add3_extended(x, y, z, carries, negated),
                false => integer::add3(x, y, z, 0, negated),
            };
            w.set_upred(out[0], p);
            w.set_upred(out[1], q);
            (d, sum)
        }
        UOp::AddWide { d, from } => {
            let sum = from.iter().fold(0u64, |sum, pair| sum.wrapping_add(w.upair(*pair)));
            w.set_upair(d, sum);
            return Ok(Flow::Next);
        }
        UOp::Mad { d, a, b, c, carry } => {
            let [x, y, z] = values(w, e, [a, b, c])?;
            let add = match (c.neg, carry) {
                (false, _) => z,
                (true, None) => z.wrapping_neg(),
                (true, Some(_)) => !z,
            };
            let carry = u32::from(carry.is_some_and(|p| on(w, p)));
            (d, x.wrapping_mul(y).wrapping_add(add).wrapping_add(carry))
        }
        UOp::MadWide { d, a, b, c, signed, carry, out } => {
            let (x, y) = (scalar_plain(w, e, a)?, scalar_plain(w, e, b)?);
            let z = match c.from {
                From::Imm => c.value as i32 as u64,
                _ => scalar64(w, e, c)?,
            };
            let z = if c.neg { !z } else { z };
            let carry = carry.map_or(c.neg, |p| on(w, p));
            let (result, over) = integer::multiply_wide(signed, x, y, z, carry);
            w.set_upair(d, result);
            w.set_upred(out, over);
            return Ok(Flow::Next);
        }
        UOp::Lea { d, a, b, c, how, carry, out } => {
            let [x, y, z] = values(w, e, [a, b, c])?;
            let (sum, over) = integer::lea(how, x, y, z, on(w, carry));
            w.set_upred(out, over);
            (d, sum)
        }
        UOp::Lop3 { d, a, b, c, table, and, with, out } => {
            let [x, y, z] = values(w, e, [a, b, c])?;
            let value = integer::lop3(table, x, y, z);
            let with = on(w, with);
            w.set_upred(out, if and { value != 0 && with } else { value != 0 || with });
            (d, value)
        }
        UOp::Shf { d, a, b, c, how } => {
            let [x, y, z] = values(w, e, [a, b, c])?;
            (d, integer::funnel(how, x, y, z))
        }
        UOp::Permute { d, a, b, c, mode } => {
            let [x, y, z] = values(w, e, [a, b, c])?;
            (d, integer::permute(mode, x, y, z))
        }
        UOp::Sel { d, a, b, pick } => {
            let (x, y) = (scalar_plain(w, e, a)?, scalar_plain(w, e, b)?);
            (d, if on(w, pick) { x } else { y })
        }
        UOp::SetP { a, b, signed, extended, compare } => {
            let (x, y) = (scalar_plain(w, e, a)?, scalar_plain(w, e, b)?);
            let holds = match extended {
                None => compare_words(compare.mask, signed, x, y) || compare.mask == 7,
                Some(low) => integer::compare_extended(compare.mask, signed, on(w, low), x, y),
            };
            let with = on(w, compare.with);
            w.set_upred(compare.p, combine(compare.combine, holds, with));
            w.set_upred(compare.q, combine(compare.combine, !holds, with));
            return Ok(Flow::Next);
        }
        UOp::Flo { d, b, signed, from_top, out } => {
            let x = complemented(w, e, b)?;
            let found = integer::find_leading(signed, from_top, x);
            w.set_upred(out, found != u32::MAX);
            (d, found)
        }
        UOp::Extend { d, a, b, signed, wrap } => {
            let (x, y) = (scalar_plain(w, e, a)?, scalar_plain(w, e, b)?);
            (d, integer::extend(signed, wrap, x, y))
        }
        UOp::PredToReg { d, a, b, byte } => {
            let (keep, mask) = (scalar_plain(w, e, a)?, scalar_plain(w, e, b)? & 0xff);
            let bits = (0..7).fold(0, |bits, p| bits | u32::from(on(w, uniform(p))) << p);
            let (mask, bits) = (mask << (8 * byte), bits << (8 * byte));
            (d, keep & !mask | bits & mask)
        }
        UOp::RegToPred { a, b, byte } => {
            let (from, chosen) = (scalar_plain(w, e, a)? >> (8 * byte), scalar_plain(w, e, b)?);
            for p in (0..7).filter(|p| chosen >> p & 1 == 1) {
                w.set_upred(p, from >> p & 1 == 1);
            }
            return Ok(Flow::Next);
        }
        UOp::BitMask { d, a, b, wrap } => {
            let (x, y) = (scalar_plain(w, e, a)?, scalar_plain(w, e, b)?);
            (d, integer::bit_mask(wrap, x, y))
        }
        UOp::Brev { d, b } => (d, complemented(w, e, b)?.reverse_bits()),
        UOp::Popc { d, b } => (d, complemented(w, e, b)?.count_ones()),
    };
    w.uregs[d as usize] = value;
    Ok(Flow::Next)
}

fn values(w: &Warp, e: &Shared, sources: [Src; 3]) -> Step<[u32; 3]> {
    let [a, b, c] = sources;
    Ok([scalar_plain(w, e, a)?, scalar_plain(w, e, b)?, scalar_plain(w, e, c)?])
}

fn complemented(w: &Warp, e: &Shared, s: Src) -> Step<u32> {
    let x = scalar_plain(w, e, s)?;
    Ok(if s.neg { !x } else { x })
}
