//! The settings of docs/launch-ordering.md: what loses on an H200 loses here, what does not does not.
//!
//! The four tests are those of the page, with fewer kernels: nothing is a matter of luck here.

use std::collections::BTreeSet;

use hw_defs::qmd::QmdField;
use hw_defs::qmd::v04_00::*;

use super::copy::{NON_PIPELINED, PITCH, launch, line};
use super::stage::*;
use super::*;

const VECTOR_90: &[u8] = include_bytes!("../../../../ptx/sm_90/vector.cubin");
const WORD_90: &[u8] = include_bytes!("../../../../ptx/sm_90/word.cubin");

const BLOCK: u32 = 64;

type Fields = Vec<(QmdField, u32)>;

/// What the descriptors of a chain say.
#[derive(Clone, Default)]
struct Setting {
    first: Fields,
    /// All but the first.
    later: Fields,
    /// All but the last.
    chained: Fields,
    last: Fields,
    /// Each launch starts when all blocks of the one before have, or when they have ended, and waits for
    /// the rest in its first instruction.
    latches: Option<(QmdField, bool)>,
    seeds: u64,
}

impl Setting {
    fn all(mut self, fields: &[(QmdField, u32)]) -> Setting {
        self.first.extend(fields);
        self.later.extend(fields);
        self
    }

    fn first(mut self, fields: &[(QmdField, u32)]) -> Setting {
        self.first.extend(fields);
        self
    }

    fn later(mut self, fields: &[(QmdField, u32)]) -> Setting {
        self.later.extend(fields);
        self
    }

    fn chained(mut self, fields: &[(QmdField, u32)]) -> Setting {
        self.chained.extend(fields);
        self
    }

    fn last(mut self, fields: &[(QmdField, u32)]) -> Setting {
        self.last.extend(fields);
        self
    }

    /// Which of the four tests lose anything, in any order that the seeds give.
    fn loses(&self) -> Vec<u32> {
        let tests = [one_word, two_buffers, fresh_inputs, results];
        let loses = |test: fn(&Setting, Stage) -> bool| {
            (0..=self.seeds).any(|seed| {
                let mut stage = Stage::of(&V4, &[0]);
                stage.bench.gpu.model_caches();
                if seed > 0 {
                    stage.bench.gpu.shake(seed);
                }
                test(self, stage)
            })
        };
        (1..).zip(tests).filter(|(_, test)| loses(*test)).map(|(number, _)| number).collect()
    }

    /// Links launches to a chain that signals its end at 0x40.
    fn link(&self, stage: &mut Stage, qmds: &[u64]) {
        let (first, last) = (qmds[0], qmds[qmds.len() - 1]);
        for pair in qmds.windows(2) {
            stage.follow(pair[0], pair[1], DEPENDENT_QMD_ACTION_QMD_SCHEDULE);
        }
        stage.release(last, 0x40, 1);
        if let Some((early, waits)) = self.latches {
            let latch = |qmd: u64| (qmd >> 8) as u32;
            for pair in qmds.windows(2) {
                for (qmd, field, value) in [
                    (pair[0], early, 1),
                    (pair[0], ARRIVE_AT_LATCH_VALID, 1),
                    (pair[0], ARRIVE_AT_LATCH_ID, latch(pair[0])),
                    (pair[1], WAIT_ON_LATCH_VALID, 1),
                    (pair[1], WAIT_ON_LATCH_ID, latch(pair[0])),
                    (pair[1], LATCH_ACQUIRE_INVALIDATE_SHADER_DATA_CACHE, 1),
                ] {
                    stage.patch(qmd, field, value);
                }
                if waits {
                    stage.enter_waiting(pair[1]);
                }
            }
        }
        for qmd in qmds {
            let place = if *qmd == first { &self.first } else { &self.later };
            let end = if *qmd == last { &self.last } else { &self.chained };
            for (field, value) in place.iter().chain(end) {
                stage.patch(*qmd, *field, *value);
            }
        }
    }
}

