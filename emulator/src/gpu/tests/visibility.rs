//! Who sees which store when: one rule each.

use hw_defs::qmd::v03_00::*;

use super::copy::{NON_PIPELINED, ONE_WORD, PITCH, launch, line, semaphore_at};
use super::stage::*;
use super::*;

use c7c0::*;

const WAITING: u32 = c76f::SEM_EXECUTE_OPERATION_RELEASE | c76f::SEM_EXECUTE_RELEASE_WFI.mask();
/// A word that kernels store, and one that says that they have.
const WORD_AT: u64 = 0x100;
const FLAG: u64 = 0x200;
/// One that says that a copy has ended.
const COPIED: u64 = 0x280;

fn stage() -> Stage {
    let mut stage = Stage::ready(&[0]);
    stage.bench.gpu.model_caches();
    stage
}

/// A launch of one thread that stores 7 at WORD_AT, with this membar at its end.
fn writer(stage: &mut Stage, membar: u32) -> u64 {
    let entry = stage.load(WORD, "write_word");
    let [lo, hi] = at(WORD_AT);
    let qmd = stage.qmd(entry, &[lo, hi, 7]);
    stage.patch(qmd, CWD_MEMBAR_TYPE, membar);
    qmd
}

/// A launch of one thread that copies the word at `from` to 0.
fn reader(stage: &mut Stage, from: u64) -> u64 {
    let entry = stage.load(WORD, "copy_word");
    let ([lo, hi], [from_lo, from_hi]) = (at(0), at(from));
    stage.qmd(entry, &[lo, hi, from_lo, from_hi])
}

#[test]
fn the_cpu_sees_a_store_after_a_system_membar() {
    for (membar, sees) in [
        (CWD_MEMBAR_TYPE_L1_NONE, 0),
        (CWD_MEMBAR_TYPE_L1_MEMBAR, 0),
        (CWD_MEMBAR_TYPE_L1_SYSMEMBAR, 7),
    ] {
        let mut stage = stage();
        let qmd = writer(&mut stage, membar);
        stage.release(qmd, FLAG, 1);
        stage.bench.execute(&[pcas(qmd)]);
        assert_eq!([stage.bench.word(FLAG), stage.bench.word(WORD_AT)], [1, sees], "{membar}");
    }
}

#[test]
fn the_cpu_sees_a_store_after_what_waits_for_idle_and_writes() {
    let report = |flags: u32| {
        let [hi, lo] = halves(DATA_VA + FLAG);
        let one = REPORT_SEMAPHORE_EXECUTE_STRUCTURE_SIZE
            .set(REPORT_SEMAPHORE_EXECUTE_STRUCTURE_SIZE_SEMAPHORE_ONE_WORD);
        send(1, SET_REPORT_SEMAPHORE_PAYLOAD_LOWER, &[1, 0, lo, hi, one | flags])
    };
    let membar = [
        send(0, c76f::MEM_OP_A, &[0, 0]),
        send(0, c76f::MEM_OP_C, &[0, c76f::MEM_OP_D_OPERATION_MEMBAR << 27]),
    ];
    for (i, (parts, sees)) in [
        (vec![semaphore(DATA_VA + FLAG, 1, WAITING)], 7),
        (vec![send(0, c76f::SET_REFERENCE, &[1])], 7),
        (vec![report(0)], 7),
        // Waiting alone brings nothing anywhere, and a membar of the host's is about its own stores.
        (vec![wfi(), release(DATA_VA + FLAG, 1)], 0),
        (vec![send(1, WAIT_FOR_IDLE, &[0]), release(DATA_VA + FLAG, 1)], 0),
        (vec![wfi(), membar.concat()], 0),
        (vec![wfi(), report(REPORT_SEMAPHORE_EXECUTE_FLUSH_DISABLE.mask())], 0),
    ]
    .into_iter()
    .enumerate()
    {
        let mut stage = stage();
        let qmd = writer(&mut stage, CWD_MEMBAR_TYPE_L1_NONE);
        stage.bench.execute(&[pcas(qmd), parts.concat()]);
        assert_eq!(stage.bench.word(WORD_AT), sees, "case {i}");
    }
}

