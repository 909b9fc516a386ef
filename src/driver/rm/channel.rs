//! A channel: ring, control page, engine, and what RM and UVM must know before it runs.

use std::mem::offset_of;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use hw_defs::{userd, usermode};
use ioctl_defs::rm::class::*;
use ioctl_defs::rm::control::*;

use super::addresses::Addresses;
use super::client::Object;
use super::gpu::{Gpu, text};
use super::kernel_log::Told;
use super::memory::{Place, Region, SharedPage};
use super::space::Space;
use crate::addr::GpuVa;
use crate::driver::sm_error;
use crate::driver::sys::Mapping;
use crate::error::{Fault, FaultKind, Result};

/// A time-slice group: the channels that run, and die, together.
#[derive(Debug)]
pub(crate) struct Group {
    object: Object,
    engine: u32,
    /// The fault that ends it, known before RM has written the notifiers.
    fault: OnceLock<Fault>,
    /// The same as the kernel log told it, of which RM will know more.
    told: OnceLock<Told>,
    members: Mutex<Members>,
    /// A claim to the same addresses of the process; it goes before they are given back.
    _claim: Mapping,
    /// Where UVM maps what the engine needs for the channels. They share some of it, so all of it is in
    /// use as long as one of them is there, whichever brought it.
    addresses: Addresses,
}

impl Group {
    pub(crate) fn new(space: &Space, engine: u32) -> Result<Group> {
        let (addresses, claim) = Addresses::take(ENGINE_BYTES, ENGINE_ALIGNMENT)?;
        let object = space.gpu.device.child(
            KEPLER_CHANNEL_GROUP_A,
            &mut NV_CHANNEL_GROUP_ALLOCATION_PARAMETERS {
                hVASpace: space.handle(),
                engineType: engine,
                ..Default::default()
            },
        )?;
        Ok(Group {
            object,
            engine,
            fault: OnceLock::new(),
            told: OnceLock::new(),
            members: Mutex::default(),
            _claim: claim,
            addresses,
        })
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a channel of the group; `None` where the last one has left it.
    pub(crate) fn join(
        self: &Arc<Group>,
        space: &Arc<Space>,
        entries: u32,
    ) -> Result<Option<Channel>> {
        let mut members = self.members();
        if members.over {
            return Ok(None);
        }
        let channel = Channel::open(space, self, entries)?;
        members.count += 1;
        Ok(Some(channel))
    }

    /// Closes one of its channels.
    pub(crate) fn leave(&self, channel: Channel) {
        let mut members = self.members();
        drop(channel);
        members.count -= 1;
        members.over = members.count == 0;
    }

    /// Notes a fault that RM is going to end the group for. The first one counts.
    pub(crate) fn set_fault(&self, fault: Fault) {
        // A second one is of the same group's death.
        let _ = self.fault.set(fault);
    }

    /// Whether RM is going to end it.
    pub(crate) fn is_doomed(&self) -> bool {
        self.told.get().is_some()
    }

    /// Notes what the kernel log says that RM is going to end the group for. The first time counts.
    pub(crate) fn set_told(&self, told: Told) {
        // Lines may come for several channels of the group.
        let _ = self.told.set(told);
    }

    /// That fault, if RM should have raised the notifiers by now.
    pub(crate) fn overdue(&self, now: Instant) -> Option<&Fault> {
        self.told.get()?.overdue(now)
    }

    /// Whether it feeds the graphics engine, which runs kernels.
    fn runs_kernels(&self) -> bool {
        self.engine == NV2080_ENGINE_TYPE_GRAPHICS
    }
}

/// Locked while a channel joins or leaves: RM schedules a group only while all its channels are whole.
#[derive(Debug, Default)]
struct Members {
    count: usize,
    /// The last one has left: RM refuses to let others in.
    over: bool,
}

/// An open channel. The fields are in the order in which they go away: the driver stops the
/// channel before anything is taken from under it.
#[derive(Debug)]
pub(crate) struct Channel {
    _registration: Registration,
    engine: Object,
    channel: Arc<Object>,
    _subcontext: Option<Object>,
    group: Arc<Group>,
    pages: Region,
    notifier: SharedPage,
    userd_offset: u64,
    token: u32,
    /// What killed it, once asked for: RM tells only once.
    fault: Option<Fault>,
}

/// What UVM maps for the channels of a group. More than any GPU here needs.
const ENGINE_BYTES: u64 = 64 << 20;
const ENGINE_ALIGNMENT: u64 = 2 << 20;

impl Channel {
    fn open(space: &Arc<Space>, group: &Arc<Group>, entries: u32) -> Result<Channel> {
        let gpu = &*space.gpu;
        // Both in video memory: the GPU reads them after each doorbell, and RM refuses a control
        // page on one side of the bus with a ring on the other.
        let userd_offset = (u64::from(entries) * 8).next_multiple_of(userd::SIZE);
        let pages = Region::new(space, userd_offset + userd::SIZE, Place::VideoForCpu)?;
        let notifier = SharedPage::new(gpu)?;

        // State of the compute engine that commands set belongs to the subcontext; one of its own
        // keeps queues out of each other's way.
        let subcontext = if group.runs_kernels() {
            let mut params = NV_CTXSHARE_ALLOCATION_PARAMETERS {
                hVASpace: space.handle(),
                flags: NV_CTXSHARE_ALLOCATION_FLAGS_SUBCONTEXT
                    .set(NV_CTXSHARE_ALLOCATION_FLAGS_SUBCONTEXT_ASYNC),
                subctxId: 0,
            };
            Some(group.object.child(FERMI_CONTEXT_SHARE_A, &mut params)?)
        } else {
            None
        };

        let mut params = NV_CHANNEL_ALLOC_PARAMS {
            hObjectError: notifier.memory.handle(),
            gpFifoOffset: pages.range().start().get(),
            gpFifoEntries: entries,
            // RM would give channels of a process that runs as root the rights of the driver.
            flags: NVOS04_FLAGS_CHANNEL_DENY_PHYSICAL_MODE_CE
                .set(NVOS04_FLAGS_CHANNEL_DENY_PHYSICAL_MODE_CE_TRUE)
                | NVOS04_FLAGS_CHANNEL_DENY_AUTH_LEVEL_PRIV
                    .set(NVOS04_FLAGS_CHANNEL_DENY_AUTH_LEVEL_PRIV_TRUE),
            hContextShare: subcontext.as_ref().map_or(0, Object::handle),
            engineType: group.engine,
            ..Default::default()
        };
        params.hUserdMemory[0] = pages.memory().handle();
        params.userdOffset[0] = userd_offset;
        let channel = Arc::new(group.object.child(gpu.classes.channel, &mut params)?);

        let engine = if group.runs_kernels() {
            channel.child(gpu.classes.compute, &mut ())?
        } else {
            let mut params = NVB0B5_ALLOCATION_PARAMETERS {
                version: NVB0B5_ALLOCATION_PARAMETERS_VERSION_1,
                engineType: group.engine,
            };
            channel.child(gpu.classes.copy, &mut params)?
        };
        let registration = Registration::new(space, group, &channel)?;

        let mut token =
            NVC36F_CTRL_CMD_GPFIFO_GET_WORK_SUBMIT_TOKEN_PARAMS { workSubmitToken: u32::MAX };
        channel.control(NVC36F_CTRL_CMD_GPFIFO_GET_WORK_SUBMIT_TOKEN, &mut token)?;
        // Allowed once per group, and again for channels that joined since.
        let mut schedule = NVA06C_CTRL_GPFIFO_SCHEDULE_PARAMS { bEnable: 1, ..Default::default() };
        group.object.control(NVA06C_CTRL_CMD_GPFIFO_SCHEDULE, &mut schedule)?;

        Ok(Channel {
            _registration: registration,
            engine,
            channel,
            _subcontext: subcontext,
            group: group.clone(),
            pages,
            notifier,
            userd_offset,
            token: token.workSubmitToken,
            fault: None,
        })
    }

    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    pub(crate) fn ring(&self) -> NonNull<u64> {
        start_of(self.pages.cpu())
    }

