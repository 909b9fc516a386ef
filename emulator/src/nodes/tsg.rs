//! The TSG file: a group of channels that share a time slice, and the subcontexts in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ioctl_defs::nvgpu::channel::{
    ComputePreemptionMode, GraphicsPreemptionMode, NVGPU_IOCTL_CHANNEL_EVENT_ID_BLOCKING_SYNC,
    NVGPU_RUNLIST_INTERLEAVE_NUM_LEVELS, nvgpu_timeslice_args,
};
use ioctl_defs::nvgpu::ctrl::GpuFlags;
use ioctl_defs::nvgpu::tsg::*;
use nix::errno::Errno;
use zerocopy::{FromZeros, IntoBytes};

use super::caller::{Answer, Refusal};
use super::context::Context;
use super::dispatch::{Limits, Message, answer};
use super::event::EventFile;
use super::setup::Setup;
use super::space::SpaceKey;
use super::{Call, File, Nodes, Opened};
use crate::gpu::Gpu;

const LIMITS: Limits = Limits {
    magic: NVGPU_TSG_IOCTL_MAGIC,
    last: NVGPU_TSG_IOCTL_LAST,
    largest: NVGPU_TSG_IOCTL_MAX_ARG_SIZE,
};

/// The chip has this many.
const TSGS: u32 = 512;
/// Channels that one TSG can hold.
const CHANNELS_PER_TSG: usize = 128;
/// Microseconds: what a TSG starts with, and what may be set.
const DEFAULT_TIMESLICE: u32 = 1024;
const TIMESLICES: std::ops::RangeInclusive<u32> = 1000..=50_000;

/// A part of a TSG with an address space of its own.
#[derive(Debug)]
pub(super) struct Subcontext {
    /// None when it came into being with a channel that had no address space.
    pub space: Option<SpaceKey>,
    pub channels: u32,
}

#[derive(Debug)]
pub(super) struct Tsg {
    pub subcontexts: BTreeMap<u32, Subcontext>,
    pub channels: BTreeSet<u32>,
    /// Of all its channels.
    pub runlist: Option<u32>,
    pub graphics_mode: GraphicsPreemptionMode,
    pub compute_mode: ComputePreemptionMode,
    /// The driver's buffers, per address space.
    pub contexts: BTreeMap<SpaceKey, Context>,
    timeslice: u32,
    open: bool,
}

/// All TSGs, and who waits for their events.
#[derive(Debug, Default)]
pub(super) struct Tsgs {
    by_id: BTreeMap<u32, Tsg>,
    listeners: Vec<Arc<EventFile>>,
}

impl Tsgs {
    /// A new TSG at the lowest free id.
    fn add(&mut self) -> Option<u32> {
        let id = (0..TSGS).find(|id| !self.by_id.contains_key(id))?;
        self.by_id.insert(
            id,
            Tsg {
                subcontexts: BTreeMap::new(),
                channels: BTreeSet::new(),
                runlist: None,
                graphics_mode: GraphicsPreemptionMode::WFI,
                compute_mode: ComputePreemptionMode::WFI,
                contexts: BTreeMap::new(),
                timeslice: DEFAULT_TIMESLICE,
                open: true,
            },
        );
        Some(id)
    }

    pub fn get(&self, id: u32) -> &Tsg {
        self.by_id.get(&id).expect("a TSG lives as long as its file and its channels")
    }

    pub fn get_mut(&mut self, id: u32) -> &mut Tsg {
        self.by_id.get_mut(&id).expect("a TSG lives as long as its file and its channels")
    }

    pub fn listen(&mut self, event: Arc<EventFile>) {
        self.listeners.push(event);
    }

    pub fn has_listener(&self, tsg: u32, id: u32) -> bool {
        let mut listeners = self.listeners.iter();
        listeners.any(|other| other.tsg == tsg && other.id == id && !other.is_closed())
    }

