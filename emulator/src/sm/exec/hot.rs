//! The instructions that fill kernels, written so that the compiler turns each into a few vector instructions
//! over all 32 lanes.

use super::block::Shared;
use super::fault::Step;
use super::lanes::*;
use super::run::Flow;
use super::warp::{Group, Warp};
use super::{general, memory};
use crate::sm::meaning::convert::Float;
use crate::sm::meaning::integer::Dot;
use crate::sm::meaning::{Round, float, half, integer};
use crate::sm::op::*;

/// Sends the lanes of `taken` to `target`, the others on.
#[inline(always)]
pub(crate) fn branch(w: &mut Warp, taken: u32, target: u32) -> Flow {
    let next = w.now.pc + 1;
    let rest = w.now.mask & !taken;
    if taken == 0 {
        return Flow::Next;
    }
    let back = target < next;
    if rest == 0 {
        w.now.pc = target;
    } else {
        let (jump, fall) = (Group::new(target, taken), Group::new(next, rest));
        // Who is further behind goes first, so that the others are caught up with.
        let (first, second) = if back { (jump, fall) } else { (fall, jump) };
        w.now = first;
        w.resume(second);
    }
    if back {
        // A loop may wait for what another group of this warp does.
        w.rotate();
    }
    Flow::Moved
}

