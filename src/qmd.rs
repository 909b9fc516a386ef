//! Launch descriptors: a template per kernel, copied and patched per launch.
//!
//! Two generations put the same facts in different places. What differs is a table of fields; the
//! code that fills a descriptor is one.

use std::fmt;

use hw_defs::qmd::{QmdField, TooLarge, v03_00 as v3, v04_00 as v4};

use crate::addr::{GpuRange, GpuVa};

/// Words of the longest descriptor.
pub(crate) const MAX_WORDS: usize = 96;

/// The positions that this crate fills, for one version of the descriptor.
pub(crate) struct Fields {
    /// How many words the descriptor has.
    pub(crate) words: usize,
    /// Values that every launch has.
    constant: &'static [(QmdField, u32)],
    grid: [QmdField; 3],
    block: [QmdField; 3],
    program: [QmdField; 2],
    prefetch: [QmdField; 2],
    prefetch_size: QmdField,
    registers: QmdField,
    barriers: QmdField,
    shared: QmdField,
    shared_config: [QmdField; 3],
    local: QmdField,
    sass: QmdField,
    bank: fn(u32) -> Bank,
    /// Bank addresses count in units of this many bits.
    bank_shift: u32,
    cluster: Option<Cluster>,
    pub(crate) membar: QmdField,
    /// What a launch has that does nothing at its end but start another.
    chained: &'static [(QmdField, u32)],
    invalidate: &'static [QmdField],
    pub(crate) dependent: Dependent,
    pub(crate) release: Release,
    pub(crate) latch: Option<Latch>,
    pub(crate) fork: Option<Fork>,
}

/// One constant bank's fields.
struct Bank {
    valid: QmdField,
    invalidate: QmdField,
    low: QmdField,
    high: QmdField,
    size: QmdField,
}

struct Cluster {
    kind: QmdField,
    size: [QmdField; 3],
}

/// The fields that start another launch when this one ends.
pub(crate) struct Dependent {
    pub(crate) pointer: QmdField,
    pub(crate) enable: QmdField,
    pub(crate) action: QmdField,
    pub(crate) prefetch: QmdField,
}

/// The fields by which launches of a graph tell each other that they have ended: each tells two, and
/// one that waits for several counts.
///
/// The hardware counts down in a field of its own, which it fills from the other one only where a
/// descriptor is copied on its way to it. It counts in a copy: memory keeps the first value, so that
/// a descriptor can be used again as it is.
pub(crate) struct Fork {
    told: [Dependent; 2],
    counter: QmdField,
    own_counter: QmdField,
    /// What makes a descriptor one that runs nothing and tells others.
    relay: (QmdField, u32),
}

/// The fields that signal when the launch has ended.
pub(crate) struct Release {
    /// Whether what belongs to the launch may be written again as soon as the release is seen. Else
    /// only once the host has waited for the engine: on an Orin, others lost 2 of 200 increments by
    /// changing descriptors behind their own release, and none behind the host's.
    pub(crate) frees: bool,
    pub(crate) enable: QmdField,
    pub(crate) address: [QmdField; 2],
    pub(crate) payload: [QmdField; 2],
    pub(crate) payload_64: QmdField,
    pub(crate) membar: QmdField,
    pub(crate) structure: QmdField,
}

/// The fields that let a launch be ready before the one before it has ended, and have it wait for
/// that end where its code says.
///
/// A latch is a number: closed while a launch runs that arrives at it, membar included, and open
/// otherwise. The instruction that waits goes on when the latch is open that its own launch waits
/// on; with none it does not wait.
pub(crate) struct Latch {
    /// Of the launch before.
    before: &'static [(QmdField, u32)],
    arrives_at: QmdField,
    /// Of the launch before one that starts early.
    before_early: (QmdField, u32),
    /// Of the launch that waits.
    after: &'static [(QmdField, u32)],
    waits_on: QmdField,
}

