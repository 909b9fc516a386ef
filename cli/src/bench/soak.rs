//! `doorbell bench soak`: the same again and again, for as long as wanted.

use std::fs;
use std::time::{Duration, Instant};

use clap::Args;

use super::{CHAIN, Direct, Interrupt, Outcome, Sample, Stop};
use crate::output;

#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct Soak {
    /// How long, in seconds
    #[arg(long, value_name = "N", default_value = "600", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

const AFTER_HELP: &str = "\
Replays chains of 230 kernels, on one multiprocessor and on changing ones, independent kernels, single
kernels recorded and encoded anew, and copies. Every chain's result is checked after every replay.
Every 30 seconds, and at the end, one line tells how many there were, and how much memory and how many
open files the process has. It fails if either has grown since the first second.

Examples:
  doorbell bench soak
  doorbell bench soak --seconds 10";

/// Between two lines.
const LINE: Duration = Duration::from_secs(30);
/// Until memory and files are what they must stay.
const WARM_UP: Duration = Duration::from_secs(1);
/// What the process's memory may grow by: pages that libraries first touch later.
const SLACK_KIB: u64 = 1024;

/// What the process has.
struct Held {
    resident_kib: u64,
    files: usize,
}

impl Held {
    fn now() -> Outcome<Held> {
        let failed = |error: std::io::Error| {
            Stop::Failed(format!("cannot tell what the process holds: {error}"))
        };
        let status = fs::read_to_string("/proc/self/status").map_err(failed)?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = resident.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        let files = fs::read_dir("/proc/self/fd").map_err(failed)?.count();
        Ok(Held { resident_kib: number.unwrap_or(0), files })
    }
}

impl Soak {
    pub(crate) fn run(&self) -> Outcome<()> {
        let interrupt = Interrupt::watch()?;
        let mut direct = Direct::new()?;
        let mut ways: Vec<fn(&mut Direct) -> Outcome<Sample>> = vec![
            Direct::time_moving,
            Direct::replay_chain,
            Direct::time_chain,
            Direct::replay_beside,
            Direct::replay_one,
            Direct::eager,
        ];
        if direct.can_be_early() {
            ways.extend([Direct::time_early, Direct::time_waiting]);
        } else {
            super::progress("no launch starts early on this GPU: that is left out");
        }
        let (start, long) = (Instant::now(), Duration::from_secs(self.seconds));
        let mut first = None;
        let (mut rounds, mut next) = (0u64, LINE);
        loop {
            interrupt.check()?;
            for way in &ways {
                way(&mut direct)?;
            }
            rounds += 1;
            let passed = start.elapsed();
            if first.is_none() && passed >= WARM_UP.min(long) {
                first = Some(Held::now()?);
            }
            if passed >= next.min(long) {
                let held = Held::now()?;
                output::text(&format_args!(
                    "{:>6} s{:>12} rounds{:>14} replays of {CHAIN} kernels{:>10} KiB{:>5} files\n",
                    passed.as_secs(),
                    rounds,
                    rounds * (ways.len() as u64 - 3),
                    held.resident_kib,
                    held.files
                ));
                let grown = first.as_ref().is_some_and(|first| {
                    held.resident_kib > first.resident_kib + SLACK_KIB || held.files > first.files
                });
                if grown {
                    return Err(Stop::Failed("the process has grown since its start".to_owned()));
                }
                next += LINE;
            }
            if passed >= long {
                return Ok(());
            }
        }
    }
}
