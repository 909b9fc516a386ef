//! Prints how far each instruction form was compared with silicon, as a table.
//!
//!     cargo run -p doorbell-emulator --example coverage

use emulator::sm::silicon::{Check, answers, checks};
use emulator::sm::{Arch, FROM_DOCUMENTS, forms};
use std::collections::{BTreeMap, HashSet};

#[derive(Default)]
struct Line {
    ampere: bool,
    hopper: bool,
    words: usize,
    /// Words that no silicon was asked for.
    open: usize,
}

/// What a block or a cluster does together, or what goes its way by itself: `warpgroup.cu` and `bulk.cu`.
const IN_KERNELS: &[&str] =
    &["HGMMA", "QGMMA", "IGMMA", "BGMMA", "USETMAXREG", "STAS", "REDAS", "UBLKCP", "UBLKRED"];

fn main() {
    let mut lines: BTreeMap<(u16, &str), Line> = BTreeMap::new();
    for (opcode, name) in forms(Arch::Sm87) {
        lines.entry((opcode, name)).or_default().ampere = true;
    }
    for (opcode, name) in forms(Arch::Sm90) {
        lines.entry((opcode, name)).or_default().hopper = true;
    }
    for (check, answer) in answers() {
        let line = lines.entry((check.opcode(), check.name())).or_default();
        match answer {
            Some(_) => line.words += 1,
            None => line.open += 1,
        }
    }
    let [ampere, hopper] = [Arch::Sm87, Arch::Sm90].map(checks);
    let alone: HashSet<u16> = ampere.iter().chain(&hopper).map(Check::opcode).collect();
    println!("| opcode | instruction | sm_87 | sm_90 | words bit-exact | otherwise |");
    println!("|---|---|---|---|---|---|");
    let (mut compared, mut words, mut documents, mut open) = (0, 0, 0, Vec::new());
    for ((opcode, name), line) in &lines {
        let otherwise = match (line.words, line.hopper, alone.contains(opcode)) {
            (1.., ..) => "",
            _ if FROM_DOCUMENTS.contains(name) => "from documents: no GPU was asked",
            (_, false, true) => {
                "Hopper has no such word; its meaning is that of a word that was compared"
            }
            _ if IN_KERNELS.contains(name) => {
                "of several warps, or under way: compared in whole kernels"
            }
            (_, true, true) => "no GPU has been asked about it yet",
            (_, false, false) => "Ampere's own control flow: runs in whole kernels",
            _ => "control flow, waiting or state of the machine: runs in whole kernels",
        };
        let yes = |is| if is { "yes" } else { "" };
        let (ampere, hopper) = (yes(line.ampere), yes(line.hopper));
        println!("| {opcode:03x} | {name} | {ampere} | {hopper} | {} | {otherwise} |", line.words);
        compared += usize::from(line.words > 0);
        documents += usize::from(FROM_DOCUMENTS.contains(name));
        words += line.words;
        if line.open > 0 {
            open.push(format!("{} of {opcode:03x} {name}", line.open));
        }
    }
    println!();
    println!(
        "{} forms: {compared} compared with silicon, in {words} words, all of them bit-exact; {} not \
         reachable by an instruction alone; {documents} from documents, never seen on silicon.",
        lines.len(),
        lines.len() - compared - documents,
    );
    if !open.is_empty() {
        println!("Never asked: {}.", open.join(", "));
    }
}