/// Orin, and every other Ampere and Ada.
pub(crate) static V03: Fields = Fields {
    words: v3::LAYOUT.words,
    constant: &[
        (v3::QMD_MAJOR_VERSION, 3),
        (v3::QMD_VERSION, 0),
        (v3::QMD_GROUP_ID, 0x3f),
        (v3::SM_GLOBAL_CACHING_ENABLE, 1),
        (v3::API_VISIBLE_CALL_LIMIT, v3::API_VISIBLE_CALL_LIMIT_NO_CHECK),
        (v3::SAMPLER_INDEX, v3::SAMPLER_INDEX_VIA_HEADER_INDEX),
    ],
    grid: [v3::CTA_RASTER_WIDTH, v3::CTA_RASTER_HEIGHT, v3::CTA_RASTER_DEPTH],
    block: [v3::CTA_THREAD_DIMENSION0, v3::CTA_THREAD_DIMENSION1, v3::CTA_THREAD_DIMENSION2],
    program: [v3::PROGRAM_ADDRESS_LOWER, v3::PROGRAM_ADDRESS_UPPER],
    prefetch: [v3::PROGRAM_PREFETCH_ADDR_LOWER_SHIFTED, v3::PROGRAM_PREFETCH_ADDR_UPPER_SHIFTED],
    prefetch_size: v3::PROGRAM_PREFETCH_SIZE,
    registers: v3::REGISTER_COUNT_V,
    barriers: v3::BARRIER_COUNT,
    shared: v3::SHARED_MEMORY_SIZE,
    shared_config: [
        v3::MIN_SM_CONFIG_SHARED_MEM_SIZE,
        v3::TARGET_SM_CONFIG_SHARED_MEM_SIZE,
        v3::MAX_SM_CONFIG_SHARED_MEM_SIZE,
    ],
    local: v3::SHADER_LOCAL_MEMORY_HIGH_SIZE,
    sass: v3::SASS_VERSION,
    bank: |i| Bank {
        valid: v3::CONSTANT_BUFFER_VALID(i),
        invalidate: v3::CONSTANT_BUFFER_INVALIDATE(i),
        low: v3::CONSTANT_BUFFER_ADDR_LOWER(i),
        high: v3::CONSTANT_BUFFER_ADDR_UPPER(i),
        size: v3::CONSTANT_BUFFER_SIZE_SHIFTED4(i),
    },
    bank_shift: 0,
    cluster: None,
    membar: v3::CWD_MEMBAR_TYPE,
    chained: &[],
    invalidate: &[
        v3::INVALIDATE_TEXTURE_HEADER_CACHE,
        v3::INVALIDATE_TEXTURE_SAMPLER_CACHE,
        v3::INVALIDATE_TEXTURE_DATA_CACHE,
        v3::INVALIDATE_SHADER_DATA_CACHE,
    ],
    dependent: Dependent {
        pointer: v3::DEPENDENT_QMD0_POINTER,
        enable: v3::DEPENDENT_QMD0_ENABLE,
        action: v3::DEPENDENT_QMD0_ACTION,
        prefetch: v3::DEPENDENT_QMD0_PREFETCH,
    },
    release: Release {
        frees: false,
        enable: v3::RELEASE0_ENABLE,
        address: [v3::RELEASE0_ADDRESS_LOWER, v3::RELEASE0_ADDRESS_UPPER],
        payload: [v3::RELEASE0_PAYLOAD_LOWER, v3::RELEASE0_PAYLOAD_UPPER],
        payload_64: v3::RELEASE0_PAYLOAD64B,
        membar: v3::RELEASE0_MEMBAR_TYPE,
        structure: v3::RELEASE0_STRUCTURE_SIZE,
    },
    latch: None,
    // Where the pointer to a second one stands is not published.
    fork: None,
};

