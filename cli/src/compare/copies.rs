//! Copies of all sizes, both ways in turns.

use std::time::{Duration, Instant};

use doorbell::{Buffer, Commands, Engine, Memory, View};
use libcuda::{Address, Cuda, Pinned};
use serde::Serialize;

use super::contest::{Sides, TURN, WARM_UP};
use crate::bench::{Direct, Histogram, Interrupt, Outcome, SOON, Stop, progress};

/// One size in one direction; times in nanoseconds, from the call until the CPU knows that the
/// copy is done.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CopyRow {
    pub(crate) direction: &'static str,
    /// Whether this crate's way is the one that it recommends, and promises to be fast.
    pub(crate) promised: bool,
    pub(crate) bytes: usize,
    pub(crate) samples: u32,
    pub(crate) direct_p50: f64,
    pub(crate) cuda_p50: Option<f64>,
}

impl CopyRow {
    /// This crate's bandwidth over the CUDA driver's.
    pub(crate) fn bandwidth_ratio(&self) -> Option<f64> {
        Some(self.cuda_p50? / self.direct_p50)
    }
}

#[derive(Clone, Copy)]
struct Direction {
    name: &'static str,
    to: End,
    from: End,
    /// On which queue this crate copies.
    engine: Engine,
    promised: bool,
}

#[derive(Clone, Copy)]
enum End {
    Host,
    Device(usize),
}

const DIRECTIONS: [Direction; 4] = {
    let (host, device) = (End::Host, End::Device(0));
    let copy = Engine::Copy;
    let in_device = Direction {
        name: "device to device",
        to: End::Device(1),
        from: device,
        engine: Engine::Compute,
        promised: true,
    };
    [
        Direction { name: "host to device", to: device, from: host, engine: copy, promised: true },
        Direction { name: "device to host", to: host, from: device, engine: copy, promised: true },
        in_device,
        Direction {
            name: "device to device, copy engine",
            engine: copy,
            promised: false,
            ..in_device
        },
    ]
};

/// Of a few sizes below 64 KiB, and of all from there that the board has room for.
fn sizes(largest: usize) -> impl Iterator<Item = usize> {
    [4 << 10, 16 << 10]
        .into_iter()
        .chain((8..).map(|i| 1 << (2 * i)))
        .take_while(move |size| *size <= largest)
}

/// How long one size is measured at most: large copies take long.
const LONGEST: Duration = Duration::from_secs(5);
const FEWEST: u32 = 20;

struct Ours {
    host: Buffer<u8>,
    device: [Buffer<u8>; 2],
}

struct Theirs {
    host: Pinned,
    device: [Address; 2],
}

pub(crate) fn measure(
    sides: &mut Sides,
    rounds: u32,
    largest: usize,
    interrupt: &Interrupt,
) -> Outcome<Vec<CopyRow>> {
    progress("copies: memory, and whether what arrives is what was sent");
    let ours = Ours::new(&mut sides.direct, largest)?;
    let theirs = sides.rival.as_ref().map(|rival| Theirs::new(&rival.cuda, largest)).transpose()?;
    let mut rows = Vec::new();
    for direction in &DIRECTIONS {
        for bytes in sizes(largest) {
            progress(&format!("copies {} of {} KiB", direction.name, bytes >> 10));
            let [mut direct, mut cuda] = [(); 2].map(|()| Histogram::new());
            let start = Instant::now();
            let mut samples = 0;
            while samples < rounds && (samples < FEWEST || start.elapsed() < LONGEST) {
                let turn = TURN.min(rounds - samples);
                samples += turn;
                let ours = || ours.copy(&mut sides.direct, direction, bytes);
                take_turn(turn, &mut direct, interrupt, ours)?;
                if let (Some(theirs), Some(rival)) = (&theirs, &sides.rival) {
                    let theirs = || theirs.copy(&rival.cuda, direction, bytes);
                    take_turn(turn, &mut cuda, interrupt, theirs)?;
                }
            }
            let (direct_p50, cuda_p50) = (direct.summary().p50, cuda.summary().p50);
            let cuda_p50 = theirs.is_some().then_some(cuda_p50);
            let Direction { name: direction, promised, .. } = *direction;
            rows.push(CopyRow { direction, promised, bytes, samples, direct_p50, cuda_p50 });
        }
    }
    if let (Some(theirs), Some(rival)) = (theirs, &sides.rival) {
        theirs.free(&rival.cuda)?;
    }
    Ok(rows)
}

/// One way's turn; the first few of it do not count, for the GPU has to change over.
fn take_turn(
    samples: u32,
    histogram: &mut Histogram,
    interrupt: &Interrupt,
    mut copy: impl FnMut() -> Outcome<Duration>,
) -> Outcome<()> {
    for i in 0..WARM_UP + samples {
        interrupt.check()?;
        let took = copy()?;
        if i >= WARM_UP {
            histogram.add(took);
        }
    }
    Ok(())
}

