//! A grid that runs: its blocks, a few at a time, piece by piece.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self_cell::self_cell;

use super::channel::Bus;
use super::clock::Clock;
use super::compute::Setup;
use super::fault::{Fault, FaultCause, WarpError};
use super::mmu::{Kind, Space};
use super::qmd::Descriptor;
use super::races::GridId;
use super::watch::Watched;
use crate::sm::{
    self, Block, Cluster, FaultKind, GlobalMemory, MemoryFault, Order, Outcome, Program, Span,
};

/// Warp instructions that a kernel runs before the host engine, other channels, and whoever waits
/// for the machine have their turn: about a millisecond.
const SLICE: u64 = 1 << 16;
/// The first slice of a grid, on one thread: what ends in it is not worth waking others for, which takes
/// some tens of microseconds.
const FIRST_SLICE: u64 = 1 << 14;
/// A slice on several threads, for each of them: what it costs to wake them must not matter.
const SHARED_SLICE: u64 = 1 << 18;
/// What a thread runs of a block before it looks again whether the slice is over: so the last to stop does not let
/// the others wait for long.
const PART: u64 = 1 << 13;
/// A slice of a grid that waits for another.
const WAITING_SLICE: u64 = 1 << 10;
/// What starting a warp costs, in instructions, so that grids of empty blocks end a slice too.
const WARP_START: u64 = 64;

type Slices<'a> = Vec<&'a [u8]>;

self_cell!(
    /// The bytes of constant banks, and where each is.
    struct Banks {
        owner: Vec<Vec<u8>>,
        #[covariant]
        dependent: Slices,
    }
);

/// What all blocks of a grid look at.
struct Fixed {
    program: Arc<Program>,
    banks: Banks,
}

self_cell!(
    /// The blocks of a cluster, or one alone, and what they look at.
    struct Resident {
        owner: Arc<Fixed>,
        #[not_covariant]
        dependent: Cluster,
    }
);

/// A grid on its way.
pub(super) struct Grid {
    pub(super) descriptor: Descriptor,
    setup: Setup,
    /// Its number for who looks for races.
    race: Option<GridId>,
    /// The launch before it has not ended, and its blocks go no further than where they wait for that.
    waits: bool,
    fixed: Arc<Fixed>,
    line: Line,
    /// Whether it has had a slice.
    begun: bool,
}

/// The blocks that have not ended, by clusters.
struct Line {
    /// The next cluster to start, counted with x running fastest.
    next: u64,
    clusters: u64,
    /// Those that have started and not ended: as on hardware others start meanwhile, so that a
    /// block may wait for its neighbours.
    resident: VecDeque<Resident>,
}

/// Whose turn it is.
enum Turn {
    /// A cluster goes on.
    Goes(Resident),
    /// This one starts.
    Starts(u64),
}

impl Line {
    /// The number of the next cluster, if any is left to start.
    fn start(&mut self) -> Option<u64> {
        let next = self.next;
        self.next = self.clusters.min(next + 1);
        (next < self.clusters).then_some(next)
    }

    fn take(&mut self) -> Option<Turn> {
        match self.resident.pop_front() {
            Some(block) => Some(Turn::Goes(block)),
            None => self.start().map(Turn::Starts),
        }
    }
}

/// How far a grid got.
pub(super) struct Ran {
    /// Warp instructions, roughly.
    pub(super) spent: u64,
    pub(super) all_started: bool,
    pub(super) done: bool,
}

impl Grid {
    /// What the GPU does for a launch whose descriptor it fetches before its turn.
    pub(super) fn fetch_ahead(bus: &mut Bus, descriptor: &Descriptor) {
        let Some(visibility) = &mut bus.visibility else { return };
        for bank in descriptor.banks.iter().filter(|bank| bank.ahead) {
            // What cannot be read now is a fault when its turn comes.
            let _ = visibility.bank((bus.space_id, bus.space), bank, bank.invalidates);
        }
    }

