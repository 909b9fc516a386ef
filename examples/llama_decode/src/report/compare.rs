//! Every way to the GPU in turn, each in a process of its own.

use std::ffi::OsString;
use std::fmt;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::Bench;
use super::bench::HEADING;
use super::table::table;
use crate::run::{Error, Interrupt, Result, Via};
use crate::streams::tell;

/// What came of all of them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Compared {
    /// What was measured.
    pub measured: Vec<Bench>,
    /// What was not, and why.
    pub missing: Vec<(String, String)>,
    /// Whether all said the same at every depth.
    pub same_tokens: bool,
}

/// Starts this program once for each way, with `args` and what makes it measure.
pub fn compare(args: &[OsString], interrupt: &Interrupt) -> Result<Compared> {
    let program = std::env::current_exe()
        .map_err(|error| Error::Request(format!("this program cannot find itself: {error}")))?;
    let (mut measured, mut missing) = (Vec::new(), Vec::new());
    for via in Via::ALL {
        if interrupt.seen() {
            return Err(Error::Request("interrupted: nothing is reported".to_owned()));
        }
        tell(format!("llama_decode: {via}"));
        let mut child = Command::new(&program);
        child.args(args).args(["--bench", "--json", "--via", &via.to_string()]);
        let output = child.stderr(Stdio::piped()).output();
        let output = output.map_err(|error| Error::Request(format!("cannot start it: {error}")))?;
        match serde_json::from_slice::<Bench>(&output.stdout) {
            Ok(bench) if output.status.success() => measured.push(bench),
            _ => {
                let said = String::from_utf8_lossy(&output.stderr);
                let last = said.lines().last().unwrap_or("it said nothing");
                missing.push((via.to_string(), last.to_owned()));
            }
        }
    }
    let said = |bench: &Bench| -> Vec<Vec<u32>> {
        bench.points.iter().map(|point| point.tokens.clone()).collect()
    };
    let same_tokens = measured.windows(2).all(|pair| said(&pair[0]) == said(&pair[1]));
    Ok(Compared { measured, missing, same_tokens })
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = self.measured.first() {
            let mut lines: Vec<_> = self.measured.iter().flat_map(Bench::lines).collect();
            // Ways beside each other, by depth.
            lines.sort_by_key(|line| line[1].parse::<u32>().unwrap_or(0));
            writeln!(f, "{}\n{}", first.above(), table(&HEADING, &lines))?;
            for bench in &self.measured {
                write!(f, "{}", bench.below())?;
            }
        }
        for (via, why) in &self.missing {
            writeln!(f, "{via}: not measured: {why}")?;
        }
        match (self.measured.len(), self.same_tokens) {
            (0 | 1, _) => writeln!(f, "there is nothing to compare"),
            (ways, true) => writeln!(f, "all {ways} said the same tokens"),
            (_, false) => writeln!(f, "THEY DID NOT SAY THE SAME TOKENS"),
        }
    }
}
