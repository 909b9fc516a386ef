//! The header of a file, read once from front to back.
//!
//! No number from the file is believed before it is compared with what is left of the file, so
//! neither time nor memory can exceed what the file's own size justifies.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::value::{Kind, Slot, Value};
use crate::error::{Error, Result};
use crate::quant::Format;

/// More than any model has; a file that claims more is not read further.
const MOST_KEYS: u64 = 1 << 16;
const MOST_TENSORS: u64 = 1 << 16;
/// Longer than any key, and short enough for a message.
const LONGEST_KEY: usize = 256;
/// What the format's own library allows.
const LONGEST_NAME: usize = 64;
const MOST_DIMS: u32 = 4;

/// A tensor's entry.
#[derive(Debug)]
pub(super) struct Info {
    pub name: String,
    pub dims: Vec<usize>,
    /// The type's number in the file, supported or not.
    pub format: u32,
    /// Where its blocks lie; only the start means anything when the type is not supported.
    pub bytes: Range<usize>,
}

#[derive(Debug)]
pub(super) struct Header {
    pub keys: BTreeMap<String, Slot>,
    pub tensors: Vec<Info>,
    pub by_name: HashMap<String, usize>,
}

pub(super) fn header(file: &[u8]) -> Result<Header> {
    let mut cursor = Cursor { file, at: 0 };
    magic(&mut cursor)?;
    let tensors = cursor.u64("the number of tensors")?;
    let keys = cursor.u64("the number of keys")?;
    if keys > MOST_KEYS || tensors > MOST_TENSORS {
        return bad(format!(
            "it claims {keys} keys and {tensors} tensors; no model has more than {MOST_KEYS} of either"
        ));
    }

    let keys = read_keys(&mut cursor, keys)?;
    let alignment = alignment(&keys, file)?;
    let mut tensors =
        (0..tensors).map(|index| tensor(&mut cursor, index)).collect::<Result<Vec<_>>>()?;
    let by_name = names(&tensors)?;
    place(&mut tensors, cursor.at, alignment, file.len())?;
    Ok(Header { keys, tensors, by_name })
}

fn bad<T>(why: impl Into<String>) -> Result<T> {
    Err(Error::Gguf(why.into()))
}

fn magic(cursor: &mut Cursor<'_>) -> Result<()> {
    if cursor.take(4, "the first four bytes")? != b"GGUF" {
        return bad("it does not begin with the letters GGUF");
    }
    match cursor.u32("the version")? {
        3 => Ok(()),
        version if (1..=0xffff).contains(&version.swap_bytes()) => {
            bad("it is big-endian; only little-endian files can be read")
        }
        version => bad(format!("its version is {version}; only version 3 can be read")),
    }
}

fn read_keys(cursor: &mut Cursor<'_>, count: u64) -> Result<BTreeMap<String, Slot>> {
    let mut keys = BTreeMap::new();
    for index in 0..count {
        let key = cursor.string(&format!("the name of key {index}"))?.to_owned();
        if key.len() > LONGEST_KEY {
            return bad(format!("the name of key {index} has {} bytes", key.len()));
        }
        let slot = value(cursor, &key)?;
        if keys.contains_key(&key) {
            return bad(format!("key {key:?} is there twice"));
        }
        keys.insert(key, slot);
    }
    Ok(keys)
}

fn value(cursor: &mut Cursor<'_>, key: &str) -> Result<Slot> {
    let what = format!("the value of key {key:?}");
    let kind = kind(cursor, &what)?;
    if kind == Kind::Array {
        return array(cursor, &what);
    }
    let at = payload(cursor, kind, &what)?;
    Ok(Slot { kind, count: None, at })
}

fn kind(cursor: &mut Cursor<'_>, what: &str) -> Result<Kind> {
    let id = cursor.u32(what)?;
    Kind::from_id(id).ok_or_else(|| Error::Gguf(format!("{what} has type {id}, which is unknown")))
}

fn array(cursor: &mut Cursor<'_>, what: &str) -> Result<Slot> {
    let kind = kind(cursor, what)?;
    if kind == Kind::Array {
        return bad(format!("{what} is an array of arrays, which no model needs"));
    }
    let claimed = cursor.u64(what)?;
    // A string takes at least its length.
    let smallest = kind.size().unwrap_or(8);
    let count = usize::try_from(claimed).ok().filter(|&n| n <= cursor.left() / smallest);
    let Some(count) = count else {
        return bad(format!("{what} claims {claimed} elements, more than the file could hold"));
    };
    let start = cursor.at;
    if matches!(kind, Kind::String | Kind::Bool) {
        for _ in 0..count {
            payload(cursor, kind, what)?;
        }
    } else {
        cursor.take(count * smallest, what)?;
    }
    Ok(Slot { kind, count: Some(count), at: start..cursor.at })
}

/// Where a scalar or the text of a string lies.
fn payload(cursor: &mut Cursor<'_>, kind: Kind, what: &str) -> Result<Range<usize>> {
    let bytes = match kind.size() {
        Some(size) => cursor.take(size, what)?,
        None => cursor.string(what)?.as_bytes(),
    };
    if kind == Kind::Bool && bytes[0] > 1 {
        return bad(format!("{what} is neither true nor false"));
    }
    Ok(cursor.at - bytes.len()..cursor.at)
}

