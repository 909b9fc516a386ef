//! The line that tells how it goes, on standard error, where that is a terminal.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// A line that is written over and over.
#[derive(Debug)]
pub struct Status {
    shown: bool,
    /// Nobody watches, or text would run through the line.
    silent: bool,
    next: Instant,
}

/// How often the line changes.
const PERIOD: Duration = Duration::from_millis(100);

impl Status {
    /// A line, unless standard error is no terminal or `busy`: the text goes to the same one.
    pub fn new(busy: bool) -> Status {
        Status { shown: false, silent: busy || !stderr().is_terminal(), next: Instant::now() }
    }

    /// Shows a text, if it is time for that.
    pub fn show(&mut self, text: impl FnOnce() -> String) {
        let now = Instant::now();
        if self.silent || now < self.next {
            return;
        }
        self.next = now + PERIOD;
        self.shown = true;
        // A status line that cannot be written is no reason to stop.
        let _ = write!(stderr(), "\r\x1b[K{}", text());
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
