//! The channel file: a queue of work, from its opening to its end.

use std::collections::BTreeMap;

use ioctl_defs::nvgpu::channel::*;
use ioctl_defs::nvgpu::ctrl::GpuFlags;
use nix::errno::Errno;
use zerocopy::{FromZeros, IntoBytes};

use super::address_space::SYNCPOINT_SIZE;
use super::caller::{Answer, Caller, Refusal};
use super::dispatch::{Limits, Message, answer};
use super::setup::Setup;
use super::space::SpaceKey;
use super::{Call, File, Nodes, Opened};
use crate::gpu::{Access, FaultCause, Gpu};

const LIMITS: Limits = Limits {
    magic: NVGPU_IOCTL_MAGIC,
    last: NVGPU_IOCTL_CHANNEL_LAST,
    largest: NVGPU_IOCTL_CHANNEL_MAX_ARG_SIZE,
};

/// The chip has this many.
const CHANNELS: u32 = 512;
/// What a program reads after an error; all of it is zeroed when the notifier is set.
const NOTIFICATION: u64 = size_of::<nvgpu_notification>() as u64;

#[derive(Debug)]
pub(super) struct Channel {
    pub runlist: u32,
    pub space: Option<SpaceKey>,
    pub tsg: Option<u32>,
    /// The VEID last named for it.
    pub subcontext: u32,
    /// It is served by the second PBDMA, as all but VEID 0 are.
    pub async_queue: bool,
    /// Cannot run: not yet in a TSG, or no longer.
    pub unserviceable: bool,
    pub watchdog: bool,
    /// Stays powered for the channel's sake.
    pub deterministic: bool,
    pub setup: Option<Setup>,
    /// The class last asked for, 0 for none.
    pub class: u32,
    /// The syncpoint and its address.
    syncpoint: Option<(u32, u64)>,
}

/// All channels, and in which order their ids are given out.
#[derive(Debug, Default)]
pub(super) struct Channels {
    by_id: BTreeMap<u32, Channel>,
    /// Ids that came back, the latest last: that one goes out first.
    returned: Vec<u32>,
    /// How many ids have been out at least once.
    used: u32,
}

impl Channels {
    /// A new channel. Ids are given out from the top, and those given back before new ones.
    fn add(&mut self, runlist: u32) -> Option<u32> {
        let id = self.returned.pop().or_else(|| {
            self.used += 1;
            CHANNELS.checked_sub(self.used)
        });
        let Some(id) = id else {
            self.used = CHANNELS;
            return None;
        };
        let channel = Channel {
            runlist,
            space: None,
            tsg: None,
            subcontext: 0,
            async_queue: false,
            unserviceable: true,
            watchdog: true,
            deterministic: false,
            setup: None,
            class: 0,
            syncpoint: None,
        };
        self.by_id.insert(id, channel);
        Some(id)
    }

    pub fn get(&self, id: u32) -> &Channel {
        self.by_id.get(&id).expect("a channel lives as long as its file")
    }

    pub fn get_mut(&mut self, id: u32) -> &mut Channel {
        self.by_id.get_mut(&id).expect("a channel lives as long as its file")
    }

    fn remove(&mut self, id: u32) {
        self.by_id.remove(&id);
        self.returned.push(id);
    }
}

impl Nodes {
    /// What the `channel` node opens.
    pub(super) fn open_channel_node(&mut self) -> Result<Opened, Errno> {
        self.new_channel(-1)
    }

    fn new_channel(&mut self, runlist: i32) -> Result<Opened, Errno> {
        // -1 is the runlist of graphics and compute.
        let runlist = runlist.max(0);
        let id = self.channels.add(runlist as u32).ok_or(Errno::ENOMEM)?;
        self.peer_file(File::Channel(id))
    }

    /// OPEN_CHANNEL, as the ctrl file and every channel file have it: the argument is the runlist on the
    /// way in and the descriptor on the way out.
    pub(super) fn open_channel(&mut self, call: &mut Call<'_>, argument: &mut i32) -> Answer {
        if call.caller.full() {
            return Err(Errno::EMFILE.into());
        }
        let runlist = *argument;
        let exists = self.profile.engines.iter().any(|engine| engine.runlist_id == runlist);
        if runlist != -1 && !exists {
            return Err(Errno::EINVAL.into());
        }
        let handoff = self.new_channel(runlist)?;
        *argument = self.install(call, handoff)?;
        Ok(0)
    }

