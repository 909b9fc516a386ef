//! `doorbell compare`: the same work through this crate and through the CUDA driver.

mod contest;
mod copies;
mod cuda;
mod outputs;
mod picture;
mod report;
mod rival;
mod start_up;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use libcuda::Cuda;

use crate::bench::{
    self, CHAIN, Direct, Histogram, Interrupt, Machine, Outcome, Stop, Summary, progress,
};
use crate::output;
use contest::{How, Sides, Timed, Way, contest};
use copies::CopyRow;
use report::{Bar, Bytes, Report, Row, Table};
use rival::Rival;
pub(crate) use start_up::StartUp;

#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct Compare {
    /// How often each thing is done; large copies and whole processes less often
    #[arg(long, value_name = "N", default_value = "5000", value_parser = bench::rounds)]
    rounds: u32,
    /// Write everything to a file, as one JSON object
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the round trip of one kernel, both ways
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Both ways run the same cubins on the same GPU, in one process, in turns of 50; of each turn five
more come first that do not count. Results are compared before anything is timed, and those of chains
after every replay. The CPU spins while it waits, both ways. A ratio is this crate's time over the
CUDA driver's. Independent kernels are compared with one of them, not with the CUDA driver.

Without libcuda this crate's half runs alone.

Examples:
  doorbell compare
  doorbell compare --rounds 20000 --json compare.json --svg compare.svg";

const SEND: &str = "CPU time to send one empty kernel";
const ROUND_TRIP: &str = "one empty kernel until its end is seen";

const ONE: [Way; 6] = [
    ("doorbell: replay", How::Direct(Direct::replay_one)),
    ("doorbell: encode and submit", How::Direct(Direct::eager)),
    ("CUDA: graph, host word polled", How::Cuda(Rival::graph_polled)),
    ("CUDA: graph, synchronise", How::Cuda(Rival::graph)),
    ("CUDA: launch, host word polled", How::Cuda(Rival::launch_polled)),
    (LAUNCH_AND_SYNCHRONISE, How::Cuda(Rival::launch)),
];
const LAUNCH_AND_SYNCHRONISE: &str = "CUDA: launch, synchronise";

const MANY: [Way; 3] = [
    ("doorbell: replay", How::Direct(Direct::replay_chain)),
    ("CUDA: graph, host word polled", How::Cuda(Rival::chain_polled)),
    ("CUDA: graph, synchronise", How::Cuda(Rival::chain)),
];

const MANY_BY_GPU: [Way; 2] = [
    ("doorbell: replay", How::Direct(Direct::time_chain)),
    ("CUDA: graph between events", How::Cuda(Rival::time_chain)),
];

const MOVING: [Way; 2] = [
    ("doorbell: replay", How::Direct(Direct::time_moving)),
    ("CUDA: graph between events", How::Cuda(Rival::time_moving)),
];

const EARLY_AT_ONCE: [Way; 2] = [
    ("doorbell: replay", How::Direct(Direct::time_early)),
    ("CUDA: graph with programmatic edges", How::Cuda(Rival::time_early)),
];

const EARLY_UNSAID: [Way; 2] = [
    ("doorbell: replay", How::Direct(Direct::time_waiting)),
    ("CUDA: graph with programmatic edges", How::Cuda(Rival::time_waiting)),
];

const BESIDE: [Way; 2] = [
    ("doorbell: 64, replayed", How::Direct(Direct::replay_beside)),
    ("doorbell: one, replayed", How::Direct(Direct::replay_busy)),
];

impl Compare {
    pub(crate) fn run(&self) -> u8 {
        bench::status(self.compare())
    }

