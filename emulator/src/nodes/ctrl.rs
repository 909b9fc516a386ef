//! The ctrl file: from it everything else is opened, and its page holds the doorbell.

use std::sync::Arc;

use ioctl_defs::nvgpu::ctrl::*;
use nix::errno::Errno;
use zerocopy::transmute_ref;

use super::caller::{Answer, Caller, FileId, Handoff, Watch};
use super::dispatch::{Limits, Message, answer};
use super::dmabuf::Metadata;
use super::space::{APERTURE, KERNEL_SIZE, Layout, Space, SpaceKey};
use super::{Call, File, Nodes, Opened};
use crate::gpu::Gpu;
use crate::memory::Memory;
use crate::va::{BIG_PAGE, DIRECTORY};

const LIMITS: Limits = Limits {
    magic: NVGPU_GPU_IOCTL_MAGIC,
    last: NVGPU_GPU_IOCTL_LAST,
    largest: NVGPU_GPU_IOCTL_MAX_ARG_SIZE,
};

/// The registers that a program can map: the doorbell and the GPU's clock.
const PAGE: u64 = 64 << 10;

/// SET_DETERMINISTIC_OPTS takes no more channels than the chip has.
const CHANNELS: u32 = 512;

/// An open ctrl file.
#[derive(Clone, Debug)]
pub(super) struct Ctrl {
    pub page: Arc<Memory>,
    /// Tells the opens of the node apart.
    pub instance: u64,
}

impl Nodes {
    pub(super) fn open_ctrl(&mut self) -> Result<Opened, Errno> {
        let page = Memory::new("nvgpu-ctrl", PAGE).map_err(|_| Errno::ENOMEM)?;
        let fd = page.reopen().map_err(|_| Errno::ENFILE)?;
        self.last_instance += 1;
        let file = self.new_file();
        let ctrl = Ctrl { page: Arc::clone(&page), instance: self.last_instance };
        self.files.insert(file, File::Ctrl(ctrl));
        Ok(Handoff { file, fd, watch: Watch::Memory(page) })
    }

    pub(super) fn map_ctrl(
        &mut self,
        caller: &mut dyn Caller,
        file: FileId,
        ctrl: &Ctrl,
        len: u64,
        offset: u64,
    ) -> Result<(), Errno> {
        if !self.profile.supports(GpuFlags::SUPPORT_USERMODE_SUBMIT) {
            return Err(Errno::ENOSYS);
        }
        if caller.mappings().iter().any(|mapped| mapped.file == file) {
            return Err(Errno::EBUSY);
        }
        if len > ctrl.page.size() || offset != 0 { Err(Errno::EINVAL) } else { Ok(()) }
    }

    pub(super) fn ctrl_ioctl(
        &mut self,
        call: &mut Call<'_>,
        ctrl: &Ctrl,
        request: u32,
        arg: u64,
    ) -> Answer {
        let mut message = Message::receive(&LIMITS, call, request, arg)?;
        self.injected(request)?;
        let answer = answer!(self, message, {
            NVGPU_GPU_IOCTL_GET_CHARACTERISTICS => |args| {
                self.get_characteristics(call, ctrl, &mut args)
            },
            NVGPU_GPU_IOCTL_ALLOC_AS => |args| self.alloc_as(call, &mut args),
            NVGPU_GPU_IOCTL_OPEN_TSG => |args| self.open_tsg(call, &mut args),
            NVGPU_GPU_IOCTL_OPEN_CHANNEL => |args| self.open_channel(call, &mut args.channel_fd),
            NVGPU_GPU_IOCTL_GET_TPC_MASKS => |args| {
                let (size, address) = (&mut args.mask_buf_size, args.mask_buf_addr);
                self.get_tpc_masks(call, size, address)
            },
            NVGPU_GPU_IOCTL_GET_FBP_L2_MASKS => |args| {
                let (size, address) = (&mut args.mask_buf_size, args.mask_buf_addr);
                self.get_l2_masks(call, size, address)
            },
            NVGPU_GPU_IOCTL_GET_ENGINE_INFO => |args| self.get_engine_info(call, &mut args),
            NVGPU_GPU_IOCTL_FLUSH_L2 => |args| flush_l2(args.flags),
            NVGPU_GPU_IOCTL_GET_GPU_TIME => |args| {
                args.gpu_timestamp = call.gpu.time_ns();
                Ok(0)
            },
            NVGPU_GPU_IOCTL_GET_CPU_TIME_CORRELATION_INFO => |args| {
                self.correlate_time(call, &mut args)
            },
            NVGPU_GPU_IOCTL_SET_DETERMINISTIC_OPTS => |args| self.set_deterministic(call, &args),
            NVGPU_GPU_IOCTL_REGISTER_BUFFER => |args| self.register_buffer(call, &mut args),
            NVGPU_GPU_IOCTL_GET_BUFFER_INFO => |args| self.get_buffer_info(call, &mut args),
            NVGPU_GPU_IOCTL_NUM_VSMS => |args| {
                args.num_vsms = self.profile.sm_count();
                Ok(0)
            },
        });
        message.finish(call, answer, &mut self.warnings)
    }

