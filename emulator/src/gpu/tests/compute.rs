//! The compute engine's methods.

use super::*;

use c7c0::*;

const ONE_WORD: u32 = REPORT_SEMAPHORE_EXECUTE_STRUCTURE_SIZE
    .set(REPORT_SEMAPHORE_EXECUTE_STRUCTURE_SIZE_SEMAPHORE_ONE_WORD);
const TWO_WORDS: u32 = REPORT_SEMAPHORE_EXECUTE_STRUCTURE_SIZE
    .set(REPORT_SEMAPHORE_EXECUTE_STRUCTURE_SIZE_SEMAPHORE_TWO_WORDS);
const FOUR_WORDS: u32 = REPORT_SEMAPHORE_EXECUTE_STRUCTURE_SIZE
    .set(REPORT_SEMAPHORE_EXECUTE_STRUCTURE_SIZE_SEMAPHORE_FOUR_WORDS);
const LONG: u32 = REPORT_SEMAPHORE_EXECUTE_PAYLOAD_SIZE64.mask();

fn report(va: u64, payload: u64, flags: u32) -> Vec<u32> {
    let ([va_hi, va_lo], [hi, lo]) = (halves(va), halves(payload));
    send(1, SET_REPORT_SEMAPHORE_PAYLOAD_LOWER, &[lo, hi, va_lo, va_hi, flags])
}

fn old_report(va: u64, payload: u32, flags: u32) -> Vec<u32> {
    let [hi, lo] = halves(va);
    send(1, SET_REPORT_SEMAPHORE_A, &[hi, lo, payload, flags])
}

#[test]
fn the_setup_of_a_channel_is_accepted() {
    let [hi, lo] = halves(0x729_4000_0000);
    Bench::new().execute(&[
        compute_class(),
        send(1, SET_SHADER_LOCAL_MEMORY_WINDOW_A, &[hi, lo]),
        send(1, SET_SHADER_SHARED_MEMORY_WINDOW_A, &[hi, lo]),
        send(1, SET_SHADER_LOCAL_MEMORY_A, &[hi, lo]),
        send(1, SET_SHADER_LOCAL_MEMORY_NON_THROTTLED_A, &[0, 0x8000, 0xff]),
        send(1, INVALIDATE_SHADER_CACHES, &[0x1017]),
        send(1, INVALIDATE_SKED_CACHES, &[0]),
        send(1, INVALIDATE_TEXTURE_HEADER_CACHE_NO_WFI, &[0]),
        send(1, INVALIDATE_SHADER_CACHES_NO_WFI, &[0x1011]),
        send(1, NO_OPERATION, &[0]),
        send(1, WAIT_FOR_IDLE, &[0]),
        send(1, PIPE_NOP, &[0]),
        send(1, SET_RENDER_ENABLE_C, &[SET_RENDER_ENABLE_C_MODE_TRUE]),
        send(1, SEND_SIGNALING_PCAS2_B, &[SEND_SIGNALING_PCAS2_B_PCAS_ACTION_NOP]),
    ]);
}

/// As on hardware, where channels of a subcontext overwrite each other's.
#[test]
fn what_methods_set_belongs_to_the_subcontext() {
    let mut bench = Bench::in_subcontexts(&[(0, 1), (0, 1), (0, 2), (1, 1)]);
    let [hi, lo] = halves(DATA_VA);
    let told = send(1, SET_REPORT_SEMAPHORE_PAYLOAD_LOWER, &[7, 0, lo, hi]);
    bench.submit_on(0, &[compute_class(), told]);
    let execute = |flags| [compute_class(), send(1, REPORT_SEMAPHORE_EXECUTE, &[flags])];
    bench.submit_on(1, &execute(ONE_WORD));
    assert_eq!((bench.settle(), bench.word(0)), (Progress::Idle, 7));
    for (lane, tsg) in [(3, 1), (2, 0)] {
        bench.submit_on(lane, &execute(ONE_WORD));
        bench.settle();
        assert!(!bench.gpu.serviceable(bench.lanes[lane].id), "it has been told no address");
        assert_eq!(bench.gpu.serviceable(bench.lanes[0].id), tsg == 1);
    }
}

#[test]
fn a_new_subcontext_with_the_same_veid_starts_afresh() {
    let mut bench = Bench::in_subcontexts(&[(0, 1), (0, 1)]);
    let [hi, lo] = halves(DATA_VA);
    bench.execute(&[
        compute_class(),
        send(1, SET_REPORT_SEMAPHORE_PAYLOAD_LOWER, &[7, 0, lo, hi, ONE_WORD]),
    ]);
    bench.gpu.destroy_channel(bench.lanes[0].id);
    bench.gpu.destroy_subcontext(0, 1);
    bench.submit_on(1, &[compute_class(), send(1, REPORT_SEMAPHORE_EXECUTE, &[ONE_WORD])]);
    bench.settle();
    assert!(!bench.gpu.serviceable(bench.lanes[1].id), "it has been told no address");
}

