//! The launch descriptor as the GPU reads it, each field checked before anything runs.

use std::fmt::Display;

use hw_defs::qmd::QmdField;
use hw_defs::qmd::v03_00::*;
use hw_defs::qmd::v04_00::{QMD_TYPE_GRID_CTA, QMD_TYPE_GRID_GPC_CGA, QMD_TYPE_GRID_NULL};

use super::channel::Bus;
use super::fault::Fault;
use super::qmd_version::{Counter, Early, Limits, Version};
use super::semaphore::{Op, Reduction, Release, Size};

/// Bytes of shared memory that the system has for itself in every block.
const RESERVED_SHARED: u32 = 1024;
/// How much of that, from its beginning, the toolkit's libraries use: groups of more than a warp meet there.
const USABLE_RESERVED: u32 = 0x120;
/// The most bytes of a constant bank that instructions can name.
const LARGEST_BANK: u32 = 64 << 10;
const BANKS: u32 = 8;
const MOST_REGISTERS: u32 = 255;
const MOST_BARRIERS: u32 = 16;
const MOST_THREADS: u64 = 1024;
const MOST_BLOCKS_OF_A_CLUSTER: u32 = 16;
/// Registers that one multiprocessor has for all its blocks.
const REGISTER_FILE: u32 = 65536;

/// A launch whose descriptor is in order.
pub(super) struct Descriptor {
    pub(super) va: u64,
    pub(super) limits: &'static Limits,
    /// In blocks; of a descriptor that runs nothing, none.
    pub(super) grid: [u32; 3],
    /// Blocks in a cluster: one, where there are none.
    pub(super) cluster: [u32; 3],
    pub(super) block: [u32; 3],
    pub(super) entry: u64,
    pub(super) registers: u32,
    pub(super) barriers: u32,
    /// Bytes of shared memory that a block can reach.
    pub(super) shared: u32,
    /// Bytes behind those that the system keeps.
    pub(super) shared_reserved: u32,
    /// Bytes of local memory of each thread, from below and from above.
    pub(super) local: [u32; 2],
    pub(super) banks: [Constants; BANKS as usize],
    /// Where the code is to be fetched ahead, and how much.
    pub(super) prefetch: (u64, u64),
    /// Who sees what the grid has stored once it has ended.
    pub(super) membar: Membar,
    pub(super) invalidates_code: bool,
    pub(super) invalidates_data: bool,
    pub(super) invalidates_constants: bool,
    /// How many clusters can be on the GPU together.
    pub(super) resident: u32,
    pub(super) releases: Vec<Release>,
    pub(super) dependents: Vec<Dependent>,
    pub(super) tells: Tells,
    /// The latch that is closed while this launch runs.
    pub(super) arrives_at: Option<u32>,
    /// The latch that its kernel waits for where it waits.
    pub(super) waits_on: Option<u32>,
    pub(super) latch_invalidates_data: bool,
}

impl Descriptor {
    /// How many clusters there are.
    pub(super) fn clusters(&self) -> [u32; 3] {
        std::array::from_fn(|i| self.grid[i] / self.cluster[i])
    }
}

/// What a descriptor has the GPU run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runs {
    Blocks,
    Clusters,
    Nothing,
}

/// When the dependents are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tells {
    /// When everything is done, membar and releases included.
    Last,
    /// When the last block has ended.
    BeforeMembar,
    /// When the last block has started.
    AtLastStart,
}

/// How far a barrier at the end of a grid brings its stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Membar {
    None,
    /// All engines of the GPU see them.
    Gpu,
    /// The CPU does too.
    System,
}

/// A constant bank of a launch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Constants {
    pub(super) va: u64,
    /// None of them if it is not bound.
    pub(super) bytes: u32,
    /// What is cached of it does not count.
    pub(super) invalidates: bool,
    /// It is fetched together with a descriptor that is fetched ahead.
    pub(super) ahead: bool,
}

/// Another launch to tell about this one's end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dependent {
    pub(super) va: u64,
    pub(super) action: Action,
    /// Its descriptor is fetched when this launch starts.
    pub(super) prefetched: bool,
}

/// What the scheduler is told about a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Start, once the dependence counter is down.
    Schedule,
    /// The same with the descriptor read anew, its counter included.
    CopyAndSchedule,
    /// One predecessor less to wait for.
    Decrement,
    /// One more.
    Increment,
    /// Fetch it, and nothing else.
    Prefetch,
    /// Forget what is known of it.
    Forget,
}

