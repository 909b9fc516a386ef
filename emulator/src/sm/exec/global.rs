//! Global memory as a block sees it: stretches of host memory at GPU addresses.

use super::watched::Watch;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Offsets of some lanes into one span, found to be inside and aligned.
pub(crate) struct Gathered<'m> {
    span: Span<'m>,
    exec: u32,
    offsets: [u64; 32],
    bytes: u64,
}

impl Gathered<'_> {
    /// The values of the lanes, each given to `put`.
    #[inline(always)]
    pub(crate) fn each<T: Word>(&self, mut put: impl FnMut(usize, T::Value)) {
        assert!(size_of::<T>() as u64 == self.bytes);
        for lane in 0..32 {
            if self.exec == u32::MAX || self.exec >> lane & 1 == 1 {
                // SAFETY: `Span::check` found this lane's offset to leave room for `bytes` and to be a
                // multiple of it, from a base that is a multiple of 16.
                put(lane, unsafe { self.span.known::<T>(self.offsets[lane]) }.value());
            }
        }
    }
}

/// A unit of memory that can be read at once.
pub(crate) trait Word {
    type Value;
    fn value(&self) -> Self::Value;
}

macro_rules! words {
    ($($atomic:ty: $value:ty),*) => {
        $(impl Word for $atomic {
            type Value = $value;
            #[inline(always)]
            fn value(&self) -> $value {
                self.load(Relaxed)
            }
        })*
    };
}
words!(AtomicU8: u8, AtomicU16: u16, AtomicU32: u32, AtomicU64: u64);

impl Word for [AtomicU64; 2] {
    type Value = [u64; 2];
    #[inline(always)]
    fn value(&self) -> [u64; 2] {
        [self[0].load(Relaxed), self[1].load(Relaxed)]
    }
}

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

    /// Who wants to hear of every access of the block. Asked at each turn of a warp; the spans of a
    /// watched block are forgotten around every access to global memory.
    fn watch(&self) -> Option<&dyn Watch> {
        None
    }
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

impl<'m> Span<'m> {
    /// The offsets of an access of `bytes` by the lanes of `exec`, if all are inside and aligned.
    #[inline(always)]
    pub(crate) fn check(
        &self,
        exec: u32,
        addresses: &[u64; 32],
        bytes: u64,
    ) -> Option<Gathered<'m>> {
        let limit = self.len.checked_sub(bytes)?;
        let mut offsets = [0; 32];
        let mut wrong = 0u64;
        for lane in 0..32 {
            let offset = addresses[lane].wrapping_sub(self.base);
            let bad = u64::from(offset > limit) | (offset & (bytes - 1));
            // Lanes that do not take part may be anywhere.
            wrong |= bad & u64::from(exec >> lane & 1).wrapping_neg();
            offsets[lane] = offset;
        }
        (wrong == 0).then_some(Gathered { span: *self, exec, offsets, bytes })
    }

    /// The stretch of `len` bytes at GPU address `base`, backed by `host`.
    ///
    /// # Safety
    /// `host` and `base` must be multiples of 16, and `len` bytes from it must stay mapped, readable and
    /// (if `writable`) writable for the lifetime of the span; whoever else uses them meanwhile must do so
    /// atomically or from another process.
    pub unsafe fn new(base: u64, host: *mut u8, len: u64, writable: bool) -> Self {
        assert!(host as u64 % 16 == 0 && base % 16 == 0);
        Span { base, len, host, writable, memory: PhantomData }
    }

    pub(crate) const EMPTY: Span<'static> =
        Span { base: 0, len: 0, host: std::ptr::null_mut(), writable: false, memory: PhantomData };

    pub(crate) fn base(&self) -> u64 {
        self.base
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

    /// The value at an offset that is known to be inside and aligned.
    ///
    /// # Safety
    /// `offset + size_of::<T>()` must not exceed the length of the span, and the address must be a
    /// multiple of the size of `T`.
    #[inline(always)]
    unsafe fn known<T>(&self, offset: u64) -> &T {
        // SAFETY: the caller has checked what `at` checks.
        unsafe { &*self.host.wrapping_add(offset as usize).cast::<T>() }
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
