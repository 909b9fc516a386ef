//! Blocks that somebody watches: caches that may hold what is no longer true, a detector of races.
//!
//! Whether a block is watched is asked once per turn of a warp. A watched one runs in a loop of its own,
//! so that the other loop knows nothing of it.

use super::block::Shared;
use super::control;
use super::global::Span;
use super::memory::{
    Bulk, PIECE, all_addresses, in_local_window, in_shared_window, rank_and_offset, window_address,
};
use super::run::{self, Hook, Stop};
use super::warp::Warp;
use super::watch::{Access, By, Counter, Scope, Tie, Under, Verb, Watch, Who};
use crate::sm::op::*;

/// Orders of loads and stores (bits 80 to 77) that pass by the multiprocessor's cache: STRONG.GPU,
/// STRONG.SYS and MMIO, private or not.
const STRONG: [u32; 5] = [6, 7, 8, 10, 12];
const MEMBAR: u32 = 0x992;
const CCTL: u32 = 0x98f;
/// The operation of CCTL that empties the whole cache.
const IVALL: u32 = 4;
/// What makes groups of copies, and of bulk copies; and what waits for some of them.
const LDGDEPBAR: u32 = 0x9af;
const UTMACMDFLUSH: u32 = 0x9b7;
const DEPBAR: u32 = 0x91a;
/// The arrival of copies at a barrier.
const ARRIVES: u32 = 0x9b0;

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
            Op::ClusterArrive => {
                return self.watch.ties(&who, Tie::ToCluster(e.launch.of_rank(0)));
            }
            Op::ClusterWait => {
                return self.watch.ties(&who, Tie::FromCluster(e.launch.of_rank(0)));
            }
            Op::Barrier { mode, id, .. } => {
                let barrier = control::barrier_id(w, id, exec);
                return self.watch.arrives(&who, barrier, mode != BarrierMode::Arrive);
            }
            _ => self.collect(w, e, who, inst, exec, word),
        }
        self.barriers(w, e, &who, inst, exec, word);
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
        if let Some(who) = self.accesses.first().map(|access| access.who) {
            for (rank, offset) in std::mem::take(&mut e.phases) {
                let counter = (e.launch.of_rank(rank), offset);
                self.watch.ties(&who, Tie::EndsPhase(counter));
            }
        }
        forget_spans(e, &self.accesses);
        self.accesses.clear();
    }
}

