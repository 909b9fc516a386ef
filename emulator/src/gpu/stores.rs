//! Stores that not everybody sees yet.
//!
//! On hardware a store is on its way for a while: whoever made it finds it, others do not, until
//! something brings it further. Here nothing else ever does, so that a barrier that is missing is
//! missed in every run.
//!
//! | from | seen by | brought further by |
//! |---|---|---|
//! | a multiprocessor | its own blocks | the membar at a grid's end; a fence |
//! | the copy engine | its later copies | a flush |
//! | the GPU | every engine | a system membar, a release that waits for idle |
//!
//! A grid that ends without any membar leaves its stores where they are: grids that come later mostly
//! find them all the same, but not where many are on their way (docs/launch-ordering.md).

use std::collections::HashMap;
use std::mem::take;
use std::sync::Arc;

use crate::memory::Memory;

const LINE: u64 = 128;

/// Who stores, or looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agent {
    /// A multiprocessor.
    Sm(u32),
    Copies,
    /// The host engine, and whatever reads descriptors and constants.
    Host,
}

/// Who is to see stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Gpu,
    System,
}

/// All stores on their way.
#[derive(Default)]
pub(super) struct Stores {
    sms: Vec<Pending>,
    copies: Pending,
    gpu: Pending,
}

impl Stores {
    /// What somebody sees.
    pub(super) fn read(&self, agent: Agent, memory: &Arc<Memory>, offset: u64, out: &mut [u8]) {
        memory.read(offset, out);
        let mut overlay = |pending: &Pending| pending.overlay(memory, offset, out);
        overlay(&self.gpu);
        match agent {
            Agent::Sm(sm) => {
                if let Some(pending) = self.sms.get(sm as usize) {
                    overlay(pending);
                }
            }
            Agent::Copies => overlay(&self.copies),
            Agent::Host => {}
        }
    }

    /// A store by a multiprocessor or the copy engine.
    pub(super) fn write(&mut self, agent: Agent, memory: &Arc<Memory>, offset: u64, data: &[u8]) {
        match agent {
            Agent::Sm(sm) => {
                if self.sms.len() <= sm as usize {
                    self.sms.resize_with(sm as usize + 1, Pending::default);
                }
                self.sms[sm as usize].put(memory, offset, data);
            }
            Agent::Copies => self.copies.put(memory, offset, data),
            Agent::Host => memory.write(offset, data),
        }
    }

    /// Brings what one multiprocessor has stored further.
    pub(super) fn bring_sm(&mut self, sm: u32, reach: Reach) {
        let Some(pending) = self.sms.get_mut(sm as usize) else { return };
        let mut pending = take(pending);
        match reach {
            Reach::Gpu => pending.drain_into(&mut self.gpu),
            Reach::System => {
                pending.supersede(&mut self.gpu);
                pending.land();
            }
        }
    }

    /// Brings what any multiprocessor has stored further.
    pub(super) fn bring_shaders(&mut self, reach: Reach) {
        if reach == Reach::System {
            self.gpu.land();
        }
        for sm in 0..self.sms.len() as u32 {
            self.bring_sm(sm, reach);
        }
    }

    /// Brings what was copied further.
    pub(super) fn bring_copies(&mut self, reach: Reach) {
        match reach {
            Reach::Gpu => self.copies.drain_into(&mut self.gpu),
            Reach::System => {
                self.copies.supersede(&mut self.gpu);
                self.copies.land();
            }
        }
    }

    /// Everything is where everybody sees it.
    pub(super) fn bring_all(&mut self) {
        self.bring_shaders(Reach::System);
        self.bring_copies(Reach::System);
    }

    /// Brings all stores to some bytes to memory, where an atomic access is about to be made.
    pub(super) fn settle(&mut self, memory: &Arc<Memory>, offset: u64, len: u64) {
        let own = [&mut self.gpu, &mut self.copies];
        for pending in own.into_iter().chain(&mut self.sms) {
            pending.settle(memory, offset, len);
        }
    }
}

/// Bytes on their way to the same next place.
#[derive(Default)]
struct Pending(HashMap<(usize, u64), Line>);

struct Line {
    memory: Arc<Memory>,
    bytes: [u8; LINE as usize],
    /// Which of them are on their way.
    mask: u128,
}

/// The parts of a range that lie in one line each: the line, where in it, and where in the range.
fn parts(offset: u64, len: u64) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done;
        let part = (LINE - at % LINE).min(len - done);
        let from = done as usize;
        done += part;
        (part > 0).then_some((at / LINE, (at % LINE) as usize, from, part as usize))
    })
}

fn mask(within: usize, len: usize) -> u128 {
    (u128::MAX >> (LINE as usize - len)) << within
}

fn identity(memory: &Arc<Memory>) -> usize {
    Arc::as_ptr(memory).addr()
}

impl Pending {
    fn put(&mut self, memory: &Arc<Memory>, offset: u64, data: &[u8]) {
        for (line, within, from, len) in parts(offset, data.len() as u64) {
            let line = self.0.entry((identity(memory), line)).or_insert_with(|| Line {
                memory: Arc::clone(memory),
                bytes: [0; LINE as usize],
                mask: 0,
            });
            line.bytes[within..within + len].copy_from_slice(&data[from..from + len]);
            line.mask |= mask(within, len);
        }
    }

    fn overlay(&self, memory: &Arc<Memory>, offset: u64, out: &mut [u8]) {
        if self.0.is_empty() {
            return;
        }
        for (line, within, from, len) in parts(offset, out.len() as u64) {
            let Some(line) = self.0.get(&(identity(memory), line)) else { continue };
            for i in 0..len {
                if line.mask >> (within + i) & 1 == 1 {
                    out[from + i] = line.bytes[within + i];
                }
            }
        }
    }

    /// Lets an older place forget what is overwritten here.
    fn supersede(&self, older: &mut Pending) {
        for (key, line) in &self.0 {
            if let Some(old) = older.0.get_mut(key) {
                old.mask &= !line.mask;
            }
        }
    }

    fn drain_into(&mut self, next: &mut Pending) {
        for (key, line) in self.0.drain() {
            match next.0.get_mut(&key) {
                Some(there) => {
                    for i in (0..LINE as usize).filter(|i| line.mask >> i & 1 == 1) {
                        there.bytes[i] = line.bytes[i];
                    }
                    there.mask |= line.mask;
                }
                None => {
                    next.0.insert(key, line);
                }
            }
        }
    }

    /// To memory.
    fn land(&mut self) {
        for ((_, number), line) in self.0.drain() {
            line.land(number, line.mask);
        }
    }

    fn settle(&mut self, memory: &Arc<Memory>, offset: u64, len: u64) {
        if self.0.is_empty() {
            return;
        }
        for (number, within, _, len) in parts(offset, len) {
            if let Some(line) = self.0.get_mut(&(identity(memory), number)) {
                let these = line.mask & mask(within, len);
                line.land(number, these);
                line.mask &= !these;
            }
        }
    }
}

impl Line {
    fn land(&self, number: u64, these: u128) {
        let mut left = these;
        while left != 0 {
            let from = left.trailing_zeros() as usize;
            let len = (left >> from).trailing_ones() as usize;
            self.memory.write(number * LINE + from as u64, &self.bytes[from..from + len]);
            left &= !mask(from, len);
        }
    }
}
