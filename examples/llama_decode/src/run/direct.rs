//! The direct way: the GPU's own queues.

use std::collections::HashMap;
use std::fs;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use doorbell::{
    Arg, Buffer, Commands, Device, Kernel, Launch, Memory, Module, Queue, Recording, Select,
    Timeline,
};

use super::arguments::arguments;
use super::staging::Staging;
use super::{Backend, Error, Mib, Result, Span, cubins, name_of, too_little};
use crate::plan::{BufferId, Limits, Machine, Place, Plan, Step};

/// How long one kernel may take before it is blamed.
const LONGEST_STEP: Duration = Duration::from_secs(20);

/// An open GPU with a plan in it.
#[derive(Debug)]
pub struct Direct {
    device: Device,
    compute: Queue,
    placed: Placed,
    recording: Option<Recording>,
    /// The last submission's value on the queue's timeline.
    sent: u64,
    /// Where the CPU cannot write GPU memory itself.
    staging: Option<Staging>,
}

/// What of a plan lies in the GPU's memory.
#[derive(Debug, Default)]
struct Placed {
    /// Whether kernels that can start early do.
    early: bool,
    buffers: Vec<Held>,
    modules: HashMap<&'static str, Module>,
    kernels: HashMap<(&'static str, &'static str), Kernel>,
}

#[derive(Debug)]
enum Held {
    Gpu(Buffer<u8>),
    /// In words: that is how both sides read and write them, whole.
    Shared(Buffer<u32>),
}

impl Direct {
    /// Opens the GPU of this machine.
    pub fn open() -> Result<Direct> {
        Direct::open_as(true)
    }

    /// The same; no kernel starts before the one ahead of it has ended.
    pub fn open_plain() -> Result<Direct> {
        Direct::open_as(false)
    }

    fn open_as(early: bool) -> Result<Direct> {
        let device = Device::open(Select::Auto)?;
        let compute = device.compute_queue()?;
        let placed = Placed { early, ..Placed::default() };
        let (recording, sent, staging) = (None, 0, None);
        Ok(Direct { device, compute, placed, recording, sent, staging })
    }
}

impl Placed {
    /// Loads the kernels of steps.
    fn load(&mut self, device: &Device, steps: &[Step]) -> Result<()> {
        for step in steps {
            let name = (step.module, step.kernel);
            if self.kernels.contains_key(&name) {
                continue;
            }
            if !self.modules.contains_key(step.module) {
                let cubin = cubins::cubin(step.module, device.info().sm)?;
                self.modules.insert(step.module, Module::load(device, cubin)?);
            }
            self.kernels.insert(name, self.modules[step.module].kernel(step.kernel)?);
        }
        Ok(())
    }

    fn address(&self, buffer: BufferId) -> u64 {
        match &self.buffers[buffer.0 as usize] {
            Held::Gpu(buffer) => buffer.gpu().get(),
            Held::Shared(buffer) => buffer.gpu().get(),
        }
    }

    /// Launches a step whose kernel is loaded.
    fn exec(&self, target: &mut impl Commands, step: &Step) -> Result<()> {
        let kernel = &self.kernels[&(step.module, step.kernel)];
        let mut launch =
            Launch::new(step.grid, step.block).shared(step.shared).carve_out(step.carve_out);
        if step.early && self.early {
            launch = launch.early();
        }
        let bytes = arguments(step, &|buffer| self.address(buffer));
        let args: Vec<_> = bytes.iter().map(|arg| Arg::bytes(&arg.bytes[..arg.len])).collect();
        // SAFETY: a plan's kernels keep to the plan's buffers, which live as long as the queue, and
        // those that it marks as early keep to the rules for that.
        let launched = unsafe { target.exec(kernel, &launch, &args) };
        launched.map(|_| ()).map_err(|error| Error::of_step(step, error.into()))
    }
}

impl Backend for Direct {
    fn machine(&self) -> Machine {
        let info = self.device.info();
        Machine { sms: info.sm_count, sm: info.sm }
    }

    fn describe(&self) -> String {
        let info = self.device.info();
        format!("{} with {} SMs, {} ({})", info.chip, info.sm_count, info.node, info.driver)
    }

    fn place(&mut self, plan: &Plan, limits: &Limits) -> Result<()> {
        let unified = self.device.info().unified_memory;
        let needed = plan.buffers.iter().map(|buffer| buffer.bytes).sum();
        // One memory for all: the driver would hand out the last page, and the system would stall.
        if let Some(available) = available_memory().filter(|free| unified && *free < needed) {
            return Err(too_little(plan, limits, format!("{} are available", Mib(available))));
        }
        let mut had = 0;
        for spec in &plan.buffers {
            let bytes = spec.bytes as usize;
            let held = match spec.place {
                Place::Gpu => self.device.alloc(bytes).map(Held::Gpu),
                Place::Shared => {
                    self.device.alloc_in(Memory::Host, bytes.div_ceil(4)).map(Held::Shared)
                }
            };
            self.placed.buffers.push(held.map_err(|error| {
                too_little(plan, limits, format!("after {} the driver says: {error}", Mib(had)))
            })?);
            had += spec.bytes;
        }
        if !unified {
            self.staging = Some(Staging::new(&self.device)?);
        }
        self.placed.load(&self.device, &plan.decode)
    }

