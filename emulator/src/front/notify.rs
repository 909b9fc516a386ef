//! The kernel's side of user notification: receive a call, answer it, put a descriptor into its program.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use libc::{c_void, seccomp_notif, seccomp_notif_addfd, seccomp_notif_resp};
use nix::errno::Errno;

/// Wake the other side on this processor, as a pipe does: it is about to sleep anyway.
const SYNC_WAKE_UP: u64 = 1;

/// A system call that a filtered thread waits in.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub id: u64,
    /// The thread, as this process numbers it.
    pub thread: u32,
    pub nr: i64,
    pub args: [u64; 6],
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The kernel carries it out as if there were no filter.
    Continue,
    Value(i64),
    Error(Errno),
}

/// The descriptor at which calls arrive.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    pub fn new(fd: OwnedFd) -> Listener {
        let listener = Listener(fd);
        // Linux 6.6; a hint, so an older kernel may refuse it.
        // SAFETY: the request takes its argument by value.
        unsafe {
            libc::ioctl(listener.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP)
        };
        listener
    }

    /// The next call; none if its thread died, or was interrupted, before we came.
    pub fn receive(&self) -> nix::Result<Option<Call>> {
        // SAFETY: a plain struct of integers, for which zero is a value (and the one the kernel asks for).
        let mut notif: seccomp_notif = unsafe { std::mem::zeroed() };
        match self.ioctl(libc::SECCOMP_IOCTL_NOTIF_RECV, (&raw mut notif).cast()) {
            Ok(_) => Ok(Some(Call {
                id: notif.id,
                thread: notif.pid,
                nr: notif.data.nr.into(),
                args: notif.data.args,
            })),
            Err(Errno::ENOENT | Errno::EINTR) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Ends a call. Nothing is wrong if the program has gone meanwhile.
    pub fn answer(&self, call: &Call, answer: Answer) {
        let (val, error, flags) = match answer {
            Answer::Continue => (0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
            Answer::Value(value) => (value, 0, 0),
            Answer::Error(errno) => (0, -(errno as i32), 0),
        };
        let mut response = seccomp_notif_resp { id: call.id, val, error, flags };
        let _ = self.ioctl(libc::SECCOMP_IOCTL_NOTIF_SEND, (&raw mut response).cast());
    }

    /// Whether the call still waits: if so, its thread id has not been given to another thread.
    pub fn waits(&self, call: &Call) -> bool {
        let mut id = call.id;
        self.ioctl(libc::SECCOMP_IOCTL_NOTIF_ID_VALID, (&raw mut id).cast()).is_ok()
    }

    /// Puts a copy of `fd` at the program's lowest free number.
    pub fn add_fd(&self, call: &Call, fd: BorrowedFd<'_>, cloexec: bool) -> nix::Result<i32> {
        self.put_fd(call, fd, cloexec, 0, 0)
    }

    /// The same, and the number is the answer to the call: one step, so that no descriptor is left in a
    /// program that was interrupted between the two.
    pub fn answer_with_fd(
        &self,
        call: &Call,
        fd: BorrowedFd<'_>,
        cloexec: bool,
    ) -> nix::Result<i32> {
        self.put_fd(call, fd, cloexec, libc::SECCOMP_ADDFD_FLAG_SEND, 0)
    }

    /// Puts a copy of `fd` in the place of a descriptor of the program, which is closed by that.
    pub fn replace_fd(&self, call: &Call, old: i32, fd: BorrowedFd<'_>) -> nix::Result<i32> {
        self.put_fd(call, fd, true, libc::SECCOMP_ADDFD_FLAG_SETFD, old as u32)
    }

    fn put_fd(
        &self,
        call: &Call,
        fd: BorrowedFd<'_>,
        cloexec: bool,
        flags: libc::c_ulong,
        newfd: u32,
    ) -> nix::Result<i32> {
        let mut request = seccomp_notif_addfd {
            id: call.id,
            flags: flags as u32,
            srcfd: fd.as_raw_fd() as u32,
            newfd,
            newfd_flags: if cloexec { libc::O_CLOEXEC as u32 } else { 0 },
        };
        self.ioctl(libc::SECCOMP_IOCTL_NOTIF_ADDFD, (&raw mut request).cast())
    }

    fn ioctl(&self, request: libc::Ioctl, argument: *mut c_void) -> nix::Result<i32> {
        // SAFETY: the callers above pair each request with a pointer to the struct that it names.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), request, argument) };
        Errno::result(result)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