    fn compare(&self) -> Outcome<()> {
        let interrupt = Interrupt::watch()?;
        for path in [&self.json, &self.svg].into_iter().flatten() {
            // Now rather than after minutes of measuring.
            write(path, "")?;
        }
        let mut direct = Direct::new()?;
        let (cuda, version) = match Cuda::open(direct.device.info().pci.as_deref()) {
            Ok(cuda) => {
                let (major, minor) = (cuda.version / 1000, cuda.version % 1000 / 10);
                (Some(cuda), Ok(format!("driver API {major}.{minor}")))
            }
            Err(why) => {
                eprintln!(
                    "doorbell: there is no CUDA driver to compare with ({why}): measuring this crate alone"
                );
                (None, Err(why.to_string()))
            }
        };
        if let Some(cuda) = &cuda {
            progress("whether both ways compute the same");
            outputs::compare(&mut direct, cuda)?;
        }
        let rival = cuda.map(|cuda| Rival::new(cuda, &direct.cubins)).transpose()?;
        let mut sides = Sides { direct, rival };

        let one = contest("one empty kernel", &mut sides, self.rounds, &ONE, &interrupt)?;
        let many = contest("230 kernels in order", &mut sides, self.rounds, &MANY, &interrupt)?;
        let what = "230 kernels in order by the GPU's clock";
        let by_gpu = contest(what, &mut sides, self.rounds, &MANY_BY_GPU, &interrupt)?;
        let what = "230 kernels in order on changing multiprocessors";
        let moving = contest(what, &mut sides, self.rounds, &MOVING, &interrupt)?;
        let mut early = Vec::new();
        if sides.direct.can_be_early() {
            let all = [
                ("230 kernels that let the next one start at once", &EARLY_AT_ONCE),
                ("230 kernels that start early and let the next one when it may", &EARLY_UNSAID),
            ];
            for (what, ways) in all {
                early.push(contest(what, &mut sides, self.rounds, ways, &interrupt)?);
            }
        } else {
            progress("no launch starts early on this GPU: that is left out");
        }
        let what = "64 kernels that need not wait for each other";
        let beside = contest(what, &mut sides, self.rounds, &BESIDE, &interrupt)?;
        let machine = Machine::read(&sides.direct.device);
        let mut tables = vec![
            send_many(&many),
            round_trip(&one),
            chain("each of 230 kernels in order, until seen", &many, |timed| &timed.seen, 0.8),
            chain("each of 230 kernels in order, by the GPU", &by_gpu, |timed| &timed.gpu, 0.8),
            chain("the same on changing multiprocessors", &moving, |timed| &timed.gpu, 0.8),
        ];
        let names = ["the same early, next one let start at once", "the same early, nothing said"];
        for (what, timed) in names.into_iter().zip(&early) {
            tables.push(chain(what, timed, |timed| &timed.gpu, 0.9));
        }
        tables.push(independent(&beside));
        tables.push(table(SEND, &one, |timed| &timed.sent, 1));
        let largest = match (machine.emulated, sides.direct.device.info().unified_memory) {
            (true, _) => 1 << 20,
            (_, true) => 256 << 20,
            (_, false) => 1 << 30,
        };
        let copies = copies::measure(&mut sides, self.rounds, largest, &interrupt)?;
        tables.extend(starts(sides.rival.is_some(), self.rounds, &interrupt)?);
        let report = Report {
            machine,
            cuda: version,
            rounds: self.rounds,
            clock_ns: clock_ns(),
            tables,
            copy_bars: copy_bars(&copies),
            copies,
        };
        output::text(&report);
        if let Some(path) = &self.json {
            let json = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
            write(path, &(json + "\n"))?;
        }
        if let Some(path) = &self.svg {
            write(path, &picture::draw(&one)?)?;
        }
        Ok(())
    }
}

fn write(path: &Path, text: &str) -> Outcome<()> {
    fs::write(path, text)
        .map_err(|error| Stop::Failed(format!("cannot write {}: {error}", path.display())))
}

/// What two readings of the clock right behind each other are apart.
fn clock_ns() -> f64 {
    const READINGS: u32 = 100_000;
    let start = Instant::now();
    for _ in 0..READINGS {
        std::hint::black_box(Instant::now());
    }
    start.elapsed().as_nanos() as f64 / f64::from(READINGS)
}

/// A column of a table.
type Figure = fn(&Summary) -> f64;

fn table(what: &'static str, timed: &[Timed], of: fn(&Timed) -> &Histogram, parts: u32) -> Table {
    let rows = timed.iter().map(|timed| Row::new(timed, of, parts)).collect();
    Table { what, rows, bars: Vec::new() }
}

fn send_many(many: &[Timed]) -> Table {
    let mut table = table("CPU time to send 230 recorded kernels", many, |timed| &timed.sent, 1);
    let limits: [(_, Figure, _); 2] =
        [("p50", |summary| summary.p50, 15.0), ("p99", |summary| summary.p99, 10.0)];
    for (name, figure, times) in limits {
        if let Some(cuda) = table.best_cuda(figure) {
            let ratio = figure(table.ours()) / cuda;
            let promise = format!("{name} at most 1/{times} of cuGraphLaunch's");
            table.bars.push(Bar::at_most(1.0 / times, promise, ratio));
        }
    }
    table
}

