//! How far queues have come, what they were doing, and who waits for whom.

use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::heap::{Word, lock};
use crate::driver::{ChannelId, Engine};

/// How far one queue has come. Shared by the queue, waiters and the heap.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Its number among the open queues of the device.
    pub(super) number: usize,
    pub(crate) channel: ChannelId,
    pub(crate) engine: Engine,
    pub(crate) event: Option<OwnedFd>,
    /// The queue's own timeline: the value of the last submission that is done.
    pub(crate) word: Arc<Word>,
    /// The value that stands for everything encoded so far, submitted or not.
    encoded: AtomicU64,
    /// Set by the driver when it kills the channel.
    notifier: NonNull<AtomicU16>,
    /// The channel is being closed, and its notifier goes.
    leaving: AtomicBool,
    /// The channel is closed and runs nothing any more.
    closed: AtomicBool,
    launches: Launches,
    /// Timelines that it has ever waited for, and that it has ever signalled.
    waited_for: Mutex<Vec<Weak<Word>>>,
    signalled: Mutex<Vec<Weak<Word>>>,
}

// SAFETY: `notifier` leads into memory of the channel, which outlives `leaving == false`; it is
// only read, atomically, by those who hold the lock of the heap's list (see `Heap::leave`).
unsafe impl Send for Progress {}
// SAFETY: as above.
unsafe impl Sync for Progress {}

/// What the driver writes last into a notifier, on nvgpu and RM alike.
const NOTIFIER_RAISED: u16 = 0xffff;

impl Progress {
    /// # Safety
    /// `notifier` must stay readable until [`Heap::leave`](super::Heap::leave) has returned.
    pub(crate) unsafe fn new(
        number: usize,
        channel: ChannelId,
        engine: Engine,
        event: Option<OwnedFd>,
        word: Arc<Word>,
        notifier: NonNull<u16>,
    ) -> Progress {
        Progress {
            number,
            channel,
            engine,
            event,
            word,
            encoded: AtomicU64::new(0),
            notifier: notifier.cast(),
            leaving: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            launches: Launches::default(),
            waited_for: Mutex::default(),
            signalled: Mutex::default(),
        }
    }

    /// Notes that commands up to `value` exist that may use any buffer alive now.
    pub(crate) fn encoded_up_to(&self, value: u64) {
        self.encoded.store(value, Ordering::Release);
    }

    pub(super) fn encoded(&self) -> u64 {
        self.encoded.load(Ordering::Acquire)
    }

    pub(super) fn done(&self, value: u64) -> bool {
        self.closed.load(Ordering::Acquire) || reached(self.word.load(), value)
    }

    /// Whether everything encoded is done.
    pub(super) fn is_idle(&self) -> bool {
        self.done(self.encoded())
    }

    /// Whether the driver has killed the channel: one load. For whoever found the queue in the heap's
    /// list and holds the list's lock.
    pub(super) fn is_dead(&self) -> bool {
        if self.leaving.load(Ordering::Relaxed) {
            return false;
        }
        // SAFETY: `Heap::leave` sets the flag under the lock that the caller holds, so the
        // notifier's memory is there until it lets go.
        unsafe { self.notifier.as_ref() }.load(Ordering::Acquire) == NOTIFIER_RAISED
    }

    /// The channel is about to be closed. For who holds the list's lock.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// The channel is closed.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Takes the queue's number out of every timeline.
    pub(super) fn forget_links(&self) {
        for word in lock(&self.waited_for).drain(..).filter_map(|word| word.upgrade()) {
            word.links.waiters.remove(self.number);
        }
        for word in lock(&self.signalled).drain(..).filter_map(|word| word.upgrade()) {
            word.links.signallers.remove(self.number);
        }
    }

    /// Notes that submission `value` launches a kernel or replays a recording, by the number that
    /// [`Names`](super::names::Names) knows it by.
    #[inline]
    pub(crate) fn launches(&self, value: u64, what: u64) {
        self.launches.note(value, what);
    }

    /// What may have been running: the launches of the oldest submission that is not done.
    pub(super) fn launched(&self) -> Vec<u64> {
        self.launches.after(self.word.load())
    }

    /// Notes that the queue waits until `word` reaches `value`.
    #[inline]
    pub(crate) fn waits_for(&self, word: &Arc<Word>, value: u64) {
        let links = &word.links;
        if !reached(links.awaited.load(Ordering::Relaxed), value) {
            links.awaited.store(value, Ordering::Relaxed);
        }
        if links.waiters.insert(self.number) {
            remember(&self.waited_for, word);
        }
    }

    /// Notes that the queue signals `word`.
    #[inline]
    pub(crate) fn signals(&self, word: &Arc<Word>) {
        if word.links.signallers.insert(self.number) {
            remember(&self.signalled, word);
        }
    }
}

