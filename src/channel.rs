//! A channel: the ring of command segments that the GPU fetches, and the doorbell that tells it.
//!
//! One submission is one ring entry, and its last command releases the channel's own timeline
//! with the submission's number. So that one word tells what the GPU has finished, and with it
//! which ring entries and which command memory are free again. GP_GET, which the hardware writes
//! back lazily, is not needed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hw_defs::gpfifo::{Entry, Level, Sync};
use hw_defs::userd;

use crate::addr::GpuVa;
use crate::barrier;
use crate::driver::{ChannelPages, Engine};
use crate::error::Result;
use crate::memory::{Heap, Progress, Word, reached};
use crate::signal::{self, WaitPolicy};

pub(crate) struct Channel {
    heap: Arc<Heap>,
    pages: ChannelPages,
    progress: Arc<Progress>,
    /// The number of the last submission; the first is 1.
    submitted: u64,
    /// A submission known to be done. The timeline may be further.
    done: u64,
    patience: Patience,
}

/// How long a full ring may hold the CPU up, and how the CPU waits meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) timeout: Duration,
    pub(crate) policy: WaitPolicy,
}

impl Channel {
    pub(crate) fn open(
        heap: &Arc<Heap>,
        engine: Engine,
        entries: u32,
        patience: Patience,
    ) -> Result<Channel> {
        heap.check_room(engine)?;
        let word = Arc::new(heap.word(true)?);
        let mut pages = heap.driver().open_channel(engine, entries)?;
        // SAFETY: the notifier stays until `close_channel`, which drop calls after `leave`.
        let joined = heap.join(engine, |number| unsafe {
            Progress::new(number, pages.id, engine, pages.event.take(), word, pages.notifier)
        });
        let progress = match joined {
            Ok(progress) => progress,
            Err(error) => {
                heap.driver().close_channel(pages.id);
                return Err(error);
            }
        };
        Ok(Channel { heap: heap.clone(), pages, progress, submitted: 0, done: 0, patience })
    }

    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// The word that each submission must release.
    pub(crate) fn word(&self) -> &Arc<Word> {
        &self.progress.word
    }

    /// What the next submission must release it with.
    pub(crate) fn next(&self) -> u64 {
        self.submitted + 1
    }

    pub(crate) fn submitted(&self) -> u64 {
        self.submitted
    }

    /// Whether a submission is done.
    #[inline]
    pub(crate) fn is_done(&mut self, value: u64) -> bool {
        if !reached(self.done, value) {
            self.done = self.progress.word.load();
        }
        reached(self.done, value)
    }

    /// Waits until a submission is done.
    #[inline]
    pub(crate) fn wait_done(&mut self, value: u64) -> Result<()> {
        if self.is_done(value) {
            return Ok(());
        }
        self.wait_slowly(value)
    }

    #[cold]
    fn wait_slowly(&mut self, value: u64) -> Result<()> {
        signal::wait(&self.progress.word, value, self.patience.timeout, self.patience.policy)
    }

    /// Waits until the ring has room for one more submission.
    #[inline]
    pub(crate) fn make_room(&mut self) -> Result<()> {
        // One slot stays empty: a full ring would look like an empty one.
        let in_flight = u64::from(self.pages.entries) - 1;
        match self.next().checked_sub(in_flight) {
            Some(oldest) => self.wait_done(oldest),
            None => Ok(()),
        }
    }

    /// Hands a segment of `words` command words to the GPU. There is room, and the segment ends
    /// by releasing the timeline with [`Channel::next`].
    #[inline]
    pub(crate) fn submit(&mut self, segment: GpuVa, words: u32) {
        let mask = u64::from(self.pages.entries) - 1;
        let slot = (self.submitted & mask) as usize;
        self.submitted += 1;
        let put = (self.submitted & mask) as u32;
        let entry = Entry::encode(segment.get(), words, Level::Main, Sync::Proceed);
        // SAFETY: `slot` is below the number of entries; the GPU has consumed what was there, for
        // `make_room` saw that submission's release. USERD and the doorbell are mapped for as
        // long as the channel is open.
        unsafe {
            self.pages.ring.add(slot).write_volatile(entry);
            // The GPU may read GP_PUT at any time while it runs, so the entry, and the commands
            // before it, must be there first.
            barrier::stores();
            self.pages.userd.byte_add(userd::GP_PUT as usize).write_volatile(put);
            // The doorbell makes it read GP_PUT, so that must be there.
            barrier::stores();
            self.pages.doorbell.write_volatile(self.pages.token);
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let submitted = self.submitted;
        // The driver does not wait for user-mode work when it closes a channel, and commands in
        // flight would then run into memory that is gone.
        if let Err(error) = self.wait_done(submitted) {
            tracing::warn!(%error, "closing a {} that did not finish", self.progress.engine);
        }
        self.heap.leave(&self.progress);
        self.heap.driver().close_channel(self.pages.id);
        self.heap.gone(&self.progress);
        self.heap.sweep();
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} channel {}, submission {} of {} done",
            self.progress.engine,
            self.pages.id.0,
            self.progress.word.load(),
            self.submitted
        )
    }
}
