//! A cubin's bytes, understood: kernels and what they need, memory to lay out, addresses to fill
//! in.
//!
//! [`Cubin::parse`] is pure and total. It reads what the assemblers of CUDA 12 and CUDA 13 write,
//! takes nothing for granted that it can check, and refuses what it does not know by name instead
//! of loading half of it. The result borrows from the bytes; who loads it copies every
//! [`Section`] to GPU memory and then applies every [`Relocation`].

mod calls;
mod error;
mod image;
mod info;
mod kernels;
mod layout;
mod relocation;

use std::fmt;

pub use error::Error;
pub use relocation::{Patch, Relocation, Target};

/// A parsed cubin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cubin<'a> {
    /// The SM that the code is for, 87 for an Orin. Code runs on no other major version, and not
    /// on a lower minor one.
    pub sm: u32,
    /// Whose ELF layout the file has.
    pub generation: Generation,
    /// What must lie in GPU memory: code, banks and variables, in the file's order.
    pub sections: Vec<Section<'a>>,
    /// The kernels, in the file's order.
    pub kernels: Vec<Kernel<'a>>,
    /// The section behind constant bank 3 of every kernel: `__constant__` variables.
    pub constants: Option<SectionId>,
    /// The section behind constant bank 4 of every kernel: addresses of variables.
    pub addresses: Option<SectionId>,
    /// Named places in memory: `__device__` and `__constant__` variables.
    pub variables: Vec<Variable<'a>>,
    /// Addresses to be written into sections once their places are known.
    pub relocations: Vec<Relocation>,
    /// Functions that kernels may call and that CUDA's runtime would provide: `vprintf`, `malloc`,
    /// `free`, `__assertfail`. Who loads the cubin decides what happens there.
    pub absent: Vec<&'a str>,
}

/// The toolkit generation that wrote a cubin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Generation {
    /// CUDA 12 and 11.
    Cuda12,
    /// CUDA 13.
    Cuda13,
}

/// Which of [`Cubin::sections`]: an index into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SectionId(pub usize);

/// Bytes that must lie in GPU memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<'a> {
    /// The name in the file, for messages.
    pub name: &'a str,
    /// What memory holds before the first launch.
    pub content: Content<'a>,
    /// A power of two: addresses of the section are multiples of it.
    pub align: u64,
    /// Whether it holds instructions.
    pub code: bool,
    /// Whether kernels may write it.
    pub writable: bool,
}

/// What a section holds at first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// So many zeros.
    Zeros(u64),
}

/// One kernel and what a launch of it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kernel<'a> {
    /// The name, as the compiler mangled it.
    pub name: &'a str,
    /// The code. It begins with the kernel's first instruction.
    pub code: SectionId,
    /// 32-bit registers per thread.
    pub registers: u32,
    /// Named barriers, counted up to the highest one used: at most 16.
    pub barriers: u32,
    /// Size of constant bank 0: words that the launch fills, then the parameters.
    pub bank0_size: u32,
    /// Where in bank 0 the parameters are and how they are laid out.
    pub parameters: Parameters,
    /// The section behind constant bank 2: literals and jump tables.
    pub literals: Option<SectionId>,
    /// Shared memory that every block takes, in bytes; dynamic shared memory follows it. From
    /// sm_90 on this counts [`reserved_shared`](Self::reserved_shared) in, unless it is zero.
    pub static_shared: u32,
    /// How much of the static shared memory the hardware keeps for itself.
    pub reserved_shared: u32,
    /// The most dynamic shared memory that a launch can ask for, where the SM's limit is known.
    pub max_dynamic_shared: Option<u32>,
    /// Local memory.
    pub stack: Stack,
    /// The most threads in a block, if the source says so.
    pub max_threads: Option<u32>,
    /// The one size of block that the kernel was compiled for, if the source says so.
    pub required_block: Option<[u32; 3]>,
    /// The one size of cluster that the kernel was compiled for, if the source says so.
    pub required_cluster: Option<[u32; 3]>,
    /// The most blocks in a cluster, if the source says so.
    pub max_cluster_blocks: Option<u32>,
}

/// Parameters of a kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Offset in bank 0 of the first one.
    pub base: u32,
    /// Bytes of all of them, padding between them included.
    pub size: u32,
    /// Each of them, in the order of the source: one behind the other.
    pub list: Vec<Parameter>,
}

/// One parameter of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Offset in bytes from [`Parameters::base`].
    pub offset: u32,
    /// Size in bytes.
    pub size: u32,
}

/// Local memory of one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stack {
    /// Bytes that the kernel and the functions it calls use. Where they recurse, only a part.
    pub bytes: u32,
    /// Functions may call themselves, directly, through others or through a pointer: how deep
    /// only the caller can know, so that a default must be added to `bytes`.
    pub recursive: bool,
}

/// A variable of the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable<'a> {
    /// The name, as the compiler mangled it.
    pub name: &'a str,
    /// The section that it lies in.
    pub section: SectionId,
    /// Where in the section.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
}

impl<'a> Cubin<'a> {
    /// Reads a cubin.
    pub fn parse(bytes: &'a [u8]) -> Result<Cubin<'a>, Error> {
        let image = image::Image::parse(bytes)?;
        let layout = layout::Layout::of(&image)?;
        let (relocations, absent) = relocation::relocations(&image, &layout)?;
        let kernels = kernels::kernels(&image, &layout, &relocations)?;
        Ok(Cubin {
            sm: image.sm,
            generation: image.generation,
            kernels,
            variables: layout.variables(&image)?,
            relocations,
            absent,
            constants: layout.constants,
            addresses: layout.addresses,
            sections: layout.sections,
        })
    }

    /// The kernel of a name.
    pub fn kernel(&self, name: &str) -> Option<&Kernel<'a>> {
        self.kernels.iter().find(|kernel| kernel.name == name)
    }

    /// The variable of a name.
    pub fn variable(&self, name: &str) -> Option<&Variable<'a>> {
        self.variables.iter().find(|variable| variable.name == name)
    }

    /// A section, by the index that kernels, variables and relocations carry.
    pub fn section(&self, id: SectionId) -> &Section<'a> {
        &self.sections[id.0]
    }
}

impl Section<'_> {
    /// Bytes of memory that it takes.
    pub fn size(&self) -> u64 {
        match self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Zeros(size) => size,
        }
    }
}

impl fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Content::Zeros(size) => write!(f, "{size} zeros"),
        }
    }
}
