//! Products with a sparse matrix: row after row, each with the part of B that its kept elements meet.

use super::warp::Warp;
use crate::sm::meaning::floating;
use crate::sm::meaning::tensor::{self, Row};
use crate::sm::op::*;

/// The registers of a fragment, as many as there are at most.
fn fragment<const N: usize>(w: &Warp, first: u16, count: usize) -> [Row; N] {
    std::array::from_fn(|n| match first {
        ZERO => [0; 32],
        first if n < count => w.regs[first as usize + n],
        _ => [0; 32],
    })
}

/// The result, in the registers of an accumulator.
pub(super) fn multiply(w: &Warp, op: &Op) -> [Row; 4] {
    let Op::Sparse { on, of, held, places } = *op else {
        unreachable!("sorted by the caller");
    };
    let Matrices { a, b, c, shape, plus, .. } = on;
    let bits = match of {
        SparseOf::Floats { element: tensor::Element::Tf32, .. } => 32,
        SparseOf::Floats { .. } => 16,
        SparseOf::Integers { kinds, .. } => kinds.0.bits,
    };
    let (ra, _) = tensor::registers(shape, bits);
    let (_, rb) = tensor::registers(tensor::Shape { k: shape.k * 2, ..shape }, bits);
    let rc = if matches!(of, SparseOf::Floats { single: false, .. }) { 2 } else { 4 };
    let c = if w.mask(plus) == 0 { ZERO } else { c };
    let (fa, fb): ([Row; 4], [Row; 4]) = (fragment(w, a, ra), fragment(w, b, rb));
    let fc: [Row; 4] = fragment(w, c, rc);
    // Of elements that share a place, two make one that is as large.
    let gathered = tensor::Shape { k: shape.k * bits / places.bits, ..shape };
    let mut out = [[0; 32]; 4];
    for row in 0..16 {
        let mut met = [[0; 32]; 2];
        places.gather(gathered, &w.regs[held as usize], row, &fb, &mut met);
        let mut all = [[0; 32]; 4];
        match of {
            SparseOf::Floats { element, how, single } => {
                floating::float((shape, element, how), single, (&fa, &met, &fc), &mut all);
            }
            SparseOf::Integers { kinds, saturate } => {
                tensor::integer(shape, kinds, saturate, &fa, &met, &fc, &mut all);
            }
        }
        // A row lies in four lanes, of half of the registers.
        let registers = row / 8 * rc / 2..(row / 8 + 1) * rc / 2;
        for register in registers {
            let lanes = row % 8 * 4..row % 8 * 4 + 4;
            out[register][lanes.clone()].copy_from_slice(&all[register][lanes]);
        }
    }
    out
}