    pub fn forget_event(&mut self, event: &Arc<EventFile>) {
        self.listeners.retain(|other| !Arc::ptr_eq(other, event));
    }

    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    #[cfg(test)]
    pub fn listeners(&self) -> usize {
        self.listeners.len()
    }

    /// Wakes who waits for an interrupt of this TSG.
    pub fn interrupt(&self, tsg: u32) {
        let blocking = |listener: &&Arc<EventFile>| {
            listener.tsg == tsg && listener.id == NVGPU_IOCTL_CHANNEL_EVENT_ID_BLOCKING_SYNC
        };
        self.listeners.iter().filter(blocking).for_each(|listener| listener.post());
    }
}

impl Nodes {
    /// What the `tsg` node opens.
    pub(super) fn open_tsg_node(&mut self) -> Result<Opened, Errno> {
        let id = self.tsgs.add().ok_or(Errno::ENOMEM)?;
        self.peer_file(File::Tsg(id))
    }

    pub(super) fn tsg_ioctl(
        &mut self,
        call: &mut Call<'_>,
        id: u32,
        request: u32,
        arg: u64,
    ) -> Answer {
        let mut message = Message::receive(&LIMITS, call, request, arg)?;
        self.injected(request)?;
        let answer = answer!(self, message, {
            NVGPU_TSG_IOCTL_BIND_CHANNEL => |fd| self.bind_channel(call, id, fd),
            NVGPU_TSG_IOCTL_BIND_CHANNEL_EX => |args| self.bind_channel_ex(call, id, &args),
            NVGPU_TSG_IOCTL_UNBIND_CHANNEL => |fd| self.unbind_channel(call, id, fd),
            // Enabled from the start.
            NVGPU_IOCTL_TSG_ENABLE => |_args| Ok(0),
            NVGPU_IOCTL_TSG_DISABLE => |_args| {
                self.warn("NVGPU_IOCTL_TSG_DISABLE: the software Orin lets the channels run on");
                Ok(0)
            },
            NVGPU_IOCTL_TSG_PREEMPT => |_args| Ok(0),
            NVGPU_IOCTL_TSG_EVENT_ID_CTRL => |args| self.event_id_ctrl(call, id, &mut args),
            NVGPU_IOCTL_TSG_SET_RUNLIST_INTERLEAVE => |args| {
                if args.level < NVGPU_RUNLIST_INTERLEAVE_NUM_LEVELS {
                    Ok(0)
                } else {
                    Err(Errno::EINVAL.into())
                }
            },
            NVGPU_IOCTL_TSG_SET_TIMESLICE => |args| self.set_timeslice(id, &args),
            NVGPU_IOCTL_TSG_GET_TIMESLICE => |args| {
                args.timeslice_us = self.tsgs.get(id).timeslice;
                Ok(0)
            },
            NVGPU_TSG_IOCTL_CREATE_SUBCONTEXT => |args| self.create_subcontext(call, id, &mut args),
            NVGPU_TSG_IOCTL_DELETE_SUBCONTEXT => |args| self.delete_subcontext(id, args.veid),
            NVGPU_TSG_IOCTL_READ_SINGLE_SM_ERROR_STATE => |args| {
                self.read_sm_error_state(call, id, &mut args)
            },
            NVGPU_TSG_IOCTL_BIND_SCHEDULING_DOMAIN => |args| self.bind_domain(&args),
        });
        message.finish(call, answer, &mut self.warnings)
    }

    pub(super) fn close_tsg(&mut self, id: u32) {
        self.tsgs.get_mut(id).open = false;
        self.release_tsg(id);
    }

    /// Drops a TSG that nothing refers to any more, with the driver's buffers.
    fn release_tsg(&mut self, id: u32) {
        let tsg = self.tsgs.get_mut(id);
        if tsg.open || !tsg.channels.is_empty() {
            return;
        }
        for (key, context) in std::mem::take(&mut tsg.contexts) {
            // An address space without channels may be gone before the TSG.
            if let Some(space) = self.spaces.get_mut(&key) {
                context.release(space);
            }
        }
        self.tsgs.by_id.remove(&id);
    }

