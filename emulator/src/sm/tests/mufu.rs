//! The multi-function unit against what one of an H200 answered to very many arguments.

use crate::sm::Arch;
use crate::sm::silicon::{Sweep, sums, sweeps};

fn compare(wanted: impl Fn(&Sweep) -> bool) {
    let sweeps: Vec<Sweep> = sweeps(Arch::Sm90).into_iter().filter(wanted).collect();
    assert!(sweeps.len() >= 10);
    for sweep in sweeps {
        assert_eq!(sweep.model(), sweep.golden, "{} over {:?}", sweep.name, sweep.arguments);
    }
}

fn takes_long(sweep: &Sweep) -> bool {
    sweep.arguments.count == 1 << 32
}

#[test]
fn some_words_and_every_half_as_an_h200() {
    compare(|sweep| !takes_long(sweep));
}

/// `cargo test --release -p doorbell-emulator every_word -- --ignored`
#[test]
#[ignore = "takes minutes: ten functions of four thousand million words"]
fn every_word_as_an_h200() {
    compare(takes_long);
}

/// What asking a GPU anew writes is what is read.
#[test]
fn the_committed_sums_are_written_as_they_are_read() {
    let known: Vec<(Sweep, u64)> = sweeps(Arch::Sm90).into_iter().map(|s| (s, s.golden)).collect();
    assert_eq!(sums(&known), include_str!("../../../golden/mufu.tsv"));
}
