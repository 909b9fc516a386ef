//! One GPU: its node, its device and subdevice objects, and what RM tells about it.

use std::sync::Arc;

use ioctl_defs::rm::class::*;
use ioctl_defs::rm::control::*;
use ioctl_defs::rm::escape::*;
use ioctl_defs::uvm::NvProcessorUuid;

use super::classes::Classes;
use super::client::{Client, Object};
use super::{addresses, hint};
use crate::driver::Info;
use crate::driver::sys::{Node, exists};
use crate::error::{Error, Result};

#[derive(Debug)]
pub(crate) struct Gpu {
    pub(crate) subdevice: Object,
    pub(crate) device: Object,
    pub(crate) classes: Classes,
    pub(crate) uuid: NvProcessorUuid,
    pci: String,
    /// Holds the GPU awake: the driver puts one to sleep that nobody has open.
    node: Node,
    pub(crate) client: Arc<Client>,
}

impl Gpu {
    /// Opens the GPU of that number, or the first whose node this process has.
    pub(crate) fn open(client: &Arc<Client>, number: Option<u32>) -> Result<Gpu> {
        let cards = client.cards()?;
        let path = |card: &nv_ioctl_card_info_t| format!("/dev/nvidia{}", card.minor_number);
        let here: Vec<_> = cards.iter().filter(|card| exists(&path(card))).collect();
        let wanted = |card: &nv_ioctl_card_info_t| number.is_none_or(|it| it == card.minor_number);
        let card = here.iter().find(|card| wanted(card)).ok_or_else(|| match number {
            Some(number) if !here.is_empty() => Error::Unsupported {
                node: format!("/dev/nvidia{number}"),
                reason: format!(
                    "it is not among the GPUs of this process: {}",
                    here.iter().map(|card| path(card)).collect::<Vec<_>>().join(", ")
                ),
            },
            _ => Error::Unsupported {
                node: client.name().to_owned(),
                reason: format!(
                    "the driver knows {} GPUs, but none of their nodes is here: a container needs them passed in",
                    cards.len()
                ),
            },
        })?;
        let node = open_registered(&path(card), client)?;

        let mut id =
            NV0000_CTRL_GPU_GET_ID_INFO_V2_PARAMS { gpuId: card.gpu_id, ..Default::default() };
        client.control(NV0000_CTRL_CMD_GPU_GET_ID_INFO_V2, &mut id)?;
        let device = client.child(
            NV01_DEVICE_0,
            &mut NV0080_ALLOC_PARAMETERS {
                deviceId: id.deviceInstance,
                hClientShare: client.handle(),
                vaMode: NV_DEVICE_ALLOCATION_VAMODE_OPTIONAL_MULTIPLE_VASPACES,
                ..Default::default()
            },
        )?;
        let subdevice = device.child(
            NV20_SUBDEVICE_0,
            &mut NV2080_ALLOC_PARAMETERS { subDeviceId: id.subDeviceInstance },
        )?;

        let mut list = NV0080_CTRL_GPU_GET_CLASSLIST_V2_PARAMS::default();
        device.control(NV0080_CTRL_CMD_GPU_GET_CLASSLIST_V2, &mut list)?;
        let count = list.classList.len().min(list.numClasses as usize);
        let classes = Classes::choose(&list.classList[..count])
            .map_err(|reason| Error::Unsupported { node: node.name().to_owned(), reason })?;

        let mut gid = NV2080_CTRL_GPU_GET_GID_INFO_PARAMS {
            index: 0,
            flags: NV2080_GPU_CMD_GPU_GET_GID_FLAGS_FORMAT_BINARY,
            length: size_of::<NvProcessorUuid>() as u32,
            ..Default::default()
        };
        subdevice.control(NV2080_CTRL_CMD_GPU_GET_GID_INFO, &mut gid)?;
        let mut uuid = NvProcessorUuid::default();
        uuid.copy_from_slice(&gid.data[..size_of::<NvProcessorUuid>()]);

        let nv_pci_info_t { domain, bus, slot, function, .. } = card.pci_info;
        let pci = format!("{domain:04x}:{bus:02x}:{slot:02x}.{function:x}");
        Ok(Gpu { subdevice, device, classes, uuid, pci, node, client: client.clone() })
    }

    /// Another open file of the GPU's node; the driver prepares one mapping or event per file.
    pub(crate) fn file(&self) -> Result<Node> {
        open_registered(self.node.name(), &self.client)
    }

    /// Asks for full clocks for as long as the client lives, as libcuda does. Without it an idle
    /// GPU answers at a fraction of its speed until some milliseconds of work have raised it.
    pub(crate) fn boost(&self) {
        let flags = NV2080_CTRL_PERF_BOOST_FLAGS_CMD
            .set(NV2080_CTRL_PERF_BOOST_FLAGS_CMD_BOOST_TO_MAX)
            | NV2080_CTRL_PERF_BOOST_FLAGS_CUDA.set(NV2080_CTRL_PERF_BOOST_FLAGS_CUDA_YES)
            | NV2080_CTRL_PERF_BOOST_FLAGS_CUDA_PRIORITY
                .set(NV2080_CTRL_PERF_BOOST_FLAGS_CUDA_PRIORITY_HIGH);
        const FOR_EVER: u32 = u32::MAX;
        let mut params = NV2080_CTRL_PERF_BOOST_PARAMS { flags, duration: FOR_EVER };
        if let Err(error) = self.subdevice.control(NV2080_CTRL_CMD_PERF_BOOST, &mut params) {
            tracing::info!(%error, "the GPU's clocks stay as they are");
        }
    }

