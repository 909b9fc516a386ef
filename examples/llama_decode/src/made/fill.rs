//! Random weights, drawn as blocks: every pattern of bits is a valid block once its scales are
//! sensible, so nothing needs to be quantised and gigabytes take seconds.

use std::f64::consts::TAU;
use std::io::{self, Write};

use half::{bf16, f16};

use super::{LongContext, Shape};
use crate::gguf::write::Entry;
use crate::quant::Format;

/// The standard deviation of every matrix: what training starts from.
const SPREAD: f32 = 0.02;

/// A sequence of random numbers.
pub(super) struct Random {
    state: u64,
}

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        crate::sample::mix(self.state)
    }

    fn bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }

    /// Evenly spread over [0, 1).
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 24) as f32
    }

    /// Evenly spread around 0 with a standard deviation of 1.
    fn spread(&mut self) -> f32 {
        (self.unit() - 0.5) * 12f32.sqrt()
    }
}

/// Writes the blocks of one tensor.
pub(super) fn tensor(
    shape: &Shape,
    entry: &Entry,
    random: &mut Random,
    out: &mut dyn Write,
) -> io::Result<()> {
    if let Some(long) = shape.long_context.filter(|_| entry.name == "rope_freqs.weight") {
        return floats(&divisors(shape, long), out);
    }
    if entry.dims.len() == 1 {
        let norms: Vec<f32> = (0..entry.dims[0]).map(|_| 1.0 + 0.05 * random.spread()).collect();
        return floats(&norms, out);
    }
    // A row at a time: large enough to be fast, small enough to stay in a cache.
    let mut row = vec![0; entry.format.bytes(entry.dims[0])];
    for _ in 0..entry.dims[1..].iter().product() {
        random.bytes(&mut row);
        for block in row.chunks_exact_mut(entry.format.block_bytes()) {
            temper(entry.format, block, random);
        }
        out.write_all(&row)?;
    }
    Ok(())
}

fn floats(values: &[f32], out: &mut dyn Write) -> io::Result<()> {
    values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
}

/// Gives a block of random bits scales that make its weights as spread as they should be.
fn temper(format: Format, block: &mut [u8], random: &mut Random) {
    // What evenly random quants, times evenly random group scales, have for a deviation.
    let mut scale = |at: usize, deviation: f32, minimum: Option<f32>| {
        let d = SPREAD / deviation * (0.75 + 0.5 * random.unit());
        block[at..at + 2].copy_from_slice(&f16::from_f32(d).to_le_bytes());
        if let Some(times) = minimum {
            block[at + 2..at + 4].copy_from_slice(&f16::from_f32(d * times).to_le_bytes());
        }
    };
    match format {
        Format::F32 => block.copy_from_slice(&(SPREAD * random.spread()).to_le_bytes()),
        Format::F16 => {
            block.copy_from_slice(&f16::from_f32(SPREAD * random.spread()).to_le_bytes());
        }
        Format::Bf16 => {
            block.copy_from_slice(&bf16::from_f32(SPREAD * random.spread()).to_le_bytes());
        }
        Format::Q4_0 => scale(0, 4.6, None),
        Format::Q8_0 => scale(0, 73.9, None),
        // The minimum that centres the weights: half of the largest quant.
        Format::Q4K => scale(0, 232.0, Some(7.5)),
        Format::Q5K => scale(0, 475.0, Some(15.5)),
        Format::Q6K => scale(208, 18.5 * 73.9, None),
    }
}

/// What each pair's frequency is divided by: nothing for pairs that turn often within the original
/// context, the whole factor for pairs that turn less than once, and a blend between.
fn divisors(shape: &Shape, long: LongContext) -> Vec<f32> {
    let size = shape.head_size as f64;
    let divisor = |pair: usize| {
        let wave = TAU * f64::from(shape.rope_base).powf(2.0 * pair as f64 / size);
        let turns = long.original / wave;
        let fast = ((turns - long.low) / (long.high - long.low)).clamp(0.0, 1.0);
        (1.0 / ((1.0 - fast) / long.factor + fast)) as f32
    };
    (0..shape.head_size / 2).map(divisor).collect()
}
