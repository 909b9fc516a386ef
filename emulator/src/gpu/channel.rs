//! A channel: where it is in its ring, what its methods have left behind, and what its engines have
//! yet to do.

use std::collections::VecDeque;
use std::sync::LazyLock;

use hw_defs::c76f;
use hw_defs::push::{BadHeader, Header, SecOp};

use super::clock::Clock;
use super::compute::Compute;
use super::copy::{self, Copy};
use super::crew::Crew;
use super::fault::Fault;
use super::fetch::Fetcher;
use super::launch::Pcas;
use super::launch_code::CodeCache;
use super::mmu::{MmuFault, Space};
use super::races::Races;
use super::registers::{Registers, Table};
use super::semaphore::{Acquire, Release};
use super::stores::Reach;
use super::visibility::Visibility;
use super::{ChannelSetup, Event, Shaker, SpaceId};

/// Where the driver and every user put the engines.
pub(super) const COMPUTE_SUBCHANNEL: u32 = 1;
pub(super) const COPY_SUBCHANNEL: u32 = 4;
/// From here on methods interrupt the driver instead of reaching an engine.
const SOFTWARE_SUBCHANNELS: u32 = 5;
/// Methods from here on belong to the engines.
const ENGINE_METHODS: u32 = 0x100;

/// What lets a channel reach the rest of the machine.
pub(super) struct Bus<'a> {
    pub(super) space: &'a Space,
    pub(super) space_id: SpaceId,
    pub(super) clock: &'a Clock,
    pub(super) events: &'a mut Vec<Event>,
    pub(super) code: &'a mut CodeCache,
    pub(super) tsg: u32,
    pub(super) channel: u32,
    /// Classes whose context the driver has made for this channel.
    pub(super) classes: &'a [u32],
    /// What the compute engine has been told in this subcontext, by whichever channel.
    pub(super) compute: &'a mut Option<Registers>,
    /// What keeps stores from being seen at once, if that is modelled.
    pub(super) visibility: Option<&'a mut Visibility>,
    /// Who runs grids.
    pub(super) crew: &'a mut Crew,
    /// Who looks for accesses that nothing orders.
    pub(super) races: Option<&'a mut Races>,
    /// With it, engines run behind the host engine.
    pub(super) shaker: Option<&'a mut Shaker>,
}

impl Bus<'_> {
    /// Words as the host engine and the scheduler of launches see them.
    pub(super) fn words(&self, va: u64, count: usize) -> Result<Vec<u32>, MmuFault> {
        if let Some(visibility) = &self.visibility {
            return visibility.words(self.space, va, count);
        }
        let mut words = Vec::with_capacity(count);
        self.space.read_words(va, count as u64, &mut words)?;
        Ok(words)
    }

    /// Everything that engines have stored is where everybody sees it.
    pub(super) fn system_membar(&mut self) {
        if let Some(visibility) = &mut self.visibility {
            visibility.stores.bring_all();
        }
    }

    /// Wakes whoever sleeps on the TSG's event.
    pub(super) fn interrupt(&mut self) {
        self.events.push(Event::NonStallInterrupt { tsg: self.tsg });
    }

    /// Tells the user about something that hardware accepts and nobody wants.
    pub(super) fn notice(&mut self, text: impl Into<String>) {
        self.events.push(Event::Notice { channel: self.channel, text: text.into() });
    }
}

/// What came of one step of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advance {
    Worked,
    /// Kernels ran, for as long as this many methods take.
    Ran(u32),
    /// Worked, and lets the others go first now.
    Yielded,
    /// Waits for a semaphore.
    Blocked,
    /// Has executed all that the doorbell told it about.
    Empty,
}

/// What an engine does when its turn comes; a method has set it up and the host engine has gone on.
#[derive(Debug)]
pub(super) enum Work {
    Copy(copy::Job),
    Report(Report),
    Launch(Pcas),
    Invalidate(Invalidate),
}

/// What the compute engine's caches lose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Invalidate {
    pub(super) code: bool,
    pub(super) data: bool,
    pub(super) constants: bool,
    /// What multiprocessors have stored is seen by other engines.
    pub(super) flush: bool,
}

impl Invalidate {
    fn run(self, bus: &mut Bus) {
        if self.code {
            bus.code.invalidate();
        }
        let Some(visibility) = &mut bus.visibility else { return };
        if self.data {
            visibility.invalidate_data();
        }
        if self.constants {
            visibility.invalidate_constants();
        }
        if self.flush {
            visibility.stores.bring_shaders(Reach::Gpu);
        }
    }
}

/// The compute engine's report.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) release: Release,
    /// Whether it wakes somebody.
    pub(super) awaken: bool,
    /// Whether it waits for the kernels before it.
    pub(super) flush: bool,
}

