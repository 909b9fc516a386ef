//! The kernel around one word.
//!
//! Which registers it uses: R8.. for the first source, R12.. the second, R16.. the third, R20.. the
//! destination, which is filled too, so that a lane that must not be written shows. The same numbers
//! of uniform registers for uniform operands. Addresses are in R6 (32 bits) or R34 (64 bits).

use crate::sm::Arch;
use crate::sm::decode::Decoded;
use crate::sm::table::*;

pub(super) const A: u64 = 8;
pub(super) const B: u64 = 12;
pub(super) const C: u64 = 16;
pub(super) const D: u64 = 20;
/// The 64-bit address of memory instructions.
pub(super) const WIDE: u64 = 34;
/// The 32-bit address of memory instructions, or the index of a constant.
pub(super) const NARROW: u64 = 6;

/// Words of input of each thread, and of each warp after those of all threads.
pub(super) const RECORD: usize = 20;

const RZ: u64 = 255;
const PT: u64 = 7;
/// The predicates of all lanes before and after.
const PREDICATES: u64 = 40;
/// What is loaded beside them: places of the elements of sparse matrices.
pub(super) const PLACES: u64 = 41;
/// What holds the pointer to the inputs and to the outputs.
const FROM: u64 = 2;
const TO: u64 = 4;
/// What is the same in all lanes of a warp.
const SHARED_BY_WARP: u64 = 24;
/// The pointer to that.
const WARP: u64 = 46;
/// The pair that holds the memory descriptor.
const DESCRIPTOR_UR: u64 = 4;

/// Where parameters begin in constant bank 0.
pub(super) fn parameters(arch: Arch) -> usize {
    match arch {
        Arch::Sm87 => 0x160,
        Arch::Sm90 => 0x210,
    }
}

/// The first byte of shared memory that a kernel may use.
pub(super) fn shared_start(arch: Arch) -> u32 {
    match arch {
        Arch::Sm87 => 0,
        Arch::Sm90 => 0x400,
    }
}

/// Which memory an instruction touches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    Global,
    Shared,
    Local,
    /// From global to shared.
    Copy,
    Constant,
}

pub(super) fn memory(kind: Kind) -> Option<Memory> {
    use Kind::*;
    Some(match kind {
        Ldg | Ld | Stg | St | Atomg | AtomgFloat | Atom | AtomFloat | Red | RedFloat | AtomgCas
        | AtomCas | AtomCount => Memory::Global,
        Lds | Sts | Atoms | AtomsCount | AtomsCas | Ldsm | Stsm => Memory::Shared,
        Ldl | Stl => Memory::Local,
        Ldgsts => Memory::Copy,
        Ldc | Uldc => Memory::Constant,
        _ => return None,
    })
}

const NOP: u128 = 0x918;

/// The instruction of a name and operand form, with what every word of it needs.
struct Assembler {
    arch: Arch,
    words: Vec<u128>,
}

/// Nobody waits for this instruction, it waits for everybody, and the next comes fifteen cycles later.
const PLAIN_SCHEDULE: u64 = 0x3f << 11 | 7 << 8 | 7 << 5 | 15;
/// The same, and what comes next waits for its result.
const LONG_SCHEDULE: u64 = 0x3f << 11 | 7 << 8 | 15;
/// The same, and what comes next waits until its sources are read.
const STORE_SCHEDULE: u64 = 0x3f << 11 | 7 << 5 | 15;

impl Assembler {
    /// The plain word of an instruction: the first that has this kind and operand form.
    fn word(&self, kind: Kind, form: u8) -> u128 {
        let opcode = (0..4096u16).find(|op| {
            rows_of(self.arch, *op).iter().any(|(row, of)| row.kind == kind && *of == form)
        });
        let opcode = opcode.expect("the table has what the kernels are made of");
        u128::from(opcode) | GUARD.put(PT) | SCHEDULING.put(PLAIN_SCHEDULE)
    }

    fn push(&mut self, word: u128) {
        self.words.push(word);
    }

    /// A word whose result comes late.
    fn long(&mut self, word: u128) {
        self.push(word & !SCHEDULING.mask() | SCHEDULING.put(LONG_SCHEDULE));
    }

    fn stored(&mut self, word: u128) {
        self.push(word & !SCHEDULING.mask() | SCHEDULING.put(STORE_SCHEDULE));
    }

