//! The thread that answers the program's calls.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::thread::Thread;

use ioctl_defs::nvgpu::channel::NVGPU_IOCTL_CHANNEL_SETUP_BIND;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::closings::Closings;
use super::existence;
use super::notify::{Answer, Call, Listener};
use super::program::Program;
use super::{Place, Shared, say};
use crate::nodes::{Caller, Nodes, Refusal, Resolved};

/// Requests that the kernel itself answers for any file, before its driver sees them: close-on-exec on and
/// off, non-blocking, asynchronous, size.
const GENERIC_REQUESTS: [u32; 5] = [
    libc::FIOCLEX as u32,
    libc::FIONCLEX as u32,
    libc::FIONBIO as u32,
    libc::FIOASYNC as u32,
    FIOQSIZE,
];
const FIOQSIZE: u32 = 0x5460;

#[derive(Debug)]
pub struct Supervisor {
    shared: Arc<Shared>,
    closings: Closings,
    engine: Thread,
    place: Place,
    /// A process that has called.
    process: u32,
}

impl Supervisor {
    pub fn new(
        shared: Arc<Shared>,
        closings: Closings,
        engine: Thread,
        place: Place,
    ) -> Supervisor {
        Supervisor { shared, closings, engine, place, process: std::process::id() }
    }

    /// Answers calls until no filtered thread is left.
    pub fn run(mut self, listener: &Receiver<OwnedFd>) {
        // There is none if the filter was refused.
        if let Ok(listener) = listener.recv() {
            let listener = Listener::new(listener);
            while self.turn(&listener) {}
        }
    }

    /// Waits for a call or for something to be closed. False when there will be no more calls.
    fn turn(&mut self, listener: &Listener) -> bool {
        let patience = self.closings.patience().map_or(PollTimeout::NONE, |patience| {
            patience.try_into().expect("a millisecond is a timeout")
        });
        let mut fds = [
            PollFd::new(listener.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.closings.as_fd(), PollFlags::POLLIN),
        ];
        if let Err(error) = poll(&mut fds, patience) {
            assert_eq!(error, Errno::EINTR, "poll of two descriptors of our own");
        }
        let calls = fds[0].revents().unwrap_or(PollFlags::empty());
        if !calls.contains(PollFlags::POLLIN) {
            self.drain();
            return !calls.contains(PollFlags::POLLHUP);
        }
        if let Some(call) = listener.receive().expect("the listener is open") {
            // Whatever the program has closed, it closed before this call.
            self.drain();
            self.answer(listener, &call);
        }
        true
    }

    fn drain(&mut self) {
        let closed = self.closings.drain();
        if closed.is_empty() {
            return;
        }
        let record = &self.shared.record;
        let machine = &mut *self.shared.machine();
        for file in closed {
            machine.close(file, record);
        }
        machine.doorbells.follow(&machine.nodes, &machine.gpu);
        machine.settle(record, || true);
    }

    fn answer(&mut self, listener: &Listener, call: &Call) {
        let answer = match call.nr {
            // Most calls are about something else, and all are while the program has nothing of ours.
            libc::SYS_ioctl | libc::SYS_mmap if self.closings.is_empty() => Answer::Continue,
            libc::SYS_ioctl => self.ioctl(listener, call),
            libc::SYS_mmap => self.mmap(listener, call),
            _ => match self.path(listener, call) {
                Some(path) if is_open(call.nr) => return self.open(listener, call, &path),
                Some(path) => self.test(listener, call, &path),
                None => Answer::Continue,
            },
        };
        listener.answer(call, answer);
    }

