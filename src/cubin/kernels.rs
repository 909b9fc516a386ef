//! Kernels, put together from symbols, sections and attributes.

use std::collections::{HashMap, HashSet};

use goblin::elf::sym::STT_FUNC;

use super::calls::{self, Apart};
use super::error::{Error, damaged};
use super::image::{Image, Symbol};
use super::info::{self, Attribute, Attributes};
use super::layout::{Layout, Role};
use super::{Content, Kernel, Parameter, Parameters, Relocation, SectionId, Stack};

/// Set in `st_other` of a function that can be launched.
const STO_CUDA_ENTRY: u8 = 0x10;

/// Hardware has so many, numbered from 0.
const MOST_BARRIERS: u32 = 16;
/// Instructions name registers with eight bits, and the last name reads as zero.
const MOST_REGISTERS: u32 = 255;
/// Where CUDA 12 keeps the number of barriers, in the flags of a code section.
const BARRIERS_SHIFT: u32 = 20;

/// What `.nv.info` says about a function, by the index of its symbol.
#[derive(Clone, Default)]
struct Facts {
    registers: Option<u32>,
    frame: u32,
    min_stack: u32,
}

/// What belongs to a section of code, by the index of that section.
#[derive(Default)]
struct Attached {
    /// Indices of `.nv.info.KERNEL`.
    info: Vec<usize>,
    bank0: Option<usize>,
    shared: Option<usize>,
    literals: Option<SectionId>,
    /// Offsets of the functions that the kernel calls.
    functions: Vec<usize>,
}

pub(super) fn kernels<'a>(
    image: &Image<'a>,
    layout: &Layout<'a>,
    relocations: &[Relocation],
) -> Result<Vec<Kernel<'a>>, Error> {
    let facts = facts(image)?;
    let entries = image.symbols.iter().filter(|symbol| is_kernel(symbol));
    let kernel_code: HashSet<usize> = entries.map(|symbol| symbol.section).collect();
    let mut attached = attached(image, layout)?;
    let functions: Vec<(SectionId, &[usize])> = attached
        .iter()
        .filter(|(index, _)| !kernel_code.contains(index))
        .filter_map(|(index, attached)| match layout.role(*index) {
            Role::Code(id) => Some((id, attached.functions.as_slice())),
            _ => None,
        })
        .collect();
    let apart = Apart::of(image.sm, layout, relocations, &functions)?;
    let mut kernels = Vec::new();
    for (symbol, facts) in image.symbols.iter().zip(&facts) {
        if !is_kernel(symbol) {
            continue;
        }
        let Role::Code(code) = layout.role(symbol.section) else {
            return Err(damaged(format!("kernel `{}` has no code", symbol.name)));
        };
        let attached = attached
            .remove(&symbol.section)
            .ok_or_else(|| damaged(format!("kernel `{}` shares its code", symbol.name)))?;
        kernels
            .push(Builder { image, layout, apart: &apart, symbol, code, facts, attached }.build()?);
    }
    Ok(kernels)
}

fn is_kernel(symbol: &Symbol<'_>) -> bool {
    symbol.kind == STT_FUNC && symbol.other & STO_CUDA_ENTRY != 0
}

fn facts(image: &Image<'_>) -> Result<Vec<Facts>, Error> {
    let mut facts = vec![Facts::default(); image.symbols.len()];
    for section in &image.sections {
        if section.kind != info::SECTION_TYPE || section.info != 0 {
            continue;
        }
        for attribute in Attributes::new(section.name, section.data) {
            let attribute = attribute?;
            let (Attribute::Registers { symbol, .. }
            | Attribute::Frame { symbol, .. }
            | Attribute::MinStack { symbol, .. }) = attribute
            else {
                continue;
            };
            let facts = facts
                .get_mut(symbol as usize)
                .ok_or_else(|| damaged(format!("`{}` is about symbol {symbol}", section.name)))?;
            match attribute {
                Attribute::Registers { count, .. } => facts.registers = Some(count),
                Attribute::Frame { bytes, .. } => facts.frame = bytes,
                Attribute::MinStack { bytes, .. } => facts.min_stack = bytes,
                _ => {}
            }
        }
    }
    Ok(facts)
}

