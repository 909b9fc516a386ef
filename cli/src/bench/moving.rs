//! A chain whose kernels run on changing multiprocessors.

use std::time::{Duration, Instant};

use doorbell::{
    Buffer, Commands, Device, Kernel, Launch, Memory, Queue, Recording, Slot, Timeline, args,
};

use super::direct::{CHAIN, SOON, Sample, expect};
use super::stop::Outcome;

/// Threads of a block.
pub(crate) const BLOCK: u32 = 64;

/// Blocks below the one whose last element counts, at most.
const MOST: u32 = 61;

/// Elements of such a chain; the last one counts.
pub(crate) const ELEMENTS: u32 = MOST * BLOCK + 1;

/// How many elements below the one that counts kernel `i` of a chain adds one to. So the grid has more
/// blocks or fewer each time, and the one that counts comes to lie on another multiprocessor.
pub(crate) fn below(i: u32) -> u32 {
    (7 * i) % MOST * BLOCK
}

/// Such a chain, recorded, by the GPU's clock.
pub(crate) struct Moving {
    recording: Recording,
    began: Timeline,
    began_slot: Slot<u64>,
    replays: u64,
    elements: Buffer<u32>,
    back: Buffer<u32>,
    counted: u32,
}

impl Moving {
    /// Of a kernel like `add_one`.
    pub(crate) fn new(
        device: &Device,
        queue: &Queue,
        kernel: &Kernel,
        early: bool,
    ) -> Outcome<Moving> {
        let elements = device.alloc::<u32>(ELEMENTS as usize)?;
        let began = device.timeline()?;
        let mut recorder = queue.record();
        let began_slot = recorder.value_slot(0)?;
        recorder.signal(&began, began_slot)?;
        for i in 0..CHAIN {
            let below = below(i);
            let part = elements.slice((ELEMENTS - 1 - below) as usize..ELEMENTS as usize)?;
            let launch = Launch::new(below / BLOCK + 1, BLOCK);
            let launch = if early { launch.early() } else { launch };
            // SAFETY: the part has the elements that the kernel reads and writes, and an early one
            // waits before it does.
            unsafe { recorder.exec(kernel, &launch, &args![part, part, below + 1])? };
        }
        Ok(Moving {
            recording: recorder.finish()?,
            began,
            began_slot,
            replays: 0,
            elements,
            back: device.alloc_in::<u32>(Memory::Host, 1)?,
            counted: 0,
        })
    }

    /// Replays it once; its result is checked.
    pub(crate) fn time(&mut self, compute: &mut Queue, copies: &mut Queue) -> Outcome<Sample> {
        self.replays += 1;
        self.recording.set_value(self.began_slot, self.replays)?;
        let start = Instant::now();
        let ticket = compute.replay(&mut self.recording)?;
        let sent = start.elapsed();
        ticket.wait(SOON)?;
        let seen = start.elapsed();
        let ns = ticket.timeline().timestamp_ns().saturating_sub(self.began.timestamp_ns());
        self.counted = self.counted.wrapping_add(CHAIN);
        let last = self.elements.len() - 1;
        copies.copy(&self.back, self.elements.slice(last..last + 1)?)?;
        copies.submit()?.wait(SOON)?;
        expect("this crate", self.back.get(0)?, self.counted)?;
        Ok(Sample { sent, seen, gpu: Some(Duration::from_nanos(ns)) })
    }
}
