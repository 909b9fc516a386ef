//! A detector of races: two accesses to the same bytes that nothing orders, at least one of which writes.
//!
//! Warps are what runs on its own here; the lanes of a warp keep step. Each warp has a clock for every
//! warp that it has heard of: how much of what that one did comes before what it does next. Clocks
//! travel through barriers, and through words that are reached by atomics and volatile accesses: what
//! was stored before a fence is published there, and taken up by whoever reads it.
//!
//! Between grids everything is ordered, unless both run at the same time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::SpaceId;
use crate::sm::{Access, Scope, Verb, Who};

/// Bytes that are watched together. Accesses to different bytes of one are told apart.
const CELL: u64 = 4;
/// No more is said: the same mistake happens in every block.
const MOST_REPORTS: usize = 20;

/// Which grid, in the order of their starts.
pub(super) type GridId = u64;

/// A warp: its grid, its block, and its number in it.
type WarpId = (GridId, [u32; 3], u32);

/// How far each warp had come.
type Clocks = BTreeMap<WarpId, u32>;

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
    warps: HashMap<WarpId, Warp>,
    barriers: HashMap<([u32; 3], u32), Barrier>,
    /// Shared memory, by block and cell.
    shared: HashMap<([u32; 3], u64), Cell>,
    /// What was published at words of shared memory.
    words: HashMap<([u32; 3], u64), Clocks>,
}

struct Warp {
    clocks: Clocks,
    /// What fences have ordered before what comes next, for the block and for the GPU.
    fenced: [Clocks; 2],
}

#[derive(Default)]
struct Barrier {
    gathered: Clocks,
    waiting: Vec<WarpId>,
}

/// What is known of a cell: the last store, and the loads since.
#[derive(Default)]
struct Cell {
    store: Option<Touch>,
    loads: Vec<Touch>,
}

/// One access of one lane.
#[derive(Clone, Copy)]
struct Touch {
    grid: GridId,
    who: Who,
    lane: u32,
    /// The warp's own clock then.
    clock: u32,
    /// The bytes of the cell.
    bytes: u8,
    value: u32,
    verb: Verb,
    strong: bool,
}

impl Touch {
    fn warp(&self) -> WarpId {
        (self.grid, self.who.block, self.who.warp)
    }
}

impl Warp {
    fn new(id: WarpId) -> Warp {
        Warp { clocks: Clocks::from([(id, 1)]), fenced: [Clocks::new(), Clocks::new()] }
    }

    fn now(&self, id: WarpId) -> u32 {
        self.clocks.get(&id).copied().unwrap_or(0)
    }

    /// What comes next is later than what came before.
    fn tick(&mut self, id: WarpId) {
        *self.clocks.entry(id).or_insert(0) += 1;
    }
}