#[test]
fn both_generations_have_the_same_methods_at_the_same_offsets() {
    let hopper = hw_defs::class::lookup(hw_defs::cbc0::HOPPER_COMPUTE_A).unwrap();
    let ours = hw_defs::class::lookup(AMPERE_COMPUTE_B).unwrap();
    let mut shared = 0;
    for method in ours.methods() {
        let Some(same) = hopper.methods().find(|other| other.name == method.name) else { continue };
        assert_eq!(same.offset, method.offset, "{}", method.name);
        shared += 1;
    }
    assert!(shared > 100);
    // What the engine obeys has its fields at the same place too.
    let fields = |class: &hw_defs::Class, name| {
        let method = class.methods().find(|method| method.name == name).unwrap();
        method.fields.iter().map(|field| (field.name, field.lo)).collect::<Vec<_>>()
    };
    for name in [
        "REPORT_SEMAPHORE_EXECUTE",
        "SET_REPORT_SEMAPHORE_D",
        "SEND_PCAS_A",
        "SEND_SIGNALING_PCAS_B",
        "SEND_SIGNALING_PCAS2_B",
        "INVALIDATE_SHADER_CACHES",
        "INVALIDATE_SHADER_CACHES_NO_WFI",
        "SET_RENDER_ENABLE_C",
        "SET_RENDER_ENABLE_OVERRIDE",
    ] {
        assert_eq!(fields(hopper, name), fields(ours, name), "{name}");
    }
}

#[test]
fn reports_release_semaphores() {
    let value = 0x1_2345_6789_abcd;
    let cases = [
        (ONE_WORD, 4, 0x6789_abcd),
        (TWO_WORDS, 8, value),
        (TWO_WORDS | LONG, 8, value),
        (FOUR_WORDS, 8, 0x6789_abcd),
        (FOUR_WORDS | LONG, 8, value),
    ];
    for (flags, bytes, expected) in cases {
        let mut bench = Bench::new();
        for at in [0, 8, 16] {
            bench.data.store_u64(at, u64::MAX);
        }
        let before = bench.gpu.time_ns();
        bench.execute(&[compute_class(), report(DATA_VA, value, flags)]);
        let rest = if bytes == 4 { 0xffff_ffff_0000_0000 } else { 0 };
        assert_eq!(bench.data.load_u64(0), expected | rest);
        let stamp = bench.data.load_u64(8);
        if flags & REPORT_SEMAPHORE_EXECUTE_STRUCTURE_SIZE.mask() == FOUR_WORDS {
            assert!(before <= stamp && stamp <= bench.gpu.time_ns());
        } else {
            assert_eq!(stamp, u64::MAX);
        }
        assert_eq!(bench.data.load_u64(16), u64::MAX);
    }
    let one_word =
        SET_REPORT_SEMAPHORE_D_STRUCTURE_SIZE.set(SET_REPORT_SEMAPHORE_D_STRUCTURE_SIZE_ONE_WORD);
    let mut bench = Bench::new();
    bench.execute(&[compute_class(), old_report(DATA_VA, 5, one_word)]);
    bench.execute(&[old_report(DATA_VA + 16, 6, 0)]);
    assert_eq!([bench.data.load_u64(0), bench.data.load_u64(8)], [5, 0]);
    assert_eq!(bench.data.load_u64(16), 6);
    assert_ne!(bench.data.load_u64(24), 0);
}

#[test]
fn reports_reduce_in_the_engines_own_order() {
    let cases = [
        (REPORT_SEMAPHORE_EXECUTE_REDUCTION_OP_RED_ADD, 16),
        (REPORT_SEMAPHORE_EXECUTE_REDUCTION_OP_RED_MIN, 6),
        (REPORT_SEMAPHORE_EXECUTE_REDUCTION_OP_RED_MAX, 10),
        (REPORT_SEMAPHORE_EXECUTE_REDUCTION_OP_RED_INC, 0),
        (REPORT_SEMAPHORE_EXECUTE_REDUCTION_OP_RED_DEC, 6),
        (REPORT_SEMAPHORE_EXECUTE_REDUCTION_OP_RED_AND, 2),
        (REPORT_SEMAPHORE_EXECUTE_REDUCTION_OP_RED_OR, 14),
        (REPORT_SEMAPHORE_EXECUTE_REDUCTION_OP_RED_XOR, 12),
    ];
    for (op, expected) in cases {
        let mut bench = Bench::new();
        bench.data.store_u32(0, 10);
        bench.data.store_u32(16, 10);
        let flags = ONE_WORD
            | REPORT_SEMAPHORE_EXECUTE_REDUCTION_ENABLE.mask()
            | REPORT_SEMAPHORE_EXECUTE_REDUCTION_OP.set(op);
        let old = SET_REPORT_SEMAPHORE_D_STRUCTURE_SIZE.mask()
            | SET_REPORT_SEMAPHORE_D_REDUCTION_ENABLE.mask()
            | SET_REPORT_SEMAPHORE_D_REDUCTION_OP.set(op);
        bench.execute(&[
            compute_class(),
            report(DATA_VA, 6, flags),
            old_report(DATA_VA + 16, 6, old),
        ]);
        assert_eq!([bench.word(0), bench.word(16)], [expected; 2], "operation {op}");
    }
    // Signed or not makes the difference below zero.
    for (format, expected) in [
        (REPORT_SEMAPHORE_EXECUTE_REDUCTION_FORMAT_UNSIGNED, 6),
        (REPORT_SEMAPHORE_EXECUTE_REDUCTION_FORMAT_SIGNED, u32::MAX),
    ] {
        let mut bench = Bench::new();
        bench.data.store_u32(0, u32::MAX);
        let flags = ONE_WORD
            | REPORT_SEMAPHORE_EXECUTE_REDUCTION_ENABLE.mask()
            | REPORT_SEMAPHORE_EXECUTE_REDUCTION_OP
                .set(REPORT_SEMAPHORE_EXECUTE_REDUCTION_OP_RED_MIN)
            | REPORT_SEMAPHORE_EXECUTE_REDUCTION_FORMAT.set(format);
        bench.execute(&[compute_class(), report(DATA_VA, 6, flags)]);
        assert_eq!(bench.word(0), expected);
    }
}

