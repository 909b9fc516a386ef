//! Pushbuffer headers: one word that says where the following data words go.

use core::fmt;

use crate::Method;

fields! {
    /// All fields of a header.
    DMA {
        /// The method's offset in words.
        11:0  DMA_METHOD_ADDRESS,
        15:13 DMA_METHOD_SUBCHANNEL,
        /// Data words that follow.
        28:16 DMA_METHOD_COUNT,
        /// In the place of the count where the header carries its only data itself.
        28:16 DMA_IMMD_DATA,
        31:29 DMA_SEC_OP {
            DMA_SEC_OP_INC_METHOD = 1,
            DMA_SEC_OP_NON_INC_METHOD = 3,
            DMA_SEC_OP_IMMD_DATA_METHOD = 4,
            DMA_SEC_OP_ONE_INC = 5,
            DMA_SEC_OP_END_PB_SEGMENT = 7,
        },
    }
}

/// Subchannels of a channel.
pub const SUBCHANNELS: u32 = DMA_METHOD_SUBCHANNEL.max() + 1;

/// The most data words that one header announces.
pub const MAX_COUNT: u32 = DMA_METHOD_COUNT.max();

/// Header for `count` data words to consecutive methods from `method` on.
#[inline]
pub const fn inc(subchannel: u32, method: Method, count: u32) -> u32 {
    debug_assert!(count > 0, "a header announces at least one data word");
    header(DMA_SEC_OP_INC_METHOD, subchannel, method.offset, count)
}

/// Header for `count` data words that all go to `method`.
#[inline]
pub const fn non_inc(subchannel: u32, method: Method, count: u32) -> u32 {
    debug_assert!(count > 0, "a header announces at least one data word");
    header(DMA_SEC_OP_NON_INC_METHOD, subchannel, method.offset, count)
}

/// Header for `count` data words: the first to `method`, the others all to the method after it.
#[inline]
pub const fn one_inc(subchannel: u32, method: Method, count: u32) -> u32 {
    debug_assert!(count > 0, "a header announces at least one data word");
    header(DMA_SEC_OP_ONE_INC, subchannel, method.offset, count)
}

/// Header that carries `data`, at most 13 bits, to `method`; nothing follows it.
#[inline]
pub const fn immd(subchannel: u32, method: Method, data: u32) -> u32 {
    header(DMA_SEC_OP_IMMD_DATA_METHOD, subchannel, method.offset, data)
}

/// Header that makes the host engine skip the rest of the segment.
pub const END_PB_SEGMENT: u32 = DMA_SEC_OP.set(DMA_SEC_OP_END_PB_SEGMENT);

const fn header(op: u32, subchannel: u32, offset: u32, count: u32) -> u32 {
    DMA_SEC_OP.set(op)
        | DMA_METHOD_COUNT.set(count)
        | DMA_METHOD_SUBCHANNEL.set(subchannel)
        | DMA_METHOD_ADDRESS.set(offset / 4)
}

/// How the data words of a header spread over methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecOp {
    /// To consecutive methods.
    Inc,
    /// All to one method.
    NonInc,
    /// The first to the method, the others to the one after it.
    OneInc,
}

/// A header word, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// `count` data words follow.
    Data {
        /// How they spread.
        op: SecOp,
        /// The subchannel they are for.
        subchannel: u32,
        /// Byte offset of the first method.
        method: u32,
        /// How many words follow.
        count: u32,
    },
    /// The header is its own data.
    Immediate {
        /// The subchannel it is for.
        subchannel: u32,
        /// Byte offset of the method.
        method: u32,
        /// 13 bits of data.
        data: u32,
    },
    /// The rest of the segment is skipped.
    EndSegment,
}

/// Why a word is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHeader {
    /// SEC_OP has no such value.
    SecOp(u32),
    /// No data would follow.
    ZeroCount,
    /// Bits that mean nothing are set.
    Reserved(u32),
}

impl fmt::Display for BadHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadHeader::SecOp(op) => write!(f, "SEC_OP {op} does not exist"),
            BadHeader::ZeroCount => f.write_str("it announces no data"),
            BadHeader::Reserved(bits) => write!(f, "it sets reserved bits {bits:#010x}"),
        }
    }
}

impl core::error::Error for BadHeader {}

impl Header {
    /// The word.
    #[inline]
    pub const fn encode(self) -> u32 {
        match self {
            Header::Data { op, subchannel, method, count } => {
                let op = match op {
                    SecOp::Inc => DMA_SEC_OP_INC_METHOD,
                    SecOp::NonInc => DMA_SEC_OP_NON_INC_METHOD,
                    SecOp::OneInc => DMA_SEC_OP_ONE_INC,
                };
                header(op, subchannel, method, count)
            }
            Header::Immediate { subchannel, method, data } => {
                header(DMA_SEC_OP_IMMD_DATA_METHOD, subchannel, method, data)
            }
            Header::EndSegment => END_PB_SEGMENT,
        }
    }

    /// Takes a word apart.
    pub const fn decode(word: u32) -> Result<Header, BadHeader> {
        let op = match DMA_SEC_OP.get(word) {
            DMA_SEC_OP_INC_METHOD => SecOp::Inc,
            DMA_SEC_OP_NON_INC_METHOD => SecOp::NonInc,
            DMA_SEC_OP_ONE_INC => SecOp::OneInc,
            DMA_SEC_OP_IMMD_DATA_METHOD => return Header::decode_immediate(word),
            DMA_SEC_OP_END_PB_SEGMENT => {
                return match word & !END_PB_SEGMENT {
                    0 => Ok(Header::EndSegment),
                    bits => Err(BadHeader::Reserved(bits)),
                };
            }
            other => return Err(BadHeader::SecOp(other)),
        };
        let count = DMA_METHOD_COUNT.get(word);
        if word & UNUSED != 0 {
            return Err(BadHeader::Reserved(word & UNUSED));
        }
        if count == 0 {
            return Err(BadHeader::ZeroCount);
        }
        let subchannel = DMA_METHOD_SUBCHANNEL.get(word);
        Ok(Header::Data { op, subchannel, method: DMA_METHOD_ADDRESS.get(word) * 4, count })
    }

    const fn decode_immediate(word: u32) -> Result<Header, BadHeader> {
        if word & UNUSED != 0 {
            return Err(BadHeader::Reserved(word & UNUSED));
        }
        Ok(Header::Immediate {
            subchannel: DMA_METHOD_SUBCHANNEL.get(word),
            method: DMA_METHOD_ADDRESS.get(word) * 4,
            data: DMA_IMMD_DATA.get(word),
        })
    }
}

const UNUSED: u32 = !(DMA_SEC_OP.mask()
    | DMA_METHOD_COUNT.mask()
    | DMA_METHOD_SUBCHANNEL.mask()
    | DMA_METHOD_ADDRESS.mask());
