//! `/dev/nvidia-uvm-tools`: MMU faults of an address space, told by UVM as soon as it sees them.
//!
//! RM raises a channel's notifier only when it has recovered the engine: on an H200 78 to 150 ms
//! after an MMU fault. UVM meets the fault first, finds that it is fatal and writes so to memory of
//! this process within 0.2 to 0.5 ms.

use std::mem::{offset_of, size_of};
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use ioctl_defs::uvm::*;

use super::hint;
use super::uvm::Uvm;
use crate::addr::GpuVa;
use crate::driver::sys::{Mapping, Node, PAGE};
use crate::error::{Access, Fault, Result};

const PATH: &str = "/dev/nvidia-uvm-tools";

/// Entries of the queue. A fault of one instruction makes a dozen, and when the queue is full UVM
/// drops the rest; the notifier tells then.
const ENTRIES: u32 = 1024;
/// Bytes of an entry: a union of all kinds of events.
const ENTRY_BYTES: u64 = 72;

/// The queue that UVM writes faults to.
#[derive(Debug)]
pub(crate) struct FaultLog {
    /// Closing it is what makes UVM let go of the memory.
    _node: Node,
    memory: Mapping,
    /// Entries that were read.
    seen: AtomicU32,
}

impl FaultLog {
    pub(crate) fn open(uvm: &Uvm) -> Result<FaultLog> {
        let node = Node::open(PATH, hint::errno)?;
        let bytes = PAGE + (u64::from(ENTRIES) * ENTRY_BYTES).next_multiple_of(PAGE);
        let memory = Mapping::anonymous(bytes).map_err(|errno| node.refused("mmap", errno))?;
        let control = memory.as_ptr() as u64;
        let mut args = UVM_TOOLS_INIT_EVENT_TRACKER_V2_PARAMS {
            queueBuffer: control + PAGE,
            queueBufferSize: ENTRIES.into(),
            controlBuffer: control,
            allProcessors: 1,
            uvmFd: uvm.as_raw_fd() as u32,
            requestedVersion: 2,
            ..Default::default()
        };
        node.call(UVM_TOOLS_INIT_EVENT_TRACKER_V2, &mut args)?;
        hint::check(UVM_TOOLS_INIT_EVENT_TRACKER_V2.name(), &node, args.rmStatus)?;
        let mut args = UVM_TOOLS_EVENT_QUEUE_ENABLE_EVENTS_PARAMS {
            eventTypeFlags: 1 << UvmEventTypeGpuFault | 1 << UvmEventTypeFatalFault,
            ..Default::default()
        };
        node.call(UVM_TOOLS_EVENT_QUEUE_ENABLE_EVENTS, &mut args)?;
        hint::check(UVM_TOOLS_EVENT_QUEUE_ENABLE_EVENTS.name(), &node, args.rmStatus)?;
        Ok(FaultLog { _node: node, memory, seen: AtomicU32::new(0) })
    }

    fn counter(&self, offset: usize) -> &AtomicU32 {
        debug_assert!(offset < size_of::<UvmToolsEventControlData>());
        // SAFETY: the first page holds the control data; UVM and this process only ever access it
        // whole words at a time.
        unsafe { AtomicU32::from_ptr(self.memory.as_ptr().add(offset).cast()) }
    }

    fn written(&self) -> u32 {
        self.counter(offset_of!(UvmToolsEventControlData, put_behind)).load(Ordering::Acquire)
    }

    /// Whether there are entries that nobody has read. One load.
    pub(crate) fn has_news(&self) -> bool {
        self.written() != self.seen.load(Ordering::Relaxed)
    }

    /// Reads on, for one caller at a time: the last fault of a kernel that ends its channel.
    pub(crate) fn take(&self) -> Option<Fault> {
        let (written, mut seen) = (self.written(), self.seen.load(Ordering::Relaxed));
        let (mut by_kernel, mut fatal) = (None, None);
        while seen != written {
            let entry = self.entry(seen);
            // SAFETY: UVM has finished the entry, which is longer than either kind of event.
            let kind = unsafe { entry.cast::<u8>().read_volatile() };
            if kind == UvmEventTypeGpuFault {
                // SAFETY: as above.
                let event = unsafe { entry.cast::<UvmEventGpuFaultInfo_V2>().read_volatile() };
                by_kernel = Some((event.address, event.clientType == UvmEventFaultClientTypeGpc));
            } else if kind == UvmEventTypeFatalFault {
                // SAFETY: as above.
                let event = unsafe { entry.cast::<UvmEventFatalFaultInfo_V2>().read_volatile() };
                // Other engines fault on a channel that the event does not name.
                if by_kernel == Some((event.address, true)) {
                    fatal = Some(fault(&event));
                }
            }
            seen = seen.wrapping_add(1);
        }
        self.seen.store(seen, Ordering::Relaxed);
        for offset in [
            offset_of!(UvmToolsEventControlData, get_ahead),
            offset_of!(UvmToolsEventControlData, get_behind),
        ] {
            self.counter(offset).store(seen, Ordering::Release);
        }
        fatal
    }

    fn entry(&self, index: u32) -> NonNull<u64> {
        let offset = PAGE + u64::from(index % ENTRIES) * ENTRY_BYTES;
        // SAFETY: inside the mapping, whose entries lie behind the first page.
        let entry = unsafe { self.memory.as_ptr().add(offset as usize) };
        NonNull::new(entry.cast()).expect("a mapping does not begin at null")
    }
}

/// What RM's code for an MMU fault will be.
const XID_MMU_FAULT: u32 = 31;

// The constants are called what the vendor calls them.
#[allow(non_upper_case_globals)]
fn fault(event: &UvmEventFatalFaultInfo_V2) -> Fault {
    let why = match event.faultType {
        UvmFaultTypeInvalidPde | UvmFaultTypeInvalidPte | UvmFaultTypeInvalidPdeSize => {
            "where nothing is mapped"
        }
        UvmFaultTypeWrite => "where the mapping is read-only",
        UvmFaultTypeAtomic => "where the mapping does not allow atomics",
        UvmFaultTypeLimitViolation => "beyond the address space",
        UvmFaultTypePrivViolation => "where the mapping is the driver's own",
        _ => "which the mapping does not allow",
    };
    Fault {
        address: Some(GpuVa::new(event.address)),
        access: match event.accessType {
            UvmEventMemoryAccessTypeRead => Some(Access::Read),
            UvmEventMemoryAccessTypeWrite => Some(Access::Write),
            UvmEventMemoryAccessTypeAtomic => Some(Access::Atomic),
            _ => None,
        },
        detail: Some(why.to_owned()),
        ..Fault::of_code(XID_MMU_FAULT)
    }
}
