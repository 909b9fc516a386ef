//! The only file that opens, maps and calls into the kernel.

use std::ffi::CString;
use std::fmt;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::ptr::NonNull;
use std::time::Duration;

use ioctl_defs::{Argument, Request};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use nix::sys::stat::Mode;
use nix::time::{ClockId, clock_gettime};

use crate::error::{Error, Result};

/// An open device file and the name it goes by in errors.
pub(crate) struct Node {
    fd: OwnedFd,
    name: String,
    hint: Hint,
}

/// Turns a refused call into its likely cause and cure. Each driver knows its own causes.
pub(crate) type Hint = fn(call: &str, node: &str, errno: Errno) -> String;

impl Node {
    /// Opens a device node for reading and writing.
    pub(crate) fn open(path: &str, hint: Hint) -> Result<Node> {
        // O_SYNC is what NVIDIA's own libraries pass to nvmap: it asks for mappings that follow
        // the cache attribute of each handle.
        let flags = OFlag::O_RDWR | OFlag::O_SYNC | OFlag::O_CLOEXEC;
        match open(path, flags, Mode::empty()) {
            Ok(fd) => Ok(Node { fd, name: path.to_owned(), hint }),
            Err(errno) => Err(refused("open", path, errno, hint)),
        }
    }

    /// Takes over a descriptor that an ioctl on this node returned.
    ///
    /// # Safety
    /// `fd` must be open and owned by nobody else.
    pub(crate) unsafe fn adopt(&self, fd: RawFd, name: &str) -> Node {
        // SAFETY: the caller hands over a fresh descriptor.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Node { fd, name: name.to_owned(), hint: self.hint }
    }

    /// The name that errors use.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Issues one ioctl. The request's type guarantees that the driver reads and writes exactly
    /// `A`; where `A` holds addresses, the caller keeps what lies there alive and to itself.
    pub(crate) fn call<A: Argument>(&self, request: Request<A>, args: &mut A) -> Result<()> {
        // SAFETY: `args` is a live, exclusive `A`, and `request` encodes the size of `A`, which
        // is all that the driver touches.
        unsafe { self.raw(request.name(), request.number(), std::ptr::from_mut(args) as usize) }
    }

    /// Issues an ioctl whose third argument is a plain number.
    ///
    /// # Safety
    /// Where the driver takes `arg` for an address, it must be valid for what the driver does
    /// with it.
    pub(crate) unsafe fn raw(&self, name: &'static str, number: u32, arg: usize) -> Result<()> {
        loop {
            // The request's type differs between C libraries: unsigned long in glibc, int in musl.
            // SAFETY: the caller vouches for `arg`; the descriptor is ours and open.
            let status = unsafe { libc::ioctl(self.fd.as_raw_fd(), number as _, arg) };
            if status >= 0 {
                tracing::trace!(node = %self.name, call = name, "ioctl");
                return Ok(());
            }
            let errno = Errno::last();
            // A signal may arrive while the driver sleeps; every call here can be repeated.
            if errno != Errno::EINTR {
                tracing::debug!(node = %self.name, call = name, %errno, "ioctl refused");
                return Err(self.refused(name, errno));
            }
        }
    }

    /// Another descriptor of the same open file, never 0.
    pub(crate) fn duplicate(&self) -> Result<Node> {
        match fcntl(self.fd.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(3)) {
            // SAFETY: a fresh duplicate that nobody else owns.
            Ok(fd) => Ok(unsafe { self.adopt(fd, &self.name) }),
            Err(errno) => Err(self.refused("fcntl", errno)),
        }
    }

    /// Maps `len` bytes of the file's start, shared with the driver.
    pub(crate) fn map(&self, len: u64) -> Result<Mapping> {
        Mapping::new(self.fd.as_fd(), len).map_err(|errno| self.refused("mmap", errno))
    }

    /// The error for a refused call on this node.
    pub(crate) fn refused(&self, call: &'static str, errno: Errno) -> Error {
        refused(call, &self.name, errno, self.hint)
    }
}

impl AsFd for Node {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Node {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl From<Node> for OwnedFd {
    fn from(node: Node) -> OwnedFd {
        node.fd
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (fd {})", self.name, self.fd.as_raw_fd())
    }
}

/// The error for a refused call.
pub(crate) fn refused(call: &'static str, node: &str, errno: Errno, hint: Hint) -> Error {
    Error::Ioctl { call, node: node.to_owned(), errno: errno as i32, hint: hint(call, node, errno) }
}

/// Memory that the process shares with a driver or with the GPU; unmapped when dropped.
///
/// Nobody may form a reference into it: the other side writes whenever it likes. It is reached
/// through raw pointers with volatile or atomic accesses.
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: NonZeroUsize,
}

// SAFETY: a mapping is plain shared memory that outlives any thread; it is only reached through
// volatile and atomic accesses.
unsafe impl Send for Mapping {}
// SAFETY: as above; nothing in it is borrowed.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of a file.
    pub(crate) fn new(fd: BorrowedFd<'_>, len: u64) -> Result<Mapping, Errno> {
        let len = usize::try_from(len).ok().and_then(NonZeroUsize::new).ok_or(Errno::EINVAL)?;
        let prot = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: the kernel chooses the place, so no existing mapping is replaced.
        let start = unsafe { mmap(None, len, prot, MapFlags::MAP_SHARED, fd, 0)? };
        Ok(Mapping { start: start.cast(), len })
    }

