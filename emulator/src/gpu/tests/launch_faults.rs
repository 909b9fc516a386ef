//! Launches that must not be, and kernels that do what they must not.

use hw_defs::qmd::QmdField;
use hw_defs::qmd::v03_00::*;

use super::stage::*;
use super::*;

#[test]
fn a_kernel_needs_windows_and_local_memory() {
    let ask = |setup: &[Vec<u32>], local: u32| {
        let mut stage = Stage::new();
        let entry = stage.load(WORD, "increment");
        let qmd = stage.qmd(entry, &at(0));
        stage.patch(qmd, SHADER_LOCAL_MEMORY_HIGH_SIZE, local);
        stage.bench.submit(&[compute_class(), setup.concat(), pcas(qmd)]);
        assert_eq!(stage.bench.settle(), Progress::Idle);
        match &stage.bench.gpu.take_events()[..] {
            [] => None,
            [Event::Fault { cause, report, .. }] => Some((cause.code(), report.clone())),
            other => panic!("one fault was expected: {other:?}"),
        }
    };
    let shared_only = windows()[..3].to_vec();
    let local_only = windows()[3..].to_vec();
    let need = 0x400 * 32 * 96;
    for (setup, local, code, part) in [
        (vec![], 0, 13, "SET_SHADER_SHARED_MEMORY_WINDOW_A"),
        (vec![local_only], 0, 13, "SET_SHADER_SHARED_MEMORY_WINDOW_A"),
        (vec![shared_only], 0, 13, "SET_SHADER_LOCAL_MEMORY_WINDOW_A"),
        (vec![windows()], 0x400, 13, "0x400 bytes per thread"),
        (vec![windows(), local_memory(need - 1)], 0x400, 13, "gave 0x2fffff"),
        (vec![windows(), local_memory(LOCAL_PER_TPC + 1)], 0x400, 31, "local memory wrote 0x50"),
    ] {
        let (found, report) = ask(&setup, local).expect(part);
        assert_eq!(found, code, "{report}");
        says(&report, &[part]);
    }
    assert_eq!(ask(&[windows(), local_memory(need)], 0x400), None);
}

#[test]
fn a_descriptor_out_of_order_is_a_fault_that_names_the_field() {
    let cases: &[(QmdField, u32, &str)] = &[
        (QMD_MAJOR_VERSION, 2, "QMD_MAJOR_VERSION is 0x2"),
        (QMD_VERSION, 1, "QMD_VERSION is 0x1"),
        (QMD_RESERVED04A, 1, "reserved bits 0x400"),
        (QMD_RESERVED17B, 1, "word 17 sets reserved bits"),
        (SASS_VERSION, 0x90, "SASS_VERSION is 0x90"),
        (CTA_RASTER_WIDTH, 0, "CTA_RASTER_WIDTH is 0x0"),
        (CTA_RASTER_WIDTH, 0x8000_0000, "CTA_RASTER_WIDTH is 0x80000000"),
        (CTA_RASTER_HEIGHT, 0, "CTA_RASTER_HEIGHT"),
        (CTA_RASTER_DEPTH, 0, "CTA_RASTER_DEPTH"),
        (CTA_THREAD_DIMENSION0, 0, "CTA_THREAD_DIMENSION0"),
        (CTA_THREAD_DIMENSION0, 1025, "CTA_THREAD_DIMENSION0 is 0x401"),
        (CTA_THREAD_DIMENSION1, 1025, "CTA_THREAD_DIMENSION1"),
        (CTA_THREAD_DIMENSION2, 65, "CTA_THREAD_DIMENSION2"),
        (REGISTER_COUNT_V, 0, "REGISTER_COUNT_V"),
        (REGISTER_COUNT_V, 256, "REGISTER_COUNT_V is 0x100"),
        (BARRIER_COUNT, 17, "BARRIER_COUNT is 0x11"),
        (SHARED_MEMORY_SIZE, 0, "SHARED_MEMORY_SIZE is 0x0: the system needs 1024"),
        (SHARED_MEMORY_SIZE, 1025, "pieces of 128"),
        (SHARED_MEMORY_SIZE, 8192 + 128, "MIN_SM_CONFIG_SHARED_MEM_SIZE leaves room for 0x2000"),
        (MIN_SM_CONFIG_SHARED_MEM_SIZE, 0, "MIN_SM_CONFIG_SHARED_MEM_SIZE is 0x0"),
        (TARGET_SM_CONFIG_SHARED_MEM_SIZE, 0, "TARGET_SM_CONFIG_SHARED_MEM_SIZE is 0x0"),
        (MAX_SM_CONFIG_SHARED_MEM_SIZE, 0, "MAX_SM_CONFIG_SHARED_MEM_SIZE is 0x0"),
        (MAX_SM_CONFIG_SHARED_MEM_SIZE, 43, "168 KiB is none of the carve-outs"),
        (MIN_SM_CONFIG_SHARED_MEM_SIZE, 9, "not in order: 32, 8, 164 KiB"),
        (PROGRAM_ADDRESS_LOWER, 0x40, "PROGRAM_ADDRESS 0x4000000040"),
        (CWD_MEMBAR_TYPE, 2, "CWD_MEMBAR_TYPE"),
        (CONSTANT_BUFFER_SIZE_SHIFTED4(0), 0, "CONSTANT_BUFFER_SIZE_SHIFTED4(0)"),
        (CONSTANT_BUFFER_SIZE_SHIFTED4(0), 4097, "CONSTANT_BUFFER_SIZE_SHIFTED4(0) is 0x1001"),
        (CONSTANT_BUFFER_VALID(5), 1, "CONSTANT_BUFFER_SIZE_SHIFTED4(5)"),
        (IS_QUEUE, 1, "IS_QUEUE"),
        (CWD_REFERENCE_COUNT_INCR_ENABLE, 1, "CWD_REFERENCE_COUNT_INCR_ENABLE"),
        (DEPENDENT_QMD1_ENABLE, 1, "DEPENDENT_QMD1_ENABLE"),
    ];
    for (field, value, part) in cases {
        let mut stage = Stage::ready(&[0]);
        let entry = stage.load(WORD, "increment");
        let qmd = stage.qmd(entry, &at(0));
        stage.patch(qmd, *field, *value);
        let (code, report) = stage.bench.fault(&[pcas(qmd)]);
        assert_eq!(code, 13, "{report}");
        says(&report, &[part, &format!("the QMD at {qmd:#x}: ")]);
        assert_eq!(stage.bench.word(0), 0);
    }
}

