//! Two generations of the launch descriptor: where each has what, and what its GPU allows.

use hw_defs::qmd::{Layout, QmdField, v03_00 as v3, v04_00 as v4};

use crate::sm::Arch;

/// One version, as one GPU reads it.
pub(super) struct Version {
    pub(super) layout: &'static Layout,
    pub(super) major: (QmdField, u32),
    pub(super) minor: (QmdField, u32),
    /// What the GPU says to a descriptor of another version.
    pub(super) reads: &'static str,
    pub(super) limits: Limits,
    pub(super) sass: QmdField,
    /// What it is a descriptor of, where it says so.
    pub(super) kind: Option<QmdField>,
    pub(super) counter: Counter,
    pub(super) require_scheduling: QmdField,
    pub(super) grid: [QmdField; 3],
    pub(super) block: [QmdField; 3],
    /// Upper and lower half.
    pub(super) program: [QmdField; 2],
    pub(super) prefetch: [QmdField; 2],
    pub(super) prefetch_size: QmdField,
    pub(super) registers: QmdField,
    pub(super) barriers: QmdField,
    pub(super) shared: QmdField,
    /// Least, target and most.
    pub(super) carve_out: [QmdField; 3],
    /// Growing up from zero, and down from 2^24.
    pub(super) local: [QmdField; 2],
    pub(super) in_order: QmdField,
    pub(super) membar: QmdField,
    pub(super) invalidate_code: QmdField,
    pub(super) invalidate_data: QmdField,
    pub(super) invalidate_constants: QmdField,
    pub(super) bank: fn(u32) -> Bank,
    /// Bank addresses count in units of this many bits.
    pub(super) bank_shift: u32,
    pub(super) dependents: &'static [Dependent],
    pub(super) release: fn(u32) -> Release,
    /// Fields that have one value here, and why.
    pub(super) fixed: &'static [(&'static [QmdField], u32, &'static str)],
    pub(super) early: Option<Early>,
    /// Blocks of a cluster, where there are any.
    pub(super) cluster: Option<[QmdField; 3]>,
    /// Whether the GPU may still have a descriptor whose own release has been seen.
    pub(super) outlives_release: bool,
}