    /// Fetches constants and code; `ahead` if that began before its turn.
    pub(super) fn new(
        bus: &mut Bus,
        descriptor: Descriptor,
        setup: Setup,
        ahead: bool,
    ) -> Result<Grid, Fault> {
        setup.check(bus.space, &descriptor)?;
        if let Some(visibility) = &mut bus.visibility {
            visibility.start(&descriptor);
        }
        if descriptor.invalidates_code {
            bus.code.invalidate();
        }
        let arch = descriptor.limits.arch;
        let program = bus.code.program((bus.space_id, bus.space), descriptor.entry, arch)?;
        let (mut at, bytes) = descriptor.prefetch;
        let end = at + bytes;
        while at < end {
            let span = bus.space.span(at, end - at, Kind::Read);
            at += span.map_err(|fault| Fault::mmu("the prefetch of a kernel's code", fault))?.len;
        }
        let mut banks = Vec::new();
        for (i, bank) in descriptor.banks.iter().enumerate() {
            let anew = bank.invalidates && !(ahead && bank.ahead);
            let bank = match &mut bus.visibility {
                Some(visibility) => visibility.bank((bus.space_id, bus.space), bank, anew),
                None => read(bus.space, bank.va, bank.bytes as usize),
            };
            let fetched = bank
                .map_err(|fault| Fault::mmu(format_args!("the fetch of constant bank {i}"), fault));
            banks.push(fetched?);
        }
        let banks = Banks::new(banks, |banks| banks.iter().map(Vec::as_slice).collect());
        let clusters = descriptor.clusters().map(u64::from).iter().product();
        let fixed = Arc::new(Fixed { program, banks });
        let race = bus.races.as_mut().map(|races| races.start(descriptor.entry, descriptor.block));
        Ok(Grid {
            waits: descriptor.waits_on.is_some(),
            descriptor,
            setup,
            race,
            fixed,
            line: Line { next: 0, clusters, resident: VecDeque::new() },
            begun: false,
        })
    }

    /// What this launch waits for has ended.
    pub(super) fn open_latch(&mut self, bus: &mut Bus) {
        if !std::mem::take(&mut self.waits) {
            return;
        }
        if let Some(visibility) =
            bus.visibility.as_mut().filter(|_| self.descriptor.latch_invalidates_data)
        {
            visibility.invalidate_data();
        }
        if let (Some(races), Some(id)) = (&mut bus.races, self.race) {
            races.waited(id);
        }
    }

    /// Runs a slice.
    pub(super) fn run(&mut self, bus: &mut Bus) -> Result<Ran, Fault> {
        let Line { next, clusters, ref resident } = self.line;
        let left = clusters - next + resident.len() as u64;
        // Caches know one multiprocessor at a time, and who looks for races one block.
        let alone = bus.visibility.is_some() || bus.races.is_some() || self.waits;
        let threads = if alone { 1 } else { (bus.crew.size() as u64).min(left) as usize };
        let first = !std::mem::replace(&mut self.begun, true);
        let spent = match (bus.shaker.is_some(), first) {
            (true, _) => self.run_shaken(bus),
            (false, _) if self.waits => self.run_here(bus, WAITING_SLICE),
            (false, true) => self.run_here(bus, FIRST_SLICE),
            (false, false) if threads > 1 => self.run_together(bus, threads),
            (false, false) => self.run_here(bus, SLICE),
        };
        let spent = spent.map_err(|fault| explain(bus.space, &self.descriptor, &fault))?;
        if let Some(races) = &mut bus.races {
            for report in races.take_reports() {
                bus.notice(report);
            }
        }
        let all_started = self.line.next == self.line.clusters;
        Ok(Ran { spent, all_started, done: all_started && self.line.resident.is_empty() })
    }

    /// Lets a block run, as whoever watches it wants; how that ended, and how many instructions that were.
    fn turn(&self, block: &mut Resident, bus: &mut Bus, budget: u64) -> (Outcome, u64) {
        let races = bus.races.as_deref_mut().zip(self.race);
        match (bus.visibility.as_deref_mut(), races) {
            (None, None) if self.waits => run_block(block, &Early(bus.space), budget),
            (None, None) => run_block(block, bus.space, budget),
            (visibility, races) => {
                let sm = block.with_dependent(|_, block| block.sm());
                let memory = Watched::new((bus.space_id, bus.space), sm, visibility, races);
                run_block(block, &memory.waiting(self.waits), budget)
            }
        }
    }

