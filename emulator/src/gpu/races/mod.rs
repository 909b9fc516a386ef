//! A detector of races: two accesses to the same bytes that nothing orders, at least one of which writes.
//!
//! Warps are what runs on its own here, and what they have under way: copies; the lanes of a warp keep step.
//! Each warp has a clock for every one that it has heard of: how much of what that one did comes before what it
//! does next. Clocks travel through barriers, and through words that are reached by atomics and volatile
//! accesses: what was stored before a fence is published there, and taken up by whoever reads it. A copy knows
//! what its warp knew when it began; of the copy one hears by waiting for it, or from the barrier that counts it.
//!
//! Between grids everything is ordered, unless both run at the same time.

mod actor;
mod cell;
mod ties;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::SpaceId;
use crate::sm::{Access, By, Counter, Verb, Who};
use actor::{Actor, Clocks, Warp, join};
use cell::{CELL, Cell, Touch};
use ties::{Barrier, Meeting, Phases};

/// No more is said: the same mistake happens in every block.
const MOST_REPORTS: usize = 20;

/// Which grid, in the order of their starts.
pub(super) type GridId = u64;

/// The state of all launches that run.
#[derive(Default)]
pub(super) struct Races {
    next: GridId,
    grids: BTreeMap<GridId, Grid>,
    /// Global memory, by space and cell.
    global: HashMap<(SpaceId, u64), Cell>,
    /// What was published at words of global memory.
    words: HashMap<(SpaceId, u64), Clocks>,
    reported: HashSet<(u64, u64)>,
    reports: Vec<String>,
}

struct Grid {
    kernel: u64,
    block: [u32; 3],
    /// The grids that ran when it started; those before them had ended.
    beside: BTreeSet<GridId>,
    warps: HashMap<Actor, Warp>,
    barriers: HashMap<([u32; 3], u32), Barrier>,
    /// The barriers of clusters, by their first blocks.
    meetings: HashMap<[u32; 3], Meeting>,
    /// The barriers in shared memory.
    phases: HashMap<Counter, Phases>,
    /// Shared memory, by block and cell.
    shared: HashMap<([u32; 3], u64), Cell>,
    /// What was published at words of shared memory.
    words: HashMap<([u32; 3], u64), Clocks>,
}

impl Races {
    /// A grid starts.
    pub(super) fn start(&mut self, kernel: u64, block: [u32; 3]) -> GridId {
        let id = self.next;
        self.next += 1;
        let beside: BTreeSet<GridId> = self.grids.keys().copied().collect();
        // What was done before that is settled.
        if beside.is_empty() {
            self.global.clear();
            self.words.clear();
        }
        let grid = Grid {
            kernel,
            block,
            beside,
            warps: HashMap::new(),
            barriers: HashMap::new(),
            meetings: HashMap::new(),
            phases: HashMap::new(),
            shared: HashMap::new(),
            words: HashMap::new(),
        };
        self.grids.insert(id, grid);
        id
    }

    /// What a grid waited for has ended: it comes after every grid that no longer runs.
    pub(super) fn waited(&mut self, grid: GridId) {
        let running: BTreeSet<GridId> = self.grids.keys().copied().collect();
        if let Some(grid) = self.grids.get_mut(&grid) {
            grid.beside.retain(|other| running.contains(other));
        }
    }

    /// A grid has ended.
    pub(super) fn end(&mut self, grid: GridId) {
        self.grids.remove(&grid);
    }

    /// What was found since the last call, one sentence each.
    pub(super) fn take_reports(&mut self) -> Vec<String> {
        std::mem::take(&mut self.reports)
    }