/// Hopper.
pub(crate) static V04: Fields = Fields {
    words: v4::LAYOUT.words,
    constant: &[
        (v4::QMD_MAJOR_VERSION, 4),
        (v4::QMD_MINOR_VERSION, 0),
        (v4::QMD_TYPE, v4::QMD_TYPE_GRID_CTA),
        // Arguments are fetched while the launch before still runs: 100 ns.
        (v4::CONSTANT_BUFFER_PREFETCH(0), v4::CONSTANT_BUFFER_PREFETCH_PREFETCH_PRE),
        (v4::QMD_GROUP_ID, 0x3f),
        (v4::API_VISIBLE_CALL_LIMIT, v4::API_VISIBLE_CALL_LIMIT_NO_CHECK),
        (v4::SAMPLER_INDEX, v4::SAMPLER_INDEX_VIA_HEADER_INDEX),
    ],
    grid: [v4::GRID_WIDTH, v4::GRID_HEIGHT, v4::GRID_DEPTH],
    block: [v4::CTA_THREAD_DIMENSION0, v4::CTA_THREAD_DIMENSION1, v4::CTA_THREAD_DIMENSION2],
    program: [v4::PROGRAM_ADDRESS_LOWER, v4::PROGRAM_ADDRESS_UPPER],
    prefetch: [v4::PROGRAM_PREFETCH_ADDR_LOWER_SHIFTED, v4::PROGRAM_PREFETCH_ADDR_UPPER_SHIFTED],
    prefetch_size: v4::PROGRAM_PREFETCH_SIZE,
    registers: v4::REGISTER_COUNT,
    barriers: v4::BARRIER_COUNT,
    shared: v4::SHARED_MEMORY_SIZE,
    shared_config: [
        v4::MIN_SM_CONFIG_SHARED_MEM_SIZE,
        v4::TARGET_SM_CONFIG_SHARED_MEM_SIZE,
        v4::MAX_SM_CONFIG_SHARED_MEM_SIZE,
    ],
    local: v4::SHADER_LOCAL_MEMORY_HIGH_SIZE,
    sass: v4::SASS_VERSION,
    bank: |i| Bank {
        valid: v4::CONSTANT_BUFFER_VALID(i),
        invalidate: v4::CONSTANT_BUFFER_INVALIDATE(i),
        low: v4::CONSTANT_BUFFER_ADDR_LOWER_SHIFTED6(i),
        high: v4::CONSTANT_BUFFER_ADDR_UPPER_SHIFTED6(i),
        size: v4::CONSTANT_BUFFER_SIZE_SHIFTED4(i),
    },
    bank_shift: 6,
    cluster: Some(Cluster {
        kind: v4::QMD_TYPE,
        size: [v4::GPC_CGA_WIDTH, v4::GPC_CGA_HEIGHT, v4::GPC_CGA_DEPTH],
    }),
    membar: v4::CWD_MEMBAR_TYPE,
    // The next launch must find the stores in L2, no more, and may be got ready meanwhile; the
    // membar of the chain's last one shows the stores of all to the system. With no membar at all
    // stores are overtaken where traffic is heavy: docs/launch-ordering.md.
    chained: &[
        (v4::CWD_MEMBAR_TYPE, v4::CWD_MEMBAR_TYPE_L1_MEMBAR),
        (v4::CWD_MEMBAR_TASK_CHASING_ENABLE, v4::CWD_MEMBAR_TASK_CHASING_ENABLE_TRUE),
    ],
    invalidate: &[
        v4::INVALIDATE_TEXTURE_HEADER_CACHE,
        v4::INVALIDATE_TEXTURE_SAMPLER_CACHE,
        v4::INVALIDATE_TEXTURE_DATA_CACHE,
        v4::INVALIDATE_SHADER_DATA_CACHE,
    ],
    dependent: Dependent {
        pointer: v4::DEPENDENT_QMD0_POINTER,
        enable: v4::DEPENDENT_QMD_ENABLE(0),
        action: v4::DEPENDENT_QMD_ACTION(0),
        prefetch: v4::DEPENDENT_QMD_PREFETCH(0),
    },
    release: Release {
        frees: true,
        enable: v4::RELEASE_ENABLE(0),
        address: [v4::RELEASE_SEMAPHORE0_ADDR_LOWER, v4::RELEASE_SEMAPHORE0_ADDR_UPPER],
        payload: [v4::RELEASE_SEMAPHORE0_PAYLOAD_LOWER, v4::RELEASE_SEMAPHORE0_PAYLOAD_UPPER],
        payload_64: v4::RELEASE_PAYLOAD64B(0),
        membar: v4::RELEASE_MEMBAR_TYPE(0),
        structure: v4::RELEASE_STRUCTURE_SIZE(0),
    },
    latch: Some(Latch {
        before: &[
            (v4::ARRIVE_AT_LATCH_VALID, 1),
            // The next launch starts when the blocks have ended, or when all have said that it may,
            // rather than when the membar is done too.
            (v4::ENABLE_PROGRAM_PRE_EXIT, v4::ENABLE_PROGRAM_PRE_EXIT_TRUE),
        ],
        arrives_at: v4::ARRIVE_AT_LATCH_ID,
        // When all blocks have begun.
        before_early: (v4::PRE_EXIT_AT_LAST_CTA_LAUNCH, v4::PRE_EXIT_AT_LAST_CTA_LAUNCH_TRUE),
        after: &[
            (v4::WAIT_ON_LATCH_VALID, 1),
            // Other launches may have filled the caches since this one started.
            (v4::LATCH_ACQUIRE_INVALIDATE_SHADER_DATA_CACHE, 1),
            (v4::LATCH_ACQUIRE_INVALIDATE_TEXTURE_DATA_CACHE, 1),
        ],
        waits_on: v4::WAIT_ON_LATCH_ID,
    }),
    fork: Some(Fork {
        told: [
            Dependent {
                pointer: v4::DEPENDENT_QMD0_POINTER,
                enable: v4::DEPENDENT_QMD_ENABLE(0),
                action: v4::DEPENDENT_QMD_ACTION(0),
                prefetch: v4::DEPENDENT_QMD_PREFETCH(0),
            },
            Dependent {
                pointer: v4::DEPENDENT_QMD1_POINTER,
                enable: v4::DEPENDENT_QMD_ENABLE(1),
                action: v4::DEPENDENT_QMD_ACTION(1),
                prefetch: v4::DEPENDENT_QMD_PREFETCH(1),
            },
        ],
        counter: v4::DEPENDENCE_COUNTER,
        own_counter: v4::HW_ONLY_DEPENDENCE_COUNTER,
        relay: (v4::QMD_TYPE, v4::QMD_TYPE_GRID_NULL),
    }),
};

