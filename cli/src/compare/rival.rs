//! What is measured, through the CUDA driver.

use std::time::{Duration, Instant};

use libcuda::{Address, Cuda, Event, Function, Graph, Pinned};

use super::cuda::{launch, launch_as, module};
use crate::bench::{
    BLOCK, CHAIN, Cubins, EARLY, ELEMENTS, Outcome, SOON, Sample, Stop, below, expect,
};

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
    moving: Moving,
    early: Option<[Moving; 2]>,
}

/// A chain on changing multiprocessors.
struct Moving {
    graph: Graph,
    last: Address,
    counted: u32,
}

impl Moving {
    fn new(cuda: &Cuda, kernel: Function, early: bool) -> Outcome<Moving> {
        const ELEMENT: u32 = size_of::<u32>() as u32;
        let elements = cuda.alloc((ELEMENTS * ELEMENT).into())?;
        let last = elements + Address::from((ELEMENTS - 1) * ELEMENT);
        let graph = cuda.graph(|| {
            (0..CHAIN).try_for_each(|i| {
                let below = below(i);
                let part = last - Address::from(below * ELEMENT);
                let args = &mut [part, part, (below + 1).into()];
                launch_as(early, cuda, kernel, below / BLOCK + 1, BLOCK, args)
            })
        })?;
        Ok(Moving { graph, last, counted: 0 })
    }
}

impl Rival {
    pub(crate) fn new(cuda: Cuda, cubins: &Cubins) -> Outcome<Rival> {
        let module = module(&cuda, cubins.word)?;
        let empty = cuda.function(module, "empty")?;
        let increment = cuda.function(module, "increment")?;
        let write_word = cuda.function(module, "write_word")?;
        let (flag, back) = (cuda.pinned(4)?, cuda.pinned(4)?);
        let word = cuda.alloc(4)?;
        let raise = || launch(&cuda, write_word, 1, 1, &mut [flag.gpu, 1]);
        let increments =
            || (0..CHAIN).try_for_each(|_| launch(&cuda, increment, 1, 1, &mut [word]));
        let one = cuda.graph(|| launch(&cuda, empty, 1, 1, &mut []))?;
        let one_flagged = cuda.graph(raise)?;
        let chain = cuda.graph(increments)?;
        let chain_flagged = cuda.graph(|| increments().and_then(|()| raise()))?;
        let (began, ended) = (cuda.event()?, cuda.event()?);
        let add_one = cuda.function(super::cuda::module(&cuda, cubins.vector)?, "add_one")?;
        let moving = Moving::new(&cuda, add_one, false)?;
        let early = match cubins.early {
            Some(cubin) => {
                let module = super::cuda::module(&cuda, cubin)?;
                let chain = |name| Moving::new(&cuda, cuda.function(module, name)?, true);
                Some([chain(EARLY[0])?, chain(EARLY[1])?])
            }
            None => None,
        };
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
            moving,
            early,
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
        let flag = self.flag.cpu.cast::<u32>();
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
        self.synchronised(|cuda| launch(cuda, self.empty, 1, 1, &mut []))
    }

    /// A kernel that writes a word, launched into a stream.
    pub(crate) fn launch_polled(&mut self) -> Outcome<Sample> {
        self.polled(|cuda| launch(cuda, self.write_word, 1, 1, &mut [self.flag.gpu, 1]))
    }

    /// A graph of an empty kernel.
    pub(crate) fn graph(&mut self) -> Outcome<Sample> {
        self.synchronised(|cuda| Ok(cuda.launch_graph(self.one)?))
    }

    /// A graph of a kernel that writes a word.
    pub(crate) fn graph_polled(&mut self) -> Outcome<Sample> {
        self.polled(|cuda| Ok(cuda.launch_graph(self.one_flagged)?))
    }

    pub(crate) fn chain(&mut self) -> Outcome<Sample> {
        let sample = self.synchronised(|cuda| Ok(cuda.launch_graph(self.chain)?))?;
        self.check()?;
        Ok(sample)
    }

    pub(crate) fn chain_polled(&mut self) -> Outcome<Sample> {
        let sample = self.polled(|cuda| Ok(cuda.launch_graph(self.chain_flagged)?))?;
        self.cuda.synchronize()?;
        self.check()?;
        Ok(sample)
    }

    /// The chain by the GPU's clock.
    pub(crate) fn time_chain(&mut self) -> Outcome<Sample> {
        let sample = self.timed(self.chain)?;
        self.check()?;
        Ok(sample)
    }

    /// A graph by the GPU's clock.
    fn timed(&self, graph: Graph) -> Outcome<Sample> {
        let sample = self.synchronised(|cuda| {
            cuda.record(self.began)?;
            cuda.launch_graph(graph)?;
            Ok(cuda.record(self.ended)?)
        })?;
        let ns = self.cuda.elapsed_ns(self.began, self.ended)?;
        Ok(Sample { gpu: Some(Duration::from_nanos(ns as u64)), ..sample })
    }

    /// The chain on changing multiprocessors, by the GPU's clock.
    pub(crate) fn time_moving(&mut self) -> Outcome<Sample> {
        let sample = self.timed(self.moving.graph)?;
        self.moving.counted = self.moving.counted.wrapping_add(CHAIN);
        self.expect(self.moving.last, self.moving.counted)?;
        Ok(sample)
    }

    /// The same with programmatic edges, of kernels that let the next one start at once.
    pub(crate) fn time_early(&mut self) -> Outcome<Sample> {
        self.time_one_early(0)
    }

    /// The same of kernels that do not say when the next one may start.
    pub(crate) fn time_waiting(&mut self) -> Outcome<Sample> {
        self.time_one_early(1)
    }

    fn time_one_early(&mut self, which: usize) -> Outcome<Sample> {
        let Some(early) = &mut self.early else {
            return Err(Stop::Failed("no launch starts early on this GPU".to_owned()));
        };
        let chain = &mut early[which];
        chain.counted = chain.counted.wrapping_add(CHAIN);
        let (graph, last, counted) = (chain.graph, chain.last, chain.counted);
        let sample = self.timed(graph)?;
        self.expect(last, counted)?;
        Ok(sample)
    }

    fn check(&mut self) -> Outcome<()> {
        self.increments = self.increments.wrapping_add(CHAIN);
        self.expect(self.word, self.increments)
    }

    fn expect(&self, word: Address, counted: u32) -> Outcome<()> {
        // SAFETY: both are words of the rival's own, and everything that was sent has ended; then the
        // copy is done, and nobody holds a reference to the word.
        let found = unsafe {
            self.cuda.copy(self.back.gpu, word, 4)?;
            self.back.cpu.cast::<u32>().read_volatile()
        };
        expect("the CUDA driver", found, counted)
    }
}
