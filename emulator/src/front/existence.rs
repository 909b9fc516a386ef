//! The answers to a program that asks whether a node is there before it opens it.

use std::hash::{DefaultHasher, Hash, Hasher};

use libc::{S_IFCHR, S_IFDIR};
use nix::errno::Errno;

use super::notify::Call;
use crate::nodes::Caller;

/// Drivers get the major numbers of their devices when they are loaded; this is one of that range.
const MAJOR: u32 = 507;

/// What a path of the board is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A device node, open to root and the group `video`.
    Device,
    /// A directory of such nodes.
    Directory,
}

/// Answers a call that tests for `path`, which exists.
pub fn answer(program: &mut dyn Caller, call: &Call, path: &str) -> Result<(), Errno> {
    let kind = match path {
        "/dev/nvgpu" | "/dev/nvgpu/igpu0" => Kind::Directory,
        _ => Kind::Device,
    };
    let args = &call.args;
    match call.nr {
        #[cfg(target_arch = "x86_64")]
        libc::SYS_access => access(kind, args[1] as i32),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_stat | libc::SYS_lstat => program.write(args[1], bytes(&stat(path, kind))),
        libc::SYS_faccessat | libc::SYS_faccessat2 => access(kind, args[2] as i32),
        libc::SYS_statx => program.write(args[4], bytes(&statx(path, kind))),
        _ => program.write(args[2], bytes(&stat(path, kind))),
    }
}

fn access(kind: Kind, wanted: i32) -> Result<(), Errno> {
    let granted = match kind {
        Kind::Device => libc::R_OK | libc::W_OK,
        Kind::Directory => libc::R_OK | libc::X_OK,
    };
    if wanted & !granted == 0 { Ok(()) } else { Err(Errno::EACCES) }
}

impl Kind {
    fn mode(self) -> u32 {
        match self {
            Kind::Device => S_IFCHR | 0o660,
            Kind::Directory => S_IFDIR | 0o755,
        }
    }

    fn links(self) -> u32 {
        match self {
            Kind::Device => 1,
            Kind::Directory => 2,
        }
    }

    fn group(self) -> u32 {
        match self {
            Kind::Device => video_group(),
            Kind::Directory => 0,
        }
    }

    fn minor(self, path: &str) -> Option<u32> {
        (self == Kind::Device).then(|| number(path) & 0xff)
    }
}

/// The group's number here, or else Debian's. From the file itself: the C library may load modules to
/// look it up, for which it takes a lock that a program in this process may hold while it waits for us.
fn video_group() -> u32 {
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let video = groups.lines().find_map(|line| line.strip_prefix("video:"));
    video.and_then(|rest| rest.split(':').nth(1)?.parse().ok()).unwrap_or(44)
}

/// A number for a path, the same in each answer.
fn number(path: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish() as u32 | 1
}

fn stat(path: &str, kind: Kind) -> libc::stat {
    // SAFETY: a plain struct of integers.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    stat.st_dev = libc::makedev(0, 5);
    stat.st_ino = number(path).into();
    stat.st_mode = kind.mode();
    stat.st_nlink = kind.links().into();
    stat.st_gid = kind.group();
    stat.st_rdev = kind.minor(path).map_or(0, |minor| libc::makedev(MAJOR, minor));
    stat.st_blksize = 4096;
    stat
}

fn statx(path: &str, kind: Kind) -> libc::statx {
    // SAFETY: a plain struct of integers.
    let mut statx: libc::statx = unsafe { std::mem::zeroed() };
    statx.stx_mask = libc::STATX_BASIC_STATS;
    statx.stx_dev_minor = 5;
    statx.stx_ino = number(path).into();
    statx.stx_mode = kind.mode() as u16;
    statx.stx_nlink = kind.links();
    statx.stx_gid = kind.group();
    if let Some(minor) = kind.minor(path) {
        (statx.stx_rdev_major, statx.stx_rdev_minor) = (MAJOR, minor);
    }
    statx.stx_blksize = 4096;
    statx
}

fn bytes<T>(value: &T) -> &[u8] {
    // SAFETY: called with structs of the kernel's interface, which have no padding but named fields.
    unsafe { std::slice::from_raw_parts((&raw const *value).cast(), size_of::<T>()) }
}
