//! The compute engine, AMPERE_COMPUTE_B: keeps state for kernels, releases semaphores, and is where
//! launches arrive.

use std::sync::LazyLock;

use hw_defs::c7c0::*;

use super::channel::{Bus, Work};
use super::fault::Fault;
use super::registers::{Registers, Table, offsets};
use super::semaphore::{Op, Reduction, Release, Size};

/// The engine as one channel sees it.
pub(super) struct Compute {
    registers: Registers,
}

impl Default for Compute {
    fn default() -> Compute {
        static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(AMPERE_COMPUTE_B));
        Compute { registers: Registers::new(&TABLE) }
    }
}

impl Compute {
    /// Takes a word; what the engine has to do because of it.
    pub(super) fn method(
        &mut self,
        bus: &mut Bus,
        offset: u32,
        data: u32,
    ) -> Result<Option<Work>, Fault> {
        offsets!(c7c0: NOTIFY, LOAD_MME_INSTRUCTION_RAM, LOAD_MME_START_ADDRESS_RAM,
            SET_GLOBAL_RENDER_ENABLE_C, SET_RENDER_ENABLE_C, SET_RENDER_ENABLE_OVERRIDE,
            REPORT_SEMAPHORE_EXECUTE, LAUNCH_DMA, LOAD_INLINE_DATA, CHECK_COMPUTE_CLASS_VERSION,
            CHECK_QMD_VERSION, SEND_PCAS_B, SEND_SIGNALING_PCAS_B, SEND_SIGNALING_PCAS2_B,
            SET_QMD_VIRTUALIZATION_CONTROL, LOAD_INLINE_QMD_DATA, MME_DMA_READ,
            MME_DMA_READ_FIFOED, MME_DMA_WRITE, MME_DMA_REDUCTION, MME_DMA_SYSMEMBAR,
            MME_DMA_SYNC, MME_DMA_WRITE_METHOD_BARRIER, SET_REPORT_SEMAPHORE_D, CALL_MME_MACRO,
            CALL_MME_DATA);
        let method = self.registers.write(offset, data).map_err(Fault::engine)?;
        match method.offset {
            REPORT_SEMAPHORE_EXECUTE => self.report(data).map(Some),
            SET_REPORT_SEMAPHORE_D => self.old_report(data).map(Some),
            SEND_SIGNALING_PCAS2_B => match SEND_SIGNALING_PCAS2_B_PCAS_ACTION.get(data) {
                SEND_SIGNALING_PCAS2_B_PCAS_ACTION_NOP => Ok(None),
                _ => self.launch().map(Some),
            },
            SEND_SIGNALING_PCAS_B => self.launch().map(Some),
            SEND_PCAS_B => {
                bus.notice("SEND_PCAS_B does nothing on this class: use SEND_SIGNALING_PCAS2_B");
                Ok(None)
            }
            SET_GLOBAL_RENDER_ENABLE_C | SET_RENDER_ENABLE_C
                if data == SET_RENDER_ENABLE_C_MODE_TRUE =>
            {
                Ok(None)
            }
            SET_RENDER_ENABLE_OVERRIDE if data != SET_RENDER_ENABLE_OVERRIDE_MODE_NEVER_RENDER => {
                Ok(None)
            }
            SET_QMD_VIRTUALIZATION_CONTROL if data == 0 => Ok(None),
            // What would have an effect, and has none here, must not pass for state.
            NOTIFY
            | LOAD_MME_INSTRUCTION_RAM
            | LOAD_MME_START_ADDRESS_RAM
            | SET_GLOBAL_RENDER_ENABLE_C
            | SET_RENDER_ENABLE_C
            | SET_RENDER_ENABLE_OVERRIDE
            | LAUNCH_DMA
            | LOAD_INLINE_DATA
            | CHECK_COMPUTE_CLASS_VERSION
            | CHECK_QMD_VERSION
            | SET_QMD_VIRTUALIZATION_CONTROL
            | LOAD_INLINE_QMD_DATA
            | MME_DMA_READ
            | MME_DMA_READ_FIFOED
            | MME_DMA_WRITE
            | MME_DMA_REDUCTION
            | MME_DMA_SYSMEMBAR
            | MME_DMA_SYNC
            | MME_DMA_WRITE_METHOD_BARRIER
            | CALL_MME_MACRO
            | CALL_MME_DATA => Err(Fault::engine(format!(
                "this software Orin's compute engine cannot do {} with {data:#x}",
                method.name
            ))),
            // State for kernels, and caches and pipes, of which there are none to flush.
            _ => Ok(None),
        }
    }

