//! What the software Orin says: lines on stderr, and the same for tests to look at.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Prints a line.
///
/// By one write of its own, past the lock that the standard library has for stderr: a program in this
/// process may hold that lock while it waits for the supervisor's answer.
pub fn say(text: &str) {
    let line = format!("software Orin: {text}\n");
    // SAFETY: `line` is alive, and its length is given. Nothing is lost but words if it fails.
    unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) };
}

/// What happened on a board so far.
#[derive(Debug, Default)]
pub struct Record {
    log: bool,
    quiet_faults: bool,
    ioctls: AtomicU64,
    faults: Mutex<Vec<String>>,
    warnings: Mutex<Vec<String>>,
    calls: Mutex<Vec<String>>,
}

impl Record {
    pub fn new(log: bool, quiet_faults: bool) -> Record {
        Record { log, quiet_faults, ..Record::default() }
    }

    pub fn count_ioctl(&self) {
        self.ioctls.fetch_add(1, Ordering::Relaxed);
    }

    pub fn ioctls(&self) -> u64 {
        self.ioctls.load(Ordering::Relaxed)
    }

    /// A call was answered. The line is made only if someone wants it.
    pub fn call(&self, line: impl FnOnce() -> String) {
        if self.log {
            let line = line();
            say(&line);
            add(&self.calls, line);
        }
    }

    pub fn calls(&self) -> Vec<String> {
        all(&self.calls)
    }

    /// The GPU stopped a group of channels.
    pub fn fault(&self, report: String) {
        if !self.quiet_faults {
            say(&report);
        }
        add(&self.faults, report);
    }

    pub fn faults(&self) -> Vec<String> {
        all(&self.faults)
    }

    /// The program did what a real board lets pass, and what is yet a mistake.
    pub fn warning(&self, text: String) {
        say(&text);
        add(&self.warnings, text);
    }

    pub fn warnings(&self) -> Vec<String> {
        all(&self.warnings)
    }
}

fn add(list: &Mutex<Vec<String>>, line: String) {
    list.lock().expect("a list of lines is never left half changed").push(line);
}

fn all(list: &Mutex<Vec<String>>) -> Vec<String> {
    list.lock().expect("a list of lines is never left half changed").clone()
}
