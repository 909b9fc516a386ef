use std::thread;
use std::time::Duration;

use doorbell::{Commands, Device, Error, Launch, Memory, Module, Result, args};

use super::SOON;
use super::kernels::module;

pub fn two_kernels_a_hundred_times(device: &Device) -> Result<()> {
    let kernel = module!(device, "vector")?.kernel("add_one")?;
    let mut queue = device.compute_queue()?;
    let (a, b) =
        (device.alloc_in::<u32>(Memory::Host, 64)?, device.alloc_in::<u32>(Memory::Host, 64)?);
    let launch = Launch::new(1, 64);
    let done = device.timeline()?;
    for round in 1..=100 {
        // SAFETY: both buffers have the 64 elements that the kernel reads and writes.
        unsafe {
            queue.exec(&kernel, &launch, &args![&b, &a, 64u32])?;
            queue.exec(&kernel, &launch, &args![&a, &b, 64u32])?;
        }
        queue.signal(&done, round)?;
        queue.submit()?;
    }
    done.wait(100, SOON)?;
    assert_eq!(a.to_vec()?, [200; 64]);
    assert_eq!(b.to_vec()?, [199; 64]);
    Ok(())
}

/// Ordinary loads and stores of one word: each launch must see what the one before stored.
pub fn a_chain_of_230(device: &Device) -> Result<()> {
    let kernel = module!(device, "word")?.kernel("increment")?;
    let mut queue = device.compute_queue()?;
    let word = device.alloc::<u32>(1)?;
    let back = device.alloc_in::<u32>(Memory::Host, 1)?;
    let mut recorder = queue.record();
    for _ in 0..230 {
        // SAFETY: the kernel touches the one word.
        unsafe { recorder.exec(&kernel, &Launch::new(1, 1), &args![&word])? };
    }
    let mut recording = recorder.finish()?;
    for _ in 0..20 {
        queue.replay(&mut recording)?;
    }
    let ticket = queue.submit()?.detach();
    let mut copy = device.copy_queue()?;
    copy.wait(ticket.timeline(), ticket.value())?.copy(&back, &word)?;
    copy.submit()?.wait(SOON)?;
    assert_eq!(back.get(0)?, 230 * 20);
    Ok(())
}

/// Launches that may start before the one before them has ended, among others that may not, and
/// with a signal among them: their order stays. Behind each kernel's wait an element comes from
/// another multiprocessor.
pub fn early_launches_keep_their_order(device: &Device) -> Result<()> {
    let plain = module!(device, "vector")?.kernel("add_one")?;
    // Before Hopper no kernel can wait by itself, nor need it.
    let early = match device.info().sm {
        90 => Module::load(device, include_bytes!("../../ptx/sm_90/early.cubin"))?
            .kernel("add_one_early")?,
        _ => plain.clone(),
    };
    let mut queue = device.compute_queue()?;
    let n = 4_000;
    let (a, b) =
        (device.alloc_in::<u32>(Memory::Host, n)?, device.alloc_in::<u32>(Memory::Host, n)?);
    let half_way = device.timeline()?;
    const PAIRS: u64 = 20;
    let launch = |block: u32| Launch::new((n as u32).div_ceil(block), block);
    let (there, back) = (args![&b, &a, n as u32], args![&a, &b, n as u32]);
    let mut recorder = queue.record();
    let passed = recorder.value_slot(0)?;
    for pair in 0..PAIRS {
        // SAFETY: both buffers have the `n` elements that the kernels read and write, and the
        // early ones wait before they do.
        unsafe {
            recorder.exec(&early, &launch(64).early(), &there)?;
            recorder.exec(&early, &launch(96).early(), &back)?;
            if pair == PAIRS / 2 {
                recorder.signal(&half_way, passed)?;
            }
            recorder.exec(&early, &launch(64).early(), &there)?;
            recorder.exec(&plain, &launch(96), &back)?;
        }
    }
    let mut recording = recorder.finish()?;
    const REPLAYS: u64 = 5;
    for replay in 1..=REPLAYS {
        recording.set_value(passed, replay)?;
        queue.replay(&mut recording)?;
    }
    for pair in 0..PAIRS {
        // SAFETY: as above.
        unsafe {
            queue.exec(&plain, &launch(64), &there)?;
            queue.exec(&early, &launch(96).early(), &back)?;
            if pair == PAIRS / 2 {
                queue.signal(&half_way, REPLAYS + 1)?;
            }
            queue.exec(&early, &launch(64).early(), &there)?;
            queue.exec(&early, &launch(96).early(), &back)?;
        }
    }
    queue.submit()?.wait(SOON)?;
    assert_eq!(half_way.value(), REPLAYS + 1);
    let all = (REPLAYS + 1) * PAIRS * 4;
    let wrong = a.to_vec()?.iter().filter(|element| u64::from(**element) != all).count();
    assert_eq!(wrong, 0, "elements that are not {all}; the first is {}", a.get(0)?);
    Ok(())
}

