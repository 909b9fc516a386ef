//! GPU addresses: numbers with checked arithmetic, never pointers.

use std::fmt;

/// An address in a GPU address space. It is not a host pointer, even where both have the same
/// value, so no conversion to or from one exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GpuVa(u64);

impl GpuVa {
    /// An address by its number.
    pub const fn new(address: u64) -> Self {
        GpuVa(address)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// This address moved up, or `None` where that wraps around.
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(sum) => Some(GpuVa(sum)),
            None => None,
        }
    }

    /// Whether the address is a multiple of `alignment`, a power of two.
    pub const fn is_aligned(self, alignment: u64) -> bool {
        debug_assert!(alignment.is_power_of_two());
        self.0 & (alignment - 1) == 0
    }
}

impl fmt::Display for GpuVa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A stretch of a GPU address space that does not wrap around.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GpuRange {
    start: GpuVa,
    len: u64,
}

impl GpuRange {
    /// A range by its start and length, or `None` where it would wrap around.
    pub const fn new(start: GpuVa, len: u64) -> Option<Self> {
        match start.checked_add(len) {
            Some(_) => Some(GpuRange { start, len }),
            None => None,
        }
    }

    /// The first address.
    pub const fn start(self) -> GpuVa {
        self.start
    }

    /// The length in bytes.
    #[allow(clippy::len_without_is_empty)] // An empty range is no special case to anybody.
    pub const fn len(self) -> u64 {
        self.len
    }

    /// The first address behind the range.
    pub const fn end(self) -> GpuVa {
        GpuVa(self.start.0 + self.len)
    }

    /// The part of this range that begins `offset` bytes in and is `len` bytes long, or `None`
    /// where it does not lie inside.
    pub const fn slice(self, offset: u64, len: u64) -> Option<Self> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len => {
                Some(GpuRange { start: GpuVa(self.start.0 + offset), len })
            }
            _ => None,
        }
    }

    /// Whether the two ranges share a byte.
    pub const fn overlaps(self, other: GpuRange) -> bool {
        self.len != 0
            && other.len != 0
            && self.start.0 < other.end().0
            && other.start.0 < self.end().0
    }
}

impl fmt::Display for GpuRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_never_wrap() {
        assert_eq!(GpuRange::new(GpuVa::new(u64::MAX), 2), None);
        let range = GpuRange::new(GpuVa::new(0x1000), 0x1000).unwrap();
        assert_eq!(range.slice(0x800, 0x800).unwrap().start(), GpuVa::new(0x1800));
        assert_eq!(range.slice(0x800, 0x801), None);
        assert_eq!(range.slice(u64::MAX, 2), None);
    }

    #[test]
    fn neighbours_do_not_overlap() {
        let at = |start, len| GpuRange::new(GpuVa::new(start), len).unwrap();
        assert!(!at(0x1000, 0x1000).overlaps(at(0x2000, 0x1000)));
        assert!(at(0x1000, 0x1001).overlaps(at(0x2000, 0x1000)));
        assert!(!at(0x1000, 0).overlaps(at(0x1000, 0x1000)));
    }
}
