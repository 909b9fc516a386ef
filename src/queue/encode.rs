//! What each command is in words. Nothing here knows a queue, and a queue knows nothing of this.

use hw_defs::class::Method;
use hw_defs::{c7b5, c7c0, c76f, push};

/// Subchannels by convention; a class bound elsewhere raises a mismatch on nvgpu.
pub(crate) const HOST: u32 = 0;
pub(crate) const COMPUTE: u32 = 1;
pub(crate) const COPY: u32 = 4;

/// A 64-bit number in a command: an address or a payload, known now or filled in at each replay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operand {
    /// The number, or its first value.
    pub(crate) value: u64,
    /// Which slot of a recording it comes from.
    pub(crate) slot: Option<u16>,
    /// What is added to the slot's value.
    pub(crate) addend: u64,
}

impl From<u64> for Operand {
    fn from(value: u64) -> Self {
        Operand { value, slot: None, addend: 0 }
    }
}

impl Operand {
    fn plus(self, offset: u64) -> Operand {
        Operand { value: self.value + offset, addend: self.addend + offset, ..self }
    }
}

/// Which half of an operand a word holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    Low,
    High,
}

impl Half {
    pub(crate) fn of(self, value: u64) -> u32 {
        match self {
            Half::Low => value as u32,
            Half::High => (value >> 32) as u32,
        }
    }
}

/// Where encoded words go.
pub(crate) trait Sink {
    fn word(&mut self, word: u32);
    fn half(&mut self, operand: Operand, half: Half);
}

/// No command is longer than this many words.
pub(crate) const LONGEST: usize = 16;

fn address_low_first(sink: &mut impl Sink, operand: Operand) {
    sink.half(operand, Half::Low);
    sink.half(operand, Half::High);
}

fn address_high_first(sink: &mut impl Sink, operand: Operand) {
    sink.half(operand, Half::High);
    sink.half(operand, Half::Low);
}

/// A method with one data word, inside the header where it fits.
fn one(sink: &mut impl Sink, subchannel: u32, method: Method, data: u32) {
    if push::DMA_IMMD_DATA.fits(data) {
        sink.word(push::immd(subchannel, method, data));
    } else {
        sink.word(push::inc(subchannel, method, 1));
        sink.word(data);
    }
}

/// Binds a class to its subchannel.
pub(crate) fn bind(sink: &mut impl Sink, subchannel: u32, class: u32) {
    one(sink, subchannel, c76f::SET_OBJECT, c76f::SET_OBJECT_NVCLASS.set(class));
}

fn semaphore(sink: &mut impl Sink, address: Operand, payload: Operand, execute: u32) {
    sink.word(push::inc(HOST, c76f::SEM_ADDR_LO, 5));
    address_low_first(sink, address);
    sink.half(payload, Half::Low);
    sink.half(payload, Half::High);
    sink.word(execute);
}

/// What a queue waits for at a word in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// The 64-bit word has reached the payload, circularly.
    Reaches,
    /// One of the payload's bits is set in the 32-bit word.
    BitSet,
    /// One of the payload's bits is clear in the 32-bit word.
    BitClear,
}

/// Stops the channel until a word in memory satisfies `until`.
pub(crate) fn acquire(sink: &mut impl Sink, address: Operand, payload: Operand, until: Until) {
    let (operation, size) = match until {
        Until::Reaches => {
            (c76f::SEM_EXECUTE_OPERATION_ACQ_CIRC_GEQ, c76f::SEM_EXECUTE_PAYLOAD_SIZE_64BIT)
        }
        Until::BitSet => {
            (c76f::SEM_EXECUTE_OPERATION_ACQ_AND, c76f::SEM_EXECUTE_PAYLOAD_SIZE_32BIT)
        }
        Until::BitClear => {
            (c76f::SEM_EXECUTE_OPERATION_ACQ_NOR, c76f::SEM_EXECUTE_PAYLOAD_SIZE_32BIT)
        }
    };
    // ACQ_AND ends when `word & payload` is not zero, ACQ_NOR when `!(word | payload)` is not.
    let payload = match until {
        Until::BitClear => u64::from(!(payload.value as u32)).into(),
        Until::Reaches | Until::BitSet => payload,
    };
    let execute = c76f::SEM_EXECUTE_OPERATION.set(operation)
        | c76f::SEM_EXECUTE_PAYLOAD_SIZE.set(size)
        // A channel that waits gives its time slice to other groups of channels; else a wait on
        // another process could only be satisfied when the slice runs out.
        | c76f::SEM_EXECUTE_ACQUIRE_SWITCH_TSG.set(c76f::SEM_EXECUTE_ACQUIRE_SWITCH_TSG_EN);
    semaphore(sink, address, payload, execute);
}