/// The kernel stores long after the next one has started: a wait that waits for nothing shows.
pub fn an_early_launch_waits_for_a_slow_one(device: &Device) -> Result<()> {
    if device.info().sm != 90 {
        println!("no kernel waits by itself before Hopper: nothing to test");
        return Ok(());
    }
    let module = Module::load(device, include_bytes!("../../ptx/sm_90/early.cubin"))?;
    let kernel = module.kernel("increment_slowly")?;
    let mut queue = device.compute_queue()?;
    let word = device.alloc_in::<u32>(Memory::Host, 1)?;
    for _ in 0..100 {
        // SAFETY: the kernel waits, and then touches the one word.
        unsafe { queue.exec(&kernel, &Launch::new(1, 1).early(), &args![&word, 20_000u64])? };
    }
    queue.submit()?.wait(SOON)?;
    assert_eq!(word.get(0)?, 100);
    let plain = module!(device, "word")?.kernel("increment")?;
    // SAFETY: it is refused.
    let refused = unsafe { queue.exec(&plain, &Launch::new(1, 1).early(), &args![&word]) };
    assert!(refused.unwrap_err().to_string().contains("griddepcontrol.wait"));
    Ok(())
}

pub fn recorded_arguments_change(device: &Device) -> Result<()> {
    let kernel = module!(device, "vector")?.kernel("fill")?;
    let mut queue = device.compute_queue()?;
    let words = device.alloc_in::<u32>(Memory::Host, 32 * 8)?;
    let mut recorder = queue.record();
    let (target, value) = (recorder.view_slot(words.slice(0..32)?)?, recorder.value_slot(0)?);
    // SAFETY: the kernel writes 32 words behind its first argument, and every view has them.
    unsafe { recorder.exec(&kernel, &Launch::new(1, 32), &args![target, value, 32u32])? };
    let mut recording = recorder.finish()?;
    for i in 0..8 {
        recording.set_view(target, words.slice(32 * i..32 * (i + 1))?)?;
        recording.set_value(value, 100 + i as u64)?;
        queue.replay(&mut recording)?;
    }
    queue.finish()?;
    let expected: Vec<u32> = (0..8).flat_map(|i| [100 + i; 32]).collect();
    assert_eq!(words.to_vec()?, expected);
    Ok(())
}

