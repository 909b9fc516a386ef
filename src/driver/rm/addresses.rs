//! Addresses, the same for the GPU and the process.
//!
//! What both can reach lies at one address for both: with two different ones UVM is known to fail
//! now and then. So a GPU address is taken from the process first. All lie below 2^40, which is as
//! far as ring entries and launch descriptors reach.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;

use super::client::Client;
use super::hint;
use crate::addr::{GpuRange, GpuVa};
use crate::driver::sys::{Mapping, refused};
use crate::driver::{LOCAL_WINDOW, SHARED_WINDOW};
use crate::error::{Error, Result};

/// Programs and their heaps lie below, or far above; so do the pools of a libcuda in the process.
const START: u64 = 0x10_0000_0000;
/// The same end as on a Jetson: the windows of kernels lie above.
const END: u64 = 0xfc_0000_0000;
const _: () = assert!(END <= SHARED_WINDOW && END <= LOCAL_WINDOW);

/// All that can be handed out.
pub(crate) const ALL: GpuRange = match GpuRange::new(GpuVa::new(START), END - START) {
    Some(range) => range,
    None => unreachable!(),
};

/// What nobody has now. One list for all devices, for the process has one address space.
static FREE: LazyLock<Mutex<Holes>> =
    LazyLock::new(|| Mutex::new(Holes(BTreeMap::from([(START, END)]))));

fn free() -> MutexGuard<'static, Holes> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stretch of addresses, given back when dropped. By then nothing may lie there any more,
/// neither for the GPU nor for the process.
#[derive(Debug)]
pub(crate) struct Addresses(GpuRange);

impl Addresses {
    /// Takes addresses for the GPU, and sets the same ones aside in the process.
    pub(crate) fn take(len: u64, alignment: u64) -> Result<(Addresses, Mapping)> {
        loop {
            let start = free().take(len, alignment).ok_or_else(|| {
                Error::request(format!("there are no {len} bytes of GPU addresses in one piece"))
            })?;
            match Mapping::reserve(start, len) {
                Ok(mapping) => {
                    let range = GpuRange::new(GpuVa::new(start), len).expect("below 2^40");
                    return Ok((Addresses(range), mapping));
                }
                // Somebody else in the process is there, and may stay: this stretch is not ours.
                Err(Errno::EEXIST) => tracing::debug!(start, len, "addresses taken by others"),
                Err(errno) => {
                    free().give(start, len);
                    return Err(refused("mmap", Client::PATH, errno, hint::errno));
                }
            }
        }
    }

    pub(crate) fn range(&self) -> GpuRange {
        self.0
    }
}

impl Drop for Addresses {
    fn drop(&mut self) {
        free().give(self.0.start().get(), self.0.len());
    }
}

/// Free stretches by their start; the value is the end. No two touch.
#[derive(Debug)]
struct Holes(BTreeMap<u64, u64>);

impl Holes {
    /// Takes the first place that fits.
    fn take(&mut self, len: u64, alignment: u64) -> Option<u64> {
        let (start, end, place) = self.0.iter().find_map(|(&start, &end)| {
            let place = start.checked_next_multiple_of(alignment)?;
            (place.checked_add(len)? <= end).then_some((start, end, place))
        })?;
        self.0.remove(&start);
        if start < place {
            self.0.insert(start, place);
        }
        if place + len < end {
            self.0.insert(place + len, end);
        }
        Some(place)
    }

    fn give(&mut self, mut start: u64, len: u64) {
        let mut end = start + len;
        if let Some(above) = self.0.remove(&end) {
            end = above;
        }
        if let Some((&below, &touching)) = self.0.range(..start).next_back() {
            if touching == start {
                start = below;
            }
        }
        self.0.insert(start, end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_set_aside_and_come_back() {
        let (first, mapping) = Addresses::take(1 << 21, 1 << 21).unwrap();
        let start = first.range().start();
        assert!(start.is_aligned(1 << 21) && mapping.as_ptr() as u64 == start.get());
        assert_eq!(Mapping::reserve(start.get(), 4096).unwrap_err(), Errno::EEXIST);
        drop(mapping);
        // Somebody else comes first and keeps the place.
        let others = Mapping::reserve(start.get(), 4096).unwrap();
        drop(first);
        let (second, _mapping) = Addresses::take(1 << 21, 1 << 21).unwrap();
        assert_ne!(second.range().start(), start);
        drop(others);
    }

    proptest! {
        /// Against a list of what is taken: no two overlap, nothing is lost.
        #[test]
        fn holes_agree_with_a_list(steps in proptest::collection::vec((any::<u8>(), 1u64..20, 0u32..4), 1..200)) {
            let mut holes = Holes(BTreeMap::from([(0, 100)]));
            let mut taken: Vec<(u64, u64)> = Vec::new();
            for (choice, len, shift) in steps {
                if choice % 2 == 0 || taken.is_empty() {
                    let fits = |at: &u64| at + len <= 100
                        && taken.iter().all(|&(start, other)| at + len <= start || start + other <= *at);
                    let expected = (0..100).step_by(1 << shift).find(fits);
                    let place = holes.take(len, 1 << shift);
                    prop_assert_eq!(place, expected);
                    taken.extend(place.map(|place| (place, len)));
                } else {
                    let (start, len) = taken.swap_remove(usize::from(choice) % taken.len());
                    holes.give(start, len);
                }
            }
            for (start, len) in taken {
                holes.give(start, len);
            }
            prop_assert_eq!(holes.0, BTreeMap::from([(0, 100)]));
        }
    }
}