    /// The old call: joins with the subcontext that the channel has, which is 0 unless it was named before.
    fn bind_channel(&mut self, call: &mut Call<'_>, id: u32, fd: i32) -> Answer {
        let channel = self.channel_of(call.caller, fd)?;
        if let Err(errno) = self.match_subcontext(id, channel) {
            return Err(Refusal::Trap(format!(
                "NVGPU_TSG_IOCTL_BIND_CHANNEL of channel {channel} fails with {errno} and leaks a reference: on \
                 a board this channel can never be freed; use NVGPU_TSG_IOCTL_BIND_CHANNEL_EX"
            )));
        }
        self.join(id, channel)
    }

    fn bind_channel_ex(
        &mut self,
        call: &mut Call<'_>,
        id: u32,
        args: &nvgpu_tsg_bind_channel_ex_args,
    ) -> Answer {
        let channel = self.channel_of(call.caller, args.channel_fd)?;
        if args.subcontext_id >= self.profile.characteristics.max_veid_count_per_tsg {
            return Err(Errno::EINVAL.into());
        }
        // Kept even if the rest fails.
        self.channels.get_mut(channel).subcontext = args.subcontext_id;
        if args.subcontext_id > 0 {
            self.channels.get_mut(channel).async_queue = true;
        }
        self.match_subcontext(id, channel)?;
        self.join(id, channel)
    }

    /// Whether the channel's address space is that of its subcontext. Subcontext 0 comes into being here.
    fn match_subcontext(&mut self, id: u32, channel: u32) -> Result<(), Errno> {
        let channel = self.channels.get(channel);
        let subcontexts = &mut self.tsgs.get_mut(id).subcontexts;
        if channel.subcontext == 0 {
            let implicit = Subcontext { space: channel.space, channels: 0 };
            subcontexts.entry(0).or_insert(implicit);
        }
        // One that was never created has no address space, which a channel without one matches.
        let space = subcontexts.get(&channel.subcontext).and_then(|subcontext| subcontext.space);
        if space == channel.space { Ok(()) } else { Err(Errno::EINVAL) }
    }

    fn join(&mut self, id: u32, channel_id: u32) -> Answer {
        let channel = self.channels.get_mut(channel_id);
        let tsg = self.tsgs.get_mut(id);
        if channel.tsg.is_some()
            || tsg.channels.len() >= CHANNELS_PER_TSG
            || tsg.runlist.is_some_and(|runlist| runlist != channel.runlist)
        {
            return Err(Errno::EINVAL.into());
        }
        tsg.runlist = Some(channel.runlist);
        tsg.channels.insert(channel_id);
        let none = Subcontext { space: channel.space, channels: 0 };
        tsg.subcontexts.entry(channel.subcontext).or_insert(none).channels += 1;
        channel.tsg = Some(id);
        channel.unserviceable = false;
        Ok(0)
    }

    fn unbind_channel(&mut self, call: &mut Call<'_>, id: u32, fd: i32) -> Answer {
        let channel = self.channel_of(call.caller, fd)?;
        if self.channels.get(channel).tsg != Some(id) {
            return Err(Errno::EINVAL.into());
        }
        let busy = self.channels.get(channel).setup.as_ref().is_some_and(Setup::has_work);
        if busy && self.is_serviceable(call.gpu, channel) {
            return Err(Errno::EAGAIN.into());
        }
        self.leave(call.gpu, channel);
        Ok(0)
    }

