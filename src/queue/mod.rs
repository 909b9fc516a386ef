//! Queues: commands go in, one doorbell sends them, a ticket tells when they are done.

mod commands;
mod encode;
mod recording;

use std::fmt;
use std::sync::Arc;

pub use commands::{Commands, Place, Signal, Slot, Value};
pub use recording::{Recorder, Recording};

use crate::addr::GpuVa;
use crate::channel::{Channel, Patience};
use crate::driver::{Engine, Memory};
use crate::error::{Error, Result};
use crate::memory::{Block, Heap};
use crate::signal::{Ticket, Timeline};
use commands::{Keep, Target};
use encode::{Half, Operand, Sink};

/// An ordered stream of commands for one engine.
///
/// Commands are encoded straight into memory that the GPU reads; nothing runs until
/// [`Queue::submit`]. When ring or command memory is full, encoding waits until the GPU has made
/// room. Dropping a queue waits for what was submitted and forgets what was not.
pub struct Queue {
    channel: Channel,
    timeline: Timeline,
    commands: CommandRing,
    setup: Setup,
}

/// How queues of a device are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) engine: Engine,
    pub(crate) entries: u32,
    pub(crate) command_bytes: u64,
    pub(crate) patience: Patience,
}

/// Words that end a submission: the release of the queue's timeline, and an interrupt.
const TRAILER: usize = encode::LONGEST + 2;

impl Queue {
    pub(crate) fn open(heap: &Arc<Heap>, setup: Setup) -> Result<Queue> {
        let channel = Channel::open(heap, setup.engine, setup.entries, setup.patience)?;
        let timeline = Timeline::of(channel.word().clone(), setup.patience.policy);
        let commands = CommandRing::new(heap, setup.command_bytes, setup.entries)?;
        let mut queue = Queue { channel, timeline, commands, setup };
        let info = heap.driver().info();
        let (subchannel, class) = match setup.engine {
            Engine::Compute => (encode::COMPUTE, info.compute_class),
            Engine::Copy => (encode::COPY, info.copy_class),
        };
        encode::bind(&mut queue.room()?, subchannel, class);
        Ok(queue)
    }

    /// Which engine it feeds.
    pub fn engine(&self) -> Engine {
        self.setup.engine
    }

    /// The queue's own timeline: it reaches a ticket's value when that submission is done.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Sends everything encoded since the last submission. An empty submission is legal: its
    /// ticket is done when everything before it is.
    pub fn submit(&mut self) -> Result<Ticket> {
        if self.commands.pending() == 0 {
            self.make_space()?;
        }
        self.flush()?;
        Ok(self.ticket())
    }

    /// Sends a recording, with the values that its slots have now.
    ///
    /// Takes no lock, allocates nothing and makes no system call, unless the ring is full or all
    /// instances of the recording are still running: then it waits.
    pub fn replay(&mut self, recording: &mut Recording) -> Result<Ticket> {
        recording.check_queue(self.channel.word())?;
        if self.commands.pending() > 0 {
            self.flush()?;
        }
        self.channel.make_room()?;
        self.channel.wait_done(recording.oldest())?;
        let value = self.channel.next();
        self.channel.progress().encoded_up_to(value);
        let (segment, words) = recording.prepare(value);
        self.commands.note_submission(value, self.setup.entries);
        self.channel.submit(segment, words);
        Ok(self.ticket())
    }

    /// Begins a recording for this queue.
    pub fn record(&self) -> Recorder {
        Recorder::new(self.heap(), self.setup, self.channel.word())
    }

    /// Waits until everything submitted is done.
    pub fn finish(&mut self) -> Result<()> {
        let ticket = self.submit()?;
        ticket.wait(self.setup.patience.timeout)
    }

    fn heap(&self) -> &Arc<Heap> {
        self.channel.word().heap()
    }

    fn ticket(&self) -> Ticket {
        Ticket { timeline: self.timeline.clone(), value: self.channel.submitted() }
    }

    fn flush(&mut self) -> Result<()> {
        self.channel.make_room()?;
        let value = self.channel.next();
        // `make_space` has kept room for this behind every command.
        let mut sink = self.commands.cursor();
        trailer(&mut sink, &self.setup, self.timeline.gpu(), value.into());
        let (segment, words) = self.commands.close();
        self.channel.progress().encoded_up_to(value);
        self.commands.note_submission(value, self.setup.entries);
        self.channel.submit(segment, words);
        Ok(())
    }

    /// Makes room for one command and the trailer behind it, in one piece.
    fn make_space(&mut self) -> Result<()> {
        const NEED: u64 = (encode::LONGEST + TRAILER) as u64;
        // A long submission goes off in parts, so that the GPU can begin and its memory comes
        // back; the ticket of the last part stands for all.
        if self.commands.pending() > self.commands.capacity / 4 || self.commands.to_end() < NEED {
            if self.commands.pending() > 0 {
                self.flush()?;
            }
            self.commands.skip_to(NEED);
        }
        while self.commands.free() < NEED {
            let oldest = self.commands.oldest;
            self.channel.wait_done(oldest)?;
            self.commands.reclaim(oldest, self.setup.entries);
        }
        Ok(())
    }
}

