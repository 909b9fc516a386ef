//! What lanes tell each other: votes, matches, reductions, shuffles.

use super::block::Shared;
use super::fault::Step;
use super::run::Flow;
use super::warp::Warp;
use crate::sm::op::*;

fn vote(mode: VoteMode, exec: u32, holds: u32) -> bool {
    match mode {
        VoteMode::All => holds == exec,
        VoteMode::Any => holds != 0,
        VoteMode::Equal => holds == 0 || holds == exec,
    }
}

fn lanes(mask: u32) -> impl Iterator<Item = usize> {
    (0..32).filter(move |lane| mask >> lane & 1 == 1)
}

#[inline(always)]
pub(super) fn step(w: &mut Warp, _: &mut Shared, op: &Op, exec: u32) -> Step<Flow> {
    match *op {
        Op::Vote { d, p, mode, from } => {
            let holds = exec & w.mask(from);
            w.write(d, exec, &[holds; 32]);
            let yes = vote(mode, exec, holds);
            w.set_pred(p, exec, if yes { u32::MAX } else { 0 });
        }
        Op::VoteU { d, p, mode, from } => {
            let holds = exec & w.mask(from);
            w.uregs[d as usize] = holds;
            w.set_upred(p, vote(mode, exec, holds));
        }
        Op::Match { d, p, a, all, wide } => {
            let value = |w: &Warp, lane: usize| match wide {
                true => w.pair(a, lane),
                false => w.regs[a as usize][lane].into(),
            };
            let mut out = [0; 32];
            for lane in lanes(exec) {
                let own = value(w, lane);
                out[lane] = lanes(exec)
                    .filter(|other| value(w, *other) == own)
                    .fold(0, |mask, other| mask | 1 << other);
            }
            let agreed = lanes(exec).all(|lane| out[lane] == exec);
            if all {
                out = [if agreed { exec } else { 0 }; 32];
            }
            w.write(d, exec, &out);
            w.set_pred(p, exec, if agreed { u32::MAX } else { 0 });
        }
        Op::Elect { d, p, from } => {
            // Nobody is the lane of all ones.
            let lane = match (exec & w.mask(from)).trailing_zeros() {
                32 => u32::MAX,
                lane => lane,
            };
            w.uregs[d as usize] = lane;
            w.set_pred(p, exec, 1u32.checked_shl(lane).unwrap_or(0));
        }
        Op::Redux { d, a, op, signed } => {
            let values = lanes(exec).map(|lane| w.regs[a as usize][lane]);
            let result = values.reduce(|x, y| match (op, signed) {
                (ReduceOp::And, _) => x & y,
                (ReduceOp::Or, _) => x | y,
                (ReduceOp::Xor, _) => x ^ y,
                (ReduceOp::Sum, _) => x.wrapping_add(y),
                (ReduceOp::Min, false) => x.min(y),
                (ReduceOp::Max, false) => x.max(y),
                (ReduceOp::Min, true) => (x as i32).min(y as i32) as u32,
                (ReduceOp::Max, true) => (x as i32).max(y as i32) as u32,
            });
            w.uregs[d as usize] = result.unwrap_or(0);
        }
        Op::RegToUreg { d, p, a, or } => {
            let row = w.regs[a as usize];
            let value = row[exec.trailing_zeros() as usize & 31];
            w.uregs[d as usize] = value;
            // The predicate says in which lanes the register differs from the one value taken, or did
            // in an earlier part of the same number.
            let before = if or { w.preds[p as usize] } else { 0 };
            let differ = lanes(exec)
                .filter(|lane| row[*lane] != value)
                .fold(before, |mask, lane| mask | 1 << lane);
            w.set_pred(p, exec, differ);
        }
        Op::Shfl { d, p, a, mode, lane, clamp } => {
            let mut row = w.regs[a as usize];
            if exec != u32::MAX {
                // A lane that does not take part offers zero.
                (0..32).filter(|lane| exec >> lane & 1 == 0).for_each(|lane| row[lane] = 0);
            }
            let mut inside = 0;
            let mut out = [0; 32];
            match (mode, lane, clamp) {
                // Whole warps that trade with a fixed lane: what sums and maximums are made of.
                (Shuffle::Butterfly, Given::Number(by), Given::Number(0x1f)) => {
                    let by = by as usize & 31;
                    for at in 0..32 {
                        out[at] = row[at ^ by];
                    }
                    inside = u32::MAX;
                }
                (Shuffle::Index, Given::Number(from), Given::Number(0x1f)) => {
                    out = [row[from as usize & 31]; 32];
                    inside = u32::MAX;
                }
                _ => {
                    let lane = given_row(w, lane);
                    let clamp = given_row(w, clamp);
                    for at in 0..32 {
                        let (source, valid) = shuffle(mode, at as u32, lane[at], clamp[at]);
                        inside |= u32::from(valid) << at;
                        out[at] = row[source as usize & 31];
                    }
                }
            }
            w.write(d, exec, &out);
            w.set_pred(p, exec, inside);
        }
        _ => unreachable!("sorted by the caller"),
    }
    Ok(Flow::Next)
}

/// A number of the instruction or a register, in every lane.
#[inline(always)]
fn given_row(w: &Warp, what: Given) -> [u32; 32] {
    match what {
        Given::Number(n) => [n; 32],
        Given::Reg(r) => w.regs[r as usize],
        Given::Upper(r) => w.regs[r as usize].map(|word| word >> 16 & 0xfff),
    }
}

/// The lane that a shuffle reads, and whether that is inside the segment. Outside, a lane reads itself.
#[inline(always)]
fn shuffle(mode: Shuffle, lane: u32, by: u32, clamp: u32) -> (u32, bool) {
    let by = by & 31;
    let (bound, segment) = (clamp & 31, clamp >> 8 & 31);
    let lowest = lane & segment;
    let highest = lowest | bound & !segment;
    let (source, valid) = match mode {
        Shuffle::Index => {
            let source = lowest | by & !segment;
            (source, source <= highest)
        }
        Shuffle::Up => {
            let source = lane.wrapping_sub(by);
            (source, source as i32 >= highest as i32)
        }
        Shuffle::Down => (lane + by, lane + by <= highest),
        Shuffle::Butterfly => (lane ^ by, lane ^ by <= highest),
    };
    match valid {
        true => (source & 31, true),
        false => (lane, false),
    }
}
