//! Lowering of the products with a sparse matrix.

use super::*;
use crate::sm::Arch;
use crate::sm::meaning::floating::Summation;
use crate::sm::meaning::sparse::Places;
use crate::sm::meaning::tensor::{Element, Shape, Small, registers};

impl Lowering<'_> {
    /// The instruction, if it is one of them.
    pub(super) fn sparse(&mut self) -> Option<Op> {
        let selector = self.get(SELECTOR) as usize;
        let (shape, bits, of) = match self.from.row.kind {
            Kind::HmmaSparse => self.sparse_floats()?,
            Kind::ImmaSparse => self.sparse_integers()?,
            _ => return None,
        };
        // The lanes that hold places are one, two or four of each four.
        let lanes = match bits {
            32 => shape.k / 4,
            4 => shape.k / 16,
            _ => shape.k / 8,
        };
        if selector >= 4 / lanes {
            return None;
        }
        let (ra, _) = registers(shape, bits);
        let (_, rb) = registers(Shape { k: shape.k * 2, ..shape }, bits);
        let rc = match of {
            SparseOf::Floats { single: false, .. } => 2,
            _ => 4,
        };
        Some(Op::Sparse {
            on: Matrices {
                d: self.dst(rc),
                a: self.reg(24, ra as u16),
                b: self.reg(32, rb as u16),
                c: self.reg(64, rc),
                shape,
                plus: self.inverted(87, 90, true),
            },
            of,
            held: self.reg(40, 1),
            // Four-bit elements are kept in pairs.
            places: Places { bits: bits.max(8), selector },
        })
    }

    fn sparse_floats(&mut self) -> Option<(Shape, usize, SparseOf)> {
        let element = match self.get(Field::new(83, 82)) {
            0 => Element::F16,
            1 => Element::Bf16,
            _ => Element::Tf32,
        };
        let single = self.bit(76);
        let depth = match (self.bit(78), self.bit(75)) {
            (false, false) => 8,
            (false, true) => 16,
            _ => 32,
        };
        let legal = match element {
            Element::Tf32 => depth != 32 && single,
            Element::Bf16 => depth != 8 && single,
            Element::F16 => depth != 8,
        };
        let bits = if element == Element::Tf32 { 32 } else { 16 };
        let how = match (self.from.arch, element) {
            (Arch::Sm90, _) => Summation { group: 16, kept: 25 },
            (Arch::Sm87, Element::Tf32) => Summation { group: 4, kept: 24 },
            (Arch::Sm87, _) => Summation { group: 8, kept: 24 },
        };
        let of = SparseOf::Floats { element, how, single };
        legal.then_some((Shape { m: 16, k: depth / 2 }, bits, of))
    }

    fn sparse_integers(&mut self) -> Option<(Shape, usize, SparseOf)> {
        let small = |four: bool, signed: bool| Small { bits: if four { 4 } else { 8 }, signed };
        let kinds = (small(self.bit(83), self.bit(76)), small(self.bit(84), self.bit(78)));
        let bits = kinds.0.bits;
        let depth = match (self.get(Field::bit(75)) | self.get(Field::new(86, 85)) << 1, bits) {
            (5, 8) => 32,
            (6, _) => 64,
            (7, 4) => 128,
            _ => return None,
        };
        // Hopper has no four-bit elements.
        let legal = kinds.1.bits == bits && (bits == 8 || self.from.arch == Arch::Sm87);
        let of = SparseOf::Integers { kinds, saturate: self.bit(82) };
        legal.then_some((Shape { m: 16, k: depth / 2 }, bits, of))
    }
}