    pub(super) fn channel_ioctl(
        &mut self,
        call: &mut Call<'_>,
        id: u32,
        request: u32,
        arg: u64,
    ) -> Answer {
        let mut message = Message::receive(&LIMITS, call, request, arg)?;
        self.injected(request)?;
        let answer = answer!(self, message, {
            NVGPU_IOCTL_CHANNEL_OPEN => |args| self.open_channel(call, &mut args.channel_fd),
            NVGPU_IOCTL_CHANNEL_SET_NVMAP_FD => |_args| Ok(0),
            NVGPU_IOCTL_CHANNEL_WDT => |args| self.set_watchdog(id, args.wdt_status),
            // In the model nobody waits for the GPU so long that it would matter.
            NVGPU_IOCTL_CHANNEL_SET_TIMEOUT => |_args| Ok(0),
            NVGPU_IOCTL_CHANNEL_SET_TIMEOUT_EX => |_args| Ok(0),
            NVGPU_IOCTL_CHANNEL_GET_TIMEDOUT => |args| {
                args.value = (!self.is_serviceable(call.gpu, id)).into();
                Ok(0)
            },
            NVGPU_IOCTL_CHANNEL_SETUP_BIND => |args| self.setup_bind(call, id, &mut args),
            NVGPU_IOCTL_CHANNEL_ALLOC_GPFIFO_EX => |args| self.alloc_gpfifo_ex(id, &args),
            NVGPU_IOCTL_CHANNEL_ALLOC_OBJ_CTX => |args| self.alloc_obj_ctx(call, id, &args),
            NVGPU_IOCTL_CHANNEL_SET_PREEMPTION_MODE => |args| self.set_preemption_mode(id, &args),
            NVGPU_IOCTL_CHANNEL_SET_ERROR_NOTIFIER => |args| {
                self.set_error_notifier(call, id, &args)
            },
            NVGPU_IOCTL_CHANNEL_GET_USER_SYNCPOINT => |args| {
                self.get_user_syncpoint(call, id, &mut args)
            },
            NVGPU_IOCTL_CHANNEL_SUBMIT_GPFIFO => |args| self.submit_gpfifo(call, id, &args),
            NVGPU_IOCTL_CHANNEL_WAIT => |args| self.wait(call, id, &args),
            NVGPU_IOCTL_CHANNEL_ENABLE => |_args| Ok(0),
            NVGPU_IOCTL_CHANNEL_DISABLE => |_args| {
                self.warn("NVGPU_IOCTL_CHANNEL_DISABLE: the software Orin lets the channel run on");
                Ok(0)
            },
            NVGPU_IOCTL_CHANNEL_PREEMPT => |_args| Ok(0),
            NVGPU_IOCTL_CHANNEL_FORCE_RESET => |_args| {
                if let Some(tsg) = self.channels.get(id).tsg {
                    call.gpu.abort_tsg(tsg, FaultCause::ForcedReset);
                    self.abandon_tsg(tsg);
                }
                Ok(0)
            },
            // The model's programs do not have CAP_SYS_NICE.
            NVGPU_IOCTL_CHANNEL_RESCHEDULE_RUNLIST => |_args| Err(Errno::EPERM.into()),
        });
        message.finish(call, answer, &mut self.warnings)
    }

    /// Whether a channel can run.
    pub(super) fn is_serviceable(&self, gpu: &Gpu, id: u32) -> bool {
        !self.channels.get(id).unserviceable && gpu.serviceable(id)
    }

    /// A TSG died: none of its channels runs again.
    pub(super) fn abandon_tsg(&mut self, tsg: u32) {
        for channel in self.channels.by_id.values_mut().filter(|channel| channel.tsg == Some(tsg)) {
            channel.unserviceable = true;
        }
    }

    pub(super) fn close_channel(&mut self, gpu: &mut Gpu, id: u32) {
        self.leave(gpu, id);
        gpu.destroy_channel(id);
        let channel = self.channels.get_mut(id);
        let (space, setup, syncpoint) =
            (channel.space, channel.setup.take(), channel.syncpoint.take());
        if let Some((number, _)) = syncpoint {
            self.syncpoints.remove(&number);
        }
        if let Some(key) = space {
            let space = self.space(key);
            let ring = setup.as_ref().map(Setup::address);
            let syncpoint = syncpoint.map(|(_, address)| address);
            for address in ring.into_iter().chain(syncpoint) {
                space.unmap_kernel(gpu, address);
            }
            space.channels -= 1;
            self.release_space(gpu, key);
        }
        self.channels.remove(id);
    }

    fn set_watchdog(&mut self, id: u32, flags: WdtFlags) -> Answer {
        let status = flags.intersection(WdtFlags::DISABLE_WDT.union(WdtFlags::ENABLE_WDT));
        let channel = self.channels.get_mut(id);
        if channel.deterministic && status != WdtFlags::DISABLE_WDT {
            return Err(Errno::EINVAL.into());
        }
        channel.watchdog = match status {
            WdtFlags::DISABLE_WDT => false,
            WdtFlags::ENABLE_WDT => true,
            _ => return Err(Errno::EINVAL.into()),
        };
        Ok(0)
    }

