//! What the registers hold: edges of the formats among random numbers.

use super::{ROUNDS, THREADS};
use crate::sm::silicon::body::RECORD;
use std::sync::OnceLock;

/// Which numbers an instruction should see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Integer,
    Single,
    Double,
    Halves,
    /// Singles with all exponents alike.
    Exponents,
    /// Some of everything.
    Mixed,
    TensorF16,
    TensorBf16,
    TensorTf32,
    TensorF64,
}

/// A small generator, seeded by what the numbers are for.
struct Dice(u64);

impl Dice {
    fn new(class: Class, round: usize, salt: u64) -> Dice {
        let seed = (class as u64 * ROUNDS as u64 + round as u64 + 1).wrapping_mul(salt);
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        dice.roll();
        dice
    }

    fn roll(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        ((self.0 >> 33) ^ (self.0 >> 20)) as u32
    }

    fn below(&mut self, n: u32) -> u32 {
        self.roll() % n
    }

    fn of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u32) as usize]
    }

    fn sign(&mut self) -> u32 {
        self.roll() << 31
    }

    fn integer(&mut self) -> u32 {
        match self.below(4) {
            0 => self.of(&[
                0,
                1,
                2,
                0x7fff_ffff,
                0x8000_0000,
                0x8000_0001,
                u32::MAX,
                0xffff,
                0x1_0000,
            ]),
            1 => self.below(70).wrapping_sub(self.below(5)),
            2 => self.roll() >> self.below(32),
            _ => self.roll(),
        }
    }

    fn single(&mut self) -> u32 {
        match self.below(8) {
            0 => {
                self.sign()
                    | self.of(&[
                        0,
                        1,
                        0x007f_ffff,
                        0x0080_0000,
                        0x0080_0001,
                        0x7f7f_ffff,
                        0x7f80_0000,
                    ])
            }
            1 => {
                self.sign()
                    | self.of(&[0x7f80_0001, 0x7fbf_ffff, 0x7fc0_0000, 0x7fff_ffff, 0x7fc1_2345])
            }
            2 => {
                self.sign()
                    | self.of(&[
                        0x3f80_0000,
                        0x3f7f_ffff,
                        0x3f80_0001,
                        0x4000_0000,
                        0x3f00_0000,
                        0x4b00_0000,
                        0x4f00_0000,
                        0x5f00_0000,
                    ])
            }
            // Denormals.
            3 => self.sign() | self.roll() >> (9 + self.below(23)),
            // Halves of integers, small and large.
            4 => (self.integer() as i32 as f32 * 0.5).to_bits(),
            5 => self.roll(),
            _ => self.roll() & 0x83ff_ffff | 0x3c00_0000,
        }
    }

    fn half(&mut self) -> u32 {
        let sign = self.sign() >> 16;
        match self.below(8) {
            0 => sign | self.of(&[0, 1, 0x3ff, 0x400, 0x7bff, 0x7c00, 0x7c01, 0x7e00, 0x7fff]),
            1 => {
                sign | self
                    .of(&[0x3c00, 0x3bff, 0x4000, 0x3f80, 0x3f7f, 0x7f7f, 0x7f80, 0x7f81, 0x0080])
            }
            2 => sign | self.roll() & 0x3ff,
            3..=5 => sign | self.roll() & 0xfff | 0x3400,
            _ => self.roll() & 0xffff,
        }
    }

    fn double(&mut self) -> [u32; 2] {
        let (low, sign) = (self.roll(), self.sign());
        if self.below(8) == 0 {
            // Zeros, infinities, one.
            return [0, sign | self.of(&[0, 0x7ff0_0000, 0x3ff0_0000, 0x7ff8_0000])];
        }
        let high = match self.below(8) {
            0 => self.of(&[0, 0x0010_0000, 0x000f_ffff, 0x7fef_ffff, 0x7ff0_0000, 0x3ff0_0000]),
            1 => self.of(&[
                0x7ff0_0000,
                0x7ff8_0000,
                0x7ff4_0000,
                0x7fff_ffff,
                0x4330_0000,
                0x41e0_0000,
                0x43e0_0000,
            ]),
            2 => self.roll() >> (12 + self.below(20)),
            // Where singles and halves overflow, underflow and become denormal.
            3 => {
                self.of(&[0x47e0_0000, 0x36a0_0000, 0x3810_0000, 0x40f0_0000, 0x3e60_0000])
                    ^ self.roll() >> 12
            }
            4 => self.roll() >> 1,
            _ => self.roll() & 0x00ff_ffff | 0x3f80_0000,
        };
        let low = match self.below(4) {
            0 => self.of(&[0, 1, u32::MAX, 0x8000_0000]),
            _ => low,
        };
        [low, sign | high]
    }

    fn pair(&mut self) -> u32 {
        self.half() | self.half() << 16
    }

    /// Four words of a class, for one operand.
    fn words(&mut self, class: Class, third: bool) -> [u32; 4] {
        let mut four = |one: fn(&mut Dice) -> u32| [(); 4].map(|()| one(self));
        match class {
            Class::Integer => four(Dice::integer),
            Class::Single => match self.below(8) {
                0 => self.words(Class::Halves, third),
                _ => four_of(self, Dice::single),
            },
            Class::Exponents => {
                // Near the ends of the range more often.
                four_of(self, |d| {
                    let x = d.roll();
                    match d.below(4) {
                        0 => x & 0x80ff_ffff | d.of(&[0, 1, 2, 3, 0x7d, 0x7e, 0x7b, 0x79]) << 24,
                        1 => x & 0x807f_ffff | d.of(&[24, 25, 125, 126, 127, 252, 253, 254]) << 23,
                        _ => x,
                    }
                })
            }
            Class::Halves => four(Dice::pair),
            Class::Double => {
                let ([a, b], [c, d]) = (self.double(), self.double());
                [a, b, c, d]
            }
            Class::Mixed => {
                let one = self.of(&[Class::Integer, Class::Single, Class::Halves, Class::Double]);
                self.words(one, third)
            }
            Class::TensorF64 => {
                let one = |d: &mut Dice| {
                    let exponent = 0x3f00_0000 + (d.below(32) << 20);
                    [d.roll(), d.sign() | exponent | d.roll() >> 12]
                };
                let ([a, b], [c, d]) = (one(self), one(self));
                [a, b, c, d]
            }
            Class::TensorF16 | Class::TensorBf16 | Class::TensorTf32 => {
                four_of(self, |d| d.tensor(class, third))
            }
        }
    }

    /// An element of a matrix: mostly ordinary, so that sums tell something; of A and B in the format
    /// of the class, of C a single (which as a pair of halves is ordinary too).
    fn tensor(&mut self, class: Class, third: bool) -> u32 {
        let rare = self.below(200) == 0;
        match (class, third) {
            _ if rare => match (class, third) {
                (Class::TensorF16, false) => self.pair(),
                _ => self.single(),
            },
            (_, true) => self.sign() | (0x3400_0000 + (self.below(24) << 23)) | self.roll() >> 9,
            (Class::TensorF16, _) => {
                let one =
                    |d: &mut Dice| d.sign() >> 16 | (8 + d.below(12)) << 10 | d.roll() & 0x3ff;
                one(self) | one(self) << 16
            }
            (Class::TensorBf16, _) => {
                let one =
                    |d: &mut Dice| d.sign() >> 16 | (121 + d.below(12)) << 7 | d.roll() & 0x7f;
                one(self) | one(self) << 16
            }
            _ => self.sign() | (121 + self.below(12)) << 23 | self.roll() >> 9,
        }
    }
}

