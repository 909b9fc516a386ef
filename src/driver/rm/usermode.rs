//! The page of registers that a program may have: the doorbell, and the GPU's clock.

use std::ptr::NonNull;

use hw_defs::usermode;
use ioctl_defs::rm::class::HOPPER_USERMODE_A;
use ioctl_defs::rm::class::NV_HOPPER_USERMODE_A_PARAMS;

use super::classes::Usermode;
use super::client::Object;
use super::gpu::Gpu;
use crate::driver::ClockPair;
use crate::driver::sys::Mapping;
use crate::error::Result;

const BYTES: u64 = 0x10000;

#[derive(Debug)]
pub(crate) struct UsermodePage {
    page: Mapping,
    _object: Object,
}

impl UsermodePage {
    pub(crate) fn open(gpu: &Gpu) -> Result<UsermodePage> {
        let object = match gpu.classes.usermode {
            Usermode::Hopper => {
                // The other mapping, which the GPU itself could reach, rings no faster and has no
                // clock.
                let mut params = NV_HOPPER_USERMODE_A_PARAMS { bBar1Mapping: 0, bPriv: 0 };
                gpu.subdevice.child(HOPPER_USERMODE_A, &mut params)?
            }
            Usermode::Older(class) => gpu.subdevice.child(class, &mut ())?,
        };
        let file = gpu.file()?;
        gpu.client.map_memory(&gpu.subdevice, &object, BYTES, 0, &file)?;
        Ok(UsermodePage { page: file.map(BYTES)?, _object: object })
    }

    fn register(&self, offset: u64) -> NonNull<u32> {
        let start = NonNull::new(self.page.as_ptr()).expect("mmap never returns null");
        // SAFETY: the registers that this file names lie inside the page.
        unsafe { start.byte_add(offset as usize) }.cast()
    }

    pub(crate) fn doorbell(&self) -> NonNull<u32> {
        self.register(usermode::DOORBELL)
    }

    pub(crate) fn clock(&self) -> Result<ClockPair> {
        ClockPair::best_of(32, || self.reading())
    }

    /// One pair. Taken again where the high half of the clock moved meanwhile.
    fn reading(&self) -> Result<ClockPair> {
        // SAFETY: both registers lie in the page, which is mapped for as long as it is open;
        // reading them has no effect.
        let [low, high] = [usermode::TIME_0, usermode::TIME_1]
            .map(|at| move || unsafe { self.register(at).read_volatile() });
        loop {
            let above = high();
            // The bus takes the best part of a microsecond for each register, so just one is read
            // between the looks.
            let mut pair = ClockPair::read(|| Ok(u64::from(low())))?;
            if high() == above {
                pair.gpu_ns |= u64::from(above) << 32;
                return Ok(pair);
            }
        }
    }
}
