//! The one error type, and what a GPU fault looks like once it is decoded.

use std::fmt;
use std::time::Duration;

use crate::addr::GpuVa;

/// What every fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, each as one sentence that the owner of the machine can act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No device node of a GPU that this crate can drive exists.
    #[error(
        "no NVIDIA device node on this machine (looked for {looked_for}): run `doorbell emulate -- PROGRAM` to use the software Orin, or `doorbell doctor` for what is missing"
    )]
    NoDevice {
        /// The nodes that were tried, in order.
        looked_for: String,
    },
    /// The Linux driver refused a call.
    #[error("{call} on {node} failed with {}: {hint}", Errno(*.errno))]
    Ioctl {
        /// The system call or the ioctl, by the vendor's name.
        call: &'static str,
        /// The device node, or the kind of file for descriptors that have no path.
        node: String,
        /// The error number that the kernel returned.
        errno: i32,
        /// The likely cause and its cure.
        hint: String,
    },
    /// The desktop driver took a call but refused what it asked for.
    #[error("{call} on {node} failed with {}: {hint}", Status(*.status))]
    Rm {
        /// The class, control or ioctl, by the vendor's name.
        call: &'static str,
        /// The device node.
        node: String,
        /// The driver's own result, an `NV_STATUS`.
        status: u32,
        /// The likely cause and its cure.
        hint: String,
    },
    /// The driver is there but lacks something that direct submission needs.
    #[error("{node} cannot be used for direct submission: {reason}")]
    Unsupported {
        /// The device node.
        node: String,
        /// What is missing.
        reason: String,
    },
    /// A caller's request that no GPU could carry out; nothing was submitted.
    #[error("{0}")]
    Request(String),
    /// A cubin that cannot be loaded.
    #[error(transparent)]
    Cubin(#[from] crate::cubin::Error),
    /// A launch that the GPU or the kernel does not allow; nothing was submitted.
    #[error("kernel `{kernel}` cannot be launched: {reason}")]
    Launch {
        /// The kernel.
        kernel: String,
        /// What was asked for, and the limit.
        reason: String,
    },
    /// The GPU stopped a channel.
    #[error("{0}")]
    Fault(Box<Fault>),
    /// A wait ran out of time, and no queue that it depends on has faulted.
    #[error(
        "{signal} did not reach {awaited} within {:.3} s: it stands at {last_seen} and the GPU reports no fault of a queue that it depends on",
        .waited.as_secs_f64()
    )]
    Timeout {
        /// What was waited for.
        signal: String,
        /// How long.
        waited: Duration,
        /// The value that was to be reached.
        awaited: u64,
        /// The value last read.
        last_seen: u64,
    },
}

/// Prints an error number as the kernel's headers name it, with its number.
struct Errno(i32);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({})", nix::errno::Errno::from_raw(self.0), self.0)
    }
}

/// Prints a result of the desktop driver as its headers name it, with its number.
struct Status(u32);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ioctl_defs::rm::status::name(self.0).unwrap_or("an unknown result");
        write!(f, "{name} ({:#x})", self.0)
    }
}

/// What class of mistake stopped a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// An address that is not mapped, or mapped without the permission that the access needs.
    Mmu,
    /// A kernel executed what is no instruction, or a trap, which the hardware reports alike.
    IllegalInstruction,
    /// A kernel accessed an address that is not a multiple of the access's size, or jumped to one
    /// where no instruction can begin.
    Misaligned,
    /// A kernel accessed shared or local memory, or the address space, beyond its end.
    OutOfRange,
    /// A malformed ring entry, method header or host method.
    Pbdma,
    /// Any other exception of a compute or copy engine: a bad launch, an illegal method.
    Engine,
    /// The driver gave up on a channel that kept others waiting.
    Timeout,
    /// The channel is dead and the driver gave no reason.
    Unexplained,
    /// A code that this crate does not name.
    Other,
}

/// How memory was accessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// A load, or the fetch of an instruction.
    Read,
    /// A store.
    Write,
    /// An atomic or a reduction.
    Atomic,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Access::Read => "a read",
            Access::Write => "a write",
            Access::Atomic => "an atomic access",
        })
    }
}

