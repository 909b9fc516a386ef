use std::time::Duration;

use doorbell::{Arg, Commands, Device, Error, Launch, Memory, Options, Result, Ticket, args};

use super::SOON;
use super::kernels::module;

/// A device with little room, so that everything wraps soon.
fn cramped() -> Options {
    Options::new().ring_entries(8).command_bytes(4096)
}

pub fn ring_far_ahead_of_the_gpu(_: &Device) -> Result<()> {
    let device = cramped().command_bytes(1 << 20).open()?;
    for mut queue in [device.compute_queue()?, device.copy_queue()?] {
        let (gate, count) = (device.timeline()?, device.timeline()?);
        // Lap after lap, the first seven submissions of each wait at the gate, and the eighth
        // cannot be made before the gate opens.
        for lap in 0..20u64 {
            queue.wait(&gate, lap + 1)?;
            for i in 1..=7 {
                queue.signal(&count, lap * 7 + i)?;
                queue.submit()?;
            }
            assert_eq!(count.value(), lap * 7, "nothing passes the gate");
            gate.set(lap + 1);
        }
        count.wait(140, SOON)?;
        queue.finish()?;
    }
    Ok(())
}

pub fn command_memory_far_ahead_of_the_gpu(_: &Device) -> Result<()> {
    let device = cramped().ring_entries(1024).open()?;
    let mut queue = device.copy_queue()?;
    let from = device.alloc_in::<u32>(Memory::Host, 4096)?;
    let to = device.alloc_in::<u32>(Memory::Host, 4096)?;
    for i in 0..4096 {
        from.set(i, 0x1000_0000 + i as u32)?;
    }
    // 4,096 copies need some 180 KiB of commands; there are 4 KiB. A command overwritten before
    // it was fetched would leave a gap or copy a word twice.
    for i in 0..4096 {
        queue.copy(to.slice(i..i + 1)?, from.slice(i..i + 1)?)?;
        if i % 3 == 0 {
            queue.submit()?;
        }
    }
    queue.finish()?;
    assert!(to.to_vec()? == from.to_vec()?);
    Ok(())
}

/// What is left of a lap where a launch does not fit is skipped, and that takes room too: also where
/// nearly all of the memory belongs to launches that still wait.
pub fn launch_memory_far_ahead_of_the_gpu(_: &Device) -> Result<()> {
    let options = Options::new().ring_entries(4096).command_bytes(1 << 20);
    let device = options.stall_timeout(Duration::from_millis(2)).open()?;
    let (small, large) = (
        module!(&device, "word")?.kernel("count_threads")?,
        module!(&device, "parameters")?.kernel("parameters_6k")?,
    );
    let mut queue = device.compute_queue()?;
    let gate = device.timeline()?;
    let count = device.alloc_in::<u64>(Memory::Host, 1)?;
    let out = device.alloc_in::<u32>(Memory::Host, 1498)?;
    let bytes = [7; 1498 * 4];
    let one = Launch::new(1, 1);
    let mut launched = 0;
    for round in 1..=12u64 {
        queue.wait(&gate, round)?;
        let mut last = queue.submit()?.detach();
        for i in 0u64.. {
            // SAFETY: one kernel adds to the counter, the other writes the first word of `out`.
            let launch = unsafe {
                match (i * round) % 5 {
                    0 | 2 => queue.exec(&small, &one, &args![&count]).map(|_| 1),
                    _ => queue.exec(&large, &one, &args![&out, Arg::bytes(&bytes)]).map(|_| 0),
                }
            };
            let Ok(counts) = launch else { break };
            launched += counts;
            last = queue.submit().map_or(last, Ticket::detach);
            assert!(i < 2000, "1 MiB does not hold 2,000 launches");
        }
        gate.set(round);
        last.wait(SOON)?;
        queue.submit()?.wait(SOON)?;
        assert_eq!((count.get(0)?, out.get(0)?), (launched, 0x0707_0707));
    }
    Ok(())
}