    /// Time for what has no scoreboard.
    fn rest(&mut self, count: usize) {
        let nop = NOP | GUARD.put(PT) | SCHEDULING.put(PLAIN_SCHEDULE);
        self.words.extend(std::iter::repeat_n(nop, count));
    }

    fn constant(&mut self, d: u64, offset: usize, wide: bool) {
        let load = self.word(Kind::Ldc, 0);
        let width = Field::new(75, 73).put(if wide { 5 } else { 4 });
        let at = CONST_OFFSET.put(offset as u64);
        self.long(load | DST.put(d) | SRC_A.put(RZ) | width | at);
    }

    fn special(&mut self, d: u64, index: u64) {
        let read = self.word(Kind::S2r, 0);
        self.long(read | DST.put(d) | SPECIAL.put(index));
    }

    /// `d = a * factor + c`, `c` and `d` being pairs.
    fn multiply_wide(&mut self, d: u64, a: u64, factor: u64, c: u64) {
        let word = self.word(Kind::IMadWide, 4);
        let out = Field::new(83, 81).put(PT) | Field::new(89, 87).put(PT);
        let sources = SRC_A.put(a) | SLOT32_IMM.put(factor) | SLOT64_REG.put(c);
        self.push(word | DST.put(d) | sources | out);
    }

    /// `d = a * factor + addend`.
    fn multiply(&mut self, d: u64, a: u64, factor: u64, addend: u64) {
        let word = self.word(Kind::IMad, 4);
        let fixed = Field::new(83, 81).put(PT) | Field::new(89, 87).put(PT);
        let sources = SRC_A.put(a) | SLOT32_IMM.put(factor) | SLOT64_REG.put(addend);
        self.push(word | DST.put(d) | sources | fixed);
    }

    fn add(&mut self, d: u64, a: u64, b: u64) {
        let word = self.word(Kind::IAdd3, 4);
        let off = Field::new(83, 81).put(PT) | Field::new(86, 84).put(PT);
        let carries = Field::new(90, 87).put(15) | Field::new(80, 77).put(15);
        let sources = SRC_A.put(a) | SLOT32_IMM.put(b) | SLOT64_REG.put(RZ);
        self.push(word | DST.put(d) | sources | off | carries);
    }

    fn shift_right(&mut self, d: u64, a: u64, by: u64) {
        let word = self.word(Kind::Shf, 4);
        let how = Field::bit(76).put(1) | Field::new(74, 73).put(3) | Field::bit(80).put(1);
        let sources = SRC_A.put(RZ) | SLOT32_IMM.put(by) | SLOT64_REG.put(a);
        self.push(word | DST.put(d) | sources | how);
    }

    fn global(&self, kind: Kind, address: u64, offset: u64, ur: Field) -> u128 {
        // Sixteen bytes, a 64-bit address, the usual eviction, the descriptor named.
        let how = Field::bit(72).put(1) | Field::new(75, 73).put(6) | Field::new(86, 84).put(1);
        let descriptor = DESCRIPTOR.put(1) | ur.put(DESCRIPTOR_UR) | Field::new(91, 90).put(3);
        self.word(kind, 0) | SRC_A.put(address) | OFFSET24.put(offset) | how | descriptor
    }

    fn load(&mut self, d: u64, address: u64, offset: u64) {
        let off = Field::new(83, 81).put(PT);
        let word = self.global(Kind::Ldg, address, offset, SLOT32_UREG);
        self.long(word & !0xfff | 0x981 | DST.put(d) | off);
    }

    fn store(&mut self, address: u64, offset: u64, s: u64) {
        let word = self.global(Kind::Stg, address, offset, SLOT64_UREG);
        self.stored(word & !0xfff | 0x986 | SLOT32_REG.put(s));
    }

    /// Sixteen bytes of shared or local memory at R6.
    fn window(&mut self, kind: Kind, offset: u64, register: Field, index: u64) {
        let width = Field::new(75, 73).put(6);
        let hint = match kind {
            Kind::Ldl | Kind::Stl => Field::new(86, 84).put(1),
            _ => 0,
        };
        let word = self.word(kind, 0) | SRC_A.put(NARROW) | OFFSET24.put(offset) | width | hint;
        match kind {
            Kind::Sts | Kind::Stl => self.stored(word | register.put(index)),
            _ => self.long(word | register.put(index)),
        }
    }

