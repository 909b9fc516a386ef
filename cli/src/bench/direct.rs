//! What is measured, through this crate.

use std::time::{Duration, Instant};

use doorbell::{
    Buffer, Commands, Device, Kernel, Launch, Memory, Module, Options, Queue, Recording, Slot,
    Timeline, WaitPolicy, args,
};

use super::moving::Moving;
use super::stop::{Outcome, Stop};

/// How many kernels the long recording has: about as many as a small language model runs per token.
pub(crate) const CHAIN: u32 = 230;

/// Kernels that need not wait for each other, and how long each takes.
pub(crate) const BESIDE: u32 = 64;
const BUSY_NS: u64 = 20_000;

/// Nothing that is measured takes nearly as long, except on a GPU that hangs.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// The kernels of chains that start early.
pub(crate) const EARLY: [&str; 2] = ["add_one_early", "add_one_waiting"];

/// The committed cubins for one compute capability.
pub(crate) struct Cubins {
    pub(crate) word: &'static [u8],
    pub(crate) vector: &'static [u8],
    pub(crate) reduce: &'static [u8],
    pub(crate) time: &'static [u8],
    /// Kernels that wait for the one before themselves, where the GPU has such.
    pub(crate) early: Option<&'static [u8]>,
}

macro_rules! cubins {
    ($sm:literal, $early:expr) => {
        Cubins {
            word: include_bytes!(concat!("../../../ptx/", $sm, "/word.cubin")),
            vector: include_bytes!(concat!("../../../ptx/", $sm, "/vector.cubin")),
            reduce: include_bytes!(concat!("../../../ptx/", $sm, "/reduce.cubin")),
            time: include_bytes!(concat!("../../../ptx/", $sm, "/time.cubin")),
            early: $early,
        }
    };
}

impl Cubins {
    pub(crate) fn of(device: &Device) -> Cubins {
        Cubins::for_sm(device.info().sm)
    }

    pub(crate) fn for_sm(sm: u32) -> Cubins {
        match sm {
            90 => cubins!("sm_90", Some(include_bytes!("../../../ptx/sm_90/early.cubin"))),
            _ => cubins!("sm_87", None),
        }
    }
}

/// One thing done once: CPU time until it was sent, time until its result was seen, and the GPU's
/// own time where it was taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) sent: Duration,
    pub(crate) seen: Duration,
    pub(crate) gpu: Option<Duration>,
}

pub(crate) struct Direct {
    pub(crate) device: Device,
    pub(crate) compute: Queue,
    pub(crate) copies: Queue,
    pub(crate) cubins: Cubins,
    empty: Kernel,
    one: Recording,
    chain: Recording,
    timed: Recording,
    busy: Recording,
    beside: Recording,
    began: Timeline,
    began_slot: Slot<u64>,
    timed_replays: u64,
    word: Buffer<u32>,
    back: Buffer<u32>,
    increments: u32,
    moving: Moving,
    /// With kernels that let the next one start at once, and with such that do not say when; where
    /// launches can start early.
    early: Option<[Moving; 2]>,
}

pub(crate) fn open() -> Outcome<Device> {
    Ok(Options::new().wait_policy(WaitPolicy::SPIN).open()?)
}

impl Direct {
    pub(crate) fn new() -> Outcome<Direct> {
        let device = open()?;
        let cubins = Cubins::of(&device);
        let module = Module::load(&device, cubins.word)?;
        let (empty, increment) = (module.kernel("empty")?, module.kernel("increment")?);
        let compute = device.compute_queue()?;
        let copies = device.copy_queue()?;
        let word = device.alloc::<u32>(1)?;
        let back = device.alloc_in::<u32>(Memory::Host, 1)?;
        let launch = Launch::new(1, 1);

        let mut recorder = compute.record();
        // SAFETY: the kernel does nothing.
        unsafe { recorder.exec(&empty, &launch, &[])? };
        let one = recorder.finish()?;

        let mut recorder = compute.record();
        for _ in 0..CHAIN {
            // SAFETY: the kernel touches the one word.
            unsafe { recorder.exec(&increment, &launch, &args![&word])? };
        }
        let chain = recorder.finish()?;

        let began = device.timeline()?;
        let mut recorder = compute.record();
        let began_slot = recorder.value_slot(0)?;
        recorder.signal(&began, began_slot)?;
        for _ in 0..CHAIN {
            // SAFETY: as above.
            unsafe { recorder.exec(&increment, &launch, &args![&word])? };
        }
        let timed = recorder.finish()?;

        let busy = Module::load(&device, cubins.time)?.kernel("busy")?;
        let recording_of = |count: u32| {
            let mut recorder = compute.record();
            recorder.concurrently(|group| {
                // SAFETY: the kernel touches no memory.
                let mut run = || unsafe { group.exec(&busy, &launch, &args![BUSY_NS]).map(drop) };
                (0..count).try_for_each(|_| run())
            })?;
            recorder.finish()
        };
        let (busy, beside) = (recording_of(1)?, recording_of(BESIDE)?);
        let (timed_replays, increments) = (0, 0);
        let add_one = Module::load(&device, cubins.vector)?.kernel("add_one")?;
        let moving = Moving::new(&device, &compute, &add_one, false)?;
        let early = match cubins.early {
            Some(cubin) => {
                let module = Module::load(&device, cubin)?;
                let chain = |name| Moving::new(&device, &compute, &module.kernel(name)?, true);
                Some([chain(EARLY[0])?, chain(EARLY[1])?])
            }
            None => None,
        };
        Ok(Direct {
            device,
            compute,
            copies,
            cubins,
            empty,
            one,
            chain,
            timed,
            busy,
            beside,
            began,
            began_slot,
            timed_replays,
            word,
            back,
            increments,
            moving,
            early,
        })
    }

