//! The parser against files that nobody should have written: whatever the bytes, it returns, and
//! takes no more memory than the file is worth.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::Range;
use std::sync::OnceLock;

use doorbell::cubin::{Content, Cubin, Parameter, Section, Target};
use doorbell::{Arg, Commands, Device, Launch, Module, Select};
use proptest::prelude::*;

mod cubins;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, counting what each thread holds.
struct Counting;

fn count(change: isize) {
    // A thread that is ending has no counters any more, and nothing to count.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + change);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: all calls go to the system's allocator with the caller's own arguments; counting neither
// allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's duty is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's duty is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Parses, touches all that the result offers, and holds it to what a loader relies on.
fn survive(bytes: &[u8]) -> bool {
    let before = HELD.get();
    MOST.set(before);
    let result = Cubin::parse(bytes);
    let used = MOST.get() - before;
    // The most that a section header of 64 bytes or a symbol of 24 turns into is some hundred.
    assert!(used <= 16 * bytes.len() as isize + 65_536, "{used} bytes of memory");
    let cubin = match result {
        Ok(cubin) => cubin,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return false;
        }
    };
    let loaded: usize = cubin
        .sections
        .iter()
        .map(|section| match section.content {
            Content::Bytes(bytes) => bytes.len(),
            Content::Zeros(size) => {
                assert!(size <= 1 << 40);
                0
            }
        })
        .sum();
    assert!(loaded <= bytes.len());
    for relocation in &cubin.relocations {
        let section = cubin.section(relocation.section);
        let bytes = relocation.patch.bytes() as u64;
        assert!(relocation.offset.checked_add(bytes).unwrap() <= section.size());
        match relocation.target {
            Target::Section(id) => assert!(id.0 < cubin.sections.len()),
            Target::Absent(index) => assert!(index < cubin.absent.len()),
        }
    }
    for variable in &cubin.variables {
        let section = cubin.section(variable.section);
        assert!(variable.offset.checked_add(variable.size).unwrap() <= section.size());
    }
    for kernel in &cubin.kernels {
        assert!(cubin.section(kernel.code).size() > 0);
        let parameters = &kernel.parameters;
        assert!(parameters.base + parameters.size <= kernel.bank0_size);
        assert!(kernel.bank0_size <= 0x1_0000);
        assert!(parameters.list.iter().all(|p| p.offset + p.size <= parameters.size));
        let apart = |pair: &[Parameter]| pair[0].offset + pair[0].size <= pair[1].offset;
        assert!(parameters.list.windows(2).all(apart));
        assert!(kernel.required_cluster.is_none_or(|cluster| !cluster.contains(&0)));
        assert!(kernel.barriers <= 16 && kernel.registers <= 255);
        assert!(kernel.reserved_shared <= kernel.static_shared);
    }
    true
}

#[test]
fn every_truncation_is_refused() {
    for (name, bytes) in cubins::all() {
        // Program headers end the file, and the parser does not need them.
        let end = section_table(&bytes).end;
        for length in 0..bytes.len() {
            assert_eq!(survive(&bytes[..length]), length >= end, "{name} cut at {length}");
        }
    }
}

#[test]
fn every_changed_byte_is_survived() {
    for (name, mut bytes) in cubins::all() {
        // Of large ones a sample: most of their bytes are code.
        let step = bytes.len() / 1024 + 1;
        assert!(survive(&bytes), "{name}");
        for at in (0..bytes.len()).step_by(step) {
            let original = bytes[at];
            for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                bytes[at] = value;
                survive(&bytes);
            }
            bytes[at] = original ^ 1 << (at % 8);
            survive(&bytes);
            bytes[at] = original;
        }
    }
}

fn section_table(bytes: &[u8]) -> Range<usize> {
    let header = goblin::elf::Elf::parse_header(bytes).unwrap();
    let start = header.e_shoff as usize;
    start..start + 64 * usize::from(header.e_shnum)
}

