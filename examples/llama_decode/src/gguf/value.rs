//! Values of keys, and where they lie in the file.

use std::fmt;
use std::ops::Range;

/// The types that a value can have, by their number in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    String,
    Array,
    U64,
    I64,
    F64,
}

impl Kind {
    /// In the order of their numbers.
    const ALL: [Kind; 13] = [
        Kind::U8,
        Kind::I8,
        Kind::U16,
        Kind::I16,
        Kind::U32,
        Kind::I32,
        Kind::F32,
        Kind::Bool,
        Kind::String,
        Kind::Array,
        Kind::U64,
        Kind::I64,
        Kind::F64,
    ];

    pub(super) fn from_id(id: u32) -> Option<Kind> {
        Kind::ALL.get(usize::try_from(id).ok()?).copied()
    }

    pub(super) fn id(self) -> u32 {
        self as u32
    }

    /// Bytes of one value, where they are always the same.
    pub(super) fn size(self) -> Option<usize> {
        match self {
            Kind::U8 | Kind::I8 | Kind::Bool => Some(1),
            Kind::U16 | Kind::I16 => Some(2),
            Kind::U32 | Kind::I32 | Kind::F32 => Some(4),
            Kind::U64 | Kind::I64 | Kind::F64 => Some(8),
            Kind::String | Kind::Array => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::U8 | Kind::U16 | Kind::U32 | Kind::U64 => "unsigned whole numbers",
            Kind::I8 | Kind::I16 | Kind::I32 | Kind::I64 => "whole numbers",
            Kind::F32 | Kind::F64 => "floating-point numbers",
            Kind::Bool => "truth values",
            Kind::String => "strings",
            Kind::Array => "arrays",
        }
    }
}

/// A checked value's place: the payload of a scalar or string, the elements of an array.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub kind: Kind,
    /// How many there are, if this is an array.
    pub count: Option<usize>,
    pub at: Range<usize>,
}

impl Slot {
    pub(super) fn value<'a>(&self, file: &'a [u8]) -> Value<'a> {
        let bytes = &file[self.at.clone()];
        match (self.count, self.kind) {
            (Some(count), kind) => Value::Array(Array { kind, count, bytes }),
            (None, Kind::String) => Value::String(text(bytes)),
            (None, kind) => scalar(kind, bytes),
        }
    }
}

/// What a key can hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A whole number of any of the eight widths.
    Integer(i128),
    /// A floating-point number of either width.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Text.
    String(&'a str),
    /// Many values of one type.
    Array(Array<'a>),
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Integer(n) => write!(f, "{n}"),
            Value::Float(x) => write!(f, "{x}"),
            Value::Bool(b) => write!(f, "{b}"),
            Value::String(s) if s.chars().count() <= 60 => write!(f, "{s:?}"),
            Value::String(s) => write!(f, "a string of {} bytes", s.len()),
            Value::Array(a) => write!(f, "an array of {} {}", a.count, a.kind.name()),
        }
    }
}

/// Values of one type, read as they are asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array<'a> {
    kind: Kind,
    count: usize,
    bytes: &'a [u8],
}

impl<'a> Array<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The values in their order.
    pub fn values(self) -> impl Iterator<Item = Value<'a>> {
        let mut rest = self.bytes;
        (0..self.count).map(move |_| {
            let (start, size) = match self.kind.size() {
                Some(size) => (0, size),
                None => (8, length(rest)),
            };
            let (value, after) = rest[start..].split_at(size);
            rest = after;
            if self.kind == Kind::String {
                Value::String(text(value))
            } else {
                scalar(self.kind, value)
            }
        })
    }

    /// The values, if each is a `T`.
    pub fn all<T: FromValue<'a>>(self) -> Option<Vec<T>> {
        self.values().map(T::from_value).collect()
    }
}

/// The length before a string in an array, which was checked when the file was opened.
fn length(bytes: &[u8]) -> usize {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(word) as usize
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("strings were checked when the file was opened")
}

fn scalar(kind: Kind, bytes: &[u8]) -> Value<'static> {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    let raw = u64::from_le_bytes(word);
    match kind {
        Kind::I8 => Value::Integer((raw as i8).into()),
        Kind::I16 => Value::Integer((raw as i16).into()),
        Kind::I32 => Value::Integer((raw as i32).into()),
        Kind::I64 => Value::Integer((raw as i64).into()),
        Kind::F32 => Value::Float(f32::from_bits(raw as u32).into()),
        Kind::F64 => Value::Float(f64::from_bits(raw)),
        Kind::Bool => Value::Bool(raw != 0),
        _ => Value::Integer(raw.into()),
    }
}

/// A Rust type that a key can be read as.
pub trait FromValue<'a>: Sized {
    /// What is expected, for a sentence.
    const EXPECTED: &'static str;

    /// The value, if it is one of these.
    fn from_value(value: Value<'a>) -> Option<Self>;
}

impl FromValue<'_> for u32 {
    const EXPECTED: &'static str = "a whole number from 0 to 4294967295";

    fn from_value(value: Value<'_>) -> Option<u32> {
        if let Value::Integer(n) = value { n.try_into().ok() } else { None }
    }
}

impl FromValue<'_> for i32 {
    const EXPECTED: &'static str = "a whole number from -2147483648 to 2147483647";

    fn from_value(value: Value<'_>) -> Option<i32> {
        if let Value::Integer(n) = value { n.try_into().ok() } else { None }
    }
}

impl FromValue<'_> for f32 {
    const EXPECTED: &'static str = "a floating-point number";

    fn from_value(value: Value<'_>) -> Option<f32> {
        if let Value::Float(x) = value { Some(x as f32) } else { None }
    }
}

impl FromValue<'_> for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_value(value: Value<'_>) -> Option<bool> {
        if let Value::Bool(b) = value { Some(b) } else { None }
    }
}

impl<'a> FromValue<'a> for &'a str {
    const EXPECTED: &'static str = "a string";

    fn from_value(value: Value<'a>) -> Option<&'a str> {
        if let Value::String(s) = value { Some(s) } else { None }
    }
}

impl<'a> FromValue<'a> for Array<'a> {
    const EXPECTED: &'static str = "an array";

    fn from_value(value: Value<'a>) -> Option<Array<'a>> {
        if let Value::Array(a) = value { Some(a) } else { None }
    }
}
