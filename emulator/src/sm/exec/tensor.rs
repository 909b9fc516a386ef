//! The instructions of the tensor cores, from registers to fragments and back.

use super::block::Shared;
use super::fault::Step;
use super::hot::Flow;
use super::memory;
use super::warp::Warp;
use crate::sm::meaning::floating;
use crate::sm::meaning::tensor::{self, Row};
use crate::sm::op::*;

/// The `count` registers of a fragment.
#[inline(always)]
fn fragment(w: &Warp, first: u16, count: usize) -> &[Row] {
    const ZEROS: &[Row] = &[[0; 32]; 4];
    match first {
        ZERO => &ZEROS[..count],
        first => &w.regs[first as usize..first as usize + count],
    }
}

#[inline(always)]
pub(super) fn step(w: &mut Warp, e: &mut Shared, op: &Op, exec: u32) -> Step<Flow> {
    match *op {
        Op::Hmma { d, a, b, c, shape, element, how, single, plus } => {
            let c = if w.mask(plus) == 0 { ZERO } else { c };
            let (fa, fb, fc) = (fragment(w, a, 4), fragment(w, b, 2), fragment(w, c, 4));
            let mut out = [[0; 32]; 4];
            floating::float((shape, element, how), single, (fa, fb, fc), &mut out);
            put(w, d, exec, &out[..if single { 4 } else { 2 }]);
        }
        Op::Imma { d, a, b, c, shape, kinds, saturate, plus } => {
            let c = if w.mask(plus) == 0 { ZERO } else { c };
            let (fa, fb, fc) = (fragment(w, a, 4), fragment(w, b, 2), fragment(w, c, 4));
            let mut out = [[0; 32]; 4];
            tensor::integer(shape, kinds, saturate, fa, fb, fc, &mut out);
            put(w, d, exec, &out[..shape.m / 4]);
        }
        Op::Bmma { d, a, b, c, shape, differ, plus } => {
            let c = if w.mask(plus) == 0 { ZERO } else { c };
            let (fa, fb, fc) = (fragment(w, a, 4), fragment(w, b, 2), fragment(w, c, 4));
            let mut out = [[0; 32]; 4];
            tensor::bits(shape, differ, fa, fb, fc, &mut out);
            put(w, d, exec, &out[..shape.m / 4]);
        }
        Op::Dmma { d, a, b, c, plus } => {
            let c = if w.mask(plus) == 0 { ZERO } else { c };
            let double = |row: u16| -> [u64; 32] { std::array::from_fn(|lane| w.pair(row, lane)) };
            let second = if c == ZERO { ZERO } else { c + 2 };
            let (c0, c1) = (double(c), double(second));
            let round = crate::sm::meaning::Round::Nearest;
            let out = tensor::double(round, &double(a), &double(b), [&c0, &c1]);
            if d != SINK {
                for lane in (0..32).filter(|lane| exec >> lane & 1 == 1) {
                    w.set_pair(d, lane, out[0][lane]);
                    w.set_pair(d + 2, lane, out[1][lane]);
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
                    let words = memory::shared_row(e, address, lane)?;
                    rows[row * 4..row * 4 + 4].copy_from_slice(&words);
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
fn put(w: &mut Warp, d: u16, exec: u32, rows: &[Row]) {
    if d != SINK {
        for (at, row) in rows.iter().enumerate() {
            w.write(d + at as u16, exec, row);
        }
    }
}
