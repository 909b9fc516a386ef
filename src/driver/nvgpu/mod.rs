//! A Jetson's GPU through nvgpu and nvmap. One type per kind of file; what follows is their order.

mod address_space;
mod channel;
mod ctrl;
mod nvmap;
mod tsg;

use std::collections::HashMap;
use std::mem::offset_of;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hw_defs::usermode;
use ioctl_defs::nvgpu::channel::nvgpu_notification;
use ioctl_defs::nvgpu::ctrl::GpuFlags;
use nix::errno::Errno;

use super::sm_error;
use super::sys::{Mapping, Node, PAGE, whole_pages};
use super::{Allocation, ChannelId, ChannelPages, ClockPair, Driver, Engine, Info, Memory};
use crate::addr::{GpuRange, GpuVa};
use crate::error::{Error, Fault, FaultKind, Result};
use address_space::AddressSpace;
use channel::Channel;
use ctrl::Ctrl;
use nvmap::{Caching, DmaBuf, Nvmap};
use tsg::{Tsg, Veid};

pub(crate) use ctrl::PATHS;

/// Where allocations go. The driver takes the 4 GiB above the end for itself and puts context
/// buffers there whose hardware fields have 40 bits, so the end must leave room for them below
/// 2^40: at 2 MiB below it the driver warns at best and halts the machine at worst. This end
/// leaves another 8 GiB, for the windows through which kernels see shared and local memory:
/// nothing may be mapped inside those, and out here nothing can be.
const VA_START: u64 = 0x0400_0000;
const VA_END: u64 = 0xfc_0000_0000;

/// An open GPU of a Jetson.
#[derive(Debug)]
pub(crate) struct Nvgpu {
    info: Info,
    channels: Mutex<Channels>,
    doorbell: Mapping,
    space: AddressSpace,
    nvmap: Nvmap,
    ctrl: Ctrl,
}

#[derive(Debug, Default)]
struct Channels {
    open: HashMap<ChannelId, Open>,
    /// The group that the next channel joins.
    group: Option<Arc<Group>>,
    last_id: u32,
}

/// One group holds all channels, so that compute and copies need no switch of contexts to
/// follow each other. The price is that a fault on one ends all.
#[derive(Debug)]
struct Group {
    tsg: Tsg,
    /// The one event file that the driver gives a group. Sleeping waits look at their words now and
    /// then without it.
    event: Option<Node>,
}

/// What an open channel owns, in the order in which it goes away.
#[derive(Debug)]
struct Open {
    channel: Channel,
    engine: Engine,
    veid: Veid,
    group: Arc<Group>,
    _ring: Mapping,
    _userd: Mapping,
    notifier: Mapping,
}

impl Nvgpu {
    /// Whether this machine has such a GPU.
    pub(crate) fn present() -> bool {
        Ctrl::present()
    }

    pub(crate) fn open() -> Result<Nvgpu> {
        let nvmap = Nvmap::open()?;
        let ctrl = Ctrl::open()?;
        let info = read_info(&ctrl)?;
        let space = ctrl.alloc_as(info.va)?;
        let doorbell = ctrl.map_doorbell()?;
        tracing::info!(chip = info.chip, sms = info.sm_count, node = info.node, "opened");
        Ok(Nvgpu { info, channels: Mutex::default(), doorbell, space, nvmap, ctrl })
    }

