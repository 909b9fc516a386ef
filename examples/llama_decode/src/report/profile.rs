//! Where the time of a token goes, kernel by kernel.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::table::table;
use crate::plan::{Plan, Role, Step};
use crate::run::Span;

/// Kernels of a token by the part of the model that they compute.
#[derive(Debug, Serialize, Deserialize)]
pub struct Profile {
    /// The GPU.
    pub gpu: String,
    /// Tokens in the cache.
    pub depth: u32,
    /// DRAM bandwidth that the shares are of, in GB/s.
    pub dram: f64,
    /// In the order in which a token meets them.
    pub parts: Vec<Part>,
    /// Each kernel of the token in the middle.
    #[serde(skip)]
    trace: Vec<Slice>,
}

/// Kernels of one part.
#[derive(Debug, Serialize, Deserialize)]
pub struct Part {
    /// Its name.
    pub part: String,
    /// Kernels.
    pub kernels: u32,
    /// Microseconds of all of them in one token, each from the end of the one before it.
    pub micros: f64,
    /// Bytes of weights and cache that they must read.
    pub bytes: u64,
}

#[derive(Debug)]
struct Slice {
    part: &'static str,
    kernel: &'static str,
    layer: Option<u32>,
    span: Span,
    bytes: u64,
}

impl Part {
    fn gigabytes_per_second(&self) -> f64 {
        self.bytes as f64 / self.micros / 1e3
    }
}

impl Profile {
    /// Of spans of several tokens, the first of which began at `depth`.
    pub fn new(
        plan: &Plan,
        context: u32,
        gpu: String,
        depth: u32,
        dram: f64,
        spans: &[Vec<Span>],
    ) -> Profile {
        let reads = |step: &Step| step.reads + cache_reads(plan, context, step, depth);
        let mut parts: Vec<Part> = Vec::new();
        for (i, step) in plan.decode.iter().enumerate() {
            let mut took: Vec<u64> =
                spans.iter().map(|token| token[i].ended - token[i].began).collect();
            took.sort_unstable();
            let micros = took[took.len() / 2] as f64 / 1e3;
            let bytes = reads(step);
            match parts.iter_mut().find(|part| part.part == step.part) {
                Some(part) => {
                    part.kernels += 1;
                    part.micros += micros;
                    part.bytes += bytes;
                }
                None => {
                    parts.push(Part { part: step.part.to_owned(), kernels: 1, micros, bytes });
                }
            }
        }
        let slice = |(step, span): (&Step, &Span)| {
            let (part, kernel, layer, bytes) = (step.part, step.kernel, step.layer, reads(step));
            Slice { part, kernel, layer, span: *span, bytes }
        };
        let trace = plan.decode.iter().zip(&spans[spans.len() / 2]).map(slice).collect();
        Profile { gpu, depth, dram, parts, trace }
    }

    /// The token in the middle as a trace that Perfetto and Chrome read.
    pub fn trace(&self) -> String {
        let start = self.trace.first().map_or(0, |slice| slice.span.began);
        let micros = |ns: u64| (ns - start) as f64 / 1e3;
        let thread = |id: u32, name: &str| json!({"ph": "M", "pid": 1, "tid": id, "name": "thread_name", "args": {"name": name}});
        let mut events = vec![thread(1, "kernels"), thread(2, "layers")];
        for slice in &self.trace {
            let Span { began, ended } = slice.span;
            events.push(json!({
                "ph": "X", "pid": 1, "tid": 1, "name": slice.part,
                "ts": micros(began), "dur": (ended - began) as f64 / 1e3,
                "args": {
                    "kernel": slice.kernel, "layer": slice.layer, "bytes": slice.bytes,
                    "GB/s": slice.bytes as f64 / (ended - began).max(1) as f64,
                },
            }));
        }
        for layer in self.trace.chunk_by(|a, b| a.layer == b.layer) {
            let (began, ended) = (layer[0].span.began, layer[layer.len() - 1].span.ended);
            let name =
                layer[0].layer.map_or(layer[0].part.to_owned(), |layer| format!("layer {layer}"));
            events.push(json!({
                "ph": "X", "pid": 1, "tid": 2, "name": name,
                "ts": micros(began), "dur": (ended - began) as f64 / 1e3,
            }));
        }
        json!({"traceEvents": events, "otherData": {"gpu": self.gpu, "depth": self.depth}})
            .to_string()
    }
}

/// Bytes of the cache that a step reads when `depth` tokens are there.
fn cache_reads(plan: &Plan, context: u32, step: &Step, depth: u32) -> u64 {
    let cache = plan.buffers.iter().filter(|buffer| buffer.role == Role::Cache);
    let bytes: u64 = cache.map(|buffer| buffer.bytes).sum();
    let readers = plan.decode.iter().filter(|step| step.part == ATTENTION).count() as u64;
    let reads = step.part == ATTENTION;
    if reads { bytes / u64::from(context) / readers * u64::from(depth) } else { 0 }
}

/// The part that reads the cache.
const ATTENTION: &str = "attention";

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = Part {
            part: "token".to_owned(),
            kernels: self.parts.iter().map(|part| part.kernels).sum(),
            micros: self.parts.iter().map(|part| part.micros).sum(),
            bytes: self.parts.iter().map(|part| part.bytes).sum(),
        };
        let line = |part: &Part| {
            let rate = part.gigabytes_per_second();
            vec![
                part.part.clone(),
                part.kernels.to_string(),
                format!("{:.1}", part.micros),
                format!("{:.1}", 100.0 * part.micros / all.micros),
                format!("{:.2}", part.micros / f64::from(part.kernels)),
                format!("{:.1}", part.bytes as f64 / 1e6),
                format!("{rate:.0}"),
                format!("{:.1}", 100.0 * rate / self.dram),
            ]
        };
        let mut lines: Vec<_> = self.parts.iter().map(line).collect();
        lines.push(line(&all));
        let heading = ["", "kernels", "us", "%", "us each", "MB", "GB/s", "% of DRAM"];
        writeln!(f, "{}, {} tokens in the cache, DRAM {} GB/s", self.gpu, self.depth, self.dram)?;
        write!(f, "{}", table(&heading, &lines))?;
        writeln!(
            f,
            "A kernel's time is from the end of the one before it to its own, with a timestamp after each."
        )
    }
}

/// DRAM bandwidth by the datasheet of the GPU, in GB/s.
pub fn datasheet(sm: u32, board: &str) -> Option<f64> {
    match sm {
        87 => Some(204.8),
        90 if board.contains("H200") => Some(4800.0),
        90 if board.contains("H100") => Some(3350.0),
        _ => None,
    }
}
