//! `/dev/nvidiactl`: the client, and the objects below it. RM knows nothing else: what a program
//! holds is an object of a class, what it asks for is a control of an object.

use std::fmt;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use ioctl_defs::Argument;
use ioctl_defs::rm::class::NV01_ROOT_CLIENT;
use ioctl_defs::rm::escape::*;
use ioctl_defs::rm::{Class, Control};

use super::hint;
use crate::driver::sys::Node;
use crate::error::Result;

/// The root of everything that a device holds. Closing its file frees all of it, in the driver's
/// own order, also when the process is killed.
#[derive(Debug)]
pub(crate) struct Client {
    node: Node,
    handle: u32,
}

impl Client {
    pub(crate) const PATH: &str = "/dev/nvidiactl";

    pub(crate) fn open() -> Result<Arc<Client>> {
        let node = Client::file()?;
        let mut args =
            NVOS64_PARAMETERS { hClass: NV01_ROOT_CLIENT.number(), ..Default::default() };
        node.call(NV_ESC_RM_ALLOC, &mut args)?;
        hint::check(NV01_ROOT_CLIENT.name(), &node, args.status)?;
        Ok(Arc::new(Client { node, handle: args.hObjectNew }))
    }

    /// Another open file of the node; the driver prepares one mapping per file.
    pub(crate) fn file() -> Result<Node> {
        Node::open(Client::PATH, hint::errno)
    }

    pub(crate) fn handle(&self) -> u32 {
        self.handle
    }

    /// The descriptor that other nodes know this client by.
    pub(crate) fn fd(&self) -> i32 {
        self.node.as_raw_fd()
    }

    pub(crate) fn name(&self) -> &str {
        self.node.name()
    }

    /// The GPUs of the machine, whether or not this process may open them.
    pub(crate) fn cards(&self) -> Result<Vec<nv_ioctl_card_info_t>> {
        let mut cards = [nv_ioctl_card_info_t::default(); 64];
        self.node.call(NV_ESC_CARD_INFO, &mut cards)?;
        Ok(cards.into_iter().filter(|card| card.valid != 0).collect())
    }

    /// Allocates an object right below the client.
    pub(crate) fn child<P: Argument>(
        self: &Arc<Client>,
        class: Class<P>,
        params: &mut P,
    ) -> Result<Object> {
        Object::new(self, self.handle, class, params)
    }

    /// Calls a control of the client itself.
    pub(crate) fn control<P: Argument>(&self, control: Control<P>, params: &mut P) -> Result<()> {
        self.control_of(self.handle, control, params)
    }

    fn control_of<P: Argument>(
        &self,
        object: u32,
        control: Control<P>,
        params: &mut P,
    ) -> Result<()> {
        let mut args = NVOS54_PARAMETERS {
            hClient: self.handle,
            hObject: object,
            cmd: control.number(),
            params: std::ptr::from_mut(params) as u64,
            paramsSize: size_of::<P>() as u32,
            ..Default::default()
        };
        self.node.call(NV_ESC_RM_CONTROL, &mut args)?;
        hint::check(control.name(), &self.node, args.status)
    }

    /// Prepares `file` for one mmap of `memory`, an object below `device`.
    pub(crate) fn map_memory(
        &self,
        device: &Object,
        memory: &Object,
        len: u64,
        flags: u32,
        file: &Node,
    ) -> Result<()> {
        let mut args = nv_ioctl_nvos33_parameters_with_fd {
            params: NVOS33_PARAMETERS {
                hClient: self.handle,
                hDevice: device.handle,
                hMemory: memory.handle,
                length: len,
                flags,
                ..Default::default()
            },
            fd: file.as_raw_fd(),
            _pad0: 0,
        };
        self.node.call(NV_ESC_RM_MAP_MEMORY, &mut args)?;
        hint::check(NV_ESC_RM_MAP_MEMORY.name(), &self.node, args.params.status)
    }
}

/// An object of RM, freed when dropped. Whatever hangs below it must be gone by then.
pub(crate) struct Object {
    client: Arc<Client>,
    parent: u32,
    handle: u32,
    class: &'static str,
}

impl Object {
    fn new<P: Argument>(
        client: &Arc<Client>,
        parent: u32,
        class: Class<P>,
        params: &mut P,
    ) -> Result<Object> {
        let size = size_of::<P>();
        let mut args = NVOS64_PARAMETERS {
            hRoot: client.handle,
            hObjectParent: parent,
            hClass: class.number(),
            pAllocParms: if size == 0 { 0 } else { std::ptr::from_mut(params) as u64 },
            paramsSize: size as u32,
            ..Default::default()
        };
        client.node.call(NV_ESC_RM_ALLOC, &mut args)?;
        hint::check(class.name(), &client.node, args.status)?;
        Ok(Object { client: client.clone(), parent, handle: args.hObjectNew, class: class.name() })
    }

    /// Allocates an object below this one.
    pub(crate) fn child<P: Argument>(&self, class: Class<P>, params: &mut P) -> Result<Object> {
        Object::new(&self.client, self.handle, class, params)
    }

    /// Calls a control of this object.
    pub(crate) fn control<P: Argument>(&self, control: Control<P>, params: &mut P) -> Result<()> {
        self.client.control_of(self.handle, control, params)
    }

    pub(crate) fn handle(&self) -> u32 {
        self.handle
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let node = &self.client.node;
        let mut args = NVOS00_PARAMETERS {
            hRoot: self.client.handle,
            hObjectParent: self.parent,
            hObjectOld: self.handle,
            status: 0,
        };
        let freed = node
            .call(NV_ESC_RM_FREE, &mut args)
            .and_then(|()| hint::check(NV_ESC_RM_FREE.name(), node, args.status));
        if let Err(error) = freed {
            tracing::warn!(%error, class = self.class, "an object leaks");
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:#x}", self.class, self.handle)
    }
}
