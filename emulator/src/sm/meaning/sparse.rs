//! Products with a matrix of which every other element is zero and left out.
//!
//! Of each group of four columns two are kept (of two, one, where elements have 32 bits). Beside the kept
//! ones a register holds where in its group each was, four bits for a group.

use super::tensor::{Row, Shape};

/// Where the places of the kept elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// How many bits an element has that has a place of its own: pairs of four bits share one.
    pub(crate) bits: usize,
    /// Which of the lanes of each four hold the places, as PTX counts them.
    pub(crate) selector: usize,
}

impl Places {
    /// The column that the `kept`-th element of a row was in. `shape` is that of the kept elements.
    fn column(self, shape: Shape, places: &Row, row: usize, kept: usize) -> usize {
        // A place has four bits where there is one in a group, else two.
        let single = self.bits == 32;
        let group = if single { kept } else { kept / 2 };
        let groups = if single { shape.k } else { shape.k / 2 };
        // Of each four lanes one, two or all four hold places.
        let lanes = groups.div_ceil(4);
        let first = row % 8 * 4 + self.selector * lanes % 4;
        let nibble = match self.bits {
            // A lane for eight groups of a row, the next for those of the row eight further down.
            8 => places[first + group / 8 * 2 + row / 8] >> (4 * (group % 8)),
            // A lane for four groups of both rows.
            _ => places[first + group / 4] >> (16 * (row / 8) + 4 * (group % 4)),
        };
        match single {
            true => group * 2 + (nibble >> 1 & 1) as usize,
            false => group * 4 + (nibble >> (kept % 2 * 2) & 3) as usize,
        }
    }

    /// The fragment of B whose rows are those that meet the kept elements of a row of A.
    pub(crate) fn gather(self, shape: Shape, places: &Row, row: usize, b: &[Row], out: &mut [Row]) {
        out.iter_mut().for_each(|register| *register = [0; 32]);
        let per_lane = 32 / self.bits;
        let mask = if self.bits == 32 { u32::MAX } else { (1 << self.bits) - 1 };
        let place = |k: usize, column: usize| {
            let within = k % (4 * per_lane);
            (k / (4 * per_lane), column * 4 + within / per_lane, self.bits * (within % per_lane))
        };
        for kept in 0..shape.k {
            let from = self.column(shape, places, row, kept);
            for column in 0..8 {
                let (register, lane, shift) = place(from, column);
                let element = b[register][lane] >> shift & mask;
                let (register, lane, shift) = place(kept, column);
                out[register][lane] |= element << shift;
            }
        }
    }
}
