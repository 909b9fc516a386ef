//! The driver's allocator of GPU virtual addresses: a buddy allocator over 4 KiB blocks.
//!
//! Programs see its choices (the address a map call returns), so the model makes the same ones.
//! All arithmetic is relative to the start of the range, not to address 0: that is why a first
//! small map lands in the middle of nowhere, at the last and smallest block of the range.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// The smallest block: one small page.
pub const SMALL_PAGE: u64 = 4 << 10;
/// The large page that exists when the GPU sits behind an IOMMU.
pub const BIG_PAGE: u64 = 64 << 10;
/// What one entry of the last page directory covers. Small and big pages cannot share one.
pub const DIRECTORY: u64 = 2 << 20;

/// Order of a block that covers one directory entry; smaller ones are tied to a page size.
const DIRECTORY_ORDER: u32 = (DIRECTORY / SMALL_PAGE).ilog2();

/// The kind of page table entries a block will hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageSize {
    /// 4 KiB.
    Small,
    /// 64 KiB.
    Big,
}

impl PageSize {
    /// Bytes of one page.
    pub fn bytes(self) -> u64 {
        match self {
            PageSize::Small => SMALL_PAGE,
            PageSize::Big => BIG_PAGE,
        }
    }
}

/// A block in units of the smallest one, relative to the start of the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    index: u64,
    order: u32,
    /// Set when the block was carved out of a directory entry for one page size.
    page: Option<PageSize>,
}

impl Block {
    fn blocks(self) -> u64 {
        1 << self.order
    }

    fn accepts(self, page: PageSize) -> bool {
        self.page.is_none_or(|own| own == page)
    }

    fn halves(self, page: PageSize) -> (Block, Block) {
        let order = self.order - 1;
        let page = (order < DIRECTORY_ORDER).then_some(page);
        let half = |index| Block { index, order, page };
        (half(self.index), half(self.index + (1 << order)))
    }
}

/// Newest first, except that blocks for big pages queue at the other end.
fn enlist(list: &mut VecDeque<Block>, block: Block) {
    match block.page {
        Some(PageSize::Big) => list.push_back(block),
        _ => list.push_front(block),
    }
}

/// One range of addresses.
#[derive(Debug)]
pub struct Buddy {
    range: Range<u64>,
    /// Free blocks by order. The front is what the next request for small pages gets; blocks for
    /// big pages wait at the back.
    free: Vec<VecDeque<Block>>,
    /// What each allocated address holds: one block, or several for a fixed request.
    taken: BTreeMap<u64, VecDeque<Block>>,
}

impl Buddy {
    /// Manages `range`, whose ends are multiples of the small page and which is not empty.
    pub fn new(range: Range<u64>) -> Buddy {
        let blocks = (range.end - range.start) / SMALL_PAGE;
        let mut buddy = Buddy {
            range,
            free: vec![VecDeque::new(); blocks.ilog2() as usize + 1],
            taken: BTreeMap::new(),
        };
        let mut index = 0;
        while index < blocks {
            let order = (blocks - index).ilog2();
            buddy.give(Block { index, order, page: None });
            index += 1 << order;
        }
        buddy
    }

    /// The managed addresses.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Takes `size` bytes, rounded up to a power of two pages, wherever the driver would.
    pub fn allocate(&mut self, size: u64, page: PageSize) -> Option<u64> {
        let blocks = size.div_ceil(SMALL_PAGE);
        let order = blocks.checked_next_power_of_two().filter(|_| blocks > 0)?.ilog2();
        let mut block = (order as usize..self.free.len()).find_map(|order| {
            let list = &self.free[order];
            // Only the end of the list that belongs to this page size is looked at.
            let block = if page == PageSize::Big { list.back() } else { list.front() };
            block.copied().filter(|block| block.accepts(page))
        })?;
        self.take(block);
        while block.order > order {
            let (lower, upper) = block.halves(page);
            self.give(upper);
            block = lower;
        }
        Some(self.hold(block.index, VecDeque::from([block])))
    }

    /// Takes exactly `[address, address + size)`; false when any part is not free, not inside the
    /// range, or belongs to the other page size.
    pub fn allocate_at(&mut self, address: u64, size: u64, page: PageSize) -> bool {
        let Some(end) = address.checked_add(size) else { return false };
        let aligned = address % SMALL_PAGE == 0 && size % SMALL_PAGE == 0;
        if !aligned || size == 0 || address < self.range.start || end > self.range.end {
            return false;
        }
        let first = (address - self.range.start) / SMALL_PAGE;
        let last = (end - self.range.start) / SMALL_PAGE;
        let mut index = first;
        let mut order = first.trailing_zeros().min((last - first).trailing_zeros());
        let mut carved = VecDeque::new();
        while index < last {
            let Some(block) = self.carve(index, order, page) else {
                carved.into_iter().for_each(|block| self.merge(block));
                return false;
            };
            enlist(&mut carved, block);
            index += block.blocks();
            order = index.trailing_zeros().min((last - index).max(1).ilog2());
        }
        self.hold(first, carved);
        true
    }

