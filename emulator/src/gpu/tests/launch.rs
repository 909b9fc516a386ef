//! Kernels: descriptors, chains, releases, order, and what goes wrong.

use std::collections::BTreeSet;

use goblin::elf::Elf;
use hw_defs::qmd::QmdField;
use hw_defs::qmd::v03_00::{self as v3, *};

use super::*;

use c7c0::*;

pub(super) const CODE_VA: u64 = 0x40_0000_0000;
const LOCAL_VA: u64 = 0x50_0000_0000;
pub(super) const LOCAL_PER_TPC: u32 = 0x40_0000;
/// Offsets in the data memory; what kernels and releases write is below.
const QMDS: u64 = 0x8000;
const BANKS: u64 = 0x4_0000;
const PARAMETERS: u64 = 0x160;

pub(super) const WORD: &[u8] = include_bytes!("../../../../ptx/sm_87/word.cubin");
pub(super) const FAULTS: &[u8] = include_bytes!("../../../../ptx/sm_87/faults.cubin");
const TIME: &[u8] = include_bytes!("../../../../ptx/sm_87/time.cubin");

/// A bench with memory for code, and descriptors handed out one after the other.
pub(super) struct Stage {
    pub(super) bench: Bench,
    code: Arc<Memory>,
    codes: u64,
    qmds: u64,
}

