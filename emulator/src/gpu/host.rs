//! The methods of the host engine, AMPERE_CHANNEL_GPFIFO_B: semaphores, barriers, interrupts.

use hw_defs::{c76f, class};

use super::channel::{Advance, Bus, COMPUTE_SUBCHANNEL, COPY_SUBCHANNEL, Channel};
use super::compute::Compute;
use super::copy::Copy;
use super::fault::Fault;
use super::registers::offsets;
use super::semaphore::{Acquire, Condition, Op, Reduction, Release, Size};

impl Channel {
    /// Whether a method is not obeyed before the engines are idle.
    pub(super) fn host_waits(offset: u32, data: u32) -> bool {
        offsets!(c76f: SET_REFERENCE, SEM_EXECUTE, WFI);
        match offset {
            WFI | SET_REFERENCE => true,
            SEM_EXECUTE => {
                let operation = c76f::SEM_EXECUTE_OPERATION.get(data);
                let writes =
                    [c76f::SEM_EXECUTE_OPERATION_RELEASE, c76f::SEM_EXECUTE_OPERATION_REDUCTION];
                let wfi = c76f::SEM_EXECUTE_RELEASE_WFI.get(data);
                writes.contains(&operation) && wfi == c76f::SEM_EXECUTE_RELEASE_WFI_EN
            }
            _ => false,
        }
    }

    /// Obeys a method below 0x100, which means the same on every subchannel.
    pub(super) fn host_method(
        &mut self,
        bus: &mut Bus,
        subchannel: u32,
        offset: u32,
        data: u32,
    ) -> Result<Advance, Fault> {
        offsets!(c76f: SET_OBJECT, ILLEGAL, SEMAPHOREA, SEMAPHOREB, SEMAPHOREC, SEMAPHORED,
            NON_STALL_INTERRUPT, MEM_OP_D, SET_REFERENCE, SEM_EXECUTE, YIELD,
            CLEAR_FAULTED);
        let method = self.host.write(offset, data).map_err(Fault::host)?;
        match method.offset {
            SET_OBJECT => self.set_object(bus, subchannel, data)?,
            SEMAPHOREA | SEMAPHOREB | SEMAPHOREC | SEMAPHORED if !self.legacy_noticed => {
                self.legacy_noticed = true;
                bus.notice(format!(
                    "{} does nothing on this host class: use SEM_ADDR_LO to SEM_EXECUTE",
                    method.name
                ));
            }
            NON_STALL_INTERRUPT => bus.interrupt(),
            MEM_OP_D => self.mem_op(data)?,
            SET_REFERENCE => {
                bus.system_membar();
                self.fetcher.set_reference(data);
            }
            SEM_EXECUTE => return self.sem_execute(bus, data),
            YIELD if data >= 2 => return Ok(Advance::Yielded),
            ILLEGAL | CLEAR_FAULTED => {
                return Err(Fault::host(format!("{} was sent", method.name)));
            }
            // The others waited before they came here, set up what MEM_OP_D and SEM_EXECUTE do, or flush what is never held back.
            _ => {}
        }
        Ok(Advance::Worked)
    }

    fn set_object(&mut self, bus: &Bus, subchannel: u32, data: u32) -> Result<(), Fault> {
        let id = c76f::SET_OBJECT_NVCLASS.get(data);
        let name = class::lookup(id).map_or("a class unknown here", |class| class.name);
        let engine = c76f::SET_OBJECT_ENGINE.get(data);
        if engine != 0 {
            return Err(Fault::host(format!(
                "SET_OBJECT asks for engine {engine:#x}, and this software Orin has none by number"
            )));
        }
        if !bus.classes.contains(&id) {
            return Err(Fault::engine(format!(
                "SET_OBJECT of {id:#x} ({name}) without NVGPU_IOCTL_CHANNEL_ALLOC_OBJ_CTX of that \
                 class before"
            )));
        }
        let (compute, copy) = (Compute::of_class(id), Copy::of_class(id));
        let expected = match (&compute, &copy) {
            (Some(_), _) => COMPUTE_SUBCHANNEL,
            (_, Some(_)) => COPY_SUBCHANNEL,
            _ => {
                return Err(Fault::engine(format!(
                    "SET_OBJECT of {id:#x} ({name}): this software Orin has no such engine"
                )));
            }
        };
        if subchannel != expected {
            return Err(Fault::engine(format!(
                "CLASS_SUBCH_MISMATCH: SET_OBJECT of {name} on subchannel {subchannel}, which \
                 belongs on {expected}"
            )));
        }
        if let Some(compute) = compute {
            self.compute.get_or_insert_with(|| Box::new(compute));
        }
        if let Some(copy) = copy {
            self.copy.get_or_insert_with(|| Box::new(copy));
        }
        Ok(())
    }

