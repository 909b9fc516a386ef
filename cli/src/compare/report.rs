//! What the comparison says, and whether it is what this crate promises.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::contest::Timed;
use super::copies::CopyRow;
use crate::bench::{HEADINGS, Histogram, Machine, Ns, Summary};

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// By its version, or why it is not compared with.
    pub(crate) cuda: Result<String, String>,
    pub(crate) rounds: u32,
    /// What reading the CPU's clock costs, in nanoseconds; it is in every figure.
    pub(crate) clock_ns: f64,
    pub(crate) tables: Vec<Table>,
    pub(crate) copies: Vec<CopyRow>,
    pub(crate) copy_bars: Vec<Bar>,
}

/// All in nanoseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    pub(crate) what: &'static str,
    pub(crate) rows: Vec<Row>,
    pub(crate) bars: Vec<Bar>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) way: &'static str,
    pub(crate) direct: bool,
    #[serde(flatten)]
    pub(crate) summary: Summary,
}

/// A promise, and what came of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Bar {
    promise: String,
    ratio: f64,
    met: bool,
}

impl Bar {
    pub(crate) fn at_most(limit: f64, promise: String, ratio: f64) -> Bar {
        Bar { promise, ratio, met: ratio <= limit }
    }

    pub(crate) fn at_least(limit: f64, promise: String, ratio: f64) -> Bar {
        Bar { promise, ratio, met: ratio >= limit }
    }
}

impl Row {
    pub(crate) fn new(timed: &Timed, of: fn(&Timed) -> &Histogram, parts: u32) -> Row {
        let summary = of(timed).summary_of_parts(parts);
        Row { way: timed.name, direct: timed.direct, summary }
    }
}

impl Table {
    /// The first row is this crate's best way.
    pub(crate) fn ours(&self) -> &Summary {
        &self.rows[0].summary
    }

    /// The smallest figure of the CUDA driver's ways, if there are any.
    pub(crate) fn best_cuda(&self, figure: fn(&Summary) -> f64) -> Option<f64> {
        let theirs = self.rows.iter().filter(|row| !row.direct);
        theirs.map(|row| figure(&row.summary)).min_by(f64::total_cmp)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.machine)?;
        match &self.cuda {
            Ok(version) => writeln!(f, "CUDA       {version}")?,
            Err(why) => writeln!(f, "CUDA       not compared with: {why}")?,
        }
        writeln!(f, "rounds     {}; reading the clock takes {:.0} ns", self.rounds, self.clock_ns)?;
        for table in &self.tables {
            table.fmt(f)?;
        }
        if !self.copies.is_empty() {
            writeln!(
                f,
                "\n{:<44}{:>10}{:>10}{:>10}{:>10}",
                "copies, p50", "samples", "doorbell", "CUDA", "bandwidth"
            )?;
        }
        for row in &self.copies {
            let name = format!("{} {}", Bytes(row.bytes), row.direction);
            write!(f, "  {name:<42}{:>10}{:>10}", row.samples, Ns(row.direct_p50))?;
            if let (Some(cuda), Some(ratio)) = (row.cuda_p50, row.bandwidth_ratio()) {
                write!(f, "{:>10}{ratio:>10.3}", Ns(cuda))?;
            }
            writeln!(f)?;
        }
        bars(f, &self.copy_bars)
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "\n{:<44}", self.what)?;
        for heading in HEADINGS {
            write!(f, "{heading:>10}")?;
        }
        writeln!(f, "{:>12}", "ratio p50")?;
        for row in &self.rows {
            write!(f, "  {:<42}", row.way)?;
            for value in row.summary.columns() {
                write!(f, "{:>10}", Ns(value))?;
            }
            if row.direct {
                writeln!(f)?;
            } else {
                writeln!(f, "{:>12.3}", self.ours().p50 / row.summary.p50)?;
            }
        }
        bars(f, &self.bars)
    }
}

fn bars(f: &mut Formatter<'_>, bars: &[Bar]) -> fmt::Result {
    bars.iter().try_for_each(|bar| {
        let verdict = if bar.met { "met   " } else { "MISSED" };
        writeln!(f, "  {verdict} {}: {:.3}", bar.promise, bar.ratio)
    })
}

/// The largest unit that divides it.
pub(crate) struct Bytes(pub(crate) usize);

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes % (1 << 30) == 0 => write!(f, "{} GiB", bytes >> 30),
            bytes if bytes % (1 << 20) == 0 => write!(f, "{} MiB", bytes >> 20),
            bytes => write!(f, "{} KiB", bytes >> 10),
        }
    }
}
