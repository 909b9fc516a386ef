//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};

use crate::run::{Pace, Via, Wait};
use crate::sample::Sampling;

/// Runs Llama 3 and Qwen3 models from GGUF files on an NVIDIA GPU, straight through its queues.
///
/// With nothing else it tells a story: on the GPU of this machine, or where there is none on the
/// software Orin, with the small model that is inside the program.
#[derive(Debug, Clone, Parser)]
#[command(name = "llama_decode", version, after_help = AFTER_HELP)]
pub struct Options {
    /// The GGUF file [default: the small model inside the program]
    pub model: Option<PathBuf>,

    /// What comes before the text, and where it goes
    #[command(flatten)]
    pub text: TextOptions,
    /// How tokens are chosen
    #[command(flatten)]
    pub sampling: SamplingOptions,
    /// How the GPU is fed
    #[command(flatten)]
    pub dispatch: DispatchOptions,
    /// What is measured
    #[command(flatten)]
    pub measure: MeasureOptions,
}

const AFTER_HELP: &str = "\
Examples:
  llama_decode                                        a short story
  llama_decode Llama-3.2-1B-Q6_K.gguf -p 'The sea'    go on from a prompt
  llama_decode Qwen3-0.6B-Q8_0.gguf --chat            talk
  llama_decode model.gguf --compare                   what direct dispatch is worth here
  llama_decode model.gguf --profile trace.json        where the time of a token goes";

/// What comes before the text, and where it goes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Text")]
pub struct TextOptions {
    /// Go on from this text
    #[arg(short, long, value_name = "TEXT", group = "input")]
    pub prompt: Option<String>,
    /// Go on from the text of a file; - is standard input
    #[arg(short, long, value_name = "PATH", group = "input")]
    pub file: Option<PathBuf>,
    /// Go on from these tokens and print numbers: for files without a vocabulary
    #[arg(long, value_name = "ID,ID...", value_delimiter = ',', group = "input")]
    pub ids: Vec<u32>,
    /// Talk with the model, by its chat template
    #[arg(long, group = "input")]
    pub chat: bool,
    /// What the model is told before a chat
    #[arg(long, value_name = "TEXT", requires = "chat", conflicts_with_all = ["prompt", "file", "ids"])]
    pub system: Option<String>,
    /// Let the model think aloud before it answers, if it is one that does
    #[arg(long, requires = "chat", conflicts_with_all = ["prompt", "file", "ids"])]
    pub think: bool,
    /// At most so many tokens
    #[arg(short = 'n', long, value_name = "N", default_value_t = 256, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub tokens: u32,
    /// Tokens that prompt and text can have together [default: what the model allows, at most 4096]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub context: Option<u32>,
    /// Print a JSON object instead of the text; in a chat one for each answer
    #[arg(long)]
    pub json: bool,
}

/// How tokens are chosen.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Choice of tokens")]
pub struct SamplingOptions {
    /// 0 always takes the likeliest token [default: 0; 0.8 for a story of the model inside]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub temperature: Option<f32>,
    /// Choose among the K likeliest; 0 for all
    #[arg(long, value_name = "K", default_value_t = 0, allow_negative_numbers = true)]
    pub top_k: u32,
    /// Choose among the likeliest that together have probability P
    #[arg(long, value_name = "P", default_value_t = 1.0, allow_negative_numbers = true)]
    pub top_p: f32,
    /// Choose among those at least P times as likely as the likeliest [default: 0; 0.1 for such a story]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub min_p: Option<f32>,
    /// Make tokens that were there less likely; 1 changes nothing
    #[arg(long, value_name = "F", default_value_t = 1.0, allow_negative_numbers = true)]
    pub repeat_penalty: f32,
    /// Look so many tokens back for that
    #[arg(long, value_name = "N", default_value_t = 64, allow_negative_numbers = true)]
    pub repeat_last_n: u32,
    /// The same seed gives the same text [default: 0; for such a story another one each time]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<u64>,
}

/// How the GPU is fed.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Dispatch")]
pub struct DispatchOptions {
    /// The way to the GPU
    #[arg(long, value_name = "WAY", default_value = "direct")]
    pub via: Via,
    /// Tokens that one ring of the doorbell stands for [default: 1, and 16 where it is measured]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub tokens_per_doorbell: Option<u32>,
    /// Rings that may be under way at once
    #[arg(long, value_name = "N", default_value_t = 2, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=8))]
    pub ahead: u32,
    /// What the CPU does while the GPU works
    #[arg(long, value_name = "HOW", default_value = "sleep")]
    pub wait: WaitOption,
}

/// What the CPU does while the GPU works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WaitOption {
    /// Looks all the time
    Spin,
    /// Sleeps until the next ring is due
    Sleep,
}

