//! The GPU: address spaces, channels, and the engines behind them. A pure model: it knows memory
//! and numbers, no files and no system calls.
//!
//! Nothing runs by itself. [`Gpu::doorbell`] marks a channel, [`Gpu::step`] lets the marked channels
//! execute, [`Gpu::take_events`] says whom to wake and what went wrong.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use crate::memory::Memory;
use channel::{Advance, Bus, Channel};
use clock::{Clock, time_of_day};
use crew::Crew;
use launch_code::CodeCache;
use mmu::Space;
use races::Races;
use registers::Registers;
use visibility::Visibility;

mod caches;
mod channel;
mod clock;
mod compute;
mod copy;
mod crew;
mod fault;
mod fetch;
mod host;
mod launch;
mod launch_code;
mod launch_grid;
mod mmu;
mod qmd;
mod qmd_version;
mod races;
mod registers;
mod semaphore;
mod stores;
#[cfg(test)]
mod tests;
mod visibility;
mod watch;

pub use fault::{FaultCause, WarpError};
pub use mmu::Access;

/// An address space of a [`Gpu`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpaceId(u32);

/// What a channel needs to run.
#[derive(Debug)]
pub struct ChannelSetup {
    /// The time-slice group it belongs to, and dies with.
    pub tsg: u32,
    /// The subcontext of that group that it belongs to: its channels share what methods tell the
    /// compute engine.
    pub veid: u32,
    /// Where its addresses mean something.
    pub space: SpaceId,
    /// Its ring of 8-byte entries, in that space.
    pub ring_va: u64,
    /// How many entries the ring has.
    pub entries: u32,
    /// Its control page, at offset 0.
    pub userd: Arc<Memory>,
}

/// What came of a [`Gpu::step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is left to do.
    Idle,
    /// Every channel with work waits for memory to change.
    Blocked,
    /// Something was executed; there may be more.
    Worked,
}

/// Something that the world outside should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A channel of this TSG asked to wake whoever sleeps on its event.
    NonStallInterrupt {
        /// The TSG.
        tsg: u32,
    },
    /// A TSG is dead.
    Fault {
        /// The TSG.
        tsg: u32,
        /// The channel at fault, if one was.
        channel: Option<u32>,
        /// What the notifiers say.
        cause: FaultCause,
        /// One sentence for a human.
        report: String,
    },
    /// A program did something that hardware accepts without a word and that cannot be meant.
    Notice {
        /// The channel.
        channel: u32,
        /// One sentence for a human.
        text: String,
    },
}

/// What the driver knows of a channel, set up or not.
#[derive(Debug, Default)]
struct Binding {
    classes: Vec<u32>,
    notifier: Option<(Arc<Memory>, u64)>,
    hung: bool,
}

/// The GPU of one board.
pub struct Gpu {
    clock: Clock,
    spaces: BTreeMap<SpaceId, Space>,
    next_space: u32,
    channels: BTreeMap<u32, Channel>,
    bindings: BTreeMap<u32, Binding>,
    /// By TSG and VEID: what the compute engine has been told there.
    subcontexts: BTreeMap<(u32, u32), Option<Registers>>,
    /// Channels with work, in the order of their turns.
    queue: VecDeque<u32>,
    events: Vec<Event>,
    code: CodeCache,
    notifiers_lost: bool,
    visibility: Option<Visibility>,
    /// By TSG: what stopped the kernel that it died of.
    warp_errors: BTreeMap<u32, WarpError>,
    crew: Crew,
    races: Option<Races>,
    shaker: Option<Shaker>,
}

impl Default for Gpu {
    fn default() -> Gpu {
        Gpu::new()
    }
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gpu")
            .field("spaces", &self.spaces.keys())
            .field("channels", &self.channels.keys())
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

impl Gpu {
    /// A GPU with nothing on it.
    pub fn new() -> Gpu {
        Gpu {
            clock: Clock::new(),
            spaces: BTreeMap::new(),
            next_space: 0,
            channels: BTreeMap::new(),
            bindings: BTreeMap::new(),
            subcontexts: BTreeMap::new(),
            queue: VecDeque::new(),
            events: Vec::new(),
            code: CodeCache::default(),
            notifiers_lost: false,
            visibility: None,
            warp_errors: BTreeMap::new(),
            crew: Crew::of_all_processors(),
            races: None,
            shaker: None,
        }
    }

    /// From now on channels take turns of a few methods each, and engines run behind the host
    /// engine, both in an order that `seed` decides: for finding what works by luck only. Without
    /// it a channel runs until it waits, and engines do at once what they are told.
    pub fn shake(&mut self, seed: u64) {
        self.shaker = Some(Shaker(seed));
    }

    /// From now on caches keep what they have until they are invalidated, and what an engine stores is
    /// seen by others only after the membar or flush that hardware needs. Kernels run slower, and what
    /// they compute is the same, unless something is missing.
    pub fn model_caches(&mut self) {
        self.visibility.get_or_insert_default();
    }

