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
            Format::Q8_0 => q8_0(row, bytes, tile),
            Format::Q4_0 => q4_0(row, bytes, tile),
            Format::Q4K => q4_k(row, bytes, tile),
            Format::Q5K => q5_k(row, bytes, tile),
            Format::Q6K => q6_k(row, bytes, tile),
        }
    }
}

/// Where four bytes of a row, from `column` of 32 on, lie among the 512 bytes of a fragment.
fn place(row: usize, column: usize) -> usize {
    let (lane, word) = (row % 8 * 4 + column % 16 / 4, row / 8 + column / 16 * 2);
    lane * 16 + word * 4
}

/// Where the word with the scales of a row and of one of four runs begins.
fn word_of_run(row: usize, run: usize) -> usize {
    (row % 8 * 4 + run % 4) * 4
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

fn q8_0(row: usize, bytes: &[u8], tile: &mut [u8]) {
    for (four, item) in bytes.chunks(4 * 34).zip(tile.chunks_exact_mut(2048 + 128)) {
        let (quants, scales) = item.split_at_mut(2048);
        for (run, bytes) in four.chunks_exact(34).enumerate() {
            for (i, four) in bytes[2..].chunks_exact(4).enumerate() {
                let at = run * 512 + place(row, i * 4);
                quants[at..at + 4].copy_from_slice(four);
            }
            let at = word_of_run(row, run) + row / 8 * 2;
            scales[at..at + 2].copy_from_slice(&bytes[..2]);
        }
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

fn q4_0(row: usize, bytes: &[u8], tile: &mut [u8]) {
    for (four, item) in bytes.chunks(4 * 18).zip(tile.chunks_exact_mut(1024 + 128)) {
        let (quants, scales) = item.split_at_mut(1024);
        for (run, bytes) in four.chunks_exact(18).enumerate() {
            let q = &bytes[2..];
            let values = std::array::from_fn(|i| if i < 16 { q[i] & 15 } else { q[i - 16] >> 4 });
            nibbles(quants, row, run, &values);
            let at = word_of_run(row, run) + row / 8 * 2;
            scales[at..at + 2].copy_from_slice(&bytes[..2]);
        }
    }
}

/// The 6-bit scale and minimum of each 32 of a block of 256, as Q4_K and Q5_K pack them.
fn scale_and_min(s: &[u8], j: usize) -> [u8; 2] {
    if j < 4 {
        return [s[j] & 63, s[j + 4] & 63];
    }
    [(s[j + 4] & 15) | (s[j - 4] >> 6) << 4, (s[j + 4] >> 4) | (s[j] >> 6) << 4]
}

/// Scales and factors of a block of 256.
fn k_scales(to: &mut [u8], row: usize, block: &[u8]) {
    for j in 0..8 {
        let at = j / 4 * 128 + word_of_run(row, j) + row / 8 * 2;
        to[at..at + 2].copy_from_slice(&scale_and_min(&block[4..16], j));
    }
    let at = 256 + row % 8 * 8 + row / 8 * 4;
    to[at..at + 4].copy_from_slice(&block[..4]);
}

fn q4_k(row: usize, bytes: &[u8], tile: &mut [u8]) {
    for (block, item) in bytes.chunks_exact(144).zip(tile.chunks_exact_mut(2048 + 320)) {
        let (quants, scales) = item.split_at_mut(2048);
        for run in 0..8 {
            let q = &block[16 + run / 2 * 32..];
            let values = std::array::from_fn(|i| q[i] >> (run % 2 * 4) & 15);
            nibbles(quants, row, run, &values);
        }
        k_scales(scales, row, block);
    }
}

/// The upper four bits are nibbles, the lowest goes to a row of single bits.
fn q5_k(row: usize, bytes: &[u8], tile: &mut [u8]) {
    for (block, item) in bytes.chunks_exact(176).zip(tile.chunks_exact_mut(2560 + 320)) {
        let (quants, rest) = item.split_at_mut(2048);
        let (bits, scales) = rest.split_at_mut(512);
        for run in 0..8 {
            let (high, q) = (&block[16..48], &block[48 + run / 2 * 32..]);
            let value = |i: usize| (q[i] >> (run % 2 * 4) & 15) | (high[i] >> run & 1) << 4;
            nibbles(quants, row, run, &std::array::from_fn(|i| value(i) >> 1));
            for i in 0..32 {
                let place = place(row, i / 4 * 4);
                let bit = place % 16 / 4 * 2 + run % 2;
                bits[place / 16 * 16 + run / 2 * 4 + i % 4] |= (value(i) & 1) << bit;
            }
        }
        k_scales(scales, row, block);
    }
}

/// Of four runs of 32, three are the low six bits of a row each; the fourth lies in the top bits of all three.
fn q6_k(row: usize, bytes: &[u8], tile: &mut [u8]) {
    for (n, item) in tile.chunks_exact_mut(1536 + 160).enumerate() {
        let (block, half) = (&bytes[n / 2 * 210..][..210], n % 2);
        let (low, high) = (&block[half * 64..], &block[128 + half * 32..]);
        for run in 0..4 {
            for i in 0..32 {
                let nibble = low[run % 2 * 32 + i] >> (run / 2 * 4) & 15;
                let value = nibble | (high[i] >> (run * 2) & 3) << 4;
                let at = place(row, i / 4 * 4) + i % 4;
                if run < 3 {
                    item[run * 512 + at] |= value;
                } else {
                    item[at] |= value >> 4 << 6;
                    item[512 + at] |= value >> 2 << 6;
                    item[1024 + at] |= value << 6;
                }
            }
        }
        let (scales, factors) = item[1536..].split_at_mut(128);
        for (j, scale) in block[192 + half * 8..][..8].iter().enumerate() {
            scales[word_of_run(row, j) + j / 4 * 2 + row / 8] = *scale;
        }
        let at = row % 8 * 4 + row / 8 * 2;
        factors[at..at + 2].copy_from_slice(&block[208..]);
    }
}
