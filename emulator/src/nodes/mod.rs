//! The device files of the board: what the real drivers answer, in their order, with their errno.
//!
//! One file per kind of device file. All of them are methods of [`Nodes`], which holds every object that a
//! program can make: address spaces, TSGs, channels, nvmap handles, buffers. The state is the driver's; what
//! the GPU does with it is [`Gpu`]'s business.

mod address_space;
mod caller;
mod channel;
mod context;
mod ctrl;
mod ctrl_info;
mod dispatch;
mod dmabuf;
mod event;
mod nvmap;
mod setup;
mod space;
mod tsg;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use nix::errno::Errno;

pub use caller::{Answer, Caller, FileId, Handoff, Mapped, Refusal, Resolved, Watch};

use crate::gpu::{Event, Gpu};
use crate::inject::Injector;
use crate::memory::Memory;
use crate::profile::{NodeNames, Profile};
use channel::Channels;
use ctrl::Ctrl;
use dmabuf::Buffer;
use event::EventFile;
use nvmap::Nvmap;
use space::{Space, SpaceKey};
use tsg::Tsgs;

/// What [`Nodes::open`] opened, to be put into the program.
pub type Opened = Handoff;

/// All device files, handles, address spaces, TSGs and channels of one board.
#[derive(Debug)]
pub struct Nodes {
    profile: Profile,
    inject: Injector,
    files: BTreeMap<FileId, File>,
    last_file: u64,
    last_instance: u64,
    spaces: BTreeMap<SpaceKey, Space>,
    last_space: u32,
    tsgs: Tsgs,
    channels: Channels,
    syncpoints: BTreeSet<u32>,
    /// One page per syncpoint, as the GPU sees them; made when the first is mapped.
    syncpoint_shim: Option<Arc<Memory>>,
    nvmap: Nvmap,
    warnings: Vec<String>,
}

/// What an open file stands for.
#[derive(Clone, Debug)]
enum File {
    Ctrl(Ctrl),
    /// The client that opened it.
    Nvmap(u32),
    Space(SpaceKey),
    Tsg(u32),
    Channel(u32),
    Dmabuf(Arc<Buffer>),
    Event(Arc<EventFile>),
}

/// A call under way: who makes it, and the GPU it may change.
struct Call<'a> {
    gpu: &'a mut Gpu,
    caller: &'a mut dyn Caller,
}

/// A node, by whichever name the release gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Nvmap,
    Ctrl,
    AddressSpace,
    Tsg,
    Channel,
    /// A node of the real driver that the model has no use for.
    Other,
    Directory,
}

const NVGPU_DIRECTORY: &str = "/dev/nvgpu/igpu0";

impl Node {
    fn named(path: &str) -> Option<(Node, Option<NodeNames>)> {
        let node = match path {
            "/dev/nvmap" => return Some((Node::Nvmap, None)),
            "/dev/nvgpu" | NVGPU_DIRECTORY => {
                return Some((Node::Directory, Some(NodeNames::Nvgpu)));
            }
            "/dev/nvhost-gpu" => return Some((Node::Channel, Some(NodeNames::Nvhost))),
            _ => path,
        };
        let nvgpu = node.strip_prefix(NVGPU_DIRECTORY).and_then(|rest| rest.strip_prefix('/'));
        let nvhost = node.strip_prefix("/dev/nvhost-").and_then(|rest| rest.strip_suffix("-gpu"));
        let (name, names) = match (nvgpu, nvhost) {
            (Some(name), _) => (name, NodeNames::Nvgpu),
            (_, Some(name)) => (name, NodeNames::Nvhost),
            _ => return None,
        };
        let node = match name {
            "ctrl" => Node::Ctrl,
            "as" => Node::AddressSpace,
            "tsg" => Node::Tsg,
            "channel" if names == NodeNames::Nvgpu => Node::Channel,
            "power" | "ctxsw" | "dbg" | "prof" | "prof-ctx" | "prof-dev" | "sched" | "nvsched"
            | "nvsched_ctrl_fifo" => Node::Other,
            _ => return None,
        };
        Some((node, Some(names)))
    }
}

