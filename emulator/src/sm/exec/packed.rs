//! Packed halves.

use super::block::Shared;
use super::fault::Step;
use super::lanes::{map3, row, set_both};
use super::run::Flow;
use super::warp::Warp;
use crate::sm::meaning::float;
use crate::sm::meaning::half::{self, pack, pick};
use crate::sm::op::*;

/// A packed source with its choice of halves and its signs.
fn halves(s: Src, x: u32) -> [u16; 2] {
    let chosen = if s.from == From::Imm { 0 } else { s.halves };
    let keep = if s.abs { 0x7fff } else { u16::MAX };
    let flip = if s.neg { 0x8000 } else { 0 };
    pick(chosen, x).map(|h| h & keep ^ flip)
}

fn each2(a: [u16; 2], b: [u16; 2], f: impl Fn(u16, u16) -> u16) -> u32 {
    pack([f(a[0], b[0]), f(a[1], b[1])])
}

/// Both rows of a two-source instruction.
fn pairs(w: &mut Warp, e: &Shared, a: Src, b: Src) -> Step<([u32; 32], [u32; 32])> {
    let (x, y) = (row(w, e, a, 0)?, row(w, e, b, 1)?);
    Ok((w.regs[x], w.regs[y]))
}

/// The lanes in which the low and the high halves compare.
fn compare(
    w: &mut Warp,
    e: &Shared,
    (a, b): (Src, Src),
    kind: half::Kind,
    flush: bool,
    mask: u8,
) -> Step<[u32; 2]> {
    let (x, y) = pairs(w, e, a, b)?;
    let mut out = [0; 2];
    for lane in 0..32 {
        let (p, q) = (halves(a, x[lane]), halves(b, y[lane]));
        for half in 0..2 {
            let holds = half::compare(kind, mask, flush, p[half], q[half]);
            out[half] |= u32::from(holds) << lane;
        }
    }
    Ok(out)
}

#[inline(always)]
pub(super) fn step(w: &mut Warp, e: &mut Shared, op: &Op, exec: u32) -> Step<Flow> {
    let (d, out): (u16, [u32; 32]) = match *op {
        Op::HAdd { d, a, b, mode, single } => {
            let (x, y) = pairs(w, e, a, b)?;
            let out = std::array::from_fn(|lane| {
                let (p, q) = (halves(a, x[lane]), halves(b, y[lane]));
                match single {
                    false => each2(p, q, |p, q| mode.add(p, q)),
                    true => {
                        let wide = |h| mode.kind.widen(h).to_bits();
                        let how = float::Mode {
                            flush: mode.flush,
                            saturate: mode.saturate,
                            ..float::Mode::PLAIN
                        };
                        float::add(how, wide(p[0]), wide(q[0]))
                    }
                }
            });
            (d, out)
        }
        Op::HMul { d, a, b, mode } => {
            let (x, y) = pairs(w, e, a, b)?;
            let out = std::array::from_fn(|lane| {
                each2(halves(a, x[lane]), halves(b, y[lane]), |p, q| mode.multiply(p, q))
            });
            (d, out)
        }
        Op::HFma { d, a, b, c, mode } => {
            let zero = |s: Src| s.from == From::Reg && s.index == ZERO as u8;
            if zero(a) && zero(b) && c.from == From::Imm {
                // How compilers load a constant: the same in all lanes.
                let (p, q, r) = (halves(a, 0), halves(b, 0), halves(c, c.value));
                let value = pack([mode.fuse(p[0], q[0], r[0]), mode.fuse(p[1], q[1], r[1])]);
                w.write(d, exec, &[value; 32]);
                return Ok(Flow::Next);
            }
            return map3(w, e, exec, d, [a, b, c], |x, y, z| {
                let (p, q, r) = (halves(a, x), halves(b, y), halves(c, z));
                pack([mode.fuse(p[0], q[0], r[0]), mode.fuse(p[1], q[1], r[1])])
            });
        }
        Op::HSet { d, a, b, kind, flush, ones, compare: how } => {
            let with = w.mask(how.with);
            let found = compare(w, e, (a, b), kind, flush, how.mask)?;
            let yes = match (ones, kind) {
                (true, _) => 0xffff,
                (false, half::Kind::F16) => 0x3c00,
                (false, half::Kind::Bf16) => 0x3f80,
            };
            let [low, high] = found.map(|mask| how.combine.masks(mask, with));
            let value = |mask: u32, lane: usize| if mask >> lane & 1 == 1 { yes } else { 0 };
            (d, std::array::from_fn(|lane| pack([value(low, lane), value(high, lane)])))
        }
        Op::HSetP { a, b, kind, flush, both, compare: how } => {
            let [low, high] = compare(w, e, (a, b), kind, flush, how.mask)?;
            if both {
                set_both(w, exec, how, low & high);
            } else {
                // One predicate for each half.
                let with = w.mask(how.with);
                w.set_pred(how.p, exec, how.combine.masks(low, with));
                w.set_pred(how.q, exec, how.combine.masks(high, with));
            }
            return Ok(Flow::Next);
        }
        Op::HMnMx { d, a, b, kind, how, pick } => {
            let smaller = w.mask(pick);
            let (x, y) = pairs(w, e, a, b)?;
            let out = std::array::from_fn(|lane| {
                let (p, q) = (halves(a, x[lane]), halves(b, y[lane]));
                let result =
                    each2(p, q, |p, q| half::extreme(kind, how, p, q, smaller >> lane & 1 == 1));
                match how.xor_sign {
                    // The signs that the registers hold, whatever is done to the operands.
                    true => {
                        let plain = |s: Src, x| halves(Src { neg: false, abs: false, ..s }, x);
                        let signs = each2(plain(a, x[lane]), plain(b, y[lane]), |p, q| p ^ q);
                        half::with_signs(kind, result, signs)
                    }
                    false => result,
                }
            });
            (d, out)
        }
        Op::Pack { d, a, b, c, how, merge } => {
            let narrow = |x| narrow(how, x);
            let (a, b, c) = (row(w, e, a, 0)?, row(w, e, b, 1)?, row(w, e, c, 2)?);
            let out = std::array::from_fn(|lane| {
                let low = narrow(w.regs[b][lane]);
                let high = match merge {
                    true => w.regs[c][lane] as u16,
                    false => narrow(w.regs[a][lane]),
                };
                pack([low, high])
            });
            (d, out)
        }
        _ => unreachable!("sorted by the caller"),
    };
    w.write(d, exec, &out);
    Ok(Flow::Next)
}

fn narrow(how: PackHalves, x: u32) -> u16 {
    let PackHalves { kind, round, relu, finite } = how;
    let negative = x >> 31 == 1;
    let nan = f32::from_bits(x).is_nan();
    if relu && negative && !nan {
        return 0;
    }
    let result = kind.narrow(x, round);
    let largest = kind.format().largest() as u16;
    match finite && !nan && result & 0x7fff > largest {
        true => result & 0x8000 | largest,
        false => result,
    }
}
