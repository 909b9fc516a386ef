//! The bytes themselves: a memfd and its mapping.

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
