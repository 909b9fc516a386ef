//! The two sides of a call: the program that makes it, and what it gets back.

use std::fmt;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;

use crate::memory::Memory;

/// An open file of the board. Descriptors that a program duplicated are one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub(crate) u64);

/// What a descriptor number of a program stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// Nothing is open there.
    Bad,
    /// A file that has nothing to do with the board.
    Foreign,
    /// A file of the board.
    Ours(FileId),
}

/// A piece of a file of the board that a program has mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// The program's addresses.
    pub addresses: Range<u64>,
    /// What is mapped there.
    pub file: FileId,
}

/// A descriptor ready to be given to a program, and how the supervisor notices that its last copy closed.
#[derive(Debug)]
pub struct Handoff {
    /// The open file it stands for.
    pub file: FileId,
    /// To be put into the program.
    pub fd: OwnedFd,
    /// How to notice that the program let go of it.
    pub watch: Watch,
}

/// How the supervisor notices that nothing refers to an open file any more.
#[derive(Debug)]
pub enum Watch {
    /// The file is a memfd.
    Memory(Arc<Memory>),
    /// The file is one end of a socket pair and this is the other, which then hangs up.
    Peer(OwnedFd),
}

/// The program that made a call.
pub trait Caller {
    /// The thread-group leader.
    fn process(&self) -> u32;

    /// Reads the program's memory; EFAULT unless all of it can be read.
    fn read(&mut self, addr: u64, out: &mut [u8]) -> Result<(), Errno>;

    /// Writes the program's memory; EFAULT unless all of it can be written.
    fn write(&mut self, addr: u64, data: &[u8]) -> Result<(), Errno>;

    /// What a descriptor number stands for.
    fn resolve(&mut self, fd: i32) -> Resolved;

    /// Puts a descriptor into the program, at the lowest free number; EMFILE when there is none.
    fn install(&mut self, handoff: Handoff, cloexec: bool) -> Result<i32, Errno>;

    /// Closes a descriptor of the program, as NVMAP_IOC_FREE does with one that is a dmabuf.
    fn close(&mut self, fd: i32);

    /// Whether the program has no descriptor number left. The driver takes one before it looks at the
    /// arguments of a call that opens something.
    fn full(&mut self) -> bool {
        false
    }

    /// `O_RDONLY`, `O_WRONLY` or `O_RDWR`, whichever the descriptor was opened with.
    fn access_mode(&mut self, _fd: i32) -> i32 {
        libc::O_RDWR
    }

    /// What the program has mapped of the board's files.
    fn mappings(&mut self) -> Vec<Mapped>;
}

/// Why a call did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The driver refuses it.
    Errno(Errno),
    /// On a real board the kernel would crash, hang, or leak for good. The program must not go on as if
    /// nothing had happened: print this and end it.
    Trap(String),
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Refusal {
        Refusal::Errno(errno)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Errno(errno) => write!(f, "{errno}"),
            Refusal::Trap(message) => f.write_str(message),
        }
    }
}

/// What an ioctl returns: 0, except where the driver leaks the count of bytes that it could not copy.
pub type Answer = Result<i32, Refusal>;
