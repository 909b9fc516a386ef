//! The state of one warp: registers, predicates and which lanes are where.

use crate::sm::op::*;
use std::cell::RefCell;

/// Lanes that run together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    /// The index of their next instruction.
    pub(crate) pc: u32,
    pub(crate) mask: u32,
    /// Whether it must not be joined with others at the same place: lanes that a mask brought together
    /// for a collective operation are those and no more.
    pub(crate) apart: bool,
}

impl Group {
    pub(crate) fn new(pc: u32, mask: u32) -> Group {
        Group { pc, mask, apart: false }
    }
}

/// What lanes wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// The other lanes of a convergence barrier.
    Bar(u8),
    /// All lanes of a mask, at any such wait.
    Sync(u32),
    /// A named barrier of the block.
    Named(u8),
    /// The barrier of the cluster.
    Cluster,
}

/// Lanes that wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) group: Group,
    pub(crate) on: On,
}

/// One warp.
#[derive(Debug)]
pub(crate) struct Warp {
    /// Values by register, then lane; see [`ROWS`].
    pub(crate) regs: Registers,
    /// Lane masks by predicate, see [`TRUE`]; from [`UNIFORM`] on the uniform ones, masks of all or no lanes.
    pub(crate) preds: [u32; 32],
    pub(crate) uregs: [u32; 66],
    pub(crate) bars: [u32; 16],
    /// Lanes that exist and have not exited.
    pub(crate) live: u32,
    /// The lanes that run now; none when another group must be picked.
    pub(crate) now: Group,
    pub(crate) ready: Vec<Group>,
    pub(crate) waiting: Vec<Waiting>,
    /// The outcome of the last reducing barrier: count, and the yes or no of it.
    pub(crate) reduced: (u32, bool),
    /// How many registers it may name.
    pub(crate) allocated: u16,
    /// At which opening of the cluster's barrier it has last come, counted from one.
    pub(crate) came: u64,
    /// Local memory of all lanes, made when first used.
    pub(crate) local: Vec<u8>,
    pub(crate) index: u32,
}

/// Where the uniform predicates begin.
const UNIFORM: usize = 16;

/// A predicate source, taken apart: what every instruction begins with.
#[derive(Clone, Copy)]
pub(crate) struct Condition {
    place: u8,
    flip: u32,
}

impl Condition {
    #[inline(always)]
    pub(crate) fn new(pred: Pred) -> Condition {
        let file = if pred.uniform { UNIFORM } else { 0 };
        let flip = if pred.not { u32::MAX } else { 0 };
        Condition { place: file as u8 | pred.index & 7, flip }
    }
}

/// The register file of a warp.
type Registers = Box<[[u32; 32]; ROWS]>;

/// How many register files a thread keeps for the blocks that it runs next.
const SPARE: usize = 64;

thread_local! {
    /// Files of warps that have ended: making one anew costs as much as running a hundred instructions,
    /// most of it for registers that the kernel does not have.
    static SPARES: RefCell<Vec<Registers>> = const { RefCell::new(Vec::new()) };
}

/// A file whose first `count` registers are zero. The others cannot be reached: naming one is a fault.
fn registers(count: u32) -> Registers {
    match SPARES.with_borrow_mut(Vec::pop) {
        Some(mut used) => {
            used[..(count as usize).min(ZERO as usize)].fill([0; 32]);
            used
        }
        None => {
            let rows = vec![[0u32; 32]; ROWS].into_boxed_slice();
            rows.try_into().expect("the vector has ROWS rows")
        }
    }
}

impl Warp {
    pub(crate) fn new(index: u32, live: u32, entry: u32, count: u32) -> Warp {
        let mut preds = [0; 32];
        preds[TRUE as usize] = u32::MAX;
        preds[UNIFORM | TRUE as usize] = u32::MAX;
        Warp {
            regs: registers(count),
            preds,
            uregs: [0; 66],
            bars: [0; 16],
            live,
            now: Group::new(entry, live),
            ready: Vec::new(),
            waiting: Vec::new(),
            reduced: (0, false),
            allocated: count.min(ZERO.into()) as u16,
            came: 0,
            local: Vec::new(),
            index,
        }
    }

    /// Has so many registers; new ones hold zeros.
    pub(crate) fn resize(&mut self, count: u16) {
        let (old, new) = (self.allocated, count.min(ZERO));
        if new > old {
            self.regs[old as usize..new as usize].fill([0; 32]);
        }
        self.allocated = new;
    }

    /// The warp has ended.
    pub(crate) fn retire(self) {
        SPARES.with_borrow_mut(|spares| {
            if spares.len() < SPARE {
                spares.push(self.regs);
            }
        });
    }

    /// The lanes in which a predicate holds.
    #[inline(always)]
    pub(crate) fn mask(&self, pred: Pred) -> u32 {
        self.holds(Condition::new(pred))
    }

    /// The same of one that is kept taken apart.
    #[inline(always)]
    pub(crate) fn holds(&self, condition: Condition) -> u32 {
        self.preds[condition.place as usize % 32] ^ condition.flip
    }

    /// Sets a predicate in the lanes of `exec`.
    #[inline(always)]
    pub(crate) fn set_pred(&mut self, index: u8, exec: u32, value: u32) {
        let p = &mut self.preds[index as usize];
        *p = *p & !exec | value & exec;
    }

