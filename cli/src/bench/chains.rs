//! `doorbell bench chains`: whether each kernel of a chain sees what those before it stored.

use std::time::Instant;

use clap::Args;
use doorbell::{Commands, Device, Launch, Memory, Module, Queue, Recording, View, args};

use super::{CHAIN, Cubins, Interrupt, Outcome, SOON, Stop, open};
use crate::output;

#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct Chains {
    /// How often each chain of 230 kernels is replayed
    #[arg(long, value_name = "N", default_value = "1000", value_parser = super::rounds)]
    rounds: u32,
}

const AFTER_HELP: &str = "\
Kernels of a chain start each other, and memory barriers and cache invalidations between them are
left out where the hardware does not need them. These chains would show where it does: all use
ordinary cached loads, and their blocks move from multiprocessor to multiprocessor.

Examples:
  doorbell bench chains
  doorbell bench chains --rounds 10000";

/// What one kind of chain did.
struct Counted {
    what: String,
    kernels: u32,
    lost: u64,
    ns_per_kernel: f64,
}

/// What all chains need.
struct Bed<'a> {
    device: &'a Device,
    queue: Queue,
    copies: Queue,
    word: Module,
    vector: Module,
    rounds: u32,
    interrupt: &'a Interrupt,
}

/// Threads of a block.
const BLOCK: u32 = 64;

impl Chains {
    pub(crate) fn run(&self) -> Outcome<()> {
        let interrupt = Interrupt::watch()?;
        let device = open()?;
        let cubins = Cubins::of(&device);
        let mut bed = Bed {
            device: &device,
            queue: device.compute_queue()?,
            copies: device.copy_queue()?,
            word: Module::load(&device, cubins.word)?,
            vector: Module::load(&device, cubins.vector)?,
            rounds: self.rounds,
            interrupt: &interrupt,
        };
        let mut lost = 0;
        for chain in [one_word, two_buffers, fresh_inputs, results] {
            let counted = chain(&mut bed)?;
            lost += counted.lost;
            output::text(&format_args!(
                "{:<54}{:>10} kernels{:>8.0} ns each{:>10} lost\n",
                counted.what, counted.kernels, counted.ns_per_kernel, counted.lost
            ));
        }
        if lost > 0 {
            return Err(Stop::Failed(
                "a kernel has read what was there before another wrote".into(),
            ));
        }
        Ok(())
    }
}

impl Bed<'_> {
    /// How many kernels run in all.
    fn kernels(&self) -> u32 {
        self.rounds * CHAIN
    }

    /// Replays a chain of [`CHAIN`] kernels again and again: nanoseconds per kernel.
    fn replay(&mut self, recording: &mut Recording) -> Outcome<f64> {
        let start = Instant::now();
        for _ in 0..self.rounds {
            self.interrupt.check()?;
            self.queue.replay(recording)?;
        }
        self.queue.finish()?;
        Ok(start.elapsed().as_nanos() as f64 / f64::from(self.kernels()))
    }

    fn copy_back(&mut self, from: View<'_>) -> Outcome<Vec<u32>> {
        let back = self.device.alloc_in::<u32>(Memory::Host, from.len() as usize / 4)?;
        self.copies.copy(&back, from)?;
        self.copies.submit()?.wait(SOON)?;
        Ok(back.to_vec()?)
    }
}

/// Each kernel adds one to the word, and to what lies below it: with more blocks or fewer than the
/// kernel before, so that the word's block comes to lie on another multiprocessor.
fn one_word(bed: &mut Bed<'_>) -> Outcome<Counted> {
    const MOST: u32 = 61;
    let kernel = bed.vector.kernel("add_one")?;
    let n = MOST * BLOCK + 1;
    let words = bed.device.alloc::<u32>(n as usize)?;
    let mut recorder = bed.queue.record();
    for i in 0..CHAIN {
        let below = (7 * i) % MOST * BLOCK;
        let part = words.slice((n - 1 - below) as usize..n as usize)?;
        let (launch, args) = (Launch::new(below / BLOCK + 1, BLOCK), args![part, part, below + 1]);
        // SAFETY: the part has the elements that the kernel reads and writes.
        unsafe { recorder.exec(&kernel, &launch, &args)? };
    }
    let ns_per_kernel = bed.replay(&mut recorder.finish()?)?;
    let last = (n - 1) as usize;
    let back = bed.copy_back(words.slice(last..n as usize)?)?;
    let lost = back[0].abs_diff(bed.kernels());
    let what = "one word, by another block each time".to_owned();
    Ok(Counted { what, kernels: bed.kernels(), lost: lost.into(), ns_per_kernel })
}