    fn write(&mut self, buffer: BufferId, at: u64, bytes: &[u8]) -> Result<()> {
        let at = at as usize;
        match (&self.placed.buffers[buffer.0 as usize], &mut self.staging) {
            (Held::Shared(to), _) => {
                for (i, word) in bytes.chunks_exact(4).enumerate() {
                    let word = word.try_into().expect("chunks of 4");
                    to.set(at / 4 + i, u32::from_le_bytes(word))?;
                }
                Ok(())
            }
            (Held::Gpu(to), Some(staging)) => staging.write(to, at, bytes),
            (Held::Gpu(to), None) => Ok(to.write(at, bytes)?),
        }
    }

    fn settle(&mut self) -> Result<()> {
        self.staging.as_mut().map_or(Ok(()), Staging::settle)
    }

    fn read(&mut self, buffer: BufferId, at: u64, bytes: &mut [u8]) -> Result<()> {
        let at = at as usize;
        match (&self.placed.buffers[buffer.0 as usize], &mut self.staging) {
            (Held::Shared(from), _) => {
                for (i, word) in bytes.chunks_exact_mut(4).enumerate() {
                    word.copy_from_slice(&from.get(at / 4 + i)?.to_le_bytes());
                }
                Ok(())
            }
            (Held::Gpu(from), Some(staging)) => staging.read(from, at, bytes),
            (Held::Gpu(from), None) => Ok(from.read(at, bytes)?),
        }
    }

    fn word(&self, buffer: BufferId, index: usize) -> u32 {
        let Held::Shared(words) = &self.placed.buffers[buffer.0 as usize] else {
            panic!("only shared buffers are read while the GPU works");
        };
        let word = words.get(index).expect("the index is the caller's own");
        fence(Ordering::Acquire);
        word
    }

    fn send(&mut self, steps: &[Step]) -> Result<()> {
        self.placed.load(&self.device, steps)?;
        steps.iter().try_for_each(|step| self.placed.exec(&mut self.compute, step))?;
        self.sent = self.compute.submit()?.value();
        Ok(())
    }

    fn prepare(&mut self, steps: &[Step], repeats: u32, ahead: u32) -> Result<()> {
        self.placed.load(&self.device, steps)?;
        let mut recorder = self.compute.record();
        // One more than may be under way: a token is seen a moment before its recording has ended.
        recorder.in_flight(ahead as usize + 1);
        for step in (0..repeats).flat_map(|_| steps) {
            self.placed.exec(&mut recorder, step)?;
        }
        self.recording = Some(recorder.finish()?);
        Ok(())
    }

    fn ring(&mut self) -> Result<()> {
        let recording = self.recording.as_mut().expect("prepared before it is sent");
        self.sent = self.compute.replay(recording)?.value();
        Ok(())
    }

