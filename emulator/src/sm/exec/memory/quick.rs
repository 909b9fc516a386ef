//! Accesses of a whole warp that need no closer look: all lanes in one mapping, or in shared memory.

use super::place::{Access, span};
use super::{addresses, load_lanes, store_lanes};
use crate::sm::exec::block::Shared;
use crate::sm::exec::fault::Step;
use crate::sm::exec::global::Gathered;
use crate::sm::exec::run::Flow;
use crate::sm::exec::warp::Warp;
use crate::sm::op::*;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64};

/// The places of a global access, if it is one of those that need no closer look.
#[inline(always)]
fn gather<'m>(
    w: &Warp,
    e: &mut Shared<'_, 'm>,
    exec: u32,
    at: Address,
    width: Width,
) -> Step<Option<Gathered<'m>>> {
    let add = w.upair(at.uniform).wrapping_add(at.offset as i64 as u64);
    let (low, high) = (&w.regs[at.base as usize], &w.regs[at.high as usize]);
    let lane = exec.trailing_zeros() as usize & 31;
    let address = (u64::from(low[lane]) | u64::from(high[lane]) << 32).wrapping_add(add);
    let span = span(e, address, width.bytes(), lane)?;
    Ok(span.gather(exec, [low, high], address, width.bytes().into()))
}

/// A store to global memory.
#[inline(always)]
pub(super) fn store_global(
    w: &mut Warp,
    e: &mut Shared,
    exec: u32,
    s: u16,
    at: Address,
    width: Width,
) -> Step<Flow> {
    let places = gather(w, e, exec, at, width)?;
    let Some(places) = places.filter(Gathered::writable) else {
        let access = Access { width, space: Space::Global };
        return store_lanes(w, e, exec, s, &addresses(w, at), access);
    };
    // The zero register is zero in all words of a wide one.
    let row = |n: u16| &w.regs[if s == ZERO { ZERO } else { s + n } as usize];
    let rows = [row(0), row(1), row(2), row(3)];
    let wide = |n: usize, l: usize| u64::from(rows[n][l]) | u64::from(rows[n + 1][l]) << 32;
    match width {
        Width::U8 | Width::S8 => places.store::<AtomicU8>(|l| rows[0][l] as u8),
        Width::U16 | Width::S16 => places.store::<AtomicU16>(|l| rows[0][l] as u16),
        Width::W32 => places.store::<AtomicU32>(|l| rows[0][l]),
        Width::W64 => places.store::<AtomicU64>(|l| wide(0, l)),
        Width::W128 => places.store::<[AtomicU64; 2]>(|l| [wide(0, l), wide(2, l)]),
    }
    Ok(Flow::Next)
}

/// Whole words between registers and shared memory, if all lanes are inside and aligned: their offsets.
#[inline(always)]
pub(super) fn shared_places(
    w: &Warp,
    e: &Shared,
    exec: u32,
    at: Address,
    width: Width,
) -> Option<[u32; 32]> {
    let bytes = width.bytes();
    let limit = (e.bytes.len() as u32).checked_sub(bytes)?;
    let uniform = match at.uniform {
        UZERO => 0,
        u => w.uregs[u as usize],
    };
    // Addresses bear the rank of the block.
    let add = uniform.wrapping_add(at.offset as u32).wrapping_sub(e.rank << 24);
    let base = &w.regs[at.base as usize];
    let mut out = [0; 32];
    let mut wrong = 0;
    for lane in 0..32 {
        let address = (base[lane] << at.scale).wrapping_add(add);
        let active = (exec >> lane & 1).wrapping_neg();
        wrong |= (u32::from(address > limit) | address & (bytes - 1)) & active;
        out[lane] = address;
    }
    (bytes >= 4 && wrong == 0).then_some(out)
}

/// `N` words per lane from shared memory.
#[inline(always)]
pub(super) fn load_shared<const N: usize>(
    w: &mut Warp,
    e: &Shared,
    exec: u32,
    d: u16,
    places: &[u32; 32],
) {
    let rows = &mut w.regs[d as usize..d as usize + N];
    for (lane, at) in places.iter().enumerate() {
        if exec == u32::MAX || exec >> lane & 1 == 1 {
            let at = *at as usize;
            let bytes = &e.bytes[at..at + N * 4];
            for n in 0..N {
                let word = [bytes[n * 4], bytes[n * 4 + 1], bytes[n * 4 + 2], bytes[n * 4 + 3]];
                rows[n][lane] = u32::from_le_bytes(word);
            }
        }
    }
}

/// `N` words per lane to shared memory.
#[inline(always)]
pub(super) fn store_shared<const N: usize>(
    w: &Warp,
    e: &mut Shared,
    exec: u32,
    s: u16,
    places: &[u32; 32],
) {
    for (lane, at) in places.iter().enumerate() {
        if exec == u32::MAX || exec >> lane & 1 == 1 {
            let at = *at as usize;
            let bytes = &mut e.bytes[at..at + N * 4];
            for n in 0..N {
                let row = if s == ZERO { ZERO as usize } else { s as usize + n };
                bytes[n * 4..n * 4 + 4].copy_from_slice(&w.regs[row][lane].to_le_bytes());
            }
        }
    }
}

#[cold]
fn load_slowly(
    w: &mut Warp,
    e: &mut Shared,
    exec: u32,
    d: u16,
    at: Address,
    width: Width,
) -> Step<Flow> {
    let access = Access { width, space: Space::Global };
    load_lanes(w, e, exec, d, &addresses(w, at), access)
}

/// A load from global memory without any condition.
#[inline(always)]
pub(crate) fn load_global(
    w: &mut Warp,
    e: &mut Shared,
    exec: u32,
    d: u16,
    at: Address,
    width: Width,
) -> Step<Flow> {
    let Some(places) = gather(w, e, exec, at, width)? else {
        return load_slowly(w, e, exec, d, at, width);
    };
    // Straight into the registers: a copy on the way would wait for 32 narrow stores to be read as wide
    // ones. Only the lanes of `exec` are given.
    if width.registers() == 1 || d == SINK {
        let row = &mut w.regs[d as usize];
        match width {
            Width::U8 => places.each::<AtomicU8>(|l, v| row[l] = v.into()),
            Width::S8 => places.each::<AtomicU8>(|l, v| row[l] = v as i8 as u32),
            Width::U16 => places.each::<AtomicU16>(|l, v| row[l] = v.into()),
            Width::S16 => places.each::<AtomicU16>(|l, v| row[l] = v as i16 as u32),
            Width::W32 => places.each::<AtomicU32>(|l, v| row[l] = v),
            // Checked, and wanted by nobody.
            Width::W64 | Width::W128 => {}
        }
    } else if width == Width::W64 {
        let rows = &mut w.regs[d as usize..d as usize + 2];
        places.each::<AtomicU64>(|l, v| {
            rows[0][l] = v as u32;
            rows[1][l] = (v >> 32) as u32;
        });
    } else {
        let rows = &mut w.regs[d as usize..d as usize + 4];
        places.each::<[AtomicU64; 2]>(|l, v| {
            for (n, half) in v.into_iter().enumerate() {
                rows[n * 2][l] = half as u32;
                rows[n * 2 + 1][l] = (half >> 32) as u32;
            }
        });
    }
    Ok(Flow::Next)
}
