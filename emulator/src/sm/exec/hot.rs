//! The instructions that fill kernels, written so that the compiler turns each into a few vector instructions
//! over all 32 lanes. Which of several loops an instruction needs is decided by what its word says.

use super::code::{Code, code};
use super::control;
use super::integers::*;
use super::lanes::*;
use super::memory::load_global;
use crate::sm::meaning::convert::Float;
use crate::sm::meaning::integer::{self, Dot};
use crate::sm::meaning::{Round, float, half};
use crate::sm::op::*;

/// To nearest, denormals flushed: what fast mathematics of a compiler ask for.
const FLUSH: float::Mode = float::Mode { flush: true, ..float::Mode::PLAIN };

/// The code of one of the instructions of this file; `None` if it is none of them.
pub(super) fn choose(op: &Op) -> Option<Code> {
    Some(match *op {
        Op::Nop => code!(|_w, _e, _exec, _inst| Ok(Flow::Next)),
        Op::Mov { b, .. } => {
            code!([b] | w, e, exec, Op::Mov { d, b } | map1(w, e, exec, d, b, |x| x))
        }
        Op::Load { width, space: Space::Global, when: Pred::TRUE, .. } => load(width),
        Op::Bra { .. } => code!(|w, _e, exec, inst| control::jump(w, &inst.op, exec)),
        // Compilers clear registers by reading the special register that is zero.
        Op::Special { index: 0xff, .. } => {
            code!(|w, _e, exec, Op::Special { d, wide, .. }| {
                w.write(d, exec, &[0; 32]);
                if wide && d != SINK {
                    w.write(d + 1, exec, &[0; 32]);
                }
                Ok(Flow::Next)
            })
        }
        _ => return singles(op).or_else(|| sums(op)).or_else(|| bits(op)),
    })
}

fn load(width: Width) -> Code {
    match width {
        Width::U8 => {
            code!(|w, e, exec, Op::Load { d, at, .. }| load_global(w, e, exec, d, at, Width::U8))
        }
        Width::U16 => {
            code!(|w, e, exec, Op::Load { d, at, .. }| load_global(w, e, exec, d, at, Width::U16))
        }
        Width::W32 => {
            code!(|w, e, exec, Op::Load { d, at, .. }| load_global(w, e, exec, d, at, Width::W32))
        }
        Width::W64 => {
            code!(|w, e, exec, Op::Load { d, at, .. }| load_global(w, e, exec, d, at, Width::W64))
        }
        Width::W128 => {
            code!(|w, e, exec, Op::Load { d, at, .. }| load_global(w, e, exec, d, at, Width::W128))
        }
        _ => {
            code!(|w, e, exec, Op::Load { d, at, width, .. }| load_global(w, e, exec, d, at, width))
        }
    }
}

