//! Loads, stores, atomics and constants: addresses checked, then the bytes.

mod atomic;
mod bulk;
mod constant;
mod place;
mod quick;

pub(super) use bulk::{Bulk, PIECE};
pub(crate) use constant::constant;
pub(super) use place::{in_local_window, in_shared_window, rank_and_offset};
pub(crate) use quick::load_global;

use super::block::Shared;
use super::fault::{FaultKind, Step, lane_trap};
use super::run::Flow;
use super::warp::Warp;
use crate::sm::op::*;
use constant::{constant_place, read_constant};
use place::{Access, Place, place, read, shared_offset, store};
use quick::{load_shared, shared_places, store_global, store_shared};

/// The 64-bit addresses of an access, of all lanes.
#[inline(always)]
fn addresses(w: &Warp, at: Address) -> [u64; 32] {
    let add = w.upair(at.uniform).wrapping_add(at.offset as i64 as u64);
    if at.base == ZERO {
        return [add; 32];
    }
    let (low, high) = (&w.regs[at.base as usize], &w.regs[at.high as usize]);
    let mut out = [0; 32];
    for lane in 0..32 {
        out[lane] = (u64::from(low[lane]) | u64::from(high[lane]) << 32).wrapping_add(add);
    }
    out
}

/// The address of one lane in shared or local memory.
#[inline(always)]
pub(crate) fn window_address(w: &Warp, at: Address, lane: usize) -> u32 {
    let base = w.regs[at.base as usize][lane] << at.scale;
    let uniform = match at.uniform {
        UZERO => 0,
        u => w.uregs[u as usize],
    };
    base.wrapping_add(uniform).wrapping_add(at.offset as u32)
}

/// The addresses of an access in any memory, of all lanes.
pub(super) fn all_addresses(w: &Warp, at: Address, space: Space) -> [u64; 32] {
    match space {
        Space::Global | Space::Generic => addresses(w, at),
        Space::Shared | Space::Cluster | Space::Local => {
            std::array::from_fn(|lane| window_address(w, at, lane).into())
        }
    }
}

fn load_lanes(
    w: &mut Warp,
    e: &mut Shared,
    exec: u32,
    d: u16,
    addresses: &[u64; 32],
    access: Access,
) -> Step<Flow> {
    let count = access.width.registers();
    let mut rows = [[0; 32]; 4];
    for lane in (0..32).filter(|lane| exec >> lane & 1 == 1) {
        let place = place(w, e, lane, addresses[lane], access)?;
        let words = read(w, e, &place, access.width);
        for (row, word) in rows.iter_mut().zip(words) {
            row[lane] = word;
        }
    }
    write_rows(w, d, exec, &rows[..count as usize]);
    Ok(Flow::Next)
}

fn store_lanes(
    w: &mut Warp,
    e: &mut Shared,
    exec: u32,
    s: u16,
    addresses: &[u64; 32],
    access: Access,
) -> Step<Flow> {
    for lane in (0..32).filter(|lane| exec >> lane & 1 == 1) {
        let place = place(w, e, lane, addresses[lane], access)?;
        let words = std::array::from_fn(|n| match s {
            ZERO => 0,
            s if n < access.width.registers() as usize => w.regs[s as usize + n][lane],
            _ => 0,
        });
        store(w, e, place, access.width, words, lane)?;
    }
    Ok(Flow::Next)
}

fn write_rows(w: &mut Warp, d: u16, exec: u32, rows: &[[u32; 32]]) {
    if d != SINK {
        for (at, row) in rows.iter().enumerate() {
            w.write(d + at as u16, exec, row);
        }
    }
}

/// Where a row of a matrix begins in shared memory.
#[inline(always)]
pub(crate) fn shared_row(e: &Shared, address: u32, lane: usize) -> Step<usize> {
    let bytes = 16;
    match address % bytes {
        0 => shared_offset(e, lane, address.into(), bytes),
        _ => lane_trap(FaultKind::Misaligned { bytes }, lane, address.into()),
    }
}

/// Stores a row of a matrix in shared memory.
pub(crate) fn put_shared_words(
    e: &mut Shared,
    address: u32,
    lane: usize,
    words: &[u32],
) -> Step<()> {
    let bytes = words.len() as u32 * 4;
    if address % bytes != 0 {
        return lane_trap(FaultKind::Misaligned { bytes }, lane, address.into());
    }
    let at = shared_offset(e, lane, address.into(), bytes)?;
    for (place, word) in e.bytes[at..at + bytes as usize].chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    Ok(())
}

/// The place of a barrier in shared memory.
fn barrier_at<'m>(
    w: &mut Warp,
    e: &mut Shared<'_, 'm>,
    at: Address,
    lane: usize,
) -> Step<Place<'m>> {
    let access = Access { width: Width::W64, space: Space::Shared };
    let address = window_address(w, at, lane).into();
    place(w, e, lane, address, access)
}

