//! `doorbell bench chains`: whether each kernel of a chain sees what those before it stored.

use std::time::Instant;

use clap::{Args, ValueEnum};
use doorbell::{Commands, Device, Kernel, Launch, Memory, Module, Queue, Recording, View, args};

use super::{BLOCK, CHAIN, Cubins, ELEMENTS, Interrupt, Outcome, SOON, Stop, below, open};
use crate::output;

#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct Chains {
    /// How often each chain of 230 kernels is replayed
    #[arg(long, value_name = "N", default_value = "1000", value_parser = super::rounds)]
    rounds: u32,

    /// Only these chains
    #[arg(long, value_name = "CHAIN,...", value_delimiter = ',')]
    only: Vec<Chain>,
}

/// A kind of chain.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Chain {
    /// Each kernel adds one to the same word, by another block each time
    OneWord,
    /// Every multiprocessor reads and writes, two buffers in turn
    TwoBuffers,
    /// One kernel, two that wait for it, one that waits for both
    Diamonds,
    /// Every thread stores 128 bytes last of all
    Bursts,
    /// The CPU and the copy engine write what a replay reads
    FreshInputs,
    /// All multiprocessors store for the CPU, one block ends the chain
    Results,
}

const AFTER_HELP: &str = "\
Kernels of a chain start each other, each is made ready while the one before still runs, and memory
barriers and cache invalidations between them are left out where the hardware does not need them.
These chains would show where it does: all use ordinary cached loads, and their blocks move from
multiprocessor to multiprocessor. On Hopper all run a second time with kernels that start early.

Examples:
  doorbell bench chains
  doorbell bench chains --rounds 100000 --only one-word,diamonds";

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
    rounds: u32,
    interrupt: &'a Interrupt,
}

/// The kernels of the chains, and how they are launched.
struct Kernels {
    name: &'static str,
    early: bool,
    add_one: Kernel,
    mirror: Kernel,
    fill: Kernel,
    empty: Kernel,
}

impl Kernels {
    fn launch(&self, grid: u32, block: u32) -> Launch {
        let launch = Launch::new(grid, block);
        if self.early { launch.early() } else { launch }
    }

    fn plain(device: &Device, cubins: &Cubins) -> Outcome<Kernels> {
        let vector = Module::load(device, cubins.vector)?;
        Ok(Kernels {
            name: "",
            early: false,
            add_one: vector.kernel("add_one")?,
            mirror: vector.kernel("mirror")?,
            fill: vector.kernel("fill")?,
            empty: Module::load(device, cubins.word)?.kernel("empty")?,
        })
    }

    fn early(device: &Device, cubin: &[u8]) -> Outcome<Kernels> {
        let module = Module::load(device, cubin)?;
        Ok(Kernels {
            name: "early: ",
            early: true,
            add_one: module.kernel("add_one_early")?,
            mirror: module.kernel("mirror_early")?,
            fill: module.kernel("fill_early")?,
            empty: module.kernel("empty_early")?,
        })
    }
}

