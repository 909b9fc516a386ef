//! The host engine: fetches ring entries and pushbuffers, obeys the methods meant for itself and
//! hands the others to the engines behind the subchannels.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};

use hw_defs::gpfifo::{self, Entry, Sync};
use hw_defs::push::{Header, SecOp};
use hw_defs::{c7b5, c7c0, c76f, class, userd};

use super::clock::Clock;
use super::compute::Compute;
use super::copy::Copy;
use super::fault::Fault;
use super::mmu::Space;
use super::registers::{Registers, Table, offsets};
use super::semaphore::{Acquire, Condition, Op, Reduction, Release, Size};
use super::{ChannelSetup, Event, SpaceId};
use crate::memory::Memory;

/// Methods from here on belong to the engines.
const ENGINE_METHODS: u32 = 0x100;

/// What lets the methods of one channel reach the rest of the machine.
pub(crate) struct Bus<'a> {
    pub(crate) space: &'a Space,
    pub(crate) clock: &'a Clock,
    pub(crate) events: &'a mut Vec<Event>,
    pub(crate) tsg: u32,
    pub(crate) channel: u32,
    /// Classes whose context the driver has made for this channel.
    pub(crate) classes: &'a [u32],
}

impl Bus<'_> {
    /// Wakes whoever sleeps on the TSG's event.
    pub(crate) fn interrupt(&mut self) {
        self.events.push(Event::NonStallInterrupt { tsg: self.tsg });
    }

    /// Tells the user about something that hardware accepts and nobody wants.
    pub(crate) fn notice(&mut self, text: impl Into<String>) {
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

/// A channel: a ring, the place in it, and the state that methods leave behind.
pub(super) struct Channel {
    pub(super) tsg: u32,
    pub(super) space: SpaceId,
    ring_va: u64,
    entries: u32,
    userd: Arc<Memory>,
    get: u32,
    /// GP_PUT as it was when the doorbell last rang: what is written later does not count.
    put: u32,
    /// Ring entries that were ahead when the channel last stopped, the next one first.
    ahead: VecDeque<Ahead>,
    /// Whether one of those lets the GPU rewrite the segments after it.
    ahead_synced: bool,
    segment: Segment,
    burst: Option<Burst>,
    host: Registers,
    legacy_noticed: bool,
    waiting: Option<Acquire>,
    compute: Option<Box<Compute>>,
    copy: Option<Box<Copy>>,
    pub(super) dead: bool,
    pub(super) queued: bool,
}

/// The pushbuffer segment being executed, as it was when it was reached.
#[derive(Default)]
struct Segment {
    va: u64,
    words: Vec<u32>,
    at: usize,
    /// The channel has stopped inside it, so that its memory may have changed since.
    parked: bool,
}

/// A ring entry that the channel has seen and not yet taken.
struct Ahead {
    entry: u64,
    /// Its segment's words at that time, unless the GPU is allowed to rewrite them.
    print: Option<u64>,
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
            ring_va,
            entries,
            userd,
            get: 0,
            put: 0,
            ahead: VecDeque::new(),
            ahead_synced: false,
            segment: Segment::default(),
            burst: None,
            host: Registers::new(&TABLE),
            legacy_noticed: false,
            waiting: None,
            compute: None,
            copy: None,
            dead: false,
            queued: false,
        }
    }

    /// Looks at GP_PUT.
    pub(super) fn ring(&mut self) {
        self.put = self.userd.load_u32(userd::GP_PUT);
    }

    /// Where the channel stands, for the report of a fault.
    pub(super) fn position(&self) -> String {
        let entry = (self.get + self.entries - 1) % self.entries;
        match self.segment.at.checked_sub(1) {
            Some(word) => format!(
                "word {word} of {} of the pushbuffer at {:#x}, ring entry {entry}",
                self.segment.words.len(),
                self.segment.va
            ),
            None => format!("ring entry {entry}"),
        }
    }

    /// Executes one ring entry, header or method.
    pub(super) fn advance(&mut self, bus: &mut Bus) -> Result<Advance, Fault> {
        if let Some(acquire) = &self.waiting {
            let succeeds = acquire.succeeds(bus.space);
            if !succeeds.map_err(|fault| Fault::mmu("a semaphore acquire", fault))? {
                return Ok(Advance::Blocked);
            }
            self.waiting = None;
            return Ok(Advance::Worked);
        }
        let Some(word) = self.segment.next(bus.space)? else {
            return self.take_entry(bus);
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

    fn take_entry(&mut self, bus: &mut Bus) -> Result<Advance, Fault> {
        if self.put >= self.entries {
            let (put, entries) = (self.put, self.entries);
            return Err(Fault::host(format!("GP_PUT is {put} in a ring of {entries} entries")));
        }
        self.segment.words.clear();
        self.segment.at = 0;
        if self.get == self.put {
            return Ok(Advance::Empty);
        }
        let index = self.get;
        let entry = self.ring_entry(bus.space, index)?;
        let ahead = self.ahead.pop_front();
        if let Some(ahead) = &ahead {
            if ahead.entry != entry {
                return Err(Fault::host(format!(
                    "ring entry {index} changed from {:#x} to {entry:#x} after the doorbell that \
                     announced it and before the GPU took it",
                    ahead.entry
                )));
            }
        }
        // The slot is free from here on, before its segment has been executed: GP_GET tells a
        // program about the ring and nothing else.
        self.get = (index + 1) % self.entries;
        self.userd.store_u32(userd::GP_GET, self.get);
        match Entry::decode(entry) {
            Ok(Entry::Segment { va, words, .. }) => {
                self.fetch(bus, va, words, ahead.and_then(|ahead| ahead.print))?;
            }
            Ok(Entry::Control { opcode: gpfifo::GP_ENTRY1_OPCODE_NOP, .. }) => {}
            Ok(Entry::Control { opcode, .. }) => {
                let name = gpfifo::GP_ENTRY1_OPCODE.value_name(opcode).unwrap_or("unknown");
                return Err(Fault::host(format!(
                    "ring entry {index} ({entry:#x}) is a control entry {opcode} ({name}), and \
                     this software Orin obeys NOP only"
                )));
            }
            Err(bad) => {
                return Err(Fault::host(format!(
                    "ring entry {index} ({entry:#x}) is bad: {bad:?}"
                )));
            }
        }
        Ok(Advance::Worked)
    }

    fn ring_entry(&self, space: &Space, index: u32) -> Result<u64, Fault> {
        let va = self.ring_va + u64::from(index) * gpfifo::ENTRY_SIZE;
        space.load_u64(va).map_err(|fault| Fault::mmu("the fetch of a ring entry", fault))
    }

    /// Reads a whole segment at once, as the hardware's prefetcher nearly does.
    fn fetch(&mut self, bus: &Bus, va: u64, words: u32, print: Option<u64>) -> Result<(), Fault> {
        let end = va + u64::from(words) * 4;
        if end >= gpfifo::VA_LIMIT {
            // Host keeps the address behind the last word, in as many bits as the others.
            return Err(Fault::host(format!(
                "the pushbuffer of {words} words at {va:#x} does not end below {:#x}",
                gpfifo::VA_LIMIT
            )));
        }
        self.segment.va = va;
        self.segment.parked = false;
        bus.space
            .read_words(va, words.into(), &mut self.segment.words)
            .map_err(|fault| Fault::mmu("the fetch of a pushbuffer", fault))?;
        if print.is_some_and(|print| print != fingerprint(&self.segment.words)) {
            return Err(Fault::host(format!(
                "the pushbuffer of {words} words at {va:#x} was overwritten after the doorbell \
                 that announced it and before the GPU fetched it"
            )));
        }
        Ok(())
    }

    fn header(&mut self, bus: &mut Bus, word: u32) -> Result<Advance, Fault> {
        match Header::decode(word) {
            Ok(Header::Data { op, subchannel, method, count }) => {
                self.burst = Some(Burst { op, subchannel, method, left: count });
                Ok(Advance::Worked)
            }
            Ok(Header::Immediate { subchannel, method, data }) => {
                self.method(bus, subchannel, method, data)
            }
            Ok(Header::EndSegment) => {
                self.segment.at = self.segment.words.len();
                Ok(Advance::Worked)
            }
            Err(bad) => Err(Fault::host(format!("{word:#010x} is no method header: {bad:?}"))),
        }
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
        match (subchannel, &mut self.compute, &mut self.copy) {
            (COMPUTE_SUBCHANNEL, Some(compute), _) => compute.method(bus, method, data)?,
            (COPY_SUBCHANNEL, _, Some(copy)) => copy.method(bus, method, data)?,
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
        }
        Ok(Advance::Worked)
    }

    fn host_method(
        &mut self,
        bus: &mut Bus,
        subchannel: u32,
        offset: u32,
        data: u32,
    ) -> Result<Advance, Fault> {
        offsets!(c76f: SET_OBJECT, ILLEGAL, SEMAPHOREA, SEMAPHOREB, SEMAPHOREC, SEMAPHORED,
            NON_STALL_INTERRUPT, MEM_OP_D, SET_REFERENCE, SEM_EXECUTE, YIELD, CLEAR_FAULTED);
        let method = self.host.write(offset, data).map_err(Fault::host)?;
        match method.offset {
            SET_OBJECT => self.set_object(bus, subchannel, data)?,
            SEMAPHOREA | SEMAPHOREB | SEMAPHOREC | SEMAPHORED if !self.legacy_noticed => {
                self.legacy_noticed = true;
                bus.notice(format!(
                    "{} does nothing on this host class: use SEM_ADDR_LO to SEM_EXECUTE",
                    method.name
                ));
            }
            NON_STALL_INTERRUPT => bus.interrupt(),
            MEM_OP_D => self.mem_op(data)?,
            SET_REFERENCE => self.userd.store_u32(userd::REFERENCE, data),
            SEM_EXECUTE => return self.sem_execute(bus, data),
            YIELD if data >= 2 => return Ok(Advance::Yielded),
            ILLEGAL | CLEAR_FAULTED => {
                return Err(Fault::host(format!("{} was sent", method.name)));
            }
            // The others set up what MEM_OP_D and SEM_EXECUTE do, or wait for what is never
            // outstanding here: every engine finishes a method before the next one starts.
            _ => {}
        }
        Ok(Advance::Worked)
    }

    fn set_object(&mut self, bus: &Bus, subchannel: u32, data: u32) -> Result<(), Fault> {
        let id = c76f::SET_OBJECT_NVCLASS.get(data);
        let name = class::lookup(id).map_or("a class unknown here", |class| class.name);
        let engine = c76f::SET_OBJECT_ENGINE.get(data);
        if engine != 0 {
            return Err(Fault::host(format!(
                "SET_OBJECT asks for engine {engine:#x}, and this software Orin has none by number"
            )));
        }
        if !bus.classes.contains(&id) {
            return Err(Fault::engine(format!(
                "SET_OBJECT of {id:#x} ({name}) without NVGPU_IOCTL_CHANNEL_ALLOC_OBJ_CTX of that \
                 class before"
            )));
        }
        let expected = match id {
            c7c0::AMPERE_COMPUTE_B => COMPUTE_SUBCHANNEL,
            c7b5::AMPERE_DMA_COPY_B => COPY_SUBCHANNEL,
            _ => {
                return Err(Fault::engine(format!(
                    "SET_OBJECT of {id:#x} ({name}): this software Orin has no such engine"
                )));
            }
        };
        if subchannel != expected {
            return Err(Fault::engine(format!(
                "CLASS_SUBCH_MISMATCH: SET_OBJECT of {name} on subchannel {subchannel}, which \
                 belongs on {expected}"
            )));
        }
        if subchannel == COMPUTE_SUBCHANNEL {
            self.compute.get_or_insert_with(Default::default);
        } else {
            self.copy.get_or_insert_with(Default::default);
        }
        Ok(())
    }

    fn mem_op(&self, data: u32) -> Result<(), Fault> {
        let operation = c76f::MEM_OP_D_OPERATION.get(data);
        if operation != c76f::MEM_OP_D_OPERATION_MEMBAR {
            let name = c76f::MEM_OP_D_OPERATION.value_name(operation).unwrap_or("unknown");
            return Err(Fault::host(format!(
                "MEM_OP_D with operation {operation:#x} ({name}) needs a privileged channel"
            )));
        }
        let membar = self.host.get(c76f::MEM_OP_C);
        let other = self.host.get(c76f::MEM_OP_A)
            | self.host.get(c76f::MEM_OP_B)
            | data & !c76f::MEM_OP_D_OPERATION.mask();
        if other != 0 || membar > c76f::MEM_OP_C_MEMBAR_TYPE_MEMBAR {
            return Err(Fault::host(
                "a MEM_OP membar leaves everything zero but the operation and MEMBAR_TYPE",
            ));
        }
        Ok(())
    }

    fn sem_execute(&mut self, bus: &mut Bus, data: u32) -> Result<Advance, Fault> {
        let va = self.host.pair(c76f::SEM_ADDR_HI, c76f::SEM_ADDR_LO);
        let size = match c76f::SEM_EXECUTE_PAYLOAD_SIZE.get(data) {
            c76f::SEM_EXECUTE_PAYLOAD_SIZE_32BIT => Size::Word,
            _ => Size::Double,
        };
        let payload = match size {
            Size::Word => self.host.get(c76f::SEM_PAYLOAD_LO).into(),
            Size::Double => self.host.pair(c76f::SEM_PAYLOAD_HI, c76f::SEM_PAYLOAD_LO),
        };
        let condition = match c76f::SEM_EXECUTE_OPERATION.get(data) {
            c76f::SEM_EXECUTE_OPERATION_ACQUIRE => Condition::Equal,
            c76f::SEM_EXECUTE_OPERATION_ACQ_STRICT_GEQ => Condition::StrictGeq,
            c76f::SEM_EXECUTE_OPERATION_ACQ_CIRC_GEQ => Condition::CircGeq,
            c76f::SEM_EXECUTE_OPERATION_ACQ_AND => Condition::And,
            c76f::SEM_EXECUTE_OPERATION_ACQ_NOR => Condition::Nor,
            c76f::SEM_EXECUTE_OPERATION_RELEASE => {
                no_reduction(data)?;
                return release(bus, data, va, size, payload, None);
            }
            c76f::SEM_EXECUTE_OPERATION_REDUCTION => {
                return release(bus, data, va, size, payload, Some(reduction(data)?));
            }
            other => return Err(Fault::host(format!("SEM_EXECUTE has no operation {other}"))),
        };
        no_reduction(data)?;
        if va % size.bytes() != 0 {
            let bytes = size.bytes();
            return Err(Fault::host(format!("a {bytes}-byte acquire at {va:#x} is not aligned")));
        }
        self.waiting = Some(Acquire { va, size, condition, payload });
        self.advance(bus)
    }

    /// Remembers what lies ahead before the channel stops for a while, so that overwriting what the
    /// GPU has yet to read is noticed.
    pub(super) fn park(&mut self, space: &Space) {
        self.segment.parked = true;
        if self.put >= self.entries {
            return;
        }
        if self.ahead.is_empty() {
            self.ahead_synced = false;
        }
        let mut index = (self.get + self.ahead.len() as u32) % self.entries;
        while index != self.put {
            // What cannot be read or understood now is a fault when its turn comes.
            let Ok(entry) = self.ring_entry(space, index) else { return };
            let mut print = None;
            match Entry::decode(entry) {
                Ok(Entry::Segment { va, words, sync: Sync::Proceed, .. }) if !self.ahead_synced => {
                    let mut segment = Vec::new();
                    let read = space.read_words(va, words.into(), &mut segment);
                    print = read.is_ok().then(|| fingerprint(&segment));
                }
                Ok(Entry::Segment { sync, .. } | Entry::Control { sync, .. }) => {
                    self.ahead_synced |= sync == Sync::Wait;
                }
                Err(_) => {}
            }
            self.ahead.push_back(Ahead { entry, print });
            index = (index + 1) % self.entries;
        }
    }
}

/// Where the driver and every user put the engines.
const COMPUTE_SUBCHANNEL: u32 = 1;
const COPY_SUBCHANNEL: u32 = 4;
/// From here on methods interrupt the driver instead of reaching an engine.
const SOFTWARE_SUBCHANNELS: u32 = 5;

impl Segment {
    fn next(&mut self, space: &Space) -> Result<Option<u32>, Fault> {
        let Some(&word) = self.words.get(self.at) else { return Ok(None) };
        if self.parked {
            let va = self.va + self.at as u64 * 4;
            let now = space.load_u32(va);
            let now = now.map_err(|fault| Fault::mmu("the fetch of a pushbuffer", fault))?;
            if now != word {
                return Err(Fault::host(format!(
                    "the pushbuffer word at {va:#x} changed from {word:#x} to {now:#x} while the \
                     channel was waiting before it"
                )));
            }
        }
        self.at += 1;
        Ok(Some(word))
    }
}

fn fingerprint(words: &[u32]) -> u64 {
    let mut hasher = DefaultHasher::new();
    words.hash(&mut hasher);
    hasher.finish()
}

fn release(
    bus: &Bus,
    data: u32,
    va: u64,
    size: Size,
    payload: u64,
    reduction: Option<Reduction>,
) -> Result<Advance, Fault> {
    let stamped =
        c76f::SEM_EXECUTE_RELEASE_TIMESTAMP.get(data) == c76f::SEM_EXECUTE_RELEASE_TIMESTAMP_EN;
    let release = Release { va, size, payload, reduction, stamped };
    release.check().map_err(Fault::host)?;
    let released = release.perform(bus.space, bus.clock);
    released.map_err(|fault| Fault::mmu("a semaphore release", fault))?;
    Ok(Advance::Worked)
}

fn reduction(data: u32) -> Result<Reduction, Fault> {
    let op = match c76f::SEM_EXECUTE_REDUCTION.get(data) {
        c76f::SEM_EXECUTE_REDUCTION_IMIN => Op::Min,
        c76f::SEM_EXECUTE_REDUCTION_IMAX => Op::Max,
        c76f::SEM_EXECUTE_REDUCTION_IXOR => Op::Xor,
        c76f::SEM_EXECUTE_REDUCTION_IAND => Op::And,
        c76f::SEM_EXECUTE_REDUCTION_IOR => Op::Or,
        c76f::SEM_EXECUTE_REDUCTION_IADD => Op::Add,
        c76f::SEM_EXECUTE_REDUCTION_INC => Op::Inc,
        c76f::SEM_EXECUTE_REDUCTION_DEC => Op::Dec,
        other => return Err(Fault::host(format!("SEM_EXECUTE has no reduction {other}"))),
    };
    let format = c76f::SEM_EXECUTE_REDUCTION_FORMAT.get(data);
    Ok(Reduction { op, signed: format == c76f::SEM_EXECUTE_REDUCTION_FORMAT_SIGNED })
}

/// Hardware leaves open what reduction bits do in another operation.
fn no_reduction(data: u32) -> Result<(), Fault> {
    let bits = c76f::SEM_EXECUTE_REDUCTION.mask() | c76f::SEM_EXECUTE_REDUCTION_FORMAT.mask();
    if data & bits != 0 {
        return Err(Fault::host(format!(
            "SEM_EXECUTE {data:#x} sets reduction bits and its operation is not REDUCTION"
        )));
    }
    Ok(())
}
