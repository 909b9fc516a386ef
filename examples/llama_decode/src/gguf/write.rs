//! Writes a GGUF file: what the shipped model and the models of the tests are made with.

use std::io::{self, Write};

use super::value::Kind;
use crate::quant::Format;

/// What lies between tensors, and the value of `general.alignment` that readers assume.
const ALIGNMENT: usize = 32;

/// A value to be written.
#[derive(Clone, Debug)]
pub enum Item {
    /// A whole number.
    U32(u32),
    /// A floating-point number.
    F32(f32),
    /// True or false.
    Bool(bool),
    /// Text.
    String(String),
    /// Whole numbers, such as the types of tokens.
    I32s(Vec<i32>),
    /// Texts, such as tokens and merges.
    Strings(Vec<String>),
}

/// A tensor to be written.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// What its blocks are.
    pub format: Format,
    /// Its sizes, the contiguous one first.
    pub dims: Vec<usize>,
}

impl Entry {
    /// Bytes of its blocks.
    pub fn bytes(&self) -> usize {
        self.format.bytes(self.dims.iter().product())
    }
}

/// Everything of a file but the weights, in the order in which it will be written.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// Keys and their values.
    pub keys: Vec<(String, Item)>,
    /// Tensors.
    pub tensors: Vec<Entry>,
}

impl Header {
    /// Adds a key.
    pub fn key(&mut self, key: impl Into<String>, item: Item) {
        self.keys.push((key.into(), item));
    }

    /// Adds a tensor.
    pub fn tensor(&mut self, name: impl Into<String>, format: Format, dims: &[usize]) {
        self.tensors.push(Entry { name: name.into(), format, dims: dims.to_vec() });
    }

    /// Writes the file; `blocks` is asked for the bytes of one tensor after the other, and must
    /// write exactly [`Entry::bytes`] of them.
    pub fn write<W: Write>(
        &self,
        out: &mut W,
        mut blocks: impl FnMut(&Entry, &mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let header = self.encode();
        out.write_all(&header)?;
        pad(out, header.len())?;
        for entry in &self.tensors {
            let mut counted = Counted { out: &mut *out, bytes: 0 };
            blocks(entry, &mut counted)?;
            let written = counted.bytes;
            if written != entry.bytes() {
                let (name, wanted) = (&entry.name, entry.bytes());
                return Err(io::Error::other(format!(
                    "tensor {name} takes {wanted} bytes and was given {written}"
                )));
            }
            pad(out, written)?;
        }
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(3u32.to_le_bytes());
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.keys.len() as u64).to_le_bytes());
        for (key, item) in &self.keys {
            string(&mut bytes, key);
            value(&mut bytes, item);
        }
        let mut offset = 0;
        for entry in &self.tensors {
            string(&mut bytes, &entry.name);
            bytes.extend((entry.dims.len() as u32).to_le_bytes());
            for &size in &entry.dims {
                bytes.extend((size as u64).to_le_bytes());
            }
            bytes.extend(entry.format.id().to_le_bytes());
            bytes.extend((offset as u64).to_le_bytes());
            offset += entry.bytes().next_multiple_of(ALIGNMENT);
        }
        bytes
    }
}

fn string(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

fn value(bytes: &mut Vec<u8>, item: &Item) {
    let mut kind = |kind: Kind| bytes.extend(kind.id().to_le_bytes());
    match item {
        Item::U32(n) => {
            kind(Kind::U32);
            bytes.extend(n.to_le_bytes());
        }
        Item::F32(x) => {
            kind(Kind::F32);
            bytes.extend(x.to_le_bytes());
        }
        Item::Bool(b) => {
            kind(Kind::Bool);
            bytes.push(u8::from(*b));
        }
        Item::String(text) => {
            kind(Kind::String);
            string(bytes, text);
        }
        Item::I32s(all) => {
            kind(Kind::Array);
            kind(Kind::I32);
            bytes.extend((all.len() as u64).to_le_bytes());
            bytes.extend(all.iter().flat_map(|n| n.to_le_bytes()));
        }
        Item::Strings(all) => {
            kind(Kind::Array);
            kind(Kind::String);
            bytes.extend((all.len() as u64).to_le_bytes());
            all.iter().for_each(|text| string(bytes, text));
        }
    }
}

fn pad(out: &mut dyn Write, written: usize) -> io::Result<()> {
    let zeros = [0; ALIGNMENT];
    out.write_all(&zeros[..written.next_multiple_of(ALIGNMENT) - written])
}

/// Counts what goes through it.
struct Counted<'a, W> {
    out: &'a mut W,
    bytes: usize,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