impl Chains {
    pub(crate) fn run(&self) -> Outcome<()> {
        let interrupt = Interrupt::watch()?;
        let device = open()?;
        let cubins = Cubins::of(&device);
        let mut bed = Bed {
            device: &device,
            queue: device.compute_queue()?,
            copies: device.copy_queue()?,
            rounds: self.rounds,
            interrupt: &interrupt,
        };
        let mut all = vec![Kernels::plain(&device, &cubins)?];
        match cubins.early {
            Some(cubin) => all.push(Kernels::early(&device, cubin)?),
            None => super::progress("no launch starts early before Hopper: that is left out"),
        }
        let mut lost = 0;
        for kernels in &all {
            for chain in Chain::value_variants() {
                if !self.only.is_empty() && !self.only.contains(chain) {
                    continue;
                }
                let count = match chain {
                    Chain::OneWord => one_word,
                    Chain::TwoBuffers => two_buffers,
                    Chain::Diamonds => diamonds,
                    Chain::Bursts => bursts,
                    Chain::FreshInputs => fresh_inputs,
                    Chain::Results => results,
                };
                let counted = count(&mut bed, kernels)?;
                lost += counted.lost;
                output::text(&format_args!(
                    "{:<60}{:>9} kernels{:>7.0} ns each{:>8} lost\n",
                    format!("{}{}", kernels.name, counted.what),
                    counted.kernels,
                    counted.ns_per_kernel,
                    counted.lost
                ));
            }
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

/// Each kernel adds one to the word, and to what lies below it.
fn one_word(bed: &mut Bed<'_>, kernels: &Kernels) -> Outcome<Counted> {
    let words = bed.device.alloc::<u32>(ELEMENTS as usize)?;
    let last = (ELEMENTS - 1) as usize;
    let mut recorder = bed.queue.record();
    for i in 0..CHAIN {
        let below = below(i);
        let part = words.slice(last - below as usize..last + 1)?;
        let launch = kernels.launch(below / BLOCK + 1, BLOCK);
        // SAFETY: the part has the elements that the kernel reads and writes.
        unsafe { recorder.exec(&kernels.add_one, &launch, &args![part, part, below + 1])? };
    }
    let ns_per_kernel = bed.replay(&mut recorder.finish()?)?;
    let back = bed.copy_back(words.slice(last..last + 1)?)?;
    let lost = back[0].abs_diff(bed.kernels());
    let what = "one word, by another block each time".to_owned();
    Ok(Counted { what, kernels: bed.kernels(), lost: lost.into(), ns_per_kernel })
}

/// Every multiprocessor at work on two buffers in turn, with blocks of another size each time: what
/// one had in its cache, another has overwritten since.
fn two_buffers(bed: &mut Bed<'_>, kernels: &Kernels) -> Outcome<Counted> {
    let n = 5 * bed.device.info().sm_count * BLOCK + 17;
    let (a, b) = (bed.device.alloc::<u32>(n as usize)?, bed.device.alloc::<u32>(n as usize)?);
    let launch = |block| kernels.launch(n.div_ceil(block), block);
    let mut recorder = bed.queue.record();
    for _ in 0..CHAIN / 2 {
        // SAFETY: both buffers have the `n` elements that the kernel reads and writes.
        unsafe {
            recorder.exec(&kernels.add_one, &launch(BLOCK), &args![&b, &a, n])?;
            recorder.exec(&kernels.add_one, &launch(BLOCK * 3 / 2), &args![&a, &b, n])?;
        }
    }
    let ns_per_kernel = bed.replay(&mut recorder.finish()?)?;
    let back = bed.copy_back(a.view())?;
    let lost = back.iter().filter(|element| **element != bed.kernels()).count() as u64;
    let what = format!("two buffers of {n} words");
    Ok(Counted { what, kernels: bed.kernels(), lost, ns_per_kernel })
}

/// Forks and joins: one kernel over all words, two over a half each that wait for nothing but that one,
/// one over all that waits for both, and so on.
fn diamonds(bed: &mut Bed<'_>, kernels: &Kernels) -> Outcome<Counted> {
    const DIAMONDS: u32 = 16;
    let half = ELEMENTS;
    let n = 2 * half;
    let [a, b, c] = [(); 3].map(|()| bed.device.alloc::<u32>(n as usize));
    let (a, b, c) = (a?, b?, c?);
    let launch = |n: u32, block| kernels.launch(n.div_ceil(block), block);
    let (all, side) = (launch(n, BLOCK), launch(half, BLOCK * 3 / 2));
    let mut recorder = bed.queue.record();
    let mut before = Vec::new();
    for _ in 0..DIAMONDS {
        // SAFETY: the buffers have the elements that the kernels read and write, and the two sides
        // use different ones.
        unsafe {
            let add_one = &kernels.add_one;
            let top = recorder.exec_after(add_one, &all, &args![&b, &a, n], &before)?;
            let mut sides = [top; 2];
            for (i, node) in (0..).zip(&mut sides) {
                let part = i * half as usize..(i + 1) * half as usize;
                let (to, from) = (c.slice(part.clone())?, b.slice(part)?);
                *node = recorder.exec_after(add_one, &side, &args![to, from, half], &[top])?;
            }
            before = vec![recorder.exec_after(add_one, &all, &args![&a, &c, n], &sides)?];
        }
    }
    let of_chains = bed.replay(&mut recorder.finish()?)?;
    let kernels = 4 * DIAMONDS;
    let back = bed.copy_back(a.view())?;
    let expected = 3 * DIAMONDS * bed.rounds;
    Ok(Counted {
        what: format!("{DIAMONDS} diamonds over {n} words"),
        kernels: kernels * bed.rounds,
        lost: back.iter().filter(|element| **element != expected).count() as u64,
        ns_per_kernel: of_chains * f64::from(CHAIN) / f64::from(kernels),
    })
}

/// Every multiprocessor stores 128 bytes per thread last of all, so that stores queue up on their way,
/// and what one stored last another reads first.
fn bursts(bed: &mut Bed<'_>, kernels: &Kernels) -> Outcome<Counted> {
    const PER_THREAD: u32 = 8;
    const BLOCK: u32 = 256;
    // Several blocks for each multiprocessor, of elements of 16 bytes.
    let n = bed.device.info().sm_count * 4 * BLOCK * PER_THREAD - 5;
    let words = 4 * n as usize;
    let (a, b) = (bed.device.alloc::<u32>(words)?, bed.device.alloc::<u32>(words)?);
    let launch = kernels.launch(n.div_ceil(PER_THREAD * BLOCK), BLOCK);
    let mut recorder = bed.queue.record();
    for _ in 0..CHAIN / 2 {
        // SAFETY: both buffers have the `n` elements that the kernel reads and writes.
        unsafe {
            recorder.exec(&kernels.mirror, &launch, &args![&b, &a, n])?;
            recorder.exec(&kernels.mirror, &launch, &args![&a, &b, n])?;
        }
    }
    let ns_per_kernel = bed.replay(&mut recorder.finish()?)?;
    let back = bed.copy_back(a.view())?;
    let lost = back.iter().filter(|word| **word != bed.kernels()).count() as u64;
    let what = format!("bursts into two buffers of {words} words");
    Ok(Counted { what, kernels: bed.kernels(), lost, ns_per_kernel })
}

/// What the CPU and the copy engine wrote must be what the next replay reads.
fn fresh_inputs(bed: &mut Bed<'_>, kernels: &Kernels) -> Outcome<Counted> {
    let n = bed.device.info().sm_count * BLOCK;
    let host = || bed.device.alloc_in::<u32>(Memory::Host, n as usize);
    let (input, from_host, from_device) = (host()?, host()?, host()?);
    let copied = bed.device.alloc::<u32>(n as usize)?;
    let launch = kernels.launch(n / BLOCK, BLOCK);
    let mut recorder = bed.queue.record();
    // SAFETY: all buffers have the `n` elements that the kernel reads and writes.
    unsafe {
        recorder.exec(&kernels.add_one, &launch, &args![&from_host, &input, n])?;
        recorder.exec(&kernels.add_one, &launch, &args![&from_device, &copied, n])?;
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
fn results(bed: &mut Bed<'_>, kernels: &Kernels) -> Outcome<Counted> {
    const FILLS: u32 = 4;
    let n = bed.device.info().sm_count * BLOCK;
    let words = bed.device.alloc_in::<u32>(Memory::Host, (FILLS * n) as usize)?;
    let mut recorder = bed.queue.record();
    let value = recorder.value_slot(0)?;
    for i in 0..FILLS {
        let part = words.slice((i * n) as usize..((i + 1) * n) as usize)?;
        let launch = kernels.launch(n / BLOCK, BLOCK);
        // SAFETY: the kernel writes the `n` words of its part.
        unsafe { recorder.exec(&kernels.fill, &launch, &args![part, value, n])? };
    }
    // SAFETY: it does nothing.
    unsafe { recorder.exec(&kernels.empty, &kernels.launch(1, 1), &[])? };
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