/// Runs a chain and sees its end, as a program does that polls.
fn replay(stage: &mut Stage, first: u64) {
    stage.bench.data.store_u32(0x40, 0);
    stage.bench.submit(&[pcas(first)]);
    while stage.bench.word(0x40) == 0 {
        assert_ne!(stage.bench.gpu.step(1), Progress::Idle);
    }
}

/// One word in another block each time.
fn one_word(setting: &Setting, mut stage: Stage) -> bool {
    const MOST: u32 = 5;
    const KERNELS: u32 = 12;
    let entry = stage.load(VECTOR_90, "add_one");
    let n = MOST * BLOCK + 1;
    let mut qmds = Vec::new();
    for i in 0..KERNELS {
        let below = (2 * i) % MOST * BLOCK;
        let [part, hi] = at(0x1000 + u64::from(n - 1 - below) * 4);
        let qmd = stage.qmd(entry, &[part, hi, part, hi, below + 1]);
        stage.geometry(qmd, below / BLOCK + 1, BLOCK);
        qmds.push(qmd);
    }
    setting.link(&mut stage, &qmds);
    replay(&mut stage, qmds[0]);
    replay(&mut stage, qmds[0]);
    stage.bench.word(0x1000 + u64::from(n - 1) * 4) != 2 * KERNELS
}

/// Two buffers in turn, with blocks of another size each time.
fn two_buffers(setting: &Setting, mut stage: Stage) -> bool {
    const N: u32 = 600;
    const KERNELS: u32 = 6;
    let entry = stage.load(VECTOR_90, "add_one");
    let ([a, hi], [b, _]) = (at(0x1000), at(0x2000));
    let mut qmds = Vec::new();
    for i in 0..KERNELS {
        let (out, from, block) = if i % 2 == 0 { (b, a, BLOCK) } else { (a, b, BLOCK * 3 / 2) };
        let qmd = stage.qmd(entry, &[out, hi, from, hi, N]);
        stage.geometry(qmd, N.div_ceil(block), block);
        qmds.push(qmd);
    }
    setting.link(&mut stage, &qmds);
    replay(&mut stage, qmds[0]);
    (0..N).any(|i| stage.bench.word(0x1000 + u64::from(i) * 4) != KERNELS)
}

/// What the CPU and the copy engine wrote.
fn fresh_inputs(setting: &Setting, mut stage: Stage) -> bool {
    const N: u32 = 4 * BLOCK;
    let entry = stage.load(VECTOR_90, "add_one");
    let places = [0x1000, 0x2000, 0x3000, 0x4000].map(at);
    let [[input, hi], [copied, _], [from_host, _], [from_device, _]] = places;
    let qmds = [[from_host, input], [from_device, copied]].map(|[out, from]| {
        let qmd = stage.qmd(entry, &[out, hi, from, hi, N]);
        stage.geometry(qmd, N / BLOCK, BLOCK);
        qmd
    });
    setting.link(&mut stage, &qmds);
    stage.bench.execute(&[copy_class()]);
    let mut lost = false;
    for round in 1..=2 {
        for i in 0..u64::from(N) {
            stage.bench.data.store_u32(0x1000 + i * 4, round);
        }
        let flush = c7b5::LAUNCH_DMA_FLUSH_ENABLE.mask();
        let copy = line(DATA_VA + 0x1000, DATA_VA + 0x2000, N * 4);
        stage.bench.execute(&[copy, launch(PITCH | NON_PIPELINED | flush)]);
        replay(&mut stage, qmds[0]);
        for at in [0x3000, 0x4000] {
            lost |= (0..u64::from(N)).any(|i| stage.bench.word(at + i * 4) != round + 1);
        }
    }
    lost
}

