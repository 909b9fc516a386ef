//! A GPU with kernels on it: code, descriptors and banks where it can fetch them.

use goblin::elf::Elf;
use hw_defs::qmd::QmdField;
use hw_defs::qmd::{v03_00 as v3, v04_00 as v4};

use super::*;

use c7c0::*;

pub(super) const CODE_VA: u64 = 0x40_0000_0000;
const LOCAL_VA: u64 = 0x50_0000_0000;
pub(super) const LOCAL_PER_TPC: u32 = 0x40_0000;
/// Offsets in the data memory; what kernels and releases write is below.
const QMDS: u64 = 0x8000;
const QMD_STRIDE: u64 = 512;
const BANKS: u64 = 0x4_0000;
pub(super) const BANK_BYTES: u64 = 1024;

pub(super) const WORD: &[u8] = include_bytes!("../../../../ptx/sm_87/word.cubin");
pub(super) const FAULTS: &[u8] = include_bytes!("../../../../ptx/sm_87/faults.cubin");
pub(super) const VECTOR: &[u8] = include_bytes!("../../../../ptx/sm_87/vector.cubin");
pub(super) const TIME: &[u8] = include_bytes!("../../../../ptx/sm_87/time.cubin");

/// What the launches of one generation of GPUs look like.
pub(super) struct Generation {
    class: u32,
    /// Where arguments begin in bank 0.
    parameters: u64,
    /// What every launch of one thread has.
    plain: &'static [(QmdField, u32)],
    entry: [QmdField; 2],
    bank: [QmdField; 2],
    bank_shift: u32,
    follow: [QmdField; 4],
    release: [QmdField; 4],
}

/// Orin.
pub(super) static V3: Generation = Generation {
    class: AMPERE_COMPUTE_B,
    parameters: 0x160,
    plain: &[
        (v3::QMD_MAJOR_VERSION, 3),
        (v3::QMD_GROUP_ID, 0x3f),
        (v3::SM_GLOBAL_CACHING_ENABLE, 1),
        (v3::SAMPLER_INDEX, 1),
        (v3::CWD_MEMBAR_TYPE, v3::CWD_MEMBAR_TYPE_L1_SYSMEMBAR),
        (v3::INVALIDATE_SHADER_DATA_CACHE, 1),
        (v3::CTA_RASTER_WIDTH, 1),
        (v3::CTA_RASTER_HEIGHT, 1),
        (v3::CTA_RASTER_DEPTH, 1),
        (v3::CTA_THREAD_DIMENSION0, 1),
        (v3::CTA_THREAD_DIMENSION1, 1),
        (v3::CTA_THREAD_DIMENSION2, 1),
        (v3::SHARED_MEMORY_SIZE, 1024),
        (v3::MIN_SM_CONFIG_SHARED_MEM_SIZE, 3),
        (v3::TARGET_SM_CONFIG_SHARED_MEM_SIZE, 3),
        (v3::MAX_SM_CONFIG_SHARED_MEM_SIZE, 42),
        (v3::REGISTER_COUNT_V, 40),
        (v3::BARRIER_COUNT, 1),
        (v3::SASS_VERSION, 0x87),
        (v3::CONSTANT_BUFFER_VALID(0), 1),
        (v3::CONSTANT_BUFFER_INVALIDATE(0), 1),
        (v3::CONSTANT_BUFFER_SIZE_SHIFTED4(0), BANK_BYTES as u32 / 16),
    ],
    entry: [v3::PROGRAM_ADDRESS_LOWER, v3::PROGRAM_ADDRESS_UPPER],
    bank: [v3::CONSTANT_BUFFER_ADDR_LOWER(0), v3::CONSTANT_BUFFER_ADDR_UPPER(0)],
    bank_shift: 0,
    follow: [
        v3::DEPENDENT_QMD0_POINTER,
        v3::DEPENDENT_QMD0_ACTION,
        v3::DEPENDENT_QMD0_PREFETCH,
        v3::DEPENDENT_QMD0_ENABLE,
    ],
    release: [
        v3::RELEASE0_ADDRESS_LOWER,
        v3::RELEASE0_ADDRESS_UPPER,
        v3::RELEASE0_PAYLOAD_LOWER,
        v3::RELEASE0_ENABLE,
    ],
};

