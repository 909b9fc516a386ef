//! The decode loop: keeps the GPU fed and collects what it emits.

use std::fmt;
use std::time::{Duration, Instant};

use super::state::{Start, WATCHED};
use super::{Backend, Error, Interrupt, Result, Span, cpu_time};
use crate::plan::{BufferId, Limits, Machine, Plan, Role, output};
use crate::sample::Sampling;

/// How tokens are asked for and awaited.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Tokens that one ring of the doorbell stands for.
    pub per_ring: u32,
    /// Rings that may be under way at once: with two, the GPU never waits for the CPU.
    pub ahead: u32,
    /// What the CPU does meanwhile.
    pub wait: Wait,
    /// How long the GPU may emit nothing.
    pub patience: Duration,
}

/// What the CPU does while the GPU works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It looks all the time: every token is seen at once, at the price of a core.
    Spin,
    /// It sleeps for as long as the next ring can wait.
    Sleep,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The model has said all.
    EndOfText,
    /// As many tokens as were asked for.
    Limit,
    /// The context is full.
    ContextFull,
    /// The user has asked for an end.
    Interrupted,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Run {
    /// The tokens, the one that ends the text included.
    pub tokens: Vec<u32>,
    /// When each was seen, since the run began.
    pub seen: Vec<Duration>,
    /// Why it ended.
    pub ending: Ending,
    /// From the first ring until the GPU was idle.
    pub elapsed: Duration,
    /// CPU time of the process meanwhile, what was done with the tokens included.
    pub cpu: Duration,
    /// Of the elapsed time, what the calls took that send work.
    pub sending: Duration,
}

/// A GPU with a model in it.
pub struct Decoder {
    backend: Box<dyn Backend>,
    plan: Plan,
    limits: Limits,
    pace: Pace,
    state: BufferId,
    output: BufferId,
    history: BufferId,
    /// Tokens whose keys and values the cache holds.
    cached: Vec<u32>,
    /// The token after them.
    next: u32,
}

/// Naps shorter than this cost more than they save.
const SHORTEST_NAP: Duration = Duration::from_micros(20);
const LONGEST_NAP: Duration = Duration::from_millis(10);
/// How often a wait looks for faults.
const FAULT_PERIOD: Duration = Duration::from_millis(100);
/// Reading the clock costs more than reading the count; so many looks share one.
const LOOKS_PER_CLOCK: u32 = 32;

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "decoder with {} tokens in its cache, {:?}", self.cached.len(), self.pace)
    }
}

impl Decoder {
    /// Takes a backend in which the plan is placed and its weights are loaded.
    pub fn new(
        backend: Box<dyn Backend>,
        plan: Plan,
        limits: Limits,
        pace: Pace,
    ) -> Result<Decoder> {
        let of = |role: Role| {
            let found = plan.buffers.iter().position(|buffer| buffer.role == role);
            BufferId(found.expect("every plan has one") as u32)
        };
        let (state, output, history) = (of(Role::State), of(Role::Output), of(Role::History));
        let (cached, next) = (Vec::new(), 0);
        let mut decoder =
            Decoder { backend, plan, limits, pace, state, output, history, cached, next };
        decoder.set_pace(pace)?;
        Ok(decoder)
    }

