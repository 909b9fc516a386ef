//! A thread block: its warps, what they share, and the order in which they run.

use super::fault::{Fault, FaultKind, Step, Trap};
use super::global::{GlobalMemory, Span};
use super::run::{self, Flow, Stop};
use super::warp::{On, Warp};
use super::watch::Watch;
use crate::sm::op::{BARRIERS, CLUSTER_BARRIER};
use crate::sm::program::Program;

/// Everything that a launch fixes for one block.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// Blocks in the grid.
    pub grid: [u32; 3],
    /// Threads in the block.
    pub block: [u32; 3],
    /// Which block this is.
    pub index: [u32; 3],
    /// Blocks in a cluster: one, where there are none.
    pub cluster: [u32; 3],
    /// The GPU address of the first instruction.
    pub entry: u64,
    /// Registers per thread.
    pub registers: u32,
    /// Named barriers.
    pub barriers: u32,
    /// Bytes of shared memory.
    pub shared_size: u32,
    /// Bytes of shared memory behind them that the system keeps.
    pub shared_reserved: u32,
    /// Bytes of local memory per thread that grow up from zero.
    pub local_low: u32,
    /// Bytes of local memory per thread that grow down from 2^24.
    pub local_high: u32,
    /// Where shared memory appears in generic addresses.
    pub shared_window: u64,
    /// Where local memory appears in generic addresses.
    pub local_window: u64,
    /// The constant banks by number; an empty one is not bound.
    pub banks: &'a [&'a [u8]],
    /// The multiprocessor that the block believes to run on.
    pub sm: u32,
    /// The global timer when the block starts.
    pub time_ns: u64,
}

impl Launch<'_> {
    /// The block's number in its cluster.
    pub(crate) fn rank(&self) -> u32 {
        let [width, height, _] = self.cluster;
        let [x, y, z] = std::array::from_fn(|i| self.index[i] % self.cluster[i]);
        (z * height + y) * width + x
    }

    /// The block of its cluster that has this number.
    pub(crate) fn of_rank(&self, rank: u32) -> [u32; 3] {
        let [width, height, _] = self.cluster;
        let within = [rank % width, rank / width % height, rank / width / height];
        std::array::from_fn(|i| self.index[i] / self.cluster[i] * self.cluster[i] + within[i])
    }
}

/// In what order warps and groups of lanes take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Long turns, one warp after the other: the fastest.
    Plain,
    /// Short turns in an order drawn from this seed, to shake out races.
    Seeded(u64),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every thread has exited.
    Done,
    /// The budget is used up; run again to go on.
    Budget,
    /// The block is dead.
    Fault(Box<Fault>),
}

/// Why a block stopped running.
pub(super) enum Pause {
    Ended(Outcome),
    /// It may be the last that the cluster waited for.
    Met,
    /// All of its warps wait.
    Blocked,
}

/// One of the named barriers of a block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    /// The lanes that have come, by warp.
    pub(crate) arrived: [u32; 32],
    /// How many of them brought a true predicate.
    pub(crate) count_true: u32,
    /// How many threads it needs; 0 for all that live.
    pub(crate) needed: u32,
    /// What kind of reduction, for the answer.
    pub(crate) all: bool,
}

impl Named {
    /// Whether everybody has come, given the living lanes of each warp.
    pub(crate) fn complete(&self, live: &[u32; 32]) -> bool {
        if self.needed == 0 {
            let mut pairs = self.arrived.iter().zip(live);
            return self.arrived.iter().any(|a| *a != 0) && pairs.all(|(a, l)| l & !a == 0);
        }
        // A warp that came whole counts whole, its missing and exited lanes included.
        let come: u32 = self
            .arrived
            .iter()
            .zip(live)
            .map(|(a, l)| match *a != 0 && l & !a == 0 {
                true => 32,
                false => a.count_ones(),
            })
            .sum();
        come >= self.needed
    }
}

