//! One block by itself, with memory of its own: enough of a GPU to run an instruction or count some.

use std::cell::Cell;

use super::{GlobalMemory, Launch, MemoryFault, Program, Span};

/// Zeroed memory at one place, used by one thread.
#[derive(Debug)]
pub struct Memory {
    base: u64,
    /// An element is as large as its alignment has to be.
    rows: Box<[Cell<u128>]>,
}

impl Memory {
    /// `bytes` bytes, rounded up to 16, from address `base` on.
    pub fn new(base: u64, bytes: usize) -> Memory {
        Memory { base, rows: vec![Cell::new(0); bytes.div_ceil(16)].into() }
    }

    /// Writes words at its beginning.
    pub fn fill(&self, words: &[u32]) {
        for (row, words) in self.rows.iter().zip(words.chunks(4)) {
            let word = |row, (n, word): (usize, &u32)| row | u128::from(*word) << (32 * n);
            row.set(words.iter().enumerate().fold(0, word));
        }
    }

    /// The words from a multiple of four on.
    pub fn words(&self, from: usize) -> Vec<u32> {
        let rows = self.rows[from / 4..].iter().map(Cell::get);
        rows.flat_map(|row| (0..4).map(move |n| (row >> (32 * n)) as u32)).collect()
    }
}

impl GlobalMemory for Memory {
    fn span(&self, address: u64) -> Result<Span<'_>, MemoryFault> {
        let bytes = self.rows.len() as u64 * 16;
        match address.wrapping_sub(self.base) < bytes {
            // SAFETY: the rows live as long as `self` and are cells, used by this thread alone.
            true => Ok(unsafe { Span::new(self.base, self.rows.as_ptr() as *mut u8, bytes, true) }),
            false => Err(MemoryFault::Unmapped),
        }
    }
}

/// The launch of one block of so many threads, from the program's first instruction on.
pub fn launch<'a>(program: &Program, threads: u32, banks: &'a [&'a [u8]]) -> Launch<'a> {
    Launch {
        grid: [1; 3],
        block: [threads, 1, 1],
        index: [0; 3],
        cluster: [1; 3],
        entry: program.base(),
        registers: 255,
        barriers: 16,
        shared_size: 48 << 10,
        shared_reserved: 0,
        local_low: 0,
        local_high: 0x1000,
        shared_window: 0x7f00_0000_0000,
        local_window: 0x7e00_0000_0000,
        banks,
        sm: 0,
        time_ns: 0,
    }
}
