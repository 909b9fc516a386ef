//! Speed, latency and CPU time of decoding at given depths of context.

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::table::table;
use super::{Host, Latency, Memory};
use crate::run::{Decoder, Error, Interrupt, Pace, Result, Run, Wait};
use crate::sample::Sampling;

/// What was measured in one process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bench {
    /// The way to the GPU.
    pub via: String,
    /// The GPU and its driver.
    pub gpu: String,
    /// The machine.
    pub host: Host,
    /// The model.
    pub model: String,
    /// From the start of the program until it could decode, in milliseconds; reading the file is in it.
    pub start_up_ms: f64,
    /// Kernels of one token.
    pub kernels: usize,
    /// By depth.
    pub points: Vec<Point>,
    /// Tokens of a prompt of 512 per second, where the context has room.
    pub prefill_tok_s: Option<f64>,
    /// Where every byte went.
    pub memory: Memory,
}

/// What was measured at one depth.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Point {
    /// Tokens in the cache at the beginning.
    pub depth: u32,
    /// From an empty cache until the first token was seen, in milliseconds.
    pub first_token_ms: f64,
    /// One token per ring, the CPU looking all the time.
    pub single: Speed,
    /// Several tokens per ring, the CPU asleep meanwhile.
    pub several: Speed,
    /// Microseconds per kernel when every kernel returns at once, one token per ring.
    pub kernel_gap_us: f64,
    /// What was said, the same at both paces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<u32>,
}

/// How fast tokens came.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Speed {
    /// Tokens per ring.
    pub per_ring: u32,
    /// Tokens per second.
    pub tok_s: f64,
    /// From token to token, in milliseconds.
    pub latency: Option<Latency>,
    /// CPU time of the whole process per token, in microseconds.
    pub cpu_us: f64,
    /// Of that, what the calls took that send work.
    pub sending_us: f64,
}

