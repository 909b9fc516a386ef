//! What the model said, and how fast.

use std::time::Duration;

use serde::Serialize;

use super::{Latency, Memory};
use crate::run::{Ending, Run};
use crate::sample::Sampling;

/// One answer.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// Prompt and answer as text; as numbers where there are no words.
    pub text: String,
    /// The answer's tokens.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub ending: Ending,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Time until the prompt was in the cache, in milliseconds.
    pub prefill_ms: f64,
    /// Time until the first token was seen, the prompt included, in milliseconds.
    pub first_token_ms: f64,
    /// Tokens per second.
    pub tok_s: f64,
    /// From token to token, in milliseconds.
    pub latency_ms: Option<Latency>,
    /// CPU time of the process per token, in microseconds.
    pub cpu_us_per_token: f64,
    /// What the choice was drawn with, where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Where every byte went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
}

impl Answer {
    /// Of a run behind a prompt.
    pub fn new(
        text: String,
        prompt_tokens: usize,
        prefill: Duration,
        run: Run,
        sampling: &Sampling,
    ) -> Answer {
        let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
        let count = run.tokens.len().max(1) as f64;
        let first = run.seen.first().copied().unwrap_or(run.elapsed);
        Answer {
            text,
            ending: run.ending,
            prompt_tokens,
            prefill_ms: millis(prefill),
            first_token_ms: millis(prefill + first),
            tok_s: run.tokens.len() as f64 / run.elapsed.as_secs_f64(),
            latency_ms: Latency::of(&run.seen),
            cpu_us_per_token: millis(run.cpu) * 1e3 / count,
            seed: (sampling.temperature > 0.0).then_some(sampling.seed),
            memory: None,
            tokens: run.tokens,
        }
    }

    /// One line for people. `ready` is how long the start took, where that is to be told.
    pub fn speed(&self, per_ring: u32, ready: Duration) -> String {
        let mut line = format!(
            "{} tokens at {:.1} tok/s, {per_ring} per doorbell; first token after {:.0} ms; {:.1} us of CPU time a token",
            self.tokens.len(),
            self.tok_s,
            self.first_token_ms,
            self.cpu_us_per_token
        );
        if !ready.is_zero() {
            line += &format!("; ready after {:.2} s", ready.as_secs_f64());
        }
        if self.ending == Ending::ContextFull {
            line += "; the context is full";
        }
        if let Some(seed) = self.seed {
            line += &format!("; --seed {seed} tells it again");
        }
        line
    }
}