/// What kernels stored when the end of the last one is seen; an argument changes each time.
fn results(setting: &Setting, mut stage: Stage) -> bool {
    const N: u32 = 4 * BLOCK;
    let (fill, empty) = (stage.load(VECTOR_90, "fill"), stage.load(WORD_90, "empty"));
    let mut qmds = Vec::new();
    for part in 0..3 {
        let [lo, hi] = at(0x1000 + part * u64::from(N) * 4);
        let qmd = stage.qmd(fill, &[lo, hi, 0, N]);
        stage.geometry(qmd, N / BLOCK, BLOCK);
        qmds.push(qmd);
    }
    qmds.push(stage.qmd(empty, &[]));
    setting.link(&mut stage, &qmds);
    let mut lost = false;
    for round in 1..=2 {
        for qmd in &qmds[..3] {
            stage.argument(*qmd, 2, round);
        }
        replay(&mut stage, qmds[0]);
        lost |= (0..u64::from(3 * N)).any(|i| stage.bench.word(0x1000 + i * 4) != round);
    }
    lost
}

const TEXTURES: [(QmdField, u32); 3] = [
    (INVALIDATE_TEXTURE_HEADER_CACHE, 1),
    (INVALIDATE_TEXTURE_SAMPLER_CACHE, 1),
    (INVALIDATE_TEXTURE_DATA_CACHE, 1),
];
const NO_DATA: [(QmdField, u32); 1] = [(INVALIDATE_SHADER_DATA_CACHE, 0)];
const PRE: [(QmdField, u32); 1] =
    [(CONSTANT_BUFFER_PREFETCH(0), CONSTANT_BUFFER_PREFETCH_PREFETCH_PRE)];
const STALE_BANK: [(QmdField, u32); 1] = [(CONSTANT_BUFFER_INVALIDATE(0), 0)];
const NONE: [(QmdField, u32); 1] = [(CWD_MEMBAR_TYPE, CWD_MEMBAR_TYPE_L1_NONE)];

/// Every invalidate, and a system membar on each.
fn everything() -> Setting {
    Setting::default().all(&TEXTURES)
}

/// The GPU's membar on all but the last.
fn membars() -> Setting {
    everything().chained(&[(CWD_MEMBAR_TYPE, CWD_MEMBAR_TYPE_L1_MEMBAR)])
}

/// With bank 0 fetched ahead.
fn fetched() -> Setting {
    membars().all(&PRE)
}

fn no_textures() -> [(QmdField, u32); 3] {
    TEXTURES.map(|(field, _)| (field, 0))
}

#[test]
fn settings_that_lose_nothing_on_silicon() {
    let max = |size| [(CONSTANT_BUFFER_PREFETCH_PRE_MAX_SIZE_SHIFTED8, size)];
    let post = [(CONSTANT_BUFFER_PREFETCH(0), CONSTANT_BUFFER_PREFETCH_PREFETCH_POST)];
    for (name, setting) in [
        ("everything", everything()),
        ("L1_MEMBAR on all but the last", membars()),
        ("bank 0 prefetched", fetched()),
        ("task chasing", fetched().chained(&[(CWD_MEMBAR_TASK_CHASING_ENABLE, 1)])),
        ("PRE_MAX_SIZE of 3", fetched().all(&max(3))),
        ("PRE_MAX_SIZE of 63", fetched().all(&max(63))),
        ("only the shader-data invalidate", membars().all(&no_textures())),
        (
            "all constants instead of bank 0",
            membars().all(&STALE_BANK).all(&[(INVALIDATE_SHADER_CONSTANT_CACHE, 1)]),
        ),
        ("PREFETCH_POST", membars().all(&post)),
    ] {
        assert_eq!(setting.loses(), [], "{name}");
    }
}

