//! The instruction loop.

use super::block::{Shared, draw};
use super::code::Ready;
use super::fault::{FaultKind, Step, Trap, trap};
use super::warp::Warp;
use super::watched;
use crate::sm::op::*;
use crate::sm::program::PAGE;

/// Why a warp stopped running.
pub(crate) enum Stop {
    /// Its turn is over, or it has nothing to run.
    Turn,
    Trap(Box<Trap>),
}

/// Where control is after an instruction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// At the next instruction.
    Next,
    /// Elsewhere: the program counter or the group has changed.
    Moved,
    /// Elsewhere, and the block should look at its barriers.
    Yield,
    /// Nowhere: what it must not do is in [`Shared::trap`].
    Trapped,
}

/// Who hears of every instruction: see [`super::watched`].
pub(crate) trait Hook {
    /// The lanes of `exec` are about to run it.
    fn before(&mut self, w: &Warp, e: &mut Shared, inst: &Inst, exec: u32);
    /// They have.
    fn after(&mut self, e: &mut Shared);
}

/// The hook of ordinary runs, of which the compiler leaves nothing.
struct Nobody;

impl Hook for Nobody {
    #[inline(always)]
    fn before(&mut self, _: &Warp, _: &mut Shared, _: &Inst, _: u32) {}
    #[inline(always)]
    fn after(&mut self, _: &mut Shared) {}
}

/// Runs a warp for about `turn` instructions.
pub(crate) fn run(warp: &mut Warp, shared: &mut Shared, turn: u64) -> Stop {
    match shared.memory.watch() {
        Some(watch) => watched::run(warp, shared, turn, watch),
        None => run_with(warp, shared, turn, &mut Nobody),
    }
}

pub(super) fn run_with(w: &mut Warp, e: &mut Shared, turn: u64, hook: &mut impl Hook) -> Stop {
    match steps(w, e, turn, hook) {
        Ok(()) => Stop::Turn,
        Err(trap) => Stop::Trap(trap),
    }
}

fn steps(w: &mut Warp, e: &mut Shared, turn: u64, hook: &mut impl Hook) -> Step<()> {
    let end = e.clock + turn;
    let allocated = w.allocated;
    let program = e.program;
    while e.clock < end {
        if w.now.mask == 0 {
            let nth = e.random.as_mut().map(|state| draw(state) as usize);
            if !w.pick(nth) {
                return Ok(());
            }
        }
        let page_index = w.now.pc as usize / PAGE;
        let first = (page_index * PAGE) as u32;
        let Some(page) = program.page(page_index) else {
            return trap(FaultKind::OutsideCode);
        };
        if page.get((w.now.pc - first) as usize).is_none() {
            return trap(FaultKind::OutsideCode);
        }
        while let Some(Ready { inst, code, guard }) =
            page.get(w.now.pc.wrapping_sub(first) as usize)
        {
            if e.clock >= end {
                return Ok(());
            }
            e.clock += 1;
            let exec = w.now.mask & w.holds(*guard);
            if exec == 0 {
                w.now.pc += 1;
                continue;
            }
            if inst.registers > allocated {
                return trap(FaultKind::Register { allocated: allocated.into() });
            }
            hook.before(w, e, inst, exec);
            // SAFETY: the code was chosen for this instruction, on this processor.
            let flow = unsafe { code(w, e, inst, exec) };
            hook.after(e);
            match flow {
                Flow::Next => w.now.pc += 1,
                Flow::Moved => {
                    if w.now.mask == 0 {
                        break;
                    }
                }
                Flow::Yield | Flow::Trapped => return e.trap.take().map_or(Ok(()), Err),
            }
        }
    }
    Ok(())
}
