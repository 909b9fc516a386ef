//! Board memory: the bytes that a program and the software Orin share.

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

/// The bytes themselves: a memfd and its mapping.
#[cfg(not(miri))]
mod pages {
    use std::ffi::CString;
    use std::fs::File;
    use std::io;
    use std::num::NonZeroUsize;
    use std::ops::Range;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::os::unix::fs::MetadataExt;
    use std::ptr::NonNull;

    use nix::errno::Errno;
    use nix::fcntl::{FallocateFlags, fallocate};
    use nix::sys::memfd::{MFdFlags, memfd_create};
    use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
    use nix::unistd::{Whence, lseek};

    pub(super) struct Pages {
        file: File,
        base: NonNull<u8>,
        len: NonZeroUsize,
        identity: (u64, u64),
    }

    // SAFETY: the pointer is to memory shared between threads and processes by design; Memory
    // reaches it atomically only. The file's offset moves in next_data alone, and every use of it
    // sets it first.
    unsafe impl Send for Pages {}
    // SAFETY: as for Send.
    unsafe impl Sync for Pages {}

    impl Pages {
        pub(super) fn new(name: &str, size: u64) -> io::Result<Pages> {
            let len = usize::try_from(size)
                .ok()
                .and_then(NonZeroUsize::new)
                .ok_or(io::ErrorKind::InvalidInput)?;
            let name = CString::new(name)?;
            let file = File::from(memfd_create(name.as_c_str(), MFdFlags::MFD_CLOEXEC)?);
            file.set_len(size)?;
            let metadata = file.metadata()?;
            let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
            let flags = MapFlags::MAP_SHARED | MapFlags::MAP_NORESERVE;
            // SAFETY: a new mapping of a file of ours, at an address that the kernel picks.
            let base = unsafe { mmap(None, len, protection, flags, &file, 0)? }.cast();
            Ok(Pages { file, base, len, identity: (metadata.dev(), metadata.ino()) })
        }

        pub(super) fn base(&self) -> NonNull<u8> {
            self.base
        }

        pub(super) fn identity(&self) -> (u64, u64) {
            self.identity
        }

        pub(super) fn reopen(&self) -> io::Result<OwnedFd> {
            let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            Ok(File::options().read(true).write(true).open(path)?.into())
        }

        /// The first run of bytes in `range` that are not a hole; empty at its end if there is
        /// none.
        pub(super) fn next_data(&self, range: Range<u64>) -> Range<u64> {
            let seek = |from: u64, whence| match lseek(&self.file, from as i64, whence) {
                Ok(found) => Ok((found as u64).clamp(range.start, range.end)),
                // Nothing of that kind up to the end of the file.
                Err(Errno::ENXIO) => Ok(range.end),
                Err(error) => Err(error),
            };
            let run = seek(range.start, Whence::SeekData)
                .and_then(|start| Ok(start..seek(start, Whence::SeekHole)?.max(start)));
            // A kernel that cannot tell is no reason to stop: then all of it counts as data.
            run.unwrap_or(range.clone())
        }

        /// Turns a range into a hole; whether that worked.
        pub(super) fn punch(&self, range: Range<u64>) -> bool {
            let how = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            let (start, len) = (range.start as i64, (range.end - range.start) as i64);
            fallocate(&self.file, how, start, len).is_ok()
        }
    }

    impl Drop for Pages {
        fn drop(&mut self) {
            // SAFETY: mapped in new with this length, and nothing borrows from it any more.
            let unmapped = unsafe { munmap(self.base.cast(), self.len.get()) };
            debug_assert_eq!(unmapped, Ok(()));
        }
    }
}

/// Miri knows no memfd: there the bytes come from the heap, and no program can have them.
#[cfg(miri)]
mod pages {
    use std::alloc::{Layout, alloc_zeroed, dealloc};
    use std::io;
    use std::ops::Range;
    use std::os::fd::OwnedFd;
    use std::ptr::NonNull;