    fn mem_op(&self, data: u32) -> Result<(), Fault> {
        let operation = c76f::MEM_OP_D_OPERATION.get(data);
        if operation != c76f::MEM_OP_D_OPERATION_MEMBAR {
            let name = c76f::MEM_OP_D_OPERATION.value_name(operation).unwrap_or("unknown");
            return Err(Fault::host(format!(
                "MEM_OP_D with operation {operation:#x} ({name}) needs a privileged channel"
            )));
        }
        let membar = self.host.get(c76f::MEM_OP_C);
        let other = self.host.get(c76f::MEM_OP_A)
            | self.host.get(c76f::MEM_OP_B)
            | data & !c76f::MEM_OP_D_OPERATION.mask();
        if other != 0 || membar > c76f::MEM_OP_C_MEMBAR_TYPE_MEMBAR {
            return Err(Fault::host(
                "a MEM_OP membar leaves everything zero but the operation and MEMBAR_TYPE",
            ));
        }
        Ok(())
    }

    fn sem_execute(&mut self, bus: &mut Bus, data: u32) -> Result<Advance, Fault> {
        let va = self.host.pair(c76f::SEM_ADDR_HI, c76f::SEM_ADDR_LO);
        let size = match c76f::SEM_EXECUTE_PAYLOAD_SIZE.get(data) {
            c76f::SEM_EXECUTE_PAYLOAD_SIZE_32BIT => Size::Word,
            _ => Size::Double,
        };
        let payload = match size {
            Size::Word => self.host.get(c76f::SEM_PAYLOAD_LO).into(),
            Size::Double => self.host.pair(c76f::SEM_PAYLOAD_HI, c76f::SEM_PAYLOAD_LO),
        };
        let operation = c76f::SEM_EXECUTE_OPERATION.get(data);
        let reduction = if operation == c76f::SEM_EXECUTE_OPERATION_REDUCTION {
            Some(reduction(data)?)
        } else {
            no_reduction(data)?;
            None
        };
        let condition = match operation {
            c76f::SEM_EXECUTE_OPERATION_ACQUIRE => Condition::Equal,
            c76f::SEM_EXECUTE_OPERATION_ACQ_STRICT_GEQ => Condition::StrictGeq,
            c76f::SEM_EXECUTE_OPERATION_ACQ_CIRC_GEQ => Condition::CircGeq,
            c76f::SEM_EXECUTE_OPERATION_ACQ_AND => Condition::And,
            c76f::SEM_EXECUTE_OPERATION_ACQ_NOR => Condition::Nor,
            c76f::SEM_EXECUTE_OPERATION_RELEASE | c76f::SEM_EXECUTE_OPERATION_REDUCTION => {
                let stamped = c76f::SEM_EXECUTE_RELEASE_TIMESTAMP.get(data)
                    == c76f::SEM_EXECUTE_RELEASE_TIMESTAMP_EN;
                let release = Release { va, size, payload, reduction, stamped };
                release.check().map_err(Fault::host)?;
                // Who waits for idle waits for all stores, too.
                if Channel::host_waits(c76f::SEM_EXECUTE.offset, data) {
                    bus.system_membar();
                }
                let released = release.perform(bus);
                released.map_err(|fault| Fault::mmu("a semaphore release", fault))?;
                return Ok(Advance::Worked);
            }
            other => return Err(Fault::host(format!("SEM_EXECUTE has no operation {other}"))),
        };
        if va % size.bytes() != 0 {
            let bytes = size.bytes();
            return Err(Fault::host(format!("a {bytes}-byte acquire at {va:#x} is not aligned")));
        }
        self.waiting = Some(Acquire { va, size, condition, payload });
        self.advance_host(bus)
    }
}

fn reduction(data: u32) -> Result<Reduction, Fault> {
    let op = match c76f::SEM_EXECUTE_REDUCTION.get(data) {
        c76f::SEM_EXECUTE_REDUCTION_IMIN => Op::Min,
        c76f::SEM_EXECUTE_REDUCTION_IMAX => Op::Max,
        c76f::SEM_EXECUTE_REDUCTION_IXOR => Op::Xor,
        c76f::SEM_EXECUTE_REDUCTION_IAND => Op::And,
        c76f::SEM_EXECUTE_REDUCTION_IOR => Op::Or,
        c76f::SEM_EXECUTE_REDUCTION_IADD => Op::Add,
        c76f::SEM_EXECUTE_REDUCTION_INC => Op::Inc,
        c76f::SEM_EXECUTE_REDUCTION_DEC => Op::Dec,
        other => return Err(Fault::host(format!("SEM_EXECUTE has no reduction {other}"))),
    };
    let format = c76f::SEM_EXECUTE_REDUCTION_FORMAT.get(data);
    Ok(Reduction { op, signed: format == c76f::SEM_EXECUTE_REDUCTION_FORMAT_SIGNED })
}

/// Hardware leaves open what reduction bits do in another operation.
fn no_reduction(data: u32) -> Result<(), Fault> {
    let bits = c76f::SEM_EXECUTE_REDUCTION.mask() | c76f::SEM_EXECUTE_REDUCTION_FORMAT.mask();
    if data & bits != 0 {
        return Err(Fault::host(format!(
            "SEM_EXECUTE {data:#x} sets reduction bits and its operation is not REDUCTION"
        )));
    }
    Ok(())
}
