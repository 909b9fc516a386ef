//! What the plain f32 forward pass makes of token ids: `llama_reference FILE IDS [COUNT]`.
//!
//! Prints the largest logits after the last of the ids (`1,2,3`), then COUNT tokens, each the
//! likeliest.

use std::process::ExitCode;

use llama_decode::gguf::Gguf;
use llama_decode::model::Model;
use llama_decode::reference::Reference;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("llama_reference: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<(), String> {
    let (path, ids, count) = match args {
        [path, ids] => (path, ids, 0),
        [path, ids, count] => {
            (path, ids, count.parse().map_err(|_| format!("{count} is not a number of tokens"))?)
        }
        _ => return Err("usage: llama_reference FILE IDS [COUNT]".to_owned()),
    };
    let ids = ids
        .split(',')
        .map(|id| id.trim().parse().map_err(|_| format!("{id:?} is not a token's number")))
        .collect::<Result<Vec<u32>, String>>()?;
    let file = Gguf::open(path).map_err(|error| error.to_string())?;
    let model = Model::new(&file).map_err(|error| error.to_string())?;
    let mut reference = Reference::new(&model);
    let logits = reference.read(&ids).map_err(|error| error.to_string())?;
    let mut ranked: Vec<(usize, f32)> = logits.into_iter().enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (id, logit) in ranked.iter().take(10) {
        println!("logit {id} {logit:.6}");
    }
    let mut next = ranked[0].0 as u32;
    for _ in 0..count {
        println!("token {next}");
        next = reference.greedy(&[next], 1).map_err(|error| error.to_string())?[0];
    }
    Ok(())
}
