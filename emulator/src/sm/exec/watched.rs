//! Blocks that somebody watches: caches that may hold what is no longer true, a detector of races.
//!
//! Whether a block is watched is asked once per turn of a warp. A watched one runs in a loop of its own,
//! so that the other loop knows nothing of it.

use super::block::Shared;
use super::control;
use super::global::Span;
use super::memory::{all_addresses, inside_window, window_address};
use super::run::{self, Hook, Stop};
use super::warp::Warp;
use crate::sm::op::*;

/// Somebody who hears of every access to global and shared memory.
pub trait Watch {
    /// Lanes are about to reach memory.
    fn before(&self, access: &Access);
    /// They have.
    fn after(&self, access: &Access);
    /// A warp has ordered what it stored before what it stores later.
    fn fence(&self, who: &Who, scope: Scope);
    /// A warp has emptied its multiprocessor's data cache.
    fn forget_lines(&self, who: &Who);
    /// A warp comes to a barrier of its block, and may wait there.
    fn arrives(&self, who: &Who, barrier: u32, waits: bool);
    /// Everybody whom the barrier needs has come.
    fn opens(&self, block: [u32; 3], barrier: u32);
}

/// Which warp, and at which instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// The block in its grid.
    pub block: [u32; 3],
    /// The multiprocessor.
    pub sm: u32,
    /// The warp in its block.
    pub warp: u32,
    /// The address of the instruction.
    pub pc: u64,
}

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Reads.
    Load,
    /// Writes.
    Store,
    /// Both, in one step.
    Atomic,
}

/// How far an order reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The block.
    Block,
    /// The whole GPU.
    Gpu,
    /// The CPU too.
    System,
}

/// What the lanes of a warp do to memory with one instruction.
#[derive(Clone, Debug)]
pub struct Access {
    /// The warp.
    pub who: Who,
    /// What it does.
    pub verb: Verb,
    /// Whether this is about the block's shared memory.
    pub shared: bool,
    /// Ordered with others of its kind, and past the multiprocessor's own cache: volatile, relaxed or
    /// cached in L2 only. Atomics are too.
    pub strong: bool,
    /// How wide it is in each lane.
    pub bytes: u32,
    /// The lanes that take part.
    pub lanes: u32,
    /// Each lane's address, or offset in shared memory.
    pub addresses: [u64; 32],
    /// What each lane stores.
    pub values: [[u32; 4]; 32],
}

impl Access {
    /// The lanes that take part, with their addresses.
    pub fn each(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        (0..32).filter(|lane| self.lanes >> lane & 1 == 1).map(|lane| (lane, self.addresses[lane]))
    }
}

/// Orders of loads and stores (bits 80 to 77) that pass by the multiprocessor's cache: STRONG.GPU,
/// STRONG.SYS and MMIO, private or not.
const STRONG: [u32; 5] = [6, 7, 8, 10, 12];
const MEMBAR: u32 = 0x992;
const CCTL: u32 = 0x98f;
/// The operation of CCTL that empties the whole cache.
const IVALL: u32 = 4;

/// The loop of a watched warp.
pub(super) fn run(w: &mut Warp, e: &mut Shared, turn: u64, watch: &dyn Watch) -> Stop {
    let accesses = Vec::with_capacity(2);
    run::run_with(w, e, turn, &mut Watching { watch, accesses })
}

struct Watching<'w> {
    watch: &'w dyn Watch,
    /// Of the instruction that runs now.
    accesses: Vec<Access>,
}

impl Hook for Watching<'_> {
    fn before(&mut self, w: &Warp, e: &mut Shared, inst: &Inst, exec: u32) {
        let who = Who {
            block: e.launch.index,
            sm: e.launch.sm,
            warp: w.index,
            pc: e.program.base() + u64::from(w.now.pc) * 16,
        };
        let word = e.program.word(w.now.pc as usize).unwrap_or(0);
        match inst.op {
            Op::Fence => return self.order(&who, word),
            Op::Barrier { mode, id, .. } => {
                let barrier = control::barrier_id(w, id, exec);
                return self.watch.arrives(&who, barrier, mode != BarrierMode::Arrive);
            }
            _ => self.collect(w, e, who, inst, exec, word),
        }
        for access in &self.accesses {
            self.watch.before(access);
        }
        // Where memory is found may depend on what is about to be done with it.
        forget_spans(e, &self.accesses);
    }

    fn after(&mut self, e: &mut Shared) {
        for access in &self.accesses {
            self.watch.after(access);
        }
        forget_spans(e, &self.accesses);
        self.accesses.clear();
    }
}

