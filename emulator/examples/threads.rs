//! How many warp instructions the GPU of the software Orin runs in a second, by the number of threads that share a
//! grid: `cargo run --release -p doorbell-emulator --example threads`. The numbers of threads to try can be
//! given as arguments.
//!
//! A thread that shares a core with another, or a processor with another process, does less: so the table says how
//! many cores there are, and how many processors were busy with something else. What the threads ran for each second
//! of processor time leaves out that they waited, for a processor or for each other: if it falls with their number,
//! they share a core, or words in memory.

use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, Instant};

use emulator::gpu::{Access, ChannelSetup, Gpu, Progress};
use emulator::memory::Memory;
use emulator::sm::{self, Arch};
use hw_defs::gpfifo::{Entry, Level, Sync};
use hw_defs::qmd::{Qmd, v03_00::*};
use hw_defs::{Method, c7c0::*, c76f, push, userd};

#[path = "../benches/cases/mod.rs"]
mod cases;
#[path = "../src/sm/tests/harness.rs"]
#[allow(dead_code)] // Shared with the tests, which use all of it.
mod harness;

#[path = "threads/machine.rs"]
mod machine;

use cases::{CASES, Case};
use harness::{Arena, Kernel, Set};
use machine::Busy;

/// Where the parts of a launch lie in the memory for them, and where that lies.
const LAUNCH: u64 = 0x20_0000_0000;
const QMD: u64 = 0;
const BANKS: u64 = 0x1000;
const BANK_BYTES: u64 = 0x1000;
const PUSH: u64 = 0x9000;
const RING: u64 = 0xa000;
const CHANNEL: u32 = 511;
/// How often a grid is repeated, so that starting it does not count.
const REPEATED: u32 = 64;
/// How many launches the best is taken of.
const LAUNCHES: u32 = 5;

fn main() {
    let given: Vec<usize> = std::env::args().skip(1).filter_map(|n| n.parse().ok()).collect();
    let counts = match given.is_empty() {
        true => (1..=std::thread::available_parallelism().map_or(1, |n| n.get())).collect(),
        false => given,
    };
    println!("{}", machine::cores());
    let before = Busy::now();
    std::thread::sleep(Duration::from_secs(1));
    println!("processors that others kept busy in the second before: {}", two(before.since().0));
    print!("{:<38}", "million warp instructions a second");
    counts.iter().for_each(|n| print!("{n:>8}"));
    println!();
    for case in &CASES {
        let (run, instructions) = prepare(case);
        let (mut rates, mut others, mut costs) = (Vec::new(), Vec::new(), Vec::new());
        for n in &counts {
            let before = Busy::now();
            rates.push(instructions / run(*n) / 1e6);
            let (busy, own) = before.since();
            others.push(busy);
            costs.push(own.map(|seconds| instructions * f64::from(LAUNCHES) / seconds / 1e6));
        }
        print!("{:<38}", case.name);
        rates.iter().for_each(|rate| print!("{rate:>8.1}"));
        print!("\n{:<38}", "  for each thread, by that of the first");
        let first = rates[0] / counts[0] as f64;
        counts.iter().zip(&rates).for_each(|(n, rate)| print!("{:>8.2}", rate / *n as f64 / first));
        print!("\n{:<38}", "  for each second of processor time");
        costs.into_iter().for_each(|cost| print!("{:>8}", cost.map_or("?".into(), one)));
        print!("\n{:<38}", "  processors that others kept busy");
        others.into_iter().for_each(|others| print!("{:>8}", two(others)));
        println!();
    }
}

fn one(value: f64) -> String {
    format!("{value:.1}")
}

fn two(value: Option<f64>) -> String {
    value.map_or("?".into(), |value| format!("{value:.2}"))
}

/// What runs a case on some threads and says how many seconds that took at best; and how many warp instructions
/// it has.
fn prepare(case: &Case) -> (impl Fn(usize) -> f64, f64) {
    let arena = Arena::new();
    let start = arena.room(0);
    let cubin = harness::shipped(Arch::Sm87, case.cubin);
    let kernel = Kernel::load(&arena, Arch::Sm87, &cubin, case.kernel);
    let mut set = (case.set)(&arena);
    let once = kernel.run(&arena, &set).expect("the kernel runs");
    set.grid[2] = REPEATED;
    let run = move |threads| {
        let mut board = Board::new((&arena, start), &kernel, &set, threads);
        (0..LAUNCHES).map(|_| board.launch()).fold(f64::MAX, f64::min)
    };
    (run, once as f64 * f64::from(REPEATED))
}

/// A GPU with one channel, and a launch in memory.
struct Board {
    gpu: Gpu,
    memory: Arc<Memory>,
    userd: Arc<Memory>,
    put: u32,
    words: u32,
}

