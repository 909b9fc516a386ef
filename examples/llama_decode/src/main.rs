//! The `llama_decode` command.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs};

use clap::Parser;
use llama_decode::chat::Chat;
use llama_decode::gguf::Gguf;
use llama_decode::model::Model;
use llama_decode::options::{Options, TextOptions};
use llama_decode::report::{self, Answer, Bench, Host, Memory, Profile};
use llama_decode::run::{self, Decoder, Ending, Error, INTERRUPTED, Interrupt, Mib, Result};
use llama_decode::sample::Sampling;
use llama_decode::status::Status;
use llama_decode::streams::{put, tell};
use llama_decode::text::{Specials, Stream, Tokenizer};

/// The model for those who bring none.
const STORIES: &[u8] = include_bytes!("../model/stories.gguf");

/// Set by `doorbell emulate` for the programs that it starts.
const EMULATED: &str = "DOORBELL_EMULATED";

fn main() -> ExitCode {
    let started = Instant::now();
    match decode(&Options::parse(), started) {
        Ok(Ending::Interrupted) => ExitCode::from(INTERRUPTED),
        Ok(_) => ExitCode::SUCCESS,
        Err(Error::Gone) => ExitCode::SUCCESS,
        Err(error) => {
            tell(format!("llama_decode: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn decode(options: &Options, started: Instant) -> Result<Ending> {
    let sampling = options.sampling(chance());
    sampling.check()?;
    let interrupt = Interrupt::watch()?;
    if options.measure.compare {
        return compare(options, &interrupt);
    }
    // While nothing runs, Ctrl-C ends the program at once.
    interrupt.raise();
    let file = match &options.model {
        Some(path) => Gguf::open(path)?,
        None => Gguf::new(STORIES)?,
    };
    let model = Model::new(&file)?;
    let tokenizer = Tokenizer::new(&file)?;
    // What cannot go well is said before anything is loaded.
    let prompt = prompt(options, tokenizer.as_ref())?;
    if let Some(id) = options.text.ids.iter().find(|id| **id as usize >= model.config.vocab) {
        let vocab = model.config.vocab;
        return Err(Error::Request(format!("there is no token {id}: the model has {vocab}")));
    }

    let session = options.dispatch.via.is_direct().then(emulator::start_unless_gpu).flatten();
    let emulated = session.is_some() || env::var_os(EMULATED).is_some();
    let pace = options.dispatch.pace_for(options.text.tokens, emulated);
    let mut status = Status::new(false);
    let mut progress = |done: u64, all: u64| {
        let percent = 100 * done / all.max(1);
        status.show(|| format!("loading {percent:3} % of {}", Mib(all)));
    };
    let (via, context) = (options.dispatch.via, options.text.context);
    let mut decoder = run::start(&file, &model, via, context, pace, &mut progress)?;
    interrupt.clear();
    status.clear();
    let ready = started.elapsed();

    let name =
        if model.config.name.is_empty() { "a model without a name" } else { &model.config.name };
    let about = About {
        model: format!("{name} ({} of file)", Mib(file.bytes().len() as u64)),
        vocab: model.config.vocab as u32,
        memory: Memory::of(decoder.plan(), file.bytes().len() as u64),
        emulated,
        ready,
    };
    let quiet = options.text.json;
    if options.measure.memory && !quiet {
        put(&format!("{}\n", about.memory))?;
    }
    if options.measure.check {
        return check(options, &mut decoder, &model, &interrupt);
    }
    if options.measure.bench {
        return bench(options, &mut decoder, about, &interrupt);
    }
    if let Some(path) = &options.measure.profile {
        let Prompt::Tokens { tokens, .. } = &prompt else {
            return Err(Error::Request("a chat cannot be profiled: give it a prompt".to_owned()));
        };
        decoder.prefill(tokens)?;
        decoder.decode(PROFILED, &[], &sampling, &interrupt, &mut |_| {})?;
        return profile(options, &mut decoder, about, path.as_deref());
    }
    if !quiet {
        tell(format!("{} on {}, via {via}", about.model, decoder.describe()));
    }
    let ends = tokenizer.as_ref().map_or(&[][..], Tokenizer::ends);
    let per_ring = pace.per_ring;
    let settings = Settings { options, sampling, per_ring, ends, interrupt: &interrupt };
    match &prompt {
        Prompt::Chat => {
            let tokenizer = tokenizer.as_ref().expect("checked with the prompt");
            let TextOptions { system, think, .. } = &options.text;
            let chat = Chat::new(&file, tokenizer, system.as_deref(), *think)?;
            talk(chat, &mut decoder, &settings)
        }
        Prompt::Tokens { tokens, text } => {
            let tokenizer = tokenizer.as_ref().filter(|_| options.text.ids.is_empty());
            let answer = settings.answer(&mut decoder, tokenizer, tokens, text)?;
            if quiet {
                let answer =
                    Answer { memory: options.measure.memory.then_some(about.memory), ..answer };
                print_json(&answer)?;
                Ok(answer.ending)
            } else {
                tell(answer.speed(per_ring, ready));
                Ok(answer.ending)
            }
        }
    }
}

/// What is known once a model is loaded.
struct About {
    model: String,
    vocab: u32,
    memory: Memory,
    emulated: bool,
    ready: Duration,
}

/// What the text goes on from.
enum Prompt {
    Chat,
    Tokens { tokens: Vec<u32>, text: String },
}

fn prompt(options: &Options, tokenizer: Option<&Tokenizer>) -> Result<Prompt> {
    let input = &options.text;
    if !input.ids.is_empty() || tokenizer.is_none() {
        // Whatever the numbers are, the first token of a file without words is as good as any.
        let tokens = if input.ids.is_empty() { vec![0] } else { input.ids.clone() };
        if input.chat || input.prompt.is_some() || input.file.is_some() {
            let why = "this file has no vocabulary: give it tokens with --ids";
            return Err(Error::Request(why.to_owned()));
        }
        return Ok(Prompt::Tokens { tokens, text: String::new() });
    }
    if input.chat {
        return Ok(Prompt::Chat);
    }
    let text = match (&input.prompt, &input.file) {
        (Some(text), _) => text.clone(),
        (None, Some(path)) => read(path)?,
        (None, None) => String::new(),
    };
    let tokenizer = tokenizer.expect("checked above");
    let mut tokens = tokenizer.encode(&text, Specials::Plain)?;
    if tokens.is_empty() {
        // A model without a beginning of texts begins after an end.
        tokens.extend(tokenizer.bos().or(tokenizer.ends().first().copied()).or(Some(0)));
    }
    Ok(Prompt::Tokens { tokens, text })
}

/// Bytes of a prompt: far more than any model's context has room for, and no more than can be waited for.
const LONGEST_PROMPT: u64 = 16 << 20;

fn read(path: &Path) -> Result<String> {
    let (name, file): (String, io::Result<Box<dyn Read>>) = if path == Path::new("-") {
        ("standard input".to_owned(), Ok(Box::new(io::stdin())))
    } else {
        (path.display().to_string(), File::open(path).map(|file| Box::new(file) as _))
    };
    let mut bytes = Vec::new();
    let read = file.and_then(|file| file.take(LONGEST_PROMPT + 1).read_to_end(&mut bytes));
    read.map_err(|error| cannot_read(&name, &error))?;
    if bytes.len() as u64 > LONGEST_PROMPT {
        let most = Mib(LONGEST_PROMPT);
        return Err(Error::Request(format!(
            "{name} has more than {most}, and no model has a context for that"
        )));
    }
    String::from_utf8(bytes).map_err(|_| cannot_read(&name, &io::ErrorKind::InvalidData.into()))
}

fn cannot_read(name: &str, error: &io::Error) -> Error {
    Error::Request(match error.kind() {
        io::ErrorKind::InvalidData => format!("{name} is not text in UTF-8"),
        _ => format!("cannot read {name}: {error}"),
    })
}

/// What every answer is made with.
struct Settings<'a> {
    options: &'a Options,
    sampling: Sampling,
    per_ring: u32,
    ends: &'a [u32],
    interrupt: &'a Interrupt,
}

impl Settings<'_> {
    /// Lets the model go on from a prompt, and prints what it says as it comes.
    fn answer(
        &self,
        decoder: &mut Decoder,
        tokenizer: Option<&Tokenizer>,
        prompt: &[u32],
        shown: &str,
    ) -> Result<Answer> {
        let text = &self.options.text;
        let mut status = Status::new(!text.json);
        let mut stream = tokenizer.map(Stream::new);
        let (mut said, mut written) = (String::new(), Ok(()));
        let mut print = |piece: &str| {
            said.push_str(piece);
            if !text.json && written.is_ok() {
                written = put(piece);
                if written.is_err() {
                    self.interrupt.raise();
                }
            }
        };
        let began = Instant::now();
        decoder.prefill(prompt)?;
        let prefill = began.elapsed();
        print(shown);
        let mut count = 0;
        let mut take = |tokens: &[u32]| {
            count += tokens.len();
            let piece: String = match &mut stream {
                Some(stream) => tokens.iter().map(|token| stream.push(*token)).collect(),
                None => tokens.iter().map(|token| format!("{token} ")).collect(),
            };
            print(&piece);
            let speed = count as f64 / (began.elapsed() - prefill).as_secs_f64();
            status.show(|| format!("{count} tokens, {speed:.1} tok/s"));
        };
        let run =
            decoder.decode(text.tokens, self.ends, &self.sampling, self.interrupt, &mut take)?;
        print(&stream.map_or(String::new(), |mut stream| stream.finish()));
        print("\n");
        status.clear();
        written?;
        Ok(Answer::new(said, prompt.len(), prefill, run, &self.sampling))
    }
}

/// A number that nobody can foretell, short enough to be typed.
fn chance() -> u64 {
    // By what the standard library seeds maps with, so that strangers cannot guess their order.
    RandomState::new().build_hasher().finish() % 1_000_000
}

fn talk(mut chat: Chat, decoder: &mut Decoder, settings: &Settings) -> Result<Ending> {
    tell("Ctrl-C ends an answer, Ctrl-D the talk.");
    let mut lines = io::stdin().lines();
    loop {
        if io::stdin().is_terminal() {
            let _ = write!(io::stderr(), "> ");
        }
        // While nothing runs, here too, Ctrl-C ends the program at once.
        settings.interrupt.raise();
        let line = lines.next().transpose();
        settings.interrupt.clear();
        let line = line.map_err(|error| cannot_read("standard input", &error))?;
        let Some(line) = line else { return Ok(Ending::EndOfText) };
        if line.trim().is_empty() {
            continue;
        }
        let prompt = chat.ask(line)?;
        let answer = settings.answer(decoder, Some(chat.tokenizer()), &prompt, "")?;
        if settings.options.text.json {
            print_json(&answer)?;
        } else {
            tell(format!("[{}]", answer.speed(settings.per_ring, Duration::ZERO)));
        }
        chat.answered(answer.text);
        settings.interrupt.clear();
    }
}

fn bench(
    options: &Options,
    decoder: &mut Decoder,
    about: About,
    interrupt: &Interrupt,
) -> Result<Ending> {
    let (depths, tokens) = (&options.measure.depths, options.text.tokens);
    let pace = options.dispatch.measured_pace(about.emulated);
    let mut say = |text: String| tell(format!("llama_decode: {text}"));
    let (points, prefill_tok_s) =
        report::bench(decoder, about.vocab, depths, tokens, pace, interrupt, &mut say)?;
    let bench = Bench {
        via: options.dispatch.via.to_string(),
        gpu: decoder.describe(),
        host: Host::read(about.emulated),
        model: about.model,
        start_up_ms: about.ready.as_secs_f64() * 1e3,
        kernels: decoder.plan().decode.len(),
        points,
        prefill_tok_s,
        memory: about.memory,
    };
    if options.text.json {
        print_json(&bench)?;
    } else {
        put(&bench.to_string())?;
    }
    Ok(Ending::Limit)
}

fn compare(options: &Options, interrupt: &Interrupt) -> Result<Ending> {
    let keep = |arg: &std::ffi::OsString| arg != "--compare" && arg != "--json";
    let args: Vec<_> = env::args_os().skip(1).filter(keep).collect();
    let compared = report::compare(&args, interrupt)?;
    if options.text.json {
        print_json(&compared)?;
    } else {
        put(&compared.to_string())?;
    }
    if compared.same_tokens {
        Ok(Ending::Limit)
    } else {
        Err(Error::Request("the ways differ".to_owned()))
    }
}

fn check(
    options: &Options,
    decoder: &mut Decoder,
    model: &Model,
    interrupt: &Interrupt,
) -> Result<Ending> {
    let (depths, tokens) = (&options.measure.depths, options.text.tokens);
    let mut say = |text: String| tell(format!("llama_decode: {text}"));
    let check = report::check(decoder, model, depths, tokens, interrupt, &mut say)?;
    if options.text.json {
        print_json(&check)?;
    } else {
        put(&check.to_string())?;
    }
    if check.holds() {
        return Ok(Ending::Limit);
    }
    Err(Error::Request("the GPU computes something else than the plain forward pass".to_owned()))
}

/// Tokens that are timed.
const PROFILED: u32 = 9;

fn profile(
    options: &Options,
    decoder: &mut Decoder,
    about: About,
    path: Option<&Path>,
) -> Result<Ending> {
    if let Some(dram) = options.measure.dram.filter(|dram| !(*dram > 0.0 && dram.is_finite())) {
        return Err(Error::Request(format!("--dram is {dram}; it must be a number above 0")));
    }
    let host = Host::read(about.emulated);
    let datasheet = report::datasheet(decoder.machine().sm, &host.board);
    let dram = options.measure.dram.or(datasheet).ok_or_else(|| {
        Error::Request(format!(
            "the DRAM bandwidth of {} is not known: say --dram GB/S",
            host.board
        ))
    })?;
    let depth = decoder.depth();
    let spans = decoder.profile(PROFILED)?;
    let (plan, context) = (decoder.plan(), decoder.context());
    let profile = Profile::new(plan, context, decoder.describe(), depth, dram, &spans);
    if let Some(path) = path {
        let wrote = fs::write(path, profile.trace());
        wrote
            .map_err(|error| Error::Request(format!("cannot write {}: {error}", path.display())))?;
        tell(format!("llama_decode: {} is for https://ui.perfetto.dev", path.display()));
    }
    if options.text.json {
        print_json(&profile)?;
    } else {
        put(&profile.to_string())?;
    }
    Ok(Ending::Limit)
}

fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text =
        serde_json::to_string_pretty(value).map_err(|error| Error::Request(error.to_string()))?;
    put(&format!("{text}\n"))
}