    /// A launch descriptor arrives.
    fn launch(&self) -> Result<Work, Fault> {
        let qmd = u64::from(self.registers.get(SEND_PCAS_A)) << 8;
        Err(Fault::engine(format!(
            "this software Orin cannot run kernels yet: a launch with its QMD at {qmd:#x}"
        )))
    }

    fn report(&self, data: u32) -> Result<Work, Fault> {
        let registers = &self.registers;
        match REPORT_SEMAPHORE_EXECUTE_OPERATION.get(data) {
            REPORT_SEMAPHORE_EXECUTE_OPERATION_RELEASE => {}
            other => {
                return Err(report_refused(
                    REPORT_SEMAPHORE_EXECUTE_OPERATION.value_name(other).unwrap_or("unnamed"),
                ));
            }
        }
        if REPORT_SEMAPHORE_EXECUTE_TRAP_TYPE.get(data) != 0 {
            return Err(report_refused("TRAP_TYPE"));
        }
        let long = REPORT_SEMAPHORE_EXECUTE_PAYLOAD_SIZE64.get(data)
            == REPORT_SEMAPHORE_EXECUTE_PAYLOAD_SIZE64_TRUE;
        let (size, stamped) = match REPORT_SEMAPHORE_EXECUTE_STRUCTURE_SIZE.get(data) {
            REPORT_SEMAPHORE_EXECUTE_STRUCTURE_SIZE_SEMAPHORE_ONE_WORD if long => {
                return Err(Fault::engine("a semaphore of one word has no room for 64 bits"));
            }
            REPORT_SEMAPHORE_EXECUTE_STRUCTURE_SIZE_SEMAPHORE_ONE_WORD => (Size::Word, false),
            REPORT_SEMAPHORE_EXECUTE_STRUCTURE_SIZE_SEMAPHORE_TWO_WORDS => (Size::Double, false),
            REPORT_SEMAPHORE_EXECUTE_STRUCTURE_SIZE_SEMAPHORE_FOUR_WORDS if long => {
                (Size::Double, true)
            }
            REPORT_SEMAPHORE_EXECUTE_STRUCTURE_SIZE_SEMAPHORE_FOUR_WORDS => (Size::Word, true),
            _ => return Err(report_refused("STRUCTURE_SIZE 3")),
        };
        let payload = match size {
            Size::Word => registers.get(SET_REPORT_SEMAPHORE_PAYLOAD_LOWER).into(),
            Size::Double => registers
                .pair(SET_REPORT_SEMAPHORE_PAYLOAD_UPPER, SET_REPORT_SEMAPHORE_PAYLOAD_LOWER),
        };
        let reduces = REPORT_SEMAPHORE_EXECUTE_REDUCTION_ENABLE.get(data)
            == REPORT_SEMAPHORE_EXECUTE_REDUCTION_ENABLE_TRUE;
        let signed = match REPORT_SEMAPHORE_EXECUTE_REDUCTION_FORMAT.get(data) {
            REPORT_SEMAPHORE_EXECUTE_REDUCTION_FORMAT_UNSIGNED => false,
            REPORT_SEMAPHORE_EXECUTE_REDUCTION_FORMAT_SIGNED => true,
            other => return Err(report_refused(&format!("REDUCTION_FORMAT {other}"))),
        };
        let op = reduction_op(REPORT_SEMAPHORE_EXECUTE_REDUCTION_OP.get(data));
        let release = Release {
            va: registers
                .pair(SET_REPORT_SEMAPHORE_ADDRESS_UPPER, SET_REPORT_SEMAPHORE_ADDRESS_LOWER),
            size,
            payload,
            reduction: reduces.then_some(Reduction { op, signed }),
            stamped,
        };
        let awaken = REPORT_SEMAPHORE_EXECUTE_AWAKEN_ENABLE.get(data)
            == REPORT_SEMAPHORE_EXECUTE_AWAKEN_ENABLE_TRUE;
        release.check().map_err(Fault::engine)?;
        Ok(Work::Report(release, awaken))
    }

