//! Running code under the software Orin.

use std::error::Error;
use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;

use crate::front::{Front, Shared, say};
use crate::inject::Injector;
use crate::profile::Profile;

/// What board it is to be, and what it is to say.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The board.
    pub profile: Profile,
    /// Faults to strike.
    pub inject: Injector,
    /// Print one line per call on stderr.
    pub log: bool,
    /// Do not print the reports of faults: a test that causes them reads [`Board::faults`].
    pub quiet_faults: bool,
    /// Model caches that stay stale and stores that others do not see yet: what lacks an invalidate, a
    /// membar or a flush then reads old bytes in every run. Off by default, for kernels run slower.
    pub caches: bool,
    /// Look for accesses of kernels to shared and global memory that nothing orders, and warn of them:
    /// [`Board::warnings`]. Off by default, for kernels run much slower.
    pub races: bool,
    /// Let engines, channels, blocks and warps take turns in an order that this seed decides.
    pub seed: Option<u64>,
    /// On how many threads the blocks of a kernel run; as many as the machine has processors if not said.
    pub threads: Option<NonZero<usize>>,
}

/// A software Orin that runs.
#[derive(Clone, Debug)]
pub struct Board {
    inject: Injector,
    shared: Arc<Shared>,
}

impl Board {
    /// Where faults can be added.
    pub fn injector(&self) -> &Injector {
        &self.inject
    }

    /// How many ioctls it has answered.
    pub fn ioctls(&self) -> u64 {
        self.shared.record.ioctls()
    }

    /// What the GPU died of, one sentence per death.
    pub fn faults(&self) -> Vec<String> {
        self.shared.record.faults()
    }

    /// What a real board would have let pass, and what is a mistake all the same.
    pub fn warnings(&self) -> Vec<String> {
        self.shared.record.warnings()
    }

    /// The calls, one line each, if the options asked for a log.
    pub fn log(&self) -> Vec<String> {
        self.shared.record.calls()
    }
}

/// Why there is no software Orin: one sentence.
#[derive(Debug)]
pub struct Unavailable {
    reason: String,
    source: io::Error,
}

impl Unavailable {
    fn new(reason: impl Into<String>, source: impl Into<io::Error>) -> Unavailable {
        Unavailable { reason: reason.into(), source: source.into() }
    }

    /// The filter could not be installed.
    pub(crate) fn filter(errno: Errno) -> Unavailable {
        let reason = match errno {
            Errno::EBUSY => {
                "this thread already runs under a software Orin, or another program that listens to \
                 its system calls; run it on a thread of its own"
            }
            _ => {
                "the kernel refuses a seccomp filter with user notification; containers may forbid it \
                 (for Docker: --security-opt seccomp=unconfined), and Linux before 5.14 lacks it"
            }
        };
        Unavailable::new(reason, errno)
    }

    /// Memory of processes cannot be reached.
    pub(crate) fn memory(errno: Errno) -> Unavailable {
        let reason = "the kernel refuses to read a program's memory (process_vm_readv); containers may \
                      forbid it (for Docker: --cap-add SYS_PTRACE)";
        Unavailable::new(reason, errno)
    }

    /// This process has too much of something.
    pub(crate) fn resources(error: io::Error) -> Unavailable {
        Unavailable::new("threads and descriptors for it cannot be had", error)
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no software Orin here: {} ({})", self.reason, self.source)
    }
}

impl Error for Unavailable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// How long a board may take to notice that its last thread has ended.
const END: Duration = Duration::from_millis(200);

/// Runs `body` on a new thread for which the software Orin answers, and for the threads and processes that
/// it starts.
///
/// A thread can be filtered once in its life, which is why `body` gets one of its own. The board lasts as
/// long as any of these threads; for a thread that `body` leaves behind it goes on after the return.
///
/// # Panics
/// If `body` does, or the model does.
pub fn run<R: Send>(
    options: Options,
    body: impl FnOnce(&Board) -> R + Send,
) -> Result<R, Unavailable> {
    let inject = options.inject.clone();
    let name = thread::current().name().unwrap_or("program").to_owned();
    let started = thread::scope(|scope| {
        let filtered = thread::Builder::new().name(name).spawn_scoped(scope, || {
            let front = Front::start_here(options)?;
            let result = body(&Board { inject, shared: Arc::clone(front.shared()) });
            Ok((front, result))
        });
        let filtered = filtered.map_err(Unavailable::resources)?;
        filtered.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let (front, result) = started?;
    front.wait(Some(END));
    Ok(result)
}

/// The software Orin for the rest of a program's life.
#[derive(Debug)]
pub struct Session {
    board: Board,
}

impl Session {
    /// Filters the calling thread, and threads and processes that it starts later: for a program's main().
    /// There is no way back, so the board outlives this handle.
    pub fn start(options: Options) -> Result<Session, Unavailable> {
        let inject = options.inject.clone();
        let front = Front::start_here(options)?;
        Ok(Session { board: Board { inject, shared: Arc::clone(front.shared()) } })
    }

    /// The board.
    pub fn board(&self) -> &Board {
        &self.board
    }
}

/// The nodes that doorbell drives: nvgpu's by their two names, and the RM driver's.
const GPU_NODES: [&str; 3] = ["/dev/nvgpu/igpu0/ctrl", "/dev/nvhost-ctrl-gpu", "/dev/nvidiactl"];

/// Starts a [`Session`] if this machine has no GPU that doorbell can open, and says so in one line on
/// stderr. None if there is a GPU; none, too, with another line, if there can be no software Orin.
pub fn start_unless_gpu() -> Option<Session> {
    let opens = |node: &str| OpenOptions::new().read(true).write(true).open(node).is_ok();
    if GPU_NODES.iter().any(|node| opens(node)) {
        return None;
    }
    match Session::start(Options::default()) {
        Ok(session) => {
            say("answers here, as this machine has no GPU of NVIDIA's that can be opened");
            Some(session)
        }
        Err(unavailable) => {
            say(&unavailable.to_string());
            None
        }
    }
}