    /// Changes how tokens are asked for.
    pub fn set_pace(&mut self, pace: Pace) -> Result<()> {
        if pace.per_ring * pace.ahead > self.limits.ring {
            return Err(Error::request(format!(
                "{} tokens under way are more than the ring of {} holds",
                pace.per_ring * pace.ahead,
                self.limits.ring
            )));
        }
        self.backend.prepare(&self.plan.decode, pace.per_ring, pace.ahead)?;
        self.pace = pace;
        Ok(())
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How many tokens the cache has room for.
    pub fn context(&self) -> u32 {
        self.limits.context
    }

    /// The GPU and its driver, as a line of a report.
    pub fn describe(&self) -> String {
        self.backend.describe()
    }

    /// What plans must know of the GPU.
    pub fn machine(&self) -> Machine {
        self.backend.machine()
    }

    /// Brings the prompt's tokens into the cache, all but the last, which the first decode step
    /// embeds. What the cache already holds of it stays. Returns how many went through the GPU.
    pub fn prefill(&mut self, prompt: &[u32]) -> Result<u32> {
        let Some((last, before)) = prompt.split_last() else {
            return Err(Error::request("there is nothing to go on from: the prompt has no tokens"));
        };
        let context = self.limits.context as usize;
        if prompt.len() > context {
            return Err(Error::request(format!(
                "the prompt has {} tokens and the context holds {context}: shorten it, or choose a larger --context",
                prompt.len()
            )));
        }
        let same = self.cached.iter().zip(before).take_while(|(have, want)| have == want).count();
        self.cached.truncate(same);
        self.next = *last;
        let bytes: Vec<u8> = prompt[same..].iter().flat_map(|token| token.to_le_bytes()).collect();
        self.backend.write(self.history, 4 * same as u64, &bytes)?;
        let new = &before[same..];
        if !new.is_empty() {
            // Batches follow each other without the CPU: each moves the position on by its tokens.
            self.next = prompt[same];
            self.start(u32::MAX, &[], &Sampling::default(), false)?;
            for batch in new.chunks(self.limits.prefill as usize) {
                self.backend.send(&self.plan.prefill(batch.len() as u32))?;
            }
            self.finish()?;
            self.cached.extend(new);
        }
        self.next = *last;
        Ok(new.len() as u32)
    }

    /// Goes on from the last token of the prompt, until the text ends or `limit` tokens are there.
    /// `take` gets them as they come.
    pub fn decode(
        &mut self,
        limit: u32,
        ends: &[u32],
        sampling: &Sampling,
        interrupt: &Interrupt,
        take: &mut dyn FnMut(&[u32]),
    ) -> Result<Run> {
        // The GPU watches for as many as State has words for, and the CPU for the rest.
        let (watched, others) = ends.split_at(ends.len().min(WATCHED));
        self.start(limit, watched, sampling, false)?;
        let Pace { per_ring, ahead, .. } = self.pace;
        let rings = limit.div_ceil(per_ring);
        let mut rung = 0;
        let mut run = Progress::begin(limit as usize);
        loop {
            // Once fewer are under way the next ring is due.
            let enough = (ahead - 1) * per_ring;
            let wanted = !run.ended && !interrupt.seen();
            while wanted && rung < rings && rung * per_ring - run.emitted() <= enough {
                let began = Instant::now();
                self.backend.ring()?;
                run.sending += began.elapsed();
                rung += 1;
            }
            if self.drain(&mut run, others, take) {
                continue;
            }
            let over = run.ended || self.backend.word(self.output, output::REASON) != 0;
            if over || interrupt.seen() || run.emitted() >= limit {
                break;
            }
            let under_way = rung * per_ring - run.emitted();
            self.look_or_nap(&run, under_way - if rung < rings { enough } else { 0 })?;
        }
        self.finish()?;
        self.drain(&mut run, others, take);
        let ending = match self.backend.word(self.output, output::REASON) {
            _ if run.ended => Ending::EndOfText,
            output::END_OF_TEXT => Ending::EndOfText,
            output::CONTEXT_FULL => Ending::ContextFull,
            0 if interrupt.seen() => Ending::Interrupted,
            _ => Ending::Limit,
        };
        self.cached.push(self.next);
        self.cached.extend(&run.tokens);
        self.next = self.cached.pop().expect("pushed above");
        Ok(run.end(ending))
    }

    /// Goes on for some tokens with a timestamp after every kernel.
    pub fn profile(&mut self, tokens: u32) -> Result<Vec<Vec<Span>>> {
        self.start(tokens, &[], &Sampling::default(), false)?;
        let profile = |_| self.backend.profile(&self.plan.decode);
        let spans = (0..tokens).map(profile).collect();
        // The cache holds tokens that nobody has seen.
        self.forget();
        spans
    }

    /// The logits of the last token that went through the model: at least one for each that there is.
    pub fn logits(&mut self) -> Result<Vec<f32>> {
        let found = self.plan.buffers.iter().position(|buffer| buffer.role == Role::Logits);
        let at = found.expect("every plan has one");
        let mut bytes = vec![0; self.plan.buffers[at].bytes as usize];
        self.backend.read(BufferId(at as u32), 0, &mut bytes)?;
        let word = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("chunks of 4"));
        Ok(bytes.chunks_exact(4).map(word).collect())
    }

    /// Empties the cache.
    pub fn forget(&mut self) {
        self.cached.clear();
    }

    /// How many tokens the cache holds.
    pub fn depth(&self) -> u32 {
        self.cached.len() as u32
    }

    /// What a token costs when every kernel returns at once: dispatch alone.
    pub fn dispatch_alone(&mut self, rings: u32) -> Result<Duration> {
        self.start(u32::MAX, &[], &Sampling::default(), true)?;
        self.backend.ring()?;
        self.finish()?;
        let began = Instant::now();
        (0..rings).try_for_each(|_| self.backend.ring())?;
        self.finish()?;
        Ok(began.elapsed() / (rings * self.pace.per_ring))
    }

