//! The scheduler of launches: which grids run, which wait for others, and what happens when one ends.

use std::collections::VecDeque;
use std::collections::btree_map::{BTreeMap, Entry};

use super::channel::Bus;
use super::compute::Setup;
use super::fault::Fault;
use super::launch_grid::Grid;
use super::qmd::{Action, Raw, Tells};
use super::qmd_version::Version;

/// What the host engine passes on.
#[derive(Debug)]
pub(super) struct Pcas {
    /// Where the descriptor lies.
    pub(super) qmd: u64,
    pub(super) action: Action,
    pub(super) setup: Setup,
}

/// The grids of one channel.
pub(super) struct Launches {
    /// Which descriptors the engine reads.
    version: &'static Version,
    setup: Setup,
    running: VecDeque<Grid>,
    /// Descriptors whose counter has been touched, by address.
    waiting: BTreeMap<u64, Waiting>,
    /// Descriptors fetched before their turn, as they were then.
    prefetched: BTreeMap<u64, Raw>,
    /// Latches that are closed, and by how many launches.
    closed: BTreeMap<u32, u32>,
    /// Descriptors that ran since the host last waited for the engine, on GPUs that may still have
    /// them then.
    ran: BTreeMap<u64, Raw>,
}

struct Waiting {
    /// Predecessors that have not ended yet.
    left: u32,
    /// Somebody has scheduled it.
    scheduled: bool,
    /// Nothing but that starts it.
    must_be_scheduled: bool,
}

impl Launches {
    pub(super) fn new(version: &'static Version) -> Launches {
        Launches {
            version,
            setup: Setup::default(),
            running: VecDeque::new(),
            waiting: BTreeMap::new(),
            prefetched: BTreeMap::new(),
            closed: BTreeMap::new(),
            ran: BTreeMap::new(),
        }
    }

    /// The host has waited for the engine.
    pub(super) fn waited_for(&mut self) {
        self.ran.clear();
    }

    /// Whether a grid could run now.
    pub(super) fn running(&self) -> bool {
        !self.running.is_empty()
    }

    /// Whether the engine has not ended what it was given.
    pub(super) fn busy(&self) -> bool {
        self.running() || self.waiting.values().any(|waiting| waiting.scheduled)
    }

    /// Takes a launch from the host.
    pub(super) fn arrive(&mut self, bus: &mut Bus, pcas: Pcas) -> Result<(), Fault> {
        self.setup = pcas.setup;
        self.tell(bus, pcas.qmd, pcas.action)
    }

    fn tell(&mut self, bus: &mut Bus, va: u64, action: Action) -> Result<(), Fault> {
        if matches!(action, Action::CopyAndSchedule | Action::Forget) {
            self.waiting.remove(&va);
            self.prefetched.remove(&va);
            self.ran.remove(&va);
        }
        if action == Action::Forget {
            return Ok(());
        }
        let raw = Raw::fetch(bus, self.version, va)?;
        if action == Action::Prefetch {
            // What is wrong with it matters when it starts.
            if let Ok(descriptor) = raw.check() {
                Grid::fetch_ahead(bus, &descriptor);
            }
            self.prefetched.insert(va, raw);
            return Ok(());
        }
        let waiting = match self.waiting.entry(va) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                if let Some(what) = raw.untried(action) {
                    bus.notice(format!("the QMD at {va:#x}: nobody has tried {what}"));
                }
                new.insert(Waiting {
                    left: raw.dependence_counter(),
                    scheduled: false,
                    must_be_scheduled: raw.requires_scheduling(),
                })
            }
        };
        match action {
            Action::Increment => waiting.left += 1,
            Action::Decrement => {
                let left = waiting.left.checked_sub(1);
                waiting.left = left.ok_or_else(|| {
                    raw.fault(
                        "SKEDCHECK36_DEPENDENCE_COUNTER_UNDERFLOW: its HW_ONLY_DEPENDENCE_COUNTER was \
                         decremented below zero",
                    )
                })?;
            }
            _ => waiting.scheduled = true,
        }
        if waiting.left == 0 && (waiting.scheduled || !waiting.must_be_scheduled) {
            self.waiting.remove(&va);
            self.start(bus, &raw)?;
        }
        Ok(())
    }

    fn start(&mut self, bus: &mut Bus, raw: &Raw) -> Result<(), Fault> {
        let descriptor = raw.check()?;
        // Whether the GPU runs what it fetched or what is there now is a matter of luck.
        let early = self.prefetched.remove(&descriptor.va);
        let ahead = early.is_some();
        if let Some((word, then, now)) = early.and_then(|early| early.difference(raw)) {
            return Err(raw.fault(format_args!(
                "word {word} changed from {then:#x} to {now:#x} between its prefetch and its start: \
                 QMD_INVALIDATE_COPY_SCHEDULE reads it anew, and no prefetch not before"
            )));
        }
        if self.version.outlives_release {
            let before = self.ran.insert(descriptor.va, raw.clone());
            if let Some((word, then, now)) = before.and_then(|before| before.difference(raw)) {
                bus.notice(format!(
                    "word {word} of the QMD at {:#x} changed from {then:#x} to {now:#x} since it last ran, and the \
                     host has not waited for the engine in between: on a board the launch before has been seen to \
                     run once more",
                    descriptor.va
                ));
            }
        }
        for dependent in descriptor.dependents.iter().filter(|dependent| dependent.prefetched) {
            self.tell(bus, dependent.va, Action::Prefetch)?;
        }
        if let Some(latch) = descriptor.arrives_at {
            *self.closed.entry(latch).or_insert(0) += 1;
        }
        self.running.push_back(Grid::new(bus, descriptor, self.setup, ahead)?);
        Ok(())
    }

    /// Lets one grid run a little; about how many warp instructions that were.
    pub(super) fn run(&mut self, bus: &mut Bus) -> Result<u64, Fault> {
        if let Some(shaker) = &mut bus.shaker {
            self.running.rotate_left(shaker.below(self.running.len() as u32) as usize);
        }
        let Some(mut grid) = self.running.pop_front() else { return Ok(0) };
        if grid.descriptor.waits_on.is_none_or(|latch| !self.closed.contains_key(&latch)) {
            grid.open_latch(bus);
        }
        let ran = grid.run(bus)?;
        let tells = match grid.descriptor.tells {
            Tells::AtLastStart => ran.all_started,
            Tells::BeforeMembar => ran.done,
            Tells::Last => false,
        };
        if tells && !grid.descriptor.dependents.is_empty() {
            self.tell_dependents(bus, &mut grid)?;
            // They may run before this one has come to its end.
            self.running.push_back(grid);
            return Ok(ran.spent);
        }
        if !ran.done {
            self.running.push_back(grid);
            return Ok(ran.spent);
        }
        grid.end(bus)?;
        if let Some(latch) = grid.descriptor.arrives_at {
            self.open(latch);
        }
        self.tell_dependents(bus, &mut grid)?;
        Ok(ran.spent)
    }

    fn tell_dependents(&mut self, bus: &mut Bus, grid: &mut Grid) -> Result<(), Fault> {
        for dependent in std::mem::take(&mut grid.descriptor.dependents) {
            self.tell(bus, dependent.va, dependent.action)?;
        }
        Ok(())
    }

    /// One launch less keeps a latch closed.
    fn open(&mut self, latch: u32) {
        if let Some(launches) = self.closed.get_mut(&latch) {
            *launches -= 1;
            if *launches == 0 {
                self.closed.remove(&latch);
            }
        }
    }
}
