//! From a decoded word to the typed instruction that runs.

mod control;
mod group;
mod impossible;
mod math;
mod memory;
mod pack;
mod sparse;
mod sync;
mod tensor;
mod uniform;

use super::decode::{Decoded, Illegal, Place};
use super::meaning::{Combine, Round};
use super::op::*;
use super::table::*;

const ROUND_FIELD: Field = Field::new(79, 78);
const COMPARE3_FIELD: Field = Field::new(78, 76);
const COMBINE_FIELD: Field = Field::new(75, 74);

/// Lowers one word.
pub(crate) fn lower(decoded: &Decoded) -> Result<Inst, Illegal> {
    let mut lowering = Lowering { from: decoded, top: 0, broken: false };
    let op = lowering
        .math()
        .or_else(|| lowering.packing())
        .or_else(|| lowering.sparse())
        .or_else(|| lowering.sync())
        .or_else(|| lowering.group())
        .or_else(|| lowering.memory())
        .or_else(|| lowering.control())
        .ok_or(Illegal::Modifier(decoded.word, decoded.row.name))?;
    if lowering.broken {
        return Err(Illegal::Register(decoded.word, decoded.row.name));
    }
    let guard = match op {
        // Its guard says who counts, not who goes.
        Op::Bra {
            when: BranchWhen::Diverged | BranchWhen::Converged | BranchWhen::Any, ..
        } => Pred::TRUE,
        _ => lowering.guard(),
    };
    Ok(Inst { op, guard, registers: lowering.top })
}

struct Lowering<'a> {
    from: &'a Decoded,
    top: u16,
    broken: bool,
}

impl Lowering<'_> {
    fn get(&self, field: Field) -> u64 {
        self.from.get(field)
    }

    fn bit(&self, at: u8) -> bool {
        self.from.bit(at)
    }

    fn guard(&self) -> Pred {
        let (index, not) = self.from.guard();
        Pred { index, not, uniform: self.from.uniform_guard() }
    }

    /// A register that starts a run of `count`, aligned to it. RZ needs no alignment.
    fn run(&mut self, index: u64, count: u16) -> u16 {
        let index = index as u16;
        if index == ZERO {
            return ZERO;
        }
        let align = count.next_power_of_two();
        if index % align != 0 || index + count > ZERO {
            self.broken = true;
            return ZERO;
        }
        self.top = self.top.max(index + count);
        index
    }

    /// A plain register field at `lo`.
    fn reg(&mut self, lo: u8, count: u16) -> u16 {
        let index = self.get(Field::new(lo + 7, lo));
        self.run(index, count)
    }

    fn dst(&mut self, count: u16) -> u16 {
        match self.reg(16, count) {
            ZERO => SINK,
            d => d,
        }
    }

    fn udst(&self) -> u8 {
        match self.get(UDST) as u8 {
            UZERO => USINK,
            d => d,
        }
    }

    fn pdst(&self, lo: u8) -> u8 {
        match self.get(Field::new(lo + 2, lo)) as u8 {
            TRUE => PSINK,
            p => p,
        }
    }

    fn pred(&self, lo: u8, neg: u8) -> Pred {
        Pred {
            index: self.get(Field::new(lo + 2, lo)) as u8,
            not: self.bit(neg),
            uniform: self.from.row.uniform(),
        }
    }

    /// A predicate whose index is stored inverted.
    fn inverted(&self, lo: u8, neg: u8, uniform: bool) -> Pred {
        Pred { index: 7 - self.get(Field::new(lo + 2, lo)) as u8, not: self.bit(neg), uniform }
    }

    /// The main predicate source at 89:87.
    fn when(&self) -> Pred {
        self.pred(87, 90)
    }

    fn operand(&mut self, nth: Slot, count: u16) -> Src {
        let found = self.from.row.operands.iter().find_map(|operand| match (nth, operand) {
            (Slot::A, Operand::A(m))
            | (Slot::B, Operand::B(m) | Operand::B32(m) | Operand::B64(m))
            | (Slot::C, Operand::C(m)) => Some((*operand, *m)),
            _ => None,
        });
        let (operand, mods) = found.expect("the row has the operand that its lowering reads");
        let place = self.from.place(&operand);
        let uniform = self.from.row.uniform();
        let (from, index, value) = match place {
            Place::Imm32 => (From::Imm, 0, self.get(SLOT32_IMM) as u32),
            Place::Const32 => {
                (From::Const, self.get(CONST_BANK) as u8, self.get(CONST_OFFSET) as u32)
            }
            Place::Ureg32 => (From::Ureg, self.get(SLOT32_UREG) as u8, 0),
            Place::A if uniform => (From::Ureg, self.get(USRC_A) as u8, 0),
            Place::Reg32 if uniform => (From::Ureg, self.get(SLOT32_UREG) as u8, 0),
            Place::Reg64 if uniform => (From::Ureg, self.get(SLOT64_UREG) as u8, 0),
            Place::A => (From::Reg, self.reg(24, count) as u8, 0),
            Place::Reg32 => (From::Reg, self.reg(32, count) as u8, 0),
            Place::Reg64 => (From::Reg, self.reg(64, count) as u8, 0),
        };
        if from == From::Ureg && count == 2 && index != UZERO && index % 2 != 0 {
            self.broken = true;
        }
        let fields = self.from.mod_fields(mods, place);
        let set = |field: Option<Field>| field.is_some_and(|f| self.get(f) == 1);
        Src {
            from,
            index,
            neg: set(fields.neg),
            abs: set(fields.abs),
            value,
            halves: fields.halves.map_or(0, |f| self.get(f) as u8),
        }
    }

    fn a(&mut self) -> Src {
        self.operand(Slot::A, 1)
    }

    fn b(&mut self) -> Src {
        self.operand(Slot::B, 1)
    }

    fn c(&mut self) -> Src {
        self.operand(Slot::C, 1)
    }

    /// The register in the slot of C, whatever the operand form.
    fn third_register(&mut self) -> Src {
        let index = self.reg(64, 1) as u8;
        Src { from: From::Reg, index, neg: false, abs: false, value: 0, halves: 0 }
    }

    fn combine(&self, field: Field) -> Combine {
        match self.get(field) {
            0 => Combine::And,
            1 => Combine::Or,
            _ => Combine::Xor,
        }
    }

    fn compare(&self, mask: Field, combine: Field) -> Compare {
        Compare {
            mask: self.get(mask) as u8,
            combine: self.combine(combine),
            with: self.when(),
            p: self.pdst(81),
            q: self.pdst(84),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    A,
    B,
    C,
}
