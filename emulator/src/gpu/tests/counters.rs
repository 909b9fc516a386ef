//! Launches that wait for several others, and what runs nothing and tells others.

use std::collections::BTreeSet;

use hw_defs::qmd::QmdField;
use hw_defs::qmd::v04_00::*;

use super::stage::*;
use super::*;

use c7c0::*;

const DECREMENT: u32 = DEPENDENT_QMD_ACTION_QMD_DECREMENT_DEPENDENCE;
const SCHEDULE: u32 = DEPENDENT_QMD_ACTION_QMD_SCHEDULE;
const WORD_90: &[u8] = include_bytes!("../../../../ptx/sm_90/word.cubin");

/// Launches that log their numbers.
fn loggers<const N: usize>(seed: Option<u64>) -> (Stage, [u64; N]) {
    let mut stage = Stage::of(&V4, &[0]);
    if let Some(seed) = seed {
        stage.bench.gpu.shake(seed);
    }
    let entry = stage.load(WORD_90, "log_order");
    let qmds = std::array::from_fn(|tag| stage.logger(entry, tag as u32));
    (stage, qmds)
}

/// Has a launch wait until so many others have told it.
fn count(stage: &mut Stage, qmd: u64, launches: u32) {
    stage.patch(qmd, DEPENDENCE_COUNTER, launches);
    stage.patch(qmd, HW_ONLY_DEPENDENCE_COUNTER, launches);
}

/// Has a launch tell a second one.
fn tell_too(stage: &mut Stage, qmd: u64, next: u64, action: u32) {
    for (field, value) in [
        (DEPENDENT_QMD1_POINTER, (next >> 8) as u32),
        (DEPENDENT_QMD_ACTION(1), action),
        (DEPENDENT_QMD_PREFETCH(1), 1),
        (DEPENDENT_QMD_ENABLE(1), 1),
    ] {
        stage.patch(qmd, field, value);
    }
}

fn field(stage: &Stage, qmd: u64, field: QmdField) -> u32 {
    field.in_word().get(stage.bench.word(qmd - DATA_VA + field.word() as u64 * 4))
}