pub fn recorded_grids_change(device: &Device) -> Result<()> {
    let module = module!(device, "word")?;
    let (count, shared) =
        (module.kernel("count_threads")?, module!(device, "shared")?.kernel("shared_dynamic")?);
    let mut queue = device.compute_queue()?;
    let threads = device.alloc_in::<u64>(Memory::Host, 1)?;
    let wrong = device.alloc_in::<u32>(Memory::Host, 8)?;
    let mut recorder = queue.record();
    let shape = recorder.launch_slot(Launch::new(1, 1))?;
    let room = recorder.launch_slot(Launch::new(1, 128).shared(1024))?;
    let words = recorder.value_slot(256)?;
    let index = module!(device, "geometry")?.kernel("flat_index")?;
    let seats = device.alloc_in::<u32>(Memory::Host, 1 << 20)?;
    // SAFETY: the kernels count their threads, number them, and use their dynamic shared memory.
    unsafe {
        recorder.exec(&index, shape, &args![&seats])?;
        recorder.exec(&count, shape, &args![&threads])?;
        recorder.exec(&shared, room, &args![&wrong, words])?;
        recorder.exec(&count, shape, &args![&threads])?;
    }
    let mut recording = recorder.finish()?;
    let mut expected = 0;
    let mut shapes = vec![([1u32, 1, 1], [1u32, 1, 1])];
    // The local shapes of a conformance suite for such queues, and a few grids.
    for x in [1, 2, 4] {
        for y in [1, 2, 4] {
            shapes.extend([1, 2, 4].map(|z| ([z, y, x], [x, y, z])));
        }
    }
    shapes.extend([([700, 1, 1], [1024, 1, 1]), ([2, 65, 1], [33, 3, 1]), ([1, 1, 3], [1, 1, 64])]);
    for (i, (grid, block)) in shapes.into_iter().enumerate() {
        if i > 0 {
            let bytes = 1024 << (i % 7);
            recording.set_value(words, bytes / 4)?;
            // SAFETY: as above; the value says how much shared memory there is.
            unsafe {
                recording.set_launch(shape, Launch::new(grid, block))?;
                let launch = Launch::new(1 + i as u32 % 5, 128).shared(bytes as u32);
                recording.set_launch(room, launch)?;
            }
        }
        queue.replay(&mut recording)?.wait(SOON)?;
        let now = grid.iter().chain(&block).map(|n| u64::from(*n)).product::<u64>();
        expected += 2 * now;
        // A thread's number comes from the grid and the block that it sees.
        let last = now as usize - 1;
        assert_eq!(seats.get(last)?, last as u32, "grid {grid:?}, block {block:?}");
        assert!(seats.get(last + 1)? == 0, "a thread beyond the grid");
        seats.write(0, &vec![0; now as usize])?;
        assert_eq!(threads.get(0)?, expected, "grid {grid:?}, block {block:?}");
        assert_eq!(wrong.to_vec()?, [0; 8]);
    }
    // What the kernel cannot be is refused, and nothing changes.
    // SAFETY: refused.
    let refused = unsafe { recording.set_launch(shape, Launch::new(1, 2048)) };
    let error = refused.expect_err("no block is that large");
    assert!(error.to_string().contains("1024"), "{error}");
    let mut other = queue.record();
    let stranger = other.launch_slot(Launch::new(1, 1))?;
    // SAFETY: refused.
    unsafe {
        assert!(recording.set_launch(stranger, Launch::new(1, 1)).is_err());
        assert!(queue.exec(&count, stranger, &args![&threads]).is_err());
    }
    queue.replay(&mut recording)?.wait(SOON)?;
    assert_eq!(threads.get(0)?, expected + 2 * 3 * 64);
    Ok(())
}

pub fn recorded_signals_around_kernels(device: &Device) -> Result<()> {
    let kernel = module!(device, "word")?.kernel("increment")?;
    let mut queue = device.compute_queue()?;
    let word = device.alloc_in::<u32>(Memory::Host, 1)?;
    let (gate, done) = (device.timeline()?, device.timeline()?);
    let mut recorder = queue.record();
    let (enter, leave) = (recorder.value_slot(1)?, recorder.value_slot(1)?);
    recorder.wait(&gate, enter)?;
    // SAFETY: the kernel touches the one word.
    unsafe { recorder.exec(&kernel, &Launch::new(1, 1), &args![&word])? };
    recorder.signal(&done, leave)?;
    let mut recording = recorder.finish()?;
    for round in 1..=10 {
        recording.set_value(enter, round)?;
        recording.set_value(leave, round * 10)?;
        let ticket = queue.replay(&mut recording)?.detach();
        thread::sleep(Duration::from_millis(1));
        assert_eq!(word.get(0)?, round as u32 - 1, "the gate is closed");
        gate.set(round);
        done.wait(round * 10, SOON)?;
        assert_eq!(word.get(0)?, round as u32);
        ticket.wait(SOON)?;
    }
    Ok(())
}

