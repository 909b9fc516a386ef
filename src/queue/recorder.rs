//! Recorders: they collect commands and launches for a [`Recording`].

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Setup;
use super::chain::Group;
use super::commands::{
    Commands, Keep, LaunchSlot, Link, Owner, Shape, Signal, Slot, Target, check_engine,
    check_recording, check_signalled,
};
use super::copier::Copier;
use super::encode::{self, Half, Operand, Sink};
use super::graph::{self, Graph, Node};
use super::launch::Prepared;
use super::layout::{Image, Launched, Patched, Start};
use super::recording::{Instance, LinkedTo, Patch, RecordedLink, Recording, SlotState};
use super::shape::{Place, ShapeUse, ShapeWords};
use crate::addr::GpuVa;
use crate::args::Arg;
use crate::driver::{Engine, Memory};
use crate::error::{Error, Result};
use crate::memory::{Heap, View, Word};
use crate::module::{Kernel, Launch};
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
    keep: Vec<Owner>,
    instances: usize,
    launches: Vec<Launched>,
    links: Vec<RecordedLink>,
    shapes: Vec<Vec<ShapeUse>>,
    graph: Graph<Launched>,
    /// Whether the last command is a launch that another can be chained to.
    chained: bool,
    group: Group,
    copier: Copier,
}

