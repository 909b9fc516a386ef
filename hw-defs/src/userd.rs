//! USERD, a channel's control page: byte offsets of its 32-bit words.
//!
//! Software writes [`GP_PUT`] and nothing else. The host engine writes the others when it finds
//! time, so [`GP_GET`] tells whether the ring has room but never that work is done.

/// Bytes of the page that belong to the channel.
pub const SIZE: u64 = 0x200;
/// Pushbuffer address up to which segments may be fetched, low part (the vendor's `Put`).
pub const PUT: u64 = 0x40;
/// Pushbuffer address of the next word to fetch, low part (`Get`).
pub const GET: u64 = 0x44;
/// The last word that SET_REFERENCE carried (`Reference`).
pub const REFERENCE: u64 = 0x48;
/// High part of [`PUT`] (`PutHi`).
pub const PUT_HI: u64 = 0x4c;
/// As [`GET`], but counting only entries of level MAIN (`TopLevelGet`).
pub const TOP_LEVEL_GET: u64 = 0x58;
/// High part of [`TOP_LEVEL_GET`] (`TopLevelGetHi`).
pub const TOP_LEVEL_GET_HI: u64 = 0x5c;
/// High part of [`GET`] (`GetHi`).
pub const GET_HI: u64 = 0x60;
/// Index of the ring entry that the GPU fetches next (`GPGet`). Equal to [`GP_PUT`]: empty ring.
pub const GP_GET: u64 = 0x88;
/// Index of the ring entry that software writes next (`GPPut`). One before [`GP_GET`]: full ring.
pub const GP_PUT: u64 = 0x8c;