/// What is measured.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Measuring")]
pub struct MeasureOptions {
    /// Measure speed, latency and CPU time
    #[arg(long)]
    pub bench: bool,
    /// Measure every way to the GPU in turn, each in a process of its own, and see that all say the same
    #[arg(long, conflicts_with = "bench")]
    pub compare: bool,
    /// Compare logits and the likeliest tokens with the plain forward pass on the CPU, which takes its time
    #[arg(long, conflicts_with_all = ["bench", "compare"])]
    pub check: bool,
    /// Depths of context to measure or check at
    #[arg(long, value_name = "N,N...", value_delimiter = ',', default_value = "0,2048")]
    pub depths: Vec<u32>,
    /// Time every kernel of a token; write a trace for Perfetto to PATH
    #[arg(long, value_name = "PATH", num_args = 0..=1, conflicts_with_all = ["bench", "compare", "check"])]
    pub profile: Option<Option<PathBuf>>,
    /// DRAM bandwidth to compare with, in GB/s [default: the GPU's datasheet]
    #[arg(long, value_name = "GB/S", allow_negative_numbers = true)]
    pub dram: Option<f64>,
    /// Say where every byte went
    #[arg(long)]
    pub memory: bool,
}

impl Options {
    /// Whether nothing was said about what the text goes on from or how: then the model that is
    /// inside tells a story of its own choice.
    pub fn tells_a_story(&self) -> bool {
        let TextOptions { prompt, file, ids, chat, .. } = &self.text;
        let begun = prompt.is_some() || file.is_some() || !ids.is_empty() || *chat;
        self.model.is_none() && !begun && self.sampling.temperature.is_none()
    }

    /// How tokens are chosen. `chance` is the seed of a story if the user gave none.
    pub fn sampling(&self, chance: u64) -> Sampling {
        let given = &self.sampling;
        let (temperature, min_p, seed) =
            if self.tells_a_story() { (0.8, 0.1, chance) } else { (0.0, 0.0, 0) };
        Sampling {
            temperature: given.temperature.unwrap_or(temperature),
            top_k: given.top_k,
            top_p: given.top_p,
            min_p: given.min_p.unwrap_or(min_p),
            repetition_penalty: given.repeat_penalty,
            last_n: given.repeat_last_n,
            seed: given.seed.unwrap_or(seed),
        }
    }
}

/// Tokens per ring where it is measured what that is worth.
const MEASURED: u32 = 16;
/// How long the GPU may emit nothing.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same, for the software Orin and a large model.
const EMULATED_PATIENCE: Duration = Duration::from_secs(600);

impl DispatchOptions {
    /// How `tokens` tokens are asked for: no ring stands for more than all of them.
    pub fn pace_for(&self, tokens: u32, emulated: bool) -> Pace {
        let pace = self.pace(emulated);
        Pace { per_ring: pace.per_ring.min(tokens), ..pace }
    }

    /// How tokens are asked for when it is measured what several per ring are worth.
    pub fn measured_pace(&self, emulated: bool) -> Pace {
        Pace { per_ring: self.tokens_per_doorbell.unwrap_or(MEASURED), ..self.pace(emulated) }
    }

    /// How tokens are asked for.
    pub fn pace(&self, emulated: bool) -> Pace {
        Pace {
            per_ring: self.tokens_per_doorbell.unwrap_or(1),
            ahead: self.ahead,
            wait: match self.wait {
                WaitOption::Spin => Wait::Spin,
                WaitOption::Sleep => Wait::Sleep,
            },
            patience: if emulated { EMULATED_PATIENCE } else { PATIENCE },
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
        let options = Options::parse_from(["llama_decode", "m.gguf", "--profile", "--ids", "1,2"]);
        assert_eq!(options.measure.profile, Some(None));
        assert_eq!(options.text.ids, [1, 2]);
        for wrong in [&["--chat", "-p", "x"][..], &["--think"], &["-p", "x", "--system", "y"]] {
            let args = ["llama_decode"].iter().chain(wrong);
            assert!(Options::try_parse_from(args).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_story_is_drawn_and_everything_else_is_the_likeliest_unless_told_otherwise() {
        let sampling = |args: &[&str]| {
            let args = ["llama_decode"].iter().chain(args);
            Options::parse_from(args).sampling(77)
        };
        let story = sampling(&[]);
        assert_eq!((story.temperature, story.min_p, story.seed), (0.8, 0.1, 77));
        assert_eq!(sampling(&["--seed", "5"]), Sampling { seed: 5, ..story });
        for given in [&["m.gguf"][..], &["-p", "x"], &["--temperature", "0"], &["--ids", "1"]] {
            assert_eq!(sampling(given), Sampling::default(), "{given:?}");
        }
        let drawn = sampling(&["m.gguf", "--temperature", "1.5", "--min-p", "0.2"]);
        assert_eq!((drawn.temperature, drawn.min_p, drawn.seed), (1.5, 0.2, 0));
        // A number out of range is for the program to refuse, in words.
        assert_eq!(sampling(&["--temperature", "-1"]).temperature, -1.0);
    }
}
