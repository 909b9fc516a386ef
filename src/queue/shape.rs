//! Where the shape of a launch goes: grid, block and shared memory, in words of the descriptor and of
//! bank 0.

use super::launch::{BLOCK_DIM, GRID_DIM, place_bank};
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
        let bank = [BLOCK_DIM, GRID_DIM].into_iter().flat_map(|at| [at, at + 4, at + 8]);
        // A bank may be too short to hold them.
        let bank = bank.filter(|at| *at < begin).map(|at| Place::Bank(at as usize / 4));
        ShapeUse { kernel: kernel.clone(), first: 0, places: descriptor.chain(bank).collect() }
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }
}

/// What those words hold for one shape.
pub(super) struct ShapeWords {
    descriptor: Descriptor,
    launch: Launch,
}

impl ShapeWords {
    pub(super) fn new(kernel: &Kernel, launch: &Launch) -> Result<ShapeWords> {
        let mut descriptor = kernel.describe(launch)?;
        // Flags of the bank share words with the shape; its address does not.
        place_bank(&mut descriptor, GpuVa::new(0), kernel.inner.bank0_words());
        Ok(ShapeWords { descriptor, launch: *launch })
    }

    pub(super) fn at(&self, place: Place) -> u32 {
        match place {
            Place::Descriptor(word) => self.descriptor.words()[word],
            Place::Bank(word) => match word - BLOCK_DIM as usize / 4 {
                i @ 0..3 => self.launch.block[i],
                i => self.launch.grid[i - 3],
            },
        }
    }
}