    fn old_report(&self, data: u32) -> Result<Work, Fault> {
        let registers = &self.registers;
        match SET_REPORT_SEMAPHORE_D_OPERATION.get(data) {
            SET_REPORT_SEMAPHORE_D_OPERATION_RELEASE => {}
            other => {
                return Err(report_refused(
                    SET_REPORT_SEMAPHORE_D_OPERATION.value_name(other).unwrap_or("unnamed"),
                ));
            }
        }
        if SET_REPORT_SEMAPHORE_D_CONDITIONAL_TRAP.get(data) != 0 {
            return Err(report_refused("CONDITIONAL_TRAP"));
        }
        let stamped = SET_REPORT_SEMAPHORE_D_STRUCTURE_SIZE.get(data)
            == SET_REPORT_SEMAPHORE_D_STRUCTURE_SIZE_FOUR_WORDS;
        let reduces = SET_REPORT_SEMAPHORE_D_REDUCTION_ENABLE.get(data)
            == SET_REPORT_SEMAPHORE_D_REDUCTION_ENABLE_TRUE;
        let signed = match SET_REPORT_SEMAPHORE_D_REDUCTION_FORMAT.get(data) {
            SET_REPORT_SEMAPHORE_D_REDUCTION_FORMAT_UNSIGNED_32 => false,
            SET_REPORT_SEMAPHORE_D_REDUCTION_FORMAT_SIGNED_32 => true,
            other => return Err(report_refused(&format!("REDUCTION_FORMAT {other}"))),
        };
        let op = reduction_op(SET_REPORT_SEMAPHORE_D_REDUCTION_OP.get(data));
        let release = Release {
            va: registers.pair(SET_REPORT_SEMAPHORE_A, SET_REPORT_SEMAPHORE_B),
            size: Size::Word,
            payload: registers.get(SET_REPORT_SEMAPHORE_C).into(),
            reduction: reduces.then_some(Reduction { op, signed }),
            stamped,
        };
        let awaken = SET_REPORT_SEMAPHORE_D_AWAKEN_ENABLE.get(data)
            == SET_REPORT_SEMAPHORE_D_AWAKEN_ENABLE_TRUE;
        release.check().map_err(Fault::engine)?;
        Ok(Work::Report(release, awaken))
    }
}

/// The engine numbers its reductions in an order of its own, the same for both kinds of report.
fn reduction_op(value: u32) -> Op {
    match value {
        REPORT_SEMAPHORE_EXECUTE_REDUCTION_OP_RED_ADD => Op::Add,
        REPORT_SEMAPHORE_EXECUTE_REDUCTION_OP_RED_MIN => Op::Min,
        REPORT_SEMAPHORE_EXECUTE_REDUCTION_OP_RED_MAX => Op::Max,
        REPORT_SEMAPHORE_EXECUTE_REDUCTION_OP_RED_INC => Op::Inc,
        REPORT_SEMAPHORE_EXECUTE_REDUCTION_OP_RED_DEC => Op::Dec,
        REPORT_SEMAPHORE_EXECUTE_REDUCTION_OP_RED_AND => Op::And,
        REPORT_SEMAPHORE_EXECUTE_REDUCTION_OP_RED_OR => Op::Or,
        _ => Op::Xor,
    }
}

fn report_refused(what: &str) -> Fault {
    Fault::engine(format!("this software Orin's compute engine cannot do a report with {what}"))
}
