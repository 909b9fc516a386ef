//! Recordings: commands encoded once, replayed with one doorbell, a few values changed in place.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Setup;
use super::commands::{Commands, Keep, Slot, Target};
use super::encode::{Half, Operand, Sink};
use crate::addr::GpuVa;
use crate::driver::Memory;
use crate::error::{Error, Result};
use crate::memory::{Block, Heap, View, Word};
use crate::signal::Timeline;

/// Numbers recordings, so that a slot of one is not taken for a slot of another.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Takes commands for a [`Recording`].
pub struct Recorder {
    id: u64,
    heap: Arc<Heap>,
    setup: Setup,
    queue: Arc<Word>,
    words: Vec<u32>,
    patches: Vec<Patch>,
    slots: Vec<SlotState>,
    keep: Vec<Keep>,
    instances: usize,
}

/// A word that holds half of a slot's value.
#[derive(Debug, Clone, Copy)]
struct Patch {
    at: u32,
    slot: u16,
    half: Half,
    addend: u64,
}

struct SlotState {
    value: u64,
    /// The recording's version when the value last changed.
    changed: u64,
    keep: Keep,
}

impl Recorder {
    pub(super) fn new(heap: &Arc<Heap>, setup: Setup, queue: &Arc<Word>) -> Recorder {
        Recorder {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            heap: heap.clone(),
            setup,
            queue: queue.clone(),
            words: Vec::new(),
            patches: Vec::new(),
            slots: Vec::new(),
            keep: Vec::new(),
            instances: 2,
        }
    }

    /// How many replays may be in flight before the next one waits; 2 unless set. Each costs a
    /// copy of the commands.
    pub fn in_flight(&mut self, instances: usize) -> &mut Self {
        self.instances = instances.max(1);
        self
    }

    /// A payload that can change between replays.
    pub fn value_slot(&mut self, value: u64) -> Result<Slot<u64>> {
        self.slot(value, 0, None)
    }

    /// A place that can change between replays; each replacement must be at least as long.
    pub fn view_slot<'a>(&mut self, view: impl Into<View<'a>>) -> Result<Slot<View<'static>>> {
        let view = view.into();
        self.slot(view.start().get(), view.len(), Some(view.owner().clone()))
    }

    /// A timeline that can change between replays.
    pub fn timeline_slot(&mut self, timeline: &Timeline) -> Result<Slot<Timeline>> {
        self.slot(timeline.gpu().get(), 0, Some(timeline.word().clone()))
    }

    fn slot<T>(&mut self, value: u64, len: u64, keep: Keep) -> Result<Slot<T>> {
        let index = u16::try_from(self.slots.len())
            .map_err(|_| Error::request("a recording has at most 65,536 slots"))?;
        self.slots.push(SlotState { value, changed: 0, keep });
        let operand = Operand { value, slot: Some(index), addend: 0 };
        Ok(Slot { recording: self.id, index, operand, len, kind: PhantomData })
    }

    /// Lays the commands out in memory that the GPU reads.
    pub fn finish(mut self) -> Result<Recording> {
        // A slot of its own: the payload that stands for each replay's submission.
        let submission: Slot<u64> = self.slot(0, 0, None)?;
        super::trailer(
            &mut Recorded(&mut self.words, &mut self.patches),
            &self.setup,
            self.queue.gpu(),
            submission.operand,
        );
        let per_replay = self.patches.iter().filter(|patch| patch.slot == submission.index);
        let per_replay = per_replay.copied().collect();
        self.patches.retain(|patch| patch.slot != submission.index);

        if self.words.len() > hw_defs::gpfifo::MAX_WORDS as usize {
            return Err(Error::request(format!(
                "a recording of {} words is longer than the {} that one ring entry can name: split it",
                self.words.len(),
                hw_defs::gpfifo::MAX_WORDS
            )));
        }
        // Instances begin on cache lines of their own, so that patching one never disturbs the
        // fetch of another.
        let stride = (self.words.len() * 4).next_multiple_of(256);
        let block = self.heap.alloc((stride * self.instances) as u64, Memory::Command)?;
        let base = block.host().expect("command memory has a host mapping").cast::<u32>();
        let instances = (0..self.instances)
            .map(|i| {
                let offset = i * stride;
                let segment = block.range().slice(offset as u64, stride as u64);
                // SAFETY: the block holds all instances.
                let base = unsafe { base.byte_add(offset) };
                for (at, word) in self.words.iter().enumerate() {
                    // SAFETY: inside the instance; the GPU does not know of it yet.
                    unsafe { base.add(at).write_volatile(*word) };
                }
                let start = segment.expect("the block holds all instances").start();
                Instance { base, start, version: 0, last: 0 }
            })
            .collect();
        Ok(Recording {
            id: self.id,
            queue: self.queue,
            words: self.words.len() as u32,
            patches: self.patches,
            per_replay,
            slots: self.slots,
            version: 0,
            instances,
            turn: 0,
            keep: self.keep,
            block,
        })
    }
}

impl Commands for Recorder {}

impl Target for Recorder {
    type Sink<'a> = Recorded<'a>;

    fn engine(&self) -> crate::driver::Engine {
        self.setup.engine
    }