    /// Takes a channel out of its TSG; it will not run again.
    pub(super) fn leave(&mut self, gpu: &mut Gpu, channel_id: u32) {
        let channel = self.channels.get_mut(channel_id);
        channel.unserviceable = true;
        let Some(id) = channel.tsg.take() else { return };
        gpu.destroy_channel(channel_id);
        let subcontext = channel.subcontext;
        let tsg = self.tsgs.get_mut(id);
        tsg.channels.remove(&channel_id);
        if tsg.channels.is_empty() {
            tsg.runlist = None;
        }
        if let Some(left) = tsg.subcontexts.get_mut(&subcontext) {
            left.channels -= 1;
            if left.channels == 0 {
                tsg.subcontexts.remove(&subcontext);
                gpu.destroy_subcontext(id, subcontext);
            }
        }
        self.release_tsg(id);
    }

    fn set_timeslice(&mut self, id: u32, args: &nvgpu_timeslice_args) -> Answer {
        if !TIMESLICES.contains(&args.timeslice_us) {
            return Err(Errno::EINVAL.into());
        }
        self.tsgs.get_mut(id).timeslice = args.timeslice_us;
        Ok(0)
    }

    fn create_subcontext(
        &mut self,
        call: &mut Call<'_>,
        id: u32,
        args: &mut nvgpu_tsg_create_subcontext_args,
    ) -> Answer {
        let asynchronous = match args.r#type {
            NVGPU_TSG_SUBCONTEXT_TYPE_SYNC => false,
            NVGPU_TSG_SUBCONTEXT_TYPE_ASYNC => true,
            _ => return Err(Errno::EINVAL.into()),
        };
        let space = Some(self.space_of(call.caller, args.as_fd)?);
        let veids = self.profile.characteristics.max_veid_count_per_tsg;
        let subcontexts = &mut self.tsgs.get_mut(id).subcontexts;
        let free = |veid: &u32| !subcontexts.contains_key(veid);
        let veid = if asynchronous {
            (1..veids).find(free).or(Some(0).filter(free))
        } else {
            Some(0).filter(free)
        };
        args.veid = veid.ok_or(Errno::ENOSPC)?;
        subcontexts.insert(args.veid, Subcontext { space, channels: 0 });
        Ok(0)
    }

    fn delete_subcontext(&mut self, id: u32, veid: u32) -> Answer {
        if veid >= self.profile.characteristics.max_veid_count_per_tsg {
            return Err(Errno::EINVAL.into());
        }
        let subcontexts = &mut self.tsgs.get_mut(id).subcontexts;
        if subcontexts.get(&veid).is_some_and(|subcontext| subcontext.channels > 0) {
            return Err(Errno::EINVAL.into());
        }
        subcontexts.remove(&veid);
        Ok(0)
    }

    fn read_sm_error_state(
        &mut self,
        call: &mut Call<'_>,
        id: u32,
        args: &mut nvgpu_tsg_read_single_sm_error_state_args,
    ) -> Answer {
        if args.sm_id >= self.profile.sm_count() {
            return Err(Errno::EINVAL.into());
        }
        let mut record = nvgpu_tsg_sm_error_state_record::new_zeroed();
        if let Some(warp) = call.gpu.warp_error(id) {
            if warp.sm % self.profile.sm_count() == args.sm_id {
                (record.warp_esr, record.warp_esr_pc) = (warp.esr, warp.pc);
            }
        }
        let size = args.record_size.min(size_of_val(&record) as u64);
        if size > 0 {
            if call.caller.write(args.record_mem, &record.as_bytes()[..size as usize]).is_err() {
                // As where a dispatcher copies: the count of missing bytes, not an error.
                return Ok(size as i32);
            }
            args.record_size = size;
        }
        Ok(0)
    }

    fn bind_domain(&mut self, args: &nvgpu_tsg_bind_scheduling_domain_args) -> Answer {
        if args.reserved0 != 0 || args.reserved != [0; 3] {
            return Err(Errno::EINVAL.into());
        }
        if !self.profile.supports(GpuFlags::SUPPORT_NVS) {
            return Err(Errno::ENOSYS.into());
        }
        // The model has no scheduler node, so no descriptor is a domain.
        Err(Errno::ENOENT.into())
    }
}
