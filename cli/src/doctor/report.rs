//! What doctor prints: a short page, or JSON.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::facts::{Clock, Driver, Facts, NodeFact};
use super::findings::{Finding, Severity};
use super::round_trip::RoundTrip;

/// The whole result. Its JSON form is described in `doorbell doctor --help`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Raised when a field changes its meaning or goes away; new fields do not raise it.
    pub(crate) schema: u32,
    /// Whether a dispatch works; what the exit status says.
    pub(crate) works: bool,
    #[serde(flatten)]
    pub(crate) facts: Facts,
    /// Null when it was not tried or failed.
    pub(crate) round_trip: Option<RoundTrip>,
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn new(
        facts: Facts,
        round_trip: Option<RoundTrip>,
        findings: Vec<Finding>,
    ) -> Report {
        let works = findings.iter().all(|finding| finding.severity != Severity::Failure);
        Report { schema: 1, works, facts, round_trip, findings }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut line = |label: &str, parts: Vec<Option<String>>| -> fmt::Result {
            let parts: Vec<_> = parts.into_iter().flatten().collect();
            if parts.is_empty() { Ok(()) } else { writeln!(f, "{label:<12}{}", parts.join(", ")) }
        };
        let Facts { machine, user, gpu, .. } = &self.facts;

        line(
            "software",
            vec![machine.emulated.as_ref().map(|board| format!("Orin, board {board}"))],
        )?;
        let container = machine.container.then(|| "in a container".to_owned());
        line("machine", vec![machine.model.clone(), memory(&self.facts), container])?;
        let l4t = machine.l4t.as_ref().map(|l4t| match &machine.jetpack {
            Some(jetpack) => format!("L4T {l4t} (JetPack {jetpack})"),
            None => format!("L4T {l4t}"),
        });
        let kernel = machine.kernel.as_ref().map(|kernel| format!("Linux {kernel}"));
        line("release", vec![l4t, kernel])?;
        line("driver", vec![driver(&self.facts)])?;
        line("CUDA", vec![machine.libcuda.as_ref().map(|path| format!("{path} (not needed)"))])?;
        let mode = gpu.power_mode.as_ref().map(|mode| match &mode.name {
            Some(name) => format!("{name} (mode {})", mode.id),
            None => format!("mode {}", mode.id),
        });
        line("power mode", vec![mode])?;
        let switch = |what: &str, on: Option<bool>| {
            on.map(|on| format!("{what} {}", if on { "on" } else { "off" }))
        };
        let gating = switch("engine power gating", gpu.elpg);
        let idle = switch("power-off when idle", gpu.railgate);
        line("GPU clock", vec![gpu.clock.as_ref().map(clock), gating, idle])?;
        line(
            "user",
            vec![user.as_ref().map(|user| {
                let name = user.name.clone().unwrap_or_else(|| user.uid.to_string());
                format!("{name} (groups: {})", user.groups.join(", "))
            })],
        )?;
        line(
            "open files",
            vec![machine.open_files.map(|files| match files {
                u64::MAX => "no limit".to_owned(),
                files => format!("up to {files}"),
            })],
        )?;

        self.nodes(f)?;
        if let Some(trip) = &self.round_trip {
            writeln!(f)?;
            write!(f, "{trip}")?;
        }
        for finding in &self.findings {
            let word = match finding.severity {
                Severity::Failure => "failure",
                Severity::Warning => "warning",
            };
            writeln!(f, "\n{word}: {}\n   cure: {}", finding.cause, finding.cure)?;
        }
        writeln!(f)?;
        let verdict = match (self.works, self.round_trip.is_some()) {
            (true, true) => "A dispatch works here.",
            (true, false) => "A dispatch should work there; none was tried.",
            (false, _) => "A dispatch does not work here.",
        };
        writeln!(f, "{verdict}")
    }
}

impl Report {
    fn nodes(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.facts.nodes.is_empty() {
            return Ok(());
        }
        writeln!(f)?;
        for node in &self.facts.nodes {
            let needed = if node.needed { "" } else { " (not needed)" };
            writeln!(f, "{:<26}{}{needed}", node.path, state(node))?;
        }
        Ok(())
    }
}

fn state(node: &NodeFact) -> String {
    if !node.present {
        return "missing".to_owned();
    }
    if !node.device {
        return "not a device node".to_owned();
    }
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let owner = format!("{}:{}", text(&node.owner), text(&node.group));
    let opens = if node.openable { "may be opened" } else { "may NOT be opened" };
    format!("{owner:<14}{}  {opens}", text(&node.mode))
}

fn memory(facts: &Facts) -> Option<String> {
    let gib = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
    let total = gib(facts.machine.memory_bytes?);
    Some(match facts.machine.memory_available_bytes {
        Some(available) => format!("{total:.1} GiB memory ({:.1} available)", gib(available)),
        None => format!("{total:.1} GiB memory"),
    })
}

fn driver(facts: &Facts) -> Option<String> {
    Some(match (facts.driver?, &facts.driver_version) {
        (Driver::Nvidia, Some(version)) => format!("nvidia {version}"),
        (Driver::Nvidia, None) => "nvidia".to_owned(),
        (Driver::Nvgpu, _) => "nvgpu".to_owned(),
    })
}

fn clock(clock: &Clock) -> String {
    let mhz = |hz: u64| hz / 1_000_000;
    let mut text = if clock.min_hz == clock.max_hz {
        format!("fixed at {} MHz", mhz(clock.max_hz))
    } else {
        format!("{} to {} MHz", mhz(clock.min_hz), mhz(clock.max_hz))
    };
    if let Some(now) = clock.now_hz {
        text += &format!(", now {}", mhz(now));
    }
    if let Some(governor) = &clock.governor {
        text += &format!(" ({governor})");
    }
    text
}

impl Display for RoundTrip {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let RoundTrip { chip, sm, sm_count, compute_class, open_ms, first_us, .. } = self;
        writeln!(
            f,
            "GPU         {chip}, sm_{sm}, {sm_count} SMs, compute class {compute_class:04x}"
        )?;
        writeln!(
            f,
            "round trip  {:.1} us from submit to seen: median of {} (p99 {:.1}, max {:.1}; first {first_us:.1}; opened in {open_ms:.1} ms)",
            self.median_us, self.rounds, self.p99_us, self.max_us,
        )
    }
}
