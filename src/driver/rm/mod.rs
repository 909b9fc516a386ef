//! A desktop or server GPU through NVIDIA's own driver, branch 580: RM for objects, UVM for
//! addresses. One type per kind of object or file; what follows is their order.

mod addresses;
mod channel;
mod classes;
mod client;
mod event;
mod fault_log;
mod gpu;
mod hint;
mod kernel_log;
mod memory;
mod space;
mod usermode;
mod uvm;

use std::collections::HashMap;
use std::fs;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use ioctl_defs::rm::class::*;
use ioctl_defs::rm::control::*;
use ioctl_defs::rm::status::{NV_ERR_INVALID_CLASS, NV_ERR_NOT_SUPPORTED};

use super::sys::exists;
use super::{Allocation, ChannelId, ChannelPages, ClockPair, Driver, Engine, Info, Memory};
use crate::addr::GpuVa;
use crate::error::{Error, Fault, Result};
use channel::{Channel, Group};
use client::Client;
use event::Event;
use fault_log::FaultLog;
use gpu::{Gpu, text};
use kernel_log::KernelLog;
use memory::{Place, Region};
use space::Space;
use usermode::UsermodePage;

pub(crate) const PATH: &str = Client::PATH;

/// An open GPU of a desktop or server.
#[derive(Debug)]
pub(crate) struct Rm {
    channels: Mutex<Channels>,
    regions: Mutex<HashMap<GpuVa, Region>>,
    usermode: UsermodePage,
    event: Event,
    space: Arc<Space>,
    copy_engines: Vec<u32>,
    info: Info,
}

#[derive(Debug, Default)]
struct Channels {
    open: HashMap<ChannelId, Channel>,
    /// The group that the next compute channel joins: in one group kernels of several queues run
    /// beside each other, between groups the GPU switches contexts. The price is that a fault on
    /// one ends all.
    compute: Weak<Group>,
    last_id: u32,
    copy_queues: usize,
    /// Where this process may read it.
    kernel_log: Option<KernelLog>,
}

impl Channels {
    /// Nobody can join the group any more.
    fn forget(&mut self, group: &Arc<Group>) {
        if self.compute.ptr_eq(&Arc::downgrade(group)) {
            self.compute = Weak::new();
        }
    }
}

impl Rm {
    /// Whether this machine has such a driver.
    pub(crate) fn present() -> bool {
        exists(PATH)
    }

    /// Opens the GPU of that number, or the first.
    pub(crate) fn open(number: Option<u32>) -> Result<Rm> {
        // Readable even where the branch is one whose calls look different.
        if let Ok(text) = fs::read_to_string("/proc/driver/nvidia/version") {
            check_branch(version_in(&text).unwrap_or("an unknown version"))?;
        }
        let client = Client::open()?;
        let mut version = NV0000_CTRL_SYSTEM_GET_BUILD_VERSION_V2_PARAMS::default();
        client.control(NV0000_CTRL_CMD_SYSTEM_GET_BUILD_VERSION_V2, &mut version)?;
        check_branch(&text(&version.driverVersionBuffer))?;
        check_confidential_computing(&client)?;

        let gpu = Arc::new(Gpu::open(&client, number)?);
        let info = gpu.read_info()?;
        gpu.boost();
        let copy_engines = gpu.copy_engines()?;
        let usermode = UsermodePage::open(&gpu)?;
        let event = Event::open(&gpu)?;
        let space = Arc::new(Space::new(&gpu)?);
        let kernel_log = info.pci.as_deref().and_then(KernelLog::open);
        tracing::info!(chip = info.chip, sms = info.sm_count, node = info.node, "opened");
        Ok(Rm {
            channels: Mutex::new(Channels { kernel_log, ..Channels::default() }),
            regions: Mutex::default(),
            usermode,
            event,
            space,
            copy_engines,
            info,
        })
    }

