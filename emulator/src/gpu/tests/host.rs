//! Ring, pushbuffers, headers and the host engine's own methods.

use super::*;

use c76f::*;

#[test]
fn a_release_travels_from_the_ring_to_memory() {
    let mut bench = Bench::new();
    bench.execute(&[release(DATA_VA + 0x40, 7)]);
    assert_eq!(bench.word(0x40), 7);
    assert_eq!(bench.lanes[0].userd.load_u32(userd::GP_GET), 1);
}

#[test]
fn nothing_happens_before_the_doorbell() {
    let mut bench = Bench::new();
    let words = release(DATA_VA, 1);
    let va = bench.place(&words);
    bench.enter_segment(0, va, words.len());
    bench.lanes[0].userd.store_u32(userd::GP_PUT, 1);
    assert_eq!(bench.gpu.step(BUDGET), Progress::Idle);
    assert_eq!(bench.word(0), 0);
    bench.ring(0);
    assert_eq!(bench.settle(), Progress::Idle);
    assert_eq!(bench.word(0), 1);
}

#[test]
fn entries_written_after_the_doorbell_wait_for_the_next_one() {
    let mut bench = Bench::new();
    bench.submit(&[release(DATA_VA, 1)]);
    let words = release(DATA_VA, 2);
    let va = bench.place(&words);
    bench.enter_segment(0, va, words.len());
    bench.lanes[0].userd.store_u32(userd::GP_PUT, 2);
    assert_eq!(bench.settle(), Progress::Idle);
    assert_eq!(bench.word(0), 1);
    bench.ring(0);
    bench.settle();
    assert_eq!(bench.word(0), 2);
}

#[test]
fn a_doorbell_for_nobody_is_not_answered() {
    assert!(!Bench::new().gpu.doorbell(17));
}

#[test]
fn an_empty_doorbell_is_harmless() {
    let mut bench = Bench::new();
    bench.ring(0);
    assert_eq!(bench.settle(), Progress::Idle);
    bench.execute(&[release(DATA_VA, 1)]);
    bench.ring(0);
    assert_eq!(bench.settle(), Progress::Idle);
    assert_eq!(bench.gpu.take_events(), []);
}

#[test]
fn the_ring_wraps_and_get_follows() {
    let mut bench = Bench::new();
    for i in 1..=3 * ENTRIES {
        bench.execute(&[release(DATA_VA, i)]);
        assert_eq!(bench.word(0), i);
        assert_eq!(bench.lanes[0].userd.load_u32(userd::GP_GET), i % ENTRIES);
    }
}

#[test]
fn only_get_and_the_reference_are_written_to_userd() {
    let mut bench = Bench::new();
    let userd = bench.lanes[0].userd.clone();
    for word in 0..userd::SIZE / 4 {
        userd.store_u32(word * 4, 0x5500 + word as u32);
    }
    bench.execute(&[send(0, SET_REFERENCE, &[0xabcd])]);
    for word in 0..userd::SIZE / 4 {
        let expected = match word * 4 {
            userd::GP_GET | userd::GP_PUT => 1,
            userd::REFERENCE => 0xabcd,
            _ => 0x5500 + word as u32,
        };
        assert_eq!(userd.load_u32(word * 4), expected, "word {word}");
    }
    assert_eq!(userd::REFERENCE, 18 * 4);
}

#[test]
fn put_beyond_the_ring_is_a_fault() {
    let mut bench = Bench::new();
    bench.lanes[0].userd.store_u32(userd::GP_PUT, ENTRIES);
    bench.gpu.doorbell(CHANNEL);
    let (code, report) = bench.settled_fault();
    assert_eq!(code, 32);
    says(&report, &["channel 511 of TSG 0", "GP_PUT is 8 in a ring of 8 entries"]);
}

