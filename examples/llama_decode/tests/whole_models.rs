//! Whole models, from the file to tokens: what the GPU says against the plain forward pass on the CPU.
//!
//! On the software Orin, or on the GPU of this machine. What needs libcuda is ignored unless asked for:
//! `cargo test --release -p llama_decode --test whole_models -- --ignored`.

use std::time::Duration;

use emulator::Options;
use emulator::profile::Profile;
use llama_decode::gguf::Gguf;
use llama_decode::made::{self, Mix, Shape};
use llama_decode::model::Model;
use llama_decode::quant::Format;
use llama_decode::reference::Reference;
use llama_decode::run::{self, Decoder, Ending, Interrupt, Pace, Via, Wait};
use llama_decode::sample::Sampling;
use llama_decode::text::{Specials, Tokenizer};

const STORIES: &[u8] = include_bytes!("../model/stories.gguf");

const PACE: Pace =
    Pace { per_ring: 1, ahead: 2, wait: Wait::Sleep, patience: Duration::from_secs(60) };

/// How far the farthest logit may be from the reference's, in parts of the spread of all.
const BOUND: f32 = 5e-3;

/// Runs on the GPU of this machine, or on the software Orin, in a thread of its own: a thread can have
/// a software Orin once in its life.
fn on_a_gpu(body: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let _orin = emulator::start_unless_gpu();
            body();
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn decoder(file: &Gguf, via: Via, context: u32, pace: Pace) -> Decoder {
    let model = Model::new(file).unwrap();
    let made = run::start(file, &model, via, Some(context), pace, &mut |_, _| {});
    made.unwrap_or_else(|error| panic!("{error}"))
}

fn greedy(decoder: &mut Decoder, prompt: &[u32], tokens: u32) -> Vec<u32> {
    decoder.prefill(prompt).unwrap();
    let (sampling, never) = (Sampling::default(), Interrupt::never());
    let run = decoder.decode(tokens, &[], &sampling, &never, &mut |_| {}).unwrap();
    assert_eq!(run.ending, Ending::Limit);
    run.tokens
}

/// The largest difference of two lists of logits, in parts of the spread of the first.
fn difference(wanted: &[f32], found: &[f32]) -> f32 {
    assert_eq!(wanted.len(), found.len());
    let mean = wanted.iter().sum::<f32>() / wanted.len() as f32;
    let square = wanted.iter().map(|logit| (logit - mean).powi(2)).sum::<f32>();
    let spread = (square / wanted.len() as f32).sqrt();
    let largest = wanted.iter().zip(found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    largest / spread
}

/// Compares logits behind prompts of the given lengths, and what is said then.
fn agrees(shape: &str, mix: Mix, lengths: &[usize], tokens: u32) {
    let file = made::in_memory(&Shape::named(shape).unwrap(), mix, 11).unwrap();
    let model = Model::new(&file).unwrap();
    let vocab = model.config.vocab as u32;
    let context = lengths.iter().max().unwrap() + tokens as usize + 1;
    let mut decoder = decoder(&file, Via::Direct, context as u32, PACE);
    for length in lengths {
        let prompt: Vec<u32> = (0..*length as u32).map(|i| (i * 193 + 7) % vocab).collect();
        let wanted = Reference::new(&model).read(&prompt).unwrap();
        // The first token comes out of the prompt's logits, and nothing has overwritten them yet.
        greedy(&mut decoder, &prompt, 1);
        let found = decoder.logits().unwrap();
        let difference = difference(&wanted, &found[..wanted.len()]);
        println!("{shape} {mix:?}, {length} tokens: {difference:.1e}");
        assert!(difference < BOUND, "{shape} {mix:?}, {length} tokens: {difference:e}");
        let wanted = Reference::new(&model).greedy(&prompt, tokens as usize).unwrap();
        assert_eq!(greedy(&mut decoder, &prompt, tokens), wanted, "{shape} {mix:?}");
    }
}

#[test]
fn a_llama_agrees_in_every_format() {
    on_a_gpu(|| {
        for format in [Format::F16, Format::Bf16, Format::Q4_0, Format::Q8_0, Format::Q6K] {
            agrees("llama-tiny", Mix::All(format), &[2], 6);
        }
        agrees("llama-tiny", Mix::Q4KM, &[2], 6);
        agrees("llama-tiny", Mix::Q5KM, &[2], 6);
    });
}

#[test]
fn a_qwen_agrees() {
    on_a_gpu(|| {
        agrees("qwen3-tiny", Mix::All(Format::Q8_0), &[2], 6);
        agrees("qwen3-tiny", Mix::Q4KM, &[2], 6);
    });
}

#[test]
fn an_untied_llama_agrees_behind_a_longer_prompt() {
    on_a_gpu(|| agrees("llama-tiny-untied", Mix::All(Format::Q6K), &[24], 4));
}

/// The kernels for Hopper, clusters and stores that signal among them, where there is no Hopper.
#[test]
fn hoppers_kernels_agree_on_the_software_orin() {
    let profile = Profile::by_name("no-board-hopper").expect("there is such a board");
    let options = Options { profile, ..Options::default() };
    let ran = emulator::run(options, |_| {
        agrees("llama-tiny", Mix::Q4KM, &[2], 6);
        agrees("qwen3-tiny", Mix::All(Format::Q8_0), &[300], 4);
        agrees_to_the_last_word(Format::Q6K);
    });
    ran.unwrap_or_else(|unavailable| panic!("{unavailable}"));
}

/// The last tile of the head is not full. What fills it ties with the last row, so that it is never said.
#[test]
fn a_vocabulary_can_have_any_size() {
    on_a_gpu(|| {
        for format in [Format::F16, Format::Q4_0, Format::Q8_0, Format::Q6K] {
            agrees_to_the_last_word(format);
        }
    });
}

fn agrees_to_the_last_word(format: Format) {
    let shape = Shape { vocab: 1001, ..Shape::named("llama-tiny").unwrap() };
    let file = made::in_memory(&shape, Mix::All(format), 11).unwrap();
    let model = Model::new(&file).unwrap();
    let prompt = [7, 1000];
    let wanted = Reference::new(&model).read(&prompt).unwrap();
    let mut decoder = decoder(&file, Via::Direct, 8, PACE);
    greedy(&mut decoder, &prompt, 1);
    let found = decoder.logits().unwrap();
    assert!(difference(&wanted, &found[..1001]) < BOUND, "{format:?}");
    assert_eq!(found[1000..], [found[1000]; 8], "{format:?}");
    let wanted = Reference::new(&model).greedy(&prompt, 3).unwrap();
    assert_eq!(greedy(&mut decoder, &prompt, 3), wanted, "{format:?}");
}

/// What ships speaks, the same on every GPU, and as the plain forward pass does.
#[test]
fn the_shipped_model_tells_128_tokens_of_a_story_as_the_reference_does() {
    on_a_gpu(|| {
        let file = Gguf::new(STORIES).unwrap();
        let model = Model::new(&file).unwrap();
        let tokenizer = Tokenizer::new(&file).unwrap().unwrap();
        let prompt = tokenizer.encode("The Lost Lamp", Specials::Plain).unwrap();
        let wanted = Reference::new(&model).greedy(&prompt, 128).unwrap();
        let mut decoder = decoder(&file, Via::Direct, 256, PACE);
        assert_eq!(greedy(&mut decoder, &prompt, 128), wanted);
        // The end of the text, and what the shipped model makes of it, is found within a ring.
        decoder.set_pace(Pace { per_ring: 5, ..PACE }).unwrap();
        decoder.prefill(&prompt).unwrap();
        let end = wanted[11];
        let first = wanted.iter().position(|token| *token == end).unwrap();
        let (sampling, never) = (Sampling::default(), Interrupt::never());
        let run = decoder.decode(128, &[end], &sampling, &never, &mut |_| {}).unwrap();
        assert_eq!((run.ending, &run.tokens[..]), (Ending::EndOfText, &wanted[..=first]));
    });
}

#[test]
fn a_seed_gives_what_the_definition_of_sampling_says() {
    on_a_gpu(|| {
        let file = Gguf::new(STORIES).unwrap();
        let model = Model::new(&file).unwrap();
        let tokenizer = Tokenizer::new(&file).unwrap().unwrap();
        let prompt = tokenizer.encode("The Seed", Specials::Plain).unwrap();
        let mut decoder = decoder(&file, Via::Direct, 64, PACE);
        let settings = [
            Sampling { temperature: 0.9, seed: 5, ..Sampling::default() },
            Sampling { temperature: 1.3, top_k: 20, top_p: 0.9, seed: 6, ..Sampling::default() },
            Sampling { temperature: 1.1, min_p: 0.05, seed: 1 << 40, ..Sampling::default() },
            Sampling { repetition_penalty: 1.4, last_n: 16, ..Sampling::default() },
        ];
        for sampling in settings {
            decoder.prefill(&prompt).unwrap();
            let never = Interrupt::never();
            let run = decoder.decode(24, &[], &sampling, &never, &mut |_| {}).unwrap();
            let mut reference = Reference::new(&model);
            let mut context = prompt.clone();
            let mut logits = reference.read(&prompt).unwrap();
            for (i, token) in run.tokens.iter().enumerate() {
                let wanted = sampling.choose(&logits, &context, context.len() as u32);
                assert_eq!(*token, wanted, "{sampling:?}, token {i}");
                context.push(wanted);
                logits = reference.read(&[wanted]).unwrap();
            }
        }
    });
}

#[test]
#[ignore = "needs an NVIDIA GPU and libcuda"]
fn every_way_to_the_gpu_says_the_same() {
    for (shape, mix) in [("llama-tiny", Mix::Q4KM), ("qwen3-tiny", Mix::All(Format::Q8_0))] {
        let file = made::in_memory(&Shape::named(shape).unwrap(), mix, 3).unwrap();
        let prompt: Vec<u32> = (5..40).collect();
        let said = |via: Via, per_ring: u32| {
            greedy(&mut decoder(&file, via, 512, Pace { per_ring, ..PACE }), &prompt, 128)
        };
        let wanted = Reference::new(&Model::new(&file).unwrap()).greedy(&prompt, 128).unwrap();
        for via in Via::ALL {
            for per_ring in [1, 16] {
                assert_eq!(said(via, per_ring), wanted, "{shape}, {via}, {per_ring} a ring");
            }
        }
    }
}
