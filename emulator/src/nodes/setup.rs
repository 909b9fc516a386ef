//! How a channel gets its ring and its classes.

use std::sync::Arc;

use hw_defs::userd;
use ioctl_defs::nvgpu::channel::*;
use ioctl_defs::nvgpu::ctrl::GpuFlags;
use nix::errno::Errno;

use super::caller::{Answer, Refusal};
use super::context::{FIELD_LIMIT, TooHigh};
use super::dmabuf::Buffer;
use super::space::SpaceKey;
use super::{Call, Nodes};
use crate::gpu::{Access, ChannelSetup};
use crate::memory::Memory;

const ENTRY: u64 = 8;

/// The ring of a channel.
#[derive(Debug)]
pub(super) enum Setup {
    /// The program's own, with a doorbell. Both buffers live as long as the channel.
    Usermode { address: u64, _ring: Arc<Buffer>, userd: Arc<Buffer> },
    /// The driver's, which submits to it.
    Kernel { address: u64, entries: u32 },
}

impl Setup {
    /// Where the ring lies for the GPU.
    pub fn address(&self) -> u64 {
        match self {
            Setup::Usermode { address, .. } | Setup::Kernel { address, .. } => *address,
        }
    }

    /// Whether the program has put entries in its ring that the GPU has not taken.
    pub fn has_work(&self) -> bool {
        let Setup::Usermode { userd, .. } = self else { return false };
        let pointers =
            |userd: Arc<Memory>| userd.load_u32(userd::GP_GET) != userd.load_u32(userd::GP_PUT);
        userd.memory().is_some_and(pointers)
    }
}

impl Nodes {
    pub(super) fn setup_bind(
        &mut self,
        call: &mut Call<'_>,
        id: u32,
        args: &mut nvgpu_channel_setup_bind_args,
    ) -> Answer {
        let (key, tsg) = self.may_set_up(id, args.num_gpfifo_entries, args.flags)?;
        if args.flags.contains(SetupBindFlags::USERMODE_SUPPORT) {
            self.set_up_usermode(call, id, key, tsg, args)?;
        } else {
            self.set_up_kernel(id, key, args.num_gpfifo_entries)?;
        }
        let channel = self.channels.get_mut(id);
        channel.deterministic = args.flags.contains(SetupBindFlags::DETERMINISTIC);
        args.work_submit_token = id | channel.runlist << 16;
        args.gpfifo_gpu_va = 0;
        args.userd_gpu_va = 0;
        Ok(0)
    }

    /// The older call, for a ring of the driver.
    pub(super) fn alloc_gpfifo_ex(&mut self, id: u32, args: &nvgpu_alloc_gpfifo_ex_args) -> Answer {
        let flags = SetupBindFlags::from_bits_retain(args.flags.bits());
        let flags = flags.difference(SetupBindFlags::USERMODE_SUPPORT);
        let (key, _) = self.may_set_up(id, args.num_entries, flags)?;
        self.set_up_kernel(id, key, args.num_entries)?;
        self.channels.get_mut(id).deterministic = flags.contains(SetupBindFlags::DETERMINISTIC);
        Ok(0)
    }

    /// What is checked before the buffers are looked at; the channel's address space and TSG.
    fn may_set_up(
        &self,
        id: u32,
        entries: u32,
        flags: SetupBindFlags,
    ) -> Result<(SpaceKey, u32), Errno> {
        let channel = self.channels.get(id);
        let usermode = flags.contains(SetupBindFlags::USERMODE_SUPPORT);
        let fewest = if usermode { 2 } else { 4 };
        if entries < fewest
            || !entries.is_power_of_two()
            || u64::from(entries) * ENTRY > u64::from(u32::MAX)
        {
            return Err(Errno::EINVAL);
        }
        let key = channel.space.ok_or(Errno::EINVAL)?;
        let tsg = channel.tsg.ok_or(Errno::EINVAL)?;
        if channel.setup.is_some() {
            return Err(Errno::EEXIST);
        }
        let deterministic = flags.contains(SetupBindFlags::DETERMINISTIC);
        if deterministic && channel.watchdog
            || usermode && !deterministic
            || flags.contains(SetupBindFlags::VPR_ENABLED)
                && !self.profile.supports(GpuFlags::SUPPORT_VPR)
        {
            return Err(Errno::EINVAL);
        }
        Ok((key, tsg))
    }

