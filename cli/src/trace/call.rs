//! System calls from beginning to end: which are to a driver of the GPU, and what they say.

use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::io::IoSliceMut;
use std::time::Duration;

use ioctl_defs::rm::escape::{NV_ESC_RM_ALLOC, NV_ESC_RM_CONTROL};
use ioctl_defs::rm::escape::{NVOS54_PARAMETERS, NVOS64_PARAMETERS};
use ioctl_defs::{classes, controls};
use nix::errno::Errno;
use nix::libc;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use zerocopy::FromBytes;

use super::decode;
use super::tracee::SystemCall;

/// A call to a driver of the GPU that has ended.
#[derive(Debug)]
pub(super) struct Call {
    pub name: String,
    pub refused: bool,
    pub time: Duration,
    thread: Pid,
    began: Duration,
    node: String,
    given: String,
    result: String,
    returned: String,
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Call { name, node, result, .. } = self;
        write!(f, "[{}] {:.6} {name}({node})", self.thread, self.began.as_secs_f64())?;
        if !self.given.is_empty() {
            write!(f, " {{{}}}", self.given)?;
        }
        write!(f, " = {result}")?;
        if !self.returned.is_empty() {
            write!(f, " {{{}}}", self.returned)?;
        }
        write!(f, ", {:.1} us", self.time.as_secs_f64() * 1e6)
    }
}

/// The calls that threads are in.
#[derive(Debug, Default)]
pub(super) struct Calls {
    begun: HashMap<Pid, Begun>,
    /// What the kernel calls an open file, and the path that it was opened by: on the software Orin they differ.
    opened: HashMap<String, String>,
}

#[derive(Debug)]
struct Begun {
    at: Duration,
    what: What,
}

#[derive(Debug)]
enum What {
    Open { path: String },
    Ioctl { node: String, arguments: Vec<Argument>, name: String },
    Map { node: String, length: u64, offset: u64 },
    Close { node: String },
}

/// Memory that a call reads and writes.
#[derive(Debug)]
struct Argument {
    /// The vendor's name of its type.
    name: &'static str,
    address: u64,
    bytes: Vec<u8>,
}

impl Calls {
    pub fn enter(&mut self, thread: Pid, call: SystemCall, at: Duration) {
        self.begun.remove(&thread);
        if let Some(what) = self.what(thread, call) {
            self.begun.insert(thread, Begun { at, what });
        }
    }

    /// The call that ends; none for what is not to a driver of the GPU.
    pub fn leave(&mut self, thread: Pid, result: i64, at: Duration) -> Option<Call> {
        let Begun { at: began, what } = self.begun.remove(&thread)?;
        let mut refusal = (-4095..0).contains(&result).then(|| errno(result));
        let mut given = String::new();
        let mut returned = String::new();
        let mut shown = result.to_string();
        let (name, node) = match what {
            What::Open { path } => {
                if let (None, Some(link)) = (&refusal, link(thread, result)) {
                    self.opened.insert(link, path.clone());
                }
                ("open".to_owned(), path)
            }
            What::Map { node, length, offset } => {
                given = format!("{length} bytes at {offset:#x}");
                shown = format!("{result:#x}");
                ("mmap".to_owned(), node)
            }
            What::Close { node } => ("close".to_owned(), node),
            What::Ioctl { node, arguments, name } => {
                for argument in &arguments {
                    join(&mut given, decode::argument(argument.name, &argument.bytes, None));
                    let Some(bytes) = read(thread, argument.address, argument.bytes.len()) else {
                        continue;
                    };
                    let before = Some(&*argument.bytes);
                    join(&mut returned, decode::argument(argument.name, &bytes, before));
                    if refusal.is_none() {
                        refusal = decode::refusal(argument.name, &bytes);
                    }
                }
                (name, node)
            }
        };
        let refused = refusal.is_some();
        let result = refusal.unwrap_or(shown);
        let time = at.saturating_sub(began);
        Some(Call { name, refused, time, thread, began, node, given, result, returned })
    }

    pub fn forget(&mut self, thread: Pid) {
        self.begun.remove(&thread);
    }

    fn what(&self, thread: Pid, call: SystemCall) -> Option<What> {
        let args = call.args;
        match call.number {
            libc::SYS_openat => opening(thread, args[1]),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_open => opening(thread, args[0]),
            libc::SYS_ioctl => self.ioctl(thread, args[0], args[1] as u32, args[2]),
            libc::SYS_mmap => {
                let node = self.node(thread, args[4])?;
                Some(What::Map { node, length: args[1], offset: args[5] })
            }
            libc::SYS_close => Some(What::Close { node: self.node(thread, args[0])? }),
            _ => None,
        }
    }

