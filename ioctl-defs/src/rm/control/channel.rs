//! Controls of groups and channels.

use crate::declare::Module;
use crate::rm::Control;

pub(crate) const MODULE: Module =
    Module { structs: STRUCTS, constants: CONSTANTS, controls: CONTROLS, ..Module::EMPTY };

structs! {
    /// Parameters of [`NVA06C_CTRL_CMD_GPFIFO_SCHEDULE`].
    pub struct NVA06C_CTRL_GPFIFO_SCHEDULE_PARAMS {
        bEnable: u8,
        bSkipSubmit: u8,
        bSkipEnable: u8,
    }

    /// Parameters of [`NVA06C_CTRL_CMD_SET_TIMESLICE`] and its counterpart.
    pub struct NVA06C_CTRL_TIMESLICE_PARAMS {
        timesliceUs: u64,
    }

    /// Parameters of [`NVA06C_CTRL_CMD_PREEMPT`].
    pub struct NVA06C_CTRL_PREEMPT_PARAMS {
        bWait: u8,
        bManualTimeout: u8,
        _pad0: u16,
        timeoutUs: u32,
    }

    /// Parameters of [`NVA06C_CTRL_CMD_SET_INTERLEAVE_LEVEL`] and its counterpart.
    pub struct NVA06C_CTRL_INTERLEAVE_LEVEL_PARAMS {
        tsgInterleaveLevel: u32,
    }

    /// Parameters of [`NVA06C_CTRL_CMD_MAKE_REALTIME`].
    pub struct NVA06C_CTRL_MAKE_REALTIME_PARAMS {
        bRealtime: u8,
    }

    /// Parameters of [`NVA06F_CTRL_CMD_GPFIFO_SCHEDULE`].
    pub struct NVA06F_CTRL_GPFIFO_SCHEDULE_PARAMS {
        bEnable: u8,
        bSkipSubmit: u8,
        bSkipEnable: u8,
    }

    /// Parameters of [`NVA06F_CTRL_CMD_BIND`].
    pub struct NVA06F_CTRL_BIND_PARAMS {
        /// One of `NV2080_ENGINE_TYPE_*`.
        engineType: u32,
    }

    /// Parameters of [`NVA06F_CTRL_CMD_SET_ERROR_NOTIFIER`].
    pub struct NVA06F_CTRL_SET_ERROR_NOTIFIER_PARAMS {
        bNotifyEachChannelInTSG: u8,
    }

    /// Parameters of [`NVA06F_CTRL_CMD_STOP_CHANNEL`].
    pub struct NVA06F_CTRL_STOP_CHANNEL_PARAMS {
        bImmediate: u8,
    }

    /// Parameters of [`NV906F_CTRL_CMD_RESET_CHANNEL`].
    pub struct NV906F_CTRL_CMD_RESET_CHANNEL_PARAMS {
        engineID: u32,
        subdeviceInstance: u32,
        /// One of `NV906F_CTRL_CMD_RESET_CHANNEL_REASON_*`.
        resetReason: u32,
        bIsRcPending: u8,
        _pad0: [u8; 3],
    }

    /// Parameters of [`NV906F_CTRL_CMD_GET_MMU_FAULT_INFO`].
    pub struct NV906F_CTRL_GET_MMU_FAULT_INFO_PARAMS {
        addrHi: u32,
        addrLo: u32,
        faultType: u32,
        faultString: [u8; 32],
        _pad0: u32,
        /// Per stage; compute is the last.
        shaderProgramVA: [u64; 7],
    }

    /// Parameters of [`NVC36F_CTRL_CMD_GPFIFO_GET_WORK_SUBMIT_TOKEN`].
    pub struct NVC36F_CTRL_CMD_GPFIFO_GET_WORK_SUBMIT_TOKEN_PARAMS {
        /// In: 0xffffffff. Out: what to write to the doorbell.
        workSubmitToken: u32,
    }

    /// Parameters of [`NVC36F_CTRL_CMD_GPFIFO_SET_WORK_SUBMIT_TOKEN_NOTIF_INDEX`].
    pub struct NVC36F_CTRL_GPFIFO_SET_WORK_SUBMIT_TOKEN_NOTIF_INDEX_PARAMS {
        index: u32,
    }
}