/// Bytes that differ from their neighbours and from those some power of two away.
fn pattern(len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// What is looked at: the copy's first bytes, or all.
const LOOK: usize = 4 << 20;

fn check(who: &str, seen: &[u8], sent: &[u8]) -> Outcome<()> {
    if seen == sent {
        return Ok(());
    }
    Err(Stop::Failed(format!("bytes copied through {who} do not arrive as they were sent")))
}

impl Ours {
    fn new(direct: &mut Direct, largest: usize) -> Outcome<Ours> {
        let host = direct.device.alloc_in::<u8>(Memory::Host, largest)?;
        let device = [direct.device.alloc(largest)?, direct.device.alloc(largest)?];
        let ours = Ours { host, device };
        let sent = pattern(LOOK.min(largest));
        for engine in [Engine::Copy, Engine::Compute] {
            ours.host.write(0, &sent)?;
            let [a, b] = [ours.device[0].view(), ours.device[1].view()];
            for (to, from) in [(a, ours.host.view()), (b, a)] {
                run(direct, engine, to, from)?;
            }
            ours.host.write(0, &vec![0; sent.len()])?;
            run(direct, engine, ours.host.view(), b)?;
            let mut seen = vec![0; sent.len()];
            ours.host.read(0, &mut seen)?;
            check("this crate", &seen, &sent)?;
        }
        Ok(ours)
    }

    fn copy(&self, direct: &mut Direct, way: &Direction, bytes: usize) -> Outcome<Duration> {
        let end = |end| match end {
            End::Host => self.host.slice(0..bytes),
            End::Device(i) => self.device[i].slice(0..bytes),
        };
        run(direct, way.engine, end(way.to)?, end(way.from)?)
    }
}

fn run(direct: &mut Direct, engine: Engine, to: View<'_>, from: View<'_>) -> Outcome<Duration> {
    let queue = if engine == Engine::Copy { &mut direct.copies } else { &mut direct.compute };
    let start = Instant::now();
    queue.copy(to, from)?;
    queue.submit()?.wait(SOON)?;
    Ok(start.elapsed())
}

impl Theirs {
    fn new(cuda: &Cuda, largest: usize) -> Outcome<Theirs> {
        let size = largest as u64;
        let host = cuda.pinned(size)?;
        let theirs = Theirs { host, device: [cuda.alloc(size)?, cuda.alloc(size)?] };
        let sent = pattern(LOOK.min(largest));
        let bytes = theirs.host.cpu;
        // SAFETY: the memory is as long and nothing else uses it meanwhile.
        unsafe { bytes.copy_from_nonoverlapping(sent.as_ptr(), sent.len()) };
        theirs.run(cuda, theirs.device[0], theirs.host.gpu, largest)?;
        theirs.run(cuda, theirs.device[1], theirs.device[0], largest)?;
        // SAFETY: as above.
        unsafe { bytes.write_bytes(0, sent.len()) };
        theirs.run(cuda, theirs.host.gpu, theirs.device[1], largest)?;
        let mut seen = vec![0; sent.len()];
        // SAFETY: as above, and the copy is done.
        unsafe { bytes.copy_to_nonoverlapping(seen.as_mut_ptr(), seen.len()) };
        check("the CUDA driver", &seen, &sent)?;
        Ok(theirs)
    }

    fn run(&self, cuda: &Cuda, to: Address, from: Address, bytes: usize) -> Outcome<Duration> {
        let start = Instant::now();
        // SAFETY: callers pass memory of this struct's that is as long; it has come when this returns.
        unsafe { cuda.copy_async(to, from, bytes) }?;
        cuda.synchronize()?;
        Ok(start.elapsed())
    }

    fn copy(&self, cuda: &Cuda, direction: &Direction, bytes: usize) -> Outcome<Duration> {
        let end = |end| match end {
            End::Host => self.host.gpu,
            End::Device(i) => self.device[i],
        };
        self.run(cuda, end(direction.to), end(direction.from), bytes)
    }

    fn free(self, cuda: &Cuda) -> Outcome<()> {
        // SAFETY: every copy was waited for.
        unsafe {
            self.device.into_iter().try_for_each(|address| cuda.free(address))?;
            Ok(cuda.free_pinned(self.host)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_end_at_the_largest() {
        let all: Vec<usize> = sizes(1 << 30).collect();
        assert_eq!(all[..4], [4 << 10, 16 << 10, 64 << 10, 256 << 10]);
        assert_eq!(all.last(), Some(&(1 << 30)));
        assert_eq!(sizes(16 << 10).count(), 2);
    }
}
