//! One tile of 16 rows, format by format.

use super::TILE_ROWS;
use crate::quant::Format;

/// Lays 16 rows of file blocks out in a tile. `tile` may hold anything before.
pub(super) fn lay_out(format: Format, columns: usize, rows: &[u8], tile: &mut [u8]) {
    let row_bytes = format.bytes(columns);
    debug_assert_eq!(rows.len(), row_bytes * TILE_ROWS);
    // Padding is zero: a scale of zero silences whatever stands beside it.
    tile.fill(0);
    for (row, bytes) in rows.chunks_exact(row_bytes).enumerate() {
        match format {
            Format::F32 => f32s(row, bytes, tile),
            Format::F16 | Format::Bf16 => f16s(row, bytes, tile),
            Format::Q8_0 => q8_0(row, columns, bytes, tile),
            Format::Q4_0 => q4_0(row, columns, bytes, tile),
            Format::Q4K => q4_k(row, columns, bytes, tile),
            Format::Q5K => q5_k(row, columns, bytes, tile),
            Format::Q6K => q6_k(row, columns, bytes, tile),
        }
    }
}

/// Where four bytes of a row, from `column` of 32 on, lie among the 512 bytes of a fragment.
fn place(row: usize, column: usize) -> usize {
    let (lane, word) = (row % 8 * 4 + column % 16 / 4, row / 8 + column / 16 * 2);
    lane * 16 + word * 4
}

/// Where the scales of a row's 32 columns, `block` of them counted from the unit's first, begin among the unit's 512.
fn scales_at(row: usize, block: usize) -> usize {
    (row % 8 * 4 + block % 4) * 16 + block / 4 * 4
}

fn f32s(row: usize, bytes: &[u8], tile: &mut [u8]) {
    for (chunk, bytes) in bytes.chunks_exact(64).enumerate() {
        for (t, four) in bytes.chunks_exact(16).enumerate() {
            let at = chunk * 1024 + row / 8 * 512 + (row % 8 * 4 + t) * 16;
            tile[at..at + 16].copy_from_slice(four);
        }
    }
}

fn f16s(row: usize, bytes: &[u8], tile: &mut [u8]) {
    for (chunk, bytes) in bytes.chunks_exact(32).enumerate() {
        for (pair, two) in bytes.chunks_exact(4).enumerate() {
            let (lane, word) = (row % 8 * 4 + pair % 4, row / 8 + pair / 4 * 2);
            let at = chunk * 512 + lane * 16 + word * 4;
            tile[at..at + 4].copy_from_slice(two);
        }
    }
}

fn q8_0(row: usize, columns: usize, bytes: &[u8], tile: &mut [u8]) {
    let (quants, scales) = tile.split_at_mut(columns * 16);
    for (block, bytes) in bytes.chunks_exact(34).enumerate() {
        for (i, four) in bytes[2..].chunks_exact(4).enumerate() {
            let at = block * 512 + place(row, i * 4);
            quants[at..at + 4].copy_from_slice(four);
        }
        let at = block / 16 * 512 + scales_at(row, block % 16) + row / 8 * 2;
        scales[at..at + 2].copy_from_slice(&bytes[..2]);
    }
}

/// Puts the nibble of each byte among those of its two runs of 32: low nibbles are the first run.
fn nibbles(quants: &mut [u8], row: usize, run: usize, values: &[u8; 32]) {
    for (i, four) in values.chunks_exact(4).enumerate() {
        let at = run / 2 * 512 + place(row, i * 4);
        for (to, value) in quants[at..at + 4].iter_mut().zip(four) {
            *to |= value << (run % 2 * 4);
        }
    }
}

fn q4_0(row: usize, columns: usize, bytes: &[u8], tile: &mut [u8]) {
    let (quants, scales) = tile.split_at_mut(columns.div_ceil(64) * 512);
    for (block, bytes) in bytes.chunks_exact(18).enumerate() {
        let q = &bytes[2..];
        let values = std::array::from_fn(|i| if i < 16 { q[i] & 15 } else { q[i - 16] >> 4 });
        nibbles(quants, row, block, &values);
        let at = block / 16 * 512 + scales_at(row, block % 16) + row / 8 * 2;
        scales[at..at + 2].copy_from_slice(&bytes[..2]);
    }
}

