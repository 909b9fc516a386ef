//! The GPU driven as a program drives it: words in memory, a doorbell, and a look at the result.

use std::sync::Arc;

use hw_defs::gpfifo::{Entry, Level, Sync};
use hw_defs::{Method, c7b5, c7c0, c76f, push, userd};

use super::*;

mod barriers;
mod compute;
mod copy;
mod counters;
mod dependents;
mod faults;
mod hopper;
mod host;
mod launch;
mod launch_faults;
mod orderings;
mod races;
mod schedule;
mod semaphores;
mod stage;
mod threads;
mod visibility;

const RING_VA: u64 = 0xff_0000_0000;
const PUSH_VA: u64 = 0x10_0000_0000;
const DATA_VA: u64 = 0x20_0000_0000;
const DATA_SIZE: u64 = 0x10_0000;
/// Mapped read-only, at the same place in every bench.
const CONST_VA: u64 = 0x30_0000_0000;
const ENTRIES: u32 = 8;
/// The first channel's id; others count down from it, as the driver's do.
const CHANNEL: u32 = 511;
const BUDGET: u32 = 100_000;

/// A GPU with channels on it, all in one address space.
struct Bench {
    gpu: Gpu,
    space: SpaceId,
    lanes: Vec<Lane>,
    push: Arc<Memory>,
    pushed: u64,
    data: Arc<Memory>,
    notifiers: Arc<Memory>,
}

struct Lane {
    id: u32,
    ring: Arc<Memory>,
    userd: Arc<Memory>,
    put: u32,
}

impl Bench {
    /// One channel.
    fn new() -> Bench {
        Bench::with(&[0])
    }

    /// A channel in each of these TSGs, with a subcontext of its own.
    fn with(tsgs: &[u32]) -> Bench {
        let own: Vec<_> = (1..).zip(tsgs).map(|(veid, &tsg)| (tsg, veid)).collect();
        Bench::in_subcontexts(&own)
    }

    /// A channel in each of these subcontexts, given by TSG and VEID.
    fn in_subcontexts(subcontexts: &[(u32, u32)]) -> Bench {
        let memory = |name, size| Memory::new(name, size).unwrap();
        let (push, data) = (memory("push", 1 << 20), memory("data", DATA_SIZE));
        let mut gpu = Gpu::new();
        let space = gpu.create_space();
        gpu.map(space, PUSH_VA, push.clone(), 0, push.size(), Access::ReadOnly);
        gpu.map(space, DATA_VA, data.clone(), 0, data.size(), Access::ReadWrite);
        gpu.map(space, CONST_VA, memory("const", 4096), 0, 4096, Access::ReadOnly);
        let notifiers = memory("notifiers", 4096);
        let mut lanes = Vec::new();
        for (i, &(tsg, veid)) in subcontexts.iter().enumerate() {
            let (ring, userd) = (memory("ring", 4096), memory("userd", 4096));
            let ring_va = RING_VA + i as u64 * 4096;
            gpu.map(space, ring_va, ring.clone(), 0, 4096, Access::ReadOnly);
            let id = CHANNEL - i as u32;
            gpu.set_error_notifier(id, Some((notifiers.clone(), i as u64 * 16)));
            let setup =
                ChannelSetup { tsg, veid, space, ring_va, entries: ENTRIES, userd: userd.clone() };
            gpu.create_channel(id, setup);
            gpu.allow_class(id, c7c0::AMPERE_COMPUTE_B);
            gpu.allow_class(id, c7b5::AMPERE_DMA_COPY_B);
            lanes.push(Lane { id, ring, userd, put: 0 });
        }
        Bench { gpu, space, lanes, push, pushed: 0, data, notifiers }
    }

    /// Puts words where the GPU can fetch them.
    fn place(&mut self, words: &[u32]) -> u64 {
        let offset = self.pushed;
        self.pushed += words.len() as u64 * 4;
        self.replace(PUSH_VA + offset, words);
        PUSH_VA + offset
    }

