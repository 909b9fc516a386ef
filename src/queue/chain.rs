//! Kernels of a queue: each launch starts the next one itself, where nothing lies between them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hw_defs::qmd::QmdField;

use super::Queue;
use super::commands::Target;
use super::copier::Copier;
use super::encode::{self, Operand};
use super::launch::{DESCRIPTOR_BYTES, Prepared, bank_of};
use super::ring::Ring;
use crate::addr::GpuVa;
use crate::driver::Memory;
use crate::error::{Error, Result};
use crate::memory::names::of_kernel;
use crate::memory::{Block, Heap};
use crate::qmd::Descriptor;

/// Memory of a queue for descriptors and constant banks of launches that are not done yet.
const DATA_BYTES: u64 = 1 << 20;

/// What a compute queue has beside its commands.
pub(super) struct Kernels {
    pub(super) data: Ring,
    /// The launch that the next one can be chained to.
    pub(super) tail: Option<Tail>,
    /// Kernels were launched that the host has not waited for.
    pub(super) running: bool,
    group: Group,
    /// The heap's count of modules when the caches were last invalidated.
    modules_seen: u64,
    local: Option<Local>,
    pub(super) copier: Copier,
}

/// Memory behind the local memory of all threads that can run at once.
struct Local {
    bytes_per_thread: u32,
    _block: Arc<Block>,
}

impl Kernels {
    pub(super) fn new(heap: &Arc<Heap>, submissions: u32) -> Result<Kernels> {
        Ok(Kernels {
            data: Ring::new(heap, DATA_BYTES, submissions)?,
            tail: None,
            running: false,
            group: Group::None,
            modules_seen: 0,
            local: None,
            copier: Copier::default(),
        })
    }
}

impl Kernels {
    pub(super) fn set_concurrent(&mut self, on: bool) {
        self.group = if on { Group::Begins } else { Group::None };
        // A group neither continues a chain nor is the beginning of one.
        self.tail = None;
    }
}

/// Whether launches belong to a group that may run at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    None,
    /// The first launch still waits for what came before the group.
    Begins,
    Goes,
}

impl Group {
    /// What it is after a launch.
    pub(super) fn goes_on(self) -> Group {
        match self {
            Group::None => Group::None,
            Group::Begins | Group::Goes => Group::Goes,
        }
    }
}

/// A descriptor that lies in GPU memory and has not been submitted, so that it can still change.
pub(super) struct Tail {
    descriptor: Descriptor,
    at: *mut u32,
    va: GpuVa,
    released: bool,
}

// SAFETY: `at` leads into the ring of the same queue, which moves along with it.
unsafe impl Send for Tail {}

impl Tail {
    pub(super) fn is_released(&self) -> bool {
        self.released
    }

    /// Whether its release can stand for the end of a submission, and nothing else uses it.
    pub(super) fn can_end_submission(&self) -> bool {
        self.descriptor.fields().release.frees && !self.released
    }

    /// Has the launch release a timeline when it has ended.
    pub(super) fn release(&mut self, timeline: Operand, value: Operand) {
        self.descriptor.release(timeline.value, value.value);
        self.released = true;
        let release = &self.descriptor.fields().release;
        let fields = [release.enable, release.structure, release.payload_64, release.membar];
        for field in fields.into_iter().chain(release.address).chain(release.payload) {
            self.write(field);
        }
    }

    /// Has the launch start another one when it has ended, or ahead of that.
    fn start(&mut self, next: GpuVa, early: bool) {
        let before = self.descriptor.clone();
        self.descriptor.start_next(self.va, next, early);
        for (at, word) in self.descriptor.words().iter().enumerate() {
            if *word != before.words()[at] {
                // SAFETY: inside the descriptor, which the GPU does not know of yet.
                unsafe { self.at.add(at).write_volatile(*word) };
            }
        }
    }

    fn write(&self, field: QmdField) {
        let word = field.word();
        // SAFETY: inside the descriptor, which the GPU does not know of yet.
        unsafe { self.at.add(word).write_volatile(self.descriptor.words()[word]) };
    }
}

