//! Addresses that a loader writes into sections once it knows where they lie.

use goblin::elf::reloc::RelocSection;
use goblin::elf::section_header::{SHT_REL, SHT_RELA};

use super::error::{Error, damaged};
use super::image::{self, Image, Symbol};
use super::layout::Layout;
use super::{Content, SectionId};

/// An address to be written: at `offset` of `section`, that of `target` plus `addend`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relocation {
    /// The section to write to.
    pub section: SectionId,
    /// Where in it. The bytes that change lie inside; only instructions need be aligned.
    pub offset: u64,
    /// Which bits of them take which bits of the address.
    pub patch: Patch,
    /// What the address is of.
    pub target: Target,
    /// What to add to it, with wrap-around.
    pub addend: u64,
}

/// What an address is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A section of the cubin.
    Section(SectionId),
    /// A function that CUDA's runtime would provide: an index into [`Cubin::absent`](super::Cubin::absent).
    Absent(usize),
}

/// Where an address goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patch {
    /// A word of 64 bits.
    Word,
    /// The immediate of an instruction takes the lower half.
    LowHalf,
    /// The immediate of an instruction takes the upper half.
    HighHalf,
    /// The target of a call, up to sm_89.
    Call,
    /// The target of a call, whose low bits lie apart from sm_90 on.
    SplitCall,
}

/// Some bits of a word and the bits of an address that go there.
struct Part {
    lo: u32,
    width: u32,
    from: u32,
}

const fn part(lo: u32, width: u32, from: u32) -> Part {
    Part { lo, width, from }
}

impl Patch {
    fn of_kind(kind: u32) -> Option<Patch> {
        Some(match kind {
            // Global memory has the same generic address, so R_CUDA_64 and R_CUDA_G64 are alike.
            2 | 4 => Patch::Word,
            // R_CUDA_ABS32_LO_32 and R_CUDA_UNIFIED32_LO_32, and so on: an address is what it is.
            56 | 112 => Patch::LowHalf,
            57 | 113 => Patch::HighHalf,
            58 => Patch::Call,
            75 | 114 => Patch::SplitCall,
            _ => return None,
        })
    }

    /// How many bytes there are to change.
    pub fn bytes(self) -> usize {
        match self {
            Patch::Word => 8,
            _ => 16,
        }
    }

    /// Whether an instruction is called to the address.
    pub(super) fn calls(self) -> bool {
        matches!(self, Patch::Call | Patch::SplitCall)
    }

    fn parts(self) -> &'static [Part] {
        const WORD: &[Part] = &[part(0, 64, 0)];
        const LOW_HALF: &[Part] = &[part(32, 32, 0)];
        const HIGH_HALF: &[Part] = &[part(32, 32, 32)];
        // Targets count in units of four bytes.
        const CALL: &[Part] = &[part(34, 47, 2)];
        const SPLIT_CALL: &[Part] = &[part(16, 8, 2), part(34, 47, 10)];
        match self {
            Patch::Word => WORD,
            Patch::LowHalf => LOW_HALF,
            Patch::HighHalf => HIGH_HALF,
            Patch::Call => CALL,
            Patch::SplitCall => SPLIT_CALL,
        }
    }

    /// Writes `address` to the [`bytes`](Self::bytes) that it goes to.
    pub fn apply(self, bytes: &mut [u8], address: u64) {
        let bytes = &mut bytes[..self.bytes()];
        let mut word = [0; 16];
        word[..bytes.len()].copy_from_slice(bytes);
        let mut word = u128::from_le_bytes(word);
        for part in self.parts() {
            let ones = (1u128 << part.width) - 1;
            word = word & !(ones << part.lo) | (u128::from(address >> part.from) & ones) << part.lo;
        }
        bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]);
    }

    /// What stands there now, where nothing else is added: a 64-bit word counts, and instructions
    /// have no room for what goes beyond zero.
    fn in_place(self, bytes: &[u8]) -> Option<u64> {
        let mut word = [0; 16];
        word[..self.bytes()].copy_from_slice(&bytes[..self.bytes()]);
        let word = u128::from_le_bytes(word);
        match self {
            Patch::Word => Some(word as u64),
            _ => {
                let empty = |p: &Part| word >> p.lo & ((1 << p.width) - 1) == 0;
                self.parts().iter().all(empty).then_some(0)
            }
        }
    }
}