/// What each `busy_span` leaves: when it began and when it ended, in GPU nanoseconds, and where.
fn spans(buffer: &doorbell::Buffer<u64>) -> Result<Vec<(u64, u64)>> {
    Ok(buffer.to_vec()?.chunks(3).map(|span| (span[0], span[1])).collect())
}

pub fn a_group_runs_together_and_what_follows_waits(device: &Device) -> Result<()> {
    const KERNELS: usize = 64;
    let module = module!(device, "time")?;
    let busy = module.kernel("busy_span")?;
    let mut queue = device.compute_queue()?;
    let times = device.alloc_in::<u64>(Memory::Host, 3 * (KERNELS + 2))?;
    let one = Launch::new(1, 1);
    let at = |i: usize| times.slice(3 * i..3 * i + 3);
    // 64 of 20 us each, with one before and one after; first as commands, then as a recording.
    let mut recorder = queue.record();
    fn encode(
        target: &mut impl Commands,
        launch: &mut dyn FnMut(usize) -> Result<doorbell::Arg<'static>>,
        busy: &doorbell::Kernel,
        one: &Launch,
    ) -> Result<()> {
        let time = |last: bool| if last { 1_000u64 } else { 20_000 };
        // SAFETY: each kernel writes the span that is its own.
        unsafe {
            target.exec(busy, one, &[launch(0)?, time(false).into()])?;
            target.concurrently(|group| {
                for i in 1..=KERNELS {
                    group.exec(busy, one, &[launch(i)?, time(false).into()])?;
                }
                Ok(())
            })?;
            target.exec(busy, one, &[launch(KERNELS + 1)?, time(true).into()])?;
        }
        Ok(())
    }
    let mut address = |i: usize| Ok(at(i)?.start().get().into());
    encode(&mut recorder, &mut address, &busy, &one)?;
    let mut recording = recorder.finish()?;
    for replay in [false, true] {
        times.write(0, &vec![0; times.len()])?;
        if replay {
            queue.replay(&mut recording)?.wait(SOON)?;
        } else {
            encode(&mut queue, &mut address, &busy, &one)?;
            queue.submit()?.wait(SOON)?;
        }
        let spans = spans(&times)?;
        let (first, group, last) = (spans[0], &spans[1..=KERNELS], spans[KERNELS + 1]);
        let began = group.iter().map(|span| span.0).min().expect("there are some");
        let ended = group.iter().map(|span| span.1).max().expect("there are some");
        assert!(first.1 > first.0 && began >= first.1, "the group began before the first ended");
        assert!(last.0 >= ended, "the last began before the group ended");
        if device.info().driver == "nvidia" {
            assert!(ended - began < 3 * 20_000, "64 kernels of 20 us took {} ns", ended - began);
            println!("64 kernels of 20 us took {} ns", ended - began);
        }
    }
    Ok(())
}