#[test]
fn control_entries() {
    let nop = Entry::control(hw_defs::gpfifo::GP_ENTRY1_OPCODE_NOP, 0x1234, Sync::Wait);
    let mut bench = Bench::new();
    bench.enter(0, nop);
    bench.execute(&[release(DATA_VA, 1)]);
    assert_eq!(bench.word(0), 1);

    let crc = Entry::control(hw_defs::gpfifo::GP_ENTRY1_OPCODE_PB_CRC, 0, Sync::Proceed);
    for (entry, part) in [
        (crc, "PB_CRC"),
        (nop | 1 << 32, "ILLEGAL"),
        (1 << 40, "sets reserved bits 0x10000000000"),
        (9 << 32, "unknown opcode 0x9"),
    ] {
        let mut bench = Bench::new();
        bench.enter(0, entry);
        bench.ring(0);
        let (code, report) = bench.settled_fault();
        assert_eq!(code, 32);
        says(&report, &["ring entry 0", part]);
    }
}

#[test]
fn garbage_in_the_ring_is_a_fault() {
    for (bit, part) in
        [(0, "conditional fetch"), (1, "reserved bits 0x2"), (40, "reserved bits 0x10000000000")]
    {
        let mut bench = Bench::new();
        bench.enter(0, Entry::encode(PUSH_VA, 1, Level::Main, Sync::Proceed) | 1 << bit);
        bench.ring(0);
        let (code, report) = bench.settled_fault();
        assert_eq!(code, 32, "bit {bit}");
        says(&report, &["ring entry 0", part]);
    }
}

#[test]
fn levels_and_sync_change_nothing_about_the_order() {
    let mut bench = Bench::new();
    for (i, (level, sync)) in [
        (Level::Main, Sync::Proceed),
        (Level::Subroutine, Sync::Proceed),
        (Level::Main, Sync::Wait),
        (Level::Subroutine, Sync::Wait),
    ]
    .into_iter()
    .enumerate()
    {
        let add = SEM_EXECUTE_OPERATION_REDUCTION
            | SEM_EXECUTE_REDUCTION.set(SEM_EXECUTE_REDUCTION_IADD)
            | SEM_EXECUTE_REDUCTION_FORMAT.set(SEM_EXECUTE_REDUCTION_FORMAT_UNSIGNED);
        let words = [semaphore(DATA_VA, 1, add), release(DATA_VA + 4 + i as u64 * 4, i as u32 + 1)]
            .concat();
        let va = bench.place(&words);
        bench.enter(0, Entry::encode(va, words.len() as u32, level, sync));
    }
    bench.ring(0);
    assert_eq!(bench.settle(), Progress::Idle);
    assert_eq!([0, 4, 8, 12, 16].map(|at| bench.word(at)), [4, 1, 2, 3, 4]);
}

#[test]
fn a_segment_must_end_below_the_fetchers_limit() {
    // The address behind the last word must have 40 bits too.
    let last = hw_defs::gpfifo::VA_LIMIT - 4096;
    let words = [send(0, NOP, &[0]), vec![push::END_PB_SEGMENT]].concat();
    for (gap, works) in [(8, true), (4, true), (0, false)] {
        let mut bench = Bench::new();
        let memory = Memory::new("top", 8192).unwrap();
        bench.gpu.map(bench.space, last, memory.clone(), 0, 8192, Access::ReadOnly);
        let offset = 4096 - gap - words.len() as u64 * 4;
        for (i, word) in words.iter().enumerate() {
            memory.store_u32(offset + i as u64 * 4, *word);
        }
        bench.enter_segment(0, last + offset, words.len());
        bench.ring(0);
        if works {
            assert_eq!(bench.settle(), Progress::Idle);
            assert_eq!(bench.gpu.take_events(), []);
        } else {
            let (code, report) = bench.settled_fault();
            assert_eq!(code, 32);
            says(&report, &["does not end below 0x10000000000"]);
        }
    }
}

