//! Whole kernels, for comparison with silicon: every kernel of every cubin of `ptx/`, with fixed inputs.
//!
//! What an H200 left in memory is kept in `golden/kernels.tsv`, as hashes, and where the interpreter only comes
//! close as samples too. `tests/kernels.rs` runs the same on a GPU and on the software Orin.

use super::fold;
use std::collections::HashMap;
use std::fmt::Write as _;

/// One launch of one kernel.
#[derive(Clone, Debug)]
pub struct Run {
    /// The cubin, a path below a folder of a generation, without its extension.
    pub cubin: &'static str,
    /// The kernel in it.
    pub kernel: &'static str,
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub shared: u32,
    /// What it is given.
    pub arguments: Vec<Argument>,
    /// How far results in single precision may be from silicon's, where they are not the same bits: relative to
    /// the larger of one and their magnitude.
    pub bound: f32,
}

/// An argument.
#[derive(Clone, Debug)]
pub enum Argument {
    /// The address of words, and which of them depend on time or place afterwards.
    Memory(Vec<u32>, Vec<usize>),
    /// A number or a struct.
    Bytes(Vec<u8>),
}

/// Kernels that are not run here, `*` being all of a cubin, and why.
pub const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("slot", "*", "a container for single instructions, which are compared by themselves"),
    ("mufu", "*", "tests/silicon.rs sums up functions with it that sweep.rs puts into it"),
    ("cluster", "*", "an Orin has no clusters: tests/cases/kernels.rs, on Hopper's engines"),
    ("constants", "read_either", BANKS),
    ("parameters", "parameter_by_pointer", BANKS),
    ("shared", "shared_sizes", BANKS),
    ("faults", "trap", "it ends its channel: tests/cases/faults.rs"),
    ("faults", "jump_to", "it ends its channel: tests/cases/faults.rs"),
    ("faults", "read_shared_at", "it reads what nobody wrote"),
    ("faults", "read_local_at", "it reads what nobody wrote"),
    ("separate", "*", "a linker put it together: tests/cases/kernels.rs"),
    ("uses_runtime", "*", "it may end its channel: tests/cases/faults.rs"),
    ("llama/attention", "*", LLAMA),
    ("llama/embed", "*", LLAMA),
    ("llama/prefill", "*", LLAMA),
    ("llama/rows", "*", LLAMA),
    ("llama/token", "*", LLAMA),
];
const BANKS: &str = "it shows words that the runtime fills in: tests/cases/banks.rs, on both";
const LLAMA: &str = "llama_decode holds its outputs against a definition of its own, on both";

/// Whether a kernel is one of those.
pub fn elsewhere(cubin: &str, kernel: &str) -> bool {
    ELSEWHERE.iter().any(|(c, k, _)| *c == cubin && (*k == "*" || *k == kernel))
}

/// Numbers that look random.
pub(super) fn random(seed: u64, count: usize) -> Vec<u32> {
    let mut state = seed * 2 + 1;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 32) as u32
    };
    (0..count).map(|_| next()).collect()
}

/// Floats between -1 and 1.
fn floats(seed: u64, count: usize) -> Vec<u32> {
    let scale = |x: u32| ((x >> 8) as f32 / (1 << 23) as f32 - 1.0).to_bits();
    random(seed, count).into_iter().map(scale).collect()
}

/// Pairs of halves, between 0.25 and 4 in magnitude.
pub(super) fn halves(seed: u64, pairs: usize) -> Vec<u32> {
    random(seed, pairs).into_iter().map(|x| x & 0x8fff_8fff | 0x3400_3400).collect()
}