/// What a kernel needs of every launch.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) program: GpuVa,
    pub(crate) code_bytes: u64,
    /// Compute capability of the GPU times ten: code of an older one of its generation runs as its own.
    pub(crate) sm: u32,
    pub(crate) registers: u32,
    pub(crate) barriers: u32,
    pub(crate) local_bytes: u32,
    /// Banks other than 0, which each launch has its own of.
    pub(crate) banks: Vec<(u32, GpuRange)>,
    pub(crate) cluster: Option<[u32; 3]>,
}

/// A descriptor being filled in.
#[derive(Clone)]
pub(crate) struct Descriptor {
    fields: &'static Fields,
    words: [u32; MAX_WORDS],
}

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "descriptor of {} words", self.fields.words)
    }
}

impl Fields {
    /// The table for a compute class.
    pub(crate) fn of_class(class: u32) -> &'static Fields {
        if class >= hw_defs::cbc0::HOPPER_COMPUTE_A { &V04 } else { &V03 }
    }
}

impl Descriptor {
    /// The template of a kernel. Every value in it was checked when the kernel was loaded.
    pub(crate) fn new(fields: &'static Fields, shape: &Shape) -> Result<Descriptor, TooLarge> {
        let mut this = Descriptor { fields, words: [0; MAX_WORDS] };
        for (field, value) in fields.constant {
            this.set(*field, *value);
        }
        for field in fields.invalidate {
            this.set(*field, 1);
        }
        // Everything a grid stored is visible to the whole system before anybody hears that it
        // ended. Without this four of five first reads were stale on an Orin.
        this.set(fields.membar, v3::CWD_MEMBAR_TYPE_L1_SYSMEMBAR);
        this.enter(shape.program);
        // Prefetching past the end is harmless, for the module keeps mapped space behind code.
        let prefetch = (shape.code_bytes >> 8).min(u64::from(fields.prefetch_size.max()));
        this.split(fields.prefetch, shape.program.get() >> 8);
        this.set(fields.prefetch_size, prefetch as u32);
        this.try_set(fields.registers, u64::from(shape.registers))?;
        this.try_set(fields.barriers, u64::from(shape.barriers))?;
        this.try_set(fields.local, u64::from(shape.local_bytes))?;
        // Two decimal digits as two hexadecimal ones.
        this.set(fields.sass, ((shape.sm / 10) << 4) | (shape.sm % 10));
        for (index, range) in &shape.banks {
            this.bank(*index, *range)?;
        }
        if let (Some(cluster), Some(size)) = (&fields.cluster, shape.cluster) {
            this.set(cluster.kind, v4::QMD_TYPE_GRID_GPC_CGA);
            for (field, value) in cluster.size.iter().zip(size) {
                this.try_set(*field, u64::from(value))?;
            }
        }
        Ok(this)
    }

    pub(crate) fn words(&self) -> &[u32] {
        &self.words[..self.fields.words]
    }

