//! What the GPU computes against the plain forward pass on the CPU.

use std::fmt;

use serde::Serialize;

use super::bench::prompt;
use super::table::table;
use crate::model::Model;
use crate::reference::Reference;
use crate::run::{Decoder, Error, Interrupt, Result};
use crate::sample::Sampling;

/// How far the farthest logit may be from the reference's, in parts of the spread of all.
const BOUND: f64 = 5e-3;

/// By depth of context.
#[derive(Debug, Serialize)]
pub struct Check {
    /// What was found.
    pub depths: Vec<Checked>,
}

/// Logits of one token, and what was said from there on.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// Tokens in the cache.
    pub depth: u32,
    /// The farthest logit's distance, in parts of the spread of all.
    pub farthest: f64,
    /// The root of the mean square of all distances, in the same parts.
    pub typical: f64,
    /// How many of the likeliest tokens were the same before the first that was not.
    pub same: usize,
    /// How many there were.
    pub tokens: usize,
    /// What the GPU said.
    pub said: Vec<u32>,
}

/// Compares at each depth the logits, and `tokens` tokens. `say` is told what is being done.
pub fn check(
    decoder: &mut Decoder,
    model: &Model,
    depths: &[u32],
    tokens: u32,
    interrupt: &Interrupt,
    say: &mut dyn FnMut(String),
) -> Result<Check> {
    let (vocab, greedy) = (model.config.vocab, Sampling::default());
    let mut depths = depths.to_vec();
    depths.sort_unstable();
    depths.dedup();
    let mut reference = Reference::new(model);
    let mut checked = Vec::new();
    for depth in depths {
        if depth + 1 + tokens > decoder.context() {
            return Err(Error::Request(format!(
                "{tokens} tokens at depth {depth} do not fit the context of {}: choose a larger --context",
                decoder.context()
            )));
        }
        say(format!("checking {tokens} tokens at depth {depth}"));
        let prompt = prompt(depth + 1, vocab as u32);
        decoder.prefill(&prompt)?;
        decoder.decode(1, &[], &greedy, interrupt, &mut |_| {})?;
        let found = decoder.logits()?;
        decoder.prefill(&prompt)?;
        let said = decoder.decode(tokens, &[], &greedy, interrupt, &mut |_| {})?.tokens;
        if interrupt.seen() {
            return Err(Error::Request("interrupted: nothing is reported".to_owned()));
        }

        // Prompts of all depths begin alike, so the reference goes on from the one before.
        let wanted = reference.read(&prompt[reference.position()..])?;
        let (farthest, typical) = distances(&wanted, &found[..vocab]);
        // What was said is right if each token is the likeliest behind those before it.
        let mut expected = vec![greedy.choose(&wanted, &[], 0)];
        if let Some((_, before @ [_, ..])) = said.split_last() {
            let logits = reference.read_last(before, before.len())?;
            expected.extend(logits.chunks_exact(vocab).map(|one| greedy.choose(one, &[], 0)));
            reference.rewind(prompt.len());
        }
        let same = said.iter().zip(&expected).take_while(|(a, b)| a == b).count();
        let tokens = expected.len();
        checked.push(Checked { depth, farthest, typical, same, tokens, said });
    }
    Ok(Check { depths: checked })
}

/// The farthest and the typical distance, in parts of the spread of what is wanted.
fn distances(wanted: &[f32], found: &[f32]) -> (f64, f64) {
    let count = wanted.len() as f64;
    let mean = wanted.iter().map(|logit| f64::from(*logit)).sum::<f64>() / count;
    let squares =
        |values: &mut dyn Iterator<Item = f64>| (values.map(|v| v * v).sum::<f64>() / count).sqrt();
    let spread = squares(&mut wanted.iter().map(|logit| f64::from(*logit) - mean));
    let distances = || wanted.iter().zip(found).map(|(a, b)| f64::from((a - b).abs()));
    (distances().fold(0.0, f64::max) / spread, squares(&mut distances()) / spread)
}

impl Check {
    /// Whether everything is as near as it must be.
    pub fn holds(&self) -> bool {
        let holds = |at: &Checked| at.farthest < BOUND && at.same == at.tokens;
        self.depths.iter().all(holds)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |at: &Checked| {
            vec![
                at.depth.to_string(),
                format!("{:.1e}", at.farthest),
                format!("{:.1e}", at.typical),
                format!("{} of {}", at.same, at.tokens),
            ]
        };
        let lines: Vec<_> = self.depths.iter().map(line).collect();
        writeln!(f, "Logits, in parts of their spread, and the likeliest tokens:")?;
        write!(f, "{}", table(&["depth", "farthest", "typical", "same tokens"], &lines))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_in_parts_of_the_spread() {
        let (farthest, typical) = distances(&[-2.0, 2.0, -2.0, 2.0], &[-2.0, 2.0, -2.0, 2.5]);
        assert_eq!((farthest, typical), (0.25, 0.125));
    }
}
