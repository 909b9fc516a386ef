//! The event: a file that becomes readable when a channel raises an interrupt.

use std::os::fd::{AsRawFd, OwnedFd};

use ioctl_defs::rm::class::*;
use ioctl_defs::rm::escape::*;

use super::client::Object;
use super::gpu::Gpu;
use super::hint;
use crate::driver::sys::Node;
use crate::error::Result;

/// One for a device: RM counts interrupts per engine, not per channel. One for each channel would be no
/// better, and could not be had at times: the driver knows events by the number of their descriptor,
/// frees them some time after that is closed, and refuses one for a number that has one still.
#[derive(Debug)]
pub(crate) struct Event {
    /// RM's side of it. Closing the file ends the driver's.
    _object: Object,
    file: Node,
}

impl Event {
    pub(crate) fn open(gpu: &Gpu) -> Result<Event> {
        let file = gpu.file()?;
        let fd = file.as_raw_fd();
        let mut args = nv_ioctl_alloc_os_event_t {
            hClient: gpu.client.handle(),
            hDevice: gpu.device.handle(),
            fd: fd as u32,
            Status: 0,
        };
        file.call(NV_ESC_ALLOC_OS_EVENT, &mut args)?;
        hint::check(NV_ESC_ALLOC_OS_EVENT.name(), &file, args.Status)?;
        let object = gpu.subdevice.child(
            NV01_EVENT_OS_EVENT,
            &mut NV0005_ALLOC_PARAMETERS {
                hParentClient: gpu.client.handle(),
                hSrcResource: gpu.subdevice.handle(),
                hClass: NV01_EVENT_OS_EVENT.number(),
                // The subdevice's own number, 0, is part of the index.
                notifyIndex: NV2080_NOTIFIERS_FIFO_EVENT_MTHD
                    | NV01_EVENT_NONSTALL_INTR
                    | NV01_EVENT_WITHOUT_EVENT_DATA
                    | NV01_EVENT_SUBDEVICE_SPECIFIC,
                data: fd as u64,
            },
        )?;
        Ok(Event { _object: object, file })
    }

    /// A descriptor of its own for somebody who waits.
    pub(crate) fn descriptor(&self) -> Result<OwnedFd> {
        Ok(self.file.duplicate()?.into())
    }
}
