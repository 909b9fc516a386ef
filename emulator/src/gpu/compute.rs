//! The methods of the compute engine: keeps state for kernels, launches them and releases semaphores.
//!
//! Two generations of it, AMPERE_COMPUTE_B and HOPPER_COMPUTE_A. What they share lies at the same
//! offsets, which a test sees to; they read different launch descriptors.

use std::sync::LazyLock;

use hw_defs::Field;
use hw_defs::c7c0::*;
use hw_defs::cbc0::HOPPER_COMPUTE_A;

use super::channel::{Bus, Invalidate, Report, Work};
use super::fault::Fault;
use super::launch::{Launches, Pcas};
use super::mmu::{Kind, Space};
use super::qmd::{Action, Descriptor};
use super::qmd_version::{V03, V04};
use super::registers::{Registers, Table, offsets};
use super::semaphore::{Op, Reduction, Release, Size};

/// The engine as one channel sees it. What its methods leave behind belongs to its subcontext.
pub(super) struct Compute {
    table: &'static Table,
    launches: Launches,
}

/// What methods have said about the memory of kernels.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Setup {
    /// Where shared and local memory appear in generic addresses.
    pub(super) shared_window: u64,
    pub(super) local_window: u64,
    /// Where local memory lies, and how much of it one TPC has.
    local: u64,
    local_per_tpc: u64,
}

/// A TPC's multiprocessors.
const SMS_PER_TPC: u64 = 2;
/// What each warp's local memory is rounded up to.
const LOCAL_GRAIN: u64 = 0x200;

impl Setup {
    /// Whether a launch has what it needs.
    pub(super) fn check(&self, space: &Space, descriptor: &Descriptor) -> Result<(), Fault> {
        let va = descriptor.va;
        let refuse =
            |what: String| Err(Fault::engine(format!("the launch of the QMD at {va:#x}: {what}")));
        for (window, method) in [
            (self.shared_window, "SET_SHADER_SHARED_MEMORY_WINDOW_A and _B"),
            (self.local_window, "SET_SHADER_LOCAL_MEMORY_WINDOW_A and _B"),
        ] {
            if window == 0 {
                return refuse(format!("nobody has sent {method} in this subcontext"));
            }
        }
        let per_thread: u64 = descriptor.local.iter().map(|bytes| u64::from(*bytes)).sum();
        if per_thread == 0 {
            return Ok(());
        }
        let warps = u64::from(descriptor.limits.warps_per_sm) * SMS_PER_TPC;
        let need = (per_thread * 32).next_multiple_of(LOCAL_GRAIN) * warps;
        let has = self.local_per_tpc;
        if has < need {
            return refuse(format!(
                "SHADER_LOCAL_MEMORY_LOW_SIZE and _HIGH_SIZE ask for {per_thread:#x} bytes per thread, \
                 which makes {need:#x} per TPC, and SET_SHADER_LOCAL_MEMORY_NON_THROTTLED_A and _B \
                 gave {has:#x}"
            ));
        }
        let mut at = self.local;
        while at < self.local + has {
            let span = space.span(at, self.local + has - at, Kind::Write);
            at += span.map_err(|fault| Fault::mmu("local memory", fault))?.len;
        }
        Ok(())
    }
}

impl Compute {
    /// The engine of a class; none if the class is not a compute class of this GPU's.
    pub(super) fn of_class(class: u32) -> Option<Compute> {
        static AMPERE: LazyLock<Table> = LazyLock::new(|| Table::new(AMPERE_COMPUTE_B));
        static HOPPER: LazyLock<Table> = LazyLock::new(|| Table::new(HOPPER_COMPUTE_A));
        let (table, version) = match class {
            AMPERE_COMPUTE_B => (&*AMPERE, &V03),
            HOPPER_COMPUTE_A => (&*HOPPER, &V04),
            _ => return None,
        };
        Some(Compute { table, launches: Launches::new(version) })
    }

