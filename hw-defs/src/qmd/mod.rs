//! QMD, the launch descriptor: 64 or 96 words that describe one grid to the compute engine.
//!
//! A field is `hi:lo` over the whole descriptor, as the vendor numbers it. No field of any version
//! crosses a word boundary, and the build stops if one ever does: so changing a field of a
//! descriptor that lies in GPU memory is always one 32-bit store, to [`QmdField::word`].

use core::fmt;

use crate::Field;
use crate::field::Value;

/// Descriptors are aligned to this many bytes; SEND_PCAS_A and dependent pointers count in it.
pub const ALIGN: u64 = 256;

/// One field of a descriptor, or one element of an array of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QmdField {
    /// The vendor's name without the prefixes of class and version.
    pub name: &'static str,
    /// Which element, where the name stands for an array.
    pub index: Option<u32>,
    /// The highest bit, inclusive, counted from the descriptor's first.
    pub hi: u32,
    /// The lowest bit.
    pub lo: u32,
    /// The values that have names.
    pub values: &'static [Value],
}

impl QmdField {
    /// Index of the word that holds the field.
    #[inline]
    pub const fn word(&self) -> usize {
        (self.lo / 32) as usize
    }

    /// The field within its word.
    #[inline]
    pub const fn in_word(&self) -> Field {
        Field { name: self.name, hi: self.hi % 32, lo: self.lo % 32, values: self.values }
    }

    /// The largest value that the field holds.
    pub const fn max(&self) -> u32 {
        self.in_word().max()
    }

    /// The first name that `value` has in this field.
    pub fn value_name(&self, value: u32) -> Option<&'static str> {
        self.in_word().value_name(value)
    }
}

impl fmt::Display for QmdField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}({index})", self.name),
            None => f.write_str(self.name),
        }
    }
}

/// A value that its field cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// The field.
    pub field: QmdField,
    /// What it was to hold.
    pub value: u64,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} holds at most {}, not {}", self.field, self.field.max(), self.value)
    }
}

impl core::error::Error for TooLarge {}

/// The words of a descriptor, all zero at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Qmd<const WORDS: usize> {
    words: [u32; WORDS],
}

impl<const WORDS: usize> Qmd<WORDS> {
    /// A descriptor of zeros.
    pub const fn new() -> Self {
        Qmd { words: [0; WORDS] }
    }

    /// A descriptor that was read from somewhere.
    pub const fn from_words(words: [u32; WORDS]) -> Self {
        Qmd { words }
    }

    /// What the GPU reads.
    pub const fn words(&self) -> &[u32; WORDS] {
        &self.words
    }

    /// The field's value.
    ///
    /// # Panics
    /// If the field belongs to a longer version.
    #[inline]
    pub const fn get(&self, field: QmdField) -> u32 {
        field.in_word().get(self.words[field.word()])
    }

    /// Changes the field's bits and no others. For values that are known to fit: debug builds panic
    /// on others, release builds cut them.
    ///
    /// # Panics
    /// If the field belongs to a longer version.
    #[inline]
    pub const fn set(&mut self, field: QmdField, value: u32) {
        let bits = field.in_word();
        let word = &mut self.words[field.word()];
        *word = *word & !bits.mask() | bits.set(value);
    }

    /// As [`Qmd::set`] for values from outside, such as a grid. Takes 64 bits so that nothing is
    /// cut before it is checked.
    ///
    /// # Panics
    /// If the field belongs to a longer version.
    pub const fn try_set(&mut self, field: QmdField, value: u64) -> Result<(), TooLarge> {
        if value > field.max() as u64 {
            return Err(TooLarge { field, value });
        }
        self.set(field, value as u32);
        Ok(())
    }
}

impl<const WORDS: usize> Default for Qmd<WORDS> {
    fn default() -> Self {
        Qmd::new()
    }
}

/// One line of a layout: a field, or an array of fields `stride` bits apart.
#[derive(Clone, Copy, Debug)]
struct Line {
    name: &'static str,
    hi: u32,
    lo: u32,
    /// `None`: the name is a field, not an array.
    array: Option<Array>,
    values: &'static [Value],
}

#[derive(Clone, Copy, Debug)]
struct Array {
    count: u32,
    stride: u32,
}

impl Line {
    const fn count(&self) -> u32 {
        match self.array {
            Some(array) => array.count,
            None => 1,
        }
    }

    const fn at(&self, i: u32) -> QmdField {
        assert!(i < self.count(), "index beyond an array of fields");
        let (index, shift) = match self.array {
            Some(array) => (Some(i), i * array.stride),
            None => (None, 0),
        };
        let (hi, lo) = (self.hi + shift, self.lo + shift);
        assert!(lo <= hi && lo / 32 == hi / 32, "a field lies within one word");
        QmdField { name: self.name, index, hi, lo, values: self.values }
    }
}

/// The most words that a descriptor of any version has.
const MAX_WORDS: usize = 96;

