//! The host engine's semaphore operation: one header and five words, the same in every class here.

use crate::class::c86f::*;
use crate::push;

/// Words of a semaphore operation.
pub const WORDS: usize = 6;

/// Writes a 64-bit payload. Nothing is waited for: or-in [`WFI`] for that.
pub const RELEASE: u32 = SEM_EXECUTE_OPERATION.set(SEM_EXECUTE_OPERATION_RELEASE)
    | SEM_EXECUTE_PAYLOAD_SIZE.set(SEM_EXECUTE_PAYLOAD_SIZE_64BIT);

/// For a release: first wait until the engine is idle and its stores are visible everywhere.
pub const WFI: u32 = SEM_EXECUTE_RELEASE_WFI.set(SEM_EXECUTE_RELEASE_WFI_EN);

/// For a release: 8 bytes behind the payload, write the GPU's time in nanoseconds.
pub const TIMESTAMP: u32 = SEM_EXECUTE_RELEASE_TIMESTAMP.set(SEM_EXECUTE_RELEASE_TIMESTAMP_EN);

/// Waits until the 64-bit word in memory has reached the payload, counting modulo 2^64. Meanwhile
/// the host engine may serve other channel groups.
pub const ACQUIRE: u32 = SEM_EXECUTE_OPERATION.set(SEM_EXECUTE_OPERATION_ACQ_CIRC_GEQ)
    | SEM_EXECUTE_ACQUIRE_SWITCH_TSG.set(SEM_EXECUTE_ACQUIRE_SWITCH_TSG_EN)
    | SEM_EXECUTE_PAYLOAD_SIZE.set(SEM_EXECUTE_PAYLOAD_SIZE_64BIT);

/// The words of a semaphore operation at `va`; `execute` is one of the constants here, or made from
/// the fields of SEM_EXECUTE.
///
/// The hardware interrupts unless `va` is a multiple of what it accesses: 16 bytes with
/// [`TIMESTAMP`], else the payload's 8 or 4. Debug builds check.
#[inline]
pub const fn operation(subchannel: u32, va: u64, payload: u64, execute: u32) -> [u32; WORDS] {
    let align = if execute & TIMESTAMP != 0 {
        16
    } else if SEM_EXECUTE_PAYLOAD_SIZE.get(execute) == SEM_EXECUTE_PAYLOAD_SIZE_64BIT {
        8
    } else {
        4
    };
    debug_assert!(va % align == 0, "a semaphore is aligned to its size");
    [
        push::inc(subchannel, SEM_ADDR_LO, 5),
        va as u32,
        SEM_ADDR_HI_OFFSET.set((va >> 32) as u32),
        payload as u32,
        (payload >> 32) as u32,
        execute,
    ]
}