/// Writes a 64-bit payload and a timestamp once everything before has finished and is visible to
/// all of the system.
pub(crate) fn release(sink: &mut impl Sink, address: Operand, payload: Operand) {
    let execute = c76f::SEM_EXECUTE_OPERATION.set(c76f::SEM_EXECUTE_OPERATION_RELEASE)
        | c76f::SEM_EXECUTE_RELEASE_WFI.set(c76f::SEM_EXECUTE_RELEASE_WFI_EN)
        | c76f::SEM_EXECUTE_PAYLOAD_SIZE.set(c76f::SEM_EXECUTE_PAYLOAD_SIZE_64BIT)
        | c76f::SEM_EXECUTE_RELEASE_TIMESTAMP.set(c76f::SEM_EXECUTE_RELEASE_TIMESTAMP_EN);
    semaphore(sink, address, payload, execute);
}

/// Writes 4 or 8 bytes, in order with everything before.
pub(crate) fn write(sink: &mut impl Sink, address: Operand, value: Operand, bytes: u64) {
    let size = match bytes {
        8 => c76f::SEM_EXECUTE_PAYLOAD_SIZE_64BIT,
        _ => c76f::SEM_EXECUTE_PAYLOAD_SIZE_32BIT,
    };
    let execute = c76f::SEM_EXECUTE_OPERATION.set(c76f::SEM_EXECUTE_OPERATION_RELEASE)
        | c76f::SEM_EXECUTE_RELEASE_WFI.set(c76f::SEM_EXECUTE_RELEASE_WFI_EN)
        | c76f::SEM_EXECUTE_PAYLOAD_SIZE.set(size);
    semaphore(sink, address, value, execute);
}

/// Raises the interrupt that wakes sleeping waiters.
pub(crate) fn interrupt(sink: &mut impl Sink) {
    one(sink, HOST, c76f::NON_STALL_INTERRUPT, 0);
}

/// Holds the host until the engine has finished what it was given.
pub(crate) fn wait_for_engine(sink: &mut impl Sink) {
    one(sink, HOST, c76f::WFI, c76f::WFI_SCOPE.set(c76f::WFI_SCOPE_ALL));
}

/// Waits for the engine, then orders everything the channel has written before everything after,
/// for all of the system.
pub(crate) fn barrier(sink: &mut impl Sink) {
    wait_for_engine(sink);
    sink.word(push::inc(HOST, c76f::MEM_OP_A, 4));
    sink.word(0);
    sink.word(0);
    sink.word(c76f::MEM_OP_C_MEMBAR_TYPE.set(c76f::MEM_OP_C_MEMBAR_TYPE_SYS_MEMBAR));
    sink.word(c76f::MEM_OP_D_OPERATION.set(c76f::MEM_OP_D_OPERATION_MEMBAR));
}

/// Bytes that one launch of the copy engine moves at most. LINE_LENGTH_IN has 32 bits; half of
/// that keeps pieces aligned.
pub(crate) const LONGEST_COPY: u64 = 1 << 31;

/// Copies up to [`LONGEST_COPY`] bytes, after the copies before it.
pub(crate) fn copy(sink: &mut impl Sink, to: Operand, from: Operand, bytes: u64) {
    debug_assert!(bytes <= LONGEST_COPY);
    sink.word(push::inc(COPY, c7b5::OFFSET_IN_UPPER, 4));
    address_high_first(sink, from);
    address_high_first(sink, to);
    one(sink, COPY, c7b5::LINE_LENGTH_IN, bytes as u32);
    let launch = c7b5::LAUNCH_DMA_DATA_TRANSFER_TYPE
        .set(c7b5::LAUNCH_DMA_DATA_TRANSFER_TYPE_NON_PIPELINED)
        | pitch_to_pitch();
    one(sink, COPY, c7b5::LAUNCH_DMA, launch);
}

/// The pieces of a long copy, as (offset, bytes).
pub(crate) fn pieces(bytes: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..bytes.div_ceil(LONGEST_COPY))
        .map(move |i| (i * LONGEST_COPY, (bytes - i * LONGEST_COPY).min(LONGEST_COPY)))
}

/// One piece of a long copy.
pub(crate) fn copy_piece(
    sink: &mut impl Sink,
    to: Operand,
    from: Operand,
    (offset, bytes): (u64, u64),
) {
    copy(sink, to.plus(offset), from.plus(offset), bytes);
}

