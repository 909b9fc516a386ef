//! The interpreter against the committed answers of an H200.

use super::harness::{Arena, Kernel, names, shipped_in, toolchains};
use crate::sm::exec::PLAIN;
use crate::sm::silicon::{Check, KEPT_ROUNDS, answers, hash};
use crate::sm::{Arch, silicon};

/// Calls `f` with each item, on all processors.
fn everywhere<T: Sync>(items: &[T], f: impl Fn(&T) + Sync) {
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| {
        for part in items.chunks(items.len().div_ceil(workers).max(1)) {
            scope.spawn(|| part.iter().for_each(&f));
        }
    });
}

fn interpreted(check: &Check) -> u32 {
    let rounds: Vec<Vec<u32>> =
        (0..KEPT_ROUNDS).map(|round| check.interpret(round).expect("what decodes runs")).collect();
    hash(&rounds)
}

#[test]
fn answers_as_an_h200() {
    let all: Vec<_> = answers().into_iter().filter_map(|(c, answer)| Some((c, answer?))).collect();
    assert!(all.len() > 7500, "{} answers", all.len());
    everywhere(&all, |(check, answer)| {
        for plain in [false, true] {
            PLAIN.set(plain);
            let word = check.word();
            assert_eq!(interpreted(check), *answer, "{word:032x} {check}, plain: {plain}");
        }
    });
}

/// Every kernel of `ptx/`, of both generations from both toolchains, and with features of Hopper's own.
#[test]
fn kernels_leave_what_an_h200_leaves() {
    let (runs, silicon) = (silicon::kernels::runs(), silicon::kernels::outcomes());
    let leave = |folder: &str| {
        let mut cubins: Vec<&str> = runs.iter().map(|run| run.cubin).collect();
        cubins.sort_unstable();
        cubins.dedup();
        for cubin in cubins.into_iter().filter(|cubin| exists(folder, cubin)) {
            let (arch, bytes) = shipped_in(folder, &format!("{cubin}.cubin"));
            for name in names(&bytes) {
                let covered = runs.iter().any(|run| run.cubin == cubin && run.kernel == name);
                // Functions that kernels call have sections too.
                let kernel = !name.starts_with('$') && !name.starts_with("_Z");
                let elsewhere = silicon::kernels::elsewhere(cubin, &name);
                assert!(covered || elsewhere || !kernel, "{folder}/{cubin}: {name} is not run");
            }
            for run in runs.iter().filter(|run| run.cubin == cubin) {
                let arena = Arena::new();
                let kernel = Kernel::load(&arena, arch, &bytes, run.kernel);
                let buffers = kernel.run_listed(&arena, run).expect("no kernel faults");
                let key = format!("{}/{}", folder.replace("sm_87", "sm_90"), run.name());
                let outcome = run.outcome(&buffers);
                let known = &silicon[&key];
                // The same generation answers with the same bits.
                let fits = if arch == Arch::Sm90 {
                    outcome == *known
                } else {
                    run.agrees(known, &outcome)
                };
                assert!(fits, "{folder}/{}", run.name());
            }
        }
    };
    toolchains(leave);
    leave("sm_90a");
}

fn exists(folder: &str, cubin: &str) -> bool {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../ptx");
    std::path::Path::new(path).join(folder).join(cubin).with_extension("cubin").exists()
}
