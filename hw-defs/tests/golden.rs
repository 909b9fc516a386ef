//! Command streams, ring entries and descriptors as text, held against `golden/`.
//!
//! `BLESS=1 cargo test -p doorbell-hw-defs --test golden` writes the files anew; read the
//! difference before you commit it.

use std::fmt::Write;
use std::path::Path;

use hw_defs::decode::Bindings;
use hw_defs::gpfifo::{self, Entry, Level, Sync};
use hw_defs::qmd::{v03_00, v04_00};
use hw_defs::{c7b5, c7c0, c8b5, c76f, c86f, cbc0, push};

#[track_caller]
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{name} reads differently\n{text}");
}

const LAUNCH: u32 = c7c0::SEND_SIGNALING_PCAS2_B_PCAS_ACTION
    .set(c7c0::SEND_SIGNALING_PCAS2_B_PCAS_ACTION_PREFETCH_SCHEDULE);

#[test]
fn proof_of_life() {
    let words = [0x2005_0017, 0xffa0_0000, 0x0000_00ff, 0xadbe_ef42, 0x0000_00de, 0x0310_0001];
    let mut text = String::new();
    writeln!(text, "{}", Entry::decode(0x0000_1aff_ffa0_1000).unwrap()).unwrap();
    write!(text, "{}", Bindings::new(&c76f::CLASS).text(&words)).unwrap();
    golden("proof_of_life.txt", &text);
}

/// Sets an Orin's compute channel up, waits, launches, flushes caches, signals.
#[test]
fn orin_launch() {
    let mut words = vec![
        push::inc(1, c76f::SET_OBJECT, 1),
        c7c0::AMPERE_COMPUTE_B,
        push::inc(1, c7c0::SET_SHADER_LOCAL_MEMORY_WINDOW_A, 2),
        0xff,
        0,
        push::inc(1, c7c0::SET_SHADER_SHARED_MEMORY_WINDOW_A, 2),
        0xfe,
        0,
        push::inc(1, c7c0::SET_SHADER_LOCAL_MEMORY_NON_THROTTLED_A, 3),
        0,
        0x0018_0000,
        0xff,
        push::immd(1, c7c0::INVALIDATE_SKED_CACHES, 0),
    ];
    words.extend([push::inc(0, c76f::SEM_ADDR_LO, 5), 0xffa0_0010, 0xff, 41, 0, 0x0100_1003]);
    words.extend([
        push::inc(1, c7c0::SEND_PCAS_A, 1),
        0xffff_a020,
        push::immd(1, c7c0::SEND_SIGNALING_PCAS2_B, LAUNCH),
        push::inc(1, c7c0::INVALIDATE_SHADER_CACHES_NO_WFI, 1),
        c7c0::INVALIDATE_SHADER_CACHES_NO_WFI_INSTRUCTION.mask()
            | c7c0::INVALIDATE_SHADER_CACHES_NO_WFI_GLOBAL_DATA.mask()
            | c7c0::INVALIDATE_SHADER_CACHES_NO_WFI_CONSTANT.mask(),
    ]);
    words.extend([push::inc(0, c76f::SEM_ADDR_LO, 5), 0xffa0_0010, 0xff, 42, 0, 0x0310_0001]);
    words.push(push::immd(0, c76f::NON_STALL_INTERRUPT, 0));
    golden("orin_launch.txt", &Bindings::new(&c76f::CLASS).text(&words).to_string());
}

/// A descriptor that travels in the pushbuffer: one address, then data to an array of methods.
#[test]
fn inline_descriptor() {
    let mut words = vec![push::inc(1, c7c0::SET_INLINE_QMD_ADDRESS_A, 6)];
    words.extend([0, 0x00ff_ffa0, 0x11, 0x22, 0x33, 0x44]);
    words.push(push::one_inc(1, c7c0::LINE_LENGTH_IN, 3));
    words.extend([8, 1, 1]);
    words.push(push::non_inc(1, c7c0::LOAD_INLINE_DATA, 2));
    words.extend([0xaaaa_aaaa, 0xbbbb_bbbb]);
    words.push(push::END_PB_SEGMENT);
    words.push(0xdead_beef);
    let bindings = Bindings::new(&c76f::CLASS).bind(1, &c7c0::CLASS);
    golden("inline_descriptor.txt", &bindings.text(&words).to_string());
}

