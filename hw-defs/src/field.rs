//! A run of bits in a 32-bit word, and the names its values have.

use crate::name;

/// One named value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// The vendor's name without the prefixes of class, method and field.
    pub name: &'static str,
    /// The value, not shifted into place.
    pub value: u32,
}

/// Bits `hi:lo` of a 32-bit word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The vendor's name; a method's field leaves out the method's own name.
    pub name: &'static str,
    /// The highest bit, inclusive.
    pub hi: u32,
    /// The lowest bit.
    pub lo: u32,
    /// The values that have names, in the vendor's order. Two names may share a value.
    pub values: &'static [Value],
}

impl Field {
    pub(crate) const fn new(
        name: &'static str,
        hi: u32,
        lo: u32,
        values: &'static [Value],
    ) -> Field {
        assert!(lo <= hi && hi < 32, "a field lies within one word");
        let field = Field { name, hi, lo, values };
        let mut i = 0;
        while i < values.len() {
            assert!(field.fits(values[i].value), "a named value fits its field");
            i += 1;
        }
        field
    }

    /// The largest value that the field holds.
    #[inline]
    pub const fn max(&self) -> u32 {
        u32::MAX >> (31 - (self.hi - self.lo))
    }

    /// The field's bits in place.
    #[inline]
    pub const fn mask(&self) -> u32 {
        self.max() << self.lo
    }

    /// Whether the field can hold `value`.
    #[inline]
    pub const fn fits(&self, value: u32) -> bool {
        value <= self.max()
    }

    /// `value` shifted into place, to be or-ed into a word.
    ///
    /// A value that does not fit is a bug in the caller: debug builds panic, others drop the bits
    /// that would have changed a neighbour. Check values that come from outside with
    /// [`Field::fits`] first.
    #[inline]
    pub const fn set(&self, value: u32) -> u32 {
        debug_assert!(self.fits(value), "value does not fit its field");
        (value << self.lo) & self.mask()
    }

    /// The field's value in `word`.
    #[inline]
    pub const fn get(&self, word: u32) -> u32 {
        (word & self.mask()) >> self.lo
    }

    /// The first name that `value` has in this field.
    pub fn value_name(&self, value: u32) -> Option<&'static str> {
        value_name(self.values, value)
    }

    /// Whether the vendor reserves these bits, so that software has no business setting them.
    pub const fn is_reserved(&self) -> bool {
        name::has_reserved(self.name)
    }
}

pub(crate) fn value_name(values: &'static [Value], value: u32) -> Option<&'static str> {
    values.iter().find(|named| named.value == value).map(|named| named.name)
}

/// One field and the values it names, as constants: `1:0 NAME { NAME_VALUE = 0, ... }`.
macro_rules! field {
    (
        $(#[$doc:meta])* $owner:ident: $short:expr;
        $hi:literal : $lo:literal $field:ident $({ $($value:ident = $number:literal),+ $(,)? })?
    ) => {
        #[doc = concat!("Bits `", $hi, ":", $lo, "` of `", stringify!($owner), "`.\n\n")]
        $(#[$doc])*
        pub const $field: $crate::Field = $crate::Field::new(
            $short,
            $hi,
            $lo,
            &[$($($crate::Value {
                name: $crate::name::after(stringify!($value), stringify!($field)),
                value: $number,
            }),+)?],
        );
        $($(
            #[doc = concat!("A value of [`", stringify!($field), "`].")]
            pub const $value: u32 = $number;
        )+)?
    };
}

/// The fields of a word that is not a method's data, and a list of them under the word's name.
macro_rules! fields {
    ($(#[$owner_doc:meta])* $owner:ident {$(
        $(#[$doc:meta])*
        $hi:literal : $lo:literal $field:ident $({ $($value:ident = $number:literal),+ $(,)? })?
    ),+ $(,)?}) => {
        $(#[$owner_doc])*
        pub const $owner: &[$crate::Field] = &[$($field),+];
        $(field! {
            $(#[$doc])* $owner: $crate::name::after(stringify!($field), stringify!($owner));
            $hi:$lo $field $({ $($value = $number),+ })?
        })+
    };
}