#[test]
fn settings_that_lose_on_silicon() {
    let stale = membars().all(&STALE_BANK);
    let chasing = [(CWD_MEMBAR_TASK_CHASING_ENABLE, 1)];
    let no_auto = [(DISABLE_AUTO_INVALIDATE, 1)];
    let no_prefetch = [(DEPENDENT_QMD_PREFETCH(0), 0)];
    let bare = fetched().later(&no_textures()).later(&NO_DATA);
    for (name, setting, lost) in [
        // There only where many stores are on their way; here always.
        ("no membar on all but the last", everything().chained(&NONE), vec![1, 2]),
        ("no shader-data invalidate on later ones", fetched().later(&NO_DATA), vec![1, 2]),
        ("no invalidate but bank 0's on later ones", bare.clone(), vec![1, 2]),
        ("nor on the first", bare.clone().first(&NO_DATA), vec![1, 2, 3]),
        ("bank 0 not invalidated", stale.clone(), vec![4]),
        ("nor code prefetched", stale.clone().all(&[(PROGRAM_PREFETCH_SIZE, 0)]), vec![4]),
        ("nor automatic invalidates", stale.clone().all(&no_auto), vec![4]),
        ("CTA_LAUNCH_QUEUE 1", stale.clone().all(&[(CTA_LAUNCH_QUEUE, 1)]), vec![4]),
        ("QMD_GROUP_ID 0", stale.clone().all(&[(QMD_GROUP_ID, 0)]), vec![4]),
        ("PROGRAM_PRE_EXIT", stale.clone().all(&[(ENABLE_PROGRAM_PRE_EXIT, 1)]), vec![1, 2, 4]),
        ("next descriptor not prefetched", stale.chained(&no_prefetch), vec![4]),
        ("task chasing instead of invalidates", bare.clone().all(&chasing), vec![1, 2]),
        (
            "L1_SYSMEMBAR instead of invalidates",
            everything().later(&no_textures()).later(&NO_DATA).all(&no_auto),
            vec![1, 2],
        ),
        // Not measured there, and why the last of a chain has the membar of the system.
        ("the GPU's membar at the end, too", fetched().last(&membars().chained), vec![1, 2, 3, 4]),
        ("no membar at the end", fetched().last(&NONE), vec![1, 2, 3, 4]),
    ] {
        assert_eq!(setting.loses(), lost, "{name}");
    }
}

#[test]
fn grids_that_overlap_lose_what_the_first_one_stores_late() {
    let early = [(PRE_EXIT_AT_LAST_CTA_LAUNCH, 1)];
    let setting = Setting { seeds: 8, ..membars().all(&early).all(&STALE_BANK) };
    let lost = setting.loses();
    assert!(lost.contains(&2) && lost.contains(&4), "{lost:?}");
}

#[test]
fn launches_that_wait_at_a_latch_may_start_early() {
    for early in [PRE_EXIT_AT_LAST_CTA_LAUNCH, ENABLE_PROGRAM_PRE_EXIT] {
        let with = |waits| Setting { seeds: 4, latches: Some((early, waits)), ..fetched() };
        assert_eq!(with(true).loses(), [], "{early}");
        // Without the instruction that waits the latch is nobody's business.
        let lost = with(false).loses();
        assert!(lost.contains(&1) && lost.contains(&2), "{early}: {lost:?}");
    }
}

#[test]
fn what_was_cached_before_the_latch_opens_does_not_count() {
    let reads = |seed, invalidates| {
        let mut stage = Stage::of(&V4, &[0]);
        stage.bench.gpu.model_caches();
        stage.bench.gpu.shake(seed);
        let entry = stage.load(VECTOR_90, "add_one");
        let ([word, hi], [below, _], [out, _]) = (at(0x1000), at(0x0ffc), at(0));
        // Block 0 of the first launch reads the word, block 1 changes it on another multiprocessor, and
        // the second launch reads it where block 0 did.
        let first = stage.qmd(entry, &[below, hi, word, hi, 2]);
        stage.geometry(first, 2, 1);
        let second = stage.qmd(entry, &[out, hi, word, hi, 1]);
        let early = (PRE_EXIT_AT_LAST_CTA_LAUNCH, true);
        let stale = [(LATCH_ACQUIRE_INVALIDATE_SHADER_DATA_CACHE, invalidates)];
        let setting = Setting { latches: Some(early), ..fetched().later(&stale) };
        stage.bench.data.store_u32(0x1004, 5);
        setting.link(&mut stage, &[first, second]);
        replay(&mut stage, first);
        stage.bench.word(0)
    };
    let seen = |invalidates| (0..60).map(|seed| reads(seed, invalidates)).collect::<BTreeSet<_>>();
    assert_eq!(seen(1), BTreeSet::from([7]));
    assert_eq!(seen(0), BTreeSet::from([1, 7]));
}