/// Single precision.
fn singles(op: &Op) -> Option<Code> {
    Some(match *op {
        Op::FAddPlain { a, b, .. } => {
            code!(
                [a, b] | w,
                e,
                exec,
                Op::FAddPlain { d, a, b } | {
                    let ((ka, na), (kb, nb)) = (float_mods(a), float_mods(b));
                    map2(w, e, exec, d, [a, b], |x, y| float::add_plain(x & ka ^ na, y & kb ^ nb))
                }
            )
        }
        Op::FMulPlain { a, b, .. } if unsigned([a, b]) => {
            code!(
                [a, b] | w,
                e,
                exec,
                Op::FMulPlain { d, a, b } | map2(w, e, exec, d, [a, b], float::multiply_plain)
            )
        }
        Op::FMulPlain { .. } => {
            code!(|w, e, exec, Op::FMulPlain { d, a, b }| {
                let ((ka, na), (kb, nb)) = (float_mods(a), float_mods(b));
                map2(w, e, exec, d, [a, b], |x, y| float::multiply_plain(x & ka ^ na, y & kb ^ nb))
            })
        }
        Op::FFmaPlain { a, b, c, .. } if unsigned([a, b, c]) => {
            code!(
                [a, b, c] | w,
                e,
                exec,
                Op::FFmaPlain { d, a, b, c } | {
                    map3(w, e, exec, d, [a, b, c], float::fuse_plain)
                }
            )
        }
        Op::FFmaPlain { .. } => {
            code!(|w, e, exec, Op::FFmaPlain { d, a, b, c }| {
                let ((ka, na), (kb, nb), (kc, nc)) = (float_mods(a), float_mods(b), float_mods(c));
                map3(w, e, exec, d, [a, b, c], |x, y, z| {
                    float::fuse_plain(x & ka ^ na, y & kb ^ nb, z & kc ^ nc)
                })
            })
        }
        Op::FAdd { mode: FLUSH, .. } => {
            code!(|w, e, exec, Op::FAdd { d, a, b, .. }| {
                let ((ka, na), (kb, nb)) = (float_mods(a), float_mods(b));
                let f = float::flush;
                map2(w, e, exec, d, [a, b], |x, y| {
                    f(float::add_plain(f(x & ka ^ na), f(y & kb ^ nb)))
                })
            })
        }
        Op::FMul { mode: FLUSH, scale: 0, .. } => {
            code!(|w, e, exec, Op::FMul { d, a, b, .. }| {
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
            })
        }
        Op::FFma { mode: FLUSH, .. } => {
            code!(|w, e, exec, Op::FFma { d, a, b, c, .. }| {
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
            })
        }
        Op::FSetP { flush: false, .. } => {
            code!(|w, e, exec, Op::FSetP { a, b, compare, .. }| {
                let ((ka, na), (kb, nb)) = (float_mods(a), float_mods(b));
                let mask = holds(w, e, [a, b], |x, y| {
                    float::compare(compare.mask, false, x & ka ^ na, y & kb ^ nb)
                })?;
                set_both(w, exec, compare, mask);
                Ok(Flow::Next)
            })
        }
        Op::I32ToF32 { b, .. } => {
            code!(
                [b] | w,
                e,
                exec,
                Op::I32ToF32 { d, b } | map1(w, e, exec, d, b, |x| (x as i32 as f32).to_bits())
            )
        }
        Op::FromInteger { b, from, to: Float::F32, round: Round::Nearest, part, .. }
            if b.from == From::Reg && from.bits + u32::from(part) * from.bits.min(16) <= 32 =>
        {
            code!(|w, e, exec, Op::FromInteger { d, b, from, part, .. }| {
                // The part first goes to the top, so that the shift back extends it.
                let up = 32 - from.bits - u32::from(part) * from.bits.min(16);
                let down = 32 - from.bits;
                match from.signed {
                    true => {
                        map1(w, e, exec, d, b, |x| (((x << up) as i32 >> down) as f32).to_bits())
                    }
                    false => map1(w, e, exec, d, b, |x| ((x << up >> down) as f32).to_bits()),
                }
            })
        }
        // Half to single: the sum of minus zero and one half.
        Op::HAdd { a, b, mode, single: true, .. }
            if is_zero(a)
                && mode.kind == half::Kind::F16
                && !mode.flush
                && !mode.saturate
                && b.from == From::Reg =>
        {
            match a.neg && unsigned([b]) {
                true => code!(
                    [b] | w,
                    e,
                    exec,
                    Op::HAdd { d, b, .. } | {
                        let shift = if b.halves == 3 { 16 } else { 0 };
                        map1(w, e, exec, d, b, |x| {
                            float::canonical(half::f16_to_f32((x >> shift) as u16))
                        })
                    }
                ),
                false => code!(|w, e, exec, Op::HAdd { d, a, b, .. }| {
                    let shift = if b.halves == 3 { 16 } else { 0 };
                    let (keep, flip) = float_mods(b);
                    let zero = if a.neg { 0x8000_0000 } else { 0 };
                    map1(w, e, exec, d, b, |x| {
                        let value = half::f16_to_f32((x >> shift) as u16).to_bits();
                        float::add_plain(zero, value & keep ^ flip)
                    })
                }),
            }
        }
        _ => return None,
    })
}

/// Whether no source has its sign changed.
fn unsigned<const N: usize>(sources: [Src; N]) -> bool {
    sources.iter().all(|source| !source.neg && !source.abs)
}

