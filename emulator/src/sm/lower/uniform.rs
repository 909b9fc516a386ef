//! Lowering of arithmetic on the uniform datapath.

use super::*;

impl Lowering<'_> {
    pub(super) fn uniform_math(&mut self, kind: Kind) -> Option<UOp> {
        let d = self.udst();
        let extended = self.bit(74);
        Some(match kind {
            Kind::UMov => {
                let (from, index, value) = match self.from.word & 0xfff {
                    0x882 => (From::Imm, 0, self.get(SLOT32_IMM) as u32),
                    _ => (From::Ureg, self.get(SLOT32_UREG) as u8, 0),
                };
                UOp::Mov { d, b: Src { from, index, neg: false, abs: false, value, halves: 0 } }
            }
            Kind::UIAdd3 => UOp::Add3 {
                d,
                a: self.a(),
                b: self.b(),
                c: self.c(),
                extended,
                out: [self.pdst(81), self.pdst(84)],
                carry: self.carries(),
            },
            Kind::UIAdd3Wide => UOp::AddWide {
                d: if d == USINK { d } else { self.upair(d) },
                from: [USRC_A, SLOT32_UREG, SLOT64_UREG].map(|field| {
                    let index = self.get(field) as u8;
                    self.upair(index)
                }),
            },
            Kind::UIMad => UOp::Mad {
                d,
                a: self.a(),
                b: self.b(),
                c: self.c(),
                carry: extended.then(|| self.when()),
            },
            Kind::UIMadWide => UOp::MadWide {
                d: self.upair(d),
                a: self.a(),
                b: self.b(),
                c: self.operand(Slot::C, 2),
                signed: self.bit(73),
                carry: extended.then(|| self.when()),
                out: self.pdst(81),
            },
            Kind::ULea => {
                let (mut a, mut b, c) = (self.a(), self.b(), self.c());
                let how = self.lea(&mut a, &mut b);
                UOp::Lea { d, a, b, c, how, carry: self.when(), out: self.pdst(81) }
            }
            Kind::ULop3 => UOp::Lop3 {
                d,
                a: self.a(),
                b: self.b(),
                c: self.c(),
                table: self.get(LUT) as u8,
                and: self.bit(80),
                with: self.when(),
                out: self.pdst(81),
            },
            Kind::UShf => UOp::Shf { d, a: self.a(), b: self.b(), c: self.c(), how: self.funnel() },
            Kind::UPrmt => UOp::Permute {
                d,
                a: self.a(),
                b: self.b(),
                c: self.c(),
                mode: self.get(Field::new(74, 72)) as u8,
            },
            Kind::USel => UOp::Sel { d, a: self.a(), b: self.b(), pick: self.when() },
            Kind::UISetP => UOp::SetP {
                a: self.a(),
                b: self.b(),
                signed: self.bit(73),
                extended: self.bit(72).then(|| self.pred(68, 71)),
                compare: self.compare(COMPARE3_FIELD, COMBINE_FIELD),
            },
            Kind::UFlo => UOp::Flo {
                d,
                b: self.b(),
                signed: self.bit(73),
                from_top: self.bit(74),
                out: self.pdst(81),
            },
            Kind::USgxt => UOp::Extend {
                d,
                a: self.a(),
                b: self.b(),
                signed: self.bit(73),
                wrap: self.bit(75),
            },
            Kind::UP2ur => {
                UOp::PredToReg { d, a: self.a(), b: self.b(), byte: self.get(BYTE) as u8 }
            }
            Kind::Ur2up => UOp::RegToPred { a: self.a(), b: self.b(), byte: self.get(BYTE) as u8 },
            Kind::UBmsk => UOp::BitMask { d, a: self.a(), b: self.b(), wrap: self.bit(75) },
            Kind::UBrev => UOp::Brev { d, b: self.b() },
            Kind::UPopc => UOp::Popc { d, b: self.b() },
            _ => return None,
        })
    }

    /// A uniform register that starts a pair.
    pub(super) fn upair(&mut self, index: u8) -> u8 {
        if index < UZERO && index % 2 != 0 {
            self.broken = true;
        }
        index
    }
}
