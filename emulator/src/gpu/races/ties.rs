//! Fences and barriers: how clocks travel.

use std::collections::HashSet;

use super::actor::{Actor, Clocks, Warp, join};
use super::cell::CELL;
use super::{Grid, GridId, Races};
use crate::sm::{By, Counter, Scope, Tie, Under, Who};

/// A named barrier of a block.
#[derive(Default)]
pub(super) struct Barrier {
    gathered: Clocks,
    waiting: Vec<Actor>,
}

/// The barrier of a cluster, where who comes and who waits are not the same instruction.
#[derive(Default)]
pub(super) struct Meeting {
    gathered: Clocks,
    come: HashSet<Actor>,
    waiting: Vec<Actor>,
    /// What had been gathered when it last opened.
    opened: Clocks,
}

/// A barrier in shared memory.
#[derive(Default)]
pub(super) struct Phases {
    /// In the phase that has not ended.
    gathered: Clocks,
    /// In those that have.
    pub(super) ended: Clocks,
}

/// What an arrival publishes: everything within a block; beyond it what a fence has ordered before.
fn published(warp: &Warp, beyond: bool) -> &Clocks {
    if beyond { &warp.fenced[1] } else { &warp.clocks }
}

impl Grid {
    /// Something that a barrier hears of is on its way.
    pub(super) fn count(&mut self, counter: Counter, actor: Actor, clock: u32) {
        let phases = self.phases.entry(counter).or_default();
        join(&mut phases.gathered, &Clocks::from([(actor, clock)]));
    }

    /// Learns that a word is a barrier: whoever has read it before looked at its phase.
    fn learn(&mut self, (block, offset): Counter) {
        if self.phases.contains_key(&(block, offset)) {
            return;
        }
        self.phases.insert((block, offset), Phases::default());
        for number in [offset / CELL, offset / CELL + 1] {
            if let Some(cell) = self.shared.get_mut(&(block, number)) {
                cell.loads_are_meant();
            }
        }
    }

    fn tie(&mut self, id: Actor, tie: Tie) {
        if let Tie::Arrives(counter) | Tie::CopiesArrive(counter) = tie {
            self.learn(counter);
        }
        let warp = self.warps.entry(id).or_insert_with(|| Warp::new(id));
        match tie {
            Tie::ToCluster(first) => {
                let meeting = self.meetings.entry(first).or_default();
                join(&mut meeting.gathered, published(warp, true));
                meeting.come.insert(id);
                warp.tick(id);
            }
            Tie::FromCluster(first) => {
                let meeting = self.meetings.entry(first).or_default();
                match meeting.come.contains(&id) {
                    true => meeting.waiting.push(id),
                    false => join(&mut warp.clocks, &meeting.opened),
                }
            }
            Tie::Arrives(counter) => {
                let phases = self.phases.entry(counter).or_default();
                join(&mut phases.gathered, published(warp, counter.0 != id.block));
                warp.tick(id);
            }
            Tie::CopiesArrive(counter) => {
                let copies = id.carrying_out(By::Group(Under::Copies));
                let phases = self.phases.entry(counter).or_default();
                join(&mut phases.gathered, &Clocks::from([(copies, warp.now(copies))]));
                warp.tick(copies);
            }
            Tie::EndsPhase(counter) => {
                let phases = self.phases.entry(counter).or_default();
                join(&mut phases.ended, &std::mem::take(&mut phases.gathered));
            }
            Tie::Passes(counter) => {
                let phases = self.phases.entry(counter).or_default();
                join(&mut warp.clocks, &phases.ended);
            }
            Tie::Groups(under, scoreboard) => {
                warp.group(id.carrying_out(By::Group(under)), scoreboard);
            }
            Tie::AwaitsGroups(scoreboard, most) => warp.await_groups(scoreboard, most),
        }
    }

    /// The barrier of the cluster that begins with this block opens.
    fn open_cluster(&mut self, first: [u32; 3]) {
        let Some(meeting) = self.meetings.get_mut(&first) else { return };
        meeting.opened = std::mem::take(&mut meeting.gathered);
        meeting.come.clear();
        for id in meeting.waiting.drain(..) {
            if let Some(warp) = self.warps.get_mut(&id) {
                join(&mut warp.clocks, &meeting.opened);
            }
        }
    }
}

impl Races {
    /// A warp orders what it did before what comes next.
    pub(in crate::gpu) fn fence(&mut self, grid: GridId, who: &Who, scope: Scope) {
        let id = Actor::warp(grid, who.block, who.warp);
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
    pub(in crate::gpu) fn arrives(&mut self, grid: GridId, who: &Who, barrier: u32, waits: bool) {
        let id = Actor::warp(grid, who.block, who.warp);
        let Some(grid) = self.grids.get_mut(&grid) else { return };
        let warp = grid.warps.entry(id).or_insert_with(|| Warp::new(id));
        let barrier = grid.barriers.entry((who.block, barrier)).or_default();
        join(&mut barrier.gathered, &warp.clocks);
        warp.tick(id);
        if waits {
            barrier.waiting.push(id);
        }
    }

    /// Everybody has come to a barrier of a block, or to that of the cluster that begins with it.
    pub(in crate::gpu) fn opens(&mut self, grid: GridId, block: [u32; 3], barrier: Option<u32>) {
        let Some(grid) = self.grids.get_mut(&grid) else { return };
        let Some(barrier) = barrier else { return grid.open_cluster(block) };
        let Some(barrier) = grid.barriers.remove(&(block, barrier)) else { return };
        for id in barrier.waiting {
            if let Some(warp) = grid.warps.get_mut(&id) {
                join(&mut warp.clocks, &barrier.gathered);
            }
        }
    }

    /// A warp does something else that orders accesses.
    pub(in crate::gpu) fn ties(&mut self, grid: GridId, who: &Who, tie: Tie) {
        let id = Actor::warp(grid, who.block, who.warp);
        if let Some(grid) = self.grids.get_mut(&grid) {
            grid.tie(id, tie);
        }
    }
}