fn attached(image: &Image<'_>, layout: &Layout<'_>) -> Result<HashMap<usize, Attached>, Error> {
    let mut attached: HashMap<usize, Attached> = HashMap::new();
    for (index, section) in image.sections.iter().enumerate() {
        let once = |taken: bool| match taken {
            false => Ok(()),
            true => Err(damaged(format!("`{}` is there twice", section.name))),
        };
        match layout.role(index) {
            Role::Code(_) => {
                attached.entry(index).or_default();
            }
            Role::Bank0(code) => {
                once(attached.entry(code).or_default().bank0.replace(index).is_some())?;
            }
            Role::Shared(code) => {
                once(attached.entry(code).or_default().shared.replace(index).is_some())?;
            }
            Role::Literals(id, code) => {
                once(attached.entry(code).or_default().literals.replace(id).is_some())?;
            }
            Role::None if section.kind == info::SECTION_TYPE && section.info != 0 => {
                attached.entry(section.info as usize).or_default().info.push(index);
            }
            Role::None | Role::Module(_) => {}
        }
    }
    for symbol in &image.symbols {
        if symbol.kind == STT_FUNC && symbol.other & STO_CUDA_ENTRY == 0 {
            if let Some(attached) = attached.get_mut(&symbol.section) {
                // Whatever does not fit is outside any code, and said to be so later.
                attached.functions.push(usize::try_from(symbol.value).unwrap_or(usize::MAX));
            }
        }
    }
    Ok(attached)
}

struct Builder<'i, 'a> {
    image: &'i Image<'a>,
    layout: &'i Layout<'a>,
    apart: &'i Apart,
    symbol: &'i Symbol<'a>,
    code: SectionId,
    facts: &'i Facts,
    attached: Attached,
}

