//! The multi-function unit against sums over what one of an H200 answered.

use crate::sm::meaning::half::Kind;
use crate::sm::meaning::mufu::{Function, apply, apply_half};

const NAMES: [&str; 10] =
    ["COS", "SIN", "EX2", "LG2", "RCP", "RSQ", "RCP64H", "RSQ64H", "SQRT", "TANH"];

/// The sum that is kept: of a mixture of argument and answer, in any order.
fn sum(arguments: impl Iterator<Item = u32>, f: impl Fn(u32) -> u32) -> u64 {
    const FACTOR: u64 = 0xd6e8_feb8_6659_fd93;
    let term = |x: u32| {
        let product = u64::from(f(x) ^ x.wrapping_mul(0x9e37_79b9)).wrapping_mul(FACTOR);
        (product ^ product >> 32).wrapping_mul(FACTOR)
    };
    arguments.fold(0, |sum, x| sum.wrapping_add(term(x)))
}

fn all(function: Function) -> u64 {
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get());
    let part = |worker: usize| {
        let arguments = (worker as u64..1 << 32).step_by(workers).map(|x| x as u32);
        sum(arguments, |x| apply(function, x))
    };
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..workers).map(|w| scope.spawn(move || part(w))).collect();
        parts.into_iter().map(|p| p.join().expect("no panic")).fold(0, u64::wrapping_add)
    })
}

/// The sum over the arguments that `which` names.
fn model(function: Function, which: &str) -> u64 {
    let half = |kind: Kind| {
        sum(0..1 << 16, |x| apply_half(function, kind, kind.widen(x as u16).to_bits()).into())
    };
    match which {
        "all" => all(function),
        "F16" => half(Kind::F16),
        "BF16" => half(Kind::Bf16),
        // From every binade some, with all kinds of last bits.
        _ => sum((0..1 << 17).map(|i: u32| 0x1234 + i * 0x7fff), |x| apply(function, x)),
    }
}

fn compare(wanted: impl Fn(&str) -> bool) {
    let mut compared = 0;
    for line in include_str!("../../../golden/mufu.tsv").lines().filter(|l| !l.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let &[name, which, golden] = &columns[..] else { panic!("three columns: {line}") };
        if !wanted(which) {
            continue;
        }
        let field = NAMES.iter().position(|n| *n == name).expect("a function");
        let model = model(Function::from_field(field as u64), which);
        assert_eq!(format!("{model:016x}"), golden, "{name}, {which}");
        compared += 1;
    }
    assert!(compared >= NAMES.len());
}

#[test]
fn some_words_and_all_halves_as_an_h200() {
    compare(|which| which != "all");
}

/// `cargo test --release -p doorbell-emulator every_word -- --ignored`
#[test]
#[ignore = "takes minutes: ten functions of four thousand million words"]
fn every_word_as_an_h200() {
    compare(|which| which == "all");
}