/// Runs one of the instructions of this file; `None` if it is none of them.
#[inline(always)]
pub(super) fn step(w: &mut Warp, e: &mut Shared, inst: &Inst, exec: u32) -> Option<Step<Flow>> {
    Some(match inst.op {
        Op::Nop => Ok(Flow::Next),
        Op::Mov { d, b } => map1(w, e, exec, d, b, |x| x),
        Op::FAddPlain { d, a, b } => {
            let ((ka, na), (kb, nb)) = (float_mods(a), float_mods(b));
            map2(w, e, exec, d, [a, b], |x, y| float::add_plain(x & ka ^ na, y & kb ^ nb))
        }
        Op::FMulPlain { d, a, b } => {
            let ((ka, na), (kb, nb)) = (float_mods(a), float_mods(b));
            map2(w, e, exec, d, [a, b], |x, y| float::multiply_plain(x & ka ^ na, y & kb ^ nb))
        }
        Op::FFmaPlain { d, a, b, c } => {
            let ((ka, na), (kb, nb), (kc, nc)) = (float_mods(a), float_mods(b), float_mods(c));
            map3(w, e, exec, d, [a, b, c], |x, y, z| {
                float::fuse_plain(x & ka ^ na, y & kb ^ nb, z & kc ^ nc)
            })
        }
        // Compilers move by the multiplier.
        Op::IMad { d, a, c, .. } if is_zero(a) && !c.neg => map1(w, e, exec, d, c, |x| x),
        Op::IMad { d, a, b, c } => {
            let n = if c.neg { u32::MAX } else { 0 };
            map3(w, e, exec, d, [a, b, c], |x, y, z| {
                x.wrapping_mul(y).wrapping_add((z ^ n).wrapping_sub(n))
            })
        }
        Op::IMadCarry { d, a, b, c, carry } => {
            let n = if c.neg { u32::MAX } else { 0 };
            let carry = spread(w.mask(carry));
            map3_with(w, e, exec, d, [a, b, c], &carry, |x, y, z, carry| {
                x.wrapping_mul(y).wrapping_add(z ^ n).wrapping_add(carry)
            })
        }
        Op::IAdd3 { d, a, b, c } => {
            let flip = |s: Src| if s.neg { u32::MAX } else { 0 };
            let (na, nb, nc) = (flip(a), flip(b), flip(c));
            map3(w, e, exec, d, [a, b, c], |x, y, z| {
                (x ^ na)
                    .wrapping_add(y ^ nb)
                    .wrapping_add(z ^ nc)
                    .wrapping_sub(na.wrapping_add(nb).wrapping_add(nc))
            })
        }
        Op::IAdd3Carry { d, a, b, c, extended, out, carry } => {
            add_with_carry(w, e, exec, d, [a, b, c], extended, out, carry)
        }
        Op::Lop3 { d, a, b, c, table } => lop3(w, e, exec, d, [a, b, c], table),
        Op::Dot4Signed { d, a, b, c } => map3(w, e, exec, d, [a, b, c], integer::dot4_signed),
        Op::Dot { d, a, b, c, how: Dot { pairs: None, a_signed: false, b_signed: true } }
            if !c.neg =>
        {
            map3(w, e, exec, d, [a, b, c], |x, y, z| {
                let term =
                    |at: u32| (x >> (8 * at) & 0xff) as i32 * i32::from((y >> (8 * at)) as i8);
                z.wrapping_add((term(0) + term(1) + term(2) + term(3)) as u32)
            })
        }
        Op::FromInteger { d, b, from, to: Float::F32, round: Round::Nearest, part }
            if b.from == From::Reg && from.bits + u32::from(part) * from.bits.min(16) <= 32 =>
        {
            // The part first goes to the top, so that the shift back extends it.
            let up = 32 - from.bits - u32::from(part) * from.bits.min(16);
            let down = 32 - from.bits;
            match from.signed {
                true => map1(w, e, exec, d, b, |x| (((x << up) as i32 >> down) as f32).to_bits()),
                false => map1(w, e, exec, d, b, |x| ((x << up >> down) as f32).to_bits()),
            }
        }
        Op::FAdd { d, a, b, mode: FLUSH } => {
            let ((ka, na), (kb, nb)) = (float_mods(a), float_mods(b));
            let f = float::flush;
            map2(w, e, exec, d, [a, b], |x, y| f(float::add_plain(f(x & ka ^ na), f(y & kb ^ nb))))
        }
        Op::FMul { d, a, b, mode: FLUSH, scale: 0 } => {
            let ((ka, na), (kb, nb)) = (float_mods(a), float_mods(b));
            let f = float::flush;
            let factors = |[x, y]: [u32; 2]| (f(x & ka ^ na), f(y & kb ^ nb));
            map_flushed(
                (w, e, exec, d),
                [a, b],
                |sources| {
                    let (x, y) = factors(sources);
                    f(float::multiply_plain(x, y))
                },
                |sources| {
                    let (x, y) = factors(sources);
                    float::multiply(FLUSH, 0, x, y)
                },
            )
        }
        Op::FFma { d, a, b, c, mode: FLUSH } => {
            let ((ka, na), (kb, nb), (kc, nc)) = (float_mods(a), float_mods(b), float_mods(c));
            let f = float::flush;
            let terms = |[x, y, z]: [u32; 3]| (f(x & ka ^ na), f(y & kb ^ nb), f(z & kc ^ nc));
            map_flushed(
                (w, e, exec, d),
                [a, b, c],
                |sources| {
                    let (x, y, z) = terms(sources);
                    f(float::fuse_plain(x, y, z))
                },
                |sources| {
                    let (x, y, z) = terms(sources);
                    float::fuse(FLUSH, x, y, z)
                },
            )
        }
        Op::I32ToF32 { d, b } => map1(w, e, exec, d, b, |x| (x as i32 as f32).to_bits()),
        Op::HAdd { d, a, b, mode, single: true }
            if is_zero(a)
                && mode.kind == half::Kind::F16
                && !mode.flush
                && !mode.saturate
                && b.from == From::Reg =>
        {
            widen(w, e, exec, d, a, b)
        }
        Op::Shf { d, a, b, c, how } => shift(w, e, exec, d, [a, b, c], how),
        Op::Permute { d, a, b, c, mode: 0 } => permute(w, e, exec, d, [a, b, c]),
        Op::IMadWide { d, a, b, c, signed, extended: false, out: PSINK, .. } if !c.neg => {
            multiply_wide(w, e, exec, d, [a, b, c], signed)
        }
        Op::Lea { d, a, b, c, how, carry, out } => {
            shift_and_add(w, e, exec, d, [a, b, c], how, carry, out)
        }
        Op::ISetP { a, b, signed, extended, compare } => {
            set_integers(w, e, exec, [a, b], signed, extended, compare)
        }
        Op::FSetP { a, b, flush: false, compare } => {
            let ((ka, na), (kb, nb)) = (float_mods(a), float_mods(b));
            let holds = holds(w, e, [a, b], |x, y| {
                float::compare(compare.mask, false, x & ka ^ na, y & kb ^ nb)
            });
            holds.map(|mask| {
                set_both(w, exec, compare, mask);
                Flow::Next
            })
        }
        Op::Sel { d, a, b, pick } => {
            let pick = spread(w.mask(pick));
            map3_with(
                w,
                e,
                exec,
                d,
                [a, b, ZEROS],
                &pick,
                |x, y, _, pick| {
                    if pick == 1 { x } else { y }
                },
            )
        }
        // Compilers clear registers by reading the special register that is zero.
        Op::Special { d, index: 0xff, wide } => {
            w.write(d, exec, &[0; 32]);
            if wide && d != SINK {
                w.write(d + 1, exec, &[0; 32]);
            }
            Ok(Flow::Next)
        }
        Op::Load { d, at, width, space: Space::Global, when: Pred::TRUE } => {
            memory::load_global(w, e, exec, d, at, width)
        }
        Op::Bra { to, when, mask, not, also } => {
            let taken = exec & w.mask(also);
            let set = w.uregs[mask as usize] ^ if not { u32::MAX } else { 0 };
            // A test of who is here is the same for all who are: everybody goes or nobody.
            let taken = match when {
                BranchWhen::Always => taken,
                BranchWhen::Any if taken == 0 => 0,
                BranchWhen::Diverged if taken == set => 0,
                BranchWhen::Converged if taken != set => 0,
                _ => w.now.mask,
            };
            let target = (w.now.pc + 1).wrapping_add_signed(to);
            Ok(branch(w, taken, target))
        }
        _ => return None,
    })
}

