//! Every kernel of a token against plain arithmetic, step by step: what a step read is read back from the
//! GPU, what it must have written is computed here in f64, and the two are compared.
//!
//! On the software Orin, with Orin's engines and with Hopper's, or on the GPU of this machine.

use emulator::Options;
use emulator::profile::Profile;
use half::f16;
use llama_decode::gguf::Tensor;
use llama_decode::made::{self, Mix, Shape};
use llama_decode::model::{Layer, Model, RopePairs};
use llama_decode::plan::{BufferId, Limits, Plan, Role, Source, Step, Value, output, state};
use llama_decode::quant::Format;
use llama_decode::repack;
use llama_decode::run::{Backend, Direct, Error, Result};
use llama_decode::sample::Sampling;
use std::time::Duration;

const LIMITS: Limits = Limits { context: 768, prefill: 72, ring: 64 };

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

    fn put(&mut self, role: Role, words: impl Iterator<Item = u32>) {
        let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        self.gpu.write(self.buffer(role), 0, &bytes).unwrap();
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
        self.check_choice(step, position, best);
        let history = Value::Buffer(self.buffer(Role::History), 0);
        let history = self.words(history, LIMITS.context as usize);
        assert_eq!(history[position as usize], token);
    }

    /// What follows from a choice that began at `position`.
    fn check_choice(&mut self, step: &Step, position: u32, best: u32) {
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

/// On the GPU of this machine; else on a software Orin, and once more with Hopper's engines, whose kernels are others.
fn on_every_gpu(body: impl Fn() + Send + Sync) {
    let nodes = ["/dev/nvidiactl", "/dev/nvgpu/igpu0/ctrl"];
    if nodes.iter().any(|node| std::fs::File::open(node).is_ok()) {
        return body();
    }
    for board in ["agx-orin-30w", "no-board-hopper"] {
        let profile = Profile::by_name(board).expect("there is such a board");
        println!("on the board {board}");
        emulator::run(Options { profile, ..Options::default() }, |_| body()).unwrap();
    }
}

/// Checks every step of a token at each of these positions, with a cache full of anything.
fn check_model(model: Model, positions: &[u32]) {
    on_every_gpu(|| {
        let vocab = model.config.vocab as u32;
        let mut bench = Bench::new(model.clone()).unwrap();
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
    check(&shape, Mix::All(Format::Q8_0), &[0, 31, 32, 255, 256, 500, 512, 700]);
    check(&Shape { head_size: 32, ..shape.clone() }, Mix::All(Format::Q8_0), &[150, 600]);
    check(&Shape { head_size: 128, heads: 2, ..shape }, Mix::All(Format::Q8_0), &[150, 600]);
}

/// Sampling on the GPU is bit for bit what `sample` defines: logits of many kinds, with and without each of the settings.
#[test]
fn sampling() {
    let shape = Shape { layers: 1, ..llama() };
    let file = made::in_memory(&shape, Mix::All(Format::Q8_0), 7).unwrap();
    let model = Model::new(&file).unwrap();
    on_every_gpu(|| {
        let mut bench = Bench::new(model.clone()).unwrap();
        let step = bench.plan.decode.last().unwrap().clone();
        let mut random = 1u64;
        let mut next = move || {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (random >> 33) as u32
        };
        for turn in 0..96u32 {
            let spread = [1.0, 8.0, 0.05][turn as usize % 3];
            let mut logits: Vec<f32> =
                (0..shape.vocab).map(|_| (next() as f32 / 2f32.powi(31) - 0.5) * spread).collect();
            match turn % 5 {
                // Whole numbers: many equal ones.
                1 => logits.iter_mut().for_each(|l| *l = (*l * 4.0).round()),
                2 => logits[7] = f32::NAN,
                3 => {
                    (logits[900], logits[901], logits[3]) =
                        (f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY)
                }
                _ => {}
            }
            let position = 40 + turn;
            let mut context: Vec<u32> =
                (0..=position).map(|_| next() % shape.vocab as u32).collect();
            if turn % 5 == 3 {
                // The penalty also falls on what is infinite.
                context[position as usize] = 900;
            }
            let pick = |values: &[f32], bits: u32| values[(turn >> bits) as usize % values.len()];
            let sampling = Sampling {
                temperature: pick(&[0.8, 1.0, 2.5, 0.0], 0),
                top_k: [0, 40, 1, 5000][(turn >> 1) as usize % 4],
                top_p: pick(&[1.0, 0.9, 0.5, 0.0], 2),
                min_p: pick(&[0.0, 0.05, 1.0], 3),
                repetition_penalty: pick(&[1.3, 1.0, 0.7], 1).max(if turn % 4 == 3 {
                    1.1
                } else {
                    0.0
                }),
                last_n: [64, 8, 1000][turn as usize % 3],
                seed: u64::from(turn) * 0x1234_5678_9abc,
            };
            let want = sampling.choose(&logits, &context, position + 1);
            bench.set_state(&[
                (state::POSITION, position),
                (state::TEMPERATURE, sampling.temperature.to_bits()),
                (state::TOP_K, sampling.top_k),
                (state::TOP_P, sampling.top_p.to_bits()),
                (state::MIN_P, sampling.min_p.to_bits()),
                (state::PENALTY, sampling.repetition_penalty.to_bits()),
                (state::LAST_N, sampling.last_n),
                (state::SEED, sampling.seed as u32),
                (state::SEED + 1, (sampling.seed >> 32) as u32),
            ]);
            bench.put(Role::History, context.iter().copied());
            bench.put(Role::Logits, logits.iter().map(|l| l.to_bits()));
            bench.send(std::slice::from_ref(&step));
            let state = bench.words(step.args[0], 16);
            assert_eq!(state[state::TOKEN], want, "{turn}: {sampling:?}");
            bench.check_choice(&step, position, want);
        }
    });
}

/// A run ends with an end-of-text token, at its limit, or with the cache, and then nothing moves any more.
#[test]
fn stops() {
    let shape = Shape { layers: 1, ..llama() };
    let file = made::in_memory(&shape, Mix::All(Format::Q8_0), 7).unwrap();
    let model = Model::new(&file).unwrap();
    on_every_gpu(|| {
        let mut bench = Bench::new(model.clone()).unwrap();
        let steps = bench.plan.decode.clone();
        let out = bench.buffer(Role::Output);
        bench.set_state(&[(state::TOKEN, 3)]);
        bench.send(&steps);
        let first = bench.gpu.word(out, output::RING);
        let runs = [
            ((state::LIMIT, 1), 0, output::LIMIT),
            ((state::END_TOKENS + 2, first), 0, output::END_OF_TEXT),
            ((state::LIMIT, 9), LIMITS.context - 1, output::CONTEXT_FULL),
        ];
        for (word, position, reason) in runs {
            bench.put(Role::Output, [0; 2].into_iter());
            bench.set_state(&[(state::TOKEN, 3), (state::POSITION, position), word]);
            for _ in 0..2 {
                bench.send(&steps);
                assert_eq!(bench.gpu.word(out, output::COUNT), 1);
                assert_eq!(bench.gpu.word(out, output::REASON), reason);
                let state = bench.words(steps[0].args[0], 4);
                assert_eq!((state[state::STOP], state[state::POSITION]), (1, position + 1));
            }
        }
    });
}

/// A prompt in batches leaves in the cache what it leaves token by token.
fn check_prefill(shape: &Shape, mix: Mix, batches: &[u32]) {
    let file = made::in_memory(shape, mix, 7).unwrap();
    let model = Model::new(&file).unwrap();
    on_every_gpu(|| {
        let mut bench = Bench::new(model.clone()).unwrap();
        let count: u32 = batches.iter().sum();
        let prompt: Vec<u32> = (0..=count).map(|i| (i * 37 + 5) % shape.vocab as u32).collect();
        let logits = Value::Buffer(bench.buffer(Role::Logits), 0);
        let decode = bench.plan.decode.clone();

        for (position, token) in prompt.iter().enumerate() {
            bench.set_state(&[(state::TOKEN, *token), (state::POSITION, position as u32)]);
            bench.send(&decode);
        }
        let want: Vec<f64> = bench.floats(logits, shape.vocab).into_iter().map(f64::from).collect();

        bench.fill_cache();
        bench.put(Role::History, prompt.iter().copied());
        bench.set_state(&[(state::TOKEN, prompt[0])]);
        for tokens in batches {
            bench.send(&bench.plan.prefill(*tokens));
        }
        let words = bench.words(decode[0].args[0], 4);
        assert_eq!((words[state::TOKEN], words[state::POSITION]), (prompt[count as usize], count));
        bench.send(&decode);
        let got = bench.floats(logits, shape.vocab);
        compare(&got, &want, 1e-3, &format!("logits after {batches:?} with {mix:?}"));
    });
}

#[test]
fn prefill() {
    for format in Format::ALL {
        check_prefill(&llama(), Mix::All(format), &[3]);
    }
    check_prefill(&Shape { layers: 3, ..llama() }, Mix::Q4KM, &[9]);
    check_prefill(&Shape::named("qwen3-tiny").unwrap(), Mix::All(Format::Q8_0), &[5]);
    let odd =
        Shape { embedding: 96, feed_forward: 224, heads: 3, kv_heads: 1, head_size: 32, ..llama() };
    for format in [Format::F16, Format::Bf16, Format::Q4_0, Format::Q8_0] {
        check_prefill(&Shape { vocab: 800, ..odd.clone() }, Mix::All(format), &[4]);
    }
    check_prefill(&Shape { layers: 1, ..llama() }, Mix::All(Format::Q8_0), &[LIMITS.prefill, 7, 1]);
    check_prefill(&Shape { layers: 1, heads: 12, ..llama() }, Mix::All(Format::Bf16), &[33, 2]);
}