/// The smallest that can be asked for, and the largest ring.
pub fn rings_of_any_size(_: &Device) -> Result<()> {
    for (entries, bytes) in [(2, 4096), (4, 5000), (65_536, 4096)] {
        let device = Options::new().ring_entries(entries).command_bytes(bytes).open()?;
        let mut queue = device.compute_queue()?;
        let kernel = module!(&device, "word")?.kernel("count_threads")?;
        let count = device.alloc_in::<u64>(Memory::Host, 1)?;
        let (one, args) = (Launch::new(1, 1), args![&count]);
        let mut recorder = queue.record();
        recorder.in_flight(1);
        // SAFETY: the kernel adds to the one counter.
        unsafe { recorder.exec(&kernel, &one, &args)?.exec(&kernel, &one, &args)? };
        let mut recording = recorder.finish()?;
        for _ in 0..100 {
            // SAFETY: as above.
            unsafe { queue.exec(&kernel, &one, &args)? };
            queue.submit()?;
            queue.replay(&mut recording)?;
        }
        queue.finish()?;
        assert_eq!(count.get(0)?, 300, "{entries} entries, {bytes} bytes");
    }
    let refused = |options: Options| options.open().expect_err("not possible").to_string();
    for entries in [0, 1, 3, 131_072] {
        assert!(refused(Options::new().ring_entries(entries)).contains("power of two"));
    }
    for bytes in [0, 4095, u64::MAX] {
        assert!(refused(Options::new().command_bytes(bytes)).contains("4 KiB to 1 GiB"));
    }
    Ok(())
}

/// An entry of the ring names two million words at most; what is longer takes several.
pub fn a_submission_longer_than_a_ring_entry_holds(_: &Device) -> Result<()> {
    let device = Options::new().command_bytes(64 << 20).open()?;
    let mut queue = device.copy_queue()?;
    let word = device.alloc_in::<u32>(Memory::Host, 1)?;
    const WRITES: u64 = 360_000;
    for i in 1..=WRITES {
        queue.write(&word, i)?;
    }
    queue.submit()?.wait(SOON)?;
    assert_eq!(u64::from(word.get(0)?), WRITES);
    Ok(())
}

pub fn a_full_ring_times_out_and_loses_nothing(_: &Device) -> Result<()> {
    let device = cramped().stall_timeout(Duration::from_millis(200)).open()?;
    let mut queue = device.compute_queue()?;
    let (gate, count) = (device.timeline()?, device.timeline()?);
    queue.wait(&gate, 1)?;
    let mut signalled = 0;
    let refused = loop {
        queue.signal(&count, signalled + 1)?;
        signalled += 1;
        match queue.submit() {
            Ok(_) => {}
            Err(error) => break error,
        }
        assert!(signalled < 100, "the ring never fills");
    };
    assert!(matches!(refused, Error::Timeout { .. }), "{refused}");
    assert_eq!(count.value(), 0);
    gate.set(1);
    // What could not be submitted is still there and goes with the next submission.
    queue.submit()?.wait(SOON)?;
    assert_eq!(count.value(), signalled);
    Ok(())
}

pub fn a_blocked_group_lets_another_work(device: &Device) -> Result<()> {
    let other = Device::open(doorbell::Select::Auto)?;
    let (mut blocked, mut working) = (device.compute_queue()?, other.compute_queue()?);
    let never = device.timeline()?;
    blocked.wait(&never, 1)?;
    let ticket = blocked.submit()?.detach();
    for _ in 0..50 {
        working.submit()?.wait(SOON)?;
    }
    assert!(!ticket.is_done());
    never.set(1);
    ticket.wait(SOON)
}

pub fn replays_overlap(device: &Device) -> Result<()> {
    let mut queue = device.copy_queue()?;
    let gate = device.timeline()?;
    let from = device.alloc_in::<u64>(Memory::Host, 8)?;
    let to = device.alloc_in::<u64>(Memory::Host, 8)?;
    from.write(0, &[10, 11, 12, 13, 14, 15, 16, 17])?;
    let mut recorder = queue.record();
    recorder.in_flight(8);
    let value = recorder.value_slot(0)?;
    let (target, source) =
        (recorder.view_slot(to.slice(0..1)?)?, recorder.view_slot(from.slice(0..1)?)?);
    recorder.wait(&gate, value)?.copy(target, source)?;
    let mut recording = recorder.finish()?;
    // All eight replays are in flight before the first can begin, each with its own values.
    let mut tickets: Vec<Ticket> = Vec::new();
    for i in 0..8 {
        recording.set_value(value, i as u64 + 1)?;
        recording.set_view(target, to.slice(i..i + 1)?)?;
        recording.set_view(source, from.slice(7 - i..8 - i)?)?;
        tickets.push(queue.replay(&mut recording)?.detach());
    }
    assert!(tickets.iter().all(|ticket| !ticket.is_done()));
    for (i, ticket) in tickets.iter().enumerate() {
        gate.set(i as u64 + 1);
        ticket.wait(SOON)?;
        assert_eq!(to.get(i)?, 17 - i as u64);
    }
    Ok(())
}