    /// Whether a method is not obeyed before the engines are idle.
    pub(super) fn waits(offset: u32) -> bool {
        offsets!(c7c0: WAIT_FOR_IDLE, INVALIDATE_SHADER_CACHES);
        matches!(offset, WAIT_FOR_IDLE | INVALIDATE_SHADER_CACHES)
    }

    /// Whether a kernel could run now.
    pub(super) fn running(&self) -> bool {
        self.launches.running()
    }

    /// Whether a launch has not ended.
    pub(super) fn busy(&self) -> bool {
        self.launches.busy()
    }

    /// The host has waited for the engine.
    pub(super) fn waited_for(&mut self) {
        self.launches.waited_for();
    }

    /// Lets kernels run a little; about how many warp instructions that were.
    pub(super) fn run(&mut self, bus: &mut Bus) -> Result<u64, Fault> {
        self.launches.run(bus)
    }

    /// A launch has its turn.
    pub(super) fn launch(&mut self, bus: &mut Bus, pcas: Pcas) -> Result<(), Fault> {
        self.launches.arrive(bus, pcas)
    }

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
            CALL_MME_DATA, INVALIDATE_SHADER_CACHES, INVALIDATE_SHADER_CACHES_NO_WFI);
        let registers = bus.compute.get_or_insert_with(|| Registers::new(self.table));
        let method = registers.write(offset, data).map_err(Fault::engine)?;
        match method.offset {
            REPORT_SEMAPHORE_EXECUTE => report(registers, data).map(Some),
            SET_REPORT_SEMAPHORE_D => old_report(registers, data).map(Some),
            SEND_SIGNALING_PCAS2_B => pcas2(registers, data),
            SEND_SIGNALING_PCAS_B => {
                let invalidates = SEND_SIGNALING_PCAS_B_INVALIDATE.get(data) != 0;
                Ok(match (SEND_SIGNALING_PCAS_B_SCHEDULE.get(data) != 0, invalidates) {
                    (true, true) => Some(pcas(registers, Action::CopyAndSchedule)),
                    (true, false) => Some(pcas(registers, Action::Schedule)),
                    (false, true) => Some(pcas(registers, Action::Forget)),
                    (false, false) => None,
                })
            }
            INVALIDATE_SHADER_CACHES => {
                let set = |field: Field| field.get(data) != 0;
                Ok(Some(Work::Invalidate(Invalidate {
                    code: set(INVALIDATE_SHADER_CACHES_INSTRUCTION),
                    data: set(INVALIDATE_SHADER_CACHES_DATA),
                    constants: set(INVALIDATE_SHADER_CACHES_CONSTANT),
                    flush: set(INVALIDATE_SHADER_CACHES_FLUSH_DATA),
                })))
            }
            INVALIDATE_SHADER_CACHES_NO_WFI => {
                let set = |field: Field| field.get(data) != 0;
                Ok(Some(Work::Invalidate(Invalidate {
                    code: set(INVALIDATE_SHADER_CACHES_NO_WFI_INSTRUCTION),
                    data: set(INVALIDATE_SHADER_CACHES_NO_WFI_GLOBAL_DATA),
                    constants: set(INVALIDATE_SHADER_CACHES_NO_WFI_CONSTANT),
                    flush: false,
                })))
            }
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
            // State for kernels, and caches and pipes that are always in order.
            _ => Ok(None),
        }
    }
}

