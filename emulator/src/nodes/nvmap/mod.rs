//! The nvmap file: memory, by handles.

mod alloc;
mod cache;
mod handles;
mod heaps;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use ioctl_defs::nvmap::*;
use ioctl_defs::{Argument, Request};
use nix::errno::Errno;

use super::caller::{Answer, Caller, Handoff, Watch};
use super::dispatch::Number;
use super::dmabuf::Buffer;
use super::{Call, File, Nodes, Opened};
use crate::memory::Memory;
use crate::profile::Profile;

/// The first handle of a boot. They look negative as C integers.
const FIRST_HANDLE: u32 = 0x8000_0000;

/// Addresses of programs have at most this many bits; the driver refuses others before it looks.
const USER_ADDRESSES: u64 = 1 << 48;

/// The heaps and the clients of the nvmap driver.
#[derive(Debug)]
pub(super) struct Nvmap {
    clients: BTreeMap<u32, Client>,
    next_handle: u32,
    /// Free bytes by heap bit.
    free: BTreeMap<u32, Arc<AtomicU64>>,
}

/// What one process has, through however many opens.
#[derive(Debug, Default)]
struct Client {
    opens: u32,
    handles: BTreeMap<u32, Handle>,
    /// It has been told that its allocations should have a tag.
    told_about_tags: bool,
}

#[derive(Clone, Debug)]
struct Handle {
    buffer: Arc<Buffer>,
    read_only: bool,
}

impl Nvmap {
    pub fn new(profile: &Profile) -> Nvmap {
        let carveouts = profile.carveouts.iter().map(|carveout| (carveout.heap, carveout.size));
        let heaps = carveouts.chain([(NVMAP_HEAP_IOVMM, profile.total_ram)]);
        Nvmap {
            clients: BTreeMap::new(),
            next_handle: FIRST_HANDLE,
            free: heaps.map(|(heap, size)| (heap, Arc::new(AtomicU64::new(size)))).collect(),
        }
    }

    fn client(&mut self, id: u32) -> &mut Client {
        self.clients.get_mut(&id).expect("a client lives as long as its files")
    }

    /// One open of the client is gone; with the last one go its handles.
    pub fn close(&mut self, id: u32) {
        let client = self.client(id);
        client.opens -= 1;
        if client.opens == 0 {
            self.clients.remove(&id);
        }
    }

    fn add(&mut self, client: u32, handle: Handle) -> u32 {
        let id = self.next_handle;
        self.next_handle += 1;
        self.client(client).handles.insert(id, handle);
        id
    }

    #[cfg(test)]
    pub fn memory_of(&self, client: u32, id: u32) -> Arc<Memory> {
        self.handle(client, id).and_then(|handle| handle.buffer.memory()).unwrap()
    }

    #[cfg(test)]
    pub fn free_bytes(&self, heap: u32) -> u64 {
        self.free[&heap].load(std::sync::atomic::Ordering::Relaxed)
    }

    fn handle(&self, client: u32, id: u32) -> Option<&Handle> {
        self.clients.get(&client)?.handles.get(&id)
    }
}

impl Nodes {
    pub(super) fn open_nvmap(&mut self, call: &mut Call<'_>) -> Result<Opened, Errno> {
        // The file has no bytes that anybody can map; it is a memfd to be recognised by.
        let memory = Memory::new("nvmap-node", 4096).map_err(|_| Errno::ENOMEM)?;
        let fd = memory.reopen().map_err(|_| Errno::ENFILE)?;
        let client = call.caller.process();
        self.nvmap.clients.entry(client).or_default().opens += 1;
        let file = self.new_file();
        self.files.insert(file, File::Nvmap(client));
        Ok(Handoff { file, fd, watch: Watch::Memory(memory) })
    }

    pub(super) fn nvmap_ioctl(
        &mut self,
        call: &mut Call<'_>,
        client: u32,
        request: u32,
        arg: u64,
    ) -> Answer {
        let number = Number(request);
        if number.magic() != NVMAP_IOC_MAGIC || number.nr() > NVMAP_IOC_MAXNR {
            return Err(Errno::ENOTTY.into());
        }
        if arg.checked_add(number.size() as u64).is_none_or(|end| end > USER_ADDRESSES) {
            return Err(Errno::EFAULT.into());
        }
        self.injected(request)?;
        let mut on = Nv { nodes: self, call, client, arg };
        match request {
            r if r == NVMAP_IOC_CREATE.number() => on.create(),
            r if r == NVMAP_IOC_CREATE_64.number() => on.create_64(),
            r if r == NVMAP_IOC_ALLOC.number() => on.alloc(),
            r if r == NVMAP_IOC_FREE.number() => on.free(),
            r if r == NVMAP_IOC_GET_FD.number() => on.get_fd(),
            r if r == NVMAP_IOC_FROM_FD.number() => on.handle_from_fd(),
            r if r == NVMAP_IOC_DUP_HANDLE.number() => on.dup_handle(),
            r if r == NVMAP_IOC_WRITE.number() => on.copy(NVMAP_IOC_WRITE),
            r if r == NVMAP_IOC_READ.number() => on.copy(NVMAP_IOC_READ),
            r if r == NVMAP_IOC_CACHE.number() => on.cache(),
            r if r == NVMAP_IOC_CACHE_64.number() => on.cache_64(),
            r if r == NVMAP_IOC_CACHE_LIST.number() => on.cache_list(),
            r if r == NVMAP_IOC_PARAMETERS.number() => on.parameters(),
            r if r == NVMAP_IOC_GET_AVAILABLE_HEAPS.number() => on.available_heaps(),
            r if r == NVMAP_IOC_GET_HEAP_SIZE.number() => on.heap_size(),
            r if r == NVMAP_IOC_QUERY_HEAP_PARAMS.number() => on.heap_params(),
            _ => self.unanswered(request),
        }
    }
}

/// A call of one client. Each handler copies its argument in and out itself, as the driver's do: they
/// differ in what they answer when that fails.
struct Nv<'a, 'b> {
    nodes: &'a mut Nodes,
    call: &'a mut Call<'b>,
    client: u32,
    arg: u64,
}

impl Nv<'_, '_> {
    fn args<A: Argument>(&mut self, _request: Request<A>) -> Result<A, Errno> {
        let mut args = A::new_zeroed();
        self.call.caller.read(self.arg, args.as_mut_bytes())?;
        Ok(args)
    }

    fn reply<A: Argument>(&mut self, args: &A) -> Result<(), Errno> {
        self.call.caller.write(self.arg, args.as_bytes())
    }

    fn caller(&mut self) -> &mut dyn Caller {
        self.call.caller
    }

    /// The handle of that number. It is never the number of a descriptor: those are small.
    fn handle(&self, id: u32) -> Option<Handle> {
        self.nodes.nvmap.handle(self.client, id).cloned()
    }
}
