//! Products of a group of four warps: 64 rows, of which each warp has 16, with matrices in shared memory. Each
//! warp's part is done when it is issued, as products of a single warp, eight columns at a time.
//!
//! Where elements lie is what the documents of PTX and of the layouts that go with them say, and what an H200 reads.

use super::block::Shared;
use super::fault::{FaultKind, Step, lane_trap, trap};
use super::run::Flow;
use super::tensor::{fragment, put};
use super::warp::Warp;
use crate::sm::meaning::floating;
use crate::sm::meaning::tensor::{self, Element, Row, Shape};
use crate::sm::op::*;

/// Bytes that a product takes of each row of A and of each column of B.
const DEPTH: u32 = 32;
/// Bytes that lie together whatever the layout.
const PIECE: u32 = 16;

/// A matrix in shared memory: lines along which elements are multiplied, rows of A or columns of B.
struct Matrix {
    start: u32,
    /// From piece to piece along a line, where lines are not wider; turned, from one stretch of lines to the next.
    leading: u32,
    /// From eight lines to the next eight; turned, from eight steps along them to the next eight.
    stride: u32,
    /// How wide the pattern is in which pieces change places, in pieces: 1, 2, 4 or 8.
    width: u32,
    /// Lines lie side by side: elements of the same place in neighbouring lines follow each other.
    turned: bool,
}

impl Matrix {
    /// What a descriptor says.
    fn new(descriptor: u64, turned: bool) -> Step<Matrix> {
        let sixteens = |lo: u32| (descriptor >> lo) as u32 % (1 << 14) * 16;
        if descriptor >> 49 & 7 != 0 {
            return trap(FaultKind::MatrixOffset);
        }
        Ok(Matrix {
            start: sixteens(0),
            leading: sixteens(16),
            stride: sixteens(32),
            width: [1, 8, 4, 2][(descriptor >> 62) as usize],
            turned,
        })
    }

    /// Where a byte lies. Pieces of a row of the pattern change places by its number.
    fn place(&self, line: u32, byte: u32) -> u32 {
        let row = self.width * PIECE;
        let offset = if self.turned {
            // Two bytes to an element; a row of the pattern has the same place of as many lines as fit.
            let (step, across) = (byte / 2, line * 2);
            let [steps, stretches] = match self.width {
                1 => [self.leading, self.stride],
                _ => [self.stride, self.leading],
            };
            step / 8 * steps + across / row * stretches + step % 8 * row + across % row + byte % 2
        } else {
            let along = match self.width {
                1 => byte / PIECE * self.leading + byte % PIECE,
                _ => byte,
            };
            line / 8 * self.stride + line % 8 * row + along
        };
        let at = self.start.wrapping_add(offset);
        at ^ (at >> 7 & (self.width - 1)) << 4
    }

    /// Four bytes along a line.
    fn word(&self, e: &Shared, line: u32, byte: u32) -> Step<u32> {
        let half = |byte: u32| {
            let at = self.place(line, byte) as usize;
            match e.bytes.get(at..at + 2) {
                Some(bytes) => Ok(u32::from(bytes[0]) | u32::from(bytes[1]) << 8),
                None => lane_trap(FaultKind::Shared { size: e.bytes.len() as u32 }, 0, at as u64),
            }
        };
        Ok(half(byte)? | half(byte + 2)? << 16)
    }

    /// The registers of a fragment: each has eight lines from `line(register)` on, a piece from `byte(register)` on.
    fn fragment<const N: usize>(
        &self,
        e: &Shared,
        place: impl Fn(u32) -> (u32, u32),
    ) -> Step<[Row; N]> {
        let mut registers = [[0; 32]; N];
        for (n, register) in registers.iter_mut().enumerate() {
            let (line, byte) = place(n as u32);
            for lane in 0..32 {
                register[lane as usize] = self.word(e, line + lane / 4, byte + lane % 4 * 4)?;
            }
        }
        Ok(registers)
    }
}

/// A fragment with the signs of its elements turned.
fn negated<const N: usize>(registers: [Row; N], of: GroupOf, negate: bool) -> [Row; N] {
    let signs = match of {
        GroupOf::Floats { element: Element::Tf32, .. } => 1 << 31,
        GroupOf::Eighths { .. } => 0x8080_8080,
        _ => 0x8000_8000,
    };
    registers.map(|row| row.map(|word| if negate { word ^ signs } else { word }))
}

/// A warp's part of the product of its group.
pub(super) fn multiply(w: &mut Warp, e: &mut Shared, group: Group, exec: u32) -> Step<Flow> {
    let Group { d, a, c, columns, places, of, flips, plus } = group;
    let c = if w.mask(plus) == 0 { ZERO } else { c };
    let right = Matrix::new(w.upair(places + 2), flips.turn[1])?;
    let left: [Row; 4] = match a {
        Some(a) => std::array::from_fn(|n| fragment(w, a, 4)[n]),
        None => {
            let rows = w.index % 4 * 16;
            let matrix = Matrix::new(w.upair(places), flips.turn[0])?;
            matrix.fragment(e, |n| (rows + n % 2 * 8, n / 2 * PIECE))?
        }
    };
    let left = negated(left, of, flips.negate[0]);
    let each = if of.single() { 4 } else { 2 };
    for eight in 0..columns / 8 {
        let right = right.fragment(e, |n| (u32::from(eight) * 8, n * DEPTH / 2))?;
        let right: [Row; 2] = negated(right, of, flips.negate[1]);
        let at = |first: u16| if first < ZERO { first + eight * each } else { first };
        let mut out = [[0; 32]; 4];
        let sums = fragment(w, at(c), 4);
        match of {
            GroupOf::Floats { element, how, single } => {
                let k = if element == Element::Tf32 { 8 } else { 16 };
                let shape = Shape { m: 16, k };
                floating::float((shape, element, how), single, (&left, &right, sums), &mut out);
            }
            GroupOf::Eighths { formats, single } => {
                floating::eighths(formats, single, (&left, &right, sums), &mut out);
            }
            GroupOf::Integers { kinds, saturate } => {
                let shape = Shape { m: 16, k: 32 };
                tensor::integer(shape, kinds, saturate, &left, &right, sums, &mut out);
            }
            GroupOf::Bits => {
                tensor::bits(Shape { m: 16, k: 256 }, false, &left, &right, sums, &mut out);
            }
        }
        put(w, at(d), exec, &out[..usize::from(each)]);
    }
    Ok(Flow::Next)
}