/// Blocks of bytes of a quantised matrix, with halves of an ordinary size at some places of each.
fn blocks(seed: u64, count: usize, size: usize, places: &[usize]) -> Vec<u32> {
    let mut bytes: Vec<u8> = random(seed, count * size).iter().map(|word| *word as u8).collect();
    for block in bytes.chunks_exact_mut(size) {
        for at in places {
            block[at + 1] = 0x34 + (block[at + 1] & 0x0f);
        }
    }
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

pub(super) fn memory(words: Vec<u32>) -> Argument {
    Argument::Memory(words, Vec::new())
}

/// Memory that starts as zeros.
pub(super) fn room(words: usize) -> Argument {
    memory(vec![0; words])
}

pub(super) fn number(value: u32) -> Argument {
    Argument::Bytes(value.to_le_bytes().into())
}

fn long(value: u64) -> Argument {
    Argument::Bytes(value.to_le_bytes().into())
}

fn single(value: f32) -> Argument {
    number(value.to_bits())
}

fn bytes(bytes: &[u8]) -> Argument {
    Argument::Bytes(bytes.into())
}

impl Run {
    pub(super) fn new(cubin: &'static str, kernel: &'static str, grid: u32, block: u32) -> Run {
        let (grid, block) = ([grid, 1, 1], [block, 1, 1]);
        Run { cubin, kernel, grid, block, shared: 0, arguments: Vec::new(), bound: 0.0 }
    }

    pub(super) fn with(self, arguments: impl Into<Vec<Argument>>) -> Run {
        Run { arguments: arguments.into(), ..self }
    }

    fn close(self, bound: f32) -> Run {
        Run { bound, ..self }
    }

    /// The name of the run.
    pub fn name(&self) -> String {
        format!("{}/{}", self.cubin, self.kernel)
    }

    /// What became of its buffers, with what depends on time or place taken out.
    pub fn outcome(&self, buffers: &[Vec<u32>]) -> Outcome {
        let mut kept = Vec::new();
        let memories = self.arguments.iter().filter_map(|argument| match argument {
            Argument::Memory(_, apart) => Some(apart),
            Argument::Bytes(_) => None,
        });
        for (buffer, apart) in buffers.iter().zip(memories) {
            let words = buffer.iter().enumerate().filter(|(at, _)| !apart.contains(at));
            kept.extend(words.map(|(_, word)| *word));
        }
        let hash = fold(kept.iter().flat_map(|word| word.to_le_bytes()));
        let step = kept.len().div_ceil(SAMPLES).max(1);
        let samples = match self.bound > 0.0 {
            true => kept.into_iter().step_by(step).collect(),
            false => Vec::new(),
        };
        Outcome { hash, samples }
    }

    /// Whether an outcome is silicon's: the same bits, or within the bound.
    pub fn agrees(&self, silicon: &Outcome, here: &Outcome) -> bool {
        let near = |(a, b): (&u32, &u32)| {
            let (x, y) = (f32::from_bits(*a), f32::from_bits(*b));
            a == b || x.is_nan() && y.is_nan() || (x - y).abs() <= self.bound * x.abs().max(1.0)
        };
        silicon.hash == here.hash
            || self.bound > 0.0
                && silicon.samples.len() == here.samples.len()
                && silicon.samples.iter().zip(&here.samples).all(near)
    }
}

/// How many words are kept of a run that only comes close.
const SAMPLES: usize = 96;

/// What a run left in its buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    hash: u32,
    samples: Vec<u32>,
}

/// What an H200 left, by folder of the cubin and name of the run.
pub fn outcomes() -> HashMap<String, Outcome> {
    let word = |digits: &str| u32::from_str_radix(digits, 16).expect("words are hexadecimal");
    let lines = include_str!("../../../golden/kernels.tsv").lines();
    lines
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut parts = line.split('\t');
            let mut next = || parts.next().expect("a line has three parts");
            let (name, hash) = (next().to_owned(), word(next()));
            (name, Outcome { hash, samples: next().split_whitespace().map(word).collect() })
        })
        .collect()
}

/// The line of the committed file for an outcome.
pub fn line(name: &str, outcome: &Outcome) -> String {
    let mut line = format!("{name}\t{:08x}\t", outcome.hash);
    for (n, word) in outcome.samples.iter().enumerate() {
        write!(line, "{}{word:08x}", if n == 0 { "" } else { " " }).expect("a string takes it");
    }
    line + "\n"
}

/// What the committed file begins with.
pub const HEADER: &str =
    "# What an H200 left of each run: see emulator/src/sm/silicon/kernels.rs.\n";

/// Every run.
pub fn runs() -> Vec<Run> {
    let mut all = simple();
    all.extend(ordered());
    all.extend(control());
    all.extend(parameters());
    all.extend(numeric());
    all.extend(forms());
    all.extend(super::hopper::runs());
    all
}