impl Recorder {
    pub(super) fn new(
        heap: &Arc<Heap>,
        setup: Setup,
        queue: &Arc<Word>,
        copier: Copier,
    ) -> Recorder {
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
            launches: Vec::new(),
            links: Vec::new(),
            shapes: Vec::new(),
            graph: Graph::default(),
            chained: false,
            group: Group::None,
            copier,
        }
    }

    /// How many replays may be in flight before the next one waits; 2 unless set. Each costs a
    /// copy of the commands.
    pub fn in_flight(&mut self, instances: usize) -> &mut Self {
        self.instances = instances.max(1);
        self
    }

    /// A payload that can change between replays. Where it fills 4 bytes, its lower 4 count.
    pub fn value_slot(&mut self, value: u64) -> Result<Slot<u64>> {
        self.slot(value, 0, Keep::Nothing)
    }

    /// A place that can change between replays; each replacement must be at least as long.
    pub fn view_slot<'a>(&mut self, view: impl Into<View<'a>>) -> Result<Slot<View<'static>>> {
        let view = view.into();
        self.slot(view.start().get(), view.len(), Keep::Block(view.owner()))
    }

    /// A timeline that can change between replays.
    pub fn timeline_slot(&mut self, timeline: &Timeline) -> Result<Slot<Timeline>> {
        self.slot(timeline.gpu().get(), 0, Keep::Word(timeline.word()))
    }

    /// Grid, block and dynamic shared memory that can change between replays, with
    /// [`Recording::set_launch`]. Any number of launches may use it.
    pub fn launch_slot(&mut self, first: Launch) -> Result<LaunchSlot> {
        let index = u16::try_from(self.shapes.len())
            .map_err(|_| Error::request("a recording has at most 65,536 slots"))?;
        self.shapes.push(Vec::new());
        Ok(LaunchSlot { recording: self.id, index, first })
    }

    /// Makes a slot of each word that a launch's shape goes into.
    fn use_shape(&mut self, kernel: &Kernel, shape: Shape, into: &mut Patched) -> Result<()> {
        let Some((_, index)) = shape.slot else { return Ok(()) };
        if kernel.inner.cluster.is_some() {
            return Err(Error::request("the grid of a kernel with clusters cannot be a slot"));
        }
        let words = ShapeWords::new(kernel, &shape.launch)?;
        let mut shape = ShapeUse::new(kernel, &words);
        shape.first = self.slots.len();
        for place in shape.places() {
            let slot: Slot<u64> = self.slot(words.at(*place).into(), 0, Keep::Nothing)?;
            match place {
                Place::Descriptor(word) => into.descriptor.push((*word, slot.operand)),
                Place::Bank(word) => into.bank.push((*word, Half::Low, slot.operand)),
            }
        }
        self.shapes[usize::from(index)].push(shape);
        Ok(())
    }

    fn slot<T>(&mut self, value: u64, len: u64, keep: Keep<'_>) -> Result<Slot<T>> {
        keep.check(&self.heap)?;
        let index = u16::try_from(self.slots.len())
            .map_err(|_| Error::request("a recording has at most 65,536 slots"))?;
        self.slots.push(SlotState {
            value,
            word: keep.word().cloned(),
            changed: 0,
            multiple_of: 1,
            signalled: false,
            _keep: keep.owner(),
        });
        let operand = Operand { value, slot: Some(index), addend: 0 };
        Ok(Slot { recording: self.id, index, operand, len, kind: PhantomData })
    }

    /// Lays the commands out in memory that the GPU reads.
    pub fn finish(mut self) -> Result<Recording> {
        self.end_graph();
        // A slot of its own: the payload that stands for each replay's submission.
        let submission: Slot<u64> = self.slot(0, 0, Keep::Nothing)?;
        let timeline = self.queue.gpu();
        // The last kernel itself says when it has ended, unless the host must raise an interrupt.
        let by_kernel = self.chained && !self.setup.patience.policy.block;
        if !(by_kernel && self.release_by_last(timeline, submission)) {
            let mut sink = Recorded { words: &mut self.words, patches: &mut self.patches };
            super::trailer(&mut sink, &self.setup, timeline, submission.operand);
        }
        if self.words.len() > hw_defs::gpfifo::MAX_WORDS as usize {
            return Err(Error::request(format!(
                "a recording of {} words is longer than the {} that one ring entry can name: split it",
                self.words.len(),
                hw_defs::gpfifo::MAX_WORDS
            )));
        }
        let image = Image::new(&self.words, &self.launches, &mut self.patches);
        let (per_replay, patches) =
            self.patches.iter().partition(|patch| patch.slot == submission.index);
        let stride = image.stride();
        let bytes = stride.checked_mul(self.instances).ok_or_else(|| {
            let instances = self.instances;
            Error::request(format!(
                "{instances} replays in flight of {stride} bytes each are more than memory can hold"
            ))
        })?;
        let block = self.heap.alloc(bytes as u64, Memory::Command)?;
        let base = block.host().expect("command memory has a host mapping").cast::<u32>();
        let mut instances = Vec::with_capacity(self.instances);
        for i in 0..self.instances {
            let offset = i * stride;
            let segment = block.range().slice(offset as u64, stride as u64);
            let start = segment.expect("the block holds all instances").start();
            // SAFETY: the block holds all instances.
            let base = unsafe { base.byte_add(offset) };
            // SAFETY: inside the instance; the GPU does not know of it yet.
            instances.push(unsafe { Instance::new(base, start, &image.at(start)) });
        }
        let local = self.launches.iter().map(|launch| launch.kernel.local_bytes).max();
        let mut code: Vec<_> =
            self.launches.iter().map(|launch| launch.kernel.code.start()).collect();
        code.sort_unstable();
        code.dedup();
        self.heap.names().add_recording(self.id, code);
        Ok(Recording {
            id: self.id,
            heap: self.heap,
            links: self.links,
            shapes: self.shapes,
            queue: self.queue,
            words: self.words.len() as u32,
            prologue: if self.launches.is_empty() { 0 } else { PROLOGUE },
            local_bytes: local,
            patches,
            per_replay,
            slots: self.slots,
            version: 0,
            instances,
            turn: 0,
            keep: self.keep,
            block,
        })
    }

    /// A launch in words, but for how it is started.
    pub(super) fn prepare(&mut self, prepared: Prepared<'_>) -> Result<Launched> {
        prepared.slot_owners().try_for_each(|slot_of| check_recording(slot_of, self.id))?;
        prepared.owners().try_for_each(|owner| owner.check(&self.heap))?;
        let kernel = &prepared.kernel.inner;
        let mut bank = vec![0; kernel.bank0_words()];
        prepared.write_bank(&mut |offset, word| bank[offset as usize / 4] = word);
        let mut args = Vec::new();
        for arg in prepared.slot_args() {
            args.push((arg.at as usize / 4, Half::Low, arg.operand));
            if arg.bytes == 8 {
                args.push((arg.at as usize / 4 + 1, Half::High, arg.operand));
            }
        }
        let mut words = Patched { bank: args, ..Patched::default() };
        self.use_shape(prepared.kernel, prepared.shape, &mut words)?;
        self.keep.extend(prepared.owners().filter_map(Keep::owner));
        Ok(Launched::new(prepared, bank, words))
    }

    /// Has a launch run after everything so far, or beside the others of its group.
    fn place(&mut self, mut launched: Launched) {
        if self.chained {
            let last = self.launches.len() - 1;
            launched.follow(last);
            self.launches[last].tells.push(last + 1);
        } else {
            if self.launches.is_empty() {
                let mut prologue = Vec::new();
                let mut none = Vec::new();
                let mut sink = Recorded { words: &mut prologue, patches: &mut none };
                encode::wait_for_engine(&mut sink);
                debug_assert_eq!(prologue.len(), PROLOGUE as usize);
                self.words.splice(0..0, prologue);
                for patch in &mut self.patches {
                    patch.at += PROLOGUE;
                }
            } else if self.group != Group::Goes {
                encode::wait_for_engine(&mut self.sink());
            }
            launched.start = Start::Host(self.words.len());
            encode::launch(&mut self.sink(), 0);
        }
        self.launches.push(launched);
        self.chained = self.group == Group::None;
        self.group = self.group.goes_on();
    }

    /// Lays out the launches of a graph that has come to its end.
    fn end_graph(&mut self) {
        let nodes = self.graph.end();
        let forks = |(launch, _): &(Launched, _)| launch.descriptor.fields().fork.is_some();
        if nodes.first().is_some_and(forks) {
            self.place_graph(nodes);
        } else {
            self.place_steps(graph::in_steps(nodes));
        }
    }

    /// The launches of one step as a group, and a launch alone in its step chained to the one before
    /// where that was alone too.
    fn place_steps(&mut self, steps: Vec<Vec<Launched>>) {
        for mut step in steps {
            let alone = step.len() == 1;
            if !alone {
                self.group = Group::Begins;
                self.chained = false;
            }
            step.drain(..).for_each(|launched| self.place(launched));
            if !alone {
                self.group = Group::None;
                self.chained = false;
            }
        }
    }

    /// Each launch started by those it waits for. The host launches those that wait for none.
    fn place_graph(&mut self, nodes: Vec<(Launched, Vec<usize>)>) {
        let (nodes, awaited): (Vec<_>, Vec<_>) = nodes.into_iter().unzip();
        let told = graph::told(&awaited);
        // The last launch of all may be chained to and signal, if all others end before it: so it lies
        // behind the relays.
        let (first, last, relays) =
            (self.launches.len(), nodes.len() - 1, told.len() - nodes.len());
        let place = |node: usize| match node {
            node if node < last => first + node,
            node if node == last => first + last + relays,
            relay => first + relay - 1,
        };
        let one_begins = awaited.iter().filter(|before| before.is_empty()).count() == 1;
        let one_ends = told[..last].iter().all(|told| !told.is_empty());
        if !one_begins {
            self.group = Group::Begins;
            self.chained = false;
        }
        let mut all: Vec<Option<Launched>> = nodes.into_iter().map(Some).collect();
        // Any descriptor will do for what runs nothing.
        let pattern = all[0].as_ref().expect("a graph has a launch").relay();
        all.extend((0..relays).map(|_| Some(pattern.relay())));
        for node in (0..last).chain(last + 1..told.len()).chain([last]) {
            let mut launch = all[node].take().expect("each is placed once");
            launch.tells = told[node].iter().map(|next| place(*next)).collect();
            match awaited.get(node).map(Vec::as_slice) {
                Some([]) => self.place(launch),
                // Nobody else hears of the end of the one before: it may start this one ahead of it.
                Some([before]) if told[*before].len() == 1 => {
                    launch.follow(place(*before));
                    self.launches.push(launch);
                }
                awaited => {
                    launch.start = Start::Told(awaited.map_or(1, |before| before.len() as u32));
                    self.launches.push(launch);
                }
            }
        }
        self.group = Group::None;
        self.chained = one_ends;
    }

    /// Refuses to signal what only a queue may, now or as a slot's later value.
    fn will_signal(&mut self, timeline: &LinkedTo) -> Result<()> {
        match timeline {
            LinkedTo::Word(word) => check_signalled(word),
            LinkedTo::Slot(slot) => {
                let state = &mut self.slots[usize::from(*slot)];
                state.signalled = true;
                state.word.as_deref().map_or(Ok(()), check_signalled)
            }
        }
    }

    fn sink(&mut self) -> Recorded<'_> {
        // The host goes on while kernels run, so none can be chained across this command.
        self.chained = false;
        Recorded { words: &mut self.words, patches: &mut self.patches }
    }

    /// Records a launch that waits for the launches `after`, and else for nothing of the graph that
    /// they make: launches recorded like this one behind the other, with no other command between
    /// them. A graph begins when everything before it has finished, and what comes after it waits
    /// for all of it.
    ///
    /// On Hopper launches start each other, and each begins when those that it waits for have ended.
    /// Other GPUs get a graph step by step: a launch is in the step after the last of those it waits
    /// for, and the launches of one step may overlap.
    ///
    /// ```no_run
    /// # use doorbell::*;
    /// # fn all(queue: &mut Queue, k: &[Kernel], out: &Buffer<f32>) -> Result<Recording> {
    /// let (mut recorder, one) = (queue.record(), Launch::new(1, 32));
    /// // SAFETY: the kernels write different parts of `out`.
    /// unsafe {
    ///     let first = recorder.exec_after(&k[0], &one, &args![out], &[])?;
    ///     let left = recorder.exec_after(&k[1], &one, &args![out], &[first])?;
    ///     let right = recorder.exec_after(&k[2], &one, &args![out], &[first])?;
    ///     recorder.exec_after(&k[3], &one, &args![out], &[left, right])?;
    /// }
    /// recorder.finish()
    /// # }
    /// ```
    ///
    /// # Safety
    /// As for [`Commands::exec`]; and kernels that do not wait for each other do not write what the
    /// other uses.
    pub unsafe fn exec_after(
        &mut self,
        kernel: &Kernel,
        launch: impl Into<Shape>,
        args: &[Arg<'_>],
        after: &[Node],
    ) -> Result<Node> {
        check_engine(self.setup.engine)?;
        if self.group != Group::None {
            return Err(Error::request(
                "the launches of a group wait for nothing in it: record a graph outside of groups",
            ));
        }
        let awaited = self.graph.awaited(self.id, after)?;
        let launched = self.prepare(Prepared::new(kernel, launch.into(), args)?)?;
        Ok(self.graph.add(self.id, awaited, launched))
    }

    /// Has the last launch release the queue's timeline, where its release can stand for the end of a
    /// submission and nothing else uses it.
    fn release_by_last(&mut self, timeline: GpuVa, value: Slot<u64>) -> bool {
        let can =
            |launch: &&mut Launched| launch.descriptor.fields().release.frees && !launch.released;
        let Some(launch) = self.launches.last_mut().filter(can) else { return false };
        launch.release(timeline.get().into(), value.operand);
        true
    }
}

