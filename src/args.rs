//! Kernel arguments, checked against the kernel's own layout.

use std::fmt;

use crate::memory::{Buffer, Element, View};
use crate::queue::{Operand, Slot};

/// One argument of a kernel: a number, a struct, the address of a buffer, or a slot of a recording.
///
/// [`args!`](crate::args) makes a list of them.
#[derive(Clone)]
pub struct Arg<'a> {
    pub(crate) content: Content<'a>,
}

#[derive(Clone, Copy)]
pub(crate) enum Content<'a> {
    /// Up to 16 bytes by value.
    Small([u8; 16], u8),
    /// More, by reference.
    Bytes(&'a [u8]),
    /// An address, kept alive by recordings.
    View(View<'a>),
    /// Eight bytes that a recording can change, or their lower four.
    Slot(Operand, u64),
}

impl<'a> Arg<'a> {
    /// A struct by its bytes, in the kernel's layout.
    pub fn bytes(bytes: &'a [u8]) -> Arg<'a> {
        Arg { content: Content::Bytes(bytes) }
    }

    /// How many bytes it has, or `None` for a slot, which takes the parameter's size.
    pub(crate) fn len(&self) -> Option<usize> {
        match self.content {
            Content::Small(_, len) => Some(usize::from(len)),
            Content::Bytes(bytes) => Some(bytes.len()),
            Content::View(_) => Some(8),
            Content::Slot(..) => None,
        }
    }
}

impl fmt::Debug for Arg<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Small(bytes, len) => write!(f, "{:02x?}", &bytes[..usize::from(*len)]),
            Content::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Content::View(view) => write!(f, "{view:?}"),
            Content::Slot(operand, _) => write!(f, "{operand:?}"),
        }
    }
}

macro_rules! numbers {
    ($($type:ty)*) => { $(
        impl From<$type> for Arg<'_> {
            fn from(value: $type) -> Self {
                let value = value.to_ne_bytes();
                let mut bytes = [0; 16];
                bytes[..value.len()].copy_from_slice(&value);
                Arg { content: Content::Small(bytes, value.len() as u8) }
            }
        }
    )* };
}
numbers!(u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 f32 f64);

impl<'a> From<View<'a>> for Arg<'a> {
    fn from(view: View<'a>) -> Self {
        Arg { content: Content::View(view) }
    }
}

impl<'a, T: Element> From<&'a Buffer<T>> for Arg<'a> {
    fn from(buffer: &'a Buffer<T>) -> Self {
        buffer.view().into()
    }
}

impl From<Slot<u64>> for Arg<'_> {
    fn from(slot: Slot<u64>) -> Self {
        Arg { content: Content::Slot(slot.operand, slot.recording) }
    }
}

impl From<Slot<View<'static>>> for Arg<'_> {
    fn from(slot: Slot<View<'static>>) -> Self {
        Arg { content: Content::Slot(slot.operand, slot.recording) }
    }
}

/// A list of kernel arguments: buffers, views, numbers and slots, in the kernel's order.
///
/// ```
/// # fn list(a: &doorbell::Buffer<f32>, b: &doorbell::Buffer<f32>) {
/// let arguments = doorbell::args![a, b, 2.5f32, 1024u32];
/// # }
/// ```
#[macro_export]
macro_rules! args {
    ($($arg:expr),* $(,)?) => { [$($crate::Arg::from($arg)),*] };
}