/// Elements, words, copies.
fn simple() -> Vec<Run> {
    let n = 1000;
    vec![
        Run::new("vector", "vector_add", 4, 256).with([
            room(1024),
            memory(floats(1, n)),
            memory(floats(2, n)),
            number(n as u32),
        ]),
        Run::new("vector", "saxpy", 3, 128).with([
            memory(floats(3, 400)),
            memory(floats(4, 400)),
            single(2.5),
            number(380),
        ]),
        Run::new("vector", "add_one", 4, 256).with([
            room(1024),
            memory(random(5, n)),
            number(n as u32),
        ]),
        Run::new("vector", "fill", 4, 64).with([room(300), number(0x1234_5678), number(250)]),
        Run::new("vector", "copy_wide", 2, 32).with([room(1000), memory(random(6, n)), long(249)]),
        Run::new("vector", "mirror", 2, 32).with([
            room(2048),
            memory(random(60, 2048)),
            number(500),
        ]),
        Run::new("copy", "copy_bytes", 3, 32).with([room(400), memory(random(7, 400)), long(1234)]),
        Run::new("word", "empty", 2, 33),
        Run::new("word", "increment", 1, 1).with([memory(vec![41])]),
        Run::new("word", "increment_volatile", 1, 1).with([memory(vec![0xffff_ffff])]),
        // Which multiprocessor did it is nobody's business.
        Run::new("word", "increment_logged", 1, 1)
            .with([memory(vec![2]), Argument::Memory(vec![0; 4], vec![2])]),
        Run::new("word", "write_word", 1, 1).with([room(2), number(0xdead_beef)]),
        Run::new("word", "write_word64", 1, 1).with([room(4), long(0x0123_4567_89ab_cdef)]),
        Run::new("word", "copy_word", 1, 1).with([room(1), memory(vec![77])]),
        Run::new("word", "log_order", 1, 1).with([memory(vec![3]), room(8), number(99)]),
        Run::new("word", "count_threads", 5, 77).with([room(2)]),
        Run::new("time", "busy", 1, 32).with([long(1000)]),
        Run::new("time", "busy_span", 2, 32).with([
            Argument::Memory(vec![0; 12], (0..12).filter(|at| at % 6 != 5).collect()),
            long(1000),
        ]),
        Run::new("time", "busy_cycles", 1, 32).with([long(0), long(500)]),
        Run::new("time", "spin_on_word", 1, 32).with([memory(vec![9]), number(9)]),
        Run::new("time", "gate", 1, 1).with([room(1), memory(vec![5]), number(5)]),
        Run::new("time", "meet", 1, 1).with([room(1), memory(vec![1]), room(1), long(1000)]),
        Run {
            grid: [3, 2, 2],
            block: [4, 3, 2],
            ..Run::new("geometry", "geometry", 1, 1).with([room(12 * 24 * 12)])
        },
        Run {
            grid: [3, 2, 2],
            block: [5, 3, 2],
            ..Run::new("geometry", "flat_index", 1, 1).with([room(12 * 30)])
        },
        Run::new("geometry", "special_registers", 2, 64)
            .with([Argument::Memory(vec![0; 1024], (0..128).map(|i| i * 8 + 7).collect())]),
        Run::new("geometry", "clocks", 1, 1).with([Argument::Memory(vec![0; 8], (0..8).collect())]),
        Run::new("geometry", "at_most_128", 2, 128).with([room(256)]),
        Run {
            block: [32, 2, 1],
            ..Run::new("exact_block", "exactly_32_by_2", 3, 1).with([room(192)])
        },
    ]
}

