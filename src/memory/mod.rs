//! Buffers: memory that CPU and GPU share, freed only when no queue can still reach it.

mod heap;
pub(crate) mod names;
mod progress;

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

pub(crate) use heap::{Block, Heap, Word};
pub(crate) use progress::{Progress, reached};

use crate::addr::{GpuRange, GpuVa};
use crate::driver::Memory;
use crate::error::{Error, Result};

/// Values that may be copied to and from GPU memory byte for byte.
///
/// # Safety
/// Every bit pattern of `size_of::<Self>()` bytes is a valid value, and a value has no padding.
pub unsafe trait Element: Copy + 'static {}

macro_rules! elements {
    ($($type:ty)*) => { $(
        // SAFETY: a plain number: every bit pattern is one and there is no padding.
        unsafe impl Element for $type {}
    )* };
}
elements!(u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 f32 f64);
// SAFETY: arrays add no padding to their elements.
unsafe impl<T: Element, const N: usize> Element for [T; N] {}

/// `len` elements of memory that the GPU can reach.
///
/// Dropping a buffer is always safe: the memory goes back once every command that was encoded
/// before is done.
///
/// The CPU's accesses go straight to the memory, in order with nothing but what the caller waits for:
/// what a queue wrote is there once a ticket or timeline that stands for it has been waited for, and
/// what the CPU wrote is seen by everything submitted afterwards. Who reads while somebody else writes,
/// be it a queue or a thread, may see some bytes old and some new.
pub struct Buffer<T: Element = u8> {
    block: Arc<Block>,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Element> Buffer<T> {
    pub(crate) fn new(heap: &Arc<Heap>, len: usize, memory: Memory) -> Result<Self> {
        let bytes = len.checked_mul(size_of::<T>()).ok_or_else(|| {
            Error::request(format!("{len} elements are more than memory can hold"))
        })?;
        let block = heap.alloc(bytes as u64, memory)?;
        Ok(Buffer { block, len, element: PhantomData })
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the GPU sees the elements.
    pub fn gpu(&self) -> GpuVa {
        self.block.range().start()
    }

    /// The whole buffer as an operand of a command.
    pub fn view(&self) -> View<'_> {
        let bytes = (self.len * size_of::<T>()) as u64;
        let range = self.block.range().slice(0, bytes).expect("the block holds the elements");
        View { block: &self.block, range }
    }

    /// Part of the buffer, in elements.
    pub fn slice(&self, elements: Range<usize>) -> Result<View<'_>> {
        let count = self.check(&elements)?;
        let size = size_of::<T>() as u64;
        let range = self.block.range().slice(elements.start as u64 * size, count as u64 * size);
        Ok(View { block: &self.block, range: range.expect("checked against the length") })
    }

    /// Reads one element.
    pub fn get(&self, index: usize) -> Result<T> {
        self.check(&(index..index.saturating_add(1)))?;
        let host = self.host()?;
        // SAFETY: `index` is inside the mapping, every bit pattern is a `T`, and the block's
        // start is page-aligned.
        let value = unsafe { host.cast::<T>().add(index).read_volatile() };
        Ok(value)
    }

    /// Writes one element.
    pub fn set(&self, index: usize, value: T) -> Result<()> {
        self.check(&(index..index.saturating_add(1)))?;
        let host = self.host()?;
        // SAFETY: as in `get`; the memory is shared, so a shared reference may write.
        unsafe { host.cast::<T>().add(index).write_volatile(value) };
        Ok(())
    }

    /// Copies elements from the CPU into the buffer, beginning at element `at`.
    pub fn write(&self, at: usize, elements: &[T]) -> Result<()> {
        self.check(&(at..at.saturating_add(elements.len())))?;
        let to = self.host()?;
        // SAFETY: both sides hold `size_of_val(elements)` bytes, checked above for the mapping;
        // an `Element` has no padding, so all its bytes are initialised.
        unsafe {
            let to = to.add(at * size_of::<T>());
            volatile_copy(elements.as_ptr().cast(), to, size_of_val(elements));
        }
        Ok(())
    }

