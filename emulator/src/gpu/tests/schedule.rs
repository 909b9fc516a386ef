//! Channels side by side.

use proptest::prelude::*;

use super::copy::{NON_PIPELINED, ONE_WORD, PIPELINED, PITCH, launch, line, semaphore_at};
use super::*;

#[test]
fn a_waiting_channel_lets_the_others_go_on() {
    let mut bench = Bench::with(&[0, 0, 1]);
    // Each waits for the next one; the last one starts it all.
    bench.submit_on(0, &[acquire(DATA_VA, 1), release(DATA_VA + 4, 1)]);
    bench.submit_on(1, &[acquire(DATA_VA + 8, 1), release(DATA_VA, 1)]);
    assert_eq!(bench.settle(), Progress::Blocked);
    bench.submit_on(2, &[release(DATA_VA + 8, 1)]);
    assert_eq!(bench.settle(), Progress::Idle);
    assert_eq!(bench.word(4), 1);
}

#[test]
fn one_step_goes_as_far_as_its_budget() {
    let mut bench = Bench::new();
    bench.submit(&[release(DATA_VA, 1), release(DATA_VA + 4, 1)]);
    // The ring entry, the header and five methods.
    assert_eq!(bench.gpu.step(6), Progress::Worked);
    assert_eq!([bench.word(0), bench.word(4)], [0, 0]);
    assert_eq!(bench.gpu.step(1), Progress::Worked);
    assert_eq!([bench.word(0), bench.word(4)], [1, 0]);
    assert_eq!(bench.gpu.step(BUDGET), Progress::Worked);
    assert_eq!(bench.gpu.step(BUDGET), Progress::Idle);
    assert_eq!([bench.word(0), bench.word(4)], [1, 1]);
}

#[test]
fn small_budgets_do_not_starve_anybody() {
    let mut bench = Bench::with(&[0, 1]);
    let long: Vec<_> = (0..50).map(|i| release(DATA_VA + 0x100, i)).collect();
    bench.submit_on(0, &long);
    bench.submit_on(1, &[release(DATA_VA, 1)]);
    for _ in 0..8 {
        bench.gpu.step(2);
    }
    assert_eq!(bench.word(0), 1);
    assert!(bench.word(0x100) < 49);
}

#[test]
fn yield_lets_the_next_channel_go_first() {
    let mut bench = Bench::with(&[0, 0]);
    let yielding = send(0, c76f::YIELD, &[c76f::YIELD_OP_TSG]);
    bench.submit_on(0, &[yielding, release(DATA_VA, 1)]);
    bench.submit_on(1, &[release(DATA_VA, 2)]);
    assert_eq!(bench.settle(), Progress::Idle);
    assert_eq!(bench.word(0), 1);
}

/// Three channels that write what they see into a log: the order of their turns.
fn interleaving(seed: u64) -> Vec<u32> {
    let mut bench = Bench::with(&[0, 1, 2]);
    bench.gpu.shake(seed);
    let inc = c76f::SEM_EXECUTE_OPERATION_REDUCTION
        | c76f::SEM_EXECUTE_REDUCTION.set(c76f::SEM_EXECUTE_REDUCTION_IADD);
    let mut trace = Vec::new();
    for lane in 0..3 {
        let parts: Vec<_> = (0..10).map(|_| semaphore(DATA_VA + lane as u64 * 4, 1, inc)).collect();
        bench.submit_on(lane, &parts);
    }
    while bench.gpu.step(1) == Progress::Worked {
        trace.extend([0, 4, 8].map(|at| bench.word(at)));
    }
    assert_eq!([0, 4, 8].map(|at| bench.word(at)), [10; 3]);
    assert_eq!(bench.gpu.take_events(), []);
    trace
}

#[test]
fn a_seed_decides_the_order() {
    assert_eq!(interleaving(1), interleaving(1));
    let different = (0..20).map(interleaving).collect::<std::collections::BTreeSet<_>>();
    assert!(different.len() > 10);
}