/// Reductions, shared memory, atomics.
fn ordered() -> Vec<Run> {
    let sums = |kernel| {
        Run::new("reduce", kernel, 4, 256).with([room(4), memory(floats(10, 3000)), number(3000)])
    };
    let mut start = vec![0, 0, 0, 0, 0xffff_ffff, 0, 0, 0, 0, 0];
    start[2] = 5;
    vec![
        sums("sum_shared"),
        sums("sum_shuffle"),
        Run::new("reduce", "sum_last_block", 6, 128).with([
            room(1),
            room(6),
            room(1),
            memory(floats(11, 2000)),
            number(2000),
        ]),
        Run::new("reduce", "max_redux", 4, 96).with([
            room(1),
            memory(random(12, 2000)),
            number(2000),
        ]),
        // Which of many exchanges comes last is not determined.
        Run::new("atomics", "atomics", 4, 96).with([Argument::Memory(start, vec![9]), room(1)]),
        Run::new("atomics", "histogram", 3, 128).with([
            room(256),
            memory(random(13, 1500)),
            number(6000),
        ]),
        Run {
            shared: 20_000,
            ..Run::new("shared", "shared_dynamic", 3, 128).with([room(3), number(5000)])
        },
        Run {
            shared: 20_000,
            ..Run::new("shared", "shared_both", 1, 128).with([room(1), number(5000)])
        },
        Run::new("shared", "shared_generic", 1, 256).with([room(256), memory(random(14, 256))]),
        Run::new("shared", "barrier_relay", 1, 512).with([room(1)]),
        Run::new("shared", "barrier_pair", 1, 128).with([
            room(256),
            memory(random(15, 256)),
            number(4),
        ]),
        Run::new("early", "increment_early", 1, 1).with([memory(vec![1])]),
        Run::new("early", "increment_waiting", 1, 1).with([memory(vec![2])]),
        Run::new("early", "increment_late", 1, 1).with([memory(vec![3])]),
        Run::new("early", "empty_early", 2, 32),
        Run::new("early", "busy_early", 1, 1)
            .with([Argument::Memory(vec![0; 4], (0..4).collect()), long(1000)]),
        Run::new("early", "increment_slowly", 1, 1).with([memory(vec![4]), long(1000)]),
        Run::new("early", "add_one_early", 2, 64).with([
            room(128),
            memory(random(16, 128)),
            number(100),
        ]),
        Run::new("early", "add_one_waiting", 2, 64).with([
            room(128),
            memory(random(17, 128)),
            number(100),
        ]),
        Run::new("early", "fill_early", 2, 64).with([room(128), number(7), number(100)]),
        Run::new("early", "mirror_early", 2, 32).with([
            room(2048),
            memory(random(61, 2048)),
            number(500),
        ]),
    ]
}

/// Divergence, recursion, tables, constants, faults that do not happen.
fn control() -> Vec<Run> {
    let operations = random(20, 300).into_iter().map(|word| word % 14).collect();
    vec![
        Run::new("divergence", "collatz", 2, 96).with([room(192), number(5), number(150)]),
        Run::new("divergence", "part_and_meet", 1, 32).with([room(32)]),
        Run::new("divergence", "lane_lock", 2, 64).with([room(1), room(1)]),
        Run::new("divergence", "switch_table", 3, 128).with([
            room(300),
            memory(operations),
            number(300),
        ]),
        Run::new("local", "local_array", 2, 64).with([room(128), number(7)]),
        Run::new("local", "local_big", 1, 32).with([room(32), number(5)]),
        Run::new("local", "local_generic", 1, 64).with([room(64), number(20)]),
        Run::new("local", "recursion", 1, 32).with([room(32), number(2), number(3)]),
        Run::new("local", "recursion_with_frame", 1, 32).with([room(32), number(2), number(2)]),
        Run::new("local", "deep_recursion", 1, 32).with([room(32), number(6), number(3)]),
        Run::new("local", "mutual_recursion", 1, 32).with([room(32), number(4)]),
        Run::new("local", "call_with_frames", 1, 64).with([room(64)]),
        Run::new("recursion_table", "recursion_through_table", 1, 32).with([room(32)]),
        Run::new("constants", "read_constant", 1, 64).with([room(64)]),
        Run::new("constants", "read_globals", 1, 64).with([room(64)]),
        Run::new("constants", "count_launches", 1, 1).with([room(1)]),
        Run::new("constants", "write_zeroed", 1, 64).with([number(3)]),
        Run::new("constants", "call_table", 1, 64).with([room(64), number(9)]),
        Run::new("constants", "literals", 1, 1)
            .with([room(6), Argument::Bytes(1.25f64.to_le_bytes().into())]),
        Run::new("bank64k", "read_bank64k", 16, 64).with([room(1024), number(1000)]),
        Run::new("faults", "read_at", 1, 1).with([room(1), memory(vec![11])]),
        Run::new("faults", "write_at", 1, 1).with([room(1), number(12)]),
        Run::new("faults", "atomic_at", 1, 1).with([memory(vec![13])]),
        Run::new("faults", "read64_at", 1, 1).with([room(2), memory(vec![14, 15])]),
        Run::new("faults", "one_bad_thread", 2, 64).with([room(128), memory(vec![16]), number(70)]),
    ]
}

