//! Where the shape of a launch goes: grid, block and shared memory, in words of the descriptor and of
//! bank 0.

use super::bank::SHAPE_WORDS;
use super::launch::place_bank;
use crate::addr::GpuVa;
use crate::error::Result;
use crate::module::{Kernel, Launch};
use crate::qmd::Descriptor;

/// A word that a shape goes into.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Descriptor(usize),
    Bank(usize),
}

/// A recorded launch whose shape is a slot. Each of its words is a slot of its own, from `first` on.
pub(super) struct ShapeUse {
    pub(super) kernel: Kernel,
    pub(super) first: usize,
    places: Vec<Place>,
}

impl ShapeUse {
    pub(super) fn new(kernel: &Kernel, words: &ShapeWords) -> ShapeUse {
        let begin = kernel.inner.parameters_begin();
        let descriptor = words.descriptor.geometry_words().into_iter().map(Place::Descriptor);
        // A bank may be too short to hold them.
        let bank = words.bank.iter().filter(|(at, _)| *at < begin);
        let bank = bank.map(|(at, _)| Place::Bank(*at as usize / 4));
        ShapeUse { kernel: kernel.clone(), first: 0, places: descriptor.chain(bank).collect() }
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }
}

/// What those words hold for one shape.
pub(super) struct ShapeWords {
    descriptor: Descriptor,
    /// By byte offset.
    bank: [(u32, u32); SHAPE_WORDS],
}

impl ShapeWords {
    pub(super) fn new(kernel: &Kernel, launch: &Launch) -> Result<ShapeWords> {
        let mut descriptor = kernel.describe(launch)?;
        // Flags of the bank share words with the shape; its address does not.
        place_bank(&mut descriptor, GpuVa::new(0), kernel.inner.bank0_words());
        Ok(ShapeWords { descriptor, bank: kernel.inner.shape_words(launch) })
    }

    pub(super) fn at(&self, place: Place) -> u32 {
        match place {
            Place::Descriptor(word) => self.descriptor.words()[word],
            Place::Bank(word) => {
                let found = self.bank.iter().find(|(at, _)| *at as usize / 4 == word);
                found.expect("places are made of the same words").1
            }
        }
    }
}