impl Nodes {
    /// A board just booted and powered on.
    pub fn new(profile: Profile, inject: Injector) -> Nodes {
        let nvmap = Nvmap::new(&profile);
        Nodes {
            profile,
            inject,
            files: BTreeMap::new(),
            last_file: 0,
            last_instance: 0,
            spaces: BTreeMap::new(),
            last_space: 0,
            tsgs: Tsgs::default(),
            channels: Channels::default(),
            syncpoints: BTreeSet::new(),
            syncpoint_shim: None,
            nvmap,
            warnings: Vec::new(),
        }
    }

    /// Whether a path names a device node of a board, of any release, or a directory of them.
    pub fn is_node(path: &str) -> bool {
        Node::named(path).is_some()
    }

    /// Whether such a path is a directory.
    pub fn is_directory(path: &str) -> bool {
        matches!(Node::named(path), Some((Node::Directory, _)))
    }

    /// Whether this board has a node, or a directory of nodes, of that name.
    pub fn exists(&self, path: &str) -> bool {
        self.node(path).is_some()
    }

    fn node(&self, path: &str) -> Option<Node> {
        let (node, names) = Node::named(path)?;
        names.is_none_or(|names| names == self.profile.node_names).then_some(node)
    }

    /// Opens a node.
    pub fn open(
        &mut self,
        gpu: &mut Gpu,
        caller: &mut dyn Caller,
        path: &str,
        _flags: i32,
    ) -> Result<Opened, Errno> {
        if let Some(errno) = self.inject.call("open") {
            return Err(errno);
        }
        let mut call = Call { gpu, caller };
        match self.node(path).ok_or(Errno::ENOENT)? {
            Node::Nvmap => self.open_nvmap(&mut call),
            Node::Ctrl => self.open_ctrl(),
            Node::AddressSpace => self.open_default_space(&mut call),
            Node::Tsg => self.open_tsg_node(),
            Node::Channel => self.open_channel_node(),
            Node::Other => {
                self.warn(format!("{path} exists on a real board, but not in the software Orin"));
                Err(Errno::ENODEV)
            }
            Node::Directory => {
                self.warn(format!("the software Orin cannot list {path}; open its nodes by name"));
                Err(Errno::EACCES)
            }
        }
    }

    /// Carries out an ioctl. Success is the value that ioctl(2) returns.
    pub fn ioctl(
        &mut self,
        gpu: &mut Gpu,
        caller: &mut dyn Caller,
        file: FileId,
        request: u32,
        arg: u64,
    ) -> Answer {
        let mut call = Call { gpu, caller };
        match self.files.get(&file).ok_or(Errno::EBADF)?.clone() {
            File::Ctrl(ctrl) => self.ctrl_ioctl(&mut call, &ctrl, request, arg),
            File::Space(key) => self.space_ioctl(&mut call, key, request, arg),
            File::Tsg(id) => self.tsg_ioctl(&mut call, id, request, arg),
            File::Channel(id) => self.channel_ioctl(&mut call, id, request, arg),
            File::Nvmap(client) => self.nvmap_ioctl(&mut call, client, request, arg),
            File::Dmabuf(_) | File::Event(_) => Err(Errno::ENOTTY.into()),
        }
    }

    /// Whether the kernel may map a file: then it is an ordinary mapping of the memfd, or the kernel's own
    /// refusal to map a socket.
    #[expect(clippy::too_many_arguments, reason = "the arguments of mmap(2)")]
    pub fn mmap(
        &mut self,
        _gpu: &mut Gpu,
        caller: &mut dyn Caller,
        file: FileId,
        len: u64,
        _prot: i32,
        flags: i32,
        offset: u64,
    ) -> Result<(), Errno> {
        match self.files.get(&file).ok_or(Errno::EBADF)?.clone() {
            File::Ctrl(ctrl) => self.map_ctrl(caller, file, &ctrl, len, offset),
            File::Nvmap(_) => Err(Errno::EPERM),
            File::Dmabuf(buffer) => self.map_dmabuf(&buffer, len, flags, offset),
            File::Space(_) | File::Tsg(_) | File::Channel(_) | File::Event(_) => Ok(()),
        }
    }

