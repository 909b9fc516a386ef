//! A C program that knows nothing of doorbell, compiled here and run unmodified.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;

use emulator::{Options, launch};

/// The compiled program; none, with the reason printed, on a machine that cannot compile.
fn program() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    PROGRAM
        .get_or_init(|| {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/semaphore.c");
            let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("semaphore");
            let mut cc = Command::new("cc");
            cc.args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O2", "-o"]);
            match cc.arg(&program).arg(&source).status() {
                Ok(status) => assert!(status.success(), "{} does not compile", source.display()),
                Err(error) => {
                    println!("skipped: no C compiler here (cc: {error})");
                    return None;
                }
            }
            Some(program)
        })
        .as_deref()
}

fn run(options: Options, arguments: &[&str]) -> Option<ExitStatus> {
    let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    Some(launch(options, program()?.as_os_str(), &arguments).unwrap())
}

fn succeeds(arguments: &[&str]) {
    if let Some(status) = run(Options::default(), arguments) {
        assert!(status.success(), "{status}");
    }
}

#[test]
fn releases_a_semaphore() {
    succeeds(&[]);
}

#[test]
fn closes_what_it_opened() {
    succeeds(&["close"]);
}

#[test]
fn forks_and_both_use_the_gpu() {
    succeeds(&["fork", "close"]);
}

#[test]
fn is_killed_in_the_middle_and_the_next_works() {
    for _ in 0..3 {
        if let Some(status) = run(Options::default(), &["die"]) {
            assert_eq!(status.signal(), Some(libc::SIGKILL));
        }
    }
    succeeds(&[]);
}

/// One board for several programs, one of which dies: what it held is free for the others.
#[test]
fn is_killed_beside_others_of_the_same_board() {
    let Some(program) = program() else { return };
    let script = "for i in 1 2 3; do \"$0\" die; done; \"$0\" close && \"$0\"";
    let arguments = ["-c".into(), script.into(), program.as_os_str().to_owned()];
    let status = launch(Options::default(), "sh".as_ref(), &arguments).unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn sees_injected_faults() {
    let inject = "NVGPU_GPU_IOCTL_OPEN_TSG@1=ENOMEM".parse().unwrap();
    if let Some(status) = run(Options { inject, ..Options::default() }, &[]) {
        assert_eq!(status.code(), Some(1));
    }
}