    fn alloc_as(&mut self, call: &mut Call<'_>, args: &mut nvgpu_alloc_as_args) -> Answer {
        if call.caller.full() {
            return Err(Errno::EMFILE.into());
        }
        let key = self.new_space(call.gpu, args)?;
        let handoff = self.peer_file(File::Space(key))?;
        args.as_fd = self.install(call, handoff)?;
        Ok(0)
    }

    /// What the `as` node opens: a space with big pages, which fails where there are none.
    pub(super) fn open_default_space(&mut self, call: &mut Call<'_>) -> Result<Opened, Errno> {
        let args = nvgpu_alloc_as_args {
            big_page_size: BIG_PAGE as u32,
            flags: AllocAsFlags::UNIFIED_VA,
            va_range_start: BIG_PAGE << 10,
            va_range_end: APERTURE - KERNEL_SIZE,
            ..Default::default()
        };
        let key = self.new_space(call.gpu, &args).inspect_err(|_| {
            self.warnings.push(
                "opening the `as` node asks for 64 KiB pages, which this board does not have; use \
                 NVGPU_GPU_IOCTL_ALLOC_AS"
                    .to_owned(),
            );
        })?;
        self.peer_file(File::Space(key))
    }

    fn new_space(&mut self, gpu: &mut Gpu, args: &nvgpu_alloc_as_args) -> Result<SpaceKey, Errno> {
        let (start, end, split) = (args.va_range_start, args.va_range_end, args.va_range_split);
        let big_pages = args.big_page_size != 0;
        let available = self.profile.characteristics.available_big_page_sizes;
        if big_pages
            && (!args.big_page_size.is_power_of_two() || args.big_page_size & available == 0)
        {
            return Err(Errno::EINVAL);
        }
        let bad = |address: u64| address == 0 || address % DIRECTORY != 0;
        if bad(start) || bad(end) || start >= end {
            return Err(Errno::EINVAL);
        }
        let split = if args.flags.contains(AllocAsFlags::UNIFIED_VA) || !big_pages {
            if split != 0 {
                return Err(Errno::EINVAL);
            }
            None
        } else {
            if bad(split) || split <= start || split >= end {
                return Err(Errno::EINVAL);
            }
            Some(split)
        };
        if end.checked_add(KERNEL_SIZE).is_none_or(|limit| limit > APERTURE) {
            self.warn(
                "NVGPU_GPU_IOCTL_ALLOC_AS: the driver's own 4 GiB above the range do not fit below 2^49; on a \
                 board the kernel prints a warning with a stack trace",
            );
            return Err(Errno::ENOMEM);
        }
        self.last_space += 1;
        let key = SpaceKey(self.last_space);
        self.spaces.insert(key, Space::new(gpu, Layout::new(start..end, big_pages, split)));
        Ok(key)
    }

    fn open_tsg(&mut self, call: &mut Call<'_>, args: &mut nvgpu_gpu_open_tsg_args) -> Answer {
        let shares = args.flags.contains(OpenTsgFlags::SHARE);
        if !shares && (args.source_device_instance_id != 0 || args.share_token != 0) {
            return Err(Errno::EINVAL.into());
        }
        if call.caller.full() {
            return Err(Errno::EMFILE.into());
        }
        if shares {
            // The model hands out no tokens, so none is valid.
            return Err(Errno::EINVAL.into());
        }
        let handoff = self.open_tsg_node()?;
        args.tsg_fd = self.install(call, handoff)? as u32;
        Ok(0)
    }

