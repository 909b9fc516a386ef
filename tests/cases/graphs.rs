//! Recorded launches that wait for some others and not for the rest.

use doorbell::{Buffer, Device, Launch, Memory, Module, Recorder, Recording, Result, Slot, args};

use super::kernels::module;
use super::random::{Rng, number};

const ELEMENTS: usize = 200;
/// How far back a launch looks for those that it waits for.
const WINDOW: usize = 8;
/// Sums stay below this with every value that the roots are given: numbers of single precision are
/// exact up to 2^24.
const LARGEST: u32 = 1 << 24;
/// How many different values the roots are given.
const VALUES: u32 = 20;

/// How often each recording is replayed: 20 times, or `DOORBELL_REPLAYS`.
fn replays() -> u32 {
    number("DOORBELL_REPLAYS").map_or(20, |replays| replays as u32)
}

/// A graph whose launches add up what two others left, or pass on what one did.
struct Graph {
    /// By launch: whose buffers it reads.
    reads: Vec<Vec<usize>>,
    /// Those, and others that it waits for.
    waits: Vec<Vec<usize>>,
    /// What each leaves if the roots are given 1.
    weights: Vec<u32>,
}

impl Graph {
    /// Launches that wait for up to three of those before, and sometimes for the first one.
    fn random(rng: &mut Rng, launches: usize) -> Graph {
        let mut graph = Graph { reads: Vec::new(), waits: Vec::new(), weights: Vec::new() };
        for launch in 0..launches {
            let others = match launch {
                0 => 0,
                _ => rng.below(4),
            };
            let mut waits: Vec<usize> =
                (0..others).map(|_| launch - 1 - rng.below(launch.min(WINDOW))).collect();
            if launch > 0 && rng.below(4) == 0 {
                waits.push(0);
            }
            waits.sort_unstable();
            waits.dedup();
            let two = rng.below(waits.len().max(1));
            let pair = [two, (two + 1) % waits.len().max(1)].map(|at| waits.get(at).copied());
            let mut reads: Vec<usize> = pair.into_iter().flatten().collect();
            reads.dedup();
            let weight = |reads: &[usize]| reads.iter().map(|read| graph.weights[*read]).sum();
            if weight(&reads) > LARGEST / VALUES {
                reads.truncate(1);
            }
            graph.weights.push(if reads.is_empty() { 1 } else { weight(&reads) });
            graph.reads.push(reads);
            graph.waits.push(waits);
        }
        graph
    }

    /// One to many to one, several times.
    fn wide(width: usize, times: usize) -> Graph {
        let mut graph = Graph { reads: vec![vec![]], waits: vec![vec![]], weights: vec![1] };
        for _ in 0..times {
            let top = graph.reads.len() - 1;
            let sides: Vec<usize> = (top + 1..=top + width).collect();
            let join = vec![sides[0], sides[width - 1]];
            for _ in &sides {
                graph.reads.push(vec![top]);
                graph.waits.push(vec![top]);
                graph.weights.push(graph.weights[top]);
            }
            graph.weights.push(2 * graph.weights[top]);
            graph.reads.push(join);
            graph.waits.push(sides);
        }
        graph
    }

    fn record(
        &self,
        device: &Device,
        mut recorder: Recorder,
    ) -> Result<(Recording, Slot<u64>, Vec<Buffer<f32>>)> {
        let vector = module!(device, "vector")?;
        let (fill, add) = (vector.kernel("fill")?, vector.kernel("vector_add")?);
        let n = ELEMENTS as u32;
        let zeros = device.alloc::<f32>(ELEMENTS)?;
        let value = recorder.value_slot(0)?;
        let (mut buffers, mut nodes) = (Vec::new(), Vec::new());
        for (launch, (reads, waits)) in self.reads.iter().zip(&self.waits).enumerate() {
            let out = device.alloc_in::<f32>(Memory::Host, ELEMENTS)?;
            let after: Vec<_> = waits.iter().map(|node| nodes[*node]).collect();
            // Elements come to lie on other multiprocessors each time.
            let block = [32, 64, 96][launch % 3];
            let shape = Launch::new(n.div_ceil(block), block);
            // SAFETY: buffers have the elements that the kernels read and write, and each launch writes its own.
            nodes.push(unsafe {
                match reads[..] {
                    [] => recorder.exec_after(&fill, &shape, &args![&out, value, n], &after)?,
                    [one] => {
                        let args = args![&out, &buffers[one], &zeros, n];
                        recorder.exec_after(&add, &shape, &args, &after)?
                    }
                    [one, two, ..] => {
                        let args = args![&out, &buffers[one], &buffers[two], n];
                        recorder.exec_after(&add, &shape, &args, &after)?
                    }
                }
            });
            buffers.push(out);
        }
        Ok((recorder.finish()?, value, buffers))
    }