    pub(super) struct Pages {
        base: NonNull<u8>,
        layout: Layout,
    }

    // SAFETY: an allocation of its own, reached atomically only.
    unsafe impl Send for Pages {}
    // SAFETY: as for Send.
    unsafe impl Sync for Pages {}

    impl Pages {
        pub(super) fn new(_name: &str, size: u64) -> io::Result<Pages> {
            let layout = Layout::from_size_align(size as usize, 4096)
                .ok()
                .filter(|layout| layout.size() > 0)
                .ok_or(io::ErrorKind::InvalidInput)?;
            // SAFETY: the layout is not empty.
            let base = NonNull::new(unsafe { alloc_zeroed(layout) });
            Ok(Pages { base: base.ok_or(io::ErrorKind::OutOfMemory)?, layout })
        }

        pub(super) fn base(&self) -> NonNull<u8> {
            self.base
        }

        pub(super) fn identity(&self) -> (u64, u64) {
            (0, self.base.as_ptr().addr() as u64)
        }

        pub(super) fn reopen(&self) -> io::Result<OwnedFd> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn next_data(&self, range: Range<u64>) -> Range<u64> {
            range
        }

        pub(super) fn punch(&self, _range: Range<u64>) -> bool {
            false
        }
    }

    impl Drop for Pages {
        fn drop(&mut self) {
            // SAFETY: allocated in new with this layout, and nothing borrows from it any more.
            unsafe { dealloc(self.base.as_ptr(), self.layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    const SIZE: u64 = 3 * 4096;
    /// Miri takes a second for a page.
    const PAGES: u64 = if cfg!(miri) { 3 } else { 64 };

    fn memory(size: u64) -> Arc<Memory> {
        Memory::new("test", size).unwrap()
    }

    fn contents(memory: &Memory) -> Vec<u8> {
        let mut bytes = vec![0; memory.size() as usize];
        memory.read(0, &mut bytes);
        bytes
    }

    fn filled(size: u64) -> (Arc<Memory>, Vec<u8>) {
        let bytes: Vec<u8> = (0..size).map(|i| (i * 31 + i / 256) as u8).collect();
        let memory = memory(size);
        memory.write(0, &bytes);
        (memory, bytes)
    }

    proptest! {
        #[test]
        fn reads_and_writes_at_any_alignment(
            offset in 0..SIZE - 300,
            data in prop::collection::vec(any::<u8>(), 0..300),
            from in 0..SIZE - 300,
            len in 0..300_usize,
        ) {
            let (memory, mut expected) = filled(SIZE);
            memory.write(offset, &data);
            expected[offset as usize..offset as usize + data.len()].copy_from_slice(&data);
            prop_assert_eq!(contents(&memory), &expected[..]);
            let mut out = vec![0; len];
            memory.read(from, &mut out);
            prop_assert_eq!(&out, &expected[from as usize..from as usize + len]);
        }

        #[test]
        fn copies_skip_holes_and_nothing_else(
            pages in prop::collection::vec(any::<bool>(), PAGES as usize),
            from in 0..8192_u64,
            to in 0..8192_u64,
            len in 0..=(PAGES - 2) * 4096,
        ) {
            let source = memory(PAGES * 4096);
            for (page, written) in pages.iter().enumerate() {
                if *written {
                    source.write(page as u64 * 4096 + 100, &[page as u8 + 1; 3000]);
                }
            }
            let (target, mut expected) = filled(PAGES * 4096);
            target.copy_from(to, &source, from, len);
            let copied = &contents(&source)[from as usize..(from + len) as usize];
            expected[to as usize..(to + len) as usize].copy_from_slice(copied);
            prop_assert!(contents(&target) == expected);
        }
    }

    #[test]
    fn words_are_little_endian_pieces_of_the_bytes() {
        let memory = memory(4096);
        memory.write(8, &[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(memory.load_u32(12), 0x0807_0605);
        assert_eq!(memory.load_u64(8), 0x0807_0605_0403_0201);
        assert_eq!(memory.swap_u32(8, 0xaabb_ccdd), 0x0403_0201);
        memory.store_u64(16, 0x1122_3344_5566_7788);
        assert_eq!(memory.load_u32(16), 0x5566_7788);
        assert_eq!(memory.load_u32(8), 0xaabb_ccdd);
    }

    #[test]
    fn updates_lose_nothing_between_threads() {
        let memory = memory(4096);
        const EACH: u32 = if cfg!(miri) { 100 } else { 20_000 };
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        memory.update_u32(0, |word| word + 1);
                        memory.update_u64(8, |word| word + 3);
                    }
                });
            }
        });
        assert_eq!(memory.load_u32(0), 3 * EACH);
        assert_eq!(memory.load_u64(8), 9 * u64::from(EACH));
    }