/// What the GPU has.
pub(super) struct Limits {
    pub(super) arch: Arch,
    /// Compute capability, a decimal digit in four bits, and in words.
    pub(super) sass: (u32, &'static str),
    /// What a multiprocessor can set aside as shared memory, in KiB.
    pub(super) carve_outs: &'static [u32],
    pub(super) warps_per_sm: u32,
    pub(super) blocks_per_sm: u32,
    pub(super) multiprocessors: u32,
    /// Where kernels can begin.
    pub(super) entry_align: u64,
    /// Whether the system's part of shared memory lies at its beginning, where blocks see it.
    pub(super) sees_reserved: bool,
}

/// The fields of a launch that waits for several others.
pub(super) struct Counter {
    /// What the other is filled from where a descriptor is copied on its way to the scheduler, by its name.
    pub(super) first: QmdField,
    /// What it counts in.
    pub(super) own: QmdField,
    /// Whether anybody has tried it on such a GPU. Where nobody has, the rules of the one where somebody
    /// has are taken for its own.
    pub(super) tried: bool,
}

/// The fields that let a launch start before the one before it has ended, and wait for it.
pub(super) struct Early {
    /// Lets the dependents start when the last block has.
    pub(super) at_last_start: QmdField,
    /// Lets them start when the last block has ended, before the membar.
    pub(super) before_membar: QmdField,
    pub(super) arrives: QmdField,
    pub(super) arrives_at: QmdField,
    pub(super) waits: QmdField,
    pub(super) waits_on: QmdField,
    /// What is cached does not count once the latch is open.
    pub(super) invalidate_data: QmdField,
}

/// One constant bank's fields.
pub(super) struct Bank {
    pub(super) valid: QmdField,
    /// Upper and lower half.
    pub(super) address: [QmdField; 2],
    pub(super) size: QmdField,
    pub(super) invalidate: QmdField,
    /// Where it can be fetched ahead: the field, and the value that asks for it.
    pub(super) prefetch: Option<(QmdField, u32)>,
}

/// The fields of another launch that is told about the end of this one.
pub(super) struct Dependent {
    pub(super) enable: QmdField,
    pub(super) action: QmdField,
    pub(super) prefetch: QmdField,
    /// None where nobody knows which field it is.
    pub(super) pointer: Option<QmdField>,
}

/// The fields of one semaphore release.
pub(super) struct Release {
    pub(super) enable: QmdField,
    /// Upper and lower half.
    pub(super) address: [QmdField; 2],
    pub(super) payload: [QmdField; 2],
    pub(super) long: QmdField,
    pub(super) structure: QmdField,
    pub(super) trap: QmdField,
    pub(super) reduction: QmdField,
    pub(super) op: QmdField,
    pub(super) format: QmdField,
}

const PLAIN: &str = "this software Orin runs plain grids, and only zero means that";
const UNKNOWN: &str = "not modelled: nobody has written down what it does";

/// Orin: AMPERE_COMPUTE_B.
pub(super) static V03: Version = Version {
    layout: &v3::LAYOUT,
    major: (v3::QMD_MAJOR_VERSION, 3),
    minor: (v3::QMD_VERSION, 0),
    reads: "this GPU reads version 3.0",
    limits: Limits {
        arch: Arch::Sm87,
        sass: (0x87, "this GPU runs sm_87, which is 0x87"),
        carve_outs: &[8, 16, 32, 64, 100, 132, 164],
        warps_per_sm: 48,
        blocks_per_sm: 16,
        // The largest Orin's.
        multiprocessors: 16,
        // Functions are so aligned; whether less would do nobody has tried.
        entry_align: 128,
        sees_reserved: false,
    },
    sass: v3::SASS_VERSION,
    kind: None,
    counter: Counter {
        first: v3::DEPENDENCE_COUNTER,
        own: v3::HW_ONLY_DEPENDENCE_COUNTER,
        tried: false,
    },
    require_scheduling: v3::REQUIRE_SCHEDULING_PCAS,
    grid: [v3::CTA_RASTER_WIDTH, v3::CTA_RASTER_HEIGHT, v3::CTA_RASTER_DEPTH],
    block: [v3::CTA_THREAD_DIMENSION0, v3::CTA_THREAD_DIMENSION1, v3::CTA_THREAD_DIMENSION2],
    program: [v3::PROGRAM_ADDRESS_UPPER, v3::PROGRAM_ADDRESS_LOWER],
    prefetch: [v3::PROGRAM_PREFETCH_ADDR_UPPER_SHIFTED, v3::PROGRAM_PREFETCH_ADDR_LOWER_SHIFTED],
    prefetch_size: v3::PROGRAM_PREFETCH_SIZE,
    registers: v3::REGISTER_COUNT_V,
    barriers: v3::BARRIER_COUNT,
    shared: v3::SHARED_MEMORY_SIZE,
    carve_out: [
        v3::MIN_SM_CONFIG_SHARED_MEM_SIZE,
        v3::TARGET_SM_CONFIG_SHARED_MEM_SIZE,
        v3::MAX_SM_CONFIG_SHARED_MEM_SIZE,
    ],
    local: [v3::SHADER_LOCAL_MEMORY_LOW_SIZE, v3::SHADER_LOCAL_MEMORY_HIGH_SIZE],
    in_order: v3::SEQUENTIALLY_RUN_CTAS,
    membar: v3::CWD_MEMBAR_TYPE,
    invalidate_code: v3::INVALIDATE_INSTRUCTION_CACHE,
    invalidate_data: v3::INVALIDATE_SHADER_DATA_CACHE,
    invalidate_constants: v3::INVALIDATE_SHADER_CONSTANT_CACHE,
    bank: |i| Bank {
        valid: v3::CONSTANT_BUFFER_VALID(i),
        address: [v3::CONSTANT_BUFFER_ADDR_UPPER(i), v3::CONSTANT_BUFFER_ADDR_LOWER(i)],
        size: v3::CONSTANT_BUFFER_SIZE_SHIFTED4(i),
        invalidate: v3::CONSTANT_BUFFER_INVALIDATE(i),
        prefetch: None,
    },
    bank_shift: 0,
    dependents: &[
        Dependent {
            enable: v3::DEPENDENT_QMD0_ENABLE,
            action: v3::DEPENDENT_QMD0_ACTION,
            prefetch: v3::DEPENDENT_QMD0_PREFETCH,
            pointer: Some(v3::DEPENDENT_QMD0_POINTER),
        },
        Dependent {
            enable: v3::DEPENDENT_QMD1_ENABLE,
            action: v3::DEPENDENT_QMD1_ACTION,
            prefetch: v3::DEPENDENT_QMD1_PREFETCH,
            pointer: None,
        },
    ],
    release: |i| {
        // The three are laid out alike, the third behind fields that came earlier.
        let by = match i {
            0 => 0,
            1 => v3::RELEASE1_ADDRESS_LOWER.lo - v3::RELEASE0_ADDRESS_LOWER.lo,
            _ => v3::RELEASE2_ADDRESS_LOWER.lo - v3::RELEASE0_ADDRESS_LOWER.lo,
        };
        Release {
            enable: moved(v3::RELEASE0_ENABLE, by),
            address: [moved(v3::RELEASE0_ADDRESS_UPPER, by), moved(v3::RELEASE0_ADDRESS_LOWER, by)],
            payload: [moved(v3::RELEASE0_PAYLOAD_UPPER, by), moved(v3::RELEASE0_PAYLOAD_LOWER, by)],
            long: moved(v3::RELEASE0_PAYLOAD64B, by),
            structure: moved(v3::RELEASE0_STRUCTURE_SIZE, by),
            trap: moved(v3::RELEASE0_TRAP_TYPE, by),
            reduction: moved(v3::RELEASE0_REDUCTION_ENABLE, by),
            op: moved(v3::RELEASE0_REDUCTION_OP, by),
            format: moved(v3::RELEASE0_REDUCTION_FORMAT, by),
        }
    },
    fixed: &[(
        &[
            v3::OUTER_PUT,
            v3::OUTER_OVERFLOW,
            v3::OUTER_GET,
            v3::OUTER_STICKY_OVERFLOW,
            v3::INNER_GET,
            v3::INNER_OVERFLOW,
            v3::INNER_PUT,
            v3::INNER_STICKY_OVERFLOW,
            v3::IS_QUEUE,
            v3::SELF_COPY_ON_COMPLETION,
            v3::CTA_RASTER_WIDTH_RESUME,
            v3::CTA_RASTER_HEIGHT_RESUME,
            v3::CTA_RASTER_DEPTH_RESUME,
            v3::CIRCULAR_QUEUE_SIZE,
            v3::CIRCULAR_QUEUE_ADDR_LOWER,
            v3::CIRCULAR_QUEUE_ADDR_UPPER,
            v3::CIRCULAR_QUEUE_ENTRY_SIZE,
            v3::CWD_REFERENCE_COUNT_INCR_ENABLE,
            v3::CWD_REFERENCE_COUNT_DECR_ENABLE,
            v3::CTA_LAUNCH_QUEUE,
            v3::HW_ONLY_INNER_GET,
            v3::HW_ONLY_REQUIRE_SCHEDULING_PCAS,
            v3::HW_ONLY_INNER_PUT,
            v3::HW_ONLY_SPAN_LIST_HEAD_INDEX,
            v3::HW_ONLY_SPAN_LIST_HEAD_INDEX_VALID,
            v3::HW_ONLY_SKED_NEXT_QMD_POINTER,
        ],
        0,
        PLAIN,
    )],
    early: None,
    cluster: None,
    outlives_release: true,
};

/// H100 and H200: HOPPER_COMPUTE_A.
pub(super) static V04: Version = Version {
    layout: &v4::LAYOUT,
    major: (v4::QMD_MAJOR_VERSION, 4),
    minor: (v4::QMD_MINOR_VERSION, 0),
    reads: "this GPU reads version 4.0",
    limits: Limits {
        arch: Arch::Sm90,
        sass: (0x90, "this GPU runs sm_90, which is 0x90"),
        carve_outs: &[8, 16, 32, 64, 100, 132, 164, 196, 228],
        warps_per_sm: 64,
        blocks_per_sm: 32,
        // An H200's.
        multiprocessors: 132,
        // An instruction.
        entry_align: 16,
        sees_reserved: true,
    },
    sass: v4::SASS_VERSION,
    kind: Some(v4::QMD_TYPE),
    counter: Counter {
        first: v4::DEPENDENCE_COUNTER,
        own: v4::HW_ONLY_DEPENDENCE_COUNTER,
        tried: true,
    },
    require_scheduling: v4::REQUIRE_SCHEDULING_PCAS,
    grid: [v4::GRID_WIDTH, v4::GRID_HEIGHT, v4::GRID_DEPTH],
    block: [v4::CTA_THREAD_DIMENSION0, v4::CTA_THREAD_DIMENSION1, v4::CTA_THREAD_DIMENSION2],
    program: [v4::PROGRAM_ADDRESS_UPPER, v4::PROGRAM_ADDRESS_LOWER],
    prefetch: [v4::PROGRAM_PREFETCH_ADDR_UPPER_SHIFTED, v4::PROGRAM_PREFETCH_ADDR_LOWER_SHIFTED],
    prefetch_size: v4::PROGRAM_PREFETCH_SIZE,
    registers: v4::REGISTER_COUNT,
    barriers: v4::BARRIER_COUNT,
    shared: v4::SHARED_MEMORY_SIZE,
    carve_out: [
        v4::MIN_SM_CONFIG_SHARED_MEM_SIZE,
        v4::TARGET_SM_CONFIG_SHARED_MEM_SIZE,
        v4::MAX_SM_CONFIG_SHARED_MEM_SIZE,
    ],
    local: [v4::SHADER_LOCAL_MEMORY_LOW_SIZE, v4::SHADER_LOCAL_MEMORY_HIGH_SIZE],
    in_order: v4::SEQUENTIALLY_RUN_CTAS,
    membar: v4::CWD_MEMBAR_TYPE,
    invalidate_code: v4::INVALIDATE_INSTRUCTION_CACHE,
    invalidate_data: v4::INVALIDATE_SHADER_DATA_CACHE,
    invalidate_constants: v4::INVALIDATE_SHADER_CONSTANT_CACHE,
    bank: |i| Bank {
        valid: v4::CONSTANT_BUFFER_VALID(i),
        address: [
            v4::CONSTANT_BUFFER_ADDR_UPPER_SHIFTED6(i),
            v4::CONSTANT_BUFFER_ADDR_LOWER_SHIFTED6(i),
        ],
        size: v4::CONSTANT_BUFFER_SIZE_SHIFTED4(i),
        invalidate: v4::CONSTANT_BUFFER_INVALIDATE(i),
        prefetch: Some((
            v4::CONSTANT_BUFFER_PREFETCH(i),
            v4::CONSTANT_BUFFER_PREFETCH_PREFETCH_PRE,
        )),
    },
    bank_shift: 6,
    dependents: &[
        Dependent {
            enable: v4::DEPENDENT_QMD_ENABLE(0),
            action: v4::DEPENDENT_QMD_ACTION(0),
            prefetch: v4::DEPENDENT_QMD_PREFETCH(0),
            pointer: Some(v4::DEPENDENT_QMD0_POINTER),
        },
        Dependent {
            enable: v4::DEPENDENT_QMD_ENABLE(1),
            action: v4::DEPENDENT_QMD_ACTION(1),
            prefetch: v4::DEPENDENT_QMD_PREFETCH(1),
            pointer: Some(v4::DEPENDENT_QMD1_POINTER),
        },
    ],
    release: |i| {
        let by = i * (v4::RELEASE_SEMAPHORE1_ADDR_LOWER.lo - v4::RELEASE_SEMAPHORE0_ADDR_LOWER.lo);
        Release {
            enable: v4::RELEASE_ENABLE(i),
            address: [
                moved(v4::RELEASE_SEMAPHORE0_ADDR_UPPER, by),
                moved(v4::RELEASE_SEMAPHORE0_ADDR_LOWER, by),
            ],
            payload: [
                moved(v4::RELEASE_SEMAPHORE0_PAYLOAD_UPPER, by),
                moved(v4::RELEASE_SEMAPHORE0_PAYLOAD_LOWER, by),
            ],
            long: v4::RELEASE_PAYLOAD64B(i),
            structure: v4::RELEASE_STRUCTURE_SIZE(i),
            trap: v4::RELEASE_TRAP_TYPE(i),
            reduction: v4::RELEASE_REDUCTION_ENABLE(i),
            op: v4::RELEASE_REDUCTION_OP(i),
            format: v4::RELEASE_REDUCTION_FORMAT(i),
        }
    },
    fixed: &[
        (
            &[
                v4::OUTER_PUT,
                v4::OUTER_OVERFLOW,
                v4::OUTER_GET,
                v4::OUTER_STICKY_OVERFLOW,
                v4::INNER_GET,
                v4::INNER_OVERFLOW,
                v4::INNER_PUT,
                v4::INNER_STICKY_OVERFLOW,
                v4::SELF_COPY_ON_COMPLETION,
                v4::GRID_WIDTH_RESUME,
                v4::GRID_HEIGHT_RESUME,
                v4::GRID_DEPTH_RESUME,
                v4::CIRCULAR_QUEUE_SIZE,
                v4::CIRCULAR_QUEUE_ADDR_LOWER,
                v4::CIRCULAR_QUEUE_ADDR_UPPER,
                v4::CIRCULAR_QUEUE_ENTRY_SIZE,
                v4::CWD_REFERENCE_COUNT_INCR_ENABLE,
                v4::CWD_REFERENCE_COUNT_DECR_ENABLE,
                v4::HW_ONLY_INNER_GET,
                v4::HW_ONLY_REQUIRE_SCHEDULING_PCAS,
                v4::HW_ONLY_INNER_PUT,
                v4::HW_ONLY_SPAN_LIST_HEAD_INDEX,
                v4::HW_ONLY_SPAN_LIST_HEAD_INDEX_VALID,
                v4::HW_ONLY_SKED_NEXT_QMD_POINTER,
            ],
            0,
            PLAIN,
        ),
        (
            &[
                v4::TPC_DISABLE_MASK_VALID,
                v4::CGA_CTA_DISTRIBUTION_MODE,
                v4::GPU_CGA_WIDTH,
                v4::GPU_CGA_HEIGHT,
                v4::GPU_CGA_DEPTH,
            ],
            0,
            UNKNOWN,
        ),
    ],
    cluster: Some([v4::GPC_CGA_WIDTH, v4::GPC_CGA_HEIGHT, v4::GPC_CGA_DEPTH]),
    outlives_release: false,
    early: Some(Early {
        at_last_start: v4::PRE_EXIT_AT_LAST_CTA_LAUNCH,
        before_membar: v4::ENABLE_PROGRAM_PRE_EXIT,
        arrives: v4::ARRIVE_AT_LATCH_VALID,
        arrives_at: v4::ARRIVE_AT_LATCH_ID,
        waits: v4::WAIT_ON_LATCH_VALID,
        waits_on: v4::WAIT_ON_LATCH_ID,
        invalidate_data: v4::LATCH_ACQUIRE_INVALIDATE_SHADER_DATA_CACHE,
    }),
};

/// The field that lies `by` bits further on.
const fn moved(field: QmdField, by: u32) -> QmdField {
    QmdField { hi: field.hi + by, lo: field.lo + by, ..field }
}
