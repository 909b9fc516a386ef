//! The instructions of the tensor cores, from registers to fragments and back.

use super::block::Shared;
use super::fault::Step;
use super::run::Flow;
use super::warp::Warp;
use super::{memory, sparse};
use crate::sm::meaning::tensor::{self, Row};
use crate::sm::meaning::{Round, floating};
use crate::sm::op::*;

/// The `count` registers of a fragment.
#[inline(always)]
pub(super) fn fragment(w: &Warp, first: u16, count: usize) -> &[Row] {
    const ZEROS: &[Row] = &[[0; 32]; 4];
    match first {
        ZERO => &ZEROS[..count],
        first => &w.regs[first as usize..first as usize + count],
    }
}

#[inline(always)]
pub(super) fn step(w: &mut Warp, e: &mut Shared, op: &Op, exec: u32) -> Step<Flow> {
    match *op {
        Op::Hmma { on, element, how, single } => {
            let Matrices { d, a, b, c, shape, plus } = on;
            let c = if w.mask(plus) == 0 { ZERO } else { c };
            let (fa, fb, fc) = (fragment(w, a, 4), fragment(w, b, 2), fragment(w, c, 4));
            let mut out = [[0; 32]; 4];
            floating::float((shape, element, how), single, (fa, fb, fc), &mut out);
            put(w, d, exec, &out[..if single { 4 } else { 2 }]);
        }
        Op::Imma { on, kinds, saturate } => {
            let Matrices { d, a, b, c, shape, plus } = on;
            let c = if w.mask(plus) == 0 { ZERO } else { c };
            let (fa, fb, fc) = (fragment(w, a, 4), fragment(w, b, 2), fragment(w, c, 4));
            let mut out = [[0; 32]; 4];
            tensor::integer(shape, kinds, saturate, fa, fb, fc, &mut out);
            put(w, d, exec, &out[..shape.m / 4]);
        }
        Op::Bmma { on, differ } => {
            let Matrices { d, a, b, c, shape, plus } = on;
            let c = if w.mask(plus) == 0 { ZERO } else { c };
            let (fa, fb, fc) = (fragment(w, a, 4), fragment(w, b, 2), fragment(w, c, 4));
            let mut out = [[0; 32]; 4];
            tensor::bits(shape, differ, fa, fb, fc, &mut out);
            put(w, d, exec, &out[..shape.m / 4]);
        }
        Op::Sparse { on, of, .. } => {
            let out = sparse::multiply(w, op);
            let count = if matches!(of, SparseOf::Floats { single: false, .. }) { 2 } else { 4 };
            put(w, on.d, exec, &out[..count]);
        }
        Op::Stsm { s, at, count, transpose } => {
            for matrix in 0..u16::from(count) {
                let row = if s == ZERO { ZERO } else { s + matrix };
                let mut rows = w.regs[row as usize];
                if transpose {
                    rows = tensor::transpose(&rows);
                }
                for (row, words) in rows.chunks_exact(4).enumerate() {
                    let lane = usize::from(matrix) * 8 + row;
                    let address = memory::window_address(w, at, lane);
                    memory::put_shared_words(e, address, lane, words)?;
                }
            }
        }
        Op::Dmma { on } => {
            let Matrices { d, a, b, c, shape, plus } = on;
            let c = if w.mask(plus) == 0 { ZERO } else { c };
            let double = |first: u16, n: usize| -> [u64; 32] {
                let row = if first == ZERO { ZERO } else { first + 2 * n as u16 };
                std::array::from_fn(|lane| w.pair(row, lane))
            };
            let (down, along) = (shape.m / 8, shape.k / 4);
            let left: Vec<_> = (0..down * along).map(|n| double(a, n)).collect();
            let right: Vec<_> = (0..along).map(|n| double(b, n)).collect();
            let sums: Vec<_> = (0..down)
                .map(|part| {
                    let start = [double(c, part * 2), double(c, part * 2 + 1)];
                    right.iter().enumerate().fold(start, |sums, (step, right)| {
                        let left = &left[step * down + part];
                        tensor::double(Round::Nearest, left, right, [&sums[0], &sums[1]])
                    })
                })
                .collect();
            for (n, sum) in sums.as_flattened().iter().enumerate().filter(|_| d != SINK) {
                for lane in (0..32).filter(|lane| exec >> lane & 1 == 1) {
                    w.set_pair(d + 2 * n as u16, lane, sum[lane]);
                }
            }
        }
        Op::Ldsm { d, at, count, transpose } => {
            // The address register may be one of those written: all rows are read first.
            let mut matrices = [[0; 32]; 4];
            let matrices = &mut matrices[..usize::from(count)];
            for (matrix, rows) in matrices.iter_mut().enumerate() {
                // Lane 8m + r holds the address of row r of matrix m.
                for row in 0..8 {
                    let lane = matrix * 8 + row;
                    let address = memory::window_address(w, at, lane);
                    let at = memory::shared_row(e, address, lane)?;
                    let words = e.bytes[at..at + 16].chunks_exact(4);
                    for (to, word) in rows[row * 4..row * 4 + 4].iter_mut().zip(words) {
                        *to = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
                    }
                }
                if transpose {
                    *rows = tensor::transpose(rows);
                }
            }
            put(w, d, exec, matrices);
        }
        Op::Movm { d, a } => {
            let out = tensor::transpose(&w.regs[a as usize]);
            w.write(d, exec, &out);
        }
        _ => unreachable!("sorted by the caller"),
    }
    Ok(Flow::Next)
}

#[inline(always)]
pub(super) fn put(w: &mut Warp, d: u16, exec: u32, rows: &[Row]) {
    if d != SINK {
        for (at, row) in rows.iter().enumerate() {
            w.write(d + at as u16, exec, row);
        }
    }
}
