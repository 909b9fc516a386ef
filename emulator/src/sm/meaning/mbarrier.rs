//! Barriers in shared memory, as both generations lay them out in 64 bits. What compilers write and read
//! themselves (the first value, the phase, the arrivals that are missing) lies where silicon has it.

/// An arrival on Ampere. The upper word counts the missing ones up to 2^31, where bit 31 changes, which is the
/// phase; then the lower word says how many are expected, by its lower 30 bits.
pub(crate) fn arrive(old: u64) -> u64 {
    let (expected, count) = (old as u32, (old >> 32) as u32);
    let count = count.wrapping_add(1);
    let count = match count << 1 {
        0 => count | 1 << 30 | expected & ((1 << 30) - 1),
        _ => count,
    };
    u64::from(expected) | u64::from(count) << 32
}

/// What happens to a barrier of Hopper in one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Arrivals.
    pub(crate) arrivals: u32,
    /// Bytes that are announced, less those that have come.
    pub(crate) bytes: i32,
    /// The arrivals are not expected again in later phases.
    pub(crate) drops: bool,
}

/// Bits of the arrivals that a phase expects, counted up to zero.
const EXPECTED: (u32, u64) = (1, (1 << 20) - 1);
/// Bits of the bytes that are still to come, counted up to zero.
const BYTES: (u32, u64) = (21, (1 << 21) - 1);
/// Bits of the arrivals that are missing, counted up to zero.
const MISSING: (u32, u64) = (43, (1 << 20) - 1);
const PHASE: u64 = 1 << 63;

/// A barrier of Hopper after a change. The phase ends when nobody and no byte is missing.
pub(crate) fn change(old: u64, change: Change) -> u64 {
    let get = |(low, mask): (u32, u64)| old >> low & mask;
    let put = |(low, mask): (u32, u64), value: u64| (value & mask) << low;
    let arrivals = u64::from(change.arrivals);
    let expected = get(EXPECTED) + if change.drops { arrivals } else { 0 };
    let bytes = get(BYTES).wrapping_sub(i64::from(change.bytes) as u64) & BYTES.1;
    let missing = (get(MISSING) + arrivals) & MISSING.1;
    let rest = old & 1 | put(EXPECTED, expected) | put(BYTES, bytes) | old & PHASE;
    match missing == 0 && bytes == 0 {
        true => (rest | put(MISSING, expected)) ^ PHASE,
        false => rest | put(MISSING, missing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_of_ampere() {
        let start = |n: u64| (0x4000_0000 - n) | (0x8000_0000 - n) << 32;
        let one = arrive(start(2));
        assert_eq!(one >> 32, 0x7fff_ffff);
        let both = arrive(one);
        assert_eq!(both >> 32, 0xffff_fffe, "the next phase, with two missing again");
        assert_eq!(arrive(arrive(both)) >> 32, 0x7fff_fffe, "the first phase again");
    }

    #[test]
    fn phases_of_hopper() {
        let missing = (1 << 20) - 3;
        let start = missing << 1 | missing << 43;
        let arrival = |bytes, drops| Change { arrivals: 1, bytes, drops };
        let two = change(change(start, arrival(64, true)), arrival(0, false));
        let three = change(two, arrival(0, false));
        assert_eq!(three & PHASE, 0, "bytes are missing");
        let whole = change(three, Change { bytes: -64, ..Change::default() });
        assert_eq!(whole & PHASE, PHASE);
        let again = change(change(whole, arrival(0, false)), arrival(0, false));
        assert_eq!(again & PHASE, 0, "two are expected from now on");
    }
}