/// Parameters of every size and alignment.
fn parameters() -> Vec<Run> {
    let mut mixed = Vec::from((-5i32).to_le_bytes());
    mixed.extend([0; 4]);
    mixed.extend(2.5f64.to_le_bytes());
    mixed.extend([1, 0xff, 3, 0x80, 5, 0, 0, 0]);
    let four: Vec<u8> = [1.5f32, -2.0, 0.25, 8.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let large = |kernel, words: u32| {
        let content: Vec<u8> =
            random(30, words as usize).iter().flat_map(|word| word.to_le_bytes()).collect();
        Run::new("parameters", kernel, words.div_ceil(128), 128)
            .with([room(words as usize), bytes(&content)])
    };
    vec![
        Run::new("parameters", "parameter_layout", 1, 1).with([
            bytes(&mixed),
            bytes(&[0xfe]),
            bytes(&(-300i16).to_le_bytes()),
            long(-7i64 as u64),
            bytes(&four),
            room(30),
            bytes(&[0x7f]),
        ]),
        large("parameters_4k", 1022),
        large("parameters_6k", 1498),
        large("parameters_32k", 8189),
        Run::new("parameters", "parameters_many", 1, 1).with([
            room(2),
            bytes(&[1]),
            bytes(&[2, 3]),
            number(4),
            long(5),
            bytes(&[6]),
            bytes(&[7]),
            bytes(&[8, 9]),
            single(1.5),
            Argument::Bytes(2.5f64.to_le_bytes().into()),
            bytes(&[10]),
            long(11),
        ]),
    ]
}

/// Matrices, functions, what a language model needs.
fn numeric() -> Vec<Run> {
    const ROWS: usize = 8;
    const K: usize = 768;
    let q8_0 = || memory(blocks(40, ROWS * K / 32, 34, &[0]));
    let q4_k = || memory(blocks(41, ROWS * K / 256, 144, &[0, 2]));
    let q6_k = || memory(blocks(42, ROWS * K / 256, 210, &[208]));
    let vector = || memory(random(43, K / 4));
    let scales = || memory(floats(44, K / 32));
    let sizes = || [number(ROWS as u32), number(K as u32)];
    let gemv = |kernel, weights: Argument, x: &[Argument]| {
        let mut arguments = vec![room(ROWS), weights];
        arguments.extend_from_slice(x);
        arguments.extend(sizes());
        Run::new("gemv", kernel, 4, 64).with(arguments)
    };
    let decode = |kernel, weights: Argument, x: &[Argument]| {
        let mut arguments = vec![room(ROWS), weights];
        arguments.extend_from_slice(x);
        arguments.push(number(K as u32));
        Run { block: [32, 2, 1], ..Run::new("decoder", kernel, 4, 1).with(arguments) }
    };
    let sums = || memory(random(45, K / 32).into_iter().map(|x| (x as i32 >> 21) as u32).collect());
    vec![
        gemv("gemv_f16", memory(halves(46, ROWS * K / 2)), &[memory(floats(47, K))]),
        gemv("gemv_q8_0", q8_0(), &[vector(), scales()]),
        gemv("gemv_q4_k", q4_k(), &[vector(), scales()]),
        gemv("gemv_q6_k", q6_k(), &[vector(), scales()]),
        Run::new("gemv", "quantise_q8", 4, 64).with([
            room(64),
            room(8),
            memory(floats(48, 256)),
            number(8),
        ]),
        decode("gemv_f16", memory(halves(49, ROWS * K / 2)), &[memory(halves(50, K / 2))]),
        decode("gemv_q8_0", q8_0(), &[vector(), scales()]),
        decode("gemv_q4_k", q4_k(), &[vector(), scales(), sums()]),
        decode("gemv_q6_k", q6_k(), &[vector(), scales()]),
        Run::new("decoder", "rms_norm", 3, 64).with([
            room(900),
            memory(floats(51, 900)),
            memory(floats(52, 300)),
            number(300),
            single(1e-5),
        ]),
        Run::new("decoder", "rope", 2, 64).with([
            memory(floats(53, 256)),
            number(256),
            number(37),
            single(10_000.0),
        ]),
        Run {
            shared: 256,
            ..Run::new("decoder", "attend", 3, 32).with([
                room(192),
                memory(floats(54, 192)),
                memory(halves(55, 20 * 32)),
                memory(halves(56, 20 * 32)),
                number(20),
                number(64),
                single(0.125),
            ])
        },
        Run {
            shared: 1200,
            ..Run::new("decoder", "softmax", 2, 64).with([
                room(600),
                memory(floats(57, 600)),
                number(300),
            ])
        },
        Run::new("decoder", "argmax", 3, 64).with([
            room(2),
            memory(floats(58, 5000)),
            number(5000),
        ]),
        // Large angles are reduced, small ones taken as they are; powers overflow.
        Run::new("math", "single", 2, 64).with([
            room(100 * 32),
            memory(floats(62, 100).into_iter().map(scaled).collect()),
            memory(floats(63, 100).into_iter().map(scaled).collect()),
            number(100),
        ]),
        Run::new("math", "twofold", 2, 64).with([
            room(100 * 32),
            memory(doubles(64, 100)),
            memory(doubles(65, 100)),
            number(100),
        ]),
        Run::new("math", "whole", 2, 64).with([
            room(100 * 32),
            memory(random(66, 200)),
            memory(random(67, 200)),
            number(100),
        ]),
        Run {
            grid: [2, 1, 1],
            ..Run::new("matmul", "matmul_half", 2, 128)
                .with([
                    room(64 * 128),
                    memory(halves(68, 64 * 96 / 2)),
                    memory(halves(69, 96 * 128 / 2)),
                    number(64),
                    number(128),
                    number(96),
                ])
                .close(1e-4)
        },
        Run {
            grid: [1, 2, 1],
            ..Run::new("matmul_bytes", "matmul_bytes", 1, 32).with([
                room(32 * 64),
                memory(random(70, 32 * 96 / 4)),
                memory(random(71, 96 * 64 / 4)),
                number(32),
                number(64),
                number(96),
            ])
        },
    ]
}

/// What compilers seldom make.
fn forms() -> Vec<Run> {
    // Two of four elements, in their order.
    let places = |word: u32| {
        let place = |at| [0x4u32, 0x8, 0x9, 0xc, 0xd, 0xe][(word >> (4 * at)) as usize % 6];
        (0..8).fold(0, |places, at| places << 4 | place(at))
    };
    vec![
        Run::new("forms", "generic_atomics", 1, 64).with([room(12), room(14)]),
        Run::new("forms", "memory_barrier", 1, 128).with([room(256), memory(random(80, 128))]),
        Run::new("forms", "barriers_by_register", 1, 128).with([room(128), number(3), number(64)]),
        Run::new("forms", "virtual_recursion", 1, 32).with([room(32), number(2)]),
        Run::new("forms", "narrow_pairs", 1, 32).with([room(256), memory(random(81, 40))]),
        Run::new("forms", "sparse_products", 1, 32)
            .with([
                room(128),
                room(128),
                memory(halves(82, 256)),
                memory(random(83, 32).into_iter().map(places).collect()),
            ])
            .close(1e-4),
    ]
}

/// A float between -1 and 1 at one of several magnitudes, which its last bits choose.
fn scaled(bits: u32) -> u32 {
    let scale = [1.0, 20.0, 0.01, 3.0][(bits >> 3 & 3) as usize];
    (f32::from_bits(bits) * scale).to_bits()
}

/// Doubles between -8 and 8, two words each.
fn doubles(seed: u64, count: usize) -> Vec<u32> {
    let words = random(seed, count * 2);
    let double = |pair: &[u32]| {
        let whole = u64::from(pair[0]) << 32 | u64::from(pair[1]);
        let bits = ((whole >> 11) as f64 / (1u64 << 49) as f64 - 8.0).to_bits();
        [bits as u32, (bits >> 32) as u32]
    };
    words.chunks_exact(2).flat_map(double).collect()
}