    fn channels(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn map_for_gpu(&self, fd: BorrowedFd<'_>, len: u64) -> Result<GpuRange> {
        let start = self.space.map(fd)?;
        GpuRange::new(start, len).ok_or_else(|| Error::Unsupported {
            node: self.ctrl.name().to_owned(),
            reason: format!("it mapped {len} bytes at {start}, beyond the address space"),
        })
    }

    /// A small buffer that only driver and CPU share.
    fn shared(&self, len: u64, caching: Caching) -> Result<(DmaBuf, Mapping)> {
        let buffer = self.nvmap.alloc(len, caching)?;
        let mapping = buffer.map(len)?;
        mapping.populate();
        Ok((buffer, mapping))
    }

    /// The group for a new channel: the one in use, unless it is dead.
    fn group(&self, channels: &mut Channels) -> Result<Arc<Group>> {
        if let Some(group) = &channels.group {
            // Channels of a group that died earlier may still be open beside it.
            let member = channels.open.values().find(|open| Arc::ptr_eq(&open.group, group));
            if let Some(open) = member {
                if !open.channel.timed_out()? {
                    return Ok(group.clone());
                }
            }
        }
        // Also when the group has no channel left: there is nobody to ask whether it is dead.
        let tsg = self.ctrl.open_tsg()?;
        let event = tsg.event().inspect_err(|error| tracing::warn!(%error, "no interrupts")).ok();
        let group = Arc::new(Group { tsg, event });
        channels.group = Some(group.clone());
        Ok(group)
    }

    /// Has the group take a channel in. What methods tell the compute engine belongs to the subcontext, and
    /// one of its own keeps each compute queue's; copy queues have nothing of the kind and share one.
    fn join(
        &self,
        channels: &Channels,
        group: &Arc<Group>,
        channel: &Channel,
        engine: Engine,
    ) -> Result<Veid> {
        let mut members = channels.open.values().filter(|open| Arc::ptr_eq(&open.group, group));
        let shared = match engine {
            Engine::Compute => None,
            Engine::Copy => members.find(|open| open.engine == engine).map(|open| open.veid),
        };
        if let Some(veid) = shared {
            group.tsg.bind_channel(channel, veid)?;
            return Ok(veid);
        }
        let veid = group.tsg.create_subcontext(&self.space)?;
        group.tsg.bind_channel(channel, veid).inspect_err(|_| {
            if let Err(error) = group.tsg.delete_subcontext(veid) {
                tracing::warn!(%error, ?veid, "a subcontext leaks until its group has gone");
            }
        })?;
        Ok(veid)
    }
}

impl Driver for Nvgpu {
    fn info(&self) -> &Info {
        &self.info
    }

    fn alloc(&self, len: u64, memory: Memory) -> Result<Allocation> {
        let caching = match memory {
            Memory::Device | Memory::Host => Caching::Cached,
            Memory::Command => Caching::WriteCombined,
        };
        let buffer = self.nvmap.alloc(len, caching)?;
        let host = buffer.map(len)?;
        if memory == Memory::Command {
            host.populate();
        }
        // Both mappings hold the memory, so descriptor and handle go at once: a buffer costs no
        // open file.
        let range = self.map_for_gpu(buffer.as_fd(), len)?;
        Ok(Allocation { range, host: Some(host) })
    }

    fn import(&self, fd: BorrowedFd<'_>) -> Result<Allocation> {
        let len = nvmap::size_of_dmabuf(fd)?;
        let range = self.map_for_gpu(fd, len)?;
        // Protected buffers refuse the CPU; the GPU may still use them.
        let host = match Mapping::new(fd, len) {
            Ok(mapping) => Some(mapping),
            Err(errno) => {
                tracing::info!(%errno, len, "an imported buffer has no CPU mapping");
                None
            }
        };
        Ok(Allocation { range, host })
    }

    fn free(&self, allocation: Allocation) {
        if let Err(error) = self.space.unmap(allocation.range.start()) {
            tracing::warn!(%error, range = %allocation.range, "a GPU mapping leaks");
        }
    }

