//! The verbs, the same for a queue and for a recording.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use super::copier;
use super::encode::{self, Operand, Sink, Until};
use super::launch::Prepared;
use crate::args::{Arg, Content};
use crate::driver::Engine;
use crate::error::{Error, Result};
use crate::memory::{Block, Buffer, Element, Heap, View, Word};
use crate::module::{Kernel, KernelInner, Launch};
use crate::signal::Timeline;

/// What takes commands, seen from the verbs.
pub(crate) trait Target {
    type Sink<'a>: Sink
    where
        Self: 'a;

    fn engine(&self) -> Engine;

    /// Room for one command.
    fn room(&mut self) -> Result<Self::Sink<'_>>;

    /// Takes a launch that was checked.
    fn launch(&mut self, prepared: Prepared<'_>) -> Result<()>;

    /// The kernel that copies. Compute only.
    fn copier(&self) -> Result<Kernel>;

    /// From here on launches need not wait for each other, or do again.
    fn concurrent(&mut self, on: bool);

    /// Releases a timeline when everything before has finished. Compute only.
    fn release(&mut self, timeline: Operand, value: Operand) -> Result<()>;

    /// Notes that everything from here on waits for a timeline, or that a timeline is signalled
    /// here: so that waits can tell which queue's fault concerns them.
    fn link(&mut self, timeline: &Signal<'_>, link: Link) -> Result<()>;

    /// Takes an operand in, keeping its owner alive where the command outlives the call.
    /// `slot_of` is the recording that the operand's slot belongs to.
    fn admit(&mut self, operand: Operand, slot_of: Option<u64>, keep: Keep<'_>) -> Result<Operand>;

    /// Notes that what fills the operand's slot later must be a multiple of `bytes`.
    fn align_slot(&mut self, operand: Operand, bytes: u64);
}

/// What a command does with a timeline.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Link {
    Waits(Value),
    Signals,
}

/// The owner of what an operand points at. Only recordings take a reference of their own: a queue
/// that encodes must not, see [`Ticket`](crate::Ticket).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keep<'a> {
    Nothing,
    Block(&'a Arc<Block>),
    Word(&'a Arc<Word>),
    Kernel(&'a Arc<KernelInner>),
}

/// What keeps memory alive.
pub(crate) type Owner = Arc<dyn Any + Send + Sync>;

impl Keep<'_> {
    /// Refuses what belongs to another device than `heap`: its addresses mean something else here.
    #[inline]
    pub(crate) fn check(&self, heap: &Arc<Heap>) -> Result<()> {
        let own = match self {
            Keep::Nothing => return Ok(()),
            Keep::Block(block) => block.heap(),
            Keep::Word(word) => word.heap(),
            Keep::Kernel(kernel) => kernel.heap(),
        };
        if Arc::ptr_eq(own, heap) { Ok(()) } else { Err(foreign_device()) }
    }

    pub(crate) fn word(&self) -> Option<&Arc<Word>> {
        match self {
            Keep::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(crate) fn owner(self) -> Option<Owner> {
        match self {
            Keep::Nothing => None,
            Keep::Block(block) => Some(block.clone()),
            Keep::Word(word) => Some(word.clone()),
            Keep::Kernel(kernel) => Some(kernel.clone()),
        }
    }
}

#[cold]
fn foreign_device() -> Error {
    Error::request(
        "this buffer, timeline or kernel belongs to another `Device`, whose addresses mean something else here: use one of the queue's own device",
    )
}

/// A value of a [`Recording`](super::Recording) that can change between replays.
#[derive(Debug)]
pub struct Slot<T> {
    pub(crate) recording: u64,
    pub(crate) index: u16,
    pub(crate) operand: Operand,
    pub(crate) len: u64,
    pub(crate) kind: PhantomData<fn(T) -> T>,
}

// By hand: derived, these would ask the same of `T`.
impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slot<T> {}

/// A payload: a number, or a slot of a recording.
#[derive(Debug, Clone, Copy)]
pub struct Value {
    pub(crate) operand: Operand,
    slot_of: Option<u64>,
}

impl From<u64> for Value {
    fn from(value: u64) -> Value {
        Value { operand: value.into(), slot_of: None }
    }
}

impl From<Slot<u64>> for Value {
    fn from(slot: Slot<u64>) -> Value {
        Value { operand: slot.operand, slot_of: Some(slot.recording) }
    }
}

/// A place in memory: part of a buffer, or a slot of a recording.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    operand: Operand,
    len: u64,
    slot_of: Option<u64>,
    keep: Keep<'a>,
}

impl<'a> From<View<'a>> for Place<'a> {
    fn from(view: View<'a>) -> Place<'a> {
        let (operand, len) = (view.start().get().into(), view.len());
        Place { operand, len, slot_of: None, keep: Keep::Block(view.owner()) }
    }
}

impl<'a, T: Element> From<&'a Buffer<T>> for Place<'a> {
    fn from(buffer: &'a Buffer<T>) -> Place<'a> {
        buffer.view().into()
    }
}

impl From<Slot<View<'static>>> for Place<'_> {
    fn from(slot: Slot<View<'static>>) -> Self {
        let slot_of = Some(slot.recording);
        Place { operand: slot.operand, len: slot.len, slot_of, keep: Keep::Nothing }
    }
}

/// A timeline, or a slot of a recording that holds one.
#[derive(Debug, Clone, Copy)]
pub struct Signal<'a> {
    pub(crate) operand: Operand,
    slot_of: Option<u64>,
    pub(crate) keep: Keep<'a>,
}

impl<'a> From<&'a Timeline> for Signal<'a> {
    fn from(timeline: &'a Timeline) -> Signal<'a> {
        let operand = timeline.gpu().get().into();
        Signal { operand, slot_of: None, keep: Keep::Word(timeline.word()) }
    }
}

impl From<Slot<Timeline>> for Signal<'_> {
    fn from(slot: Slot<Timeline>) -> Self {
        Signal { operand: slot.operand, slot_of: Some(slot.recording), keep: Keep::Nothing }
    }
}

/// Grid, block and shared memory of a launch, or a slot of a recording that holds them.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub(crate) launch: Launch,
    /// The recording, and the slot's number in it.
    pub(crate) slot: Option<(u64, u16)>,
}

impl From<&Launch> for Shape {
    fn from(launch: &Launch) -> Shape {
        Shape { launch: *launch, slot: None }
    }
}

/// A launch that can change between replays: see
/// [`Recorder::launch_slot`](super::Recorder::launch_slot).
#[derive(Debug, Clone, Copy)]
pub struct LaunchSlot {
    pub(crate) recording: u64,
    pub(crate) index: u16,
    pub(crate) first: Launch,
}

impl From<LaunchSlot> for Shape {
    fn from(slot: LaunchSlot) -> Shape {
        Shape { launch: slot.first, slot: Some((slot.recording, slot.index)) }
    }
}

/// The commands that a [`Queue`](super::Queue) and a [`Recorder`](super::Recorder) take. Each
/// begins when those before it on the same queue have finished. One that is refused is not encoded;
/// those before it are, and go with the next submission.
///
/// This trait is implemented for those two and cannot be for others.
#[allow(private_bounds)]
pub trait Commands: Target + Sized {
    /// Holds the queue until `timeline` has reached `value`.
    fn wait<'a>(
        &mut self,
        timeline: impl Into<Signal<'a>>,
        value: impl Into<Value>,
    ) -> Result<&mut Self> {
        let (on, until) = (timeline.into(), value.into());
        let timeline = self.admit(on.operand, on.slot_of, on.keep)?;
        let value = self.admit(until.operand, until.slot_of, Keep::Nothing)?;
        self.link(&on, Link::Waits(until))?;
        encode::acquire(&mut self.room()?, timeline, value, Until::Reaches);
        Ok(self)
    }