    fn set_preemption_mode(&mut self, id: u32, args: &nvgpu_preemption_mode_args) -> Answer {
        let channel = self.channels.get(id);
        let refused = Err(Errno::EINVAL.into());
        // A class is recorded even where ALLOC_OBJ_CTX fails after it; only valid ones are.
        if channel.class == 0 {
            return refused;
        }
        let (class, tsg) = (channel.class, channel.tsg.ok_or(Errno::EINVAL)?);
        let told = &self.profile.characteristics;
        let (all_graphics, all_compute) =
            (told.graphics_preemption_mode_flags, told.compute_preemption_mode_flags);
        let tsg = self.tsgs.get_mut(tsg);
        let graphics = args.graphics_preempt_mode.bits();
        let graphics = if graphics == tsg.graphics_mode.bits() { 0 } else { graphics };
        let compute = args.compute_preempt_mode.bits();
        let compute = if compute == tsg.compute_mode.bits() { 0 } else { compute };
        if graphics == 0 && compute == 0 {
            return Ok(0);
        }
        let one_of = |mode: u32, all: u32| mode == 0 || mode.is_power_of_two() && mode & all != 0;
        if !one_of(graphics, all_graphics.bits()) || !one_of(compute, all_compute.bits()) {
            return refused;
        }
        let falls = |mode: u32, current: u32| mode != 0 && mode < current;
        if falls(graphics, tsg.graphics_mode.bits()) || falls(compute, tsg.compute_mode.bits()) {
            return refused;
        }
        let next = |mode: u32, current: u32| if mode != 0 { mode } else { current };
        let graphics =
            GraphicsPreemptionMode::from_bits_retain(next(graphics, tsg.graphics_mode.bits()));
        let compute =
            ComputePreemptionMode::from_bits_retain(next(compute, tsg.compute_mode.bits()));
        if graphics == GraphicsPreemptionMode::GFXP && compute == ComputePreemptionMode::CILP {
            return refused;
        }
        let classes = self.profile.classes;
        if !classes.is_compute(class) && !classes.is_graphics(class) {
            return refused;
        }
        (tsg.graphics_mode, tsg.compute_mode) = (graphics, compute);
        Ok(0)
    }

    fn set_error_notifier(
        &mut self,
        call: &mut Call<'_>,
        id: u32,
        args: &nvgpu_set_error_notifier,
    ) -> Answer {
        if args.mem == 0 {
            return Err(Errno::EINVAL.into());
        }
        call.gpu.set_error_notifier(id, None);
        let buffer = self.dmabuf_of(call.caller, args.mem as i32).ok().filter(|buffer| {
            args.offset.checked_add(NOTIFICATION).is_some_and(|end| end <= buffer.size)
        });
        let Some(buffer) = buffer else {
            self.warn(
                "NVGPU_IOCTL_CHANNEL_SET_ERROR_NOTIFIER failed, and the driver has already dropped the notifier \
                 that the channel had",
            );
            return Err(Errno::EINVAL.into());
        };
        let memory = buffer.memory().ok_or(Errno::ENOMEM)?;
        memory.write(args.offset, &[0; NOTIFICATION as usize]);
        call.gpu.set_error_notifier(id, Some((memory, args.offset)));
        Ok(0)
    }

    fn get_user_syncpoint(
        &mut self,
        call: &mut Call<'_>,
        id: u32,
        args: &mut nvgpu_get_user_syncpoint_args,
    ) -> Answer {
        if !self.profile.supports(GpuFlags::SUPPORT_USER_SYNCPOINT.union(GpuFlags::HAS_SYNCPOINTS))
        {
            return Err(Errno::EINVAL.into());
        }
        let shim = self.syncpoint_shim()?;
        let channel = self.channels.get(id);
        let (number, address) = match (channel.syncpoint, channel.space) {
            (Some(syncpoint), _) => syncpoint,
            (None, None) => {
                return Err(Refusal::Trap(format!(
                    "NVGPU_IOCTL_CHANNEL_GET_USER_SYNCPOINT of channel {id}, which has no address space yet: on a \
                     board the kernel dereferences a null pointer; call NVGPU_AS_IOCTL_BIND_CHANNEL first"
                )));
            }
            (None, Some(key)) => {
                // Syncpoint 0 is not given out.
                let mut free = 1..self.profile.syncpoints;
                let number =
                    free.find(|number| !self.syncpoints.contains(number)).ok_or(Errno::ENOMEM)?;
                let start = u64::from(number) * SYNCPOINT_SIZE;
                let piece = start..start + SYNCPOINT_SIZE;
                let address = self
                    .space(key)
                    .map_kernel(call.gpu, &shim, piece, Access::ReadWrite)
                    .ok_or(Errno::ENOMEM)?;
                self.syncpoints.insert(number);
                self.channels.get_mut(id).syncpoint = Some((number, address));
                (number, address)
            }
        };
        args.syncpoint_id = number;
        args.syncpoint_max = shim.load_u32(u64::from(number) * SYNCPOINT_SIZE);
        args.gpu_va =
            if self.profile.supports(GpuFlags::SUPPORT_SYNCPOINT_ADDRESS) { address } else { 0 };
        Ok(0)
    }

