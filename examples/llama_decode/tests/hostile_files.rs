//! Files that are cut short, damaged, or made to do harm: each gives one sentence, and neither
//! time nor memory beyond what the file's own size justifies.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use llama_decode::gguf::write::{Header, Item};
use llama_decode::gguf::{Array, Gguf};
use llama_decode::model::Model;
use llama_decode::quant::Format;
use llama_decode::text::Tokenizer;
use proptest::prelude::*;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// Remembers the largest allocation of each thread.
struct Watched;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.set(LARGEST.get().max(layout.size()));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static WATCHED: Watched = Watched;

/// Opens bytes and reads everything that there is in them.
fn open(bytes: Vec<u8>) -> Result<(), String> {
    let allowed = 64 * bytes.len() + (1 << 16);
    LARGEST.set(0);
    let result = read_all(bytes);
    let largest = LARGEST.get();
    assert!(largest <= allowed, "an allocation of {largest} bytes, {allowed} are plenty");
    if let Err(sentence) = &result {
        assert!(!sentence.is_empty() && sentence.len() < 1000 && !sentence.contains('\n'));
    }
    result
}

fn read_all(bytes: Vec<u8>) -> Result<(), String> {
    let file = Gguf::new(bytes).map_err(|error| error.to_string())?;
    for (_, value) in file.keys() {
        if let llama_decode::gguf::Value::Array(array) = value {
            assert_eq!(array.values().count(), array.len());
        }
        let _ = value.to_string();
    }
    let _ = file.find::<Array<'_>>("ints").map(|a| a.and_then(|a| a.all::<i32>()));
    for name in file.tensor_names() {
        if let Ok(Some(tensor)) = file.tensor(name) {
            let weights = tensor.columns() * tensor.rows();
            assert_eq!(tensor.bytes.len(), tensor.format.bytes(weights));
            assert_eq!(tensor.row(tensor.rows() - 1).len(), tensor.format.bytes(tensor.columns()));
        }
    }
    let _ = Model::new(&file);
    let _ = Tokenizer::new(&file);
    Ok(())
}

fn header() -> Header {
    let mut header = Header::default();
    header.key("general.architecture", Item::String("llama".into()));
    header.key("general.alignment", Item::U32(32));
    header.key("llama.block_count", Item::U32(1));
    header.key("llama.rope.freq_base", Item::F32(1e4));
    header.key("tokenizer.ggml.add_bos_token", Item::Bool(true));
    header.key("tokenizer.ggml.model", Item::String("gpt2".into()));
    header.key("tokenizer.ggml.tokens", Item::Strings(vec!["a".into(), String::new(), "é".into()]));
    header.key("ints", Item::I32s(vec![1, -1]));
    header.tensor("one", Format::F32, &[3]);
    header.tensor("two", Format::Q8_0, &[64, 2]);
    header.tensor("three", Format::Q6K, &[256, 1, 2]);
    header
}

fn encode(header: &Header) -> Vec<u8> {
    let mut bytes = Vec::new();
    let fill = |entry: &llama_decode::gguf::write::Entry, out: &mut dyn std::io::Write| {
        out.write_all(&vec![0x3c; entry.bytes()])
    };
    header.write(&mut bytes, fill).expect("memory takes everything");
    bytes
}

fn string(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text].concat()
}

/// A file put together by hand.
fn raw(version: u32, tensors: u64, keys: u64, rest: &[Vec<u8>]) -> Vec<u8> {
    let counts = [tensors.to_le_bytes(), keys.to_le_bytes()].concat();
    [b"GGUF".to_vec(), version.to_le_bytes().to_vec(), counts, rest.concat()].concat()
}

fn tensor(name: &str, dims: &[u64], format: u32, offset: u64) -> Vec<u8> {
    let sizes: Vec<u8> = dims.iter().flat_map(|n| n.to_le_bytes()).collect();
    let count = (dims.len() as u32).to_le_bytes().to_vec();
    let tail = [&format.to_le_bytes()[..], &offset.to_le_bytes()].concat();
    [string(name.as_bytes()), count, sizes, tail].concat()
}

