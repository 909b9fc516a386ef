//! Whether the functions of a kernel may call themselves again before they have returned.
//!
//! The compiler gives the stack that a kernel needs as a number, and where functions recurse that
//! number leaves them out: it is 0, or the kernel's own frame. Nothing in the metadata says so
//! (the `.nv.callgraph` of a linked cubin is empty), but the call instructions do.

use std::collections::{HashMap, HashSet};

use super::error::{Error, damaged};
use super::layout::Layout;
use super::relocation::{Relocation, Target};
use super::{Content, Section, SectionId};

/// Bytes of an instruction on every SM since 7.0.
const INSTRUCTION: usize = 16;

/// Bits 0..9 of calls by absolute address and by distance, whatever their operands.
const CALL_ABS: u64 = 0x143;
const CALL_REL: u64 = 0x144;
/// Bits 0..12 of the forms whose target is in the instruction alone. The absolute one is there only
/// where it is relocated, to a section of its own.
const CALL_REL_DIRECT: u64 = 0x944;
const CALL_ABS_DIRECT: u64 = 0x943;

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
        return Err(damaged(format!("a function in the code of `{kernel}` does not start there")));
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
    if !matches!(low & 0x1ff, CALL_ABS | CALL_REL) || low & 0xfff == CALL_ABS_DIRECT {
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

/// Functions that lie in sections of their own, as the linker leaves what was compiled apart.
#[derive(Default)]
pub(super) struct Apart {
    /// What each section of code calls in others.
    calls: HashMap<SectionId, Vec<SectionId>>,
    /// Those whose functions call each other in a circle without leaving the section.
    recursive: HashSet<SectionId>,
}

impl Apart {
    /// Reads the sections of code that are no kernel's: `functions` says where functions begin in them.
    pub fn of(
        sm: u32,
        layout: &Layout<'_>,
        relocations: &[Relocation],
        functions: &[(SectionId, &[usize])],
    ) -> Result<Apart, Error> {
        let mut apart = Apart::default();
        for relocation in relocations.iter().filter(|relocation| relocation.patch.calls()) {
            if let Target::Section(callee) = relocation.target {
                apart.calls.entry(relocation.section).or_default().push(callee);
            }
        }
        for &(section, starts) in functions {
            let Section { name, content: Content::Bytes(code), .. } = *layout.section(section)
            else {
                continue;
            };
            if recurses(name, sm, code, starts)? {
                apart.recursive.insert(section);
            }
        }
        Ok(apart)
    }

    /// Says whether what the code in a section calls in other sections may come back to itself.
    pub fn recurses(&self, from: SectionId) -> bool {
        let mut reached: Vec<SectionId> = Vec::new();
        let mut index = HashMap::new();
        let mut calls = Vec::new();
        let mut left = self.callees(from).to_vec();
        while let Some(section) = left.pop() {
            index.entry(section).or_insert_with(|| {
                left.extend(self.callees(section));
                reached.push(section);
                reached.len() - 1
            });
        }
        for section in &reached {
            calls.push(self.callees(*section).iter().map(|callee| index[callee]).collect());
        }
        has_cycle(&calls) || reached.iter().any(|section| self.recursive.contains(section))
    }

    fn callees(&self, section: SectionId) -> &[SectionId] {
        self.calls.get(&section).map_or(&[], Vec::as_slice)
    }
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
