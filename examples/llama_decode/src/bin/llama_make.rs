//! Writes a model of a known shape with random weights: `llama_make SHAPE MIX FILE [SEED]`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::ExitCode;

use llama_decode::made::{self, Mix, SHAPES, Shape};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match make(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("llama_make: {message}");
            ExitCode::FAILURE
        }
    }
}

fn make(args: &[String]) -> Result<(), String> {
    let shapes = SHAPES.map(|shape| shape.name).join(", ");
    let mixes = Mix::NAMES.map(|(name, _)| name).join(", ");
    let (shape, mix, path, seed) = match args {
        [shape, mix, path] => (shape, mix, path, 1),
        [shape, mix, path, seed] => {
            (shape, mix, path, seed.parse().map_err(|_| format!("{seed} is not a seed"))?)
        }
        _ => {
            return Err(format!(
                "usage: llama_make SHAPE MIX FILE [SEED]\n  SHAPE: {shapes}\n  MIX: {mixes}"
            ));
        }
    };
    let shape = Shape::named(shape).ok_or(format!("there is no shape {shape}, but {shapes}"))?;
    let mix = Mix::named(mix).ok_or(format!("there is no mix {mix}, but {mixes}"))?;
    let cannot = |error| format!("cannot write {path}: {error}");
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).map_err(cannot)?);
    made::write(&shape, mix, seed, &mut file).map_err(cannot)?;
    file.flush().map_err(cannot)
}
