//! The launch descriptor as this GPU reads it: version 3.0, each field checked before anything runs.

use std::fmt::Display;

use hw_defs::qmd::QmdField;
use hw_defs::qmd::v03_00::*;

use super::fault::Fault;
use super::mmu::Space;
use super::semaphore::{Op, Reduction, Release, Size};

/// Bytes of shared memory that the system has for itself in every block.
const RESERVED_SHARED: u32 = 1024;
/// What a multiprocessor can set aside as shared memory, in KiB.
const CARVE_OUTS: [u32; 7] = [8, 16, 32, 64, 100, 132, 164];
/// The most bytes of a constant bank that instructions can name.
const LARGEST_BANK: u32 = 64 << 10;
const BANKS: u32 = 8;
const MOST_REGISTERS: u32 = 255;
const MOST_BARRIERS: u32 = 16;
const MOST_THREADS: u64 = 1024;
/// Compute capability 8.7, a decimal digit in four bits.
const SASS: u32 = 0x87;
/// Functions begin on these.
const CODE_ALIGN: u64 = 128;

/// What one multiprocessor has for all its blocks.
const REGISTER_FILE: u32 = 65536;
const WARPS_PER_SM: u32 = 48;
const BLOCKS_PER_SM: u32 = 16;
/// The largest Orin's.
pub(super) const MULTIPROCESSORS: u32 = 16;

/// A launch whose descriptor is in order.
pub(super) struct Descriptor {
    pub(super) va: u64,
    pub(super) grid: [u32; 3],
    pub(super) block: [u32; 3],
    pub(super) entry: u64,
    pub(super) registers: u32,
    pub(super) barriers: u32,
    /// Bytes of shared memory, the system's part left out.
    pub(super) shared: u32,
    /// Bytes of local memory of each thread, from below and from above.
    pub(super) local: [u32; 2],
    /// Address and size of each constant bank; an empty one is not bound.
    pub(super) banks: [(u64, u32); BANKS as usize],
    /// Where the code is to be fetched ahead, and how much.
    pub(super) prefetch: (u64, u64),
    pub(super) invalidates_code: bool,
    /// How many blocks can be on the GPU together.
    pub(super) resident: u32,
    pub(super) releases: Vec<Release>,
    pub(super) dependent: Option<Dependent>,
}

/// Another launch to tell that this one has ended.
pub(super) struct Dependent {
    pub(super) va: u64,
    pub(super) action: Action,
}

/// What it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Start, once the dependence counter is down.
    Schedule,
    /// The same with the descriptor read anew, its counter included.
    CopyAndSchedule,
    /// One predecessor less to wait for.
    Decrement,
}

/// A descriptor as it lies in memory.
pub(super) struct Raw {
    va: u64,
    qmd: Qmd,
}

impl Raw {
    /// Fetches the descriptor at `va`.
    pub(super) fn fetch(space: &Space, va: u64) -> Result<Raw, Fault> {
        let mut words = Vec::with_capacity(LAYOUT.words);
        space
            .read_words(va, LAYOUT.words as u64, &mut words)
            .map_err(|fault| Fault::mmu("the fetch of a QMD", fault))?;
        let mut qmd = [0; 64];
        qmd.copy_from_slice(&words);
        let raw = Raw { va, qmd: Qmd::from_words(qmd) };
        for (field, expected) in [(QMD_MAJOR_VERSION, 3), (QMD_VERSION, 0)] {
            raw.expect(field, expected, "this GPU reads version 3.0")?;
        }
        if let Some((word, bits)) = LAYOUT.check(raw.qmd.words()) {
            return Err(raw.fault(format!("word {word} sets reserved bits {bits:#x}")));
        }
        Ok(raw)
    }

    /// How many predecessors must decrement it.
    pub(super) fn dependence_counter(&self) -> u32 {
        self.qmd.get(DEPENDENCE_COUNTER)
    }

    /// Whether it must be scheduled even when its counter is down.
    pub(super) fn requires_scheduling(&self) -> bool {
        self.qmd.get(REQUIRE_SCHEDULING_PCAS) == REQUIRE_SCHEDULING_PCAS_TRUE
    }

    fn fault(&self, text: impl Display) -> Fault {
        Fault::engine(format!("the QMD at {:#x}: {text}", self.va))
    }

    fn refuse(&self, field: QmdField, why: impl Display) -> Fault {
        self.fault(format!("{field} is {:#x}: {why}", self.qmd.get(field)))
    }

    fn expect(&self, field: QmdField, value: u32, why: &str) -> Result<(), Fault> {
        if self.qmd.get(field) == value { Ok(()) } else { Err(self.refuse(field, why)) }
    }