impl Board {
    fn new((arena, start): (&Arena, u64), kernel: &Kernel, set: &Set, threads: usize) -> Board {
        let mut gpu = Gpu::new();
        gpu.set_threads(NonZero::new(threads).expect("a grid needs a thread"));
        let space = gpu.create_space();
        let memory = |name, size| Memory::new(name, size).expect("memory is to be had");
        let bytes = arena.read(start, (arena.room(0) - start).next_multiple_of(4096) as usize);
        let data = memory("data", bytes.len() as u64);
        data.write(0, &bytes);
        gpu.map(space, start, data.clone(), 0, data.size(), Access::ReadWrite);
        let code = memory("code", 1 << 20);
        code.write(0, kernel.program.code());
        gpu.map(space, kernel.program.base(), code, 0, 1 << 20, Access::ReadOnly);
        let memory = memory("launch", 1 << 16);
        gpu.map(space, LAUNCH, memory.clone(), 0, memory.size(), Access::ReadWrite);

        let mut qmd = Qmd::<64>::new();
        let banks = kernel.banks(set);
        let slices: Vec<&[u8]> = banks.iter().map(Vec::as_slice).collect();
        let launch = kernel.launch(set, [0; 3], &slices);
        let [width, height, depth] = launch.grid;
        let [x, y, z] = launch.block;
        for (field, value) in [
            (QMD_MAJOR_VERSION, 3),
            (QMD_GROUP_ID, 0x3f),
            (SM_GLOBAL_CACHING_ENABLE, 1),
            (SAMPLER_INDEX, 1),
            (CWD_MEMBAR_TYPE, CWD_MEMBAR_TYPE_L1_SYSMEMBAR),
            (INVALIDATE_SHADER_DATA_CACHE, 1),
            (CTA_RASTER_WIDTH, width),
            (CTA_RASTER_HEIGHT, height),
            (CTA_RASTER_DEPTH, depth),
            (CTA_THREAD_DIMENSION0, x),
            (CTA_THREAD_DIMENSION1, y),
            (CTA_THREAD_DIMENSION2, z),
            (SHARED_MEMORY_SIZE, (launch.shared_size + 1024).next_multiple_of(128)),
            (MIN_SM_CONFIG_SHARED_MEM_SIZE, 42),
            (TARGET_SM_CONFIG_SHARED_MEM_SIZE, 42),
            (MAX_SM_CONFIG_SHARED_MEM_SIZE, 42),
            (REGISTER_COUNT_V, launch.registers),
            (BARRIER_COUNT, launch.barriers),
            (SASS_VERSION, 0x87),
            (PROGRAM_ADDRESS_LOWER, launch.entry as u32),
            (PROGRAM_ADDRESS_UPPER, (launch.entry >> 32) as u32),
        ] {
            qmd.set(field, value);
        }
        for (n, bank) in banks.iter().enumerate().filter(|(_, bank)| !bank.is_empty()) {
            let at = BANKS + n as u64 * BANK_BYTES;
            memory.write(at, bank);
            qmd.set(CONSTANT_BUFFER_VALID(n as u32), 1);
            qmd.set(CONSTANT_BUFFER_INVALIDATE(n as u32), 1);
            qmd.set(CONSTANT_BUFFER_ADDR_LOWER(n as u32), (LAUNCH + at) as u32);
            qmd.set(CONSTANT_BUFFER_ADDR_UPPER(n as u32), ((LAUNCH + at) >> 32) as u32);
            qmd.set(CONSTANT_BUFFER_SIZE_SHIFTED4(n as u32), (bank.len() as u32).div_ceil(16));
        }
        let bytes: Vec<u8> = qmd.words().iter().flat_map(|word| word.to_le_bytes()).collect();
        memory.write(QMD, &bytes);

        let send = |subchannel, method: Method, data: &[u32]| {
            [&[push::inc(subchannel, method, data.len() as u32)], data].concat()
        };
        let schedule = SEND_SIGNALING_PCAS2_B_PCAS_ACTION_PREFETCH_SCHEDULE;
        let words = [
            send(1, c76f::SET_OBJECT, &[AMPERE_COMPUTE_B]),
            send(1, SET_SHADER_SHARED_MEMORY_WINDOW_A, &[0x729, 0x4000_0000]),
            send(1, SET_SHADER_LOCAL_MEMORY_WINDOW_A, &[0x729, 0x4100_0000]),
            send(1, SEND_PCAS_A, &[((LAUNCH + QMD) >> 8) as u32]),
            send(1, SEND_SIGNALING_PCAS2_B, &[schedule]),
        ]
        .concat();
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        memory.write(PUSH, &bytes);

        let userd = Memory::new("userd", 4096).expect("memory is to be had");
        let setup = ChannelSetup {
            tsg: 0,
            veid: 1,
            space,
            ring_va: LAUNCH + RING,
            entries: 8,
            userd: userd.clone(),
        };
        gpu.create_channel(CHANNEL, setup);
        gpu.allow_class(CHANNEL, AMPERE_COMPUTE_B);
        Board { gpu, memory, userd, put: 0, words: words.len() as u32 }
    }

    /// Launches, and waits for the end; the seconds that took.
    fn launch(&mut self) -> f64 {
        let entry = Entry::encode(LAUNCH + PUSH, self.words, Level::Main, Sync::Proceed);
        self.memory.store_u64(RING + u64::from(self.put) * 8, entry);
        self.put = (self.put + 1) % 8;
        self.userd.store_u32(userd::GP_PUT, self.put);
        let started = Instant::now();
        assert!(self.gpu.doorbell(CHANNEL));
        while self.gpu.step(100_000) == Progress::Worked {}
        let seconds = started.elapsed().as_secs_f64();
        assert_eq!(self.gpu.take_events(), []);
        seconds
    }
}
