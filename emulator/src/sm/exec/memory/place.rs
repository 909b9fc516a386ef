//! Where the access of one lane goes, and the bytes there.

use crate::sm::Arch;
use crate::sm::exec::block::Shared;
use crate::sm::exec::fault::{FaultKind, Step, lane_trap};
use crate::sm::exec::global::Span;
use crate::sm::exec::warp::Warp;
use crate::sm::op::{Space, Width};

/// One past the local addresses.
const LOCAL_END: u64 = 1 << 24;
/// The size of the local window in generic addresses, and of the shared memory of each block.
const WINDOW: u64 = 1 << 24;
/// The most blocks of a cluster.
const RANKS: u64 = 16;

/// The span that holds an access of one lane.
#[inline(always)]
pub(super) fn span<'e, 'm>(
    e: &'e mut Shared<'_, 'm>,
    address: u64,
    bytes: u32,
    lane: usize,
) -> Step<&'e Span<'m>> {
    for at in 0..e.spans.len() {
        if e.spans[at].holds(address, bytes.into()) {
            return Ok(&e.spans[at]);
        }
    }
    find_span(e, address, bytes, lane)
}

#[cold]
fn find_span<'e, 'm>(
    e: &'e mut Shared<'_, 'm>,
    address: u64,
    bytes: u32,
    lane: usize,
) -> Step<&'e Span<'m>> {
    match e.memory.span(address) {
        Ok(found) if found.holds(address, bytes.into()) => {
            let at = e.oldest;
            e.spans[at] = found;
            e.oldest = (at + 1) % e.spans.len();
            Ok(&e.spans[at])
        }
        _ => lane_trap(FaultKind::Unmapped, lane, address),
    }
}

/// How wide an access is and which memory it means.
#[derive(Clone, Copy)]
pub(super) struct Access {
    pub(super) width: Width,
    pub(super) space: Space,
}

/// Where one lane's access goes once the address is known.
pub(super) enum Place<'m> {
    Global(Span<'m>, u64),
    /// An offset into the block's shared memory.
    Shared(usize),
    /// The rank of another block of the cluster, and an offset into its shared memory.
    Peer(usize, usize),
    /// An offset into the warp's local memory.
    Local(usize),
}

/// Finds the place of an access of one lane.
#[inline]
pub(super) fn place<'m>(
    w: &mut Warp,
    e: &mut Shared<'_, 'm>,
    lane: usize,
    address: u64,
    access: Access,
) -> Step<Place<'m>> {
    let bytes = access.width.bytes();
    if address % u64::from(bytes) != 0 {
        return lane_trap(FaultKind::Misaligned { bytes }, lane, address);
    }
    match access.space {
        Space::Shared => shared_offset(e, lane, address, bytes).map(Place::Shared),
        Space::Cluster => of_cluster(e, lane, address, bytes),
        Space::Local => local_offset(w, e, lane, address, bytes).map(Place::Local),
        Space::Global => {
            let span = *span(e, address, bytes, lane)?;
            Ok(Place::Global(span, address - span.base()))
        }
        Space::Generic => {
            if let Some(offset) = in_shared_window(e, address) {
                of_cluster(e, lane, offset, bytes)
            } else if let Some(offset) = in_local_window(e, address) {
                local_offset(w, e, lane, offset, bytes).map(Place::Local)
            } else {
                let span = *span(e, address, bytes, lane)?;
                Ok(Place::Global(span, address - span.base()))
            }
        }
    }
}

/// The offset of a generic address in a window that is set.
#[inline]
fn inside(window: u64, size: u64, address: u64) -> Option<u64> {
    let offset = address.wrapping_sub(window);
    (window != 0 && offset < size).then_some(offset)
}

/// What a generic address is in the memory of its thread.
#[inline]
pub(crate) fn in_local_window(e: &Shared, address: u64) -> Option<u64> {
    inside(e.launch.local_window, WINDOW, address)
}

/// What a generic address is in the shared memory of the cluster.
#[inline]
pub(crate) fn in_shared_window(e: &Shared, address: u64) -> Option<u64> {
    let ranks = match e.program.arch() {
        Arch::Sm87 => 1,
        Arch::Sm90 => RANKS,
    };
    let offset = inside(e.launch.shared_window, ranks * WINDOW, address)?;
    // Where no clusters are, the other window may begin right behind the first block's memory.
    (offset < WINDOW || in_local_window(e, address).is_none()).then_some(offset)
}

/// The rank and the offset that an address of the cluster's shared memory is made of.
#[inline]
pub(crate) fn rank_and_offset(address: u64) -> (u32, u64) {
    ((address / WINDOW) as u32, address % WINDOW)
}

