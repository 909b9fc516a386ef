//! A channel, from open to the doorbell token.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use ioctl_defs::nvgpu::channel::*;

use super::nvmap::DmaBuf;
use crate::driver::sys::Node;
use crate::error::Result;

#[derive(Debug)]
pub(crate) struct Channel(pub(super) Node);

impl Channel {
    /// Lets submissions run for as long as they like. The watchdog excludes deterministic
    /// channels, and the context-switch limit adds up over the life of a channel that rings its
    /// own doorbell: it would end a long-lived one beside a desktop sooner or later.
    pub(crate) fn disable_timeouts(&self) -> Result<()> {
        self.0.call(
            NVGPU_IOCTL_CHANNEL_WDT,
            &mut nvgpu_channel_wdt_args { wdt_status: WdtFlags::DISABLE_WDT, timeout_ms: 0 },
        )?;
        let mut longest = nvgpu_set_timeout_args { timeout: NVGPU_NO_TIMEOUT };
        if let Err(error) = self.0.call(NVGPU_IOCTL_CHANNEL_SET_TIMEOUT, &mut longest) {
            tracing::warn!(%error, "long waits of other programs for the GPU may end this channel");
        }
        Ok(())
    }

    /// Hands ring and control page over and returns the doorbell token. The driver maps the whole
    /// of both buffers and keeps them; the descriptors may be closed.
    pub(crate) fn setup_bind(&self, ring: &DmaBuf, entries: u32, userd: &DmaBuf) -> Result<u32> {
        let mut args = nvgpu_channel_setup_bind_args {
            num_gpfifo_entries: entries,
            // Either flag alone is refused.
            flags: SetupBindFlags::DETERMINISTIC | SetupBindFlags::USERMODE_SUPPORT,
            gpfifo_dmabuf_fd: ring.as_fd().as_raw_fd(),
            userd_dmabuf_fd: userd.as_fd().as_raw_fd(),
            ..Default::default()
        };
        self.0.call(NVGPU_IOCTL_CHANNEL_SETUP_BIND, &mut args)?;
        Ok(args.work_submit_token)
    }

    /// Makes the context of an engine class. The first one of a process takes about a second.
    pub(crate) fn alloc_obj_ctx(&self, class: u32) -> Result<()> {
        self.0.call(
            NVGPU_IOCTL_CHANNEL_ALLOC_OBJ_CTX,
            &mut nvgpu_alloc_obj_ctx_args { class_num: class, ..Default::default() },
        )
    }

    /// Has the driver write a [`nvgpu_notification`] to the start of `buffer` when it kills the
    /// channel.
    pub(crate) fn set_error_notifier(&self, buffer: &DmaBuf) -> Result<()> {
        self.0.call(
            NVGPU_IOCTL_CHANNEL_SET_ERROR_NOTIFIER,
            &mut nvgpu_set_error_notifier {
                offset: 0,
                size: size_of::<nvgpu_notification>() as u64,
                mem: buffer.as_fd().as_raw_fd() as u32,
                padding: 0,
            },
        )
    }

    /// Whether the driver has killed the channel.
    pub(crate) fn timed_out(&self) -> Result<bool> {
        let mut args = nvgpu_get_param_args::default();
        self.0.call(NVGPU_IOCTL_CHANNEL_GET_TIMEDOUT, &mut args)?;
        Ok(args.value != 0)
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