#[test]
fn unmapped_ring_and_pushbuffer_are_mmu_faults() {
    let mut bench = Bench::new();
    bench.gpu.unmap(bench.space, RING_VA);
    let (code, report) = bench.fault(&[release(DATA_VA, 1)]);
    assert_eq!(code, 31);
    says(&report, &["the fetch of a ring entry read 0xff00000000", "not mapped"]);

    let mut bench = Bench::new();
    bench.enter_segment(0, PUSH_VA + (1 << 20) - 4, 2);
    bench.ring(0);
    let (code, report) = bench.settled_fault();
    assert_eq!(code, 31);
    says(&report, &["the fetch of a pushbuffer read 0x1000100000", "ends 0x1 bytes below"]);
}

#[test]
fn every_kind_of_header() {
    let mut bench = Bench::new();
    let [hi, lo] = halves(DATA_VA + 0x10);
    // ONE_INC: the first word to one method, all others to the next; the last one counts.
    bench.execute(&[
        vec![push::one_inc(0, SEM_ADDR_LO, 3), lo, 0x77, hi],
        vec![push::non_inc(0, SEM_PAYLOAD_LO, 3), 1, 2, 3],
        vec![push::immd(0, SEM_EXECUTE, SEM_EXECUTE_OPERATION_RELEASE)],
    ]);
    assert_eq!(bench.word(0x10), 3);

    for (word, part) in [
        (0, "SEC_OP has no value 0"),
        (push::inc(0, NOP, 1) | 1 << 12, "reserved bits 0x1000"),
        (push::inc(0, NOP, 1) & !(1 << 16), "announces no data"),
        (push::END_PB_SEGMENT | 1, "reserved bits 0x1"),
    ] {
        let (code, report) = Bench::new().fault(&[vec![word]]);
        assert_eq!(code, 32);
        says(&report, &["no method header", part, "word 0 of 1 of the pushbuffer"]);
    }
}

#[test]
fn the_rest_of_a_segment_may_be_skipped() {
    let mut bench = Bench::new();
    bench.execute(&[release(DATA_VA, 1), vec![push::END_PB_SEGMENT, 0xdead_beef]]);
    bench.execute(&[release(DATA_VA + 4, 2)]);
    assert_eq!([bench.word(0), bench.word(4)], [1, 2]);
}

#[test]
fn data_may_lie_in_another_segment_than_its_header() {
    let mut bench = Bench::new();
    let words = release(DATA_VA, 9);
    let (first, second) = words.split_at(1);
    let (second, third) = second.split_at(2);
    for part in [first, second, third] {
        let va = bench.place(part);
        bench.enter_segment(0, va, part.len());
    }
    bench.ring(0);
    assert_eq!(bench.settle(), Progress::Idle);
    assert_eq!(bench.word(0), 9);
    // And the next one may come with a doorbell of its own.
    bench.execute(&[first.to_vec()]);
    bench.execute(&[second.to_vec()]);
    bench.execute(&[third.to_vec()]);
}

#[test]
fn methods_that_change_nothing() {
    let membar = MEM_OP_D_OPERATION.set(MEM_OP_D_OPERATION_MEMBAR);
    let mut bench = Bench::new();
    bench.execute(&[
        send(0, NOP, &[0xffff_ffff]),
        send(3, WFI, &[WFI_SCOPE_CURRENT_VEID]),
        send(0, WFI, &[WFI_SCOPE_ALL]),
        send(0, FB_FLUSH, &[0]),
        send(0, YIELD, &[YIELD_OP_NOP]),
        send(0, YIELD, &[YIELD_OP_TSG]),
        send(0, MEM_OP_A, &[0, 0, MEM_OP_C_MEMBAR_TYPE_SYS_MEMBAR, membar]),
        send(0, MEM_OP_A, &[0, 0, MEM_OP_C_MEMBAR_TYPE_MEMBAR, membar]),
        release(DATA_VA, 1),
    ]);
    assert_eq!(bench.word(0), 1);
}