/// The place of an address of the cluster's shared memory.
#[inline]
fn of_cluster<'m>(e: &Shared<'_, 'm>, lane: usize, address: u64, bytes: u32) -> Step<Place<'m>> {
    let (rank, offset) = rank_and_offset(address);
    if rank == e.rank {
        return shared_offset(e, lane, address, bytes).map(Place::Shared);
    }
    match e.peers.get(rank as usize).map_or(0, Vec::len) as u64 {
        0 => lane_trap(FaultKind::NoBlock { rank }, lane, address),
        size if offset < size && u64::from(bytes) <= size - offset => {
            Ok(Place::Peer(rank as usize, offset as usize))
        }
        size => lane_trap(FaultKind::Shared { size: size as u32 }, lane, address),
    }
}

/// The offset of an address in the block's own shared memory, which bears its rank.
#[inline(always)]
pub(super) fn shared_offset(e: &Shared, lane: usize, address: u64, bytes: u32) -> Step<usize> {
    let size = e.bytes.len() as u64;
    let offset = address.wrapping_sub(u64::from(e.rank) * WINDOW);
    match offset < size && u64::from(bytes) <= size - offset {
        true => Ok(offset as usize),
        false => lane_trap(FaultKind::Shared { size: size as u32 }, lane, address),
    }
}

#[inline]
fn local_offset(w: &mut Warp, e: &Shared, lane: usize, address: u64, bytes: u32) -> Step<usize> {
    let (low, high) = (u64::from(e.launch.local_low), u64::from(e.launch.local_high));
    let end = address + u64::from(bytes);
    let within = if end <= low {
        address
    } else if address >= LOCAL_END.saturating_sub(high) && end <= LOCAL_END {
        low + address - LOCAL_END.saturating_sub(high)
    } else {
        return lane_trap(FaultKind::Local, lane, address);
    };
    let size = (low + high) as usize;
    if w.local.is_empty() {
        w.local = vec![0; size * 32];
    }
    Ok(lane * size + within as usize)
}

/// Up to four words at a place, extended to whole words.
#[inline]
pub(super) fn read(w: &Warp, e: &Shared, place: &Place, width: Width) -> [u32; 4] {
    let mut bytes = [0u8; 16];
    let count = width.bytes() as usize;
    match *place {
        Place::Global(span, offset) => {
            let double = |at| span.load64(offset + at).to_le_bytes();
            match count {
                1 => bytes[0] = span.load8(offset),
                2 => bytes[..2].copy_from_slice(&span.load16(offset).to_le_bytes()),
                4 => bytes[..4].copy_from_slice(&span.load32(offset).to_le_bytes()),
                8 => bytes[..8].copy_from_slice(&double(0)),
                _ => {
                    bytes[..8].copy_from_slice(&double(0));
                    bytes[8..].copy_from_slice(&double(8));
                }
            }
        }
        Place::Shared(at) => bytes[..count].copy_from_slice(&e.bytes[at..at + count]),
        Place::Peer(rank, at) => bytes[..count].copy_from_slice(&e.peers[rank][at..at + count]),
        Place::Local(at) => bytes[..count].copy_from_slice(&w.local[at..at + count]),
    }
    let mut words = [0; 4];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
    }
    match width {
        Width::S8 => words[0] = words[0] as i8 as u32,
        Width::S16 => words[0] = words[0] as i16 as u32,
        _ => {}
    }
    words
}

/// Puts up to four words at a place.
#[inline]
pub(super) fn store(
    w: &mut Warp,
    e: &mut Shared,
    place: Place,
    width: Width,
    words: [u32; 4],
    lane: usize,
) -> Step<()> {
    let count = width.bytes() as usize;
    let mut bytes = [0u8; 16];
    for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    match place {
        Place::Global(span, offset) => {
            if !span.writable() {
                return lane_trap(FaultKind::ReadOnly, lane, span.base() + offset);
            }
            let double = |at: usize| u64::from(words[at]) | u64::from(words[at + 1]) << 32;
            match count {
                1 => span.store8(offset, words[0] as u8),
                2 => span.store16(offset, words[0] as u16),
                4 => span.store32(offset, words[0]),
                8 => span.store64(offset, double(0)),
                _ => {
                    span.store64(offset, double(0));
                    span.store64(offset + 8, double(2));
                }
            }
        }
        Place::Shared(at) => e.bytes[at..at + count].copy_from_slice(&bytes[..count]),
        Place::Peer(rank, at) => e.peers[rank][at..at + count].copy_from_slice(&bytes[..count]),
        Place::Local(at) => w.local[at..at + count].copy_from_slice(&bytes[..count]),
    }
    Ok(())
}