    /// A slice in an order that the seed decides.
    fn run_shaken(&mut self, bus: &mut Bus) -> Result<u64, Box<sm::Fault>> {
        let below = |bus: &mut Bus, limit| {
            bus.shaker.as_mut().map_or(0, |shaker| u64::from(shaker.below(limit)))
        };
        // Slices of every order of size, so that small kernels are interrupted too; short ones for who waits.
        let order = below(bus, if self.waits { 6 } else { 12 });
        let limit = 1 + below(bus, 1 << order);
        let mut spent = 0;
        let room = self.line.resident.len() < self.descriptor.resident as usize;
        let mut start = room && self.line.next < self.line.clusters && below(bus, 2) == 0;
        while spent < limit {
            if start || self.line.resident.is_empty() && self.line.next < self.line.clusters {
                start = false;
                let seed = below(bus, u32::MAX);
                spent += self.start(bus.clock, Order::Seeded(seed));
            }
            let chosen = below(bus, self.line.resident.len() as u32);
            self.line.resident.rotate_left(chosen as usize);
            let Some(mut block) = self.line.resident.pop_front() else { break };
            let budget = limit.saturating_sub(spent).max(1).min(1 + below(bus, 256));
            let (outcome, ran) = self.turn(&mut block, bus, budget);
            spent += ran;
            match outcome {
                Outcome::Done => {}
                Outcome::Budget => self.line.resident.push_back(block),
                Outcome::Fault(fault) => return Err(fault),
            }
        }
        Ok(spent)
    }

    /// A slice on this thread, block after block.
    fn run_here(&mut self, bus: &mut Bus, limit: u64) -> Result<u64, Box<sm::Fault>> {
        let mut spent = self.make_room(bus.clock);
        while spent < limit {
            let Some((mut block, cost)) = self.take(bus.clock) else { break };
            let (outcome, ran) =
                self.turn(&mut block, bus, limit.saturating_sub(spent + cost).max(1));
            spent += cost + ran;
            match outcome {
                Outcome::Done => {}
                Outcome::Budget => self.line.resident.push_back(block),
                Outcome::Fault(fault) => return Err(fault),
            }
        }
        Ok(spent)
    }

    /// A slice on several threads, this one among them: each takes a block when it has done with one. They stop
    /// together when all have run enough: how much each of them ran depends on how fast its processor was.
    /// The instructions of each, on average.
    fn run_together(&mut self, bus: &mut Bus, threads: usize) -> Result<u64, Box<sm::Fault>> {
        self.make_room(bus.clock);
        let (space, clock) = (bus.space, bus.clock);
        let Grid { fixed, descriptor, setup, line, .. } = self;
        let turns = Mutex::new(Turns { line, fault: None });
        let limit = threads as u64 * SHARED_SLICE;
        let spent = AtomicU64::new(0);
        bus.crew.run(threads, &|| {
            while spent.load(Relaxed) < limit {
                let Some(turn) = lock(&turns).take() else { break };
                // Without the lock: it takes a microsecond.
                let mut block = match turn {
                    Turn::Goes(block) => block,
                    Turn::Starts(n) => {
                        spent.fetch_add(start_cost(descriptor), Relaxed);
                        start((fixed, descriptor, setup), n, clock, Order::Plain)
                    }
                };
                let outcome = loop {
                    let (outcome, ran) = run_block(&mut block, space, PART);
                    let before = spent.fetch_add(ran, Relaxed);
                    if outcome != Outcome::Budget || before + ran >= limit {
                        break outcome;
                    }
                };
                match outcome {
                    Outcome::Done => {}
                    Outcome::Budget => lock(&turns).line.resident.push_back(block),
                    Outcome::Fault(fault) => lock(&turns).fail(fault),
                }
            }
        });
        match turns.into_inner().unwrap_or_else(PoisonError::into_inner).fault {
            Some(fault) => Err(fault),
            None => Ok(spent.into_inner() / threads as u64),
        }
    }

    /// Who has had a turn without coming to an end makes room for another one.
    fn make_room(&mut self, clock: &Clock) -> u64 {
        match self.line.resident.len() < self.descriptor.resident as usize {
            true => self.start(clock, Order::Plain),
            false => 0,
        }
    }

    /// The block whose turn it is, and what it cost to start it.
    fn take(&mut self, clock: &Clock) -> Option<(Resident, u64)> {
        let cost = match self.line.resident.is_empty() {
            true => self.start(clock, Order::Plain),
            false => 0,
        };
        Some((self.line.resident.pop_front()?, cost))
    }