/// To nearest, denormals flushed: what fast mathematics of a compiler ask for.
const FLUSH: float::Mode = float::Mode { flush: true, ..float::Mode::PLAIN };

/// A source that is the zero register.
const ZEROS: Src =
    Src { from: From::Reg, index: ZERO as u8, neg: false, abs: false, value: 0, halves: 0 };

#[inline(always)]
fn is_zero(s: Src) -> bool {
    s.from == From::Reg && s.index == ZERO as u8
}

/// The sum of three sources with its carries, in words: what carries out of each addition is counted.
#[allow(clippy::too_many_arguments)] // The fields of one instruction.
#[inline(always)]
fn add_with_carry(
    w: &mut Warp,
    e: &Shared,
    exec: u32,
    d: u16,
    sources: [Src; 3],
    extended: bool,
    out: [u8; 2],
    carry: [Pred; 2],
) -> Step<Flow> {
    let [a, b, c] = sources;
    let rows = [row(w, e, a, 0)?, row(w, e, b, 1)?, row(w, e, c, 2)?];
    let mut sums = [0; 32];
    let (mut p, mut q) = (0, 0);
    let [x, y, z] = rows.map(|r| &w.regs[r]);
    if !extended && is_zero(c) && !(a.neg || b.neg || c.neg) && out[1] == PSINK {
        // The lower half of most 64-bit sums.
        for lane in 0..32 {
            sums[lane] = x[lane].wrapping_add(y[lane]);
            p |= u32::from(sums[lane] < x[lane]) << lane;
        }
    } else {
        let [na, nb, nc] = sources.map(|s| if s.neg { u32::MAX } else { 0 });
        // A subtracted source is its complement plus one, or with carry-in the complement alone.
        let (ones, carry) = match extended {
            true => (0, carry.map(|p| w.mask(p))),
            false => (sources.iter().filter(|s| s.neg).count() as u32, [0, 0]),
        };
        for lane in 0..32 {
            let more = ones + (carry[0] >> lane & 1) + (carry[1] >> lane & 1);
            let (x, y, z) = (x[lane] ^ na, y[lane] ^ nb, z[lane] ^ nc);
            let two = x.wrapping_add(y);
            let three = two.wrapping_add(z);
            sums[lane] = three.wrapping_add(more);
            let carries =
                u32::from(two < x) + u32::from(three < two) + u32::from(sums[lane] < three);
            p |= u32::from(carries >= 1) << lane;
            q |= u32::from(carries >= 2) << lane;
        }
    }
    w.write(d, exec, &sums);
    w.set_pred(out[0], exec, p);
    w.set_pred(out[1], exec, q);
    Ok(Flow::Next)
}