    pub(crate) fn read_info(&self) -> Result<Info> {
        let mut name = NV2080_CTRL_GPU_GET_NAME_STRING_PARAMS::default();
        self.subdevice.control(NV2080_CTRL_CMD_GPU_GET_NAME_STRING, &mut name)?;
        let [version, warps_per_sm] = self.graphics_info([
            NV2080_CTRL_GR_INFO_INDEX_SM_VERSION,
            NV2080_CTRL_GR_INFO_INDEX_MAX_WARPS_PER_SM,
        ])?;
        let mut sms = NV2080_CTRL_GR_GET_GLOBAL_SM_ORDER_PARAMS::default();
        self.subdevice.control(NV2080_CTRL_CMD_GR_GET_GLOBAL_SM_ORDER, &mut sms)?;
        let mut memory =
            NV2080_CTRL_FB_GET_INFO_V2_PARAMS { fbInfoListSize: 1, ..Default::default() };
        memory.fbInfoList[0].index = NV2080_CTRL_FB_INFO_INDEX_L2CACHE_SIZE;
        self.subdevice.control(NV2080_CTRL_CMD_FB_GET_INFO_V2, &mut memory)?;
        let mut space = NV0080_CTRL_DMA_ADV_SCHED_GET_VA_CAPS_PARAMS::default();
        self.device.control(NV0080_CTRL_CMD_DMA_ADV_SCHED_GET_VA_CAPS, &mut space)?;
        Ok(Info {
            chip: text(&name.ascii),
            driver: "nvidia",
            node: self.node.name().to_owned(),
            pci: Some(self.pci.clone()),
            sm: compute_capability(version),
            sm_count: sms.numSm.into(),
            warps_per_sm,
            host_class: self.classes.channel.number(),
            compute_class: self.classes.compute.number(),
            copy_class: self.classes.copy.number(),
            va_bits: space.vaBitCount,
            va: addresses::ALL,
            l2_bytes: memory.fbInfoList[0].data.into(),
            max_clock_hz: None,
            unified_memory: false,
        })
    }

    fn graphics_info<const N: usize>(&self, indices: [u32; N]) -> Result<[u32; N]> {
        let mut list = indices.map(|index| NV2080_CTRL_GR_INFO { index, data: 0 });
        let mut params = NV2080_CTRL_GR_GET_INFO_PARAMS {
            grInfoListSize: N as u32,
            grInfoList: list.as_mut_ptr() as u64,
            ..Default::default()
        };
        self.subdevice.control(NV2080_CTRL_CMD_GR_GET_INFO, &mut params)?;
        Ok(list.map(|info| info.data))
    }

    /// The copy engines that do not share the graphics engine's queue, for a copy there would wait
    /// for kernels to be switched out. Those that share no hardware with others come first: on an
    /// H200 they copy within video memory at 556 GB/s, the others at 94.
    pub(crate) fn copy_engines(&self) -> Result<Vec<u32>> {
        let mut engines = NV2080_CTRL_GPU_GET_ENGINES_V2_PARAMS::default();
        self.subdevice.control(NV2080_CTRL_CMD_GPU_GET_ENGINES_V2, &mut engines)?;
        let count = engines.engineList.len().min(engines.engineCount as usize);
        let is_copy = |engine: &u32| {
            (NV2080_ENGINE_TYPE_COPY0..=NV2080_ENGINE_TYPE_COPY9).contains(engine)
                || (NV2080_ENGINE_TYPE_COPY10..=NV2080_ENGINE_TYPE_COPY19).contains(engine)
        };
        let mut separate = Vec::new();
        for engine in engines.engineList[..count].iter().copied().filter(is_copy) {
            let mut caps =
                NV2080_CTRL_CE_GET_CAPS_V2_PARAMS { ceEngineType: engine, ..Default::default() };
            self.subdevice.control(NV2080_CTRL_CMD_CE_GET_CAPS_V2, &mut caps)?;
            let has = |flag| caps.capsTbl[0] & flag != 0;
            if !has(NV2080_CTRL_CE_CAPS_CE_GRCE) {
                separate.push((has(NV2080_CTRL_CE_CAPS_CE_SHARED), engine));
            }
        }
        separate.sort_unstable();
        Ok(separate.into_iter().map(|(_, engine)| engine).collect())
    }
}

fn open_registered(path: &str, client: &Client) -> Result<Node> {
    let node = Node::open(path, hint::errno)?;
    node.call(NV_ESC_REGISTER_FD, &mut nv_ioctl_register_fd_t { ctl_fd: client.fd() })?;
    Ok(node)
}

/// Text that ends with a zero byte.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Ten times the compute capability. RM puts a minor number below 16 in either nibble.
fn compute_capability(version: u32) -> u32 {
    let (major, minor) = (version >> 8 & 0xff, version & 0xff);
    major * 10 + if minor > 0xf { minor >> 4 } else { minor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_at_the_zero_byte() {
        assert_eq!(text(b"NVIDIA H200\0\0junk"), "NVIDIA H200");
        assert_eq!(text(b"whole"), "whole");
    }

    #[test]
    fn compute_capabilities() {
        assert_eq!([0x900, 0x804, 0x806, 0x809].map(compute_capability), [90, 84, 86, 89]);
        assert_eq!(compute_capability(0x750), 75);
    }
}
