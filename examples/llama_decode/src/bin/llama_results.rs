//! Figures of this machine, all with one command: `llama_results OUT`, or `llama_results OUT --check`
//! for correctness.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use llama_decode::results::{Case, Settings, check, measure};
use llama_decode::run::{Error, Interrupt, Result};

/// Measures models of true shape with random weights by every way to the GPU, and writes tables, JSON
/// and pictures.
///
/// Build the whole package first: this runs the llama_decode program beside it.
#[derive(Debug, Parser)]
#[command(name = "llama_results", version)]
struct Options {
    /// The folder that figures go to
    out: PathBuf,
    /// Compare with the plain forward pass on the CPU instead of measuring: logits and the likeliest tokens
    #[arg(long)]
    check: bool,
    /// The models, as SHAPE:MIX [default: those of the published figures]
    #[arg(long, value_delimiter = ',', value_name = "MODEL,MODEL...")]
    models: Vec<String>,
    /// Depths of context [default: 0,2048; with --check 1,127,2047]
    #[arg(long, value_delimiter = ',', value_name = "N,N...")]
    depths: Vec<u32>,
    /// Tokens at each depth [default: 1024; with --check 128]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    tokens: Option<u32>,
    /// Where the models are made, one at a time [default: the system's folder for such files]
    #[arg(long, value_name = "PATH")]
    files: Option<PathBuf>,
}

const MEASURED: [&str; 6] = [
    "llama-3.2-1b:q6_k",
    "llama-3.2-1b:q8_0",
    "llama-3.2-1b:q4_k_m",
    "llama-3.2-1b:f16",
    "qwen3-0.6b:q8_0",
    "llama-3.2-3b:q6_k",
];
const CHECKED: [&str; 6] = [
    "llama-3.2-1b:q6_k",
    "llama-3.2-1b:q8_0",
    "llama-3.2-1b:q4_k_m",
    "llama-3.2-1b:f16",
    "llama-3.2-1b:bf16",
    "qwen3-0.6b:q8_0",
];

fn main() -> ExitCode {
    match results(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("llama_results: {error}");
            ExitCode::FAILURE
        }
    }
}

fn results(options: Options) -> Result<()> {
    // Ctrl-C ends the program that is measured; what was made for it is removed then.
    let _interrupt = Interrupt::watch()?;
    let (models, depths, tokens) = match options.check {
        true => (CHECKED, vec![1, 127, 2047], 128),
        false => (MEASURED, vec![0, 2048], 1024),
    };
    let models = match &options.models[..] {
        [] => models.map(str::to_owned).into(),
        given => given.to_vec(),
    };
    let cases = models.iter().map(|name| Case::named(name)).collect::<Result<Vec<_>>>()?;
    let failed = |error: std::io::Error| Error::Request(error.to_string());
    let program = std::env::current_exe().map_err(failed)?.with_file_name("llama_decode");
    fs::create_dir_all(&options.out).map_err(|error| {
        Error::Request(format!("cannot make {}: {error}", options.out.display()))
    })?;
    let settings = Settings {
        program,
        files: options.files.unwrap_or_else(std::env::temp_dir),
        out: options.out,
        depths: if options.depths.is_empty() { depths } else { options.depths },
        tokens: options.tokens.unwrap_or(tokens),
    };
    if !options.check {
        return measure(&cases, &settings);
    }
    match check(&cases, &settings)? {
        true => Ok(()),
        false => Err(Error::Request("something is not as it must be: see correctness.txt".into())),
    }
}