    /// On how many threads the blocks of a grid run; on as many as the machine has processors unless this
    /// is called. With a seed, with caches modelled or races looked for, it is always one.
    pub fn set_threads(&mut self, threads: NonZero<usize>) {
        self.crew = Crew::new(threads);
    }

    /// From now on accesses of kernels that nothing orders are told of by an [`Event::Notice`], each pair
    /// of instructions once. Kernels run much slower.
    pub fn detect_races(&mut self) {
        self.races.get_or_insert_default();
    }

    /// A new, empty address space.
    pub fn create_space(&mut self) -> SpaceId {
        let id = SpaceId(self.next_space);
        self.next_space += 1;
        self.spaces.insert(id, Space::default());
        id
    }

    /// Forgets an address space; channels that still use it fault at their next access.
    pub fn destroy_space(&mut self, space: SpaceId) {
        self.spaces.remove(&space);
        self.code.forget(space);
        if let Some(visibility) = &mut self.visibility {
            visibility.stores.bring_all();
            visibility.forget(space);
        }
    }

    /// Maps `len` bytes of `memory` from `offset` on at `va`.
    ///
    /// # Panics
    /// If the driver's rules were broken: whole pages below 2^49, inside the memory, on top of
    /// nothing, in a space that exists.
    pub fn map(
        &mut self,
        space: SpaceId,
        va: u64,
        memory: Arc<Memory>,
        offset: u64,
        len: u64,
        access: Access,
    ) {
        let space = self.spaces.get_mut(&space).expect("a mapping goes into a space that exists");
        space.map(va, memory, offset, len, access);
    }

    /// Takes away the mapping that starts at exactly `va`, if there is one.
    pub fn unmap(&mut self, space: SpaceId, va: u64) {
        // The driver has the GPU write back what it holds of the buffer.
        if let Some(visibility) = &mut self.visibility {
            visibility.stores.bring_all();
        }
        if let Some(space) = self.spaces.get_mut(&space) {
            space.unmap(va);
        }
    }

    /// A channel whose ring and USERD are set up: the doorbell's token is the channel's id.
    ///
    /// # Panics
    /// If there is such a channel already, or the ring has no entries: the driver sees to both.
    pub fn create_channel(&mut self, id: u32, setup: ChannelSetup) {
        assert!(setup.entries > 0, "a ring has entries");
        let replaced = self.channels.insert(id, Channel::new(setup));
        assert!(replaced.is_none(), "a channel is set up once");
    }

    /// Where to write about the channel's death. May come before [`Gpu::create_channel`].
    pub fn set_error_notifier(&mut self, id: u32, notifier: Option<(Arc<Memory>, u64)>) {
        self.bindings.entry(id).or_default().notifier = notifier;
    }

    /// The driver has made a context for `class` on the channel. May come before
    /// [`Gpu::create_channel`].
    pub fn allow_class(&mut self, id: u32, class: u32) {
        self.bindings.entry(id).or_default().classes.push(class);
    }

    /// Injects a fault: the channel stays where it is, as if its engine hung. May come before
    /// [`Gpu::create_channel`].
    pub fn hang_channel(&mut self, id: u32) {
        self.bindings.entry(id).or_default().hung = true;
    }

    /// Injects a fault: error notifiers are no longer written.
    pub fn lose_notifiers(&mut self) {
        self.notifiers_lost = true;
    }

    /// Forgets a channel, set up or not, with its notifier and classes: the id may come back.
    pub fn destroy_channel(&mut self, id: u32) {
        self.channels.remove(&id);
        self.bindings.remove(&id);
        self.queue.retain(|queued| *queued != id);
    }

    /// Forgets what the compute engine was told in a subcontext that has no channel left.
    pub fn destroy_subcontext(&mut self, tsg: u32, veid: u32) {
        self.subcontexts.remove(&(tsg, veid));
    }

    /// Tears down a TSG for a reason outside the GPU.
    pub fn abort_tsg(&mut self, tsg: u32, cause: FaultCause) {
        self.kill(tsg, None, cause, format!("TSG {tsg} was torn down: {cause}"));
    }

    /// What a multiprocessor kept when a kernel of the TSG was stopped.
    pub fn warp_error(&self, tsg: u32) -> Option<WarpError> {
        self.warp_errors.get(&tsg).copied()
    }

    /// Whether the channel's TSG is alive.
    pub fn serviceable(&self, id: u32) -> bool {
        self.channels.get(&id).is_none_or(|channel| !channel.dead)
    }

    /// A store to the doorbell: the host engine looks at the channel's GP_PUT. False if there is no
    /// such channel.
    pub fn doorbell(&mut self, token: u32) -> bool {
        let Some(channel) = self.channels.get_mut(&token) else { return false };
        if !channel.dead {
            channel.fetcher.ring();
            if !channel.queued {
                channel.queued = true;
                self.queue.push_back(token);
            }
        }
        true
    }