/// As [`release`], by the copy engine itself: it writes the word when its copies have landed.
pub(crate) fn copy_release(sink: &mut impl Sink, address: Operand, payload: Operand) {
    sink.word(push::inc(COPY, c7b5::SET_SEMAPHORE_A, 4));
    address_high_first(sink, address);
    sink.half(payload, Half::Low);
    sink.half(payload, Half::High);
    let launch = c7b5::LAUNCH_DMA_DATA_TRANSFER_TYPE.set(c7b5::LAUNCH_DMA_DATA_TRANSFER_TYPE_NONE)
        | c7b5::LAUNCH_DMA_FLUSH_ENABLE.set(c7b5::LAUNCH_DMA_FLUSH_ENABLE_TRUE)
        | c7b5::LAUNCH_DMA_FLUSH_TYPE.set(c7b5::LAUNCH_DMA_FLUSH_TYPE_SYS)
        | c7b5::LAUNCH_DMA_SEMAPHORE_TYPE
            .set(c7b5::LAUNCH_DMA_SEMAPHORE_TYPE_RELEASE_FOUR_WORD_SEMAPHORE)
        | c7b5::LAUNCH_DMA_SEMAPHORE_PAYLOAD_SIZE
            .set(c7b5::LAUNCH_DMA_SEMAPHORE_PAYLOAD_SIZE_TWO_WORD)
        | pitch_to_pitch();
    one(sink, COPY, c7b5::LAUNCH_DMA, launch);
}

fn pitch_to_pitch() -> u32 {
    c7b5::LAUNCH_DMA_SRC_MEMORY_LAYOUT.set(c7b5::LAUNCH_DMA_SRC_MEMORY_LAYOUT_PITCH)
        | c7b5::LAUNCH_DMA_DST_MEMORY_LAYOUT.set(c7b5::LAUNCH_DMA_DST_MEMORY_LAYOUT_PITCH)
}

/// Tells a compute channel where kernels see shared and local memory.
pub(crate) fn windows(sink: &mut impl Sink, shared: u64, local: u64) {
    sink.word(push::inc(COMPUTE, c7c0::SET_SHADER_SHARED_MEMORY_WINDOW_A, 2));
    address_high_first(sink, shared.into());
    sink.word(push::inc(COMPUTE, c7c0::SET_SHADER_LOCAL_MEMORY_WINDOW_A, 2));
    address_high_first(sink, local.into());
}

/// Gives a compute channel memory for the local memory of all threads that can run at once.
pub(crate) fn local_memory(sink: &mut impl Sink, address: u64, bytes_per_tpc: u64) {
    sink.word(push::inc(COMPUTE, c7c0::SET_SHADER_LOCAL_MEMORY_A, 2));
    address_high_first(sink, address.into());
    sink.word(push::inc(COMPUTE, c7c0::SET_SHADER_LOCAL_MEMORY_NON_THROTTLED_A, 3));
    address_high_first(sink, bytes_per_tpc.into());
    // No throttling: as many multiprocessors as there are.
    const ALL: u32 = 0xff;
    sink.word(c7c0::SET_SHADER_LOCAL_MEMORY_NON_THROTTLED_C_MAX_SM_COUNT.set(ALL));
}

/// Drops code, data and constants from the caches of all multiprocessors: new code may lie where
/// old code was.
pub(crate) fn invalidate_caches(sink: &mut impl Sink) {
    let data = c7c0::INVALIDATE_SHADER_CACHES_NO_WFI_INSTRUCTION
        .set(c7c0::INVALIDATE_SHADER_CACHES_NO_WFI_INSTRUCTION_TRUE)
        | c7c0::INVALIDATE_SHADER_CACHES_NO_WFI_GLOBAL_DATA
            .set(c7c0::INVALIDATE_SHADER_CACHES_NO_WFI_GLOBAL_DATA_TRUE)
        | c7c0::INVALIDATE_SHADER_CACHES_NO_WFI_CONSTANT
            .set(c7c0::INVALIDATE_SHADER_CACHES_NO_WFI_CONSTANT_TRUE);
    one(sink, COMPUTE, c7c0::INVALIDATE_SHADER_CACHES_NO_WFI, data);
}

/// Launches the descriptor at `address`, which is aligned to 256 and below 2^40.
pub(crate) fn launch(sink: &mut impl Sink, address: u64) {
    sink.word(push::inc(COMPUTE, c7c0::SEND_PCAS_A, 1));
    sink.word((address >> 8) as u32);
    let action = c7c0::SEND_SIGNALING_PCAS2_B_PCAS_ACTION_PREFETCH_SCHEDULE;
    let data = c7c0::SEND_SIGNALING_PCAS2_B_PCAS_ACTION.set(action);
    one(sink, COMPUTE, c7c0::SEND_SIGNALING_PCAS2_B, data);
}

/// How far behind the first word of [`launch`] the descriptor's address stands.
pub(crate) const LAUNCH_ADDRESS: usize = 1;
