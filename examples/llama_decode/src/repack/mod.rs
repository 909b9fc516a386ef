//! File blocks to the tiles that the kernels load.
//!
//! A file keeps blocks of 18 to 210 bytes, row after row: no thread could load 16 aligned bytes that
//! it wants. The kernels want tiles of 16 rows, cut into items of some columns each. An item begins with
//! quants as the tensor cores take them: 512 bytes, 16 for each lane of a warp, are the weights of one matrix
//! product of 16 rows. Scales follow. `ptx/src/llama/formats.h` has the other side of this.
//!
//! Nothing is rounded: tiles hold the same integers and scales in another order.
//!
//! A vocabulary has as many rows as it likes. What is missing in its last tile repeats the last row: the head
//! gives copies the very logit of that row, and of equal ones the first is taken.

mod tiles;

use std::num::NonZero;
use std::thread;

use crate::error::{Error, Result};
use crate::gguf::{Gguf, Tensor};
use crate::plan::{Source, Upload};
use crate::quant::Format;

/// Rows of a tile.
pub const TILE_ROWS: usize = 16;

/// Bytes that are laid out at a time, and so the host memory that this takes.
const BATCH: usize = 16 << 20;

/// Takes bytes that go to an offset.
pub type Put<'a, E> = &'a mut dyn FnMut(u64, &[u8]) -> std::result::Result<(), E>;

/// Refuses a matrix of a layer, or one with a row for each token, whose sizes the kernels are not written for.
pub fn check(layer: Option<usize>, tensor: &Tensor) -> Result<()> {
    let (rows, columns) = (tensor.rows(), tensor.columns());
    if layer.is_some() && rows % 32 != 0 || columns % 32 != 0 {
        return Err(Error::Model(format!(
            "tensor {} has {rows} rows of {columns}; the kernels need multiples of 32",
            tensor.name
        )));
    }
    Ok(())
}

/// The columns of an item of a tile, and its bytes.
pub fn item(format: Format) -> (usize, usize) {
    match format {
        Format::F32 => (32, 2048),
        Format::F16 | Format::Bf16 => (64, 2048),
        Format::Q8_0 => (128, 2048 + 128),
        Format::Q4_0 => (128, 1024 + 128),
        Format::Q4K => (256, 2048 + 320),
        Format::Q5K => (256, 2560 + 320),
        Format::Q6K => (128, 1536 + 160),
    }
}

/// Items of a tile: they make whole runs of 256 columns.
pub fn items(format: Format, columns: usize) -> usize {
    columns.next_multiple_of(256) / item(format).0
}

/// Bytes of a tile of 16 rows.
pub fn tile_bytes(format: Format, columns: usize) -> usize {
    items(format, columns) * item(format).1
}

/// Tiles of a matrix.
pub fn tiles(tensor: &Tensor) -> usize {
    tensor.rows().div_ceil(TILE_ROWS)
}

/// Bytes of a matrix on the GPU.
pub fn bytes(tensor: &Tensor) -> u64 {
    tiles(tensor) as u64 * tile_bytes(tensor.format, tensor.columns()) as u64
}

/// Lays `tensor` out and hands it over piece by piece: `put(offset, bytes)`, in ascending order.
pub fn stream<E>(tensor: &Tensor, put: Put<E>) -> std::result::Result<(), E> {
    let tile = tile_bytes(tensor.format, tensor.columns());
    let row = tensor.format.bytes(tensor.columns());
    let file_tile = row * TILE_ROWS;
    let tiles = tensor.rows() / TILE_ROWS;
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(16);
    let batch = (BATCH / tile).clamp(1, tiles.max(1));
    let mut out = vec![0; batch * tile];
    for first in (0..tiles).step_by(batch) {
        let count = batch.min(tiles - first);
        let from = &tensor.bytes[first * file_tile..][..count * file_tile];
        let to = &mut out[..count * tile];
        let share = count.div_ceil(threads);
        thread::scope(|scope| {
            for (from, to) in from.chunks(share * file_tile).zip(to.chunks_mut(share * tile)) {
                scope.spawn(move || {
                    for (from, to) in from.chunks(file_tile).zip(to.chunks_mut(tile)) {
                        tiles::lay_out(tensor.format, tensor.columns(), from, to);
                    }
                });
            }
        });
        put((first * tile) as u64, to)?;
    }
    let mut rest = tensor.bytes[tiles * file_tile..].to_vec();
    if rest.is_empty() {
        return Ok(());
    }
    while rest.len() < file_tile {
        rest.extend_from_within(rest.len() - row..);
    }
    tiles::lay_out(tensor.format, tensor.columns(), &rest, &mut out[..tile]);
    put((tiles * tile) as u64, &out[..tile])
}

/// Does one upload of a plan: `put(offset, bytes)` for offsets from the upload's place in its buffer.
pub fn upload<E: From<Error>>(
    upload: &Upload,
    file: &Gguf,
    put: Put<E>,
) -> std::result::Result<(), E> {
    match &upload.source {
        Source::Bytes(bytes) => put(upload.at, bytes),
        Source::Matrix(name) => {
            let missing = || Error::Model(format!("tensor {name} is missing"));
            let tensor = file.tensor(name)?.ok_or_else(missing)?;
            stream(&tensor, &mut |at, bytes| put(upload.at + at, bytes))
        }
    }
}
