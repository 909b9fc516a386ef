//! What an H200 answered: the committed file that lets everybody repeat the comparison without a GPU.
//!
//! A line of `golden/silicon.tsv` is an opcode, its name, and for each of its words a hash of the word and
//! one of the first rounds of answers.

use super::{Check, OUTPUTS, checks, fold, hash};
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

/// Some words of the functions that approximate: the word and the first result of each thread of the
/// first round.
pub fn close() -> Vec<(Check, Vec<u32>)> {
    include_str!("../../../golden/close.tsv")
        .lines()
        .filter_map(|line| {
            let (word, results) = line.split_once('\t')?;
            let word = u128::from_str_radix(word, 16).ok()?;
            let results = results.split(' ').map(|r| u32::from_str_radix(r, 16));
            let results = results.collect::<Result<_, _>>().expect("results are hexadecimal");
            Some((Check::new(Arch::Sm90, word)?, results))
        })
        .collect()
}

/// Of how many threads the results are kept of words that approximate.
const CLOSE_THREADS: usize = 128;

/// The two files, from what a GPU answered to each word. Of the words that approximate those stay that were
/// there.
pub fn files<'a>(
    answers: impl IntoIterator<Item = (&'a Check, &'a [Vec<u32>])>,
) -> [(&'static str, String); 2] {
    const SEE: &str = "see emulator/src/sm/silicon/golden.rs.";
    let mut exact = format!("# What an H200 answered to the checks of each opcode: {SEE}");
    let mut close = format!("# Words that approximate, and results of the first threads: {SEE}\n");
    let approximate: Vec<u128> = self::close().iter().map(|(check, _)| check.word()).collect();
    let mut last = None;
    for (check, rounds) in answers {
        let of = (check.opcode(), check.name());
        if last.replace(of) != Some(of) {
            write!(exact, "\n{:03x}\t{}\t", of.0, of.1).expect("a string takes it");
        } else {
            exact.push(' ');
        }
        let word = fold(check.word().to_le_bytes());
        write!(exact, "{word:x}:{:08x}", hash(rounds)).expect("as above");
        if approximate.contains(&check.word()) {
            write!(close, "{:032x}", check.word()).expect("as above");
            for (n, row) in rounds[0].chunks(OUTPUTS).take(CLOSE_THREADS).enumerate() {
                let separator = if n == 0 { '\t' } else { ' ' };
                write!(close, "{separator}{:x}", row[0]).expect("as above");
            }
            close.push('\n');
        }
    }
    [("silicon.tsv", exact + "\n"), ("close.tsv", close)]
}