/// H100 and H200.
pub(super) static V4: Generation = Generation {
    class: hw_defs::cbc0::HOPPER_COMPUTE_A,
    parameters: 0x210,
    plain: &[
        (v4::QMD_MAJOR_VERSION, 4),
        (v4::QMD_TYPE, v4::QMD_TYPE_GRID_CTA),
        (v4::QMD_GROUP_ID, 0x3f),
        (v4::SAMPLER_INDEX, 1),
        (v4::CWD_MEMBAR_TYPE, v4::CWD_MEMBAR_TYPE_L1_SYSMEMBAR),
        (v4::INVALIDATE_SHADER_DATA_CACHE, 1),
        (v4::GRID_WIDTH, 1),
        (v4::GRID_HEIGHT, 1),
        (v4::GRID_DEPTH, 1),
        (v4::CTA_THREAD_DIMENSION0, 1),
        (v4::CTA_THREAD_DIMENSION1, 1),
        (v4::CTA_THREAD_DIMENSION2, 1),
        (v4::SHARED_MEMORY_SIZE, 1024),
        (v4::MIN_SM_CONFIG_SHARED_MEM_SIZE, 3),
        (v4::TARGET_SM_CONFIG_SHARED_MEM_SIZE, 3),
        (v4::MAX_SM_CONFIG_SHARED_MEM_SIZE, 58),
        (v4::REGISTER_COUNT, 40),
        (v4::BARRIER_COUNT, 1),
        (v4::SASS_VERSION, 0x90),
        (v4::CONSTANT_BUFFER_VALID(0), 1),
        (v4::CONSTANT_BUFFER_INVALIDATE(0), 1),
        (v4::CONSTANT_BUFFER_SIZE_SHIFTED4(0), BANK_BYTES as u32 / 16),
    ],
    entry: [v4::PROGRAM_ADDRESS_LOWER, v4::PROGRAM_ADDRESS_UPPER],
    bank: [v4::CONSTANT_BUFFER_ADDR_LOWER_SHIFTED6(0), v4::CONSTANT_BUFFER_ADDR_UPPER_SHIFTED6(0)],
    bank_shift: 6,
    follow: [
        v4::DEPENDENT_QMD0_POINTER,
        v4::DEPENDENT_QMD_ACTION(0),
        v4::DEPENDENT_QMD_PREFETCH(0),
        v4::DEPENDENT_QMD_ENABLE(0),
    ],
    release: [
        v4::RELEASE_SEMAPHORE0_ADDR_LOWER,
        v4::RELEASE_SEMAPHORE0_ADDR_UPPER,
        v4::RELEASE_SEMAPHORE0_PAYLOAD_LOWER,
        v4::RELEASE_ENABLE(0),
    ],
};

/// Kernels of these tests alone.
pub(super) const MEMORY: &[u8] = include_bytes!("kernels/memory.sm_87.cubin");

/// A bench with memory for code, and descriptors handed out one after the other.
pub(super) struct Stage {
    pub(super) generation: &'static Generation,
    pub(super) bench: Bench,
    pub(super) code: Arc<Memory>,
    codes: u64,
    qmds: u64,
}

/// The machine code of a kernel.
pub(super) fn text(cubin: &[u8], kernel: &str) -> Vec<u8> {
    let elf = Elf::parse(cubin).unwrap();
    let wanted = format!(".text.{kernel}");
    let mut sections = elf.section_headers.iter();
    let section = sections.find(|s| elf.shdr_strtab.get_at(s.sh_name) == Some(&wanted)).unwrap();
    cubin[section.sh_offset as usize..][..section.sh_size as usize].to_vec()
}

pub(super) fn windows() -> Vec<u32> {
    let [hi, lo] = halves(0x729_4000_0000);
    [
        send(1, SET_SHADER_SHARED_MEMORY_WINDOW_A, &[hi, lo]),
        send(1, SET_SHADER_LOCAL_MEMORY_WINDOW_A, &[hi + 1, lo]),
    ]
    .concat()
}