#[track_caller]
fn refused(bytes: Vec<u8>, why: &str) {
    let sentence = open(bytes).expect_err("must be refused");
    assert!(sentence.contains(why), "{sentence:?} should say {why:?}");
}

#[test]
fn what_was_written_is_read() {
    let file = Gguf::new(encode(&header())).expect("sound");
    assert_eq!(file.need::<&str>("general.architecture").expect("there"), "llama");
    assert_eq!(file.need::<u32>("llama.block_count").expect("there"), 1);
    assert_eq!(file.need::<f32>("llama.rope.freq_base").expect("there"), 1e4);
    assert!(file.need::<bool>("tokenizer.ggml.add_bos_token").expect("there"));
    let tokens: Array<'_> = file.need("tokenizer.ggml.tokens").expect("there");
    assert_eq!(tokens.all::<&str>(), Some(vec!["a", "", "é"]));
    assert_eq!(tokens.all::<i32>(), None);
    let ints: Array<'_> = file.need("ints").expect("there");
    assert_eq!(ints.all::<i32>(), Some(vec![1, -1]));
    assert_eq!(ints.all::<u32>(), None);
    assert_eq!(file.tensor_names().collect::<Vec<_>>(), ["one", "two", "three"]);
    let two = file.tensor("two").expect("supported").expect("there");
    assert_eq!((two.format, two.dims, two.rows()), (Format::Q8_0, &[64, 2][..], 2));
    assert_eq!(two.bytes, vec![0x3c; 136]);
    assert!(file.tensor("four").expect("fine").is_none());
    assert!(file.find::<u32>("nothing").expect("fine").is_none());
    let wrong = file.find::<u32>("general.architecture").expect_err("is a string").to_string();
    assert!(wrong.contains("key general.architecture is \"llama\"; a whole number"), "{wrong}");
    let missing = file.need::<u32>("nothing").expect_err("is missing").to_string();
    assert!(missing.contains("key nothing is missing"));
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = encode(&header());
    let last = 420;
    for length in (0..whole.len()).filter(|n| *n < whole.len() - last || n % 7 == 0) {
        let sentence = open(whole[..length].to_vec());
        // Only the padding behind the last tensor may be missing.
        assert!(sentence.is_err() || length > whole.len() - 32, "cut at {length}");
    }
    open(whole).expect("sound");
}

#[test]
fn files_that_are_something_else() {
    refused(b"".to_vec(), "ends within the first four bytes");
    refused(b"PK\x03\x04 a zip file".to_vec(), "does not begin with the letters GGUF");
    refused(raw(3u32.swap_bytes(), 0, 0, &[]), "big-endian");
    refused(raw(2, 0, 0, &[]), "version is 2");
    refused(raw(0, 0, 0, &[]), "version is 0");
    let missing = Gguf::open("/nonexistent/model.gguf").expect_err("is not there").to_string();
    assert!(missing.contains("cannot read /nonexistent/model.gguf"), "{missing}");
    let folder = Gguf::open("/").expect_err("is a folder").to_string();
    assert!(folder.contains("not a regular file"), "{folder}");
}

#[test]
fn numbers_too_large_to_be_true() {
    refused(raw(3, u64::MAX, 0, &[]), "claims 0 keys and 18446744073709551615 tensors");
    refused(raw(3, 0, 1 << 40, &[]), "no model has more than");
    refused(raw(3, 60_000, 60_000, &[]), "ends within");
    refused(raw(3, 0, 1, &[u64::MAX.to_le_bytes().to_vec()]), "ends within the name of key 0");
    let array = |of: u32, count: u64| {
        let kinds = [9u32.to_le_bytes(), of.to_le_bytes()].concat();
        raw(3, 0, 1, &[string(b"k"), kinds, count.to_le_bytes().to_vec(), vec![0; 64]])
    };
    refused(array(8, u64::MAX), "claims 18446744073709551615 elements");
    refused(array(10, 1 << 61), "more than the file could hold");
    refused(array(0, 65), "more than the file could hold");
    refused(array(9, 1), "array of arrays");
    refused(array(13, 1), "type 13, which is unknown");
    refused(raw(3, 1, 0, &[tensor("t", &[1 << 32, 1 << 32], 0, 0)]), "impossible sizes");
    refused(raw(3, 1, 0, &[tensor("t", &[u64::MAX, 2], 0, 0)]), "impossible sizes");
    refused(raw(3, 1, 0, &[tensor("t", &[0], 0, 0)]), "impossible sizes");
    refused(raw(3, 1, 0, &[tensor("t", &[1 << 40], 0, 0)]), "is the download complete");
}

