//! The loop against a GPU of a few lines, whose model says one more than the token before.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::*;
use crate::plan::{BufferSpec, Machine, Place, Step, output, state};

/// The buffers of its plan.
const STATE: u32 = 0;
const OUTPUT: u32 = 1;
const HISTORY: u32 = 2;

/// Tokens up to which it answers; after this one it falls silent.
const LAST_WORD: u32 = 9_000;

#[derive(Debug, Default)]
struct Toy {
    state: RefCell<Vec<u32>>,
    output: RefCell<Vec<u32>>,
    history: RefCell<Vec<u32>>,
    /// Tokens that were asked for and are not made yet: the GPU makes one each time that the CPU
    /// looks, so the CPU runs ahead as it does in life.
    owed: Cell<u32>,
    per_ring: u32,
    rings: Rc<Cell<u32>>,
    batches: Rc<RefCell<Vec<usize>>>,
    ring: u32,
}

impl Toy {
    fn make_one(&self) {
        if self.owed.get() == 0 {
            return;
        }
        self.owed.set(self.owed.get() - 1);
        let (mut state, mut output) = (self.state.borrow_mut(), self.output.borrow_mut());
        if state[state::STOP] != 0 || state[state::TOKEN] == LAST_WORD {
            return;
        }
        let (token, count) = (state[state::TOKEN] + 1, state[state::EMITTED] + 1);
        assert_eq!(self.history.borrow()[state[state::POSITION] as usize] + 1, token);
        state[state::TOKEN] = token;
        state[state::POSITION] += 1;
        state[state::EMITTED] = count;
        if let Some(place) = self.history.borrow_mut().get_mut(state[state::POSITION] as usize) {
            *place = token;
        }
        output[output::RING + ((count - 1) % self.ring) as usize] = token;
        output[output::COUNT] = count;
        let ends = &state[state::END_TOKENS..state::END_TOKENS + 4];
        output[output::REASON] = if ends.contains(&token) {
            output::END_OF_TEXT
        } else if count == state[state::LIMIT] {
            output::LIMIT
        } else if state[state::POSITION] == state[state::CONTEXT] {
            output::CONTEXT_FULL
        } else {
            0
        };
        state[state::STOP] = output[output::REASON];
    }
}

impl Backend for Toy {
    fn machine(&self) -> Machine {
        Machine { sms: 1, sm: 87 }
    }

    fn describe(&self) -> String {
        "a toy".to_owned()
    }

    fn place(&mut self, _: &Plan, _: &Limits) -> Result<()> {
        Ok(())
    }

