//! `doorbell doctor`: would a dispatch work on this machine, and if not, what cures it?
//!
//! Facts are read from files alone and judged by pure functions, so trees of files test them. Only
//! the round trip at the end touches a device.

mod facts;
mod findings;
mod release;
mod report;
mod round_trip;
mod tree;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::Args;

use crate::output;
use facts::{Driver, Facts};
use findings::{Finding, Severity, judge};
use report::Report;
use tree::{Identity, Tree};

#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct Doctor {
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Look at a copy of another machine's files, and open nothing
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Exit status: 0 when a dispatch works, 1 when not, 2 for wrong usage.

Examples:
  doorbell doctor
  doorbell doctor --json | jq -r '.findings[] | .cause, .cure'
  doorbell emulate -- doorbell doctor     the same on the software Orin

JSON (schema 1; later versions may add fields):
  works        whether a dispatch works
  machine      model, l4t, jetpack, kernel, tegra, container, emulated (board of the software
               Orin), memory_bytes, memory_available_bytes, open_files, libcuda
  user         uid, name, groups
  driver       \"nvgpu\", \"nvidia\" or null; driver_version
  nodes        list: path, needed, present, device, owner, group, mode, openable
  gpu          power_mode {id, name}, clock {min_hz, max_hz, now_hz, governor}, elpg, railgate,
               controls (the folder of the last two)
  round_trip   chip, node, sm, sm_count, compute_class, open_ms, first_us, rounds, median_us,
               p99_us, max_us; null when none was made
  findings     list: severity (failure, warning), code, cause, cure
What could not be found out is null.

A copy for --root holds files as they stand under /, such as etc/nv_tegra_release, and nodes.txt
with the device nodes, which a copy cannot hold:
  find /dev/nvmap /dev/nvgpu /dev/nvhost* /dev/nvidia* ! -type d \\
      -exec stat -c '%a %u %g %t:%T %n' {} + > nodes.txt";

impl Doctor {
    /// Whether a dispatch works. Fails only for wrong usage.
    pub(crate) fn run(&self) -> Result<bool, String> {
        let tree = match &self.root {
            Some(root) => Tree::copy(root)?,
            None => Tree::live(),
        };
        let emulated = std::env::var(crate::EMULATED).ok().filter(|_| tree.is_live());
        let report = examine(&tree, tree.identity().as_ref(), emulated);
        if self.json {
            output::json(&report);
        } else {
            output::text(&report);
        }
        Ok(report.works)
    }
}

/// Gathers, judges, and when nothing stands in the way tries.
fn examine(tree: &Tree, who: Option<&Identity>, emulated: Option<String>) -> Report {
    let facts = Facts::gather(tree, who, emulated);
    let mut findings = judge(&facts, tree);
    let hopeful = findings.iter().all(|finding| finding.severity != Severity::Failure);
    let mut trip = None;
    if hopeful && tree.is_live() {
        match round_trip::measure() {
            Ok(measured) => trip = Some(measured),
            Err(error) => findings.insert(0, failed(&facts, &error)),
        }
    }
    Report::new(facts, trip, findings)
}

fn failed(facts: &Facts, error: &doorbell::Error) -> Finding {
    let cure = match (error, facts.driver) {
        _ if facts.machine.emulated.is_some() => "doorbell emulate --log -- doorbell doctor",
        (doorbell::Error::Unsupported { .. }, Some(Driver::Nvidia)) => "nvidia-smi",
        (doorbell::Error::Unsupported { .. }, _) => "cat /etc/nv_tegra_release",
        (_, Some(Driver::Nvidia)) => "sudo dmesg | grep -iE 'nvrm|xid' | tail",
        _ => "sudo dmesg | grep -iE 'nvgpu|nvmap' | tail",
    };
    Finding::failure("dispatch-failed", format!("The trial dispatch failed: {error}."), cure)
}