    fn at_most(&self, field: QmdField, range: (u32, u32), what: &str) -> Result<u32, Fault> {
        let (least, most) = range;
        let value = self.qmd.get(field);
        if (least..=most).contains(&value) {
            return Ok(value);
        }
        Err(self.refuse(field, format_args!("{what} must be {least} to {most}")))
    }

    fn pair(&self, upper: QmdField, lower: QmdField) -> u64 {
        u64::from(self.qmd.get(upper)) << 32 | u64::from(self.qmd.get(lower))
    }

    /// Everything that the launch says, or what is wrong with it.
    pub(super) fn check(&self) -> Result<Descriptor, Fault> {
        self.no_queue()?;
        self.expect(SASS_VERSION, SASS, "this GPU runs sm_87, which is 0x87")?;
        let most = i32::MAX as u32;
        let grid = [
            self.at_most(CTA_RASTER_WIDTH, (1, most), "blocks of a grid")?,
            self.at_most(CTA_RASTER_HEIGHT, (1, 0xffff), "blocks of a grid")?,
            self.at_most(CTA_RASTER_DEPTH, (1, 0xffff), "blocks of a grid")?,
        ];
        let block = [
            self.at_most(CTA_THREAD_DIMENSION0, (1, 1024), "threads of a block")?,
            self.at_most(CTA_THREAD_DIMENSION1, (1, 1024), "threads of a block")?,
            self.at_most(CTA_THREAD_DIMENSION2, (1, 64), "threads of a block")?,
        ];
        let threads = block.iter().map(|n| u64::from(*n)).product::<u64>();
        if threads > MOST_THREADS {
            return Err(self.fault(format!(
                "CTA_THREAD_DIMENSION0 to 2 make a block of {threads} threads, and {MOST_THREADS} \
                 is the most"
            )));
        }
        let registers = self.at_most(REGISTER_COUNT_V, (1, MOST_REGISTERS), "registers")?;
        let warps = threads.div_ceil(32) as u32;
        // The register file is given out in pieces of 256 registers per warp, four warps at a time.
        let fit = REGISTER_FILE / (registers * 32).next_multiple_of(256) / 4 * 4;
        if warps > fit {
            return Err(self.refuse(
                REGISTER_COUNT_V,
                format_args!(
                    "so many registers leave room for {fit} warps, and a block has {warps}"
                ),
            ));
        }
        let shared = self.shared()?;
        let barriers = self.at_most(BARRIER_COUNT, (0, MOST_BARRIERS), "barriers")?;
        let entry = self.pair(PROGRAM_ADDRESS_UPPER, PROGRAM_ADDRESS_LOWER);
        if entry % CODE_ALIGN != 0 {
            return Err(
                self.fault(format!("PROGRAM_ADDRESS {entry:#x} is not a multiple of {CODE_ALIGN}"))
            );
        }
        let membar = self.qmd.get(CWD_MEMBAR_TYPE);
        if CWD_MEMBAR_TYPE.value_name(membar).is_none() {
            return Err(self.refuse(CWD_MEMBAR_TYPE, "there is no such barrier"));
        }
        let in_order = self.qmd.get(SEQUENTIALLY_RUN_CTAS) == SEQUENTIALLY_RUN_CTAS_TRUE;
        let blocks = (fit / warps)
            .min(WARPS_PER_SM / warps)
            .min(BLOCKS_PER_SM)
            .min((CARVE_OUTS[CARVE_OUTS.len() - 1] << 10) / (shared + RESERVED_SHARED));
        Ok(Descriptor {
            va: self.va,
            grid,
            block,
            entry,
            registers,
            barriers,
            shared,
            local: [
                self.qmd.get(SHADER_LOCAL_MEMORY_LOW_SIZE),
                self.qmd.get(SHADER_LOCAL_MEMORY_HIGH_SIZE),
            ],
            banks: self.banks()?,
            prefetch: (
                self.pair(PROGRAM_PREFETCH_ADDR_UPPER_SHIFTED, PROGRAM_PREFETCH_ADDR_LOWER_SHIFTED)
                    << 8,
                u64::from(self.qmd.get(PROGRAM_PREFETCH_SIZE)) << 8,
            ),
            invalidates_code: self.qmd.get(INVALIDATE_INSTRUCTION_CACHE)
                == INVALIDATE_INSTRUCTION_CACHE_TRUE,
            resident: if in_order { 1 } else { blocks * MULTIPROCESSORS },
            releases: self.releases()?,
            dependent: self.dependent()?,
        })
    }

