//! The words to run for each opcode: the plain one, those that differ from it in one place, and
//! random ones.

use super::Check;
use super::body::{self, A, B, C, D, Memory, NARROW, PLACES, WIDE, parameters};
use crate::sm::Arch;
use crate::sm::decode::{Decoded, Place};
use crate::sm::table::*;

/// How many random combinations each opcode has.
const RANDOM: usize = 10;

/// A place of the word and what may stand there, the plain choice first.
struct Choice {
    mask: u128,
    values: Vec<u128>,
}

impl Choice {
    fn new(field: Field, values: impl IntoIterator<Item = u64>) -> Choice {
        let values = values.into_iter().map(|v| field.put(v)).collect();
        Choice { mask: field.mask(), values }
    }
}

/// Whether one instruction alone shows what it does: control flow, waiting and what depends on the
/// machine do not.
fn alone(kind: Kind) -> bool {
    use Kind::*;
    !matches!(
        kind,
        Membar
            | Errbar
            | Cctl
            | CgaErrbar
            | Nanosleep
            | Yield
            | Nop
            | Bra
            | BraU
            | Brx
            | BrxU
            | Call
            | CallAbs
            | PmTrig
            | CctlLocal
            | Arrives
            | SyncArrive
            | SyncCheck
            | SyncExchange
            | SyncForget
            | Signal
            | SignalRed
            | Bulk
            | BulkRed
            | BulkPrefetch
            | BulkCommit
            | TensorMapForget
            | GroupFence
            | GroupFloats
            | GroupBytes
            | GroupBits
            | GroupEighths
            | SetRegisters
            | UIAdd3Wide
            | CallReg
            | Ret
            | Exit
            | Bssy
            | Bsync
            | Break
            | BmovToReg
            | BmovFromReg
            | BmovImm
            | BmovBar
            | WarpSyncReg
            | WarpSyncImm
            | WarpSyncAll
            | EndCollective
            | Bar
            | B2r
            | Bpt
            | Kill
            | CallTo
            | Lepc
            | LepcNext
            | ClusterArrive
            | ClusterWait
            | LdgDepBar
            | DepBar
            | Qspc
    )
}

/// Whether all lanes of a warp work on one matrix.
fn of_warp(kind: Kind) -> bool {
    use Kind::*;
    matches!(kind, Hmma | HmmaSparse | Imma | ImmaSparse | Bmma | Dmma | Movm | Ldsm | Stsm)
}

/// The checks of one opcode.
pub(super) fn of(arch: Arch, opcode: u16) -> Vec<Check> {
    let rows = rows_of(arch, opcode).iter().enumerate();
    rows.filter(|(_, (row, _))| alone(row.kind))
        .flat_map(|(at, (row, form))| of_row(arch, (opcode, at), row, *form))
        .collect()
}

fn of_row(arch: Arch, (opcode, at): (u16, usize), row: &'static Row, form: u8) -> Vec<Check> {
    let told = row.variant.map_or(0, |variant| variant.value);
    let decoded = Decoded { arch, word: u128::from(opcode) | told, row, form };
    let choices = choices(&decoded);
    let fixed = decoded.word | if row.uniform() || form >= 6 { UNIFORM.put(1) } else { 0 };
    let plain = choices.iter().fold(fixed, |word, choice| word | choice.values[0]);
    let mut words = vec![plain];
    for choice in &choices {
        words.extend(choice.values[1..].iter().map(|value| plain & !choice.mask | value));
    }
    if of_warp(row.kind) {
        // Every shape with every type.
        for choice in &choices[..row.modifiers.len()] {
            let each = |value: &u128| words.iter().map(|w| w & !choice.mask | value).collect();
            words = choice.values.iter().flat_map(|v| -> Vec<u128> { each(v) }).collect();
            words.sort_unstable();
            words.dedup();
        }
    }
    let mut dice = (u64::from(opcode) << 32 | 0x9e37_79b9) ^ (at as u64) << 48;
    let mut roll = || {
        dice = dice.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (dice >> 33) as usize
    };
    // Many combinations mean nothing: more are tried than are wanted.
    let mut checks: Vec<Check> = words.iter().filter_map(|w| Check::new(arch, *w)).collect();
    let single = checks.len();
    for _ in 0..RANDOM * 40 {
        let word = choices
            .iter()
            .fold(fixed, |word, choice| word | choice.values[roll() % choice.values.len()]);
        if checks.len() < single + RANDOM && checks.iter().all(|c| c.word() != word) {
            checks.extend(Check::new(arch, word));
        }
    }
    checks
}