    /// The open file, if it is a node of a driver.
    fn node(&self, thread: Pid, file: u64) -> Option<String> {
        let link = link(thread, file as i32 as i64)?;
        let path = self.opened.get(&link).unwrap_or(&link);
        is_node(path).then(|| format!("{path} {}", file as i32))
    }

    fn ioctl(&self, thread: Pid, file: u64, request: u32, address: u64) -> Option<What> {
        let (known, node) = (ioctl_defs::lookup(request), self.node(thread, file));
        // nvgpu's address spaces, groups and channels are files without a path. Numbers without a direction are
        // left to nodes: terminals and UVM have the same.
        let inner = known.is_some() && request >> 30 != 0;
        let node = node.or_else(|| inner.then(|| (file as i32).to_string()))?;
        let Some(entry) = known else {
            let size = (request >> 16 & 0x3fff) as usize;
            let bytes = read(thread, address, size).unwrap_or_default();
            let name = format!("ioctl {request:#010x}");
            return Some(What::Ioctl { node, arguments: one("", address, bytes), name });
        };
        let Some(bytes) = read(thread, address, entry.size) else {
            return Some(What::Ioctl { node, arguments: Vec::new(), name: entry.name.to_owned() });
        };
        let inner = parameters(thread, request, &bytes);
        let mut arguments = one(entry.argument, address, bytes);
        let mut name = entry.name.to_owned();
        if let Some((what, argument)) = inner {
            name = format!("{name} {what}");
            arguments.extend(argument);
        }
        Some(What::Ioctl { node, arguments, name })
    }
}

/// What the argument of RM's two great calls points to: the name of class or control, and its parameters.
fn parameters(thread: Pid, request: u32, bytes: &[u8]) -> Option<(String, Option<Argument>)> {
    let (kind, entry, number, address, size) = if request == NV_ESC_RM_ALLOC.number() {
        let (args, _) = NVOS64_PARAMETERS::read_from_prefix(bytes).ok()?;
        let entry = decode::named(classes(), args.hClass);
        ("class", entry, args.hClass, args.pAllocParms, args.paramsSize)
    } else if request == NV_ESC_RM_CONTROL.number() {
        let (args, _) = NVOS54_PARAMETERS::read_from_prefix(bytes).ok()?;
        ("control", decode::named(controls(), args.cmd), args.cmd, args.params, args.paramsSize)
    } else {
        return None;
    };
    let name = entry.map_or_else(|| format!("{kind} {number:#x}"), |entry| entry.name.to_owned());
    // Programs may leave the size of a class's parameters out.
    let size = if size == 0 { entry.map_or(0, |entry| entry.size) } else { size as usize };
    let bytes = read(thread, address, size).filter(|_| address != 0);
    let argument = entry.map_or("", |entry| entry.argument);
    Some((name, bytes.map(|bytes| Argument { name: argument, address, bytes })))
}

fn one(name: &'static str, address: u64, bytes: Vec<u8>) -> Vec<Argument> {
    if bytes.is_empty() { Vec::new() } else { vec![Argument { name, address, bytes }] }
}

fn join(text: &mut String, more: String) {
    if !text.is_empty() && !more.is_empty() {
        text.push_str("; ");
    }
    text.push_str(&more);
}

fn opening(thread: Pid, address: u64) -> Option<What> {
    let path = text(thread, address)?;
    is_node(&path).then_some(What::Open { path })
}

fn is_node(path: &str) -> bool {
    path.starts_with("/dev/nv")
}

/// What the kernel calls an open file.
fn link(thread: Pid, file: i64) -> Option<String> {
    let link = fs::read_link(format!("/proc/{thread}/fd/{file}")).ok()?;
    Some(link.to_string_lossy().into_owned())
}

/// Memory of a thread, all of it or nothing.
fn read(thread: Pid, address: u64, size: usize) -> Option<Vec<u8>> {
    /// More than any argument; a program may say any size.
    const MOST: usize = 1 << 16;

    let mut bytes = vec![0; size.min(MOST)];
    let from = RemoteIoVec { base: address as usize, len: bytes.len() };
    let got = process_vm_readv(thread, &mut [IoSliceMut::new(&mut bytes)], &[from]).ok()?;
    (got == bytes.len()).then_some(bytes)
}

/// A path of a thread's. Read byte by byte where a longer piece would leave the memory that there is.
fn text(thread: Pid, address: u64) -> Option<String> {
    /// Longer than the path of any node.
    const MOST: u64 = 64;

    let piece = read(thread, address, MOST as usize).unwrap_or_else(|| {
        let bytes = (0..MOST).map_while(|at| read(thread, address.checked_add(at)?, 1));
        bytes.flatten().collect()
    });
    let end = piece.iter().position(|&byte| byte == 0)?;
    String::from_utf8(piece[..end].to_vec()).ok()
}

fn errno(result: i64) -> String {
    let errno = Errno::from_raw(-result as i32);
    format!("{errno:?} ({})", errno.desc())
}
