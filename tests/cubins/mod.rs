//! The committed cubins.

use std::fs;
use std::path::Path;

/// All of them by path under `ptx/`, in order, but for those of the decoder in folders of their
/// own: they are too large to be changed byte by byte, and its own tests load them.
pub fn all() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("ptx");
    let mut cubins = Vec::new();
    for folder in ["sm_87", "sm_90", "sm_90a", "cuda13/sm_87", "cuda13/sm_90"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let entry = entry.unwrap();
            if entry.path().is_dir() {
                continue;
            }
            let name = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            cubins.push((name, fs::read(entry.path()).unwrap()));
        }
    }
    cubins.sort();
    assert!(cubins.len() > 40, "the kernels are not built: run ptx/build");
    cubins
}