    fn open_channel(&self, engine: Engine, entries: u32) -> Result<ChannelPages> {
        let mut channels = self.channels();
        let group = self.group(&mut channels)?;

        let channel = self.ctrl.open_channel()?;
        // In this order: the group accepts a channel only with the address space of its
        // subcontext.
        self.space.bind_channel(&channel)?;
        let veid = self.join(&channels, &group, &channel, engine)?;
        channel.disable_timeouts()?;

        // Small buffers of their own: the driver maps the whole of each into its 4 GiB.
        let ring_bytes = whole_pages(u64::from(entries) * 8).unwrap_or(u64::MAX);
        let (ring_buffer, ring) = self.shared(ring_bytes, Caching::WriteCombined)?;
        let (userd_buffer, userd) = self.shared(PAGE, Caching::WriteCombined)?;
        let token = channel.setup_bind(&ring_buffer, entries, &userd_buffer)?;

        let (notifier_buffer, notifier) = self.shared(PAGE, Caching::Cached)?;
        channel.set_error_notifier(&notifier_buffer)?;
        channel.alloc_obj_ctx(match engine {
            Engine::Compute => self.info.compute_class,
            Engine::Copy => self.info.copy_class,
        })?;
        let event = group.event.as_ref().map(Node::duplicate).transpose()?;

        channels.last_id += 1;
        let id = ChannelId(channels.last_id);
        let pages = ChannelPages {
            id,
            ring: start_of(&ring),
            entries,
            userd: start_of(&userd),
            // SAFETY: the doorbell lies inside the mapping of 64 KiB.
            doorbell: unsafe { start_of(&self.doorbell).byte_add(usermode::DOORBELL as usize) },
            token,
            // SAFETY: the notification is the first thing in its page.
            notifier: unsafe {
                start_of(&notifier).byte_add(offset_of!(nvgpu_notification, status))
            },
            event: event.map(Into::into),
        };
        channels.open.insert(
            id,
            Open { channel, engine, veid, group, _ring: ring, _userd: userd, notifier },
        );
        Ok(pages)
    }

    fn close_channel(&self, id: ChannelId) {
        let mut channels = self.channels();
        channels.open.remove(&id);
        if channels.open.is_empty() {
            channels.group = None;
        }
    }

    fn fault(&self, id: ChannelId) -> Result<Option<Fault>> {
        let channels = self.channels();
        let Some(open) = channels.open.get(&id) else { return Ok(None) };
        if !open.channel.timed_out()? {
            return Ok(None);
        }
        let record = open.notifier.as_ptr().cast::<nvgpu_notification>();
        // SAFETY: the page holds a notification, which the driver no longer changes once it has
        // killed the channel; any bytes are a valid one.
        let record = unsafe { record.read_volatile() };
        if record.status != u16::MAX {
            return Ok(Some(Fault::of_kind(FaultKind::Unexplained)));
        }
        let mut fault = Fault::of_code(record.info32);
        if fault.kind == FaultKind::Engine {
            // An exception may also be the front end's, and have left nothing there.
            for sm in 0..self.info.sm_count {
                // That the channel is dead is worth more than why nobody can say where.
                let Ok(state) = open.group.tsg.sm_error_state(sm) else { break };
                if sm_error::is_set(state.warp_esr) {
                    let pc = Some(state.warp_esr_pc);
                    sm_error::explain(&mut fault, state.warp_esr, pc, None);
                    break;
                }
            }
        }
        Ok(Some(fault))
    }

