//! The boards that the software Orin can be.

use ioctl_defs::nvgpu::channel::{ComputePreemptionMode, GraphicsPreemptionMode};
use ioctl_defs::nvgpu::ctrl::{
    GpuFlags, NVGPU_GPU_BUS_TYPE_AXI, NVGPU_GPU_CHARACTERISTICS_NO_NUMA_INFO,
    NVGPU_GPU_ENGINE_ID_ASYNC_COPY, NVGPU_GPU_ENGINE_ID_GR, NVGPU_GPU_ENGINE_ID_GR_COPY,
    nvgpu_gpu_characteristics, nvgpu_gpu_get_engine_info_item,
};
use ioctl_defs::nvmap::{NVMAP_HEAP_CARVEOUT_FSI, NVMAP_HEAP_CARVEOUT_VPR};

/// Under which names the nodes of the GPU appear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeNames {
    /// `/dev/nvgpu/igpu0/ctrl` and its neighbours (JetPack 6).
    Nvgpu,
    /// `/dev/nvhost-ctrl-gpu` and its likes (earlier releases).
    Nvhost,
}

/// A heap of memory that is set aside at boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carveout {
    /// The bit of nvmap's heap masks.
    pub heap: u32,
    /// Bytes.
    pub size: u64,
}

/// The classes of a board: of its chip, and those of earlier ones that its driver accepts.
#[derive(Clone, Copy, Debug)]
pub struct Classes {
    /// Graphics.
    pub graphics: &'static [u32],
    /// Compute.
    pub compute: &'static [u32],
    /// Host, copies and the rest.
    pub others: &'static [u32],
}

impl Classes {
    pub(crate) fn is_graphics(&self, class: u32) -> bool {
        self.graphics.contains(&class)
    }

    pub(crate) fn is_compute(&self, class: u32) -> bool {
        self.compute.contains(&class)
    }

    /// Whether the driver accepts a class at all.
    pub(crate) fn contain(&self, class: u32) -> bool {
        self.is_graphics(class) || self.is_compute(class) || self.others.contains(&class)
    }
}

/// One board in one power mode with one release: everything that differs between them, as data.
#[derive(Clone, Debug)]
pub struct Profile {
    /// By which it is chosen.
    pub name: &'static str,
    /// What it stands for, in a few words.
    pub about: &'static str,
    /// Which nodes exist.
    pub node_names: NodeNames,
    /// What the driver tells about the GPU. `device_instance_id` is filled in per open file.
    pub characteristics: nvgpu_gpu_characteristics,
    /// One bit per TPC, for each GPC that the chip can have.
    pub tpc_masks: Vec<u32>,
    /// One bit per L2 slice, for each memory partition.
    pub l2_masks: Vec<u32>,
    /// The engines and the runlists they serve.
    pub engines: Vec<nvgpu_gpu_get_engine_info_item>,
    /// The classes that the driver makes objects of.
    pub classes: Classes,
    /// Memory of the board that the kernel manages, in bytes.
    pub total_ram: u64,
    /// Memory that it does not manage.
    pub carveouts: Vec<Carveout>,
    /// How many syncpoints the chip has.
    pub syncpoints: u32,
}

impl Profile {
    /// Every profile, the default one first.
    pub fn all() -> Vec<Profile> {
        let legacy = Profile {
            name: "agx-orin-30w-nvhost",
            about: "as agx-orin-30w, with the node names of L4T R35",
            node_names: NodeNames::Nvhost,
            ..agx_orin_30w()
        };
        vec![agx_orin_30w(), agx_orin_maxn(), legacy, agx_orin_30w_iommu(), no_board_hopper()]
    }

    /// The profile of that name.
    pub fn by_name(name: &str) -> Option<Profile> {
        Profile::all().into_iter().find(|profile| profile.name == name)
    }

    /// Streaming multiprocessors: two per TPC.
    pub fn sm_count(&self) -> u32 {
        2 * self.tpc_masks.iter().map(|mask| mask.count_ones()).sum::<u32>()
    }

    /// Whether the GPU's driver announced all of these.
    pub(crate) fn supports(&self, flags: GpuFlags) -> bool {
        self.characteristics.flags.contains(flags)
    }
}

