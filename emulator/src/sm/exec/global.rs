//! Global memory as a block sees it: stretches of host memory at GPU addresses.

use super::watched::Watch;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

/// The places of some lanes in one span, found to be inside and aligned.
pub(crate) struct Gathered<'m> {
    /// What the offsets count from; itself anywhere.
    start: *mut u8,
    exec: u32,
    offsets: [u32; 32],
    /// Whether all lanes are at the same place.
    same: bool,
    bytes: u64,
    writable: bool,
    memory: PhantomData<&'m ()>,
}

impl Gathered<'_> {
    #[inline(always)]
    fn at<T: Word>(&self, lane: usize) -> &T {
        assert!(size_of::<T>() as u64 == self.bytes);
        let place = self.start.wrapping_add(self.offsets[lane] as usize).cast::<T>();
        // SAFETY: `Span::gather` found this lane's place to be inside the span with room for `bytes`, and
        // aligned. The offsets of lanes that take no part are those of one that does.
        unsafe { &*place }
    }

    /// The values of the lanes, each given to `put`.
    #[inline(always)]
    pub(crate) fn each<T: Word>(&self, mut put: impl FnMut(usize, T::Value)) {
        if self.exec != u32::MAX {
            for lane in (0..32).filter(|lane| self.exec >> lane & 1 == 1) {
                put(lane, self.at::<T>(lane).value());
            }
        } else if self.same {
            let value = self.at::<T>(0).value();
            for lane in 0..32 {
                put(lane, value);
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
        // Where an offset of zero would be, and from there the first and the last place inside.
        let inside = address.wrapping_sub(self.base);
        let zero = inside as i64 - i64::from(low_first);
        let least = (-zero).max(0);
        let most = self.len.checked_sub(bytes)? as i64 - zero;
        let room = most.min(u32::MAX.into()) - least;
        if inside >= self.len || address % bytes != 0 || room < 0 {
            return None;
        }
        let (least, room) = (least as u32, room as u32);
        let (mut far, mut differ, mut outside) = (0, 0, 0);
        let mut offsets = [0; 32];
        for lane in 0..32 {
            // Lanes that take no part may be anywhere; they are put where the first is.
            let active = (exec >> lane & 1).wrapping_neg();
            let apart = (low[lane] ^ low_first) & active;
            far |= (high[lane] ^ high_first) & active;
            differ |= apart;
            offsets[lane] = apart ^ low_first;
            outside |= u32::from(offsets[lane].wrapping_sub(least) > room);
        }
        if far | outside | differ & (bytes as u32 - 1) != 0 {
            return None;
        }
        let start = self.host.wrapping_offset(zero as isize);
        Some(Gathered {
            start,
            exec,
            offsets,
            same: differ == 0,
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
