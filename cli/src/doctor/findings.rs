//! Judgement: what stands in the way, what costs time, and the command that cures each.

use serde::Serialize;

use super::facts::{Driver, Facts, NVGPU_POWER, NodeFact};
use super::tree::Tree;

/// One thing that is wrong: a sentence of cause, a command that cures it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// For programs: stays the same when the sentence is reworded.
    pub(crate) code: &'static str,
    pub(crate) cause: String,
    pub(crate) cure: String,
}

/// Whether a dispatch can work nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    Failure,
    Warning,
}

impl Finding {
    pub(crate) fn failure(
        code: &'static str,
        cause: impl Into<String>,
        cure: impl Into<String>,
    ) -> Finding {
        Finding { severity: Severity::Failure, code, cause: cause.into(), cure: cure.into() }
    }

    fn warning(code: &'static str, cause: impl Into<String>, cure: impl Into<String>) -> Finding {
        Finding { severity: Severity::Warning, code, cause: cause.into(), cure: cure.into() }
    }
}

/// How to go on without hardware.
const EMULATE: &str = "doorbell emulate -- PROGRAM";

/// Everything worth saying about these facts, failures first.
pub(crate) fn judge(facts: &Facts, tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(match facts.driver {
        None => Some(no_node(facts)),
        Some(driver) => blocked(facts, driver, tree),
    });
    findings.extend(old_release(facts));
    findings.extend(limits(facts));
    if facts.driver == Some(Driver::Nvgpu) && facts.machine.emulated.is_none() {
        findings.extend(latency(facts));
    }
    findings
}

fn no_node(facts: &Facts) -> Finding {
    let (code, cause) = if facts.machine.container {
        (
            "container-without-nodes",
            "This container has no NVIDIA device node: its host has none or did not pass it in.",
        )
    } else {
        ("no-gpu", "This machine has no NVIDIA device node.")
    };
    let way =
        "The software Orin runs programs without one; try `doorbell emulate -- doorbell doctor`.";
    Finding::failure(code, format!("{cause} {way}"), EMULATE)
}

/// What keeps this user from opening the nodes that the runtime needs.
fn blocked(facts: &Facts, driver: Driver, tree: &Tree) -> Option<Finding> {
    let needed = || facts.nodes.iter().filter(|node| node.needed);
    let missing: Vec<_> = needed().filter(|node| !node.present).collect();
    if !missing.is_empty() {
        return Some(missing_nodes(facts, driver, tree, &missing));
    }
    if let Some(node) = needed().find(|node| !node.device) {
        return Some(Finding::failure(
            "not-a-device",
            format!("{} is not a device node, though it stands in one's place.", node.path),
            if facts.machine.container {
                format!("docker run --device {} IMAGE", node.path)
            } else {
                format!("sudo rm -r {} && sudo reboot", node.path)
            },
        ));
    }
    let closed: Vec<_> = needed().filter(|node| !node.openable).collect();
    (!closed.is_empty()).then(|| no_permission(facts, &closed))
}

fn missing_nodes(facts: &Facts, driver: Driver, tree: &Tree, missing: &[&NodeFact]) -> Finding {
    let paths: Vec<_> = missing.iter().map(|node| node.path.as_str()).collect();
    let (host, cure) = match driver {
        Driver::Nvgpu => {
            ("on a Jetson", format!("docker run --device {} IMAGE", paths.join(" --device ")))
        }
        Driver::Nvidia => ("beside an NVIDIA GPU", "docker run --gpus all IMAGE".to_owned()),
    };
    let paths = paths.join(" and ");
    if facts.machine.container {
        let cause = format!("This container runs {host} but was started without {paths}.");
        return Finding::failure("container-without-nodes", cause, cure);
    }
    match driver {
        Driver::Nvidia => Finding::failure(
            "nodes-missing",
            format!("The NVIDIA driver has not made {paths}."),
            "sudo nvidia-modprobe -u -c 0",
        ),
        Driver::Nvgpu if tree.node(NVGPU_POWER).is_some() => Finding::failure(
            "gpu-never-powered",
            "The GPU has not been powered since boot, and its driver makes the other nodes only then.",
            format!("echo 1 | sudo tee {NVGPU_POWER}"),
        ),
        Driver::Nvgpu => Finding::failure(
            "driver-not-loaded",
            format!("This is a Jetson but {paths} is missing: its driver is not loaded."),
            "sudo modprobe nvgpu",
        ),
    }
}