#[inline(always)]
pub(super) fn step(w: &mut Warp, e: &mut Shared, op: &Op, exec: u32) -> Step<Flow> {
    match *op {
        Op::Load { d, at, width, space, when } => {
            let wanted = exec & w.mask(when);
            if wanted != exec {
                // Lanes whose condition is false read zero.
                let rows = [[0; 32]; 4];
                write_rows(w, d, exec & !wanted, &rows[..width.registers() as usize]);
            }
            if wanted == 0 {
                return Ok(Flow::Next);
            }
            if space == Space::Global {
                return load_global(w, e, wanted, d, at, width);
            }
            if space == Space::Shared && d != SINK {
                if let Some(places) = shared_places(w, e, wanted, at, width) {
                    match width.registers() {
                        1 => load_shared::<1>(w, e, wanted, d, &places),
                        2 => load_shared::<2>(w, e, wanted, d, &places),
                        _ => load_shared::<4>(w, e, wanted, d, &places),
                    }
                    return Ok(Flow::Next);
                }
            }
            let addresses = all_addresses(w, at, space);
            load_lanes(w, e, wanted, d, &addresses, Access { width, space })
        }
        Op::Store { s, at, width, space } => {
            if space == Space::Global {
                return store_global(w, e, exec, s, at, width);
            }
            if space == Space::Shared {
                if let Some(places) = shared_places(w, e, exec, at, width) {
                    match width.registers() {
                        1 => store_shared::<1>(w, e, exec, s, &places),
                        2 => store_shared::<2>(w, e, exec, s, &places),
                        _ => store_shared::<4>(w, e, exec, s, &places),
                    }
                    return Ok(Flow::Next);
                }
            }
            let addresses = all_addresses(w, at, space);
            store_lanes(w, e, exec, s, &addresses, Access { width, space })
        }
        Op::Atom { .. } => atomic::atomic(w, e, op, exec),
        Op::AtomWide { .. } => atomic::wide_atomic(w, e, op, exec),
        Op::CopyAsync { shared, global, width, zero_fill, when } => {
            let wanted = exec & w.mask(when);
            let from = addresses(w, global);
            for lane in (0..32).filter(|lane| exec >> lane & 1 == 1) {
                let to = window_address(w, shared, lane).into();
                let to = place(w, e, lane, to, Access { width, space: Space::Shared })?;
                let bytes = width.bytes();
                // With zero fill, the low bits of the address say how many bytes at the end are zero.
                let short = match zero_fill {
                    true => from[lane] % u64::from(bytes),
                    false => 0,
                };
                let words = if wanted >> lane & 1 == 1 {
                    let access = Access { width, space: Space::Global };
                    let place = place(w, e, lane, from[lane] - short, access)?;
                    let kept = u64::from(bytes) - short;
                    let words = read(w, e, &place, width);
                    std::array::from_fn(|n| match kept.saturating_sub(n as u64 * 4) {
                        0 => 0,
                        bytes @ 1..=3 => words[n] & ((1 << (8 * bytes)) - 1),
                        _ => words[n],
                    })
                } else {
                    [0; 4]
                };
                store(w, e, to, width, words, lane)?;
            }
            Ok(Flow::Next)
        }
        Op::Signal { .. } => bulk::signal(w, e, op, exec),
        Op::Bulk { .. } => bulk::copy(w, e, op),
        Op::PhaseCheck { p, at, s, tries } => {
            let mut over = 0;
            for lane in (0..32).filter(|lane| exec >> lane & 1 == 1) {
                let place = barrier_at(w, e, at, lane)?;
                let phase = read(w, e, &place, Width::W64)[1] ^ w.regs[s as usize][lane];
                over |= (phase >> 31) << lane;
            }
            w.set_pred(p, exec, over);
            if tries && over & exec != exec {
                // Somebody would wait here: others have their turn.
                w.now.pc += 1;
                return Ok(Flow::Yield);
            }
            Ok(Flow::Next)
        }
        Op::ExchangeUniform { d, at, s } => {
            let lane = exec.trailing_zeros() as usize & 31;
            let place = barrier_at(w, e, at, lane)?;
            let old = read(w, e, &place, Width::W64);
            let new = w.upair(s);
            store(w, e, place, Width::W64, [new as u32, (new >> 32) as u32, 0, 0], lane)?;
            if d != USINK {
                w.set_upair(d, u64::from(old[0]) | u64::from(old[1]) << 32);
            }
            Ok(Flow::Next)
        }
        Op::QuerySpace { d, p, at, space } => {
            let addresses = addresses(w, at);
            let mask = (0..32).fold(0, |mask, lane| {
                let shared = in_shared_window(e, addresses[lane]);
                let own = |address| rank_and_offset(address).0 == e.rank;
                let local = in_local_window(e, addresses[lane]).is_some();
                let yes = match space {
                    0 => shared.is_none() && !local,
                    1 => local,
                    2 => shared.is_some_and(own),
                    _ => shared.is_some(),
                };
                mask | u32::from(yes) << lane
            });
            w.set_pred(p, exec, mask);
            w.write(d, exec, &std::array::from_fn(|lane| mask >> lane & 1));
            Ok(Flow::Next)
        }
        Op::Ldc { d, index, bank, offset, width, mode } => {
            let count = width.registers();
            let mut rows = [[0; 32]; 4];
            for lane in (0..32).filter(|lane| exec >> lane & 1 == 1) {
                let (bank, at) = constant_place(w, index, lane, bank, offset, mode);
                let words = read_constant(e, bank, at, width, lane)?;
                rows[0][lane] = words[0];
                rows[1][lane] = words[1];
            }
            write_rows(w, d, exec, &rows[..count as usize]);
            Ok(Flow::Next)
        }
        Op::Uldc { d, index, bank, offset, width } => {
            let at = w.uregs[index as usize].wrapping_add(offset as u32);
            let words = read_constant(e, bank, at as usize, width, 0)?;
            match width {
                Width::W64 => w.set_upair(d, u64::from(words[0]) | u64::from(words[1]) << 32),
                _ => w.uregs[d as usize] = words[0],
            }
            Ok(Flow::Next)
        }
        _ => unreachable!("sorted by the caller"),
    }
}