/// Words at the beginning of a recording with kernels that wait for the engine; skipped where it
/// is known to be idle.
const PROLOGUE: u32 = 1;

impl Commands for Recorder {}

impl Target for Recorder {
    type Sink<'a> = Recorded<'a>;

    fn engine(&self) -> Engine {
        self.setup.engine
    }

    fn room(&mut self) -> Result<Recorded<'_>> {
        self.end_graph();
        Ok(self.sink())
    }

    fn launch(&mut self, prepared: Prepared<'_>) -> Result<()> {
        self.end_graph();
        let launched = self.prepare(prepared)?;
        self.place(launched);
        Ok(())
    }

    fn copier(&self) -> Result<Kernel> {
        self.copier.kernel(&self.heap)
    }

    fn concurrent(&mut self, on: bool) {
        self.end_graph();
        self.group = if on { Group::Begins } else { Group::None };
        self.chained = false;
    }

    fn release(&mut self, timeline: Operand, value: Operand) -> Result<()> {
        self.end_graph();
        match self.launches.last_mut().filter(|launch| self.chained && !launch.released) {
            Some(launch) => launch.release(timeline, value),
            None => encode::release(&mut self.room()?, timeline, value),
        }
        Ok(())
    }

    fn link(&mut self, timeline: &Signal<'_>, link: Link) -> Result<()> {
        let linked_to = match (timeline.keep, timeline.operand.slot) {
            (Keep::Word(word), _) => LinkedTo::Word(word.clone()),
            (_, Some(slot)) => LinkedTo::Slot(slot),
            _ => unreachable!("a timeline is a word or a slot"),
        };
        let awaited = match link {
            Link::Waits(value) => Some(value.operand),
            Link::Signals => {
                self.will_signal(&linked_to)?;
                None
            }
        };
        self.links.push(RecordedLink { timeline: linked_to, awaited });
        Ok(())
    }

    fn admit(&mut self, operand: Operand, slot_of: Option<u64>, keep: Keep<'_>) -> Result<Operand> {
        slot_of.map_or(Ok(()), |slot_of| check_recording(slot_of, self.id))?;
        keep.check(&self.heap)?;
        self.keep.extend(keep.owner());
        Ok(operand)
    }

    fn align_slot(&mut self, operand: Operand, bytes: u64) {
        if let Some(slot) = operand.slot {
            let state = &mut self.slots[usize::from(slot)];
            state.multiple_of = state.multiple_of.max(bytes);
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "recorder with {} words and {} slots", self.words.len(), self.slots.len())
    }
}

/// Collects words, and notes which of them hold slots.
pub(crate) struct Recorded<'a> {
    words: &'a mut Vec<u32>,
    patches: &'a mut Vec<Patch>,
}

impl Sink for Recorded<'_> {
    fn word(&mut self, word: u32) {
        self.words.push(word);
    }

    fn half(&mut self, operand: Operand, half: Half) {
        self.patches.extend(Patch::whole_word(self.words.len(), operand, half));
        self.words.push(half.of(operand.value));
    }
}
