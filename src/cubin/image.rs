//! The ELF container: header, sections and symbols, with every place in the file checked.

use std::ffi::CStr;

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::Elf;
use goblin::elf::header::{EM_CUDA, ET_EXEC, Header};
use goblin::elf::section_header::{SHT_NOBITS, SHT_NULL, SHT_SYMTAB, SectionHeader};
use goblin::elf::sym::Symtab;

use super::error::{Error, damaged};

/// How a cubin's ELF numbers are stored: 64-bit, little-endian.
pub(super) const CONTEXT: Ctx = Ctx { container: Container::Big, le: Endian::Little };

/// OS ABI bytes of the two generations.
const ABI_CUDA12: u8 = 0x33;
const ABI_CUDA13: u8 = 0x41;

/// Any real board has fewer bytes of address space; more is damage, and sums of it must not wrap.
const MOST_MEMORY: u64 = 1 << 40;

/// Far above what a compiler asks for (128 for code).
const MOST_ALIGNMENT: u64 = 1 << 20;

pub(super) struct Image<'a> {
    pub generation: super::Generation,
    pub sm: u32,
    pub sections: Vec<Section<'a>>,
    pub symbols: Vec<Symbol<'a>>,
}

pub(super) struct Section<'a> {
    pub name: &'a str,
    pub kind: u32,
    pub flags: u64,
    pub info: u32,
    pub align: u64,
    pub size: u64,
    /// Empty for sections that only take up memory.
    pub data: &'a [u8],
    /// Where `data` starts in the file.
    pub offset: usize,
}

pub(super) struct Symbol<'a> {
    pub name: &'a str,
    /// STT_*.
    pub kind: u8,
    pub other: u8,
    /// Index of the section, or zero if the symbol is not defined.
    pub section: usize,
    pub value: u64,
    pub size: u64,
}

