//! What goes wrong on the GPU, and what the driver tells the program about it.

use std::fmt::{self, Display};

use super::mmu::MmuFault;

/// Why a TSG was torn down. The numbers are what the driver writes into an error notifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum FaultCause {
    /// The TSG kept others waiting for too long.
    IdleTimeout = 8,
    /// An engine rejected a method, or a launch, or a kernel trapped.
    GrException = 13,
    /// The graphics engine gave up on a semaphore.
    GrSemaphoreTimeout = 24,
    /// The graphics engine was asked to notify where it must not.
    GrIllegalNotify = 25,
    /// An address that is not mapped, or not for this kind of access.
    MmuFault = 31,
    /// The host engine met a bad ring entry, header or method.
    PbdmaError = 32,
    /// Firmware met a method it does not implement.
    FecsError = 37,
    /// Somebody asked the driver to reset the channel.
    ForcedReset = 43,
    /// A pushbuffer did not have the checksum it was announced with.
    PbCrc = 80,
}

impl FaultCause {
    /// The notifier's info32.
    pub fn code(self) -> u32 {
        self as u32
    }
}

impl Display for FaultCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FaultCause::IdleTimeout => "context switch timeout",
            FaultCause::GrException => "engine exception",
            FaultCause::GrSemaphoreTimeout => "engine semaphore timeout",
            FaultCause::GrIllegalNotify => "illegal notify",
            FaultCause::MmuFault => "MMU fault",
            FaultCause::PbdmaError => "host engine error",
            FaultCause::FecsError => "firmware error",
            FaultCause::ForcedReset => "forced reset",
            FaultCause::PbCrc => "pushbuffer checksum mismatch",
        })
    }
}

/// A fault on its way up to the channel that it kills.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) cause: FaultCause,
    /// What happened, as the end of a sentence.
    pub(crate) text: String,
    /// The warp that stopped its multiprocessor, if one did.
    pub(crate) warp: Option<WarpError>,
}

/// What a multiprocessor keeps of an exception, as the driver hands it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarpError {
    /// The multiprocessor.
    pub sm: u32,
    /// The register that says why.
    pub esr: u32,
    /// The address of the instruction.
    pub pc: u64,
}

impl Fault {
    /// The host engine objects.
    pub(crate) fn host(text: impl Into<String>) -> Fault {
        Fault { cause: FaultCause::PbdmaError, text: text.into(), warp: None }
    }

    /// An engine behind a subchannel objects.
    pub(crate) fn engine(text: impl Into<String>) -> Fault {
        Fault { cause: FaultCause::GrException, text: text.into(), warp: None }
    }

    /// The MMU objects to an access that `what` made.
    pub(crate) fn mmu(what: impl Display, fault: MmuFault) -> Fault {
        Fault { cause: FaultCause::MmuFault, text: format!("{what} {fault}"), warp: None }
    }
}