    /// Replays it with other numbers each time: whoever was early, or read from a cache, added up old ones.
    fn add_up(&self, device: &Device) -> Result<()> {
        let mut queue = device.compute_queue()?;
        let (mut recording, value, buffers) = self.record(device, queue.record())?;
        for replay in 1..=replays() {
            let root = 1 + replay % VALUES;
            recording.set_value(value, (root as f32).to_bits().into())?;
            queue.replay(&mut recording)?;
            if replay % 5 != 0 {
                continue;
            }
            queue.finish()?;
            for (launch, (buffer, weight)) in buffers.iter().zip(&self.weights).enumerate() {
                let expected = (weight * root) as f32;
                let wrong = buffer.to_vec()?.iter().filter(|sum| **sum != expected).count();
                assert_eq!(wrong, 0, "of replay {replay}, launch {launch}: not {expected}");
            }
        }
        Ok(())
    }
}

pub fn random_graphs_add_up(device: &Device) -> Result<()> {
    let (mut rng, seed) = Rng::of_this_run();
    println!("random graphs, DOORBELL_SEED={seed}");
    for launches in [2, 5, 16, 64] {
        Graph::random(&mut rng, launches).add_up(device)?;
    }
    Ok(())
}

/// One over all words, two over a half each and each with another behind it, one that waits for both, and
/// so on. Where kernels can wait by themselves they are let in early: those that follow just one launch.
pub fn early_launches_in_diamonds(device: &Device) -> Result<()> {
    const DIAMONDS: u32 = 6;
    const HALF: u32 = 700;
    let add_one = match device.info().sm {
        90 => Module::load(device, include_bytes!("../../ptx/sm_90/early.cubin"))?
            .kernel("add_one_early")?,
        _ => module!(device, "vector")?.kernel("add_one")?,
    };
    let [a, b, c, d] = [(); 4].map(|()| device.alloc_in::<u32>(Memory::Host, 2 * HALF as usize));
    let (a, b, c, d) = (a?, b?, c?, d?);
    let launch = |n: u32, block| Launch::new(n.div_ceil(block), block).early();
    let mut queue = device.compute_queue()?;
    let mut recorder = queue.record();
    let mut before = Vec::new();
    for _ in 0..DIAMONDS {
        // SAFETY: the buffers have the elements that the kernels read and write, the two sides use
        // different ones, and those that are let in early wait before they do.
        unsafe {
            let all = launch(2 * HALF, 64);
            let args = args![&b, &a, 2 * HALF];
            let top = recorder.exec_after(&add_one, &all, &args, &before)?;
            let mut ends = [top; 2];
            for (i, end) in (0..).zip(&mut ends) {
                let half = i * HALF as usize..(i + 1) * HALF as usize;
                for (to, from, block) in [(&c, &b, 96), (&d, &c, 32)] {
                    let args = args![to.slice(half.clone())?, from.slice(half.clone())?, HALF];
                    *end = recorder.exec_after(&add_one, &launch(HALF, block), &args, &[*end])?;
                }
            }
            let args = args![&a, &d, 2 * HALF];
            before = vec![recorder.exec_after(&add_one, &all, &args, &ends)?];
        }
    }
    let mut recording = recorder.finish()?;
    for _ in 0..replays() {
        queue.replay(&mut recording)?;
    }
    queue.finish()?;
    let expected = 4 * DIAMONDS * replays();
    let wrong = a.to_vec()?.iter().filter(|word| **word != expected).count();
    assert_eq!(wrong, 0, "words that are not {expected}; the first is {}", a.get(0)?);
    Ok(())
}

pub fn one_to_many_to_one(device: &Device) -> Result<()> {
    for (width, times) in [(2, 4), (3, 2), (8, 3)] {
        Graph::wide(width, times).add_up(device)?;
    }
    Ok(())
}
