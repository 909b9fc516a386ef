//! Block formats of weights, and their exact values.
//!
//! A block is a run of weights of one row that share their scales. Every weight of every format
//! here is a sum of at most two products of small integers and 16-bit scales, so its exact value
//! is rounded to f32 once, whatever the order of the multiplications: what [`Format::dequantize`]
//! gives is the one right answer, bit for bit.

mod k;
#[cfg(test)]
mod tests;

use half::{bf16, f16};

/// How the weights of a tensor are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// 32-bit floats.
    F32,
    /// 16-bit IEEE floats.
    F16,
    /// The upper halves of 32-bit floats.
    Bf16,
    /// 32 weights of 4 bits, one scale.
    Q4_0,
    /// 32 weights of 8 bits, one scale.
    Q8_0,
    /// 256 weights of 4 bits; groups of 32 with a scale and a minimum of 6 bits each.
    Q4K,
    /// As `Q4K`, with 5 bits.
    Q5K,
    /// 256 weights of 6 bits; groups of 16 with a scale of 8 bits each.
    Q6K,
}

impl Format {
    /// Every supported format.
    pub const ALL: [Format; 8] = [
        Format::F32,
        Format::F16,
        Format::Bf16,
        Format::Q4_0,
        Format::Q8_0,
        Format::Q4K,
        Format::Q5K,
        Format::Q6K,
    ];

    /// The type's number in a file.
    pub fn id(self) -> u32 {
        match self {
            Format::F32 => 0,
            Format::F16 => 1,
            Format::Bf16 => 30,
            Format::Q4_0 => 2,
            Format::Q8_0 => 8,
            Format::Q4K => 12,
            Format::Q5K => 13,
            Format::Q6K => 14,
        }
    }

    /// The format with this number, if it is supported.
    pub fn from_id(id: u32) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.id() == id)
    }

    /// Its usual name.
    pub fn name(self) -> &'static str {
        type_name_of(self.id()).expect("every supported format has a name")
    }

    /// Weights in a block.
    pub const fn block_weights(self) -> usize {
        match self {
            Format::F32 | Format::F16 | Format::Bf16 => 1,
            Format::Q4_0 | Format::Q8_0 => 32,
            Format::Q4K | Format::Q5K | Format::Q6K => 256,
        }
    }

    /// Bytes of a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Format::F32 => 4,
            Format::F16 | Format::Bf16 => 2,
            Format::Q4_0 => 18,
            Format::Q8_0 => 34,
            Format::Q4K => 144,
            Format::Q5K => 176,
            Format::Q6K => 210,
        }
    }

    /// Bytes of so many weights, which must be whole blocks.
    pub const fn bytes(self, weights: usize) -> usize {
        weights / self.block_weights() * self.block_bytes()
    }

    /// The values of whole blocks.
    ///
    /// # Panics
    /// If `blocks` is not exactly as long as `values` asks for.
    pub fn dequantize(self, blocks: &[u8], values: &mut [f32]) {
        assert_eq!(values.len() % self.block_weights(), 0, "not whole blocks of {}", self.name());
        assert_eq!(blocks.len(), self.bytes(values.len()), "blocks of {}", self.name());
        let block: fn(&[u8], &mut [f32]) = match self {
            Format::F32 => |b, w| w[0] = f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
            Format::F16 => |b, w| w[0] = half(b),
            Format::Bf16 => |b, w| w[0] = bf16::from_le_bytes([b[0], b[1]]).to_f32(),
            Format::Q4_0 => q4_0,
            Format::Q8_0 => q8_0,
            Format::Q4K => k::q4_k,
            Format::Q5K => k::q5_k,
            Format::Q6K => k::q6_k,
        };
        let bytes = blocks.chunks_exact(self.block_bytes());
        for (bytes, values) in bytes.zip(values.chunks_exact_mut(self.block_weights())) {
            block(bytes, values);
        }
    }
}

/// The usual name of a type by its number in a file, supported or not.
pub fn type_name(id: u32) -> String {
    type_name_of(id).map_or_else(|| format!("number {id}"), str::to_owned)
}

fn type_name_of(id: u32) -> Option<&'static str> {
    // Numbers that are missing were given up before the format's third version.
    Some(match id {
        0 => "F32",
        1 => "F16",
        2 => "Q4_0",
        3 => "Q4_1",
        6 => "Q5_0",
        7 => "Q5_1",
        8 => "Q8_0",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        12 => "Q4_K",
        13 => "Q5_K",
        14 => "Q6_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        30 => "BF16",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        _ => return None,
    })
}

/// The names of the supported formats, for a sentence.
pub fn supported() -> String {
    Format::ALL.map(Format::name).join(", ")
}

/// A 16-bit float at the beginning of `bytes`.
fn half(bytes: &[u8]) -> f32 {
    f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

/// d f16, then 16 bytes: byte j holds weight j below and weight j + 16 above.
fn q4_0(block: &[u8], weights: &mut [f32]) {
    let d = half(block);
    let (low, high) = weights.split_at_mut(16);
    for ((q, low), high) in block[2..].iter().zip(low).zip(high) {
        *low = d * f32::from((q & 15) as i8 - 8);
        *high = d * f32::from((q >> 4) as i8 - 8);
    }
}

/// d f16, then 32 signed bytes.
fn q8_0(block: &[u8], weights: &mut [f32]) {
    let d = half(block);
    for (q, weight) in block[2..].iter().zip(weights) {
        *weight = d * f32::from(*q as i8);
    }
}
