//! What the host engine, which fetches pushbuffers, reads from Ampere to Hopper.
//!
//! Host methods lie below 0x100 and mean the same on every subchannel.

/// Methods below this byte offset are the host's, those from here on the bound class's.
pub const METHOD_LIMIT: u32 = 0x100;

methods! {
    /// Puts a class on a subchannel: compute on 1 and copy on 4 by convention.
    0x0000 SET_OBJECT {
        15:0  SET_OBJECT_NVCLASS,
        20:16 SET_OBJECT_ENGINE { SET_OBJECT_ENGINE_SW = 0x1f },
    }
    0x0004 ILLEGAL { 31:0 ILLEGAL_HANDLE }
    /// Does nothing with its word: padding.
    0x0008 NOP { 31:0 NOP_HANDLE }
    /// The old semaphore, 32-bit payloads only; the SEM methods replace it.
    0x0010 SEMAPHOREA { 7:0 SEMAPHOREA_OFFSET_UPPER }
    0x0014 SEMAPHOREB { 31:2 SEMAPHOREB_OFFSET_LOWER }
    0x0018 SEMAPHOREC { 31:0 SEMAPHOREC_PAYLOAD }
    0x001c SEMAPHORED {
        4:0   SEMAPHORED_OPERATION {
            SEMAPHORED_OPERATION_ACQUIRE = 1,
            SEMAPHORED_OPERATION_RELEASE = 2,
            SEMAPHORED_OPERATION_ACQ_GEQ = 4,
            SEMAPHORED_OPERATION_ACQ_AND = 8,
            SEMAPHORED_OPERATION_REDUCTION = 0x10,
        },
        12:12 SEMAPHORED_ACQUIRE_SWITCH {
            SEMAPHORED_ACQUIRE_SWITCH_DISABLED = 0,
            SEMAPHORED_ACQUIRE_SWITCH_ENABLED = 1,
        },
        20:20 SEMAPHORED_RELEASE_WFI {
            SEMAPHORED_RELEASE_WFI_EN = 0,
            SEMAPHORED_RELEASE_WFI_DIS = 1,
        },
        24:24 SEMAPHORED_RELEASE_SIZE {
            SEMAPHORED_RELEASE_SIZE_16BYTE = 0,
            SEMAPHORED_RELEASE_SIZE_4BYTE = 1,
        },
        30:27 SEMAPHORED_REDUCTION {
            SEMAPHORED_REDUCTION_MIN = 0,
            SEMAPHORED_REDUCTION_MAX = 1,
            SEMAPHORED_REDUCTION_XOR = 2,
            SEMAPHORED_REDUCTION_AND = 3,
            SEMAPHORED_REDUCTION_OR = 4,
            SEMAPHORED_REDUCTION_ADD = 5,
            SEMAPHORED_REDUCTION_INC = 6,
            SEMAPHORED_REDUCTION_DEC = 7,
        },
        31:31 SEMAPHORED_FORMAT { SEMAPHORED_FORMAT_SIGNED = 0, SEMAPHORED_FORMAT_UNSIGNED = 1 },
    }
    /// Raises the event that lets a program sleep until the GPU gets here.
    0x0020 NON_STALL_INTERRUPT { 31:0 NON_STALL_INTERRUPT_HANDLE }
    0x0024 FB_FLUSH { 31:0 FB_FLUSH_HANDLE }
    /// Part of MEM_OP_A to MEM_OP_D: a membar, or cache and TLB work that needs privilege.
    0x002c MEM_OP_B { 31:0 MEM_OP_B_TLB_INVALIDATE_TARGET_ADDR_HI }
    0x0030 MEM_OP_C {
        2:0   MEM_OP_C_MEMBAR_TYPE {
            MEM_OP_C_MEMBAR_TYPE_SYS_MEMBAR = 0,
            MEM_OP_C_MEMBAR_TYPE_MEMBAR = 1,
        },
        0:0   MEM_OP_C_TLB_INVALIDATE_PDB {
            MEM_OP_C_TLB_INVALIDATE_PDB_ONE = 0,
            MEM_OP_C_TLB_INVALIDATE_PDB_ALL = 1,
        },
        1:1   MEM_OP_C_TLB_INVALIDATE_GPC {
            MEM_OP_C_TLB_INVALIDATE_GPC_ENABLE = 0,
            MEM_OP_C_TLB_INVALIDATE_GPC_DISABLE = 1,
        },
        4:2   MEM_OP_C_TLB_INVALIDATE_REPLAY {
            MEM_OP_C_TLB_INVALIDATE_REPLAY_NONE = 0,
            MEM_OP_C_TLB_INVALIDATE_REPLAY_START = 1,
            MEM_OP_C_TLB_INVALIDATE_REPLAY_START_ACK_ALL = 2,
            MEM_OP_C_TLB_INVALIDATE_REPLAY_CANCEL_TARGETED = 3,
            MEM_OP_C_TLB_INVALIDATE_REPLAY_CANCEL_GLOBAL = 4,
            MEM_OP_C_TLB_INVALIDATE_REPLAY_CANCEL_VA_GLOBAL = 5,
        },
        6:5   MEM_OP_C_TLB_INVALIDATE_ACK_TYPE {
            MEM_OP_C_TLB_INVALIDATE_ACK_TYPE_NONE = 0,
            MEM_OP_C_TLB_INVALIDATE_ACK_TYPE_GLOBALLY = 1,
            MEM_OP_C_TLB_INVALIDATE_ACK_TYPE_INTRANODE = 2,
        },
        9:7   MEM_OP_C_TLB_INVALIDATE_ACCESS_TYPE,
        9:7   MEM_OP_C_TLB_INVALIDATE_PAGE_TABLE_LEVEL {
            MEM_OP_C_TLB_INVALIDATE_PAGE_TABLE_LEVEL_ALL = 0,
            MEM_OP_C_TLB_INVALIDATE_PAGE_TABLE_LEVEL_PTE_ONLY = 1,
            MEM_OP_C_TLB_INVALIDATE_PAGE_TABLE_LEVEL_UP_TO_PDE0 = 2,
            MEM_OP_C_TLB_INVALIDATE_PAGE_TABLE_LEVEL_UP_TO_PDE1 = 3,
            MEM_OP_C_TLB_INVALIDATE_PAGE_TABLE_LEVEL_UP_TO_PDE2 = 4,
            MEM_OP_C_TLB_INVALIDATE_PAGE_TABLE_LEVEL_UP_TO_PDE3 = 5,
            MEM_OP_C_TLB_INVALIDATE_PAGE_TABLE_LEVEL_UP_TO_PDE4 = 6,
            MEM_OP_C_TLB_INVALIDATE_PAGE_TABLE_LEVEL_UP_TO_PDE5 = 7,
        },
        11:10 MEM_OP_C_TLB_INVALIDATE_PDB_APERTURE {
            MEM_OP_C_TLB_INVALIDATE_PDB_APERTURE_VID_MEM = 0,
            MEM_OP_C_TLB_INVALIDATE_PDB_APERTURE_SYS_MEM_COHERENT = 2,
            MEM_OP_C_TLB_INVALIDATE_PDB_APERTURE_SYS_MEM_NONCOHERENT = 3,
        },
        31:12 MEM_OP_C_TLB_INVALIDATE_PDB_ADDR_LO,
        19:0  MEM_OP_C_ACCESS_COUNTER_CLR_TARGETED_NOTIFY_TAG,
    }
    /// Waits for idle, makes stores visible, then writes the word to USERD.
    0x0050 SET_REFERENCE { 31:0 SET_REFERENCE_COUNT }
    /// First of the five consecutive words of a semaphore operation.
    0x005c SEM_ADDR_LO { 31:2 SEM_ADDR_LO_OFFSET }
    0x0064 SEM_PAYLOAD_LO { 31:0 SEM_PAYLOAD_LO_PAYLOAD }
    0x0068 SEM_PAYLOAD_HI { 31:0 SEM_PAYLOAD_HI_PAYLOAD }
    /// Last of the five words: what to do with address and payload.
    ///
    /// A release with RELEASE_WFI first waits for the engine to be idle and makes its stores
    /// visible; with RELEASE_TIMESTAMP it writes 16 bytes, payload and nanoseconds.
    0x006c SEM_EXECUTE {
        2:0   SEM_EXECUTE_OPERATION {
            SEM_EXECUTE_OPERATION_ACQUIRE = 0,
            SEM_EXECUTE_OPERATION_RELEASE = 1,
            SEM_EXECUTE_OPERATION_ACQ_STRICT_GEQ = 2,
            SEM_EXECUTE_OPERATION_ACQ_CIRC_GEQ = 3,
            SEM_EXECUTE_OPERATION_ACQ_AND = 4,
            SEM_EXECUTE_OPERATION_ACQ_NOR = 5,
            SEM_EXECUTE_OPERATION_REDUCTION = 6,
        },
        12:12 SEM_EXECUTE_ACQUIRE_SWITCH_TSG {
            SEM_EXECUTE_ACQUIRE_SWITCH_TSG_DIS = 0,
            SEM_EXECUTE_ACQUIRE_SWITCH_TSG_EN = 1,
        },
        20:20 SEM_EXECUTE_RELEASE_WFI {
            SEM_EXECUTE_RELEASE_WFI_DIS = 0,
            SEM_EXECUTE_RELEASE_WFI_EN = 1,
        },
        24:24 SEM_EXECUTE_PAYLOAD_SIZE {
            SEM_EXECUTE_PAYLOAD_SIZE_32BIT = 0,
            SEM_EXECUTE_PAYLOAD_SIZE_64BIT = 1,
        },
        25:25 SEM_EXECUTE_RELEASE_TIMESTAMP {
            SEM_EXECUTE_RELEASE_TIMESTAMP_DIS = 0,
            SEM_EXECUTE_RELEASE_TIMESTAMP_EN = 1,
        },
        30:27 SEM_EXECUTE_REDUCTION {
            SEM_EXECUTE_REDUCTION_IMIN = 0,
            SEM_EXECUTE_REDUCTION_IMAX = 1,
            SEM_EXECUTE_REDUCTION_IXOR = 2,
            SEM_EXECUTE_REDUCTION_IAND = 3,
            SEM_EXECUTE_REDUCTION_IOR = 4,
            SEM_EXECUTE_REDUCTION_IADD = 5,
            SEM_EXECUTE_REDUCTION_INC = 6,
            SEM_EXECUTE_REDUCTION_DEC = 7,
        },
        31:31 SEM_EXECUTE_REDUCTION_FORMAT {
            SEM_EXECUTE_REDUCTION_FORMAT_SIGNED = 0,
            SEM_EXECUTE_REDUCTION_FORMAT_UNSIGNED = 1,
        },
    }
    /// Waits until the engine is idle.
    0x0078 WFI {
        0:0   WFI_SCOPE {
            WFI_SCOPE_CURRENT_SCG_TYPE = 0,
            WFI_SCOPE_CURRENT_VEID = 0,
            WFI_SCOPE_ALL = 1,
        },
    }
    /// Gives up the rest of the timeslice.
    0x0080 YIELD { 1:0 YIELD_OP { YIELD_OP_NOP = 0, YIELD_OP_TSG = 3 } }
    0x0084 CLEAR_FAULTED {
        30:0  CLEAR_FAULTED_HANDLE,
        31:31 CLEAR_FAULTED_TYPE {
            CLEAR_FAULTED_TYPE_PBDMA_FAULTED = 0,
            CLEAR_FAULTED_TYPE_ENG_FAULTED = 1,
        },
    }
}