fn pcas2(registers: &Registers, data: u32) -> Result<Option<Work>, Fault> {
    let action = match SEND_SIGNALING_PCAS2_B_PCAS_ACTION.get(data) {
        SEND_SIGNALING_PCAS2_B_PCAS_ACTION_NOP => return Ok(None),
        SEND_SIGNALING_PCAS2_B_PCAS_ACTION_INVALIDATE => Action::Forget,
        SEND_SIGNALING_PCAS2_B_PCAS_ACTION_PREFETCH => Action::Prefetch,
        // Nothing lies between this fetch and the launch.
        SEND_SIGNALING_PCAS2_B_PCAS_ACTION_SCHEDULE
        | SEND_SIGNALING_PCAS2_B_PCAS_ACTION_PREFETCH_SCHEDULE => Action::Schedule,
        SEND_SIGNALING_PCAS2_B_PCAS_ACTION_INVALIDATE_COPY_SCHEDULE
        | SEND_SIGNALING_PCAS2_B_PCAS_ACTION_INVALIDATE_PREFETCH_COPY_SCHEDULE => {
            Action::CopyAndSchedule
        }
        SEND_SIGNALING_PCAS2_B_PCAS_ACTION_DECREMENT_DEPENDENCE => Action::Decrement,
        SEND_SIGNALING_PCAS2_B_PCAS_ACTION_INCREMENT_DEPENDENCE => Action::Increment,
        other => {
            let name = SEND_SIGNALING_PCAS2_B_PCAS_ACTION.value_name(other);
            return Err(Fault::engine(format!(
                "SEND_SIGNALING_PCAS2_B with PCAS_ACTION {other} ({}) is not modelled",
                name.unwrap_or("unnamed")
            )));
        }
    };
    let rest = data & !SEND_SIGNALING_PCAS2_B_PCAS_ACTION.mask();
    if rest != 0 {
        return Err(Fault::engine(format!(
            "SEND_SIGNALING_PCAS2_B {data:#x}: SELECT and OFFSET_MINUS_ONE mean nothing to a launch"
        )));
    }
    Ok(Some(pcas(registers, action)))
}

/// Tells the scheduler something about the descriptor that SEND_PCAS_A named.
fn pcas(registers: &Registers, action: Action) -> Work {
    let setup = Setup {
        shared_window: registers
            .pair(SET_SHADER_SHARED_MEMORY_WINDOW_A, SET_SHADER_SHARED_MEMORY_WINDOW_B),
        local_window: registers
            .pair(SET_SHADER_LOCAL_MEMORY_WINDOW_A, SET_SHADER_LOCAL_MEMORY_WINDOW_B),
        local: registers.pair(SET_SHADER_LOCAL_MEMORY_A, SET_SHADER_LOCAL_MEMORY_B),
        local_per_tpc: registers
            .pair(SET_SHADER_LOCAL_MEMORY_NON_THROTTLED_A, SET_SHADER_LOCAL_MEMORY_NON_THROTTLED_B),
    };
    let qmd = u64::from(registers.get(SEND_PCAS_A)) << 8;
    Work::Launch(Pcas { qmd, action, setup })
}

fn report(registers: &Registers, data: u32) -> Result<Work, Fault> {
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
        Size::Double => {
            registers.pair(SET_REPORT_SEMAPHORE_PAYLOAD_UPPER, SET_REPORT_SEMAPHORE_PAYLOAD_LOWER)
        }
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
        va: registers.pair(SET_REPORT_SEMAPHORE_ADDRESS_UPPER, SET_REPORT_SEMAPHORE_ADDRESS_LOWER),
        size,
        payload,
        reduction: reduces.then_some(Reduction { op, signed }),
        stamped,
    };
    let awaken = REPORT_SEMAPHORE_EXECUTE_AWAKEN_ENABLE.get(data)
        == REPORT_SEMAPHORE_EXECUTE_AWAKEN_ENABLE_TRUE;
    release.check().map_err(Fault::engine)?;
    let flush = REPORT_SEMAPHORE_EXECUTE_FLUSH_DISABLE.get(data)
        == REPORT_SEMAPHORE_EXECUTE_FLUSH_DISABLE_FALSE;
    Ok(Work::Report(Report { release, awaken, flush }))
}

fn old_report(registers: &Registers, data: u32) -> Result<Work, Fault> {
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
    let awaken =
        SET_REPORT_SEMAPHORE_D_AWAKEN_ENABLE.get(data) == SET_REPORT_SEMAPHORE_D_AWAKEN_ENABLE_TRUE;
    release.check().map_err(Fault::engine)?;
    let flush = SET_REPORT_SEMAPHORE_D_FLUSH_DISABLE.get(data)
        == SET_REPORT_SEMAPHORE_D_FLUSH_DISABLE_FALSE;
    Ok(Work::Report(Report { release, awaken, flush }))
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
