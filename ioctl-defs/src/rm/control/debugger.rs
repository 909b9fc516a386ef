//! Controls of debugger objects (class `NV83DE`): what is known about faults.

use crate::declare::Module;
use crate::rm::Control;

pub(crate) const MODULE: Module =
    Module { structs: STRUCTS, flags: FLAGS, controls: CONTROLS, ..Module::EMPTY };

structs! {
    /// What is known about a fault of one SM.
    pub struct NV83DE_SM_ERROR_STATE_REGISTERS {
        hwwGlobalEsr: u32,
        hwwWarpEsr: u32,
        hwwWarpEsrPc: u32,
        hwwGlobalEsrReportMask: u32,
        hwwWarpEsrReportMask: u32,
        _pad0: u32,
        hwwEsrAddr: u64,
        hwwWarpEsrPc64: u64,
        hwwCgaEsr: u32,
        hwwCgaEsrReportMask: u32,
    }

    /// Whether there was an MMU fault.
    pub struct NV83DE_MMU_FAULT_INFO {
        valid: u8,
        _pad0: [u8; 3],
        faultInfo: u32,
    }

    /// Parameters of [`NV83DE_CTRL_CMD_DEBUG_READ_ALL_SM_ERROR_STATES`].
    pub struct NV83DE_CTRL_DEBUG_READ_ALL_SM_ERROR_STATES_PARAMS {
        hTargetChannel: u32,
        numSMsToRead: u32,
        smErrorStateArray: [NV83DE_SM_ERROR_STATE_REGISTERS; 100],
        mmuFaultInfo: u32,
        mmuFault: NV83DE_MMU_FAULT_INFO,
        /// A GPU of more than 100 SMs takes several calls.
        startingSM: u32,
    }

    /// One MMU fault.
    pub struct NV83DE_CTRL_DEBUG_READ_MMU_FAULT_INFO_ENTRY {
        faultAddress: u64,
        faultType: u32,
        accessType: u32,
    }

    /// Parameters of [`NV83DE_CTRL_CMD_DEBUG_READ_MMU_FAULT_INFO`].
    pub struct NV83DE_CTRL_DEBUG_READ_MMU_FAULT_INFO_PARAMS {
        mmuFaultInfoList: [NV83DE_CTRL_DEBUG_READ_MMU_FAULT_INFO_ENTRY; 4],
        count: u32,
        _pad0: u32,
    }

    /// Parameters of [`NV83DE_CTRL_CMD_DEBUG_SET_EXCEPTION_MASK`].
    pub struct NV83DE_CTRL_DEBUG_SET_EXCEPTION_MASK_PARAMS {
        exceptionMask: ExceptionMask,
    }

    /// Parameters of [`NV83DE_CTRL_CMD_DEBUG_CLEAR_ALL_SM_ERROR_STATES`].
    pub struct NV83DE_CTRL_DEBUG_CLEAR_ALL_SM_ERROR_STATES_PARAMS {
        hTargetChannel: u32,
        numSMsToClear: u32,
    }
}

flags! {
    /// The exceptions that a debugger is told of.
    pub struct ExceptionMask: u32 {
        FATAL = "NV83DE_CTRL_DEBUG_SET_EXCEPTION_MASK_FATAL", 0x1;
        TRAP = "NV83DE_CTRL_DEBUG_SET_EXCEPTION_MASK_TRAP", 0x2;
        SINGLE_STEP = "NV83DE_CTRL_DEBUG_SET_EXCEPTION_MASK_SINGLE_STEP", 0x4;
        INT = "NV83DE_CTRL_DEBUG_SET_EXCEPTION_MASK_INT", 0x8;
        CILP = "NV83DE_CTRL_DEBUG_SET_EXCEPTION_MASK_CILP", 0x10;
        PREEMPTION_STARTED = "NV83DE_CTRL_DEBUG_SET_EXCEPTION_MASK_PREEMPTION_STARTED", 0x20;
        ALL = "NV83DE_CTRL_DEBUG_SET_EXCEPTION_MASK_ALL", 0xffff;
    }
}

controls! {
    /// The faults of the SMs. On the debugger, as all of `NV83DE`.
    pub const NV83DE_CTRL_CMD_DEBUG_READ_ALL_SM_ERROR_STATES:
        Control<NV83DE_CTRL_DEBUG_READ_ALL_SM_ERROR_STATES_PARAMS> = new(0x83de030c);

    /// The last MMU faults.
    pub const NV83DE_CTRL_CMD_DEBUG_READ_MMU_FAULT_INFO:
        Control<NV83DE_CTRL_DEBUG_READ_MMU_FAULT_INFO_PARAMS> = new(0x83de0328);

    /// Chooses the exceptions that the debugger is told of.
    pub const NV83DE_CTRL_CMD_DEBUG_SET_EXCEPTION_MASK:
        Control<NV83DE_CTRL_DEBUG_SET_EXCEPTION_MASK_PARAMS> = new(0x83de0309);

    /// Forgets the faults of the SMs.
    pub const NV83DE_CTRL_CMD_DEBUG_CLEAR_ALL_SM_ERROR_STATES:
        Control<NV83DE_CTRL_DEBUG_CLEAR_ALL_SM_ERROR_STATES_PARAMS> = new(0x83de0310);
}