impl<'a> Image<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Image<'a>, Error> {
        let header = check_header(bytes)?;
        let (generation, sm) = match header.e_ident[7] {
            ABI_CUDA12 => (super::Generation::Cuda12, header.e_flags & 0xff),
            ABI_CUDA13 => (super::Generation::Cuda13, header.e_flags >> 8 & 0xff),
            abi => return Err(Error::Generation { abi }),
        };
        if header.e_type != ET_EXEC {
            return Err(Error::Relocatable { elf_type: header.e_type });
        }
        let headers = section_headers(bytes, &header)?;
        let names = usize::from(header.e_shstrndx);
        let names = headers.get(names).ok_or_else(|| damaged("it has no section names"))?;
        let names = contents(bytes, names, "section names")?;
        let sections = headers
            .iter()
            .map(|header| {
                let name = text(names, header.sh_name)?;
                let align = header.sh_addralign.max(1);
                if !align.is_power_of_two() || align > MOST_ALIGNMENT {
                    return Err(damaged(format!("section `{name}` wants alignment {align}")));
                }
                if header.sh_type == SHT_NOBITS && header.sh_size > MOST_MEMORY {
                    let size = header.sh_size;
                    return Err(damaged(format!("section `{name}` wants {size} bytes")));
                }
                Ok(Section {
                    name,
                    kind: header.sh_type,
                    flags: header.sh_flags,
                    info: header.sh_info,
                    align,
                    size: header.sh_size,
                    data: contents(bytes, header, name)?,
                    offset: header.sh_offset as usize,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let symbols = symbols(bytes, &headers)?;
        Ok(Image { generation, sm, sections, symbols })
    }

    /// A section by index.
    pub fn section(&self, index: usize) -> Result<&Section<'a>, Error> {
        self.sections.get(index).ok_or_else(|| damaged(format!("there is no section {index}")))
    }

    /// A symbol by index, as metadata and relocations name it.
    pub fn symbol(&self, index: u32) -> Result<&Symbol<'a>, Error> {
        self.symbols
            .get(index as usize)
            .ok_or_else(|| damaged(format!("there is no symbol {index}")))
    }
}

fn check_header(bytes: &[u8]) -> Result<Header, Error> {
    let not = |found, cure| Err(Error::NotACubin { found, cure });
    if !bytes.starts_with(b"\x7fELF") {
        return if bytes.starts_with(&[0x50, 0xed, 0x55, 0xba]) {
            not("a fat binary", "take the cubins out with `cuobjdump -xelf all`")
        } else if bytes.is_empty() {
            not("an empty file", "build the cubin again")
        } else if looks_like_ptx(bytes) {
            not("PTX text", "assemble it with `ptxas -arch=sm_87` for an Orin")
        } else {
            not("some other file", "pass what `nvcc -cubin` or ptxas wrote")
        };
    }
    if bytes.get(4..6).is_none_or(|ident| ident != [2, 1]) {
        return not("a 32-bit or big-endian ELF file", "pass what `nvcc -cubin` or ptxas wrote");
    }
    let header =
        Elf::parse_header(bytes).map_err(|_| damaged("the file ends in its ELF header"))?;
    if header.e_machine != EM_CUDA {
        return not(
            "a program for another processor",
            "pass what `nvcc -cubin` or ptxas wrote, not the host program",
        );
    }
    Ok(header)
}

fn looks_like_ptx(bytes: &[u8]) -> bool {
    // The version directive follows only comments, and those of the compiler are short.
    let start = &bytes[..bytes.len().min(4096)];
    start.windows(9).any(|window| window == b".version ")
}

fn section_headers(bytes: &[u8], header: &Header) -> Result<Vec<SectionHeader>, Error> {
    if header.e_shoff == 0 || header.e_shnum == 0 {
        return Err(damaged("it has no sections"));
    }
    let outside = || damaged("its section table lies outside the file");
    let offset = usize::try_from(header.e_shoff).map_err(|_| outside())?;
    SectionHeader::parse(bytes, offset, usize::from(header.e_shnum), CONTEXT).map_err(|_| outside())
}

fn contents<'a>(bytes: &'a [u8], header: &SectionHeader, name: &str) -> Result<&'a [u8], Error> {
    if matches!(header.sh_type, SHT_NOBITS | SHT_NULL) {
        return Ok(&[]);
    }
    header
        .sh_offset
        .checked_add(header.sh_size)
        .and_then(|end| {
            bytes.get(usize::try_from(header.sh_offset).ok()?..usize::try_from(end).ok()?)
        })
        .ok_or_else(|| damaged(format!("`{name}` lies outside the file")))
}

fn symbols<'a>(bytes: &'a [u8], headers: &[SectionHeader]) -> Result<Vec<Symbol<'a>>, Error> {
    let table = headers
        .iter()
        .find(|header| header.sh_type == SHT_SYMTAB)
        .ok_or_else(|| damaged("it has no symbols"))?;
    let names =
        headers.get(table.sh_link as usize).ok_or_else(|| damaged("its symbols have no names"))?;
    let names = contents(bytes, names, "symbol names")?;
    let data = contents(bytes, table, "symbols")?;
    let count = data.len() / goblin::elf64::sym::SIZEOF_SYM;
    if count == 0 {
        return Ok(Vec::new());
    }
    let table = Symtab::parse(data, 0, count, CONTEXT)
        .map_err(|_| damaged("its symbols lie outside the file"))?;
    table
        .iter()
        .map(|symbol| {
            Ok(Symbol {
                name: text(names, symbol.st_name)?,
                kind: symbol.st_type(),
                other: symbol.st_other,
                section: symbol.st_shndx,
                value: symbol.st_value,
                size: symbol.st_size,
            })
        })
        .collect()
}

fn text(table: &[u8], offset: usize) -> Result<&str, Error> {
    table
        .get(offset..)
        .and_then(|rest| CStr::from_bytes_until_nul(rest).ok())
        .and_then(|name| name.to_str().ok())
        .ok_or_else(|| damaged(format!("there is no name at offset {offset} of its names")))
}