/// The legal values of a modifier, the one that prints nothing first.
fn modifier(modifier: &Modifier) -> Choice {
    let mut legal: Vec<usize> =
        (0..modifier.names.len()).filter(|n| modifier.names[*n] != BAD).collect();
    legal.sort_by_key(|n| !modifier.names[*n].is_empty());
    Choice { mask: modifier.mask(), values: legal.into_iter().map(|n| modifier.put(n)).collect() }
}

fn choices(decoded: &Decoded) -> Vec<Choice> {
    let mut out: Vec<Choice> = decoded.row.modifiers.iter().map(modifier).collect();
    for operand in decoded.row.operands {
        self::operand(decoded, operand, &mut out);
    }
    // The guard: always, by a predicate, by its opposite. Matrices need the whole warp.
    let guard = |index, not| GUARD.put(index) | GUARD_NOT.put(not);
    let mut values = vec![guard(7, 0), guard(5, 0), guard(6, 1)];
    if of_warp(decoded.row.kind) {
        values.truncate(1);
    }
    out.push(Choice { mask: GUARD.mask() | GUARD_NOT.mask(), values });
    out
}

/// A source, with its signs.
fn source(decoded: &Decoded, operand: &Operand, mods: Mods, out: &mut Vec<Choice>) {
    let place = decoded.place(operand);
    let natural = match operand {
        Operand::A(_) => A,
        Operand::C(_) => C,
        _ => B,
    };
    let uniform = decoded.row.uniform();
    // What a variant leaves out must not be named: the plain word leaves it out.
    let absent = matches!(decoded.row.kind, Kind::Lea | Kind::ULea | Kind::F2fp)
        && matches!(operand, Operand::C(_));
    let order = |natural, zero| if absent { [zero, natural] } else { [natural, zero] };
    out.push(match place {
        Place::A if uniform => Choice::new(USRC_A, order(natural, 63)),
        Place::A => Choice::new(SRC_A, order(natural, 255)),
        Place::Reg32 if uniform => Choice::new(SLOT32_UREG, order(natural, 63)),
        Place::Reg32 => Choice::new(SLOT32_REG, order(natural, 255)),
        Place::Ureg32 => Choice::new(SLOT32_UREG, order(natural, 63)),
        Place::Reg64 if uniform => Choice::new(SLOT64_UREG, order(natural, 63)),
        Place::Reg64 => Choice::new(SLOT64_REG, order(natural, 255)),
        Place::Const32 => {
            let first = parameters(decoded.arch) as u64 + 16;
            Choice::new(CONST_OFFSET, [first, first + 8, first + 48])
        }
        Place::Imm32 => Choice::new(SLOT32_IMM, immediates(decoded.row.numbers)),
    });
    let fields = decoded.mod_fields(mods, place);
    out.extend([fields.neg, fields.abs].into_iter().flatten().map(|f| Choice::new(f, [0, 1])));
    out.extend(fields.halves.map(|field| Choice::new(field, [0, 2, 3])));
}

fn immediates(numbers: Numbers) -> Vec<u64> {
    match numbers {
        Numbers::Integer => {
            vec![0x1234_5678, 0, 1, 5, 31, 0x20, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xa5c3_0f81]
        }
        Numbers::Single => vec![
            0x3f9d_70a4,
            0,
            0x8000_0000,
            0x7f80_0000,
            0x7fc0_0001,
            1,
            0xc2f6_e979,
            0x3f80_0000,
            0x7f7f_ffff,
        ],
        Numbers::Double => {
            vec![0x3ff3_3333, 0, 0x8000_0000, 0x7ff0_0000, 0x7ff8_0000, 1, 0xc024_0000]
        }
        Numbers::Halves => vec![0x3e00_bc01, 0, 0x8000_0001, 0x7c00_fc00, 0x7e00_3c00, 0x03ff_7bff],
    }
}