#[test]
fn methods_that_a_program_may_not_send() {
    let operation = |value| MEM_OP_D_OPERATION.set(value);
    let cases = [
        (send(0, ILLEGAL, &[0]), "ILLEGAL was sent"),
        (send(0, CLEAR_FAULTED, &[0]), "CLEAR_FAULTED was sent"),
        (
            send(0, MEM_OP_A, &[0, 0, 0, operation(MEM_OP_D_OPERATION_MMU_TLB_INVALIDATE)]),
            "MMU_TLB_INVALIDATE) needs a privileged channel",
        ),
        (
            send(0, MEM_OP_A, &[0, 0, 0, operation(MEM_OP_D_OPERATION_L2_FLUSH_DIRTY)]),
            "L2_FLUSH_DIRTY) needs a privileged channel",
        ),
        (send(0, MEM_OP_A, &[0, 1, 0, operation(MEM_OP_D_OPERATION_MEMBAR)]), "MEM_OP membar"),
        (send(0, MEM_OP_A, &[0, 0, 2, operation(MEM_OP_D_OPERATION_MEMBAR)]), "MEM_OP membar"),
        (send(0, WFI, &[2]), "WFI was given 0x2, which sets reserved bits 0x2"),
        (send(0, SEM_ADDR_LO, &[1]), "SEM_ADDR_LO was given 0x1, which sets reserved bits 0x1"),
        (vec![0x2001_0015, 0], "AMPERE_CHANNEL_GPFIFO_B has no method 0x0054"),
        (vec![0x2001_a040, 0], "subchannel 5 is for software"),
    ];
    for (words, part) in cases {
        let (code, report) = Bench::new().fault(&[words]);
        assert_eq!(code, 32, "{report}");
        says(&report, &[part]);
    }
}

#[test]
fn the_old_semaphores_do_nothing_and_say_so_once() {
    let mut bench = Bench::new();
    let [hi, lo] = halves(DATA_VA);
    let release = SEMAPHORED_OPERATION_RELEASE | SEMAPHORED_RELEASE_SIZE.mask();
    bench.submit(&[send(0, SEMAPHOREA, &[hi, lo, 5, release])]);
    bench.submit(&[send(0, SEMAPHOREA, &[hi, lo, 5, release])]);
    assert_eq!(bench.settle(), Progress::Idle);
    assert_eq!(bench.word(0), 0);
    match &bench.gpu.take_events()[..] {
        [Event::Notice { channel: CHANNEL, text }] => says(text, &["SEMAPHOREA does nothing"]),
        other => panic!("one notice was expected: {other:?}"),
    }
}

#[test]
fn an_interrupt_names_its_tsg() {
    let mut bench = Bench::with(&[3]);
    bench.submit(&[send(0, NON_STALL_INTERRUPT, &[0])]);
    bench.settle();
    assert_eq!(bench.gpu.take_events(), [Event::NonStallInterrupt { tsg: 3 }]);
    assert_eq!(bench.gpu.take_events(), []);
}

#[test]
fn classes_belong_on_their_subchannels_and_need_a_context() {
    let mut bench = Bench::new();
    bench.execute(&[copy_class(), compute_class(), copy_class()]);

    let (copy, compute) = (c7b5::AMPERE_DMA_COPY_B, c7c0::AMPERE_COMPUTE_B);
    for (subchannel, class) in [(0, compute), (4, compute), (1, copy), (0, copy)] {
        let (code, report) = Bench::new().fault(&[send(subchannel, SET_OBJECT, &[class])]);
        assert_eq!(code, 13);
        says(&report, &["CLASS_SUBCH_MISMATCH", &format!("on subchannel {subchannel}")]);
    }
    let (code, report) = Bench::new().fault(&[send(1, SET_OBJECT, &[0xcbc0])]);
    assert_eq!(code, 13);
    says(&report, &["0xcbc0", "ALLOC_OBJ_CTX"]);

    let mut bench = Bench::new();
    bench.gpu.allow_class(CHANNEL, 0xc797);
    let (code, report) = bench.fault(&[send(0, SET_OBJECT, &[0xc797])]);
    assert_eq!(code, 13);
    says(&report, &["0xc797", "no such engine"]);

    let (code, report) = Bench::new().fault(&[send(1, SET_OBJECT, &[0x1f_0000 | compute])]);
    assert_eq!(code, 32);
    says(&report, &["engine 0x1f"]);
}

