//! Random operations on both queues against a sequential oracle: plain byte vectors that see the
//! same operations one after the other.

use std::env;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use doorbell::{
    Buffer, Commands, Device, Kernel, Launch, Memory, Queue, Recording, Result, Slot, Ticket,
    Timeline, View, args,
};

use super::kernels::module;

/// Operations in the ordinary run. `DOORBELL_RANDOM_OPS=10000000` is the long one,
/// `DOORBELL_SEED` repeats a run.
const OPERATIONS: u64 = 100_000;
const BUFFERS: usize = 6;
const LEN: usize = 16 << 10;

pub(super) struct Rng(u64);

impl Rng {
    /// What `DOORBELL_SEED` says, or else another one each time; and the number, to be told.
    pub(super) fn of_this_run() -> (Rng, u64) {
        let seed = number("DOORBELL_SEED").unwrap_or_else(|| {
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_nanos() as u64)
                | 1
        });
        (Rng(seed), seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n
    }
}

/// A number from the environment.
pub(super) fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Both queues in one order: the one that takes over waits for the other.
struct Gpu {
    queues: [Queue; 2],
    turn: usize,
    order: Timeline,
    value: u64,
    last: Option<Ticket>,
}

const COMPUTE: usize = 0;
const COPY: usize = 1;

impl Gpu {
    /// The queue for the next operation, held until everything before it is done.
    fn take(&mut self, turn: usize) -> Result<&mut Queue> {
        if turn != self.turn {
            self.value += 1;
            self.queues[self.turn].signal(&self.order, self.value)?;
            self.last = Some(self.queues[self.turn].submit()?.detach());
            self.turn = turn;
            self.queues[turn].wait(&self.order, self.value)?;
        }
        Ok(&mut self.queues[turn])
    }

    fn submit(&mut self) -> Result<()> {
        self.last = Some(self.queues[self.turn].submit()?.detach());
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.submit()?;
        self.last.take().expect("just set").wait(Duration::from_secs(60))
    }
}

struct Recorded {
    recording: Recording,
    to: Slot<View<'static>>,
    from: Slot<View<'static>>,
}

/// A recorded launch of `fill`, whose target and value change.
struct Filled {
    recording: Recording,
    to: Slot<View<'static>>,
    value: Slot<u64>,
}

/// Words that the recorded launch fills.
const FILLED: usize = 40;

fn record_fill(queue: &Queue, fill: &Kernel, buffers: &[Buffer<u8>]) -> Result<Filled> {
    let mut recorder = queue.record();
    recorder.in_flight(3);
    let to = recorder.view_slot(buffers[0].slice(0..4 * FILLED)?)?;
    let value = recorder.value_slot(0)?;
    // SAFETY: the kernel writes the words that every view has.
    unsafe { recorder.exec(fill, &Launch::new(2, 32), &args![to, value, FILLED as u32])? };
    Ok(Filled { recording: recorder.finish()?, to, value })
}

/// The length that the recorded copy has.
const RECORDED: usize = 96;

fn record(queue: &Queue, buffers: &[Buffer<u8>]) -> Result<Recorded> {
    let mut recorder = queue.record();
    recorder.in_flight(3);
    let to = recorder.view_slot(buffers[0].slice(0..RECORDED)?)?;
    let from = recorder.view_slot(buffers[1].slice(0..RECORDED)?)?;
    recorder.copy(to, from)?;
    Ok(Recorded { recording: recorder.finish()?, to, from })
}