#[test]
fn fields_are_checked_against_each_other() {
    type Fields<'a> = &'a [(QmdField, u32)];
    let cases: &[(Fields, u32, &str)] = &[
        (&[(CTA_THREAD_DIMENSION0, 512), (CTA_THREAD_DIMENSION1, 3)], 13, "1536 threads"),
        (&[(CTA_THREAD_DIMENSION0, 1024), (REGISTER_COUNT_V, 65)], 13, "room for 28 warps"),
        (&[(RELEASE0_ENABLE, 1), (RELEASE0_ADDRESS_LOWER, 8)], 13, "RELEASE0: a semaphore of 16"),
        (&[(RELEASE1_ENABLE, 1), (RELEASE1_TRAP_TYPE, 1)], 13, "RELEASE1: "),
        (&[(RELEASE2_ENABLE, 1), (RELEASE2_STRUCTURE_SIZE, 3)], 13, "RELEASE2: STRUCTURE_SIZE"),
        (&[(DEPENDENT_QMD0_ENABLE, 1)], 13, "DEPENDENT_QMD0_ACTION is 0x0"),
        (&[(RELEASE0_ENABLE, 1)], 31, "a release of the QMD"),
        (&[(PROGRAM_ADDRESS_UPPER, 0)], 31, "the fetch of a kernel's code read 0x0"),
        (&[(PROGRAM_PREFETCH_SIZE, 1)], 31, "the prefetch of a kernel's code read 0x0"),
        (&[(CONSTANT_BUFFER_ADDR_UPPER(0), 0)], 31, "the fetch of constant bank 0 read"),
    ];
    for (fields, expected, part) in cases {
        let mut stage = Stage::ready(&[0]);
        let entry = stage.load(WORD, "increment");
        let qmd = stage.qmd(entry, &at(0));
        for (field, value) in *fields {
            stage.patch(qmd, *field, *value);
        }
        let (code, report) = stage.bench.fault(&[pcas(qmd)]);
        assert_eq!(code, *expected, "{report}");
        says(&report, &[part]);
    }
    let (code, report) = Stage::ready(&[0]).bench.fault(&[pcas(0x1000)]);
    assert_eq!(code, 31);
    says(&report, &["the fetch of a QMD read 0x1000"]);
}

#[test]
fn what_kernels_must_not_do() {
    let [lo, hi] = at(0);
    let constant = [CONST_VA as u32, (CONST_VA >> 32) as u32];
    let cases: &[(&str, &[u32], u32, &[&str])] = &[
        ("read_at", &[lo, hi, 0x1230, 0], 31, &["address 0x1230, which is not mapped", "lane 0"]),
        ("write_at", &[0x1230, 0, 7], 31, &["address 0x1230, which is not mapped"]),
        ("write_at", &constant, 31, &["the mapping is read-only", "0x3000000000"]),
        ("atomic_at", &constant, 31, &["the mapping is read-only"]),
        ("read64_at", &[lo, hi, lo + 4, hi], 13, &["not aligned for an access of 8 bytes"]),
        ("read_shared_at", &[lo, hi, 0x120], 13, &["outside the 288 bytes of shared memory"]),
        ("jump_to", &[0x4000_0000, 0], 31, &["control left the code at pc", "is not mapped"]),
        ("trap", &[], 13, &["pc 0x40"]),
    ];
    for (kernel, arguments, expected, parts) in cases {
        let mut stage = Stage::ready(&[0]);
        let entry = stage.load(FAULTS, kernel);
        let qmd = stage.qmd(entry, arguments);
        let (code, report) = stage.bench.fault(&[pcas(qmd)]);
        assert_eq!(code, *expected, "{kernel}: {report}");
        says(&report, parts);
        says(&report, &[&format!("the kernel at {entry:#x}: ")]);
    }
    // Memory that nobody has put code into.
    let mut stage = Stage::ready(&[0]);
    let qmd = stage.qmd(CODE_VA + 0x8000, &[]);
    let (code, report) = stage.bench.fault(&[pcas(qmd)]);
    assert_eq!(code, 13);
    says(&report, &["the kernel at 0x4000008000: ", "pc 0x4000008000"]);
}
