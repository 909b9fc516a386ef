//! What a weight costs on an Orin: warp instructions of its machine code, counted while one warp multiplies.
//!
//! The same matrix-vector kernel runs twice, the second time with twice the rows: the difference is what tiles
//! cost, all that is done for each included, and not what is done once. `cargo test -p llama_decode --test
//! instructions -- --nocapture` prints the counts, and predicts from them and from the bytes what an Orin can do.

use std::sync::Mutex;

use doorbell::cubin::{Content, Cubin};
use emulator::sm::{
    Access, Arch, Block, GlobalMemory, Launch, MemoryFault, Order, Outcome, Program, Scope, Span,
    Tie, Verb, Watch, Who, alone,
};
use llama_decode::quant::Format;
use llama_decode::repack;

const COLUMNS: usize = 2048;
const BASE: u64 = 0x7_0000_0000;
const MATRIX: u64 = 0x20000;

/// Memory full of zeros, which remembers how wide the loads of the matrix were.
struct Memory {
    zeros: alone::Memory,
    narrow: Mutex<Vec<u32>>,
}

impl GlobalMemory for Memory {
    fn span(&self, address: u64) -> Result<Span<'_>, MemoryFault> {
        self.zeros.span(address)
    }

    fn watch(&self) -> Option<&dyn Watch> {
        Some(self)
    }
}

impl Watch for Memory {
    fn before(&self, access: &Access) {
        let weights = access.shared.is_none() && access.each().any(|(_, at)| at >= BASE + MATRIX);
        if weights && access.verb == Verb::Load && access.bytes != 16 {
            self.narrow.lock().unwrap().push(access.bytes);
        }
    }
    fn after(&self, _: &Access) {}
    fn fence(&self, _: &Who, _: Scope) {}
    fn forget_lines(&self, _: &Who) {}
    fn arrives(&self, _: &Who, _: u32, _: bool) {}
    fn opens(&self, _: [u32; 3], _: Option<u32>) {}

    fn ties(&self, _: &Who, _: Tie) {}
}

/// Runs one block of one warp over `tiles` tiles of 16 rows.
fn instructions(kernel: &str, format: Format, tiles: u32) -> u64 {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ptx/sm_87/llama/rows.cubin");
    let file = std::fs::read(file).unwrap();
    let cubin = Cubin::parse(&file).unwrap();
    let kernel = cubin.kernel(kernel).unwrap();
    let Content::Bytes(code) = cubin.section(kernel.code).content else { panic!("no code") };
    let program = Program::new(Arch::Sm87, kernel.name, 0x1_0000_0000, code);

    let mut bank = vec![0; 0x160.max(kernel.bank0_size as usize)];
    let mut put = |at: usize, bytes: &[u8]| bank[at..at + bytes.len()].copy_from_slice(bytes);
    for (at, size) in [(0, 32u32), (4, 1), (8, 1), (12, 1), (16, 1), (20, 1)] {
        put(at, &size.to_le_bytes());
    }
    // The state, the sums and the activations, all before the matrix; no norm.
    let addresses = [BASE, BASE + 0x1000, BASE + 0x4000, 0, BASE + MATRIX, 0, 0];
    let words = [tiles, 0, 0, COLUMNS as u32, 1e-5f32.to_bits(), 0, 1, 1];
    let mut parameters = addresses.iter().flat_map(|a| a.to_le_bytes()).collect::<Vec<u8>>();
    parameters.extend(words.iter().flat_map(|w| w.to_le_bytes()));
    put(kernel.parameters.base as usize, &parameters);
    let literals = kernel.literals.map(|id| cubin.section(id).content);
    let literals = match literals {
        Some(Content::Bytes(bytes)) => bytes,
        _ => &[],
    };
    let banks: [&[u8]; 3] = [&bank, &[], literals];

    let matrix = tiles as usize * repack::tile_bytes(format, COLUMNS);
    let size = MATRIX as usize + matrix;
    let memory = Memory { zeros: alone::Memory::new(BASE, size), narrow: Mutex::default() };
    let launch = Launch { registers: kernel.registers, ..alone::launch(&program, 32, &banks) };
    let mut block = Block::new(&program, launch, Order::Plain);
    let outcome = block.run(&memory, u64::MAX);
    assert_eq!(outcome, Outcome::Done, "{}", kernel.name);
    let narrow = memory.narrow.into_inner().unwrap();
    assert!(narrow.is_empty(), "{} loads weights {narrow:?} bytes wide", kernel.name);
    block.instructions()
}

/// Instructions of a lane for each weight: a warp instruction does 32 lanes' share of its weights.
fn per_weight(kernel: &str, format: Format) -> f64 {
    let [few, many] = [8, 16].map(|tiles| instructions(kernel, format, tiles));
    (many - few) as f64 * 32.0 / (8 * 16 * COLUMNS) as f64
}

/// An Orin in a power mode.
struct Mode {
    name: &'static str,
    /// Lane instructions a second: multiprocessors, 128 lanes, clock.
    issue: f64,
    /// Bytes a second that were seen to be read.
    memory: f64,
}

const MODES: [Mode; 2] = [
    Mode { name: "30 W", issue: 8.0 * 128.0 * 0.61e9, memory: 105e9 },
    Mode { name: "MAXN", issue: 16.0 * 128.0 * 1.30e9, memory: 165e9 },
];

#[test]
fn instructions_per_weight() {
    let formats = [
        ("rows_f16", Format::F16, None),
        ("rows_bf16", Format::Bf16, None),
        ("rows_q4_0", Format::Q4_0, None),
        ("rows_q8_0", Format::Q8_0, Some(1.0)),
        ("rows_q4_k", Format::Q4K, Some(1.5)),
        ("rows_q5_k", Format::Q5K, None),
        ("rows_q6_k", Format::Q6K, Some(2.0)),
    ];
    // All matrices of a Llama 3.2 1B, which are read once a token.
    let weights = 1_235_746_816.0;
    println!(
        "kernel     instructions  bytes    Llama 3.2 1B in one format, tokens a second, predicted"
    );
    println!(
        "           per weight    per w.   {} (memory, issue)   {} (memory, issue)",
        MODES[0].name, MODES[1].name
    );
    for (kernel, format, bar) in formats {
        let cost = per_weight(kernel, format);
        let bytes = repack::tile_bytes(format, COLUMNS) as f64 / (16 * COLUMNS) as f64;
        let rates =
            MODES.map(|mode| [mode.memory / (weights * bytes), mode.issue / (weights * cost)]);
        let rate = |[memory, issue]: [f64; 2]| {
            format!("{:6.1} ({memory:.1}, {issue:.1})", memory.min(issue))
        };
        println!("{kernel:10} {cost:8.2} {bytes:11.3}    {}   {}", rate(rates[0]), rate(rates[1]));
        if let Some(bar) = bar {
            assert!(
                cost <= bar,
                "{kernel} takes {cost:.2} instructions for a weight, more than {bar}"
            );
        }
    }
}