#[allow(clippy::too_many_arguments)] // The fields of one instruction.
#[inline(always)]
fn shift_and_add(
    w: &mut Warp,
    e: &Shared,
    exec: u32,
    d: u16,
    sources: [Src; 3],
    how: integer::Lea,
    carry: Pred,
    out: u8,
) -> Step<Flow> {
    let [a, b, c] = sources;
    let carry = w.mask(carry);
    let rows = [row(w, e, a, 0)?, row(w, e, b, 1)?, row(w, e, c, 2)?];
    let mut sums = [0; 32];
    let mut p = 0;
    let [x, y, z] = rows.map(|r| &w.regs[r]);
    if !(how.high || how.extended || how.negate_a || how.negate_b) {
        let shift = how.shift & 31;
        for lane in 0..32 {
            sums[lane] = (x[lane] << shift).wrapping_add(y[lane]);
            p |= u32::from(sums[lane] < y[lane]) << lane;
        }
    } else {
        for lane in 0..32 {
            let (sum, carry) = integer::lea(how, x[lane], y[lane], z[lane], carry >> lane & 1 == 1);
            sums[lane] = sum;
            p |= u32::from(carry) << lane;
        }
    }
    w.write(d, exec, &sums);
    w.set_pred(out, exec, p);
    Ok(Flow::Next)
}

#[inline(always)]
fn set_integers(
    w: &mut Warp,
    e: &Shared,
    exec: u32,
    sources: [Src; 2],
    signed: bool,
    extended: Option<Pred>,
    compare: Compare,
) -> Step<Flow> {
    let mask = match extended {
        None => set_integer(w, e, sources, compare.mask, signed)?,
        Some(low) => {
            let low = w.mask(low);
            let equal = holds(w, e, sources, |x, y| x == y)?;
            let other = set_integer(w, e, sources, compare.mask & 5, signed)?;
            match compare.mask {
                0 => 0,
                _ => equal & low | !equal & other,
            }
        }
    };
    set_both(w, exec, compare, mask);
    Ok(Flow::Next)
}

/// One comparison of integers, with the kind of comparison outside the loop over lanes.
#[inline(always)]
fn set_integer(w: &mut Warp, e: &Shared, sources: [Src; 2], mask: u8, signed: bool) -> Step<u32> {
    // Flipping the sign bit turns the signed order into the unsigned one.
    let flip = if signed { 0x8000_0000 } else { 0u32 };
    Ok(match mask & 7 {
        0 => 0,
        1 => holds(w, e, sources, |x, y| x ^ flip < y ^ flip)?,
        2 => holds(w, e, sources, |x, y| x == y)?,
        3 => holds(w, e, sources, |x, y| x ^ flip <= y ^ flip)?,
        4 => holds(w, e, sources, |x, y| x ^ flip > y ^ flip)?,
        5 => holds(w, e, sources, |x, y| x != y)?,
        6 => holds(w, e, sources, |x, y| x ^ flip >= y ^ flip)?,
        _ => u32::MAX,
    })
}

/// The tables that compilers use most have loops of their own.
#[inline(always)]
fn lop3(w: &mut Warp, e: &Shared, exec: u32, d: u16, sources: [Src; 3], table: u8) -> Step<Flow> {
    match table {
        0xc0 => map3(w, e, exec, d, sources, |a, b, _| a & b),
        0xfc => map3(w, e, exec, d, sources, |a, b, _| a | b),
        0x3c => map3(w, e, exec, d, sources, |a, b, _| a ^ b),
        0xf8 => map3(w, e, exec, d, sources, |a, b, c| a | b & c),
        0xe2 => map3(w, e, exec, d, sources, |a, b, c| a & b | c & !b),
        _ => {
            // One mask per row of the table: no branches inside the loop over lanes.
            let m: [u32; 8] =
                std::array::from_fn(|row| (u32::from(table) >> row & 1).wrapping_neg());
            map3(w, e, exec, d, sources, |a, b, c| {
                let low = !c & (!b & (!a & m[0] | a & m[4]) | b & (!a & m[2] | a & m[6]));
                let high = c & (!b & (!a & m[1] | a & m[5]) | b & (!a & m[3] | a & m[7]));
                low | high
            })
        }
    }
}

