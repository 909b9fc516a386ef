//! What a fault leaves behind.

use super::*;

/// A notifier's time, info32, info16 and status.
fn record(bench: &Bench, lane: u64) -> (u64, u32, u32, u32) {
    let at = lane * 16;
    let last = bench.notifiers.load_u32(at + 12);
    (bench.notifiers.load_u64(at), bench.notifiers.load_u32(at + 8), last & 0xffff, last >> 16)
}

const BAD: u64 = 0x1000;

#[test]
fn a_fault_kills_the_whole_tsg_and_nobody_else() {
    let mut bench = Bench::with(&[0, 0, 1]);
    bench.submit_on(1, &[acquire(DATA_VA, 1), release(DATA_VA + 4, 1)]);
    bench.submit_on(2, &[acquire(DATA_VA, 1), release(DATA_VA + 8, 1)]);
    let before = time_of_day();
    bench.submit_on(0, &[release(BAD, 1), release(DATA_VA + 12, 1)]);
    assert_eq!(bench.settle(), Progress::Blocked);
    let events = bench.gpu.take_events();
    let [Event::Fault { tsg: 0, channel: Some(511), cause, report }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(*cause, FaultCause::MmuFault);
    says(
        report,
        &[
            "channel 511 of TSG 0 died: MMU fault: a semaphore release wrote 0x1000",
            "the nearest mapping, 0x1000000000 to 0x10000fffff",
            "ring entry 0",
        ],
    );
    for lane in [0, 1] {
        let (time, info32, info16, status) = record(&bench, lane);
        assert!(before <= time && time <= time_of_day());
        assert_eq!((info32, info16, status), (31, 0, 0xffff));
    }
    assert_eq!(record(&bench, 2), (0, 0, 0, 0));
    assert_eq!([511, 510, 509].map(|id| bench.gpu.serviceable(id)), [false, false, true]);

    // Waiters of the dead TSG stay; what was behind the fault is never executed.
    bench.data.store_u32(0, 1);
    assert_eq!(bench.settle(), Progress::Idle);
    assert_eq!([4, 8, 12].map(|at| bench.word(at)), [0, 1, 0]);
}

#[test]
fn doorbells_of_the_dead_do_nothing() {
    let mut bench = Bench::new();
    assert_eq!(bench.fault(&[release(BAD, 1)]).0, 31);
    let get = bench.lanes[0].userd.load_u32(userd::GP_GET);
    bench.submit(&[release(DATA_VA, 1)]);
    assert_eq!(bench.settle(), Progress::Idle);
    assert_eq!(bench.word(0), 0);
    assert_eq!(bench.lanes[0].userd.load_u32(userd::GP_GET), get);
    assert_eq!(bench.gpu.take_events(), []);
}

#[test]
fn a_notifier_keeps_the_first_error() {
    let mut bench = Bench::new();
    bench.notifiers.store_u32(8, 77);
    bench.notifiers.store_u32(12, 0xffff_0003);
    assert_eq!(bench.fault(&[release(BAD, 1)]).0, 31);
    assert_eq!(record(&bench, 0), (0, 77, 3, 0xffff));
    // Any other status means that the record is free; info16 is not ours.
    let mut bench = Bench::new();
    bench.notifiers.store_u32(12, 0x1234_0003);
    assert_eq!(bench.fault(&[release(BAD, 1)]).0, 31);
    let (_, info32, info16, status) = record(&bench, 0);
    assert_eq!((info32, info16, status), (31, 3, 0xffff));
}

#[test]
fn a_channel_may_have_no_notifier() {
    let mut bench = Bench::new();
    bench.gpu.set_error_notifier(CHANNEL, None);
    assert_eq!(bench.fault(&[release(BAD, 1)]).0, 31);
    assert_eq!(record(&bench, 0), (0, 0, 0, 0));
}

#[test]
fn the_driver_may_reset_a_tsg() {
    let mut bench = Bench::with(&[4, 4, 5]);
    bench.submit_on(0, &[acquire(DATA_VA, 1)]);
    bench.settle();
    bench.gpu.abort_tsg(4, FaultCause::ForcedReset);
    assert_eq!([511, 510, 509].map(|id| bench.gpu.serviceable(id)), [false, false, true]);
    assert_eq!([0, 1, 2].map(|lane| record(&bench, lane).1), [43, 43, 0]);
    let events = bench.gpu.take_events();
    let [Event::Fault { tsg: 4, channel: None, cause: FaultCause::ForcedReset, report }] =
        &events[..]
    else {
        panic!("{events:?}");
    };
    says(report, &["TSG 4", "forced reset"]);
    assert_eq!(bench.gpu.step(BUDGET), Progress::Idle);
}

#[test]
fn a_new_channel_with_the_same_id_starts_afresh() {
    let mut bench = Bench::new();
    assert_eq!(bench.fault(&[release(BAD, 1)]).0, 31);
    bench.gpu.destroy_channel(CHANNEL);
    assert!(!bench.gpu.doorbell(CHANNEL));
    bench.lanes[0].userd.store_u32(userd::GP_GET, 0);
    bench.lanes[0].put = 0;
    let setup = ChannelSetup {
        tsg: 0,
        veid: 1,
        space: bench.space,
        ring_va: RING_VA,
        entries: ENTRIES,
        userd: bench.lanes[0].userd.clone(),
    };
    bench.gpu.create_channel(CHANNEL, setup);
    assert!(bench.gpu.serviceable(CHANNEL));
    bench.execute(&[release(DATA_VA, 1)]);
    assert_eq!(bench.word(0), 1);
    // The class contexts went with the old channel.
    let (code, report) = bench.fault(&[copy_class()]);
    assert_eq!(code, 13);
    says(&report, &["ALLOC_OBJ_CTX"]);
}

#[test]
fn a_destroyed_channel_takes_its_work_along() {
    let mut bench = Bench::new();
    bench.submit(&[acquire(DATA_VA, 1)]);
    assert_eq!(bench.settle(), Progress::Blocked);
    bench.gpu.destroy_channel(CHANNEL);
    assert_eq!(bench.gpu.step(BUDGET), Progress::Idle);
}

#[test]
fn a_space_that_is_gone_is_unmapped() {
    let mut bench = Bench::new();
    bench.gpu.destroy_space(bench.space);
    let (code, report) = bench.fault(&[release(DATA_VA, 1)]);
    assert_eq!(code, 31);
    says(&report, &["nothing is mapped in that address space"]);
}

#[test]
fn an_injected_hang_stays_silent() {
    let mut bench = Bench::with(&[0, 1]);
    bench.gpu.hang_channel(CHANNEL);
    bench.submit(&[release(DATA_VA, 1)]);
    bench.submit_on(1, &[release(DATA_VA + 4, 1)]);
    assert_eq!(bench.settle(), Progress::Blocked);
    assert_eq!([bench.word(0), bench.word(4)], [0, 1]);
    assert_eq!(bench.gpu.take_events(), []);
    assert!(bench.gpu.serviceable(CHANNEL));
}

#[test]
fn an_injected_loss_leaves_notifiers_alone() {
    let mut bench = Bench::new();
    bench.gpu.lose_notifiers();
    assert_eq!(bench.fault(&[release(BAD, 1)]).0, 31);
    assert_eq!(record(&bench, 0), (0, 0, 0, 0));
    assert!(!bench.gpu.serviceable(CHANNEL));
}