#[test]
fn engine_methods_need_a_class() {
    for subchannel in 0..5 {
        let words = vec![push::inc(subchannel, c7c0::NO_OPERATION, 1), 0];
        let (code, report) = Bench::new().fault(&[words]);
        assert_eq!(code, 13);
        says(&report, &["method 0x0100", &format!("subchannel {subchannel}"), "SET_OBJECT"]);
    }
}

/// A channel that waits, and then what lies ahead of it is changed.
fn waiting() -> Bench {
    let mut bench = Bench::new();
    bench.submit(&[acquire(DATA_VA, 1), release(DATA_VA + 4, 1)]);
    assert_eq!(bench.settle(), Progress::Blocked);
    bench
}

#[test]
fn the_rest_of_a_segment_may_not_change_while_the_channel_waits() {
    let mut bench = waiting();
    bench.replace(PUSH_VA + 9 * 4, &[2]);
    bench.data.store_u32(0, 1);
    let (code, report) = bench.settled_fault();
    assert_eq!(code, 32);
    says(&report, &["pushbuffer word at 0x1000000024 changed from 0x1 to 0x2"]);
    assert_eq!(bench.word(4), 0);
}

#[test]
fn what_has_been_executed_may_change() {
    let mut bench = waiting();
    bench.replace(PUSH_VA, &[0; 6]);
    bench.data.store_u32(0, 1);
    assert_eq!(bench.settle(), Progress::Idle);
    assert_eq!(bench.word(4), 1);
}

#[test]
fn a_segment_may_not_change_between_doorbell_and_fetch() {
    let mut bench = waiting();
    let va = bench.submit(&[release(DATA_VA + 8, 1)]);
    assert_eq!(bench.settle(), Progress::Blocked);
    bench.replace(va + 12, &[2]);
    bench.data.store_u32(0, 1);
    let (code, report) = bench.settled_fault();
    assert_eq!(code, 32);
    says(&report, &["pushbuffer of 6 words", "overwritten after the doorbell"]);
    assert_eq!([bench.word(4), bench.word(8)], [1, 0]);
}

#[test]
fn a_ring_entry_may_not_change_before_it_is_taken() {
    let mut bench = waiting();
    let va = bench.submit(&[release(DATA_VA + 8, 1)]);
    assert_eq!(bench.settle(), Progress::Blocked);
    bench.lanes[0].ring.store_u64(8, Entry::encode(va, 1, Level::Main, Sync::Proceed));
    bench.data.store_u32(0, 1);
    let (code, report) = bench.settled_fault();
    assert_eq!(code, 32);
    says(&report, &["ring entry 1 changed"]);
}

#[test]
fn sync_lets_the_gpu_rewrite_what_follows() {
    let mut bench = waiting();
    let words = release(DATA_VA + 8, 1);
    let va = bench.place(&words);
    bench.enter(0, Entry::encode(va, words.len() as u32, Level::Main, Sync::Wait));
    bench.enter_segment(0, va, words.len());
    bench.ring(0);
    assert_eq!(bench.settle(), Progress::Blocked);
    bench.replace(va + 12, &[5]);
    bench.data.store_u32(0, 1);
    assert_eq!(bench.settle(), Progress::Idle);
    assert_eq!(bench.gpu.take_events(), []);
    assert_eq!(bench.word(8), 5);
    // The permission ends with the entries that it was for.
    bench.submit(&[acquire(DATA_VA, 2)]);
    let va = bench.submit(&[release(DATA_VA + 8, 1)]);
    assert_eq!(bench.settle(), Progress::Blocked);
    bench.replace(va + 12, &[6]);
    bench.data.store_u32(0, 2);
    assert_eq!(bench.settled_fault().0, 32);
}