    /// Gives back what `address` was handed out for; anything else is ignored, as in the driver.
    pub fn free(&mut self, address: u64) {
        for block in self.taken.remove(&address).into_iter().flatten() {
            self.merge(block);
        }
    }

    fn hold(&mut self, index: u64, blocks: VecDeque<Block>) -> u64 {
        let address = self.range.start + index * SMALL_PAGE;
        self.taken.insert(address, blocks);
        address
    }

    fn give(&mut self, block: Block) {
        enlist(&mut self.free[block.order as usize], block);
    }

    fn take(&mut self, block: Block) {
        self.free[block.order as usize].retain(|other| other.index != block.index);
    }

    /// Splits the free block that holds `index` down to `order`.
    fn carve(&mut self, index: u64, order: u32, page: PageSize) -> Option<Block> {
        let mut block = (order..self.free.len() as u32).find_map(|order| {
            let start = index >> order << order;
            self.free[order as usize].iter().copied().find(|block| block.index == start)
        })?;
        if !block.accepts(page) {
            return None;
        }
        self.take(block);
        while block.order > order {
            let (lower, upper) = block.halves(page);
            let (wanted, other) = if index < upper.index { (lower, upper) } else { (upper, lower) };
            self.give(other);
            block = wanted;
        }
        Some(block)
    }

    /// Frees a block and joins it with its other half for as long as that is free too.
    fn merge(&mut self, mut block: Block) {
        while (block.order as usize) < self.free.len() - 1 {
            let other = block.index ^ block.blocks();
            let list = &mut self.free[block.order as usize];
            let Some(at) = list.iter().position(|free| free.index == other) else { break };
            list.remove(at);
            let order = block.order + 1;
            let page = block.page.filter(|_| order < DIRECTORY_ORDER);
            block = Block { index: block.index.min(other), order, page };
        }
        self.give(block);
    }

    #[cfg(test)]
    fn available(&self) -> u64 {
        self.free.iter().flatten().map(|block| block.blocks() * SMALL_PAGE).sum()
    }

