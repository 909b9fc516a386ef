//! Sums, shifts, permutations and comparisons of integers, over whole warps.

use super::block::Shared;
use super::code::{Code, code};
use super::fault::Step;
use super::general;
use super::lanes::*;
use super::run::Flow;
use super::warp::Warp;
use crate::sm::meaning::integer;
use crate::sm::op::*;

/// The sum of two sources with its carry.
#[inline(always)]
pub(super) fn add_two(
    w: &mut Warp,
    e: &Shared,
    exec: u32,
    d: u16,
    [a, b]: [Src; 2],
    out: u8,
) -> Step<Flow> {
    let (a, b) = (row(w, e, a, 0)?, row(w, e, b, 1)?);
    let (x, y) = (w.regs[a], w.regs[b]);
    let mut sums = [0; 32];
    let mut p = 0;
    for lane in 0..32 {
        sums[lane] = x[lane].wrapping_add(y[lane]);
        p |= u32::from(sums[lane] < x[lane]) << lane;
    }
    w.write(d, exec, &sums);
    w.set_pred(out, exec, p);
    Ok(Flow::Next)
}

/// The sum of three sources and two carries, of which nothing is carried on.
#[inline(always)]
pub(super) fn add_extended(
    w: &mut Warp,
    e: &Shared,
    exec: u32,
    d: u16,
    sources: [Src; 3],
    carry: [Pred; 2],
) -> Step<Flow> {
    let [na, nb, nc] = sources.map(|s| if s.neg { u32::MAX } else { 0 });
    let (p, q) = (w.mask(carry[0]), w.mask(carry[1]));
    let mut ones = spread(p);
    if q != 0 {
        for (lane, ones) in ones.iter_mut().enumerate() {
            *ones += q >> lane & 1;
        }
    }
    map3_with(w, e, exec, d, sources, &ones, |x, y, z, ones| {
        (x ^ na).wrapping_add(y ^ nb).wrapping_add(z ^ nc).wrapping_add(ones)
    })
}

/// The sum of three sources with its carries, in words: what carries out of each addition is counted.
#[allow(clippy::too_many_arguments)] // The fields of one instruction.
#[inline(always)]
pub(super) fn add_with_carry(
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
    let (a, b, c) = (row(w, e, a, 0)?, row(w, e, b, 1)?, row(w, e, c, 2)?);
    let (x, y, z) = (w.regs[a], w.regs[b], w.regs[c]);
    let mut sums = [0; 32];
    let (mut p, mut q) = (0, 0);
    let [na, nb, nc] = sources.map(|s| if s.neg { u32::MAX } else { 0 });
    // A subtracted source is its complement plus one, or with carry-in the complement alone.
    let (ones, carry) = match extended {
        true => (0, [w.mask(carry[0]), w.mask(carry[1])]),
        false => (sources.iter().filter(|s| s.neg).count() as u32, [0, 0]),
    };
    for lane in 0..32 {
        let more = ones + (carry[0] >> lane & 1) + (carry[1] >> lane & 1);
        let (x, y, z) = (x[lane] ^ na, y[lane] ^ nb, z[lane] ^ nc);
        let two = x.wrapping_add(y);
        let three = two.wrapping_add(z);
        sums[lane] = three.wrapping_add(more);
        let carries = u32::from(two < x) + u32::from(three < two) + u32::from(sums[lane] < three);
        p |= u32::from(carries >= 1) << lane;
        q |= u32::from(carries >= 2) << lane;
    }
    w.write(d, exec, &sums);
    w.set_pred(out[0], exec, p);
    w.set_pred(out[1], exec, q);
    Ok(Flow::Next)
}

/// `(a << shift) + b` with its carry.
#[inline(always)]
pub(super) fn shift_and_add(
    w: &mut Warp,
    e: &Shared,
    exec: u32,
    d: u16,
    [a, b]: [Src; 2],
    shift: u32,
    out: u8,
) -> Step<Flow> {
    let (a, b) = (row(w, e, a, 0)?, row(w, e, b, 1)?);
    let (x, y) = (w.regs[a], w.regs[b]);
    let mut sums = [0; 32];
    let mut p = 0;
    let shift = shift & 31;
    for lane in 0..32 {
        sums[lane] = (x[lane] << shift).wrapping_add(y[lane]);
        p |= u32::from(sums[lane] < y[lane]) << lane;
    }
    w.write(d, exec, &sums);
    w.set_pred(out, exec, p);
    Ok(Flow::Next)
}

