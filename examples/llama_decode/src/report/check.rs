//! What the GPU computes against the plain forward pass on the CPU.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::bench::prompt;
use super::table::table;
use crate::model::Model;
use crate::reference::Reference;
use crate::run::{Decoder, Error, Interrupt, Result};
use crate::sample::Sampling;

/// How far the farthest logit may be from the reference's, in parts of the spread of all.
const BOUND: f64 = 5e-3;

/// By depth of context.
#[derive(Debug, Serialize, Deserialize)]
pub struct Check {
    /// What was found.
    pub depths: Vec<Checked>,
}

/// Logits of one token, and what was said from there on.
#[derive(Debug, Serialize, Deserialize)]
pub struct Checked {
    /// Tokens in the cache.
    pub depth: u32,
    /// The farthest logit's distance, in parts of the spread of all.
    pub farthest: f64,
    /// The root of the mean square of all distances, in the same parts.
    pub typical: f64,
    /// How many of the tokens were the likeliest before the first that was not.
    pub same: usize,
    /// How many were, each behind those that were said before it.
    pub likeliest: usize,
    /// How many there were.
    pub tokens: usize,
    /// How far below the likeliest token's logit that of any token was, in parts of the spread.
    pub margin: f64,
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
    let context = decoder.context();
    let mut depths = depths.to_vec();
    depths.sort_unstable();
    depths.dedup();
    let mut reference = Reference::new(model);
    let mut checked = Vec::new();
    for depth in depths {
        if depth.saturating_add(1).saturating_add(tokens) > context {
            say(format!("depth {depth} is left out: the context holds {context} tokens"));
            continue;
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
        let mut behind = wanted;
        if let Some((_, before @ [_, ..])) = said.split_last() {
            behind.extend(reference.read_last(before, before.len())?);
            reference.rewind(prompt.len());
        }
        let below = |(logits, token): (&[f32], &u32)| {
            let likeliest = greedy.choose(logits, &[], 0);
            let apart = logits[likeliest as usize] - logits[*token as usize];
            (likeliest == *token, f64::from(apart) / spread(logits))
        };
        let below: Vec<(bool, f64)> = behind.chunks_exact(vocab).zip(&said).map(below).collect();
        checked.push(Checked {
            depth,
            farthest,
            typical,
            same: below.iter().take_while(|(same, _)| *same).count(),
            likeliest: below.iter().filter(|(same, _)| *same).count(),
            tokens: below.len(),
            margin: below.iter().map(|(_, apart)| *apart).fold(0.0, f64::max),
            said,
        });
    }
    if checked.is_empty() {
        return Err(Error::Request(format!(
            "nothing is checked: no depth leaves room for {tokens} tokens in a context of {context}"
        )));
    }
    Ok(Check { depths: checked })
}

/// The farthest and the typical distance, in parts of the spread of what is wanted.
fn distances(wanted: &[f32], found: &[f32]) -> (f64, f64) {
    let distances = || wanted.iter().zip(found).map(|(a, b)| f64::from((a - b).abs()));
    let spread = spread(wanted);
    (distances().fold(0.0, f64::max) / spread, root_mean_square(distances()) / spread)
}

/// How far logits are from their mean, typically.
fn spread(logits: &[f32]) -> f64 {
    let logits = || logits.iter().map(|logit| f64::from(*logit));
    let mean = logits().sum::<f64>() / logits().len() as f64;
    root_mean_square(logits().map(|logit| logit - mean))
}

fn root_mean_square(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    (values.map(|value| value * value).sum::<f64>() / count).sqrt()
}

/// Cells of a table: a depth, and what was found.
pub(crate) const HEADING: [&str; 6] =
    ["depth", "farthest logit", "typical", "same until", "likeliest", "others below by"];

impl Checked {
    /// A line for [`HEADING`].
    pub(crate) fn cells(&self) -> Vec<String> {
        vec![
            self.depth.to_string(),
            format!("{:.1e}", self.farthest),
            format!("{:.1e}", self.typical),
            format!("{} of {}", self.same, self.tokens),
            format!("{} of {}", self.likeliest, self.tokens),
            if self.margin > 0.0 { format!("{:.1e}", self.margin) } else { "-".to_owned() },
        ]
    }
}

impl Check {
    /// Whether everything is as near as it must be. Where two tokens are nearer to each other than
    /// logits must be to the reference's, either may be said.
    pub fn holds(&self) -> bool {
        let holds = |at: &Checked| at.farthest < BOUND && at.margin < BOUND;
        self.depths.iter().all(holds)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.depths.iter().map(Checked::cells).collect();
        writeln!(f, "Logits and the likeliest tokens, distances in parts of the logits' spread:")?;
        write!(f, "{}", table(&HEADING, &lines))
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
