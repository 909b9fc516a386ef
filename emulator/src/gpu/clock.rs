//! The GPU's nanosecond clock.

use std::time::{Instant, SystemTime};

/// The clock moves in steps of this many nanoseconds: it is fed by a 31.25 MHz oscillator.
const STEP: u64 = 32;

/// A PTIMER: set to the time of day once, then monotonic.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    epoch: u64,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock { started: Instant::now(), epoch: time_of_day() }
    }

    pub(crate) fn now(&self) -> u64 {
        (self.epoch + self.started.elapsed().as_nanos() as u64) / STEP * STEP
    }
}

/// Nanoseconds since 1970.
pub(crate) fn time_of_day() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |past| past.as_nanos() as u64)
}