    fn channels(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn regions(&self) -> MutexGuard<'_, HashMap<GpuVa, Region>> {
        self.regions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes notice of a fault that ends the compute channels. New kernels run in one group at
    /// a time: the next begins when the last has died, is going to, or has no queue left.
    fn read_log(&self, channels: &Channels) {
        let Some(fault) = self.space.log().and_then(FaultLog::take) else { return };
        let Some(group) = channels.compute.upgrade() else { return };
        group.set_fault(fault);
        for channel in channels.open.values().filter(|it| Arc::ptr_eq(it.group(), &group)) {
            channel.raise_notifier();
        }
    }

    /// Reads in the kernel log what RM is going to end channels for, and ends those that it should
    /// have ended by now.
    fn read_kernel_log(&self, channels: &mut Channels) {
        let Channels { open, kernel_log: Some(log), .. } = channels else { return };
        log.read(|number, told| {
            if let Some(channel) = open.values().find(|it| it.number() == Some(number)) {
                tracing::debug!(number, ?told, "the kernel log tells of a fault");
                channel.group().set_told(told);
            }
        });
        let now = Instant::now();
        for channel in open.values() {
            if let Some(fault) = channel.group().overdue(now) {
                channel.group().set_fault(fault.clone());
                channel.raise_notifier();
            }
        }
    }

    /// The group for a new channel.
    fn group(&self, channels: &mut Channels, engine: Engine) -> Result<Arc<Group>> {
        match engine {
            Engine::Compute => {
                self.read_log(channels);
                self.read_kernel_log(channels);
                let dead = |group: &Arc<Group>| {
                    let mut members = channels.open.values();
                    group.is_doomed()
                        || members.any(|it| Arc::ptr_eq(it.group(), group) && it.is_dead())
                };
                if let Some(group) = channels.compute.upgrade().filter(|group| !dead(group)) {
                    return Ok(group);
                }
                let group = Arc::new(Group::new(&self.space, NV2080_ENGINE_TYPE_GRAPHICS)?);
                channels.compute = Arc::downgrade(&group);
                Ok(group)
            }
            // Each on an engine of its own as long as there are any, so that copies overlap.
            Engine::Copy => {
                let Some(turn) = channels.copy_queues.checked_rem(self.copy_engines.len()) else {
                    return Err(Error::Unsupported {
                        node: self.info.node.clone(),
                        reason: "it has no copy engine beside the graphics engine's".to_owned(),
                    });
                };
                channels.copy_queues += 1;
                Ok(Arc::new(Group::new(&self.space, self.copy_engines[turn])?))
            }
        }
    }
}

impl Driver for Rm {
    fn info(&self) -> &Info {
        &self.info
    }

    fn alloc(&self, len: u64, memory: Memory) -> Result<Allocation> {
        let place = match memory {
            Memory::Device => Place::Video,
            Memory::Host => Place::Main,
            // On an H200 an empty submission is done after 2.6 us; with commands in main memory it
            // takes 3.3 us, with the ring there too 4.5 us.
            Memory::Command => Place::VideoForCpu,
        };
        let mut region = Region::new(&self.space, len, place)?;
        let host = if place == Place::Video { None } else { region.take_cpu() };
        let range = region.range().slice(0, len).expect("a region is at least that long");
        self.regions().insert(range.start(), region);
        Ok(Allocation { range, host })
    }

    fn import(&self, _: BorrowedFd<'_>) -> Result<Allocation> {
        Err(Error::Unsupported {
            node: self.info.node.clone(),
            reason: "the desktop driver does not map dma-bufs of others; copy the data to a buffer of this device".to_owned(),
        })
    }

    fn free(&self, allocation: Allocation) {
        let start = allocation.range.start();
        drop(allocation.host);
        let region = self.regions().remove(&start);
        debug_assert!(region.is_some(), "{start} is not allocated");
    }