/// A copy on Hopper that releases its own semaphore, behind a host membar.
#[test]
fn hopper_copy() {
    let launch = c8b5::LAUNCH_DMA_DATA_TRANSFER_TYPE
        .set(c8b5::LAUNCH_DMA_DATA_TRANSFER_TYPE_NON_PIPELINED)
        | c8b5::LAUNCH_DMA_FLUSH_ENABLE.set(c8b5::LAUNCH_DMA_FLUSH_ENABLE_TRUE)
        | c8b5::LAUNCH_DMA_SEMAPHORE_TYPE
            .set(c8b5::LAUNCH_DMA_SEMAPHORE_TYPE_RELEASE_SEMAPHORE_WITH_TIMESTAMP)
        | c8b5::LAUNCH_DMA_SRC_MEMORY_LAYOUT.set(c8b5::LAUNCH_DMA_SRC_MEMORY_LAYOUT_PITCH)
        | c8b5::LAUNCH_DMA_DST_MEMORY_LAYOUT.set(c8b5::LAUNCH_DMA_DST_MEMORY_LAYOUT_PITCH);
    let words = [
        push::inc(4, c86f::SET_OBJECT, 1),
        c8b5::HOPPER_DMA_COPY_A,
        push::inc(0, c86f::MEM_OP_A, 4),
        0,
        0,
        c86f::MEM_OP_C_MEMBAR_TYPE.set(c86f::MEM_OP_C_MEMBAR_TYPE_MEMBAR),
        c86f::MEM_OP_D_OPERATION.set(c86f::MEM_OP_D_OPERATION_MEMBAR),
        push::inc(4, c8b5::SET_SEMAPHORE_A, 3),
        0x01,
        0x2000_0000,
        7,
        push::inc(4, c8b5::OFFSET_IN_UPPER, 4),
        0x0100_0000,
        0x1000,
        0x01,
        0x2000,
        push::inc(4, c8b5::LINE_LENGTH_IN, 2),
        0x0010_0000,
        1,
        push::inc(4, c8b5::LAUNCH_DMA, 1),
        launch,
    ];
    golden("hopper_copy.txt", &Bindings::new(&c86f::CLASS).text(&words).to_string());
}

/// What a stream with mistakes looks like: it reads on after a bad write, not after a bad header.
#[test]
fn mistakes() {
    let words = [
        push::immd(1, c7c0::WAIT_FOR_IDLE, 0),
        push::immd(1, c76f::SET_OBJECT, 0),
        push::inc(4, c76f::SET_OBJECT, 1),
        c7b5::AMPERE_DMA_COPY_B,
        push::inc(4, c7b5::PITCH_OUT, 4),
        1,
        2,
        3,
        4,
        push::immd(4, c7b5::SET_RENDER_ENABLE_C, 0x1ff),
        0x2000_0017,
        push::immd(4, c7b5::LAUNCH_DMA, 0),
    ];
    let mut text = Bindings::new(&c76f::CLASS).text(&words).to_string();
    let cut = [push::inc(1, cbc0::SEND_PCAS_A, 2), 1];
    let bindings = Bindings::new(&c86f::CLASS).bind(1, &cbc0::CLASS);
    write!(text, "{}", bindings.text(&cut)).unwrap();
    golden("mistakes.txt", &text);
}

#[test]
fn ring_entries() {
    let mut text = String::new();
    let extended = gpfifo::GP_ENTRY1_OPCODE_SET_PB_SEGMENT_EXTENDED_BASE;
    for bits in [
        Entry::encode(0xff_ffa0_1000, 6, Level::Main, Sync::Proceed),
        Entry::encode(0x20_0000, gpfifo::MAX_WORDS, Level::Subroutine, Sync::Wait),
        Entry::control(gpfifo::GP_ENTRY1_OPCODE_NOP, 0, Sync::Wait),
        Entry::control(extended, gpfifo::GP_ENTRY0_PB_EXTENDED_BASE_OPERAND.set(3), Sync::Proceed),
        1 << 42 | 1,
        1 << 42 | 2,
        0x55 << 32,
        0x100 << 32,
    ] {
        match Entry::decode(bits) {
            Ok(entry) => writeln!(text, "{bits:#018x}  {entry}"),
            Err(error) => writeln!(text, "{bits:#018x}  error: {error}"),
        }
        .unwrap();
    }
    golden("ring_entries.txt", &text);
}

