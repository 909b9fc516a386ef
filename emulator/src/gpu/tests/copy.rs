//! The copy engine.

use proptest::prelude::*;

use super::*;

use c7b5::*;

pub(super) const PITCH: u32 =
    LAUNCH_DMA_SRC_MEMORY_LAYOUT.mask() | LAUNCH_DMA_DST_MEMORY_LAYOUT.mask();
pub(super) const PIPELINED: u32 = LAUNCH_DMA_DATA_TRANSFER_TYPE_PIPELINED;
pub(super) const NON_PIPELINED: u32 = LAUNCH_DMA_DATA_TRANSFER_TYPE_NON_PIPELINED;
const PLAIN: u32 = PITCH | NON_PIPELINED;
pub(super) const ONE_WORD: u32 =
    LAUNCH_DMA_SEMAPHORE_TYPE.set(LAUNCH_DMA_SEMAPHORE_TYPE_RELEASE_ONE_WORD_SEMAPHORE);
const FOUR_WORD: u32 =
    LAUNCH_DMA_SEMAPHORE_TYPE.set(LAUNCH_DMA_SEMAPHORE_TYPE_RELEASE_FOUR_WORD_SEMAPHORE);

pub(super) fn launch(flags: u32) -> Vec<u32> {
    send(4, LAUNCH_DMA, &[flags])
}

/// From, to, pitch in, pitch out, line length, line count.
fn rectangle(from: u64, to: u64, pitches: [u32; 2], line: u32, lines: u32) -> Vec<u32> {
    let ([from_hi, from_lo], [to_hi, to_lo]) = (halves(from), halves(to));
    let [pitch_in, pitch_out] = pitches;
    let words = [from_hi, from_lo, to_hi, to_lo, pitch_in, pitch_out, line, lines];
    send(4, OFFSET_IN_UPPER, &words)
}

pub(super) fn line(from: u64, to: u64, len: u32) -> Vec<u32> {
    rectangle(from, to, [0, 0], len, 0)
}

pub(super) fn semaphore_at(va: u64, payload: u64) -> Vec<u32> {
    let ([va_hi, va_lo], [hi, lo]) = (halves(va), halves(payload));
    send(4, SET_SEMAPHORE_A, &[va_hi, va_lo, lo, hi])
}

/// Bytes that differ from their neighbours and from zero.
fn pattern(bench: &Bench) -> Vec<u8> {
    let bytes: Vec<u8> = (0..DATA_SIZE).map(|i| (i * 7 + i / 251) as u8 | 1).collect();
    bench.data.write(0, &bytes);
    bytes
}

fn contents(bench: &Bench) -> Vec<u8> {
    let mut bytes = vec![0; DATA_SIZE as usize];
    bench.data.read(0, &mut bytes);
    bytes
}

