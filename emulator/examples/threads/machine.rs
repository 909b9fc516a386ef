//! What else the machine is and does, as Linux tells it.

use std::collections::HashSet;
use std::fs::read_to_string;
use std::path::Path;
use std::time::Instant;

/// How many processors there are, and how many cores they are threads of.
pub(super) fn cores() -> String {
    let here = std::thread::available_parallelism().map_or(1, |n| n.get());
    let siblings = |n: usize| {
        let topology = Path::new("/sys/devices/system/cpu").join(format!("cpu{n}/topology"));
        read_to_string(topology.join("thread_siblings_list")).ok()
    };
    let all: Vec<String> = (0..4096).map_while(siblings).collect();
    let cores = all.iter().collect::<HashSet<_>>().len();
    match cores {
        0 => format!("{here} processors may be used; how many cores that are is not told"),
        _ => format!(
            "{here} of {} processors may be used; they are threads of {cores} cores",
            all.len()
        ),
    }
}

/// How long all processors have been busy so far, and this process alone, in ticks.
pub(super) struct Busy {
    at: Instant,
    all: Option<u64>,
    own: Option<u64>,
}

/// Ticks of `/proc` in a second: the kernel's interface to programs has had a hundred on every architecture of
/// today.
const TICKS: f64 = 100.0;

impl Busy {
    pub(super) fn now() -> Busy {
        Busy { at: Instant::now(), all: all(), own: own() }
    }

    /// How many processors others have kept busy since then, on average; and the processor time, in seconds, of this
    /// process.
    pub(super) fn since(&self) -> (Option<f64>, Option<f64>) {
        let now = Busy::now();
        let passed = |now: Option<u64>, then: Option<u64>| Some((now? - then?) as f64 / TICKS);
        let (all, own) = (passed(now.all, self.all), passed(now.own, self.own));
        let seconds = (now.at - self.at).as_secs_f64();
        (all.zip(own).map(|(all, own)| ((all - own) / seconds).max(0.0)), own)
    }
}

/// All but idle processors and such that wait for a disk; time stolen from a virtual machine included.
fn all() -> Option<u64> {
    let text = read_to_string("/proc/stat").ok()?;
    let fields: Vec<u64> =
        text.lines().next()?.split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    let [user, nice, system, _idle, _disk, interrupts, soft, stolen, ..] = fields[..] else {
        return None;
    };
    Some(user + nice + system + interrupts + soft + stolen)
}

/// In user mode and in the kernel.
fn own() -> Option<u64> {
    let text = read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may contain anything.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}
