//! Real kernels with random bits turned over: each runs to its end, uses up its budget, or faults.

use super::harness::*;
use crate::sm::*;

/// How many mutants there are of each generation, shared out among the kernels.
const MUTANTS: usize = 50_000;
/// Warp instructions that a mutant may run: enough for every part of these kernels to be reached.
const BUDGET: u64 = 1_500;

// One test for each generation, so that both run at the same time.

#[test]
fn mutants_of_sm_87_end_or_fault() {
    mutants(Arch::Sm87);
}

#[test]
fn mutants_of_sm_90_end_or_fault() {
    mutants(Arch::Sm90);
}

fn mutants(arch: Arch) {
    let mut files = vec![
        (shipped(arch, "reduce.cubin"), vec!["sum_shuffle", "sum_shared", "max_redux"]),
        (shipped(arch, "divergence.cubin"), vec!["part_and_meet", "switch_table"]),
        (shipped(arch, "matmul.cubin"), vec!["matmul_half"]),
        (shipped(arch, "matmul_bytes.cubin"), vec!["matmul_bytes"]),
        (shipped(arch, "gemv.cubin"), vec!["gemv_q8_0", "gemv_q4_k", "gemv_f16"]),
        (shipped(arch, "atomics.cubin"), vec!["atomics", "histogram"]),
        (shipped(arch, "local.cubin"), vec!["recursion", "local_generic"]),
        (own(arch, "int"), vec!["int_basic", "int64", "collectives", "vote_match"]),
        (own(arch, "flt"), vec!["f32_basic", "convert", "half_basic", "f64_basic"]),
        (own(arch, "mem"), vec!["mem_basic", "generic", "atomics", "calls", "barriers"]),
        (own(arch, "mma"), vec!["mma_f16", "mma_s8", "mma_tf32", "mma_f64", "cpasync"]),
    ];
    files.extend(match arch {
        Arch::Sm87 => vec![(own(arch, "copies"), vec!["hand_over", "swap"])],
        Arch::Sm90 => vec![
            (own(arch, "copies"), vec!["hand_over", "swap"]),
            (own(arch, "bulk"), vec!["there_and_back", "to_many", "signals", "reduces"]),
            (own(arch, "group"), vec!["halves", "half_sums"]),
        ],
    });
    let kernels: usize = files.iter().map(|(_, names)| names.len()).sum();
    for (cubin, names) in &files {
        for name in names {
            mutate(arch, cubin, name, MUTANTS.div_ceil(kernels));
        }
    }
}

fn mutate(arch: Arch, cubin: &[u8], name: &str, count: usize) {
    let arena = Arena::new();
    let kernel = Kernel::load(&arena, arch, cubin, name);
    let room = arena.room(1 << 16);
    let set = Set::new(1, 64);
    let set = (0..5).fold(set, |set, n| set.wide(room + n * 4096));
    let banks = kernel.banks(&set);
    let banks: Vec<&[u8]> = banks.iter().map(Vec::as_slice).collect();
    let code = kernel.program.code();
    let dice = random(name.len() as u64 * 31 + code.len() as u64, count * 4);
    for roll in dice.chunks_exact(4) {
        let mut mutant = code.to_vec();
        // One to three bits of one instruction, scheduling bits left alone.
        let at = roll[0] as usize % (code.len() / 16) * 16;
        for n in 0..=roll[1] % 3 {
            let bit = (roll[2] >> (8 * n) & 0xff) as usize % 105;
            mutant[at + bit / 8] ^= 1 << (bit % 8);
        }
        let program = Program::new(arch, name, kernel.program.base(), &mutant);
        let order = Order::Seeded(roll[3].into());
        let mut block = Block::new(&program, kernel.launch(&set, [0; 3], &banks), order);
        match block.run(&arena, BUDGET) {
            Outcome::Done | Outcome::Budget => {}
            Outcome::Fault(fault) => assert!(fault.to_string().contains(name)),
        }
    }
}