    #[cfg(test)]
    fn holdings(&self) -> impl Iterator<Item = Block> + '_ {
        self.free.iter().flatten().chain(self.taken.values().flatten()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn orin() -> Buddy {
        Buddy::new(0x20_0000..0xff_ffe0_0000)
    }

    #[test]
    fn first_small_maps_land_where_a_real_board_put_them() {
        let mut range = orin();
        assert_eq!(range.allocate(0x1000, PageSize::Small), Some(0xff_ffa0_0000));
        assert_eq!(range.allocate(0x1000, PageSize::Small), Some(0xff_ffa0_1000));
    }

    #[test]
    fn kernel_range_is_filled_from_the_bottom() {
        let end = 0xff_ffe0_0000;
        let mut range = Buddy::new(end..end + (4 << 30));
        assert_eq!(range.allocate(0x1000, PageSize::Small), Some(end));
        assert_eq!(range.allocate(0x1_0000, PageSize::Small), Some(end + 0x1_0000));
    }

    #[test]
    fn three_mebibytes_take_the_whole_first_four_of_the_kernel_range() {
        let end = 0xff_ffe0_0000;
        let mut range = Buddy::new(end..end + (4 << 30));
        assert_eq!(range.allocate(3 << 20, PageSize::Small), Some(end));
        assert_eq!(range.allocate(0x1000, PageSize::Small), Some(end + (4 << 20)));
    }

    #[test]
    fn the_block_freed_last_is_the_next_one_taken() {
        let mut range = Buddy::new(0x20_0000..0x40_0000);
        let taken: Vec<_> =
            (0..4).map(|_| range.allocate(0x1000, PageSize::Small).unwrap()).collect();
        range.free(taken[0]);
        range.free(taken[2]);
        assert_eq!(range.allocate(0x1000, PageSize::Small), Some(taken[2]));
        assert_eq!(range.allocate(0x1000, PageSize::Small), Some(taken[0]));
    }

    #[test]
    fn fixed_requests_outside_or_misaligned_or_empty_fail() {
        let mut range = orin();
        assert!(!range.allocate_at(0x1f_f000, 0x1000, PageSize::Small));
        assert!(!range.allocate_at(0xff_ffe0_0000, 0x1000, PageSize::Small));
        assert!(!range.allocate_at(0x20_0800, 0x1000, PageSize::Small));
        assert!(!range.allocate_at(0x20_0000, 0, PageSize::Small));
        assert!(!range.allocate_at(u64::MAX - 0xfff, 0x2000, PageSize::Small));
        assert_eq!(range.available(), 0xff_ffe0_0000 - 0x20_0000);
    }

    #[test]
    fn fixed_request_over_a_taken_page_fails_and_leaves_no_trace() {
        let mut range = orin();
        assert!(range.allocate_at(0x8000_3000, 0x1000, PageSize::Small));
        let before = range.available();
        assert!(!range.allocate_at(0x8000_0000, 0x8000, PageSize::Small));
        assert_eq!(range.available(), before);
        assert!(range.allocate_at(0x8000_4000, 0x4000, PageSize::Small));
    }

    #[test]
    fn a_window_of_one_gibibyte_can_be_reserved_anywhere() {
        let mut range = orin();
        assert!(range.allocate_at(0xfd_0000_0000, 1 << 30, PageSize::Small));
        assert!(range.allocate_at(0xfe_0000_0000, 1 << 30, PageSize::Small));
        assert!(!range.allocate_at(0xfe_0000_0000, 0x1000, PageSize::Small));
    }

    #[test]
    fn blocks_below_a_directory_entry_do_not_mix_page_sizes() {
        let mut range = Buddy::new(0x20_0000..0x40_0000);
        let small = range.allocate(0x1000, PageSize::Small).unwrap();
        assert_eq!(range.allocate(0x1_0000, PageSize::Big), None);
        assert!(!range.allocate_at(0x30_0000, 0x1_0000, PageSize::Big));
        range.free(small);
        assert_eq!(range.allocate(0x1_0000, PageSize::Big), Some(0x20_0000));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Any(u64, PageSize),
        At(u64, u64, PageSize),
        Free(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let page = prop_oneof![Just(PageSize::Small), Just(PageSize::Big)];
        prop_oneof![
            (1u64..0x9_0000, page.clone()).prop_map(|(size, page)| Step::Any(size, page)),
            (0u64..1600, 1u64..64, page).prop_map(|(at, pages, page)| Step::At(at, pages, page)),
            any::<usize>().prop_map(Step::Free),
        ]
    }

    proptest! {
        /// Against the simplest oracle: a list of the ranges handed out.
        #[test]
        fn nothing_overlaps_and_all_of_it_comes_back(steps in prop::collection::vec(step(), 0..120)) {
            const START: u64 = 0x60_0000;
            const END: u64 = START + 0x60_0000;
            let mut range = Buddy::new(START..END);
            let mut out: Vec<Range<u64>> = Vec::new();
            for step in steps {
                let new = match step {
                    Step::Any(size, page) => range.allocate(size, page).map(|address| {
                        let held = size.div_ceil(SMALL_PAGE).next_power_of_two() * SMALL_PAGE;
                        assert_eq!((address - START) % held, 0, "aligned to its own size");
                        address..address + held
                    }),
                    Step::At(at, pages, page) => {
                        let wanted = START + at * SMALL_PAGE..START + (at + pages) * SMALL_PAGE;
                        let done = range.allocate_at(wanted.start, pages * SMALL_PAGE, page);
                        let clear = wanted.end <= END
                            && out.iter().all(|r| r.end <= wanted.start || wanted.end <= r.start);
                        assert!(!done || clear, "a taken page was handed out twice");
                        done.then_some(wanted)
                    }
                    Step::Free(which) if !out.is_empty() => {
                        range.free(out.swap_remove(which % out.len()).start);
                        None
                    }
                    Step::Free(_) => None,
                };
                if let Some(new) = new {
                    prop_assert!(START <= new.start && new.end <= END);
                    prop_assert!(out.iter().all(|r| r.end <= new.start || new.end <= r.start));
                    out.push(new);
                }
                let held: u64 = out.iter().map(|r| r.end - r.start).sum();
                prop_assert_eq!(range.available() + held, END - START);
                let mut all: Vec<_> = range.holdings().collect();
                all.sort_by_key(|block| block.index);
                prop_assert!(all.windows(2).all(|pair| pair[0].index + pair[0].blocks() == pair[1].index));
            }
            for r in out {
                range.free(r.start);
            }
            // Back to the initial blocks, the largest first.
            prop_assert_eq!(range.allocate(4 << 20, PageSize::Small), Some(START));
            prop_assert_eq!(range.allocate(2 << 20, PageSize::Big), Some(START + (4 << 20)));
        }

        /// Without mixed page sizes a fixed request fails for overlap alone.
        #[test]
        fn a_fixed_request_in_free_space_succeeds(taken in prop::collection::vec((0u64..1536, 1u64..64), 0..40)) {
            const START: u64 = 0x60_0000;
            let mut range = Buddy::new(START..START + 0x60_0000);
            let mut out: Vec<Range<u64>> = Vec::new();
            for (at, pages) in taken {
                let clear = at + pages <= 1536
                    && out.iter().all(|r| r.end <= at || at + pages <= r.start);
                let done = range.allocate_at(START + at * SMALL_PAGE, pages * SMALL_PAGE, PageSize::Small);
                prop_assert_eq!(done, clear);
                if done {
                    out.push(at..at + pages);
                }
            }
        }
    }
}
