//! Reads command streams back: words to method writes, method writes to names, names to text.
//!
//! Strict on purpose. What the hardware refuses is an [`Error`] here, and so is what it would
//! accept and silently get wrong.
//!
//! Three steps, each usable alone. [`Decoder`] needs no classes and keeps its place between
//! segments, because the data of a header may come from the next ring entry. [`Bindings`] knows
//! which class sits on which subchannel and checks a write against it. [`Bindings::text`] prints a
//! whole stream.

use core::fmt;

use crate::class::{self, host};
use crate::push::{BadHeader, Header, SUBCHANNELS, SecOp};
use crate::{Class, Method};

/// One word on its way to a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodWrite {
    /// Where the word stands in its segment; an immediate's is its header's.
    pub index: usize,
    /// The subchannel.
    pub subchannel: u32,
    /// The method's byte offset.
    pub method: u32,
    /// The word.
    pub data: u32,
}

/// What one word of a pushbuffer turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A header: data follows.
    Header,
    /// Data.
    Write(MethodWrite),
    /// The rest of the segment is to be skipped.
    EndSegment,
}

/// Splits words into headers and data.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    index: usize,
    pending: Option<Pending>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    op: SecOp,
    subchannel: u32,
    method: u32,
    missing: u32,
}

impl Decoder {
    /// A decoder that expects a header.
    pub const fn new() -> Decoder {
        Decoder { index: 0, pending: None }
    }

    /// A new segment begins: words count from 0 again, data still owed to a header stays owed.
    pub const fn start_segment(&mut self) {
        self.index = 0;
    }

    /// Takes the next word. After an error the decoder expects a header again.
    pub const fn feed(&mut self, word: u32) -> Result<Step, Error> {
        let index = self.index;
        self.index += 1;
        if let Some(pending) = self.pending {
            let Pending { op, subchannel, method, missing } = pending;
            self.pending = match missing - 1 {
                0 => None,
                missing => {
                    let (op, method) = match op {
                        SecOp::Inc => (op, method + 4),
                        SecOp::NonInc => (op, method),
                        SecOp::OneInc => (SecOp::NonInc, method + 4),
                    };
                    Some(Pending { op, subchannel, method, missing })
                }
            };
            return Ok(Step::Write(MethodWrite { index, subchannel, method, data: word }));
        }
        match Header::decode(word) {
            Ok(Header::Data { op, subchannel, method, count }) => {
                self.pending = Some(Pending { op, subchannel, method, missing: count });
                Ok(Step::Header)
            }
            Ok(Header::Immediate { subchannel, method, data }) => {
                Ok(Step::Write(MethodWrite { index, subchannel, method, data }))
            }
            Ok(Header::EndSegment) => Ok(Step::EndSegment),
            Err(why) => Err(Error::Header { index, word, why }),
        }
    }

    /// To be asked where a stream ends: an error if a header still waits for data.
    pub const fn finish(&self) -> Result<(), Error> {
        match self.pending {
            None => Ok(()),
            Some(Pending { subchannel, method, missing, .. }) => {
                Err(Error::Truncated { index: self.index, subchannel, method, missing })
            }
        }
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder::new()
    }
}

/// What is wrong with a stream, and at which word of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A word that should be a header is none.
    Header {
        /// The word's place.
        index: usize,
        /// The word.
        word: u32,
        /// What is wrong with it.
        why: BadHeader,
    },
    /// The stream ends before the last header has its data.
    Truncated {
        /// How many words there were.
        index: usize,
        /// The subchannel the data is for.
        subchannel: u32,
        /// The method that the next data word would have gone to.
        method: u32,
        /// How many words are missing.
        missing: u32,
    },
    /// A method for an engine, on a subchannel that no SET_OBJECT has given a class.
    NoClass {
        /// The offending write.
        write: MethodWrite,
    },
    /// SET_OBJECT with a class that is not in this crate.
    UnknownClass {
        /// The offending write.
        write: MethodWrite,
        /// The class number it carries.
        id: u32,
    },
    /// The class has no method at this offset.
    UnknownMethod {
        /// The offending write.
        write: MethodWrite,
        /// The class it went to.
        class: &'static Class,
    },
    /// The data sets bits that no field of the method owns or that the vendor reserves.
    Reserved {
        /// The offending write.
        write: MethodWrite,
        /// The class it went to.
        class: &'static Class,
        /// The method.
        method: &'static Method,
        /// The bits.
        bits: u32,
    },
}

impl Error {
    /// The place in the segment that the error is about.
    pub const fn index(&self) -> usize {
        match self {
            Error::Header { index, .. } | Error::Truncated { index, .. } => *index,
            Error::NoClass { write }
            | Error::UnknownClass { write, .. }
            | Error::UnknownMethod { write, .. }
            | Error::Reserved { write, .. } => write.index,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "word {}: ", self.index())?;
        match *self {
            Error::Header { word, why, .. } => write!(f, "{word:#010x} is no header: {why}"),
            Error::Truncated { subchannel, method, missing, .. } => write!(
                f,
                "the stream ends where {missing} more data words are due, \
                 the next for method {method:#06x} on subchannel {subchannel}"
            ),
            Error::NoClass { write } => write!(
                f,
                "method {:#06x} on subchannel {}, which has no class yet",
                write.method, write.subchannel
            ),
            Error::UnknownClass { write, id } => {
                write!(
                    f,
                    "SET_OBJECT puts unknown class {id:04x} on subchannel {}",
                    write.subchannel
                )
            }
            Error::UnknownMethod { write, class } => write!(
                f,
                "{class} has no method {:#06x} (data {:#010x}, subchannel {})",
                write.method, write.data, write.subchannel
            ),
            Error::Reserved { write, class, method, bits } => {
                write!(
                    f,
                    "{class} {} = {:#010x} sets reserved bits {bits:#010x}",
                    method.name, write.data
                )
            }
        }
    }
}