pub(super) fn local_memory(per_tpc: u32) -> Vec<u32> {
    let [hi, lo] = halves(LOCAL_VA);
    [
        send(1, SET_SHADER_LOCAL_MEMORY_A, &[hi, lo]),
        send(1, SET_SHADER_LOCAL_MEMORY_NON_THROTTLED_A, &[0, per_tpc, 0xff]),
    ]
    .concat()
}

pub(super) fn pcas_with(qmd: u64, action: u32) -> Vec<u32> {
    [send(1, SEND_PCAS_A, &[(qmd >> 8) as u32]), send(1, SEND_SIGNALING_PCAS2_B, &[action])]
        .concat()
}

pub(super) fn pcas(qmd: u64) -> Vec<u32> {
    pcas_with(qmd, SEND_SIGNALING_PCAS2_B_PCAS_ACTION_PREFETCH_SCHEDULE)
}

pub(super) fn wfi() -> Vec<u32> {
    send(0, c76f::WFI, &[c76f::WFI_SCOPE_ALL])
}

/// An address as two words of arguments.
pub(super) fn at(offset: u64) -> [u32; 2] {
    [(DATA_VA + offset) as u32, ((DATA_VA + offset) >> 32) as u32]
}

impl Stage {
    pub(super) fn new() -> Stage {
        Stage::with(&[0])
    }

    fn with(tsgs: &[u32]) -> Stage {
        let mut bench = Bench::with(tsgs);
        let code = Memory::new("code", 0x10_0000).unwrap();
        let local = Memory::new("local", LOCAL_PER_TPC.into()).unwrap();
        bench.gpu.map(bench.space, CODE_VA, code.clone(), 0, code.size(), Access::ReadOnly);
        bench.gpu.map(bench.space, LOCAL_VA, local.clone(), 0, local.size(), Access::ReadWrite);
        Stage { generation: &V3, bench, code, codes: 0, qmds: 0 }
    }

    /// A stage whose channels have their class and windows.
    pub(super) fn ready(tsgs: &[u32]) -> Stage {
        Stage::of(&V3, tsgs)
    }

    /// As [`Stage::ready`], of another generation.
    pub(super) fn of(generation: &'static Generation, tsgs: &[u32]) -> Stage {
        let mut stage = Stage { generation, ..Stage::with(tsgs) };
        if generation.class != AMPERE_COMPUTE_B {
            // Room for an instruction in front of the first kernel.
            stage.codes = 4096;
        }
        for lane in 0..tsgs.len() {
            stage.bench.gpu.allow_class(stage.bench.lanes[lane].id, generation.class);
            let class = send(1, c76f::SET_OBJECT, &[generation.class]);
            stage.bench.submit_on(lane, &[class, windows()]);
        }
        assert_eq!(stage.bench.settle(), Progress::Idle);
        stage
    }

    /// Puts a kernel where the GPU can fetch it, with room behind it.
    pub(super) fn load(&mut self, cubin: &[u8], kernel: &str) -> u64 {
        let (bytes, offset) = (text(cubin, kernel), self.codes);
        self.code.write(offset, &bytes);
        self.codes = (offset + bytes.len() as u64 + 4096).next_multiple_of(4096);
        CODE_VA + offset
    }

    /// Has a launch begin with the instruction in front of its kernel, which waits for the launch before.
    pub(super) fn enter_waiting(&mut self, qmd: u64) {
        let field = self.generation.entry[0];
        let offset = qmd - DATA_VA + field.word() as u64 * 4;
        let entry = CODE_VA + u64::from(self.bench.data.load_u32(offset) - CODE_VA as u32);
        const ACQBULK: u128 = 0x000f_d800_0000_0000_0000_0000_0000_782e;
        self.code.write(entry - CODE_VA - 16, &ACQBULK.to_le_bytes());
        self.patch(qmd, field, entry as u32 - 16);
    }