/// What the warps of a block share while they run.
pub(crate) struct Shared<'a, 'm> {
    pub(crate) program: &'a Program,
    pub(crate) launch: &'a Launch<'a>,
    /// The block's number in its cluster.
    pub(crate) rank: u32,
    pub(crate) memory: &'m dyn GlobalMemory,
    /// The spans used last, so that memory is asked rarely.
    pub(crate) spans: [Span<'m>; 4],
    pub(crate) oldest: usize,
    pub(crate) bytes: &'a mut Vec<u8>,
    /// The shared memory of the others of its cluster, by rank: empty for itself and for those that have ended.
    pub(crate) peers: &'a mut [Vec<u8>],
    pub(crate) named: &'a mut [Named; BARRIERS],
    /// How often the barrier of the cluster has opened.
    pub(crate) opened: u64,
    pub(crate) live: &'a mut [u32; 32],
    /// The barriers in shared memory of which a phase has ended, by rank and offset, if anybody watches.
    pub(crate) phases: Vec<(u32, u64)>,
    /// Barriers that may have completed: the named ones, and the cluster's.
    pub(crate) touched: u32,
    pub(crate) clock: u64,
    pub(crate) random: Option<&'a mut u64>,
    /// Why the warp stopped, after [`Flow::Trapped`].
    pub(crate) trap: Option<Box<Trap>>,
}

impl Shared<'_, '_> {
    /// How an instruction ended, in a register of the host.
    #[inline(always)]
    pub(crate) fn flow(&mut self, step: Step<Flow>) -> Flow {
        step.unwrap_or_else(|trap| {
            self.trap = Some(trap);
            Flow::Trapped
        })
    }
}

/// The next number of a small generator.
pub(crate) fn draw(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
}

/// One block of a kernel on its way from launch to end.
#[derive(Debug)]
pub struct Block<'a> {
    program: &'a Program,
    launch: Launch<'a>,
    rank: u32,
    warps: Vec<Warp>,
    /// Elsewhere while another block of its cluster runs.
    pub(super) shared: Vec<u8>,
    named: Box<[Named; BARRIERS]>,
    /// How often the barrier of its cluster has opened.
    opened: u64,
    live: [u32; 32],
    next: usize,
    clock: u64,
    random: Option<u64>,
}

/// Instructions that a warp runs before the next has its turn.
const TURN: u64 = 4096;