fn alignment(keys: &BTreeMap<String, Slot>, file: &[u8]) -> Result<usize> {
    const DEFAULT: usize = 32;
    let Some(slot) = keys.get("general.alignment") else { return Ok(DEFAULT) };
    match slot.value(file) {
        Value::Integer(n) if n > 0 && n <= 1 << 30 && (n & (n - 1)) == 0 => Ok(n as usize),
        value => bad(format!("key general.alignment is {value}; a power of two is expected")),
    }
}

fn tensor(cursor: &mut Cursor<'_>, index: u64) -> Result<Info> {
    let name = cursor.string(&format!("the name of tensor {index}"))?;
    if name.is_empty() || name.len() > LONGEST_NAME {
        return bad(format!(
            "the name of tensor {index} has {} bytes; 1 to {LONGEST_NAME} are allowed",
            name.len()
        ));
    }
    let what = format!("the entry of tensor {name:?}");
    let count = cursor.u32(&what)?;
    if count == 0 || count > MOST_DIMS {
        return bad(format!(
            "tensor {name:?} has {count} dimensions; 1 to {MOST_DIMS} are allowed"
        ));
    }
    let dims = (0..count).map(|_| cursor.u64(&what)).collect::<Result<Vec<_>>>()?;
    let format = cursor.u32(&what)?;
    let offset = cursor.u64(&what)?;

    let too_big = || Error::Gguf(format!("tensor {name:?} has impossible sizes {dims:?}"));
    let weights = dims
        .iter()
        .try_fold(1, |product: u64, &n| product.checked_mul(n))
        .filter(|&n| n > 0 && n <= 1 << 48)
        .ok_or_else(too_big)?;
    let bytes = match Format::from_id(format) {
        Some(known) if dims[0] % known.block_weights() as u64 != 0 => {
            return bad(format!(
                "tensor {name:?} of type {} has rows of {} weights, which is not whole blocks of {}",
                known.name(),
                dims[0],
                known.block_weights()
            ));
        }
        Some(known) => known.bytes(weights as usize),
        None => 0,
    };
    // The data's start is added when it is known.
    let Some(start) = usize::try_from(offset).ok().filter(|&n| n <= cursor.file.len()) else {
        return bad(format!("tensor {name:?} lies outside the file: is the download complete?"));
    };
    let dims = dims.iter().map(|&n| n as usize).collect();
    Ok(Info { name: name.to_owned(), dims, format, bytes: start..start + bytes })
}

fn names(tensors: &[Info]) -> Result<HashMap<String, usize>> {
    let mut by_name = HashMap::with_capacity(tensors.len());
    for (index, info) in tensors.iter().enumerate() {
        if by_name.insert(info.name.clone(), index).is_some() {
            return bad(format!("tensor {:?} is there twice", info.name));
        }
    }
    Ok(by_name)
}

/// Turns offsets into places in the file, and checks that each tensor has one of its own.
fn place(tensors: &mut [Info], header: usize, alignment: usize, file: usize) -> Result<()> {
    let data = header.next_multiple_of(alignment);
    for info in tensors.iter_mut() {
        if info.bytes.start % alignment != 0 {
            return bad(format!(
                "tensor {:?} begins at {}, which is not a multiple of {alignment}",
                info.name, info.bytes.start
            ));
        }
        info.bytes = info.bytes.start + data..info.bytes.end + data;
        if info.bytes.end > file {
            return bad(format!(
                "tensor {:?} ends at byte {} of a file of {file}: is the download complete?",
                info.name, info.bytes.end
            ));
        }
    }
    let mut order: Vec<&Info> = tensors.iter().collect();
    order.sort_by_key(|info| info.bytes.start);
    for pair in order.windows(2) {
        if pair[1].bytes.start < pair[0].bytes.end || pair[1].bytes.start == pair[0].bytes.start {
            return bad(format!("tensors {:?} and {:?} overlap", pair[0].name, pair[1].name));
        }
    }
    Ok(())
}

/// A place in the file; every step forward is checked against its end.
struct Cursor<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn left(&self) -> usize {
        self.file.len() - self.at
    }

    fn take(&mut self, count: usize, what: &str) -> Result<&'a [u8]> {
        if count > self.left() {
            return bad(format!("the file ends within {what}: is the download complete?"));
        }
        let bytes = &self.file[self.at..self.at + count];
        self.at += count;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N, what)?);
        Ok(bytes)
    }

    fn u32(&mut self, what: &str) -> Result<u32> {
        self.array(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &str) -> Result<u64> {
        self.array(what).map(u64::from_le_bytes)
    }

    fn string(&mut self, what: &str) -> Result<&'a str> {
        let length = self.u64(what)?;
        let bytes = self.take(usize::try_from(length).unwrap_or(usize::MAX), what)?;
        std::str::from_utf8(bytes).or_else(|_| bad(format!("{what} is not UTF-8 text")))
    }
}