/// The descriptor that is known to run on an Orin.
#[test]
fn descriptor_v03_00() {
    use v03_00::*;
    let mut qmd = Qmd::new();
    for (field, value) in [
        (QMD_MAJOR_VERSION, 3),
        (QMD_GROUP_ID, 0x3f),
        (SM_GLOBAL_CACHING_ENABLE, 1),
        (API_VISIBLE_CALL_LIMIT, API_VISIBLE_CALL_LIMIT_NO_CHECK),
        (SAMPLER_INDEX, SAMPLER_INDEX_VIA_HEADER_INDEX),
        (CWD_MEMBAR_TYPE, CWD_MEMBAR_TYPE_L1_SYSMEMBAR),
        (CTA_RASTER_WIDTH, 1024),
        (CTA_RASTER_HEIGHT, 1),
        (CTA_RASTER_DEPTH, 1),
        (CTA_THREAD_DIMENSION0, 256),
        (CTA_THREAD_DIMENSION1, 1),
        (CTA_THREAD_DIMENSION2, 1),
        (REGISTER_COUNT_V, 32),
        (BARRIER_COUNT, 1),
        (SHARED_MEMORY_SIZE, 0x400),
        (MIN_SM_CONFIG_SHARED_MEM_SIZE, 9),
        (MAX_SM_CONFIG_SHARED_MEM_SIZE, 0x1a),
        (TARGET_SM_CONFIG_SHARED_MEM_SIZE, 9),
        (PROGRAM_ADDRESS_LOWER, 0xffb0_0080),
        (PROGRAM_ADDRESS_UPPER, 0xff),
        (SASS_VERSION, 0x87),
        (CONSTANT_BUFFER_VALID(0), CONSTANT_BUFFER_VALID_TRUE),
        (CONSTANT_BUFFER_ADDR_LOWER(0), 0xffc0_0000),
        (CONSTANT_BUFFER_ADDR_UPPER(0), 0xff),
        (CONSTANT_BUFFER_SIZE_SHIFTED4(0), 0x18),
        (CONSTANT_BUFFER_INVALIDATE(0), CONSTANT_BUFFER_INVALIDATE_TRUE),
        (RELEASE0_ENABLE, RELEASE0_ENABLE_TRUE),
        (RELEASE0_STRUCTURE_SIZE, RELEASE0_STRUCTURE_SIZE_SEMAPHORE_TWO_WORDS),
        (RELEASE0_PAYLOAD64B, RELEASE0_PAYLOAD64B_TRUE),
        (RELEASE0_ADDRESS_LOWER, 0xffa0_0010),
        (RELEASE0_ADDRESS_UPPER, 0xff),
        (RELEASE0_PAYLOAD_LOWER, 42),
        (DEPENDENT_QMD0_POINTER, 0xffff_a021),
        (DEPENDENT_QMD0_ENABLE, DEPENDENT_QMD0_ENABLE_TRUE),
        (DEPENDENT_QMD0_ACTION, DEPENDENT_QMD0_ACTION_QMD_SCHEDULE),
        (DEPENDENT_QMD0_PREFETCH, DEPENDENT_QMD0_PREFETCH_TRUE),
    ] {
        qmd.set(field, value);
    }
    golden("descriptor_v03_00.txt", &LAYOUT.text(qmd.words()).to_string());
}

/// The least that is known to run on an H100, and a bit that has no business there.
#[test]
fn descriptor_v04_00() {
    use v04_00::*;
    let mut qmd = Qmd::new();
    for (field, value) in [
        (QMD_MAJOR_VERSION, 4),
        (QMD_TYPE, QMD_TYPE_GRID_CTA),
        (API_VISIBLE_CALL_LIMIT, API_VISIBLE_CALL_LIMIT_NO_CHECK),
        (GRID_WIDTH, 132),
        (GRID_HEIGHT, 1),
        (GRID_DEPTH, 1),
        (CTA_THREAD_DIMENSION0, 1024),
        (CTA_THREAD_DIMENSION1, 1),
        (CTA_THREAD_DIMENSION2, 1),
        (REGISTER_COUNT, 24),
        (BARRIER_COUNT, 1),
        (PROGRAM_ADDRESS_LOWER, 0x2000_0100),
        (PROGRAM_ADDRESS_UPPER, 0x7f),
        (CONSTANT_BUFFER_VALID(0), CONSTANT_BUFFER_VALID_TRUE),
        (CONSTANT_BUFFER_ADDR_LOWER_SHIFTED6(0), 0x0080_0000),
        (CONSTANT_BUFFER_SIZE_SHIFTED4(0), 0x30),
        (RELEASE_ENABLE(2), RELEASE_ENABLE_TRUE),
        (RELEASE_STRUCTURE_SIZE(2), RELEASE_STRUCTURE_SIZE_SEMAPHORE_ONE_WORD),
        (RELEASE_SEMAPHORE2_ADDR_LOWER, 0x1000),
        (RELEASE_SEMAPHORE2_PAYLOAD_LOWER, 1),
    ] {
        qmd.set(field, value);
    }
    let mut words = *qmd.words();
    assert_eq!(LAYOUT.check(&words), None);
    words[0] |= 1 << 26;
    assert_eq!(LAYOUT.check(&words), Some((0, 1 << 26)));
    golden("descriptor_v04_00.txt", &LAYOUT.text(&words).to_string());
}

#[test]
fn a_grid_that_does_not_fit() {
    let mut qmd = v03_00::Qmd::new();
    let error = qmd.try_set(v03_00::CTA_RASTER_HEIGHT, 70_000).unwrap_err();
    assert_eq!(error.to_string(), "CTA_RASTER_HEIGHT holds at most 65535, not 70000");
    let error = qmd.try_set(v03_00::CONSTANT_BUFFER_SIZE_SHIFTED4(3), 1 << 40).unwrap_err();
    assert_eq!(
        error.to_string(),
        "CONSTANT_BUFFER_SIZE_SHIFTED4(3) holds at most 8191, not 1099511627776"
    );
}
