//! Which code runs an instruction: chosen once, when the instruction is decoded, and then called through a pointer.
//!
//! A small function for each kind gives the compiler nothing else to keep in registers, and what the word says
//! (which operation, how wide, which forms of operands) is asked once and not each time it runs.
//!
//! On x86-64 every function is compiled twice: for any processor, and for those with AVX2 and FMA, where a vector
//! is twice as long and a fused multiply-add is one instruction instead of a library call. What is to be compiled
//! twice must be inlined into either.

use super::block::Shared;
use super::run::Flow;
use super::warp::{Condition, Warp};
use super::{general, hot};
use crate::sm::op::Inst;

/// Runs the instruction in the lanes of a mask that is not zero. It must be the one that the code was chosen for,
/// and the processor the one that chose.
pub(crate) type Code = unsafe fn(&mut Warp, &mut Shared, &Inst, u32) -> Flow;

/// An instruction and what runs it.
pub(crate) struct Ready {
    pub(crate) inst: Inst,
    pub(super) code: Code,
    pub(super) guard: Condition,
}

impl Ready {
    pub(crate) fn new(inst: Inst) -> Ready {
        let code = hot::choose(&inst.op).unwrap_or_else(|| general::choose(&inst.op));
        Ready { code, guard: Condition::new(inst.guard), inst }
    }
}

#[cfg(test)]
thread_local! {
    /// Makes tests run what is for any processor.
    pub(crate) static PLAIN: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Whether the processor has the vectors of the second copy.
#[cfg(target_arch = "x86_64")]
pub(super) fn long_vectors() -> bool {
    #[cfg(test)]
    if PLAIN.get() {
        return false;
    }
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
}

/// A function of the warp, what the block shares, the lanes that run and the instruction, or the operation taken
/// apart, as [`Code`] for this processor. With a list of sources in front there is code of its own for registers.
macro_rules! code {
    (|$w:ident, $e:ident, $exec:ident, $inst:ident| $body:expr) => {{
        use $crate::sm::exec::{block::Shared, code::Code, fault::Step, run::Flow, warp::Warp};
        use $crate::sm::op::Inst;

        #[inline(always)]
        fn run($w: &mut Warp, $e: &mut Shared, $inst: &Inst, $exec: u32) -> Step<Flow> {
            $body
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn long(w: &mut Warp, e: &mut Shared, inst: &Inst, exec: u32) -> Flow {
            let step = run(w, e, inst, exec);
            e.flow(step)
        }
        fn any(w: &mut Warp, e: &mut Shared, inst: &Inst, exec: u32) -> Flow {
            let step = run(w, e, inst, exec);
            e.flow(step)
        }
        #[cfg(target_arch = "x86_64")]
        let code = if $crate::sm::exec::code::long_vectors() { long as Code } else { any };
        #[cfg(not(target_arch = "x86_64"))]
        let code = any as Code;
        code
    }};
    (|$w:ident, $e:ident, $exec:ident, $op:pat_param| $body:expr) => {
        code!(|$w, $e, $exec, inst| {
            let $op = inst.op else { unreachable!("the code of another operation") };
            $body
        })
    };
    ([$($source:ident),*] |$w:ident, $e:ident, $exec:ident, $op:pat_param| $body:expr) => {
        match $crate::sm::exec::lanes::registers([$($source),*]) {
            true => code!(|$w, $e, $exec, $op| {
                assert!($crate::sm::exec::lanes::registers([$($source),*]));
                $body
            }),
            false => code!(|$w, $e, $exec, $op| $body),
        }
    };
}
pub(super) use code;
