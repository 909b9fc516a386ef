//! Kernels of one instruction, for comparison with silicon.
//!
//! For every arithmetic, memory and cross-lane instruction of the table and every operand form there
//! are some [`Check`]s: legal words that differ in one modifier or operand from the plain instruction,
//! and random combinations. Each becomes a small kernel that fills the registers from memory, runs the
//! word, and writes back whatever it can have changed. The same bytes run here and on a GPU.

mod body;
mod golden;
mod hopper;
mod inputs;
pub mod kernels;
mod sweep;
mod variants;

pub use golden::{answers, file};
pub use sweep::{Arguments, Sweep, sums, sweeps};

use super::table::{Kind, Numbers};
use super::{Arch, Block, Decoded, Fault, Launch, Order, Outcome, Program, alone, decode};
use inputs::Class;

/// Threads of the one block of a launch.
pub const THREADS: usize = 256;
/// Launches of each check, with other inputs and constants in each.
pub const ROUNDS: usize = 8;
/// Of how many rounds the committed answers of silicon keep a hash.
pub const KEPT_ROUNDS: usize = 2;
/// Words that each thread writes: the destination registers, the predicates, the uniform destination
/// and predicates, and eight words of memory.
pub const OUTPUTS: usize = 16;
/// Bytes of static shared memory that the kernels need beside what the system reserves.
pub const SHARED: u32 = 32 * THREADS as u32;
/// Registers that the kernels need.
pub const REGISTERS: u32 = 48;

/// One instruction word to run.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    decoded: Decoded,
}

impl Check {
    /// The check of a word, if it is a legal one.
    pub fn new(arch: Arch, word: u128) -> Option<Check> {
        let decoded = decode(arch, word).ok()?;
        decoded.check().ok()?;
        // A spinning swap may fail as it likes.
        let swaps = matches!(decoded.row.kind, Kind::AtomsCas | Kind::AtomCas);
        let spins = swaps && word >> 87 & 3 == 3;
        if spins {
            return None;
        }
        Some(Check { decoded })
    }

    /// The word.
    pub fn word(&self) -> u128 {
        self.decoded.word
    }

    /// The 12 bits that say which instruction it is, and in which operand form.
    pub fn opcode(&self) -> u16 {
        (self.decoded.word & 0xfff) as u16
    }

    /// The name of the instruction.
    pub fn name(&self) -> &'static str {
        self.decoded.row.name
    }

    /// The kernel around the word.
    pub fn code(&self) -> Vec<u8> {
        body::around(&self.decoded).into_iter().flat_map(u128::to_le_bytes).collect()
    }

    /// What the kernel reads in one round.
    pub fn inputs(&self, round: usize) -> &'static [u32] {
        inputs::words(self.class(), round)
    }

    /// The sixteen constants behind the two pointers in one round.
    pub fn constants(&self, round: usize) -> [u32; 16] {
        inputs::constants(self.class(), round)
    }

    fn class(&self) -> Class {
        let row = self.decoded.row;
        match (row.kind, row.numbers) {
            (Kind::Hmma | Kind::HmmaSparse, _) => match self.decoded.word >> 82 & 3 {
                0 => Class::TensorF16,
                1 => Class::TensorBf16,
                _ => Class::TensorTf32,
            },
            (Kind::Dmma, _) => Class::TensorF64,
            (Kind::Fchk, _) => Class::Exponents,
            (Kind::AtomgFloat | Kind::AtomFloat | Kind::RedFloat, _) => Class::Mixed,
            (_, Numbers::Integer) if body::memory(row.kind).is_some() => Class::Mixed,
            (_, Numbers::Integer) => Class::Integer,
            (_, Numbers::Single) => Class::Single,
            (_, Numbers::Double) => Class::Double,
            (_, Numbers::Halves) => Class::Halves,
        }
    }

    /// What the interpreter writes in one round.
    pub fn interpret(&self, round: usize) -> Result<Vec<u32>, Box<Fault>> {
        let arch = self.decoded.arch;
        let inputs = self.inputs(round);
        let out = INPUTS + (inputs.len() as u64 * 4).next_multiple_of(256);
        let words = (out - INPUTS) as usize / 4 + THREADS * OUTPUTS;
        let memory = alone::Memory::new(INPUTS, 4 * words);
        memory.fill(inputs);
        let bank = self.bank(out, round);
        let banks: [&[u8]; 1] = [&bank];
        let program = Program::new(arch, self.name(), 0x1_0000_0000, &self.code());
        let launch = Launch {
            registers: REGISTERS,
            barriers: 1,
            shared_size: SHARED + body::shared_start(arch),
            ..alone::launch(&program, THREADS as u32, &banks)
        };
        match Block::new(&program, launch, Order::Plain).run(&memory, 1 << 20) {
            Outcome::Fault(fault) => Err(fault),
            _ => Ok(memory.words((out - INPUTS) as usize / 4)),
        }
    }

    /// Constant bank 0 as a driver fills it.
    fn bank(&self, out: u64, round: usize) -> Vec<u8> {
        let parameters = body::parameters(self.decoded.arch);
        let mut bank = vec![0; parameters + 80];
        let mut put = |at: usize, bytes: &[u8]| bank[at..at + bytes.len()].copy_from_slice(bytes);
        put(0x28, &0xff_fdc0u32.to_le_bytes());
        put(parameters, &INPUTS.to_le_bytes());
        put(parameters + 8, &out.to_le_bytes());
        for (n, word) in self.constants(round).into_iter().enumerate() {
            put(parameters + 16 + n * 4, &word.to_le_bytes());
        }
        bank
    }
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.decoded.fmt(f)
    }
}

/// What the committed file keeps of the answers to one word: a hash over the first rounds.
pub fn hash<'a>(rounds: impl IntoIterator<Item = &'a Vec<u32>>) -> u32 {
    let words = rounds.into_iter().take(KEPT_ROUNDS).flatten();
    fold(words.flat_map(|word| word.to_le_bytes()))
}

/// A hash of some bytes.
fn fold(bytes: impl IntoIterator<Item = u8>) -> u32 {
    let full = bytes.into_iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    (full ^ full >> 32) as u32
}

/// Every check for a generation, by opcode.
pub fn checks(arch: Arch) -> Vec<Check> {
    (0..4096).flat_map(|opcode| variants::of(arch, opcode)).collect()
}

const INPUTS: u64 = 0x7_0000_0000;