#[cold]
fn remember(list: &Mutex<Vec<Weak<Word>>>, word: &Arc<Word>) {
    let mut list = lock(list);
    list.retain(|word| word.strong_count() > 0);
    list.push(Arc::downgrade(word));
}

/// Whether a timeline that stands at `seen` has reached `value`. The comparison is circular, as
/// the GPU's ACQ_CIRC_GEQ is, so a timeline may wrap.
pub(crate) fn reached(seen: u64, value: u64) -> bool {
    seen.wrapping_sub(value) as i64 >= 0
}

/// Which queues have to do with a timeline.
#[derive(Debug, Default)]
pub(super) struct Links {
    signallers: Numbers,
    waiters: Numbers,
    /// The highest value that a queue was told to wait for.
    awaited: AtomicU64,
}

/// Open queues that a device can have: as many as a group of channels holds on a Jetson.
pub(super) const MOST_QUEUES: usize = 128;
/// Those of them that may run kernels. Each has a subcontext of its own, and of those with compute alone
/// every driver gives a group 63.
pub(super) const MOST_COMPUTE_QUEUES: usize = 63;

/// A set of numbers of queues. Looking costs a load; changes are rare.
#[derive(Debug, Default)]
struct Numbers([AtomicU64; MOST_QUEUES / 64]);

impl Numbers {
    /// Whether the number is new.
    #[inline]
    fn insert(&self, number: usize) -> bool {
        let (part, bit) = (&self.0[number / 64], 1 << (number % 64));
        part.load(Ordering::Relaxed) & bit == 0 && part.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    fn remove(&self, number: usize) {
        self.0[number / 64].fetch_and(!(1 << (number % 64)), Ordering::Relaxed);
    }

    fn contains(&self, number: usize) -> bool {
        self.0[number / 64].load(Ordering::Relaxed) & 1 << (number % 64) != 0
    }
}

/// An open queue, and whether its channel was dead when somebody looked.
pub(super) struct Seen {
    pub(super) queue: Arc<Progress>,
    dead: bool,
}

impl Seen {
    /// For whoever holds the lock of the heap's list.
    pub(super) fn new(queue: Arc<Progress>) -> Seen {
        Seen { dead: queue.is_dead(), queue }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }

    fn signals(&self, word: &Word) -> bool {
        std::ptr::eq(&*self.queue.word, word) || word.links.signallers.contains(self.queue.number)
    }
}

/// The queues without which `word` may never be signalled: the one whose own timeline it is, those
/// that signal it, and those that these wait for in turn.
pub(super) fn depended_on<'a>(word: &Word, queues: &'a [Seen]) -> Vec<&'a Seen> {
    let mut found: Vec<_> = queues.iter().filter(|queue| queue.signals(word)).collect();
    let mut next = 0;
    while next < found.len() {
        for word in lock(&found[next].queue.waited_for).iter().filter_map(Weak::upgrade) {
            if reached(word.load(), word.links.awaited.load(Ordering::Relaxed)) {
                continue;
            }
            for queue in queues.iter().filter(|queue| queue.signals(&word)) {
                if !found.iter().any(|known| std::ptr::eq(*known, queue)) {
                    found.push(queue);
                }
            }
        }
        next += 1;
    }
    found
}

/// The last launches of a queue, for the report of a fault. Only the queue writes; that a reader may
/// see half of an entry costs a wrong guess in a report.
#[derive(Debug, Default)]
struct Launches {
    next: AtomicUsize,
    entries: [Entry; 16],
}

#[derive(Debug, Default)]
struct Entry {
    submission: AtomicU64,
    what: AtomicU64,
}

impl Launches {
    #[inline]
    fn note(&self, submission: u64, what: u64) {
        // Plain loads and stores: a locked instruction would wait for the commands before it to
        // leave the CPU.
        let next = self.next.load(Ordering::Relaxed);
        let last = &self.entries[next.wrapping_sub(1) % self.entries.len()];
        if last.submission.load(Ordering::Relaxed) == submission
            && last.what.load(Ordering::Relaxed) == what
        {
            return;
        }
        let entry = &self.entries[next % self.entries.len()];
        entry.submission.store(submission, Ordering::Relaxed);
        entry.what.store(what, Ordering::Relaxed);
        self.next.store(next.wrapping_add(1), Ordering::Release);
    }

    /// Those of the oldest submission after `done` that is still noted.
    fn after(&self, done: u64) -> Vec<u64> {
        let entries = self.entries.iter().map(|entry| {
            (entry.submission.load(Ordering::Relaxed), entry.what.load(Ordering::Relaxed))
        });
        let open: Vec<_> = entries.filter(|(submission, _)| !reached(done, *submission)).collect();
        let Some(oldest) = open.iter().map(|(submission, _)| *submission).min() else {
            return Vec::new();
        };
        open.into_iter().filter(|(number, _)| *number == oldest).map(|(_, what)| what).collect()
    }
}