    /// Sets addresses aside: nothing lies behind them, and nobody else in the process gets them.
    /// `EEXIST` where something is there already.
    pub(crate) fn reserve(start: u64, len: u64) -> Result<Mapping, Errno> {
        let start = usize::try_from(start).ok().and_then(NonZeroUsize::new).ok_or(Errno::EINVAL)?;
        let len = usize::try_from(len).ok().and_then(NonZeroUsize::new).ok_or(Errno::EINVAL)?;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE | MapFlags::MAP_FIXED_NOREPLACE;
        // SAFETY: the flag makes the kernel refuse to replace an existing mapping.
        let got = unsafe { mmap_anonymous(Some(start), len, ProtFlags::PROT_NONE, flags)? };
        let mapping = Mapping { start: got.cast(), len };
        // Kernels before 4.17 take the flag for a hint.
        if mapping.start.addr() != start { Err(Errno::EEXIST) } else { Ok(mapping) }
    }

    /// Zeroed memory of this process alone, in whole pages.
    pub(crate) fn anonymous(len: u64) -> Result<Mapping, Errno> {
        let len = usize::try_from(len).ok().and_then(NonZeroUsize::new).ok_or(Errno::EINVAL)?;
        let prot = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_POPULATE;
        // SAFETY: the kernel chooses the place, so no existing mapping is replaced.
        let start = unsafe { mmap_anonymous(None, len, prot, flags)? };
        Ok(Mapping { start: start.cast(), len })
    }

    /// Puts the first `len` bytes of a file in the place of what was mapped here.
    pub(crate) fn replace(&mut self, fd: BorrowedFd<'_>, len: u64) -> Result<(), Errno> {
        let len = usize::try_from(len).ok().and_then(NonZeroUsize::new).ok_or(Errno::EINVAL)?;
        if len > self.len {
            return Err(Errno::EINVAL);
        }
        let prot = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
        // SAFETY: the range lies inside this mapping, which is borrowed exclusively.
        unsafe { mmap(Some(self.start.addr()), len, prot, flags, fd, 0)? };
        Ok(())
    }

    /// The first byte.
    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Asks for all pages now, while nobody else uses the memory: a driver that inserts them one
    /// fault at a time would otherwise charge the first submissions some microseconds for each.
    pub(crate) fn populate(&self) {
        /// From Linux 5.14, and not for every kind of mapping.
        const MADV_POPULATE_WRITE: i32 = 23;
        // SAFETY: the range is exactly this mapping; populating changes no contents.
        let status = unsafe {
            libc::madvise(self.start.as_ptr().cast(), self.len.get(), MADV_POPULATE_WRITE)
        };
        if status == 0 {
            return;
        }
        for offset in (0..self.len.get()).step_by(PAGE as usize) {
            // SAFETY: inside the mapping; nobody else uses the memory, so that writing back what was
            // read changes nothing.
            unsafe {
                let at = self.start.as_ptr().add(offset);
                at.write_volatile(at.read_volatile());
            }
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is the mapping that `new` made, and nobody holds a reference into it.
        if let Err(errno) = unsafe { munmap(self.start.cast(), self.len.get()) } {
            tracing::warn!(%errno, len = self.len, "munmap failed");
        }
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mapping of {} bytes at {:p}", self.len, self.start)
    }
}

/// Whether a path exists, whoever may open it.
pub(crate) fn exists(path: &str) -> bool {
    let Ok(path) = CString::new(path) else { return false };
    // SAFETY: `path` is a terminated string that outlives the call.
    unsafe { libc::access(path.as_ptr(), libc::F_OK) == 0 }
}

/// Opens what others write, behind what they have written so far; reading never blocks.
pub(crate) fn open_at_end(path: &str) -> io::Result<File> {
    let mut file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub(crate) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux has this clock");
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}

/// How many descriptors one sleep can watch.
pub(crate) const MAX_WATCHED: usize = 16;

/// Sleeps until one of `fds` has something to tell, at most `timeout`.
pub(crate) fn wait_readable<'a>(fds: impl Iterator<Item = BorrowedFd<'a>>, timeout: Duration) {
    let nobody = libc::pollfd { fd: -1, events: 0, revents: 0 };
    let mut watched = [nobody; MAX_WATCHED];
    for (place, fd) in watched.iter_mut().zip(fds) {
        *place =
            libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN | libc::POLLPRI, revents: 0 };
    }
    let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX).max(1);
    // SAFETY: `watched` is an array of that length; negative descriptors are skipped. A signal
    // counts as a wake-up: the caller looks at memory again in any case.
    unsafe { libc::poll(watched.as_mut_ptr(), watched.len() as libc::nfds_t, timeout) };
    for event in watched.iter().filter(|event| event.revents & libc::POLLIN != 0) {
        // The drivers clear an event when poll reports it and have no read; the software Orin wants
        // one, and does not block.
        let mut count = [0u8; 8];
        // SAFETY: `count` is eight writable bytes, and the descriptor, just reported readable,
        // is borrowed by the caller for the whole call.
        unsafe { libc::read(event.fd, count.as_mut_ptr().cast(), count.len()) };
    }
}

/// The size of a page, the unit in which drivers hand out memory.
pub(crate) const PAGE: u64 = 4096;

/// `len` rounded up to whole pages.
pub(crate) fn whole_pages(len: u64) -> Option<u64> {
    len.checked_next_multiple_of(PAGE)
}
