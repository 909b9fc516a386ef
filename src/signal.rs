//! Timelines: 64-bit counters that queues raise and wait for, and the CPU too.

use std::borrow::Borrow;
use std::fmt;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::addr::GpuVa;
use crate::driver::sys;
use crate::error::{Error, Result};
use crate::memory::{Heap, Word, reached};

/// How a CPU waits: it spins, then yields its core between looks, then sleeps until the GPU
/// raises an interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitPolicy {
    /// How long to spin first. Spinning sees a signal within tens of nanoseconds.
    pub spin: Duration,
    /// How long to yield after that.
    pub yielding: Duration,
    /// Whether to sleep then. Queues of a device opened with a policy that sleeps ask for an
    /// interrupt after each submission; with any other policy they do not, and waits go on
    /// yielding.
    pub block: bool,
}

impl WaitPolicy {
    /// Spins for as long as it takes: the lowest latency, at the price of a core.
    pub const SPIN: WaitPolicy =
        WaitPolicy { spin: Duration::MAX, yielding: Duration::ZERO, block: false };
    /// Spins for 50 us and yields from then on. The default.
    pub const YIELD: WaitPolicy =
        WaitPolicy { spin: Duration::from_micros(50), yielding: Duration::MAX, block: false };
    /// Spins for 20 us, yields for 200 us, then sleeps.
    pub const BLOCK: WaitPolicy = WaitPolicy {
        spin: Duration::from_micros(20),
        yielding: Duration::from_micros(200),
        block: true,
    };
}

impl Default for WaitPolicy {
    fn default() -> Self {
        WaitPolicy::YIELD
    }
}

/// A 64-bit counter that only goes up, in memory that the GPU and the CPU share. Comparisons are
/// circular, so it may also wrap.
///
/// Clones are the same timeline.
#[derive(Clone)]
pub struct Timeline {
    word: Arc<Word>,
    policy: WaitPolicy,
}

impl Timeline {
    pub(crate) fn new(heap: &Arc<Heap>, policy: WaitPolicy) -> Result<Timeline> {
        Ok(Timeline::of(Arc::new(heap.word(false)?), policy))
    }

    pub(crate) fn of(word: Arc<Word>, policy: WaitPolicy) -> Timeline {
        Timeline { word, policy }
    }

    pub(crate) fn word(&self) -> &Arc<Word> {
        &self.word
    }

    /// Where the GPU sees the 16 bytes: the value, then the timestamp.
    pub fn gpu(&self) -> GpuVa {
        self.word.gpu()
    }

    /// The value last signalled. Everything that happened before that signal is visible to the
    /// caller.
    pub fn value(&self) -> u64 {
        self.word.load()
    }

    /// Whether the timeline has reached `value`.
    pub fn reached(&self, value: u64) -> bool {
        reached(self.value(), value)
    }

    /// Signals from the CPU. What it wrote before is visible to queues that wait for the value.
    ///
    /// # Panics
    /// If the timeline is a queue's own ([`Queue::timeline`](crate::Queue::timeline)): by that the queue
    /// knows what memory the GPU is done with.
    pub fn set(&self, value: u64) {
        assert!(!self.word.is_of_queue(), "a queue's own timeline is raised by that queue alone");
        self.word.store(value);
    }

    /// GPU time in nanoseconds of the last signal that a queue made.
    pub fn timestamp_ns(&self) -> u64 {
        self.word.timestamp()
    }

    /// Waits until the timeline reaches `value`, by the device's wait policy. The value may be anything
    /// less than 2^63 ahead of where the timeline stands: what is further counts as reached.
    ///
    /// Ends early with [`Error::Fault`] when the GPU has stopped a queue that the timeline depends
    /// on: the queue whose own it is, one that signals it, or one that such a queue waits for in
    /// turn. A wait that runs out of time asks the driver about those queues before it reports
    /// [`Error::Timeout`].
    pub fn wait(&self, value: u64, timeout: Duration) -> Result<()> {
        self.wait_with(value, timeout, self.policy)
    }

    /// Waits with a policy of its own. Sleeping needs a device that was opened with a policy that
    /// sleeps.
    pub fn wait_with(&self, value: u64, timeout: Duration, policy: WaitPolicy) -> Result<()> {
        wait(&self.word, value, timeout, policy)
    }
}

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timeline at {}, value {}", self.gpu(), self.value())
    }
}

