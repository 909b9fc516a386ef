//! The front door: how the calls of a program reach the model, and how the model runs beside it.
//!
//! A program's thread gets a seccomp filter ([`filter`]); from then on the kernel stops it in the calls
//! that may concern the board and tells the [`supervisor`], which answers from the model or tells the
//! kernel to go on. Nothing else of a program changes: its mappings are real mappings of memfds, its
//! descriptors real descriptors. The GPU is a second thread ([`engine`]) that watches the doorbells.
//!
//! Both threads stand outside the filter, and share the [`Machine`] under one lock.

mod closings;
mod doorbells;
mod engine;
mod existence;
mod filter;
mod launch;
mod notify;
mod program;
mod report;
mod supervisor;

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};

use crate::gpu::{Event, Gpu};
use crate::nodes::{FileId, Nodes};
use crate::session::{Options, Unavailable};
use closings::Closings;
use doorbells::Doorbells;
pub use launch::launch;
pub use report::{Record, say};
use supervisor::Supervisor;

/// The board: its driver, its GPU, and the doorbells between program and GPU.
#[derive(Debug)]
struct Machine {
    nodes: Nodes,
    gpu: Gpu,
    doorbells: Doorbells,
}

impl Machine {
    /// Passes on what the GPU has done, and what there is to say, if there is still a program to hear it: of
    /// one that was killed in a call the driver thinks that it passed a bad pointer.
    fn settle(&mut self, record: &Record, heard: impl FnOnce() -> bool) {
        for event in self.gpu.take_events() {
            match &event {
                Event::Fault { report, .. } => record.fault(report.clone()),
                Event::Notice { text, .. } => record.warning(text.clone()),
                Event::NonStallInterrupt { .. } => {}
            }
            self.nodes.deliver(event);
        }
        let warnings = self.nodes.take_warnings();
        if !warnings.is_empty() && heard() {
            warnings.into_iter().for_each(|warning| record.warning(warning));
        }
    }

    /// Lets the GPU look at the doorbells.
    fn look(&mut self, record: &Record) {
        self.doorbells.look(&mut self.gpu, record);
    }

    /// Ends an open file of the program's. What it rang before that still counts.
    fn close(&mut self, file: FileId, record: &Record) {
        self.look(record);
        self.nodes.closed(&mut self.gpu, file);
    }
}

/// What the two threads and the program's handle share.
#[derive(Debug)]
pub struct Shared {
    machine: Mutex<Machine>,
    /// How many wait for the machine. The GPU's thread, which would take it again at once, lets them
    /// go first.
    callers: AtomicU32,
    stop: AtomicBool,
    pub record: Record,
}

impl Shared {
    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.callers.fetch_add(1, Ordering::Relaxed);
        let machine = self.machine.lock();
        self.callers.fetch_sub(1, Ordering::Relaxed);
        machine.expect("the GPU's thread has not panicked")
    }

    /// The machine for the GPU's thread; none when the supervisor has panicked over it.
    fn machine_for_gpu(&self) -> Option<MutexGuard<'_, Machine>> {
        while self.callers.load(Ordering::Relaxed) > 0 {
            thread::yield_now();
        }
        self.machine.lock().ok()
    }
}

/// The two threads of a board. They end when the last filtered thread has.
#[derive(Debug)]
pub struct Front {
    shared: Arc<Shared>,
    listener: Sender<OwnedFd>,
    ended: Receiver<()>,
    supervisor: JoinHandle<()>,
    engine: JoinHandle<()>,
}

/// Whose program a board serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Threads of this process, and what they fork.
    Here,
    /// Another process and its descendants.
    Elsewhere,
}

impl Front {
    /// Starts the threads, which then wait for a filter.
    fn start(options: Options, place: Place) -> Result<Front, Unavailable> {
        program::check_access().map_err(Unavailable::memory)?;
        let Options { profile, inject, log, quiet_faults, caches, races, seed, threads } = options;
        let mut gpu = Gpu::new();
        if caches {
            gpu.model_caches();
        }
        if races {
            gpu.detect_races();
        }
        if let Some(seed) = seed {
            gpu.shake(seed);
        }
        if let Some(threads) = threads {
            gpu.set_threads(threads);
        }
        let nodes = Nodes::new(profile, inject);
        let machine = Machine { nodes, gpu, doorbells: Doorbells::default() };
        let shared = Arc::new(Shared {
            machine: Mutex::new(machine),
            callers: AtomicU32::new(0),
            stop: AtomicBool::new(false),
            record: Record::new(log, quiet_faults),
        });
        let closings = Closings::new().map_err(|errno| Unavailable::resources(errno.into()))?;
        let engine = {
            let shared = Arc::clone(&shared);
            spawn("orin-gpu", place, move || engine::run(&shared))?
        };
        let (listener, arrives) = channel();
        let (ends, ended) = channel();
        let supervisor = {
            let (shared, gpu) = (Arc::clone(&shared), engine.thread().clone());
            spawn("orin-driver", place, move || {
                // Dropped last, also in a panic.
                let _ends: Sender<()> = ends;
                Supervisor::new(shared, closings, gpu, place).run(&arrives);
            })?
        };
        Ok(Front { shared, listener, ended, supervisor, engine })
    }

    /// The board in this process: filters the calling thread.
    pub fn start_here(options: Options) -> Result<Front, Unavailable> {
        let front = Front::start(options, Place::Here)?;
        keep_the_allocator_from_opening_files();
        let filter = filter::program();
        front.attend(filter::install(&filter).map_err(Unavailable::filter)?);
        Ok(front)
    }

    fn attend(&self, listener: OwnedFd) {
        // A supervisor that has panicked says so itself, and the calls of the program get ENOSYS.
        let _ = self.listener.send(listener);
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Waits until the board is no longer in use, or for this long.
    ///
    /// # Panics
    /// If the model did: a fault of its own must not pass as a success of the program's.
    pub fn wait(self, patience: Option<Duration>) {
        if let Some(patience) = patience {
            if self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
        let supervisor = self.supervisor.join();
        // The supervisor's panic may come of the GPU's, not the other way round.
        if let Err(panic) = self.engine.join().and(supervisor) {
            std::panic::resume_unwind(panic);
        }
    }
}

/// When glibc's allocator first gives back the end of a thread's heap, it opens a file while it holds the
/// heap's lock. In a filtered thread that call waits for the supervisor, which may wait for that lock. So the
/// ends of heaps stay, as far as possible, for this process's life.
fn keep_the_allocator_from_opening_files() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a limit of the allocator, which does its own locking.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}

fn spawn(
    name: &str,
    place: Place,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, Unavailable> {
    let body = move || {
        leave_signals_to_the_program();
        let _guard = (place == Place::Elsewhere).then_some(AbortOnPanic);
        body();
    };
    thread::Builder::new().name(name.to_owned()).spawn(body).map_err(Unavailable::resources)
}

/// A handler of the program's must not run on a thread of the emulator's, where its calls would reach the
/// machine beneath. Signals that the emulator's own code raises stay.
fn leave_signals_to_the_program() {
    let mut signals = SigSet::all();
    for own in [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE] {
        signals.remove(own);
    }
    // Only an unknown first argument makes it fail.
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&signals), None);
}

/// A launched program would wait forever for a board whose threads have panicked; it dies with this process.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            say("that was a fault of its own; the program cannot go on");
            std::process::abort();
        }
    }
}