/// A descriptor as it lies in memory.
#[derive(Clone)]
pub(super) struct Raw {
    va: u64,
    version: &'static Version,
    words: Vec<u32>,
}

impl Raw {
    /// Fetches the descriptor at `va`.
    pub(super) fn fetch(bus: &Bus, version: &'static Version, va: u64) -> Result<Raw, Fault> {
        let words = bus.words(va, version.layout.words);
        let words = words.map_err(|fault| Fault::mmu("the fetch of a QMD", fault))?;
        let raw = Raw { va, version, words };
        for (field, expected) in [version.major, version.minor] {
            raw.expect(field, expected, version.reads)?;
        }
        if let Some((word, bits)) = version.layout.check(&raw.words) {
            return Err(raw.fault(format!("word {word} sets reserved bits {bits:#x}")));
        }
        Ok(raw)
    }

    fn get(&self, field: QmdField) -> u32 {
        field.in_word().get(self.words[field.word()])
    }

    fn is_set(&self, field: QmdField) -> bool {
        self.get(field) != 0
    }

    /// How many predecessors must decrement it. Memory keeps the number: who counts does so in a copy.
    pub(super) fn dependence_counter(&self) -> u32 {
        self.get(self.version.counter.own)
    }

    /// What nobody has tried on silicon of that which the scheduler is told about it.
    pub(super) fn untried(&self, action: Action) -> Option<String> {
        let Counter { first, own, tried } = self.version.counter;
        let counts = matches!(action, Action::Decrement | Action::Increment);
        let values = [first, own].map(|field| self.get(field));
        match values {
            _ if counts && !tried => Some("to count dependences on this GPU".to_owned()),
            // That ends in the exception.
            [_, 0] if action == Action::Decrement => None,
            [first_is, own_is] if first_is != own_is => {
                Some(format!("{own} {own_is:#x} beside {first} {first_is:#x}"))
            }
            [counter, _] if counter != 0 && action == Action::CopyAndSchedule => {
                Some(format!("to copy a descriptor whose {first} is {counter:#x}"))
            }
            _ => None,
        }
    }

    /// Whether it must be scheduled even when its counter is down.
    pub(super) fn requires_scheduling(&self) -> bool {
        self.is_set(self.version.require_scheduling)
    }

    /// The first word in which another fetch of the same descriptor found something else.
    pub(super) fn difference(&self, other: &Raw) -> Option<(usize, u32, u32)> {
        let pairs = self.words.iter().zip(&other.words);
        let mut differences = pairs.enumerate().filter(|(_, (a, b))| a != b);
        differences.next().map(|(at, (a, b))| (at, *a, *b))
    }

    pub(super) fn fault(&self, text: impl Display) -> Fault {
        Fault::engine(format!("the QMD at {:#x}: {text}", self.va))
    }

    fn refuse(&self, field: QmdField, why: impl Display) -> Fault {
        self.fault(format!("{field} is {:#x}: {why}", self.get(field)))
    }

    fn expect(&self, field: QmdField, value: u32, why: &str) -> Result<(), Fault> {
        if self.get(field) == value { Ok(()) } else { Err(self.refuse(field, why)) }
    }

    fn at_most(&self, field: QmdField, range: (u32, u32), what: &str) -> Result<u32, Fault> {
        let (least, most) = range;
        let value = self.get(field);
        if (least..=most).contains(&value) {
            return Ok(value);
        }
        Err(self.refuse(field, format_args!("{what} must be {least} to {most}")))
    }

    fn pair(&self, [upper, lower]: [QmdField; 2]) -> u64 {
        u64::from(self.get(upper)) << 32 | u64::from(self.get(lower))
    }