    fn set_deterministic(
        &mut self,
        call: &mut Call<'_>,
        args: &nvgpu_gpu_set_deterministic_opts_args,
    ) -> Answer {
        if args.num_channels > CHANNELS {
            return Err(Errno::EINVAL.into());
        }
        let allow = args.flags.contains(SetDeterministicOptsFlags::ALLOW_RAILGATING);
        let disallow = args.flags.contains(SetDeterministicOptsFlags::DISALLOW_RAILGATING);
        for i in 0..u64::from(args.num_channels) {
            let mut fd = [0; 4];
            call.caller.read(args.channels.wrapping_add(4 * i), &mut fd)?;
            let id = self.channel_of(call.caller, i32::from_ne_bytes(fd))?;
            if !self.channels.get(id).deterministic || allow && disallow {
                return Err(Errno::EINVAL.into());
            }
            if allow {
                self.warn(format!(
                    "NVGPU_GPU_IOCTL_SET_DETERMINISTIC_OPTS lets the GPU power off under channel {id}: on a board \
                     ringing its doorbell is then a bus error"
                ));
            }
        }
        Ok(0)
    }

    fn register_buffer(
        &mut self,
        call: &mut Call<'_>,
        args: &mut nvgpu_gpu_register_buffer_args,
    ) -> Answer {
        if args.metadata_size > NVGPU_GPU_REGISTER_BUFFER_METADATA_MAX_SIZE
            || args.comptags_alloc_control > NVGPU_GPU_COMPTAGS_ALLOC_REQUIRED
        {
            return Err(Errno::EINVAL.into());
        }
        let buffer = self.dmabuf_of(call.caller, args.dmabuf_fd)?;
        let mut metadata = buffer.metadata.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let modify = args.flags.contains(RegisterBufferFlags::MODIFY);
        if metadata.as_ref().is_some_and(|metadata| !modify || !metadata.mutable) {
            return Err(Errno::EINVAL.into());
        }
        let mut blob = vec![0; args.metadata_size as usize];
        call.caller.read(args.metadata_addr, &mut blob)?;
        if args.comptags_alloc_control == NVGPU_GPU_COMPTAGS_ALLOC_REQUIRED {
            // The model keeps no compression tags.
            return Err(Errno::ENOMEM.into());
        }
        let mutable = args.flags.contains(RegisterBufferFlags::MUTABLE);
        *metadata = Some(Metadata { blob, mutable });
        args.flags.remove(RegisterBufferFlags::COMPTAGS_ALLOCATED);
        Ok(0)
    }

    fn get_buffer_info(
        &mut self,
        call: &mut Call<'_>,
        args: &mut nvgpu_gpu_get_buffer_info_args,
    ) -> Answer {
        let buffer = self.dmabuf_of(call.caller, args.dmabuf_fd)?;
        let metadata = buffer.metadata.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut info =
            nvgpu_gpu_get_buffer_info_args_out { size: buffer.size, ..Default::default() };
        if let Some(metadata) = &*metadata {
            info.flags |= BufferInfoFlags::METADATA_REGISTERED;
            if metadata.mutable {
                info.flags |= BufferInfoFlags::MUTABLE_METADATA;
            }
            info.metadata_size = metadata.blob.len() as u32;
            let size = metadata.blob.len().min(args.metadata_size as usize);
            call.caller.write(args.metadata_addr, &metadata.blob[..size])?;
        }
        *args = *transmute_ref!(&info);
        Ok(0)
    }
}

/// The model has no caches, so there is nothing to flush.
fn flush_l2(flags: L2FbFlags) -> Answer {
    let flushes = flags.intersects(L2FbFlags::L2_FLUSH.union(L2FbFlags::FB_FLUSH));
    let invalidates = flags.contains(L2FbFlags::L2_INVALIDATE);
    if !flushes || invalidates && !flags.contains(L2FbFlags::L2_FLUSH) {
        return Err(Errno::EINVAL.into());
    }
    Ok(0)
}