    fn open_channel(&self, engine: Engine, entries: u32) -> Result<ChannelPages> {
        let event = self.event.descriptor()?;
        // Not with the list locked, which those need who ask for faults: closing can take seconds.
        let channel = loop {
            let group = self.group(&mut self.channels(), engine)?;
            match group.join(&self.space, entries)? {
                Some(channel) => break channel,
                None => self.channels().forget(&group),
            }
        };
        let mut channels = self.channels();
        // What is there by now may be about a channel that had this one's number.
        self.read_kernel_log(&mut channels);
        tracing::debug!(?engine, number = channel.number(), "opened a channel");
        channels.last_id += 1;
        let id = ChannelId(channels.last_id);
        let pages = ChannelPages {
            id,
            ring: channel.ring(),
            entries,
            userd: channel.userd(),
            doorbell: self.usermode.doorbell(),
            token: channel.token(),
            notifier: channel.notifier(),
            event: Some(event),
        };
        channels.open.insert(id, channel);
        Ok(pages)
    }

    fn close_channel(&self, id: ChannelId) {
        let Some(channel) = self.channels().open.remove(&id) else {
            unreachable!("channel {} is not open", id.0);
        };
        channel.group().clone().leave(channel);
    }

    fn fault(&self, id: ChannelId) -> Result<Option<Fault>> {
        let mut channels = self.channels();
        self.read_log(&channels);
        self.read_kernel_log(&mut channels);
        match channels.open.get_mut(&id) {
            Some(channel) => channel.fault(&self.space.gpu),
            None => Ok(None),
        }
    }

    fn look(&self) {
        if self.space.log().is_some_and(FaultLog::has_news) {
            self.read_log(&self.channels());
        }
    }

    fn clock(&self) -> Result<ClockPair> {
        self.usermode.clock()
    }
}

/// The branch whose structs ioctl-defs has. They change from branch to branch, and the driver
/// takes a call of another branch for a different one.
const BRANCH: &str = "580";

fn check_branch(version: &str) -> Result<()> {
    if version.split('.').next() == Some(BRANCH) {
        return Ok(());
    }
    Err(Error::Unsupported {
        node: PATH.to_owned(),
        reason: format!(
            "the driver is {version}, and this crate speaks branch {BRANCH}: install a {BRANCH} driver"
        ),
    })
}

/// The first thing in /proc/driver/nvidia/version that looks like one.
fn version_in(text: &str) -> Option<&str> {
    text.split_whitespace()
        .find(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()))
}

/// With confidential computing on, the CPU cannot reach video memory and the GPU not main memory.
fn check_confidential_computing(client: &Arc<Client>) -> Result<()> {
    let mut params = NV_CONFIDENTIAL_COMPUTE_ALLOC_PARAMS { hClient: client.handle() };
    let object = match client.child(NV_CONFIDENTIAL_COMPUTE, &mut params) {
        // What a driver does not know cannot be on.
        Err(Error::Rm { status: NV_ERR_INVALID_CLASS | NV_ERR_NOT_SUPPORTED, .. }) => return Ok(()),
        object => object?,
    };
    let mut capabilities = NV_CONF_COMPUTE_CTRL_CMD_SYSTEM_GET_CAPABILITIES_PARAMS::default();
    object.control(NV_CONF_COMPUTE_CTRL_CMD_SYSTEM_GET_CAPABILITIES, &mut capabilities)?;
    if capabilities.ccFeature == NV_CONF_COMPUTE_SYSTEM_FEATURE_DISABLED {
        return Ok(());
    }
    Err(Error::Unsupported {
        node: PATH.to_owned(),
        reason: "confidential computing is on, which keeps CPU and GPU out of each other's memory; switch it off for the GPU".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NVRM: &str = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build  (dvs-builder@host)\nGCC version:  gcc version 13.2.0\n";

    #[test]
    fn the_version_is_found_and_checked() {
        assert_eq!(version_in(NVRM), Some("580.159.04"));
        assert_eq!(check_branch("580.159.04"), Ok(()));
        let refusal = check_branch("570.86.10").unwrap_err().to_string();
        assert!(refusal.contains("570.86.10") && refusal.contains("580"), "{refusal}");
        assert!(check_branch("5800.1").is_err());
        assert_eq!(version_in("nothing of the kind"), None);
    }
}