/// The 6-bit scale and minimum of each 32 of a block of 256, as Q4_K and Q5_K pack them.
fn scale_and_min(s: &[u8], j: usize) -> [u8; 2] {
    if j < 4 {
        return [s[j] & 63, s[j + 4] & 63];
    }
    [(s[j + 4] & 15) | (s[j - 4] >> 6) << 4, (s[j + 4] >> 4) | (s[j] >> 6) << 4]
}

/// Scales of a block of 256 in planes for `units` units.
fn k_scales(planes: &mut [u8], units: usize, row: usize, block: usize, bytes: &[u8]) {
    for j in 0..8 {
        let of_unit = block % 2 * 8 + j;
        let at = block / 2 * 512 + scales_at(row, of_unit) + row / 8 * 2;
        planes[at..at + 2].copy_from_slice(&scale_and_min(&bytes[4..16], j));
    }
    let at = units * 512 + factor_at(row, block);
    planes[at..at + 4].copy_from_slice(&bytes[..4]);
}

/// Where the four bytes of a row's factors for a block of 256 lie in their plane.
fn factor_at(row: usize, block: usize) -> usize {
    block / 2 * 128 + row % 8 * 16 + block % 2 * 8 + row / 8 * 4
}

fn q4_k(row: usize, columns: usize, bytes: &[u8], tile: &mut [u8]) {
    let (quants, planes) = tile.split_at_mut(columns * 8);
    for (block, bytes) in bytes.chunks_exact(144).enumerate() {
        for run in 0..8 {
            let q = &bytes[16 + run / 2 * 32..];
            let values = std::array::from_fn(|i| q[i] >> (run % 2 * 4) & 15);
            nibbles(quants, row, block * 8 + run, &values);
        }
        k_scales(planes, columns.div_ceil(512), row, block, bytes);
    }
}

/// The upper four bits are nibbles, the lowest goes to a plane of single bits.
fn q5_k(row: usize, columns: usize, bytes: &[u8], tile: &mut [u8]) {
    let (quants, rest) = tile.split_at_mut(columns * 8);
    let (bits, planes) = rest.split_at_mut(columns * 2);
    for (block, bytes) in bytes.chunks_exact(176).enumerate() {
        for run in 0..8 {
            let (high, q) = (&bytes[16..48], &bytes[48 + run / 2 * 32..]);
            let value = |i: usize| (q[i] >> (run % 2 * 4) & 15) | (high[i] >> run & 1) << 4;
            nibbles(quants, row, block * 8 + run, &std::array::from_fn(|i| value(i) >> 1));
            for i in 0..32 {
                let place = place(row, i / 4 * 4);
                let bit = place % 16 / 4 * 2 + run % 2;
                bits[block * 512 + place / 16 * 16 + run / 2 * 4 + i % 4] |= (value(i) & 1) << bit;
            }
        }
        k_scales(planes, columns.div_ceil(512), row, block, bytes);
    }
}

/// Of four runs of 32, three are the low six bits of a plane each; the fourth lies in the top bits of all three.
fn q6_k(row: usize, columns: usize, bytes: &[u8], tile: &mut [u8]) {
    let (quants, planes) = tile.split_at_mut(columns * 12);
    let units = columns.div_ceil(512);
    for (block, bytes) in bytes.chunks_exact(210).enumerate() {
        for half in 0..2 {
            let (low, high) = (&bytes[half * 64..], &bytes[128 + half * 32..]);
            let group = &mut quants[(block * 2 + half) * 1536..][..1536];
            for run in 0..4 {
                for i in 0..32 {
                    let nibble = low[run % 2 * 32 + i] >> (run / 2 * 4) & 15;
                    let value = nibble | (high[i] >> (run * 2) & 3) << 4;
                    let at = place(row, i / 4 * 4) + i % 4;
                    if run < 3 {
                        group[run * 512 + at] |= value;
                    } else {
                        group[at] |= value >> 4 << 6;
                        group[512 + at] |= value >> 2 << 6;
                        group[1024 + at] |= value << 6;
                    }
                }
            }
        }
        for (j, scale) in bytes[192..208].iter().enumerate() {
            let of_unit = block % 2 * 16 + j;
            let at = (row % 8 * 4 + of_unit % 4) * 16 + of_unit / 4 * 2 + row / 8;
            planes[block / 2 * 512 + at] = *scale;
        }
        let d = half::f16::from_le_bytes([bytes[208], bytes[209]]).to_f32();
        let at = units * 512 + factor_at(row, block);
        planes[at..at + 4].copy_from_slice(&d.to_le_bytes());
    }
}
