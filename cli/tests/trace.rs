//! `doorbell trace` from the outside, on the software Orin.

use std::process::{Command, Output};

const DOORBELL: &str = env!("CARGO_BIN_EXE_doorbell");

/// Runs it on the software Orin, with something that goes wrong, but not forever.
fn on_orin(inject: &[&str], args: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.args(["60", DOORBELL, "emulate"]);
    command.args(inject.iter().flat_map(|rule| ["--inject", rule]));
    command.args(["--", DOORBELL, "trace"]).args(args).output().unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The only line with a call of this name.
fn line<'a>(trace: &'a str, call: &str) -> &'a str {
    let mut lines = trace.lines().filter(|line| line.contains(call));
    let (line, more) = (lines.next(), lines.next());
    assert!(more.is_none(), "{trace}");
    line.unwrap_or_else(|| panic!("no {call}:\n{trace}"))
}

#[test]
fn calls_are_decoded_with_what_went_in_and_what_came_back() {
    let output = on_orin(&[], &["--", DOORBELL, "info"]);
    assert!(output.status.success(), "{}", err(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("ga10b"));
    let trace = err(&output);
    assert!(line(&trace, " open(/dev/nvmap) = ").ends_with(" us"), "{trace}");
    let space = line(&trace, "NVGPU_GPU_IOCTL_ALLOC_AS(/dev/nvgpu/igpu0/ctrl ");
    assert!(space.contains("va_range_end: 0xfc00000000} = 0 {as_fd: "), "{space}");
    assert!(line(&trace, " mmap(").contains("65536 bytes at 0x0"), "{trace}");
    assert!(line(&trace, "calls to the GPU's drivers").contains(", 0 refused; "), "{trace}");
}

#[test]
fn a_refusal_has_its_errno() {
    let output = on_orin(&["NVGPU_GPU_IOCTL_ALLOC_AS@1=ENOMEM"], &["--", DOORBELL, "info"]);
    assert_eq!(output.status.code(), Some(1));
    let trace = err(&output);
    let refused = line(&trace, "NVGPU_GPU_IOCTL_ALLOC_AS(");
    assert!(refused.contains(" = ENOMEM ("), "{trace}");
    assert!(line(&trace, "calls to the GPU's drivers").contains(", 1 refused; "), "{trace}");
}

#[test]
fn children_are_followed_and_calls_counted() {
    let script = "\"$0\" info >/dev/null & wait; \"$0\" info >/dev/null; exit 7";
    let output = on_orin(&[], &["--count", "--", "sh", "-c", script, DOORBELL]);
    assert_eq!(output.status.code(), Some(7), "{}", err(&output));
    let trace = err(&output);
    let counted = line(&trace, "NVGPU_GPU_IOCTL_ALLOC_AS");
    assert_eq!(counted.split_whitespace().take(2).collect::<Vec<_>>(), ["2", "0"], "{trace}");
}

#[test]
fn threads_and_signals_change_nothing_for_the_program() {
    let run = |script: &str| on_orin(&[], &["--", "sh", "-c", script]).status.code();
    assert_eq!(run("kill -KILL $$"), Some(128 + 9));
    assert_eq!(run("trap 'exit 5' TERM; kill -TERM $$; exit 6"), Some(5));
    // With threads of its own.
    let output = on_orin(&[], &["--count", "--", DOORBELL, "bench", "soak", "--seconds", "1"]);
    assert!(output.status.success(), "{}", err(&output));
}

#[test]
fn what_cannot_be_done_is_said_in_a_line() {
    let output = on_orin(&[], &["--", "no-such-program"]);
    assert_eq!(output.status.code(), Some(127));
    assert!(err(&output).contains("no-such-program: No such file"), "{}", err(&output));
    for place in ["/no/such/folder/trace", "/dev/full"] {
        let output = on_orin(&[], &["--output", place, "--", "true"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).starts_with("doorbell: cannot write "), "{}", err(&output));
    }
    assert_eq!(on_orin(&[], &[]).status.code(), Some(2));
}