    /// Lanes of a warp reach memory.
    pub(super) fn access(&mut self, id: GridId, space: SpaceId, access: &Access) {
        let Some(grid) = self.grids.get_mut(&id) else { return };
        let warp_id = Actor::warp(id, access.who.block, access.who.warp);
        let actor = warp_id.carrying_out(access.by);
        let mut warp = grid.warps.remove(&warp_id).unwrap_or_else(|| Warp::new(warp_id));
        let place = access.shared;
        // Whoever reads a word past the caches knows what was published there.
        if access.verb != Verb::Store && (access.strong || access.verb == Verb::Atomic) {
            for (_, address) in access.each() {
                let published = match place {
                    Some(block) => grid.words.get(&(block, address / CELL)),
                    None => self.words.get(&(space, address / CELL)),
                };
                if let Some(published) = published {
                    join(&mut warp.clocks, published);
                }
            }
        }
        let mut found = Vec::new();
        for (lane, address) in access.each() {
            // Ampere looks at the phase of a barrier by loading it.
            let phases = place.and_then(|block| grid.phases.get(&(block, address / 8 * 8)));
            let looks = phases.filter(|_| access.verb == Verb::Load && access.by == By::Warp);
            if let Some(phases) = looks {
                join(&mut warp.clocks, &phases.ended);
            }
            let end = address + u64::from(access.bytes);
            for number in address / CELL..end.div_ceil(CELL) {
                let start = number * CELL;
                let (from, to) = (address.max(start) - start, end.min(start + CELL) - start);
                let touch = Touch {
                    actor,
                    who: access.who,
                    lane: lane as u32,
                    clock: warp.now(actor),
                    bytes: ((1 << to) - (1 << from)) as u8,
                    value: access.values[lane][((start.max(address) - address) / 4) as usize % 4],
                    verb: access.verb,
                    strong: access.strong || access.verb == Verb::Atomic || looks.is_some(),
                };
                let cell = match place {
                    Some(block) => grid.shared.entry((block, number)).or_default(),
                    None => self.global.entry((space, number)).or_default(),
                };
                let before = |old: &Touch| {
                    let ended = old.actor.grid < id && !grid.beside.contains(&old.actor.grid);
                    let heard = warp.clocks.get(&old.actor);
                    ended || heard.is_some_and(|clock| old.clock <= *clock)
                };
                let old = cell.races(&touch, before).into_iter();
                found.extend(old.map(|old| (old, touch, start)));
                cell.touch(touch);
            }
        }
        if let By::Counted(counter) = access.by {
            grid.count(counter, actor, warp.now(actor));
            warp.tick(actor);
        }
        // Whoever stores a word past the caches publishes what it has fenced.
        if access.by == By::Warp
            && access.verb != Verb::Load
            && (access.strong || access.verb == Verb::Atomic)
        {
            let fenced = &warp.fenced[usize::from(place.is_none())];
            for (_, address) in access.each() {
                let word = match place {
                    Some(block) => grid.words.entry((block, address / CELL)).or_default(),
                    None => self.words.entry((space, address / CELL)).or_default(),
                };
                join(word, fenced);
            }
        }
        grid.warps.insert(warp_id, warp);
        for (old, new, address) in found {
            self.report(&old, &new, place.is_some(), address);
        }
    }

    fn report(&mut self, old: &Touch, new: &Touch, shared: bool, address: u64) {
        let pcs = (old.who.pc.min(new.who.pc), old.who.pc.max(new.who.pc));
        if self.reports.len() == MOST_REPORTS || !self.reported.insert(pcs) {
            return;
        }
        let memory = if shared { "shared" } else { "global" };
        self.reports.push(format!(
            "a race on {memory} memory at {address:#x}: {}, and nothing orders that and {}",
            self.describe(old),
            self.describe(new)
        ));
    }

    fn describe(&self, touch: &Touch) -> String {
        let verb = match touch.verb {
            Verb::Load => "read it",
            Verb::Store => "wrote it",
            Verb::Atomic => "made an atomic access to it",
        };
        let Who { block: [x, y, z], warp, pc, .. } = touch.who;
        let (kernel, thread) = match self.grids.get(&touch.actor.grid) {
            Some(grid) => {
                let n = warp * 32 + touch.lane;
                let [width, height, _] = grid.block;
                let thread = (n % width, n / width % height, n / width / height);
                (format!("the kernel at {:#x}", grid.kernel), format!("{thread:?}"))
            }
            None => ("an earlier kernel".to_owned(), format!("{} of warp {warp}", touch.lane)),
        };
        if !touch.actor.is_warp() {
            return format!(
                "a copy that warp {warp} of block ({x}, {y}, {z}) of {kernel} has under way {verb} at pc {pc:#x}"
            );
        }
        format!("thread {thread} of block ({x}, {y}, {z}) of {kernel} {verb} at pc {pc:#x}")
    }
}