#[test]
fn keys_that_make_no_sense() {
    let key = |name: &[u8], kind: u32, value: Vec<u8>| {
        [string(name), kind.to_le_bytes().to_vec(), value].concat()
    };
    let twice = key(b"k", 0, vec![1]);
    refused(raw(3, 0, 2, &[twice.clone(), twice]), "key \"k\" is there twice");
    refused(raw(3, 0, 1, &[key(b"\xff", 0, vec![1])]), "the name of key 0 is not UTF-8");
    refused(raw(3, 0, 1, &[key(&[b'k'; 999], 0, vec![1])]), "has 999 bytes");
    refused(raw(3, 0, 1, &[key(b"k", 8, string(b"\xc3"))]), "value of key \"k\" is not UTF-8");
    refused(raw(3, 0, 1, &[key(b"k", 7, vec![2])]), "neither true nor false");
    let alignment = |n: u32| raw(3, 0, 1, &[key(b"general.alignment", 4, n.to_le_bytes().into())]);
    refused(alignment(0), "a power of two is expected");
    refused(alignment(48), "general.alignment is 48");
    open(alignment(64)).expect("sound");
}

#[test]
fn tensors_that_make_no_sense() {
    let data = vec![0; 4096];
    let file = |entries: &[Vec<u8>]| {
        raw(3, entries.len() as u64, 0, &[entries.to_vec(), vec![data.clone()]].concat())
    };
    refused(file(&[tensor("", &[4], 0, 0)]), "name of tensor 0 has 0 bytes");
    refused(file(&[tensor(&"t".repeat(65), &[4], 0, 0)]), "has 65 bytes");
    refused(file(&[tensor("t", &[], 0, 0)]), "has 0 dimensions");
    refused(file(&[tensor("t", &[1; 5], 0, 0)]), "has 5 dimensions");
    refused(file(&[tensor("t", &[100], 8, 0)]), "rows of 100 weights, which is not whole blocks");
    refused(file(&[tensor("t", &[4], 0, 8)]), "begins at 8, which is not a multiple of 32");
    refused(file(&[tensor("t", &[4], 0, 1 << 20)]), "lies outside the file");
    refused(file(&[tensor("t", &[4], 0, u64::MAX - 31)]), "lies outside the file");
    refused(file(&[tensor("t", &[2048], 0, 0)]), "is the download complete");
    let pair = |second| file(&[tensor("a", &[16], 0, 64), tensor("b", &[16], 0, second)]);
    refused(pair(64), "overlap");
    refused(pair(96), "tensors \"a\" and \"b\" overlap");
    refused(pair(32), "tensors \"b\" and \"a\" overlap");
    open(pair(128)).expect("sound");
    refused(file(&[tensor("t", &[4], 0, 0), tensor("t", &[4], 0, 32)]), "\"t\" is there twice");
    // A type that is not supported is no fault of the file.
    let bytes = file(&[tensor("t", &[32], 20, 0)]);
    open(bytes.clone()).expect("sound");
    let told = Gguf::new(bytes).expect("sound").tensor("t").expect_err("unsupported").to_string();
    assert!(told.contains("tensor t has type IQ4_NL, which is not supported"), "{told}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn damaged_files_never_do_harm(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        is_cut: bool,
    ) {
        let mut bytes = encode(&header());
        // The header is what can be misread; blocks may hold anything.
        let interesting = bytes.len() - 700;
        for (place, value) in damage {
            bytes[place.index(interesting)] = value;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = open(bytes);
    }

    #[test]
    fn any_bytes_behind_the_magic_never_do_harm(rest in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = open(raw(3, 2, 3, &[rest]));
    }
}
