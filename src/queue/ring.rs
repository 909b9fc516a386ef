//! Memory that the CPU writes and the GPU reads, used round and round. Positions count words since
//! the beginning; what lies before `tail` is free again.

use std::sync::Arc;

use super::encode::{Half, Operand, Sink};
use crate::addr::GpuVa;
use crate::driver::Memory;
use crate::error::Result;
use crate::memory::{Block, Heap};

pub(super) struct Ring {
    block: Arc<Block>,
    base: *mut u32,
    pub(super) capacity: u64,
    /// Where the next word goes.
    head: u64,
    /// Where the pending segment began.
    start: u64,
    tail: u64,
    /// The oldest submission whose memory is not reclaimed.
    pub(super) oldest: u64,
    /// By submission, modulo their number: where its memory ends.
    ends: Box<[u64]>,
}

// SAFETY: `base` leads into `block`, which moves along with it.
unsafe impl Send for Ring {}

impl Ring {
    pub(super) fn new(heap: &Arc<Heap>, bytes: u64, submissions: u32) -> Result<Ring> {
        let block = heap.alloc(bytes, Memory::Command)?;
        let base = block.host().expect("command memory has a host mapping").cast();
        let capacity = block.range().len() / 4;
        let ends = vec![0; submissions as usize].into();
        Ok(Ring { block, base, capacity, head: 0, start: 0, tail: 0, oldest: 1, ends })
    }

    /// Words written since the last submission.
    pub(super) fn pending(&self) -> u64 {
        self.head - self.start
    }

    pub(super) fn free(&self) -> u64 {
        // What was skipped at the end of a lap may still be in use.
        self.capacity.saturating_sub(self.head - self.tail)
    }

    pub(super) fn to_end(&self) -> u64 {
        self.capacity - self.head % self.capacity
    }

    /// Leaves the rest of this lap unused where fewer than `need` words remain of it. That rest need not
    /// be free: then nothing is, until the GPU is done with it.
    pub(super) fn skip_to(&mut self, need: u64) {
        if self.to_end() < need {
            self.head += self.to_end();
        }
    }

    /// A new segment begins here.
    pub(super) fn begin(&mut self) {
        self.start = self.head;
    }

    /// Leaves words unused up to a multiple of `words`, which divides the capacity.
    pub(super) fn align(&mut self, words: u64) {
        self.head = self.head.next_multiple_of(words);
    }

    /// Where the next word goes, for the CPU and for the GPU.
    pub(super) fn here(&self) -> (*mut u32, GpuVa) {
        let offset = self.head % self.capacity;
        let va = self.block.range().slice(offset * 4, 0).expect("inside the block").start();
        // SAFETY: the offset is below the capacity.
        (unsafe { self.base.add(offset as usize) }, va)
    }

    /// Takes `words` words, which the caller has seen to be free and in one piece.
    pub(super) fn take(&mut self, words: u64) {
        debug_assert!(words <= self.free() && words <= self.to_end());
        self.head += words;
    }

    pub(super) fn cursor(&mut self) -> Cursor<'_> {
        Cursor { ring: self }
    }

    /// Ends the pending segment.
    pub(super) fn close(&mut self) -> (GpuVa, u32) {
        let (offset, words) = (self.start % self.capacity * 4, self.pending());
        self.begin();
        let segment = self.block.range().slice(offset, words * 4);
        (segment.expect("a segment lies within one lap").start(), words as u32)
    }

    /// Submission `value` has everything up to here.
    pub(super) fn note_submission(&mut self, value: u64) {
        let place = (value % self.ends.len() as u64) as usize;
        // The channel has room, so the submission that had this place is done, but its memory
        // may not have been counted back yet.
        if value - self.oldest >= self.ends.len() as u64 {
            self.tail = self.ends[place];
            self.oldest += 1;
        }
        self.ends[place] = self.head;
    }

    /// Submission `done` is.
    pub(super) fn reclaim(&mut self, done: u64) {
        self.tail = self.ends[(done % self.ends.len() as u64) as usize];
        self.oldest = done + 1;
    }
}

/// Writes words one after the other. The queue has made sure that they fit.
pub(crate) struct Cursor<'a> {
    ring: &'a mut Ring,
}

impl Cursor<'_> {
    /// Whether the segment has no words yet.
    pub(super) fn nothing_pending(&self) -> bool {
        self.ring.pending() == 0
    }
}

impl Sink for Cursor<'_> {
    #[inline]
    fn word(&mut self, word: u32) {
        let ring = &mut *self.ring;
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
