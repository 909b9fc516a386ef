//! Figures as text.

use std::fmt::Write;

use super::{Checked, Measured};
use crate::report::{Bench, CHECKED, Point, table};

/// Everything that was measured, an overview first.
pub(super) fn measured(all: &[Measured]) -> String {
    let mut text = String::new();
    let mut say = |part: String| text.push_str(&part);
    if let Some(first) = all.iter().find_map(|one| one.compared.measured.first()) {
        say(format!("{}\n\n", first.machine()));
    }
    say(format!("{}\n", overview(all)));
    say(format!("{}\n", memory(all)));
    for Measured { model, commands, compared, profiles } in all {
        say(format!("== {model}\n\n"));
        commands.iter().for_each(|command| say(format!("    {command}\n")));
        say(format!("\n{compared}\n"));
        profiles.iter().for_each(|profile| say(format!("{profile}\n")));
    }
    text
}

/// The direct way, and how the others compare with it.
fn overview(all: &[Measured]) -> String {
    let heading = [
        "direct",
        "depth",
        "tok/s",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "tok/s at N",
        "CPU us/tok at N",
        "to cuda-graph",
        "to cuda-stream",
        "p99 to cuda-graph",
        "prompt tok/s",
    ];
    let mut lines = Vec::new();
    for one in all {
        let by = |via: &str| one.compared.measured.iter().find(|bench| bench.via == via);
        let Some(direct) = by("direct") else { continue };
        for (i, at) in direct.points.iter().enumerate() {
            let other = |via: &str| by(via).and_then(|bench| bench.points.get(i));
            let speed = |point: &Point| point.single.tok_s;
            let p99 = |point: &Point| point.single.latency.map_or(f64::NAN, |all| all.p99);
            let ratio = |via: &str, of: &dyn Fn(&Point) -> f64| {
                other(via).map_or("-".to_owned(), |other| format!("{:.3}", of(at) / of(other)))
            };
            let Some(latency) = at.single.latency else { continue };
            lines.push(vec![
                one.model.clone(),
                at.depth.to_string(),
                format!("{:.0}", at.single.tok_s),
                format!("{:.4}", latency.p50),
                format!("{:.4}", latency.p99),
                format!("{:.4}", latency.p99_9),
                format!("{:.0}", at.several.tok_s),
                format!("{:.2}", at.several.cpu_us),
                ratio("cuda-graph", &speed),
                ratio("cuda-stream", &speed),
                ratio("cuda-graph", &p99),
                direct.prefill_tok_s.map_or("-".to_owned(), |speed| format!("{speed:.0}")),
            ]);
        }
    }
    table(&heading, &lines)
}

/// Memory of all models, the direct way.
fn memory(all: &[Measured]) -> String {
    let mib = |bytes: u64| format!("{:.1}", bytes as f64 / 1048576.0);
    let line = |model: &str, bench: &Bench| {
        let memory = &bench.memory;
        let role = |name: &str| memory.gpu.iter().find(|(role, _)| role == name).map_or(0, |r| r.1);
        let [weights, cache] = ["weights", "cache"].map(role);
        let all: u64 = memory.gpu.iter().map(|(_, bytes)| bytes).sum();
        vec![
            model.to_owned(),
            mib(memory.file),
            mib(weights),
            mib(cache),
            mib(all - weights - cache),
            format!("{:+.2}", 100.0 * memory.excess()),
            mib(memory.host.own),
            mib(memory.host.shared),
        ]
    };
    let direct = |one: &Measured| {
        let bench = one.compared.measured.iter().find(|bench| bench.via == "direct")?;
        Some(line(&one.model, bench))
    };
    let heading = [
        "MiB",
        "file",
        "weights on the GPU",
        "cache",
        "other on the GPU",
        "% over file and cache",
        "host, its own",
        "host, shared",
    ];
    table(&heading, &all.iter().filter_map(direct).collect::<Vec<_>>())
}

/// Everything that was checked.
pub(super) fn checked(all: &[Checked]) -> String {
    let cells = |one: &Checked| {
        let of_depth = |cells: Vec<String>| [vec![one.model.clone()], cells].concat();
        one.check.depths.iter().map(|at| of_depth(at.cells())).collect::<Vec<_>>()
    };
    let heading = [&["distances in parts of the logits' spread"], &CHECKED[..]].concat();
    let mut text = table(&heading, &all.iter().flat_map(cells).collect::<Vec<_>>());
    text.push('\n');
    for one in all {
        for (via, same) in &one.ways {
            let same = if *same { "the same tokens" } else { "OTHER TOKENS" };
            let _ = writeln!(text, "{} by {via}: {same}", one.model);
        }
        for (via, why) in &one.missing {
            let _ = writeln!(text, "{} by {via}: not run: {why}", one.model);
        }
    }
    text.push('\n');
    for command in all.iter().flat_map(|one| &one.commands) {
        let _ = writeln!(text, "    {command}");
    }
    text
}
