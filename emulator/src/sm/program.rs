//! A kernel's code, decoded as it is reached.

use super::Arch;
use super::decode::{Illegal, decode};
use super::exec::Ready;
use super::lower::lower;
use super::op::{Inst, Op, Pred};
use std::fmt;
use std::sync::OnceLock;

/// How many instructions are decoded together when the first of them is reached.
pub(crate) const PAGE: usize = 64;

/// A stretch of machine code at a GPU address. Words become instructions when they are first reached,
/// so that what lies behind the kernel costs nothing and may be anything.
pub struct Program {
    name: String,
    arch: Arch,
    base: u64,
    code: Vec<u8>,
    pages: Vec<OnceLock<Box<[Ready]>>>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("name", &self.name)
            .field("arch", &self.arch)
            .field("base", &self.base)
            .field("bytes", &self.code.len())
            .finish_non_exhaustive()
    }
}

impl Program {
    /// The code that starts at GPU address `base`. It may reach past the kernel: only what runs is
    /// looked at.
    pub fn new(arch: Arch, name: &str, base: u64, code: &[u8]) -> Program {
        let words = code.len() / 16;
        Program {
            name: name.into(),
            arch,
            base,
            code: code.to_vec(),
            pages: (0..words.div_ceil(PAGE)).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The kernel's name, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address of the first instruction.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// The generation of the code.
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// The bytes of the code.
    pub fn code(&self) -> &[u8] {
        &self.code
    }

    /// The word at an index.
    pub(crate) fn word(&self, index: usize) -> Option<u128> {
        let bytes = self.code.get(index * 16..index * 16 + 16)?;
        bytes.try_into().ok().map(u128::from_le_bytes)
    }

    /// Why the word at an index does not run.
    pub(crate) fn illegal(&self, index: usize) -> Option<Illegal> {
        let word = self.word(index)?;
        decode(self.arch, word).and_then(|d| lower(&d)).err()
    }

    /// The page that holds an instruction, decoded; `None` past the end.
    #[inline(always)]
    pub(crate) fn page(&self, page: usize) -> Option<&[Ready]> {
        let slot = self.pages.get(page)?;
        Some(match slot.get() {
            Some(ready) => ready,
            None => self.fill(page, slot),
        })
    }

    #[cold]
    fn fill<'a>(&self, page: usize, slot: &'a OnceLock<Box<[Ready]>>) -> &'a [Ready] {
        let illegal = Inst { op: Op::Illegal, guard: Pred::TRUE, registers: 0 };
        slot.get_or_init(|| {
            (page * PAGE..(page + 1) * PAGE)
                .map_while(|index| self.word(index))
                .map(|word| {
                    decode(self.arch, word).and_then(|decoded| lower(&decoded)).unwrap_or(illegal)
                })
                .map(Ready::new)
                .collect()
        })
    }

    /// The text of every word, for people.
    pub fn listing(&self) -> impl Iterator<Item = (u64, String)> + '_ {
        (0..self.code.len() / 16).filter_map(|index| {
            let text = match decode(self.arch, self.word(index)?) {
                Ok(decoded) => decoded.to_string(),
                Err(error) => error.to_string(),
            };
            Some((self.base + index as u64 * 16, text))
        })
    }
}
