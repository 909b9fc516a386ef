//! How the supervisor learns that a program's open file is gone.
//!
//! The kernel tells nobody when a descriptor is closed, and a descriptor may be duplicated, inherited,
//! passed on or outlived by a mapping. So each kind of file is watched by something that the kernel does
//! to its other end when the last reference to the open file goes:
//!
//! - A file that is one end of a socket pair hangs up the other end.
//! - A memfd makes an inotify event. Several that are not yet read are merged into one, so the events are
//!   only a hint; whether an open file remains is asked with a lease for writing, which the kernel grants
//!   only to the file's sole user. (The memfd's first open file, the model's own, does not count as a
//!   user; each one made by opening it again does.)

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use nix::sys::stat::{Mode, fstat};

use super::report::say;
use crate::nodes::{FileId, Handoff, Watch};

/// Device and inode number, by which a program's descriptor is recognised.
pub type Identity = (u64, u64);

/// A closed file's event comes a moment before the kernel takes it off the count of users. What is
/// still open after this time was closed in one of its copies only.
const DOUBT: Duration = Duration::from_millis(100);

/// In an epoll event: the inotify descriptor, not a peer.
const INOTIFY: u64 = 0;

#[derive(Debug)]
struct OpenFile {
    file: FileId,
    other_end: OtherEnd,
}

#[derive(Debug)]
enum OtherEnd {
    /// `own` is where the model maps it; `probe` is open for reading only.
    Memory {
        own: u64,
        watch: WatchDescriptor,
        probe: OwnedFd,
    },
    Peer {
        token: u64,
        peer: OwnedFd,
    },
}

/// The files that programs hold.
#[derive(Debug)]
pub struct Closings {
    epoll: Epoll,
    inotify: Inotify,
    open: HashMap<Identity, OpenFile>,
    by_watch: HashMap<WatchDescriptor, Identity>,
    by_token: HashMap<u64, Identity>,
    last_token: u64,
    /// Files with a close event that were still open somewhere when last asked.
    doubtful: HashMap<Identity, Instant>,
}

impl Closings {
    pub fn new() -> nix::Result<Closings> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        epoll.add(&inotify, EpollEvent::new(EpollFlags::EPOLLIN, INOTIFY))?;
        Ok(Closings {
            epoll,
            inotify,
            open: HashMap::new(),
            by_watch: HashMap::new(),
            by_token: HashMap::new(),
            last_token: INOTIFY,
            doubtful: HashMap::new(),
        })
    }

    /// Which file of ours this is.
    pub fn find(&self, identity: Identity) -> Option<FileId> {
        self.open.get(&identity).map(|open| open.file)
    }

    /// Whether a mapping that begins there is the model's own: a program in the same process, or forked
    /// from it, has that too.
    pub fn is_models_own(&self, identity: Identity, address: u64) -> bool {
        self.open.get(&identity).is_some_and(|open| match &open.other_end {
            OtherEnd::Memory { own, .. } => *own == address,
            OtherEnd::Peer { .. } => false,
        })
    }

    /// Whether a program holds any file at all.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Begins to watch a file that is about to be given to a program: by the descriptor that comes back.
    /// A file that is already with a program, and is given once more, stays one file.
    pub fn watch(&mut self, handoff: Handoff) -> nix::Result<OwnedFd> {
        self.try_to_watch(handoff).inspect_err(|errno| {
            say(&format!(
                "no means to follow one more open file ({errno}); raise the limit on descriptors \
                 (ulimit -n) or the sysctl fs.inotify.max_user_watches"
            ));
        })
    }

    fn try_to_watch(&mut self, handoff: Handoff) -> nix::Result<OwnedFd> {
        let Handoff { file, fd, watch } = handoff;
        let stat = fstat(&fd)?;
        let identity = (stat.st_dev, stat.st_ino);
        if self.open.contains_key(&identity) {
            return Ok(fd);
        }
        let other_end = match watch {
            Watch::Memory(memory) => {
                let path = format!("/proc/thread-self/fd/{}", fd.as_raw_fd());
                let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
                let probe = open(path.as_str(), flags, Mode::empty())?;
                let watch = self.inotify.add_watch(path.as_str(), AddWatchFlags::IN_CLOSE)?;
                self.by_watch.insert(watch, identity);
                OtherEnd::Memory { own: memory.mapping().start as u64, watch, probe }
            }
            Watch::Peer(peer) => {
                self.last_token += 1;
                let token = self.last_token;
                // A hang-up is always reported, whatever is asked for.
                self.epoll.add(&peer, EpollEvent::new(EpollFlags::empty(), token))?;
                self.by_token.insert(token, identity);
                OtherEnd::Peer { token, peer }
            }
        };
        self.open.insert(identity, OpenFile { file, other_end });
        Ok(fd)
    }

    fn forget(&mut self, identity: Identity) -> Option<FileId> {
        let open = self.open.remove(&identity)?;
        match open.other_end {
            OtherEnd::Memory { watch, .. } => {
                self.by_watch.remove(&watch);
                // Fails only for a watch that the kernel has already dropped.
                let _ = self.inotify.rm_watch(watch);
            }
            OtherEnd::Peer { token, peer } => {
                self.by_token.remove(&token);
                // Closing it is not enough where the model holds a duplicate, as it does of events: the
                // hang-up would then be reported for ever.
                let _ = self.epoll.delete(&peer);
            }
        }
        Some(open.file)
    }

    /// The files that have been closed for good since the last call.
    pub fn drain(&mut self) -> Vec<FileId> {
        let mut closed = Vec::new();
        let mut events = [EpollEvent::empty(); 16];
        while let Ok(n @ 1..) = self.epoll.wait(&mut events, EpollTimeout::ZERO) {
            for event in &events[..n] {
                if event.data() == INOTIFY {
                    self.take_hints();
                } else if let Some(&identity) = self.by_token.get(&event.data()) {
                    closed.extend(self.forget(identity));
                }
            }
        }
        for (identity, since) in std::mem::take(&mut self.doubtful) {
            let Some(OpenFile { other_end: OtherEnd::Memory { probe, .. }, .. }) =
                self.open.get(&identity)
            else {
                continue;
            };
            if is_sole_user(probe.as_fd()) {
                closed.extend(self.forget(identity));
            } else if since.elapsed() < DOUBT {
                self.doubtful.insert(identity, since);
            }
        }
        closed
    }

    fn take_hints(&mut self) {
        for event in self.inotify.read_events().unwrap_or_default() {
            if let Some(&identity) = self.by_watch.get(&event.wd) {
                self.doubtful.insert(identity, Instant::now());
            }
        }
    }

    /// How long the next look may wait if no event comes: not at all while a closing is in doubt.
    pub fn patience(&self) -> Option<Duration> {
        (!self.doubtful.is_empty()).then_some(Duration::from_millis(1))
    }
}

fn is_sole_user(probe: BorrowedFd<'_>) -> bool {
    let lease = |kind: libc::c_int| {
        // SAFETY: takes integers only.
        Errno::result(unsafe { libc::fcntl(probe.as_raw_fd(), libc::F_SETLEASE, kind) })
    };
    match lease(libc::F_WRLCK) {
        Ok(_) => {
            let _ = lease(libc::F_UNLCK);
            true
        }
        Err(Errno::EAGAIN) => false,
        // A system where leases are switched off leaves only the hint.
        Err(_) => true,
    }
}

/// Readable when something may have been closed.
impl AsFd for Closings {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}