    /// Raises `timeline` to `value` when everything before has finished and is visible to the
    /// CPU and to other queues. The timeline's timestamp becomes the GPU's time of that moment.
    fn signal<'a>(
        &mut self,
        timeline: impl Into<Signal<'a>>,
        value: impl Into<Value>,
    ) -> Result<&mut Self> {
        let (on, value) = (timeline.into(), value.into());
        let timeline = self.admit(on.operand, on.slot_of, on.keep)?;
        let value = self.admit(value.operand, value.slot_of, Keep::Nothing)?;
        self.link(&on, Link::Signals)?;
        match self.engine() {
            Engine::Compute => self.release(timeline, value)?,
            Engine::Copy => encode::copy_release(&mut self.room()?, timeline, value),
        }
        Ok(self)
    }

    /// Launches a kernel. Compute queues only.
    ///
    /// Number and sizes of the arguments, the block, the grid and shared memory are checked; what an
    /// argument of the right size means is not. [`args!`](crate::args) makes a list of arguments.
    ///
    /// The first launch of a kernel that needs more local memory than any before waits until the
    /// queue has nothing to do, and so does the first replay of a recording with such a kernel.
    ///
    /// # Safety
    /// What cannot be checked is what the kernel does: it can write anywhere that this device's
    /// buffers lie. The caller knows that with these arguments it keeps to memory that it may
    /// write, and that every buffer whose address it gets in another way than as an argument of
    /// this call lives until the launch is done.
    unsafe fn exec(
        &mut self,
        kernel: &Kernel,
        launch: impl Into<Shape>,
        args: &[Arg<'_>],
    ) -> Result<&mut Self> {
        check_engine(self.engine())?;
        self.launch(Prepared::new(kernel, launch.into(), args)?)?;
        Ok(self)
    }

    /// Copies bytes between two places of equal length, which must not overlap.
    ///
    /// A copy queue does it with a copy engine, beside kernels that run meanwhile. A compute queue
    /// does it with a kernel, in order with its launches. That moves bytes within the memory of a
    /// desktop or server GPU faster: on an H200 from 256 KiB on, four times from 16 MiB on. To
    /// and from main memory the copy engine is the better choice.
    fn copy<'a>(
        &mut self,
        to: impl Into<Place<'a>>,
        from: impl Into<Place<'a>>,
    ) -> Result<&mut Self> {
        let (to, from) = (to.into(), from.into());
        if to.len != from.len {
            return Err(Error::request(format!(
                "a copy of {} bytes does not fit a destination of {} bytes: both sides must be equally long",
                from.len, to.len
            )));
        }
        let bytes = to.len;
        let slots = [to.slot_of, from.slot_of];
        let to = self.admit(to.operand, to.slot_of, to.keep)?;
        let from = self.admit(from.operand, from.slot_of, from.keep)?;
        match self.engine() {
            Engine::Copy => {
                for piece in encode::pieces(bytes) {
                    encode::copy_piece(&mut self.room()?, to, from, piece);
                }
            }
            Engine::Compute if bytes == 0 => {}
            Engine::Compute => {
                let kernel = self.copier()?;
                let address = |operand: Operand, slot_of| match slot_of {
                    Some(recording) => Arg { content: Content::Slot(operand, recording) },
                    None => operand.value.into(),
                };
                let args = [address(to, slots[0]), address(from, slots[1]), bytes.into()];
                self.launch(Prepared::new(&kernel, (&copier::launch(bytes)).into(), &args)?)?;
            }
        }
        Ok(self)
    }

    /// Launches a group of kernels that may run at the same time, in any order. The group begins
    /// when everything before has finished, and what comes after it waits for all of it.
    ///
    /// ```no_run
    /// # use doorbell::*;
    /// # fn all(queue: &mut Queue, kernel: &Kernel, parts: &[Buffer<f32>]) -> Result<()> {
    /// queue.concurrently(|group| {
    ///     for part in parts {
    ///         // SAFETY: the kernel writes nothing but its part.
    ///         unsafe { group.exec(kernel, &Launch::new(1, 256), &args![part])? };
    ///     }
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    fn concurrently(&mut self, group: impl FnOnce(&mut Self) -> Result<()>) -> Result<&mut Self> {
        self.concurrent(true);
        let outcome = group(self);
        self.concurrent(false);
        outcome.map(|()| self)
    }

    /// Writes a number of 4 or 8 bytes, in order with the commands around it.
    fn write<'a>(
        &mut self,
        to: impl Into<Place<'a>>,
        value: impl Into<Value>,
    ) -> Result<&mut Self> {
        let (to, value) = (to.into(), value.into());
        if !matches!(to.len, 4 | 8) {
            return Err(Error::request(format!(
                "a queue writes 4 or 8 bytes at a time, not {}",
                to.len
            )));
        }
        let bytes = to.len;
        check_alignment(to.operand.value, bytes)?;
        if bytes == 4 && value.operand.value > u64::from(u32::MAX) {
            return Err(Error::request(format!(
                "{:#x} does not fit the 4 bytes it is to be written to",
                value.operand.value
            )));
        }
        let to = self.admit(to.operand, to.slot_of, to.keep)?;
        let value = self.admit(value.operand, value.slot_of, Keep::Nothing)?;
        self.align_slot(to, bytes);
        encode::write(&mut self.room()?, to, value, bytes);
        Ok(self)
    }

    /// Holds the queue until at least one bit of `mask` is set in a 4-byte word.
    fn wait_bit_set<'a>(&mut self, word: impl Into<Place<'a>>, mask: u32) -> Result<&mut Self> {
        wait_bit(self, word.into(), mask, Until::BitSet)
    }

    /// Holds the queue until at least one bit of `mask` is clear in a 4-byte word.
    fn wait_bit_clear<'a>(&mut self, word: impl Into<Place<'a>>, mask: u32) -> Result<&mut Self> {
        wait_bit(self, word.into(), mask, Until::BitClear)
    }

    /// Orders everything before against everything after, the CPU's and other devices' accesses
    /// included.
    fn memory_barrier(&mut self) -> Result<&mut Self> {
        encode::barrier(&mut self.room()?);
        Ok(self)
    }
}