    #[test]
    fn a_released_word_brings_what_was_written_before_it() {
        let memory = memory(4096);
        thread::scope(|scope| {
            scope.spawn(|| {
                memory.write(64, &[7; 100]);
                memory.store_u32(0, 1);
            });
            while memory.load_u32(0) == 0 {
                std::hint::spin_loop();
            }
            let mut out = [0; 100];
            memory.read(64, &mut out);
            assert_eq!(out, [7; 100]);
        });
    }

    #[test]
    #[cfg(not(miri))]
    fn a_program_sees_the_same_bytes_through_a_description_of_its_own() {
        use std::fs::File;
        use std::io::{Seek, SeekFrom};
        use std::os::unix::fs::{FileExt, MetadataExt};

        let memory = memory(8192);
        let mut first = File::from(memory.reopen().unwrap());
        let second = File::from(memory.reopen().unwrap());
        memory.store_u32(4096, 0x1234_5678);
        let mut word = [0; 4];
        second.read_exact_at(&mut word, 4096).unwrap();
        assert_eq!(u32::from_le_bytes(word), 0x1234_5678);
        second.write_all_at(&[9], 0).unwrap();
        assert_eq!(memory.load_u32(0), 9);
        let metadata = first.metadata().unwrap();
        assert_eq!((metadata.dev(), metadata.ino()), memory.identity());
        assert_eq!(metadata.len(), 8192);
        // Offsets are not shared.
        first.seek(SeekFrom::Start(77)).unwrap();
        assert_eq!((&second).stream_position().unwrap(), 0);
        assert_ne!(super::tests::memory(4096).identity(), memory.identity());
    }

    #[test]
    #[cfg(not(miri))]
    fn untouched_bytes_cost_nothing() {
        use std::fs::File;
        use std::os::unix::fs::MetadataExt;

        let (source, target) = (memory(1 << 40), memory(1 << 40));
        source.store_u64(1 << 39, 5);
        target.copy_from(0, &source, 0, 1 << 40);
        assert_eq!(target.load_u64(1 << 39), 5);
        let file = File::from(target.reopen().unwrap());
        assert!(file.metadata().unwrap().blocks() <= 8);
    }

    #[test]
    fn empty_memory_does_not_exist() {
        assert!(Memory::new("test", 0).is_err());
    }

    #[test]
    fn accesses_outside_or_astride_panic() {
        let memory = memory(4096);
        let attempts: [&dyn Fn(); 8] = [
            &|| {
                memory.load_u32(4096);
            },
            &|| {
                memory.load_u32(2);
            },
            &|| {
                memory.load_u64(4);
            },
            &|| memory.store_u64(4092, 0),
            &|| memory.write(4000, &[0; 97]),
            &|| memory.read(u64::MAX - 4, &mut [0; 8]),
            &|| memory.copy_from(4095, &memory, 0, 2),
            &|| memory.copy_from(0, &memory, 4095, 2),
        ];
        for (i, attempt) in attempts.into_iter().enumerate() {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(attempt));
            assert!(outcome.is_err(), "attempt {i}");
        }
        memory.write(4096, &[]);
        memory.copy_from(4096, &memory, 0, 0);
    }
}