    /// A descriptor of one thread of the kernel at `entry`, and its bank 0.
    pub(super) fn qmd(&mut self, entry: u64, arguments: &[u32]) -> u64 {
        let n = self.qmds;
        self.qmds += 1;
        let (va, bank) = (DATA_VA + QMDS + n * QMD_STRIDE, BANKS + n * BANK_BYTES);
        let generation = self.generation;
        for (i, word) in (0..).zip(arguments) {
            self.bench.data.store_u32(bank + generation.parameters + i * 4, *word);
        }
        for at in [0, 4, 8, 12, 16, 20] {
            self.bench.data.store_u32(bank + at, 1);
        }
        for (field, value) in generation.plain {
            self.patch(va, *field, *value);
        }
        self.patch_pair(va, generation.entry, entry);
        self.patch_pair(va, generation.bank, (DATA_VA + bank) >> generation.bank_shift);
        va
    }

    /// Changes an argument of a launch.
    pub(super) fn argument(&mut self, qmd: u64, index: u64, value: u32) {
        let n = (qmd - DATA_VA - QMDS) / QMD_STRIDE;
        let at = BANKS + n * BANK_BYTES + self.generation.parameters + index * 4;
        self.bench.data.store_u32(at, value);
    }

    /// Grid and block, in the descriptor and in bank 0.
    pub(super) fn geometry(&mut self, qmd: u64, grid: u32, block: u32) {
        let (v3, v4) = (
            [v3::CTA_RASTER_WIDTH, v3::CTA_THREAD_DIMENSION0],
            [v4::GRID_WIDTH, v4::CTA_THREAD_DIMENSION0],
        );
        let [width, threads] = if self.generation.bank_shift == 0 { v3 } else { v4 };
        self.patch(qmd, width, grid);
        self.patch(qmd, threads, block);
        let n = (qmd - DATA_VA - QMDS) / QMD_STRIDE;
        self.bench.data.store_u32(BANKS + n * BANK_BYTES, block);
        self.bench.data.store_u32(BANKS + n * BANK_BYTES + 12, grid);
    }

    /// Has the grid of a descriptor count clusters of so many blocks.
    pub(super) fn clusters(&mut self, qmd: u64, blocks: [u32; 3]) {
        self.patch(qmd, v4::QMD_TYPE, v4::QMD_TYPE_GRID_GPC_CGA);
        let fields = [v4::GPC_CGA_WIDTH, v4::GPC_CGA_HEIGHT, v4::GPC_CGA_DEPTH];
        for (field, count) in fields.into_iter().zip(blocks) {
            self.patch(qmd, field, count);
        }
    }

    /// A number over two fields, the low one of 32 bits.
    pub(super) fn patch_pair(&mut self, qmd: u64, [low, high]: [QmdField; 2], value: u64) {
        self.patch(qmd, low, value as u32);
        self.patch(qmd, high, (value >> 32) as u32);
    }

    pub(super) fn patch(&mut self, qmd: u64, field: QmdField, value: u32) {
        let (offset, bits) = (qmd - DATA_VA + field.word() as u64 * 4, field.in_word());
        let word = self.bench.data.load_u32(offset);
        self.bench.data.store_u32(offset, word & !bits.mask() | bits.set(value));
    }

    /// Has `qmd` do something to `next` when it has ended.
    pub(super) fn follow(&mut self, qmd: u64, next: u64, action: u32) {
        let [pointer, how, prefetch, enable] = self.generation.follow;
        for (field, value) in
            [(pointer, (next >> 8) as u32), (how, action), (prefetch, 1), (enable, 1)]
        {
            self.patch(qmd, field, value);
        }
    }

    /// Has `qmd` write `payload` and the time when it has ended.
    pub(super) fn release(&mut self, qmd: u64, offset: u64, payload: u32) {
        let [low, high, word, enable] = self.generation.release;
        self.patch_pair(qmd, [low, high], DATA_VA + offset);
        self.patch(qmd, word, payload);
        self.patch(qmd, enable, 1);
    }

    /// A launch that takes the next slot of the list at 0x104, counted at 0x100.
    pub(super) fn logger(&mut self, entry: u64, tag: u32) -> u64 {
        let ([next, next_hi], [tags, tags_hi]) = (at(0x100), at(0x104));
        self.qmd(entry, &[next, next_hi, tags, tags_hi, tag])
    }

    /// The tags in the list.
    pub(super) fn log(&self) -> Vec<u32> {
        (0..self.bench.word(0x100)).map(|i| self.bench.word(0x104 + u64::from(i) * 4)).collect()
    }
}