    fn is_idle(&mut self) -> Result<bool> {
        // A wait that ends at once asks for faults.
        match self.compute.timeline().wait(self.sent, Duration::ZERO) {
            Ok(()) => Ok(true),
            Err(doorbell::Error::Timeout { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn finish(&mut self, patience: Duration) -> Result<()> {
        match self.compute.timeline().wait(self.sent, patience) {
            Err(doorbell::Error::Timeout { waited, .. }) => Err(Error::Silence(waited)),
            other => Ok(other?),
        }
    }

    fn profile(&mut self, steps: &[Step]) -> Result<Vec<Span>> {
        self.placed.load(&self.device, steps)?;
        let timelines = (0..=steps.len()).map(|_| self.device.timeline());
        let timelines: Vec<Timeline> = timelines.collect::<doorbell::Result<_>>()?;
        let mut recorder = self.compute.record();
        recorder.signal(&timelines[0], 1)?;
        for (step, timeline) in steps.iter().zip(&timelines[1..]) {
            self.placed.exec(&mut recorder, step)?;
            recorder.signal(timeline, 1)?;
        }
        let mut recording = recorder.finish()?;
        self.compute.replay(&mut recording)?.wait(LONGEST_STEP)?;
        let mut began = timelines[0].timestamp_ns();
        let spans = timelines[1..].iter().map(|timeline| {
            // A kernel that may start early can end before the one ahead of it has signalled.
            let ended = timeline.timestamp_ns().max(began);
            Span { began: std::mem::replace(&mut began, ended), ended }
        });
        Ok(spans.collect())
    }

    fn blame(&mut self, steps: &[Step]) -> Option<String> {
        // The faulty queue is dead; what is in memory is still there.
        self.compute = self.device.compute_queue().ok()?;
        self.recording = None;
        let fails = |step: &&Step| {
            let sent = self.send(std::slice::from_ref(*step));
            sent.and_then(|()| self.finish(LONGEST_STEP)).is_err()
        };
        steps.iter().find(fails).map(name_of)
    }
}

/// Bytes of main memory that programs can have without others giving any up.
fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{BufferSpec, Role, Value};

    fn spec(name: &str, place: Place) -> BufferSpec {
        BufferSpec { name: name.to_owned(), bytes: 4096, place, role: Role::Activations }
    }

    fn step(kernel: &'static str, args: Vec<Value>) -> Step {
        Step {
            part: "test",
            layer: Some(3),
            module: "word",
            kernel,
            grid: [1; 3],
            block: [1; 3],
            shared: 0,
            carve_out: 0,
            args,
            reads: 0,
            early: false,
        }
    }

    /// A plan that counts in GPU memory and copies the count to a shared word.
    fn counting() -> Plan {
        let counter = Value::Buffer(BufferId(0), 64);
        Plan {
            buffers: vec![spec("counter", Place::Gpu), spec("shown", Place::Shared)],
            uploads: Vec::new(),
            decode: vec![
                step("increment", vec![counter]),
                step("copy_word", vec![Value::Buffer(BufferId(1), 8), counter]),
            ],
            prefill: Default::default(),
        }
    }

    const LIMITS: Limits = Limits { context: 16, prefill: 4, ring: 16 };
    const SOON: Duration = Duration::from_secs(20);

    fn on_the_software_orin<R: Send>(body: impl FnOnce(Direct) -> R + Send) -> R {
        let ran = emulator::run(emulator::Options::default(), |_| body(Direct::open().unwrap()));
        ran.unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn steps_run_in_order_once_or_as_prepared() {
        on_the_software_orin(|mut gpu| {
            let plan = counting();
            gpu.place(&plan, &LIMITS).unwrap();
            gpu.write(BufferId(0), 64, &100u32.to_le_bytes()).unwrap();
            gpu.settle().unwrap();
            gpu.send(&plan.decode).unwrap();
            gpu.finish(SOON).unwrap();
            assert_eq!(gpu.word(BufferId(1), 2), 101);
            gpu.prepare(&plan.decode, 3, 2).unwrap();
            for _ in 0..5 {
                gpu.ring().unwrap();
            }
            gpu.finish(SOON).unwrap();
            assert!(gpu.is_idle().unwrap());
            assert_eq!(gpu.word(BufferId(1), 2), 116);
            let mut count = [0; 4];
            gpu.read(BufferId(0), 64, &mut count).unwrap();
            assert_eq!(u32::from_le_bytes(count), 116);
        });
    }

    #[test]
    fn a_profile_has_a_span_for_each_step() {
        on_the_software_orin(|mut gpu| {
            let plan = counting();
            gpu.place(&plan, &LIMITS).unwrap();
            let spans = gpu.profile(&plan.decode).unwrap();
            assert_eq!(spans.len(), 2);
            assert!(spans.iter().all(|span| span.began <= span.ended));
            assert_eq!(spans[0].ended, spans[1].began);
            assert_eq!(gpu.word(BufferId(1), 2), 1);
        });
    }

    #[test]
    fn the_kernel_that_faults_is_named() {
        on_the_software_orin(|mut gpu| {
            let mut plan = counting();
            gpu.place(&plan, &LIMITS).unwrap();
            plan.decode.push(step("increment", vec![Value::U64(0x10)]));
            gpu.send(&plan.decode).unwrap();
            assert!(matches!(gpu.finish(SOON), Err(Error::Device(doorbell::Error::Fault(_)))));
            let named = gpu.blame(&plan.decode).unwrap();
            assert_eq!(named, "kernel `increment` (test, layer 3)");
        });
    }

    #[test]
    fn wrong_steps_are_refused_by_name() {
        on_the_software_orin(|mut gpu| {
            let plan = counting();
            gpu.place(&plan, &LIMITS).unwrap();
            let wrong = step("increment", vec![Value::U32(0)]);
            let refused = gpu.send(&[wrong]).unwrap_err().to_string();
            assert!(refused.starts_with("kernel `increment` (test, layer 3): "), "{refused}");
            let mut plan = counting();
            plan.buffers[0].bytes = 1 << 50;
            let refused = Direct::open().unwrap().place(&plan, &LIMITS).unwrap_err();
            assert!(matches!(refused, Error::Memory { context: 16, .. }), "{refused}");
        });
    }
}
