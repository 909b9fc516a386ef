//! Prints how far each instruction form was compared with silicon, as a table.
//!
//!     cargo run -p doorbell-emulator --example coverage

use emulator::sm::silicon::{Answer, answers, checks};
use emulator::sm::{Arch, forms};
use std::collections::{BTreeMap, HashMap};

#[derive(Default)]
struct Line {
    ampere: bool,
    hopper: bool,
    words: usize,
    exact: usize,
    close: usize,
}

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
        line.words += usize::from(answer.is_some());
        line.exact += usize::from(matches!(answer, Some(Answer::Exact(_))));
        line.close += usize::from(answer == Some(Answer::Close));
    }
    let alone: HashMap<u16, ()> = checks(Arch::Sm87).iter().map(|c| (c.opcode(), ())).collect();
    println!(
        "| opcode | instruction | sm_87 | sm_90 | words on silicon | bit-exact | within a bound | otherwise |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut totals = [0; 6];
    for ((opcode, name), line) in &lines {
        let otherwise = match (line.words, line.hopper, alone.contains_key(opcode)) {
            (1.., ..) => "",
            (_, false, true) => {
                "Hopper has no such word; its meaning is that of a word that was compared"
            }
            (_, false, false) => "Ampere's own control flow: runs in whole kernels",
            _ => "control flow, waiting or state of the machine: runs in whole kernels",
        };
        let yes = |is| if is { "yes" } else { "" };
        let (ampere, hopper) = (yes(line.ampere), yes(line.hopper));
        let Line { words, exact, close, .. } = line;
        println!(
            "| {opcode:03x} | {name} | {ampere} | {hopper} | {words} | {exact} | {close} | {otherwise} |"
        );
        let counts = [
            1,
            usize::from(*words > 0),
            usize::from(*close == 0 && *words > 0),
            *words,
            *exact,
            *close,
        ];
        totals.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
    }
    let [forms, compared, bit_exact, words, exact, close] = totals;
    println!();
    println!(
        "{forms} forms: {compared} compared with silicon, {bit_exact} of them bit-exact in every word, \
         {} within a stated bound in some, {} not reachable by an instruction alone.",
        compared - bit_exact,
        forms - compared,
    );
    println!("{words} words: {exact} bit-exact, {close} within a stated bound.");
}
