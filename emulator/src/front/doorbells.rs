//! The pages of registers that programs have mapped: each open ctrl file has one, with a doorbell and a clock.
//!
//! The pages are memory, and here lies the difference to a board: two rings at the same instant leave only the
//! second token. So one ring counts for every channel, and a forgotten one is noticed only while nothing else
//! rings.

use std::sync::Arc;

use hw_defs::usermode;

use super::report::Record;
use crate::gpu::Gpu;
use crate::memory::Memory;
use crate::nodes::Nodes;

/// What the doorbell's word holds when no one has rung: no channel has this token.
const SILENT: u32 = u32::MAX;

/// Channel ids that a token may name.
const CHANNELS: u32 = 512;

#[derive(Debug, Default)]
pub struct Doorbells {
    pages: Vec<Arc<Memory>>,
    /// Channels that exist; none while that has to be found out.
    channels: Option<Vec<u32>>,
    /// Someone has rung, and the GPU has not run since.
    rung: bool,
}

impl Doorbells {
    /// Takes over the pages of the files that are open now. A new one is not with its program yet.
    pub fn follow(&mut self, nodes: &Nodes, gpu: &Gpu) {
        let pages: Vec<_> = nodes.doorbell_pages().map(Arc::clone).collect();
        for page in &pages {
            if !self.pages.iter().any(|known| Arc::ptr_eq(known, page)) {
                page.store_u32(usermode::DOORBELL, SILENT);
                page.store_u64(usermode::TIME_0, gpu.time_ns());
            }
        }
        self.pages = pages;
    }

    /// There is a new channel.
    pub fn look_for_channels(&mut self) {
        self.channels = None;
    }

    /// Whether there is a page that can be rung.
    pub fn exist(&self) -> bool {
        !self.pages.is_empty()
    }

    /// Passes on what was rung.
    pub fn look(&mut self, gpu: &mut Gpu, record: &Record) {
        let mut rung = false;
        for page in &self.pages {
            // Reading first leaves the line with the program's processor until it rings.
            if page.load_u32(usermode::DOORBELL) == SILENT {
                continue;
            }
            rung = true;
            let token = page.swap_u32(usermode::DOORBELL, SILENT);
            if !gpu.doorbell(token) {
                record.warning(format!(
                    "the doorbell was rung with {token:#x}, which is the token of no channel"
                ));
            }
        }
        if rung {
            let channels = self.channels.get_or_insert_with(|| (0..CHANNELS).collect());
            channels.retain(|token| gpu.doorbell(*token));
            self.rung = true;
        }
    }

    /// Whether anyone has rung since the last question.
    pub fn take_rung(&mut self) -> bool {
        std::mem::take(&mut self.rung)
    }

    pub fn set_clocks(&self, now: u64) {
        for page in &self.pages {
            page.store_u64(usermode::TIME_0, now);
        }
    }
}
