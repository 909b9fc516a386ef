//! What is measured, through the CUDA driver.

use std::time::{Duration, Instant};

use super::cuda::{Address, Cuda, Event, Function, Graph, Pinned};
use crate::bench::{CHAIN, Cubins, Outcome, SOON, Sample, Stop, expect};

pub(crate) struct Rival {
    pub(crate) cuda: Cuda,
    empty: Function,
    write_word: Function,
    /// An empty kernel.
    one: Graph,
    /// A kernel that writes `flag`.
    one_flagged: Graph,
    chain: Graph,
    /// The chain, and one kernel more, which writes `flag`.
    chain_flagged: Graph,
    began: Event,
    ended: Event,
    flag: Pinned,
    back: Pinned,
    word: Address,
    increments: u32,
}

impl Rival {
    pub(crate) fn new(cuda: Cuda, cubins: &Cubins) -> Outcome<Rival> {
        let module = cuda.module(cubins.word)?;
        let empty = cuda.function(module, "empty")?;
        let increment = cuda.function(module, "increment")?;
        let write_word = cuda.function(module, "write_word")?;
        let (flag, back) = (cuda.pinned(4)?, cuda.pinned(4)?);
        let word = cuda.alloc(4)?;
        let raise = || cuda.launch(write_word, 1, 1, &mut [flag.gpu, 1]);
        let increments = || (0..CHAIN).try_for_each(|_| cuda.launch(increment, 1, 1, &mut [word]));
        let one = cuda.graph(|| cuda.launch(empty, 1, 1, &mut []))?;
        let one_flagged = cuda.graph(raise)?;
        let chain = cuda.graph(increments)?;
        let chain_flagged = cuda.graph(|| {
            increments()?;
            raise()
        })?;
        let (began, ended) = (cuda.event()?, cuda.event()?);
        Ok(Rival {
            cuda,
            empty,
            write_word,
            one,
            one_flagged,
            chain,
            chain_flagged,
            began,
            ended,
            flag,
            back,
            word,
            increments: 0,
        })
    }

    /// Sends, and waits as the driver does it.
    fn synchronised(&self, send: impl FnOnce(&Cuda) -> Outcome<()>) -> Outcome<Sample> {
        let start = Instant::now();
        send(&self.cuda)?;
        let sent = start.elapsed();
        self.cuda.synchronize()?;
        Ok(Sample { sent, seen: start.elapsed(), gpu: None })
    }

    /// Sends, and looks at the host word until the GPU has written it.
    fn polled(&self, send: impl FnOnce(&Cuda) -> Outcome<()>) -> Outcome<Sample> {
        let flag = self.flag.cpu;
        // SAFETY: the word lives as long as the rival, and nobody holds a reference to it.
        unsafe { flag.write_volatile(0) };
        let start = Instant::now();
        send(&self.cuda)?;
        let sent = start.elapsed();
        // SAFETY: as above.
        while unsafe { flag.read_volatile() } == 0 {
            if start.elapsed() > SOON {
                return Err(Stop::Failed("a kernel of the CUDA driver's never ended".to_owned()));
            }
        }
        Ok(Sample { sent, seen: start.elapsed(), gpu: None })
    }

    /// An empty kernel, launched into a stream.
    pub(crate) fn launch(&mut self) -> Outcome<Sample> {
        self.synchronised(|cuda| cuda.launch(self.empty, 1, 1, &mut []))
    }

    /// A kernel that writes a word, launched into a stream.
    pub(crate) fn launch_polled(&mut self) -> Outcome<Sample> {
        self.polled(|cuda| cuda.launch(self.write_word, 1, 1, &mut [self.flag.gpu, 1]))
    }

    /// A graph of an empty kernel.
    pub(crate) fn graph(&mut self) -> Outcome<Sample> {
        self.synchronised(|cuda| cuda.launch_graph(self.one))
    }

    /// A graph of a kernel that writes a word.
    pub(crate) fn graph_polled(&mut self) -> Outcome<Sample> {
        self.polled(|cuda| cuda.launch_graph(self.one_flagged))
    }

    pub(crate) fn chain(&mut self) -> Outcome<Sample> {
        let sample = self.synchronised(|cuda| cuda.launch_graph(self.chain))?;
        self.check()?;
        Ok(sample)
    }

    pub(crate) fn chain_polled(&mut self) -> Outcome<Sample> {
        let sample = self.polled(|cuda| cuda.launch_graph(self.chain_flagged))?;
        self.cuda.synchronize()?;
        self.check()?;
        Ok(sample)
    }

    /// The chain by the GPU's clock.
    pub(crate) fn time_chain(&mut self) -> Outcome<Sample> {
        let sample = self.synchronised(|cuda| {
            cuda.record(self.began)?;
            cuda.launch_graph(self.chain)?;
            cuda.record(self.ended)
        })?;
        let ns = self.cuda.elapsed_ns(self.began, self.ended)?;
        self.check()?;
        Ok(Sample { gpu: Some(Duration::from_nanos(ns as u64)), ..sample })
    }

    fn check(&mut self) -> Outcome<()> {
        self.increments = self.increments.wrapping_add(CHAIN);
        self.cuda.copy(self.back.gpu, self.word, 4)?;
        // SAFETY: the copy is done, and nobody holds a reference to the word.
        expect("the CUDA driver", unsafe { self.back.cpu.read_volatile() }, self.increments)
    }
}
