//! `doorbell bench` and `doorbell compare` on the software Orin: that they work, not how fast.

use std::process::{Command, Output};

use serde_json::Value;

const DOORBELL: &str = env!("CARGO_BIN_EXE_doorbell");

/// Runs it on the software Orin, but not forever.
fn on_orin(args: &[&str]) -> Output {
    let emulate = ["60", DOORBELL, "emulate", "--", DOORBELL];
    Command::new("timeout").args(emulate).args(args).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn dispatch_measures_and_says_that_it_means_nothing() {
    let output = on_orin(&["bench", "dispatch", "--rounds", "3"]);
    assert!(output.status.success(), "{}", err(&output));
    assert!(out(&output).contains("mean nothing"), "{}", out(&output));

    let output = on_orin(&["bench", "dispatch", "--rounds", "3", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["machine"]["emulated"], true);
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 9);
    for row in rows {
        assert_eq!(row["samples"], 3, "{row}");
        assert!(row["p50"].as_f64() <= row["max"].as_f64(), "{row}");
    }
}

#[test]
fn chains_lose_nothing() {
    let output = on_orin(&["bench", "chains", "--rounds", "1"]);
    assert!(output.status.success(), "{}", err(&output));
    assert_eq!(out(&output).matches(" 0 lost").count(), 6, "{}", out(&output));
}

#[test]
fn a_short_soak_ends_well() {
    let output = on_orin(&["bench", "soak", "--seconds", "1"]);
    assert!(output.status.success(), "{}", err(&output));
    assert!(out(&output).contains("files"), "{}", out(&output));
}

#[test]
fn compare_reports_in_three_forms() {
    let place = std::env::temp_dir().join(format!("doorbell-compare-{}", std::process::id()));
    let (json, svg) = (place.with_extension("json"), place.with_extension("svg"));
    let files = [json.to_str().unwrap(), svg.to_str().unwrap()];
    let output = on_orin(&["compare", "--rounds", "3", "--json", files[0], "--svg", files[1]]);
    assert!(output.status.success(), "{}", err(&output));
    assert!(out(&output).contains("doorbell: replay"), "{}", out(&output));
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert!(report["tables"][0]["rows"][0]["p50"].as_f64() > Some(0.0));
    assert!(std::fs::read_to_string(&svg).unwrap().contains("</svg>"));
    for file in [json, svg] {
        std::fs::remove_file(file).unwrap();
    }
}

#[test]
fn wrong_usage_is_refused_in_words() {
    for rounds in ["0", "many", "99999999"] {
        let output = on_orin(&["bench", "dispatch", "--rounds", rounds]);
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).contains("from 1 to 10,000,000"), "{}", err(&output));
    }
    let output = on_orin(&["compare", "--rounds", "1", "--svg", "/no/such/folder/x.svg"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("/no/such/folder/x.svg"), "{}", err(&output));
}

#[test]
fn an_interrupt_ends_it_with_one_sentence() {
    let output = Command::new("timeout")
        .args(["--signal=INT", "--kill-after=60", "2", DOORBELL, "emulate", "--", DOORBELL])
        .args(["bench", "dispatch", "--rounds", "10000000"])
        .output()
        .unwrap();
    assert!(err(&output).contains("interrupted"), "{}", err(&output));
    assert!(output.stdout.is_empty());
}