fn four_of(dice: &mut Dice, one: impl Fn(&mut Dice) -> u32) -> [u32; 4] {
    [(); 4].map(|()| one(dice))
}

/// How many classes there are.
const CLASSES: usize = Class::TensorF64 as usize + 1;

/// The input of one round: a record for each thread, then one for each warp.
pub(super) fn words(class: Class, round: usize) -> &'static [u32] {
    static MADE: [OnceLock<Vec<u32>>; CLASSES * ROUNDS] =
        [const { OnceLock::new() }; CLASSES * ROUNDS];
    MADE[class as usize * ROUNDS + round].get_or_init(|| make(class, round))
}

fn make(class: Class, round: usize) -> Vec<u32> {
    let mut dice = Dice::new(class, round, 0x1234_5678);
    let mut other = Dice::new(class, round, 0x2468_ace0);
    let mut out = Vec::with_capacity((THREADS + THREADS / 32) * RECORD);
    for record in 0..THREADS + THREADS / 32 {
        let (a, b) = (dice.words(class, false), dice.words(class, false));
        let (mut c, d) = (dice.words(class, true), dice.words(class, true));
        // Sometimes operands are equal, as comparisons and swaps want them.
        let a = if record % 16 == 5 { b } else { a };
        if record % 4 == 1 && class == Class::Mixed {
            c = b;
        }
        out.extend([a, b, c, d].into_iter().flatten());
        out.extend([dice.roll(), places(&mut other, class), 0, 0]);
    }
    out
}

/// Where the elements of a sparse matrix that are there were: two of each four, in their order, or where
/// elements have 32 bits one of two.
fn places(dice: &mut Dice, class: Class) -> u32 {
    let legal: &[u32] = match class {
        Class::TensorTf32 => &[0x4, 0xe],
        _ => &[0x4, 0x8, 0x9, 0xc, 0xd, 0xe],
    };
    (0..8).fold(0, |word, _| word << 4 | dice.of(legal))
}

/// The constants of one round, in pairs for those that want them.
pub(super) fn constants(class: Class, round: usize) -> [u32; 16] {
    let mut dice = Dice::new(class, round, 0x8765_4321);
    let rows = [(); 4].map(|()| dice.words(class, false));
    std::array::from_fn(|n| rows[n / 4][n % 4])
}