/// Sums and products of integers.
fn sums(op: &Op) -> Option<Code> {
    Some(match *op {
        // Compilers move by the multiplier, and add by it.
        Op::IMad { a, c, .. } if is_zero(a) && !c.neg => {
            code!([c] | w, e, exec, Op::IMad { d, c, .. } | map1(w, e, exec, d, c, |x| x))
        }
        Op::IMad { a, b, c, .. } if is_number(b, 1) && !c.neg => {
            code!(
                [a, c] | w,
                e,
                exec,
                Op::IMad { d, a, c, .. } | map2(w, e, exec, d, [a, c], u32::wrapping_add)
            )
        }
        Op::IMad { a, b, c, .. } => {
            code!(
                [a, b, c] | w,
                e,
                exec,
                Op::IMad { d, a, b, c } | {
                    let n = if c.neg { u32::MAX } else { 0 };
                    map3(w, e, exec, d, [a, b, c], |x, y, z| {
                        x.wrapping_mul(y).wrapping_add((z ^ n).wrapping_sub(n))
                    })
                }
            )
        }
        Op::IMadCarry { a, b, c, .. } if is_zero(a) && b.from == From::Reg => {
            code!(
                [c] | w,
                e,
                exec,
                Op::IMadCarry { d, c, carry, .. } | {
                    let n = if c.neg { u32::MAX } else { 0 };
                    let carry = spread(w.mask(carry));
                    map1_with(w, e, exec, d, c, &carry, |z, carry| (z ^ n).wrapping_add(carry))
                }
            )
        }
        Op::IMadCarry { a, b, c, .. } => {
            code!(
                [a, b, c] | w,
                e,
                exec,
                Op::IMadCarry { d, a, b, c, carry } | {
                    let n = if c.neg { u32::MAX } else { 0 };
                    let carry = spread(w.mask(carry));
                    map3_with(w, e, exec, d, [a, b, c], &carry, |x, y, z, carry| {
                        x.wrapping_mul(y).wrapping_add(z ^ n).wrapping_add(carry)
                    })
                }
            )
        }
        Op::IAdd3 { a, b, c, .. } if is_zero(c) && !(a.neg || b.neg || c.neg) => {
            code!(
                [a, b] | w,
                e,
                exec,
                Op::IAdd3 { d, a, b, .. } | map2(w, e, exec, d, [a, b], u32::wrapping_add)
            )
        }
        Op::IAdd3 { a, b, c, .. } => {
            code!(
                [a, b, c] | w,
                e,
                exec,
                Op::IAdd3 { d, a, b, c } | {
                    let flip = |s: Src| if s.neg { u32::MAX } else { 0 };
                    let (na, nb, nc) = (flip(a), flip(b), flip(c));
                    let ones = na.wrapping_add(nb).wrapping_add(nc);
                    map3(w, e, exec, d, [a, b, c], |x, y, z| {
                        (x ^ na).wrapping_add(y ^ nb).wrapping_add(z ^ nc).wrapping_sub(ones)
                    })
                }
            )
        }
        // The lower half of most 64-bit sums, and the upper.
        Op::IAdd3Carry { a, b, c, extended: false, out: [_, PSINK], .. }
            if is_zero(c) && !(a.neg || b.neg || c.neg) =>
        {
            code!(
                [a, b] | w,
                e,
                exec,
                Op::IAdd3Carry { d, a, b, out, .. } | add_two(w, e, exec, d, [a, b], out[0])
            )
        }
        Op::IAdd3Carry { extended: true, out: [PSINK, PSINK], .. } => {
            code!(|w, e, exec, Op::IAdd3Carry { d, a, b, c, carry, .. }| {
                add_extended(w, e, exec, d, [a, b, c], carry)
            })
        }
        Op::IAdd3Carry { .. } => {
            code!(|w, e, exec, Op::IAdd3Carry { d, a, b, c, extended, out, carry }| {
                add_with_carry(w, e, exec, d, [a, b, c], extended, out, carry)
            })
        }
        Op::Dot4Signed { a, b, c, .. } => {
            code!(
                [a, b, c] | w,
                e,
                exec,
                Op::Dot4Signed { d, a, b, c } | {
                    map3(w, e, exec, d, [a, b, c], integer::dot4_signed)
                }
            )
        }
        Op::Dot { a, b, c, how: Dot { pairs: None, a_signed: false, b_signed: true }, .. }
            if !c.neg =>
        {
            code!(
                [a, b, c] | w,
                e,
                exec,
                Op::Dot { d, a, b, c, .. } | {
                    map3(w, e, exec, d, [a, b, c], |x, y, z| {
                        let term = |at: u32| {
                            (x >> (8 * at) & 0xff) as i32 * i32::from((y >> (8 * at)) as i8)
                        };
                        z.wrapping_add((term(0) + term(1) + term(2) + term(3)) as u32)
                    })
                }
            )
        }
        Op::IMadWide { c, signed, extended: false, out: PSINK, .. } if !c.neg => match signed {
            true => code!(|w, e, exec, Op::IMadWide { d, a, b, c, .. }| {
                multiply_wide(w, e, exec, d, [a, b, c], true)
            }),
            false => code!(|w, e, exec, Op::IMadWide { d, a, b, c, .. }| {
                multiply_wide(w, e, exec, d, [a, b, c], false)
            }),
        },
        Op::Lea { c, how, .. }
            if c.from == From::Reg
                && !(how.high || how.extended || how.negate_a || how.negate_b) =>
        {
            code!(|w, e, exec, Op::Lea { d, a, b, how, out, .. }| {
                shift_and_add(w, e, exec, d, [a, b], how.shift, out)
            })
        }
        Op::Lea { .. } => {
            code!(|w, e, exec, Op::Lea { d, a, b, c, how, carry, out }| {
                shift_and_add_wide(w, e, exec, d, [a, b, c], how, carry, out)
            })
        }
        _ => return None,
    })
}

/// Bits, comparisons and choices.
fn bits(op: &Op) -> Option<Code> {
    Some(match *op {
        Op::Lop3 { a, b, c, table, .. } => lop3([a, b, c], table),
        Op::Lop3Pred { .. } => code!(|w, e, exec, inst| lop3_and_test(w, e, exec, &inst.op)),
        Op::Shf { a, b, c, how, .. } => shift([a, b, c], how),
        Op::Permute { a, b, c, mode: 0, .. } => permute(a, b, c),
        Op::ISetP { a, b, .. } => {
            code!(
                [a, b] | w,
                e,
                exec,
                Op::ISetP { a, b, signed, extended, compare } | {
                    set_integers(w, e, exec, [a, b], signed, extended, compare)
                }
            )
        }
        Op::Sel { .. } => {
            code!(|w, e, exec, Op::Sel { d, a, b, pick }| {
                let pick = spread(w.mask(pick));
                map2_with(w, e, exec, d, [a, b], &pick, |x, y, pick| if pick == 1 { x } else { y })
            })
        }
        _ => return None,
    })
}