    /// Writes State and clears Output. Nothing runs at this moment.
    fn start(&mut self, limit: u32, ends: &[u32], sampling: &Sampling, stop: bool) -> Result<()> {
        let position = self.cached.len() as u32;
        let context = self.limits.context;
        let start = Start { token: self.next, position, stop, limit, ends, context, sampling };
        self.backend.write(self.state, 0, &start.bytes())?;
        self.backend.write(self.output, 0, &[0; 4 * (output::REASON + 1)])?;
        self.backend.settle()
    }

    /// Takes what the GPU has emitted, up to the first of `ends`; whether that was anything.
    fn drain(&self, run: &mut Progress, ends: &[u32], take: &mut dyn FnMut(&[u32])) -> bool {
        let (from, count) = (run.emitted(), self.backend.word(self.output, output::COUNT));
        if count == from || run.ended {
            return false;
        }
        run.last = run.began.elapsed();
        for i in from..count {
            let at = output::RING + (i % self.limits.ring) as usize;
            let token = self.backend.word(self.output, at);
            run.tokens.push(token);
            run.seen.push(run.last);
            run.ended = ends.contains(&token);
            if run.ended {
                break;
            }
        }
        take(&run.tokens[from as usize..]);
        true
    }

    /// Passes a moment until the GPU may have emitted `wanted` more.
    fn look_or_nap(&mut self, run: &Progress, wanted: u32) -> Result<()> {
        match self.pace.wait {
            Wait::Spin => {
                let emitted = run.emitted();
                for _ in 0..LOOKS_PER_CLOCK {
                    if self.backend.word(self.output, output::COUNT) != emitted {
                        return Ok(());
                    }
                    std::hint::spin_loop();
                }
            }
            Wait::Sleep => std::thread::sleep(run.nap(wanted)),
        }
        let silent = run.began.elapsed() - run.last;
        if silent < FAULT_PERIOD {
            return Ok(());
        }
        if silent > self.pace.patience {
            return Err(self.blamed(Error::Silence(silent)));
        }
        self.backend.is_idle().map(|_| ()).map_err(|error| self.blamed(error))
    }

    fn finish(&mut self) -> Result<()> {
        self.backend.finish(self.pace.patience).map_err(|error| self.blamed(error))
    }

    /// The error, with the kernel that caused it where that can be found.
    fn blamed(&mut self, error: Error) -> Error {
        match self.backend.blame(&self.plan.decode) {
            Some(kernel) => Error::Kernel { kernel, source: Box::new(error) },
            None => error,
        }
    }
}

/// A run that goes on.
struct Progress {
    began: Instant,
    cpu: Duration,
    tokens: Vec<u32>,
    seen: Vec<Duration>,
    /// When the last token was seen.
    last: Duration,
    sending: Duration,
    /// A token came that ends the text, and the GPU does not know.
    ended: bool,
}

impl Progress {
    /// No list of the run grows beyond `tokens` while it is measured.
    fn begin(tokens: usize) -> Progress {
        let room = tokens.min(1 << 20);
        let (tokens, seen) = (Vec::with_capacity(room), Vec::with_capacity(room));
        let (last, sending) = (Duration::ZERO, Duration::ZERO);
        let (cpu, began) = (cpu_time(), Instant::now());
        Progress { cpu, began, tokens, seen, last, sending, ended: false }
    }

    fn emitted(&self) -> u32 {
        self.tokens.len() as u32
    }

    /// How long to sleep when `wanted` more tokens are awaited: until they are due, by the pace so
    /// far; and when that has passed, a part of the time that has passed since the last.
    fn nap(&self, wanted: u32) -> Duration {
        let silent = self.began.elapsed() - self.last;
        let due = self.last.checked_div(self.emitted()).unwrap_or_default() * wanted;
        match due.checked_sub(silent) {
            Some(rest) if rest > SHORTEST_NAP => rest,
            _ => (silent / 8).clamp(SHORTEST_NAP, LONGEST_NAP),
        }
    }

    fn end(self, ending: Ending) -> Run {
        let (elapsed, cpu) = (self.began.elapsed(), cpu_time() - self.cpu);
        let Progress { tokens, seen, sending, .. } = self;
        Run { tokens, seen, ending, elapsed, cpu, sending }
    }
}

#[cfg(test)]
mod tests;
