//! Two buffers in main memory through which the CPU writes GPU memory that it cannot reach: while
//! the copy engine empties one, the CPU fills the other.

use std::time::Duration;

use doorbell::{Buffer, Commands, Device, Memory, Queue};

use super::Result;

/// Enough to keep the bus busy, and little beside anything else.
const BYTES: usize = 8 << 20;

/// How long a copy of that may take.
const SOON: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Staging {
    queue: Queue,
    halves: [Half; 2],
    turn: usize,
}

#[derive(Debug)]
struct Half {
    buffer: Buffer<u8>,
    used: usize,
    /// The submission that empties it.
    last: u64,
}

impl Staging {
    pub(super) fn new(device: &Device) -> Result<Staging> {
        let half = || -> Result<Half> {
            let buffer = device.alloc_in(Memory::Host, BYTES)?;
            Ok(Half { buffer, used: 0, last: 0 })
        };
        Ok(Staging { queue: device.copy_queue()?, halves: [half()?, half()?], turn: 0 })
    }

    /// Writes bytes into a buffer from offset `at` on; done when [`Staging::settle`] returns.
    pub(super) fn write(&mut self, to: &Buffer<u8>, at: usize, mut bytes: &[u8]) -> Result<()> {
        let mut at = at;
        while !bytes.is_empty() {
            if self.halves[self.turn].used == BYTES {
                self.swap()?;
            }
            let half = &mut self.halves[self.turn];
            let (now, later) = bytes.split_at(bytes.len().min(BYTES - half.used));
            half.buffer.write(half.used, now)?;
            let from = half.buffer.slice(half.used..half.used + now.len())?;
            self.queue.copy(to.slice(at..at + now.len())?, from)?;
            half.used += now.len();
            at += now.len();
            bytes = later;
        }
        Ok(())
    }

    /// Sends the full half off and waits for the other.
    fn swap(&mut self) -> Result<()> {
        self.halves[self.turn].last = self.queue.submit()?.value();
        self.turn = 1 - self.turn;
        let half = &mut self.halves[self.turn];
        self.queue.timeline().wait(half.last, SOON)?;
        half.used = 0;
        Ok(())
    }

    /// Waits until everything that was written is in place.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.queue.submit()?.wait(SOON)?;
        for half in &mut self.halves {
            half.used = 0;
        }
        Ok(())
    }

    /// Reads bytes from offset `at` of a buffer on.
    pub(super) fn read(&mut self, from: &Buffer<u8>, at: usize, bytes: &mut [u8]) -> Result<()> {
        self.settle()?;
        let half = &self.halves[self.turn];
        for (i, piece) in bytes.chunks_mut(BYTES).enumerate() {
            let at = at + i * BYTES;
            let through = half.buffer.slice(0..piece.len())?;
            self.queue.copy(through, from.slice(at..at + piece.len())?)?;
            self.queue.submit()?.wait(SOON)?;
            half.buffer.read(0, piece)?;
        }
        Ok(())
    }
}
