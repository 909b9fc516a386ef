//! Constant banks.

use crate::sm::exec::block::Shared;
use crate::sm::exec::fault::{FaultKind, Step, lane_trap};
use crate::sm::exec::warp::Warp;
use crate::sm::op::Width;

/// A word of a constant bank.
#[inline(always)]
pub(crate) fn constant(e: &Shared, bank: u8, offset: usize) -> Step<u32> {
    let bytes = e.launch.banks.get(bank as usize).copied().unwrap_or(&[]);
    match bytes.get(offset..offset + 4) {
        Some(word) => Ok(u32::from_le_bytes([word[0], word[1], word[2], word[3]])),
        None => no_constant(bank, bytes.len(), offset),
    }
}

#[cold]
fn no_constant<T>(bank: u8, size: usize, offset: usize) -> Step<T> {
    lane_trap(FaultKind::Constant { bank, size }, 0, offset as u64)
}

/// Bank and offset of an indexed constant. In the `.IS` modes the upper half of the index is added to
/// the bank.
#[inline]
pub(super) fn constant_place(
    w: &Warp,
    index: u16,
    lane: usize,
    bank: u8,
    offset: i32,
    mode: u8,
) -> (u8, usize) {
    let index = w.regs[index as usize][lane];
    match mode {
        0 => (bank, index.wrapping_add(offset as u32) as usize),
        _ => {
            let low = (index & 0xffff).wrapping_add(offset as u32) & 0xffff;
            (bank.wrapping_add((index >> 16) as u8), low as usize)
        }
    }
}

#[inline]
pub(super) fn read_constant(
    e: &Shared,
    bank: u8,
    at: usize,
    width: Width,
    lane: usize,
) -> Step<[u32; 2]> {
    let bytes = e.launch.banks.get(bank as usize).copied().unwrap_or(&[]);
    let count = width.bytes() as usize;
    if at % count != 0 {
        let kind = FaultKind::Misaligned { bytes: count as u32 };
        return lane_trap(kind, lane, at as u64);
    }
    let Some(found) = bytes.get(at..).and_then(|rest| rest.get(..count)) else {
        return no_constant(bank, bytes.len(), at);
    };
    let value = found.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    Ok(match width {
        Width::S8 => [value as i8 as u32, 0],
        Width::S16 => [value as i16 as u32, 0],
        _ => [value as u32, (value >> 32) as u32],
    })
}