    /// Starts the next block, first in line, if there is one; what that costs.
    fn start(&mut self, clock: &Clock, order: Order) -> u64 {
        let Some(n) = self.line.start() else { return 0 };
        let block = start((&self.fixed, &self.descriptor, &self.setup), n, clock, order);
        self.line.resident.push_front(block);
        start_cost(&self.descriptor)
    }

    /// Tells memory that the grid has ended.
    pub(super) fn end(&self, bus: &mut Bus) -> Result<(), Fault> {
        if let Some(visibility) = &mut bus.visibility {
            visibility.end(self.descriptor.membar);
        }
        if let (Some(races), Some(id)) = (&mut bus.races, self.race) {
            races.end(id);
        }
        let va = self.descriptor.va;
        for release in &self.descriptor.releases {
            let released = release.perform(bus);
            released.map_err(|fault| {
                Fault::mmu(format_args!("a release of the QMD at {va:#x}"), fault)
            })?;
        }
        Ok(())
    }
}

/// Cluster `n` of a grid, about to start.
fn start(
    (fixed, descriptor, setup): (&Arc<Fixed>, &Descriptor, &Setup),
    n: u64,
    clock: &Clock,
    order: Order,
) -> Resident {
    let Descriptor { grid, block, cluster, .. } = *descriptor;
    let [width, height, _] = descriptor.clusters().map(u64::from);
    let at = [n % width, n / width % height, n / width / height];
    let sm = multiprocessor(descriptor, n);
    let time_ns = clock.now();
    Resident::new(fixed.clone(), |fixed| {
        let launch = |rank: u32| {
            let within =
                [rank % cluster[0], rank / cluster[0] % cluster[1], rank / cluster[0] / cluster[1]];
            sm::Launch {
                grid,
                block,
                index: std::array::from_fn(|i| at[i] as u32 * cluster[i] + within[i]),
                cluster,
                entry: descriptor.entry,
                registers: descriptor.registers,
                barriers: descriptor.barriers,
                shared_size: descriptor.shared,
                shared_reserved: descriptor.shared_reserved,
                local_low: descriptor.local[0],
                local_high: descriptor.local[1],
                shared_window: setup.shared_window,
                local_window: setup.local_window,
                banks: fixed.banks.borrow_dependent(),
                sm,
                time_ns,
            }
        };
        let ranks = 0..cluster.iter().product();
        let blocks = ranks.map(|rank| Block::new(&fixed.program, launch(rank), order));
        Cluster::new(blocks.collect(), order)
    })
}

/// What it costs to start a cluster, in instructions.
fn start_cost(descriptor: &Descriptor) -> u64 {
    let blocks: u32 = descriptor.cluster.iter().product();
    WARP_START * u64::from(blocks * descriptor.block.iter().product::<u32>().div_ceil(32))
}

/// What threads that run one grid share.
struct Turns<'a> {
    line: &'a mut Line,
    /// That of the first of the blocks that have died.
    fault: Option<Box<sm::Fault>>,
}

impl Turns<'_> {
    /// The next block. Once one is dead, only those that may have died before it go on: whichever
    /// thread was faster, the same block is to blame.
    fn take(&mut self) -> Option<Turn> {
        let Some(fault) = &self.fault else { return self.line.take() };
        let dead = place(fault.block);
        let resident = &mut self.line.resident;
        let at = resident
            .iter()
            .position(|block| block.with_dependent(|_, block| place(block.index()) < dead))?;
        resident.remove(at).map(Turn::Goes)
    }

    fn fail(&mut self, fault: Box<sm::Fault>) {
        if self.fault.as_ref().is_none_or(|known| place(fault.block) < place(known.block)) {
            self.fault = Some(fault);
        }
    }
}

/// What blocks are sorted by: x runs fastest.
fn place([x, y, z]: [u32; 3]) -> [u32; 3] {
    [z, y, x]
}