fn join(into: &mut Clocks, from: &Clocks) {
    for (warp, clock) in from {
        let known = into.entry(*warp).or_insert(0);
        *known = (*known).max(*clock);
    }
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
        let warp_id = (id, access.who.block, access.who.warp);
        let mut warp = grid.warps.remove(&warp_id).unwrap_or_else(|| Warp::new(warp_id));
        let place = access.shared.then_some(access.who.block);
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
            let end = address + u64::from(access.bytes);
            for number in address / CELL..end.div_ceil(CELL) {
                let start = number * CELL;
                let (from, to) = (address.max(start) - start, end.min(start + CELL) - start);
                let touch = Touch {
                    grid: id,
                    who: access.who,
                    lane: lane as u32,
                    clock: warp.now(warp_id),
                    bytes: ((1 << to) - (1 << from)) as u8,
                    value: access.values[lane][((start.max(address) - address) / 4) as usize % 4],
                    verb: access.verb,
                    strong: access.strong || access.verb == Verb::Atomic,
                };
                let cell = match place {
                    Some(block) => grid.shared.entry((block, number)).or_default(),
                    None => self.global.entry((space, number)).or_default(),
                };
                let before = |old: &Touch| {
                    let ended = old.grid < id && !grid.beside.contains(&old.grid);
                    let heard = warp.clocks.get(&old.warp());
                    ended || heard.is_some_and(|clock| old.clock <= *clock)
                };
                let old = cell.races(&touch, before).into_iter();
                found.extend(old.map(|old| (old, touch, start)));
                cell.touch(touch);
            }
        }
        // Whoever stores a word past the caches publishes what it has fenced.
        if access.verb != Verb::Load && (access.strong || access.verb == Verb::Atomic) {
            let fenced = &warp.fenced[usize::from(!access.shared)];
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
            self.report(&old, &new, access.shared, address);
        }
    }

    /// A warp orders what it did before what comes next.
    pub(super) fn fence(&mut self, grid: GridId, who: &Who, scope: Scope) {
        let id = (grid, who.block, who.warp);
        let Some(grid) = self.grids.get_mut(&grid) else { return };
        let warp = grid.warps.entry(id).or_insert_with(|| Warp::new(id));
        for (i, fenced) in warp.fenced.iter_mut().enumerate() {
            if i == 0 || scope >= Scope::Gpu {
                fenced.clone_from(&warp.clocks);
            }
        }
        warp.tick(id);
    }

    /// A warp comes to a barrier.
    pub(super) fn arrives(&mut self, grid: GridId, who: &Who, barrier: u32, waits: bool) {
        let id = (grid, who.block, who.warp);
        let Some(grid) = self.grids.get_mut(&grid) else { return };
        let warp = grid.warps.entry(id).or_insert_with(|| Warp::new(id));
        let barrier = grid.barriers.entry((who.block, barrier)).or_default();
        join(&mut barrier.gathered, &warp.clocks);
        warp.tick(id);
        if waits {
            barrier.waiting.push(id);
        }
    }

    /// Everybody has come to a barrier.
    pub(super) fn opens(&mut self, grid: GridId, block: [u32; 3], barrier: u32) {
        let Some(grid) = self.grids.get_mut(&grid) else { return };
        let Some(barrier) = grid.barriers.remove(&(block, barrier)) else { return };
        for id in barrier.waiting {
            if let Some(warp) = grid.warps.get_mut(&id) {
                join(&mut warp.clocks, &barrier.gathered);
            }
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
            Verb::Load => "read",
            Verb::Store => "wrote",
            Verb::Atomic => "made an atomic access",
        };
        let Who { block: [x, y, z], warp, pc, .. } = touch.who;
        let (kernel, thread) = match self.grids.get(&touch.grid) {
            Some(grid) => {
                let n = warp * 32 + touch.lane;
                let [width, height, _] = grid.block;
                let thread = (n % width, n / width % height, n / width / height);
                (format!("the kernel at {:#x}", grid.kernel), format!("{thread:?}"))
            }
            None => ("an earlier kernel".to_owned(), format!("{} of warp {warp}", touch.lane)),
        };
        format!("thread {thread} of block ({x}, {y}, {z}) of {kernel} {verb} it at pc {pc:#x}")
    }
}

impl Cell {
    /// Earlier accesses that conflict with this one.
    fn races(&self, new: &Touch, before: impl Fn(&Touch) -> bool) -> Vec<Touch> {
        let conflicts = |old: &&Touch| {
            let reads = [old.verb, new.verb] == [Verb::Load; 2];
            // Words that are only ever reached so are meant to be shared.
            let meant = old.strong && new.strong;
            // Who comes second changes nothing.
            let same = [old.verb, new.verb] == [Verb::Store; 2] && old.value == new.value;
            let other = old.warp() != new.warp();
            old.bytes & new.bytes != 0 && other && !reads && !meant && !same && !before(old)
        };
        self.store.iter().chain(&self.loads).filter(conflicts).copied().collect()
    }

    fn touch(&mut self, new: Touch) {
        if new.verb == Verb::Load {
            let known = self.loads.iter_mut().find(|old| old.warp() == new.warp());
            match known {
                Some(old) => *old = Touch { bytes: old.bytes | new.bytes, ..new },
                None => self.loads.push(new),
            }
        } else {
            self.store = Some(new);
            self.loads.retain(|old| old.bytes & !new.bytes != 0);
        }
    }
}
