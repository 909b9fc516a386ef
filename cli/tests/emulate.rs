//! `doorbell emulate` from the outside: the command as its users start it.

use std::process::{Command, Output, Stdio};

const DOORBELL: &str = env!("CARGO_BIN_EXE_doorbell");

/// Runs it, but not forever: what hangs fails with status 124.
fn doorbell(args: &[&str]) -> Output {
    Command::new("timeout").args(["60", DOORBELL]).args(args).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_exit_status_is_the_programs() {
    let status = |args: &[&str]| {
        let args = [&["emulate", "--"], args].concat();
        doorbell(&args).status.code()
    };
    assert_eq!(status(&["/bin/true"]), Some(0));
    assert_eq!(status(&["sh", "-c", "exit 7"]), Some(7));
    assert_eq!(status(&["sh", "-c", "kill -KILL $$"]), Some(128 + 9));
}

#[test]
fn a_program_that_is_not_there_is_status_127_and_one_line() {
    let output = doorbell(&["emulate", "--", "no-such-program"]);
    assert_eq!(output.status.code(), Some(127));
    let message = err(&output);
    assert!(message.contains("no-such-program") && message.lines().count() == 1, "{message}");
}

#[test]
fn wrong_usage_is_status_2() {
    for args in [
        &["emulate"][..],
        &["emulate", "--board", "xavier", "--", "true"],
        &["emulate", "--inject", "gremlins", "--", "true"],
        &["emulate", "--list-boards", "--log"],
        &["doctor", "--root", "/no/such/folder"],
        &["polish"],
    ] {
        assert_eq!(doorbell(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn arguments_and_input_reach_the_program() {
    let mut child = Command::new(DOORBELL)
        .args(["emulate", "--", "sh", "-c", "cat; echo \"$1 $DOORBELL_EMULATED\"", "sh", "--log"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"typed\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(out(&output), "typed\n--log agx-orin-30w\n");
}

#[test]
fn every_board_that_is_listed_can_be_chosen() {
    let listed = out(&doorbell(&["emulate", "--list-boards"]));
    let names: Vec<_> =
        listed.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert!(names.contains(&"agx-orin-maxn"), "{listed}");
    for name in names {
        let info = doorbell(&["emulate", "--board", name, "--", DOORBELL, "info", "--json"]);
        assert_eq!(info.status.code(), Some(0), "{name}: {}", err(&info));
        let info: serde_json::Value = serde_json::from_slice(&info.stdout).unwrap();
        let (chip, sm, sms) = match name {
            "no-board-hopper" => ("no-chip", 90, 132),
            "agx-orin-maxn" => ("ga10b", 87, 16),
            _ => ("ga10b", 87, 8),
        };
        let found = (&info["chip"], &info["sm"], &info["sm_count"]);
        assert_eq!(found, (&chip.into(), &sm.into(), &sms.into()), "{name}");
    }
}

#[test]
fn info_is_a_table_for_people() {
    let table = out(&doorbell(&["emulate", "--", DOORBELL, "info"]));
    for row in [["compute capability", "8.7"], ["highest GPU clock", "1300 MHz"]] {
        assert!(table.lines().any(|line| row.iter().all(|part| line.contains(part))), "{table}");
    }
}

#[test]
fn doctor_finds_the_software_orin_in_good_health() {
    let output = doorbell(&["emulate", "--", DOORBELL, "doctor", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["works"], true);
    assert_eq!(report["machine"]["emulated"], "agx-orin-30w");
    assert_eq!(report["round_trip"]["rounds"], 1000);
    assert!(report["round_trip"]["median_us"].as_f64().unwrap() > 0.0, "{report}");
}

#[test]
fn doctor_reports_what_was_injected() {
    let rule = "NVGPU_GPU_IOCTL_ALLOC_AS@1=ENOMEM";
    let output = doorbell(&["emulate", "--inject", rule, "--", DOORBELL, "doctor"]);
    assert_eq!(output.status.code(), Some(1));
    let page = out(&output);
    assert!(page.contains("NVGPU_GPU_IOCTL_ALLOC_AS") && page.contains("ENOMEM"), "{page}");
    assert!(page.ends_with("A dispatch does not work here.\n"), "{page}");
}

#[test]
fn the_log_names_the_calls() {
    let output = doorbell(&["emulate", "--log", "--", DOORBELL, "info"]);
    let log = err(&output);
    for call in ["/dev/nvmap", "NVGPU_GPU_IOCTL_GET_CHARACTERISTICS", "NVGPU_GPU_IOCTL_ALLOC_AS"] {
        assert!(log.contains(call), "{log}");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let mut child = Command::new(DOORBELL)
        .args(["emulate", "--list-boards"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), err(&output)), (Some(0), String::new()));
}