impl core::error::Error for Error {}

/// A write to a method that its class knows, with data that the method allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The write itself.
    pub write: MethodWrite,
    /// The class that takes it: the host's, or the one bound to the subchannel.
    pub class: &'static Class,
    /// The method, or the array of methods.
    pub method: &'static Method,
    /// Which element of the array; 0 for a plain method.
    pub element: u32,
}

/// Which class sits on which subchannel of a channel.
#[derive(Clone, Copy, Debug)]
pub struct Bindings {
    host: &'static Class,
    engines: [Option<&'static Class>; SUBCHANNELS as usize],
}

impl Bindings {
    /// A new channel: the host class answers on every subchannel, no engine on any.
    pub const fn new(host: &'static Class) -> Bindings {
        Bindings { host, engines: [None; SUBCHANNELS as usize] }
    }

    /// As if SET_OBJECT had been seen: to read a stream that starts in the middle.
    ///
    /// # Panics
    /// If there is no such subchannel.
    pub const fn bind(mut self, subchannel: u32, class: &'static Class) -> Bindings {
        self.engines[subchannel as usize] = Some(class);
        self
    }

    /// The class that SET_OBJECT put on a subchannel.
    pub fn class(&self, subchannel: u32) -> Option<&'static Class> {
        self.engines.get(subchannel as usize).copied().flatten()
    }

    /// Checks a write, and takes note if it is a SET_OBJECT.
    pub fn accept(&mut self, write: MethodWrite) -> Result<Known, Error> {
        let class = if write.method < host::METHOD_LIMIT {
            self.host
        } else {
            self.class(write.subchannel).ok_or(Error::NoClass { write })?
        };
        let method = class.method(write.method).ok_or(Error::UnknownMethod { write, class })?;
        let bits = method.check(write.data);
        if bits != 0 {
            return Err(Error::Reserved { write, class, method, bits });
        }
        if *method == host::SET_OBJECT {
            let id = host::SET_OBJECT_NVCLASS.get(write.data);
            let bound = class::lookup(id).ok_or(Error::UnknownClass { write, id })?;
            if let Some(engine) = self.engines.get_mut(write.subchannel as usize) {
                *engine = Some(bound);
            }
        }
        let element = method.index(write.method).unwrap_or(0);
        Ok(Known { write, class, method, element })
    }

    /// A stream as text, one line per method write, with errors where they stand. The stream ends
    /// at the first malformed header, since nothing after it can be told apart.
    pub const fn text<'a>(&self, words: &'a [u32]) -> Text<'a> {
        Text { bindings: *self, words }
    }
}

/// A stream that prints itself; made by [`Bindings::text`].
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    bindings: Bindings,
    words: &'a [u32],
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bindings = self.bindings;
        let mut decoder = Decoder::new();
        for &word in self.words {
            match decoder.feed(word) {
                Ok(Step::Header) => {}
                Ok(Step::EndSegment) => return writeln!(f, "     end of segment"),
                Ok(Step::Write(write)) => match bindings.accept(write) {
                    Ok(known) => writeln!(f, "{known}")?,
                    Err(error) => writeln!(f, "  error: {error}")?,
                },
                Err(error) => return writeln!(f, "  error: {error}"),
            }
        }
        match decoder.finish() {
            Ok(()) => Ok(()),
            Err(error) => writeln!(f, "  error: {error}"),
        }
    }
}

/// `  1  c7c0 SEND_PCAS_A  0x00fffa01`: subchannel, class, method, data.
impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>3}  {:04x} {}", self.write.subchannel, self.class.id, self.method.name)?;
        if self.method.count > 1 {
            write!(f, "({})", self.element)?;
        }
        write!(f, "  {}", Data { method: self.method, data: self.write.data })
    }
}

/// The data word of a method, by field.
struct Data {
    method: &'static Method,
    data: u32,
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Data { method, data } = *self;
        // A lone number is the word itself.
        if let [field] = method.fields {
            if field.values.is_empty() {
                return write!(f, "{data:#010x}");
            }
        }
        let mut shown = 0;
        for (i, field) in method.fields.iter().enumerate() {
            let value = field.get(data);
            let name = field.value_name(value);
            // What a method mostly says stands in its first field, so that is shown even if its
            // value is 0, unless it merely says FALSE. Fields of a union overlap; the first one
            // speaks for the bits.
            let telling = value != 0 || (i == 0 && name.is_some_and(|name| name != "FALSE"));
            if !telling || shown & field.mask() != 0 {
                continue;
            }
            shown |= field.mask();
            match name {
                Some(name) => write!(f, "{}={name} ", field.name)?,
                None => write!(f, "{}={value:#x} ", field.name)?,
            }
        }
        write!(f, "({data:#010x})")
    }
}
