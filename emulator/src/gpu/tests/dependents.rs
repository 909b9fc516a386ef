//! What launches do to each other's descriptors.

use hw_defs::qmd::v03_00::*;

use super::stage::*;
use super::*;

use c7c0::*;

const SCHEDULE: u32 = DEPENDENT_QMD0_ACTION_QMD_SCHEDULE;
const COPY: u32 = DEPENDENT_QMD0_ACTION_QMD_INVALIDATE_COPY_SCHEDULE;

/// Two loggers, the first of which does something to the second.
fn pair(action: u32) -> (Stage, [u64; 2]) {
    let mut stage = Stage::ready(&[0]);
    let entry = stage.load(WORD, "log_order");
    let [first, second] = [0, 1].map(|tag| stage.logger(entry, tag));
    stage.follow(first, second, action);
    (stage, [first, second])
}

/// Another tag for a launch whose descriptor somebody has fetched ahead.
fn change(stage: &mut Stage, qmd: u64) {
    stage.patch(qmd, CTA_RASTER_WIDTH, 2);
}

#[test]
fn a_descriptor_that_changes_after_its_prefetch_is_a_fault() {
    // The host has it fetched, and the CPU changes it before the launch.
    let (mut stage, [_, second]) = pair(SCHEDULE);
    let prefetch = pcas_with(second, SEND_SIGNALING_PCAS2_B_PCAS_ACTION_PREFETCH);
    stage.bench.execute(std::slice::from_ref(&prefetch));
    assert_eq!(stage.log(), []);
    stage.bench.execute(&[pcas(second), wfi(), prefetch]);
    change(&mut stage, second);
    let (code, report) = stage.bench.fault(&[pcas(second)]);
    assert_eq!(code, 13);
    says(&report, &[&format!("the QMD at {second:#x}: word 12 changed from 0x1 to 0x2")]);
}

/// A first launch that stores into the descriptor of the second: 2 is its new width.
fn rewriting(action: u32, prefetch: u32) -> (Stage, u64) {
    let mut stage = Stage::ready(&[0]);
    let (write, log) = (stage.load(WORD, "write_word"), stage.load(WORD, "log_order"));
    let second = stage.logger(log, 1);
    let width = second + CTA_RASTER_WIDTH.word() as u64 * 4;
    let first = stage.qmd(write, &[width as u32, (width >> 32) as u32, 2]);
    stage.follow(first, second, action);
    stage.patch(first, DEPENDENT_QMD0_PREFETCH, prefetch);
    (stage, first)
}

#[test]
fn a_launch_may_rewrite_the_next_one_where_nobody_has_fetched_it() {
    for (action, prefetch) in [(SCHEDULE, 0), (COPY, 0), (COPY, 1)] {
        let (mut stage, first) = rewriting(action, prefetch);
        stage.bench.execute(&[pcas(first)]);
        assert_eq!(stage.log(), [1, 1], "action {action}, prefetch {prefetch}");
    }
    let (mut stage, first) = rewriting(SCHEDULE, 1);
    let (code, report) = stage.bench.fault(&[pcas(first)]);
    assert_eq!(code, 13);
    says(&report, &["word 12 changed from 0x1 to 0x2 between its prefetch and its start"]);
}