/// The selections that put halves together have loops of their own, and so have all that are known
/// beforehand: each byte then comes from one source by one shift.
#[inline(always)]
fn permute(w: &mut Warp, e: &Shared, exec: u32, d: u16, sources: [Src; 3]) -> Step<Flow> {
    let selector = match sources[1].from {
        From::Imm => sources[1].value & 0xffff,
        _ => u32::MAX,
    };
    match selector {
        0x5410 => map3(w, e, exec, d, sources, |a, _, b| a & 0xffff | b << 16),
        0x7632 => map3(w, e, exec, d, sources, |a, _, b| a >> 16 | b & 0xffff_0000),
        // No byte that repeats a sign.
        known if known & 0x8888 == 0 => {
            let nibbles: [u32; 4] = std::array::from_fn(|at| known >> (4 * at) & 7);
            let shifts = nibbles.map(|n| n % 4 * 8);
            let from_a = nibbles.map(|n| if n < 4 { u32::MAX } else { 0 });
            map3(w, e, exec, d, sources, |a, _, b| {
                let byte = |at: usize| (a & from_a[at] | b & !from_a[at]) >> shifts[at] & 0xff;
                byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24
            })
        }
        _ => map3(w, e, exec, d, sources, |x, y, z| integer::permute(0, x, y, z)),
    }
}

/// Half to single: the sum of minus zero and one half.
#[inline(always)]
fn widen(w: &mut Warp, e: &Shared, exec: u32, d: u16, a: Src, b: Src) -> Step<Flow> {
    let shift = if b.halves == 3 { 16 } else { 0 };
    let (keep, flip) = float_mods(b);
    let zero = if a.neg { 0x8000_0000 } else { 0 };
    map1(w, e, exec, d, b, |x| {
        let value = half::f16_to_f32((x >> shift) as u16).to_bits();
        float::add_plain(zero, value & keep ^ flip)
    })
}

#[inline(always)]
fn shift(
    w: &mut Warp,
    e: &Shared,
    exec: u32,
    d: u16,
    sources: [Src; 3],
    how: integer::Funnel,
) -> Step<Flow> {
    let amount = match sources[1].from {
        From::Imm => Some(sources[1].value),
        _ => None,
    };
    match (how.right, amount) {
        (true, Some(n)) if n < 32 && !how.wide && how.high => match how.signed {
            true => map1(w, e, exec, d, sources[2], |x| (x as i32 >> n) as u32),
            false => map1(w, e, exec, d, sources[2], |x| x >> n),
        },
        (false, Some(n)) if n < 32 && !how.high && is_zero(sources[2]) => {
            map1(w, e, exec, d, sources[0], |x| x << n)
        }
        _ => map3(w, e, exec, d, sources, |x, y, z| integer::funnel(how, x, y, z)),
    }
}

#[inline(always)]
fn multiply_wide(
    w: &mut Warp,
    e: &mut Shared,
    exec: u32,
    d: u16,
    [a, b, c]: [Src; 3],
    signed: bool,
) -> Step<Flow> {
    let (a, b) = (row(w, e, a, 0)?, row(w, e, b, 1)?);
    let fixed = match c.from {
        From::Reg if c.index == ZERO as u8 => Some(0),
        From::Reg => None,
        _ => Some(general::scalar64(w, e, c)?),
    };
    let (mut low, mut high) = ([0; 32], [0; 32]);
    let (x, y) = (&w.regs[a], &w.regs[b]);
    let mut put = |lane: usize, add: u64| {
        let result = integer::product(signed, x[lane], y[lane]).wrapping_add(add);
        low[lane] = result as u32;
        high[lane] = (result >> 32) as u32;
    };
    match fixed {
        Some(add) => {
            for lane in 0..32 {
                put(lane, add);
            }
        }
        None => {
            let (cl, ch) = (&w.regs[c.index as usize], &w.regs[c.index as usize + 1]);
            for lane in 0..32 {
                put(lane, u64::from(cl[lane]) | u64::from(ch[lane]) << 32);
            }
        }
    }
    if d != SINK {
        w.write(d, exec, &low);
        w.write(d + 1, exec, &high);
    }
    Ok(Flow::Next)
}