fn operand(decoded: &Decoded, operand: &Operand, out: &mut Vec<Choice>) {
    let kind = decoded.row.kind;
    let place = body::memory(kind);
    let field = |lo: u8, width: u8| Field::new(lo + width - 1, lo);
    match *operand {
        Operand::Dst | Operand::DstNotZero => out.push(Choice::new(DST, [D])),
        Operand::A(m) | Operand::B(m) | Operand::C(m) | Operand::B32(m) | Operand::B64(m) => {
            source(decoded, operand, m, out);
        }
        Operand::Reg(lo) | Operand::RegNotZero(lo) => {
            out.push(match lo {
                // Where the kept elements of a sparse matrix were.
                40 => Choice::new(field(lo, 8), [PLACES]),
                32 => Choice::new(field(lo, 8), [B, 255]),
                _ => Choice::new(field(lo, 8), [C, 255]),
            });
        }
        Operand::Ureg(lo) => out.push(Choice::new(field(lo, 6), [B, 63])),
        Operand::UDst => out.push(Choice::new(UDST, [D])),
        Operand::PDst(lo, _) | Operand::UPDst(lo, _) => {
            let index = if lo == 81 { 0 } else { 1 };
            // Compilers throw the predicate of a global access away, and that of a match of any.
            let values = match place.is_some() || kind == Kind::Match {
                true => [7, index],
                false => [index, 7],
            };
            out.push(Choice::new(field(lo, 3), values));
        }
        // Which predicate, and whether its opposite.
        Operand::P(lo, not, _) | Operand::UP(lo, not, _) => {
            let index = match lo {
                87 => 2,
                77 => 3,
                _ => 4,
            };
            let put = |index, opposite| field(lo, 3).put(index) | Field::bit(not).put(opposite);
            let values = vec![put(index, 0), put(index, 1), put(7, 0), put(7, 1)];
            out.push(Choice { mask: field(lo, 3).mask() | 1 << not, values });
        }
        Operand::PInverted(lo, not, _) => {
            let put =
                |index: u64, opposite| field(lo, 3).put(index) | Field::bit(not).put(opposite);
            let values = vec![put(0, 0), put(5, 0), put(5, 1)];
            out.push(Choice { mask: field(lo, 3).mask() | 1 << not, values });
        }
        Operand::PThird => {
            let put = |index, uniform, not| {
                field(68, 3).put(index) | Field::bit(67).put(uniform) | Field::bit(71).put(not)
            };
            let uniform = u64::from(kind != Kind::UPlop3);
            let values = vec![put(4, 0, 0), put(4, 0, 1), put(3, uniform, 0), put(7, 0, 0)];
            out.push(Choice { mask: field(67, 5).mask(), values });
        }
        Operand::Table1 => {
            let put = |table: u64| PLOP_LOW.put(table & 7) | PLOP_HIGH.put(table >> 3);
            let values = [0x96, 0xe8, 0x80, 0xfe, 0xaa, 0xcc, 0xf0, 0x1b].map(put).to_vec();
            out.push(Choice { mask: PLOP_LOW.mask() | PLOP_HIGH.mask(), values });
        }
        Operand::Table2 => out.push(Choice::new(PLOP_SECOND, [0x0f, 0x33, 0x55, 0x27])),
        Operand::Part(field) => out.push(Choice::new(field, 0..1 << field.width())),
        Operand::Number(field) => out.push(Choice::new(field, numbers(field))),
        Operand::Special => {
            // Lane, thread, block, lane masks, zero: what does not depend on the machine.
            let known =
                [0x00, 0x20, 0x21, 0x22, 0x23, 0x25, 0x26, 0x27, 0x38, 0x39, 0x3a, 0x3b, 0x3c];
            out.push(match kind {
                Kind::Cs2r => Choice::new(SPECIAL, [0xff]),
                // What all lanes share.
                Kind::S2ur => Choice::new(SPECIAL, [0x25, 0x26, 0x27]),
                _ => Choice::new(SPECIAL, known),
            });
        }
        Operand::Fixed(field, value) => out.push(Choice::new(field, [value])),
        // What compilers leave in bits that mean nothing known: all ones.
        Operand::Hint(field) if field == Field::new(90, 87) => out.push(Choice::new(field, [7])),
        Operand::Hint(field) if field == Field::new(86, 81) => out.push(Choice::new(field, [0x3f])),
        Operand::Hint(_) => {}
        Operand::Constant => {
            let first = parameters(decoded.arch) as u64 + 16;
            out.push(Choice::new(CONST_OFFSET, [first, first + 8, first + 16]));
            if kind == Kind::Ldc {
                out.push(Choice::new(SRC_A, [NARROW, 255]));
            } else if decoded.row.operands.iter().any(fixes_uniform) {
                out.push(Choice::new(USRC_A, [63]));
            }
        }
        Operand::Global { ur } => {
            out.push(Choice::new(SRC_A, [WIDE]));
            out.push(Choice::new(OFFSET24, [0, 16]));
            if let Some(lo) = ur {
                // Named as a descriptor, as all compilers do.
                out.push(Choice::new(field(lo, 6), [4]));
                if matches!(kind, Kind::Ldg | Kind::Ld | Kind::Stg | Kind::St) {
                    out.push(Choice::new(DESCRIPTOR, [1]));
                }
            }
        }
        Operand::UniformAddress => {
            out.push(Choice::new(Field::new(91, 90), [3]));
            if matches!(kind, Kind::Red | Kind::RedFloat) {
                out.push(Choice::new(ATOM_DESCRIPTOR, [1]));
            }
        }
        Operand::AtomAddress => out.push(Choice::new(Field::new(71, 70), [3])),
        Operand::Window { ur, .. } => {
            if let Some(lo) = ur.filter(|_| decoded.row.operands.iter().any(fixes_uniform)) {
                out.push(Choice::new(field(lo, 6), [63]));
            }
            out.push(Choice::new(SRC_A, [NARROW]));
            out.push(Choice::new(OFFSET24, [0, 16]));
        }
        Operand::CopyTarget { ur } => {
            out.push(Choice::new(DST, [NARROW]));
            out.extend(ur.map(|lo| Choice::new(field(lo, 6), [63])));
        }
        Operand::CopySource { ur } => {
            out.push(Choice::new(SRC_A, [WIDE]));
            if let Some(lo) = ur {
                out.push(Choice::new(field(lo, 6), [4]));
                out.push(Choice::new(DESCRIPTOR, [1]));
            }
            out.push(Choice::new(COPY_GLOBAL_OFFSET, [0, 16]));
        }
        _ => debug_assert!(place == Some(Memory::Constant) || !alone(kind)),
    }
}

/// Whether a row always names a uniform register.
fn fixes_uniform(operand: &Operand) -> bool {
    matches!(operand, Operand::Fixed(field, 1) if *field == UNIFORM)
}

/// Some numbers of a field, ordinary ones first.
fn numbers(field: Field) -> Vec<u64> {
    let all = (1u64 << field.width()) - 1;
    match field {
        LUT => vec![0x96, 0xe8, 0xc0, 0xfc, 0x3c, 0xca, 0xea, 0x1b, 0x00, 0xff, 0x5a, 0x78],
        SHUFFLE_CLAMP => vec![0x1f, 0, 0x0f, 0x181f, 0x1c03, 0x1007],
        SHUFFLE_LANE => vec![1, 0, 2, 16, 31, 5],
        _ if field.width() >= 32 => immediates(Numbers::Integer),
        _ => vec![3, 0, 1, 4, 31 & all, all],
    }
}
