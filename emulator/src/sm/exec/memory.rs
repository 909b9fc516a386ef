//! Loads, stores, atomics and constants: addresses checked, then the bytes.

use super::block::Shared;
use super::fault::{FaultKind, Step, lane_trap};
use super::global::{Gathered, Span};
use super::run::Flow;
use super::warp::Warp;
use crate::sm::meaning::integer::Atomic;
use crate::sm::meaning::{double, float, half, mbarrier};
use crate::sm::op::*;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64};
use std::sync::{Mutex, PoisonError};

/// One past the local addresses.
const LOCAL_END: u64 = 1 << 24;
/// The size of the shared and local windows in generic addresses.
const WINDOW: u64 = 1 << 24;

/// A word of a constant bank.
#[inline(always)]
pub(crate) fn constant(e: &Shared, bank: u8, offset: usize) -> Step<u32> {
    let bytes = e.launch.banks.get(bank as usize).copied().unwrap_or(&[]);
    match bytes.get(offset..offset + 4) {
        Some(word) => Ok(u32::from_le_bytes([word[0], word[1], word[2], word[3]])),
        None => no_constant(bank, bytes.len(), offset),
    }
}

#[cold]
fn no_constant<T>(bank: u8, size: usize, offset: usize) -> Step<T> {
    lane_trap(FaultKind::Constant { bank, size }, 0, offset as u64)
}

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

/// The span that holds an access of one lane.
#[inline(always)]
fn span<'m>(e: &mut Shared<'_, 'm>, address: u64, bytes: u32, lane: usize) -> Step<Span<'m>> {
    for known in &e.spans {
        if known.holds(address, bytes.into()) {
            return Ok(*known);
        }
    }
    find_span(e, address, bytes, lane)
}