impl Default for Profile {
    /// What an AGX Orin is out of the box.
    fn default() -> Profile {
        agx_orin_30w()
    }
}

/// Measured on an AGX Orin 64 GB with L4T r36.4.4; fields that nobody published are 0.
///
/// The power mode of delivery switches half of the GPU off.
fn agx_orin_30w() -> Profile {
    let engine = |engine_id, runlist_id| nvgpu_gpu_get_engine_info_item {
        engine_id,
        engine_instance: 0,
        runlist_id,
        reserved: 0,
    };
    let mut chipname = [0; 8];
    chipname[..5].copy_from_slice(b"ga10b");
    Profile {
        name: "agx-orin-30w",
        about: "AGX Orin 64 GB, L4T R36, 30 W: 1 GPC, 8 SMs",
        node_names: NodeNames::Nvgpu,
        characteristics: nvgpu_gpu_characteristics {
            arch: 0x170,
            r#impl: 0xb,
            rev: 0xa1,
            num_gpc: 1,
            numa_domain_id: NVGPU_GPU_CHARACTERISTICS_NO_NUMA_INFO,
            L2_cache_size: 4 << 20,
            num_tpc_per_gpc: 4,
            bus_type: NVGPU_GPU_BUS_TYPE_AXI,
            compression_page_size: 64 << 10,
            pde_coverage_bit_count: 47,
            flags: GpuFlags::from_bits_retain(0x01bf_5fff_7f5d_035d),
            twod_class: 0x902d,
            threed_class: 0xc797,
            compute_class: 0xc7c0,
            gpfifo_class: 0xc76f,
            inline_to_memory_class: 0xa140,
            dma_copy_class: 0xc7b5,
            gpc_mask: 1,
            sm_arch_sm_version: 0x807,
            sm_arch_spa_version: 0x806,
            // Per TPC, although the name says otherwise: two SMs of 48 warps.
            sm_arch_warp_count: 96,
            gpu_ioctl_nr_last: 44,
            tsg_ioctl_nr_last: 21,
            dbg_gpu_ioctl_nr_last: 33,
            ioctl_channel_nr_last: 128,
            as_ioctl_nr_last: 14,
            event_ioctl_nr_last: 1,
            ctxsw_ioctl_nr_last: 6,
            prof_ioctl_nr_last: 13,
            nvs_ioctl_nr_last: 3,
            gpu_va_bit_count: 40,
            max_fbps_count: 2,
            fbp_en_mask: 3,
            max_ltc_per_fbp: 1,
            max_lts_per_ltc: 4,
            num_ltc: 2,
            lts_per_ltc: 4,
            max_gpc_count: 2,
            chipname,
            map_buffer_batch_limit: 256,
            max_freq: 1_300_000_000,
            graphics_preemption_mode_flags: GraphicsPreemptionMode::WFI
                .union(GraphicsPreemptionMode::GFXP),
            compute_preemption_mode_flags: ComputePreemptionMode::WFI
                .union(ComputePreemptionMode::CTA)
                .union(ComputePreemptionMode::CILP),
            default_graphics_preempt_mode: GraphicsPreemptionMode::WFI,
            default_compute_preempt_mode: ComputePreemptionMode::WFI,
            max_veid_count_per_tsg: 64,
            max_gpfifo_entries: 1 << 28,
            max_dbg_tsg_timeslice: 4_000_000,
            ..Default::default()
        },
        tpc_masks: vec![0xf, 0],
        l2_masks: vec![1, 1],
        // Beside the runlist of graphics and compute there is at least one for copies; which engines
        // exist was not measured.
        engines: vec![
            engine(NVGPU_GPU_ENGINE_ID_GR, 0),
            engine(NVGPU_GPU_ENGINE_ID_GR_COPY, 0),
            engine(NVGPU_GPU_ENGINE_ID_ASYNC_COPY, 1),
        ],
        classes: Classes {
            graphics: &[0xc797, 0xc597, 0xc397, 0xc097, 0xb197],
            compute: &[0xc7c0, 0xc5c0, 0xc3c0, 0xc0c0, 0xb1c0],
            others: &[
                0xc7b5, 0xc76f, 0xc637, 0xc5b5, 0xc46f, 0xc4b7, 0xc3b5, 0xc36f, 0xc0b5, 0xc06f,
                0xb0b5, 0xb06f, 0xa0b5, 0xa140, 0x902d,
            ],
        },
        total_ram: 64_349_184 << 10,
        // That these two exist was measured, their sizes were not.
        carveouts: vec![
            Carveout { heap: NVMAP_HEAP_CARVEOUT_VPR, size: 128 << 20 },
            Carveout { heap: NVMAP_HEAP_CARVEOUT_FSI, size: 256 << 20 },
        ],
        syncpoints: 1024,
    }
}

