//! Whether the functions of a kernel may call themselves again before they have returned.
//!
//! The compiler gives the stack that a kernel needs as a number, and where functions recurse that
//! number leaves them out: it is 0, or the kernel's own frame. Nothing in the metadata says so
//! (the `.nv.callgraph` of a linked cubin is empty), but the call instructions do.

use super::error::{Error, damaged};

/// Bytes of an instruction on every SM since 7.0.
const INSTRUCTION: usize = 16;

/// Bits 0..9 of calls by absolute address and by distance, whatever their operands.
const CALL_ABS: u64 = 0x143;
const CALL_REL: u64 = 0x144;
/// Bits 0..12 of the one form whose target is in the instruction alone.
const CALL_REL_DIRECT: u64 = 0x944;

/// Says whether calls in `code` may form a cycle. `functions` are the offsets at which functions
/// start in it, in any order; what lies ahead of them all is the kernel itself.
pub(super) fn recurses(
    kernel: &str,
    sm: u32,
    code: &[u8],
    functions: &[usize],
) -> Result<bool, Error> {
    let mut starts = functions.to_vec();
    starts.sort_unstable();
    starts.dedup();
    let (Some(&first), Some(&last)) = (starts.first(), starts.last()) else { return Ok(false) };
    if last >= code.len() || starts.iter().any(|start| start % INSTRUCTION != 0) {
        return Err(damaged(format!("a function of kernel `{kernel}` does not start in its code")));
    }
    // Nobody calls a kernel, so its own calls are on no cycle.
    let mut calls = vec![Vec::new(); starts.len()];
    for (index, instruction) in code[first..].chunks_exact(INSTRUCTION).enumerate() {
        let at = first + index * INSTRUCTION;
        let caller = starts.partition_point(|&start| start <= at) - 1;
        match call(sm, instruction, at) {
            None => {}
            Some(target) => match target.and_then(|target| starts.binary_search(&target).ok()) {
                Some(callee) => calls[caller].push(callee),
                // A call through a pointer may come back to the caller.
                None => return Ok(true),
            },
        }
    }
    Ok(has_cycle(&calls))
}

/// Where an instruction at offset `at` calls to, if it calls: `Some(None)` if only the run will
/// tell.
fn call(sm: u32, instruction: &[u8], at: usize) -> Option<Option<usize>> {
    let mut word = [0; INSTRUCTION];
    word.copy_from_slice(instruction);
    let word = u128::from_le_bytes(word);
    let low = word as u64;
    if !matches!(low & 0x1ff, CALL_ABS | CALL_REL) {
        return None;
    }
    if low & 0xfff != CALL_REL_DIRECT {
        return Some(None);
    }
    // The distance from the next instruction, signed: bits 34..82 in units of four bytes. sm_90
    // has eight more bits, at 16..24, below it.
    let distance = (word << 46) as i128 >> 80;
    let units = if sm >= 90 { distance << 8 | (low >> 16 & 0xff) as i128 } else { distance };
    Some(usize::try_from((at + INSTRUCTION) as i128 + units * 4).ok())
}

fn has_cycle(calls: &[Vec<usize>]) -> bool {
    let mut callers = vec![0_usize; calls.len()];
    for &callee in calls.iter().flatten() {
        callers[callee] += 1;
    }
    // Take away functions that nobody calls, and their calls with them: only a cycle stays.
    let mut uncalled: Vec<usize> = (0..calls.len()).filter(|&f| callers[f] == 0).collect();
    let mut taken = 0;
    while let Some(function) = uncalled.pop() {
        taken += 1;
        for &callee in &calls[function] {
            callers[callee] -= 1;
            if callers[callee] == 0 {
                uncalled.push(callee);
            }
        }
    }
    taken < calls.len()
}
