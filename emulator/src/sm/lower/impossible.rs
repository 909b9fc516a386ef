//! Modifiers of arithmetic that do not go together.

use super::*;
use crate::sm::Arch;

impl Lowering<'_> {
    /// Combinations of modifiers that no variant of the instruction has.
    pub(super) fn impossible(&self, kind: Kind) -> bool {
        let base = self.from.word & 0x1ff;
        let ampere = self.from.arch == Arch::Sm87;
        let wide = base & 0x10 != 0;
        let any_f64 = |lo: u8, hi: u8| {
            let [to, from] = [lo, hi].map(|at| self.get(Field::new(at + 1, at)) == 3);
            to || from
        };
        let set = |field: Field| self.get(field) != 0;
        let no_register = |field: Field| self.get(field) == u64::from(ZERO);
        match kind {
            Kind::FMul | Kind::FFma if self.bit(76) && self.bit(80) => true,
            // The adder has one complement for its first two sources.
            Kind::IAdd3 | Kind::UIAdd3 if set(A_NEG) && set(SLOT32_NEG) && self.form() != 4 => true,
            // What a variant leaves out must not be named either.
            Kind::F2fp if self.bit(78) => !no_register(SRC_A),
            Kind::F2fp => matches!(self.form(), 2 | 3 | 7) || !no_register(SLOT64_REG),
            // Only a half on its own, added to minus zero, becomes a single.
            Kind::HAdd2 if self.bit(78) => {
                !no_register(SRC_A) || !set(A_NEG) || self.bit(80) || self.bit(85)
            }
            Kind::HAdd2 | Kind::HMul2 if self.bit(85) => ampere || self.unfit_for_bf16(),
            Kind::HFma2 => self.impossible_product(base, ampere),
            Kind::HMnMx2 if self.bit(85) => self.bit(80),
            Kind::VIMnMx | Kind::VIMnMx3 | Kind::VIAddMnMx => self.bit(76) && !self.bit(72),
            // Hopper counts common bits alone and has no four-bit elements.
            Kind::Bmma => !ampere && !self.bit(78),
            Kind::Imma => !ampere && (self.bit(83) || self.bit(84)),
            Kind::HMul2 if self.bit(76) && self.bit(80) => true,
            Kind::Mufu => {
                let wide = matches!(self.get(Field::new(77, 74)), 6 | 7);
                wide && self.get(Field::new(73, 72)) != 0
            }
            Kind::HSet2 | Kind::HSetP2 => self.bit(65) && (ampere || self.bit(80)),
            Kind::Lea | Kind::ULea
                if set(A_NEG) && set(SLOT32_NEG) && !matches!(self.form(), 2 | 4) =>
            {
                true
            }
            Kind::Lea => {
                // An immediate takes the third place, and the second then has that of the register.
                let third = self.form() != 2 && !no_register(SLOT64_REG);
                (self.bit(73) && !self.bit(80)) || (third && (self.bit(73) || !self.bit(80)))
            }
            Kind::ULea => {
                let third = self.form() != 2 && self.get(SLOT64_UREG) != u64::from(UZERO);
                (self.bit(73) && !self.bit(80)) || (third && (self.bit(73) || !self.bit(80)))
            }
            // An immediate is a whole word.
            Kind::I2F if self.form() == 4 && self.get(Field::new(85, 84)) < 2 => true,
            Kind::I2F if base == 0x45 => matches!(self.get(ROUND_FIELD), 1 | 2),
            // The slow variants are for 64 bits on either side, and only for those.
            Kind::I2F | Kind::F2I => any_f64(75, 84) != wide,
            Kind::F2F => {
                let [to, from] = [75, 84].map(|at| self.get(Field::new(at + 2, at)));
                to == from || (to == 3 || from == 3) != wide
            }
            Kind::Frnd => {
                let brain = self.get(Field::new(77, 75)) == 4;
                (self.get(Field::new(77, 75)) == 3) != wide || (brain && ampere)
            }
            _ => false,
        }
    }

    /// The wide exponent of the format knows no denormals, and the hardware no saturation in it.
    fn unfit_for_bf16(&self) -> bool {
        self.bit(76) || self.bit(77) || self.bit(80)
    }

    /// Combinations that no packed fused multiplication has.
    fn impossible_product(&self, base: u128, ampere: bool) -> bool {
        let set = |field: Field| self.get(field) != 0;
        // The second factor lies in the upper slot where a constant takes the lower one.
        let halves = match self.form() {
            2 | 3 | 7 => SLOT64_HALVES,
            _ => SLOT32_HALVES,
        };
        let crossed = self.bit(86) && (base == 0x35 || self.form() == 4 || set(halves));
        // What the predicate of a clamped product does is not known: compilers leave it true.
        let clamped = self.bit(79) && (self.bit(77) || self.get(Field::new(90, 87)) != 7);
        // The tensor-core variant takes its operands as they are; on Ampere it knows binary16 only.
        let picked = [A_HALVES, SLOT64_HALVES].into_iter().any(set)
            || (!matches!(self.form(), 2 | 4) && set(SLOT32_HALVES));
        crossed
            || clamped
            || (self.bit(76) && self.bit(80))
            || (self.bit(85) && self.unfit_for_bf16())
            || (base == 0x35 && (picked || (ampere && self.bit(85))))
    }
}
