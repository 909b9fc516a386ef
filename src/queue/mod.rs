//! Queues: commands go in, one doorbell sends them, a ticket tells when they are done.

mod bank;
mod chain;
mod commands;
mod copier;
mod encode;
mod graph;
mod launch;
mod layout;
mod recorder;
mod recording;
mod ring;
mod shape;

use std::fmt;
use std::sync::Arc;

pub use commands::{Commands, LaunchSlot, Place, Shape, Signal, Slot, Value};
pub(crate) use encode::Operand;
pub use graph::Node;
pub use recorder::Recorder;
pub use recording::Recording;

use crate::addr::GpuVa;
use crate::channel::{Channel, Patience};
use crate::driver::{Engine, LOCAL_WINDOW, SHARED_WINDOW};
use crate::error::{Error, Result};
use crate::memory::Heap;
use crate::module::Kernel;
use crate::signal::{Ticket, Timeline};
use chain::{Kernels, Tail};
use commands::{Keep, Link, Target, check_signalled};
use encode::Sink;
use launch::Prepared;
use ring::{Cursor, Ring};

/// An ordered stream of commands for one engine.
///
/// Commands are encoded straight into memory that the GPU reads; nothing runs until
/// [`Queue::submit`]. When ring or command memory is full, encoding waits until the GPU has made
/// room. Dropping a queue waits for what was submitted and forgets what was not.
pub struct Queue {
    channel: Channel,
    timeline: Timeline,
    commands: Ring,
    /// Of a compute queue.
    kernels: Option<Kernels>,
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
        let commands = Ring::new(heap, setup.command_bytes, setup.entries)?;
        let kernels = match setup.engine {
            Engine::Compute => Some(Kernels::new(heap, setup.entries)?),
            Engine::Copy => None,
        };
        let mut queue = Queue { channel, timeline, commands, kernels, setup };
        let info = heap.driver().info();
        let (subchannel, class) = match setup.engine {
            Engine::Compute => (encode::COMPUTE, info.compute_class),
            Engine::Copy => (encode::COPY, info.copy_class),
        };
        encode::bind(&mut queue.room()?, subchannel, class);
        if setup.engine == Engine::Compute {
            encode::windows(&mut queue.room()?, SHARED_WINDOW, LOCAL_WINDOW);
        }
        Ok(queue)
    }

    /// Which engine it feeds.
    pub fn engine(&self) -> Engine {
        self.setup.engine
    }

    /// The queue's own timeline: it reaches a ticket's value when that submission is done. Others may
    /// wait for it, and only the queue raises it.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Sends everything encoded since the last submission. An empty submission is legal: its
    /// ticket is done when everything before it is.
    ///
    /// Waits where ring or command memory is full. Where the GPU makes no room in time the error is
    /// [`Error::Timeout`]; nothing is lost then, and a later call sends it.
    pub fn submit(&mut self) -> Result<Ticket<&Timeline>> {
        if self.commands.pending() == 0 {
            self.make_space()?;
        }
        self.flush()?;
        Ok(self.ticket())
    }

    /// Sends a recording, with the values that its slots have now.
    ///
    /// What was encoded on the queue before goes off first. Takes no lock, allocates nothing and makes
    /// no system call, unless the ring is full or all instances of the recording are still running
    /// ([`Recorder::in_flight`]): then it waits.
    pub fn replay(&mut self, recording: &mut Recording) -> Result<Ticket<&Timeline>> {
        recording.check_queue(self.channel.word())?;
        self.prepare_for_kernels(recording.local_bytes())?;
        if self.commands.pending() > 0 {
            self.flush()?;
        }
        self.channel.make_room()?;
        self.channel.wait_done(recording.oldest())?;
        // Kernels begin when those before them have ended; when all have, nobody need wait.
        let idle = self.channel.is_done(self.channel.submitted());
        let value = self.channel.next();
        self.channel.progress().encoded_up_to(value);
        recording.announce(self.channel.progress(), value);
        let (segment, words) = recording.prepare(value, idle);
        if let (Some(kernels), Some(_)) = (&mut self.kernels, recording.local_bytes()) {
            kernels.running = true;
        }
        self.send(value, segment, words);
        Ok(self.ticket())
    }

    /// Begins a recording for this queue.
    pub fn record(&self) -> Recorder {
        let copier = self.kernels.as_ref().map(|kernels| kernels.copier.clone());
        Recorder::new(self.heap(), self.setup, self.channel.word(), copier.unwrap_or_default())
    }

    /// Sends what has been encoded and waits until all is done, at most the device's
    /// [`stall_timeout`](crate::Options::stall_timeout).
    pub fn finish(&mut self) -> Result<()> {
        let timeout = self.setup.patience.timeout;
        self.submit()?.wait(timeout)
    }

    fn heap(&self) -> &Arc<Heap> {
        self.channel.word().heap()
    }

    fn open_tail(&mut self) -> Option<&mut Tail> {
        self.kernels.as_mut()?.tail.as_mut().filter(|tail| !tail.is_released())
    }

    fn ticket(&self) -> Ticket<&Timeline> {
        Ticket { timeline: &self.timeline, value: self.channel.submitted() }
    }

    fn flush(&mut self) -> Result<()> {
        self.channel.make_room()?;
        let value = self.channel.next();
        let timeline = self.timeline.gpu();
        let tail = self.kernels.as_mut().and_then(|kernels| kernels.tail.take());
        match tail {
            // The last kernel itself says when it has ended: the cheapest completion there is.
            Some(mut tail) if !self.setup.patience.policy.block && tail.can_end_submission() => {
                tail.release(timeline.get().into(), value.into());
            }
            // `make_space` has kept room for this behind every command.
            _ => trailer(&mut self.commands.cursor(), &self.setup, timeline, value.into()),
        }
        let (segment, words) = self.commands.close();
        self.channel.progress().encoded_up_to(value);
        self.send(value, segment, words);
        Ok(())
    }

    fn send(&mut self, value: u64, segment: GpuVa, words: u32) {
        self.commands.note_submission(value);
        if let Some(kernels) = &mut self.kernels {
            kernels.data.note_submission(value);
        }
        self.channel.submit(segment, words);
    }

    /// Makes room for one command and the trailer behind it, in one piece.
    fn make_space(&mut self) -> Result<()> {
        const NEED: u64 = (encode::LONGEST + TRAILER) as u64;
        // What one entry of the ring can name, the last command and the trailer included.
        const MOST: u64 = hw_defs::gpfifo::MAX_WORDS as u64 - NEED;
        // A long submission goes off in parts, so that the GPU can begin and its memory comes
        // back; the ticket of the last part stands for all.
        let long = (self.commands.capacity / 4).min(MOST);
        if self.commands.pending() > long || self.commands.to_end() < NEED {
            if self.commands.pending() > 0 {
                self.flush()?;
            }
            self.commands.skip_to(NEED);
            self.commands.begin();
        }
        while self.commands.free() < NEED {
            let oldest = self.commands.oldest;
            self.channel.wait_done(oldest)?;
            self.commands.reclaim(oldest);
        }
        Ok(())
    }
}

