//! Atomics: what they leave in memory, and how lanes do them one after the other.

use super::place::{Access, Place, place, read, store};
use super::{all_addresses, write_rows};
use crate::sm::exec::block::Shared;
use crate::sm::exec::fault::{FaultKind, Step, lane_trap};
use crate::sm::exec::run::Flow;
use crate::sm::exec::warp::Warp;
use crate::sm::meaning::integer::Atomic;
use crate::sm::meaning::{double, float, half, mbarrier};
use crate::sm::op::*;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Mutex, PoisonError};

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
pub(super) fn update(
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
        Place::Shared(_) | Place::Peer(..) => {
            let words = read(w, e, &place, width);
            let old = u64::from(words[0]) | u64::from(words[1]) << 32;
            let new = combine(op, old, operand, other);
            let counts = matches!(op, AtomicOp::Arrive | AtomicOp::Change { .. });
            if counts && (old ^ new) >> 63 == 1 && e.memory.watch().is_some() {
                e.phases.push(match place {
                    Place::Peer(rank, at) => (rank as u32, at as u64),
                    _ => (e.rank, address & 0xff_ffff),
                });
            }
            store(w, e, place, width, [new as u32, (new >> 32) as u32, 0, 0], lane)?;
            Ok(old)
        }
    }
}

/// Held while sixteen bytes of global memory are exchanged: hosts have no such atomic that is as common.
/// Others that use the same bytes meanwhile may see them half done.
static EXCHANGING: Mutex<()> = Mutex::new(());

/// An atomic of several words.
pub(super) fn wide_atomic(w: &mut Warp, e: &mut Shared, op: &Op, exec: u32) -> Step<Flow> {
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

/// An atomic of one word or two.
pub(super) fn atomic(w: &mut Warp, e: &mut Shared, op: &Op, exec: u32) -> Step<Flow> {
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
        let has_unit = match place {
            Place::Global(..) => true,
            Place::Shared(_) | Place::Peer(..) => op.is_done_by_shared(),
            Place::Local(_) => false,
        };
        if p != PSINK && !has_unit {
            continue;
        }
        let old = update(w, e, place, op, [operand, other], (lane, addresses[lane]))?;
        done |= 1 << lane;
        let result = match op {
            AtomicOp::CasTest { .. } => u64::from(old == operand),
            // Of a barrier the upper word comes: the lower register stays as it is.
            AtomicOp::Change { .. } => old >> 32 << 32 | u64::from(w.regs[d as usize][lane]),
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
