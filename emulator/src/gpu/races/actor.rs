//! What runs on its own, and how far it has heard of the others.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::GridId;
use crate::sm::{By, Counter, Under};

/// A warp of a block of a grid, or something that it has under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Actor {
    pub(super) grid: GridId,
    pub(super) block: [u32; 3],
    pub(super) warp: u32,
    part: Part,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Part {
    /// The warp itself.
    Own,
    /// Its copies, which it waits for by groups.
    Group(Under),
    /// What a barrier hears of.
    Counted(Counter),
}

/// How far each actor had come.
pub(super) type Clocks = BTreeMap<Actor, u32>;

pub(super) fn join(into: &mut Clocks, from: &Clocks) {
    for (actor, clock) in from {
        let known = into.entry(*actor).or_insert(0);
        *known = (*known).max(*clock);
    }
}

impl Actor {
    pub(super) fn warp(grid: GridId, block: [u32; 3], warp: u32) -> Actor {
        Actor { grid, block, warp, part: Part::Own }
    }

    /// Whoever does something for this warp.
    pub(super) fn carrying_out(self, by: By) -> Actor {
        let part = match by {
            By::Warp => Part::Own,
            By::Group(under) => Part::Group(under),
            By::Counted(counter) => Part::Counted(counter),
        };
        Actor { part, ..self }
    }

    pub(super) fn is_warp(&self) -> bool {
        self.part == Part::Own
    }
}

/// What a warp knows, and what it has under way.
pub(super) struct Warp {
    pub(super) clocks: Clocks,
    /// What fences have ordered before what comes next, for the block and for the GPU.
    pub(super) fenced: [Clocks; 2],
    /// The clocks of what it has under way.
    under: BTreeMap<Actor, u32>,
    /// Groups that it can wait for, by scoreboard: who, and how far that had come.
    groups: HashMap<u32, VecDeque<(Actor, u32)>>,
}

impl Warp {
    pub(super) fn new(id: Actor) -> Warp {
        Warp {
            clocks: Clocks::from([(id, 1)]),
            fenced: [Clocks::new(), Clocks::new()],
            under: BTreeMap::new(),
            groups: HashMap::new(),
        }
    }

    /// How far the warp, or what it has under way, has come.
    pub(super) fn now(&self, actor: Actor) -> u32 {
        match actor.is_warp() {
            true => self.clocks.get(&actor).copied().unwrap_or(0),
            false => self.under.get(&actor).copied().unwrap_or(1),
        }
    }

    /// What comes next is later than what came before.
    pub(super) fn tick(&mut self, actor: Actor) {
        match actor.is_warp() {
            true => *self.clocks.entry(actor).or_insert(0) += 1,
            false => *self.under.entry(actor).or_insert(1) += 1,
        }
    }

    /// Makes a group of what is under way.
    pub(super) fn group(&mut self, actor: Actor, scoreboard: u32) {
        let now = self.now(actor);
        self.groups.entry(scoreboard).or_default().push_back((actor, now));
        self.tick(actor);
    }

    /// Waits until no more than so many groups are under way.
    pub(super) fn await_groups(&mut self, scoreboard: u32, most: u32) {
        let Some(groups) = self.groups.get_mut(&scoreboard) else { return };
        while groups.len() > most as usize {
            if let Some((actor, clock)) = groups.pop_front() {
                join(&mut self.clocks, &Clocks::from([(actor, clock)]));
            }
        }
    }
}