    fn program<'a>(&'a mut self, listener: &'a Listener, call: &'a Call) -> Program<'a> {
        let here = self.place == Place::Here;
        Program::new(call, listener, &mut self.closings, self.process, here)
    }

    /// The path of the board that a call is about.
    fn path(&mut self, listener: &Listener, call: &Call) -> Option<String> {
        let (directory, path) = match call.nr {
            #[cfg(target_arch = "x86_64")]
            libc::SYS_open | libc::SYS_stat | libc::SYS_lstat | libc::SYS_access => {
                (libc::AT_FDCWD, call.args[0])
            }
            _ => (call.args[0] as i32, call.args[1]),
        };
        let path = self.program(listener, call).device_path(directory, path);
        path.filter(|path| Nodes::is_node(path))
    }

    fn test(&mut self, listener: &Listener, call: &Call, path: &str) -> Answer {
        if !self.shared.machine().nodes.exists(path) {
            return Answer::Error(Errno::ENOENT);
        }
        match existence::answer(&mut self.program(listener, call), call, path) {
            Ok(()) => Answer::Value(0),
            Err(errno) => Answer::Error(errno),
        }
    }

    fn open(&mut self, listener: &Listener, call: &Call, path: &str) {
        let shared = Arc::clone(&self.shared);
        let mut program = self.program(listener, call);
        let opened = program.open_flags().and_then(|flags| {
            let machine = &mut *shared.machine();
            let opened = machine.nodes.open(&mut machine.gpu, &mut program, path, flags);
            machine.settle(&shared.record, || listener.waits(call));
            machine.doorbells.follow(&machine.nodes, &machine.gpu);
            Ok((opened?, flags & libc::O_CLOEXEC != 0))
        });
        // If the program is not there to take the descriptor, the file closes as it would with it.
        let result = opened.and_then(|(handoff, cloexec)| {
            // There may be a doorbell now where there was none.
            self.engine.unpark();
            let fd = self.closings.watch(handoff)?;
            listener.answer_with_fd(call, fd.as_fd(), cloexec)
        });
        if let Err(errno) = result {
            listener.answer(call, Answer::Error(errno));
        }
        self.shared.record.call(|| match result {
            Ok(fd) => format!("[{}] open({path}) = {fd}", call.thread),
            Err(errno) => format!("[{}] open({path}) = {errno:?}", call.thread),
        });
    }

    fn ioctl(&mut self, listener: &Listener, call: &Call) -> Answer {
        let [fd, request, arg, ..] = call.args;
        let (fd, request) = (fd as i32, request as u32);
        let shared = Arc::clone(&self.shared);
        let mut program = self.program(listener, call);
        let file = match program.resolve(fd) {
            Resolved::Ours(file) if !GENERIC_REQUESTS.contains(&request) => file,
            _ => return Answer::Continue,
        };
        let result = {
            let machine = &mut *shared.machine();
            let gpu = &mut machine.gpu;
            let result = machine.nodes.ioctl(gpu, &mut program, file, request, arg);
            if request == NVGPU_IOCTL_CHANNEL_SETUP_BIND.number() {
                machine.doorbells.look_for_channels();
            }
            machine.settle(&shared.record, || listener.waits(call));
            result
        };
        let (process, installed) = (program.process(), program.installed);
        self.process = process;
        shared.record.count_ioctl();
        shared.record.call(|| {
            let name = ioctl_defs::lookup(request)
                .map_or_else(|| format!("ioctl {request:#010x}"), |entry| entry.name.to_owned());
            let result = match &result {
                Ok(value) => value.to_string(),
                Err(Refusal::Errno(errno)) => format!("{errno:?}"),
                Err(Refusal::Trap(_)) => "the end of the program".to_owned(),
            };
            let gives = installed.iter().map(|fd| format!(", gives {fd}"));
            format!("[{}] {name}({fd}) = {result}{}", call.thread, gives.collect::<String>())
        });
        match result {
            Ok(value) => Answer::Value(value.into()),
            Err(Refusal::Errno(errno)) => Answer::Error(errno),
            Err(Refusal::Trap(message)) => end_program(process, &message),
        }
    }

    fn mmap(&mut self, listener: &Listener, call: &Call) -> Answer {
        let [_, len, prot, flags, fd, offset] = call.args;
        let (prot, flags, fd) = (prot as i32, flags as i32, fd as i32);
        let shared = Arc::clone(&self.shared);
        let mut program = self.program(listener, call);
        let Resolved::Ours(file) = program.resolve(fd) else { return Answer::Continue };
        let result = {
            let machine = &mut *shared.machine();
            let gpu = &mut machine.gpu;
            let result = machine.nodes.mmap(gpu, &mut program, file, len, prot, flags, offset);
            machine.settle(&shared.record, || listener.waits(call));
            result
        };
        shared.record.call(|| {
            let result =
                result.map_or_else(|errno| format!("{errno:?}"), |()| "allowed".to_owned());
            format!("[{}] mmap({fd}, {len} bytes at {offset:#x}) = {result}", call.thread)
        });
        result.map_or_else(Answer::Error, |()| Answer::Continue)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.engine.unpark();
    }
}

fn is_open(nr: i64) -> bool {
    #[cfg(target_arch = "x86_64")]
    if nr == libc::SYS_open {
        return true;
    }
    matches!(nr, libc::SYS_openat | libc::SYS_openat2)
}

/// A real board would have crashed: the program must not believe that it survived.
fn end_program(process: u32, message: &str) -> Answer {
    say(message);
    if process == std::process::id() {
        std::process::abort();
    }
    // It meets the signal when its call returns.
    let _ = kill(Pid::from_raw(process as i32), Signal::SIGABRT);
    Answer::Error(Errno::EIO)
}