    fn exit(&mut self) {
        let word = self.word(Kind::Exit, 0);
        self.push(word | Field::new(89, 87).put(PT));
        self.rest(8);
    }
}

/// Whether any uniform register or predicate plays a part.
fn touches_uniform(check: &Decoded) -> bool {
    use Operand::*;
    let named = check.row.operands.iter().any(|operand| {
        matches!(operand, UDst | Ureg(_) | UP(..) | UPDst(..) | PInverted(_, _, true) | PThird)
    });
    named || check.uniform_guard() || check.row.uniform() || check.form >= 6
}

/// The kernel that runs the word of `check` once.
pub(super) fn around(check: &Decoded) -> Vec<u128> {
    let arch = check.arch;
    let mut asm = Assembler { arch, words: Vec::new() };
    let base = parameters(arch);
    let uniform = touches_uniform(check);
    let place = memory(check.row.kind);
    // Where the descriptor is: bank 0, by generation.
    let descriptor = if arch == Arch::Sm87 { 0x118 } else { 0x208 };
    let load = asm.word(Kind::Uldc, 0);
    let wide = Field::new(75, 73).put(5) | CONST_OFFSET.put(descriptor);
    asm.push(load | UDST.put(DESCRIPTOR_UR) | wide);
    asm.rest(2);
    // Inputs of the thread, then of the warp.
    asm.special(0, 0x21);
    asm.constant(FROM, base, true);
    asm.constant(TO, base + 8, true);
    asm.multiply_wide(TO, 0, super::OUTPUTS as u64 * 4, TO);
    if uniform {
        asm.shift_right(1, 0, 5);
        asm.add(1, 1, super::THREADS as u64);
        asm.multiply_wide(WARP, 1, RECORD as u64 * 4, FROM);
    }
    asm.multiply_wide(FROM, 0, RECORD as u64 * 4, FROM);
    for at in 0..4 {
        asm.load(A + at * 4, FROM, at * 16);
    }
    asm.load(PREDICATES, FROM, 64);
    if uniform {
        uniform_inputs(&mut asm);
    }
    if let Some(place) = place {
        cell(&mut asm, place, check.row.kind);
    }
    let set = asm.word(Kind::R2p, 4);
    asm.push(set | SRC_A.put(PREDICATES) | SLOT32_IMM.put(0x7f));
    asm.rest(2);
    let word = check.word & !SCHEDULING.mask();
    match check.row.kind {
        Kind::S2ur
        // Takes the longer, the more the lanes differ.
        | Kind::Match
        | Kind::Ldg
        | Kind::Ld
        | Kind::Lds
        | Kind::Ldl
        | Kind::Ldc
        | Kind::Ldsm
        | Kind::Atoms
        | Kind::AtomsCas
        | Kind::AtomsCount
        | Kind::Atomg
        | Kind::AtomgFloat
        | Kind::Atom
        | Kind::AtomFloat
        | Kind::AtomgCas
        | Kind::AtomCas => asm.long(word),
        _ if place.is_some_and(|p| p != Memory::Constant) => asm.stored(word),
        _ => asm.push(word | SCHEDULING.put(PLAIN_SCHEDULE)),
    }
    if place == Some(Memory::Copy) {
        let arrived = asm.word(Kind::LdgDepBar, 0);
        asm.long(arrived);
    }
    // Some results come late and have no scoreboard here: this is longer than any of them takes.
    asm.rest(40);
    results(&mut asm, uniform, place);
    asm.exit();
    asm.words
}

/// Fills UR8.. and the uniform predicates with what the warp has in common.
fn uniform_inputs(asm: &mut Assembler) {
    for at in 0..4 {
        asm.load(SHARED_BY_WARP + at * 4, WARP, at * 16);
    }
    asm.load(44, WARP, 64);
    let to_uniform = asm.word(Kind::R2ur, 0) | Field::new(83, 81).put(PT);
    for n in 0..16 {
        asm.long(to_uniform | UDST.put(A + n) | SRC_A.put(SHARED_BY_WARP + n));
    }
    asm.long(to_uniform | UDST.put(28) | SRC_A.put(44));
    asm.rest(2);
    // A bit of UR28 for each: `and` with its mask, the predicate being "not zero".
    let and = asm.word(Kind::ULop3, 4) | UNIFORM.put(1) | LUT.put(0xc0);
    for p in 0..7 {
        let sources = USRC_A.put(28) | SLOT32_IMM.put(1 << p) | SLOT64_UREG.put(63);
        let never = Field::new(90, 87).put(15);
        asm.push(and | UDST.put(63) | Field::new(83, 81).put(p) | sources | never);
    }
    asm.rest(2);
}