    /// Sends no command at all, and sees that the GPU has passed it.
    pub(crate) fn nothing(&mut self) -> Outcome<Sample> {
        let start = Instant::now();
        let ticket = self.compute.submit()?;
        let sent = start.elapsed();
        ticket.wait(SOON)?;
        Ok(Sample { sent, seen: start.elapsed(), gpu: None })
    }

    /// One empty kernel, encoded anew.
    pub(crate) fn eager(&mut self) -> Outcome<Sample> {
        let launch = Launch::new(1, 1);
        let start = Instant::now();
        // SAFETY: the kernel does nothing.
        unsafe { self.compute.exec(&self.empty, &launch, &[])? };
        let ticket = self.compute.submit()?;
        let sent = start.elapsed();
        ticket.wait(SOON)?;
        Ok(Sample { sent, seen: start.elapsed(), gpu: None })
    }

    /// One empty kernel, recorded.
    pub(crate) fn replay_one(&mut self) -> Outcome<Sample> {
        replay(&mut self.compute, &mut self.one)
    }

    /// One kernel that takes its time.
    pub(crate) fn replay_busy(&mut self) -> Outcome<Sample> {
        replay(&mut self.compute, &mut self.busy)
    }

    /// Many such that need not wait for each other.
    pub(crate) fn replay_beside(&mut self) -> Outcome<Sample> {
        replay(&mut self.compute, &mut self.beside)
    }

    /// The long recording; its result is checked.
    pub(crate) fn replay_chain(&mut self) -> Outcome<Sample> {
        let sample = replay(&mut self.compute, &mut self.chain)?;
        self.check()?;
        Ok(sample)
    }

    /// The same by the GPU's clock: from the moment it reached the first kernel until the last has
    /// ended.
    pub(crate) fn time_chain(&mut self) -> Outcome<Sample> {
        self.timed_replays += 1;
        self.timed.set_value(self.began_slot, self.timed_replays)?;
        let start = Instant::now();
        let ticket = self.compute.replay(&mut self.timed)?;
        let sent = start.elapsed();
        ticket.wait(SOON)?;
        let seen = start.elapsed();
        let ns = ticket.timeline().timestamp_ns().saturating_sub(self.began.timestamp_ns());
        self.check()?;
        Ok(Sample { sent, seen, gpu: Some(Duration::from_nanos(ns)) })
    }

    /// Whether launches can start early here.
    pub(crate) fn can_be_early(&self) -> bool {
        self.early.is_some()
    }

    /// A chain on changing multiprocessors, by the GPU's clock; its result is checked.
    pub(crate) fn time_moving(&mut self) -> Outcome<Sample> {
        self.moving.time(&mut self.compute, &mut self.copies)
    }

    /// The same with kernels that start early and let the next one start at once.
    pub(crate) fn time_early(&mut self) -> Outcome<Sample> {
        self.time_one_early(0)
    }

    /// The same with kernels that start early and do not say when the next one may.
    pub(crate) fn time_waiting(&mut self) -> Outcome<Sample> {
        self.time_one_early(1)
    }

    fn time_one_early(&mut self, which: usize) -> Outcome<Sample> {
        let Some(early) = &mut self.early else {
            return Err(Stop::Failed("no launch starts early on this GPU".to_owned()));
        };
        early[which].time(&mut self.compute, &mut self.copies)
    }

    fn check(&mut self) -> Outcome<()> {
        self.increments = self.increments.wrapping_add(CHAIN);
        self.copies.copy(&self.back, &self.word)?;
        self.copies.submit()?.wait(SOON)?;
        expect("this crate", self.back.get(0)?, self.increments)
    }
}

#[inline]
fn replay(queue: &mut Queue, recording: &mut Recording) -> Outcome<Sample> {
    let start = Instant::now();
    let ticket = queue.replay(recording)?;
    let sent = start.elapsed();
    ticket.wait(SOON)?;
    Ok(Sample { sent, seen: start.elapsed(), gpu: None })
}

/// Every kernel of a chain adds one.
pub(crate) fn expect(who: &str, counted: u32, expected: u32) -> Outcome<()> {
    if counted == expected {
        return Ok(());
    }
    Err(Stop::Failed(format!(
        "through {who} the kernels of a chain counted to {counted} and not to {expected}: one has read what was there before another wrote"
    )))
}
