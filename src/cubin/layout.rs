//! Which sections must lie in GPU memory, what is named in them, and what points to what.

use goblin::elf::section_header::{SHF_ALLOC, SHF_WRITE, SHT_NOBITS};
use goblin::elf::sym::STT_OBJECT;

use super::error::{Error, damaged};
use super::image::{self, Image};
use super::{Content, Section, SectionId, Variable};

/// The constant banks that hardware addresses with 16 bits.
const BANK_SIZE: u64 = 0x1_0000;

/// How names of sections of code begin.
const CODE: &str = ".text.";

/// Sections that are marked as loaded and yet are not for a loader: bookkeeping of the shared
/// memory that hardware reserves, copies of everything for finalising the code on another
/// Blackwell, debug information.
const NOT_LOADED: [&str; 4] = [".nv.shared.reserved.", ".nv.merc.", ".nv.capmerc", ".nv_debug."];

/// Sections of a file, sorted by what becomes of them.
pub(super) struct Layout<'a> {
    pub sections: Vec<Section<'a>>,
    pub constants: Option<SectionId>,
    pub addresses: Option<SectionId>,
    /// Of each section in the file.
    roles: Vec<Role>,
}

/// What a section of the file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing that a loader needs.
    None,
    /// Loaded: code.
    Code(SectionId),
    /// Loaded: constants of the kernel whose code is in that section of the file.
    Literals(SectionId, usize),
    /// Bank 0 of the kernel whose code is in that section: its size counts.
    Bank0(usize),
    /// Shared memory of the kernel whose code is in that section: its size counts.
    Shared(usize),
    /// Loaded: for all kernels.
    Module(SectionId),
}

impl<'a> Layout<'a> {
    pub fn of(image: &Image<'a>) -> Result<Layout<'a>, Error> {
        let mut layout =
            Layout { sections: Vec::new(), constants: None, addresses: None, roles: Vec::new() };
        for section in &image.sections {
            let role = layout.place(section)?;
            layout.roles.push(role);
        }
        // Sections do not share bytes of the file, so all together are no larger than it. Who
        // loads them may rely on it.
        let mut ranges: Vec<_> = image
            .sections
            .iter()
            .zip(&layout.roles)
            .filter(|(section, role)| role.id().is_some() && !section.data.is_empty())
            .map(|(section, _)| (section.offset, section.offset + section.data.len(), section.name))
            .collect();
        ranges.sort_unstable();
        if let Some(pair) = ranges.windows(2).find(|pair| pair[0].1 > pair[1].0) {
            return Err(damaged(format!("`{}` and `{}` overlap", pair[0].2, pair[1].2)));
        }
        Ok(layout)
    }

    fn place(&mut self, section: &image::Section<'a>) -> Result<Role, Error> {
        let name = section.name;
        let unsupported = |what| Err(Error::Unsupported { section: name.into(), what });
        if section.flags & u64::from(SHF_ALLOC) == 0
            || NOT_LOADED.iter().any(|p| name.starts_with(p))
        {
            return Ok(Role::None);
        }
        let kernel = section.info as usize;
        if let Some(bank) = name.strip_prefix(".nv.constant") {
            if section.size > BANK_SIZE {
                return Err(damaged(format!("`{name}` is larger than a constant bank")));
            }
            return match bank.split_once('.').map_or((bank, false), |(bank, _)| (bank, true)) {
                ("0", true) => Ok(Role::Bank0(kernel)),
                ("2", true) => Ok(Role::Literals(self.load(section), kernel)),
                ("3", false) if self.constants.is_none() => {
                    let id = self.load(section);
                    self.constants = Some(id);
                    Ok(Role::Module(id))
                }
                ("4", false) if self.addresses.is_none() => {
                    let id = self.load(section);
                    self.addresses = Some(id);
                    Ok(Role::Module(id))
                }
                ("3" | "4", false) => Err(damaged(format!("there are two sections `{name}`"))),
                _ => unsupported("a constant bank other than 0, 2, 3 and 4"),
            };
        }
        if name.starts_with(CODE) {
            return Ok(Role::Code(self.load(section)));
        }
        if name.starts_with(".nv.shared.") {
            return Ok(Role::Shared(kernel));
        }
        if matches!(name, ".nv.global" | ".nv.global.init") {
            return Ok(Role::Module(self.load(section)));
        }
        match section.size {
            0 => Ok(Role::None),
            _ => unsupported("memory for a feature of the toolkit"),
        }
    }

    fn load(&mut self, section: &image::Section<'a>) -> SectionId {
        self.sections.push(Section {
            name: section.name,
            content: match section.kind {
                SHT_NOBITS => Content::Zeros(section.size),
                _ => Content::Bytes(section.data),
            },
            align: section.align,
            code: section.name.starts_with(CODE),
            writable: section.flags & u64::from(SHF_WRITE) != 0,
        });
        SectionId(self.sections.len() - 1)
    }

    /// What the section of an index in the file is for.
    pub fn role(&self, section: usize) -> Role {
        self.roles.get(section).copied().unwrap_or(Role::None)
    }

    pub fn section(&self, id: SectionId) -> &Section<'a> {
        &self.sections[id.0]
    }

    pub fn variables(&self, image: &Image<'a>) -> Result<Vec<Variable<'a>>, Error> {
        let mut variables = Vec::new();
        for symbol in &image.symbols {
            let Role::Module(section) = self.role(symbol.section) else { continue };
            if symbol.kind == STT_OBJECT {
                let (name, offset, size) = (symbol.name, symbol.value, symbol.size);
                self.check_inside(section, offset, size)?;
                variables.push(Variable { name, section, offset, size });
            }
        }
        Ok(variables)
    }

    pub fn check_inside(&self, section: SectionId, offset: u64, size: u64) -> Result<(), Error> {
        let section = &self.sections[section.0];
        match offset.checked_add(size) {
            Some(end) if end <= section.size() => Ok(()),
            _ => Err(damaged(format!("{offset:#x} is outside `{}`", section.name))),
        }
    }
}

impl Role {
    /// Where the section is loaded, if it is.
    pub fn id(self) -> Option<SectionId> {
        match self {
            Role::Code(id) | Role::Literals(id, _) | Role::Module(id) => Some(id),
            Role::None | Role::Bank0(_) | Role::Shared(_) => None,
        }
    }
}
