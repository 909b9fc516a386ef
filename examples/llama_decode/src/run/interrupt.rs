//! Ctrl-C: noticed, so that what runs on the GPU can end first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

use super::{Error, Result};
use crate::status;

/// What shells give programs that Ctrl-C ended.
pub const INTERRUPTED: u8 = 130;

/// Whether the user has asked for an end.
#[derive(Debug, Clone)]
pub struct Interrupt {
    seen: Arc<AtomicBool>,
}

impl Interrupt {
    /// One that never comes.
    pub fn never() -> Interrupt {
        Interrupt { seen: Arc::default() }
    }

    /// Watches for Ctrl-C and for SIGTERM. A second one ends the program at once.
    pub fn watch() -> Result<Interrupt> {
        let interrupt = Interrupt::never();
        for signal in [SIGINT, SIGTERM] {
            let seen = || interrupt.seen.clone();
            let again = seen();
            let give_back = move || {
                if again.load(Ordering::Relaxed) {
                    status::give_back();
                }
            };
            // SAFETY: it looks at two flags and writes some bytes.
            unsafe { signal_hook::low_level::register(signal, give_back) }
                .and_then(|_| {
                    let status = INTERRUPTED.into();
                    signal_hook::flag::register_conditional_shutdown(signal, status, seen())
                })
                .and_then(|_| signal_hook::flag::register(signal, seen()))
                .map_err(|error| Error::request(format!("cannot watch for Ctrl-C: {error}")))?;
        }
        Ok(interrupt)
    }

    /// Asks for an end, as Ctrl-C does.
    pub fn raise(&self) {
        self.seen.store(true, Ordering::Relaxed);
    }

    /// Whether it has come.
    pub fn seen(&self) -> bool {
        self.seen.load(Ordering::Relaxed)
    }

    /// Forgets it: a chat goes on after an answer was cut short.
    pub fn clear(&self) {
        self.seen.store(false, Ordering::Relaxed);
    }
}