/// A submission: done when its queue's own timeline has reached its value.
///
/// What a submission returns borrows the queue, for good reason: owning it would take a counted
/// reference, and the locked instruction of that would wait until commands and doorbell have left
/// the CPU, ten times as long as the submission itself takes. [`Ticket::detach`] makes one that
/// outlives the borrow.
#[derive(Debug, Clone, Copy)]
pub struct Ticket<T: Borrow<Timeline> = Timeline> {
    pub(crate) timeline: T,
    pub(crate) value: u64,
}

impl<T: Borrow<Timeline>> Ticket<T> {
    /// Whether the submission is done.
    pub fn is_done(&self) -> bool {
        self.timeline().reached(self.value)
    }

    /// Waits until it is done, as [`Timeline::wait`] does.
    pub fn wait(&self, timeout: Duration) -> Result<()> {
        self.timeline().wait(self.value, timeout)
    }

    /// The timeline of the queue, for another queue to wait on.
    pub fn timeline(&self) -> &Timeline {
        self.timeline.borrow()
    }

    /// The value that stands for this submission on that timeline.
    pub fn value(&self) -> u64 {
        self.value
    }
}

impl Ticket<&Timeline> {
    /// A ticket that lives on while the queue is used.
    pub fn detach(self) -> Ticket {
        Ticket { timeline: self.timeline.clone(), value: self.value }
    }
}

/// How often a wait looks whether a channel has died. A look is one load per queue.
const NOTIFIER_PERIOD: Duration = Duration::from_millis(1);
/// How often it asks the driver as well, in case the notifier was lost.
const ASK_PERIOD: Duration = Duration::from_millis(25);
/// Reading the clock costs more than reading the word; so many looks share one.
const LOOKS_PER_CLOCK: u32 = 64;
/// A sleeper wakes at least this often, for an interrupt may go to another waiter.
const LONGEST_SLEEP: Duration = Duration::from_millis(10);

/// Waits for a semaphore word. Until the first look for faults, a millisecond in, it takes no
/// lock, allocates nothing and, while it spins, makes no system call.
pub(crate) fn wait(word: &Word, value: u64, timeout: Duration, policy: WaitPolicy) -> Result<()> {
    if reached(word.load(), value) {
        return Ok(());
    }
    let started = Instant::now();
    let mut next_look = NOTIFIER_PERIOD;
    let mut next_ask = ASK_PERIOD;
    loop {
        for _ in 0..LOOKS_PER_CLOCK {
            if reached(word.load(), value) {
                return Ok(());
            }
            std::hint::spin_loop();
        }
        let waited = started.elapsed();
        if waited >= timeout {
            return give_up(word, value, waited);
        }
        if waited >= next_look {
            next_look = waited + NOTIFIER_PERIOD;
            let heap = word.heap();
            let mut fault = heap.look_for_fault(word)?;
            if fault.is_none() && waited >= next_ask {
                next_ask = waited + ASK_PERIOD;
                fault = heap.ask_for_fault(word)?;
            }
            if let Some(fault) = fault {
                // The last store of a queue may have landed just before it died.
                return if reached(word.load(), value) {
                    Ok(())
                } else {
                    Err(Error::Fault(fault.into()))
                };
            }
        }
        if waited < policy.spin {
            continue;
        }
        if policy.block && waited - policy.spin >= policy.yielding {
            sleep(word.heap(), LONGEST_SLEEP.min(timeout - waited));
        } else {
            std::thread::yield_now();
        }
    }
}

fn give_up(word: &Word, value: u64, waited: Duration) -> Result<()> {
    let fault = word.heap().ask_for_fault(word)?;
    let last_seen = word.load();
    if reached(last_seen, value) {
        return Ok(());
    }
    Err(match fault {
        Some(fault) => Error::Fault(fault.into()),
        None => Error::Timeout {
            signal: match word.heap().queue_of(word) {
                Some(queue) => format!("the timeline of a {queue}"),
                None => format!("the timeline at {}", word.gpu()),
            },
            waited,
            awaited: value,
            last_seen,
        },
    })
}

/// Sleeps until a queue of the device raises an interrupt.
fn sleep(heap: &Heap, at_most: Duration) {
    let mut queues = [const { None }; sys::MAX_WATCHED];
    heap.events(&mut queues);
    let events = queues.iter().flatten().filter_map(|queue| queue.event.as_ref());
    sys::wait_readable(events.map(AsFd::as_fd), at_most);
}