pub fn more_replays_than_instances(device: &Device) -> Result<()> {
    let mut queue = device.compute_queue()?;
    let words = device.alloc_in::<u64>(Memory::Host, 500)?;
    let mut recorder = queue.record();
    let (place, value) = (recorder.view_slot(words.slice(0..1)?)?, recorder.value_slot(0)?);
    recorder.write(place, value)?;
    let mut recording = recorder.finish()?;
    for i in 0..500 {
        recording.set_view(place, words.slice(i..i + 1)?)?;
        recording.set_value(value, i as u64 * 3 + 1)?;
        queue.replay(&mut recording)?;
    }
    queue.finish()?;
    let expected: Vec<u64> = (0..500).map(|i| i * 3 + 1).collect();
    assert_eq!(words.to_vec()?, expected);
    Ok(())
}

pub fn engine_updates_what_a_queue_waits_for(device: &Device) -> Result<()> {
    let (mut copy, mut compute) = (device.copy_queue()?, device.compute_queue()?);
    let parameters = device.alloc_in::<u32>(Memory::Host, 64)?;
    let word = device.alloc_in::<u32>(Memory::Host, 1)?;
    let count = device.timeline()?;
    for round in 1..=64 {
        // The GPU itself brings the parameter that releases the other queue.
        parameters.set(round - 1, round as u32)?;
        compute.wait_bit_set(&word, round as u32)?.write(&word, 0)?;
        compute.signal(&count, round as u64)?;
        let ticket = compute.submit()?.detach();
        copy.wait(&count, round as u64 - 1)?;
        copy.copy(&word, parameters.slice(round - 1..round)?)?;
        copy.submit()?;
        ticket.wait(SOON)?;
    }
    Ok(())
}

pub fn many_commands_in_one_submission(device: &Device) -> Result<()> {
    let mut queue = device.compute_queue()?;
    let words = device.alloc_in::<u32>(Memory::Host, 2000)?;
    for i in 0..2000 {
        queue.write(words.slice(i..i + 1)?, i as u64 + 1)?;
    }
    queue.submit()?.wait(SOON)?;
    let expected: Vec<u32> = (1..=2000).collect();
    assert_eq!(words.to_vec()?, expected);
    Ok(())
}

pub fn many_small_submissions(device: &Device) -> Result<()> {
    for mut queue in [device.compute_queue()?, device.copy_queue()?] {
        let mut last = None;
        for _ in 0..3000 {
            last = Some(queue.submit()?.detach());
        }
        let last = last.expect("there was one");
        last.wait(SOON)?;
        assert_eq!(queue.timeline().value(), last.value());
    }
    Ok(())
}

pub fn empty_submissions(device: &Device) -> Result<()> {
    let mut queue = device.copy_queue()?;
    let (first, second) = (queue.submit()?.detach(), queue.submit()?.detach());
    assert!(second.value() > first.value());
    second.wait(SOON)?;
    assert!(first.is_done());
    Ok(())
}

pub fn recording_keeps_what_it_uses(device: &Device) -> Result<()> {
    let mut queue = device.copy_queue()?;
    let to = device.alloc_in::<u32>(Memory::Host, 16)?;
    let from = device.alloc_in::<u32>(Memory::Host, 16)?;
    from.write(0, &[7; 16])?;
    let done = device.timeline()?;
    let mut recorder = queue.record();
    recorder.copy(&to, &from)?.signal(&done, 1)?;
    let mut recording = recorder.finish()?;
    let address = from.gpu();
    drop(from);
    drop(done);
    // New memory that took the place of what was dropped would be copied instead.
    let others: Vec<_> = (0..8)
        .map(|_| {
            let other = device.alloc_in::<u32>(Memory::Host, 16)?;
            other.write(0, &[9; 16])?;
            assert_ne!(other.gpu(), address);
            Ok(other)
        })
        .collect::<Result<_>>()?;
    queue.replay(&mut recording)?.wait(SOON)?;
    assert_eq!(to.to_vec()?, [7; 16]);
    drop(others);
    Ok(())
}