/// Gives the thread 32 bytes of memory, filled with the third source and the destination.
fn cell(asm: &mut Assembler, place: Memory, kind: Kind) {
    let set = |asm: &mut Assembler, d, a, offset| asm.add(d, a, offset);
    if matches!(place, Memory::Global | Memory::Copy) {
        // Behind the eight results.
        let word = asm.word(Kind::IMadWide, 4);
        let off = Field::new(83, 81).put(PT) | Field::new(89, 87).put(PT);
        let sources = SRC_A.put(RZ) | SLOT32_IMM.put(0) | SLOT64_REG.put(TO);
        asm.push(word | DST.put(WIDE) | sources | off);
        set(asm, WIDE, WIDE, 32);
        asm.store(WIDE, 0, C);
        asm.store(WIDE, 16, D);
    }
    match place {
        Memory::Shared | Memory::Copy => {
            asm.multiply(NARROW, 0, 32, RZ);
            set(asm, NARROW, NARROW, shared_start(asm.arch).into());
            asm.window(Kind::Sts, 0, SLOT32_REG, C);
            asm.window(Kind::Sts, 16, SLOT32_REG, D);
        }
        Memory::Local => {
            asm.constant(NARROW, 0x28, false);
            set(asm, NARROW, NARROW, (-64i32) as u32 as u64);
            asm.window(Kind::Stl, 0, SLOT32_REG, C);
            asm.window(Kind::Stl, 16, SLOT32_REG, D);
        }
        Memory::Constant if kind == Kind::Ldc => {
            // One of eight words of the sixteen that are parameters.
            asm.multiply(NARROW, 0, 4, RZ);
            let and = asm.word(Kind::Lop3, 4) | LUT.put(0xc0) | Field::new(90, 87).put(15);
            let sources = SRC_A.put(NARROW) | SLOT32_IMM.put(0x18) | SLOT64_REG.put(RZ);
            asm.push(and | DST.put(NARROW) | sources | Field::new(83, 81).put(PT));
        }
        _ => {}
    }
}

/// Writes back what the word can have changed.
fn results(asm: &mut Assembler, uniform: bool, place: Option<Memory>) {
    let read = asm.word(Kind::P2r, 4) | SRC_A.put(RZ) | SLOT32_IMM.put(0x7f);
    asm.push(read | DST.put(24));
    asm.multiply(25, RZ, 0, RZ);
    asm.multiply(26, RZ, 0, RZ);
    asm.multiply(27, RZ, 0, RZ);
    if uniform {
        let from_uniform = asm.word(Kind::Mov, 6) | UNIFORM.put(1) | Field::new(75, 72).put(15);
        asm.push(from_uniform | DST.put(25) | SLOT32_UREG.put(D));
        asm.push(from_uniform | DST.put(26) | SLOT32_UREG.put(D + 1));
        // The uniform predicates become ordinary ones: the third source, by its truth table.
        let third = asm.word(Kind::Plop3, 0) | Field::bit(67).put(1) | PLOP_HIGH.put(0xaa >> 3);
        let sources =
            PLOP_LOW.put(0xaa & 7) | Field::new(89, 87).put(PT) | Field::new(79, 77).put(PT);
        for p in 0..7 {
            let out = Field::new(83, 81).put(p) | Field::new(86, 84).put(PT);
            asm.push(third | sources | out | Field::new(70, 68).put(p));
        }
        asm.rest(2);
        asm.push(read | DST.put(27));
    }
    asm.store(TO, 0, D);
    asm.store(TO, 16, 24);
    match place {
        Some(Memory::Shared | Memory::Copy) => {
            asm.window(Kind::Lds, 0, DST, 28);
            asm.window(Kind::Lds, 16, DST, 32);
        }
        Some(Memory::Local) => {
            asm.window(Kind::Ldl, 0, DST, 28);
            asm.window(Kind::Ldl, 16, DST, 32);
        }
        _ => return,
    }
    asm.store(TO, 32, 28);
    asm.store(TO, 48, 32);
}
