//! Board memory: the bytes that a program and the software Orin share.

#[cfg_attr(miri, path = "memory/heap_pages.rs")]
mod pages;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use pages::Pages;

/// Copies at least this long look for holes: below it, asking costs more than copying.
const SPARSE_FROM: u64 = 64 << 10;

/// What an ordinary copy carries in one go.
const PIECE: usize = 4096;

/// What a copy onto itself carries in one go. Hardware fetches a line or two ahead and promises
/// nothing about overlaps; a small fixed piece makes the damage the same in every run.
const OVERLAPPING_PIECE: usize = 32;

/// A piece of board memory: a memfd mapped whole, so that a program's mmap is the kernel's own and
/// both sides see the same bytes.
///
/// Sparse: bytes nobody touched are zero and cost nothing. A program may write at any moment, so all
/// access here is atomic, word by word where alignment allows; there are no references to the bytes.
///
/// # Panics
/// Every access beyond the end panics, and so does a misaligned word: both are checked where a
/// program's numbers enter, so they are bugs of the emulator here.
pub struct Memory {
    pages: Pages,
    size: u64,
}

impl Memory {
    /// `size` zero bytes; the name shows up in /proc/PID/maps.
    pub fn new(name: &str, size: u64) -> io::Result<Arc<Memory>> {
        Ok(Arc::new(Memory { pages: Pages::new(name, size)?, size }))
    }

    /// Bytes of it.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// A new open file description of the same memfd, to be handed to a program: its file offset
    /// and flags are the program's own.
    pub fn reopen(&self) -> io::Result<OwnedFd> {
        self.pages.reopen()
    }

    /// Device and inode number, by which a program's descriptor is recognised.
    pub fn identity(&self) -> (u64, u64) {
        self.pages.identity()
    }

    /// Where this process has it mapped, to tell this mapping from those of a program in the same
    /// process.
    pub fn mapping(&self) -> Range<usize> {
        let start = self.pages.base().as_ptr().addr();
        start..start + self.size as usize
    }

    /// The word at `offset`; what its writer stored before it is visible afterwards.
    pub fn load_u32(&self, offset: u64) -> u32 {
        self.atomic_u32(offset).load(Ordering::Acquire)
    }

    /// Writes a word, after everything written before.
    pub fn store_u32(&self, offset: u64, value: u32) {
        self.atomic_u32(offset).store(value, Ordering::Release);
    }

    /// Writes a word and returns what it replaced.
    pub fn swap_u32(&self, offset: u64, value: u32) -> u32 {
        self.atomic_u32(offset).swap(value, Ordering::AcqRel)
    }

    /// Replaces a word by `change` of it, in one step as others see it; returns the old one.
    pub fn update_u32(&self, offset: u64, mut change: impl FnMut(u32) -> u32) -> u32 {
        let word = self.atomic_u32(offset);
        let mut old = word.load(Ordering::Relaxed);
        loop {
            let new = change(old);
            match word.compare_exchange_weak(old, new, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(old) => return old,
                Err(now) => old = now,
            }
        }
    }

    /// The double word at `offset`; what its writer stored before it is visible afterwards.
    pub fn load_u64(&self, offset: u64) -> u64 {
        self.atomic_u64(offset).load(Ordering::Acquire)
    }

    /// Writes a double word, after everything written before.
    pub fn store_u64(&self, offset: u64, value: u64) {
        self.atomic_u64(offset).store(value, Ordering::Release);
    }

    /// Replaces a double word by `change` of it, in one step as others see it; returns the old one.
    pub fn update_u64(&self, offset: u64, mut change: impl FnMut(u64) -> u64) -> u64 {
        let word = self.atomic_u64(offset);
        let mut old = word.load(Ordering::Relaxed);
        loop {
            let new = change(old);
            match word.compare_exchange_weak(old, new, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(old) => return old,
                Err(now) => old = now,
            }
        }
    }