constants! {
    /// How often a group stands in the runlist.
    u32 {
        NVA06C_CTRL_INTERLEAVE_LEVEL_LOW = 0,
        NVA06C_CTRL_INTERLEAVE_LEVEL_MEDIUM = 1,
        NVA06C_CTRL_INTERLEAVE_LEVEL_HIGH = 2,
    }

    /// Why a channel is reset.
    u32 {
        NV906F_CTRL_CMD_RESET_CHANNEL_REASON_DEFAULT = 0,
        NV906F_CTRL_CMD_RESET_CHANNEL_REASON_VERIF = 1,
        NV906F_CTRL_CMD_RESET_CHANNEL_REASON_MMU_FLT = 2,
    }

    /// The longest time-out of [`NVA06C_CTRL_PREEMPT_PARAMS`].
    u32 {
        NVA06C_CTRL_CMD_PREEMPT_MAX_MANUAL_TIMEOUT_US = 0xf4240,
    }
}

controls! {
    /// Lets the channels of a group run. On the group, as all of `NVA06C`.
    pub const NVA06C_CTRL_CMD_GPFIFO_SCHEDULE: Control<NVA06C_CTRL_GPFIFO_SCHEDULE_PARAMS> =
        new(0xa06c0101);

    /// Sets the timeslice, in microseconds.
    pub const NVA06C_CTRL_CMD_SET_TIMESLICE: Control<NVA06C_CTRL_TIMESLICE_PARAMS> =
        new(0xa06c0103);

    /// Reads the timeslice.
    pub const NVA06C_CTRL_CMD_GET_TIMESLICE: Control<NVA06C_CTRL_TIMESLICE_PARAMS> =
        new(0xa06c0104);

    /// Takes the group off the GPU once.
    pub const NVA06C_CTRL_CMD_PREEMPT: Control<NVA06C_CTRL_PREEMPT_PARAMS> = new(0xa06c0105);

    /// How often the group stands in the runlist.
    pub const NVA06C_CTRL_CMD_SET_INTERLEAVE_LEVEL: Control<NVA06C_CTRL_INTERLEAVE_LEVEL_PARAMS> =
        new(0xa06c0107);

    /// Reads that.
    pub const NVA06C_CTRL_CMD_GET_INTERLEAVE_LEVEL: Control<NVA06C_CTRL_INTERLEAVE_LEVEL_PARAMS> =
        new(0xa06c0108);

    /// Puts the group before all others.
    pub const NVA06C_CTRL_CMD_MAKE_REALTIME: Control<NVA06C_CTRL_MAKE_REALTIME_PARAMS> =
        new(0xa06c0110);

    /// Lets a channel without a group run. On the channel, as all that follow.
    pub const NVA06F_CTRL_CMD_GPFIFO_SCHEDULE: Control<NVA06F_CTRL_GPFIFO_SCHEDULE_PARAMS> =
        new(0xa06f0103);

    /// Ties a channel without a group to an engine.
    pub const NVA06F_CTRL_CMD_BIND: Control<NVA06F_CTRL_BIND_PARAMS> = new(0xa06f0104);

    /// Writes the error notifier.
    pub const NVA06F_CTRL_CMD_SET_ERROR_NOTIFIER: Control<NVA06F_CTRL_SET_ERROR_NOTIFIER_PARAMS> =
        new(0xa06f0108);

    /// Stops the channel.
    pub const NVA06F_CTRL_CMD_STOP_CHANNEL: Control<NVA06F_CTRL_STOP_CHANNEL_PARAMS> =
        new(0xa06f0112);

    /// Resets the channel.
    pub const NV906F_CTRL_CMD_RESET_CHANNEL: Control<NV906F_CTRL_CMD_RESET_CHANNEL_PARAMS> =
        new(0x906f0102);

    /// The MMU fault of the channel; reading it clears it.
    pub const NV906F_CTRL_CMD_GET_MMU_FAULT_INFO: Control<NV906F_CTRL_GET_MMU_FAULT_INFO_PARAMS> =
        new(0x906f0106);

    /// What to write to the doorbell.
    pub const NVC36F_CTRL_CMD_GPFIFO_GET_WORK_SUBMIT_TOKEN:
        Control<NVC36F_CTRL_CMD_GPFIFO_GET_WORK_SUBMIT_TOKEN_PARAMS> = new(0xc36f0108);

    /// Where RM writes the token when it changes.
    pub const NVC36F_CTRL_CMD_GPFIFO_SET_WORK_SUBMIT_TOKEN_NOTIF_INDEX:
        Control<NVC36F_CTRL_GPFIFO_SET_WORK_SUBMIT_TOKEN_NOTIF_INDEX_PARAMS> = new(0xc36f010a);
}