/// Ends a submission: releases the queue's timeline, and wakes sleepers where there may be some.
fn trailer(sink: &mut impl Sink, setup: &Setup, timeline: GpuVa, value: Operand) {
    let timeline = timeline.get().into();
    match setup.engine {
        Engine::Compute => encode::release(sink, timeline, value),
        Engine::Copy => encode::copy_release(sink, timeline, value),
    }
    if setup.patience.policy.block {
        if setup.engine == Engine::Copy {
            // The host runs ahead of the copy engine; the interrupt must not.
            encode::wait_for_engine(sink);
        }
        encode::interrupt(sink);
    }
}

impl Commands for Queue {}

impl Target for Queue {
    type Sink<'a> = Cursor<'a>;

    fn engine(&self) -> Engine {
        self.setup.engine
    }

    fn room(&mut self) -> Result<Cursor<'_>> {
        self.make_space()?;
        // Buffers dropped from here on wait for the submission that this command will be in.
        self.channel.progress().encoded_up_to(self.channel.next());
        Ok(self.commands.cursor())
    }

    fn admit(&mut self, operand: Operand, slot_of: Option<u64>, _: Keep) -> Result<Operand> {
        match slot_of {
            None => Ok(operand),
            Some(_) => {
                Err(Error::request("a slot belongs to a recording: give a queue the value itself"))
            }
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("channel", &self.channel).finish_non_exhaustive()
    }
}

/// Memory for commands, used round and round. Positions count words since the beginning.
struct CommandRing {
    block: Arc<Block>,
    base: *mut u32,
    capacity: u64,
    /// Where the next word goes.
    head: u64,
    /// Where the pending segment began.
    start: u64,
    /// What lies before is free again.
    tail: u64,
    /// The oldest submission whose memory is not reclaimed.
    oldest: u64,
    /// By submission, modulo ring entries: where its memory ends.
    ends: Box<[u64]>,
}

// SAFETY: `base` leads into `block`, which moves along with it.
unsafe impl Send for CommandRing {}

impl CommandRing {
    fn new(heap: &Arc<Heap>, bytes: u64, entries: u32) -> Result<CommandRing> {
        let block = heap.alloc(bytes, Memory::Command)?;
        let base = block.host().expect("command memory has a host mapping").cast();
        let capacity = block.range().len() / 4;
        let ends = vec![0; entries as usize].into();
        Ok(CommandRing { block, base, capacity, head: 0, start: 0, tail: 0, oldest: 1, ends })
    }

    fn pending(&self) -> u64 {
        self.head - self.start
    }

    fn free(&self) -> u64 {
        self.capacity - (self.head - self.tail)
    }

    fn to_end(&self) -> u64 {
        self.capacity - self.head % self.capacity
    }

    /// Leaves the rest of this lap unused where fewer than `need` words remain of it.
    fn skip_to(&mut self, need: u64) {
        if self.to_end() < need {
            self.head += self.to_end();
        }
        self.start = self.head;
    }

    fn cursor(&mut self) -> Cursor<'_> {
        Cursor { commands: self }
    }

    /// Ends the pending segment.
    fn close(&mut self) -> (GpuVa, u32) {
        let (offset, words) = (self.start % self.capacity * 4, self.pending());
        self.start = self.head;
        let segment = self.block.range().slice(offset, words * 4);
        (segment.expect("a segment lies within one lap").start(), words as u32)
    }

    fn note_submission(&mut self, value: u64, entries: u32) {
        // The ring has room, so the submission that had this place is done, but its memory may
        // not have been counted back yet.
        let place = (value % u64::from(entries)) as usize;
        if value - self.oldest >= u64::from(entries) {
            self.tail = self.ends[place];
            self.oldest += 1;
        }
        self.ends[place] = self.start;
    }

    fn reclaim(&mut self, done: u64, entries: u32) {
        self.tail = self.ends[(done % u64::from(entries)) as usize];
        self.oldest = done + 1;
    }
}

/// Writes into command memory. `Queue::make_space` has made sure that the words fit.
pub(crate) struct Cursor<'a> {
    commands: &'a mut CommandRing,
}

impl Sink for Cursor<'_> {
    #[inline]
    fn word(&mut self, word: u32) {
        let ring = &mut *self.commands;
        debug_assert!(ring.head - ring.tail < ring.capacity, "the ring has room for the word");
        // SAFETY: the offset is below the capacity. The GPU is done with the place: `tail` never
        // passes a submission that is not.
        unsafe { ring.base.add((ring.head % ring.capacity) as usize).write_volatile(word) };
        ring.head += 1;
    }

    #[inline]
    fn half(&mut self, operand: Operand, half: Half) {
        self.word(half.of(operand.value));
    }
}
