//! A program under ptrace, with all its threads and children: it stops at each system call.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// A system call at its beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct SystemCall {
    pub number: i64,
    pub args: [u64; 6],
}

/// Why a thread stands still.
#[derive(Debug)]
pub(super) enum Stop {
    Enter {
        thread: Pid,
        call: SystemCall,
    },
    Leave {
        thread: Pid,
        result: i64,
    },
    /// It is no more.
    End {
        thread: Pid,
    },
}

#[derive(Debug)]
pub(super) struct Tracees {
    first: Pid,
    known: HashSet<Pid>,
    /// Stands still, and gets this signal when it goes on.
    stopped: Option<(Pid, Option<Signal>)>,
    status: u8,
}

impl Tracees {
    /// Starts the program. The error is of kind `Other` where nothing may be traced here.
    pub fn start(program: &OsStr, args: &[OsString]) -> io::Result<Tracees> {
        let mut command = Command::new(program);
        command.args(args);
        // SAFETY: between fork and exec it makes one system call and nothing else.
        unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) };
        let first = command.spawn().map_err(why_not)?;
        let first =
            Pid::from_raw(first.id().try_into().expect("the kernel's numbers are positive"));
        // What the terminal sends goes to the program as well, and it decides.
        for sent in [Signal::SIGINT, Signal::SIGQUIT] {
            // SAFETY: no handler is installed, the signal is ignored.
            unsafe { signal(sent, SigHandler::SigIgn)? };
        }
        waitpid(first, None)?;
        let follow = Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEEXEC;
        ptrace::setoptions(
            first,
            follow | Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL,
        )
        .map_err(|errno| io::Error::other(format!("cannot be traced: {}", errno.desc())))?;
        let known = HashSet::from([first]);
        Ok(Tracees { first, known, stopped: Some((first, None)), status: 0 })
    }

    /// The exit status of the program, as shells tell it.
    pub fn status(&self) -> u8 {
        self.status
    }

    /// The next stop; none when all have ended. The thread goes on at the next call of this.
    pub fn next(&mut self) -> Option<Stop> {
        loop {
            if let Some((thread, signal)) = self.stopped.take() {
                // One that has been killed meanwhile says so below.
                let _ = ptrace::syscall(thread, signal);
            }
            let status = match waitpid(None, Some(WaitPidFlag::__WALL)) {
                Err(Errno::EINTR) => continue,
                Err(_) => return None,
                Ok(status) => status,
            };
            let thread = status.pid().expect("no status without a process");
            match status {
                WaitStatus::Exited(_, code) => return Some(self.ended(thread, code)),
                WaitStatus::Signaled(_, signal, _) => {
                    return Some(self.ended(thread, 128 + signal as i32));
                }
                WaitStatus::PtraceSyscall(_) => {
                    self.stopped = Some((thread, None));
                    if let Some(stop) = at_system_call(thread) {
                        return Some(stop);
                    }
                }
                WaitStatus::Stopped(_, signal) => {
                    // A new thread begins with a stop that nobody sent. What stops a whole process stops it
                    // once more after the signal, and has no details then: there the signal is spent.
                    let begins = self.known.insert(thread) && signal == Signal::SIGSTOP;
                    let spent = ptrace::getsiginfo(thread).is_err();
                    self.stopped = Some((thread, Some(signal).filter(|_| !begins && !spent)));
                }
                _ => {
                    self.known.insert(thread);
                    self.stopped = Some((thread, None));
                }
            }
        }
    }

    fn ended(&mut self, thread: Pid, status: i32) -> Stop {
        self.known.remove(&thread);
        if thread == self.first {
            self.status = u8::try_from(status).unwrap_or(1);
        }
        Stop::End { thread }
    }
}

fn at_system_call(thread: Pid) -> Option<Stop> {
    let info = ptrace::syscall_info(thread).ok()?;
    match info.op {
        libc::PTRACE_SYSCALL_INFO_ENTRY => {
            // SAFETY: `op` says which member the kernel filled.
            let entry = unsafe { info.u.entry };
            let call = SystemCall { number: entry.nr as i64, args: entry.args };
            Some(Stop::Enter { thread, call })
        }
        libc::PTRACE_SYSCALL_INFO_EXIT => {
            // SAFETY: as above.
            let exit = unsafe { info.u.exit };
            Some(Stop::Leave { thread, result: exit.sval })
        }
        _ => None,
    }
}

/// Says of a permission that is missing whether it is that to trace.
fn why_not(error: io::Error) -> io::Error {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    match (error.raw_os_error(), scope.trim()) {
        (Some(libc::EPERM), scope @ ("2" | "3")) => io::Error::other(format!(
            "cannot be traced: the kernel forbids it (kernel.yama.ptrace_scope is {scope})"
        )),
        (Some(libc::EPERM), _) => io::Error::other("cannot be traced: the kernel forbids it"),
        _ => error,
    }
}