    pub(crate) fn userd(&self) -> NonNull<u32> {
        // SAFETY: the control page lies behind the ring, in the same mapping.
        unsafe { start_of(self.pages.cpu()).byte_add(self.userd_offset as usize) }
    }

    pub(crate) fn token(&self) -> u32 {
        self.token
    }

    /// What the kernel log calls it, if it is one that runs kernels: others have numbers of their own.
    pub(crate) fn number(&self) -> Option<u32> {
        self.group.runs_kernels().then(|| usermode::TOKEN_CHANNEL.get(self.token))
    }

    /// Where RM writes what killed the channel; the status comes last.
    fn notification(&self) -> NonNull<NvNotification> {
        const ERROR: usize = NV_CHANNELGPFIFO_NOTIFICATION_TYPE_ERROR as usize;
        // SAFETY: the page holds an array of them, of which this is one.
        unsafe { start_of::<NvNotification>(&self.notifier.page).add(ERROR) }
    }

    /// The half-word that RM sets when it kills the channel.
    pub(crate) fn notifier(&self) -> NonNull<u16> {
        // SAFETY: a field of the notification.
        unsafe { self.notification().byte_add(offset_of!(NvNotification, status)) }.cast()
    }

    /// Does what RM will do later.
    pub(crate) fn raise_notifier(&self) {
        // SAFETY: in the page; RM would write the same.
        unsafe { self.notifier().write_volatile(u16::MAX) };
    }

    /// What killed the channel, if something did.
    fn death(&self) -> Option<NvNotification> {
        // SAFETY: the notification lies in the page; any bytes are a valid one, and RM no longer
        // changes it once the status is set.
        let record = unsafe { self.notification().read_volatile() };
        (record.status == u16::MAX).then_some(record)
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.death().is_some()
    }