    /// Lets channels with work execute up to `budget` ring entries, headers and methods. Kernels run
    /// in slices, each of which may overdraw it once.
    pub fn step(&mut self, budget: u32) -> Progress {
        let mut left = budget;
        let mut worked = false;
        // How many turns in a row brought nothing.
        let mut stuck = 0;
        while left > 0 && stuck < self.queue.len() {
            let mut turn = left;
            if let Some(shaker) = &mut self.shaker {
                turn = turn.min(1 + shaker.below(4));
                if stuck == 0 {
                    self.queue.rotate_left(shaker.below(self.queue.len() as u32) as usize);
                }
            }
            let Some(id) = self.queue.pop_front() else { break };
            let (used, again) = self.turn(id, turn);
            left = left.saturating_sub(used);
            worked |= used > 0;
            stuck = if used > 0 { 0 } else { stuck + usize::from(again) };
            if again {
                self.queue.push_back(id);
            }
        }
        match (worked, self.queue.is_empty()) {
            (true, _) => Progress::Worked,
            (false, true) => Progress::Idle,
            (false, false) => Progress::Blocked,
        }
    }

    /// Lets one channel execute; how much it did, and whether it wants another turn.
    fn turn(&mut self, id: u32, budget: u32) -> (u32, bool) {
        let Some(channel) = self.channels.get_mut(&id) else { return (0, false) };
        let binding = self.bindings.get(&id);
        if binding.is_some_and(|binding| binding.hung) {
            return (0, true);
        }
        let nothing = Space::default();
        let mut bus = Bus {
            space: self.spaces.get(&channel.space).unwrap_or(&nothing),
            space_id: channel.space,
            clock: &self.clock,
            events: &mut self.events,
            code: &mut self.code,
            tsg: channel.tsg,
            channel: id,
            classes: binding.map_or(&[], |binding| &binding.classes),
            compute: self.subcontexts.entry((channel.tsg, channel.veid)).or_default(),
            visibility: self.visibility.as_mut(),
            crew: &mut self.crew,
            races: self.races.as_mut(),
            shaker: self.shaker.as_mut(),
        };
        let mut used = 0;
        while used < budget {
            match channel.advance(&mut bus) {
                Ok(Advance::Worked) => used += 1,
                Ok(Advance::Ran(cost)) => used += cost,
                Ok(Advance::Yielded) => {
                    used += 1;
                    break;
                }
                Ok(Advance::Blocked) => break,
                Ok(Advance::Empty) => {
                    channel.queued = false;
                    return (used, false);
                }
                Err(fault) => {
                    let (tsg, place) = (channel.tsg, channel.fetcher.position());
                    let report = format!(
                        "channel {id} of TSG {tsg} died: {}: {} ({place})",
                        fault.cause, fault.text
                    );
                    // Numbers of TSGs are used again.
                    match fault.warp {
                        Some(warp) => self.warp_errors.insert(tsg, warp),
                        None => self.warp_errors.remove(&tsg),
                    };
                    self.kill(tsg, Some(id), fault.cause, report);
                    return (used + 1, false);
                }
            }
        }
        channel.fetcher.park(bus.space);
        (used, true)
    }

    /// Ends every channel of a TSG, as the driver does when one of them is at fault. Semaphores
    /// stay as they are: whoever waits for one is told by the notifier or not at all.
    fn kill(&mut self, tsg: u32, channel: Option<u32>, cause: FaultCause, report: String) {
        for (id, member) in self.channels.iter_mut().filter(|(_, member)| member.tsg == tsg) {
            if member.dead {
                continue;
            }
            member.dead = true;
            member.queued = false;
            let binding = self.bindings.get(id);
            if let Some((memory, offset)) = binding.and_then(|binding| binding.notifier.as_ref()) {
                if !self.notifiers_lost {
                    notify(memory, *offset, cause);
                }
            }
        }
        let channels = &self.channels;
        self.queue.retain(|id| channels.get(id).is_some_and(|channel| channel.queued));
        self.events.push(Event::Fault { tsg, channel, cause, report });
    }

    /// What happened since the last call, oldest first.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The GPU's clock in nanoseconds.
    pub fn time_ns(&self) -> u64 {
        self.clock.now()
    }
}

/// The status of a notifier that has been written.
const NOTIFIED: [u8; 2] = 0xffff_u16.to_le_bytes();

/// Writes the driver's record of an error: time of day in two words, the code, then the status. A
/// notifier that was written before keeps what it has: the first error is the one that matters.
fn notify(memory: &Memory, offset: u64, cause: FaultCause) {
    let mut status = [0; 2];
    memory.read(offset + 14, &mut status);
    if status == NOTIFIED {
        return;
    }
    memory.write(offset, &time_of_day().to_le_bytes());
    memory.write(offset + 8, &cause.code().to_le_bytes());
    fence(Ordering::Release);
    memory.write(offset + 14, &NOTIFIED);
}

/// Small random numbers that a seed decides (splitmix64).
#[derive(Debug)]
struct Shaker(u64);

impl Shaker {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((((z ^ (z >> 31)) >> 32) * u64::from(limit)) >> 32) as u32
    }
}