pub fn operations_agree_with_a_sequential_oracle(device: &Device) -> Result<()> {
    let operations = number("DOORBELL_RANDOM_OPS").unwrap_or(OPERATIONS);
    let (mut rng, seed) = Rng::of_this_run();
    println!("{operations} random operations, DOORBELL_SEED={seed}");

    let buffers = (0..BUFFERS)
        .map(|_| device.alloc_in::<u8>(Memory::Host, LEN))
        .collect::<Result<Vec<_>>>()?;
    let mut oracle = vec![vec![0u8; LEN]; BUFFERS];
    let mut gpu = Gpu {
        queues: [device.compute_queue()?, device.copy_queue()?],
        turn: COMPUTE,
        order: device.timeline()?,
        value: 0,
        last: None,
    };
    let mut recorded = record(&gpu.queues[COPY], &buffers)?;
    let fill = module!(device, "vector")?.kernel("fill")?;
    let mut filled = record_fill(&gpu.queues[COMPUTE], &fill, &buffers)?;

    for operation in 0..operations {
        let place = |rng: &mut Rng, len: usize| (rng.below(BUFFERS), rng.below(LEN - len + 1));
        match rng.below(100) {
            // Copies between buffers: most are small, some are not.
            0..45 => {
                let len = 1 + if rng.below(10) == 0 { rng.below(LEN / 2) } else { rng.below(200) };
                let ((a, at), (mut b, from)) = (place(&mut rng, len), place(&mut rng, len));
                // Which end an engine begins a copy onto itself with is nobody's promise.
                if a == b {
                    b = (b + 1) % BUFFERS;
                }
                let queue = gpu.take(COPY)?;
                queue.copy(buffers[a].slice(at..at + len)?, buffers[b].slice(from..from + len)?)?;
                let bytes = oracle[b][from..from + len].to_vec();
                oracle[a][at..at + len].copy_from_slice(&bytes);
            }
            // Numbers, from either queue.
            45..70 => {
                let bytes = [4, 8][rng.below(2)];
                let (a, at) = place(&mut rng, bytes);
                let at = at / bytes * bytes;
                let value = rng.next() & (u64::MAX >> (64 - 8 * bytes));
                let turn = rng.below(2);
                gpu.take(turn)?.write(buffers[a].slice(at..at + bytes)?, value)?;
                oracle[a][at..at + bytes].copy_from_slice(&value.to_le_bytes()[..bytes]);
            }
            // Kernels: launched, or replayed with target and value patched.
            70..76 => {
                let replayed = rng.below(2) == 0;
                let words = if replayed { FILLED } else { 1 + rng.below(64) };
                let (a, at) = place(&mut rng, 4 * words);
                let (at, value) = (at / 4 * 4, rng.next() as u32);
                let target = buffers[a].slice(at..at + 4 * words)?;
                if replayed {
                    filled.recording.set_view(filled.to, target)?;
                    filled.recording.set_value(filled.value, value.into())?;
                    let queue = gpu.take(COMPUTE)?;
                    gpu.last = Some(queue.replay(&mut filled.recording)?.detach());
                } else {
                    let arguments = args![target, value, words as u32];
                    // SAFETY: the kernel writes the words that the target has.
                    unsafe { gpu.take(COMPUTE)?.exec(&fill, &Launch::new(2, 32), &arguments)? };
                }
                for word in oracle[a][at..at + 4 * words].chunks_mut(4) {
                    word.copy_from_slice(&value.to_le_bytes());
                }
            }
            // Replays with both addresses patched.
            76..85 => {
                let ((a, at), (mut b, from)) =
                    (place(&mut rng, RECORDED), place(&mut rng, RECORDED));
                if a == b {
                    b = (b + 1) % BUFFERS;
                }
                let (to, of) = (at..at + RECORDED, from..from + RECORDED);
                recorded.recording.set_view(recorded.to, buffers[a].slice(to.clone())?)?;
                recorded.recording.set_view(recorded.from, buffers[b].slice(of.clone())?)?;
                let queue = gpu.take(COPY)?;
                gpu.last = Some(queue.replay(&mut recorded.recording)?.detach());
                let bytes = oracle[b][of].to_vec();
                oracle[a][to].copy_from_slice(&bytes);
            }
            85..96 => gpu.submit()?,
            96..98 => {
                gpu.take(COPY)?.memory_barrier()?;
            }
            // Everything comes to rest; the CPU looks at one buffer and changes it.
            _ => {
                gpu.finish()?;
                let a = rng.below(BUFFERS);
                assert!(
                    buffers[a].to_vec()? == oracle[a],
                    "buffer {a} differs before operation {operation}, DOORBELL_SEED={seed}"
                );
                let at = rng.below(LEN - 64);
                let bytes: Vec<u8> = (0..64).map(|_| rng.next() as u8).collect();
                buffers[a].write(at, &bytes)?;
                oracle[a][at..at + 64].copy_from_slice(&bytes);
            }
        }
    }
    gpu.finish()?;
    for (i, (buffer, expected)) in buffers.iter().zip(&oracle).enumerate() {
        assert!(buffer.to_vec()? == *expected, "buffer {i} differs, DOORBELL_SEED={seed}");
    }
    Ok(())
}
