//! A time-slice group: the channels that run, and die, together.

use std::os::fd::{AsFd, AsRawFd};

use ioctl_defs::nvgpu::channel::{
    NVGPU_IOCTL_CHANNEL_EVENT_ID_BLOCKING_SYNC, NVGPU_IOCTL_CHANNEL_EVENT_ID_CMD_ENABLE,
    nvgpu_event_id_ctrl_args,
};
use ioctl_defs::nvgpu::tsg::*;

use super::address_space::AddressSpace;
use super::channel::Channel;
use crate::driver::sys::Node;
use crate::error::Result;

#[derive(Debug)]
pub(crate) struct Tsg(pub(super) Node);

/// A subcontext of a group: an address space, and what methods tell the compute engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Veid(u32);

impl Tsg {
    /// Makes a subcontext that can run beside the graphics one; the driver gives that away when it has
    /// no other left. It goes away with its last channel.
    pub(crate) fn create_subcontext(&self, space: &AddressSpace) -> Result<Veid> {
        let mut args = nvgpu_tsg_create_subcontext_args {
            r#type: NVGPU_TSG_SUBCONTEXT_TYPE_ASYNC,
            as_fd: space.as_fd().as_raw_fd(),
            ..Default::default()
        };
        self.0.call(NVGPU_TSG_IOCTL_CREATE_SUBCONTEXT, &mut args)?;
        Ok(Veid(args.veid))
    }

    /// Unmakes a subcontext that no channel has joined.
    pub(crate) fn delete_subcontext(&self, veid: Veid) -> Result<()> {
        let mut args = nvgpu_tsg_delete_subcontext_args { veid: veid.0, ..Default::default() };
        self.0.call(NVGPU_TSG_IOCTL_DELETE_SUBCONTEXT, &mut args)
    }

    /// Takes a channel in. Its address space must be that of the subcontext already.
    pub(crate) fn bind_channel(&self, channel: &Channel, veid: Veid) -> Result<()> {
        self.0.call(
            NVGPU_TSG_IOCTL_BIND_CHANNEL_EX,
            &mut nvgpu_tsg_bind_channel_ex_args {
                channel_fd: channel.as_fd().as_raw_fd(),
                subcontext_id: veid.0,
                ..Default::default()
            },
        )
    }

    /// A file that becomes readable with each non-stall interrupt of the group. The driver refuses a
    /// second one while the first is open.
    pub(crate) fn event(&self) -> Result<Node> {
        let mut args = nvgpu_event_id_ctrl_args {
            cmd: NVGPU_IOCTL_CHANNEL_EVENT_ID_CMD_ENABLE,
            event_id: NVGPU_IOCTL_CHANNEL_EVENT_ID_BLOCKING_SYNC,
            ..Default::default()
        };
        self.0.call(NVGPU_IOCTL_TSG_EVENT_ID_CTRL, &mut args)?;
        // SAFETY: the driver has just installed this descriptor for us.
        Ok(unsafe { self.0.adopt(args.event_fd, "event") })
    }

    /// What a multiprocessor reported when the group was stopped.
    pub(crate) fn sm_error_state(&self, sm: u32) -> Result<nvgpu_tsg_sm_error_state_record> {
        let mut record = nvgpu_tsg_sm_error_state_record::default();
        let mut args = nvgpu_tsg_read_single_sm_error_state_args {
            sm_id: sm,
            record_mem: (&raw mut record) as u64,
            record_size: size_of::<nvgpu_tsg_sm_error_state_record>() as u64,
            ..Default::default()
        };
        self.0.call(NVGPU_TSG_IOCTL_READ_SINGLE_SM_ERROR_STATE, &mut args)?;
        Ok(record)
    }
}