    pub(crate) fn fields(&self) -> &'static Fields {
        self.fields
    }

    /// Grid, block and shared memory of one launch.
    pub(crate) fn geometry(
        &mut self,
        grid: [u32; 3],
        block: [u32; 3],
        shared: Shared,
    ) -> Result<(), TooLarge> {
        let fields = self.fields;
        for (field, value) in fields.grid.iter().zip(grid).chain(fields.block.iter().zip(block)) {
            self.try_set(*field, u64::from(value))?;
        }
        self.try_set(fields.shared, u64::from(shared.bytes))?;
        for (field, kib) in fields.shared_config.iter().zip(shared.config_kib) {
            // In units of 4 KiB, plus one: 0 would mean nothing and hangs the channel.
            self.try_set(*field, u64::from(kib / 4 + 1))?;
        }
        Ok(())
    }

    /// The words that [`Descriptor::geometry`] writes to, each once.
    pub(crate) fn geometry_words(&self) -> Vec<usize> {
        let fields = self.fields;
        let all = fields.grid.iter().chain(&fields.block).chain(&fields.shared_config);
        let mut words: Vec<_> = all.chain([&fields.shared]).map(|field| field.word()).collect();
        words.sort_unstable();
        words.dedup();
        words
    }

    /// Where a constant bank lies.
    pub(crate) fn bank(&mut self, index: u32, range: GpuRange) -> Result<(), TooLarge> {
        let bank = (self.fields.bank)(index);
        self.split([bank.low, bank.high], range.start().get() >> self.fields.bank_shift);
        self.try_set(bank.size, range.len().div_ceil(16))?;
        self.set(bank.valid, 1);
        // Banks are written by the CPU, or by the GPU's engines, between launches.
        self.set(bank.invalidate, 1);
        Ok(())
    }

    /// Has the launch release a timeline when it has ended: payload and timestamp.
    pub(crate) fn release(&mut self, address: u64, payload: u64) {
        let release = &self.fields.release;
        self.split(release.address, address);
        self.split(release.payload, payload);
        self.set(release.payload_64, v3::RELEASE0_PAYLOAD64B_TRUE);
        self.set(release.structure, v3::RELEASE0_STRUCTURE_SIZE_SEMAPHORE_FOUR_WORDS);
        // The grid's own membar has made its stores visible by then.
        self.set(release.membar, v3::RELEASE0_MEMBAR_TYPE_FE_NONE);
        self.set(release.enable, v3::RELEASE0_ENABLE_TRUE);
    }

    /// Has the launch, whose descriptor lies at `own`, start another one when it has ended, or as
    /// soon as that can wait for the end: in its first instruction, or where it chooses to if it is
    /// `early`.
    pub(crate) fn start_next(&mut self, own: GpuVa, next: GpuVa, early: bool) {
        if !self.is_set(self.fields.release.enable) {
            for (field, value) in self.fields.chained {
                self.set(*field, *value);
            }
        }
        let dependent = &self.fields.dependent;
        self.set(dependent.pointer, (next.get() >> 8) as u32);
        self.set(dependent.action, v3::DEPENDENT_QMD0_ACTION_QMD_SCHEDULE);
        self.set(dependent.prefetch, v3::DEPENDENT_QMD0_PREFETCH_TRUE);
        self.set(dependent.enable, v3::DEPENDENT_QMD0_ENABLE_TRUE);
        let Some(latch) = &self.fields.latch else { return };
        self.set(latch.arrives_at, latch_of(own));
        let early = early.then_some(latch.before_early);
        for (field, value) in latch.before.iter().copied().chain(early) {
            self.set(field, value);
        }
    }

    /// Has the code's own wait end when the launch has ended whose descriptor lies at `before`.
    pub(crate) fn wait_for(&mut self, before: GpuVa) {
        let Some(latch) = &self.fields.latch else { return };
        self.set(latch.waits_on, latch_of(before));
        for (field, value) in latch.after {
            self.set(*field, *value);
        }
    }

    /// Has the launch wait until `launches` others have told it that they have ended.
    pub(crate) fn count(&mut self, launches: u32) {
        let Some(fork) = &self.fields.fork else { unreachable!("only steps wait for several") };
        self.set(fork.counter, launches);
        self.set(fork.own_counter, launches);
    }

    /// Has the launch tell others when it has ended, membar included. One that waits for no other
    /// starts at once, one that counts counts.
    pub(crate) fn tell(&mut self, told: impl Iterator<Item = (GpuVa, bool)>) {
        let Some(fork) = &self.fields.fork else { unreachable!("only steps tell several") };
        for (field, value) in self.fields.chained {
            self.set(*field, *value);
        }
        for (fields, (next, counts)) in fork.told.iter().zip(told) {
            let action = match counts {
                true => v3::DEPENDENT_QMD0_ACTION_QMD_DECREMENT_DEPENDENCE,
                false => v3::DEPENDENT_QMD0_ACTION_QMD_SCHEDULE,
            };
            self.set(fields.pointer, (next.get() >> 8) as u32);
            self.set(fields.action, action);
            self.set(fields.prefetch, v3::DEPENDENT_QMD0_PREFETCH_TRUE);
            self.set(fields.enable, v3::DEPENDENT_QMD0_ENABLE_TRUE);
        }
    }

    /// Makes it one that runs nothing.
    pub(crate) fn relay(&mut self) {
        let Some((field, kind)) = self.fields.fork.as_ref().map(|fork| fork.relay) else {
            unreachable!("only forks have relays")
        };
        self.set(field, kind);
    }

    /// Where the code begins.
    pub(crate) fn enter(&mut self, program: GpuVa) {
        self.split(self.fields.program, program.get());
    }

    pub(crate) fn set(&mut self, field: QmdField, value: u32) {
        let bits = field.in_word();
        let word = &mut self.words[field.word()];
        *word = *word & !bits.mask() | bits.set(value);
    }

    fn is_set(&self, field: QmdField) -> bool {
        self.words[field.word()] & field.in_word().mask() != 0
    }

    fn try_set(&mut self, field: QmdField, value: u64) -> Result<(), TooLarge> {
        if value > u64::from(field.max()) {
            return Err(TooLarge { field, value });
        }
        self.set(field, value as u32);
        Ok(())
    }

    /// A number over two fields, the low one of 32 bits.
    pub(crate) fn split(&mut self, [low, high]: [QmdField; 2], value: u64) {
        self.set(low, value as u32);
        self.set(high, (value >> 32) as u32);
    }
}