#[test]
fn a_counter_waits_for_all_predecessors() {
    let mut orders = BTreeSet::new();
    for seed in 0..60 {
        let (mut stage, [left, right, join]) = loggers(Some(seed));
        stage.follow(left, join, DECREMENT);
        stage.follow(right, join, DECREMENT);
        count(&mut stage, join, 2);
        let mut parts = vec![pcas(left), pcas(right)];
        if seed % 2 == 0 {
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
fn it_counts_in_a_copy_and_memory_keeps_the_number() {
    let (mut stage, [first, left, right, join]) = loggers(None);
    stage.follow(first, left, SCHEDULE);
    tell_too(&mut stage, first, right, SCHEDULE);
    stage.follow(left, join, DECREMENT);
    stage.follow(right, join, DECREMENT);
    count(&mut stage, join, 2);
    for replay in 1..=5 {
        stage.bench.execute(&[pcas(first), wfi()]);
        assert_eq!(stage.log().len(), replay * 4);
        assert_eq!(stage.log()[replay * 4 - 1], 3);
        for counter in [DEPENDENCE_COUNTER, HW_ONLY_DEPENDENCE_COUNTER] {
            assert_eq!(field(&stage, join, counter), 2);
        }
    }
}

#[test]
fn a_counter_that_does_not_come_down_holds_its_launch() {
    let (mut stage, [first, join]) = loggers(None);
    stage.follow(first, join, DECREMENT);
    count(&mut stage, join, 2);
    stage.bench.submit(&[pcas(join), pcas(first), wfi(), release(DATA_VA, 1)]);
    assert_eq!(stage.bench.settle(), Progress::Blocked);
    assert_eq!((stage.log(), stage.bench.word(0)), (vec![0], 0));
}

#[test]
fn the_other_counter_alone_underflows() {
    for counter in [0, 1, 2] {
        let (mut stage, [first, join]) = loggers(None);
        stage.follow(first, join, DECREMENT);
        stage.patch(join, DEPENDENCE_COUNTER, counter);
        let (code, report) = stage.bench.fault(&[pcas(first)]);
        assert_eq!((code, stage.log()), (13, vec![0]));
        let exception = "SKEDCHECK36_DEPENDENCE_COUNTER_UNDERFLOW";
        says(&report, &[&format!("the QMD at {join:#x}"), exception]);
    }
}

/// What the GPU says about launches that do all the same what they are meant to.
fn notice(stage: &mut Stage, parts: &[Vec<u32>], log: &[u32]) -> String {
    stage.bench.submit(parts);
    assert_eq!(stage.bench.settle(), Progress::Idle);
    assert_eq!(stage.log(), log);
    match &stage.bench.gpu.take_events()[..] {
        [Event::Notice { text, .. }] => text.clone(),
        other => panic!("one notice was expected: {other:?}"),
    }
}

#[test]
fn what_nobody_has_tried_is_told() {
    let (mut stage, [first, join]) = loggers(None);
    stage.follow(first, join, DECREMENT);
    stage.patch(join, HW_ONLY_DEPENDENCE_COUNTER, 1);
    let text = notice(&mut stage, &[pcas(first)], &[0, 1]);
    says(&text, &["HW_ONLY_DEPENDENCE_COUNTER 0x1 beside DEPENDENCE_COUNTER 0x0"]);

    let (mut stage, [first, join]) = loggers(None);
    stage.follow(first, join, DECREMENT);
    count(&mut stage, join, 1);
    let copy = SEND_SIGNALING_PCAS2_B_PCAS_ACTION_INVALIDATE_COPY_SCHEDULE;
    let text = notice(&mut stage, &[pcas_with(join, copy), pcas(first)], &[0, 1]);
    says(&text, &["to copy a descriptor whose DEPENDENCE_COUNTER is 0x1"]);

    // On an Orin nobody has tried anything of it.
    use hw_defs::qmd::v03_00 as v3;
    let mut stage = Stage::ready(&[0]);
    let entry = stage.load(WORD, "log_order");
    let [first, join] = [0, 1].map(|tag| stage.logger(entry, tag));
    stage.follow(first, join, v3::DEPENDENT_QMD0_ACTION_QMD_DECREMENT_DEPENDENCE);
    stage.patch(join, v3::DEPENDENCE_COUNTER, 1);
    stage.patch(join, v3::HW_ONLY_DEPENDENCE_COUNTER, 1);
    let text = notice(&mut stage, &[pcas(first)], &[0, 1]);
    says(&text, &["nobody has tried to count dependences on this GPU"]);
}

#[test]
fn the_host_counts_a_counter_down() {
    let (mut stage, [first, second]) = loggers(None);
    stage.follow(first, second, DECREMENT);
    count(&mut stage, second, 2);
    let decrement = pcas_with(second, SEND_SIGNALING_PCAS2_B_PCAS_ACTION_DECREMENT_DEPENDENCE);
    stage.bench.execute(&[pcas(first)]);
    assert_eq!(stage.log(), [0]);
    stage.bench.execute(&[decrement]);
    assert_eq!(stage.log(), [0, 1]);
}

#[test]
fn the_host_counts_a_counter_up() {
    let (mut stage, [first, second]) = loggers(None);
    stage.follow(first, second, DECREMENT);
    let increment = pcas_with(second, SEND_SIGNALING_PCAS2_B_PCAS_ACTION_INCREMENT_DEPENDENCE);
    stage.patch(second, REQUIRE_SCHEDULING_PCAS, 1);
    stage.bench.execute(&[increment, pcas(second)]);
    assert_eq!(stage.log(), []);
    stage.bench.execute(&[pcas(first)]);
    assert_eq!(stage.log(), [0, 1]);
}

#[test]
fn an_invalidate_forgets_a_counter() {
    let (mut stage, [first, second]) = loggers(None);
    stage.follow(first, second, DECREMENT);
    count(&mut stage, second, 2);
    let forget = pcas_with(second, SEND_SIGNALING_PCAS2_B_PCAS_ACTION_INVALIDATE);
    stage.bench.execute(&[pcas(first), wfi(), forget, pcas(first)]);
    assert_eq!(stage.log(), [0, 0], "one of two, twice");
}

/// Three launches that wait for one: a relay tells two of them.
fn fan(seed: Option<u64>) -> (Stage, [u64; 5]) {
    let (mut stage, [first, relay, a, b, c]) = loggers(seed);
    stage.patch(relay, QMD_TYPE, QMD_TYPE_GRID_NULL);
    stage.follow(first, relay, SCHEDULE);
    tell_too(&mut stage, first, a, SCHEDULE);
    stage.follow(relay, b, SCHEDULE);
    tell_too(&mut stage, relay, c, SCHEDULE);
    (stage, [first, relay, a, b, c])
}

#[test]
fn what_runs_nothing_tells_others() {
    let mut orders = BTreeSet::new();
    for seed in [None].into_iter().chain((0..40).map(Some)) {
        let (mut stage, [first, ..]) = fan(seed);
        stage.bench.execute(&[pcas(first)]);
        let log = stage.log();
        assert_eq!((log.len(), log[0]), (4, 0));
        assert!(!log.contains(&1), "the relay ran: {log:?}");
        orders.insert(log);
    }
    assert!(orders.len() > 2, "{orders:?}");
}

#[test]
fn nothing_else_of_what_runs_nothing_was_tried() {
    for field in [RELEASE_ENABLE(0), ARRIVE_AT_LATCH_VALID, WAIT_ON_LATCH_VALID] {
        let (mut stage, [first, relay, ..]) = fan(None);
        stage.patch(relay, RELEASE_STRUCTURE_SIZE(0), RELEASE_STRUCTURE_SIZE_SEMAPHORE_ONE_WORD);
        stage.patch(relay, field, 1);
        let (code, report) = stage.bench.fault(&[pcas(first)]);
        assert_eq!(code, 13);
        says(&report, &[&format!("the QMD at {relay:#x}"), "what runs nothing"]);
    }
}
