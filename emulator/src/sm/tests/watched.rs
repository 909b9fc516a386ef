//! A watched block tells of everything it does to memory, and computes the same.

use std::cell::RefCell;

use super::harness::*;
use crate::sm::*;

/// Memory that writes down what is told about it.
struct Recorder {
    arena: Arena,
    told: RefCell<Told>,
}

#[derive(Default)]
struct Told {
    accesses: Vec<Access>,
    after: usize,
    fences: Vec<Scope>,
    emptied: usize,
    arrived: usize,
    opened: usize,
    ties: Vec<Tie>,
}

impl Told {
    /// How many lanes did this.
    fn lanes(&self, shared: bool, verb: Verb, strong: bool) -> u32 {
        let same = |a: &&Access| (a.shared.is_some(), a.verb, a.strong) == (shared, verb, strong);
        self.accesses.iter().filter(same).map(|access| access.lanes.count_ones()).sum()
    }
}

impl GlobalMemory for Recorder {
    fn span(&self, address: u64) -> Result<Span<'_>, MemoryFault> {
        self.arena.span(address)
    }

    fn watch(&self) -> Option<&dyn Watch> {
        Some(self)
    }
}

impl Watch for Recorder {
    fn before(&self, access: &Access) {
        let mut told = self.told.borrow_mut();
        assert!(told.after == told.accesses.len() || access.who == told.accesses[told.after].who);
        told.accesses.push(access.clone());
    }

    fn after(&self, access: &Access) {
        let mut told = self.told.borrow_mut();
        assert_eq!(told.accesses[told.after].who, access.who);
        told.after += 1;
    }

    fn fence(&self, _: &Who, scope: Scope) {
        self.told.borrow_mut().fences.push(scope);
    }

    fn forget_lines(&self, _: &Who) {
        self.told.borrow_mut().emptied += 1;
    }

    fn arrives(&self, _: &Who, barrier: u32, waits: bool) {
        assert_eq!((barrier, waits), (0, true));
        self.told.borrow_mut().arrived += 1;
    }

    fn opens(&self, _: [u32; 3], barrier: Option<u32>) {
        assert_eq!(barrier, Some(0));
        self.told.borrow_mut().opened += 1;
    }

    fn ties(&self, _: &Who, tie: Tie) {
        self.told.borrow_mut().ties.push(tie);
    }
}

/// Runs a kernel unwatched and watched on the same input: what was told. `prepare` also says how many
/// words of output to compare.
fn watch(
    arch: Arch,
    cubin: &[u8],
    kernel: &str,
    prepare: impl Fn(&Arena) -> (Set, u64, usize),
) -> Told {
    let plain = Arena::new();
    let loaded = Kernel::load(&plain, arch, cubin, kernel);
    let (set, out, words) = prepare(&plain);
    loaded.run(&plain, &set).unwrap();
    let recorder = Recorder { arena: Arena::new(), told: RefCell::default() };
    let loaded = Kernel::load(&recorder.arena, arch, cubin, kernel);
    let (set, same_out, _) = prepare(&recorder.arena);
    assert_eq!(same_out, out);
    loaded.run(&recorder, &set).unwrap();
    assert_eq!(recorder.arena.get(out, words), plain.get(out, words));
    let told = recorder.told.into_inner();
    assert_eq!(told.after, told.accesses.len());
    told
}

#[test]
fn loads_stores_atomics_fences_and_barriers() {
    both(|arch| {
        let told = watch(arch, &shipped(arch, "reduce.cubin"), "sum_last_block", |arena| {
            let input = arena.put(&[1.5f32.to_bits(); 1000]);
            let (total, sums, done) = (arena.put(&[0]), arena.put(&[0; 4]), arena.put(&[0]));
            let set = Set::new(4, 64).wide(total).wide(sums).wide(done).wide(input).word(1000);
            (set, total, 1)
        });
        let (global, shared) = (false, true);
        assert_eq!(told.lanes(global, Verb::Load, false), 1000);
        assert_eq!(told.lanes(global, Verb::Load, true), 4, "the volatile ones");
        assert_eq!(told.lanes(global, Verb::Store, false), 4 + 2);
        assert_eq!(told.lanes(global, Verb::Atomic, true), 4);
        // Two warps, twice in the last block, and whether it is the last.
        assert_eq!(told.lanes(shared, Verb::Store, false), 2 * 5 + 4);
        assert!(told.lanes(shared, Verb::Load, false) >= 4 * 64);
        let gpu = told.fences.iter().filter(|scope| **scope == Scope::Gpu);
        assert_eq!(gpu.count(), 4 + 2);
        assert_eq!(told.emptied, 4 + 2);
        assert_eq!((told.arrived, told.opened), ((4 * 2 + 1) * 2, 4 * 2 + 1));
        let store =
            told.accesses.iter().find(|a| a.shared.is_none() && a.verb == Verb::Store).unwrap();
        assert_eq!((store.lanes, store.bytes, store.who.sm), (1, 4, 3));
        assert_eq!(f32::from_bits(store.values[0][0]) % 1.5, 0.0);
    });
}

#[test]
fn matrix_loads_and_copies_to_shared_memory() {
    both(|arch| {
        let cubin = own(arch, "mma");
        let told = watch(arch, &cubin, "ldmatrix", |arena| {
            let (from, out) = (arena.put(&random(1, 128)), arena.put(&[0; 448]));
            (Set::new(1, 32).wide(from).wide(out), out, 448)
        });
        let rows: u32 = told.lanes(true, Verb::Load, false);
        assert_eq!(rows, 2 * (8 + 16 + 32), "one, two and four matrices, plain and transposed");
        assert!(
            told.accesses
                .iter()
                .any(|a| a.shared.is_some() && a.verb == Verb::Load && a.bytes == 16)
        );
        let told = watch(arch, &cubin, "cpasync", |arena| {
            let (from, out) = (arena.put(&random(2, 512)), arena.put(&[0; 384]));
            (Set::new(1, 32).wide(from).wide(out).word(20), out, 384)
        });
        let bytes = |shared, verb| -> u32 {
            let same =
                told.accesses.iter().filter(|a| (a.shared.is_some(), a.verb) == (shared, verb));
            same.map(|access| access.lanes.count_ones() * access.bytes).sum()
        };
        assert!(bytes(false, Verb::Load) > 32 * 16);
        assert!(bytes(true, Verb::Store) > 12 * 32 * 4 + 32 * 16, "beside the plain stores");
    });
}

#[test]
fn generic_addresses_mean_one_memory_or_the_other() {
    both(|arch| {
        let told = watch(arch, &shipped(arch, "shared.cubin"), "shared_generic", |arena| {
            let (out, input) = (arena.put(&[0; 64]), arena.put(&random(3, 64)));
            (Set::new(1, 64).wide(out).wide(input), out, 64)
        });
        for shared in [true, false] {
            assert!(told.lanes(shared, Verb::Load, false) > 0, "shared {shared}");
        }
        let offsets = told.accesses.iter().filter(|access| access.shared.is_some());
        assert!(offsets.flat_map(Access::each).all(|(_, offset)| offset < 0x1000));
    });
}