    fn room(&mut self) -> Result<Recorded<'_>> {
        Ok(Recorded(&mut self.words, &mut self.patches))
    }

    fn admit(&mut self, operand: Operand, slot_of: Option<u64>, keep: Keep) -> Result<Operand> {
        if slot_of.is_some_and(|recording| recording != self.id) {
            return Err(Error::request("the slot belongs to another recording"));
        }
        if keep.is_some() {
            self.keep.push(keep);
        }
        Ok(operand)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "recorder with {} words and {} slots", self.words.len(), self.slots.len())
    }
}

/// Collects words, and notes which of them hold slots.
pub(crate) struct Recorded<'a>(&'a mut Vec<u32>, &'a mut Vec<Patch>);

impl Sink for Recorded<'_> {
    fn word(&mut self, word: u32) {
        self.0.push(word);
    }

    fn half(&mut self, operand: Operand, half: Half) {
        if let Some(slot) = operand.slot {
            let at = self.0.len() as u32;
            self.1.push(Patch { at, slot, half, addend: operand.addend });
        }
        self.0.push(half.of(operand.value));
    }
}

/// Commands laid out in memory that the GPU reads, ready to be replayed any number of times with
/// [`Queue::replay`](super::Queue::replay). It keeps the buffers and timelines that it uses alive.
pub struct Recording {
    id: u64,
    queue: Arc<Word>,
    words: u32,
    patches: Vec<Patch>,
    per_replay: Vec<Patch>,
    slots: Vec<SlotState>,
    /// Goes up with every change of a slot.
    version: u64,
    instances: Vec<Instance>,
    turn: usize,
    keep: Vec<Keep>,
    block: Arc<Block>,
}

/// One copy of the commands. A copy is patched only when the GPU is done with it.
struct Instance {
    base: *mut u32,
    start: GpuVa,
    /// The version of the slots that its words hold.
    version: u64,
    /// The last submission that used it.
    last: u64,
}

// SAFETY: `base` leads into the recording's block, which moves along with it.
unsafe impl Send for Instance {}

impl Recording {
    /// Changes a payload from the next replay on.
    pub fn set_value(&mut self, slot: Slot<u64>, value: u64) -> Result<()> {
        self.set(slot, value, None)
    }

    /// Changes a place from the next replay on.
    pub fn set_view<'a>(
        &mut self,
        slot: Slot<View<'static>>,
        view: impl Into<View<'a>>,
    ) -> Result<()> {
        let view = view.into();
        if view.len() < slot.len {
            return Err(Error::request(format!(
                "a view of {} bytes is too short for a recording that uses {}",
                view.len(),
                slot.len
            )));
        }
        self.set(slot, view.start().get(), Some(view.owner().clone()))
    }

    /// Changes a timeline from the next replay on.
    pub fn set_timeline(&mut self, slot: Slot<Timeline>, timeline: &Timeline) -> Result<()> {
        self.set(slot, timeline.gpu().get(), Some(timeline.word().clone()))
    }

    fn set<T>(&mut self, slot: Slot<T>, value: u64, keep: Keep) -> Result<()> {
        if slot.recording != self.id {
            return Err(Error::request("the slot belongs to another recording"));
        }
        self.version += 1;
        let state = &mut self.slots[usize::from(slot.index)];
        state.value = value;
        state.changed = self.version;
        state.keep = keep;
        Ok(())
    }

    /// The command words as the GPU would fetch them, for decoders.
    pub fn words(&self) -> Vec<u32> {
        let base = self.instances[0].base;
        // SAFETY: every instance holds that many words.
        (0..self.words as usize).map(|at| unsafe { base.add(at).read_volatile() }).collect()
    }

    pub(super) fn check_queue(&self, queue: &Arc<Word>) -> Result<()> {
        if Arc::ptr_eq(&self.queue, queue) {
            return Ok(());
        }
        Err(Error::request("a recording is replayed on the queue that it was recorded for"))
    }

    /// The submission that must be done before the next instance can be used again.
    pub(super) fn oldest(&self) -> u64 {
        self.instances[self.turn].last
    }

    /// Fills the next instance in for submission `value`.
    #[inline]
    pub(super) fn prepare(&mut self, value: u64) -> (GpuVa, u32) {
        let turn = self.turn;
        // Written out, for the modulo of a variable is a division.
        self.turn = if turn + 1 == self.instances.len() { 0 } else { turn + 1 };
        let instance = &mut self.instances[turn];
        if instance.version != self.version {
            for patch in &self.patches {
                let slot = &self.slots[usize::from(patch.slot)];
                if slot.changed > instance.version {
                    instance.write(*patch, slot.value);
                }
            }
            instance.version = self.version;
        }
        for patch in &self.per_replay {
            instance.write(*patch, value);
        }
        instance.last = value;
        (instance.start, self.words)
    }
}

impl Instance {
    #[inline]
    fn write(&mut self, patch: Patch, value: u64) {
        let word = patch.half.of(value.wrapping_add(patch.addend));
        // SAFETY: the patch was recorded for a word of this recording, and the GPU is done with
        // this instance: the queue has waited for `last`.
        unsafe { self.base.add(patch.at as usize).write_volatile(word) };
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "recording of {} words at {}, {} slots, {} instances, {} owners kept",
            self.words,
            self.block.range(),
            self.slots.len() - 1,
            self.instances.len(),
            self.keep.len()
        )
    }
}