    /// Everything that the launch says, or what is wrong with it.
    pub(super) fn check(&self) -> Result<Descriptor, Fault> {
        let version = self.version;
        let limits = &version.limits;
        // What makes a descriptor something else than a grid of its own, or belongs to the hardware:
        // a descriptor copied from one that has run carries such state.
        for (fields, value, why) in version.fixed {
            for field in *fields {
                self.expect(*field, *value, why)?;
            }
        }
        self.expect(version.sass, limits.sass.0, limits.sass.1)?;
        let runs = self.runs()?;
        let cluster = if runs == Runs::Clusters { self.cluster()? } else { [1; 3] };
        let mut grid = [0; 3];
        for (i, most) in [i32::MAX as u32, 0xffff, 0xffff].into_iter().enumerate() {
            // Where there are clusters, it counts those.
            let range = (1, most / cluster[i]);
            grid[i] = cluster[i] * self.at_most(version.grid[i], range, "blocks of a grid")?;
        }
        let [x, y, z] = version.block;
        let block = [
            self.at_most(x, (1, 1024), "threads of a block")?,
            self.at_most(y, (1, 1024), "threads of a block")?,
            self.at_most(z, (1, 64), "threads of a block")?,
        ];
        let threads = block.iter().map(|n| u64::from(*n)).product::<u64>();
        if threads > MOST_THREADS {
            return Err(self.fault(format!(
                "CTA_THREAD_DIMENSION0 to 2 make a block of {threads} threads, and {MOST_THREADS} \
                 is the most"
            )));
        }
        let registers = self.at_most(version.registers, (1, MOST_REGISTERS), "registers")?;
        let warps = threads.div_ceil(32) as u32;
        // The register file is given out in pieces of 256 registers per warp, four warps at a time.
        let fit = REGISTER_FILE / (registers * 32).next_multiple_of(256) / 4 * 4;
        if warps > fit {
            return Err(self.refuse(
                version.registers,
                format_args!(
                    "so many registers leave room for {fit} warps, and a block has {warps}"
                ),
            ));
        }
        let shared = self.shared()?;
        let barriers = self.at_most(version.barriers, (0, MOST_BARRIERS), "barriers")?;
        let entry = self.pair(version.program);
        let align = limits.entry_align;
        if entry % align != 0 {
            let what = format!("PROGRAM_ADDRESS {entry:#x} is not a multiple of {align}");
            return Err(self.fault(what));
        }
        let most_shared = limits.carve_outs.last().map_or(0, |kib| kib << 10);
        let blocks = (fit / warps)
            .min(limits.warps_per_sm / warps)
            .min(limits.blocks_per_sm)
            .min(most_shared / shared);
        let hidden = if limits.sees_reserved { 0 } else { RESERVED_SHARED - USABLE_RESERVED };
        let in_order = self.is_set(version.in_order);
        let descriptor = Descriptor {
            va: self.va,
            limits,
            grid,
            cluster,
            block,
            entry,
            registers,
            barriers,
            shared: shared - hidden,
            shared_reserved: hidden,
            local: version.local.map(|field| self.get(field)),
            banks: self.banks()?,
            prefetch: (
                self.pair(version.prefetch) << 8,
                u64::from(self.get(version.prefetch_size)) << 8,
            ),
            membar: self.membar()?,
            invalidates_code: self.is_set(version.invalidate_code),
            invalidates_data: self.is_set(version.invalidate_data),
            invalidates_constants: self.is_set(version.invalidate_constants),
            resident: match in_order {
                true => 1,
                false => (blocks * limits.multiprocessors / cluster.iter().product::<u32>()).max(1),
            },
            releases: self.releases()?,
            dependents: self.dependents()?,
            tells: self.tells(),
            arrives_at: self.latch(|early| [early.arrives, early.arrives_at]),
            waits_on: self.latch(|early| [early.waits, early.waits_on]),
            latch_invalidates_data: version
                .early
                .as_ref()
                .is_some_and(|early| self.is_set(early.invalidate_data)),
        };
        if let Some(latch) =
            descriptor.arrives_at.filter(|_| descriptor.arrives_at == descriptor.waits_on)
        {
            return Err(self.fault(format!(
                "it waits at latch {latch:#x}, at which it arrives itself: one latch for all launches ends in an \
                 exception on an H200"
            )));
        }
        if runs == Runs::Nothing { self.relay(descriptor) } else { Ok(descriptor) }
    }

    /// What the descriptor has the GPU run.
    fn runs(&self) -> Result<Runs, Fault> {
        let Some(kind) = self.version.kind else { return Ok(Runs::Blocks) };
        match self.get(kind) {
            QMD_TYPE_GRID_CTA => Ok(Runs::Blocks),
            QMD_TYPE_GRID_GPC_CGA => Ok(Runs::Clusters),
            QMD_TYPE_GRID_NULL => Ok(Runs::Nothing),
            _ => Err(self.refuse(
                kind,
                "this software Orin runs grids of blocks, GRID_CTA, of clusters, GRID_GPC_CGA, and what runs \
                 nothing, GRID_NULL; no queues",
            )),
        }
    }