impl<'a> Builder<'_, 'a> {
    fn build(self) -> Result<Kernel<'a>, Error> {
        let bank0_size =
            self.size(self.attached.bank0)?.ok_or_else(|| self.damaged("no bank 0"))?;
        let static_shared = self.size(self.attached.shared)?.unwrap_or(0);
        // The first bytes of every block's shared memory, where a kernel uses any.
        let reserved_shared = if self.image.sm >= 90 { static_shared.min(0x400) } else { 0 };
        let registers = self.facts.registers.ok_or_else(|| self.damaged("no register count"))?;
        if registers > MOST_REGISTERS {
            return Err(self.damaged(&format!("{registers} registers")));
        }
        let code = self.image.section(self.symbol.section)?;
        let mut kernel = Kernel {
            name: self.symbol.name,
            code: self.code,
            registers,
            barriers: u32::try_from(code.flags >> BARRIERS_SHIFT).unwrap_or(u32::MAX),
            bank0_size,
            parameters: Parameters { base: bank0_size, ..Parameters::default() },
            literals: self.attached.literals,
            static_shared,
            reserved_shared,
            max_dynamic_shared: shared_limit(self.image.sm)
                .map(|limit| limit.saturating_sub(static_shared - reserved_shared)),
            stack: self.stack()?,
            max_threads: None,
            required_block: None,
            required_cluster: None,
            max_cluster_blocks: None,
        };
        let mut parameters = Vec::new();
        for &index in &self.attached.info {
            let section = self.image.section(index)?;
            for attribute in Attributes::new(section.name, section.data) {
                match attribute? {
                    Attribute::ParameterBank { symbol, base, size } => {
                        if Some(self.image.symbol(symbol)?.section) != self.attached.bank0 {
                            return Err(self.damaged("parameters outside its bank 0"));
                        }
                        kernel.parameters.base = base;
                        kernel.parameters.size = size;
                    }
                    Attribute::Parameter { ordinal, offset, size } => {
                        parameters.push((ordinal, Parameter { offset, size }));
                    }
                    Attribute::Barriers(count) => kernel.barriers = kernel.barriers.max(count),
                    Attribute::MaxThreads([x, y, z]) => {
                        kernel.max_threads = Some(x.saturating_mul(y).saturating_mul(z));
                    }
                    Attribute::RequiredThreads(block) => kernel.required_block = Some(block),
                    Attribute::Cluster(cluster) if cluster.contains(&0) => {
                        return Err(self.damaged("clusters without blocks"));
                    }
                    Attribute::Cluster(cluster) => kernel.required_cluster = Some(cluster),
                    Attribute::MaxClusterBlocks(most) => kernel.max_cluster_blocks = Some(most),
                    Attribute::Registers { .. }
                    | Attribute::Frame { .. }
                    | Attribute::MinStack { .. } => {}
                }
            }
        }
        if kernel.barriers > MOST_BARRIERS {
            return Err(self.damaged(&format!("{} barriers", kernel.barriers)));
        }
        // The compiler writes the last parameter first.
        parameters.sort_unstable_by_key(|&(ordinal, _)| ordinal);
        if parameters.iter().zip(0..).any(|(&(ordinal, _), expected)| ordinal != expected) {
            return Err(self.damaged("parameters that are not numbered in a row"));
        }
        kernel.parameters.list = parameters.into_iter().map(|(_, parameter)| parameter).collect();
        self.check(&kernel.parameters, bank0_size)?;
        Ok(kernel)
    }

    fn check(&self, parameters: &Parameters, bank0_size: u32) -> Result<(), Error> {
        // All of these come from 16-bit and 32-bit fields: as 64-bit numbers their sums are right.
        let end = |offset: u32, size: u32| u64::from(offset) + u64::from(size);
        if end(parameters.base, parameters.size) > u64::from(bank0_size) {
            return Err(self.damaged("parameters that do not fit its bank 0"));
        }
        let outside = |p: &Parameter| end(p.offset, p.size) > u64::from(parameters.size);
        if parameters.list.iter().any(outside) {
            return Err(self.damaged("a parameter outside its parameters"));
        }
        // Who fills the bank writes one behind the other.
        let mut pairs = parameters.list.windows(2);
        if pairs.any(|pair| end(pair[0].offset, pair[0].size) > u64::from(pair[1].offset)) {
            return Err(self.damaged("parameters that overlap"));
        }
        Ok(())
    }

    fn stack(&self) -> Result<Stack, Error> {
        let Content::Bytes(code) = self.layout.section(self.code).content else {
            return Err(self.damaged("no code"));
        };
        if self.symbol.value != 0 || code.is_empty() {
            return Err(self.damaged("code that does not begin with it"));
        }
        let functions = &self.attached.functions;
        Ok(Stack {
            bytes: self.facts.min_stack.max(self.facts.frame),
            recursive: calls::recurses(self.symbol.name, self.image.sm, code, functions)?
                || self.apart.recurses(self.code),
        })
    }

    fn size(&self, section: Option<usize>) -> Result<Option<u32>, Error> {
        let Some(section) = section else { return Ok(None) };
        let section = self.image.section(section)?;
        match u32::try_from(section.size) {
            Ok(size) => Ok(Some(size)),
            Err(_) => Err(damaged(format!("`{}` has {} bytes", section.name, section.size))),
        }
    }

    fn damaged(&self, what: &str) -> Error {
        damaged(format!("kernel `{}` has {what}", self.symbol.name))
    }
}

/// Shared memory that one block can have, in bytes.
fn shared_limit(sm: u32) -> Option<u32> {
    match sm {
        80 | 87 => Some(163 << 10),
        86 | 89 | 120 | 121 => Some(99 << 10),
        90 | 100 | 103 => Some(227 << 10),
        _ => None,
    }
}
