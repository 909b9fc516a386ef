//! A Python program that uses the standard library alone, run unmodified.

use std::path::Path;
use std::process::Command;

use emulator::{Options, launch};

#[test]
fn releases_a_semaphore() {
    if let Err(error) = Command::new("python3").arg("--version").output() {
        println!("skipped: no Python here (python3: {error})");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/semaphore.py");
    let status = launch(Options::default(), "python3".as_ref(), &[script.into()]).unwrap();
    assert!(status.success(), "{status}");
}