    /// A descriptor that runs nothing. It has been seen to tell its dependents, and nothing else was tried.
    fn relay(&self, of_launch: Descriptor) -> Result<Descriptor, Fault> {
        let Descriptor { releases, arrives_at, waits_on, .. } = &of_launch;
        if !releases.is_empty() || arrives_at.is_some() || waits_on.is_some() {
            let why = "nobody has tried releases and latches of what runs nothing";
            return Err(self.fault(why));
        }
        Ok(Descriptor {
            grid: [0; 3],
            membar: Membar::None,
            invalidates_code: false,
            invalidates_data: false,
            invalidates_constants: false,
            tells: Tells::Last,
            ..of_launch
        })
    }

    /// How many blocks make a cluster.
    fn cluster(&self) -> Result<[u32; 3], Fault> {
        let mut cluster = [1; 3];
        let fields = self.version.cluster.into_iter().flatten();
        for (field, size) in fields.zip(&mut cluster) {
            let range = (1, MOST_BLOCKS_OF_A_CLUSTER);
            *size = self.at_most(field, range, "blocks of a cluster")?;
        }
        let blocks: u32 = cluster.iter().product();
        match blocks <= MOST_BLOCKS_OF_A_CLUSTER {
            true => Ok(cluster),
            false => Err(self.fault(format!(
                "GPC_CGA_WIDTH, HEIGHT and DEPTH make a cluster of {blocks} blocks, and \
                 {MOST_BLOCKS_OF_A_CLUSTER} is the most"
            ))),
        }
    }

    fn tells(&self) -> Tells {
        match &self.version.early {
            Some(early) if self.is_set(early.at_last_start) => Tells::AtLastStart,
            Some(early) if self.is_set(early.before_membar) => Tells::BeforeMembar,
            _ => Tells::Last,
        }
    }

    /// A latch: whether it is valid, and its number.
    fn latch(&self, fields: impl Fn(&Early) -> [QmdField; 2]) -> Option<u32> {
        let [valid, number] = fields(self.version.early.as_ref()?);
        self.is_set(valid).then(|| self.get(number))
    }

    fn membar(&self) -> Result<Membar, Fault> {
        let field = self.version.membar;
        match self.get(field) {
            CWD_MEMBAR_TYPE_L1_NONE => Ok(Membar::None),
            CWD_MEMBAR_TYPE_L1_MEMBAR => Ok(Membar::Gpu),
            CWD_MEMBAR_TYPE_L1_SYSMEMBAR => Ok(Membar::System),
            _ => Err(self.refuse(field, "there is no such barrier")),
        }
    }

