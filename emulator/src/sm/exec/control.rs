//! Control flow, convergence, named barriers and special registers.

use super::block::Shared;
use super::fault::{FaultKind, Step, lane_trap, trap};
use super::run::Flow;
use super::warp::{Group, On, Warp};
use crate::sm::op::*;

/// The running lanes `mask` leave for good.
fn exit(w: &mut Warp, e: &mut Shared, mask: u32) -> Flow {
    let next = w.now.pc + 1;
    w.live &= !mask;
    w.now.mask &= !mask;
    w.now.pc = next;
    e.live[w.index as usize] = w.live;
    w.check_all();
    // Barriers of the block count the living only.
    e.touched = u32::MAX;
    match w.now.mask {
        0 => Flow::Yield,
        _ => Flow::Moved,
    }
}

/// The value that a register has in the first of some lanes.
fn first(w: &Warp, row: u16, exec: u32) -> u32 {
    w.regs[row as usize][exec.trailing_zeros() as usize & 31]
}

fn given(w: &Warp, given: Given, exec: u32) -> u32 {
    match given {
        Given::Number(n) => n,
        Given::Reg(row) => first(w, row, exec),
        Given::Upper(row) => first(w, row, exec) >> 16 & 0xfff,
    }
}

/// Sends the lanes of `taken` to `target`, the others on.
#[inline(always)]
fn branch(w: &mut Warp, taken: u32, target: u32) -> Flow {
    let next = w.now.pc + 1;
    let rest = w.now.mask & !taken;
    if taken == 0 {
        return Flow::Next;
    }
    let back = target < next;
    if rest == 0 {
        w.now.pc = target;
    } else {
        let (jump, fall) = (Group::new(target, taken), Group::new(next, rest));
        // Who is further behind goes first, so that the others are caught up with.
        let (first, second) = if back { (jump, fall) } else { (fall, jump) };
        w.now = first;
        w.resume(second);
    }
    if back {
        // A loop may wait for what another group of this warp does.
        w.rotate();
    }
    Flow::Moved
}

/// A branch to a fixed target.
#[inline(always)]
pub(super) fn jump(w: &mut Warp, op: &Op, exec: u32) -> Step<Flow> {
    let Op::Bra { to, when, mask, not, also } = *op else { unreachable!("sorted by the caller") };
    let taken = exec & w.mask(also);
    let set = w.uregs[mask as usize] ^ if not { u32::MAX } else { 0 };
    // A test of who is here is the same for all who are: everybody goes or nobody.
    let taken = match when {
        BranchWhen::Always => taken,
        BranchWhen::Any if taken == 0 => 0,
        BranchWhen::Diverged if taken == set => 0,
        BranchWhen::Converged if taken != set => 0,
        _ => w.now.mask,
    };
    let target = (w.now.pc + 1).wrapping_add_signed(to);
    Ok(branch(w, taken, target))
}

/// Sends each lane of `taken` to its own target.
fn scatter(
    w: &mut Warp,
    e: &Shared,
    taken: u32,
    target: impl Fn(&Warp, usize) -> u64,
) -> Step<Flow> {
    let next = w.now.pc + 1;
    let rest = w.now.mask & !taken;
    let mut left = taken;
    let mut groups = [Group::new(0, 0); 32];
    let mut count = 0;
    while left != 0 {
        let lane = left.trailing_zeros() as usize;
        let goal = target(w, lane);
        let same = (lane..32)
            .filter(|l| left >> l & 1 == 1 && target(w, *l) == goal)
            .fold(0, |mask, l| mask | 1 << l);
        left &= !same;
        let offset = goal.wrapping_sub(e.program.base());
        if offset % 16 != 0 || offset / 16 > u64::from(u32::MAX / 2) {
            return first_lane(FaultKind::OutsideCode, same, goal);
        }
        groups[count] = Group::new((offset / 16) as u32, same);
        count += 1;
    }
    match (count, rest) {
        (0, _) => return Ok(Flow::Next),
        (1, _) => return Ok(branch(w, taken, groups[0].pc)),
        _ => {}
    }
    for group in &groups[..count] {
        w.resume(*group);
    }
    if rest != 0 {
        w.resume(Group::new(next, rest));
    }
    w.now.mask = 0;
    Ok(Flow::Moved)
}

/// The address of the instruction after the current one.
fn after(w: &Warp, e: &Shared) -> u64 {
    e.program.base() + (u64::from(w.now.pc) + 1) * 16
}

