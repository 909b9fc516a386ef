//! Every kernel of a token against plain arithmetic, step by step: what a step read is read back from the
//! GPU, what it must have written is computed here in f64, and the two are compared.
//!
//! On the software Orin, or on the GPU of this machine.

use half::f16;
use llama_decode::gguf::Tensor;
use llama_decode::made::{self, Mix, Shape};
use llama_decode::model::{Layer, Model, RopePairs};
use llama_decode::plan::{BufferId, Limits, Plan, Role, Source, Step, Value, output, state};
use llama_decode::quant::Format;
use llama_decode::repack;
use llama_decode::run::{Backend, Direct, Error, Result};
use std::time::Duration;

const LIMITS: Limits = Limits { context: 256, prefill: 64, ring: 64 };

/// What products may be off by, in standard deviations of what is expected. Activations of 16 bits are rounded by
/// up to 1.5e-5 of the largest of 32, and these are the worst of hundreds of sums.
const EXACT: f64 = 2e-4;

/// A model on a GPU, and the steps of a token.
struct Bench<'a> {
    model: Model<'a>,
    plan: Plan,
    gpu: Direct,
}

impl<'a> Bench<'a> {
    fn new(model: Model<'a>) -> Result<Bench<'a>> {
        let refused = |e: llama_decode::error::Error| Error::Unavailable(e.to_string());
        let mut gpu = Direct::open()?;
        let plan = Plan::new(&model, &gpu.machine(), &LIMITS).map_err(refused)?;
        gpu.place(&plan, &LIMITS)?;
        for upload in &plan.uploads {
            match &upload.source {
                Source::Bytes(bytes) => gpu.write(upload.to, upload.at, bytes)?,
                Source::Matrix(name) => {
                    let (_, tensor) = model.matrices().find(|(_, t)| t.name == name).unwrap();
                    assert_eq!(repack::bytes(&tensor), upload.bytes);
                    repack::stream(&tensor, &mut |at, bytes| {
                        gpu.write(upload.to, upload.at + at, bytes)
                    })?;
                }
            }
        }
        gpu.settle()?;
        Ok(Bench { model, plan, gpu })
    }

    fn buffer(&self, role: Role) -> BufferId {
        BufferId(self.plan.buffers.iter().position(|b| b.role == role).unwrap() as u32)
    }

    fn set_state(&mut self, words: &[(usize, u32)]) {
        let mut all = [0u32; 64];
        all[state::CONTEXT] = LIMITS.context;
        all[state::LIMIT] = u32::MAX;
        all[state::END_TOKENS..][..4].fill(state::NO_TOKEN);
        for (at, word) in words {
            all[*at] = *word;
        }
        let bytes: Vec<u8> = all.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.gpu.write(self.buffer(Role::State), 0, &bytes).unwrap();
        self.gpu.settle().unwrap();
    }

    /// Halves between -2 and 2.
    fn fill_cache(&mut self) {
        let cache = self.buffer(Role::Cache);
        let bytes = self.plan.buffers[cache.0 as usize].bytes as u32;
        let value =
            |i: u32| f16::from_f32((i.wrapping_mul(2654435761) >> 16) as f32 / 16384.0 - 2.0);
        let halves: Vec<u8> = (0..bytes / 2).flat_map(|i| value(i).to_le_bytes()).collect();
        self.gpu.write(cache, 0, &halves).unwrap();
        self.gpu.settle().unwrap();
    }

    fn bytes(&mut self, at: Value, count: usize) -> Vec<u8> {
        let Value::Buffer(id, at) = at else { panic!("no buffer: {at:?}") };
        let mut bytes = vec![0; count];
        self.gpu.read(id, at, &mut bytes).unwrap();
        bytes
    }

    fn floats(&mut self, at: Value, count: usize) -> Vec<f32> {
        let bytes = self.bytes(at, count * 4);
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    fn words(&mut self, at: Value, count: usize) -> Vec<u32> {
        self.floats(at, count).into_iter().map(f32::to_bits).collect()
    }

    fn send(&mut self, steps: &[Step]) {
        self.gpu.send(steps).unwrap();
        self.gpu.finish(Duration::from_secs(60)).unwrap();
    }

    /// Runs one token and checks each of its steps.
    fn check_token(&mut self, token: u32, position: u32) {
        self.set_state(&[(state::TOKEN, token), (state::POSITION, position)]);
        for step in self.plan.decode.clone() {
            let layer = step.layer.map(|index| self.model.layers[index as usize].clone());
            let what = format!("{} of layer {:?} at {position}", step.part, step.layer);
            match (step.part, layer) {
                ("embedding", None) => self.check_embedding(&step, token),
                ("qkv", Some(l)) => {
                    self.check_rows(&step, &[l.q, l.k, l.v], &l.attention_norm, &what)
                }
                ("output", Some(l)) => self.check_rows(&step, &[l.output], &[], &what),
                ("down", Some(l)) => self.check_rows(&step, &[l.down], &[], &what),
                ("gate, up", Some(l)) => self.check_gate_up(&step, &l, &what),
                ("gate", Some(l)) => self.check_rows(&step, &[l.gate], &l.ffn_norm, &what),
                ("up", Some(l)) => self.check_up(&step, &l, &what),
                ("attention", Some(l)) => self.check_attention(&step, &l, position, &what),
                ("head", None) => {
                    let (head, norm) = (self.model.head, self.model.output_norm.clone());
                    self.check_rows(&step, &[head], &norm, &what);
                }
                ("next token", None) => self.check_pick(&step, token, position),
                other => panic!("a step that is not known: {other:?}"),
            }
        }
    }

    fn check_embedding(&mut self, step: &Step, token: u32) {
        self.send(std::slice::from_ref(step));
        let x = self.floats(step.args[1], self.model.config.embedding);
        assert_eq!(x, row(&self.model.embedding, token as usize), "the embedding of {token}");
    }

    /// The vector that a row step multiplies with, normalised.
    fn input(&mut self, step: &Step, columns: usize, norm: &[f32]) -> Vec<f64> {
        let x: Vec<f64> = self.floats(step.args[2], columns).into_iter().map(f64::from).collect();
        if norm.is_empty() {
            return x;
        }
        let mean = x.iter().map(|v| v * v).sum::<f64>() / columns as f64;
        let scale = 1.0 / (mean + f64::from(self.model.config.eps)).sqrt();
        x.iter().zip(norm).map(|(v, w)| v * scale * f64::from(*w)).collect()
    }

    fn check_rows(&mut self, step: &Step, matrices: &[Tensor], norm: &[f32], what: &str) {
        let x = self.input(step, matrices[0].columns(), norm);
        let rows: usize = matrices.iter().map(Tensor::rows).sum();
        let before = self.floats(step.args[1], rows);
        self.send(std::slice::from_ref(step));
        let got = self.floats(step.args[1], rows);
        let adds = ["output", "down"].contains(&step.part);
        let want = matrices.iter().flat_map(|m| product(m, &x));
        let want = want.zip(before).map(|(v, b)| if adds { v + f64::from(b) } else { v });
        compare(&got, &want.collect::<Vec<_>>(), EXACT, what);
    }

    fn check_gate_up(&mut self, step: &Step, layer: &Layer, what: &str) {
        let x = self.input(step, layer.gate.columns(), &layer.ffn_norm);
        self.send(std::slice::from_ref(step));
        let got = self.floats(step.args[1], layer.gate.rows());
        let (gate, up) = (product(&layer.gate, &x), product(&layer.up, &x));
        let want: Vec<f64> = gate.iter().zip(&up).map(|(g, u)| silu(*g) * u).collect();
        compare(&got, &want, 3.0 * EXACT, what);
    }

    fn check_up(&mut self, step: &Step, layer: &Layer, what: &str) {
        let x = self.input(step, layer.up.columns(), &layer.ffn_norm);
        let gate = self.floats(step.args[1], layer.gate.rows());
        self.send(std::slice::from_ref(step));
        let got = self.floats(step.args[1], layer.gate.rows());
        let up = product(&layer.up, &x);
        let want: Vec<f64> = gate.iter().zip(&up).map(|(g, u)| silu(f64::from(*g)) * u).collect();
        compare(&got, &want, 3.0 * EXACT, what);
    }

    fn check_attention(&mut self, step: &Step, layer: &Layer, position: u32, what: &str) {
        let c = self.model.config.clone();
        let (size, count) = (c.head_size, position as usize + 1);
        let qkv = self.floats(step.args[1], c.q_size() + 2 * c.kv_size());
        self.send(std::slice::from_ref(step));
        let got = self.floats(step.args[4], c.q_size());
        let cache_bytes = LIMITS.context as usize * c.kv_size() * 2;
        let cached = |bytes: Vec<u8>| -> Vec<f64> {
            bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f64()).collect()
        };
        let keys = cached(self.bytes(step.args[2], cache_bytes));
        let values = cached(self.bytes(step.args[3], cache_bytes));
        let prepared = |at: usize, norm: &Option<Vec<f32>>| {
            let head: Vec<f64> = qkv[at..][..size].iter().map(|v| f64::from(*v)).collect();
            rotate(head, norm.as_deref(), position, &c)
        };
        let mut want = Vec::new();
        for kv in 0..c.kv_heads {
            let line = |position: usize| (kv * LIMITS.context as usize + position) * size;
            let key = prepared(c.q_size() + kv * size, &layer.k_norm);
            let fresh: Vec<f32> =
                keys[line(position as usize)..][..size].iter().map(|v| *v as f32).collect();
            // Half a unit in the last place of 11 bits, and a little for what was rounded before.
            let near = |(got, want): (&f32, &f64)| {
                (f64::from(*got) - want).abs() <= want.abs() / 2048.0 + 1e-5
            };
            assert!(fresh.iter().zip(&key).all(near), "the key of {what}: {fresh:?}, not {key:?}");
            let value = &qkv[c.q_size() + c.kv_size() + kv * size..][..size];
            let fresh = &values[line(position as usize)..][..size];
            let rounded: Vec<f64> = value.iter().map(|v| f16::from_f32(*v).to_f64()).collect();
            assert_eq!(fresh, rounded, "the value of {what}");
            for head in kv * c.heads / c.kv_heads..(kv + 1) * c.heads / c.kv_heads {
                let q = prepared(head * size, &layer.q_norm);
                let score = |p: usize| dot(&q, &keys[line(p)..][..size]) / (size as f64).sqrt();
                let scores: Vec<f64> = (0..count).map(score).collect();
                let most = scores.iter().copied().fold(f64::MIN, f64::max);
                let weights: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
                let sum: f64 = weights.iter().sum();
                for e in 0..size {
                    let mixed = |p: usize| weights[p] * values[line(p) + e];
                    want.push((0..count).map(mixed).sum::<f64>() / sum);
                }
            }
        }
        compare(&got, &want, 1e-5, what);
    }

    fn check_pick(&mut self, step: &Step, token: u32, position: u32) {
        let vocab = self.model.config.vocab;
        let logits = Value::Buffer(self.buffer(Role::Logits), 0);
        let logits = self.floats(logits, vocab);
        self.send(std::slice::from_ref(step));
        let best =
            (0..vocab).rev().max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap() as u32;
        let state = self.words(step.args[0], 16);
        assert_eq!(state[state::TOKEN], best);
        assert_eq!(state[state::POSITION], position + 1);
        assert_eq!(state[state::EMITTED], 1);
        assert_eq!(state[state::STOP], 0);
        let out = self.buffer(Role::Output);
        assert_eq!(self.gpu.word(out, output::RING), best);
        assert_eq!(self.gpu.word(out, output::COUNT), 1);
        let history = Value::Buffer(self.buffer(Role::History), 0);
        let history = self.words(history, LIMITS.context as usize);
        assert_eq!(history[position as usize], token);
        assert_eq!(history[position as usize + 1], best);
    }
}

fn row(tensor: &Tensor, row: usize) -> Vec<f32> {
    let mut values = vec![0.0; tensor.columns()];
    tensor.format.dequantize(tensor.row(row), &mut values);
    values
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn product(matrix: &Tensor, x: &[f64]) -> Vec<f64> {
    let of = |r| row(matrix, r).iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum();
    (0..matrix.rows()).map(of).collect()
}

fn silu(v: f64) -> f64 {
    v / (1.0 + (-v).exp())
}

fn rotate(
    mut head: Vec<f64>,
    norm: Option<&[f32]>,
    position: u32,
    c: &llama_decode::model::Config,
) -> Vec<f64> {
    if let Some(norm) = norm {
        let scale = 1.0 / (dot(&head, &head) / head.len() as f64 + f64::from(c.eps)).sqrt();
        for (v, w) in head.iter_mut().zip(norm) {
            *v *= scale * f64::from(*w);
        }
    }
    let pairs = head.len() / 2;
    for (i, frequency) in c.rope_frequencies().into_iter().enumerate() {
        let (a, b) = match c.rope_pairs {
            RopePairs::Interleaved => (2 * i, 2 * i + 1),
            RopePairs::Halves => (i, i + pairs),
        };
        let (sine, cosine) = (frequency * f64::from(position)).sin_cos();
        let (x, y) = (head[a], head[b]);
        (head[a], head[b]) = (x * cosine - y * sine, x * sine + y * cosine);
    }
    head
}

/// Differences are measured in standard deviations of what is expected.
fn compare(got: &[f32], want: &[f64], bound: f64, what: &str) {
    assert_eq!(got.len(), want.len());
    let mean = want.iter().sum::<f64>() / want.len() as f64;
    let spread = (want.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / want.len() as f64).sqrt();
    let (at, worst) = got
        .iter()
        .zip(want)
        .map(|(g, w)| (f64::from(*g) - w).abs())
        .map(|d| if d.is_nan() { f64::INFINITY } else { d })
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap();
    assert!(
        worst <= bound * spread,
        "{what}: element {at} of {} is {} and not {}: off by {:.1e} of the spread {spread:.3e}",
        got.len(),
        got[at],
        want[at],
        worst / spread
    );
}

/// On the GPU of this machine, else on a software Orin.
fn on_a_gpu(body: impl FnOnce() + Send) {
    let nodes = ["/dev/nvidiactl", "/dev/nvgpu/igpu0/ctrl"];
    if nodes.iter().any(|node| std::fs::File::open(node).is_ok()) {
        return body();
    }
    emulator::run(emulator::Options::default(), |_| body()).unwrap();
}

/// Checks every step of a token at each of these positions, with a cache full of anything.
fn check_model(model: Model, positions: &[u32]) {
    on_a_gpu(|| {
        let vocab = model.config.vocab as u32;
        let mut bench = Bench::new(model).unwrap();
        bench.fill_cache();
        for position in positions {
            bench.check_token((position * 37 + 5) % vocab, *position);
        }
    });
}

fn check(shape: &Shape, mix: Mix, positions: &[u32]) {
    let file = made::in_memory(shape, mix, 7).unwrap();
    check_model(Model::new(&file).unwrap(), positions);
}

fn llama() -> Shape {
    Shape::named("llama-tiny").unwrap()
}

#[test]
fn every_format() {
    for format in Format::ALL {
        check(&llama(), Mix::All(format), &[0, 1]);
    }
}

/// Q4_K_M has Q6_K for the values of one layer only: kernels for several formats at once.
#[test]
fn formats_mixed() {
    check(&Shape { layers: 3, ..llama() }, Mix::Q4KM, &[0, 1]);
    check(&Shape { layers: 3, ..llama() }, Mix::Q5KM, &[0, 1]);
    check(&Shape { layers: 8, ..llama() }, Mix::Q4KS, &[0, 1]);
}

#[test]
fn gate_and_up_of_different_formats() {
    let (a, b) = (Mix::All(Format::Q8_0), Mix::All(Format::Bf16));
    let [a, b] = [a, b].map(|mix| made::in_memory(&llama(), mix, 3).unwrap());
    let (mut model, other) = (Model::new(&a).unwrap(), Model::new(&b).unwrap());
    model.layers[1].up = other.layers[1].up;
    check_model(model, &[0, 1]);
}

/// Pairs of halves, a norm of each head, heads of 128.
#[test]
fn qwen3() {
    check(&Shape::named("qwen3-tiny").unwrap(), Mix::All(Format::Q8_0), &[0, 2]);
}

#[test]
fn untied_head() {
    check(&Shape::named("llama-tiny-untied").unwrap(), Mix::All(Format::Q4_0), &[0, 1]);
}

/// Sizes that fill no unit and no group of the kernels; three heads to one of keys.
#[test]
fn odd_sizes() {
    let odd =
        Shape { embedding: 96, feed_forward: 224, heads: 3, kv_heads: 1, head_size: 32, ..llama() };
    for mix in [Format::F32, Format::F16, Format::Bf16, Format::Q4_0, Format::Q8_0] {
        check(&Shape { vocab: 800, ..odd.clone() }, Mix::All(mix), &[0, 1]);
    }
}

/// More heads than one block of the attention has.
#[test]
fn many_heads_to_one_of_keys() {
    check(&Shape { heads: 12, kv_heads: 2, ..llama() }, Mix::All(Format::Q8_0), &[0, 2]);
}

/// Several blocks share the positions.
#[test]
fn a_long_context() {
    let shape = Shape { layers: 1, ..llama() };
    check(&shape, Mix::All(Format::Q8_0), &[0, 63, 64, 65, 127, 200, 254]);
    check(&Shape { head_size: 32, ..shape.clone() }, Mix::All(Format::Q8_0), &[150]);
    check(&Shape { head_size: 128, heads: 2, ..shape }, Mix::All(Format::Q8_0), &[150]);
}
