//! Launches of the other generation: descriptors of version 4.0 and machine code of sm_90.

use hw_defs::qmd::QmdField;
use hw_defs::qmd::v04_00::*;

use super::stage::*;
use super::*;

const WORD_90: &[u8] = include_bytes!("../../../../ptx/sm_90/word.cubin");
const REDUCE_90: &[u8] = include_bytes!("../../../../ptx/sm_90/reduce.cubin");

#[test]
fn a_kernel_of_sm_90_runs() {
    for seed in [None, Some(1)] {
        let mut stage = Stage::of(&V4, &[0]);
        if let Some(seed) = seed {
            stage.bench.gpu.shake(seed);
        }
        let entry = stage.load(WORD_90, "count_threads");
        let qmd = stage.qmd(entry, &at(0));
        for (field, value) in [
            (GRID_WIDTH, 3),
            (GRID_HEIGHT, 5),
            (GRID_DEPTH, 2),
            (CTA_THREAD_DIMENSION0, 33),
            (CTA_THREAD_DIMENSION2, 3),
        ] {
            stage.patch(qmd, field, value);
        }
        stage.release(qmd, 0x20, 7);
        stage.bench.execute(&[pcas(qmd)]);
        assert_eq!(stage.bench.data.load_u64(0), 3 * 5 * 2 * 33 * 3);
        assert_eq!(stage.bench.word(0x20), 7);
    }
}

#[test]
fn shared_memory_of_sm_90_begins_behind_the_reserved_part() {
    let mut stage = Stage::of(&V4, &[0]);
    let entry = stage.load(REDUCE_90, "sum_shared");
    let (n, [sums, sums_hi], [from, from_hi]) = (1000, at(0), at(0x1000));
    for i in 0..n {
        stage.bench.data.store_u32(0x1000 + i * 4, (i as f32).to_bits());
    }
    let qmd = stage.qmd(entry, &[sums, sums_hi, from, from_hi, n as u32]);
    stage.geometry(qmd, 4, 256);
    stage.patch(qmd, SHARED_MEMORY_SIZE, 1024 + 1024);
    stage.bench.execute(&[pcas(qmd)]);
    let sum: f32 = (0..4).map(|i| f32::from_bits(stage.bench.word(i * 4))).sum();
    assert_eq!(sum, 499_500.0);
}

#[test]
fn releases_of_version_4_lie_apart_from_their_addresses() {
    let mut stage = Stage::of(&V4, &[0]);
    let entry = stage.load(WORD_90, "increment");
    let qmd = stage.qmd(entry, &at(0));
    stage.bench.data.store_u64(0x20, 7);
    stage.release(qmd, 0x10, 0x89ab_cdef);
    for (field, value) in [
        (RELEASE_SEMAPHORE0_PAYLOAD_UPPER, 0x123),
        (RELEASE_PAYLOAD64B(0), 1),
        (RELEASE_ENABLE(1), 1),
        (RELEASE_SEMAPHORE1_ADDR_LOWER, (DATA_VA + 0x20) as u32),
        (RELEASE_SEMAPHORE1_ADDR_UPPER, (DATA_VA >> 32) as u32),
        (RELEASE_SEMAPHORE1_PAYLOAD_LOWER, 5),
        (RELEASE_STRUCTURE_SIZE(1), RELEASE_STRUCTURE_SIZE_SEMAPHORE_TWO_WORDS),
        (RELEASE_PAYLOAD64B(1), 1),
        (RELEASE_REDUCTION_ENABLE(1), 1),
        (RELEASE_REDUCTION_OP(1), RELEASE_REDUCTION_OP_RED_MAX),
        (RELEASE_ENABLE(2), 1),
        (RELEASE_SEMAPHORE2_ADDR_LOWER, (DATA_VA + 0x30) as u32),
        (RELEASE_SEMAPHORE2_ADDR_UPPER, (DATA_VA >> 32) as u32),
        (RELEASE_SEMAPHORE2_PAYLOAD_LOWER, 9),
        (RELEASE_STRUCTURE_SIZE(2), RELEASE_STRUCTURE_SIZE_SEMAPHORE_ONE_WORD),
    ] {
        stage.patch(qmd, field, value);
    }
    stage.bench.execute(&[pcas(qmd)]);
    assert_eq!(stage.bench.data.load_u64(0x10), 0x123_89ab_cdef);
    assert_eq!(stage.bench.data.load_u64(0x20), 7);
    assert_eq!(stage.bench.data.load_u64(0x30), 9);
}

