//! A channel: where it is in its ring, what its methods have left behind, and what its engines have
//! yet to do.

use std::collections::VecDeque;
use std::sync::LazyLock;

use hw_defs::c76f;
use hw_defs::push::{BadHeader, Header, SecOp};

use super::clock::Clock;
use super::compute::Compute;
use super::copy::{self, Copy};
use super::fault::Fault;
use super::fetch::Fetcher;
use super::mmu::Space;
use super::registers::{Registers, Table};
use super::semaphore::{Acquire, Release};
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
    pub(super) clock: &'a Clock,
    pub(super) events: &'a mut Vec<Event>,
    pub(super) tsg: u32,
    pub(super) channel: u32,
    /// Classes whose context the driver has made for this channel.
    pub(super) classes: &'a [u32],
    /// With it, engines run behind the host engine.
    pub(super) shaker: Option<&'a mut Shaker>,
}

impl Bus<'_> {
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
    /// The compute engine's report, and whether it wakes somebody.
    Report(Release, bool),
}

impl Work {
    fn run(self, bus: &mut Bus) -> Result<(), Fault> {
        match self {
            Work::Copy(job) => job.run(bus),
            Work::Report(release, awaken) => {
                let released = release.perform(bus.space, bus.clock);
                released
                    .map_err(|fault| Fault::mmu("the compute engine's semaphore release", fault))?;
                if awaken {
                    bus.interrupt();
                }
                Ok(())
            }
        }
    }

    /// Whether the engine may do this before what was sent earlier is done.
    fn may_overtake(&self) -> bool {
        matches!(self, Work::Copy(job) if job.may_overtake())
    }
}

/// A channel that is set up.
pub(super) struct Channel {
    pub(super) tsg: u32,
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

impl Channel {
    pub(super) fn new(setup: ChannelSetup) -> Channel {
        static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(c76f::AMPERE_CHANNEL_GPFIFO_B));
        let ChannelSetup { tsg, space, ring_va, entries, userd } = setup;
        Channel {
            tsg,
            space,
            fetcher: Fetcher::new(ring_va, entries, userd),
            burst: None,
            host: Registers::new(&TABLE),
            legacy_noticed: false,
            waiting: None,
            compute: None,
            copy: None,
            outstanding: VecDeque::new(),
            dead: false,
            queued: false,
        }
    }

    /// Executes one ring entry, header or method, or some outstanding work of an engine.
    pub(super) fn advance(&mut self, bus: &mut Bus) -> Result<Advance, Fault> {
        // Engines get a turn now and then, and whenever the host engine has nothing to do.
        if !self.outstanding.is_empty()
            && bus.shaker.as_mut().is_some_and(|shaker| shaker.below(8) == 0)
        {
            self.run_engine(bus)?;
            return Ok(Advance::Worked);
        }
        let advance = self.advance_host(bus)?;
        if matches!(advance, Advance::Blocked | Advance::Empty) && self.run_engine(bus)? {
            return Ok(Advance::Worked);
        }
        Ok(advance)
    }

    /// What the host engine itself does next.
    pub(super) fn advance_host(&mut self, bus: &mut Bus) -> Result<Advance, Fault> {
        if let Some(acquire) = &self.waiting {
            let succeeds = acquire.succeeds(bus.space);
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
        match work {
            Some(work) if bus.shaker.is_some() => self.outstanding.push_back(work),
            Some(work) => work.run(bus)?,
            None => {}
        }
        Ok(Advance::Worked)
    }

    /// Waits until the engines have nothing left to do.
    pub(super) fn wait_for_idle(&mut self, bus: &mut Bus) -> Result<(), Fault> {
        while self.run_engine(bus)? {}
        Ok(())
    }

    /// Lets an engine do one thing; false if there is nothing to do.
    fn run_engine(&mut self, bus: &mut Bus) -> Result<bool, Fault> {
        let overtakers = self.outstanding.iter().skip(1).take_while(|work| work.may_overtake());
        let choices = 1 + overtakers.count() as u32;
        let chosen = bus.shaker.as_mut().map_or(0, |shaker| shaker.below(choices));
        let Some(work) = self.outstanding.remove(chosen as usize) else { return Ok(false) };
        work.run(bus)?;
        Ok(true)
    }
}
