//! Why a measurement ends early.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

#[derive(Debug)]
pub(crate) enum Stop {
    Failed(String),
    /// The user pressed Ctrl-C.
    Interrupted,
}

pub(crate) type Outcome<T> = Result<T, Stop>;

impl From<doorbell::Error> for Stop {
    fn from(error: doorbell::Error) -> Stop {
        Stop::Failed(error.to_string())
    }
}

impl From<libcuda::Error> for Stop {
    fn from(error: libcuda::Error) -> Stop {
        Stop::Failed(error.to_string())
    }
}

impl From<String> for Stop {
    fn from(message: String) -> Stop {
        Stop::Failed(message)
    }
}

/// What shells give programs that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// The exit status, after one sentence for the user.
pub(crate) fn status(outcome: Outcome<()>) -> u8 {
    match outcome {
        Ok(()) => 0,
        Err(Stop::Failed(message)) => crate::fail(&message, 1),
        Err(Stop::Interrupted) => crate::fail("interrupted: nothing is reported", INTERRUPTED),
    }
}

/// Notices Ctrl-C, so that what runs on the GPU can end first.
pub(crate) struct Interrupt {
    seen: Arc<AtomicBool>,
}

impl Interrupt {
    pub(crate) fn watch() -> Outcome<Interrupt> {
        let seen = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // The second one ends the program at once, in case the first cannot.
            signal_hook::flag::register_conditional_shutdown(
                signal,
                INTERRUPTED.into(),
                seen.clone(),
            )
            .and_then(|_| signal_hook::flag::register(signal, seen.clone()))
            .map_err(|error| Stop::Failed(format!("cannot watch for Ctrl-C: {error}")))?;
        }
        Ok(Interrupt { seen })
    }

    pub(crate) fn check(&self) -> Outcome<()> {
        if self.seen.load(Ordering::Relaxed) { Err(Stop::Interrupted) } else { Ok(()) }
    }
}
