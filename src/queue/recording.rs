//! Recordings: commands laid out in GPU memory once, replayed with one doorbell, a few values changed
//! in place. What they are made of comes from the [`recorder`](super::recorder).

use std::fmt;
use std::sync::Arc;

use super::commands::{
    Keep, LaunchSlot, Owner, Slot, check_alignment, check_recording, check_signalled,
};
use super::encode::{Half, Operand};
use super::shape::{ShapeUse, ShapeWords};
use crate::addr::GpuVa;
use crate::error::{Error, Result};
use crate::memory::names::of_recording;
use crate::memory::{Block, Heap, Progress, View, Word};
use crate::module::Launch;
use crate::signal::Timeline;

/// Commands laid out in memory that the GPU reads, ready to be replayed any number of times with
/// [`Queue::replay`](super::Queue::replay). It keeps the buffers and timelines that it uses alive.
///
/// What its slots hold can be changed at any time: replays in flight keep what they were sent with.
pub struct Recording {
    pub(super) id: u64,
    pub(super) heap: Arc<Heap>,
    pub(super) links: Vec<RecordedLink>,
    pub(super) shapes: Vec<Vec<ShapeUse>>,
    pub(super) queue: Arc<Word>,
    pub(super) words: u32,
    /// Words to skip where the engine is idle.
    pub(super) prologue: u32,
    /// Local memory that its kernels need, if it has kernels.
    pub(super) local_bytes: Option<u32>,
    pub(super) patches: Vec<Patch>,
    pub(super) per_replay: Vec<Patch>,
    pub(super) slots: Vec<SlotState>,
    /// Goes up with every change of a slot.
    pub(super) version: u64,
    pub(super) instances: Vec<Instance>,
    pub(super) turn: usize,
    pub(super) keep: Vec<Owner>,
    pub(super) block: Arc<Block>,
}

/// One copy of the commands. A copy is patched only when the GPU is done with it.
pub(super) struct Instance {
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
        self.set(slot, value, Keep::Nothing)
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
        self.set(slot, view.start().get(), Keep::Block(view.owner()))
    }

    /// Changes a timeline from the next replay on.
    pub fn set_timeline(&mut self, slot: Slot<Timeline>, timeline: &Timeline) -> Result<()> {
        self.set(slot, timeline.gpu().get(), Keep::Word(timeline.word()))
    }

    /// Changes grid, block and shared memory of the launches that use the slot, from the next replay on.
    /// Refused as a whole where one of the kernels cannot be launched like that. Whether they may start
    /// early stays as it was recorded.
    ///
    /// # Safety
    /// As for [`Commands::exec`](super::Commands::exec): the caller knows that the kernels, launched
    /// like that, keep to memory that they may use.
    pub unsafe fn set_launch(&mut self, slot: LaunchSlot, launch: Launch) -> Result<()> {
        check_recording(slot.recording, self.id)?;
        let uses = &self.shapes[usize::from(slot.index)];
        for shape in uses {
            shape.kernel.describe(&launch)?;
        }
        self.version += 1;
        for shape in uses {
            let words = ShapeWords::new(&shape.kernel, &launch)?;
            for (state, place) in self.slots[shape.first..].iter_mut().zip(shape.places()) {
                let value = words.at(*place).into();
                if state.value != value {
                    (state.value, state.changed) = (value, self.version);
                }
            }
        }
        Ok(())
    }

    fn set<T>(&mut self, slot: Slot<T>, value: u64, keep: Keep<'_>) -> Result<()> {
        check_recording(slot.recording, self.id)?;
        keep.check(&self.heap)?;
        let state = &mut self.slots[usize::from(slot.index)];
        check_alignment(value, state.multiple_of)?;
        if let (true, Some(word)) = (state.signalled, keep.word()) {
            check_signalled(word)?;
        }
        self.version += 1;
        state.value = value;
        state.word = keep.word().cloned();
        state.changed = self.version;
        state._keep = keep.owner();
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

    pub(super) fn local_bytes(&self) -> Option<u32> {
        self.local_bytes
    }

    /// Tells waiters what submission `value`, which replays this, has to do with.
    #[inline]
    pub(super) fn announce(&self, progress: &Progress, value: u64) {
        if self.local_bytes.is_some() {
            progress.launches(value, of_recording(self.id));
        }
        for link in &self.links {
            let word = match &link.timeline {
                LinkedTo::Word(word) => word,
                LinkedTo::Slot(slot) => match &self.slots[usize::from(*slot)].word {
                    Some(word) => word,
                    None => continue,
                },
            };
            let Some(awaited) = link.awaited else {
                progress.signals(word);
                continue;
            };
            let base = match awaited.slot {
                Some(slot) => self.slots[usize::from(slot)].value,
                None => awaited.value,
            };
            progress.waits_for(word, base.wrapping_add(awaited.addend));
        }
    }

    /// The submission that must be done before the next instance can be used again.
    pub(super) fn oldest(&self) -> u64 {
        self.instances[self.turn].last
    }

    /// Fills the next instance in for submission `value`.
    #[inline]
    pub(super) fn prepare(&mut self, value: u64, idle: bool) -> (GpuVa, u32) {
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
        let skip = if idle { self.prologue } else { 0 };
        (GpuVa::new(instance.start.get() + u64::from(skip) * 4), self.words - skip)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.heap.names().remove_recording(self.id);
    }
}

impl Instance {
    /// Words that lie at `base` for the CPU, at `start` for the GPU.
    ///
    /// # Safety
    /// There is room for the words, and the GPU does not use it.
    pub(super) unsafe fn new(base: *mut u32, start: GpuVa, words: &[u32]) -> Instance {
        for (at, word) in words.iter().enumerate() {
            // SAFETY: as the caller says.
            unsafe { base.add(at).write_volatile(*word) };
        }
        Instance { base, start, version: 0, last: 0 }
    }

    #[inline]
    fn write(&mut self, patch: Patch, value: u64) {
        let bits = (value.wrapping_add(patch.addend) >> patch.shift) as u32 & patch.mask;
        let word = patch.rest | bits << patch.lo;
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

/// A word, or some bits of one, that a slot's value fills.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patch {
    pub(super) at: u32,
    pub(super) slot: u16,
    /// Which bits of the slot's value, plus the addend, are meant.
    pub(super) shift: u8,
    pub(super) mask: u32,
    /// Where they go in the word, and what else stands there.
    pub(super) lo: u8,
    pub(super) rest: u32,
    pub(super) addend: u64,
}

impl Patch {
    pub(super) fn whole_word(at: usize, operand: Operand, half: Half) -> Option<Patch> {
        let shift = if half == Half::High { 32 } else { 0 };
        let (at, slot, addend) = (at as u32, operand.slot?, operand.addend);
        Some(Patch { at, slot, shift, mask: u32::MAX, lo: 0, rest: 0, addend })
    }
}

/// A timeline that a recording waits for or signals.
pub(super) struct RecordedLink {
    pub(super) timeline: LinkedTo,
    /// The value waited for; none where the timeline is signalled.
    pub(super) awaited: Option<Operand>,
}

pub(super) enum LinkedTo {
    Word(Arc<Word>),
    Slot(u16),
}

pub(super) struct SlotState {
    pub(super) value: u64,
    /// Of a timeline.
    pub(super) word: Option<Arc<Word>>,
    /// The recording's version when the value last changed.
    pub(super) changed: u64,
    /// What a command that uses it as an address needs. Powers of two, so the largest stands for all.
    pub(super) multiple_of: u64,
    /// Whether a command signals the timeline in it.
    pub(super) signalled: bool,
    pub(super) _keep: Option<Owner>,
}
