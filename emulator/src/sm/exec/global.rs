//! Global memory as a block sees it: stretches of host memory at GPU addresses.

use super::watch::Watch;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

/// The places of some lanes in one span, found to be inside and aligned.
pub(crate) struct Gathered<'m> {
    /// What the offsets count from; itself anywhere.
    start: *mut u8,
    exec: u32,
    offsets: [u32; 32],
    bytes: u64,
    writable: bool,
    memory: PhantomData<&'m ()>,
}

impl Gathered<'_> {
    /// The place of a lane that takes part.
    #[inline(always)]
    fn at<T: Word>(&self, lane: usize) -> &T {
        assert!(size_of::<T>() as u64 == self.bytes && self.exec >> lane & 1 == 1);
        let place = self.start.wrapping_add(self.offsets[lane] as usize).cast::<T>();
        // SAFETY: `Span::gather` found the place of this lane, which takes part, to be inside the span with room
        // for `bytes`, and aligned.
        unsafe { &*place }
    }

    /// The values of the lanes, each given to `put`.
    #[inline(always)]
    pub(crate) fn each<T: Word>(&self, mut put: impl FnMut(usize, T::Value)) {
        if self.exec != u32::MAX {
            for lane in (0..32).filter(|lane| self.exec >> lane & 1 == 1) {
                put(lane, self.at::<T>(lane).value());
            }
        } else {
            for lane in 0..32 {
                put(lane, self.at::<T>(lane).value());
            }
        }
    }

    /// Whether it may be stored to.
    pub(crate) fn writable(&self) -> bool {
        self.writable
    }

    /// Stores what `value` gives for each of the lanes, in their order.
    #[inline(always)]
    pub(crate) fn store<T: Word>(&self, value: impl Fn(usize) -> T::Value) {
        for lane in 0..32 {
            if self.exec == u32::MAX || self.exec >> lane & 1 == 1 {
                self.at::<T>(lane).set(value(lane));
            }
        }
    }
}

/// A unit of memory that can be read at once.
pub(crate) trait Word {
    type Value: Copy;
    fn value(&self) -> Self::Value;
    fn set(&self, value: Self::Value);
}

macro_rules! words {
    ($($atomic:ty: $value:ty),*) => {
        $(impl Word for $atomic {
            type Value = $value;
            #[inline(always)]
            fn value(&self) -> $value {
                self.load(Relaxed)
            }
            #[inline(always)]
            fn set(&self, value: $value) {
                self.store(value, Relaxed);
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
    #[inline(always)]
    fn set(&self, value: [u64; 2]) {
        self[0].store(value[0], Relaxed);
        self[1].store(value[1], Relaxed);
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

    /// Whether a launch that started early may go on where it waits for the one before it.
    fn latch_is_open(&self) -> bool {
        true
    }

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
    /// The places of an access of `bytes` by the lanes of `exec`, if all are inside and aligned. Lanes are
    /// at `high` and `low` words of an address plus something common to all; the first of `exec` is at
    /// `address`, which is inside.
    ///
    /// Lanes whose upper words differ are left to others: then all that follows is arithmetic of words.
    #[inline(always)]
    pub(crate) fn gather(
        &self,
        exec: u32,
        [low, high]: [&[u32; 32]; 2],
        address: u64,
        bytes: u64,
    ) -> Option<Gathered<'m>> {
        let first = exec.trailing_zeros() as usize & 31;
        let (low_first, high_first) = (low[first], high[first]);
        let inside = address.wrapping_sub(self.base);
        let rest = self.len.checked_sub(inside)?.checked_sub(bytes)?;
        if address % bytes != 0 {
            return None;
        }
        // How far lower words may be from the first lane's.
        let below = inside.min(low_first.into()) as u32;
        let above = rest.min((!low_first).into()) as u32;
        let (least, room) = (low_first - below, below + above);
        let mut wrong = 0;
        // Lanes that take no part may be anywhere; mostly all do.
        let mut active = [u32::MAX; 32];
        if exec != u32::MAX {
            for (lane, active) in active.iter_mut().enumerate() {
                *active = (exec >> lane & 1).wrapping_neg();
            }
        }
        for lane in 0..32 {
            let outside = u32::from(low[lane].wrapping_sub(least) > room);
            let misaligned = (low[lane] ^ low_first) & (bytes as u32 - 1);
            wrong |= (high[lane] ^ high_first | misaligned | outside) & active[lane];
        }
        (wrong == 0).then(|| Gathered {
            start: self.host.wrapping_add(inside as usize).wrapping_sub(low_first as usize),
            exec,
            offsets: *low,
            bytes,
            writable: self.writable,
            memory: PhantomData,
        })
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
