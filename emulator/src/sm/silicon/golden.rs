//! What an H200 answered: the committed file that lets everybody repeat the comparison without a GPU.
//!
//! A line of `golden/silicon.tsv` is an opcode, its name, and for each of its words a hash of the word and
//! one of the first rounds of answers.

use super::{Check, checks, fold, hash};
use crate::sm::Arch;
use std::collections::HashMap;
use std::fmt::Write as _;

/// Every check of Hopper with the hash of what silicon answered in the rounds that are kept, if it was
/// ever asked.
pub fn answers() -> Vec<(Check, Option<u32>)> {
    let hexadecimal = |digits| u32::from_str_radix(digits, 16).ok();
    let given: HashMap<u32, u32> = include_str!("../../../golden/silicon.tsv")
        .lines()
        .filter_map(|line| line.rsplit('\t').next())
        .flat_map(|answers| answers.split(' '))
        .filter_map(|pair| {
            let (word, answer) = pair.split_once(':')?;
            Some((hexadecimal(word)?, hexadecimal(answer)?))
        })
        .collect();
    let find = |check: Check| (check, given.get(&fold(check.word().to_le_bytes())).copied());
    checks(Arch::Sm90).into_iter().map(find).collect()
}

/// The committed file, from what a GPU answered to each word.
pub fn file<'a>(answers: impl IntoIterator<Item = (&'a Check, &'a [Vec<u32>])>) -> String {
    let see = "see emulator/src/sm/silicon/golden.rs.";
    let mut text = format!("# What an H200 answered to the checks of each opcode: {see}");
    let mut last = None;
    for (check, rounds) in answers {
        let of = (check.opcode(), check.name());
        if last.replace(of) != Some(of) {
            write!(text, "\n{:03x}\t{}\t", of.0, of.1).expect("a string takes it");
        } else {
            text.push(' ');
        }
        let word = fold(check.word().to_le_bytes());
        write!(text, "{word:x}:{:08x}", hash(rounds)).expect("as above");
    }
    text + "\n"
}
