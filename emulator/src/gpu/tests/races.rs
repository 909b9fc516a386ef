//! The detector of races, and seeds that make races show.

use std::collections::BTreeSet;

use super::stage::*;
use super::*;

fn stage() -> Stage {
    let mut stage = Stage::ready(&[0]);
    stage.bench.gpu.detect_races();
    stage
}

/// What is told when these commands run.
fn told(stage: &mut Stage, parts: &[Vec<u32>]) -> Vec<String> {
    stage.bench.submit(parts);
    assert_eq!(stage.bench.settle(), Progress::Idle);
    let notices = stage.bench.gpu.take_events().into_iter().map(|event| match event {
        Event::Notice { text, .. } => text,
        other => panic!("{other:?}"),
    });
    notices.collect()
}

/// A sum over one block of 256 threads, with barriers between its steps or without.
fn tree(stage: &mut Stage, barriers: u32) -> (u64, u64) {
    let entry = stage.load(MEMORY, "sum_tree");
    for i in 0..256 {
        stage.bench.data.store_u32(0x1000 + i * 4, 1);
    }
    let ([sum, hi], [from, _]) = (at(0), at(0x1000));
    let qmd = stage.qmd(entry, &[sum, hi, from, hi, barriers]);
    stage.geometry(qmd, 1, 256);
    stage.patch(qmd, hw_defs::qmd::v03_00::SHARED_MEMORY_SIZE, 2048);
    (entry, qmd)
}

#[test]
fn a_reduction_without_barriers_is_a_race() {
    let mut stage = stage();
    let (entry, qmd) = tree(&mut stage, 0);
    let told = told(&mut stage, &[pcas(qmd)]);
    assert!(!told.is_empty());
    for report in &told {
        says(report, &["a race on shared memory at 0x", "block (0, 0, 0)", "nothing orders"]);
        says(report, &[&format!("of the kernel at {entry:#x}"), "at pc 0x40", "thread ("]);
    }
    let pairs: BTreeSet<_> = told.iter().collect();
    assert_eq!(pairs.len(), told.len(), "each pair of instructions once");
}

#[test]
fn a_reduction_with_barriers_is_none() {
    for seed in [None, Some(3), Some(4)] {
        let mut stage = stage();
        if let Some(seed) = seed {
            stage.bench.gpu.shake(seed);
        }
        let (_, qmd) = tree(&mut stage, 1);
        assert_eq!(told(&mut stage, &[pcas(qmd), wfi(), pcas(qmd)]), [""; 0]);
        assert_eq!(stage.bench.word(0), 256);
    }
}

#[test]
fn named_barriers_order_who_comes_and_who_waits() {
    let mut stage = stage();
    let entry = stage.load(MEMORY, "hand_over");
    let qmd = stage.qmd(entry, &at(0));
    stage.geometry(qmd, 1, 64);
    stage.patch(qmd, hw_defs::qmd::v03_00::SHARED_MEMORY_SIZE, 2048);
    stage.patch(qmd, hw_defs::qmd::v03_00::BARRIER_COUNT, 2);
    assert_eq!(told(&mut stage, &[pcas(qmd)]), [""; 0]);
    assert_eq!(stage.bench.word(31 * 4), 93);
}

#[test]
fn atomics_are_no_races_and_sums_without_them_are() {
    for (atomic, races) in [(1, 0), (0, 1)] {
        let mut stage = stage();
        let entry = stage.load(MEMORY, "count");
        let [lo, hi] = at(0);
        let qmd = stage.qmd(entry, &[lo, hi, atomic]);
        stage.geometry(qmd, 4, 1);
        let told = told(&mut stage, &[pcas(qmd)]);
        assert_eq!(told.len().min(1), races, "{told:?}");
        for report in told {
            says(&report, &["a race on global memory at 0x2000000000", "block (0, 0, 0)"]);
        }
    }
}

#[test]
fn the_last_block_races_without_a_fence() {
    for (fence, races) in [(1, false), (0, true)] {
        let mut stage = stage();
        let entry = stage.load(MEMORY, "sum_blocks");
        let ([sum, hi], [parts, _], [done, _]) = (at(0), at(0x1000), at(0x40));
        let qmd = stage.qmd(entry, &[sum, hi, parts, hi, done, hi, fence]);
        stage.geometry(qmd, 8, 1);
        let told = told(&mut stage, &[pcas(qmd)]);
        assert_eq!(!told.is_empty(), races, "{told:?}");
    }
}

#[test]
fn launches_race_unless_something_orders_them() {
    let between: [(Vec<u32>, bool); 2] = [(vec![], true), (wfi(), false)];
    for (wait, races) in between {
        let races_with = |seed| {
            let mut stage = stage();
            stage.bench.gpu.shake(seed);
            let entry = stage.load(WORD, "increment");
            let [a, b] = [0, 1].map(|_| stage.qmd(entry, &at(0)));
            !told(&mut stage, &[pcas(a), wait.clone(), pcas(b)]).is_empty()
        };
        // Only who runs at the same time is told from who does not.
        assert_eq!((0..20).any(races_with), races);
    }
    // A chain is an order.
    let mut stage = stage();
    let entry = stage.load(WORD, "increment");
    let [a, b] = [0, 1].map(|_| stage.qmd(entry, &at(0)));
    stage.follow(a, b, 1);
    assert_eq!(told(&mut stage, &[pcas(a)]), [""; 0]);
}

#[test]
fn caches_and_the_detector_go_together() {
    let mut stage = stage();
    stage.bench.gpu.model_caches();
    let (_, qmd) = tree(&mut stage, 1);
    assert_eq!(told(&mut stage, &[pcas(qmd)]), [""; 0]);
    assert_eq!(stage.bench.word(0), 256);
}

#[test]
fn seeds_find_a_race_that_luck_hides() {
    let sum = |seed: Option<u64>, barriers| {
        let mut stage = Stage::ready(&[0]);
        if let Some(seed) = seed {
            stage.bench.gpu.shake(seed);
        }
        let (_, qmd) = tree(&mut stage, barriers);
        stage.bench.execute(&[pcas(qmd)]);
        stage.bench.word(0)
    };
    let sums = |barriers| (0..30).map(|seed| sum(Some(seed), barriers)).collect::<BTreeSet<_>>();
    assert_eq!(sums(1), BTreeSet::from([256]));
    let racy = sums(0);
    assert!(racy.len() > 1, "{racy:?}");
    // The same seed makes the same mistake.
    let wrong = (0..30).find(|seed| sum(Some(*seed), 0) != 256);
    assert!(wrong.is_some_and(|seed| sum(Some(seed), 0) == sum(Some(seed), 0)));
}

#[test]
fn seeds_start_and_run_blocks_in_different_orders() {
    let order = |seed| {
        let mut stage = Stage::ready(&[0]);
        stage.bench.gpu.shake(seed);
        let entry = stage.load(WORD, "log_order");
        let qmds = [0, 1, 2].map(|tag| stage.logger(entry, tag));
        for qmd in qmds {
            stage.geometry(qmd, 3, 1);
        }
        stage.bench.execute(&qmds.map(pcas));
        stage.log()
    };
    let orders: BTreeSet<_> = (0..20).map(order).collect();
    assert!(orders.len() > 5);
    assert!(orders.iter().all(|order| order.len() == 9));
    assert_eq!(order(7), order(7));
}