/// Every multiprocessor at work on two buffers in turn, with blocks of another size each time: what
/// one had in its cache, another has overwritten since.
fn two_buffers(bed: &mut Bed<'_>) -> Outcome<Counted> {
    let kernel = bed.vector.kernel("add_one")?;
    let n = 5 * bed.device.info().sm_count * BLOCK + 17;
    let (a, b) = (bed.device.alloc::<u32>(n as usize)?, bed.device.alloc::<u32>(n as usize)?);
    let launch = |block| Launch::new(n.div_ceil(block), block);
    let mut recorder = bed.queue.record();
    for _ in 0..CHAIN / 2 {
        // SAFETY: both buffers have the `n` elements that the kernel reads and writes.
        unsafe {
            recorder.exec(&kernel, &launch(BLOCK), &args![&b, &a, n])?;
            recorder.exec(&kernel, &launch(BLOCK * 3 / 2), &args![&a, &b, n])?;
        }
    }
    let ns_per_kernel = bed.replay(&mut recorder.finish()?)?;
    let back = bed.copy_back(a.view())?;
    let lost = back.iter().filter(|element| **element != bed.kernels()).count() as u64;
    let what = format!("two buffers of {n} words");
    Ok(Counted { what, kernels: bed.kernels(), lost, ns_per_kernel })
}

/// What the CPU and the copy engine wrote must be what the next replay reads.
fn fresh_inputs(bed: &mut Bed<'_>) -> Outcome<Counted> {
    let kernel = bed.vector.kernel("add_one")?;
    let n = bed.device.info().sm_count * BLOCK;
    let host = || bed.device.alloc_in::<u32>(Memory::Host, n as usize);
    let (input, from_host, from_device) = (host()?, host()?, host()?);
    let copied = bed.device.alloc::<u32>(n as usize)?;
    let launch = Launch::new(n / BLOCK, BLOCK);
    let mut recorder = bed.queue.record();
    // SAFETY: all buffers have the `n` elements that the kernel reads and writes.
    unsafe {
        recorder.exec(&kernel, &launch, &args![&from_host, &input, n])?;
        recorder.exec(&kernel, &launch, &args![&from_device, &copied, n])?;
    }
    let mut recording = recorder.finish()?;
    let (mut lost, mut took) = (0, 0.0);
    for round in 1..=bed.rounds {
        bed.interrupt.check()?;
        input.write(0, &vec![round; n as usize])?;
        bed.copies.copy(&copied, &input)?;
        bed.copies.submit()?.wait(SOON)?;
        let start = Instant::now();
        bed.queue.replay(&mut recording)?.wait(SOON)?;
        took += start.elapsed().as_nanos() as f64;
        for output in [&from_host, &from_device] {
            lost += output.to_vec()?.iter().filter(|word| **word != round + 1).count() as u64;
        }
    }
    let kernels = 2 * bed.rounds;
    let what = format!("{n} words from the CPU, and from the copy engine");
    Ok(Counted { what, kernels, lost, ns_per_kernel: took / f64::from(kernels) })
}

/// Kernels that store into main memory, and a last one of a single block: when that one's end is
/// seen, what all the others stored must be. An argument changes with each replay.
fn results(bed: &mut Bed<'_>) -> Outcome<Counted> {
    const FILLS: u32 = 4;
    let fill = bed.vector.kernel("fill")?;
    let empty = bed.word.kernel("empty")?;
    let n = bed.device.info().sm_count * BLOCK;
    let words = bed.device.alloc_in::<u32>(Memory::Host, (FILLS * n) as usize)?;
    let mut recorder = bed.queue.record();
    let value = recorder.value_slot(0)?;
    for i in 0..FILLS {
        let part = words.slice((i * n) as usize..((i + 1) * n) as usize)?;
        // SAFETY: the kernel writes the `n` words of its part.
        unsafe { recorder.exec(&fill, &Launch::new(n / BLOCK, BLOCK), &args![part, value, n])? };
    }
    // SAFETY: it does nothing.
    unsafe { recorder.exec(&empty, &Launch::new(1, 1), &[])? };
    let mut recording = recorder.finish()?;
    let (mut lost, mut took) = (0, 0.0);
    for round in 1..=bed.rounds {
        bed.interrupt.check()?;
        recording.set_value(value, round.into())?;
        let start = Instant::now();
        bed.queue.replay(&mut recording)?.wait(SOON)?;
        took += start.elapsed().as_nanos() as f64;
        // From the end: the last stores are the likeliest to be missing.
        for i in (0..words.len()).rev().step_by(3) {
            lost += u64::from(words.get(i)? != round);
        }
    }
    let kernels = (FILLS + 1) * bed.rounds;
    let what = format!("{} words to the CPU, by changing arguments", words.len());
    Ok(Counted { what, kernels, lost, ns_per_kernel: took / f64::from(kernels) })
}
