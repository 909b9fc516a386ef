//! How the next token is chosen from the logits.
//!
//! This is the definition that the GPU's sampler reproduces bit for bit, so every step is either
//! one correctly rounded f32 operation or exact integer arithmetic, and every sum is of integers,
//! whose order does not matter:
//!
//! 1. A logit that is not a number counts as the smallest float; infinities count as the largest.
//! 2. Each distinct token among the last `last_n` of the context (prompt and answer): a positive
//!    logit is divided by the repetition penalty, any other is multiplied by it.
//! 3. Tokens are ranked by that logit, equal ones by the lower id first. At temperature 0 the first
//!    is taken. Below, `best` is the first one's logit.
//! 4. Weight of a token: [`weight`]`((logit - best) / temperature)`, a 64-bit integer that is 2^40
//!    for the first.
//! 5. Top-k: only the first `top_k` stay (0: all).
//! 6. Top-p: of those, only the shortest run from the first whose weights add up to at least
//!    `sum * floor(top_p * 2^32) >> 32` stay, and at least one (1 or more: all).
//! 7. Min-p: of those, only weights of at least `floor(min_p * 2^40)` stay.
//! 8. The draw: with `sum` over those that stay, the token of the lowest id whose running sum, by
//!    id, exceeds `random * sum >> 64`, where [`random`] depends on the seed and on the position
//!    that the chosen token will have.
//!
//! Steps 5 and 6 need no sorting: what stays is "logit above a threshold, or equal to it and among
//! the first so many ids", and the threshold can be found digit by digit from histograms.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use crate::error::{Error, Result};

/// How tokens are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// 0 takes the likeliest token; 1 draws by the model's own probabilities; more is wilder.
    pub temperature: f32,
    /// Draw from so many of the likeliest tokens; 0 for all.
    pub top_k: u32,
    /// Draw from the likeliest tokens that together have this probability; 1 for all.
    pub top_p: f32,
    /// Draw from tokens with at least this share of the likeliest one's probability; 0 for all.
    pub min_p: f32,
    /// More than 1 makes recent tokens less likely; 1 leaves them alone.
    pub repetition_penalty: f32,
    /// How many tokens are recent.
    pub last_n: u32,
    /// The same seed draws the same tokens from the same logits.
    pub seed: u64,
}

impl Default for Sampling {
    /// Always the likeliest token.
    fn default() -> Sampling {
        Sampling {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            last_n: 64,
            seed: 0,
        }
    }
}

impl Sampling {
    /// Refuses settings that mean nothing.
    pub fn check(&self) -> Result<()> {
        let refuse = |name, value, range| {
            Err(Error::Sampling(format!("{name} is {value}; {range} makes sense")))
        };
        if !(0.0..=1e6).contains(&self.temperature) {
            return refuse("temperature", self.temperature, "0 to 1000000");
        }
        if !(0.0..=1.0).contains(&self.top_p) {
            return refuse("top-p", self.top_p, "0 to 1");
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return refuse("min-p", self.min_p, "0 to 1");
        }
        if !(0.01..=100.0).contains(&self.repetition_penalty) {
            return refuse("repetition penalty", self.repetition_penalty, "0.01 to 100");
        }
        Ok(())
    }

    /// The token that follows `context`, of which only the last `last_n` tokens are looked at.
    /// `position` is the one that the token will have.
    ///
    /// # Panics
    /// If there are no logits.
    pub fn choose(&self, logits: &[f32], context: &[u32], position: u32) -> u32 {
        let logits = self.penalised(logits, context);
        let ids = 0..logits.len() as u32;
        let first = |id: &u32| (Reverse(rank(logits[*id as usize])), *id);
        if self.temperature == 0.0 {
            return ids.min_by_key(first).expect("there are logits");
        }
        let mut ranked: Vec<u32> = ids.collect();
        ranked.sort_unstable_by_key(first);
        let best = logits[ranked[0] as usize];
        let weight = |id: u32| weight((logits[id as usize] - best) / self.temperature);

        if self.top_k > 0 {
            ranked.truncate(self.top_k as usize);
        }
        if self.top_p < 1.0 {
            let sum: u64 = ranked.iter().map(|&id| weight(id)).sum();
            let enough = times(sum, (self.top_p * TWO_TO_32) as u64, 32).max(1);
            let mut reached = 0;
            ranked.retain(|&id| {
                let stays = reached < enough;
                reached += weight(id);
                stays
            });
        }
        let least = (self.min_p * TWO_TO_40) as u64;
        ranked.retain(|&id| weight(id) >= least);

        ranked.sort_unstable();
        let sum: u64 = ranked.iter().map(|&id| weight(id)).sum();
        let drawn = times(sum, random(self.seed, position), 64);
        let mut reached = 0;
        let chosen = ranked.into_iter().find(|&id| {
            reached += weight(id);
            reached > drawn
        });
        chosen.expect("the drawn number is below the sum, which the first token makes positive")
    }

    fn penalised(&self, logits: &[f32], context: &[u32]) -> Vec<f32> {
        let tame = |l: f32| if l.is_nan() { f32::MIN } else { l.clamp(f32::MIN, f32::MAX) };
        let mut tamed: Vec<f32> = logits.iter().map(|l| tame(*l)).collect();
        let mut recent = context[context.len().saturating_sub(self.last_n as usize)..].to_vec();
        recent.sort_unstable();
        recent.dedup();
        for id in recent {
            if let Some(logit) = tamed.get_mut(id as usize) {
                let p = self.repetition_penalty;
                *logit = tame(if *logit > 0.0 { *logit / p } else { *logit * p });
            }
        }
        tamed
    }
}

const TWO_TO_32: f32 = 4_294_967_296.0;
const TWO_TO_40: f32 = 1_099_511_627_776.0;

/// A logit as an integer of the same order; minus zero equals zero.
pub fn rank(logit: f32) -> u32 {
    let bits = (logit + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// e^z for z of at most 0, in units of 2^-40, by operations that every machine rounds alike.
///
/// With t = z * log2(e) and n its nearest integer (ties to even), 2^(t - n) is a polynomial of
/// degree 6 in Horner's order, one fused multiply-add a step; 2^n moves the point; the fraction is
/// cut off. Right to about three in ten million.
pub fn weight(z: f32) -> u64 {
    let t = z * std::f32::consts::LOG2_E;
    // Below, no unit is left.
    if t < -40.5 || t.is_nan() {
        return 0;
    }
    let n = t.round_ties_even();
    let f = t - n;
    let p = COEFFICIENTS.iter().fold(0.0f32, |sum, &c| sum.mul_add(f, c));
    (p * f32::from_bits(((127 + 40 + n as i32) as u32) << 23)) as u64
}

/// ln(2)^k / k! for k from 6 to 0.
pub const COEFFICIENTS: [f32; 7] = [
    1.540_353e-4,
    1.333_355_8e-3,
    9.618_129e-3,
    5.550_411e-2,
    0.240_226_5,
    std::f32::consts::LN_2,
    1.0,
];

/// The random 64 bits of a position. Nothing is carried from one position to the next, so tokens
/// are the same however many are made at a time.
pub fn random(seed: u64, position: u32) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    mix(mix(seed.wrapping_add(STEP)).wrapping_add(STEP.wrapping_mul(position.into())))
}

/// Scrambles 64 bits: a bijection in which every bit of the input moves about half of the output.
pub fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// The product without loss, moved down.
fn times(a: u64, b: u64, shift: u32) -> u64 {
    ((u128::from(a) * u128::from(b)) >> shift) as u64
}