/// A GPU fault: it ends the channel it happened on, and every channel that shares the same group:
/// on a Jetson all queues of a device, on a desktop GPU all its compute queues. Close the queues
/// and open new ones; the process, its buffers and its address space survive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// What class of mistake.
    pub kind: FaultKind,
    /// The driver's error code (the number that the kernel log calls Xid on desktop GPUs).
    pub code: u32,
    /// Which queue's channel died.
    pub channel: String,
    /// The kernel that faulted. Where the driver does not tell, all that may have been running;
    /// empty where none was.
    pub kernels: Vec<String>,
    /// Where the kernel's code was, where the driver reports it. The hardware may be an instruction
    /// or two further than the one to blame.
    pub pc: Option<GpuVa>,
    /// The same as an offset into the kernel's code, as disassemblers count.
    pub offset: Option<u64>,
    /// The address, where the driver reports one; of a page, for an MMU fault.
    pub address: Option<GpuVa>,
    /// How it was accessed, where the driver reports it.
    pub access: Option<Access>,
    /// What the driver or the crate knows beyond that.
    pub detail: Option<String>,
}

impl Fault {
    /// A fault of which only the driver's code is known so far.
    pub(crate) fn of_code(code: u32) -> Fault {
        Fault { code, ..Fault::of_kind(Fault::kind_of_code(code)) }
    }

    pub(crate) fn of_kind(kind: FaultKind) -> Fault {
        Fault {
            kind,
            code: 0,
            channel: String::new(),
            kernels: Vec::new(),
            pc: None,
            offset: None,
            address: None,
            access: None,
            detail: None,
        }
    }

    /// Sorts the driver's notifier codes, which nvgpu and the RM driver share.
    fn kind_of_code(code: u32) -> FaultKind {
        match code {
            31 => FaultKind::Mmu,
            32 | 80 => FaultKind::Pbdma,
            11 | 13 | 25 | 37 | 39..=41 | 69 => FaultKind::Engine,
            8 | 24 | 43 | 109 => FaultKind::Timeout,
            _ => FaultKind::Other,
        }
    }

    /// What happened, as a noun.
    fn what(&self) -> String {
        let at = |what: &str| match self.address {
            Some(address) => format!("{what} at {address}"),
            None => what.to_owned(),
        };
        match self.kind {
            FaultKind::Mmu => match (self.access, self.address) {
                (Some(access), Some(address)) => format!("{access} at {address}"),
                _ => at("an access to an address that is not mapped or not permitted"),
            },
            FaultKind::IllegalInstruction => at("an illegal instruction or a trap"),
            FaultKind::Misaligned => at("a misaligned access"),
            FaultKind::OutOfRange => at("an access out of range"),
            FaultKind::Pbdma => at("a malformed command stream"),
            FaultKind::Engine => at("an engine exception"),
            FaultKind::Timeout => at("a time-out of the Linux driver's own"),
            FaultKind::Unexplained => at("a fault that the Linux driver did not explain"),
            FaultKind::Other => at("a fault"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the GPU stopped the {}", self.channel)?;
        match &*self.kernels {
            [] => {}
            [kernel] => write!(f, " while `{kernel}` ran")?,
            several => write!(f, " while one of `{}` ran", several.join("`, `"))?,
        }
        write!(f, ": {}", self.what())?;
        match (self.offset, self.pc) {
            (Some(offset), _) => write!(f, ", at {offset:#x} in the kernel's code")?,
            (None, Some(pc)) => write!(f, ", with the code at {pc}")?,
            (None, None) => {}
        }
        if let Some(detail) = &self.detail {
            write!(f, ", {detail}")?;
        }
        if self.kind != FaultKind::Unexplained {
            write!(f, " (error code {})", self.code)?;
        }
        write!(f, "; close this queue and open a new one")
    }
}

impl Error {
    /// Adds to a refusal how much memory it is about.
    pub(crate) fn of_bytes(mut self, bytes: u64) -> Self {
        if let Error::Ioctl { hint, .. } | Error::Rm { hint, .. } = &mut self {
            *hint += &format!("; {bytes} bytes were asked for");
        }
        self
    }

    pub(crate) fn request(text: impl Into<String>) -> Self {
        Error::Request(text.into())
    }
}