    fn set_up_usermode(
        &mut self,
        call: &mut Call<'_>,
        id: u32,
        key: SpaceKey,
        tsg: u32,
        args: &nvgpu_channel_setup_bind_args,
    ) -> Result<(), Errno> {
        if args.gpfifo_dmabuf_fd == 0
            || args.userd_dmabuf_fd == 0
            || args.gpfifo_dmabuf_offset != 0
            || args.userd_dmabuf_offset != 0
        {
            return Err(Errno::EINVAL);
        }
        let ring = self.dmabuf_of(call.caller, args.gpfifo_dmabuf_fd)?;
        let ring_memory = ring.memory().ok_or(Errno::EINVAL)?;
        let entries = args.num_gpfifo_entries;
        if ring.size < (u64::from(entries) * ENTRY).max(4096) {
            return Err(Errno::EINVAL);
        }
        let space = self.space(key);
        // All of the buffer is mapped, however large it is.
        let address = space
            .map_kernel(call.gpu, &ring_memory, 0..ring.size, Access::ReadOnly)
            .ok_or(Errno::ENOMEM)?;
        let gpu_space = space.gpu;
        let userd = self
            .dmabuf_of(call.caller, args.userd_dmabuf_fd)
            .and_then(|userd| Ok((userd.memory().ok_or(Errno::EINVAL)?, userd)));
        let (userd_memory, userd) = match userd {
            Ok(userd) => userd,
            Err(errno) => {
                self.space(key).unmap_kernel(call.gpu, address);
                return Err(errno);
            }
        };
        if address >= FIELD_LIMIT {
            self.warn(format!(
                "the ring of channel {id} lies at {address:#x}, above 2^40: the hardware drops the upper bits of \
                 this address; end the address space at 0xff00000000 or below"
            ));
        }
        let setup = ChannelSetup {
            tsg,
            veid: self.channels.get(id).subcontext,
            space: gpu_space,
            ring_va: address % FIELD_LIMIT,
            entries,
            userd: userd_memory,
        };
        call.gpu.create_channel(id, setup);
        if self.inject.hangs_channel() {
            call.gpu.hang_channel(id);
        }
        if self.inject.loses_notifiers() {
            call.gpu.lose_notifiers();
        }
        self.channels.get_mut(id).setup = Some(Setup::Usermode { address, _ring: ring, userd });
        Ok(())
    }

    fn set_up_kernel(&mut self, id: u32, key: SpaceKey, entries: u32) -> Result<(), Errno> {
        let address =
            self.space(key).reserve_kernel(u64::from(entries) * ENTRY).ok_or(Errno::ENOMEM)?;
        self.channels.get_mut(id).setup = Some(Setup::Kernel { address, entries });
        Ok(())
    }

    pub(super) fn alloc_obj_ctx(
        &mut self,
        call: &mut Call<'_>,
        id: u32,
        args: &nvgpu_alloc_obj_ctx_args,
    ) -> Answer {
        let (class, classes) = (args.class_num, self.profile.classes);
        let channel = self.channels.get_mut(id);
        let key = channel.space.ok_or(Errno::EINVAL)?;
        if !classes.contain(class) {
            return Err(Errno::EINVAL.into());
        }
        // Kept even if the rest fails.
        channel.class = class;
        let tsg = channel.tsg.ok_or(Errno::EINVAL)?;
        let (veid, async_queue) = (channel.subcontext, channel.async_queue);
        if classes.is_graphics(class) && (veid != 0 || async_queue) || self.mixes(tsg, id, class) {
            return Err(Errno::EINVAL.into());
        }
        let space = self.spaces.get_mut(&key).expect("a channel keeps its address space");
        let members = self.tsgs.get_mut(tsg);
        let first = !members.contexts.contains_key(&key);
        let context = members.contexts.entry(key).or_default();
        context.extend(space, veid).ok_or(Errno::ENOMEM)?;
        let too_high = if first { context.check() } else { None };
        let flags = args.flags;
        if classes.is_compute(class) && flags.contains(AllocObjFlags::CILP) {
            members.compute_mode = ComputePreemptionMode::CILP;
        }
        if classes.is_graphics(class) && flags.contains(AllocObjFlags::GFXP) {
            members.graphics_mode = GraphicsPreemptionMode::GFXP;
        }
        let advice = "end the address space at 0xff00000000 or below";
        match too_high {
            Some(TooHigh::Bug(name, address)) => {
                return Err(Refusal::Trap(format!(
                    "NVGPU_IOCTL_CHANNEL_ALLOC_OBJ_CTX: the driver's {name} lies at {address:#x}, above 2^40; on a \
                     board the kernel stops here with BUG and the machine hangs; {advice}"
                )));
            }
            Some(TooHigh::Warns(name, address)) => self.warn(format!(
                "NVGPU_IOCTL_CHANNEL_ALLOC_OBJ_CTX: the driver's {name} lies at {address:#x}, above 2^40; on a board \
                 the kernel prints a warning with a stack trace; {advice}"
            )),
            None => {}
        }
        call.gpu.allow_class(id, class);
        Ok(0)
    }

    /// Graphics and asynchronous compute cannot share a TSG.
    fn mixes(&self, tsg: u32, id: u32, class: u32) -> bool {
        let members = self.tsgs.get(tsg).channels.iter().filter(|member| **member != id);
        let mut members = members.map(|member| self.channels.get(*member));
        let asynchronous = self.channels.get(id).subcontext != 0;
        let classes = self.profile.classes;
        if classes.is_graphics(class) {
            members.any(|member| classes.is_compute(member.class) && member.subcontext != 0)
        } else {
            classes.is_compute(class)
                && asynchronous
                && members.any(|member| classes.is_graphics(member.class))
        }
    }
}
