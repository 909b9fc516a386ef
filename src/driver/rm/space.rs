//! An address space: RM's object, and UVM, which fills it.

use std::sync::Arc;

use ioctl_defs::rm::class::{
    FERMI_VASPACE_A, NV_VASPACE_ALLOCATION_INDEX_GPU_NEW, NV_VASPACE_ALLOCATION_PARAMETERS,
    VaSpaceFlags,
};

use super::client::Object;
use super::fault_log::FaultLog;
use super::gpu::Gpu;
use super::uvm::Uvm;
use crate::addr::GpuRange;
use crate::error::Result;

#[derive(Debug)]
pub(crate) struct Space {
    /// Where UVM tells of faults. First to go: UVM may still write to it.
    log: Option<FaultLog>,
    /// It uses the object.
    uvm: Uvm,
    object: Object,
    pub(crate) gpu: Arc<Gpu>,
}

/// Where an address space begins and how much it holds, as libcuda asks for it.
const BASE: u64 = 0x1000;
const SIZE: u64 = 0x1_ffff_fb00_0000;

impl Space {
    pub(crate) fn new(gpu: &Arc<Gpu>) -> Result<Space> {
        let uvm = Uvm::open()?;
        let object = gpu.device.child(
            FERMI_VASPACE_A,
            &mut NV_VASPACE_ALLOCATION_PARAMETERS {
                index: NV_VASPACE_ALLOCATION_INDEX_GPU_NEW,
                flags: VaSpaceFlags::ENABLE_PAGE_FAULTING | VaSpaceFlags::IS_EXTERNALLY_OWNED,
                vaSize: SIZE,
                vaBase: BASE,
                ..Default::default()
            },
        )?;
        uvm.register_gpu(gpu.uuid)?;
        uvm.register_space(gpu.uuid, &gpu.client, &object)?;
        // Where this process may not have one, notifiers tell of faults, later.
        let log = FaultLog::open(&uvm)
            .inspect_err(|error| tracing::info!(%error, "MMU faults will be told late"))
            .ok();
        Ok(Space { log, uvm, object, gpu: gpu.clone() })
    }

    pub(crate) fn handle(&self) -> u32 {
        self.object.handle()
    }

    pub(crate) fn log(&self) -> Option<&FaultLog> {
        self.log.as_ref()
    }

    pub(crate) fn map(&self, memory: &Object, range: GpuRange) -> Result<()> {
        self.uvm.map(self.gpu.uuid, &self.gpu.client, memory, range)
    }

    pub(crate) fn unmap(&self, range: GpuRange) {
        self.uvm.unmap(range);
    }

    pub(crate) fn register_channel(&self, channel: &Object, range: GpuRange) -> Result<()> {
        self.uvm.register_channel(self.gpu.uuid, &self.gpu.client, channel, range)
    }

    pub(crate) fn unregister_channel(&self, channel: &Object) {
        let client = &self.gpu.client;
        if let Err(error) = self.uvm.unregister_channel(self.gpu.uuid, client, channel) {
            tracing::warn!(%error, ?channel, "a channel's mappings leak");
        }
    }
}