#[test]
fn a_report_may_wake_somebody() {
    let mut bench = Bench::new();
    bench.submit(&[
        compute_class(),
        report(DATA_VA, 1, ONE_WORD | REPORT_SEMAPHORE_EXECUTE_AWAKEN_ENABLE.mask()),
        old_report(DATA_VA, 1, SET_REPORT_SEMAPHORE_D_AWAKEN_ENABLE.mask()),
    ]);
    bench.settle();
    let interrupt = Event::NonStallInterrupt { tsg: 0 };
    assert_eq!(bench.gpu.take_events(), [interrupt.clone(), interrupt]);
}

#[test]
fn what_the_engine_cannot_do_is_a_fault() {
    let cases = [
        (send(1, NOTIFY, &[0]), "NOTIFY"),
        (send(1, SET_RENDER_ENABLE_C, &[2]), "SET_RENDER_ENABLE_C with 0x2"),
        (send(1, LOAD_INLINE_QMD_DATA.at(3), &[0]), "LOAD_INLINE_QMD_DATA"),
        (send(1, CALL_MME_MACRO.at(1), &[0]), "CALL_MME_MACRO"),
        (send(1, WAIT_FOR_IDLE.at(0), &[0, 0, 0]), "LOAD_MME_INSTRUCTION_RAM "),
        (vec![0x2001_2000 | 0x1f0 >> 2, 0], "AMPERE_COMPUTE_B has no method 0x01f0"),
        (send(1, INVALIDATE_SHADER_CACHES, &[0x20]), "reserved bits 0x20"),
        (send(1, SEND_SIGNALING_PCAS2_B, &[6]), "PCAS_ACTION 6 (INCREMENT_PUT) is not modelled"),
        (
            send(1, SEND_SIGNALING_PCAS2_B, &[0xb]),
            "PCAS_ACTION 11 (INVALIDATE_PREFETCH_COPY_FORCE_REQUIRE_SCHEDULING)",
        ),
        (send(1, SEND_SIGNALING_PCAS2_B, &[0xd]), "PCAS_ACTION 13 (INCREMENT_CWD_REF_COUNTER)"),
        (send(1, SEND_SIGNALING_PCAS2_B, &[15]), "PCAS_ACTION 15 (unnamed)"),
        (send(1, SEND_SIGNALING_PCAS2_B, &[0x109]), "SELECT and OFFSET_MINUS_ONE"),
        (report(DATA_VA, 0, ONE_WORD | LONG), "no room for 64 bits"),
        (report(DATA_VA, 0, 3 << 3), "STRUCTURE_SIZE 3"),
        (report(DATA_VA, 0, ONE_WORD | 1), "report with ACQUIRE"),
        (report(DATA_VA, 0, ONE_WORD | 1 << 13), "TRAP_TYPE"),
        (report(DATA_VA, 0, ONE_WORD | 2 << 10), "REDUCTION_FORMAT 2"),
        (report(DATA_VA + 8, 0, FOUR_WORDS), "16 bytes at 0x2000000008 is not aligned"),
        (old_report(DATA_VA, 0, 3), "report with TRAP"),
        (old_report(DATA_VA, 0, 1 << 19), "CONDITIONAL_TRAP"),
    ];
    for (words, part) in cases {
        let (code, report) = Bench::new().fault(&[compute_class(), words]);
        assert_eq!(code, 13, "{report}");
        says(&report, &[part]);
    }
    let (code, report) = Bench::new().fault(&[compute_class(), report(CONST_VA, 0, ONE_WORD)]);
    assert_eq!(code, 31);
    says(&report, &["the compute engine's semaphore release wrote 0x3000000000"]);
}

#[test]
fn the_older_launch_method_does_nothing() {
    let mut bench = Bench::new();
    bench.submit(&[compute_class(), send(1, SEND_PCAS_B, &[0])]);
    bench.settle();
    match &bench.gpu.take_events()[..] {
        [Event::Notice { text, .. }] => says(text, &["SEND_PCAS_B does nothing"]),
        other => panic!("one notice was expected: {other:?}"),
    }
}