    fn submit_gpfifo(
        &mut self,
        call: &mut Call<'_>,
        id: u32,
        args: &nvgpu_submit_gpfifo_args,
    ) -> Answer {
        if !self.is_serviceable(call.gpu, id) {
            return Err(Errno::ETIMEDOUT.into());
        }
        if args.flags.contains(SubmitGpfifoFlags::FENCE_GET.union(SubmitGpfifoFlags::SYNC_FENCE))
            && call.caller.full()
        {
            return Err(Errno::EMFILE.into());
        }
        let channel = self.channels.get(id);
        let (deterministic, watchdog) = (channel.deterministic, channel.watchdog);
        let entries = match &channel.setup {
            Some(Setup::Usermode { .. }) => return Err(Errno::EINVAL.into()),
            None => return Err(Errno::ENOMEM.into()),
            Some(Setup::Kernel { entries, .. }) => *entries,
        };
        // Two more entries go into every submission, and one stays free.
        if u64::from(args.num_entries) + 2 > u64::from(entries) - 1 {
            return Err(Errno::ENOMEM.into());
        }
        let post_fence = SubmitGpfifoFlags::FENCE_GET.union(SubmitGpfifoFlags::SYNC_FENCE);
        if deterministic
            && (!args.flags.contains(SubmitGpfifoFlags::SKIP_BUFFER_REFCOUNTING)
                || args.flags.contains(post_fence)
                || watchdog)
        {
            return Err(Errno::EINVAL.into());
        }
        self.warn("NVGPU_IOCTL_CHANNEL_SUBMIT_GPFIFO: the software Orin runs channels with a doorbell only");
        Err(Errno::ENOSYS.into())
    }

    fn wait(&mut self, call: &mut Call<'_>, id: u32, args: &nvgpu_wait_args) -> Answer {
        if !self.is_serviceable(call.gpu, id) {
            return Err(Errno::ETIMEDOUT.into());
        }
        let arrived = match args.r#type {
            NVGPU_WAIT_TYPE_NOTIFIER => self.notified(call.caller, id, args)?,
            NVGPU_WAIT_TYPE_SEMAPHORE => self.signalled(call.caller, args)?,
            _ => return Err(Errno::EINVAL.into()),
        };
        if arrived {
            return Ok(0);
        }
        if args.timeout > 0 {
            self.warn("NVGPU_IOCTL_CHANNEL_WAIT: the software Orin looks once and does not wait");
        }
        Err(Errno::ETIMEDOUT.into())
    }

    fn notified(
        &self,
        caller: &mut dyn Caller,
        id: u32,
        args: &nvgpu_wait_args,
    ) -> Result<bool, Errno> {
        let buffer = self.dmabuf_of(caller, args.dmabuf_fd as i32).map_err(|_| Errno::EINVAL)?;
        let offset = u64::from(args.offset);
        if offset + NOTIFICATION > buffer.size {
            return Err(Errno::EINVAL);
        }
        let memory = buffer.memory().ok_or(Errno::ENOMEM)?;
        let mut record = nvgpu_notification::new_zeroed();
        memory.read(offset, record.as_mut_bytes());
        if record.status != 0 {
            return Ok(false);
        }
        record.info32 = 0xdead_beef;
        record.info16 = id as u16;
        memory.write(offset, record.as_bytes());
        Ok(true)
    }

    fn signalled(&self, caller: &mut dyn Caller, args: &nvgpu_wait_args) -> Result<bool, Errno> {
        let offset = u64::from(args.offset);
        if offset % 4 != 0 {
            return Err(Errno::EINVAL);
        }
        let buffer = self.dmabuf_of(caller, args.dmabuf_fd as i32).map_err(|_| Errno::EINVAL)?;
        let memory =
            buffer.memory().filter(|memory| offset + 4 <= memory.size()).ok_or(Errno::EINVAL)?;
        Ok(memory.load_u32(offset) == args.payload)
    }
}
