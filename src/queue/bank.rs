//! What stands in constant bank 0 in front of the arguments: words that the compiler counts on and the
//! launch fills, named here by their byte offsets.
//!
//! Others that a kernel can ask for stay 0, as for a program that does not use the toolkit's own
//! services: `%envreg0` to `%envreg31`, `%current_graph_exec`, and `%gridid`, for a replayed launch
//! has no number.

use crate::addr::GpuVa;
use crate::driver::{LOCAL_WINDOW, SHARED_WINDOW};
use crate::module::{KernelInner, Launch};
use crate::qmd::RESERVED_SHARED;

const BLOCK_DIM: u32 = 0x00;
const GRID_DIM: u32 = 0x0c;
const SHARED_WINDOW_AT: u32 = 0x18;
const LOCAL_WINDOW_AT: u32 = 0x20;
const STACK_POINTER_AT: u32 = 0x28;
/// Frames grow down from here in each thread's 16 MiB of local addresses.
const STACK_POINTER: u32 = 0xff_fdc0;
const DYNAMIC_SHARED_AT: u32 = 0x2c;
const MULTIPROCESSORS_AT: u32 = 0x10c;
const RESERVED_SHARED_AT: u32 = 0x114;
/// How much of the reserved shared memory the toolkit's libraries may use, from its beginning.
const USABLE_RESERVED: u32 = 0x120;

/// Up to Ada: where bank 0 itself lies, which pointers to arguments are made of; where bank 3 lies,
/// which pointers to `__constant__` variables are made of; where the reserved shared memory's usable
/// part ends and begins; the offset at which the arguments end.
mod ampere {
    pub(super) const OWN_BANK_AT: u32 = 0x40;
    pub(super) const CONSTANTS_AT: u32 = 0x50;
    pub(super) const ARGUMENTS_END_AT: u32 = 0x12c;
    pub(super) const USABLE_AT: u32 = 0x120;
}

/// From Hopper on: the same, but for the addresses at which the arguments begin and end; and whether
/// there are clusters, their size, its reciprocals, how many there are, and the blocks of one. Without
/// them a cluster's barrier is a block's and its size is 0.
mod hopper {
    pub(super) const USABLE_AT: u32 = 0x68;
    pub(super) const CONSTANTS_AT: u32 = 0xd0;
    pub(super) const HAS_CLUSTERS_AT: u32 = 0x140;
    pub(super) const CLUSTER_DIM_AT: u32 = 0x144;
    pub(super) const CLUSTER_FACTOR_AT: u32 = 0x150;
    pub(super) const CLUSTERS_AT: u32 = 0x15c;
    pub(super) const CLUSTER_BLOCKS_AT: u32 = 0x188;
    pub(super) const ARGUMENTS_AT: u32 = 0x198;
    pub(super) const ARGUMENTS_END_AT: u32 = 0x1a0;
}

/// How many words depend on grid, block and shared memory.
pub(super) const SHAPE_WORDS: usize = 9;

impl KernelInner {
    fn is_for_hopper(&self) -> bool {
        self.sm >= 90
    }

    /// Writes all that does not depend on where the bank lies; `put` takes a byte offset and a word.
    pub(super) fn write_head(&self, launch: &Launch, put: &mut dyn FnMut(u32, u32)) {
        let begin = self.parameters_begin();
        let mut head = |at: u32, word: u32| {
            // A bank without arguments may end before.
            if at < begin {
                put(at, word);
            }
        };
        for at in (0..begin).step_by(4) {
            head(at, 0);
        }
        for (at, word) in self.shape_words(launch) {
            head(at, word);
        }
        let constants_at = match self.is_for_hopper() {
            true => hopper::CONSTANTS_AT,
            false => ampere::CONSTANTS_AT,
        };
        for (at, address) in [
            (SHARED_WINDOW_AT, SHARED_WINDOW),
            (LOCAL_WINDOW_AT, LOCAL_WINDOW),
            (constants_at, self.constants.map_or(0, GpuVa::get)),
        ] {
            head(at, address as u32);
            head(at + 4, (address >> 32) as u32);
        }
        head(STACK_POINTER_AT, STACK_POINTER);
        head(MULTIPROCESSORS_AT, self.multiprocessors);
        head(RESERVED_SHARED_AT, RESERVED_SHARED);
        if !self.is_for_hopper() {
            head(ampere::ARGUMENTS_END_AT, self.parameters_end());
            return;
        }
        let size = self.cluster.unwrap_or([1; 3]);
        head(hopper::HAS_CLUSTERS_AT, self.cluster.is_some().into());
        head(hopper::CLUSTER_BLOCKS_AT, size.iter().product());
        for (i, (size, grid)) in (0..).zip(size.iter().zip(&launch.grid)) {
            head(hopper::CLUSTER_DIM_AT + 4 * i, *size);
            head(hopper::CLUSTER_FACTOR_AT + 4 * i, (1.0 / *size as f32).to_bits());
            head(hopper::CLUSTERS_AT + 4 * i, grid / size);
        }
    }

    /// The words that a launch slot changes too.
    pub(super) fn shape_words(&self, launch: &Launch) -> [(u32, u32); SHAPE_WORDS] {
        // The reserved part lies behind the block's own on Ampere and before it on Hopper.
        let (usable_at, reserved) = match self.is_for_hopper() {
            true => (hopper::USABLE_AT, 0),
            false => (ampere::USABLE_AT, self.shared_of(launch)),
        };
        let ([bx, by, bz], [gx, gy, gz]) = (launch.block, launch.grid);
        [
            (BLOCK_DIM, bx),
            (BLOCK_DIM + 4, by),
            (BLOCK_DIM + 8, bz),
            (GRID_DIM, gx),
            (GRID_DIM + 4, gy),
            (GRID_DIM + 8, gz),
            (DYNAMIC_SHARED_AT, launch.shared),
            (usable_at, reserved + USABLE_RESERVED),
            (usable_at + 4, reserved),
        ]
    }

    /// The words that say where the bank lies, when it begins at `bank`.
    pub(super) fn own_addresses(&self, bank: GpuVa) -> impl Iterator<Item = (u32, u32)> {
        let begin = self.parameters_begin();
        let places = if self.is_for_hopper() {
            let end = (hopper::ARGUMENTS_END_AT, self.parameters_end());
            [Some((hopper::ARGUMENTS_AT, begin)), Some(end)]
        } else {
            [Some((ampere::OWN_BANK_AT, 0)), None]
        };
        places.into_iter().flatten().filter(move |(at, _)| *at < begin).flat_map(
            move |(at, offset)| {
                let address = bank.get() + u64::from(offset);
                [(at, address as u32), (at + 4, (address >> 32) as u32)]
            },
        )
    }
}
