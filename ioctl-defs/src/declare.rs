//! The macros that declare everything in this crate, and what they leave behind for the registry.

use crate::Entry;

/// A struct as the registry knows it.
#[derive(Clone, Copy, Debug)]
pub struct Struct {
    /// The name in this crate.
    pub name: &'static str,
    /// The vendor's name. Two structs share it where the vendor has a union of two shapes.
    pub vendor: &'static str,
    /// Size in bytes.
    pub size: usize,
    /// Alignment in bytes.
    pub align: usize,
    /// In order of declaration, padding included.
    pub fields: &'static [Field],
}

/// A field of a [`Struct`].
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The vendor's name, with dots where it is a member of a nested struct or union.
    pub name: &'static str,
    /// The Rust type.
    pub ty: &'static str,
    /// Offset in bytes.
    pub offset: usize,
    /// Size in bytes.
    pub size: usize,
}

impl Field {
    /// Padding that the vendor left to the compiler, so that its headers do not name it.
    pub fn is_padding(&self) -> bool {
        self.name.strip_prefix("_pad").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
    }
}

/// A constant as the registry knows it.
#[derive(Clone, Copy, Debug)]
pub struct Constant {
    /// The vendor's name.
    pub name: &'static str,
    /// The value; a negative one is sign-extended.
    pub value: u64,
}

/// Some bits of a 32-bit word: a field of a word of flags that is wider than a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// The vendor's name.
    pub name: &'static str,
    /// The highest bit.
    pub hi: u32,
    /// The lowest bit.
    pub lo: u32,
}

impl Bits {
    /// The bits of a value, in their place.
    pub const fn set(self, value: u32) -> u32 {
        debug_assert!(value <= self.mask() >> self.lo, "the value does not fit its field");
        value << self.lo
    }

    /// The value in a word.
    pub const fn get(self, word: u32) -> u32 {
        (word & self.mask()) >> self.lo
    }

    const fn mask(self) -> u32 {
        u32::MAX >> (31 - self.hi) & u32::MAX << self.lo
    }
}

/// What one file declares: the lists that the macros below leave in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Module {
    pub structs: &'static [Struct],
    pub flags: &'static [Constant],
    pub bits: &'static [Bits],
    pub constants: &'static [Constant],
    pub requests: &'static [Entry],
    pub classes: &'static [Entry],
    pub controls: &'static [Entry],
}

impl Module {
    /// For the lists that a file does not have.
    pub const EMPTY: Module = Module {
        structs: &[],
        flags: &[],
        bits: &[],
        constants: &[],
        requests: &[],
        classes: &[],
        controls: &[],
    };
}

/// The second expression if there is one, else the first.
macro_rules! or {
    ($default:expr) => {
        $default
    };
    ($default:expr, $value:expr) => {
        $value
    };
}

