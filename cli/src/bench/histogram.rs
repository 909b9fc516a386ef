//! Durations, counted.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde::Serialize;

/// Durations in nanoseconds, to three digits.
pub(crate) struct Histogram {
    counts: hdrhistogram::Histogram<u64>,
}

/// Longer than anything that is measured; what is longer counts as this.
const LONGEST: u64 = 100_000_000_000;

/// What is reported of a histogram, in nanoseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Summary {
    pub(crate) samples: u64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p99_9: f64,
    pub(crate) max: f64,
}

impl Histogram {
    pub(crate) fn new() -> Histogram {
        // Of a fixed size: growing would disturb what is measured next.
        let counts = hdrhistogram::Histogram::new_with_max(LONGEST, 3);
        Histogram { counts: counts.expect("the bounds are allowed") }
    }

    pub(crate) fn add(&mut self, took: Duration) {
        self.counts.saturating_record(took.as_nanos() as u64);
    }

    /// The same for each of `parts` equal parts of a duration.
    pub(crate) fn summary_of_parts(&self, parts: u32) -> Summary {
        let at = |quantile| self.counts.value_at_quantile(quantile) as f64 / f64::from(parts);
        Summary {
            samples: self.counts.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: self.counts.max() as f64 / f64::from(parts),
        }
    }

    pub(crate) fn summary(&self) -> Summary {
        self.summary_of_parts(1)
    }

    /// How many samples lie from each edge to the next.
    pub(crate) fn between(&self, edges: &[u64]) -> Vec<u64> {
        edges.windows(2).map(|edge| self.counts.count_between(edge[0], edge[1] - 1)).collect()
    }

    pub(crate) fn min(&self) -> u64 {
        self.counts.min()
    }
}

/// A time in the unit that reads best.
pub(crate) struct Ns(pub(crate) f64);

impl Display for Ns {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0 {
            ns if ns < 1e3 => (ns, "ns"),
            ns if ns < 1e6 => (ns / 1e3, "us"),
            ns if ns < 1e9 => (ns / 1e6, "ms"),
            ns => (ns / 1e9, "s"),
        };
        let digits = match value {
            value if unit == "ns" || value >= 100.0 => 0,
            value if value >= 10.0 => 1,
            _ => 2,
        };
        f.pad(&format!("{value:.digits$} {unit}"))
    }
}

pub(crate) const HEADINGS: [&str; 5] = ["p50", "p90", "p99", "p99.9", "max"];

impl Summary {
    pub(crate) fn columns(&self) -> [f64; 5] {
        [self.p50, self.p90, self.p99, self.p99_9, self.max]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_known_samples() {
        let mut histogram = Histogram::new();
        for ns in 1..=1000 {
            histogram.add(Duration::from_nanos(ns));
        }
        let summary = histogram.summary();
        assert_eq!((summary.samples, summary.p50, summary.p99), (1000, 500.0, 990.0));
        assert_eq!(histogram.summary_of_parts(10).p50, 50.0);
        assert_eq!(histogram.between(&[1, 501, 1001]), [500, 500]);
        assert_eq!(histogram.min(), 1);
    }

    #[test]
    fn times_read_well() {
        let shown = [36.4, 999.0, 2_704.0, 48_100.0, 166_000.0, 2.5e9].map(|ns| Ns(ns).to_string());
        assert_eq!(shown, ["36 ns", "999 ns", "2.70 us", "48.1 us", "166 us", "2.50 s"]);
    }
}