#[cold]
fn find_span<'m>(e: &mut Shared<'_, 'm>, address: u64, bytes: u32, lane: usize) -> Step<Span<'m>> {
    match e.memory.span(address) {
        Ok(found) if found.holds(address, bytes.into()) => {
            e.spans[e.oldest] = found;
            e.oldest = (e.oldest + 1) % e.spans.len();
            Ok(found)
        }
        _ => lane_trap(FaultKind::Unmapped, lane, address),
    }
}

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
fn store_global(
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
fn shared_places(w: &Warp, e: &Shared, exec: u32, at: Address, width: Width) -> Option<[u32; 32]> {
    let bytes = width.bytes();
    let limit = (e.bytes.len() as u32).checked_sub(bytes)?;
    let uniform = match at.uniform {
        UZERO => 0,
        u => w.uregs[u as usize],
    };
    let add = uniform.wrapping_add(at.offset as u32);
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
fn load_shared<const N: usize>(w: &mut Warp, e: &Shared, exec: u32, d: u16, places: &[u32; 32]) {
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
fn store_shared<const N: usize>(w: &Warp, e: &mut Shared, exec: u32, s: u16, places: &[u32; 32]) {
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
        let access = Access { width, space: Space::Global };
        return load_lanes(w, e, exec, d, &addresses(w, at), access);
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

/// How wide an access is and which memory it means.
#[derive(Clone, Copy)]
struct Access {
    width: Width,
    space: Space,
}

/// Where one lane's access goes once the address is known.
enum Place<'m> {
    Global(Span<'m>, u64),
    /// An offset into the block's shared memory.
    Shared(usize),
    /// An offset into the warp's local memory.
    Local(usize),
}

fn place<'m>(
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
        Space::Local => local_offset(w, e, lane, address, bytes).map(Place::Local),
        Space::Global => {
            let span = span(e, address, bytes, lane)?;
            Ok(Place::Global(span, address - span.base()))
        }
        Space::Generic => {
            if let Some(offset) = inside_window(e.launch.shared_window, address) {
                shared_offset(e, lane, offset, bytes).map(Place::Shared)
            } else if let Some(offset) = inside_window(e.launch.local_window, address) {
                local_offset(w, e, lane, offset, bytes).map(Place::Local)
            } else {
                let span = span(e, address, bytes, lane)?;
                Ok(Place::Global(span, address - span.base()))
            }
        }
    }
}

/// The offset of a generic address in a window that is set.
pub(super) fn inside_window(window: u64, address: u64) -> Option<u64> {
    let offset = address.wrapping_sub(window);
    (window != 0 && offset < WINDOW).then_some(offset)
}

#[inline(always)]
fn shared_offset(e: &Shared, lane: usize, address: u64, bytes: u32) -> Step<usize> {
    let size = e.bytes.len() as u64;
    match address < size && u64::from(bytes) <= size - address {
        true => Ok(address as usize),
        false => lane_trap(FaultKind::Shared { size: size as u32 }, lane, address),
    }
}

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
fn read(w: &Warp, e: &Shared, place: &Place, width: Width) -> [u32; 4] {
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

fn store(
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
        Place::Local(at) => w.local[at..at + count].copy_from_slice(&bytes[..count]),
    }
    Ok(())
}

/// The addresses of an access in any memory, of all lanes.
pub(super) fn all_addresses(w: &Warp, at: Address, space: Space) -> [u64; 32] {
    match space {
        Space::Global | Space::Generic => addresses(w, at),
        Space::Shared | Space::Local => {
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
        Op::Atom { .. } => atomic(w, e, op, exec),
        Op::AtomWide { .. } => wide_atomic(w, e, op, exec),
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
            let within = |address, window| inside_window(window, address).is_some();
            let mask = (0..32).fold(0, |mask, lane| {
                let shared = within(addresses[lane], e.launch.shared_window);
                let local = within(addresses[lane], e.launch.local_window);
                let yes = match space {
                    0 => !shared && !local,
                    1 => local,
                    2 => shared,
                    _ => false,
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
        Op::Uldc { d, bank, offset, width } => {
            let words = read_constant(e, bank, offset as usize, width, 0)?;
            match width {
                Width::W64 => w.set_upair(d, u64::from(words[0]) | u64::from(words[1]) << 32),
                _ => w.uregs[d as usize] = words[0],
            }
            Ok(Flow::Next)
        }
        _ => unreachable!("sorted by the caller"),
    }
}

/// Bank and offset of an indexed constant. In the `.IS` modes the upper half of the index is added to
/// the bank.
fn constant_place(
    w: &Warp,
    index: u16,
    lane: usize,
    bank: u8,
    offset: i32,
    mode: u8,
) -> (u8, usize) {
    let index = w.regs[index as usize][lane];
    match mode {
        0 => (bank, index.wrapping_add(offset as u32) as usize),
        _ => {
            let low = (index & 0xffff).wrapping_add(offset as u32) & 0xffff;
            (bank.wrapping_add((index >> 16) as u8), low as usize)
        }
    }
}

fn read_constant(e: &Shared, bank: u8, at: usize, width: Width, lane: usize) -> Step<[u32; 2]> {
    let bytes = e.launch.banks.get(bank as usize).copied().unwrap_or(&[]);
    let count = width.bytes() as usize;
    if at % count != 0 {
        let kind = FaultKind::Misaligned { bytes: count as u32 };
        return lane_trap(kind, lane, at as u64);
    }
    let Some(found) = bytes.get(at..).and_then(|rest| rest.get(..count)) else {
        return no_constant(bank, bytes.len(), at);
    };
    let value = found.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    Ok(match width {
        Width::S8 => [value as i8 as u32, 0],
        Width::S16 => [value as i16 as u32, 0],
        _ => [value as u32, (value >> 32) as u32],
    })
}

/// What an atomic leaves in memory.
fn combine(op: AtomicOp, old: u64, operand: u64, other: u64) -> u64 {
    match op {
        AtomicOp::Integer { op, wide: true, signed } => op.apply(signed, old, operand),
        AtomicOp::Integer { op, wide: false, signed } => {
            let extend = |x: u64| if signed { x as i32 as u64 } else { x & 0xffff_ffff };
            let result = op.apply(signed, extend(old), extend(operand));
            match op {
                Atomic::Add => u64::from((old as u32).wrapping_add(operand as u32)),
                _ => result & 0xffff_ffff,
            }
        }
        AtomicOp::Arrive => mbarrier::arrive(old),
        AtomicOp::Change { plus, times } => {
            let given = operand as u32;
            let change = mbarrier::Change {
                arrivals: plus.arrivals + if times.arrivals != 0 { given } else { 0 },
                bytes: plus.bytes + times.bytes.wrapping_mul(given as i32),
                drops: plus.drops,
            };
            mbarrier::change(old, change)
        }
        AtomicOp::Count => u64::from((old as u32).wrapping_add(1)),
        AtomicOp::AddF32 { flush } => {
            let mode = float::Mode { flush, ..float::Mode::PLAIN };
            float::add(mode, old as u32, operand as u32).into()
        }
        AtomicOp::AddF64 => double::add_in_memory(old, operand),
        AtomicOp::Halves { kind, op } => {
            let mode =
                half::Mode { kind, flush: false, zero_wins: false, saturate: false, relu: false };
            let how = float::Extreme { flush: false, nan: false, xor_sign: false };
            let (a, b) = (half::pick(0, old as u32), half::pick(0, operand as u32));
            let one = |n: usize| match op {
                0 => mode.add(a[n], b[n]),
                op => half::extreme(kind, how, a[n], b[n], op == 1),
            };
            half::pack([one(0), one(1)]).into()
        }
        AtomicOp::Cas { .. } | AtomicOp::CasTest { .. } => {
            if old == operand {
                other
            } else {
                old
            }
        }
    }
}

/// Does one lane's atomic at a place, and gives what was there before.
fn update(
    w: &mut Warp,
    e: &mut Shared,
    place: Place,
    op: AtomicOp,
    [operand, other]: [u64; 2],
    (lane, address): (usize, u64),
) -> Step<u64> {
    let wide = op.bytes() == 8;
    let width = if wide { Width::W64 } else { Width::W32 };
    match place {
        Place::Local(_) => lane_trap(FaultKind::WrongSpace, lane, address),
        Place::Global(span, _) if !span.writable() => lane_trap(FaultKind::ReadOnly, lane, address),
        Place::Global(span, offset) => {
            let new = |old| Some(combine(op, old, operand, other));
            let old = match wide {
                true => span.atomic64(offset).fetch_update(SeqCst, Relaxed, new),
                false => span
                    .atomic32(offset)
                    .fetch_update(SeqCst, Relaxed, |old| new(old.into()).map(|v| v as u32))
                    .map(u64::from)
                    .map_err(u64::from),
            };
            Ok(old.unwrap_or_else(|old| old))
        }
        Place::Shared(_) => {
            let words = read(w, e, &place, width);
            let old = u64::from(words[0]) | u64::from(words[1]) << 32;
            let new = combine(op, old, operand, other);
            store(w, e, place, width, [new as u32, (new >> 32) as u32, 0, 0], lane)?;
            Ok(old)
        }
    }
}

/// Held while sixteen bytes of global memory are exchanged: hosts have no such atomic that is as common.
/// Others that use the same bytes meanwhile may see them half done.
static EXCHANGING: Mutex<()> = Mutex::new(());

/// An atomic of several words.
fn wide_atomic(w: &mut Warp, e: &mut Shared, op: &Op, exec: u32) -> Step<Flow> {
    let Op::AtomWide { d, at, s, t, op, width, space } = *op else {
        unreachable!("sorted by the caller");
    };
    let addresses = all_addresses(w, at, space);
    let count = width.registers() as usize;
    let words = |w: &Warp, row: u16, lane: usize| -> [u32; 4] {
        std::array::from_fn(|n| match row {
            ZERO => 0,
            row if n < count => w.regs[row as usize + n][lane],
            _ => 0,
        })
    };
    let mut rows = [[0; 32]; 4];
    for lane in (0..32).filter(|lane| exec >> lane & 1 == 1) {
        let (operand, other) = (words(w, s, lane), words(w, t, lane));
        let whole = place(w, e, lane, addresses[lane], Access { width, space })?;
        let old = match op {
            WideAtomic::Words(op) => {
                let mut old = [0; 4];
                for n in 0..count {
                    let address = addresses[lane] + 4 * n as u64;
                    let one = place(w, e, lane, address, Access { width: Width::W32, space })?;
                    let operands = [operand[n].into(), 0];
                    old[n] = update(w, e, one, op, operands, (lane, address))? as u32;
                }
                old
            }
            WideAtomic::Exchange | WideAtomic::Cas => {
                if matches!(whole, Place::Local(_)) {
                    return lane_trap(FaultKind::WrongSpace, lane, addresses[lane]);
                }
                let _alone = EXCHANGING.lock().unwrap_or_else(PoisonError::into_inner);
                let old = read(w, e, &whole, width);
                if op == WideAtomic::Exchange {
                    store(w, e, whole, width, operand, lane)?;
                } else if old == operand {
                    store(w, e, whole, width, other, lane)?;
                }
                old
            }
        };
        for (row, word) in rows.iter_mut().zip(old) {
            row[lane] = word;
        }
    }
    write_rows(w, d, exec, &rows[..count]);
    Ok(Flow::Next)
}

fn atomic(w: &mut Warp, e: &mut Shared, op: &Op, exec: u32) -> Step<Flow> {
    let Op::Atom { d, p, at, s, t, op, space } = *op else {
        unreachable!("sorted by the caller");
    };
    let wide = op.bytes() == 8;
    let width = if wide { Width::W64 } else { Width::W32 };
    let addresses = all_addresses(w, at, space);
    let value = |w: &Warp, row: u16, lane: usize| match wide {
        true => w.pair(row, lane),
        false => w.regs[row as usize][lane].into(),
    };
    let mut done = 0;
    for lane in (0..32).filter(|lane| exec >> lane & 1 == 1) {
        let (operand, other) = (value(w, s, lane), value(w, t, lane));
        let place = place(w, e, lane, addresses[lane], Access { width, space })?;
        // Where memory has no unit for it nothing happens, and the program is told so.
        if p != PSINK && !matches!(place, Place::Global(..)) {
            continue;
        }
        let old = update(w, e, place, op, [operand, other], (lane, addresses[lane]))?;
        done |= 1 << lane;
        let result = match op {
            AtomicOp::CasTest { .. } => u64::from(old == operand),
            // The lower word is nobody's business.
            AtomicOp::Change { .. } => old >> 32 << 32,
            _ => old,
        };
        match wide {
            true => w.set_pair(d, lane, result),
            false => w.regs[d as usize][lane] = result as u32,
        }
    }
    w.set_pred(p, exec, done);
    Ok(Flow::Next)
}
