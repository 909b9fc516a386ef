//! Figures of a machine: models of true shape with random weights, one after the other, by every way
//! to the GPU; tables, JSON and pictures of them.
//!
//! Each measurement is a process of its own, the `llama_decode` command itself, so that everything
//! here can be done again by hand: the commands are written next to the figures.

mod picture;
mod tables;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::made::{self, Mix, Shape};
use crate::report::{Check, Compared, Profile};
use crate::run::{Error, Result};

/// A model to be made: shape and mix of formats.
#[derive(Debug, Clone)]
pub struct Case {
    shape: Shape,
    mix: Mix,
    /// As it is asked for: `llama-3.2-1b:q6_k`.
    pub name: String,
}

impl Case {
    /// A case by its name.
    pub fn named(name: &str) -> Result<Case> {
        let unknown = || {
            Error::Request(format!(
                "there is no model {name}: say SHAPE:MIX as llama_make has them"
            ))
        };
        let (shape, mix) = name.split_once(':').ok_or_else(unknown)?;
        let (shape, mix) = (Shape::named(shape), Mix::named(mix));
        let (shape, mix) = (shape.ok_or_else(unknown)?, mix.ok_or_else(unknown)?);
        Ok(Case { shape, mix, name: name.to_owned() })
    }

    /// Writes the model's file.
    fn make(&self, path: &Path) -> Result<()> {
        let made = File::create(path).and_then(|file| {
            let mut file = BufWriter::with_capacity(1 << 20, file);
            made::write(&self.shape, self.mix, 1, &mut file)?;
            file.flush()
        });
        made.map_err(|error| cannot("write", path, &error))
    }
}

/// How it is measured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The `llama_decode` program.
    pub program: PathBuf,
    /// Where models are made, one at a time.
    pub files: PathBuf,
    /// Where figures go.
    pub out: PathBuf,
    /// Depths of context.
    pub depths: Vec<u32>,
    /// Tokens decoded at each depth.
    pub tokens: u32,
}

/// What was measured of one model.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// Which.
    pub model: String,
    /// What was run.
    pub commands: Vec<String>,
    /// Every way to the GPU.
    pub compared: Compared,
    /// Where the time of a token goes, by depth.
    pub profiles: Vec<Profile>,
}

/// What was checked of one model.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// Which.
    pub model: String,
    /// What was run.
    pub commands: Vec<String>,
    /// Against the plain forward pass.
    pub check: Check,
    /// Each way, one token a ring and several, and whether it said the same at every depth.
    pub ways: Vec<(String, bool)>,
    /// What could not be run, and why.
    pub missing: Vec<(String, String)>,
}

/// Measures the cases; writes `figures.json`, `tables.txt`, pictures and traces.
pub fn measure(cases: &[Case], settings: &Settings) -> Result<()> {
    let mut all = Vec::new();
    for case in cases {
        all.push(with_file(case, settings, |file| settings.measure(case, file))?);
        // What is there is there, should the next one fail.
        settings.write("figures.json", &json(&all)?)?;
        settings.write("tables.txt", &tables::measured(&all))?;
        for (name, picture) in picture::all(&all)? {
            settings.write(name, &picture)?;
        }
    }
    Ok(())
}

/// Checks the cases; writes `correctness.json` and `correctness.txt`. Whether all is as it must be.
pub fn check(cases: &[Case], settings: &Settings) -> Result<bool> {
    let mut all = Vec::new();
    for case in cases {
        all.push(with_file(case, settings, |file| settings.check(case, file))?);
        settings.write("correctness.json", &json(&all)?)?;
        settings.write("correctness.txt", &tables::checked(&all))?;
    }
    Ok(all.iter().all(|one| one.check.holds() && one.ways.iter().all(|(_, same)| *same)))
}

/// Makes the model's file for as long as `body` runs.
fn with_file<T>(
    case: &Case,
    settings: &Settings,
    body: impl FnOnce(&Path) -> Result<T>,
) -> Result<T> {
    eprintln!("llama_results: making {}", case.name);
    let path = settings.files.join(format!("{}.gguf", case.name.replace(':', "-")));
    let done = case.make(&path).and_then(|()| body(&path));
    // Nobody wants it any more; where it cannot be removed, figures are still figures.
    let _ = fs::remove_file(&path);
    done
}

impl Settings {
    fn measure(&self, case: &Case, file: &Path) -> Result<Measured> {
        let mut commands = Vec::new();
        let mut compared: Compared = self.run(file, &self.compare_args(), &mut commands)?;
        // They were compared, and are too many to keep.
        let points = compared.measured.iter_mut().flat_map(|bench| &mut bench.points);
        points.for_each(|point| point.tokens.clear());
        let mut profiles = Vec::new();
        for depth in &self.depths {
            let ids = (0..=*depth).map(|i| (i % 1000).to_string()).collect::<Vec<_>>().join(",");
            let trace =
                self.out.join(format!("{}-{depth}.trace.json", case.name.replace(':', "-")));
            let args = ["--profile", &trace.to_string_lossy(), "--json", "--ids", &ids];
            profiles.push(self.run(file, &args.map(str::to_owned), &mut commands)?);
        }
        Ok(Measured { model: case.name.clone(), commands, compared, profiles })
    }

    fn check(&self, case: &Case, file: &Path) -> Result<Checked> {
        let mut commands = Vec::new();
        let mut args = self.compare_args();
        let compared: Compared = self.run(file, &args, &mut commands)?;
        args[0] = "--check".to_owned();
        let check: Check = self.run(file, &args, &mut commands)?;
        let said: Vec<&[u32]> = check.depths.iter().map(|at| &at.said[..]).collect();
        let same = |bench: &crate::report::Bench| {
            let tokens: Vec<&[u32]> = bench.points.iter().map(|point| &point.tokens[..]).collect();
            (bench.via.clone(), tokens == said)
        };
        let ways = compared.measured.iter().map(same).collect();
        let missing = compared.missing;
        Ok(Checked { model: case.name.clone(), commands, check, ways, missing })
    }

    /// What compares all ways at the depths.
    fn compare_args(&self) -> Vec<String> {
        let depths: Vec<String> = self.depths.iter().map(u32::to_string).collect();
        let tokens = self.tokens.to_string();
        ["--compare", "--json", "--depths", &depths.join(","), "-n", &tokens]
            .map(str::to_owned)
            .into()
    }

    /// Runs the program on a file and reads what it prints. A check that fails still prints.
    fn run<T: DeserializeOwned>(
        &self,
        file: &Path,
        args: &[String],
        commands: &mut Vec<String>,
    ) -> Result<T> {
        // Nobody wants to read a thousand ids, or where files lay.
        let out = format!("{}/", self.out.display());
        let shown = args.iter().map(|arg| match arg.strip_prefix(&out) {
            Some(name) => name,
            None if arg.len() > 200 => "0,1,2,...",
            None => arg,
        });
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let shown = format!("llama_decode {name} {}", shown.collect::<Vec<_>>().join(" "));
        eprintln!("llama_results: {shown}");
        let mut command = Command::new(&self.program);
        let output = command.arg(file).args(args).stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| cannot("run", &self.program, &error))?;
        commands.push(shown);
        serde_json::from_slice(&output.stdout).map_err(|_| {
            Error::Request(format!("`{}` gave no figures", commands.last().expect("just pushed")))
        })
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.out.join(name);
        fs::write(&path, text).map_err(|error| cannot("write", &path, &error))
    }
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|error| Error::Request(error.to_string()))
}

fn cannot(verb: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::Request(format!("cannot {verb} {}: {error}", path.display()))
}