/// Declares argument structs and the list `STRUCTS`.
///
/// A literal after the name of a struct or field is the vendor's name where Rust cannot have it:
/// keywords, members of unions. Fields need a doc line only where the driver's behaviour is not
/// what the name says. An alignment is given where the vendor's comes from a member of a union that
/// the struct does not have.
macro_rules! structs {
    ($(
        $(#[doc = $doc:literal])+
        $(#[repr(align($align:literal))])?
        pub struct $name:ident $($vendor:literal)? {
            $(
                $(#[doc = $field_doc:literal])*
                $field:ident $($path:literal)?: $ty:ty,
            )*
        }
    )*) => {
        $(
            $(#[doc = $doc])+
            #[allow(missing_docs)]
            #[derive(
                Clone, Copy, Debug,
                zerocopy::FromBytes, zerocopy::IntoBytes,
                zerocopy::KnownLayout, zerocopy::Immutable,
            )]
            #[repr(C $(, align($align))?)]
            pub struct $name {
                $(
                    $(#[doc = $field_doc])*
                    pub $field: $ty,
                )*
            }

            // By hand: arrays of more than 32 elements have no `Default`.
            impl Default for $name {
                fn default() -> Self {
                    zerocopy::FromZeros::new_zeroed()
                }
            }

            impl crate::Argument for $name {
                const NAME: &'static str = or!(stringify!($name) $(, $vendor)?);
            }
        )*

        pub(crate) const STRUCTS: &[crate::Struct] = &[
            $(crate::Struct {
                name: stringify!($name),
                vendor: or!(stringify!($name) $(, $vendor)?),
                size: size_of::<$name>(),
                align: align_of::<$name>(),
                fields: &[
                    $(crate::Field {
                        name: or!(stringify!($field) $(, $path)?),
                        ty: stringify!($ty),
                        offset: core::mem::offset_of!($name, $field),
                        size: size_of::<$ty>(),
                    },)*
                ],
            },)*
        ];
    };
}

/// Declares plain constants, in groups that share a doc line and a type, and the list `CONSTANTS`.
macro_rules! constants {
    ($(
        $(#[doc = $doc:literal])+
        $ty:ident { $($name:ident = $value:expr,)+ }
    )*) => {
        $(constants!(@group [$(#[doc = $doc])+] $ty $($name = $value,)+);)*

        pub(crate) const CONSTANTS: &[crate::Constant] = &[
            $($(crate::Constant { name: stringify!($name), value: $name as u64 },)+)*
        ];
    };
    (@group $doc:tt $ty:ident $($name:ident = $value:expr,)+) => {
        $(constants!(@one $doc $ty $name = $value);)+
    };
    (@one [$(#[doc = $doc:literal])+] $ty:ident $name:ident = $value:expr) => {
        $(#[doc = $doc])+
        pub const $name: $ty = $value;
    };
}

/// Declares flag types and the list `FLAGS`.
///
/// The drivers return bits that these headers do not name, so every bit is allowed in them.
macro_rules! flags {
    ($(
        $(#[doc = $doc:literal])+
        pub struct $name:ident: $repr:ident {
            $($flag:ident = $vendor:literal, $value:expr;)+
        }
    )*) => {
        $(
            $(#[doc = $doc])+
            #[derive(
                Clone, Copy, Default, PartialEq, Eq, Hash,
                zerocopy::FromBytes, zerocopy::IntoBytes,
                zerocopy::KnownLayout, zerocopy::Immutable,
            )]
            #[repr(transparent)]
            pub struct $name($repr);

            bitflags::bitflags! {
                impl $name: $repr {
                    $(
                        #[doc = concat!("`", $vendor, "`")]
                        const $flag = $value;
                    )+
                    const _ = !0;
                }
            }

            impl core::fmt::Debug for $name {
                fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                    if self.is_empty() {
                        return f.write_str("0");
                    }
                    bitflags::parser::to_writer(self, f)
                }
            }
        )*

        pub(crate) const FLAGS: &[crate::Constant] = &[
            $($(crate::Constant { name: $vendor, value: $name::$flag.bits() as u64 },)+)*
        ];
    };
}

/// Declares fields of words of flags, in groups that share a doc line, and the list `BITS`.
macro_rules! bits {
    ($(
        $(#[doc = $doc:literal])+
        { $($name:ident = $hi:literal:$lo:literal,)+ }
    )*) => {
        $(bits!(@group [$(#[doc = $doc])+] $($name = $hi:$lo,)+);)*

        pub(crate) const BITS: &[crate::Bits] = &[$($($name,)+)*];
    };
    (@group $doc:tt $($name:ident = $hi:literal:$lo:literal,)+) => {
        $(bits!(@one $doc $name = $hi:$lo);)+
    };
    (@one [$(#[doc = $doc:literal])+] $name:ident = $hi:literal:$lo:literal) => {
        $(#[doc = $doc])+
        pub const $name: crate::Bits = crate::Bits { name: stringify!($name), hi: $hi, lo: $lo };
    };
}

/// Declares requests and the list `REQUESTS`.
macro_rules! requests {
    ($($declaration:tt)*) => { numbers!(REQUESTS $($declaration)*); };
}

/// Declares classes of RM and the list `CLASSES`.
macro_rules! classes {
    ($($declaration:tt)*) => { numbers!(CLASSES $($declaration)*); };
}

/// Declares controls of RM and the list `CONTROLS`.
macro_rules! controls {
    ($($declaration:tt)*) => { numbers!(CONTROLS $($declaration)*); };
}

/// Declares numbers that are tied to a type, and the list of them.
macro_rules! numbers {
    ($list:ident $(
        $(#[doc = $doc:literal])+
        pub const $name:ident: $ty:ty = $constructor:ident($($argument:expr),+);
    )*) => {
        $(
            $(#[doc = $doc])+
            pub const $name: $ty = <$ty>::$constructor(stringify!($name), $($argument),+);
        )*

        pub(crate) const $list: &[crate::Entry] = &[$($name.entry(),)*];
    };
}

#[cfg(test)]
mod tests {
    use super::Bits;

    #[test]
    fn bits_keep_to_their_place() {
        let top = Bits { name: "top", hi: 31, lo: 29 };
        assert_eq!(top.set(5), 0xa000_0000);
        assert_eq!(top.get(0xbfff_ffff), 5);
        let one = Bits { name: "one", hi: 0, lo: 0 };
        assert_eq!(one.get(one.set(1) | top.set(7)), 1);
        let word = Bits { name: "word", hi: 31, lo: 0 };
        assert_eq!(word.get(word.set(u32::MAX)), u32::MAX);
    }

    #[test]
    #[should_panic(expected = "does not fit")]
    #[cfg(debug_assertions)]
    fn a_value_that_is_too_large_is_noticed() {
        Bits { name: "two", hi: 1, lo: 0 }.set(4);
    }
}