/// The latch of a launch, by where its descriptor lies: no other launch that runs meanwhile has the
/// same. With a number used twice they would wait for each other for ever.
fn latch_of(descriptor: GpuVa) -> u32 {
    (descriptor.get() >> 8) as u32
}

/// Shared memory of one launch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shared {
    /// What a block has, the part that the system reserves included.
    pub(crate) bytes: u32,
    /// How a multiprocessor divides its memory: at least, best, at most.
    pub(crate) config_kib: [u32; 3],
}

/// What multiprocessors of one compute capability can set aside as shared memory, in KiB.
fn carve_outs(sm: u32) -> &'static [u32] {
    match sm {
        90 => &[8, 16, 32, 64, 100, 132, 164, 196, 228],
        80 | 87 => &[8, 16, 32, 64, 100, 132, 164],
        _ => &[8, 16, 32, 64, 100],
    }
}

/// The system's own part of a block's shared memory.
pub(crate) const RESERVED_SHARED: u32 = 1024;

/// The most shared memory that a block can have, the reserved part left out.
pub(crate) fn max_shared(sm: u32) -> u32 {
    carve_outs(sm)[carve_outs(sm).len() - 1] * 1024 - RESERVED_SHARED
}

impl Shared {
    /// For a block of `bytes`, the reserved part included, or `None` if no carve-out holds it.
    ///
    /// The carve-out is the smallest that holds the block and `wanted` bytes: the rest is L1.
    /// Nobody else counts how many blocks it holds: on an H200 the carve-out that seats every
    /// block for which there are threads and registers made a decoder's kernels slower by up to
    /// 7 %, mostly because they then differ in it.
    pub(crate) fn for_block(sm: u32, bytes: u32, wanted: u32) -> Option<Shared> {
        let bytes = bytes.next_multiple_of(128);
        let sizes = carve_outs(sm);
        let most = sizes[sizes.len() - 1];
        let at_least = |bytes: u32| sizes.iter().copied().find(|kib| *kib * 1024 >= bytes);
        let least = at_least(bytes)?;
        let best = at_least(wanted).unwrap_or(most).max(least);
        Some(Shared { bytes, config_kib: [least, best, most] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carve_out_holds_the_block_and_what_is_wanted() {
        let kib = |sm, bytes, wanted| Shared::for_block(sm, bytes, wanted).map(|s| s.config_kib);
        assert_eq!(kib(87, 1024, 0), Some([8, 8, 164]));
        assert_eq!(kib(87, 20 << 10, 0), Some([32, 32, 164]));
        assert_eq!(kib(87, 20 << 10, 101 << 10), Some([32, 132, 164]));
        assert_eq!(kib(87, 110 << 10, 8 << 10), Some([132, 132, 164]), "the block comes first");
        assert_eq!(kib(87, 1024, u32::MAX), Some([8, 164, 164]), "more than there is means all");
        assert_eq!(kib(90, 228 << 10, 0), Some([228, 228, 228]));
        assert_eq!(kib(87, 165 << 10, 0), None);
    }
}