#[inline(always)]
pub(super) fn step(w: &mut Warp, e: &mut Shared, op: &Op, exec: u32) -> Step<Flow> {
    match *op {
        Op::Exit { also } => match exec & w.mask(also) {
            0 => Ok(Flow::Next),
            leaving => Ok(exit(w, e, leaving)),
        },
        Op::Call { to, also } => {
            let taken = exec & w.mask(also);
            let target = (w.now.pc + 1).wrapping_add_signed(to);
            Ok(branch(w, taken, target))
        }
        Op::Brx { base, offset, also } => {
            let taken = exec & w.mask(also);
            let origin = after(w, e).wrapping_add_signed(offset);
            scatter(w, e, taken, |w, lane| origin.wrapping_add(w.pair(base, lane)))
        }
        Op::BrxUniform { base, offset, also } => {
            let taken = exec & w.mask(also);
            let goal = after(w, e).wrapping_add_signed(offset).wrapping_add(w.upair(base));
            scatter(w, e, taken, |_, _| goal)
        }
        Op::CallReg { base, offset, absolute, also } | Op::Ret { base, offset, absolute, also } => {
            let taken = exec & w.mask(also);
            let origin = match absolute {
                true => 0,
                false => after(w, e),
            }
            .wrapping_add_signed(offset);
            scatter(w, e, taken, |w, lane| origin.wrapping_add(w.pair(base, lane)))
        }
        Op::Trap { number } => trap(FaultKind::Trap(number)),
        Op::Bssy { bar, also } => {
            let lanes = exec & w.mask(also);
            w.bars[bar as usize] = lanes;
            Ok(Flow::Next)
        }
        Op::Bsync { bar, also } => {
            // Lanes that the barrier does not name go through.
            let lanes = exec & w.mask(also) & w.bars[bar as usize];
            Ok(wait(w, lanes, On::Bar(bar), |w| w.check_bar(bar)))
        }
        Op::Break { bar, also } => {
            let lanes = exec & w.mask(also);
            w.bars[bar as usize] &= !lanes;
            w.check_bar(bar);
            Ok(Flow::Next)
        }
        Op::BarToReg { d, bar, clear } => {
            let value = w.bars[bar as usize];
            w.write(d, exec, &[value; 32]);
            if clear {
                w.bars[bar as usize] = 0;
            }
            Ok(Flow::Next)
        }
        Op::RegToBar { bar, s } => {
            w.bars[bar as usize] = first(w, s, exec);
            w.check_bar(bar);
            Ok(Flow::Next)
        }
        Op::NumberToBar { bar, value } => {
            w.bars[bar as usize] = value;
            w.check_bar(bar);
            Ok(Flow::Next)
        }
        Op::BarToBar { d, s, clear } => {
            w.bars[d as usize] = w.bars[s as usize];
            if clear {
                w.bars[s as usize] = 0;
            }
            w.check_bar(d);
            Ok(Flow::Next)
        }
        Op::WarpSync { mask, also } => warp_sync(w, mask, exec & w.mask(also)),
        Op::Barrier { mode, id, count, from } => barrier(w, e, (mode, id, count, from), exec),
        Op::SetRegisters { count, p } => {
            w.resize(count);
            // Somebody always has some to give.
            w.set_upred(p, true);
            w.now.pc += 1;
            Ok(Flow::Yield)
        }
        Op::ClusterArrive => {
            w.came = e.opened + 1;
            w.now.pc += 1;
            e.touched |= 1 << CLUSTER_BARRIER;
            Ok(Flow::Yield)
        }
        Op::ClusterWait if w.came <= e.opened => Ok(Flow::Next),
        Op::ClusterWait => {
            let next = w.now.pc + 1;
            w.wait(exec, next, On::Cluster);
            w.now.pc = next;
            Ok(Flow::Moved)
        }
        Op::BarrierResult { d, p } => {
            let (count, yes) = w.reduced;
            w.write(d, exec, &[count; 32]);
            w.set_pred(p, exec, if yes { u32::MAX } else { 0 });
            Ok(Flow::Next)
        }
        Op::Special { d, index, wide } => {
            w.write(d, exec, &special_row(w, e, index));
            if wide && d != SINK {
                // The 64-bit counters have their upper halves in the next special register.
                let high = match index {
                    0x50 | 0x52 => special(w, e, index + 1, 0),
                    _ => 0,
                };
                w.write(d + 1, exec, &[high; 32]);
            }
            Ok(Flow::Next)
        }
        Op::SpecialU { d, index } => {
            let lane = exec.trailing_zeros() as usize & 31;
            w.uregs[d as usize] = special(w, e, index, lane);
            Ok(Flow::Next)
        }
        Op::AwaitLaunch if e.memory.latch_is_open() => Ok(Flow::Next),
        // Stays where it is, and others have their turn.
        Op::AwaitLaunch => Ok(Flow::Yield),
        Op::Lepc { d, ahead } => {
            let place = after(w, e).wrapping_add_signed(ahead);
            for lane in 0..32 {
                if exec >> lane & 1 == 1 {
                    w.set_pair(d, lane, place);
                }
            }
            Ok(Flow::Next)
        }
        _ => unreachable!("every other instruction has its room"),
    }
}

/// The lanes of `lanes` wait; `check` frees them if nobody is missing.
fn wait(w: &mut Warp, lanes: u32, on: On, check: impl FnOnce(&mut Warp)) -> Flow {
    if lanes == 0 {
        return Flow::Next;
    }
    let next = w.now.pc + 1;
    if lanes == w.now.mask && w.ready.is_empty() && w.waiting.is_empty() {
        // The usual case: nobody else is on the way.
        match on {
            On::Bar(bar) if w.bars[bar as usize] & w.live & !lanes == 0 => {
                w.bars[bar as usize] &= !lanes;
                return Flow::Next;
            }
            _ => {}
        }
    }
    w.now.pc = next;
    w.wait(lanes, next, on);
    check(w);
    Flow::Moved
}