/// A thread that panics holds no lock, and its panic goes on in the thread that started it.
fn lock<'a, 'b>(turns: &'b Mutex<Turns<'a>>) -> MutexGuard<'b, Turns<'a>> {
    turns.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run_block(block: &mut Resident, memory: &dyn GlobalMemory, budget: u64) -> (Outcome, u64) {
    block.with_dependent_mut(|_, block| {
        let before = block.instructions();
        (block.run(memory, budget), block.instructions() - before)
    })
}

/// Bytes at `va`, wherever mappings meet.
fn read(space: &Space, va: u64, bytes: usize) -> Result<Vec<u8>, super::mmu::MmuFault> {
    let mut out = vec![0; bytes];
    let mut done = 0;
    while done < bytes {
        let span = space.span(va + done as u64, (bytes - done) as u64, Kind::Read)?;
        let part = span.len as usize;
        span.memory.read(span.offset, &mut out[done..done + part]);
        done += part;
    }
    Ok(out)
}

/// What stopped a kernel, as hardware would report it.
fn explain(space: &Space, descriptor: &Descriptor, fault: &sm::Fault) -> Fault {
    let (address, kind) = match fault.kind {
        FaultKind::Unmapped => (fault.address, Kind::Read),
        FaultKind::ReadOnly => (fault.address, Kind::Write),
        FaultKind::OutsideCode => (Some(fault.pc), Kind::Read),
        _ => (None, Kind::Read),
    };
    let (cause, place) = match address.and_then(|address| space.span(address, 1, kind).err()) {
        Some(mmu) => (FaultCause::MmuFault, format!(", {}", mmu.place())),
        None => (FaultCause::GrException, String::new()),
    };
    // The program is an image of several kernels; the launch knows which one it was.
    let fault =
        sm::Fault { kernel: format!("the kernel at {:#x}", descriptor.entry), ..fault.clone() };
    let esr = match cause {
        FaultCause::GrException => warp_error(&fault.kind),
        _ => None,
    };
    let warp = esr.map(|esr| {
        let [x, y, z] = std::array::from_fn(|i| u64::from(fault.block[i] / descriptor.cluster[i]));
        let [width, height, _] = descriptor.clusters().map(u64::from);
        let cluster = (z * height + y) * width + x;
        WarpError { sm: multiprocessor(descriptor, cluster), esr, pc: fault.pc }
    });
    Fault { cause, text: format!("{fault}{place}"), warp }
}

/// Which multiprocessor runs the cluster that has this number. Blocks of a cluster share one here.
fn multiprocessor(descriptor: &Descriptor, cluster: u64) -> u32 {
    (cluster % u64::from(descriptor.limits.multiprocessors)) as u32
}

/// The code in the register of the multiprocessor. A trap is no legal instruction to it.
fn warp_error(kind: &FaultKind) -> Option<u32> {
    match kind {
        FaultKind::IllegalInstruction(_) | FaultKind::Trap(_) => Some(0x9),
        FaultKind::OutsideCode => Some(0x5),
        FaultKind::Register { .. } => Some(0xd),
        FaultKind::Shared { .. }
        | FaultKind::NoBlock { .. }
        | FaultKind::Local
        | FaultKind::Unmapped => Some(0xe),
        FaultKind::Misaligned { .. } => Some(0xf),
        FaultKind::WrongSpace => Some(0x10),
        FaultKind::Constant { .. } => Some(0x12),
        // Hardware has no code for these: it hangs, or writes all the same.
        FaultKind::Barrier { .. }
        | FaultKind::Deadlock
        | FaultKind::ReadOnly
        | FaultKind::MatrixOffset => None,
    }
}

/// The memory of a launch that waits for the one before it.
struct Early<'a>(&'a Space);

impl GlobalMemory for Early<'_> {
    fn span(&self, address: u64) -> Result<Span<'_>, MemoryFault> {
        GlobalMemory::span(self.0, address)
    }

    fn latch_is_open(&self) -> bool {
        false
    }
}

impl GlobalMemory for Space {
    fn span(&self, address: u64) -> Result<Span<'_>, MemoryFault> {
        let (start, whole, writable) = self.around(address).ok_or(MemoryFault::Unmapped)?;
        let host = whole.memory.mapping().start + whole.offset as usize;
        // SAFETY: the space keeps the memory mapped for as long as it is borrowed, and mappings are whole
        // pages inside their memory. Everybody in this process reaches it by atomic accesses, and
        // what is mapped read-only for the GPU is still writable here.
        Ok(unsafe { Span::new(start, host as *mut u8, whole.len, writable) })
    }
}