    fn clock(&self) -> Result<ClockPair> {
        self.ctrl.clock()
    }
}

fn start_of<T>(mapping: &Mapping) -> NonNull<T> {
    NonNull::new(mapping.as_ptr()).expect("mmap never returns null").cast()
}

/// Compute classes that this crate speaks, and how many warps a multiprocessor of each holds. No Jetson
/// has Hopper's: it is for the software Orin's board that does not exist.
const COMPUTE: [(u32, u32); 2] =
    [(hw_defs::c7c0::AMPERE_COMPUTE_B, 48), (hw_defs::cbc0::HOPPER_COMPUTE_A, 64)];

fn read_info(ctrl: &Ctrl) -> Result<Info> {
    let gpu = ctrl.characteristics()?;
    let needed = [
        (GpuFlags::SUPPORT_USERMODE_SUBMIT, "submission by doorbell"),
        (GpuFlags::SUPPORT_DETERMINISTIC_SUBMIT_FULL, "deterministic channels"),
        (GpuFlags::SUPPORT_TSG_SUBCONTEXTS, "subcontexts"),
        (GpuFlags::SUPPORT_IO_COHERENCE, "a GPU that snoops the CPU's caches"),
    ];
    for (flag, what) in needed {
        if !gpu.flags.contains(flag) {
            return Err(Error::Unsupported {
                node: ctrl.name().to_owned(),
                reason: format!("this driver does not offer {what}; JetPack 6 on an Orin does"),
            });
        }
    }
    let version = gpu.sm_arch_sm_version;
    let sm = (version >> 8) * 10 + (version & 0xff);
    let Some((_, warps_per_sm)) =
        COMPUTE.into_iter().find(|(class, _)| *class == gpu.compute_class)
    else {
        return Err(Error::Unsupported {
            node: ctrl.name().to_owned(),
            reason: format!(
                "its compute class is {:#06x} and this crate speaks {:#06x}, that of Orin",
                gpu.compute_class,
                hw_defs::c7c0::AMPERE_COMPUTE_B
            ),
        });
    };
    // The driver counts warps per TPC.
    let sms_per_tpc = (gpu.sm_arch_warp_count / warps_per_sm).max(1);
    // Both count what the power mode leaves on; a release may forget that in one of the two.
    let tpcs = ctrl.tpc_count()?.min(gpu.num_gpc * gpu.num_tpc_per_gpc).max(1);
    let chip = String::from_utf8_lossy(&gpu.chipname);
    Ok(Info {
        chip: chip.trim_end_matches('\0').to_owned(),
        driver: "nvgpu",
        node: ctrl.name().to_owned(),
        pci: None,
        sm,
        sm_count: tpcs * sms_per_tpc,
        warps_per_sm,
        host_class: gpu.gpfifo_class,
        compute_class: gpu.compute_class,
        copy_class: gpu.dma_copy_class,
        va_bits: u32::from(gpu.gpu_va_bit_count),
        va: GpuRange::new(GpuVa::new(VA_START), VA_END - VA_START).expect("below 2^40"),
        l2_bytes: gpu.L2_cache_size,
        max_clock_hz: Some(gpu.max_freq).filter(|hz| *hz != 0),
        unified_memory: true,
    })
}

/// The likely cause of a refusal and its cure.
fn hint(call: &str, node: &str, errno: Errno) -> String {
    match (call, errno) {
        (_, Errno::EACCES | Errno::EPERM) if call == "open" => format!(
            "this user may not open it; join the group that owns it (`ls -l {node}` shows which, usually `video` or `render`: `sudo usermod -aG video,render $USER`, then log in again)"
        ),
        ("open", Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) => {
            "there is no such node; a Jetson Orin with JetPack 6 has it, and a container needs it passed in (`--device` or `--runtime nvidia`)".to_owned()
        }
        (_, Errno::EBUSY) => {
            "somebody uses it already; the doorbell can be mapped once per open of the node, so close the other user in this process".to_owned()
        }
        (_, Errno::ENOTTY) => {
            "this release of the driver does not know the call in this form; JetPack 6 (L4T R36) does, see `cat /etc/nv_tegra_release`".to_owned()
        }
        (_, Errno::EMFILE | Errno::ENFILE) => {
            "too many files are open; raise the limit (`ulimit -n`)".to_owned()
        }
        (_, Errno::ENOMEM) => {
            "the driver is out of memory, of GPU addresses or of channels; free some, or look at `free -h`".to_owned()
        }
        (_, Errno::ENOSPC) => {
            "the group has no subcontext left, of which each compute queue takes one until it is closed; close one".to_owned()
        }
        (_, Errno::ENODEV) => "the GPU is switched off or its driver is being removed".to_owned(),
        (_, Errno::ETIMEDOUT) => {
            "the channel is dead after a fault; close it and open a new one".to_owned()
        }
        _ => "the driver did not accept the request; `dmesg` may say more".to_owned(),
    }
}