impl<'a> Block<'a> {
    /// A block about to start. More than 1024 threads are not possible.
    pub fn new(program: &'a Program, launch: Launch<'a>, order: Order) -> Block<'a> {
        let threads = launch.block.iter().map(|n| u64::from(*n)).product::<u64>();
        assert!(threads <= 1024, "a block has at most 1024 threads");
        let entry = launch.entry.wrapping_sub(program.base()) / 16;
        let mut live = [0; 32];
        let warps: Vec<Warp> = (0..threads.div_ceil(32))
            .map(|index| {
                let lanes = (threads - index * 32).min(32);
                live[index as usize] = (u64::MAX >> (64 - lanes)) as u32;
                Warp::new(index as u32, live[index as usize], entry as u32, launch.registers)
            })
            .collect();
        Block {
            program,
            launch,
            rank: launch.rank(),
            warps,
            shared: vec![0; launch.shared_size as usize],
            named: Box::new(std::array::from_fn(|_| Named::default())),
            opened: 0,
            live,
            next: 0,
            clock: 0,
            random: match order {
                Order::Plain => None,
                // Zero would stay zero for ever.
                Order::Seeded(seed) => Some(seed.wrapping_mul(2) | 1),
            },
        }
    }

    /// The multiprocessor that it runs on.
    pub fn sm(&self) -> u32 {
        self.launch.sm
    }

    /// Which block of the grid it is.
    pub fn index(&self) -> [u32; 3] {
        self.launch.index
    }

    /// How many warp instructions have run.
    pub fn instructions(&self) -> u64 {
        self.clock
    }

    /// Runs at most about `budget` warp instructions. A block by itself is a cluster of one.
    pub fn run(&mut self, memory: &dyn GlobalMemory, budget: u64) -> Outcome {
        let end = self.clock.saturating_add(budget);
        loop {
            match self.advance(memory, end - self.clock, &mut []) {
                Pause::Ended(outcome) => return outcome,
                Pause::Met | Pause::Blocked if self.has_gathered() => {
                    self.open_cluster();
                    if let Some(watch) = memory.watch() {
                        watch.opens(self.launch.of_rank(0), None);
                    }
                }
                Pause::Met => {}
                Pause::Blocked => return self.deadlock(),
            }
        }
    }

    /// Runs until something concerns the whole cluster, or at most about `budget` warp instructions.
    pub(super) fn advance(
        &mut self,
        memory: &dyn GlobalMemory,
        budget: u64,
        peers: &mut [Vec<u8>],
    ) -> Pause {
        let end = self.clock.saturating_add(budget);
        let mut blocked = 0;
        let (mut spans, mut oldest) = ([Span::EMPTY; 4], 0);
        loop {
            if self.has_ended() {
                self.warps.drain(..).for_each(Warp::retire);
                return Pause::Ended(Outcome::Done);
            }
            if self.clock >= end {
                return Pause::Ended(Outcome::Budget);
            }
            let turn = match &mut self.random {
                None => TURN,
                Some(state) => {
                    self.next = draw(state) as usize % self.warps.len();
                    1 + draw(state) % 64
                }
            };
            let at = self.next;
            self.next = (at + 1) % self.warps.len();
            let warp = &mut self.warps[at];
            if warp.live == 0 || (warp.now.mask == 0 && warp.ready.is_empty()) {
                blocked += 1;
                // A random order may look at the same blocked warp many times.
                if blocked >= self.warps.len() && self.stuck() {
                    return Pause::Blocked;
                }
                continue;
            }
            blocked = 0;
            let mut shared = Shared {
                program: self.program,
                launch: &self.launch,
                rank: self.rank,
                memory,
                spans,
                oldest,
                bytes: &mut self.shared,
                peers: &mut *peers,
                named: &mut self.named,
                opened: self.opened,
                live: &mut self.live,
                phases: Vec::new(),
                touched: 0,
                clock: self.clock,
                random: self.random.as_mut(),
                trap: None,
            };
            let stop = run::run(warp, &mut shared, turn.min(end - self.clock));
            let touched = shared.touched;
            (spans, oldest) = (shared.spans, shared.oldest);
            self.clock = shared.clock.max(self.clock + 1);
            match stop {
                Stop::Turn => {}
                Stop::Trap(trap) => return Pause::Ended(self.fault(at, *trap)),
            }
            if touched != 0 {
                self.complete(touched, memory.watch());
            }
            if touched >> CLUSTER_BARRIER & 1 == 1 && !self.has_ended() {
                return Pause::Met;
            }
        }
    }

    /// Whether every thread has exited.
    pub(super) fn has_ended(&self) -> bool {
        self.warps.iter().all(|warp| warp.live == 0)
    }

    /// Whether all warps that live have come to the barrier of the cluster.
    pub(super) fn has_gathered(&self) -> bool {
        self.warps.iter().all(|warp| warp.live == 0 || warp.came > self.opened)
    }

    /// Everybody has come to the barrier of the cluster.
    pub(super) fn open_cluster(&mut self) {
        self.opened += 1;
        for warp in &mut self.warps {
            warp.free(On::Cluster, u32::MAX);
        }
    }

    /// Whether no warp can go on by itself.
    pub(super) fn stuck(&self) -> bool {
        self.warps.iter().all(|w| w.live == 0 || (w.now.mask == 0 && w.ready.is_empty()))
    }

    /// Frees who waits at the named barriers of `touched` that are complete.
    fn complete(&mut self, touched: u32, watch: Option<&dyn Watch>) {
        for id in 0..BARRIERS as u8 {
            let named = &mut self.named[id as usize];
            if touched >> id & 1 == 0 || !named.complete(&self.live) {
                continue;
            }
            let come: u32 = named.arrived.iter().map(|a| a.count_ones()).sum();
            let count = named.count_true;
            let yes = if named.all { count == come } else { count > 0 };
            *named = Named::default();
            if let Some(watch) = watch {
                watch.opens(self.launch.index, Some(id.into()));
            }
            for warp in &mut self.warps {
                if warp.arrived(On::Named(id)) != 0 {
                    warp.reduced = (count, yes);
                    warp.free(On::Named(id), u32::MAX);
                }
            }
        }
    }

    /// The end of a block that waits for what never comes.
    pub(super) fn deadlock(&self) -> Outcome {
        let held = self.warps.iter().find(|w| w.live != 0);
        let warp = held.map_or(0, |w| w.index);
        let pc = held.and_then(|w| w.waiting.first()).map_or(0, |w| w.group.pc.wrapping_sub(1));
        Outcome::Fault(Box::new(Fault {
            kernel: self.program.name().into(),
            pc: self.program.base() + u64::from(pc) * 16,
            block: self.launch.index,
            warp,
            lane: None,
            address: None,
            kind: FaultKind::Deadlock,
        }))
    }

    fn fault(&self, warp: usize, trap: Trap) -> Outcome {
        let pc = self.warps[warp].now.pc;
        Outcome::Fault(Box::new(Fault {
            kernel: self.program.name().into(),
            pc: self.program.base().wrapping_add(u64::from(pc) * 16),
            block: self.launch.index,
            warp: warp as u32,
            lane: trap.lane,
            address: trap.address,
            kind: trap.kind,
        }))
    }
}
