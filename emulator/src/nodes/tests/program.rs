//! A program that exists in the tests' memory only.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use ioctl_defs::Argument;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use crate::nodes::{Caller, FileId, Handoff, Mapped, Resolved};

/// Where its memory starts. Everything else faults.
const BASE: u64 = 0x10_0000;

pub(super) struct Program {
    memory: Vec<u8>,
    descriptors: BTreeMap<i32, Descriptor>,
    mappings: Vec<Mapped>,
    closed: Vec<FileId>,
    /// Its process id, and so its nvmap client.
    pub process: u32,
    /// How many descriptors it may have.
    pub limit: usize,
    /// Its memory cannot be written.
    pub frozen: bool,
    /// Nobody can tell beforehand whether it has descriptors left.
    pub secretive: bool,
    /// An open nvmap file.
    pub nvmap: Option<i32>,
}

struct Descriptor {
    /// None for a file that has nothing to do with the board.
    file: Option<FileId>,
    mode: i32,
    fd: Option<OwnedFd>,
}

impl Program {
    pub fn new() -> Program {
        let mut program = Program {
            memory: Vec::new(),
            descriptors: BTreeMap::new(),
            mappings: Vec::new(),
            closed: Vec::new(),
            process: 1000,
            limit: 4096,
            frozen: false,
            secretive: false,
            nvmap: None,
        };
        program.open_foreign();
        program
    }

    /// A descriptor of a file that has nothing to do with the board.
    pub fn open_foreign(&mut self) -> i32 {
        self.insert(Descriptor { file: None, mode: libc::O_RDWR, fd: None })
    }

    /// A second descriptor of the same open file, opened with another mode.
    pub fn reopened(&mut self, fd: i32, mode: i32) -> i32 {
        let file = self.descriptors[&fd].file;
        self.insert(Descriptor { file, mode, fd: None })
    }

    fn insert(&mut self, descriptor: Descriptor) -> i32 {
        let number = (0..).find(|number| !self.descriptors.contains_key(number)).unwrap();
        self.descriptors.insert(number, descriptor);
        number
    }

    pub fn is_open(&self, fd: i32) -> bool {
        self.descriptors.contains_key(&fd)
    }

    /// What the board put into the program.
    pub fn descriptor(&self, fd: i32) -> &OwnedFd {
        self.descriptors[&fd].fd.as_ref().unwrap()
    }

    pub fn file(&self, fd: i32) -> FileId {
        self.descriptors[&fd].file.unwrap()
    }

    /// Copies bytes to fresh memory; their address.
    pub fn place(&mut self, bytes: &[u8]) -> u64 {
        let at = BASE + self.memory.len() as u64;
        self.memory.extend_from_slice(bytes);
        // Nothing that runs over its end hits the next one.
        self.memory.resize(self.memory.len().next_multiple_of(16) + 16, 0xee);
        at
    }

    pub fn peek<A: Argument>(&mut self, at: u64) -> A {
        let mut value = A::new_zeroed();
        self.read(at, value.as_mut_bytes()).unwrap();
        value
    }

    pub fn map(&mut self, file: FileId, len: u64) -> u64 {
        let start = 0x7000_0000 + self.mappings.len() as u64 * 0x1000_0000;
        self.mappings.push(Mapped { addresses: start..start + len, file });
        start
    }

    pub fn unmap(&mut self, address: u64) {
        let at = self.mappings.iter().position(|m| m.addresses.start == address).unwrap();
        let file = self.mappings.remove(at).file;
        self.dropped(file);
    }

    fn dropped(&mut self, file: FileId) {
        let held = self.descriptors.values().any(|descriptor| descriptor.file == Some(file))
            || self.mappings.iter().any(|mapped| mapped.file == file);
        if !held {
            self.closed.push(file);
        }
    }

    pub fn take_closed(&mut self) -> Vec<FileId> {
        std::mem::take(&mut self.closed)
    }

    fn range(&self, addr: u64, len: usize) -> Result<std::ops::Range<usize>, Errno> {
        let start = addr.checked_sub(BASE).ok_or(Errno::EFAULT)?;
        let end = start.checked_add(len as u64).ok_or(Errno::EFAULT)?;
        if end > self.memory.len() as u64 {
            return Err(Errno::EFAULT);
        }
        Ok(start as usize..end as usize)
    }
}

impl Caller for Program {
    fn process(&self) -> u32 {
        self.process
    }

    fn read(&mut self, addr: u64, out: &mut [u8]) -> Result<(), Errno> {
        if out.is_empty() {
            return Ok(());
        }
        let range = self.range(addr, out.len())?;
        out.copy_from_slice(&self.memory[range]);
        Ok(())
    }

    fn write(&mut self, addr: u64, data: &[u8]) -> Result<(), Errno> {
        if data.is_empty() {
            return Ok(());
        }
        let range = self.range(addr, data.len())?;
        if self.frozen {
            return Err(Errno::EFAULT);
        }
        self.memory[range].copy_from_slice(data);
        Ok(())
    }

    fn resolve(&mut self, fd: i32) -> Resolved {
        match self.descriptors.get(&fd) {
            None => Resolved::Bad,
            Some(Descriptor { file: None, .. }) => Resolved::Foreign,
            Some(Descriptor { file: Some(file), .. }) => Resolved::Ours(*file),
        }
    }

    fn install(&mut self, handoff: Handoff, cloexec: bool) -> Result<i32, Errno> {
        assert!(cloexec, "the driver opens everything close-on-exec");
        if self.descriptors.len() >= self.limit {
            return Err(Errno::EMFILE);
        }
        let Handoff { file, fd, .. } = handoff;
        let mode = fcntl(&fd, FcntlArg::F_GETFL).unwrap() & libc::O_ACCMODE;
        Ok(self.insert(Descriptor { file: Some(file), mode, fd: Some(fd) }))
    }

    fn close(&mut self, fd: i32) {
        if let Some(Descriptor { file: Some(file), .. }) = self.descriptors.remove(&fd) {
            self.dropped(file);
        }
    }

    fn full(&mut self) -> bool {
        !self.secretive && self.descriptors.len() >= self.limit
    }

    fn access_mode(&mut self, fd: i32) -> i32 {
        self.descriptors.get(&fd).map_or(libc::O_RDWR, |descriptor| descriptor.mode)
    }

    fn mappings(&mut self) -> Vec<Mapped> {
        self.mappings.clone()
    }
}