    /// What killed the channel, with all that RM can say about it.
    pub(crate) fn fault(&mut self, gpu: &Gpu) -> Result<Option<Fault>> {
        if let Some(fault) = self.group.fault.get() {
            return Ok(Some(fault.clone()));
        }
        if self.fault.is_none() {
            if let Some(death) = self.death() {
                self.fault = Some(self.explain(gpu, death.info32)?);
            }
        }
        Ok(self.fault.clone())
    }

    /// Asks RM for more than the code. The first question takes twenty milliseconds, which RM
    /// needs to recover the graphics engine.
    fn explain(&self, gpu: &Gpu, code: u32) -> Result<Fault> {
        let mut fault = Fault::of_code(code);
        match fault.kind {
            FaultKind::Mmu => {
                let mut info = NV906F_CTRL_GET_MMU_FAULT_INFO_PARAMS::default();
                self.channel.control(NV906F_CTRL_CMD_GET_MMU_FAULT_INFO, &mut info)?;
                let reason = text(&info.faultString);
                if !reason.is_empty() {
                    let address = u64::from(info.addrHi) << 32 | u64::from(info.addrLo);
                    fault.address = Some(GpuVa::new(address));
                    fault.detail = Some(in_words(&reason));
                }
            }
            FaultKind::Engine if self.group.runs_kernels() => {
                // An exception may also be the front end's, and have left nothing there.
                if let Err(error) = self.explain_by_warps(gpu, &mut fault) {
                    tracing::info!(%error, "the multiprocessors' state cannot be read");
                }
            }
            _ => {}
        }
        Ok(fault)
    }

    /// Looks for the multiprocessor that stopped. The debugger object can be made afterwards: RM has
    /// kept what the multiprocessors reported.
    fn explain_by_warps(&self, gpu: &Gpu, fault: &mut Fault) -> Result<()> {
        let debugger = gpu.device.child(
            GT200_DEBUGGER,
            &mut NV83DE_ALLOC_PARAMETERS {
                hAppClient: gpu.client.handle(),
                hClass3dObject: self.engine.handle(),
                ..Default::default()
            },
        )?;
        let mut sms = NV2080_CTRL_GR_GET_GLOBAL_SM_ORDER_PARAMS::default();
        gpu.subdevice.control(NV2080_CTRL_CMD_GR_GET_GLOBAL_SM_ORDER, &mut sms)?;
        let count = u32::from(sms.numSm);
        let mut states = Box::new(NV83DE_CTRL_DEBUG_READ_ALL_SM_ERROR_STATES_PARAMS::default());
        let per_call = states.smErrorStateArray.len();
        for first in (0..count).step_by(per_call) {
            *states = NV83DE_CTRL_DEBUG_READ_ALL_SM_ERROR_STATES_PARAMS {
                hTargetChannel: self.channel.handle(),
                startingSM: first,
                numSMsToRead: (count - first).min(per_call as u32),
                ..Default::default()
            };
            debugger.control(NV83DE_CTRL_CMD_DEBUG_READ_ALL_SM_ERROR_STATES, &mut *states)?;
            let stopped =
                states.smErrorStateArray.iter().find(|sm| sm_error::is_set(sm.hwwWarpEsr));
            if let Some(sm) = stopped {
                let (pc, address) = (Some(sm.hwwWarpEsrPc64), Some(sm.hwwEsrAddr));
                sm_error::explain(fault, sm.hwwWarpEsr, pc, address);
                break;
            }
        }
        Ok(())
    }
}

/// RM's name of an MMU fault, and what it means.
fn in_words(reason: &str) -> String {
    let meaning = match reason {
        "FAULT_PDE" | "FAULT_PDE_SIZE" | "FAULT_PTE" => "where nothing is mapped",
        "FAULT_RO_VIOLATION" => "where the mapping is read-only",
        "FAULT_WO_VIOLATION" => "where the mapping is write-only",
        "FAULT_VA_LIMIT_VIOLATION" => "beyond the address space",
        "FAULT_PRIV_VIOLATION" => "where the mapping is the driver's own",
        "FAULT_ATOMIC_VIOLATION" => "where the mapping does not allow atomics",
        _ => return reason.to_owned(),
    };
    format!("{meaning} ({reason})")
}

/// That UVM knows a channel: without it RM does not schedule one whose addresses are UVM's.
#[derive(Debug)]
struct Registration {
    space: Arc<Space>,
    channel: Arc<Object>,
}

impl Registration {
    fn new(space: &Arc<Space>, group: &Group, channel: &Arc<Object>) -> Result<Registration> {
        space.register_channel(channel, group.addresses.range())?;
        Ok(Registration { space: space.clone(), channel: channel.clone() })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.space.unregister_channel(&self.channel);
    }
}

fn start_of<T>(mapping: &Mapping) -> NonNull<T> {
    NonNull::new(mapping.as_ptr()).expect("mmap never returns null").cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_reasons_are_explained_or_kept() {
        assert_eq!(in_words("FAULT_PDE"), "where nothing is mapped (FAULT_PDE)");
        assert_eq!(in_words("FAULT_COMPRESSION_FAILURE"), "FAULT_COMPRESSION_FAILURE");
    }
}
