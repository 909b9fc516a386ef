//! The proof: submissions through the runtime, timed.

use std::time::{Duration, Instant};

use doorbell::{Device, Select};
use serde::Serialize;

/// What the round trips showed.
#[derive(Debug, Serialize)]
pub(crate) struct RoundTrip {
    pub(crate) chip: String,
    pub(crate) node: String,
    /// Compute capability times ten.
    pub(crate) sm: u32,
    pub(crate) sm_count: u32,
    pub(crate) compute_class: u32,
    /// Opening the device and a queue. The first open after a pause powers the GPU.
    pub(crate) open_ms: f64,
    pub(crate) first_us: f64,
    pub(crate) rounds: usize,
    pub(crate) median_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
}

/// Submits a semaphore release and waits for it, again and again.
pub(crate) fn measure() -> doorbell::Result<RoundTrip> {
    const ROUNDS: usize = 1000;
    const PATIENCE: Duration = Duration::from_secs(10);

    let begin = Instant::now();
    let device = Device::open(Select::Auto)?;
    let mut queue = device.compute_queue()?;
    let open = begin.elapsed();

    let mut round = || -> doorbell::Result<Duration> {
        let begin = Instant::now();
        queue.submit()?.wait(PATIENCE)?;
        Ok(begin.elapsed())
    };
    let first = round()?;
    let mut times = (0..ROUNDS).map(|_| round()).collect::<doorbell::Result<Vec<_>>>()?;
    times.sort_unstable();

    let us = |time: Duration| time.as_nanos() as f64 / 1e3;
    let info = device.info();
    Ok(RoundTrip {
        chip: info.chip.clone(),
        node: info.node.clone(),
        sm: info.sm,
        sm_count: info.sm_count,
        compute_class: info.compute_class,
        open_ms: us(open) / 1e3,
        first_us: us(first),
        rounds: ROUNDS,
        median_us: us(times[ROUNDS / 2]),
        p99_us: us(times[ROUNDS * 99 / 100]),
        max_us: us(times[ROUNDS - 1]),
    })
}
