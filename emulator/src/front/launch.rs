//! A program of its own, under the software Orin.
//!
//! Three processes: this one, which answers the calls; the program; and between them a nurse, which adopts
//! and reaps what the program leaves behind, so that this process may have other children and the program's
//! descendants remain its own (many systems let only an ancestor read a process's memory).

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, IoSliceMut};
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::ptr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use libc::{c_int, pid_t, rlimit, sigaction, sock_filter};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recv, recvmsg, socketpair,
};

use super::{Front, Place, filter};
use crate::session::{Options, Unavailable};

/// Runs a program, found as a shell finds it, under the software Orin: it, and whatever it starts, sees the
/// nodes of the board. Returns when the program and all its descendants have ended, with the program's own
/// status.
///
/// The program shares this process's terminal, and while it runs, interrupts that are typed there are left
/// to it. The limit on descriptors is raised for this process, which needs two for each buffer; the program
/// keeps the one it would have had.
///
/// # Errors
/// If the program cannot be started, with [`ErrorKind::NotFound`] if there is none of that name (where a
/// shell exits with 127). If the software Orin cannot, with an [`Unavailable`] inside.
pub fn launch(options: Options, program: &OsStr, args: &[OsString]) -> io::Result<ExitStatus> {
    let front = Front::start(options, Place::Elsewhere).map_err(io::Error::other)?;
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    let interrupts = Interrupts::leave_to_the_program();
    let birth = Birth {
        filter: filter::program(),
        line: theirs,
        launcher: std::process::id() as pid_t,
        interrupts: interrupts.before,
        descriptors: raise_descriptor_limit(),
    };
    let mut command = Command::new(program);
    command.args(args);
    // SAFETY: between fork and exec it makes system calls only, on memory that was there before.
    unsafe { command.pre_exec(move || birth.attend()) };
    let spawned = command.spawn();
    // Its end of the line goes, so that this end hears when the nurse's does.
    drop(command);
    let listener = receive_listener(&ours)?;
    let mut nurse = spawned.map_err(|error| match error.kind() {
        ErrorKind::NotFound => is_missing(program),
        // Also the answer when a folder of PATH may not be searched.
        ErrorKind::PermissionDenied if is_nowhere(program) => is_missing(program),
        kind => io::Error::new(kind, format!("cannot run {program:?}: {error}")),
    })?;
    front.attend(listener.ok_or(ErrorKind::UnexpectedEof)?);
    let status = receive_status(&ours);
    front.wait(None);
    nurse.wait()?;
    status
}

fn is_missing(program: &OsStr) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("cannot run {program:?}: there is no such program"))
}

fn is_nowhere(program: &OsStr) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let by_name = Path::new(program).components().count() == 1;
    by_name && !std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}

/// Everything that the new processes need, made before the fork: after it, in the child of a process with
/// threads, not even memory may be allocated.
struct Birth {
    filter: Vec<sock_filter>,
    /// Where the listener and later the program's status are sent.
    line: OwnedFd,
    launcher: pid_t,
    /// What the program is to do about interrupts.
    interrupts: [sigaction; 2],
    descriptors: Option<rlimit>,
}

impl Birth {
    /// Runs between fork and exec: becomes the nurse, and returns in the program.
    fn attend(&self) -> io::Result<()> {
        die_with_parent(self.launcher)?;
        // SAFETY: sets an attribute of this process.
        Errno::result(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })?;
        // SAFETY: takes nothing, gives a number.
        let nurse = unsafe { libc::getpid() };
        // SAFETY: this process has one thread.
        let program = Errno::result(unsafe { libc::fork() })?;
        if program != 0 {
            nurse_until_all_have_ended(program, self.line.as_raw_fd());
        }
        die_with_parent(nurse)?;
        for (signal, action) in INTERRUPTS.into_iter().zip(&self.interrupts) {
            // SAFETY: what the kernel gave back for this signal is good for it.
            unsafe { libc::sigaction(signal, action, ptr::null_mut()) };
        }
        if let Some(limit) = &self.descriptors {
            // SAFETY: `limit` is alive.
            unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) };
        }
        let listener = filter::install(&self.filter);
        let errno = listener.as_ref().map_or_else(|errno| *errno as i32, |_| 0);
        send(self.line.as_raw_fd(), errno, listener.as_ref().ok())?;
        listener.map(drop).map_err(io::Error::from)
    }
}

fn die_with_parent(parent: pid_t) -> io::Result<()> {
    // SAFETY: sets an attribute of this process; the second takes nothing and gives a number.
    unsafe {
        Errno::result(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
        if libc::getppid() != parent {
            libc::_exit(1);
        }
    }
    Ok(())
}

/// The nurse's life. It keeps nothing open but the line: a pipe of the program's must end with the program.
fn nurse_until_all_have_ended(program: pid_t, line: RawFd) -> ! {
    // SAFETY: system calls on integers and on locals. Nothing after this uses the closed descriptors.
    unsafe {
        let line = line as u32;
        if line > 0 {
            libc::syscall(libc::SYS_close_range, 0, line - 1, 0);
        }
        libc::syscall(libc::SYS_close_range, line + 1, u32::MAX, 0);
        let mut all = MaybeUninit::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut());
        loop {
            let mut status: c_int = 0;
            match libc::waitpid(-1, &raw mut status, 0) {
                -1 if Errno::last() == Errno::ECHILD => libc::_exit(0),
                child if child == program => {
                    let _ = send(line as RawFd, status, None);
                }
                _ => {}
            }
        }
    }
}