#[test]
fn other_engines_see_a_store_after_a_membar_of_the_gpu() {
    for (membar, sees) in [
        (CWD_MEMBAR_TYPE_L1_NONE, 0),
        (CWD_MEMBAR_TYPE_L1_MEMBAR, 7),
        (CWD_MEMBAR_TYPE_L1_SYSMEMBAR, 7),
    ] {
        let mut stage = stage();
        let qmd = writer(&mut stage, membar);
        let copy = line(DATA_VA + WORD_AT, DATA_VA, 4);
        let copied = [copy_class(), copy, launch(PITCH | NON_PIPELINED | flush(SYS))].concat();
        stage.bench.execute(&[pcas(qmd), wfi(), copied]);
        assert_eq!(stage.bench.word(0), sees, "{membar}");
        // The host engine waits for the word itself.
        let mut stage = self::stage();
        let qmd = writer(&mut stage, membar);
        stage.bench.submit(&[pcas(qmd), acquire(DATA_VA + WORD_AT, 7)]);
        let waits = if sees == 7 { Progress::Idle } else { Progress::Blocked };
        assert_eq!(stage.bench.settle(), waits, "{membar}");
    }
}

#[test]
fn other_multiprocessors_see_a_store_after_a_membar_of_the_gpu() {
    for (membar, sees) in [(CWD_MEMBAR_TYPE_L1_NONE, 1), (CWD_MEMBAR_TYPE_L1_MEMBAR, 6)] {
        let mut stage = stage();
        let entry = stage.load(VECTOR, "fill");
        let [lo, hi] = at(0x1000);
        // Block 1 of the first launch stores what block 0 of the second reads.
        let write = stage.qmd(entry, &[lo, hi, 5, 2]);
        stage.geometry(write, 2, 1);
        stage.patch(write, CWD_MEMBAR_TYPE, membar);
        let entry = stage.load(VECTOR, "add_one");
        let ([out, _], [from, _]) = (at(0), at(0x1004));
        let read = stage.qmd(entry, &[out, hi, from, hi, 1]);
        stage.follow(write, read, DEPENDENT_QMD0_ACTION_QMD_SCHEDULE);
        stage.bench.execute(&[pcas(write)]);
        assert_eq!(stage.bench.word(0), sees, "{membar}");
    }
}

#[test]
fn a_multiprocessor_sees_its_own_stores() {
    let mut stage = stage();
    let write = writer(&mut stage, CWD_MEMBAR_TYPE_L1_NONE);
    let read = reader(&mut stage, WORD_AT);
    stage.follow(write, read, DEPENDENT_QMD0_ACTION_QMD_SCHEDULE);
    stage.bench.execute(&[pcas(write)]);
    assert_eq!(stage.bench.word(0), 7);
}

const SYS: u32 = c7b5::LAUNCH_DMA_FLUSH_TYPE_SYS;

fn flush(kind: u32) -> u32 {
    c7b5::LAUNCH_DMA_FLUSH_ENABLE.mask() | c7b5::LAUNCH_DMA_FLUSH_TYPE.set(kind)
}

#[test]
fn a_copy_is_seen_after_a_flush() {
    let copy = |flags: u32, after: &[Vec<u32>]| {
        let mut bench = Bench::new();
        bench.gpu.model_caches();
        bench.data.store_u32(0, 7);
        let line = line(DATA_VA, DATA_VA + 0x100, 4);
        let parts = [copy_class(), line, launch(PITCH | NON_PIPELINED | flags), after.concat()];
        bench.submit(&parts);
        bench.settle();
        bench.word(0x100)
    };
    assert_eq!(copy(0, &[]), 0);
    assert_eq!(copy(flush(c7b5::LAUNCH_DMA_FLUSH_TYPE_GL), &[]), 0);
    assert_eq!(copy(flush(SYS), &[]), 7);
    assert_eq!(copy(0, &[release(DATA_VA + FLAG, 1)]), 0);
    assert_eq!(copy(0, &[semaphore(DATA_VA + FLAG, 1, WAITING)]), 7);
    // A later one with a flush speaks for those before it, and finds what they copied.
    let onward = [line(DATA_VA + 0x100, DATA_VA + 0x104, 4), launch(PITCH | NON_PIPELINED)];
    assert_eq!(copy(0, &[onward.concat(), launch(flush(SYS))]), 7);
}