/// All fields of one version of the descriptor.
#[derive(Debug)]
pub struct Layout {
    /// The vendor's name of the version, such as `V03_00`.
    pub version: &'static str,
    /// Words of a descriptor.
    pub words: usize,
    lines: &'static [Line],
    /// The bits of each word that software may set.
    masks: [u32; MAX_WORDS],
}

impl Layout {
    const fn new(version: &'static str, words: usize, lines: &'static [Line]) -> Layout {
        let mut masks = [0; MAX_WORDS];
        let mut line = 0;
        while line < lines.len() {
            let mut i = 0;
            while i < lines[line].count() {
                let field = lines[line].at(i);
                assert!(field.word() < words, "a field lies within the descriptor");
                if !field.in_word().is_reserved() {
                    masks[field.word()] |= field.in_word().mask();
                }
                i += 1;
            }
            line += 1;
        }
        Layout { version, words, lines, masks }
    }

    /// Every field, arrays element by element, in the vendor's order.
    pub fn fields(&self) -> impl Iterator<Item = QmdField> + use<> {
        self.lines.iter().flat_map(|line| (0..line.count()).map(|i| line.at(i)))
    }

    /// The first word that sets bits which no field owns or which the vendor reserves, and those
    /// bits.
    pub fn check(&self, words: &[u32]) -> Option<(usize, u32)> {
        let extra = |(index, (word, mask)): (usize, (&u32, &u32))| {
            (word & !mask != 0).then_some((index, word & !mask))
        };
        words.iter().zip(&self.masks).enumerate().find_map(extra)
    }

    /// The descriptor as text, one line for each field that is not zero.
    pub const fn text<'a>(&'static self, words: &'a [u32]) -> Text<'a> {
        Text { layout: self, words }
    }
}

/// A descriptor that prints itself; made by [`Layout::text`].
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    layout: &'static Layout,
    words: &'a [u32],
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "QMD {}", self.layout.version)?;
        for field in self.layout.fields() {
            let word = self.words.get(field.word()).copied().unwrap_or(0);
            let value = field.in_word().get(word);
            match field.value_name(value) {
                _ if value == 0 => {}
                Some(name) => writeln!(f, "  {field} = {name}")?,
                None => writeln!(f, "  {field} = {value:#x}")?,
            }
        }
        if let Some((word, bits)) = self.layout.check(self.words) {
            writeln!(f, "  error: word {word} sets reserved bits {bits:#010x}")?;
        }
        Ok(())
    }
}

/// The lines of a version: `hi:lo NAME`, or `hi:lo NAME[count; stride in bits]` for the first
/// element of an array. A field becomes a [`QmdField`], an array a `const fn` of the index, a named
/// value a `u32`.
macro_rules! qmd {
    ($version:ident, $words:literal words; $(
        $(#[$doc:meta])*
        $hi:literal : $lo:literal $field:ident $([$count:literal; $stride:literal])?
        $({ $($value:ident = $number:literal),+ $(,)? })?
    ),+ $(,)?) => {
        $(
            qmd!(@field $(#[$doc])* $hi:$lo $field $([$count; $stride])?,
                qmd!(@line $hi:$lo $field $([$count; $stride])? $({ $($value = $number),+ })?));
            $($(
                #[doc = concat!("A value of `", stringify!($field), "`.")]
                pub const $value: u32 = $number;
            )+)?
        )+

        /// Every field of this version.
        pub static LAYOUT: super::Layout = super::Layout::new(stringify!($version), $words, &[
            $(qmd!(@line $hi:$lo $field $([$count; $stride])? $({ $($value = $number),+ })?)),+
        ]);

        /// A descriptor of this version.
        pub type Qmd = super::Qmd<$words>;
    };
    (@field $(#[$doc:meta])* $hi:literal : $lo:literal $field:ident, $line:expr) => {
        #[doc = concat!("Bits `", $hi, ":", $lo, "`.\n\n")]
        $(#[$doc])*
        pub const $field: super::QmdField = $line.at(0);
    };
    (
        @field $(#[$doc:meta])*
        $hi:literal : $lo:literal $field:ident [$count:literal; $stride:literal], $line:expr
    ) => {
        #[doc = concat!(
            "Bits `", $hi, ":", $lo, "` and on, ", $count, " elements ", $stride, " bits apart.\n\n"
        )]
        $(#[$doc])*
        ///
        /// # Panics
        /// If the array has no element `i`.
        #[allow(non_snake_case)]
        pub const fn $field(i: u32) -> super::QmdField {
            const LINE: super::Line = $line;
            LINE.at(i)
        }
    };
    (
        @line $hi:literal : $lo:literal $field:ident $([$count:literal; $stride:literal])?
        $({ $($value:ident = $number:literal),+ })?
    ) => {
        super::Line {
            name: stringify!($field),
            hi: $hi,
            lo: $lo,
            array: qmd!(@array $($count; $stride)?),
            values: &[$($($crate::Value {
                name: $crate::name::after(stringify!($value), stringify!($field)),
                value: $number,
            }),+)?],
        }
    };
    (@array) => { None };
    (@array $count:literal; $stride:literal) => {
        Some(super::Array { count: $count, stride: $stride })
    };
}

pub mod v03_00;
pub mod v04_00;
