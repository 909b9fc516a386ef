//! Why a cubin was refused.

/// Why a cubin was refused, as one sentence that says what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are something else.
    #[error("this is not a cubin but {found}: {cure}")]
    NotACubin {
        /// What the bytes look like.
        found: &'static str,
        /// How to get a cubin from it.
        cure: &'static str,
    },
    /// The ELF layout is of a toolkit that the parser does not know.
    #[error(
        "the cubin has ELF layout {abi:#04x}, which neither CUDA 12 (0x33) nor CUDA 13 (0x41) writes: build it with one of these"
    )]
    Generation {
        /// The OS ABI byte of the ELF header.
        abi: u8,
    },
    /// The cubin is one part of a program that still has to be linked.
    #[error(
        "the cubin is relocatable (ELF type {elf_type}) and must be linked first: compile without -dc and -rdc=true, or run nvlink on it"
    )]
    Relocatable {
        /// The ELF type, 1 for a relocatable file.
        elf_type: u16,
    },
    /// A relocation of a kind that linked code does without.
    #[error(
        "section `{section}` of the cubin needs relocation {kind} ({name}), which doorbell does not apply: compile without -G, -dc and -rdc=true"
    )]
    Relocation {
        /// The section to be changed.
        section: String,
        /// The relocation type.
        kind: u32,
        /// The vendor's name of the type, where known.
        name: &'static str,
    },
    /// A function or variable that the cubin uses and does not have.
    #[error(
        "the cubin uses `{symbol}` and does not define it: link it with what defines the symbol"
    )]
    Undefined {
        /// The missing name.
        symbol: String,
    },
    /// Something that the GPU would need and that nothing here would provide.
    #[error(
        "section `{section}` of the cubin needs {what}, which doorbell does not provide: compile the kernel without it"
    )]
    Unsupported {
        /// The section.
        section: String,
        /// What it asks for.
        what: &'static str,
    },
    /// The cubin contradicts itself or ends early.
    #[error("the cubin is damaged, copy or build it again: {what}")]
    Damaged {
        /// What is wrong, and where.
        what: String,
    },
}

/// Shorthand for [`Error::Damaged`].
pub(super) fn damaged(what: impl Into<String>) -> Error {
    Error::Damaged { what: what.into() }
}
