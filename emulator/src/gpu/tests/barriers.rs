//! The detector of races, where barriers in shared memory and copies under way order what is done.

use super::stage::*;
use super::*;

const COPIES_87: &[u8] = include_bytes!("../../sm/tests/kernels/copies.sm_87.cubin");
const COPIES_90: &[u8] = include_bytes!("../../sm/tests/kernels/copies.sm_90.cubin");
const BULK: &[u8] = include_bytes!("../../sm/tests/kernels/bulk.sm_90.cubin");

/// A launch of 64 threads a block that reads words at 0x1000.
struct Launch {
    cubin: &'static [u8],
    kernel: &'static str,
    /// The words of its arguments.
    arguments: Vec<u32>,
    blocks: u32,
    threads: u32,
    /// Blocks in a cluster.
    cluster: u32,
}

impl Launch {
    /// What the detector says of it: the same in every order.
    fn told(&self, generation: &'static Generation) -> bool {
        let found = [None, Some(1), Some(2), Some(3)].map(|seed| {
            let mut stage = Stage::of(generation, &[0]);
            stage.bench.gpu.detect_races();
            if let Some(seed) = seed {
                stage.bench.gpu.shake(seed);
            }
            let entry = stage.load(self.cubin, self.kernel);
            let qmd = stage.qmd(entry, &self.arguments);
            stage.geometry(qmd, self.blocks, self.threads);
            let shared = match std::ptr::eq(generation, &V3) {
                true => hw_defs::qmd::v03_00::SHARED_MEMORY_SIZE,
                false => hw_defs::qmd::v04_00::SHARED_MEMORY_SIZE,
            };
            stage.patch(qmd, shared, 5120);
            if self.cluster > 1 {
                stage.clusters(qmd, [self.cluster, 1, 1]);
                stage.patch(qmd, hw_defs::qmd::v04_00::GRID_WIDTH, self.blocks / self.cluster);
            }
            stage.bench.submit(&[pcas(qmd)]);
            assert_eq!(stage.bench.settle(), Progress::Idle);
            let mut races = 0;
            for event in stage.bench.gpu.take_events() {
                let Event::Notice { text, .. } = event else { panic!("{event:?}") };
                says(&text, &["a race on shared memory at 0x", "nothing orders that and"]);
                races += 1;
            }
            races > 0
        });
        assert!(found.iter().all(|races| *races == found[0]), "{}: {found:?}", self.kernel);
        found[0]
    }
}

fn copies(generation: &'static Generation, kernel: &'static str, tail: &[u32]) -> bool {
    let cubin = if std::ptr::eq(generation, &V3) { COPIES_87 } else { COPIES_90 };
    let arguments = match kernel {
        "hand_over" => [&at(0)[..], tail].concat(),
        _ => [&at(0)[..], &at(0x1000), tail].concat(),
    };
    Launch { cubin, kernel, arguments, blocks: 1, threads: 64, cluster: 1 }.told(generation)
}

#[test]
fn phases_order_who_arrives_and_who_sees_them_end() {
    for generation in [&V3, &V4] {
        assert!(!copies(generation, "hand_over", &[5, 0]));
        assert!(copies(generation, "hand_over", &[5, 1]), "who takes them says so too early");
        assert!(copies(generation, "hand_over", &[5, 2]), "and at last does not wait for them");
    }
}

#[test]
fn copies_have_come_when_a_phase_has_ended_or_a_group_is_awaited() {
    for generation in [&V3, &V4] {
        let [by_groups, by_barrier] = [0, 1];
        assert!(!copies(generation, "swap", &[by_barrier, 0]));
        assert!(copies(generation, "swap", &[by_barrier, 1]), "nobody looks at the phase");
        assert!(!copies(generation, "swap", &[by_groups, 0]));
        assert!(copies(generation, "swap", &[by_groups, 1]), "one group may be under way");
        assert!(copies(generation, "swap", &[by_groups, 2]), "who waits has waited for its own");
    }
}

fn bulk(kernel: &'static str, (blocks, threads, cluster): (u32, u32, u32), last: u32) -> bool {
    let arguments = [&at(0)[..], &at(0x1000), &[last]].concat();
    Launch { cubin: BULK, kernel, arguments, blocks, threads, cluster }.told(&V4)
}

#[test]
fn stores_that_signal_have_come_when_their_barrier_says_so() {
    assert!(!bulk("signals", (4, 32, 4), 0));
    assert!(bulk("signals", (4, 32, 4), 1), "nobody waits for the bytes");
}

#[test]
fn bulk_copies_are_under_way_until_somebody_has_waited() {
    let there_and_back = |mistake| bulk("there_and_back", (2, 64, 1), mistake);
    assert!(!there_and_back(0));
    assert!(there_and_back(1), "the bytes may not have come");
    assert!(there_and_back(2), "another warp may not have added one");
    assert!(there_and_back(3), "what is being sent is overwritten");
    assert!(!bulk("to_many", (4, 64, 4), 0b1011));
}
