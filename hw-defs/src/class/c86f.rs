//! HOPPER_CHANNEL_GPFIFO_A: the host engine of H100 and H200.
//!
//! The vendor's public header of this class is trimmed to SET_OBJECT, MEM_OP_A to MEM_OP_D, the SEM
//! methods and WFI, and of SEM_EXECUTE it keeps only the values that one driver uses. **Assumed**
//! unchanged from c56f: ILLEGAL, NOP, SEMAPHOREA to SEMAPHORED, NON_STALL_INTERRUPT, FB_FLUSH,
//! SET_REFERENCE, YIELD, CLEAR_FAULTED, and the fields and values that the header leaves out. Seen
//! to work on an H200: 64-bit releases with WFI and timestamp, and 64-bit ACQ_CIRC_GEQ.

pub use super::host::*;

/// This class's number.
pub const HOPPER_CHANNEL_GPFIFO_A: u32 = 0xc86f;

/// This class.
pub static CLASS: super::Class = super::Class {
    id: HOPPER_CHANNEL_GPFIFO_A,
    name: "HOPPER_CHANNEL_GPFIFO_A",
    tables: [super::host::METHODS, METHODS],
};

methods! {
    0x0028 MEM_OP_A {
        5:0   MEM_OP_A_TLB_INVALIDATE_CANCEL_TARGET_CLIENT_UNIT_ID,
        5:0   MEM_OP_A_TLB_INVALIDATE_INVALIDATION_SIZE,
        10:6  MEM_OP_A_TLB_INVALIDATE_CANCEL_TARGET_GPC_ID,
        7:6   MEM_OP_A_TLB_INVALIDATE_INVAL_SCOPE,
        8:0   MEM_OP_A_TLB_INVALIDATE_CANCEL_MMU_ENGINE_ID,
        11:11 MEM_OP_A_TLB_INVALIDATE_SYSMEMBAR {
            MEM_OP_A_TLB_INVALIDATE_SYSMEMBAR_EN = 1,
            MEM_OP_A_TLB_INVALIDATE_SYSMEMBAR_DIS = 0,
        },
        31:12 MEM_OP_A_TLB_INVALIDATE_TARGET_ADDR_LO,
    }
    0x0034 MEM_OP_D {
        26:0  MEM_OP_D_TLB_INVALIDATE_PDB_ADDR_HI,
        31:27 MEM_OP_D_OPERATION {
            MEM_OP_D_OPERATION_MEMBAR = 5,
            MEM_OP_D_OPERATION_MMU_TLB_INVALIDATE = 9,
            MEM_OP_D_OPERATION_MMU_TLB_INVALIDATE_TARGETED = 0xa,
            MEM_OP_D_OPERATION_MMU_OPERATION = 0xb,
            MEM_OP_D_OPERATION_L2_PEERMEM_INVALIDATE = 0xd,
            MEM_OP_D_OPERATION_L2_SYSMEM_INVALIDATE = 0xe,
            MEM_OP_D_OPERATION_L2_CLEAN_COMPTAGS = 0xf,
            MEM_OP_D_OPERATION_L2_FLUSH_DIRTY = 0x10,
            MEM_OP_D_OPERATION_L2_WAIT_FOR_SYS_PENDING_READS = 0x15,
            MEM_OP_D_OPERATION_ACCESS_COUNTER_CLR = 0x16,
        },
        1:0   MEM_OP_D_ACCESS_COUNTER_CLR_TYPE {
            MEM_OP_D_ACCESS_COUNTER_CLR_TYPE_MIMC = 0,
            MEM_OP_D_ACCESS_COUNTER_CLR_TYPE_MOMC = 1,
            MEM_OP_D_ACCESS_COUNTER_CLR_TYPE_ALL = 2,
            MEM_OP_D_ACCESS_COUNTER_CLR_TYPE_TARGETED = 3,
        },
        2:2   MEM_OP_D_ACCESS_COUNTER_CLR_TARGETED_TYPE {
            MEM_OP_D_ACCESS_COUNTER_CLR_TARGETED_TYPE_MIMC = 0,
            MEM_OP_D_ACCESS_COUNTER_CLR_TARGETED_TYPE_MOMC = 1,
        },
        6:3   MEM_OP_D_ACCESS_COUNTER_CLR_TARGETED_BANK,
        23:20 MEM_OP_D_MMU_OPERATION_TYPE {
            MEM_OP_D_MMU_OPERATION_TYPE_RESERVED = 0,
            MEM_OP_D_MMU_OPERATION_TYPE_VIDMEM_ACCESS_BIT_DUMP = 1,
        },
    }
    0x0060 SEM_ADDR_HI { 24:0 SEM_ADDR_HI_OFFSET }
}