    /// Copies elements out of the buffer, beginning at element `at`.
    pub fn read(&self, at: usize, elements: &mut [T]) -> Result<()> {
        self.check(&(at..at.saturating_add(elements.len())))?;
        let from = self.host()?;
        // SAFETY: both sides hold `size_of_val(elements)` bytes, checked above for the mapping;
        // any bytes make valid elements.
        unsafe {
            let from = from.add(at * size_of::<T>());
            volatile_copy(from, elements.as_mut_ptr().cast(), size_of_val(elements));
        }
        Ok(())
    }

    /// All elements, copied into a vector.
    pub fn to_vec(&self) -> Result<Vec<T>> {
        // SAFETY: every bit pattern is a `T`, zeros too.
        let mut elements = vec![unsafe { mem::zeroed() }; self.len];
        self.read(0, &mut elements)?;
        Ok(elements)
    }

    fn host(&self) -> Result<*mut u8> {
        self.block.host().ok_or_else(|| {
            Error::request(
                "the CPU cannot reach this buffer, which lies in device memory: copy it to a buffer in host memory",
            )
        })
    }

    fn check(&self, elements: &Range<usize>) -> Result<usize> {
        if elements.start <= elements.end && elements.end <= self.len {
            return Ok(elements.end - elements.start);
        }
        Err(Error::request(format!(
            "elements {}..{} are outside a buffer of {} elements",
            elements.start, elements.end, self.len
        )))
    }
}

impl Buffer<u8> {
    pub(crate) fn import(heap: &Arc<Heap>, fd: BorrowedFd<'_>) -> Result<Self> {
        let block = heap.import(fd)?;
        let len = block.range().len() as usize;
        Ok(Buffer { block, len, element: PhantomData })
    }
}

impl<T: Element> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let element = std::any::type_name::<T>();
        write!(f, "buffer of {} {element} at {}", self.len, self.block.range())
    }
}

/// Copies between private and shared memory, in words where both sides allow it.
///
/// # Safety
/// Both pointers are valid for `len` bytes and the two ranges do not overlap.
unsafe fn volatile_copy(from: *const u8, to: *mut u8, len: usize) {
    let same_phase = (from as usize) % 8 == (to as usize) % 8;
    let head = if same_phase { from.align_offset(8).min(len) } else { len };
    let words = (len - head) / 8;
    // SAFETY: every offset is below `len`, and the word part begins where both are aligned.
    unsafe {
        for i in 0..head {
            to.add(i).write_volatile(from.add(i).read_volatile());
        }
        let (from_words, to_words) = (from.add(head).cast::<u64>(), to.add(head).cast::<u64>());
        for i in 0..words {
            to_words.add(i).write_volatile(from_words.add(i).read_volatile());
        }
        for i in head + words * 8..len {
            to.add(i).write_volatile(from.add(i).read_volatile());
        }
    }
}

/// Part of a buffer as an operand of a command.
#[derive(Clone, Copy)]
pub struct View<'a> {
    block: &'a Arc<Block>,
    range: GpuRange,
}

impl<'a> View<'a> {
    pub(crate) fn of_block(block: &'a Arc<Block>, range: GpuRange) -> View<'a> {
        View { block, range }
    }

    /// Where the GPU sees it.
    pub fn range(self) -> GpuRange {
        self.range
    }

    /// The first address.
    pub fn start(self) -> GpuVa {
        self.range.start()
    }

    /// The length in bytes.
    #[allow(clippy::len_without_is_empty)] // A command checks what it needs.
    pub fn len(self) -> u64 {
        self.range.len()
    }

    pub(crate) fn owner(self) -> &'a Arc<Block> {
        self.block
    }
}

impl<'a, T: Element> From<&'a Buffer<T>> for View<'a> {
    fn from(buffer: &'a Buffer<T>) -> View<'a> {
        buffer.view()
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "view of {}", self.range)
    }
}