proptest! {
    /// Whatever the order, a chain of releases and acquires across channels arrives.
    #[test]
    fn every_order_respects_semaphores(
        seed: u64,
        lanes in prop::collection::vec(0..4_usize, 1..25),
        budget in 1..50_u32,
    ) {
        let mut bench = Bench::with(&[0, 0, 1, 2]);
        bench.gpu.shake(seed);
        let mut parts = vec![Vec::new(); 4];
        for (i, lane) in lanes.iter().enumerate() {
            // Each link waits for the one before it, then counts on.
            parts[*lane].push(acquire(DATA_VA, i as u32));
            parts[*lane].push(release(DATA_VA, i as u32 + 1));
        }
        for (lane, parts) in parts.iter().enumerate().filter(|(_, parts)| !parts.is_empty()) {
            bench.submit_on(lane, parts);
        }
        let mut steps = 0;
        while bench.gpu.step(budget) != Progress::Idle {
            steps += 1;
            prop_assert!(steps < 100_000, "no progress");
        }
        prop_assert_eq!(bench.gpu.take_events(), []);
        prop_assert_eq!(bench.word(0), lanes.len() as u32);
    }
}

/// Runs `parts` in the order that `seed` decides and reports whether, when the word at 0x100 first
/// was 1, the word at 0x80 had been copied.
fn copied_when_released(seed: u64, parts: &[Vec<u32>]) -> bool {
    let mut bench = Bench::new();
    bench.gpu.shake(seed);
    bench.data.store_u32(0, 0x1234);
    bench.submit(parts);
    while bench.word(0x100) != 1 {
        assert_eq!(bench.gpu.step(1), Progress::Worked);
    }
    let copied = bench.word(0x80) == 0x1234;
    assert_eq!(bench.settle(), Progress::Idle);
    assert_eq!(bench.word(0x80), 0x1234, "in the end it always is");
    assert_eq!(bench.gpu.take_events(), []);
    copied
}

#[test]
fn a_release_that_does_not_wait_may_come_before_the_copy() {
    let release_with = |flags| {
        let parts = [
            copy_class(),
            line(DATA_VA, DATA_VA + 0x80, 4),
            launch(PITCH | NON_PIPELINED),
            semaphore(DATA_VA + 0x100, 1, c76f::SEM_EXECUTE_OPERATION_RELEASE | flags),
        ];
        (0..100).filter(|seed| copied_when_released(*seed, &parts)).count()
    };
    assert!((1..90).contains(&release_with(0)));
    assert_eq!(release_with(c76f::SEM_EXECUTE_RELEASE_WFI.mask()), 100);
}

#[test]
fn everything_that_waits_for_idle_does() {
    let release = || release(DATA_VA + 0x100, 1);
    for (i, wait) in [
        send(0, c76f::WFI, &[c76f::WFI_SCOPE_ALL]),
        send(0, c76f::SET_REFERENCE, &[1]),
        // The engine releases in order, and the host engine waits for that.
        [semaphore_at(DATA_VA + 0x40, 7), launch(ONE_WORD), acquire(DATA_VA + 0x40, 7)].concat(),
    ]
    .into_iter()
    .enumerate()
    {
        for seed in 0..100 {
            let parts = [
                copy_class(),
                line(DATA_VA, DATA_VA + 0x80, 4),
                launch(PITCH | NON_PIPELINED),
                wait.clone(),
                release(),
            ];
            assert!(copied_when_released(seed, &parts), "wait {i}, seed {seed}");
        }
    }
}

#[test]
fn pipelined_copies_do_not_wait_for_each_other() {
    let right = |kind| {
        let chain = |seed| {
            let mut bench = Bench::new();
            bench.gpu.shake(seed);
            bench.data.store_u32(0, 0x1234);
            let mut parts = vec![copy_class()];
            for i in 0..3 {
                parts.push(line(DATA_VA + i * 4, DATA_VA + i * 4 + 4, 4));
                parts.push(launch(PITCH | kind));
            }
            bench.execute(&parts);
            bench.word(12) == 0x1234
        };
        (0..100).filter(|seed| chain(*seed)).count()
    };
    assert!((1..90).contains(&right(PIPELINED)));
    assert_eq!(right(NON_PIPELINED), 100);
}

#[test]
fn a_fault_of_an_engine_that_runs_behind_kills_all_the_same() {
    for seed in 0..20 {
        let mut bench = Bench::new();
        bench.gpu.shake(seed);
        let (code, report) = bench.fault(&[
            copy_class(),
            line(0x1000, DATA_VA, 4),
            launch(PITCH | NON_PIPELINED),
            release(DATA_VA, 1),
        ]);
        assert_eq!(code, 31);
        says(&report, &["the copy engine read 0x1000"]);
    }
}
