//! What a multiprocessor says about the warp that stopped it: one register, the same on all chips that
//! this crate drives, which both drivers hand out.

use crate::addr::GpuVa;
use crate::error::{Fault, FaultKind};

/// The code is in the low half-word; above it are bits about the access.
const CODE: u32 = 0xffff;

/// Whether a warp of the multiprocessor faulted.
pub(super) fn is_set(warp_esr: u32) -> bool {
    warp_esr & CODE != 0
}

/// Adds to an exception what the multiprocessor knows about it.
pub(super) fn explain(fault: &mut Fault, warp_esr: u32, pc: Option<u64>, address: Option<u64>) {
    let code = warp_esr & CODE;
    let (kind, detail) = match code {
        0x1 | 0x2 => (FaultKind::Engine, Some("an error of the call stack")),
        0x5 => (FaultKind::Misaligned, Some("by a jump")),
        0x6 => (FaultKind::OutOfRange, Some("by a jump")),
        0x8 => (FaultKind::IllegalInstruction, Some("with a misaligned register")),
        0x9 => (FaultKind::IllegalInstruction, None),
        0xb => (FaultKind::IllegalInstruction, Some("with an illegal parameter")),
        0xd => (FaultKind::IllegalInstruction, Some("with a register that the kernel has not")),
        0xe => (FaultKind::OutOfRange, None),
        0xf => (FaultKind::Misaligned, None),
        0x10 => (FaultKind::OutOfRange, Some("in memory of a kind that the access cannot reach")),
        0x12 => (FaultKind::OutOfRange, Some("in a constant bank")),
        _ => (FaultKind::Engine, None),
    };
    fault.kind = kind;
    fault.detail = match detail {
        Some(detail) => Some(detail.to_owned()),
        None if kind == FaultKind::Engine => Some(format!("warp error {code:#x}")),
        None => None,
    };
    fault.pc = pc.map(GpuVa::new);
    // The address register keeps what it had where an error has no address.
    let has_address = matches!(code, 0xe..=0x10);
    fault.address = address.filter(|_| has_address).map(GpuVa::new);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_put_into_words() {
        let explained = |warp_esr, address| {
            let mut fault = Fault { channel: "compute queue".to_owned(), ..Fault::of_code(13) };
            explain(&mut fault, warp_esr, Some(0x1000_0630), address);
            fault
        };
        let fault = explained(0x500_000f, Some(0x1_0002_0004));
        assert_eq!(fault.kind, FaultKind::Misaligned);
        let text = fault.to_string();
        assert!(text.contains("a misaligned access at 0x100020004"), "{text}");
        assert!(text.contains("0x10000630") && text.contains("error code 13"), "{text}");
        let fault = explained(0x9, Some(7));
        assert_eq!((fault.kind, fault.address), (FaultKind::IllegalInstruction, None));
        let text = explained(0x44, None).to_string();
        assert!(text.contains("warp error 0x44"), "{text}");
        assert!(is_set(0x500_000f) && !is_set(0x500_0000));
    }
}