/// Sends a number, and perhaps a descriptor.
fn send(line: RawFd, number: i32, fd: Option<&OwnedFd>) -> nix::Result<()> {
    let bytes = number.to_ne_bytes();
    let mut data = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // Aligned for the header that goes into it.
    let mut control = [0u64; 4];
    // SAFETY: a plain struct of integers and pointers.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &raw mut data;
    message.msg_iovlen = 1;
    if let Some(fd) = fd {
        message.msg_control = control.as_mut_ptr().cast();
        // SAFETY: `control` has room for one header and one descriptor, and the macros stay within it.
        unsafe {
            message.msg_controllen = libc::CMSG_SPACE(size_of::<RawFd>() as u32) as _;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
            libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(fd.as_raw_fd());
        }
    }
    // SAFETY: all that `message` points to is alive.
    Errno::result(unsafe { libc::sendmsg(line, &raw const message, libc::MSG_NOSIGNAL) }).map(drop)
}

/// What the program sent before it began, if it came so far.
fn receive_listener(line: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    let mut number = [0; 4];
    let mut data = [IoSliceMut::new(&mut number)];
    let mut control = nix::cmsg_space!(RawFd);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(line.as_raw_fd(), &mut data, Some(&mut control), flags)?;
    if message.bytes == 0 {
        return Ok(None);
    }
    let fd = message.cmsgs()?.find_map(|message| match message {
        // SAFETY: the descriptor came with this message and belongs to its receiver.
        ControlMessageOwned::ScmRights(fds) => Some(unsafe { OwnedFd::from_raw_fd(*fds.first()?) }),
        _ => None,
    });
    match Errno::from_raw(i32::from_ne_bytes(number)) {
        Errno::UnknownErrno => Ok(fd),
        errno => Err(io::Error::other(Unavailable::filter(errno))),
    }
}

/// What the nurse sends when the program has ended.
fn receive_status(line: &OwnedFd) -> io::Result<ExitStatus> {
    let mut status = [0; 4];
    loop {
        match recv(line.as_raw_fd(), &mut status, MsgFlags::empty()) {
            Ok(4) => return Ok(ExitStatus::from_raw(i32::from_ne_bytes(status))),
            Ok(_) => return Err(io::Error::other("the program's parent process was killed")),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// What a terminal sends to all its processes at once.
const INTERRUPTS: [c_int; 2] = [libc::SIGINT, libc::SIGQUIT];

/// While it lives, this process ignores interrupts, as a shell does: the program decides about them.
struct Interrupts {
    before: [sigaction; 2],
}

/// How many programs run, and what interrupts did before the first.
static IGNORED: Mutex<(u32, Option<[sigaction; 2]>)> = Mutex::new((0, None));

fn ignored() -> MutexGuard<'static, (u32, Option<[sigaction; 2]>)> {
    IGNORED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Interrupts {
    fn leave_to_the_program() -> Interrupts {
        let mut ignored = ignored();
        ignored.0 += 1;
        let before = *ignored.1.get_or_insert_with(|| {
            INTERRUPTS.map(|signal| {
                // SAFETY: plain structs of integers; SIG_IGN is an action for these signals.
                unsafe {
                    let mut ignore: sigaction = MaybeUninit::zeroed().assume_init();
                    ignore.sa_sigaction = libc::SIG_IGN;
                    let mut before = ignore;
                    libc::sigaction(signal, &raw const ignore, &raw mut before);
                    before
                }
            })
        });
        Interrupts { before }
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        let mut ignored = ignored();
        ignored.0 -= 1;
        if ignored.0 == 0 {
            ignored.1 = None;
            for (signal, action) in INTERRUPTS.into_iter().zip(&self.before) {
                // SAFETY: what the kernel gave back for this signal is good for it.
                unsafe { libc::sigaction(signal, action, ptr::null_mut()) };
            }
        }
    }
}

/// Lets this process have as many descriptors as it may; returns the limit that it had at first.
fn raise_descriptor_limit() -> Option<rlimit> {
    static AT_FIRST: OnceLock<Option<rlimit>> = OnceLock::new();
    *AT_FIRST.get_or_init(|| {
        let mut limit = rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limit` is alive, and of the size that the calls take.
        unsafe {
            Errno::result(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit)).ok()?;
            let raised = rlimit { rlim_cur: limit.rlim_max, ..limit };
            Errno::result(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised)).ok()?;
        }
        Some(limit)
    })
}