/// The same with the upper word that is shifted in, and all else that the instruction can do.
#[allow(clippy::too_many_arguments)] // The fields of one instruction.
#[inline(always)]
pub(super) fn shift_and_add_wide(
    w: &mut Warp,
    e: &Shared,
    exec: u32,
    d: u16,
    [a, b, c]: [Src; 3],
    how: integer::Lea,
    carry: Pred,
    out: u8,
) -> Step<Flow> {
    let carry = w.mask(carry);
    let (a, b, c) = (row(w, e, a, 0)?, row(w, e, b, 1)?, row(w, e, c, 2)?);
    let (x, y, z) = (w.regs[a], w.regs[b], w.regs[c]);
    let mut sums = [0; 32];
    let mut p = 0;
    for lane in 0..32 {
        let (sum, carry) = integer::lea(how, x[lane], y[lane], z[lane], carry >> lane & 1 == 1);
        sums[lane] = sum;
        p |= u32::from(carry) << lane;
    }
    w.write(d, exec, &sums);
    w.set_pred(out, exec, p);
    Ok(Flow::Next)
}

/// `a * b + c` in 64 bits.
#[inline(always)]
pub(super) fn multiply_wide(
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
    let (x, y) = (w.regs[a], w.regs[b]);
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
            let (cl, ch) = (w.regs[c.index as usize], w.regs[c.index as usize + 1]);
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

#[inline(always)]
pub(super) fn set_integers(
    w: &mut Warp,
    e: &Shared,
    exec: u32,
    sources: [Src; 2],
    signed: bool,
    extended: Option<Pred>,
    compare: Compare,
) -> Step<Flow> {
    // Flipping the sign bit turns the signed order into the unsigned one.
    let flip = if signed { 0x8000_0000 } else { 0u32 };
    let [a, b] = sources;
    let (a, b) = (row(w, e, a, 0)?, row(w, e, b, 1)?);
    let (x, y) = (w.regs[a], w.regs[b]);
    let (mut less, mut equal) = (0, 0);
    for lane in 0..32 {
        less |= u32::from(x[lane] ^ flip < y[lane] ^ flip) << lane;
        equal |= u32::from(x[lane] == y[lane]) << lane;
    }
    let greater = !(less | equal);
    let wanted = |bit: u8, lanes: u32| if compare.mask >> bit & 1 == 1 { lanes } else { 0 };
    let unequal = wanted(0, less) | wanted(2, greater);
    let mask = match extended {
        None => unequal | wanted(1, equal),
        Some(_) if compare.mask == 0 => 0,
        Some(low) => unequal | equal & w.mask(low),
    };
    set_both(w, exec, compare, mask);
    Ok(Flow::Next)
}

/// The tables that compilers use most have loops of their own.
pub(super) fn lop3([a, b, c]: [Src; 3], table: u8) -> Code {
    let two = c.from == From::Reg;
    match table {
        0xc0 if two => code!(
            [a, b] | w,
            e,
            exec,
            Op::Lop3 { d, a, b, .. } | map2(w, e, exec, d, [a, b], |a, b| a & b)
        ),
        0xfc if two => code!(
            [a, b] | w,
            e,
            exec,
            Op::Lop3 { d, a, b, .. } | map2(w, e, exec, d, [a, b], |a, b| a | b)
        ),
        0x3c if two => code!(
            [a, b] | w,
            e,
            exec,
            Op::Lop3 { d, a, b, .. } | map2(w, e, exec, d, [a, b], |a, b| a ^ b)
        ),
        0xf8 => code!(
            [a, b, c] | w,
            e,
            exec,
            Op::Lop3 { d, a, b, c, .. } | map3(w, e, exec, d, [a, b, c], |a, b, c| a | b & c)
        ),
        0xe2 => code!(
            [a, b, c] | w,
            e,
            exec,
            Op::Lop3 { d, a, b, c, .. } | {
                map3(w, e, exec, d, [a, b, c], |a, b, c| a & b | c & !b)
            }
        ),
        _ => code!(|w, e, exec, Op::Lop3 { d, a, b, c, table }| {
            map3(w, e, exec, d, [a, b, c], by_table(table))
        }),
    }
}

/// A function of three words, bit by bit. One mask per row of the table: no branches inside the loop over lanes.
#[inline(always)]
fn by_table(table: u8) -> impl Fn(u32, u32, u32) -> u32 {
    let mut m = [0; 8];
    for (row, mask) in m.iter_mut().enumerate() {
        *mask = (u32::from(table) >> row & 1).wrapping_neg();
    }
    move |a, b, c| {
        let low = !c & (!b & (!a & m[0] | a & m[4]) | b & (!a & m[2] | a & m[6]));
        let high = c & (!b & (!a & m[1] | a & m[5]) | b & (!a & m[3] | a & m[7]));
        low | high
    }
}

/// Such a function, and whether it is zero.
#[inline(always)]
pub(super) fn lop3_and_test(w: &mut Warp, e: &Shared, exec: u32, op: &Op) -> Step<Flow> {
    let Op::Lop3Pred { d, a, b, c, table, and, with, out } = *op else {
        unreachable!("the code of another operation")
    };
    let (a, b, c) = (row(w, e, a, 0)?, row(w, e, b, 1)?, row(w, e, c, 2)?);
    let (x, y, z) = (w.regs[a], w.regs[b], w.regs[c]);
    let f = by_table(table);
    let mut values = [0; 32];
    let mut set = 0;
    for lane in 0..32 {
        values[lane] = f(x[lane], y[lane], z[lane]);
        set |= u32::from(values[lane] != 0) << lane;
    }
    let with = w.mask(with);
    w.write(d, exec, &values);
    w.set_pred(out, exec, if and { set & with } else { set | with });
    Ok(Flow::Next)
}

/// The selections that put halves together have loops of their own, and so have all that are known
/// beforehand: each byte then comes from one source by one shift.
pub(super) fn permute(a: Src, selector: Src, c: Src) -> Code {
    match (selector.from, selector.value & 0xffff) {
        (From::Imm, 0x5410) => code!(
            [a, c] | w,
            e,
            exec,
            Op::Permute { d, a, c, .. } | {
                map2(w, e, exec, d, [a, c], |a, b| a & 0xffff | b << 16)
            }
        ),
        (From::Imm, 0x7632) => code!(
            [a, c] | w,
            e,
            exec,
            Op::Permute { d, a, c, .. } | {
                map2(w, e, exec, d, [a, c], |a, b| a >> 16 | b & 0xffff_0000)
            }
        ),
        // No byte that repeats a sign.
        (From::Imm, known) if known & 0x8888 == 0 => {
            code!(|w, e, exec, Op::Permute { d, a, b, c, .. }| {
                let known = b.value;
                let mut shifts = [0; 4];
                let mut from_a = [0; 4];
                for at in 0..4 {
                    let nibble = known >> (4 * at) & 7;
                    shifts[at] = nibble % 4 * 8;
                    from_a[at] = if nibble < 4 { u32::MAX } else { 0 };
                }
                map2(w, e, exec, d, [a, c], |a, b| {
                    let byte = |at: usize| (a & from_a[at] | b & !from_a[at]) >> shifts[at] & 0xff;
                    byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24
                })
            })
        }
        _ => code!(|w, e, exec, Op::Permute { d, a, b, c, .. }| {
            map3(w, e, exec, d, [a, b, c], |x, y, z| integer::permute(0, x, y, z))
        }),
    }
}

/// Shifts of one word by a number that is known have loops of their own.
pub(super) fn shift([a, b, c]: [Src; 3], how: integer::Funnel) -> Code {
    let known = b.from == From::Imm && b.value < 32;
    match how.right {
        true if known && !how.wide && how.high && how.signed => {
            code!(
                [c] | w,
                e,
                exec,
                Op::Shf { d, b, c, .. } | {
                    let by = b.value & 31;
                    map1(w, e, exec, d, c, |x| (x as i32 >> by) as u32)
                }
            )
        }
        true if known && !how.wide && how.high => {
            code!(
                [c] | w,
                e,
                exec,
                Op::Shf { d, b, c, .. } | {
                    let by = b.value & 31;
                    map1(w, e, exec, d, c, |x| x >> by)
                }
            )
        }
        false if known && !how.high && is_zero(c) => {
            code!(
                [a] | w,
                e,
                exec,
                Op::Shf { d, a, b, .. } | {
                    let by = b.value & 31;
                    map1(w, e, exec, d, a, |x| x << by)
                }
            )
        }
        _ => code!(|w, e, exec, Op::Shf { d, a, b, c, how }| {
            map3(w, e, exec, d, [a, b, c], |x, y, z| integer::funnel(how, x, y, z))
        }),
    }
}
