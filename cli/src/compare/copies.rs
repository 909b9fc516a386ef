//! Copies of all sizes, both ways in turns.

use std::time::{Duration, Instant};

use doorbell::{Buffer, Commands, Memory, View};
use serde::Serialize;

use super::contest::Sides;
use super::cuda::{Address, Cuda, Pinned};
use crate::bench::{Direct, Histogram, Interrupt, Outcome, SOON, Stop, progress};

/// One size in one direction; times in nanoseconds, from the call until the CPU knows that the
/// copy is done.
#[derive(Debug, Serialize)]
pub(crate) struct CopyRow {
    pub(crate) direction: &'static str,
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

const DIRECTIONS: [&str; 3] = ["host to device", "device to host", "device to device"];

/// Of a few sizes below 64 KiB, and of all from there that the board has room for.
fn sizes(largest: usize) -> impl Iterator<Item = usize> {
    [4 << 10, 16 << 10]
        .into_iter()
        .chain((8..).map(|i| 1 << (2 * i)))
        .take_while(move |size| *size <= largest)
}

/// Bytes that each size is measured with, in all, at most: large copies take long.
const BYTES: usize = 32 << 30;
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
    for (i, direction) in DIRECTIONS.into_iter().enumerate() {
        for bytes in sizes(largest) {
            progress(&format!("copies {direction} of {} KiB", bytes >> 10));
            let most = u32::try_from(BYTES / bytes).unwrap_or(u32::MAX);
            let samples = rounds.min(most.max(FEWEST));
            let [mut direct, mut cuda] = [(); 2].map(|()| Histogram::new());
            for _ in 0..samples {
                interrupt.check()?;
                direct.add(ours.copy(&mut sides.direct, i, bytes)?);
                if let (Some(theirs), Some(rival)) = (&theirs, &sides.rival) {
                    cuda.add(theirs.copy(&rival.cuda, i, bytes)?);
                }
            }
            let (direct_p50, cuda_p50) = (direct.summary().p50, cuda.summary().p50);
            let cuda_p50 = theirs.is_some().then_some(cuda_p50);
            rows.push(CopyRow { direction, bytes, samples, direct_p50, cuda_p50 });
        }
    }
    if let (Some(theirs), Some(rival)) = (theirs, &sides.rival) {
        theirs.free(&rival.cuda)?;
    }
    Ok(rows)
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
        ours.host.write(0, &sent)?;
        ours.run(direct, ours.device[0].view(), ours.host.view())?;
        ours.run(direct, ours.device[1].view(), ours.device[0].view())?;
        ours.host.write(0, &vec![0; sent.len()])?;
        ours.run(direct, ours.host.view(), ours.device[1].view())?;
        let mut seen = vec![0; sent.len()];
        ours.host.read(0, &mut seen)?;
        check("this crate", &seen, &sent)?;
        Ok(ours)
    }

    fn run(&self, direct: &mut Direct, to: View<'_>, from: View<'_>) -> Outcome<Duration> {
        let start = Instant::now();
        direct.copies.copy(to, from)?;
        direct.copies.submit()?.wait(SOON)?;
        Ok(start.elapsed())
    }

    fn copy(&self, direct: &mut Direct, direction: usize, bytes: usize) -> Outcome<Duration> {
        let host = self.host.slice(0..bytes)?;
        let (a, b) = (self.device[0].slice(0..bytes)?, self.device[1].slice(0..bytes)?);
        let (to, from) = [(a, host), (host, a), (b, a)][direction];
        self.run(direct, to, from)
    }
}

impl Theirs {
    fn new(cuda: &Cuda, largest: usize) -> Outcome<Theirs> {
        let host = cuda.pinned(largest)?;
        let theirs = Theirs { host, device: [cuda.alloc(largest)?, cuda.alloc(largest)?] };
        let sent = pattern(LOOK.min(largest));
        let bytes = theirs.host.cpu.cast::<u8>();
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
        cuda.copy_async(to, from, bytes)?;
        cuda.synchronize()?;
        Ok(start.elapsed())
    }

    fn copy(&self, cuda: &Cuda, direction: usize, bytes: usize) -> Outcome<Duration> {
        let (host, [a, b]) = (self.host.gpu, self.device);
        let (to, from) = [(a, host), (host, a), (b, a)][direction];
        self.run(cuda, to, from, bytes)
    }

    fn free(self, cuda: &Cuda) -> Outcome<()> {
        for address in self.device {
            cuda.free(address)?;
        }
        cuda.free_pinned(self.host)
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
