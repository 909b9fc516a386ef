//! Global memory as a block sees it: stretches of host memory at GPU addresses.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Why an address cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryFault {
    /// Nothing is mapped there.
    Unmapped,
}

/// What gives a block its global memory.
pub trait GlobalMemory {
    /// The longest convenient stretch of memory around an address. The block keeps it while it runs.
    fn span(&self, address: u64) -> Result<Span<'_>, MemoryFault>;
}

/// A stretch of GPU addresses and the host memory behind it, shared with everything else that uses that
/// memory: every access is atomic.
#[derive(Clone, Copy, Debug)]
pub struct Span<'m> {
    base: u64,
    len: u64,
    host: *mut u8,
    writable: bool,
    memory: PhantomData<&'m ()>,
}

impl Span<'_> {
    /// The stretch of `len` bytes at GPU address `base`, backed by `host`.
    ///
    /// # Safety
    /// `host` must be aligned to 16 as `base` is, and `len` bytes from it must stay mapped, readable and
    /// (if `writable`) writable for the lifetime of the span; whoever else uses them meanwhile must do so
    /// atomically or from another process.
    pub unsafe fn new(base: u64, host: *mut u8, len: u64, writable: bool) -> Self {
        debug_assert!(host as u64 % 16 == base % 16);
        Span { base, len, host, writable, memory: PhantomData }
    }

    pub(crate) const EMPTY: Span<'static> =
        Span { base: 0, len: 0, host: std::ptr::null_mut(), writable: false, memory: PhantomData };

    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn writable(&self) -> bool {
        self.writable
    }

    /// Whether `bytes` bytes at `address` lie inside.
    #[inline(always)]
    pub(crate) fn holds(&self, address: u64, bytes: u64) -> bool {
        let offset = address.wrapping_sub(self.base);
        offset < self.len && bytes <= self.len - offset
    }

    #[inline(always)]
    fn at<T>(&self, offset: u64) -> &T {
        let size = size_of::<T>() as u64;
        assert!(offset < self.len && self.len - offset >= size);
        let pointer = self.host.wrapping_add(offset as usize);
        debug_assert!(pointer.cast::<T>().is_aligned());
        // SAFETY: the bytes are inside the span, which its maker promised to stay mapped; `T` is one of
        // the atomic integers below, aligned because callers check the address first.
        unsafe { &*pointer.cast::<T>() }
    }

    #[inline(always)]
    pub(crate) fn load8(&self, offset: u64) -> u8 {
        self.at::<AtomicU8>(offset).load(Relaxed)
    }

    #[inline(always)]
    pub(crate) fn load16(&self, offset: u64) -> u16 {
        self.at::<AtomicU16>(offset).load(Relaxed)
    }

    #[inline(always)]
    pub(crate) fn load32(&self, offset: u64) -> u32 {
        self.at::<AtomicU32>(offset).load(Relaxed)
    }

    #[inline(always)]
    pub(crate) fn load64(&self, offset: u64) -> u64 {
        self.at::<AtomicU64>(offset).load(Relaxed)
    }

    #[inline(always)]
    pub(crate) fn store8(&self, offset: u64, value: u8) {
        self.at::<AtomicU8>(offset).store(value, Relaxed);
    }

    #[inline(always)]
    pub(crate) fn store16(&self, offset: u64, value: u16) {
        self.at::<AtomicU16>(offset).store(value, Relaxed);
    }

    #[inline(always)]
    pub(crate) fn store32(&self, offset: u64, value: u32) {
        self.at::<AtomicU32>(offset).store(value, Relaxed);
    }

    #[inline(always)]
    pub(crate) fn store64(&self, offset: u64, value: u64) {
        self.at::<AtomicU64>(offset).store(value, Relaxed);
    }

    /// The word at an offset, for read-modify-write.
    pub(crate) fn atomic32(&self, offset: u64) -> &AtomicU32 {
        self.at(offset)
    }

    /// The double word at an offset, for read-modify-write.
    pub(crate) fn atomic64(&self, offset: u64) -> &AtomicU64 {
        self.at(offset)
    }
}