impl Report {
    fn run(self, bus: &mut Bus) -> Result<(), Fault> {
        if self.flush {
            bus.system_membar();
        }
        let released = self.release.perform(bus);
        released.map_err(|fault| Fault::mmu("the compute engine's semaphore release", fault))?;
        if self.awaken {
            bus.interrupt();
        }
        Ok(())
    }
}

impl Work {
    fn waits_for_kernels(&self) -> bool {
        matches!(self, Work::Report(report) if report.flush)
    }

    /// Whether the engine may do this before what was sent earlier is done.
    fn may_overtake(&self) -> bool {
        matches!(self, Work::Copy(job) if job.may_overtake())
    }
}

/// A channel that is set up.
pub(super) struct Channel {
    pub(super) tsg: u32,
    pub(super) veid: u32,
    pub(super) space: SpaceId,
    pub(super) fetcher: Fetcher,
    burst: Option<Burst>,
    pub(super) host: Registers,
    pub(super) legacy_noticed: bool,
    pub(super) waiting: Option<Acquire>,
    pub(super) compute: Option<Box<Compute>>,
    pub(super) copy: Option<Box<Copy>>,
    /// What the engines have not done yet, oldest first.
    outstanding: VecDeque<Work>,
    /// A method that has to wait until the engines are idle.
    held: Option<Held>,
    /// Kernels had their turn and are not at their end: now the host engine goes on.
    hosts_turn: bool,
    pub(super) dead: bool,
    pub(super) queued: bool,
}

/// A header whose data words are still coming; they may come in the next segment.
#[derive(Clone, Copy)]
struct Burst {
    op: SecOp,
    subchannel: u32,
    method: u32,
    left: u32,
}

/// A method with its data.
#[derive(Clone, Copy)]
struct Held {
    subchannel: u32,
    method: u32,
    data: u32,
}

/// Warp instructions that take as long here as a method does.
const INSTRUCTIONS_PER_METHOD: u64 = 16;