#[test]
fn clusters_run_together() {
    const CLUSTER: &[u8] = include_bytes!("../../../../ptx/sm_90/cluster.cubin");
    for seed in [None, Some(1), Some(2)] {
        let mut stage = Stage::of(&V4, &[0]);
        if let Some(seed) = seed {
            stage.bench.gpu.shake(seed);
        }
        let entry = stage.load(CLUSTER, "cluster_of_2_by_2");
        let qmd = stage.qmd(entry, &at(0));
        stage.geometry(qmd, 4, 32);
        stage.clusters(qmd, [2, 2, 1]);
        for (field, clusters) in [(GRID_WIDTH, 2), (GRID_HEIGHT, 3)] {
            stage.patch(qmd, field, clusters);
        }
        stage.bench.execute(&[pcas(qmd)]);
        let ranks: Vec<u32> = (0..24).map(|i| stage.bench.word(i * 4)).collect();
        assert_eq!(ranks, [[0, 1, 0, 1, 2, 3, 2, 3]; 3].concat());
    }
    let mut stage = Stage::of(&V4, &[0]);
    let entry = stage.load(CLUSTER, "cluster_of_4");
    let qmd = stage.qmd(entry, &at(0));
    stage.clusters(qmd, [8, 3, 1]);
    let (_, report) = stage.bench.fault(&[pcas(qmd)]);
    says(&report, &["make a cluster of 24 blocks, and 16 is the most"]);
}

#[test]
fn a_descriptor_of_version_4_out_of_order_is_a_fault_that_names_the_field() {
    let cases: &[(QmdField, u32, &str)] = &[
        (QMD_MAJOR_VERSION, 3, "QMD_MAJOR_VERSION is 0x3: this GPU reads version 4.0"),
        (SASS_VERSION, 0x87, "SASS_VERSION is 0x87: this GPU runs sm_90"),
        (QMD_TYPE, QMD_TYPE_QUEUE, "QMD_TYPE is 0x0"),
        (GPU_CGA_WIDTH, 1, "GPU_CGA_WIDTH is 0x1: not modelled"),
        (QMD_TYPE, QMD_TYPE_GRID_GPU_CGA, "QMD_TYPE is 0x4"),
        (
            QMD_TYPE,
            QMD_TYPE_GRID_GPC_CGA,
            "GPC_CGA_WIDTH is 0x0: blocks of a cluster must be 1 to 16",
        ),
        (TPC_DISABLE_MASK_VALID, 1, "TPC_DISABLE_MASK_VALID is 0x1: not modelled"),
        (MAX_SM_CONFIG_SHARED_MEM_SIZE, 59, "232 KiB is none of the carve-outs"),
        (CWD_MEMBAR_TYPE, 2, "CWD_MEMBAR_TYPE"),
        (CONSTANT_BUFFER_VALID(5), 1, "CONSTANT_BUFFER_SIZE_SHIFTED4(5)"),
        (GRID_HEIGHT, 0, "GRID_HEIGHT"),
        (REGISTER_COUNT, 0, "REGISTER_COUNT"),
        (RELEASE_RESERVED_INFO(1), 1, "reserved bits"),
    ];
    for (field, value, part) in cases {
        let mut stage = Stage::of(&V4, &[0]);
        let entry = stage.load(WORD_90, "increment");
        let qmd = stage.qmd(entry, &at(0));
        stage.patch(qmd, *field, *value);
        let (code, report) = stage.bench.fault(&[pcas(qmd)]);
        assert_eq!(code, 13, "{report}");
        says(&report, &[part, &format!("the QMD at {qmd:#x}: ")]);
        assert_eq!(stage.bench.word(0), 0);
    }
    // And what is not for this generation at all.
    let mut stage = Stage::ready(&[0]);
    let entry = stage.load(WORD, "increment");
    stage.generation = &V4;
    let qmd = stage.qmd(entry, &at(0));
    let (_, report) = stage.bench.fault(&[pcas(qmd)]);
    says(&report, &["this GPU reads version 3.0"]);
}