fn round_trip(one: &[Timed]) -> Table {
    let mut table = table(ROUND_TRIP, one, |timed| &timed.seen, 1);
    let limits: [(_, Figure, _); 2] =
        [("p50", |summary| summary.p50, 0.75), ("p99.9", |summary| summary.p99_9, 1.0)];
    for (name, figure, limit) in limits {
        if let Some(cuda) = table.best_cuda(figure) {
            let ratio = figure(table.ours()) / cuda;
            let promise = format!("{name} at most {limit} of the CUDA driver's best");
            table.bars.push(Bar::at_most(limit, promise, ratio));
        }
    }
    if let Some(launch) = table.rows.iter().find(|row| row.way == LAUNCH_AND_SYNCHRONISE) {
        let launch = launch.summary.p50;
        // Also like with like: what is encoded anew against what is launched anew.
        for (name, row) in [("p50", 0), ("encoded anew, p50", 1)] {
            let promise = format!("{name} at most 0.45 of launch and synchronise");
            table.bars.push(Bar::at_most(0.45, promise, table.rows[row].summary.p50 / launch));
        }
    }
    table
}

fn chain(what: &'static str, timed: &[Timed], of: fn(&Timed) -> &Histogram, limit: f64) -> Table {
    let mut table = table(what, timed, of, CHAIN);
    if let Some(cuda) = table.best_cuda(|summary| summary.p50) {
        let promise = format!("p50 at most {limit} of the CUDA graph's");
        table.bars.push(Bar::at_most(limit, promise, table.ours().p50 / cuda));
    }
    table
}

fn independent(beside: &[Timed]) -> Table {
    let what = "one-block kernels of 20 us, independent";
    let mut table = table(what, beside, |timed| &timed.seen, 1);
    let promise = "p50 of 64 under 3 times that of one".to_owned();
    let ratio = table.ours().p50 / table.rows[1].summary.p50;
    table.bars.push(Bar::at_most(3.0, promise, ratio));
    table
}

const SMALL: usize = 64 << 10;

/// The worst of each direction.
fn copy_bars(copies: &[CopyRow]) -> Vec<Bar> {
    let mut bars = Vec::new();
    let promised: Vec<_> = copies.iter().filter(|row| row.promised).cloned().collect();
    for of_direction in promised.chunk_by(|a, b| a.direction == b.direction) {
        let worst = |small: bool| {
            let rows = of_direction.iter().filter(|row| (row.bytes < SMALL) == small);
            rows.filter_map(|row| Some((row.bandwidth_ratio()?, row)))
                .min_by(|a, b| a.0.total_cmp(&b.0))
        };
        if let Some((ratio, row)) = worst(false) {
            let promise = format!(
                "{}: at least 0.97 of cuMemcpyAsync's bandwidth at every size from 64 KiB, worst at {}",
                row.direction,
                Bytes(row.bytes)
            );
            bars.push(Bar::at_least(0.97, promise, ratio));
        }
        if let Some((ratio, row)) = worst(true) {
            let promise =
                format!("{}: faster below 64 KiB, worst at {}", row.direction, Bytes(row.bytes));
            bars.push(Bar::at_least(1.0, promise, ratio));
        }
    }
    bars
}

/// Whole processes, in turns.
fn starts(with_cuda: bool, rounds: u32, interrupt: &Interrupt) -> Outcome<[Table; 2]> {
    let times = (rounds / 100).clamp(1, 100);
    progress(&format!("whole processes, {times} each way"));
    let mut timed: Vec<(start_up::Way, Timed)> = Vec::new();
    let ways = [("doorbell", start_up::Way::Direct), ("CUDA", start_up::Way::Cuda)];
    for (name, way) in ways.into_iter().take(if with_cuda { 2 } else { 1 }) {
        let direct = matches!(way, start_up::Way::Direct);
        let [sent, seen, gpu] = [(); 3].map(|()| Histogram::new());
        timed.push((way, Timed { name, direct, sent, seen, gpu }));
    }
    for _ in 0..times {
        for (way, timed) in &mut timed {
            interrupt.check()?;
            let [result, whole] = start_up::measure(*way)?;
            timed.sent.add(result);
            timed.seen.add(whole);
        }
    }
    let timed: Vec<Timed> = timed.into_iter().map(|(_, timed)| timed).collect();
    let results = table("process start to first kernel's result", &timed, |t| &t.sent, 1);
    let wholes = table("process start to its end", &timed, |t| &t.seen, 1);
    Ok([results, wholes].map(|mut table| {
        if let Some(cuda) = table.best_cuda(|summary| summary.p50) {
            let promise = "p50 at most half of libcuda's".to_owned();
            table.bars.push(Bar::at_most(0.5, promise, table.ours().p50 / cuda));
        }
        table
    }))
}