impl Channel {
    pub(super) fn new(setup: ChannelSetup) -> Channel {
        static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(c76f::AMPERE_CHANNEL_GPFIFO_B));
        let ChannelSetup { tsg, veid, space, ring_va, entries, userd } = setup;
        Channel {
            tsg,
            veid,
            space,
            fetcher: Fetcher::new(ring_va, entries, userd),
            burst: None,
            host: Registers::new(&TABLE),
            legacy_noticed: false,
            waiting: None,
            compute: None,
            copy: None,
            outstanding: VecDeque::new(),
            held: None,
            hosts_turn: false,
            dead: false,
            queued: false,
        }
    }

    /// Executes one ring entry, header or method, or some outstanding work of an engine.
    pub(super) fn advance(&mut self, bus: &mut Bus) -> Result<Advance, Fault> {
        // Engines get a turn now and then, and whenever the host engine has nothing to do.
        let engines_turn = match &mut bus.shaker {
            Some(shaker) => shaker.below(8) == 0,
            None => !std::mem::take(&mut self.hosts_turn),
        };
        if engines_turn {
            if let Some(advance) = self.run_engine(bus)? {
                self.hosts_turn = self.is_busy();
                return Ok(advance);
            }
        }
        let advance = self.advance_host(bus)?;
        if matches!(advance, Advance::Blocked | Advance::Empty) {
            return Ok(self.run_engine(bus)?.unwrap_or(advance));
        }
        Ok(advance)
    }

    /// What the host engine itself does next.
    pub(super) fn advance_host(&mut self, bus: &mut Bus) -> Result<Advance, Fault> {
        if let Some(Held { subchannel, method, data }) = self.held {
            if self.is_busy() {
                return Ok(Advance::Blocked);
            }
            self.held = None;
            return self.method(bus, subchannel, method, data);
        }
        if let Some(acquire) = &self.waiting {
            let succeeds = acquire.succeeds(bus);
            if !succeeds.map_err(|fault| Fault::mmu("a semaphore acquire", fault))? {
                return Ok(Advance::Blocked);
            }
            self.waiting = None;
            return Ok(Advance::Worked);
        }
        let Some(word) = self.fetcher.word(bus.space)? else {
            let took = self.fetcher.take_entry(bus.space)?;
            return Ok(if took { Advance::Worked } else { Advance::Empty });
        };
        let Some(burst) = self.burst.take() else {
            return self.header(bus, word);
        };
        let method = match burst.op {
            SecOp::Inc | SecOp::OneInc => burst.method + 4,
            SecOp::NonInc => burst.method,
        };
        let op = if burst.op == SecOp::OneInc { SecOp::NonInc } else { burst.op };
        if burst.left > 1 {
            self.burst = Some(Burst { op, method, left: burst.left - 1, ..burst });
        }
        self.method(bus, burst.subchannel, burst.method, word)
    }

    fn header(&mut self, bus: &mut Bus, word: u32) -> Result<Advance, Fault> {
        let why = match Header::decode(word) {
            Ok(Header::Data { op, subchannel, method, count }) => {
                self.burst = Some(Burst { op, subchannel, method, left: count });
                return Ok(Advance::Worked);
            }
            Ok(Header::Immediate { subchannel, method, data }) => {
                return self.method(bus, subchannel, method, data);
            }
            Ok(Header::EndSegment) => {
                self.fetcher.end_segment();
                return Ok(Advance::Worked);
            }
            Err(BadHeader::SecOp(op)) => format!("SEC_OP has no value {op}"),
            Err(BadHeader::ZeroCount) => "it announces no data".to_owned(),
            Err(BadHeader::Reserved(bits)) => format!("it sets reserved bits {bits:#x}"),
        };
        Err(Fault::host(format!("{word:#010x} is no method header: {why}")))
    }

    fn method(
        &mut self,
        bus: &mut Bus,
        subchannel: u32,
        method: u32,
        data: u32,
    ) -> Result<Advance, Fault> {
        let waits = match (subchannel, method) {
            (_, ..ENGINE_METHODS) => Channel::host_waits(method, data),
            (COMPUTE_SUBCHANNEL, _) => Compute::waits(method),
            _ => false,
        };
        if waits && self.is_busy() {
            self.held = Some(Held { subchannel, method, data });
            return Ok(Advance::Worked);
        }
        if let Some(compute) = self.compute.as_mut().filter(|_| waits) {
            compute.waited_for();
        }
        if method < ENGINE_METHODS {
            return self.host_method(bus, subchannel, method, data);
        }
        let work = match (subchannel, &mut self.compute, &mut self.copy) {
            (COMPUTE_SUBCHANNEL, Some(compute), _) => compute.method(bus, method, data)?,
            (COPY_SUBCHANNEL, _, Some(copy)) => copy.method(method, data)?,
            (SOFTWARE_SUBCHANNELS.., ..) => {
                return Err(Fault::host(format!(
                    "method {method:#06x} on subchannel {subchannel} is for software, and nobody \
                     here answers it"
                )));
            }
            _ => {
                return Err(Fault::engine(format!(
                    "method {method:#06x} on subchannel {subchannel}, where SET_OBJECT has not \
                     put a class"
                )));
            }
        };
        self.outstanding.extend(work);
        if bus.shaker.is_none() {
            self.run_outstanding(bus)?;
        }
        Ok(Advance::Worked)
    }

    /// Whether an engine has not ended what it was given.
    fn is_busy(&self) -> bool {
        !self.outstanding.is_empty() || self.compute.as_ref().is_some_and(|engine| engine.busy())
    }

    /// Lets an engine do one thing, if there is anything to do.
    fn run_engine(&mut self, bus: &mut Bus) -> Result<Option<Advance>, Fault> {
        // With a seed, kernels that run and what was sent after them take turns.
        let commands_first = bus.shaker.as_mut().is_some_and(|shaker| shaker.below(2) == 0);
        if commands_first && self.run_outstanding(bus)? {
            return Ok(Some(Advance::Worked));
        }
        if let Some(engine) = self.compute.as_mut().filter(|engine| engine.running()) {
            let spent = engine.run(bus)?;
            return Ok(Some(Advance::Ran(1 + (spent / INSTRUCTIONS_PER_METHOD) as u32)));
        }
        Ok(self.run_outstanding(bus)?.then_some(Advance::Worked))
    }

    /// Does the oldest thing that can be done; without a seed, everything that can. False if there is
    /// nothing.
    fn run_outstanding(&mut self, bus: &mut Bus) -> Result<bool, Fault> {
        let mut worked = false;
        loop {
            // What waits for kernels does not keep the copy engine from its work.
            let kernels = self.compute.as_ref().is_some_and(|engine| engine.busy());
            let held = kernels && self.outstanding.front().is_some_and(Work::waits_for_kernels);
            let can_be_done = |work: &Work| !held || matches!(work, Work::Copy(_));
            let Some(first) = self.outstanding.iter().position(can_be_done) else { break };
            let behind = self.outstanding.iter().skip(first + 1);
            let choices = 1 + behind.take_while(|work| work.may_overtake()).count() as u32;
            let chosen = bus.shaker.as_mut().map_or(0, |shaker| shaker.below(choices));
            let Some(work) = self.outstanding.remove(first + chosen as usize) else { break };
            match work {
                Work::Copy(job) => job.run(bus)?,
                Work::Report(report) => report.run(bus)?,
                Work::Invalidate(what) => what.run(bus),
                Work::Launch(pcas) => {
                    if let Some(engine) = &mut self.compute {
                        engine.launch(bus, pcas)?;
                    }
                }
            }
            worked = true;
            if bus.shaker.is_some() {
                break;
            }
        }
        Ok(worked)
    }
}
