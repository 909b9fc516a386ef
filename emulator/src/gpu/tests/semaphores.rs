//! The host engine's semaphores against a small oracle in wide arithmetic.

use proptest::prelude::*;

use super::*;

use c76f::*;

const FLAG_64: u32 = SEM_EXECUTE_PAYLOAD_SIZE.mask();
const FLAG_TIME: u32 = SEM_EXECUTE_RELEASE_TIMESTAMP.mask();
const FLAG_UNSIGNED: u32 = SEM_EXECUTE_REDUCTION_FORMAT.mask();

/// Values around the places where something turns over.
fn value() -> impl Strategy<Value = u64> {
    let edge = prop_oneof![
        Just(0),
        Just(1 << 31),
        Just(1 << 32),
        Just(1 << 63),
        Just(0x7fff_ffff_8000_0000_u64),
    ];
    prop_oneof![any::<u64>(), (edge, -3..3_i64).prop_map(|(edge, by)| edge.wrapping_add_signed(by))]
}

fn cut(value: u64, long: bool) -> u64 {
    if long { value } else { value & 0xffff_ffff }
}

fn signed(value: u64, long: bool) -> i128 {
    if long { (value as i64).into() } else { (value as i32).into() }
}

fn oracle_acquires(operation: u32, long: bool, word: u64, payload: u64) -> bool {
    let range = 1_i128 << if long { 64 } else { 32 };
    let (word, payload) = (i128::from(word), i128::from(payload));
    match operation {
        SEM_EXECUTE_OPERATION_ACQUIRE => word == payload,
        SEM_EXECUTE_OPERATION_ACQ_STRICT_GEQ => word >= payload,
        SEM_EXECUTE_OPERATION_ACQ_CIRC_GEQ => (word - payload).rem_euclid(range) < range / 2,
        SEM_EXECUTE_OPERATION_ACQ_AND => word & payload != 0,
        SEM_EXECUTE_OPERATION_ACQ_NOR => (range - 1) & !(word | payload) != 0,
        _ => unreachable!(),
    }
}

/// The new word, or None where hardware has no such reduction.
fn oracle_reduces(op: u32, unsigned: bool, long: bool, word: u64, payload: u64) -> Option<u64> {
    let number = |value| if unsigned { i128::from(value) } else { signed(value, long) };
    let (v, p) = (number(word), number(payload));
    let result = match op {
        SEM_EXECUTE_REDUCTION_IMIN => v.min(p),
        SEM_EXECUTE_REDUCTION_IMAX => v.max(p),
        SEM_EXECUTE_REDUCTION_IXOR => v ^ p,
        SEM_EXECUTE_REDUCTION_IAND => v & p,
        SEM_EXECUTE_REDUCTION_IOR => v | p,
        SEM_EXECUTE_REDUCTION_IADD if unsigned || !long => v + p,
        SEM_EXECUTE_REDUCTION_INC if unsigned && !long => {
            if v >= p {
                0
            } else {
                v + 1
            }
        }
        SEM_EXECUTE_REDUCTION_DEC if unsigned && !long => {
            if v == 0 || v > p {
                p
            } else {
                v - 1
            }
        }
        _ => return None,
    };
    Some(cut(result as u64, long))
}