#[test]
fn a_line_stays_until_it_is_invalidated() {
    let invalidates: [(&[Vec<u32>], u32, u32); 5] = [
        (&[], 0, 5),
        (&[], 1, 6),
        (&[send(1, INVALIDATE_SHADER_CACHES_NO_WFI, &[1 << 4])], 0, 6),
        (&[send(1, INVALIDATE_SHADER_CACHES, &[1 << 4])], 0, 6),
        // Code and constants are other caches.
        (&[send(1, INVALIDATE_SHADER_CACHES_NO_WFI, &[0x1001])], 0, 5),
    ];
    for (i, (methods, in_descriptor, sees)) in invalidates.into_iter().enumerate() {
        let mut stage = stage();
        let qmd = reader(&mut stage, WORD_AT);
        stage.patch(qmd, INVALIDATE_SHADER_DATA_CACHE, in_descriptor);
        stage.bench.data.store_u32(WORD_AT, 5);
        stage.bench.execute(&[pcas(qmd)]);
        stage.bench.data.store_u32(WORD_AT, 6);
        stage.bench.execute(&[methods.concat(), wfi(), pcas(qmd)]);
        assert_eq!(stage.bench.word(0), sees, "case {i}");
    }
}

#[test]
fn a_load_past_the_cache_finds_what_is_there() {
    let mut stage = stage();
    let entry = stage.load(MEMORY, "read_both");
    let ([lo, hi], [word, word_hi]) = (at(0), at(WORD_AT));
    let qmd = stage.qmd(entry, &[lo, hi, word, word_hi]);
    stage.patch(qmd, INVALIDATE_SHADER_DATA_CACHE, 0);
    let cached = reader(&mut stage, WORD_AT);
    stage.bench.data.store_u32(WORD_AT, 5);
    stage.bench.execute(&[pcas(cached)]);
    stage.bench.data.store_u32(WORD_AT, 6);
    stage.bench.execute(&[pcas(qmd)]);
    assert_eq!([stage.bench.word(0), stage.bench.word(4)], [5, 6]);
    // What it passed by is no longer in the cache.
    stage.patch(cached, INVALIDATE_SHADER_DATA_CACHE, 0);
    stage.bench.execute(&[wfi(), pcas(cached)]);
    assert_eq!(stage.bench.word(0), 6);
}

#[test]
fn each_multiprocessor_has_a_cache_of_its_own() {
    let mut stage = stage();
    let entry = stage.load(VECTOR, "add_one");
    let ([lo, hi], [from, from_hi]) = (at(0), at(0x1000));
    // Blocks of one thread: each reads a word of its own, on a multiprocessor of its own.
    let qmd = stage.qmd(entry, &[lo, hi, from, from_hi, 4]);
    stage.geometry(qmd, 4, 1);
    stage.patch(qmd, INVALIDATE_SHADER_DATA_CACHE, 0);
    stage.bench.execute(&[pcas(qmd)]);
    for i in 0..4 {
        stage.bench.data.store_u32(0x1000 + i * 4, 10);
    }
    // One block reads all four words, but only its own multiprocessor is stale.
    stage.geometry(qmd, 1, 4);
    stage.bench.execute(&[wfi(), pcas(qmd)]);
    assert_eq!([0, 1, 2, 3].map(|i| stage.bench.word(i * 4)), [1; 4], "the same sector");
    stage.geometry(qmd, 4, 1);
    stage.argument(qmd, 2, (DATA_VA + 0x1000 - 4) as u32);
    stage.argument(qmd, 4, 5);
    stage.bench.execute(&[wfi(), pcas(qmd)]);
    assert_eq!([1, 2, 3].map(|i| stage.bench.word(i * 4)), [1; 3], "everybody has that sector");
}

#[test]
fn a_store_changes_the_line_of_its_own_multiprocessor_only() {
    let mut stage = stage();
    let entry = stage.load(WORD, "increment");
    let own = stage.qmd(entry, &at(WORD_AT));
    stage.patch(own, INVALIDATE_SHADER_DATA_CACHE, 0);
    stage.bench.execute(&[pcas(own), wfi(), pcas(own), wfi(), pcas(own)]);
    assert_eq!(stage.bench.word(WORD_AT), 3);
}