impl Speed {
    fn of(run: &Run, per_ring: u32) -> Speed {
        let tokens = run.tokens.len().max(1) as f64;
        Speed {
            per_ring,
            tok_s: tokens / run.elapsed.as_secs_f64(),
            latency: Latency::of(&run.seen),
            cpu_us: micros(run.cpu) / tokens,
            sending_us: micros(run.sending) / tokens,
        }
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Tokens of the prompt whose speed is measured.
const PREFILL: u32 = 512;
/// How often; the median counts.
const PREFILLS: usize = 5;
/// Rings of kernels that return at once.
const EMPTY_RINGS: u32 = 64;

/// Measures `tokens` tokens from each depth on. `say` is told what is being done.
pub fn bench(
    decoder: &mut Decoder,
    vocab: u32,
    depths: &[u32],
    tokens: u32,
    pace: Pace,
    interrupt: &Interrupt,
    say: &mut dyn FnMut(String),
) -> Result<(Vec<Point>, Option<f64>)> {
    let context = decoder.context();
    let mut points = Vec::new();
    for depth in depths {
        if depth.saturating_add(1).saturating_add(tokens) > context {
            say(format!("depth {depth} is left out: the context holds {context} tokens"));
            continue;
        }
        say(format!("measuring {tokens} tokens at depth {depth}"));
        let prompt = prompt(depth + 1, vocab);
        points.push(point(decoder, &prompt, tokens, pace, interrupt)?);
    }
    if points.is_empty() {
        return Err(Error::Request(format!(
            "nothing is measured: no depth leaves room for {tokens} tokens in a context of {context}"
        )));
    }
    let prefill = (PREFILL < context).then(|| prefill(decoder, vocab)).transpose()?;
    Ok((points, prefill))
}

fn point(
    decoder: &mut Decoder,
    prompt: &[u32],
    tokens: u32,
    pace: Pace,
    interrupt: &Interrupt,
) -> Result<Point> {
    let greedy = Sampling::default();
    let decode = |decoder: &mut Decoder, pace: Pace, tokens: u32| {
        decoder.set_pace(pace)?;
        decoder.prefill(prompt)?;
        let run = decoder.decode(tokens, &[], &greedy, interrupt, &mut |_| {})?;
        if interrupt.seen() {
            return Err(Error::Request("interrupted: nothing is reported".to_owned()));
        }
        Ok(run)
    };
    let single = Pace { per_ring: 1, wait: Wait::Spin, ..pace };
    let several = Pace { wait: Wait::Sleep, ..pace };
    // Once for the clocks, so that the first that is measured finds them up.
    decode(decoder, single, tokens)?;
    decoder.forget();
    decoder.set_pace(single)?;
    let began = Instant::now();
    decode(decoder, single, 1)?;
    let first_token_ms = began.elapsed().as_secs_f64() * 1e3;
    let one = decode(decoder, single, tokens)?;
    let many = decode(decoder, several, tokens)?;
    if one.tokens != many.tokens {
        return Err(Error::Request(format!(
            "with {} tokens per ring the model said something else than with one",
            pace.per_ring
        )));
    }
    decoder.set_pace(single)?;
    let alone = decoder.dispatch_alone(EMPTY_RINGS)?;
    Ok(Point {
        depth: prompt.len() as u32 - 1,
        first_token_ms,
        single: Speed::of(&one, 1),
        several: Speed::of(&many, pace.per_ring),
        kernel_gap_us: micros(alone) / decoder.plan().decode.len() as f64,
        tokens: one.tokens,
    })
}

/// Tokens per second of a long prompt.
fn prefill(decoder: &mut Decoder, vocab: u32) -> Result<f64> {
    let prompt = prompt(PREFILL + 1, vocab);
    let mut took = Vec::new();
    for _ in 0..PREFILLS {
        decoder.forget();
        let began = Instant::now();
        decoder.prefill(&prompt)?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    Ok(f64::from(PREFILL) / took[PREFILLS / 2].as_secs_f64())
}

/// Tokens without meaning, the same ones every time.
pub(super) fn prompt(tokens: u32, vocab: u32) -> Vec<u32> {
    let mut state = 1u64;
    let next = |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((state >> 33) % u64::from(vocab)) as u32
    };
    (0..tokens).map(next).collect()
}

/// Cells of a table: way, and what was measured.
pub(super) const HEADING: [&str; 11] = [
    "",
    "depth",
    "tok/s",
    "p50 ms",
    "p99 ms",
    "p99.9 ms",
    "tok/s at N",
    "CPU us/tok at N",
    "first token ms",
    "us/kernel",
    "start-up ms",
];

impl Bench {
    /// Lines for [`HEADING`].
    pub(super) fn lines(&self) -> impl Iterator<Item = Vec<String>> + '_ {
        self.points.iter().map(|point| {
            let latency = |of: fn(&Latency) -> f64| {
                point
                    .single
                    .latency
                    .as_ref()
                    .map_or("-".to_owned(), |all| format!("{:.3}", of(all)))
            };
            vec![
                self.via.clone(),
                point.depth.to_string(),
                format!("{:.1}", point.single.tok_s),
                latency(|latency| latency.p50),
                latency(|latency| latency.p99),
                latency(|latency| latency.p99_9),
                format!("{:.1}", point.several.tok_s),
                format!("{:.2}", point.several.cpu_us),
                format!("{:.2}", point.first_token_ms),
                format!("{:.3}", point.kernel_gap_us),
                format!("{:.0}", self.start_up_ms),
            ]
        })
    }

    /// The machine, as lines.
    pub(crate) fn machine(&self) -> String {
        let Host { board, clocks, processor, system, .. } = &self.host;
        let clocks = if clocks.is_empty() { "clocks not known".into() } else { clocks.join(", ") };
        format!("{board} ({clocks}); {}\n{processor}, Linux {system}", self.gpu)
    }

    /// The machine and the model, as lines above a table.
    pub(super) fn above(&self) -> String {
        let several = self.points.first().map_or(1, |point| point.several.per_ring);
        let mut text = format!(
            "{}, {} kernels a token; N = {several} tokens per doorbell\n{}\n",
            self.model,
            self.kernels,
            self.machine()
        );
        if self.host.emulated {
            text += "These figures mean nothing: the software Orin is no hardware.\n";
        }
        text
    }

    /// The line below a table.
    pub(super) fn below(&self) -> String {
        match self.prefill_tok_s {
            Some(speed) => {
                format!("{}: a prompt of {PREFILL} tokens: {speed:.0} tok/s\n", self.via)
            }
            None => String::new(),
        }
    }
}

impl fmt::Display for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.lines().collect();
        writeln!(f, "{}\n{}{}", self.above(), table(&HEADING, &lines), self.below())
    }
}
