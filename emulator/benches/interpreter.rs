//! How many warp instructions the interpreter runs in a second, on one thread:
//! `cargo bench -p doorbell-emulator`. A warp instruction is one instruction for up to 32 lanes.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use emulator::sm;

#[path = "../src/sm/tests/harness.rs"]
#[allow(dead_code)] // Shared with the tests, which use all of it.
mod harness;

#[path = "cases/mod.rs"]
mod cases;

use cases::CASES;
use harness::*;
use sm::Arch;

fn kernels(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("warp instructions");
    group.sample_size(30);
    for case in &CASES {
        let arena = Arena::new();
        let kernel =
            Kernel::load(&arena, Arch::Sm87, &shipped(Arch::Sm87, case.cubin), case.kernel);
        let set = (case.set)(&arena);
        let instructions = kernel.run(&arena, &set).unwrap();
        group.throughput(Throughput::Elements(instructions));
        group.bench_function(case.name, |bencher| {
            bencher.iter(|| black_box(kernel.run(&arena, &set).unwrap()));
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    kernels(&mut criterion);
    criterion.final_summary();
}
