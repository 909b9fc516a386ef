//! A request number tied to the type of its argument.

use core::fmt;
use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Which way the argument travels, as a program sees it.
///
/// This is what the vendor encoded in the number. nvmap encodes `Read` in requests whose argument
/// it reads as well (`NVMAP_IOC_PARAMETERS`), so fill in every argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dir {
    /// No struct is passed.
    None,
    /// The driver writes the argument, the program reads it.
    Read,
    /// The program writes the argument, the driver reads it.
    Write,
    /// Both.
    ReadWrite,
}

impl Dir {
    /// The two bits of `_IOC`.
    const fn bits(self) -> u32 {
        match self {
            Dir::None => 0,
            Dir::Write => 1,
            Dir::Read => 2,
            Dir::ReadWrite => 3,
        }
    }
}

/// What may stand behind the pointer of an ioctl: plain bytes without padding, all values valid, so
/// that nothing uninitialised reaches the driver and nothing that the driver writes can be wrong.
pub trait Argument: FromBytes + IntoBytes + KnownLayout + Immutable + Copy {
    /// The vendor's name of the type.
    const NAME: &'static str;
}

impl Argument for () {
    const NAME: &'static str = "";
}

impl Argument for u32 {
    const NAME: &'static str = "u32";
}

impl Argument for i32 {
    const NAME: &'static str = "i32";
}

impl<A: Argument, const N: usize> Argument for [A; N] {
    const NAME: &'static str = A::NAME;
}

/// An ioctl request whose third argument is a pointer to an `A` (or nothing, for `()`).
pub struct Request<A> {
    name: &'static str,
    number: u32,
    dir: Dir,
    argument: PhantomData<fn(A) -> A>,
}

impl<A: Argument> Request<A> {
    const fn encode(name: &'static str, dir: Dir, magic: u8, nr: u8) -> Self {
        assert!(size_of::<A>() < 1 << 14, "the size does not fit a request number");
        assert!((size_of::<A>() == 0) == matches!(dir, Dir::None));
        let number =
            dir.bits() << 30 | (size_of::<A>() as u32) << 16 | (magic as u32) << 8 | nr as u32;
        Request { name, number, dir, argument: PhantomData }
    }

    /// `_IO(magic, nr)`: nothing is passed.
    pub const fn none(name: &'static str, magic: u8, nr: u8) -> Self {
        Self::encode(name, Dir::None, magic, nr)
    }

    /// `_IOR(magic, nr, A)`: the driver writes the argument.
    pub const fn r(name: &'static str, magic: u8, nr: u8) -> Self {
        Self::encode(name, Dir::Read, magic, nr)
    }

    /// `_IOW(magic, nr, A)`: the driver reads the argument.
    pub const fn w(name: &'static str, magic: u8, nr: u8) -> Self {
        Self::encode(name, Dir::Write, magic, nr)
    }

    /// `_IOWR(magic, nr, A)`: the driver reads the argument and writes it.
    pub const fn rw(name: &'static str, magic: u8, nr: u8) -> Self {
        Self::encode(name, Dir::ReadWrite, magic, nr)
    }

    /// A plain number, without direction and size: what UVM has.
    pub const fn raw(name: &'static str, number: u32) -> Self {
        let dir = if size_of::<A>() == 0 { Dir::None } else { Dir::ReadWrite };
        Request { name, number, dir, argument: PhantomData }
    }

    /// The full number, the second argument of ioctl(2).
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The vendor's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Which way the argument travels.
    pub const fn dir(&self) -> Dir {
        self.dir
    }

    /// Size of the argument in bytes.
    pub const fn size(&self) -> usize {
        size_of::<A>()
    }

    pub(crate) const fn entry(&self) -> Entry {
        Entry {
            name: self.name,
            number: self.number,
            dir: self.dir,
            size: size_of::<A>(),
            argument: A::NAME,
        }
    }
}

// By hand: derived, these would ask the same of `A`.
impl<A> Clone for Request<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Request<A> {}

impl<A> fmt::Debug for Request<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#010x})", self.name, self.number)
    }
}

/// An ioctl request whose third argument is a value, not a pointer.
#[derive(Clone, Copy)]
pub struct ValueRequest {
    name: &'static str,
    number: u32,
}

impl ValueRequest {
    /// `_IO(magic, nr)`, with a value as the argument.
    pub const fn value(name: &'static str, magic: u8, nr: u8) -> Self {
        ValueRequest { name, number: (magic as u32) << 8 | nr as u32 }
    }

    /// The full number, the second argument of ioctl(2).
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The vendor's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) const fn entry(&self) -> Entry {
        Entry { name: self.name, number: self.number, dir: Dir::None, size: 0, argument: "" }
    }
}

impl fmt::Debug for ValueRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#010x})", self.name, self.number)
    }
}

/// A request without its type, as the registry and the logs have it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The vendor's name.
    pub name: &'static str,
    /// The full number.
    pub number: u32,
    /// Which way the argument travels.
    pub dir: Dir,
    /// Size of the argument in bytes.
    pub size: usize,
    /// The vendor's name of the argument's type; empty where nothing is passed by pointer.
    pub argument: &'static str,
}