    /// The last descriptor and the last mapping of that open file are gone.
    pub fn closed(&mut self, gpu: &mut Gpu, file: FileId) {
        match self.files.remove(&file) {
            Some(File::Space(key)) => self.close_space(gpu, key),
            Some(File::Tsg(id)) => self.close_tsg(id),
            Some(File::Channel(id)) => self.close_channel(gpu, id),
            Some(File::Nvmap(client)) => self.nvmap.close(client),
            Some(File::Event(event)) => self.tsgs.forget_event(&event),
            // What these hold goes with them.
            Some(File::Ctrl(_) | File::Dmabuf(_)) | None => {}
        }
    }

    /// The page of registers of each open ctrl file, with the doorbell in it.
    pub fn doorbell_pages(&self) -> impl Iterator<Item = &Arc<Memory>> {
        self.files.values().filter_map(|file| match file {
            File::Ctrl(ctrl) => Some(&ctrl.page),
            _ => None,
        })
    }

    /// Takes note of what the GPU reported, and wakes who waits for it.
    pub fn deliver(&mut self, event: Event) {
        match event {
            Event::NonStallInterrupt { tsg } => self.tsgs.interrupt(tsg),
            Event::Fault { tsg, .. } => self.abandon_tsg(tsg),
            Event::Notice { .. } => {}
        }
    }

    /// What a program did that the driver accepts in silence and that is yet a mistake, one line each.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    fn warn(&mut self, line: impl Into<String>) {
        self.warnings.push(line.into());
    }

    /// No such call here. One that the vendor's headers have may exist on a board, which is worth a word.
    fn unanswered(&mut self, request: u32) -> Answer {
        if let Some(entry) = ioctl_defs::lookup(request) {
            self.warn(format!("{}: the software Orin answers ENOTTY, a board may not", entry.name));
        }
        Err(Errno::ENOTTY.into())
    }

    /// The error that a call by this number is to fail with.
    fn injected(&self, request: u32) -> Result<(), Errno> {
        let name = ioctl_defs::lookup(request).map_or("", |entry| entry.name);
        self.inject.call(name).map_or(Ok(()), Err)
    }

    fn new_file(&mut self) -> FileId {
        self.last_file += 1;
        FileId(self.last_file)
    }

    /// A file without bytes of its own. Mapping it gives ENODEV, as mapping the driver's would.
    fn peer_file(&mut self, file: File) -> Result<Handoff, Errno> {
        let (fd, peer) = UnixStream::pair().map_err(|_| Errno::ENFILE)?;
        let id = self.new_file();
        self.files.insert(id, file);
        Ok(Handoff { file: id, fd: OwnedFd::from(fd), watch: Watch::Peer(OwnedFd::from(peer)) })
    }

    /// Gives a new file to the program; when it has no room, the file is gone again.
    fn install(&mut self, call: &mut Call<'_>, handoff: Handoff) -> Result<i32, Errno> {
        let file = handoff.file;
        let fd = call.caller.install(handoff, true);
        if fd.is_err() {
            self.closed(call.gpu, file);
        }
        fd
    }

    fn resolve(&self, caller: &mut dyn Caller, fd: i32) -> Result<Option<&File>, Errno> {
        match caller.resolve(fd) {
            Resolved::Bad => Err(Errno::EBADF),
            Resolved::Foreign => Ok(None),
            Resolved::Ours(file) => Ok(self.files.get(&file)),
        }
    }

    /// The channel behind a descriptor; everything else is EINVAL, closed descriptors too.
    fn channel_of(&self, caller: &mut dyn Caller, fd: i32) -> Result<u32, Errno> {
        match self.resolve(caller, fd) {
            Ok(Some(File::Channel(id))) => Ok(*id),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The address space behind a descriptor; everything else is EINVAL.
    fn space_of(&self, caller: &mut dyn Caller, fd: i32) -> Result<SpaceKey, Errno> {
        match self.resolve(caller, fd) {
            Ok(Some(File::Space(key))) => Ok(*key),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The buffer behind a descriptor: EBADF when it is closed, EINVAL when it is something else.
    fn dmabuf_of(&self, caller: &mut dyn Caller, fd: i32) -> Result<Arc<Buffer>, Errno> {
        match self.resolve(caller, fd)? {
            Some(File::Dmabuf(buffer)) => Ok(Arc::clone(buffer)),
            _ => Err(Errno::EINVAL),
        }
    }
}
