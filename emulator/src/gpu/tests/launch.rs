//! Kernels: descriptors, chains, releases, order.

use std::collections::BTreeSet;

use hw_defs::qmd::v03_00::*;

use super::stage::*;
use super::*;

use c7c0::*;

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
fn a_descriptor_changed_behind_its_own_release_is_reported() {
    let changes = |between: &[Vec<u32>], action| {
        let mut stage = Stage::ready(&[0]);
        let entry = stage.load(WORD, "increment");
        let qmd = stage.qmd(entry, &at(0));
        stage.release(qmd, 0x10, 1);
        stage.bench.execute(&[pcas(qmd)]);
        stage.bench.execute(&[pcas_with(qmd, action)]);
        assert_eq!(stage.bench.gpu.take_events(), [], "nothing changed");
        stage.release(qmd, 0x10, 2);
        stage.bench.submit(&[between.concat(), pcas_with(qmd, action)]);
        assert_eq!(stage.bench.settle(), Progress::Idle);
        assert_eq!(stage.bench.word(0), 3);
        stage.bench.gpu.take_events()
    };
    match &changes(&[], 9)[..] {
        [Event::Notice { text, .. }] => says(text, &["changed from 0x1 to 0x2", "waited"]),
        other => panic!("{other:?}"),
    }
    assert_eq!(changes(&[wfi()], 9), []);
    // Told to, the GPU forgets what it has.
    assert_eq!(changes(&[], 0xa), []);
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
        stage.bench.execute(&[wfi(), pcas(qmd)]);
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
