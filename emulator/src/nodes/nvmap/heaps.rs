//! What nvmap tells about its heaps.

use std::sync::atomic::Ordering;

use ioctl_defs::nvmap::*;
use nix::errno::Errno;
use zerocopy::FromZeros;

use super::super::caller::Answer;
use super::Nv;
use crate::profile::Carveout;
use crate::va::SMALL_PAGE;

impl Nv<'_, '_> {
    /// Carveouts only: plain memory is not listed although it is what everybody uses.
    pub(super) fn available_heaps(&mut self) -> Answer {
        let mut args = nvmap_available_heaps::new_zeroed();
        for carveout in &self.nodes.profile.carveouts {
            args.heaps |= u64::from(carveout.heap);
        }
        self.reply(&args).map_err(|_| Errno::EINVAL)?;
        Ok(0)
    }

    pub(super) fn heap_size(&mut self) -> Answer {
        let mut args = self.args(NVMAP_IOC_GET_HEAP_SIZE)?;
        args.size = self.carveout(args.heap).ok_or(Errno::ENODEV)?.size;
        self.reply(&args)?;
        Ok(0)
    }

    pub(super) fn heap_params(&mut self) -> Answer {
        let mut args = self.args(NVMAP_IOC_QUERY_HEAP_PARAMS)?;
        if !args.heap_mask.is_power_of_two() && args.heap_mask != 0 {
            self.nodes.warn(
                "NVMAP_IOC_QUERY_HEAP_PARAMS with several heaps: the kernel prints a warning",
            );
        }
        args.largest_free_block = SMALL_PAGE;
        let plain = NVMAP_HEAP_IOVMM | NVMAP_HEAP_CARVEOUT_GENERIC;
        let heap = if args.heap_mask & (NVMAP_HEAP_CARVEOUT_MASK & !plain) != 0 {
            let carveout = self.carveout(args.heap_mask).ok_or(Errno::ENODEV)?;
            Some((carveout.heap, carveout.size))
        } else if args.heap_mask & plain != 0 {
            args.granule_size = SMALL_PAGE as u32;
            Some((NVMAP_HEAP_IOVMM, self.nodes.profile.total_ram))
        } else {
            None
        };
        if let Some((heap, total)) = heap {
            args.total = total;
            args.free = self.nodes.nvmap.free[&heap].load(Ordering::Relaxed);
        }
        self.reply(&args)?;
        Ok(0)
    }

    fn carveout(&self, mask: u32) -> Option<Carveout> {
        self.nodes.profile.carveouts.iter().find(|carveout| mask & carveout.heap != 0).copied()
    }
}