/// The machine code of a kernel.
fn text(cubin: &[u8], kernel: &str) -> Vec<u8> {
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
        send(1, SET_SHADER_LOCAL_MEMORY_WINDOW_A, &[hi, lo + 0x100_0000]),
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

fn pcas_with(qmd: u64, action: u32) -> Vec<u32> {
    [send(1, SEND_PCAS_A, &[(qmd >> 8) as u32]), send(1, SEND_SIGNALING_PCAS2_B, &[action])]
        .concat()
}

pub(super) fn pcas(qmd: u64) -> Vec<u32> {
    pcas_with(qmd, SEND_SIGNALING_PCAS2_B_PCAS_ACTION_PREFETCH_SCHEDULE)
}

fn wfi() -> Vec<u32> {
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
        Stage { bench, code, codes: 0, qmds: 0 }
    }

    /// A stage whose channels have their class and windows.
    pub(super) fn ready(tsgs: &[u32]) -> Stage {
        let mut stage = Stage::with(tsgs);
        for lane in 0..tsgs.len() {
            stage.bench.submit_on(lane, &[compute_class(), windows()]);
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

    /// A descriptor of one thread of the kernel at `entry`, and its bank 0.
    pub(super) fn qmd(&mut self, entry: u64, arguments: &[u32]) -> u64 {
        let n = self.qmds;
        self.qmds += 1;
        let (va, bank) = (DATA_VA + QMDS + n * 256, BANKS + n * 512);
        for (i, word) in (0..).zip(arguments) {
            self.bench.data.store_u32(bank + PARAMETERS + i * 4, *word);
        }
        for at in [0, 4, 8, 12, 16, 20] {
            self.bench.data.store_u32(bank + at, 1);
        }
        for (field, value) in [
            (QMD_MAJOR_VERSION, 3),
            (QMD_GROUP_ID, 0x3f),
            (SM_GLOBAL_CACHING_ENABLE, 1),
            (v3::SAMPLER_INDEX, 1),
            (CWD_MEMBAR_TYPE, CWD_MEMBAR_TYPE_L1_SYSMEMBAR),
            (CTA_RASTER_WIDTH, 1),
            (CTA_RASTER_HEIGHT, 1),
            (CTA_RASTER_DEPTH, 1),
            (CTA_THREAD_DIMENSION0, 1),
            (CTA_THREAD_DIMENSION1, 1),
            (CTA_THREAD_DIMENSION2, 1),
            (SHARED_MEMORY_SIZE, 1024),
            (MIN_SM_CONFIG_SHARED_MEM_SIZE, 3),
            (TARGET_SM_CONFIG_SHARED_MEM_SIZE, 3),
            (MAX_SM_CONFIG_SHARED_MEM_SIZE, 42),
            (REGISTER_COUNT_V, 40),
            (BARRIER_COUNT, 1),
            (SASS_VERSION, 0x87),
            (PROGRAM_ADDRESS_LOWER, entry as u32),
            (PROGRAM_ADDRESS_UPPER, (entry >> 32) as u32),
            (CONSTANT_BUFFER_VALID(0), 1),
            (CONSTANT_BUFFER_ADDR_LOWER(0), (DATA_VA + bank) as u32),
            (CONSTANT_BUFFER_ADDR_UPPER(0), ((DATA_VA + bank) >> 32) as u32),
            (CONSTANT_BUFFER_SIZE_SHIFTED4(0), 512 / 16),
        ] {
            self.patch(va, field, value);
        }
        va
    }

    pub(super) fn patch(&mut self, qmd: u64, field: QmdField, value: u32) {
        let (offset, bits) = (qmd - DATA_VA + field.word() as u64 * 4, field.in_word());
        let word = self.bench.data.load_u32(offset);
        self.bench.data.store_u32(offset, word & !bits.mask() | bits.set(value));
    }

    /// Has `qmd` do something to `next` when it has ended.
    fn follow(&mut self, qmd: u64, next: u64, action: u32) {
        self.patch(qmd, DEPENDENT_QMD0_POINTER, (next >> 8) as u32);
        self.patch(qmd, DEPENDENT_QMD0_ACTION, action);
        self.patch(qmd, DEPENDENT_QMD0_PREFETCH, 1);
        self.patch(qmd, DEPENDENT_QMD0_ENABLE, 1);
    }

    /// Has `qmd` write `payload` when it has ended.
    fn release(&mut self, qmd: u64, offset: u64, payload: u32) {
        self.patch(qmd, RELEASE0_ADDRESS_LOWER, (DATA_VA + offset) as u32);
        self.patch(qmd, RELEASE0_ADDRESS_UPPER, ((DATA_VA + offset) >> 32) as u32);
        self.patch(qmd, RELEASE0_PAYLOAD_LOWER, payload);
        self.patch(qmd, RELEASE0_ENABLE, 1);
    }

    /// A launch that takes the next slot of the list at 0x104, counted at 0x100.
    fn logger(&mut self, entry: u64, tag: u32) -> u64 {
        let ([next, next_hi], [tags, tags_hi]) = (at(0x100), at(0x104));
        self.qmd(entry, &[next, next_hi, tags, tags_hi, tag])
    }

    /// The tags in the list.
    fn log(&self) -> Vec<u32> {
        (0..self.bench.word(0x100)).map(|i| self.bench.word(0x104 + u64::from(i) * 4)).collect()
    }
}

#[test]
fn every_action_that_schedules_does() {
    for action in [2, 3, 9, 0xa] {
        let mut stage = Stage::ready(&[0]);
        let entry = stage.load(WORD, "increment");
        let qmd = stage.qmd(entry, &at(0));
        stage.bench.execute(&[pcas_with(qmd, action), wfi(), pcas_with(qmd, action)]);
        assert_eq!(stage.bench.word(0), 2, "action {action}");
    }
    for (bits, times) in [(0, 0), (1, 0), (2, 1), (3, 1)] {
        let mut stage = Stage::ready(&[0]);
        let entry = stage.load(WORD, "increment");
        let qmd = (stage.qmd(entry, &at(0)) >> 8) as u32;
        let older = send(1, SEND_SIGNALING_PCAS_B, &[bits]);
        stage.bench.execute(&[send(1, SEND_PCAS_A, &[qmd]), older]);
        assert_eq!(stage.bench.word(0), times);
    }
}

#[test]
fn all_threads_of_all_blocks_run() {
    for seed in [None, Some(1), Some(2)] {
        let mut stage = Stage::ready(&[0]);
        if let Some(seed) = seed {
            stage.bench.gpu.shake(seed);
        }
        let entry = stage.load(WORD, "count_threads");
        let qmd = stage.qmd(entry, &at(0));
        for (field, value) in [
            (CTA_RASTER_WIDTH, 3),
            (CTA_RASTER_HEIGHT, 5),
            (CTA_RASTER_DEPTH, 2),
            (CTA_THREAD_DIMENSION0, 33),
            (CTA_THREAD_DIMENSION2, 3),
        ] {
            stage.patch(qmd, field, value);
        }
        stage.bench.execute(&[pcas(qmd)]);
        assert_eq!(stage.bench.data.load_u64(0), 3 * 5 * 2 * 33 * 3);
    }
}

#[test]
fn releases_say_that_a_grid_has_ended() {
    let mut stage = Stage::ready(&[0]);
    let entry = stage.load(WORD, "increment");
    let qmd = stage.qmd(entry, &at(0));
    stage.bench.data.store_u64(0x20, 7);
    stage.bench.data.store_u64(0x30, u64::MAX);
    // Four words with 64 bits; two words that count; one word.
    stage.release(qmd, 0x10, 0x89ab_cdef);
    for (field, value) in [
        (RELEASE0_PAYLOAD_UPPER, 0x123),
        (RELEASE0_PAYLOAD64B, 1),
        (RELEASE1_ENABLE, 1),
        (RELEASE1_ADDRESS_LOWER, (DATA_VA + 0x20) as u32),
        (RELEASE1_ADDRESS_UPPER, (DATA_VA >> 32) as u32),
        (RELEASE1_PAYLOAD_LOWER, 5),
        (RELEASE1_STRUCTURE_SIZE, RELEASE1_STRUCTURE_SIZE_SEMAPHORE_TWO_WORDS),
        (RELEASE1_PAYLOAD64B, 1),
        (RELEASE1_REDUCTION_ENABLE, 1),
        (RELEASE1_REDUCTION_OP, RELEASE1_REDUCTION_OP_RED_ADD),
        (RELEASE2_ENABLE, 1),
        (RELEASE2_ADDRESS_LOWER, (DATA_VA + 0x30) as u32),
        (RELEASE2_ADDRESS_UPPER, (DATA_VA >> 32) as u32),
        (RELEASE2_PAYLOAD_LOWER, 9),
        (RELEASE2_STRUCTURE_SIZE, RELEASE2_STRUCTURE_SIZE_SEMAPHORE_ONE_WORD),
    ] {
        stage.patch(qmd, field, value);
    }
    let before = stage.bench.gpu.time_ns();
    stage.bench.execute(&[pcas(qmd)]);
    let data = &stage.bench.data;
    assert_eq!(data.load_u64(0x10), 0x123_89ab_cdef);
    assert!((before..=stage.bench.gpu.time_ns()).contains(&data.load_u64(0x18)));
    assert_eq!(data.load_u64(0x20), 12);
    assert_eq!(data.load_u64(0x28), 0);
    assert_eq!(data.load_u64(0x30), 0xffff_ffff_0000_0009);
}

#[test]
fn a_release_comes_after_all_stores_of_the_grid() {
    for seed in 0..50 {
        let mut stage = Stage::ready(&[0]);
        stage.bench.gpu.shake(seed);
        let entry = stage.load(WORD, "count_threads");
        let qmd = stage.qmd(entry, &at(0));
        stage.patch(qmd, CTA_RASTER_WIDTH, 20);
        stage.release(qmd, 0x10, 1);
        stage.bench.submit(&[pcas(qmd)]);
        while stage.bench.word(0x10) == 0 {
            assert_eq!(stage.bench.gpu.step(1), Progress::Worked);
        }
        assert_eq!(stage.bench.data.load_u64(0), 20);
    }
}

#[test]
fn a_chain_runs_in_order() {
    for action in
        [DEPENDENT_QMD0_ACTION_QMD_SCHEDULE, DEPENDENT_QMD0_ACTION_QMD_INVALIDATE_COPY_SCHEDULE]
    {
        for seed in 0..20 {
            let mut stage = Stage::ready(&[0]);
            stage.bench.gpu.shake(seed);
            let entry = stage.load(WORD, "log_order");
            let qmds: Vec<u64> = (0..10).map(|tag| stage.logger(entry, tag)).collect();
            for pair in qmds.windows(2) {
                stage.follow(pair[0], pair[1], action);
            }
            // The host waits for the end of the chain, not of its first link.
            stage.bench.execute(&[pcas(qmds[0]), wfi(), pcas(qmds[9])]);
            assert_eq!(stage.log(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9]);
        }
    }
}

#[test]
fn a_counter_waits_for_all_predecessors() {
    let decrement = DEPENDENT_QMD0_ACTION_QMD_DECREMENT_DEPENDENCE;
    let mut orders = BTreeSet::new();
    for seed in 0..60 {
        let mut stage = Stage::ready(&[0]);
        stage.bench.gpu.shake(seed);
        let entry = stage.load(WORD, "log_order");
        let [left, right, join] = [0, 1, 2].map(|tag| stage.logger(entry, tag));
        stage.follow(left, join, decrement);
        stage.follow(right, join, decrement);
        stage.patch(join, DEPENDENCE_COUNTER, 2);
        let require = seed % 2 == 0;
        let mut parts = vec![pcas(left), pcas(right)];
        if require {
            stage.patch(join, REQUIRE_SCHEDULING_PCAS, 1);
            parts.push(pcas(join));
        }
        stage.bench.execute(&parts);
        assert_eq!(stage.log()[2..], [2]);
        orders.insert(stage.log());
    }
    assert_eq!(orders.len(), 2, "the two sides are independent");
}

#[test]
fn a_counter_that_does_not_come_down_holds_its_launch() {
    let mut stage = Stage::ready(&[0]);
    let entry = stage.load(WORD, "log_order");
    let [first, join] = [0, 1].map(|tag| stage.logger(entry, tag));
    stage.follow(first, join, DEPENDENT_QMD0_ACTION_QMD_DECREMENT_DEPENDENCE);
    stage.patch(join, DEPENDENCE_COUNTER, 2);
    stage.bench.submit(&[pcas(join), pcas(first), wfi(), release(DATA_VA, 1)]);
    assert_eq!(stage.bench.settle(), Progress::Blocked);
    assert_eq!((stage.log(), stage.bench.word(0)), (vec![0], 0));

    let mut stage = Stage::ready(&[0]);
    let entry = stage.load(WORD, "log_order");
    let [first, join] = [0, 1].map(|tag| stage.logger(entry, tag));
    stage.follow(first, join, DEPENDENT_QMD0_ACTION_QMD_DECREMENT_DEPENDENCE);
    let (code, report) = stage.bench.fault(&[pcas(first)]);
    assert_eq!(code, 13);
    says(&report, &[&format!("QMD at {join:#x}"), "DEPENDENCE_COUNTER", "below zero"]);
}

#[test]
fn independent_launches_run_in_any_order() {
    let orders = |between: Vec<u32>| {
        let order = |seed| {
            let mut stage = Stage::ready(&[0]);
            stage.bench.gpu.shake(seed);
            let entry = stage.load(WORD, "log_order");
            let [a, b] = [0, 1].map(|tag| stage.logger(entry, tag));
            stage.bench.execute(&[pcas(a), between.clone(), pcas(b)]);
            stage.log()
        };
        (0..60).map(order).collect::<BTreeSet<_>>()
    };
    assert_eq!(orders(vec![]).len(), 2);
    assert_eq!(orders(send(1, WAIT_FOR_IDLE, &[0])).len(), 1);
    assert_eq!(orders(wfi()).len(), 1);
}

#[test]
fn what_waits_for_kernels_and_what_does_not() {
    let early = |parts: &[Vec<u32>]| {
        let kernel_was_late = |seed: &u64| {
            let mut stage = Stage::ready(&[0]);
            stage.bench.gpu.shake(*seed);
            let entry = stage.load(WORD, "increment");
            let qmd = stage.qmd(entry, &at(0));
            stage.bench.submit(&[pcas(qmd), parts.concat()]);
            while stage.bench.word(0x10) == 0 {
                assert_eq!(stage.bench.gpu.step(1), Progress::Worked);
            }
            let late = stage.bench.word(0) == 0;
            assert_eq!(stage.bench.settle(), Progress::Idle);
            assert_eq!(stage.bench.word(0), 1);
            late
        };
        (0..60).filter(kernel_was_late).count()
    };
    let va = DATA_VA + 0x10;
    let report = |flags: u32| {
        let [hi, lo] = halves(va);
        let one = REPORT_SEMAPHORE_EXECUTE_STRUCTURE_SIZE
            .set(REPORT_SEMAPHORE_EXECUTE_STRUCTURE_SIZE_SEMAPHORE_ONE_WORD);
        send(1, SET_REPORT_SEMAPHORE_PAYLOAD_LOWER, &[1, 0, lo, hi, one | flags])
    };
    let waiting = c76f::SEM_EXECUTE_OPERATION_RELEASE | c76f::SEM_EXECUTE_RELEASE_WFI.mask();
    assert!(early(&[release(va, 1)]) > 0);
    assert_eq!(early(&[semaphore(va, 1, waiting)]), 0);
    assert_eq!(early(&[wfi(), release(va, 1)]), 0);
    assert_eq!(early(&[send(1, WAIT_FOR_IDLE, &[0]), release(va, 1)]), 0);
    assert_eq!(early(&[report(0)]), 0);
    assert!(early(&[report(REPORT_SEMAPHORE_EXECUTE_FLUSH_DISABLE.mask())]) > 0);
}

#[test]
fn a_kernel_that_spins_keeps_nobody_waiting() {
    let mut stage = Stage::ready(&[0, 1, 0]);
    let (spin, add) = (stage.load(TIME, "spin_on_word"), stage.load(WORD, "increment"));
    let [lo, hi] = at(0);
    let spinner = stage.qmd(spin, &[lo, hi, 5]);
    stage.release(spinner, 0x10, 1);
    stage.bench.submit_on(0, &[pcas(spinner), wfi(), release(DATA_VA + 0x20, 1)]);
    for _ in 0..5 {
        // Each step ends, so that the machine can be had between them.
        assert_eq!(stage.bench.gpu.step(1), Progress::Worked);
    }
    // Another channel runs its kernel to the end meanwhile.
    let other = stage.qmd(add, &at(0x30));
    stage.bench.submit_on(1, &[pcas(other), wfi(), release(DATA_VA + 0x40, 1)]);
    while stage.bench.word(0x40) == 0 {
        assert_eq!(stage.bench.gpu.step(100), Progress::Worked);
    }
    assert_eq!([0x10, 0x20, 0x30].map(|at| stage.bench.word(at)), [0, 0, 1]);
    // What the program's processor writes is seen.
    stage.bench.data.store_u32(0, 5);
    assert_eq!(stage.bench.settle(), Progress::Idle);
    assert_eq!([0x10, 0x20].map(|at| stage.bench.word(at)), [1, 1]);
    // One that nobody frees dies with its TSG.
    let spinner = stage.qmd(spin, &[lo, hi, 6]);
    stage.bench.submit_on(0, &[pcas(spinner)]);
    stage.bench.gpu.step(100);
    stage.bench.submit_on(2, &[send(1, NOTIFY, &[0])]);
    let (code, report) = stage.bench.settled_fault();
    assert_eq!(code, 13);
    says(&report, &["channel 509 of TSG 0"]);
}

#[test]
fn later_commands_free_a_kernel_that_spins() {
    let [lo, hi] = at(0);
    for seed in [None, Some(1), Some(2), Some(3)] {
        for by_host in [true, false] {
            let mut stage = Stage::ready(&[0]);
            if let Some(seed) = seed {
                stage.bench.gpu.shake(seed);
            }
            let (spin, write) = (stage.load(TIME, "spin_on_word"), stage.load(WORD, "write_word"));
            let spinner = stage.qmd(spin, &[lo, hi, 5]);
            let writer = stage.qmd(write, &[lo, hi, 5]);
            let free = if by_host { release(DATA_VA, 5) } else { pcas(writer) };
            stage.bench.execute(&[pcas(spinner), free, wfi(), release(DATA_VA + 0x10, 1)]);
            assert_eq!(stage.bench.word(0x10), 1);
        }
    }
}

#[test]
fn blocks_that_wait_for_each_other_meet() {
    for seed in [None, Some(1)] {
        let mut stage = Stage::ready(&[0]);
        if let Some(seed) = seed {
            stage.bench.gpu.shake(seed);
        }
        let entry = stage.load(TIME, "spin_on_word");
        let [lo, hi] = at(0);
        let (spinner, write) = (stage.qmd(entry, &[lo, hi, 5]), stage.load(WORD, "write_word"));
        stage.patch(spinner, CTA_RASTER_WIDTH, 8);
        let writer = stage.qmd(write, &[lo, hi, 5]);
        stage.bench.execute(&[pcas(spinner), pcas(writer)]);
        assert_eq!(stage.bench.word(0), 5);
    }
}

#[test]
fn code_is_cached_until_invalidated() {
    let methods = [
        vec![send(1, INVALIDATE_SHADER_CACHES_NO_WFI, &[1])],
        vec![send(1, INVALIDATE_SHADER_CACHES, &[1])],
    ];
    for invalidate in methods.into_iter().map(Some).chain([None]) {
        let mut stage = Stage::ready(&[0]);
        let entry = stage.load(WORD, "write_word");
        let [lo, hi] = at(0);
        let qmd = stage.qmd(entry, &[lo, hi, 5]);
        stage.bench.execute(&[pcas(qmd)]);
        assert_eq!(stage.bench.word(0), 5);
        let mut other = text(WORD, "increment");
        other.resize(text(WORD, "write_word").len().max(other.len()), 0);
        stage.code.write(0, &other);
        // Data caches are other caches.
        stage.bench.execute(&[send(1, INVALIDATE_SHADER_CACHES_NO_WFI, &[0x1010]), pcas(qmd)]);
        assert_eq!(stage.bench.word(0), 5, "the old code");
        match invalidate {
            Some(parts) => stage.bench.execute(&parts),
            None => stage.patch(qmd, INVALIDATE_INSTRUCTION_CACHE, 1),
        }
        stage.bench.execute(&[pcas(qmd)]);
        assert_eq!(stage.bench.word(0), 6, "the new code");
    }
}

#[test]
fn kernels_that_lie_together_call_the_same_code() {
    let mut stage = Stage::ready(&[0]);
    let (first, second) = (stage.load(WORD, "write_word"), text(WORD, "increment"));
    let offset = (text(WORD, "write_word").len() as u64).next_multiple_of(128);
    stage.code.write(offset, &second);
    let [lo, hi] = at(0);
    let (write, add) = (stage.qmd(first, &[lo, hi, 5]), stage.qmd(first + offset, &[lo, hi]));
    stage.bench.execute(&[pcas(write), wfi(), pcas(add), wfi(), pcas(add)]);
    assert_eq!(stage.bench.word(0), 7);
}