fn forget_spans(e: &mut Shared, accesses: &[Access]) {
    if accesses.iter().any(|access| !access.shared) {
        e.spans = [Span::EMPTY; 4];
    }
}

fn bits(word: u128, hi: u32, lo: u32) -> u32 {
    (word >> lo) as u32 & ((1 << (hi - lo + 1)) - 1)
}

impl Watching<'_> {
    /// A fence, or something else that orders memory.
    fn order(&self, who: &Who, word: u128) {
        match bits(word, 11, 0) {
            MEMBAR => {
                let scope = match bits(word, 78, 76) {
                    0 | 1 => Scope::Block,
                    2 => Scope::Gpu,
                    _ => Scope::System,
                };
                self.watch.fence(who, scope);
            }
            CCTL if bits(word, 90, 87) == IVALL => self.watch.forget_lines(who),
            _ => {}
        }
    }

    /// What an instruction does to memory, if it is one of those that do.
    fn collect(&mut self, w: &Warp, e: &Shared, who: Who, inst: &Inst, exec: u32, word: u128) {
        let strong = STRONG.contains(&bits(word, 80, 77));
        let access = |verb, bytes, lanes, addresses| Access {
            who,
            verb,
            shared: false,
            strong,
            bytes,
            lanes,
            addresses,
            values: [[0; 4]; 32],
        };
        match inst.op {
            Op::Load { at, width, space, when, .. } => {
                let lanes = exec & w.mask(when);
                let addresses = all_addresses(w, at, space);
                self.sort(e, space, access(Verb::Load, width.bytes(), lanes, addresses));
            }
            Op::Store { s, at, width, space } => {
                let addresses = all_addresses(w, at, space);
                let mut access = access(Verb::Store, width.bytes(), exec, addresses);
                if s != ZERO {
                    for (n, row) in (s..s + width.registers()).enumerate() {
                        for lane in 0..32 {
                            access.values[lane][n] = w.regs[row as usize][lane];
                        }
                    }
                }
                self.sort(e, space, access);
            }
            Op::Atom { at, op, space, .. } => {
                let addresses = all_addresses(w, at, space);
                let access = access(Verb::Atomic, op.bytes(), exec, addresses);
                self.sort(e, space, Access { strong: true, ..access });
            }
            Op::AtomWide { at, width, space, .. } => {
                let addresses = all_addresses(w, at, space);
                let access = access(Verb::Atomic, width.bytes(), exec, addresses);
                self.sort(e, space, Access { strong: true, ..access });
            }
            Op::CopyAsync { shared, global, width, when, .. } => {
                let lanes = exec & w.mask(when);
                let from = all_addresses(w, global, Space::Global);
                let to = std::array::from_fn(|lane| window_address(w, shared, lane).into());
                // The low bits of the address say how much is zero.
                let from = from.map(|address| address & !u64::from(width.bytes() - 1));
                // Bit 81 goes past the cache.
                let bypass = bits(word, 81, 81) == 1;
                let load = access(Verb::Load, width.bytes(), lanes, from);
                self.sort(e, Space::Global, Access { strong: bypass, ..load });
                self.sort(e, Space::Shared, access(Verb::Store, width.bytes(), exec, to));
            }
            Op::Ldsm { at, count, .. } => {
                let lanes = (u64::MAX >> (64 - 8 * u32::from(count))) as u32;
                let rows = std::array::from_fn(|lane| window_address(w, at, lane).into());
                self.sort(e, Space::Shared, access(Verb::Load, 16, lanes, rows));
            }
            _ => {}
        }
    }

    /// Keeps what concerns global or shared memory; a generic address may mean either.
    fn sort(&mut self, e: &Shared, space: Space, access: Access) {
        let mut push = |access: Access| {
            if access.lanes != 0 {
                self.accesses.push(access);
            }
        };
        match space {
            Space::Global => push(access),
            Space::Shared => push(Access { shared: true, strong: false, ..access }),
            Space::Local => {}
            Space::Generic => {
                let mut shared = Access { shared: true, strong: false, lanes: 0, ..access.clone() };
                let mut global = Access { lanes: 0, ..access.clone() };
                for (lane, address) in access.each() {
                    if let Some(offset) = inside_window(e.launch.shared_window, address) {
                        shared.addresses[lane] = offset;
                        shared.lanes |= 1 << lane;
                    } else if inside_window(e.launch.local_window, address).is_none() {
                        global.lanes |= 1 << lane;
                    }
                }
                push(shared);
                push(global);
            }
        }
    }
}
