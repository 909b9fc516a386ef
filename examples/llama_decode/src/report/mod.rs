//! What it cost: figures, tables, traces.

mod answer;
mod bench;
mod check;
mod compare;
mod machine;
mod memory;
mod profile;
mod table;

pub use answer::Answer;
pub use bench::{Bench, Point, Speed, bench};
pub(crate) use check::HEADING as CHECKED;
pub use check::{Check, check};
pub use compare::{Compared, compare};
pub use machine::Host;
pub use memory::{HostMemory, Memory};
pub use profile::{Profile, datasheet};
pub(crate) use table::table;

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds from one token to the next, as they were seen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// The median.
    pub p50: f64,
    /// One of a hundred took longer.
    pub p99: f64,
    /// One of a thousand took longer.
    pub p99_9: f64,
    /// The longest.
    pub max: f64,
}

impl Latency {
    /// Of the times at which tokens were seen; nothing of fewer than two.
    pub fn of(seen: &[Duration]) -> Option<Latency> {
        let mut steps: Vec<f64> =
            seen.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1e3).collect();
        steps.sort_unstable_by(f64::total_cmp);
        let (last, longest) = (steps.len().checked_sub(1)?, *steps.last()?);
        let at = |quantile: f64| steps[(last as f64 * quantile).ceil() as usize];
        Some(Latency { p50: at(0.5), p99: at(0.99), p99_9: at(0.999), max: longest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_known_steps() {
        // Steps of 1, 2, ... 1000 ms, the longest first.
        let mut at = 0;
        let seen: Vec<_> = (0..=1000)
            .rev()
            .map(|step| {
                let now = at;
                at += step;
                Duration::from_millis(now)
            })
            .collect();
        let latency = Latency::of(&seen).unwrap();
        let shown = [latency.p50, latency.p99, latency.p99_9, latency.max].map(f64::round);
        assert_eq!(shown, [501.0, 991.0, 1000.0, 1000.0]);
        assert_eq!(Latency::of(&seen[..1]), None);
    }
}