#[test]
fn a_launch_may_start_two_others() {
    for seed in 0..20 {
        let mut stage = Stage::of(&V4, &[0]);
        stage.bench.gpu.shake(seed);
        let entry = stage.load(WORD_90, "log_order");
        // One, then two side by side, then one that waits for both.
        let [first, left, right, last] = [0, 1, 2, 3].map(|tag| stage.logger(entry, tag));
        stage.follow(first, left, DEPENDENT_QMD_ACTION_QMD_SCHEDULE);
        for (field, value) in [
            (DEPENDENT_QMD1_POINTER, (right >> 8) as u32),
            (DEPENDENT_QMD_ACTION(1), DEPENDENT_QMD_ACTION_QMD_INVALIDATE_COPY_SCHEDULE),
            (DEPENDENT_QMD_ENABLE(1), 1),
        ] {
            stage.patch(first, field, value);
        }
        stage.patch(last, DEPENDENCE_COUNTER, 2);
        stage.patch(last, HW_ONLY_DEPENDENCE_COUNTER, 2);
        for side in [left, right] {
            stage.follow(side, last, DEPENDENT_QMD_ACTION_QMD_DECREMENT_DEPENDENCE);
            stage.patch(side, DEPENDENT_QMD_PREFETCH(0), 0);
        }
        stage.bench.execute(&[pcas(first)]);
        let log = stage.log();
        assert_eq!((log[0], log[1] + log[2], log[3]), (0, 3, 3), "{log:?}");
    }
}

#[test]
fn an_early_launch_overlaps_the_one_before() {
    // The second frees the first, which waits for it: only possible when both run.
    let run = |early: u32| {
        let mut stage = Stage::of(&V4, &[0]);
        let time = include_bytes!("../../../../ptx/sm_90/time.cubin");
        let [lo, hi] = at(0);
        let (spin, write) = (stage.load(time, "spin_on_word"), stage.load(WORD_90, "write_word"));
        let (first, second) = (stage.qmd(spin, &[lo, hi, 5]), stage.qmd(write, &[lo, hi, 5]));
        stage.follow(first, second, DEPENDENT_QMD_ACTION_QMD_SCHEDULE);
        stage.patch(first, PRE_EXIT_AT_LAST_CTA_LAUNCH, early);
        stage.bench.submit(&[pcas(first)]);
        for _ in 0..100 {
            stage.bench.gpu.step(1000);
        }
        stage.bench.word(0)
    };
    assert_eq!([run(0), run(1)], [0, 5]);
}

#[test]
fn one_latch_for_all_launches_is_a_fault() {
    let mut stage = Stage::of(&V4, &[0]);
    let entry = stage.load(WORD_90, "increment");
    let qmd = stage.qmd(entry, &at(0));
    for (field, value) in [
        (ARRIVE_AT_LATCH_VALID, 1),
        (ARRIVE_AT_LATCH_ID, 7),
        (WAIT_ON_LATCH_VALID, 1),
        (WAIT_ON_LATCH_ID, 7),
    ] {
        stage.patch(qmd, field, value);
    }
    let (code, report) = stage.bench.fault(&[pcas(qmd)]);
    assert_eq!(code, 13);
    says(&report, &[&format!("the QMD at {qmd:#x}"), "waits at latch 0x7"]);
}

#[test]
fn a_kernel_waits_where_it_says_until_the_latch_is_open() {
    let early = include_bytes!("../../../../ptx/sm_90/early.cubin");
    let time = include_bytes!("../../../../ptx/sm_90/time.cubin");
    let run = |arrives: u32, waits: u32, latch: u32| {
        let mut stage = Stage::of(&V4, &[0]);
        let [lo, hi] = at(0);
        // The first spins until the CPU lets it go; the second starts meanwhile and adds to a word.
        let spin = stage.load(time, "spin_on_word");
        let first = stage.qmd(spin, &[lo, hi, 5]);
        let add = stage.load(early, "increment_waiting");
        let second = stage.qmd(add, &at(0x10));
        stage.follow(first, second, DEPENDENT_QMD_ACTION_QMD_SCHEDULE);
        for (qmd, field, value) in [
            (first, PRE_EXIT_AT_LAST_CTA_LAUNCH, 1),
            (first, ARRIVE_AT_LATCH_VALID, arrives),
            (first, ARRIVE_AT_LATCH_ID, 7),
            (second, WAIT_ON_LATCH_VALID, waits),
            (second, WAIT_ON_LATCH_ID, latch),
        ] {
            stage.patch(qmd, field, value);
        }
        stage.bench.submit(&[pcas(first)]);
        for _ in 0..100 {
            assert_eq!(stage.bench.gpu.step(100), Progress::Worked);
        }
        let before = stage.bench.word(0x10);
        stage.bench.data.store_u32(0, 5);
        assert_eq!(stage.bench.settle(), Progress::Idle);
        assert_eq!(stage.bench.word(0x10), 1);
        before
    };
    assert_eq!(run(1, 1, 7), 0, "it waits");
    // Nobody keeps that latch closed, or it waits on none.
    assert_eq!(run(1, 1, 8), 1);
    assert_eq!(run(0, 1, 7), 1);
    assert_eq!(run(1, 0, 7), 1);
}
