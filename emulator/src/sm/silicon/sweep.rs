//! The multi-function unit over very many arguments, which no check of a few threads can cover.
//!
//! `ptx/src/mufu.cu` sums up mixtures of argument and answer. A line of `golden/mufu.tsv` is a function
//! with its format, over what it was summed up, and the sum that an H200 gave.

use crate::sm::Arch;
use crate::sm::meaning::half::Kind;
use crate::sm::meaning::mufu::{Function, apply, apply_half};
use crate::sm::table::{Field, MUFU_FORMAT_87, MUFU_FORMAT_90, MUFU_FUNCTION};

const OPCODE: Field = Field::new(11, 0);
/// MUFU of a register.
const MUFU: u64 = 0x308;

/// Arguments from `start` in equal steps.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    /// The first.
    pub start: u32,
    /// From one to the next.
    pub step: u32,
    /// How many.
    pub count: u64,
}

/// One function over many arguments.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// The function and the format, as instructions name them.
    pub name: &'static str,
    /// What it was given, in words.
    over: &'static str,
    /// The same in numbers.
    pub arguments: Arguments,
    /// What an H200 summed up.
    pub golden: u64,
    /// The bits of both in a word, and where they are.
    modifiers: u128,
    mask: u128,
    function: Function,
    half: Option<Kind>,
}

/// What was swept on an H200 and is there on `arch` too.
pub fn sweeps(arch: Arch) -> Vec<Sweep> {
    let lines = include_str!("../../../golden/mufu.tsv").lines();
    lines.filter(|line| !line.starts_with('#')).filter_map(|line| sweep(arch, line)).collect()
}

fn sweep(arch: Arch, line: &'static str) -> Option<Sweep> {
    let columns: Vec<&str> = line.split('\t').collect();
    let &[name, which, golden] = &columns[..] else { panic!("not three columns: {line}") };
    let (function, suffix) = name.split_once('.').unwrap_or((name, ""));
    let formats = match arch {
        Arch::Sm87 => MUFU_FORMAT_87,
        Arch::Sm90 => MUFU_FORMAT_90,
    };
    let format = formats.names.iter().position(|n| *n == suffix)?;
    let function = MUFU_FUNCTION.names.iter().position(|n| *n == function)?;
    Some(Sweep {
        name,
        over: which,
        arguments: match which {
            "every word" => Arguments { start: 0, step: 1, count: 1 << 32 },
            "every half" => Arguments { start: 0, step: 1, count: 1 << 16 },
            // Some of every binade, with all kinds of last bits.
            _ => Arguments { start: 0x1234, step: 0x7fff, count: 1 << 17 },
        },
        golden: u64::from_str_radix(golden, 16).expect("sums are hexadecimal"),
        modifiers: MUFU_FUNCTION.put(function) | formats.put(format),
        mask: MUFU_FUNCTION.mask() | formats.mask(),
        function: Function::from_field(function as u64),
        half: match suffix {
            "" => None,
            "F16" => Some(Kind::F16),
            _ => Some(Kind::Bf16),
        },
    })
}

/// The committed file, from what a GPU of Hopper summed up over each.
pub fn sums<'a>(sums: impl IntoIterator<Item = &'a (Sweep, u64)>) -> String {
    let see = "see emulator/src/sm/silicon/sweep.rs.";
    let header = format!("# What a multi-function unit of an H200 answered, summed up: {see}\n");
    sums.into_iter().fold(header, |text, (sweep, sum)| {
        text + &format!("{}\t{}\t{sum:016x}\n", sweep.name, sweep.over)
    })
}

impl Sweep {
    /// Puts the function into the only MUFU of a kernel's code.
    pub fn fill(&self, code: &mut [u8]) {
        for bytes in code.chunks_exact_mut(16) {
            let word = u128::from_le_bytes(bytes.try_into().expect("16 bytes"));
            if OPCODE.get(word) == MUFU {
                bytes.copy_from_slice(&(word & !self.mask | self.modifiers).to_le_bytes());
            }
        }
    }

    /// What the model sums up; on all processors.
    pub fn model(&self) -> u64 {
        let workers = std::thread::available_parallelism().map_or(1, |n| n.get());
        let part = |worker: usize| {
            let turns = (worker as u64..self.arguments.count).step_by(workers);
            turns.fold(0u64, |sum, turn| sum.wrapping_add(self.term(turn as u32)))
        };
        std::thread::scope(|scope| {
            let parts: Vec<_> = (0..workers).map(|w| scope.spawn(move || part(w))).collect();
            parts.into_iter().map(|p| p.join().expect("no panic")).fold(0, u64::wrapping_add)
        })
    }

    fn term(&self, turn: u32) -> u64 {
        const FACTOR: u64 = 0xd6e8_feb8_6659_fd93;
        let Arguments { start, step, .. } = self.arguments;
        let x = start.wrapping_add(turn.wrapping_mul(step));
        let answer = match self.half {
            Some(kind) => apply_half(self.function, kind, kind.widen(x as u16).to_bits()).into(),
            None => apply(self.function, x),
        };
        let mixed = u64::from(answer ^ x.wrapping_mul(0x9e37_79b9)).wrapping_mul(FACTOR);
        (mixed ^ mixed >> 32).wrapping_mul(FACTOR)
    }
}
