//! The committed kernels are those that the manifest lists, source by source and cubin by cubin.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

fn ptx() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ptx")
}

struct Row {
    kind: String,
    path: String,
    hash: String,
    made_by: String,
}

fn manifest() -> Vec<Row> {
    let text = fs::read_to_string(ptx().join("manifest.tsv")).unwrap();
    let mut rows = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<String> = line.split('\t').map(String::from).collect();
        let Ok([kind, path, hash, made_by]) = <[String; 4]>::try_from(columns) else {
            panic!("not four columns: {line}");
        };
        rows.push(Row { kind, path, hash, made_by });
    }
    rows
}

#[test]
fn every_file_has_the_hash_of_its_row() {
    for row in manifest() {
        let bytes = fs::read(ptx().join(&row.path)).unwrap_or_else(|e| panic!("{}: {e}", row.path));
        let mut hash = String::new();
        for byte in Sha256::digest(&bytes) {
            hash += &format!("{byte:02x}");
        }
        assert_eq!(hash, row.hash, "{} is not what was built: run ptx/build", row.path);
    }
}

#[test]
fn every_file_has_a_row() {
    let mut listed: BTreeSet<String> = manifest().into_iter().map(|row| row.path).collect();
    let mut folders = vec![ptx()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(ptx()).unwrap().to_str().unwrap().to_string();
            if !["README.md", "build", "manifest.tsv", "requirements.txt"].contains(&name.as_str())
            {
                assert!(listed.remove(&name), "{name} is not in the manifest: run ptx/build");
            }
        }
    }
    assert!(listed.is_empty(), "not there: {listed:?}");
}

/// Each source is built for both SMs, unless its folder names the one that it needs. Sources in `llama` keep no PTX.
#[test]
fn every_source_has_its_cubins() {
    let rows = manifest();
    let has = |kind: &str, path: &str| rows.iter().any(|row| row.kind == kind && row.path == path);
    for row in rows.iter().filter(|row| row.kind == "source") {
        let source = Path::new(&row.path);
        let name = source.file_stem().unwrap().to_str().unwrap();
        let folder = source.parent().unwrap().file_name().unwrap().to_str().unwrap();
        match source.extension().unwrap().to_str().unwrap() {
            "h" => continue,
            "cu" if folder == "llama" => {}
            "cu" => assert!(has("ptx", &format!("ptx/{name}.ptx")), "{}", row.path),
            other => assert_eq!(other, "ptx", "{}", row.path),
        }
        for sm in ["sm_87", "sm_90", "sm_90a"] {
            let cubin = match folder {
                "llama" => format!("{sm}/llama/{name}.cubin"),
                _ => format!("{sm}/{name}.cubin"),
            };
            // What needs features of its own says so by its folder.
            if folder == sm || sm != "sm_90a" && ["src", "llama"].contains(&folder) {
                assert!(has("cubin", &cubin), "{} for {sm}", row.path);
            }
        }
    }
}

/// The first absolute path in bytes of any kind: a slash that begins a word, then two names of three
/// characters or more. Shorter ones occur in code by chance.
fn path_in(bytes: &[u8]) -> Option<&str> {
    let in_path = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+/".contains(&byte);
    let begins = |at: &usize| bytes[*at] == b'/' && (*at == 0 || !in_path(bytes[at - 1]));
    let mut paths = (0..bytes.len()).filter(begins).map(|start| {
        let len = bytes[start..].iter().take_while(|byte| in_path(**byte)).count();
        std::str::from_utf8(&bytes[start..start + len]).expect("ASCII")
    });
    let is_long =
        |path: &&str| path.split('/').skip(1).take(2).filter(|it| it.len() > 2).count() == 2;
    paths.find(is_long)
}

#[test]
fn paths_are_found_among_bytes() {
    for path in ["/srv/somebody/ptx", "/var/build.d/a.cu", "/opt/cuda-12/bin"] {
        for (before, after) in [("\0\x01", "\0"), (".file 1 \"", "\", 5"), ("", "\n")] {
            let text = format!("{before}{path}{after}");
            assert_eq!(path_in(text.as_bytes()), Some(path));
        }
    }
    for none in ["// a comment", "a/fraction/of", "ratio 1/250/500", "/ab/c", "src/vector.cu", ""] {
        assert_eq!(path_in(none.as_bytes()), None, "{none}");
    }
}

/// Cubins say which assembler made them, and nothing says where.
#[test]
fn no_path_of_the_builder_is_inside() {
    for row in manifest() {
        assert_eq!(row.made_by == "-", row.kind == "source", "{}", row.path);
        if row.kind == "source" {
            continue;
        }
        let bytes = fs::read(ptx().join(&row.path)).unwrap();
        assert_eq!(path_in(&bytes), None, "{}", row.path);
    }
}
