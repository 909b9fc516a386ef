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

/// One view of the registers.
#[derive(Debug)]
struct Page {
    mapping: Mapping,
    _object: Object,
}

impl Page {
    fn new(gpu: &Gpu, object: Object) -> Result<Page> {
        let file = gpu.file()?;
        gpu.client.map_memory(&gpu.subdevice, &object, BYTES, 0, &file)?;
        Ok(Page { mapping: file.map(BYTES)?, _object: object })
    }

    fn register(&self, offset: u64) -> NonNull<u32> {
        let start = NonNull::new(self.mapping.as_ptr()).expect("mmap never returns null");
        // SAFETY: the registers that this file names lie inside the page.
        unsafe { start.byte_add(offset as usize) }.cast()
    }
}

#[derive(Debug)]
pub(crate) struct UsermodePage {
    registers: Page,
    /// From Hopper on: the registers once more, behind the window through which the CPU writes video
    /// memory. There they take stores only.
    in_window: Option<Page>,
}

impl UsermodePage {
    pub(crate) fn open(gpu: &Gpu) -> Result<UsermodePage> {
        let hopper = |in_window: bool| {
            let mut params =
                NV_HOPPER_USERMODE_A_PARAMS { bBar1Mapping: in_window.into(), bPriv: 0 };
            Page::new(gpu, gpu.subdevice.child(HOPPER_USERMODE_A, &mut params)?)
        };
        Ok(match gpu.classes.usermode {
            Usermode::Hopper => {
                UsermodePage { registers: hopper(false)?, in_window: Some(hopper(true)?) }
            }
            Usermode::Older(class) => UsermodePage {
                registers: Page::new(gpu, gpu.subdevice.child(class, &mut ())?)?,
                in_window: None,
            },
        })
    }

    /// Where to ring: behind the window, where there is one. GP_PUT is in video memory, and its store
    /// must be there before the bell; so both take the same way. On an H200 a bell that does not
    /// overtakes the store in one of 80 moments in which some process opens or closes a channel. The
    /// host then finds GP_PUT as it was, and looks again only when the bell rings again.
    pub(crate) fn doorbell(&self) -> NonNull<u32> {
        self.in_window.as_ref().unwrap_or(&self.registers).register(usermode::DOORBELL)
    }

    pub(crate) fn clock(&self) -> Result<ClockPair> {
        ClockPair::best_of(32, || self.reading())
    }

    /// One pair. Taken again where the high half of the clock moved meanwhile.
    fn reading(&self) -> Result<ClockPair> {
        // SAFETY: both registers lie in the page, which is mapped for as long as it is open;
        // reading them has no effect.
        let [low, high] = [usermode::TIME_0, usermode::TIME_1]
            .map(|at| move || unsafe { self.registers.register(at).read_volatile() });
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
