//! The page of GPU registers that a program may map: byte offsets of its 32-bit words.

/// Store a channel's work-submit token here and the host engine looks at that channel's GP_PUT;
/// until then GP_PUT is a number in memory. The vendor's NOTIFY_CHANNEL_PENDING.
pub const DOORBELL: u64 = 0x90;
/// Low part of the GPU's nanosecond clock, which moves in steps of 32.
pub const TIME_0: u64 = 0x80;
/// High part of the clock. Read it before and after [`TIME_0`], until both are equal.
pub const TIME_1: u64 = 0x84;

fields! {
    /// A work-submit token, from Ampere's large chips on. Drivers hand tokens out whole.
    TOKEN {
        /// The channel's number among those of its runlist.
        11:0 TOKEN_CHANNEL,
        22:16 TOKEN_RUNLIST,
    }
}
