//! The program that waits in a call, as the supervisor reaches it: its memory, its descriptors.

use std::cell::OnceCell;
use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, readlink};
use nix::sys::stat::{Mode, stat};
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;

use super::closings::{Closings, Identity};
use super::notify::{Call, Listener};
use super::report::say;
use crate::nodes::{Caller, Handoff, Mapped, Resolved};

/// Longer than any path of the board; what has not ended by then is not one of them.
const LONGEST_PATH: usize = 128;
const PAGE: usize = 4096;

/// A thread that waits for the answer to its call.
#[derive(Debug)]
pub struct Program<'a> {
    call: &'a Call,
    listener: &'a Listener,
    closings: &'a mut Closings,
    /// A process that may well be the thread's.
    guess: u32,
    process: OnceCell<u32>,
    /// Whether it shares this address space, or had a copy of it when it was forked.
    in_process: bool,
    /// Descriptors that it was given during this call.
    pub installed: Vec<i32>,
}

impl<'a> Program<'a> {
    /// `guess` is a process that may well be the thread's: that of an earlier call.
    pub fn new(
        call: &'a Call,
        listener: &'a Listener,
        closings: &'a mut Closings,
        guess: u32,
        in_process: bool,
    ) -> Program<'a> {
        let (process, installed) = (OnceCell::new(), Vec::new());
        Program { call, listener, closings, guess, process, in_process, installed }
    }

    fn thread(&self) -> Pid {
        Pid::from_raw(self.call.thread as i32)
    }

    /// A file about the thread. By thread, because the leader of its process may have ended.
    fn proc(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.call.thread)
    }

    /// While it waits, no other thread can have its number.
    fn waits(&self) -> Result<(), Errno> {
        if self.listener.waits(self.call) { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// The path at `addr`, made absolute, if it may be one of the board's: something below /dev.
    ///
    /// Links are not followed. What leads to a node of the board leads nowhere on this machine.
    pub fn device_path(&mut self, directory: i32, addr: u64) -> Option<String> {
        let mut bytes = [0; LONGEST_PATH];
        let n = self.read_what_is_there(addr, &mut bytes).ok()?;
        let end = bytes[..n].iter().position(|byte| *byte == 0)?;
        let path = std::str::from_utf8(&bytes[..end]).ok()?;
        let path = match (path.starts_with('/'), directory) {
            (true, _) => path.to_owned(),
            (false, libc::AT_FDCWD) => self.below(&self.proc("cwd"), path)?,
            (false, fd) => self.below(&self.proc(&format!("fd/{fd}")), path)?,
        };
        let path = normalised(&path);
        path.starts_with("/dev/").then_some(path)
    }

    fn below(&self, link: &str, path: &str) -> Option<String> {
        Some(format!("{}/{path}", readlink(link).ok()?.to_str()?))
    }

    /// Reads what is mapped, which may be less than asked for.
    fn read_what_is_there(&self, addr: u64, out: &mut [u8]) -> Result<usize, Errno> {
        let addr = addr as usize;
        // The kernel copies a range whole or not at all: cut where the next page may be missing.
        let here = (PAGE - addr % PAGE).min(out.len());
        let beyond = RemoteIoVec { base: addr.wrapping_add(here), len: out.len() - here };
        let ranges = [RemoteIoVec { base: addr, len: here }, beyond];
        process_vm_readv(self.thread(), &mut [IoSliceMut::new(out)], &ranges)
    }

    /// The flags of the open that the program waits in.
    pub fn open_flags(&mut self) -> Result<i32, Errno> {
        match self.call.nr {
            #[cfg(target_arch = "x86_64")]
            libc::SYS_open => Ok(self.call.args[1] as i32),
            libc::SYS_openat2 => {
                // The first field of struct open_how.
                let mut flags = [0; 8];
                self.read(self.call.args[2], &mut flags)?;
                Ok(u64::from_ne_bytes(flags) as i32)
            }
            _ => Ok(self.call.args[2] as i32),
        }
    }

    fn lowest_free_descriptor(&self) -> Option<u64> {
        let mut taken: Vec<u64> = fs::read_dir(self.proc("fd"))
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        taken.sort_unstable();
        (0..)
            .zip(&taken)
            .find(|(n, taken)| n != *taken)
            .map(|(n, _)| n)
            .or(Some(taken.len() as u64))
    }

    fn descriptor_limit(&self) -> Result<u64, Errno> {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        let process = self.process() as i32;
        // SAFETY: asks for the limit only, and `limit` is alive and of the size the call fills.
        Errno::result(unsafe {
            libc::prlimit(process, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut limit)
        })?;
        Ok(limit.rlim_cur)
    }
}

/// Whether this process may reach into another at all; some containers forbid it.
pub fn check_access() -> Result<(), Errno> {
    let (from, mut to) = ([1u8], [0u8]);
    let range = RemoteIoVec { base: from.as_ptr().addr(), len: 1 };
    process_vm_readv(Pid::this(), &mut [IoSliceMut::new(&mut to)], &[range]).map(drop)
}

/// Without empty, `.` and `..` components.
fn normalised(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

/// The thread-group leader of a thread.
fn process_of(thread: u32, guess: u32) -> Option<u32> {
    // SAFETY: with signal 0 the call only says whether the thread belongs to the process.
    if unsafe { libc::syscall(libc::SYS_tgkill, guess, thread, 0) } == 0 {
        return Some(guess);
    }
    let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}

/// One line of a maps file: addresses, and the file that is mapped there.
fn parse_mapping(line: &str) -> Option<(std::ops::Range<u64>, Identity)> {
    let mut fields = line.split_ascii_whitespace();
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let (start, end) = fields.next()?.split_once('-')?;
    let (major, minor) = fields.nth(2)?.split_once(':')?;
    let device = libc::makedev(hex(major)? as u32, hex(minor)? as u32);
    let inode = fields.next()?.parse().ok()?;
    Some((hex(start)?..hex(end)?, (device, inode)))
}

impl Caller for Program<'_> {
    fn process(&self) -> u32 {
        let thread = self.call.thread;
        *self.process.get_or_init(|| process_of(thread, self.guess).unwrap_or(thread))
    }

    fn read(&mut self, addr: u64, out: &mut [u8]) -> Result<(), Errno> {
        if out.is_empty() {
            return Ok(());
        }
        let range = RemoteIoVec { base: addr as usize, len: out.len() };
        let len = out.len();
        match process_vm_readv(self.thread(), &mut [IoSliceMut::new(out)], &[range]) {
            Ok(n) if n == len => self.waits(),
            _ => Err(Errno::EFAULT),
        }
    }

    fn write(&mut self, addr: u64, data: &[u8]) -> Result<(), Errno> {
        if data.is_empty() {
            return Ok(());
        }
        self.waits()?;
        let range = RemoteIoVec { base: addr as usize, len: data.len() };
        match process_vm_writev(self.thread(), &[IoSlice::new(data)], &[range]) {
            Ok(n) if n == data.len() => Ok(()),
            _ => Err(Errno::EFAULT),
        }
    }

    fn resolve(&mut self, fd: i32) -> Resolved {
        // The link leads to the open file itself, wherever its name points.
        let Ok(stat) = stat(self.proc(&format!("fd/{fd}")).as_str()) else { return Resolved::Bad };
        match self.closings.find((stat.st_dev, stat.st_ino)) {
            Some(file) => Resolved::Ours(file),
            None => Resolved::Foreign,
        }
    }

    fn install(&mut self, handoff: Handoff, cloexec: bool) -> Result<i32, Errno> {
        let fd = self.closings.watch(handoff)?;
        let fd = self.listener.add_fd(self.call, fd.as_fd(), cloexec)?;
        self.installed.push(fd);
        Ok(fd)
    }

    fn close(&mut self, fd: i32) {
        if self.process() == std::process::id() {
            // SAFETY: the program asked for it. The emulator's own descriptors are not among those that
            // it was given, and only these are looked up here.
            unsafe { libc::close(fd) };
            return;
        }
        // No process can close a descriptor of another. One that can neither be read nor written fails as
        // a closed one does, in nearly all that a program does with buffers; but its number stays taken.
        let replaced = open("/dev/null", OFlag::O_ACCMODE | OFlag::O_CLOEXEC, Mode::empty())
            .and_then(|nothing| self.listener.replace_fd(self.call, fd, nothing.as_fd()));
        match replaced {
            // Without a program there is nothing to close.
            Ok(_) | Err(Errno::ENOENT) => {}
            Err(errno) => {
                say(&format!("descriptor {fd} should be closed now, but is not: {errno}"))
            }
        }
    }

    fn full(&mut self) -> bool {
        match (self.lowest_free_descriptor(), self.descriptor_limit()) {
            (Some(free), Ok(limit)) => free >= limit,
            _ => false,
        }
    }

    fn access_mode(&mut self, fd: i32) -> i32 {
        let info = fs::read_to_string(self.proc(&format!("fdinfo/{fd}"))).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
        flags.unwrap_or(libc::O_RDWR) & libc::O_ACCMODE
    }

    fn mappings(&mut self) -> Vec<Mapped> {
        let maps = fs::read_to_string(self.proc("maps")).unwrap_or_default();
        maps.lines()
            .filter_map(parse_mapping)
            .filter(|(addresses, identity)| {
                !(self.in_process && self.closings.is_models_own(*identity, addresses.start))
            })
            .filter_map(|(addresses, identity)| {
                Some(Mapped { addresses, file: self.closings.find(identity)? })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_their_detours() {
        assert_eq!(normalised("//dev/./nvgpu/../nvmap"), "/dev/nvmap");
        assert_eq!(normalised("/../dev/nvmap/"), "/dev/nvmap");
        assert_eq!(normalised("/"), "/");
    }

    #[test]
    fn mappings_name_their_file() {
        let line =
            "7f21e4a00000-7f21e4a10000 rw-s 00001000 00:01 1042                /memfd:x (deleted)";
        let expected = (0x7f21_e4a0_0000..0x7f21_e4a1_0000, (libc::makedev(0, 1), 1042));
        assert_eq!(parse_mapping(line), Some(expected));
        assert_eq!(parse_mapping(""), None);
    }

    #[test]
    fn a_thread_has_a_process() {
        let own = std::process::id();
        let thread = std::thread::spawn(|| nix::unistd::gettid().as_raw() as u32);
        // The main thread never ends before its tests.
        assert_eq!(process_of(own, own), Some(own));
        assert_eq!(process_of(own, 1), Some(own));
        drop(thread);
    }
}
