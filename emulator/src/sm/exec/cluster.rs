//! A cluster: blocks that run together, wait for each other and reach each other's shared memory.

use super::block::{Block, Order, Outcome, Pause, draw};
use super::global::GlobalMemory;

/// The blocks of a cluster on their way from launch to end; or a block alone.
#[derive(Debug)]
pub struct Cluster<'a> {
    /// By rank.
    blocks: Vec<Block<'a>>,
    /// The shared memory of each block that does not run at the moment and has not ended.
    memories: Vec<Vec<u8>>,
    first: [u32; 3],
    next: usize,
    random: Option<u64>,
}

/// Warp instructions that a block runs before the next has its turn.
const TURN: u64 = 1 << 14;

impl<'a> Cluster<'a> {
    /// A cluster of these blocks, which are about to start, by rank.
    pub fn new(mut blocks: Vec<Block<'a>>, order: Order) -> Cluster<'a> {
        assert!((1..=16).contains(&blocks.len()), "a cluster has 1 to 16 blocks");
        let memories = blocks.iter_mut().map(|block| std::mem::take(&mut block.shared)).collect();
        Cluster {
            memories,
            first: blocks[0].index(),
            blocks,
            next: 0,
            random: match order {
                Order::Plain => None,
                Order::Seeded(seed) => Some(seed.wrapping_mul(4) | 1),
            },
        }
    }

    /// The multiprocessor that it runs on.
    pub fn sm(&self) -> u32 {
        self.blocks[0].sm()
    }

    /// Its first block.
    pub fn index(&self) -> [u32; 3] {
        self.first
    }

    /// How many warp instructions have run.
    pub fn instructions(&self) -> u64 {
        self.blocks.iter().map(Block::instructions).sum()
    }

    /// Runs at most about `budget` warp instructions.
    pub fn run(&mut self, memory: &dyn GlobalMemory, budget: u64) -> Outcome {
        let end = self.instructions().saturating_add(budget);
        loop {
            let now = self.instructions();
            if self.blocks.iter().all(Block::has_ended) {
                return Outcome::Done;
            }
            if now >= end {
                return Outcome::Budget;
            }
            let mut turn = if self.blocks.len() == 1 { budget } else { TURN };
            if let Some(state) = self.random.as_mut().filter(|_| self.blocks.len() > 1) {
                self.next = draw(state) as usize % self.blocks.len();
                turn = 1 + draw(state) % 256;
            }
            let rank = self.next;
            self.next = (rank + 1) % self.blocks.len();
            let block = &mut self.blocks[rank];
            if block.has_ended() {
                continue;
            }
            std::mem::swap(&mut block.shared, &mut self.memories[rank]);
            let pause = block.advance(memory, turn.min(end - now), &mut self.memories);
            std::mem::swap(&mut block.shared, &mut self.memories[rank]);
            match pause {
                // Nobody must look into it any more.
                Pause::Ended(Outcome::Done) => self.memories[rank] = Vec::new(),
                Pause::Ended(Outcome::Budget) => continue,
                Pause::Ended(fault) => return fault,
                Pause::Met | Pause::Blocked => {}
            }
            if self.blocks.iter().all(Block::has_ended) {
                return Outcome::Done;
            }
            if self.blocks.iter().all(Block::has_gathered) {
                self.blocks.iter_mut().for_each(Block::open_cluster);
                if let Some(watch) = memory.watch() {
                    watch.opens(self.first, None);
                }
            } else if let Some(held) = self.deadlocked() {
                return held.deadlock();
            }
        }
    }

    /// A block that waits, if nobody is left who could end that.
    fn deadlocked(&self) -> Option<&Block<'a>> {
        let all = self.blocks.iter().all(|block| block.has_ended() || block.stuck());
        self.blocks.iter().find(|block| all && !block.has_ended())
    }
}