proptest! {
    #[test]
    fn acquires(
        operation in prop_oneof![
            Just(SEM_EXECUTE_OPERATION_ACQUIRE),
            Just(SEM_EXECUTE_OPERATION_ACQ_STRICT_GEQ),
            Just(SEM_EXECUTE_OPERATION_ACQ_CIRC_GEQ),
            Just(SEM_EXECUTE_OPERATION_ACQ_AND),
            Just(SEM_EXECUTE_OPERATION_ACQ_NOR),
        ],
        long: bool,
        switch: bool,
        word in value(),
        payload in value(),
        near in any::<bool>(),
    ) {
        // Half of the time the two are close together, where the comparisons differ.
        let word = if near { payload.wrapping_add(word % 5).wrapping_sub(2) } else { word };
        let mut bench = Bench::new();
        bench.data.store_u64(0, word);
        let flags = operation
            | if long { FLAG_64 } else { 0 }
            | if switch { SEM_EXECUTE_ACQUIRE_SWITCH_TSG.mask() } else { 0 };
        bench.submit(&[semaphore(DATA_VA, payload, flags), release(DATA_VA + 8, 1)]);
        let holds = oracle_acquires(operation, long, cut(word, long), cut(payload, long));
        prop_assert_eq!(bench.settle(), if holds { Progress::Idle } else { Progress::Blocked });
        prop_assert_eq!(bench.word(8), u32::from(holds));
        prop_assert_eq!(bench.data.load_u64(0), word);
    }

    #[test]
    fn reductions(
        op in 0..8_u32,
        long: bool,
        unsigned: bool,
        time: bool,
        word in value(),
        payload in value(),
        close: bool,
    ) {
        let payload = if close { word.wrapping_add(payload % 3).wrapping_sub(1) } else { payload };
        let mut bench = Bench::new();
        bench.data.store_u64(16, word);
        let flags = SEM_EXECUTE_OPERATION_REDUCTION
            | SEM_EXECUTE_REDUCTION.set(op)
            | if long { FLAG_64 } else { 0 }
            | if unsigned { FLAG_UNSIGNED } else { 0 }
            | if time { FLAG_TIME } else { 0 };
        let parts = [semaphore(DATA_VA + 16, payload, flags)];
        let before = bench.gpu.time_ns();
        match oracle_reduces(op, unsigned, long, cut(word, long), cut(payload, long)) {
            Some(expected) => {
                bench.execute(&parts);
                let rest = word ^ cut(word, long);
                prop_assert_eq!(bench.data.load_u64(16), expected | rest);
                let stamp = bench.data.load_u64(24);
                let stamped = before <= stamp && stamp <= bench.gpu.time_ns();
                prop_assert!(time || stamp == 0);
                prop_assert_eq!(stamped, time, "time {}", stamp);
            }
            None => {
                let (code, report) = bench.fault(&parts);
                prop_assert_eq!(code, 32);
                prop_assert!(report.contains("reduction"), "{}", report);
                prop_assert_eq!(bench.data.load_u64(16), word);
            }
        }
    }

    #[test]
    fn releases(long: bool, time: bool, wfi: bool, payload in value()) {
        let mut bench = Bench::new();
        for at in [0, 8, 16, 24] {
            bench.data.store_u64(at, u64::MAX);
        }
        let flags = SEM_EXECUTE_OPERATION_RELEASE
            | if long { FLAG_64 } else { 0 }
            | if time { FLAG_TIME } else { 0 }
            | if wfi { SEM_EXECUTE_RELEASE_WFI.mask() } else { 0 };
        let before = bench.gpu.time_ns();
        bench.execute(&[semaphore(DATA_VA, payload, flags)]);
        // The form with a timestamp has 16 bytes; a 32-bit payload is extended by zeros there.
        let expected = match (long, time) {
            (true, _) => payload,
            (false, true) => cut(payload, false),
            (false, false) => cut(payload, false) | 0xffff_ffff_0000_0000,
        };
        prop_assert_eq!(bench.data.load_u64(0), expected);
        let stamp = bench.data.load_u64(8);
        if time {
            prop_assert!(before <= stamp && stamp <= bench.gpu.time_ns() && stamp % 32 == 0);
        } else {
            prop_assert_eq!(stamp, u64::MAX);
        }
        prop_assert_eq!(bench.data.load_u64(16), u64::MAX);
    }

    #[test]
    fn alignment(offset in 0..16_u64, operation in 0..7_u32, long: bool, time: bool) {
        let offset = offset * 4;
        let acquires = !matches!(
            operation,
            SEM_EXECUTE_OPERATION_RELEASE | SEM_EXECUTE_OPERATION_REDUCTION
        );
        let bytes = match (long, time && !acquires) {
            (_, true) => 16,
            (true, false) => 8,
            (false, false) => 4,
        };
        let flags = operation
            | if long { FLAG_64 } else { 0 }
            | if time { FLAG_TIME } else { 0 };
        let mut bench = Bench::new();
        bench.submit(&[semaphore(DATA_VA + offset, 0, flags)]);
        bench.settle();
        let events = bench.gpu.take_events();
        if offset % bytes == 0 {
            prop_assert_eq!(events, []);
        } else {
            let [Event::Fault { cause: FaultCause::PbdmaError, report, .. }] = &events[..] else {
                panic!("a fault was expected: {events:?}");
            };
            prop_assert!(report.contains("aligned"), "{}", report);
        }
    }
}

#[test]
fn a_timeline_passes_the_wrap() {
    let mut bench = Bench::new();
    let start = u32::MAX - 20;
    bench.data.store_u32(0, start);
    for i in 1..=40 {
        let value = start.wrapping_add(i);
        bench.execute(&[acquire(DATA_VA, value.wrapping_sub(1)), release(DATA_VA, value)]);
        assert_eq!(bench.word(0), value);
    }
}

#[test]
fn reduction_bits_belong_to_reductions() {
    for operation in 0..6 {
        for bits in [SEM_EXECUTE_REDUCTION.set(1), FLAG_UNSIGNED] {
            let (code, report) = Bench::new().fault(&[semaphore(DATA_VA, 0, operation | bits)]);
            assert_eq!(code, 32);
            says(&report, &["not REDUCTION"]);
        }
    }
    let (code, report) = Bench::new().fault(&[semaphore(DATA_VA, 0, 7)]);
    assert_eq!(code, 32);
    says(&report, &["no operation 7"]);
    let reduction = SEM_EXECUTE_OPERATION_REDUCTION | SEM_EXECUTE_REDUCTION.set(8);
    let (code, report) = Bench::new().fault(&[semaphore(DATA_VA, 0, reduction)]);
    assert_eq!(code, 32);
    says(&report, &["no reduction 8"]);
}

#[test]
fn an_acquire_waits_for_as_long_as_it_takes() {
    let mut bench = Bench::new();
    bench.submit(&[acquire(DATA_VA, 1), release(DATA_VA + 4, 1)]);
    assert_eq!(bench.settle(), Progress::Blocked);
    for _ in 0..1000 {
        assert_eq!(bench.gpu.step(BUDGET), Progress::Blocked);
    }
    assert_eq!(bench.word(4), 0);
    bench.data.store_u32(0, 1);
    assert_eq!(bench.settle(), Progress::Idle);
    assert_eq!(bench.word(4), 1);
    assert_eq!(bench.gpu.take_events(), []);
}

#[test]
fn a_waiter_whose_semaphore_is_unmapped_faults() {
    let mut bench = Bench::new();
    bench.submit(&[acquire(DATA_VA, 1)]);
    assert_eq!(bench.settle(), Progress::Blocked);
    bench.gpu.unmap(bench.space, DATA_VA);
    let (code, report) = bench.settled_fault();
    assert_eq!(code, 31);
    says(&report, &["a semaphore acquire read 0x2000000000"]);
}
