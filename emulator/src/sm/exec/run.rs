//! The instruction loop.
//!
//! It is compiled twice on x86-64, and with it everything that it calls: for any processor, and for those with
//! AVX2 and FMA, where a fused multiply-add is one instruction instead of a library call. What is to be
//! compiled twice must be inlined into either; so the rooms beside this one are, into one function each way:
//! the instructions of [`super::hot`] into the loop, all others into one beside it.

use super::block::{Shared, draw};
use super::fault::{FaultKind, Step, Trap, trap};
use super::warp::Warp;
use super::{general, hot, watched};
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
    if let Some(watch) = shared.memory.watch() {
        return watched::run(warp, shared, turn, watch);
    }
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        // SAFETY: the processor has both features.
        return unsafe { run_avx2(warp, shared, turn) };
    }
    run_anywhere(warp, shared, turn, &mut Nobody)
}

/// Runs one of the instructions that are not [`super::hot`].
type Rest = unsafe fn(&mut Warp, &mut Shared, &Inst, u32) -> Step<Flow>;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2(warp: &mut Warp, shared: &mut Shared, turn: u64) -> Stop {
    // SAFETY: the processor has what `rest_avx2` needs, as for this function.
    unsafe { run_with(warp, shared, turn, &mut Nobody, rest_avx2) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[inline(never)]
unsafe fn rest_avx2(w: &mut Warp, e: &mut Shared, inst: &Inst, exec: u32) -> Step<Flow> {
    general::step(w, e, inst, exec)
}

#[inline(never)]
fn rest_anywhere(w: &mut Warp, e: &mut Shared, inst: &Inst, exec: u32) -> Step<Flow> {
    general::step(w, e, inst, exec)
}

pub(super) fn run_anywhere(w: &mut Warp, e: &mut Shared, turn: u64, hook: &mut impl Hook) -> Stop {
    // SAFETY: `rest_anywhere` needs nothing.
    unsafe { run_with(w, e, turn, hook, rest_anywhere) }
}

/// # Safety
/// The processor must have what `rest` was compiled for.
#[inline(always)]
unsafe fn run_with(
    w: &mut Warp,
    e: &mut Shared,
    turn: u64,
    hook: &mut impl Hook,
    rest: Rest,
) -> Stop {
    // SAFETY: as the caller promises.
    match unsafe { steps(w, e, turn, hook, rest) } {
        Ok(()) => Stop::Turn,
        Err(trap) => Stop::Trap(trap),
    }
}

/// # Safety
/// The processor must have what `rest` was compiled for.
#[inline(always)]
unsafe fn steps(
    w: &mut Warp,
    e: &mut Shared,
    turn: u64,
    hook: &mut impl Hook,
    rest: Rest,
) -> Step<()> {
    let end = e.clock + turn;
    let allocated = e.launch.registers.min(u32::from(ZERO)) as u16;
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
        while let Some(inst) = page.get(w.now.pc.wrapping_sub(first) as usize) {
            if e.clock >= end {
                return Ok(());
            }
            e.clock += 1;
            let exec = w.now.mask & w.mask(inst.guard);
            if exec == 0 {
                w.now.pc += 1;
                continue;
            }
            if inst.registers > allocated {
                return trap(FaultKind::Register { allocated: e.launch.registers });
            }
            hook.before(w, e, inst, exec);
            let flow = match hot::step(w, e, inst, exec) {
                Some(done) => done?,
                // SAFETY: as the caller promises.
                None => unsafe { rest(w, e, inst, exec)? },
            };
            hook.after(e);
            match flow {
                Flow::Next => w.now.pc += 1,
                Flow::Moved => {
                    if w.now.mask == 0 {
                        break;
                    }
                }
                Flow::Yield => return Ok(()),
            }
        }
    }
    Ok(())
}