/// Ends a submission: releases the queue's timeline, and wakes sleepers where there may be some.
///
/// The release is the last word of its segment: once the CPU has seen it, the segment's memory may
/// be written again. So the interrupt comes before it, and the host waits for the engine first; a
/// sleeper takes microseconds to wake, and by then the release has happened.
fn trailer(sink: &mut impl Sink, setup: &Setup, timeline: GpuVa, value: Operand) {
    if setup.patience.policy.block {
        encode::wait_for_engine(sink);
        encode::interrupt(sink);
    }
    let timeline = timeline.get().into();
    match setup.engine {
        Engine::Compute => encode::release(sink, timeline, value),
        Engine::Copy => encode::copy_release(sink, timeline, value),
    }
}

fn foreign_slot() -> Error {
    Error::request("a slot belongs to a recording: give a queue the value itself")
}

impl Commands for Queue {}

impl Target for Queue {
    type Sink<'a> = Cursor<'a>;

    fn engine(&self) -> Engine {
        self.setup.engine
    }

    fn room(&mut self) -> Result<Cursor<'_>> {
        self.make_space()?;
        // The host goes on while kernels run, so none can be chained across this command.
        if let Some(kernels) = &mut self.kernels {
            kernels.tail = None;
        }
        // Buffers dropped from here on wait for the submission that this command will be in.
        self.channel.progress().encoded_up_to(self.channel.next());
        Ok(self.commands.cursor())
    }

    fn launch(&mut self, prepared: Prepared<'_>) -> Result<()> {
        if prepared.slot_owners().next().is_some() {
            return Err(foreign_slot());
        }
        prepared.owners().try_for_each(|owner| owner.check(self.heap()))?;
        self.chain(prepared)
    }

    fn copier(&self) -> Result<Kernel> {
        let Some(kernels) = &self.kernels else { unreachable!("compute queues have kernels") };
        kernels.copier.kernel(self.heap())
    }

    fn concurrent(&mut self, on: bool) {
        if let Some(kernels) = &mut self.kernels {
            kernels.set_concurrent(on);
        }
    }

    fn release(&mut self, timeline: Operand, value: Operand) -> Result<()> {
        if let Some(tail) = self.open_tail() {
            tail.release(timeline, value);
            return Ok(());
        }
        encode::release(&mut self.room()?, timeline, value);
        Ok(())
    }

    fn link(&mut self, timeline: &Signal<'_>, link: Link) -> Result<()> {
        let Keep::Word(word) = timeline.keep else { unreachable!("a queue admits no slots") };
        match link {
            Link::Waits(value) => self.channel.progress().waits_for(word, value.operand.value),
            Link::Signals => {
                check_signalled(word)?;
                self.channel.progress().signals(word);
            }
        }
        Ok(())
    }

    fn admit(&mut self, operand: Operand, slot_of: Option<u64>, keep: Keep<'_>) -> Result<Operand> {
        keep.check(self.heap())?;
        match slot_of {
            None => Ok(operand),
            Some(_) => Err(foreign_slot()),
        }
    }

    fn align_slot(&mut self, _: Operand, _: u64) {
        // It admits none.
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("channel", &self.channel).finish_non_exhaustive()
    }
}
