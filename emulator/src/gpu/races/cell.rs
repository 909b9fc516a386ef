//! What is known of a few bytes that are watched together.

use super::actor::Actor;
use crate::sm::{Verb, Who};

/// Bytes that are watched together. Accesses to different bytes of one are told apart.
pub(super) const CELL: u64 = 4;

/// What is known of a cell: the last store, and the loads since.
#[derive(Default)]
pub(super) struct Cell {
    store: Option<Touch>,
    loads: Vec<Touch>,
}

/// One access of one lane.
#[derive(Clone, Copy)]
pub(super) struct Touch {
    pub(super) actor: Actor,
    pub(super) who: Who,
    pub(super) lane: u32,
    /// The actor's own clock then.
    pub(super) clock: u32,
    /// The bytes of the cell.
    pub(super) bytes: u8,
    pub(super) value: u32,
    pub(super) verb: Verb,
    pub(super) strong: bool,
}

impl Cell {
    /// Earlier accesses that conflict with this one.
    pub(super) fn races(&self, new: &Touch, before: impl Fn(&Touch) -> bool) -> Vec<Touch> {
        let conflicts = |old: &&Touch| {
            let reads = [old.verb, new.verb] == [Verb::Load; 2];
            // Words that are only ever reached so are meant to be shared.
            let meant = old.strong && new.strong;
            // Who comes second changes nothing. What a copy brings nobody has looked at.
            let plain = old.actor.is_warp() && new.actor.is_warp();
            let stores = [old.verb, new.verb] == [Verb::Store; 2];
            let same = plain && stores && old.value == new.value;
            let other = old.actor != new.actor;
            old.bytes & new.bytes != 0 && other && !reads && !meant && !same && !before(old)
        };
        self.store.iter().chain(&self.loads).filter(conflicts).copied().collect()
    }

    /// Words that are read like this are meant to be shared.
    pub(super) fn loads_are_meant(&mut self) {
        self.loads.iter_mut().for_each(|load| load.strong = true);
    }

    pub(super) fn touch(&mut self, new: Touch) {
        if new.verb == Verb::Load {
            let known = self.loads.iter_mut().find(|old| old.actor == new.actor);
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
