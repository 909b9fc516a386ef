//! Cache maintenance. The board's fabric snoops the CPU's caches, so nothing ever needs it.

use ioctl_defs::nvmap::*;
use nix::errno::Errno;

use super::super::caller::Answer;
use super::Nv;

/// Arrays of this many elements and more overflow the driver's 32-bit sizes.
const TOO_MANY: u32 = u32::MAX / 4;

impl Nv<'_, '_> {
    pub(super) fn cache(&mut self) -> Answer {
        let args = self.args(NVMAP_IOC_CACHE)?;
        self.maintain(args.addr, args.handle, args.len.into(), args.op)
    }

    pub(super) fn cache_64(&mut self) -> Answer {
        let args = self.args(NVMAP_IOC_CACHE_64)?;
        self.maintain(args.addr, args.handle, args.len, args.op)
    }

    fn maintain(&mut self, addr: u64, id: u32, len: u64, op: i32) -> Answer {
        let known = [NVMAP_CACHE_OP_WB, NVMAP_CACHE_OP_INV, NVMAP_CACHE_OP_WB_INV];
        if addr == 0 || !known.contains(&op) {
            return Err(Errno::EINVAL.into());
        }
        let handle = self.handle(id).ok_or(Errno::EINVAL)?;
        let end = addr.checked_add(len).ok_or(Errno::EADDRNOTAVAIL)?;
        let mappings = self.caller().mappings();
        let mapped = mappings
            .into_iter()
            .find(|mapped| mapped.addresses.start <= addr && end <= mapped.addresses.end)
            .filter(|mapped| {
                matches!(self.nodes.files.get(&mapped.file), Some(super::File::Dmabuf(_)))
            })
            .ok_or(Errno::EADDRNOTAVAIL)?;
        if mapped.file != handle.buffer.file {
            return Err(Errno::EFAULT.into());
        }
        if op != NVMAP_CACHE_OP_WB && handle.buffer.is_cached() {
            self.nodes.warn(
                "NVMAP_IOC_CACHE invalidates a cached buffer: this release of the driver does so without writing \
                 back first, so what the CPU wrote may be lost; the call is never needed on this chip",
            );
        }
        Ok(0)
    }

    pub(super) fn cache_list(&mut self) -> Answer {
        let args = self.args(NVMAP_IOC_CACHE_LIST)?;
        if args.nr == 0 || args.nr > TOO_MANY {
            return Err(Errno::EINVAL.into());
        }
        if args.handles == 0 || args.offsets == 0 || args.sizes == 0 {
            return Err(Errno::EINVAL.into());
        }
        let wide = args.op as u32 & NVMAP_ELEM_SIZE_U64 != 0;
        let element = if wide { 8 } else { 4 };
        let mut ids = self.array(args.handles, args.nr, 4)?;
        self.array(args.offsets, args.nr, element)?;
        self.array(args.sizes, args.nr, element)?;
        let mut at_reserve = 0;
        for id in ids.chunks_exact_mut(4) {
            let id = u32::from_ne_bytes([id[0], id[1], id[2], id[3]]);
            let handle = self.handle(id).ok_or(Errno::EINVAL)?;
            let allocation = handle.buffer.allocation().ok_or(Errno::EPERM)?;
            if allocation.heap == NVMAP_HEAP_CARVEOUT_VPR {
                return Err(Errno::EPERM.into());
            }
            at_reserve += u32::from(allocation.flags & NVMAP_HANDLE_CACHE_SYNC_AT_RESERVE != 0);
        }
        if at_reserve % args.nr != 0 {
            return Err(Errno::EINVAL.into());
        }
        Ok(0)
    }

    /// Arrays are read piece by piece, so that a bold count costs nothing before the first fault.
    fn array(&mut self, address: u64, count: u32, element: u64) -> Result<Vec<u8>, Errno> {
        let mut bytes = Vec::new();
        let mut left = u64::from(count) * element;
        while left > 0 {
            let piece = left.min(64 << 10);
            let start = bytes.len();
            bytes.resize(start + piece as usize, 0);
            self.caller().read(address.wrapping_add(start as u64), &mut bytes[start..])?;
            left -= piece;
        }
        Ok(bytes)
    }
}
