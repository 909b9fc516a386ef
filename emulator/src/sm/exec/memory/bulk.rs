//! What goes its way by itself and tells a barrier when it has come: stores that signal, and copies in bulk.
//! Here they have come when they are issued.

use super::atomic::update;
use super::place::{Access, place, read, store};
use crate::sm::exec::block::Shared;
use crate::sm::exec::fault::Step;
use crate::sm::exec::run::Flow;
use crate::sm::exec::warp::Warp;
use crate::sm::meaning::mbarrier::Change;
use crate::sm::op::*;

/// Bulk copies move bytes by as many, which are aligned so.
pub(crate) const PIECE: u32 = 16;

/// A store, or an atomic, by each lane to shared memory of the cluster.
pub(super) fn signal(w: &mut Warp, e: &mut Shared, op: &Op, exec: u32) -> Step<Flow> {
    let Op::Signal { at, s, width, op } = *op else {
        unreachable!("sorted by the caller");
    };
    for lane in (0..32).filter(|lane| exec >> lane & 1 == 1) {
        let [to, barrier] = [at, at + 1].map(|row| w.regs[row as usize][lane]);
        let words = std::array::from_fn(|n| match s {
            ZERO => 0,
            s if n < width.registers() as usize => w.regs[s as usize + n][lane],
            _ => 0,
        });
        let place = place(w, e, lane, to.into(), Access { width, space: Space::Cluster })?;
        match op {
            None => store(w, e, place, width, words, lane)?,
            Some(op) => {
                let operand = u64::from(words[0]) | u64::from(words[1]) << 32;
                update(w, e, place, op, [operand, 0], (lane, to.into()))?;
            }
        }
        have_come(w, e, barrier, width.bytes(), lane)?;
    }
    Ok(Flow::Next)
}

/// Tells a barrier of the cluster that bytes have come.
fn have_come(w: &mut Warp, e: &mut Shared, barrier: u32, bytes: u32, lane: usize) -> Step<()> {
    let barrier = u64::from(barrier);
    let place = place(w, e, lane, barrier, Access { width: Width::W64, space: Space::Cluster })?;
    let times = Change { bytes: -1, ..Change::default() };
    let op = AtomicOp::Change { plus: Change::default(), times };
    update(w, e, place, op, [bytes.into(), 0], (lane, barrier)).map(drop)
}

/// A bulk copy, or reduction, taken apart.
pub(crate) struct Bulk {
    /// Where it reads.
    pub(crate) from: (Space, u64),
    /// Where it writes, and the barrier that hears of it; several for a multicast.
    pub(crate) to: Vec<(Space, u64, Option<u32>)>,
    pub(crate) bytes: u32,
}

impl Bulk {
    /// What a warp's uniform registers ask for.
    pub(crate) fn new(w: &Warp, op: &Op) -> Bulk {
        let Op::Bulk { to, from, size, route, multicast, .. } = *op else {
            unreachable!("sorted by the caller");
        };
        let word = |index: u8| match index {
            UZERO => 0,
            index => w.uregs[index as usize],
        };
        let barrier = if to == UZERO { 0 } else { word(to + 1) };
        let ranks = word(size) >> 16;
        let targets = match route {
            Route::SharedToGlobal => vec![(Space::Global, w.upair(to), None)],
            _ if multicast => {
                let in_block = |address: u32, rank: u32| rank << 24 | address & 0xff_ffff;
                let ranks = (0..16).filter(|rank| ranks >> rank & 1 == 1);
                let one = |rank| {
                    let to = in_block(word(to), rank);
                    (Space::Cluster, to.into(), Some(in_block(barrier, rank)))
                };
                ranks.map(one).collect()
            }
            _ => vec![(Space::Cluster, word(to).into(), Some(barrier))],
        };
        Bulk {
            from: match route {
                Route::GlobalToShared => (Space::Global, w.upair(from)),
                _ => (Space::Shared, word(from).into()),
            },
            to: targets,
            bytes: (word(size) & 0xffff) * PIECE,
        }
    }
}

/// Copies or reduces in bulk.
pub(super) fn copy(w: &mut Warp, e: &mut Shared, op: &Op) -> Step<Flow> {
    let order = Bulk::new(w, op);
    let Op::Bulk { op, .. } = *op else {
        unreachable!("sorted by the caller");
    };
    let (lane, width) = (0, Width::W128);
    let (from_space, from) = order.from;
    for (space, to, barrier) in order.to {
        for at in (0..u64::from(order.bytes)).step_by(PIECE as usize) {
            let source = place(w, e, lane, from + at, Access { width, space: from_space })?;
            let words = read(w, e, &source, width);
            let Some(op) = op else {
                let target = place(w, e, lane, to + at, Access { width, space })?;
                store(w, e, target, width, words, lane)?;
                continue;
            };
            let each = op.bytes() as usize / 4;
            for (n, element) in words.chunks_exact(each).enumerate() {
                let width = if each == 2 { Width::W64 } else { Width::W32 };
                let to = to + at + u64::from(width.bytes()) * n as u64;
                let target = place(w, e, lane, to, Access { width, space })?;
                let high = element.get(1).copied().unwrap_or(0);
                let operand = u64::from(element[0]) | u64::from(high) << 32;
                update(w, e, target, op, [operand, 0], (lane, to))?;
            }
        }
        if let Some(barrier) = barrier {
            have_come(w, e, barrier, order.bytes, lane)?;
        }
    }
    Ok(Flow::Next)
}
