//! `.nv.info`: what the compiler tells about functions, as a stream of small records.

use super::error::{Error, damaged};

/// Section type of `.nv.info` and `.nv.info.KERNEL`.
pub(super) const SECTION_TYPE: u32 = 0x7000_0000;

// A record starts with its format, its attribute, and two bytes: of a sized record its length,
// of any other its value.
const EIFMT_NVAL: u8 = 1;
const EIFMT_HVAL: u8 = 3;
const EIFMT_SVAL: u8 = 4;

const EIATTR_MAX_THREADS: u8 = 0x05;
const EIATTR_PARAM_CBANK: u8 = 0x0a;
const EIATTR_REQNTID: u8 = 0x10;
const EIATTR_FRAME_SIZE: u8 = 0x11;
const EIATTR_MIN_STACK_SIZE: u8 = 0x12;
const EIATTR_KPARAM_INFO: u8 = 0x17;
const EIATTR_REGCOUNT: u8 = 0x2f;
const EIATTR_CTA_PER_CLUSTER: u8 = 0x3d;
const EIATTR_MAX_CLUSTER_RANK: u8 = 0x3f;
/// Takes the place of `KPARAM_INFO` when a kernel's parameters exceed 4 KiB.
const EIATTR_KPARAM_INFO_LARGE: u8 = 0x45;
const EIATTR_NUM_BARRIERS: u8 = 0x4c;

/// A record that the loader needs. Symbols are indices into the symbol table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribute {
    // Of the function that the record names, in `.nv.info`.
    Registers { symbol: u32, count: u32 },
    Frame { symbol: u32, bytes: u32 },
    MinStack { symbol: u32, bytes: u32 },
    // Of the kernel that the section belongs to, in `.nv.info.KERNEL`.
    MaxThreads([u32; 3]),
    RequiredThreads([u32; 3]),
    ParameterBank { symbol: u32, base: u32, size: u32 },
    Parameter { ordinal: u32, offset: u32, size: u32 },
    Barriers(u32),
    Cluster([u32; 3]),
    MaxClusterBlocks(u32),
}

/// The records of a section that the loader needs; others are passed over.
pub(super) struct Attributes<'a> {
    section: &'a str,
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    pub fn new(section: &'a str, data: &'a [u8]) -> Attributes<'a> {
        Attributes { section, rest: data }
    }

    fn take(&mut self) -> Result<Record<'a>, String> {
        let (start, rest) = self.rest.split_at_checked(4).ok_or("ends inside a record")?;
        let length = match start[0] {
            EIFMT_NVAL..=EIFMT_HVAL => 0,
            EIFMT_SVAL => usize::from(u16::from_le_bytes([start[2], start[3]])),
            format => return Err(format!("has a record of format {format}")),
        };
        let payload = rest.get(..length).ok_or("ends inside a record")?;
        // The next record starts at a multiple of four.
        self.rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Ok(Record { code: start[1], value: start[2], payload })
    }
}

impl Iterator for Attributes<'_> {
    type Item = Result<Attribute, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            match self.take().and_then(Record::attribute) {
                Ok(None) => {}
                Ok(Some(attribute)) => return Some(Ok(attribute)),
                Err(what) => {
                    self.rest = &[];
                    return Some(Err(damaged(format!("`{}` {what}", self.section))));
                }
            }
        }
        None
    }
}

struct Record<'a> {
    code: u8,
    value: u8,
    payload: &'a [u8],
}

impl Record<'_> {
    fn words<const N: usize>(&self) -> Result<[u32; N], String> {
        if self.payload.len() != 4 * N {
            let (code, length) = (self.code, self.payload.len());
            return Err(format!("has {length} bytes for attribute {code:#04x}, not {}", 4 * N));
        }
        let mut words = [0; N];
        for (word, bytes) in words.iter_mut().zip(self.payload.chunks_exact(4)) {
            *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        Ok(words)
    }

    fn attribute(self) -> Result<Option<Attribute>, String> {
        let halves = |word: u32| (word & 0xffff, word >> 16);
        Ok(Some(match self.code {
            EIATTR_REGCOUNT => {
                let [symbol, count] = self.words()?;
                Attribute::Registers { symbol, count }
            }
            EIATTR_FRAME_SIZE => {
                let [symbol, bytes] = self.words()?;
                Attribute::Frame { symbol, bytes }
            }
            EIATTR_MIN_STACK_SIZE => {
                let [symbol, bytes] = self.words()?;
                Attribute::MinStack { symbol, bytes }
            }
            EIATTR_MAX_THREADS => Attribute::MaxThreads(self.words()?),
            EIATTR_REQNTID => Attribute::RequiredThreads(self.words()?),
            EIATTR_PARAM_CBANK => {
                let [symbol, place] = self.words()?;
                let (base, size) = halves(place);
                Attribute::ParameterBank { symbol, base, size }
            }
            EIATTR_KPARAM_INFO => {
                let [_, place, packed] = self.words()?;
                let (ordinal, offset) = halves(place);
                // Below the size: alignment of what a pointer points to, its space, its bank.
                Attribute::Parameter { ordinal, offset, size: packed >> 18 }
            }
            EIATTR_KPARAM_INFO_LARGE => {
                let [_, place, size] = self.words()?;
                let (ordinal, offset) = halves(place);
                Attribute::Parameter { ordinal, offset, size }
            }
            EIATTR_NUM_BARRIERS => Attribute::Barriers(u32::from(self.value)),
            EIATTR_CTA_PER_CLUSTER => Attribute::Cluster(self.words()?),
            EIATTR_MAX_CLUSTER_RANK => {
                let [blocks] = self.words()?;
                Attribute::MaxClusterBlocks(blocks)
            }
            _ => return Ok(None),
        }))
    }
}
