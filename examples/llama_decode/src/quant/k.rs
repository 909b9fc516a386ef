//! The formats whose blocks are 256 weights in groups with scales of their own.

use super::half;

/// Scale and minimum of each of eight groups, 6 bits each, packed into 12 bytes: the first four of
/// either have their low six bits in a byte of their own; the last four have four bits in bytes
/// 8 to 11 and their upper two on top of the first eight bytes.
fn scales(packed: &[u8], group: usize) -> (f32, f32) {
    let (scale, min) = if group < 4 {
        (packed[group] & 63, packed[group + 4] & 63)
    } else {
        let low = packed[group + 4];
        (low & 15 | packed[group - 4] >> 6 << 4, low >> 4 | packed[group] >> 6 << 4)
    };
    (scale.into(), min.into())
}

/// d f16, dmin f16, scales[12], then 128 bytes: each 32 of them hold one group in their lower
/// halves and the next in their upper halves. Weight = d * scale * q - dmin * minimum.
pub(super) fn q4_k(block: &[u8], weights: &mut [f32]) {
    let (d, dmin, packed, qs) = (half(block), half(&block[2..]), &block[4..16], &block[16..]);
    for (group, weights) in weights.chunks_exact_mut(32).enumerate() {
        let (scale, min) = scales(packed, group);
        let (scale, min) = (d * scale, dmin * min);
        let bytes = &qs[group / 2 * 32..];
        let shift = group % 2 * 4;
        for (byte, weight) in bytes.iter().zip(weights) {
            *weight = scale * f32::from(byte >> shift & 15) - min;
        }
    }
}

/// As Q4_K, with 32 bytes before the 128: bit g of byte l is the fifth bit of weight l of group g.
pub(super) fn q5_k(block: &[u8], weights: &mut [f32]) {
    let (d, dmin, packed) = (half(block), half(&block[2..]), &block[4..16]);
    let (fifth, qs) = (&block[16..48], &block[48..]);
    for (group, weights) in weights.chunks_exact_mut(32).enumerate() {
        let (scale, min) = scales(packed, group);
        let (scale, min) = (d * scale, dmin * min);
        let bytes = &qs[group / 2 * 32..];
        let shift = group % 2 * 4;
        for ((byte, fifth), weight) in bytes.iter().zip(fifth).zip(weights) {
            let q = byte >> shift & 15 | (fifth >> group & 1) << 4;
            *weight = scale * f32::from(q) - min;
        }
    }
}

/// Low four bits [128], high two bits [64], scales[16] i8, d f16. Two halves of 128 weights: of
/// those, quarter k has its low bits in the lower (k < 2) or upper halves of 32 bytes, and its high
/// bits at 2k of another 32 bytes. Weight = d * scale * (q - 32).
pub(super) fn q6_k(block: &[u8], weights: &mut [f32]) {
    let (low, high, scales, d) = (&block[..128], &block[128..192], &block[192..208], &block[208..]);
    let d = half(d);
    for (index, weights) in weights.chunks_exact_mut(32).enumerate() {
        let (part, quarter) = (index / 4, index % 4);
        let low = &low[part * 64 + quarter % 2 * 32..];
        let high = &high[part * 32..];
        for (l, weight) in weights.iter_mut().enumerate() {
            let q = low[l] >> (quarter / 2 * 4) & 15 | (high[l] >> (quarter * 2) & 3) << 4;
            let scale = scales[part * 8 + quarter * 2 + l / 16] as i8;
            *weight = d * f32::from(scale) * f32::from(q as i8 - 32);
        }
    }
}