    /// What makes a descriptor something else than a grid of its own, or belongs to the hardware:
    /// a descriptor copied from one that has run carries such state.
    fn no_queue(&self) -> Result<(), Fault> {
        let why = "this software Orin runs plain grids, and only zero means that";
        for field in [
            OUTER_PUT,
            OUTER_OVERFLOW,
            OUTER_GET,
            OUTER_STICKY_OVERFLOW,
            INNER_GET,
            INNER_OVERFLOW,
            INNER_PUT,
            INNER_STICKY_OVERFLOW,
            IS_QUEUE,
            SELF_COPY_ON_COMPLETION,
            CTA_RASTER_WIDTH_RESUME,
            CTA_RASTER_HEIGHT_RESUME,
            CTA_RASTER_DEPTH_RESUME,
            CIRCULAR_QUEUE_SIZE,
            CIRCULAR_QUEUE_ADDR_LOWER,
            CIRCULAR_QUEUE_ADDR_UPPER,
            CIRCULAR_QUEUE_ENTRY_SIZE,
            CWD_REFERENCE_COUNT_INCR_ENABLE,
            CWD_REFERENCE_COUNT_DECR_ENABLE,
            CTA_LAUNCH_QUEUE,
            HW_ONLY_INNER_GET,
            HW_ONLY_REQUIRE_SCHEDULING_PCAS,
            HW_ONLY_INNER_PUT,
            HW_ONLY_SPAN_LIST_HEAD_INDEX,
            HW_ONLY_SPAN_LIST_HEAD_INDEX_VALID,
            HW_ONLY_SKED_NEXT_QMD_POINTER,
            HW_ONLY_DEPENDENCE_COUNTER,
        ] {
            self.expect(field, 0, why)?;
        }
        Ok(())
    }

    /// Shared memory of a block, and whether a multiprocessor divided as asked can hold it.
    fn shared(&self) -> Result<u32, Fault> {
        let configs = [
            MIN_SM_CONFIG_SHARED_MEM_SIZE,
            TARGET_SM_CONFIG_SHARED_MEM_SIZE,
            MAX_SM_CONFIG_SHARED_MEM_SIZE,
        ];
        let mut kib = [0; 3];
        for (field, kib) in configs.into_iter().zip(&mut kib) {
            *kib = match self.qmd.get(field) {
                0 => return Err(self.refuse(field, "a launch without a carve-out never starts")),
                units => (units - 1) * 4,
            };
            if !CARVE_OUTS.contains(kib) {
                return Err(self.refuse(
                    field,
                    format_args!("{kib} KiB is none of the carve-outs {CARVE_OUTS:?}"),
                ));
            }
        }
        if !kib.is_sorted() {
            let [least, target, most] = kib;
            return Err(self.fault(format!(
                "the carve-outs MIN, TARGET and MAX_SM_CONFIG_SHARED_MEM_SIZE are not in order: \
                 {least}, {target}, {most} KiB"
            )));
        }
        let bytes = self.qmd.get(SHARED_MEMORY_SIZE);
        if bytes % 128 != 0 {
            return Err(self.refuse(SHARED_MEMORY_SIZE, "shared memory comes in pieces of 128"));
        }
        let room = kib[0] << 10;
        if bytes > room {
            return Err(self.refuse(
                SHARED_MEMORY_SIZE,
                format_args!("MIN_SM_CONFIG_SHARED_MEM_SIZE leaves room for {room:#x} bytes"),
            ));
        }
        bytes.checked_sub(RESERVED_SHARED).ok_or_else(|| {
            self.refuse(
                SHARED_MEMORY_SIZE,
                format_args!("the system needs {RESERVED_SHARED} bytes of it in every block"),
            )
        })
    }

    fn banks(&self) -> Result<[(u64, u32); BANKS as usize], Fault> {
        let mut banks = [(0, 0); BANKS as usize];
        for (i, bank) in (0..).zip(&mut banks) {
            if self.qmd.get(CONSTANT_BUFFER_VALID(i)) != CONSTANT_BUFFER_VALID_TRUE {
                continue;
            }
            let size = CONSTANT_BUFFER_SIZE_SHIFTED4(i);
            let bytes = self.qmd.get(size) * 16;
            if bytes == 0 || bytes > LARGEST_BANK {
                return Err(self.refuse(
                    size,
                    format_args!("a bank that is valid has 16 to {LARGEST_BANK} bytes"),
                ));
            }
            let va = self.pair(CONSTANT_BUFFER_ADDR_UPPER(i), CONSTANT_BUFFER_ADDR_LOWER(i));
            *bank = (va, bytes);
        }
        Ok(banks)
    }

