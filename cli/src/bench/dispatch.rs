//! `doorbell bench dispatch`.

use std::fmt::{self, Display, Formatter};

use clap::Args;
use serde::Serialize;

use super::{CHAIN, Direct, HEADINGS, Histogram, Interrupt, Machine, Ns, Outcome, Sample, Summary};
use crate::output;

#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct Dispatch {
    /// How often each thing is done
    #[arg(long, value_name = "N", default_value = "10000", value_parser = super::rounds)]
    rounds: u32,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
\"sent\" is CPU time until the doorbell has rung, \"seen\" ends when the CPU sees that the GPU is done.
The CPU spins meanwhile.

Examples:
  doorbell bench dispatch
  doorbell bench dispatch --rounds 100000 --json
  doorbell emulate -- doorbell bench dispatch --rounds 10";

#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    rounds: u32,
    /// All in nanoseconds.
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    what: String,
    #[serde(flatten)]
    summary: Summary,
}

/// How often each thing is done before it counts.
const WARM_UP: u32 = 100;

/// What is done, and how.
type Way = (&'static str, fn(&mut Direct) -> Outcome<Sample>);

const WAYS: [Way; 4] = [
    ("nothing", Direct::nothing),
    ("an empty kernel, encoded anew", Direct::eager),
    ("an empty kernel, replayed", Direct::replay_one),
    ("230 kernels, replayed", Direct::replay_chain),
];

impl Dispatch {
    pub(crate) fn run(&self) -> Outcome<()> {
        let interrupt = Interrupt::watch()?;
        let mut direct = Direct::new()?;
        let mut rows = Vec::new();
        let mut row = |what: String, summary| rows.push(Row { what, summary });
        for (what, run) in WAYS {
            let [sent, seen, _] = self.measure(what, run, &mut direct, &interrupt)?;
            row(format!("{what}: sent"), sent.summary());
            row(format!("{what}: seen"), seen.summary());
        }
        let what = "230 kernels by the GPU's clock";
        let [_, _, gpu] = self.measure(what, Direct::time_chain, &mut direct, &interrupt)?;
        row(format!("{what}: each"), gpu.summary_of_parts(CHAIN));
        let report = Report { machine: Machine::read(&direct.device), rounds: self.rounds, rows };
        if self.json {
            output::json(&report);
        } else {
            output::text(&report);
        }
        Ok(())
    }

    fn measure(
        &self,
        what: &str,
        run: fn(&mut Direct) -> Outcome<Sample>,
        direct: &mut Direct,
        interrupt: &Interrupt,
    ) -> Outcome<[Histogram; 3]> {
        super::progress(&format!("{what}, {} times", self.rounds));
        for _ in 0..WARM_UP.min(self.rounds) {
            interrupt.check()?;
            run(direct)?;
        }
        let [mut sent, mut seen, mut gpu] = [(); 3].map(|()| Histogram::new());
        for _ in 0..self.rounds {
            interrupt.check()?;
            let sample = run(direct)?;
            sent.add(sample.sent);
            seen.add(sample.seen);
            if let Some(time) = sample.gpu {
                gpu.add(time);
            }
        }
        Ok([sent, seen, gpu])
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{} rounds", self.machine, self.rounds)?;
        write!(f, "{:<38}", "")?;
        for heading in HEADINGS {
            write!(f, "{heading:>10}")?;
        }
        writeln!(f)?;
        for row in &self.rows {
            write!(f, "{:<38}", row.what)?;
            for value in row.summary.columns() {
                write!(f, "{:>10}", Ns(value))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