    fn write(&mut self, buffer: BufferId, at: u64, bytes: &[u8]) -> Result<()> {
        assert_eq!(self.owed.get(), 0, "nothing may run");
        let mut buffer = [&self.state, &self.output, &self.history][buffer.0 as usize].borrow_mut();
        for (i, word) in bytes.chunks_exact(4).enumerate() {
            buffer[at as usize / 4 + i] = u32::from_le_bytes(word.try_into().unwrap());
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        Ok(())
    }

    fn read(&mut self, _: BufferId, _: u64, _: &mut [u8]) -> Result<()> {
        Ok(())
    }

    fn word(&self, _: BufferId, index: usize) -> u32 {
        if index == output::COUNT {
            self.make_one();
        }
        self.output.borrow()[index]
    }

    fn send(&mut self, steps: &[Step]) -> Result<()> {
        self.batches.borrow_mut().push(steps.len());
        Ok(())
    }

    fn prepare(&mut self, _: &[Step], repeats: u32, _: u32) -> Result<()> {
        self.per_ring = repeats;
        Ok(())
    }

    fn ring(&mut self) -> Result<()> {
        self.rings.set(self.rings.get() + 1);
        self.owed.set(self.owed.get() + self.per_ring);
        assert!(self.owed.get() <= self.ring, "more under way than the ring holds");
        Ok(())
    }

    fn is_idle(&mut self) -> Result<bool> {
        self.make_one();
        Ok(self.owed.get() == 0)
    }

    fn profile(&mut self, _: &[Step]) -> Result<Vec<Span>> {
        Ok(Vec::new())
    }

    fn blame(&mut self, _: &[Step]) -> Option<String> {
        Some("kernel `toy`".to_owned())
    }
}

const PACE: Pace =
    Pace { per_ring: 4, ahead: 2, wait: Wait::Spin, patience: Duration::from_millis(300) };
const LIMITS: Limits = Limits { context: 64, prefill: 8, ring: 8 };

/// A decoder, and how often it rang.
fn decoder(pace: Pace) -> (Decoder, Rc<Cell<u32>>) {
    let toy = Toy {
        state: RefCell::new(vec![0; 64]),
        output: RefCell::new(vec![0; output::RING + LIMITS.ring as usize]),
        history: RefCell::new(vec![0; LIMITS.context as usize]),
        ring: LIMITS.ring,
        ..Toy::default()
    };
    let rings = toy.rings.clone();
    let roles = [(STATE, Role::State), (OUTPUT, Role::Output), (HISTORY, Role::History)];
    let spec = |(_, role)| BufferSpec { name: String::new(), bytes: 0, place: Place::Gpu, role };
    let buffers = roles.into_iter().map(spec).collect();
    let plan =
        Plan { buffers, uploads: Vec::new(), decode: Vec::new(), prefill: Default::default() };
    (Decoder::new(Box::new(toy), plan, LIMITS, pace).unwrap(), rings)
}

fn run(decoder: &mut Decoder, limit: u32, ends: &[u32], interrupt: &Interrupt) -> Result<Run> {
    let mut taken = Vec::<u32>::new();
    let mut take = |new: &[u32]| taken.extend(new);
    let run = decoder.decode(limit, ends, &Sampling::default(), interrupt, &mut take)?;
    assert_eq!(taken, run.tokens);
    assert_eq!(run.seen.len(), run.tokens.len());
    Ok(run)
}

#[test]
fn the_limit_is_kept_at_every_pace() {
    for (per_ring, ahead) in [(1, 1), (1, 2), (4, 1), (4, 2), (8, 1), (3, 2)] {
        for wait in [Wait::Spin, Wait::Sleep] {
            let (mut decoder, rings) = decoder(Pace { per_ring, ahead, wait, ..PACE });
            assert_eq!(decoder.prefill(&[100]).unwrap(), 0);
            let run = run(&mut decoder, 30, &[], &Interrupt::never()).unwrap();
            assert_eq!(run.tokens, Vec::from_iter(101..131));
            assert_eq!((run.ending, rings.get()), (Ending::Limit, 30_u32.div_ceil(per_ring)));
        }
    }
}

#[test]
fn the_text_ends_within_a_ring() {
    let (mut decoder, _) = decoder(PACE);
    decoder.prefill(&[100]).unwrap();
    let run = run(&mut decoder, 60, &[7, 106], &Interrupt::never()).unwrap();
    assert_eq!(run.tokens, [101, 102, 103, 104, 105, 106]);
    assert_eq!(run.ending, Ending::EndOfText);
}

#[test]
fn the_text_ends_at_tokens_that_the_gpu_does_not_watch_for() {
    for per_ring in [1, 4] {
        let (mut decoder, rings) = decoder(Pace { per_ring, ..PACE });
        decoder.prefill(&[100]).unwrap();
        let run = run(&mut decoder, 60, &[1, 2, 3, 4, 5, 106], &Interrupt::never()).unwrap();
        assert_eq!(run.tokens, [101, 102, 103, 104, 105, 106]);
        assert_eq!(run.ending, Ending::EndOfText);
        // What was under way is forgotten, and nothing more was sent.
        assert!(rings.get() * per_ring <= 6 + 2 * per_ring, "{}", rings.get());
        assert_eq!(decoder.depth(), 6);
    }
}

#[test]
fn the_context_fills_up() {
    let (mut decoder, _) = decoder(PACE);
    decoder.prefill(&Vec::from_iter(0..60)).unwrap();
    let run = run(&mut decoder, 60, &[], &Interrupt::never()).unwrap();
    assert_eq!((run.ending, run.tokens.len()), (Ending::ContextFull, 5));
    let refused = decoder.prefill(&[0; 65]).unwrap_err().to_string();
    assert_eq!(
        refused,
        "the prompt has 65 tokens and the context holds 64: shorten it, or choose a larger --context"
    );
}

#[test]
fn an_interrupt_ends_it_between_tokens() {
    let (mut decoder, rings) = decoder(PACE);
    decoder.prefill(&[100]).unwrap();
    let interrupt = Interrupt::never();
    let mut taken = 0;
    let mut take = |new: &[u32]| {
        taken += new.len();
        interrupt.raise();
    };
    let run = decoder.decode(40, &[], &Sampling::default(), &interrupt, &mut take).unwrap();
    assert_eq!(run.ending, Ending::Interrupted);
    // What was under way comes out, and nothing more is sent.
    assert_eq!((run.tokens.len(), taken, rings.get()), (8, 8, 2));
    interrupt.clear();
    let again = self::run(&mut decoder, 3, &[], &interrupt).unwrap();
    assert_eq!(again.tokens, [109, 110, 111]);
}

#[test]
fn what_the_cache_holds_is_not_sent_again() {
    let (mut decoder, _) = decoder(PACE);
    assert_eq!(decoder.prefill(&Vec::from_iter(100..120)).unwrap(), 19);
    run(&mut decoder, 5, &[], &Interrupt::never()).unwrap();
    // Prompt and answer are in the cache, but for the last token.
    assert_eq!(decoder.prefill(&Vec::from_iter(100..126)).unwrap(), 1);
    assert_eq!(decoder.prefill(&Vec::from_iter(100..110)).unwrap(), 0);
    assert_eq!(decoder.prefill(&[100, 101, 200, 201]).unwrap(), 1);
    let run = run(&mut decoder, 2, &[], &Interrupt::never()).unwrap();
    assert_eq!(run.tokens, [202, 203]);
}

#[test]
fn silence_is_an_error_that_names_a_kernel() {
    let (mut decoder, _) = decoder(PACE);
    decoder.prefill(&[LAST_WORD - 2]).unwrap();
    let error = run(&mut decoder, 20, &[], &Interrupt::never()).unwrap_err().to_string();
    assert!(error.starts_with("kernel `toy`: the GPU has emitted nothing for 0.3"), "{error}");
}