/// The lanes of `exec` wait for those that their masks name.
fn warp_sync(w: &mut Warp, mask: Given, exec: u32) -> Step<Flow> {
    let next = w.now.pc + 1;
    let together = w.now.mask;
    let mut left = exec;
    while left != 0 {
        // Lanes with different masks form groups of their own.
        let lane = left.trailing_zeros();
        let named = given(w, mask, 1 << lane);
        let same = match mask {
            Given::Number(_) => left,
            _ => (0..32)
                .filter(|l| left >> l & 1 == 1 && given(w, mask, 1 << l) == named)
                .fold(0, |lanes, l| lanes | 1 << l),
        };
        left &= !same;
        if named & w.live & !same == 0 && same == together {
            return Ok(Flow::Next);
        }
        w.now.pc = next;
        w.wait(same, next, On::Sync(named));
    }
    w.check_sync();
    Ok(Flow::Moved)
}

/// Which barrier of the block an instruction names.
pub(super) fn barrier_id(w: &Warp, id: Given, exec: u32) -> u32 {
    match id {
        Given::Number(n) => n,
        _ => given(w, id, exec) & 15,
    }
}

fn barrier(
    w: &mut Warp,
    e: &mut Shared,
    (mode, id, count, from): (BarrierMode, Given, Given, Pred),
    exec: u32,
) -> Step<Flow> {
    let id = barrier_id(w, id, exec);
    let needed = given(w, count, exec);
    if id >= e.launch.barriers.min(BARRIERS as u32) {
        return trap(FaultKind::Barrier { id, allocated: e.launch.barriers });
    }
    let named = &mut e.named[id as usize];
    named.arrived[w.index as usize] |= exec;
    if needed != 0 {
        named.needed = needed;
    }
    if !matches!(mode, BarrierMode::Wait | BarrierMode::Arrive) {
        named.count_true += (exec & w.mask(from)).count_ones();
        named.all = mode == BarrierMode::AllTrue;
    }
    let next = w.now.pc + 1;
    if mode != BarrierMode::Arrive {
        w.wait(exec, next, On::Named(id as u8));
    }
    w.now.pc = next;
    if named.complete(e.live) {
        e.touched |= 1 << id;
        return Ok(Flow::Yield);
    }
    Ok(Flow::Moved)
}

/// The values of a special register in all lanes: most are the same in each, or follow one another.
fn special_row(w: &Warp, e: &Shared, index: u8) -> [u32; 32] {
    match index {
        0x21 if e.launch.block[1..] == [1, 1] => {
            std::array::from_fn(|lane| w.index * 32 + lane as u32)
        }
        0x00 | 0x20..=0x23 | 0x38..=0x3c => std::array::from_fn(|lane| special(w, e, index, lane)),
        _ => [special(w, e, index, 0); 32],
    }
}

/// The value of a special register in one lane.
fn special(w: &Warp, e: &Shared, index: u8, lane: usize) -> u32 {
    let thread = w.index * 32 + lane as u32;
    let [x, y, z] = e.launch.block;
    let bit = 1u32 << lane;
    let time = e.launch.time_ns + e.clock;
    match index {
        0x00 => lane as u32,
        // Warp number and multiprocessor as the compilers take them apart.
        0x03 => w.index << 8 | e.launch.sm << 20,
        0x21 => thread % x,
        0x22 => thread / x % y,
        0x23 => thread / (x * y) % z.max(1),
        0x20 => (thread % x) | ((thread / x % y) << 16) | ((thread / (x * y)) << 26),
        0x25..=0x27 => e.launch.index[index as usize - 0x25],
        0x2e => (e.launch.local_window >> 32) as u32,
        0x2f => (e.launch.shared_window >> 32) as u32,
        0x30 => e.launch.shared_window as u32,
        0x34 => e.launch.local_window as u32,
        0x31 | 0x35 => 1 << 24,
        0x32 => e.launch.shared_size + e.launch.shared_reserved,
        0x36 => e.launch.local_low,
        0x37 => (1 << 24) - e.launch.local_high,
        0x38 => bit,
        0x39 => bit - 1,
        0x3a => bit | (bit - 1),
        0x3b => !(bit | (bit - 1)),
        0x3c => !(bit - 1),
        0x43 => e.launch.sm,
        0x88 => e.rank,
        0x01 | 0x50 => e.clock as u32,
        0x51 => (e.clock >> 32) as u32,
        0x52 => time as u32,
        0x53 => (time >> 32) as u32,
        _ => 0,
    }
}

/// A trap that names the first of the lanes in `lanes`.
#[cold]
fn first_lane<T>(kind: FaultKind, lanes: u32, address: u64) -> Step<T> {
    lane_trap(kind, lanes.trailing_zeros() as usize, address)
}