fn forget_spans(e: &mut Shared, accesses: &[Access]) {
    if accesses.iter().any(|access| access.shared.is_none()) {
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
            // The scoreboard is that of the destination for copies, that of the sources for bulk copies.
            LDGDEPBAR => self.watch.ties(who, Tie::Groups(Under::Copies, bits(word, 112, 110))),
            UTMACMDFLUSH => self.watch.ties(who, Tie::Groups(Under::Bulk, bits(word, 115, 113))),
            DEPBAR => {
                let tie = Tie::AwaitsGroups(bits(word, 46, 44), bits(word, 43, 38));
                self.watch.ties(who, tie);
            }
            _ => {}
        }
    }

    /// What an instruction does to memory, if it is one of those that do.
    fn collect(&mut self, w: &Warp, e: &Shared, who: Who, inst: &Inst, exec: u32, word: u128) {
        // Only words that can reach global memory say so.
        let own = |space| matches!(space, Space::Shared | Space::Local);
        let says = |space| !own(space) && STRONG.contains(&bits(word, 80, 77));
        let access = |verb, bytes, lanes, addresses| Access {
            who,
            by: By::Warp,
            verb,
            shared: None,
            strong: false,
            bytes,
            lanes,
            addresses,
            values: [[0; 4]; 32],
        };
        match inst.op {
            Op::Load { at, width, space, when, .. } => {
                let lanes = exec & w.mask(when);
                let addresses = all_addresses(w, at, space);
                let load = access(Verb::Load, width.bytes(), lanes, addresses);
                self.sort(e, space, Access { strong: says(space), ..load });
            }
            Op::Store { s, at, width, space } => {
                let addresses = all_addresses(w, at, space);
                let mut access = access(Verb::Store, width.bytes(), exec, addresses);
                access.strong = says(space);
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
                let by = By::Group(Under::Copies);
                let load = access(Verb::Load, width.bytes(), lanes, from);
                let store = access(Verb::Store, width.bytes(), exec, to);
                self.sort(e, Space::Global, Access { by, strong: bypass, ..load });
                self.sort(e, Space::Shared, Access { by, ..store });
            }
            Op::Signal { at, width, op, .. } => {
                let verb = if op.is_some() { Verb::Atomic } else { Verb::Store };
                let places = w.regs[at as usize].map(u64::from);
                // Nearly always they all tell the same barrier.
                let mut left = exec;
                while left != 0 {
                    let barrier = w.regs[at as usize + 1][left.trailing_zeros() as usize];
                    let same = (0..32).filter(|l| w.regs[at as usize + 1][*l] == barrier);
                    let lanes = left & same.fold(0, |mask, lane| mask | 1 << lane);
                    left &= !lanes;
                    let by = By::Counted(counter(e, barrier.into()));
                    let access = access(verb, width.bytes(), lanes, places);
                    self.sort(e, Space::Cluster, Access { by, ..access });
                }
            }
            Op::Bulk { route, op, .. } => {
                let order = Bulk::new(w, &inst.op);
                for (space, to, barrier) in &order.to {
                    let by = match barrier {
                        Some(barrier) => By::Counted(counter(e, u64::from(*barrier))),
                        None => By::Group(Under::Bulk),
                    };
                    let verb = if op.is_some() { Verb::Atomic } else { Verb::Store };
                    for start in (0..order.bytes).step_by(32 * PIECE as usize) {
                        let count = ((order.bytes - start) / PIECE).min(32);
                        let lanes = (u64::MAX >> (64 - count)) as u32;
                        let from = |base: u64| {
                            std::array::from_fn(|n| base + u64::from(start + n as u32 * PIECE))
                        };
                        let load = access(Verb::Load, PIECE, lanes, from(order.from.1));
                        let mut store = access(verb, PIECE, lanes, from(*to));
                        if route == Route::SharedToGlobal {
                            store.values = own_words(e, &load);
                        }
                        // They pass by the caches.
                        self.sort(e, order.from.0, Access { by, strong: true, ..load });
                        self.sort(e, *space, Access { by, strong: true, ..store });
                    }
                }
            }
            Op::PhaseCheck { at, .. } => {
                let places = all_addresses(w, at, Space::Shared);
                let load = access(Verb::Load, 8, exec, places);
                self.sort(e, Space::Shared, Access { strong: true, ..load });
            }
            Op::ExchangeUniform { at, .. } => {
                let places = all_addresses(w, at, Space::Shared);
                let store = access(Verb::Atomic, 8, 1 << exec.trailing_zeros(), places);
                self.sort(e, Space::Shared, Access { strong: true, ..store });
            }
            Op::Ldsm { at, count, .. } => {
                let lanes = (u64::MAX >> (64 - 8 * u32::from(count))) as u32;
                let rows = std::array::from_fn(|lane| window_address(w, at, lane).into());
                self.sort(e, Space::Shared, access(Verb::Load, 16, lanes, rows));
            }
            _ => {}
        }
    }

    /// What an instruction does at barriers in shared memory.
    fn barriers(&self, w: &Warp, e: &Shared, who: &Who, inst: &Inst, exec: u32, word: u128) {
        let each = |at: Address, space: Space, lanes: u32, tie: &dyn Fn(Counter) -> Tie| {
            let places = all_addresses(w, at, space);
            let lanes = (0..32).filter(|lane| lanes >> lane & 1 == 1);
            let inside = |lane: usize| match space {
                Space::Generic => in_shared_window(e, places[lane]),
                _ => Some(places[lane]),
            };
            let mut told = Vec::new();
            for counter in lanes.filter_map(inside).map(|address| counter(e, address)) {
                if !told.contains(&counter) {
                    self.watch.ties(who, tie(counter));
                    told.push(counter);
                }
            }
        };
        match inst.op {
            Op::Atom { at, op: AtomicOp::Change { .. } | AtomicOp::Arrive, space, .. }
                if bits(word, 11, 0) == ARRIVES =>
            {
                each(at, space, exec, &Tie::CopiesArrive);
            }
            Op::Atom { at, op: AtomicOp::Arrive, space, .. } => {
                each(at, space, exec, &Tie::Arrives)
            }
            Op::Atom { at, op: AtomicOp::Change { plus, times }, space, .. }
                if plus.arrivals + times.arrivals > 0 =>
            {
                each(at, space, exec, &Tie::Arrives);
            }
            Op::PhaseCheck { at, s, .. } => {
                let places = all_addresses(w, at, Space::Shared);
                let over = |lane: &usize| {
                    let upper = own_words_at(e, places[*lane])[1];
                    (upper ^ w.regs[s as usize][*lane]) >> 31 == 1
                };
                let lanes = (0..32).filter(over).fold(0, |mask, lane| mask | 1 << lane);
                each(at, Space::Shared, exec & lanes, &Tie::Passes);
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
            Space::Shared | Space::Cluster => {
                let lanes: Vec<_> = access.each().collect();
                self.accesses.extend(by_block(e, access, lanes));
            }
            Space::Local => {}
            Space::Generic => {
                let mut shared = Vec::new();
                let mut global = Access { lanes: 0, ..access.clone() };
                for (lane, address) in access.each() {
                    if let Some(inside) = in_shared_window(e, address) {
                        shared.push((lane, inside));
                    } else if in_local_window(e, address).is_none() {
                        global.lanes |= 1 << lane;
                    }
                }
                push(global);
                self.accesses.extend(by_block(e, Access { strong: false, ..access }, shared));
            }
        }
    }
}

/// An access to shared memory of the cluster, block by block: lanes and their addresses there.
fn by_block(e: &Shared, access: Access, lanes: Vec<(usize, u64)>) -> Vec<Access> {
    let mut parts: Vec<Access> = Vec::new();
    for (lane, address) in lanes {
        let (rank, offset) = rank_and_offset(address);
        let block = Some(e.launch.of_rank(rank));
        let at = parts.iter().position(|part| part.shared == block).unwrap_or_else(|| {
            parts.push(Access { shared: block, lanes: 0, ..access.clone() });
            parts.len() - 1
        });
        parts[at].lanes |= 1 << lane;
        parts[at].addresses[lane] = offset;
    }
    parts
}

/// The barrier at an address of the cluster's shared memory.
fn counter(e: &Shared, address: u64) -> Counter {
    let (rank, offset) = rank_and_offset(address);
    (e.launch.of_rank(rank), offset)
}

/// Four words of the block's own shared memory; zeros for what is not there, which the access itself will find.
fn own_words_at(e: &Shared, address: u64) -> [u32; 4] {
    let (rank, offset) = rank_and_offset(address);
    let bytes = e.bytes.get(offset as usize..).filter(|_| rank == e.rank).unwrap_or(&[]);
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    words
}

/// What each lane finds in the block's own shared memory.
fn own_words(e: &Shared, access: &Access) -> [[u32; 4]; 32] {
    access.addresses.map(|address| own_words_at(e, address))
}