    /// Copies bytes out.
    pub fn read(&self, offset: u64, out: &mut [u8]) {
        let (head, words) = split(offset, out.len());
        let (first, rest) = out.split_at_mut(head);
        let (middle, last) = rest.split_at_mut(words * 8);
        for (i, byte) in first.iter_mut().enumerate() {
            *byte = self.atomic_u8(offset + i as u64).load(Ordering::Relaxed);
        }
        let offset = offset + head as u64;
        for (word, out) in self.atomic_words(offset, words).iter().zip(middle.chunks_exact_mut(8)) {
            out.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        let offset = offset + words as u64 * 8;
        for (i, byte) in last.iter_mut().enumerate() {
            *byte = self.atomic_u8(offset + i as u64).load(Ordering::Relaxed);
        }
    }

    /// Copies bytes in.
    pub fn write(&self, offset: u64, data: &[u8]) {
        let (head, words) = split(offset, data.len());
        let (first, rest) = data.split_at(head);
        let (middle, last) = rest.split_at(words * 8);
        for (i, byte) in first.iter().enumerate() {
            self.atomic_u8(offset + i as u64).store(*byte, Ordering::Relaxed);
        }
        let offset = offset + head as u64;
        for (word, data) in self.atomic_words(offset, words).iter().zip(middle.chunks_exact(8)) {
            let data = data.try_into().expect("chunks are eight bytes long");
            word.store(u64::from_ne_bytes(data), Ordering::Relaxed);
        }
        let offset = offset + words as u64 * 8;
        for (i, byte) in last.iter().enumerate() {
            self.atomic_u8(offset + i as u64).store(*byte, Ordering::Relaxed);
        }
    }

    /// Copies `len` bytes from `source` to here, upwards.
    ///
    /// Holes of the source become holes here, so that copying a huge buffer costs what was written
    /// to it. Where source and destination overlap, bytes go in pieces of 32 from the lowest
    /// address up, and a piece may read what an earlier one wrote.
    pub fn copy_from(&self, offset: u64, source: &Memory, source_offset: u64, len: u64) {
        self.check(offset, len, 1);
        source.check(source_offset, len, 1);
        let overlapping = self.mapping() == source.mapping()
            && offset < source_offset + len
            && source_offset < offset + len;
        if overlapping {
            self.copy_pieces::<OVERLAPPING_PIECE>(offset, source, source_offset, len);
        } else if len < SPARSE_FROM {
            self.copy_pieces::<PIECE>(offset, source, source_offset, len);
        } else {
            let mut done = 0;
            while done < len {
                let data = source.pages.next_data(source_offset + done..source_offset + len);
                let hole = data.start - (source_offset + done);
                self.clear(offset + done, hole);
                done += hole;
                let run = data.end - data.start;
                self.copy_pieces::<PIECE>(offset + done, source, data.start, run);
                done += run;
            }
        }
    }

    fn copy_pieces<const PIECE: usize>(
        &self,
        offset: u64,
        source: &Memory,
        source_offset: u64,
        len: u64,
    ) {
        let mut buffer = [0; PIECE];
        let mut done = 0;
        while done < len {
            let piece = &mut buffer[..(len - done).min(PIECE as u64) as usize];
            source.read(source_offset + done, piece);
            self.write(offset + done, piece);
            done += piece.len() as u64;
        }
    }

    /// Makes bytes zero again, giving whole pages back.
    fn clear(&self, offset: u64, len: u64) {
        if len == 0 || self.pages.punch(offset..offset + len) {
            return;
        }
        let mut done = 0;
        while done < len {
            let piece = (len - done).min(PIECE as u64);
            self.write(offset + done, &[0; PIECE][..piece as usize]);
            done += piece;
        }
    }

    fn check(&self, offset: u64, len: u64, align: u64) {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.size);
        assert!(
            inside && offset % align == 0,
            "access to {len} bytes at {offset:#x} of {:#x} bytes, aligned to {align}",
            self.size
        );
    }

    fn atomic_u8(&self, offset: u64) -> &AtomicU8 {
        self.check(offset, 1, 1);
        // SAFETY: within the mapping, which lives as long as self. Everything in this process that
        // reaches these bytes through it does so atomically.
        unsafe { AtomicU8::from_ptr(self.pages.base().as_ptr().add(offset as usize)) }
    }

    fn atomic_u32(&self, offset: u64) -> &AtomicU32 {
        self.check(offset, 4, 4);
        // SAFETY: as for bytes; the mapping starts on a page, so an aligned offset is an aligned
        // address.
        unsafe { AtomicU32::from_ptr(self.pages.base().as_ptr().add(offset as usize).cast()) }
    }

    fn atomic_u64(&self, offset: u64) -> &AtomicU64 {
        self.check(offset, 8, 8);
        // SAFETY: as for words.
        unsafe { AtomicU64::from_ptr(self.pages.base().as_ptr().add(offset as usize).cast()) }
    }

    fn atomic_words(&self, offset: u64, count: usize) -> &[AtomicU64] {
        if count == 0 {
            return &[];
        }
        self.check(offset, count as u64 * 8, 8);
        // SAFETY: all of them lie within the mapping and are aligned, as just checked; AtomicU64 has
        // the layout of u64 and may be shared.
        unsafe {
            let first = self.pages.base().as_ptr().add(offset as usize).cast::<AtomicU64>();
            std::slice::from_raw_parts(first, count)
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, inode) = self.identity();
        f.debug_struct("Memory").field("inode", &inode).field("size", &self.size).finish()
    }
}

/// How many of `len` bytes from `offset` on come before the first aligned double word, and how many
/// whole ones follow.
fn split(offset: u64, len: usize) -> (usize, usize) {
    let head = (offset.wrapping_neg() as usize % 8).min(len);
    (head, (len - head) / 8)
}
