use super::*;
use crate::report::{Bench, Host, HostMemory, Latency, Memory, Point, Speed};

fn bench(via: &str, tok_s: f64) -> Bench {
    let latency = Latency { p50: 0.5, p99: 0.75, p99_9: 1.0, max: 2.0 };
    let speed =
        |per_ring| Speed { per_ring, tok_s, latency: Some(latency), cpu_us: 1.5, sending_us: 0.5 };
    let point = |depth| Point {
        depth,
        first_token_ms: 1.0,
        single: speed(1),
        several: speed(16),
        kernel_gap_us: 2.0,
        tokens: Vec::new(),
    };
    Bench {
        via: via.to_owned(),
        gpu: "a GPU".to_owned(),
        host: Host {
            board: "a board".to_owned(),
            clocks: Vec::new(),
            processor: "a processor".to_owned(),
            system: "1".to_owned(),
            emulated: false,
        },
        model: "a model".to_owned(),
        start_up_ms: 100.0,
        kernels: 3,
        points: vec![point(0), point(2048)],
        prefill_tok_s: Some(9000.0),
        memory: Memory {
            file: 100 << 20,
            gpu: vec![("weights".to_owned(), 104 << 20), ("cache".to_owned(), 100 << 20)],
            host: HostMemory { own: 50 << 20, files: 0, shared: 0 },
        },
    }
}

fn measured() -> Vec<Measured> {
    let profile = r#"{"gpu": "a GPU", "depth": 9, "dram": 4800.0, "parts": [
        {"part": "qkv", "kernels": 2, "micros": 10.0, "bytes": 24000000},
        {"part": "head", "kernels": 1, "micros": 30.0, "bytes": 72000000}]}"#;
    vec![Measured {
        model: "shape:mix".to_owned(),
        commands: vec!["llama_decode shape-mix.gguf --compare".to_owned()],
        compared: Compared {
            measured: vec![bench("direct", 1500.0), bench("cuda-graph", 1200.0)],
            missing: vec![("cuda-stream".to_owned(), "not here".to_owned())],
            same_tokens: true,
        },
        profiles: vec![serde_json::from_str(profile).unwrap()],
    }]
}

/// The cells of the first line that begins so.
fn cells<'a>(text: &'a str, begin: &str) -> Vec<&'a str> {
    let line = text.lines().find(|line| line.starts_with(begin));
    line.unwrap_or_else(|| panic!("no line {begin} in\n{text}")).split_whitespace().collect()
}

#[test]
fn the_overview_compares_the_ways() {
    let text = tables::measured(&measured());
    let line = cells(&text, "shape:mix");
    let expected = ["shape:mix", "0", "1500", "0.5000", "0.7500", "1.0000", "1500", "1.50"];
    assert_eq!(line[..8], expected);
    assert_eq!(line[8..], ["1.250", "-", "1.000", "9000"]);
    // File and cache are 200 MiB, and so much is more than that.
    assert!(text.contains("+2.00"), "{text}");
    assert!(text.contains("    llama_decode shape-mix.gguf --compare\n"), "{text}");
    assert_eq!(cells(&text, "head")[6..], ["2400", "50.0"]);
    assert!(text.contains("cuda-stream: not measured: not here"), "{text}");
}

#[test]
fn bars_are_as_long_as_their_values() {
    let pictures = picture::all(&measured()).unwrap();
    let names: Vec<_> = pictures.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["speed.svg", "prompt.svg", "cpu.svg", "latency.svg", "parts.svg"]);
    let widths = |svg: &str| -> Vec<u32> {
        let bars = svg.lines().filter(|line| line.starts_with("<rect x=\"250\""));
        let width = |bar: &str| bar.split("width=\"").nth(1)?.split('"').next()?.parse().ok();
        bars.filter_map(width).collect()
    };
    // Two depths, two ways; then one line of parts, of which the first begins at the left.
    assert_eq!(widths(&pictures[0].1), [650, 520, 650, 520]);
    assert_eq!(widths(&pictures[4].1), [163]);
}

#[test]
fn tokens_that_differ_are_told() {
    let depth = r#"{"depth": 1, "farthest": 1e-3, "typical": 1e-4, "same": 2, "likeliest": 3,
        "tokens": 4, "margin": 2e-4, "said": [1, 2, 3, 4]}"#;
    let check: Check = serde_json::from_str(&format!(r#"{{"depths": [{depth}]}}"#)).unwrap();
    assert!(check.holds());
    let checked = Checked {
        model: "shape:mix".to_owned(),
        commands: Vec::new(),
        check,
        ways: vec![("direct".to_owned(), true), ("cuda-graph".to_owned(), false)],
        missing: Vec::new(),
    };
    let text = tables::checked(&[checked]);
    let line = cells(&text, "shape:mix ").join(" ");
    assert_eq!(line, "shape:mix 1 1.0e-3 1.0e-4 2 of 4 3 of 4 2.0e-4");
    assert!(text.contains("by direct: the same tokens\n"), "{text}");
    assert!(text.contains("by cuda-graph: OTHER TOKENS\n"), "{text}");
}

#[test]
fn cases_are_named_as_llama_make_names_them() {
    assert_eq!(Case::named("llama-3.2-1b:q6_k").unwrap().name, "llama-3.2-1b:q6_k");
    for name in ["llama-3.2-1b", "q6_k", "llama-3.2-1b:q6", "x:q6_k"] {
        let refused = Case::named(name).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("there is no model {name}: ")), "{refused}");
    }
}
