//! Miri knows no memfd: there the bytes come from the heap, and no program can have them.

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