fn wait_bit<'t, T: Commands>(
    target: &'t mut T,
    word: Place<'_>,
    mask: u32,
    until: Until,
) -> Result<&'t mut T> {
    if word.len != 4 {
        return Err(Error::request(format!(
            "a bit is waited for in a word of 4 bytes, not {}",
            word.len
        )));
    }
    if mask == 0 {
        return Err(Error::request("a wait for a bit of an empty mask would never end"));
    }
    check_alignment(word.operand.value, 4)?;
    let word = target.admit(word.operand, word.slot_of, word.keep)?;
    target.align_slot(word, 4);
    encode::acquire(&mut target.room()?, word, u64::from(mask).into(), until);
    Ok(target)
}

/// Only compute queues run kernels.
pub(super) fn check_engine(engine: Engine) -> Result<()> {
    match engine {
        Engine::Compute => Ok(()),
        Engine::Copy => Err(Error::request("a copy queue cannot run kernels: use a compute queue")),
    }
}

/// By its own timeline a queue knows what memory the GPU is done with.
#[inline]
pub(super) fn check_signalled(word: &Word) -> Result<()> {
    if word.is_of_queue() {
        return Err(Error::request(
            "a queue's own timeline is raised by that queue alone: signal one of `Device::timeline`",
        ));
    }
    Ok(())
}

/// A slot means something to its own recording only.
pub(super) fn check_recording(slot_of: u64, recording: u64) -> Result<()> {
    if slot_of == recording {
        return Ok(());
    }
    Err(Error::request("the slot belongs to another recording"))
}

/// The host takes unaligned semaphores for an error that ends the channel.
pub(super) fn check_alignment(address: u64, bytes: u64) -> Result<()> {
    if address % bytes == 0 {
        return Ok(());
    }
    Err(Error::request(format!(
        "address {address:#x} is not a multiple of {bytes}, which a queue's access to {bytes} bytes needs"
    )))
}