    pub(crate) fn set_upred(&mut self, index: u8, value: bool) {
        self.preds[UNIFORM | index as usize] = if value { u32::MAX } else { 0 };
    }

    /// A value of one lane that spans two registers.
    #[inline(always)]
    pub(crate) fn pair(&self, row: u16, lane: usize) -> u64 {
        if row == ZERO {
            return 0;
        }
        let row = row as usize;
        u64::from(self.regs[row][lane]) | u64::from(self.regs[row + 1][lane]) << 32
    }

    pub(crate) fn set_pair(&mut self, row: u16, lane: usize, value: u64) {
        if row == SINK {
            return;
        }
        let row = row as usize;
        self.regs[row][lane] = value as u32;
        self.regs[row + 1][lane] = (value >> 32) as u32;
    }

    pub(crate) fn upair(&self, index: u8) -> u64 {
        if index == UZERO {
            return 0;
        }
        let index = index as usize;
        u64::from(self.uregs[index]) | u64::from(self.uregs[index + 1]) << 32
    }

    pub(crate) fn set_upair(&mut self, index: u8, value: u64) {
        if index == USINK {
            return;
        }
        self.uregs[index as usize] = value as u32;
        self.uregs[index as usize + 1] = (value >> 32) as u32;
    }

    /// Stores a result in the lanes of `exec`.
    #[inline(always)]
    pub(crate) fn write(&mut self, row: u16, exec: u32, values: &[u32; 32]) {
        let row = &mut self.regs[row as usize];
        if exec == u32::MAX {
            *row = *values;
        } else {
            // By masks: a choice between two places would be made lane after lane.
            for lane in 0..32 {
                let active = (exec >> lane & 1).wrapping_neg();
                row[lane] = values[lane] & active | row[lane] & !active;
            }
        }
    }

    /// Makes lanes runnable, together with those already at the same place.
    pub(crate) fn resume(&mut self, group: Group) {
        let joins = |g: &&mut Group| g.pc == group.pc && !g.apart && !group.apart;
        match self.ready.iter_mut().find(joins) {
            Some(same) => same.mask |= group.mask,
            None => self.ready.push(group),
        }
    }

    /// Picks the group to run next: the one that is furthest behind, or the nth.
    pub(crate) fn pick(&mut self, nth: Option<usize>) -> bool {
        let Some(first) = (0..self.ready.len()).min_by_key(|i| self.ready[*i].pc) else {
            return false;
        };
        let at = nth.map_or(first, |n| n % self.ready.len());
        self.now = self.ready.swap_remove(at);
        true
    }

    /// Lets the group that has run longest without the others wait for its next turn.
    pub(crate) fn rotate(&mut self) {
        if !self.ready.is_empty() {
            let next = self.ready.remove(0);
            let now = std::mem::replace(&mut self.now, next);
            self.resume(now);
        }
    }

    /// The running lanes `mask` stop here and go on at `pc` when `on` lets them.
    pub(crate) fn wait(&mut self, mask: u32, pc: u32, on: On) {
        self.now.mask &= !mask;
        let same = |w: &&mut Waiting| w.on == on && w.group.pc == pc;
        match self.waiting.iter_mut().find(same) {
            Some(waiting) => waiting.group.mask |= mask,
            None => self.waiting.push(Waiting { group: Group::new(pc, mask), on }),
        }
    }

    /// Frees the waiting lanes of `mask` that wait on `on`.
    pub(crate) fn free(&mut self, on: On, mask: u32) {
        let mut at = 0;
        while at < self.waiting.len() {
            let Waiting { group, on: what } = self.waiting[at];
            let freed = group.mask & mask;
            if what != on || freed == 0 {
                at += 1;
                continue;
            }
            // Who came by a mask goes on as that mask.
            let apart = matches!(on, On::Sync(_));
            self.resume(Group { mask: freed, apart, ..group });
            if freed == group.mask {
                self.waiting.swap_remove(at);
            } else {
                self.waiting[at].group.mask &= !freed;
                at += 1;
            }
        }
    }

    /// The lanes that wait on `on`.
    pub(crate) fn arrived(&self, on: On) -> u32 {
        let waiting = self.waiting.iter().filter(|w| w.on == on);
        waiting.fold(0, |mask, w| mask | w.group.mask)
    }

    /// Frees the lanes of a convergence barrier once all that still live have come.
    pub(crate) fn check_bar(&mut self, bar: u8) {
        let on = On::Bar(bar);
        let arrived = self.arrived(on);
        let named = self.bars[bar as usize] & self.live;
        if arrived != 0 && named & !arrived == 0 {
            // Lanes that were taken off the barrier while they waited go on too.
            self.bars[bar as usize] &= !arrived;
            self.free(on, arrived);
        }
    }

    /// Looks at every wait again after lanes have left.
    pub(crate) fn check_all(&mut self) {
        for bar in 0..16 {
            self.check_bar(bar);
        }
        self.check_sync();
    }

    /// Frees the lanes of warp-wide waits whose mask has come.
    pub(crate) fn check_sync(&mut self) {
        let mut at = 0;
        while at < self.waiting.len() {
            if let On::Sync(mask) = self.waiting[at].on {
                let named = mask & self.live;
                if named & !self.arrived(On::Sync(mask)) == 0 {
                    self.free(On::Sync(mask), u32::MAX);
                    at = 0;
                    continue;
                }
            }
            at += 1;
        }
    }
}
