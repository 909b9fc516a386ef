//! The classes: what a method address means to the engine behind a subchannel.
//!
//! Two generations of an engine differ in a few address widths, so what they share stands once
//! (files `host`, `compute`, `copy`) and each class adds the lines of its own.

use core::fmt;

use crate::Field;

/// One method, or an array of methods, with the fields of its data word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// The vendor's name without the class prefix.
    pub name: &'static str,
    /// Byte offset in the class; of the first one, for an array.
    pub offset: u32,
    /// How many methods the array has; 1 for a plain method.
    pub count: u32,
    /// Bytes from one element to the next.
    pub stride: u32,
    /// The fields of the data word, in the vendor's order. Those of a union overlap.
    pub fields: &'static [Field],
}

impl Method {
    /// Element `i` of an array of methods.
    ///
    /// # Panics
    /// If the array has no element `i`.
    pub const fn at(self, i: u32) -> Method {
        assert!(i < self.count, "index beyond an array of methods");
        Method { offset: self.offset + i * self.stride, count: 1, ..self }
    }

    /// Which element lies at byte `offset`; 0 for a plain method.
    pub const fn index(&self, offset: u32) -> Option<u32> {
        if offset < self.offset {
            return None;
        }
        let distance = offset - self.offset;
        if distance % self.stride == 0 && distance / self.stride < self.count {
            Some(distance / self.stride)
        } else {
            None
        }
    }

    /// The bits of the data word that software may set.
    pub const fn mask(&self) -> u32 {
        let mut mask = 0;
        let mut i = 0;
        while i < self.fields.len() {
            if !self.fields[i].is_reserved() {
                mask |= self.fields[i].mask();
            }
            i += 1;
        }
        mask
    }

    /// The reserved bits that `data` sets; 0 when there is nothing to object to.
    pub const fn check(&self, data: u32) -> u32 {
        data & !self.mask()
    }
}

/// A class: its number, the vendor's name for it, its methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// What SET_OBJECT carries, and what the driver is asked for.
    pub id: u32,
    /// The vendor's name.
    pub name: &'static str,
    /// What the class shares with its neighbours, then its own; each sorted by offset.
    tables: [&'static [Method]; 2],
}

impl Class {
    /// The method, or the array of methods, that byte `offset` belongs to.
    pub fn method(&self, offset: u32) -> Option<&'static Method> {
        self.tables.iter().find_map(|table| {
            // Arrays may interleave, so the method that starts last before `offset` is only the
            // best guess.
            let before = table.partition_point(|method| method.offset <= offset);
            table[..before].iter().rev().find(|method| method.index(offset).is_some())
        })
    }

    /// All methods, in no particular order.
    pub fn methods(&self) -> impl Iterator<Item = &'static Method> {
        self.tables.into_iter().flatten()
    }
}

/// `c7b5 (AMPERE_DMA_COPY_B)`.
impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x} ({})", self.id, self.name)
    }
}

/// The class with this number.
pub fn lookup(id: u32) -> Option<&'static Class> {
    CLASSES.iter().copied().find(|class| class.id == id)
}

/// Every class that this crate knows.
pub const CLASSES: &[&Class] = &[
    &c56f::CLASS,
    &c76f::CLASS,
    &c86f::CLASS,
    &c7c0::CLASS,
    &cbc0::CLASS,
    &c7b5::CLASS,
    &c8b5::CLASS,
];

/// Method declarations, one line per method and per field:
///
/// ```text
/// 0x0100 NO_OPERATION { 31:0 NO_OPERATION_V }
/// 0x0320 LOAD_INLINE_QMD_DATA[64; 4] { ... }      64 methods, one every 4 bytes
/// ```
///
/// Each becomes a [`Method`], a [`Field`] per field, a `u32` per named value. METHODS lists them.
macro_rules! methods {
    ($(
        $(#[$doc:meta])*
        $offset:literal $method:ident $([$count:literal; $stride:literal])? {
            $(
                $(#[$field_doc:meta])*
                $hi:literal : $lo:literal $field:ident
                $({ $($value:ident = $number:literal),+ $(,)? })?
            ),+ $(,)?
        }
    )*) => {
        $(
            #[doc = concat!("Method `", stringify!($offset), "`.\n\n")]
            $(#[$doc])*
            pub const $method: $crate::Method = $crate::Method {
                name: stringify!($method),
                offset: $offset,
                count: 1 $(* $count)?,
                stride: $crate::class::or(4, &[$($stride)?]),
                fields: &[$($field),+],
            };
            $(field! {
                $(#[$field_doc])*
                $method: $crate::name::after(stringify!($field), stringify!($method));
                $hi:$lo $field $({ $($value = $number),+ })?
            })+
        )*
        pub(super) const METHODS: &[$crate::Method] = $crate::class::sorted(&[$($method),*]);
    };
}

/// The one given value, or `default`.
const fn or(default: u32, given: &[u32]) -> u32 {
    if given.is_empty() { default } else { given[0] }
}

/// The table as it is: [`Class::method`] searches by offset, so disorder stops the build.
const fn sorted(methods: &'static [Method]) -> &'static [Method] {
    let mut i = 1;
    while i < methods.len() {
        assert!(methods[i - 1].offset < methods[i].offset, "methods stand in order of offset");
        i += 1;
    }
    methods
}

mod compute;
mod copy;
pub(crate) mod host;

pub mod c56f;
pub mod c76f;
pub mod c7b5;
pub mod c7c0;
pub mod c86f;
pub mod c8b5;
pub mod cbc0;