    /// Overwrites words placed before.
    fn replace(&mut self, va: u64, words: &[u32]) {
        for (i, word) in words.iter().enumerate() {
            self.push.store_u32(va - PUSH_VA + i as u64 * 4, *word);
        }
    }

    /// Writes a ring entry of channel `lane` without telling anybody.
    fn enter(&mut self, lane: usize, entry: u64) {
        let lane = &mut self.lanes[lane];
        lane.ring.store_u64(u64::from(lane.put) * 8, entry);
        lane.put = (lane.put + 1) % ENTRIES;
    }

    fn enter_segment(&mut self, lane: usize, va: u64, words: usize) {
        self.enter(lane, Entry::encode(va, words as u32, Level::Main, Sync::Proceed));
    }

    /// Tells the GPU about the entries written so far.
    fn ring(&mut self, lane: usize) {
        let lane = &self.lanes[lane];
        lane.userd.store_u32(userd::GP_PUT, lane.put);
        assert!(self.gpu.doorbell(lane.id));
    }

    /// Submits one segment on channel `lane`; where it lies.
    fn submit_on(&mut self, lane: usize, parts: &[Vec<u32>]) -> u64 {
        let words = parts.concat();
        let va = self.place(&words);
        self.enter_segment(lane, va, words.len());
        self.ring(lane);
        va
    }

    fn submit(&mut self, parts: &[Vec<u32>]) -> u64 {
        self.submit_on(0, parts)
    }

    /// Steps until nothing moves any more.
    fn settle(&mut self) -> Progress {
        loop {
            match self.gpu.step(BUDGET) {
                Progress::Worked => {}
                other => return other,
            }
        }
    }

    /// Submits, settles, and expects all of it to be executed without a word.
    fn execute(&mut self, parts: &[Vec<u32>]) {
        self.submit(parts);
        assert_eq!(self.settle(), Progress::Idle);
        assert_eq!(self.gpu.take_events(), []);
    }

    /// Submits, settles, and expects a fault: its code and report.
    fn fault(&mut self, parts: &[Vec<u32>]) -> (u32, String) {
        self.submit(parts);
        self.settled_fault()
    }

    fn settled_fault(&mut self) -> (u32, String) {
        assert_eq!(self.settle(), Progress::Idle);
        match &self.gpu.take_events()[..] {
            [Event::Fault { cause, report, .. }] => (cause.code(), report.clone()),
            other => panic!("one fault was expected: {other:?}"),
        }
    }

    fn word(&self, offset: u64) -> u32 {
        self.data.load_u32(offset)
    }
}

/// Words for consecutive methods.
fn send(subchannel: u32, method: Method, data: &[u32]) -> Vec<u32> {
    let mut words = vec![push::inc(subchannel, method, data.len() as u32)];
    words.extend(data);
    words
}

fn halves(value: u64) -> [u32; 2] {
    [(value >> 32) as u32, value as u32]
}

/// A host semaphore operation with `flags` from SEM_EXECUTE.
fn semaphore(va: u64, payload: u64, flags: u32) -> Vec<u32> {
    let ([va_hi, va_lo], [hi, lo]) = (halves(va), halves(payload));
    send(0, c76f::SEM_ADDR_LO, &[va_lo, va_hi, lo, hi, flags])
}

fn release(va: u64, payload: u32) -> Vec<u32> {
    semaphore(va, payload.into(), c76f::SEM_EXECUTE_OPERATION_RELEASE)
}

fn acquire(va: u64, payload: u32) -> Vec<u32> {
    semaphore(va, payload.into(), c76f::SEM_EXECUTE_OPERATION_ACQ_CIRC_GEQ)
}

fn copy_class() -> Vec<u32> {
    send(4, c76f::SET_OBJECT, &[c7b5::AMPERE_DMA_COPY_B])
}

fn compute_class() -> Vec<u32> {
    send(1, c76f::SET_OBJECT, &[c7c0::AMPERE_COMPUTE_B])
}

/// A report must say all of this.
#[track_caller]
fn says(report: &str, parts: &[&str]) {
    for part in parts {
        assert!(report.contains(part), "`{part}` is missing from: {report}");
    }
}