proptest! {
    #[test]
    fn one_line(
        from in 0..0x2_0000_u64,
        to in 0..0x2_0000_u64,
        len in prop_oneof![0..64_u32, 0..0x3_0000_u32],
        pipelined: bool,
    ) {
        // The two halves of the buffer never overlap.
        let to = to + 0x8_0000;
        let mut bench = Bench::new();
        let mut expected = pattern(&bench);
        let kind = if pipelined { PIPELINED } else { NON_PIPELINED };
        bench.execute(&[
            copy_class(), line(DATA_VA + from, DATA_VA + to, len), launch(PITCH | kind),
        ]);
        expected.copy_within(from as usize..from as usize + len as usize, to as usize);
        prop_assert!(contents(&bench) == expected);
    }

    #[test]
    fn many_lines(
        from in 0..0x1000_u64,
        to in 0..0x1000_u64,
        pitch_in in 0..300_u32,
        pitch_out in 0..300_u32,
        len in 0..200_u32,
        lines in 0..50_u32,
    ) {
        let to = to + 0x8_0000;
        let mut bench = Bench::new();
        let mut expected = pattern(&bench);
        bench.execute(&[
            copy_class(),
            rectangle(DATA_VA + from, DATA_VA + to, [pitch_in, pitch_out], len, lines),
            launch(PLAIN | LAUNCH_DMA_MULTI_LINE_ENABLE.mask()),
        ]);
        for i in 0..lines as usize {
            let (from, to) = (
                from as usize + i * pitch_in as usize,
                to as usize + i * pitch_out as usize,
            );
            expected.copy_within(from..from + len as usize, to);
        }
        prop_assert!(contents(&bench) == expected);
    }

    #[test]
    fn onto_itself(from in 0..0x1000_usize, to in 0..0x1000_usize, len in 0..0x1000_usize) {
        let mut bench = Bench::new();
        let mut expected = pattern(&bench);
        bench.submit(&[
            copy_class(),
            line(DATA_VA + from as u64, DATA_VA + to as u64, len as u32),
            launch(PLAIN),
        ]);
        prop_assert_eq!(bench.settle(), Progress::Idle);
        let overlaps = len > 0 && from.abs_diff(to) < len;
        let piece = if overlaps { 32 } else { len.max(1) };
        for at in (0..len).step_by(piece) {
            let end = (at + piece).min(len);
            expected.copy_within(from + at..from + end, to + at);
        }
        prop_assert!(contents(&bench) == expected);
        match &bench.gpu.take_events()[..] {
            [] => prop_assert!(!overlaps),
            [Event::Notice { text, .. }] => {
                prop_assert!(overlaps && text.contains("overlaps itself"), "{}", text);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn semaphores(long: bool, time: bool, data: bool, payload: u64) {
        let mut bench = Bench::new();
        let mut expected = pattern(&bench);
        let flags = if data { PLAIN } else { 0 }
            | if time { FOUR_WORD } else { ONE_WORD }
            | if long { LAUNCH_DMA_SEMAPHORE_PAYLOAD_SIZE.mask() } else { 0 }
            | LAUNCH_DMA_FLUSH_ENABLE.mask();
        let before = bench.gpu.time_ns();
        bench.execute(&[
            copy_class(),
            line(DATA_VA, DATA_VA + 0x100, 0x20),
            semaphore_at(DATA_VA + 0x200, payload),
            launch(flags),
        ]);
        if data {
            expected.copy_within(0..0x20, 0x100);
        }
        let word = if long { payload } else { payload & 0xffff_ffff };
        let bytes = if long || time { 8 } else { 4 };
        expected[0x200..0x200 + bytes].copy_from_slice(&word.to_le_bytes()[..bytes]);
        if time {
            let stamp = bench.data.load_u64(0x208);
            prop_assert!(before <= stamp && stamp <= bench.gpu.time_ns());
            expected[0x208..0x210].copy_from_slice(&stamp.to_le_bytes());
        }
        prop_assert!(contents(&bench) == expected);
    }
}

#[test]
fn copies_cross_from_one_mapping_to_the_next() {
    let mut bench = Bench::new();
    let pieces: Vec<_> = (0..3).map(|_| Memory::new("piece", 4096).unwrap()).collect();
    let base = 0x40_0000_0000;
    for (i, piece) in pieces.iter().enumerate() {
        bench.gpu.map(
            bench.space,
            base + i as u64 * 4096,
            piece.clone(),
            0,
            4096,
            Access::ReadWrite,
        );
    }
    let source = pattern(&bench);
    let (in_out, len) = (base + 100, 3 * 4096 - 100);
    bench.execute(&[copy_class(), line(DATA_VA + 5, in_out, len), launch(PLAIN)]);
    bench.execute(&[line(in_out, DATA_VA + 0x8_0000, len), launch(PLAIN)]);
    let copied = &contents(&bench)[0x8_0000..0x8_0000 + len as usize];
    assert!(copied == &source[5..5 + len as usize]);
}

#[test]
fn a_huge_sparse_copy_costs_what_was_written() {
    const HUGE: u64 = 6 << 30;
    let mut bench = Bench::new();
    let (from, to) = (0x1_0000_0000, 0x4_0000_0000);
    let (source, target) = (Memory::new("a", HUGE).unwrap(), Memory::new("b", HUGE).unwrap());
    bench.gpu.map(bench.space, from, source.clone(), 0, HUGE, Access::ReadOnly);
    bench.gpu.map(bench.space, to, target.clone(), 0, HUGE, Access::ReadWrite);
    let marks = [0, (4 << 30) - 8, 4 << 30, (4 << 30) + 8, 5 << 30, HUGE - 8];
    for mark in marks {
        source.store_u64(mark, !mark);
    }
    // What was there before goes away.
    target.store_u64(3 << 30, 1);
    // In one line of 32 bits of length, then a rectangle of touching lines.
    let first = u32::MAX - 7;
    bench.execute(&[copy_class(), line(from, to, first), launch(PLAIN)]);
    let rest = HUGE - u64::from(first);
    let (len, lines) = (rest as u32 / 4, 4);
    assert_eq!(u64::from(len) * 4, rest);
    bench.execute(&[
        rectangle(from + u64::from(first), to + u64::from(first), [len, len], len, lines),
        launch(PLAIN | LAUNCH_DMA_MULTI_LINE_ENABLE.mask()),
    ]);
    for mark in marks {
        assert_eq!(target.load_u64(mark), !mark, "at {mark:#x}");
    }
    assert_eq!(target.load_u64(3 << 30), 0);
    let blocks = |memory: &Memory| {
        let file = std::fs::File::from(memory.reopen().unwrap());
        std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap())
    };
    // 512-byte blocks: a few pages, not gigabytes.
    assert!(blocks(&target) < 20 * 8, "{} blocks", blocks(&target));
}

#[test]
fn reductions_on_the_semaphore() {
    let reduce = |op| {
        PLAIN
            | ONE_WORD
            | LAUNCH_DMA_SEMAPHORE_REDUCTION_ENABLE.mask()
            | LAUNCH_DMA_SEMAPHORE_REDUCTION_SIGN.set(LAUNCH_DMA_SEMAPHORE_REDUCTION_SIGN_UNSIGNED)
            | LAUNCH_DMA_SEMAPHORE_REDUCTION.set(op)
    };
    for (op, expected) in [
        (LAUNCH_DMA_SEMAPHORE_REDUCTION_IMIN, 6),
        (LAUNCH_DMA_SEMAPHORE_REDUCTION_IMAX, 10),
        (LAUNCH_DMA_SEMAPHORE_REDUCTION_IXOR, 12),
        (LAUNCH_DMA_SEMAPHORE_REDUCTION_IAND, 2),
        (LAUNCH_DMA_SEMAPHORE_REDUCTION_IOR, 14),
        (LAUNCH_DMA_SEMAPHORE_REDUCTION_IADD, 16),
        (LAUNCH_DMA_SEMAPHORE_REDUCTION_INC, 0),
        (LAUNCH_DMA_SEMAPHORE_REDUCTION_DEC, 6),
    ] {
        let mut bench = Bench::new();
        bench.data.store_u32(0, 10);
        bench.execute(&[copy_class(), semaphore_at(DATA_VA, 6), launch(reduce(op))]);
        assert_eq!(bench.word(0), expected, "operation {op}");
    }
    let (code, report) = Bench::new().fault(&[
        copy_class(),
        semaphore_at(DATA_VA, 6),
        launch(reduce(LAUNCH_DMA_SEMAPHORE_REDUCTION_FADD)),
    ]);
    assert_eq!(code, 13);
    says(&report, &["SEMAPHORE_REDUCTION FADD"]);
    let (_, report) = Bench::new()
        .fault(&[copy_class(), launch(reduce(LAUNCH_DMA_SEMAPHORE_REDUCTION_IADD) & !ONE_WORD)]);
    says(&report, &["has no semaphore"]);
}

#[test]
fn interrupts() {
    let interrupt = |kind| PLAIN | LAUNCH_DMA_INTERRUPT_TYPE.set(kind);
    let mut bench = Bench::with(&[5]);
    bench.submit(&[
        copy_class(),
        line(DATA_VA, DATA_VA + 64, 64),
        launch(interrupt(LAUNCH_DMA_INTERRUPT_TYPE_NON_BLOCKING)),
    ]);
    bench.settle();
    assert_eq!(bench.gpu.take_events(), [Event::NonStallInterrupt { tsg: 5 }]);
    bench.submit(&[launch(interrupt(LAUNCH_DMA_INTERRUPT_TYPE_BLOCKING))]);
    bench.settle();
    assert!(matches!(&bench.gpu.take_events()[..], [Event::Notice { .. }]));
}

#[test]
fn what_the_engine_cannot_do_is_a_fault_that_names_the_field() {
    let set = |field: hw_defs::Field, value| (PLAIN & !field.mask()) | field.set(value);
    let cases = [
        (set(LAUNCH_DMA_SRC_MEMORY_LAYOUT, 0), "SRC_MEMORY_LAYOUT BLOCKLINEAR"),
        (set(LAUNCH_DMA_DST_MEMORY_LAYOUT, 0), "DST_MEMORY_LAYOUT BLOCKLINEAR"),
        (set(LAUNCH_DMA_REMAP_ENABLE, 1), "REMAP_ENABLE TRUE"),
        (set(LAUNCH_DMA_SRC_TYPE, 1), "SRC_TYPE PHYSICAL"),
        (set(LAUNCH_DMA_DST_TYPE, 1), "DST_TYPE PHYSICAL"),
        (set(LAUNCH_DMA_VPRMODE, 1), "VPRMODE VPR_VID2VID"),
        (set(LAUNCH_DMA_DATA_TRANSFER_TYPE, 3), "DATA_TRANSFER_TYPE 3"),
        (set(LAUNCH_DMA_INTERRUPT_TYPE, 3), "INTERRUPT_TYPE 3"),
        (set(LAUNCH_DMA_SEMAPHORE_TYPE, 3), "RELEASE_CONDITIONAL_INTR_SEMAPHORE"),
        (PLAIN | 1 << 24, "reserved bits 0x1000000"),
        (PLAIN | 1 << 20, "reserved bits 0x100000"),
    ];
    for (flags, part) in cases {
        let mut bench = Bench::new();
        let before = pattern(&bench);
        let (code, report) =
            bench.fault(&[copy_class(), line(DATA_VA, DATA_VA + 64, 64), launch(flags)]);
        assert_eq!(code, 13, "{report}");
        says(&report, &[part]);
        assert!(contents(&bench) == before, "{part}: nothing moves before an objection");
    }
    let others = [
        (send(4, SET_SRC_PHYS_MODE, &[0]), "SET_SRC_PHYS_MODE"),
        (send(4, SET_DST_PHYS_MODE, &[0]), "SET_DST_PHYS_MODE"),
        (send(4, SET_MONITORED_FENCE_TYPE, &[0]), "SET_MONITORED_FENCE_TYPE"),
        (send(4, SET_RENDER_ENABLE_C, &[SET_RENDER_ENABLE_C_MODE_FALSE]), "SET_RENDER_ENABLE_C"),
        (send(4, OFFSET_IN_UPPER, &[1 << 17]), "OFFSET_IN_UPPER was given 0x20000"),
        (vec![0x2001_8000 | 0x1000 >> 2, 0], "AMPERE_DMA_COPY_B has no method 0x1000"),
    ];
    for (words, part) in others {
        let (code, report) = Bench::new().fault(&[copy_class(), words]);
        assert_eq!(code, 13);
        says(&report, &[part]);
    }
    Bench::new()
        .execute(&[copy_class(), send(4, SET_RENDER_ENABLE_C, &[SET_RENDER_ENABLE_C_MODE_TRUE])]);
}

#[test]
fn bad_addresses_are_mmu_faults() {
    let end = DATA_VA + DATA_SIZE;
    let cases = [
        (line(0x1234, DATA_VA, 4), "the copy engine read 0x1234, which is not mapped"),
        (line(DATA_VA, CONST_VA + 8, 4), "wrote 0x3000000008, which is mapped read-only"),
        (line(DATA_VA, end, 4), "wrote 0x2000100000, which is not mapped"),
        (line(1 << 48, DATA_VA, 1), "read 0x1000000000000, which is not mapped"),
        (line(DATA_VA, end - 4, 8), "ends 0x1 bytes below"),
    ];
    for (words, part) in cases {
        let (code, report) = Bench::new().fault(&[copy_class(), words, launch(PLAIN)]);
        assert_eq!(code, 31);
        says(&report, &[part]);
    }
    let (code, report) =
        Bench::new().fault(&[copy_class(), semaphore_at(CONST_VA, 1), launch(ONE_WORD)]);
    assert_eq!(code, 31);
    says(&report, &["the copy engine's semaphore release wrote 0x3000000000"]);
    let (code, report) =
        Bench::new().fault(&[copy_class(), semaphore_at(DATA_VA + 8, 1), launch(FOUR_WORD)]);
    assert_eq!(code, 13);
    says(&report, &["16 bytes at 0x2000000008 is not aligned"]);
}

#[test]
fn a_copy_that_faults_half_way_has_done_the_first_half() {
    let mut bench = Bench::new();
    let expected = pattern(&bench);
    let len = 0x1000;
    let (_, report) = bench.fault(&[
        copy_class(),
        line(DATA_VA, DATA_VA + DATA_SIZE - len, 2 * len as u32),
        launch(PLAIN | ONE_WORD),
    ]);
    says(&report, &["the copy engine wrote 0x2000100000"]);
    let after = contents(&bench);
    assert!(after[(DATA_SIZE - len) as usize..] == expected[..len as usize]);
}
