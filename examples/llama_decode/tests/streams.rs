//! The program where what it writes to is full, or where nobody reads it any more.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Output, Stdio};

fn program(args: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_llama_decode"));
    program.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    program
}

fn last_line(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr);
    told.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn when_the_reader_has_gone_it_stops_without_a_word() {
    let mut running = program(&["-n", "400", "--seed", "3"]).spawn().unwrap();
    let mut first = [0; 8];
    running.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", last_line(&output));
    // Not even how fast it was: it has not come to the end.
    assert!(last_line(&output).ends_with("via direct"), "{}", last_line(&output));
}

#[test]
fn what_cannot_be_written_is_an_error() {
    for json in [&["-p", "x", "-n", "1"][..], &["-p", "x", "-n", "1", "--json"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = program(json).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let told = last_line(&output);
        assert!(
            told.starts_with("llama_decode: cannot write to standard output: No space"),
            "{told}"
        );
    }
}

#[test]
fn text_comes_whether_or_not_anybody_reads_what_is_told_about_it() {
    let mut running = program(&["-p", "The Lamp", "-n", "2"]).spawn().unwrap();
    drop(running.stderr.take());
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(output.stdout.starts_with(b"The Lamp"));
}
