//! Grids whose blocks run on several threads of the host.

use std::num::NonZero;

use hw_defs::qmd::v03_00::*;

use super::stage::*;
use super::*;

/// A stage whose grids run on some threads, whatever the machine has.
fn stage(threads: usize) -> Stage {
    let mut stage = Stage::ready(&[0]);
    stage.bench.gpu.set_threads(NonZero::new(threads).unwrap());
    stage
}

#[test]
fn every_block_runs_once_and_atomics_lose_nothing() {
    for threads in [1, 2, 5] {
        let mut stage = stage(threads);
        let entry = stage.load(WORD, "count_threads");
        let qmd = stage.qmd(entry, &at(0));
        stage.geometry(qmd, 1500, 256);
        stage.release(qmd, 0x20, 1);
        stage.bench.execute(&[pcas(qmd)]);
        assert_eq!(stage.bench.data.load_u64(0), 1500 * 256, "{threads} threads");
        assert_eq!(stage.bench.word(0x20), 1);
    }
}

#[test]
fn the_first_block_that_dies_is_to_blame() {
    for threads in [1, 2, 5] {
        for _ in 0..5 {
            let mut stage = stage(threads);
            let entry = stage.load(FAULTS, "one_bad_thread");
            // The blocks from the hundredth on find no memory to write to.
            let size = stage.bench.data.size();
            let [out, out_hi] = at(size - 100 * 256 * 4);
            let [address, address_hi] = at(0);
            let qmd = stage.qmd(entry, &[out, out_hi, address, address_hi, u32::MAX]);
            stage.geometry(qmd, 1000, 256);
            stage.bench.submit(&[pcas(qmd)]);
            let (code, report) = stage.bench.settled_fault();
            assert_eq!(code, 31);
            says(&report, &["block (100, 0, 0)", "which is not mapped"]);
        }
    }
}

#[test]
fn blocks_that_wait_for_each_other_meet_on_any_number_of_threads() {
    for threads in [1, 2, 5] {
        let mut stage = stage(threads);
        let (spin, write) = (stage.load(TIME, "spin_on_word"), stage.load(WORD, "write_word"));
        let [lo, hi] = at(0);
        let (spinner, writer) = (stage.qmd(spin, &[lo, hi, 5]), stage.qmd(write, &[lo, hi, 5]));
        stage.patch(spinner, CTA_RASTER_WIDTH, 20);
        stage.bench.execute(&[pcas(spinner), pcas(writer)]);
        assert_eq!(stage.bench.word(0), 5);
    }
}