/// What each of seven `busy_span` kernels of a graph leaves, replayed a few times.
pub fn a_graph_forks_and_joins(device: &Device) -> Result<()> {
    const NS: u64 = 50_000;
    let busy = module!(device, "time")?.kernel("busy_span")?;
    let mut queue = device.compute_queue()?;
    let times = device.alloc_in::<u64>(Memory::Host, 3 * 8)?;
    let one = Launch::new(1, 1);
    let arguments = |i: usize| Ok::<_, Error>(args![times.slice(3 * i..3 * i + 3)?, NS].to_vec());
    let mut recorder = queue.record();
    // A diamond with a longer side, and one that stands alone; then one after the graph.
    let edges: [(usize, &[usize]); 7] =
        [(0, &[]), (1, &[0]), (2, &[0]), (3, &[2]), (4, &[1, 3]), (5, &[]), (6, &[4])];
    let mut nodes = Vec::new();
    for (i, after) in edges {
        let after: Vec<_> = after.iter().map(|i| nodes[*i]).collect();
        // SAFETY: each kernel writes the span that is its own.
        nodes.push(unsafe { recorder.exec_after(&busy, &one, &arguments(i)?, &after)? });
    }
    // SAFETY: as above.
    unsafe { recorder.exec(&busy, &one, &arguments(7)?)? };
    // A launch of a graph that has ended may be named; one of another recording may not.
    let mut other = queue.record();
    // SAFETY: as above; the last is refused.
    unsafe {
        assert!(other.exec_after(&busy, &one, &arguments(0)?, &nodes[..1]).is_err());
        let error = other
            .concurrently(|group| group.exec_after(&busy, &one, &arguments(0)?, &[]).map(drop))
            .map(drop)
            .expect_err("a group has no order");
        assert!(error.to_string().contains("group"), "{error}");
    }
    let mut recording = recorder.finish()?;
    for _ in 0..5 {
        times.write(0, &vec![0; times.len()])?;
        queue.replay(&mut recording)?.wait(SOON)?;
        let spans = spans(&times)?;
        assert!(spans.iter().all(|(began, ended)| 0 < *began && began < ended), "{spans:?}");
        for (i, after) in edges {
            for before in after {
                assert!(spans[i].0 >= spans[*before].1, "{i} began before {before} ended");
            }
        }
        let graph = &spans[..7];
        assert!(graph.iter().all(|(_, ended)| spans[7].0 >= *ended), "the last one did not wait");
        if device.info().driver == "nvidia" {
            let overlap = |a: usize, b: usize| spans[a].0 < spans[b].1 && spans[b].0 < spans[a].1;
            assert!(overlap(1, 2) && overlap(0, 5), "branches did not overlap: {spans:?}");
        }
    }
    Ok(())
}

/// What the front end, the copy engine and another kernel write just before, at the same address.
pub fn kernels_read_what_engines_wrote(device: &Device) -> Result<()> {
    let module = module!(device, "word")?;
    let (write, read) = (module.kernel("write_word")?, module.kernel("copy_word")?);
    let (mut queue, mut copy) = (device.compute_queue()?, device.copy_queue()?);
    let word = device.alloc::<u32>(1)?;
    let from = device.alloc_in::<u32>(Memory::Host, 64)?;
    let seen = device.alloc_in::<u32>(Memory::Host, 3 * 64)?;
    from.write(0, &(0..64).map(|i| 3 * i + 1).collect::<Vec<u32>>())?;
    let one = Launch::new(1, 1);
    for i in 0..64usize {
        let at = |part: usize| seen.slice(3 * i + part..3 * i + part + 1);
        queue.write(&word, 3 * i as u64)?;
        // SAFETY: the kernels write one word each.
        unsafe { queue.exec(&read, &one, &args![at(0)?, &word])? };
        let before = queue.submit()?.detach();
        copy.wait(before.timeline(), before.value())?.copy(&word, from.slice(i..i + 1)?)?;
        let copied = copy.submit()?.detach();
        queue.wait(copied.timeline(), copied.value())?;
        // SAFETY: as above.
        unsafe {
            queue.exec(&read, &one, &args![at(1)?, &word])?;
            queue.exec(&write, &one, &args![&word, 3 * i as u32 + 2])?;
            queue.exec(&read, &one, &args![at(2)?, &word])?;
        }
        queue.submit()?;
    }
    queue.finish()?;
    assert_eq!(seen.to_vec()?, (0..3 * 64).collect::<Vec<u32>>());
    Ok(())
}