/// What the CUDA runtime provides to kernels. Cubins use these names and do not define them.
const RUNTIME: [&str; 4] = ["vprintf", "malloc", "free", "__assertfail"];

/// All relocations of what is loaded, and the functions of the runtime that some of them lead to.
pub(super) fn relocations<'a>(
    image: &Image<'a>,
    layout: &Layout<'a>,
) -> Result<(Vec<Relocation>, Vec<&'a str>), Error> {
    let (mut relocations, mut absent) = (Vec::new(), Vec::new());
    for table in &image.sections {
        if !matches!(table.kind, SHT_REL | SHT_RELA) || table.data.is_empty() {
            continue;
        }
        // Debug information has relocations too; who does not load it need not apply them.
        let Some(section) = layout.role(table.info as usize).id() else { continue };
        let with_addend = table.kind == SHT_RELA;
        let entries =
            RelocSection::parse(table.data, 0, table.data.len(), with_addend, image::CONTEXT)
                .map_err(|_| damaged(format!("`{}` is cut short", table.name)))?;
        for entry in entries.iter() {
            let (kind, offset) = (entry.r_type, entry.r_offset);
            let unknown = || Error::Relocation {
                section: layout.section(section).name.into(),
                kind,
                name: kind_name(kind),
            };
            let patch = Patch::of_kind(kind).ok_or_else(unknown)?;
            if patch != Patch::Word && !layout.section(section).code {
                return Err(unknown());
            }
            let symbol = u32::try_from(entry.r_sym).map_err(|_| damaged("no such symbol"))?;
            let symbol = image.symbol(symbol)?;
            let in_place = in_place(layout, section, offset, patch)?;
            let addend = match entry.r_addend {
                Some(addend) => addend as u64,
                None => in_place.ok_or_else(unknown)?,
            };
            relocations.push(Relocation {
                section,
                offset,
                patch,
                target: target(layout, symbol, &mut absent)?,
                addend: symbol.value.wrapping_add(addend),
            });
        }
    }
    Ok((relocations, absent))
}

fn target<'a>(
    layout: &Layout<'a>,
    symbol: &Symbol<'a>,
    absent: &mut Vec<&'a str>,
) -> Result<Target, Error> {
    if symbol.section == 0 {
        if !RUNTIME.contains(&symbol.name) {
            return Err(Error::Undefined { symbol: symbol.name.into() });
        }
        let known = absent.iter().position(|name| *name == symbol.name);
        return Ok(Target::Absent(known.unwrap_or_else(|| {
            absent.push(symbol.name);
            absent.len() - 1
        })));
    }
    let target = layout.role(symbol.section).id().ok_or_else(|| {
        damaged(format!("an address of `{}` is asked for, which has none", symbol.name))
    })?;
    layout.check_inside(target, symbol.value, 0)?;
    Ok(Target::Section(target))
}

/// What a relocation finds where it writes.
fn in_place(
    layout: &Layout<'_>,
    section: SectionId,
    offset: u64,
    patch: Patch,
) -> Result<Option<u64>, Error> {
    layout.check_inside(section, offset, patch.bytes() as u64)?;
    if patch != Patch::Word && offset % 16 != 0 {
        let name = layout.section(section).name;
        return Err(damaged(format!("no instruction begins at {offset:#x} of `{name}`")));
    }
    Ok(match layout.section(section).content {
        Content::Bytes(bytes) => patch.in_place(&bytes[offset as usize..]),
        Content::Zeros(_) => Some(0),
    })
}

/// The vendor's names, as far as relocatable files were seen to use them.
fn kind_name(kind: u32) -> &'static str {
    match kind {
        55 => "R_CUDA_ABS32_32",
        56 => "R_CUDA_ABS32_LO_32",
        57 => "R_CUDA_ABS32_HI_32",
        58 => "R_CUDA_ABS47_34",
        59 => "R_CUDA_ABS16_32",
        66 => "R_CUDA_CONST_FIELD21_38",
        73 => "R_CUDA_UNUSED_CLEAR64",
        74 => "R_CUDA_ABS24_40",
        75 => "R_CUDA_ABS55_16_34",
        112 => "R_CUDA_UNIFIED32_LO_32",
        113 => "R_CUDA_UNIFIED32_HI_32",
        114 => "R_CUDA_ABS56_16_34",
        _ => "of an unknown kind",
    }
}