fn no_permission(facts: &Facts, closed: &[&NodeFact]) -> Finding {
    let user = facts.user.as_ref();
    let name = user.and_then(|user| user.name.clone());
    let who = match (&name, user) {
        (Some(name), _) => format!("User {name}"),
        (None, Some(user)) => format!("User {}", user.uid),
        (None, None) => "This user".to_owned(),
    };
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let described: Vec<_> = closed
        .iter()
        .map(|node| {
            let (owner, group, mode) = (text(&node.owner), text(&node.group), text(&node.mode));
            format!("{} ({owner}:{group} {mode})", node.path)
        })
        .collect();
    let cause = format!("{who} may not open {}", described.join(" and "));

    if let Some(node) = closed.iter().find(|node| !node.group_may) {
        return Finding::failure(
            "no-permission",
            format!("{cause}, and neither may its group."),
            format!("sudo chmod g+rw {}", node.path),
        );
    }
    let mut groups: Vec<_> = closed.iter().map(|node| text(&node.group)).collect();
    groups.dedup();
    if facts.machine.container {
        let mut gids: Vec<_> = closed.iter().map(|node| node.gid).collect();
        gids.dedup();
        let adds: Vec<_> = gids.iter().map(|gid| format!("--group-add {gid}")).collect();
        return Finding::failure(
            "no-permission",
            format!("{cause}."),
            format!("docker run {} ... IMAGE", adds.join(" ")),
        );
    }
    if closed.iter().all(|node| node.openable_after_login) {
        return Finding::failure(
            "login-again",
            format!("{cause}; the groups are right but this session began before they were."),
            "su - $USER",
        );
    }
    Finding::failure(
        "no-permission",
        format!("{cause}."),
        format!("sudo usermod -aG {} $USER   # then log in again", groups.join(",")),
    )
}

/// A driver whose calls have another form: groups of channels are opened with 8 bytes there, with 24
/// from L4T R36 on.
fn old_release(facts: &Facts) -> Option<Finding> {
    let l4t = facts.machine.l4t.as_ref().filter(|_| facts.driver == Some(Driver::Nvgpu))?;
    let major: u32 = l4t.split('.').next()?.parse().ok()?;
    (major < 36).then(|| {
        Finding::failure(
            "old-release",
            format!("The GPU driver of L4T {l4t} has calls of an older form; this program speaks that of L4T 36 (JetPack 6)."),
            "sdkmanager   # installs JetPack 6, from another computer",
        )
    })
}

/// Descriptors and memory that any program of some size needs.
fn limits(facts: &Facts) -> Vec<Finding> {
    const FEW_FILES: u64 = 256;
    const LITTLE_MEMORY: u64 = 256 << 20;
    let mut findings = Vec::new();
    if let Some(files) = facts.machine.open_files.filter(|files| *files < FEW_FILES) {
        findings.push(Finding::warning(
            "few-files",
            format!("A process may open only {files} files, and each queue holds several."),
            "sudo prlimit --pid $$ --nofile=4096",
        ));
    }
    if let Some(bytes) = facts.machine.memory_available_bytes.filter(|bytes| *bytes < LITTLE_MEMORY)
    {
        findings.push(Finding::warning(
            "little-memory",
            format!("Only {} MiB of memory are left, and GPU buffers come out of it.", bytes >> 20),
            "ps aux --sort=-rss | head",
        ));
    }
    findings
}

/// What makes dispatches slower or less even than the board allows.
fn latency(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let (Some(true), Some(controls)) = (facts.gpu.elpg, &facts.gpu.controls) {
        findings.push(Finding::warning(
            "elpg-on",
            "Engine power gating is on: after a pause the GPU wakes first, so latencies fall into two groups.",
            format!("echo 0 | sudo tee {controls}/elpg_enable"),
        ));
    }
    if let Some(clock) = facts.gpu.clock.as_ref().filter(|clock| clock.min_hz < clock.max_hz) {
        findings.push(Finding::warning(
            "clock-varies",
            format!(
                "The GPU's clock moves between {} and {} MHz with its load, and latencies with it.",
                clock.min_hz / 1_000_000,
                clock.max_hz / 1_000_000
            ),
            "sudo jetson_clocks",
        ));
    }
    if let Some(mode) = &facts.gpu.power_mode {
        if let Some(unlimited) = mode.unlimited.filter(|unlimited| *unlimited != mode.id) {
            let name = mode.name.clone().unwrap_or_else(|| mode.id.to_string());
            findings.push(Finding::warning(
                "power-mode",
                format!("Power mode {name} limits clocks and may switch part of the GPU off."),
                format!("sudo nvpmodel -m {unlimited}"),
            ));
        }
    }
    findings
}
