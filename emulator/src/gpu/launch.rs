//! The scheduler of launches: which grids run, which wait for others, and what happens when one ends.

use std::collections::{BTreeMap, VecDeque};

use super::channel::Bus;
use super::compute::Setup;
use super::fault::Fault;
use super::launch_grid::Grid;
use super::qmd::{Action, Raw};

/// A launch arrives.
#[derive(Debug)]
pub(super) struct Pcas {
    /// Where its descriptor lies.
    pub(super) qmd: u64,
    /// Whether the scheduler forgets what it knows of that descriptor.
    pub(super) anew: bool,
    pub(super) setup: Setup,
}

/// The grids of one channel.
#[derive(Default)]
pub(super) struct Launches {
    setup: Setup,
    running: VecDeque<Grid>,
    /// Descriptors whose counter has been touched, by address.
    waiting: BTreeMap<u64, Waiting>,
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
        let action = if pcas.anew { Action::CopyAndSchedule } else { Action::Schedule };
        self.tell(bus, pcas.qmd, action)
    }

    fn tell(&mut self, bus: &mut Bus, va: u64, action: Action) -> Result<(), Fault> {
        if action == Action::CopyAndSchedule {
            self.waiting.remove(&va);
        }
        let raw = Raw::fetch(bus.space, va)?;
        let waiting = self.waiting.entry(va).or_insert_with(|| Waiting {
            left: raw.dependence_counter(),
            scheduled: false,
            must_be_scheduled: raw.requires_scheduling(),
        });
        match action {
            Action::Schedule | Action::CopyAndSchedule => waiting.scheduled = true,
            Action::Decrement => {
                waiting.left = waiting.left.checked_sub(1).ok_or_else(|| {
                    Fault::engine(format!(
                        "the QMD at {va:#x}: its DEPENDENCE_COUNTER was decremented below zero"
                    ))
                })?;
            }
        }
        if waiting.left == 0 && (waiting.scheduled || !waiting.must_be_scheduled) {
            self.waiting.remove(&va);
            let descriptor = raw.check()?;
            self.running.push_back(Grid::new(bus, descriptor, self.setup)?);
        }
        Ok(())
    }

    /// Lets one grid run a little; about how many warp instructions that were.
    pub(super) fn run(&mut self, bus: &mut Bus) -> Result<u64, Fault> {
        if let Some(shaker) = &mut bus.shaker {
            self.running.rotate_left(shaker.below(self.running.len() as u32) as usize);
        }
        let Some(mut grid) = self.running.pop_front() else { return Ok(0) };
        let ran = grid.run(bus)?;
        if ran.done {
            self.end(bus, &grid)?;
        } else {
            self.running.push_back(grid);
        }
        Ok(ran.spent)
    }

    /// A grid has ended: it tells memory, then its dependent.
    fn end(&mut self, bus: &mut Bus, grid: &Grid) -> Result<(), Fault> {
        let descriptor = &grid.descriptor;
        for release in &descriptor.releases {
            let released = release.perform(bus.space, bus.clock);
            released.map_err(|fault| {
                Fault::mmu(format_args!("a release of the QMD at {:#x}", descriptor.va), fault)
            })?;
        }
        match &descriptor.dependent {
            Some(dependent) => self.tell(bus, dependent.va, dependent.action),
            None => Ok(()),
        }
    }
}