#[test]
fn constants_stay_until_they_are_invalidated() {
    // Methods sent in between, fields of the second launch, and what it sees.
    type Case<'a> = (&'a [Vec<u32>], &'a [(hw_defs::qmd::QmdField, u32)], u32);
    let cases: [Case<'_>; 6] = [
        (&[], &[], 5),
        (&[], &[(CONSTANT_BUFFER_INVALIDATE(0), 1)], 6),
        (&[], &[(INVALIDATE_SHADER_CONSTANT_CACHE, 1)], 6),
        (&[send(1, INVALIDATE_SHADER_CACHES_NO_WFI, &[1 << 12])], &[], 6),
        (&[send(1, INVALIDATE_SHADER_CACHES, &[1 << 12])], &[], 6),
        (&[send(1, INVALIDATE_SHADER_CACHES_NO_WFI, &[0x11])], &[], 5),
    ];
    for (i, (methods, fields, sees)) in cases.into_iter().enumerate() {
        let mut stage = stage();
        let entry = stage.load(WORD, "write_word");
        let [lo, hi] = at(0);
        let qmd = stage.qmd(entry, &[lo, hi, 5]);
        stage.patch(qmd, CONSTANT_BUFFER_INVALIDATE(0), 0);
        stage.bench.execute(&[pcas(qmd)]);
        stage.argument(qmd, 2, 6);
        for (field, value) in fields {
            stage.patch(qmd, *field, *value);
        }
        stage.bench.execute(&[methods.concat(), wfi(), pcas(qmd)]);
        assert_eq!(stage.bench.word(0), sees, "case {i}");
    }
}

#[test]
fn fences_of_a_kernel_reach_as_far_as_they_say() {
    for (fence, sees) in [(0, 0), (1, 0), (2, 0), (3, 7)] {
        let mut stage = stage();
        let entry = stage.load(MEMORY, "publish");
        let ([word, hi], [flag, _], [stop, _]) = (at(WORD_AT), at(FLAG), at(0x300));
        let qmd = stage.qmd(entry, &[word, hi, flag, hi, stop, hi, fence]);
        stage.bench.submit(&[pcas(qmd)]);
        while stage.bench.word(FLAG) == 0 {
            assert_eq!(stage.bench.gpu.step(100), Progress::Worked);
        }
        assert_eq!(stage.bench.word(WORD_AT), sees, "fence {fence}");
        // What engines other than the CPU see in the middle of the kernel.
        stage.bench.submit(&[
            copy_class(),
            semaphore_at(DATA_VA + COPIED, 1),
            line(DATA_VA + WORD_AT, DATA_VA, 4),
            launch(PITCH | NON_PIPELINED | ONE_WORD | flush(SYS)),
        ]);
        while stage.bench.word(COPIED) == 0 {
            assert_eq!(stage.bench.gpu.step(10), Progress::Worked);
        }
        assert_eq!(stage.bench.word(0), if fence >= 2 { 7 } else { 0 }, "fence {fence}");
        stage.bench.data.store_u32(0x300, 1);
        assert_eq!(stage.bench.settle(), Progress::Idle);
        assert_eq!(stage.bench.word(WORD_AT), 7);
    }
}

#[test]
fn the_last_block_needs_a_fence() {
    for (fence, right) in [(0, false), (1, true)] {
        let mut stage = stage();
        let entry = stage.load(MEMORY, "sum_blocks");
        let ([sum, hi], [parts, _], [done, _]) = (at(0), at(0x1000), at(0x40));
        let qmd = stage.qmd(entry, &[sum, hi, parts, hi, done, hi, fence]);
        stage.geometry(qmd, 16, 1);
        stage.bench.execute(&[pcas(qmd)]);
        assert_eq!(stage.bench.word(0) == 136, right, "{}", stage.bench.word(0));
    }
}

#[test]
fn atomics_are_seen_at_once() {
    let mut stage = stage();
    let entry = stage.load(MEMORY, "count");
    let [lo, hi] = at(0);
    let qmd = stage.qmd(entry, &[lo, hi, 1]);
    stage.geometry(qmd, 20, 40);
    stage.patch(qmd, CWD_MEMBAR_TYPE, CWD_MEMBAR_TYPE_L1_NONE);
    stage.bench.execute(&[pcas(qmd)]);
    assert_eq!(stage.bench.word(0), 800);
}

#[test]
fn kernels_compute_the_same_with_caches() {
    for seed in 0..10 {
        let mut stage = stage();
        stage.bench.gpu.shake(seed);
        let entry = stage.load(WORD, "count_threads");
        let qmd = stage.qmd(entry, &at(0));
        stage.geometry(qmd, 7, 33);
        stage.bench.execute(&[pcas(qmd)]);
        assert_eq!(stage.bench.data.load_u64(0), 7 * 33);
    }
}