    /// Shared memory of a block, the system's part included, and whether a multiprocessor divided as
    /// asked can hold it.
    fn shared(&self) -> Result<u32, Fault> {
        let carve_outs = self.version.limits.carve_outs;
        let mut kib = [0; 3];
        for (field, kib) in self.version.carve_out.into_iter().zip(&mut kib) {
            *kib = match self.get(field) {
                0 => return Err(self.refuse(field, "a launch without a carve-out never starts")),
                units => (units - 1) * 4,
            };
            if !carve_outs.contains(kib) {
                return Err(self.refuse(
                    field,
                    format_args!("{kib} KiB is none of the carve-outs {carve_outs:?}"),
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
        let field = self.version.shared;
        let bytes = self.get(field);
        if bytes % 128 != 0 {
            return Err(self.refuse(field, "shared memory comes in pieces of 128"));
        }
        let room = kib[0] << 10;
        if bytes > room {
            return Err(self.refuse(
                field,
                format_args!("MIN_SM_CONFIG_SHARED_MEM_SIZE leaves room for {room:#x} bytes"),
            ));
        }
        if bytes < RESERVED_SHARED {
            return Err(self.refuse(
                field,
                format_args!("the system needs {RESERVED_SHARED} bytes of it in every block"),
            ));
        }
        Ok(bytes)
    }

    fn banks(&self) -> Result<[Constants; BANKS as usize], Fault> {
        let mut banks = [Constants::default(); BANKS as usize];
        for (i, bank) in (0..).zip(&mut banks) {
            let fields = (self.version.bank)(i);
            if !self.is_set(fields.valid) {
                continue;
            }
            let bytes = self.get(fields.size) * 16;
            if bytes == 0 || bytes > LARGEST_BANK {
                return Err(self.refuse(
                    fields.size,
                    format_args!("a bank that is valid has 16 to {LARGEST_BANK} bytes"),
                ));
            }
            *bank = Constants {
                va: self.pair(fields.address) << self.version.bank_shift,
                bytes,
                invalidates: self.is_set(fields.invalidate),
                ahead: fields.prefetch.is_some_and(|(field, pre)| self.get(field) == pre),
            };
        }
        Ok(banks)
    }

    fn dependents(&self) -> Result<Vec<Dependent>, Fault> {
        let mut dependents = Vec::new();
        for fields in self.version.dependents {
            if !self.is_set(fields.enable) {
                continue;
            }
            let Some(pointer) = fields.pointer else {
                let why = "no pointer of a second dependent is known in this version";
                return Err(self.refuse(fields.enable, why));
            };
            let action = match self.get(fields.action) {
                DEPENDENT_QMD0_ACTION_QMD_SCHEDULE => Action::Schedule,
                DEPENDENT_QMD0_ACTION_QMD_INVALIDATE_COPY_SCHEDULE => Action::CopyAndSchedule,
                DEPENDENT_QMD0_ACTION_QMD_DECREMENT_DEPENDENCE => Action::Decrement,
                _ => {
                    let why = "this software Orin cannot do that to a dependent";
                    return Err(self.refuse(fields.action, why));
                }
            };
            let va = u64::from(self.get(pointer)) << 8;
            dependents.push(Dependent { va, action, prefetched: self.is_set(fields.prefetch) });
        }
        Ok(dependents)
    }

    fn releases(&self) -> Result<Vec<Release>, Fault> {
        let mut releases = Vec::new();
        for i in 0..3 {
            releases.extend(self.release(i)?);
        }
        Ok(releases)
    }

    fn release(&self, i: u32) -> Result<Option<Release>, Fault> {
        let fields = (self.version.release)(i);
        let refuse = |why: &str| Err(self.fault(format!("RELEASE{i}: {why}")));
        if !self.is_set(fields.enable) {
            return Ok(None);
        }
        if self.get(fields.trap) != RELEASE0_TRAP_TYPE_TRAP_NONE {
            return refuse("this software Orin knows no TRAP_TYPE but NONE");
        }
        let long = self.is_set(fields.long);
        let (size, stamped) = match self.get(fields.structure) {
            RELEASE0_STRUCTURE_SIZE_SEMAPHORE_ONE_WORD if long => {
                return refuse("a semaphore of one word has no room for PAYLOAD64B");
            }
            RELEASE0_STRUCTURE_SIZE_SEMAPHORE_ONE_WORD => (Size::Word, false),
            RELEASE0_STRUCTURE_SIZE_SEMAPHORE_TWO_WORDS => (Size::Double, false),
            RELEASE0_STRUCTURE_SIZE_SEMAPHORE_FOUR_WORDS if long => (Size::Double, true),
            RELEASE0_STRUCTURE_SIZE_SEMAPHORE_FOUR_WORDS => (Size::Word, true),
            _ => return refuse("STRUCTURE_SIZE has no value 3"),
        };
        let signed = match self.get(fields.format) {
            RELEASE0_REDUCTION_FORMAT_UNSIGNED => false,
            RELEASE0_REDUCTION_FORMAT_SIGNED => true,
            _ => return refuse("REDUCTION_FORMAT has no such value"),
        };
        let op = match self.get(fields.op) {
            RELEASE0_REDUCTION_OP_RED_ADD => Op::Add,
            RELEASE0_REDUCTION_OP_RED_MIN => Op::Min,
            RELEASE0_REDUCTION_OP_RED_MAX => Op::Max,
            RELEASE0_REDUCTION_OP_RED_INC => Op::Inc,
            RELEASE0_REDUCTION_OP_RED_DEC => Op::Dec,
            RELEASE0_REDUCTION_OP_RED_AND => Op::And,
            RELEASE0_REDUCTION_OP_RED_OR => Op::Or,
            _ => Op::Xor,
        };
        let reduces = self.is_set(fields.reduction);
        let release = Release {
            va: self.pair(fields.address),
            size,
            payload: match size {
                Size::Word => self.get(fields.payload[1]).into(),
                Size::Double => self.pair(fields.payload),
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
