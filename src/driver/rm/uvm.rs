//! `/dev/nvidia-uvm`: which GPU address leads where.

use std::os::fd::{AsRawFd, RawFd};

use ioctl_defs::uvm::*;
use ioctl_defs::{Argument, Request};

use super::client::{Client, Object};
use super::hint;
use crate::addr::GpuRange;
use crate::driver::sys::Node;
use crate::error::Result;

/// An address space of UVM's, empty until RM's is registered with it. Closing it ends everything
/// that was registered and mapped.
#[derive(Debug)]
pub(crate) struct Uvm {
    node: Node,
    /// Where the driver ties the addresses to this process, this file stands for the process:
    /// once it is closed every further call is refused.
    _process: Option<Node>,
}

impl AsRawFd for Uvm {
    fn as_raw_fd(&self) -> RawFd {
        self.node.as_raw_fd()
    }
}

impl Uvm {
    pub(crate) const PATH: &str = "/dev/nvidia-uvm";

    pub(crate) fn open() -> Result<Uvm> {
        let node = Node::open(Uvm::PATH, hint::errno)?;
        // The GPU is to see what is mapped for it and nothing else of this process.
        let flags = InitFlags::DISABLE_HMM;
        let mut args = UVM_INITIALIZE_PARAMS { flags, ..Default::default() };
        node.call(UVM_INITIALIZE, &mut args)?;
        hint::check(UVM_INITIALIZE.name(), &node, args.rmStatus)?;

        let process = Node::open(Uvm::PATH, hint::errno)?;
        let mut args = UVM_MM_INITIALIZE_PARAMS { uvmFd: node.as_raw_fd(), rmStatus: 0 };
        process.call(UVM_MM_INITIALIZE, &mut args)?;
        // Any other result says that the driver does without it.
        let needed = hint::check(UVM_MM_INITIALIZE.name(), &process, args.rmStatus).is_ok();
        Ok(Uvm { node, _process: needed.then_some(process) })
    }

    fn call<A: Argument>(
        &self,
        request: Request<A>,
        mut args: A,
        status: fn(&A) -> u32,
    ) -> Result<()> {
        self.node.call(request, &mut args)?;
        hint::check(request.name(), &self.node, status(&args))
    }

    pub(crate) fn register_gpu(&self, uuid: NvProcessorUuid) -> Result<()> {
        let args = UVM_REGISTER_GPU_PARAMS { gpu_uuid: uuid, rmCtrlFd: -1, ..Default::default() };
        self.call(UVM_REGISTER_GPU, args, |args| args.rmStatus)
    }

    /// Takes an address space of RM's over.
    pub(crate) fn register_space(
        &self,
        uuid: NvProcessorUuid,
        client: &Client,
        space: &Object,
    ) -> Result<()> {
        let args = UVM_REGISTER_GPU_VASPACE_PARAMS {
            gpuUuid: uuid,
            rmCtrlFd: client.fd(),
            hClient: client.handle(),
            hVaSpace: space.handle(),
            rmStatus: 0,
        };
        self.call(UVM_REGISTER_GPU_VASPACE, args, |args| args.rmStatus)
    }

    /// Maps what a channel itself needs, such as the contexts of its engine, to `range`.
    pub(crate) fn register_channel(
        &self,
        uuid: NvProcessorUuid,
        client: &Client,
        channel: &Object,
        range: GpuRange,
    ) -> Result<()> {
        let args = UVM_REGISTER_CHANNEL_PARAMS {
            gpuUuid: uuid,
            rmCtrlFd: client.fd(),
            hClient: client.handle(),
            hChannel: channel.handle(),
            base: range.start().get(),
            length: range.len(),
            ..Default::default()
        };
        self.call(UVM_REGISTER_CHANNEL, args, |args| args.rmStatus)
    }

    /// Stops a channel and takes its mappings away.
    pub(crate) fn unregister_channel(
        &self,
        uuid: NvProcessorUuid,
        client: &Client,
        channel: &Object,
    ) -> Result<()> {
        let args = UVM_UNREGISTER_CHANNEL_PARAMS {
            gpuUuid: uuid,
            hClient: client.handle(),
            hChannel: channel.handle(),
            rmStatus: 0,
        };
        self.call(UVM_UNREGISTER_CHANNEL, args, |args| args.rmStatus)
    }

    /// Maps the whole of `memory` to `range`.
    pub(crate) fn map(
        &self,
        uuid: NvProcessorUuid,
        client: &Client,
        memory: &Object,
        range: GpuRange,
    ) -> Result<()> {
        let (base, length) = (range.start().get(), range.len());
        let args = UVM_CREATE_EXTERNAL_RANGE_PARAMS { base, length, ..Default::default() };
        self.call(UVM_CREATE_EXTERNAL_RANGE, args, |args| args.rmStatus)?;

        let mut args = UVM_MAP_EXTERNAL_ALLOCATION_PARAMS {
            base,
            length,
            gpuAttributesCount: 1,
            rmCtrlFd: client.fd(),
            hClient: client.handle(),
            hMemory: memory.handle(),
            ..Default::default()
        };
        args.perGpuAttributes[0] = UvmGpuMappingAttributes {
            gpuUuid: uuid,
            gpuMappingType: UvmGpuMappingTypeReadWriteAtomic,
            ..Default::default()
        };
        self.call(UVM_MAP_EXTERNAL_ALLOCATION, args, |args| args.rmStatus)
            .inspect_err(|_| self.unmap(range))
    }

    /// Takes the mappings of a range away, and waits until the GPU has forgotten them.
    pub(crate) fn unmap(&self, range: GpuRange) {
        let (base, length) = (range.start().get(), range.len());
        let args = UVM_FREE_PARAMS { base, length, ..Default::default() };
        if let Err(error) = self.call(UVM_FREE, args, |args| args.rmStatus) {
            tracing::warn!(%error, %range, "a GPU mapping leaks");
        }
    }
}
