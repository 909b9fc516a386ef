//! The software Orin: nvgpu and nvmap of a Jetson Orin, answered beneath the system calls.
//!
//! A program that drives an Orin through its device nodes runs here unchanged, without an Orin: the same
//! binary, down to the system call. It opens `/dev/nvmap` and `/dev/nvgpu/igpu0/ctrl`, passes ioctls, maps
//! what it gets, writes a ring entry, rings the doorbell, and sees its semaphore released.
//!
//! ```no_run
//! use emulator::{Options, run};
//!
//! let faults = run(Options::default(), |board| {
//!     // Here, and in threads started from here, the nodes exist.
//!     assert!(std::path::Path::new("/dev/nvgpu/igpu0/ctrl").exists());
//!     board.faults()
//! });
//! # let _: Result<Vec<String>, emulator::Unavailable> = faults;
//! ```
//!
//! * [`run`] lends a board to a function: for tests.
//! * [`Session`] and [`start_unless_gpu`] lend one to a program from within.
//! * [`launch`] lends one to any other program.
//!
//! # Strict
//!
//! The board answers with the real driver's rules, in its order, with its errno, and refuses what hardware
//! would refuse. What a real board lets pass although it cannot be meant is said on stderr, and kept for
//! [`Board::warnings`]; what would bring a real board down ends the program.
//!
//! # How
//!
//! [`nodes`] is the driver, [`gpu`] the hardware, both pure models of numbers and [`memory`]. The front door
//! stands before them: a seccomp filter through which the kernel shows the calls of a program to a thread
//! that answers them. What a program can notice of it:
//!
//! * It cannot gain privileges by running set-user-id programs, and `/proc/self/status` shows the filter.
//! * The nodes can be opened, tested for and asked about by path, but not listed, and their extended
//!   attributes are missing (`ls -l` shows them and grumbles); `fstat` of an open one shows a plain file or
//!   a socket.
//! * The doorbell is memory: of two rings at the same instant the first is overwritten. One ring therefore
//!   counts for every channel, and a forgotten one is noticed only while no other channel rings.
//! * The clock in the page of registers is written once per look at the doorbell: it lags by up to a
//!   millisecond when nothing happens.
//! * `fork` copies mappings that a real driver withholds from the child.
//! * A signal whose handler does not restart calls may interrupt one that a real driver would not.
//! * With [`run`] and [`Session`] the board's descriptors, two or three per open file, count against the
//!   process's limit; and a forked child that goes on after its parent has no board, but waits for it.
//! * Programs of 32 bits see no board.

mod front;
pub mod gpu;
pub mod inject;
pub mod memory;
pub mod nodes;
pub mod profile;
mod session;
pub mod sm;
pub mod va;

pub use front::launch;
pub use session::{Board, Options, Session, Unavailable, run, start_unless_gpu};