/// The places where a wrong value hurts: ELF header, section headers, symbols, metadata.
fn tables(bytes: &[u8]) -> Vec<usize> {
    let elf = goblin::elf::Elf::parse(bytes).unwrap();
    let mut places: Vec<usize> = (0..64).chain(section_table(bytes)).collect();
    for header in &elf.section_headers {
        let name = elf.shdr_strtab.get_at(header.sh_name).unwrap_or("");
        if name == ".symtab" || name.starts_with(".nv.info") || name.starts_with(".rel") {
            places.extend(header.file_range().unwrap());
        }
    }
    places
}

/// Those up to 20 KiB, read once: they hold every construct.
fn small() -> &'static [Vec<u8>] {
    static SMALL: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SMALL.get_or_init(|| {
        let cubins = cubins::all().into_iter().map(|(_, bytes)| bytes);
        cubins.filter(|bytes| bytes.len() < 20 << 10).collect()
    })
}

/// Loads what parses, and records a launch of each of its kernels without sending it.
fn load(device: &Device, bytes: &[u8]) -> doorbell::Result<()> {
    let cubin = Cubin::parse(bytes)?;
    // The software Orin would give memory for what no board has.
    let zeros = |section: &Section<'_>| matches!(section.content, Content::Zeros(n) if n > 1 << 24);
    if cubin.sections.iter().any(zeros) {
        return Ok(());
    }
    let module = Module::load(device, bytes)?;
    let queue = device.compute_queue()?;
    let mut recorder = queue.record();
    for (kernel, parsed) in module.kernels().iter().zip(&cubin.kernels) {
        let sizes = parsed.parameters.list.iter().map(|parameter| parameter.size as usize);
        let values: Vec<Vec<u8>> = sizes.map(|size| vec![0xa5; size]).collect();
        let args: Vec<_> = values.iter().map(|bytes| Arg::bytes(bytes)).collect();
        for block in [1, parsed.max_threads.unwrap_or(64)] {
            let launch = Launch::new(1, parsed.required_block.unwrap_or([block, 1, 1]));
            let shape = recorder.launch_slot(launch)?;
            // SAFETY: nothing is sent.
            let done = unsafe { recorder.exec(kernel, shape, &args) }.map(|_| ());
            if let Err(error) = done {
                assert!(!error.to_string().is_empty());
            }
        }
    }
    recorder.finish().map(|_| ())
}

#[test]
fn what_parses_loads_or_is_refused() {
    let outcome = emulator::run(emulator::Options::default(), move |_| -> doorbell::Result<()> {
        let device = Device::open(Select::Auto)?;
        // Numbers that are the same in every run.
        let mut random = 1u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) as usize
        };
        let mut loaded = 0;
        for original in small() {
            let places = tables(original);
            for _ in 0..100 {
                let mut bytes = original.clone();
                for _ in 0..next() % 4 {
                    bytes[places[next() % places.len()]] = [0, 1, 0x7f, 0xff][next() % 4];
                }
                loaded += usize::from(load(&device, &bytes).is_ok());
            }
        }
        assert!(loaded > 100, "only {loaded} were loaded");
        Ok(())
    });
    outcome.expect("this machine allows seccomp filters").expect("the device works");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn changed_tables_are_survived(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), prop_oneof![Just(0), Just(0xff), any::<u8>()]),
            1..12,
        ),
    ) {
        let cubins = small();
        let mut bytes = which.get(cubins).clone();
        let places = tables(&bytes);
        for (place, value) in changes {
            bytes[*place.get(&places)] = value;
        }
        survive(&bytes);
    }

    #[test]
    fn copied_pieces_are_survived(
        which in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        length in 1..256_usize,
    ) {
        let cubins = small();
        let mut bytes = which.get(cubins).clone();
        let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
        let length = length.min(bytes.len() - from.max(to));
        bytes.copy_within(from..from + length, to);
        survive(&bytes);
    }

    #[test]
    fn noise_is_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..2048), elf: bool) {
        if elf && bytes.len() >= 64 {
            bytes[..8].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0x33]);
            bytes[16..20].copy_from_slice(&[2, 0, 190, 0]);
        }
        survive(&bytes);
    }
}