/// The whole chip.
fn agx_orin_maxn() -> Profile {
    let base = agx_orin_30w();
    Profile {
        name: "agx-orin-maxn",
        about: "AGX Orin 64 GB, L4T R36, MAXN: 2 GPCs, 16 SMs",
        characteristics: nvgpu_gpu_characteristics {
            num_gpc: 2,
            gpc_mask: 3,
            ..base.characteristics
        },
        tpc_masks: vec![0xf, 0xf],
        ..base
    }
}

/// A kernel whose device tree puts the GPU behind the SMMU: then the driver has 64 KiB pages.
fn agx_orin_30w_iommu() -> Profile {
    let base = agx_orin_30w();
    Profile {
        name: "agx-orin-30w-iommu",
        about: "as agx-orin-30w, with the GPU behind an IOMMU: 64 KiB pages exist",
        characteristics: nvgpu_gpu_characteristics {
            big_page_size: 64 << 10,
            available_big_page_sizes: 64 << 10,
            ..base.characteristics
        },
        ..base
    }
}

/// Hopper's engines for kernels and copies where an Orin has its own, with as many multiprocessors as an H200. Nobody makes this, and no
/// driver of Tegra's knows the classes: it lets what only Hopper does be tested without one.
fn no_board_hopper() -> Profile {
    let base = agx_orin_maxn();
    let mut chipname = [0; 8];
    chipname[..7].copy_from_slice(b"no-chip");
    Profile {
        name: "no-board-hopper",
        about: "DOES NOT EXIST, for development and tests: an Orin with Hopper's compute and copy engines, sm_90, \
                132 SMs",
        characteristics: nvgpu_gpu_characteristics {
            chipname,
            num_gpc: 6,
            gpc_mask: 0x3f,
            max_gpc_count: 6,
            num_tpc_per_gpc: 11,
            compute_class: 0xcbc0,
            dma_copy_class: 0xc8b5,
            sm_arch_sm_version: 0x900,
            sm_arch_spa_version: 0x900,
            // Two SMs of 64 warps.
            sm_arch_warp_count: 128,
            ..base.characteristics
        },
        tpc_masks: vec![0x7ff; 6],
        // None of an Orin's engines, so that nobody uses them by mistake.
        classes: Classes { graphics: &[], compute: &[0xcbc0], others: &[0xc8b5, 0xc76f] },
        ..base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_find_their_profile() {
        for profile in Profile::all() {
            assert_eq!(Profile::by_name(profile.name).unwrap().about, profile.about);
        }
        let mut names: Vec<_> = Profile::all().iter().map(|profile| profile.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Profile::all().len());
        assert!(Profile::by_name("agx-xavier").is_none());
    }

    #[test]
    fn masks_and_counts_agree() {
        for profile in Profile::all() {
            let told = profile.characteristics;
            assert_eq!(profile.sm_count(), 2 * told.num_gpc * told.num_tpc_per_gpc);
            assert_eq!(told.gpc_mask.count_ones(), told.num_gpc);
            assert_eq!(profile.tpc_masks.len(), told.max_gpc_count as usize);
            assert_eq!(profile.l2_masks.len(), told.max_fbps_count as usize);
        }
        assert_eq!(Profile::by_name("agx-orin-30w").unwrap().sm_count(), 8);
        assert_eq!(Profile::by_name("agx-orin-maxn").unwrap().sm_count(), 16);
    }

    #[test]
    fn a_board_that_does_not_exist_says_so() {
        for profile in Profile::all() {
            let known = &profile.characteristics.chipname[..5] == b"ga10b";
            assert_eq!(!known, profile.about.contains("DOES NOT EXIST"), "{}", profile.name);
        }
    }
}
