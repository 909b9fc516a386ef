use std::thread;

use proptest::prelude::*;

use super::*;

const SIZE: u64 = 3 * 4096;
/// Miri takes a second for a page.
const PAGES: u64 = if cfg!(miri) { 3 } else { 64 };

fn memory(size: u64) -> Arc<Memory> {
    Memory::new("test", size).unwrap()
}

fn contents(memory: &Memory) -> Vec<u8> {
    let mut bytes = vec![0; memory.size() as usize];
    memory.read(0, &mut bytes);
    bytes
}

fn filled(size: u64) -> (Arc<Memory>, Vec<u8>) {
    let bytes: Vec<u8> = (0..size).map(|i| (i * 31 + i / 256) as u8).collect();
    let memory = memory(size);
    memory.write(0, &bytes);
    (memory, bytes)
}

proptest! {
    #[test]
    fn reads_and_writes_at_any_alignment(
        offset in 0..SIZE - 300,
        data in prop::collection::vec(any::<u8>(), 0..300),
        from in 0..SIZE - 300,
        len in 0..300_usize,
    ) {
        let (memory, mut expected) = filled(SIZE);
        memory.write(offset, &data);
        expected[offset as usize..offset as usize + data.len()].copy_from_slice(&data);
        prop_assert_eq!(contents(&memory), &expected[..]);
        let mut out = vec![0; len];
        memory.read(from, &mut out);
        prop_assert_eq!(&out, &expected[from as usize..from as usize + len]);
    }

    #[test]
    fn copies_skip_holes_and_nothing_else(
        pages in prop::collection::vec(any::<bool>(), PAGES as usize),
        from in 0..8192_u64,
        to in 0..8192_u64,
        len in 0..=(PAGES - 2) * 4096,
    ) {
        let source = memory(PAGES * 4096);
        for (page, written) in pages.iter().enumerate() {
            if *written {
                source.write(page as u64 * 4096 + 100, &[page as u8 + 1; 3000]);
            }
        }
        let (target, mut expected) = filled(PAGES * 4096);
        target.copy_from(to, &source, from, len);
        let copied = &contents(&source)[from as usize..(from + len) as usize];
        expected[to as usize..(to + len) as usize].copy_from_slice(copied);
        prop_assert!(contents(&target) == expected);
    }
}

#[test]
fn words_are_little_endian_pieces_of_the_bytes() {
    let memory = memory(4096);
    memory.write(8, &[1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(memory.load_u32(12), 0x0807_0605);
    assert_eq!(memory.load_u64(8), 0x0807_0605_0403_0201);
    assert_eq!(memory.swap_u32(8, 0xaabb_ccdd), 0x0403_0201);
    memory.store_u64(16, 0x1122_3344_5566_7788);
    assert_eq!(memory.load_u32(16), 0x5566_7788);
    assert_eq!(memory.load_u32(8), 0xaabb_ccdd);
}

#[test]
fn updates_lose_nothing_between_threads() {
    let memory = memory(4096);
    const EACH: u32 = if cfg!(miri) { 100 } else { 20_000 };
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..EACH {
                    memory.update_u32(0, |word| word + 1);
                    memory.update_u64(8, |word| word + 3);
                }
            });
        }
    });
    assert_eq!(memory.load_u32(0), 3 * EACH);
    assert_eq!(memory.load_u64(8), 9 * u64::from(EACH));
}

#[test]
fn a_released_word_brings_what_was_written_before_it() {
    let memory = memory(4096);
    thread::scope(|scope| {
        scope.spawn(|| {
            memory.write(64, &[7; 100]);
            memory.store_u32(0, 1);
        });
        while memory.load_u32(0) == 0 {
            std::hint::spin_loop();
        }
        let mut out = [0; 100];
        memory.read(64, &mut out);
        assert_eq!(out, [7; 100]);
    });
}

#[test]
#[cfg(not(miri))]
fn a_program_sees_the_same_bytes_through_a_description_of_its_own() {
    use std::fs::File;
    use std::io::{Seek, SeekFrom};
    use std::os::unix::fs::{FileExt, MetadataExt};

    let memory = memory(8192);
    let mut first = File::from(memory.reopen().unwrap());
    let second = File::from(memory.reopen().unwrap());
    memory.store_u32(4096, 0x1234_5678);
    let mut word = [0; 4];
    second.read_exact_at(&mut word, 4096).unwrap();
    assert_eq!(u32::from_le_bytes(word), 0x1234_5678);
    second.write_all_at(&[9], 0).unwrap();
    assert_eq!(memory.load_u32(0), 9);
    let metadata = first.metadata().unwrap();
    assert_eq!((metadata.dev(), metadata.ino()), memory.identity());
    assert_eq!(metadata.len(), 8192);
    // Offsets are not shared.
    first.seek(SeekFrom::Start(77)).unwrap();
    assert_eq!((&second).stream_position().unwrap(), 0);
    assert_ne!(super::tests::memory(4096).identity(), memory.identity());
}

#[test]
#[cfg(not(miri))]
fn untouched_bytes_cost_nothing() {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    let (source, target) = (memory(1 << 40), memory(1 << 40));
    source.store_u64(1 << 39, 5);
    target.copy_from(0, &source, 0, 1 << 40);
    assert_eq!(target.load_u64(1 << 39), 5);
    let file = File::from(target.reopen().unwrap());
    assert!(file.metadata().unwrap().blocks() <= 8);
}

#[test]
fn empty_memory_does_not_exist() {
    assert!(Memory::new("test", 0).is_err());
}

#[test]
fn accesses_outside_or_astride_panic() {
    let memory = memory(4096);
    let attempts: [&dyn Fn(); 8] = [
        &|| {
            memory.load_u32(4096);
        },
        &|| {
            memory.load_u32(2);
        },
        &|| {
            memory.load_u64(4);
        },
        &|| memory.store_u64(4092, 0),
        &|| memory.write(4000, &[0; 97]),
        &|| memory.read(u64::MAX - 4, &mut [0; 8]),
        &|| memory.copy_from(4095, &memory, 0, 2),
        &|| memory.copy_from(0, &memory, 4095, 2),
    ];
    for (i, attempt) in attempts.into_iter().enumerate() {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(attempt));
        assert!(outcome.is_err(), "attempt {i}");
    }
    memory.write(4096, &[]);
    memory.copy_from(4096, &memory, 0, 0);
}