impl Queue {
    /// Launches a kernel after everything before it.
    pub(super) fn chain(&mut self, mut prepared: Prepared<'_>) -> Result<()> {
        self.prepare_for_kernels(Some(prepared.kernel.inner.local_bytes))?;
        let words = prepared.bytes() / 4;
        self.make_data_space(words)?;
        self.make_space()?;

        let value = self.channel.next();
        let idle = self.channel.is_done(self.channel.submitted());
        let Some(kernels) = &mut self.kernels else { unreachable!("compute queues have kernels") };
        kernels.data.align(DESCRIPTOR_BYTES / 4);
        let (at, va) = kernels.data.here();
        kernels.data.take(words);
        prepared.place(va);
        if let Some(tail) = &kernels.tail {
            prepared.follow();
            prepared.descriptor.wait_for(tail.va);
        }
        for (i, word) in prepared.descriptor.words().iter().enumerate() {
            // SAFETY: `make_data_space` has seen the words to be free and in one piece.
            unsafe { at.add(i).write_volatile(*word) };
        }
        let mut put = |offset, word| {
            let place = DESCRIPTOR_BYTES as usize + offset as usize;
            // SAFETY: as above; a bank's offsets lie below its size.
            unsafe { at.byte_add(place).write_volatile(word) };
        };
        prepared.write_bank(&mut put);
        for (offset, word) in prepared.kernel.inner.own_addresses(bank_of(va)) {
            put(offset, word);
        }

        match &mut kernels.tail {
            Some(tail) => tail.start(va, prepared.shape.launch.early),
            None => {
                let mut sink = self.commands.cursor();
                let waits = kernels.running && kernels.group != Group::Goes;
                if waits && !(idle && sink.nothing_pending()) {
                    encode::wait_for_engine(&mut sink);
                }
                encode::launch(&mut sink, va.get());
            }
        }
        let tail = Tail { descriptor: prepared.descriptor, at, va, released: false };
        kernels.tail = (kernels.group == Group::None).then_some(tail);
        kernels.group = kernels.group.goes_on();
        kernels.running = true;
        let progress = self.channel.progress();
        progress.encoded_up_to(value);
        progress.launches(value, of_kernel(prepared.kernel.inner.code.start()));
        Ok(())
    }

    /// What has to be so before any kernel runs: no stale code in caches, and local memory for all
    /// threads. `None` if no kernel is going to run.
    #[inline]
    pub(super) fn prepare_for_kernels(&mut self, local_bytes: Option<u32>) -> Result<()> {
        let Some(local_bytes) = local_bytes else { return Ok(()) };
        let modules = self.heap().modules().load(Ordering::Acquire);
        let Some(kernels) = &self.kernels else { unreachable!("compute queues have kernels") };
        let has = kernels.local.as_ref().map_or(0, |local| local.bytes_per_thread);
        if modules == kernels.modules_seen && local_bytes <= has {
            return Ok(());
        }
        self.prepare_slowly(modules, local_bytes, has)
    }

    #[cold]
    fn prepare_slowly(&mut self, modules: u64, local_bytes: u32, has: u32) -> Result<()> {
        if local_bytes > has {
            // Kernels in flight use the memory that is there.
            self.finish()?;
            let (block, per_tpc) = local_memory(self.heap(), local_bytes)?;
            let start = block.range().start().get();
            encode::local_memory(&mut self.room()?, start, per_tpc);
            if let Some(kernels) = &mut self.kernels {
                kernels.local = Some(Local { bytes_per_thread: local_bytes, _block: block });
            }
        }
        let mut sink = self.room()?;
        encode::wait_for_engine(&mut sink);
        encode::invalidate_caches(&mut sink);
        if let Some(kernels) = &mut self.kernels {
            kernels.modules_seen = modules;
        }
        Ok(())
    }

    /// Makes room for a launch's descriptor and bank.
    fn make_data_space(&mut self, words: u64) -> Result<()> {
        // Alignment may cost as much again as a descriptor has.
        let need = words + DESCRIPTOR_BYTES / 4;
        loop {
            let Some(kernels) = &mut self.kernels else { return Ok(()) };
            if need > kernels.data.capacity / 2 {
                return Err(Error::request(format!(
                    "a launch with {} bytes of constants is more than a queue holds",
                    words * 4
                )));
            }
            kernels.data.skip_to(need);
            if kernels.data.free() >= need {
                return Ok(());
            }
            let oldest = kernels.data.oldest;
            if oldest > self.channel.submitted() {
                // All of it belongs to launches that have not been submitted yet.
                self.flush()?;
                continue;
            }
            self.channel.wait_done(oldest)?;
            if let Some(kernels) = &mut self.kernels {
                kernels.data.reclaim(oldest);
            }
        }
    }
}

/// Local memory for every thread that can be resident, and how much of it each TPC has.
fn local_memory(heap: &Arc<Heap>, per_thread: u32) -> Result<(Arc<Block>, u64)> {
    let info = heap.driver().info();
    const SMS_PER_TPC: u64 = 2;
    let per_warp = (u64::from(per_thread) * 32).next_multiple_of(0x200);
    let per_sm = per_warp * u64::from(info.warps_per_sm);
    let per_tpc = (per_sm * SMS_PER_TPC).next_multiple_of(0x8000);
    // Multiprocessors are numbered with gaps where some are switched off, and the hardware goes by
    // the number: so for more than there are.
    let tpcs = (u64::from(info.sm_count) / SMS_PER_TPC).next_multiple_of(8) + 8;
    let bytes = (per_tpc * tpcs).next_multiple_of(0x20000);
    Ok((heap.alloc(bytes, Memory::Device)?, per_tpc))
}
