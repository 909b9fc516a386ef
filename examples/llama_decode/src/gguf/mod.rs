//! A GGUF file, mapped and checked: keys and tensors.
//!
//! A file comes from strangers. Opening it checks everything that later code relies on: every
//! length lies inside the file, every string is text, every tensor has whole blocks at an aligned
//! place of its own. After that, looking something up can fail only because it is not there or is
//! of another type. Nothing is copied but names: values and tensors stay where they are in the map.

mod read;
mod value;
pub mod write;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

pub use value::{Array, FromValue, Value};

use crate::error::{Error, Result};
use crate::quant::{self, Format};

/// An opened file.
pub struct Gguf {
    bytes: Box<dyn AsRef<[u8]> + Send + Sync>,
    keys: BTreeMap<String, value::Slot>,
    tensors: Vec<read::Info>,
    by_name: HashMap<String, usize>,
}

/// A tensor as it lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tensor<'a> {
    /// Its name, such as `blk.0.attn_q.weight`.
    pub name: &'a str,
    /// What its blocks are.
    pub format: Format,
    /// Its sizes, the one that is contiguous in memory first: a matrix is [columns, rows].
    pub dims: &'a [usize],
    /// Its blocks.
    pub bytes: &'a [u8],
}

impl Tensor<'_> {
    /// Weights that follow each other in memory: the inputs of a matrix.
    pub fn columns(&self) -> usize {
        self.dims[0]
    }

    /// How many times [`Tensor::columns`] there are: the outputs of a matrix.
    pub fn rows(&self) -> usize {
        self.dims[1..].iter().product()
    }

    /// The blocks of one row.
    pub fn row(&self, row: usize) -> &[u8] {
        let bytes = self.format.bytes(self.columns());
        &self.bytes[row * bytes..][..bytes]
    }
}

impl Gguf {
    /// Maps a file and checks it.
    pub fn open(path: impl AsRef<Path>) -> Result<Gguf> {
        let path = path.as_ref();
        let cannot = |source| Error::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(cannot)?;
        // What mmap itself says of a folder or a device helps nobody.
        if !file.metadata().map_err(cannot)?.is_file() {
            return Err(cannot(std::io::Error::other("it is not a regular file")));
        }
        // SAFETY: the map is only read. That nobody shortens or rewrites a model file while it is in
        // use is the one assumption that every program that maps files makes.
        let map = unsafe { Mmap::map(&file) }.map_err(cannot)?;
        Gguf::new(map)
    }

    /// Checks a file that is in memory already.
    pub fn new(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Gguf> {
        let read::Header { keys, tensors, by_name } = read::header(bytes.as_ref())?;
        Ok(Gguf { bytes: Box::new(bytes), keys, tensors, by_name })
    }

    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        (*self.bytes).as_ref()
    }

    /// All keys and their values, in alphabetical order.
    pub fn keys(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        self.keys.iter().map(|(key, slot)| (key.as_str(), slot.value(self.bytes())))
    }

    /// The value of a key, if the file has it; an error if it is of another type.
    pub fn find<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<Option<T>> {
        let Some(slot) = self.keys.get(key) else { return Ok(None) };
        let value = slot.value(self.bytes());
        match T::from_value(value) {
            Some(found) => Ok(Some(found)),
            None => Err(Error::Gguf(format!("key {key} is {value}; {} is expected", T::EXPECTED))),
        }
    }

    /// The value of a key that must be there.
    pub fn need<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<T> {
        self.find(key)?.ok_or_else(|| Error::Gguf(format!("key {key} is missing")))
    }

    /// The names of all tensors, in the file's order.
    pub fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|info| info.name.as_str())
    }

    /// A tensor, if the file has it; an error if its type is not supported.
    pub fn tensor(&self, name: &str) -> Result<Option<Tensor<'_>>> {
        let Some(&index) = self.by_name.get(name) else { return Ok(None) };
        let info = &self.tensors[index];
        let Some(format) = Format::from_id(info.format) else {
            let (found, known) = (quant::type_name(info.format), quant::supported());
            return Err(Error::Model(format!(
                "tensor {name} has type {found}, which is not supported (supported: {known})"
            )));
        };
        let bytes = &self.bytes()[info.bytes.clone()];
        Ok(Some(Tensor { name: &info.name, format, dims: &info.dims, bytes }))
    }
}

impl fmt::Debug for Gguf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gguf")
            .field("bytes", &self.bytes().len())
            .field("keys", &self.keys.len())
            .field("tensors", &self.tensors.len())
            .finish()
    }
}