    fn dependent(&self) -> Result<Option<Dependent>, Fault> {
        let why = "no pointer of a second dependent is known in this version";
        self.expect(DEPENDENT_QMD1_ENABLE, DEPENDENT_QMD1_ENABLE_FALSE, why)?;
        if self.qmd.get(DEPENDENT_QMD0_ENABLE) != DEPENDENT_QMD0_ENABLE_TRUE {
            return Ok(None);
        }
        let action = match self.qmd.get(DEPENDENT_QMD0_ACTION) {
            DEPENDENT_QMD0_ACTION_QMD_SCHEDULE => Action::Schedule,
            DEPENDENT_QMD0_ACTION_QMD_INVALIDATE_COPY_SCHEDULE => Action::CopyAndSchedule,
            DEPENDENT_QMD0_ACTION_QMD_DECREMENT_DEPENDENCE => Action::Decrement,
            _ => {
                let why = "this software Orin cannot do that to a dependent";
                return Err(self.refuse(DEPENDENT_QMD0_ACTION, why));
            }
        };
        let va = u64::from(self.qmd.get(DEPENDENT_QMD0_POINTER)) << 8;
        Ok(Some(Dependent { va, action }))
    }

    fn releases(&self) -> Result<Vec<Release>, Fault> {
        let mut releases = Vec::new();
        for i in 0..3 {
            releases.extend(self.release(i)?);
        }
        Ok(releases)
    }

    fn release(&self, i: usize) -> Result<Option<Release>, Fault> {
        const NAMES: [&str; 3] = ["RELEASE0", "RELEASE1", "RELEASE2"];
        // The three are laid out alike, the third behind fields that came earlier.
        let shift = [
            0,
            RELEASE1_ADDRESS_LOWER.lo - RELEASE0_ADDRESS_LOWER.lo,
            RELEASE2_ADDRESS_LOWER.lo - RELEASE0_ADDRESS_LOWER.lo,
        ][i];
        let get = |field: QmdField| {
            self.qmd.get(QmdField { hi: field.hi + shift, lo: field.lo + shift, ..field })
        };
        let pair = |upper, lower| u64::from(get(upper)) << 32 | u64::from(get(lower));
        let refuse = |why: &str| Err(self.fault(format!("{}: {why}", NAMES[i])));
        if get(RELEASE0_ENABLE) != RELEASE0_ENABLE_TRUE {
            return Ok(None);
        }
        if get(RELEASE0_TRAP_TYPE) != RELEASE0_TRAP_TYPE_TRAP_NONE {
            return refuse("this software Orin knows no TRAP_TYPE but NONE");
        }
        let long = get(RELEASE0_PAYLOAD64B) == RELEASE0_PAYLOAD64B_TRUE;
        let (size, stamped) = match get(RELEASE0_STRUCTURE_SIZE) {
            RELEASE0_STRUCTURE_SIZE_SEMAPHORE_ONE_WORD if long => {
                return refuse("a semaphore of one word has no room for PAYLOAD64B");
            }
            RELEASE0_STRUCTURE_SIZE_SEMAPHORE_ONE_WORD => (Size::Word, false),
            RELEASE0_STRUCTURE_SIZE_SEMAPHORE_TWO_WORDS => (Size::Double, false),
            RELEASE0_STRUCTURE_SIZE_SEMAPHORE_FOUR_WORDS if long => (Size::Double, true),
            RELEASE0_STRUCTURE_SIZE_SEMAPHORE_FOUR_WORDS => (Size::Word, true),
            _ => return refuse("STRUCTURE_SIZE has no value 3"),
        };
        let signed = match get(RELEASE0_REDUCTION_FORMAT) {
            RELEASE0_REDUCTION_FORMAT_UNSIGNED => false,
            RELEASE0_REDUCTION_FORMAT_SIGNED => true,
            _ => return refuse("REDUCTION_FORMAT has no such value"),
        };
        let op = match get(RELEASE0_REDUCTION_OP) {
            RELEASE0_REDUCTION_OP_RED_ADD => Op::Add,
            RELEASE0_REDUCTION_OP_RED_MIN => Op::Min,
            RELEASE0_REDUCTION_OP_RED_MAX => Op::Max,
            RELEASE0_REDUCTION_OP_RED_INC => Op::Inc,
            RELEASE0_REDUCTION_OP_RED_DEC => Op::Dec,
            RELEASE0_REDUCTION_OP_RED_AND => Op::And,
            RELEASE0_REDUCTION_OP_RED_OR => Op::Or,
            _ => Op::Xor,
        };
        let reduces = get(RELEASE0_REDUCTION_ENABLE) == RELEASE0_REDUCTION_ENABLE_TRUE;
        let release = Release {
            va: pair(RELEASE0_ADDRESS_UPPER, RELEASE0_ADDRESS_LOWER),
            size,
            payload: match size {
                Size::Word => get(RELEASE0_PAYLOAD_LOWER).into(),
                Size::Double => pair(RELEASE0_PAYLOAD_UPPER, RELEASE0_PAYLOAD_LOWER),
            },
            reduction: reduces.then_some(Reduction { op, signed }),
            stamped,
        };
        match release.check() {
            Ok(()) => Ok(Some(release)),
            Err(why) => refuse(&why),
        }
    }
}
