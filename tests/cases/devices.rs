//! Several devices at once, as several programs on one GPU are: what one does never holds another up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use doorbell::{Commands, Device, Launch, Memory, Options, Queue, Result, Select, Timeline, args};

use super::SOON;
use super::kernels::module;
use super::limits::refused;

/// Far more than anything here takes, and far less than for ever.
const PROMPTLY: Duration = Duration::from_secs(5);

/// Opening and closing a channel makes the driver flush what is on its way to the GPU. A submission of
/// somebody else's at that moment must not be overlooked.
pub fn queues_come_and_go_beside_one_that_works(device: &Device) -> Result<()> {
    const OPENED: u32 = 400;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let others = scope.spawn(|| -> Result<()> {
            let outcome = (|| {
                let other = Device::open(Select::Auto)?;
                for _ in 0..OPENED / 2 {
                    other.compute_queue()?.submit()?.wait(SOON)?;
                    drop(other.copy_queue()?);
                }
                Ok(())
            })();
            over.store(true, Ordering::Relaxed);
            outcome
        });
        let mut queues = [device.compute_queue()?, device.copy_queue()?];
        while !over.load(Ordering::Relaxed) {
            for queue in &mut queues {
                queue.submit()?.wait(PROMPTLY)?;
                // The moment is found sooner by one who does not always ring at once.
                thread::sleep(Duration::from_micros(20));
            }
        }
        others.join().expect("it does not panic")
    })
}

/// Devices that are opened, used and closed, each by a thread of its own.
pub fn work_at_the_same_time(_: &Device) -> Result<()> {
    const THREADS: u32 = 4;
    const ROUNDS: u32 = 4;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || (0..ROUNDS).try_for_each(|_| one_life(thread))))
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("it does not panic"))
    })
}

/// Opens a device, sends numbers there, through chains of kernels and back, and closes it.
fn one_life(thread: u32) -> Result<()> {
    const LEN: usize = 2000;
    const CHAIN: u32 = 6;
    let device = Device::open(Select::Auto)?;
    let kernel = module!(&device, "vector")?.kernel("add_one")?;
    let (mut queue, mut copies) = (device.compute_queue()?, device.copy_queue()?);
    let (x, y) = (device.alloc::<u32>(LEN)?, device.alloc::<u32>(LEN)?);
    let host = device.alloc_in::<u32>(Memory::Host, LEN)?;
    let launch = Launch::new(LEN.div_ceil(64) as u32, 64);
    for turn in 0..10 {
        let first = |i: usize| i as u32 * (turn + 1) + thread;
        host.write(0, &(0..LEN).map(first).collect::<Vec<_>>())?;
        copies.copy(&x, &host)?;
        copies.submit()?.wait(PROMPTLY)?;
        for _ in 0..CHAIN / 2 {
            // SAFETY: both buffers have the elements that the kernel reads and writes.
            unsafe {
                queue.exec(&kernel, &launch, &args![&y, &x, LEN as u32])?;
                queue.exec(&kernel, &launch, &args![&x, &y, LEN as u32])?;
            }
        }
        queue.submit()?.wait(PROMPTLY)?;
        copies.copy(&host, &x)?;
        copies.submit()?.wait(PROMPTLY)?;
        let wrong =
            host.to_vec()?.iter().enumerate().filter(|(i, v)| **v != first(*i) + CHAIN).count();
        assert_eq!(wrong, 0, "of {LEN} in turn {turn} of thread {thread}");
    }
    Ok(())
}

/// What is left of a queue that is closed before others of its kind must not lie where new memory comes to lie.
pub fn queues_are_closed_in_any_order(device: &Device) -> Result<()> {
    const LEN: usize = (2 << 20) / size_of::<u32>();
    let kernel = module!(device, "vector")?.kernel("fill")?;
    let mut queues = (0..4).map(|_| device.compute_queue()).collect::<Result<Vec<_>>>()?;
    for first in [0, 2, 1] {
        drop(queues.remove(first % queues.len()));
        let buffers = (0..50).map(|_| device.alloc::<u32>(LEN)).collect::<Result<Vec<_>>>()?;
        let back = device.alloc_in::<u32>(Memory::Host, buffers.len())?;
        let queue = &mut queues[0];
        for (i, buffer) in buffers.iter().enumerate() {
            let last = buffer.slice(LEN - 64..LEN)?;
            // SAFETY: the kernel writes the 64 elements.
            unsafe { queue.exec(&kernel, &Launch::new(1, 64), &args![last, i as u32, 64u32])? };
            queue.copy(back.slice(i..i + 1)?, buffer.slice(LEN - 1..LEN)?)?;
        }
        queue.submit()?.wait(PROMPTLY)?;
        assert!(back.to_vec()?.into_iter().eq(0..50));
        queues.push(device.compute_queue()?);
    }
    Ok(())
}

/// Kernels that need much local memory and others that need little take turns on queues of their own, and one
/// queue is closed in between. What each queue has given its kernels stays theirs.
pub fn queues_keep_their_local_memory(device: &Device) -> Result<()> {
    const THREADS: u32 = 1024;
    const ROUNDS: u32 = 3;
    let module = module!(device, "local")?;
    // From much to little.
    let [deep, array, little] = [
        module.kernel("deep_recursion")?,
        module.kernel("local_array")?,
        module.kernel("local_generic")?,
    ];
    let launch = Launch::new(THREADS / 128, 128);
    let outs = (0..3)
        .map(|_| device.alloc_in::<u32>(Memory::Host, THREADS as usize))
        .collect::<Result<Vec<_>>>()?;
    let mut queues = (0..3).map(|_| device.compute_queue()).collect::<Result<Vec<_>>>()?;
    let run = |queue: &mut Queue, which: usize, round: u32| -> Result<()> {
        let out = &outs[which];
        // SAFETY: each of the kernels writes one word per thread.
        unsafe {
            match which {
                0 => queue.exec(&deep, &launch, &args![out, 8u32, round])?,
                1 => queue.exec(&array, &launch, &args![out, round])?,
                _ => queue.exec(&little, &launch, &args![out, 20 + round])?,
            };
        }
        queue.submit().map(drop)
    };
    let check = |which: usize, round: u32| -> Result<()> {
        let expected = |i: u32| match which {
            0 => (0..=8).map(|depth| (depth + round) % 16).sum(),
            1 => {
                let mut words = [0; 64];
                (0..64).for_each(|k| words[((k * 29 + round) % 64) as usize] = k * 3 + i);
                let read = (0..64).map(|k| words[((k * round + i) % 64) as usize]);
                read.fold(0, |sum: u32, word| sum.wrapping_mul(31).wrapping_add(word))
            }
            _ => (0..20 + round).map(|k| i + k).sum(),
        };
        let wrong = (0..).zip(outs[which].to_vec()?).filter(|(i, got)| *got != expected(*i));
        assert_eq!(wrong.count(), 0, "of {THREADS} by kernel {which} in round {round}");
        Ok(())
    };
    // The one with the least sets its memory up last.
    for (which, queue) in queues.iter_mut().enumerate() {
        run(queue, which, 0)?;
        queue.finish()?;
        check(which, 0)?;
    }
    let all_at_once = |queues: &mut [(usize, Queue)], round| -> Result<()> {
        queues.iter_mut().try_for_each(|(which, queue)| run(queue, *which, round))?;
        queues.iter_mut().try_for_each(|(which, queue)| {
            queue.finish()?;
            check(*which, round)
        })
    };
    let mut queues: Vec<_> = queues.into_iter().enumerate().collect();
    for round in 1..ROUNDS {
        all_at_once(&mut queues, round)?;
    }
    for round in ROUNDS..ROUNDS + 2 {
        drop(queues.remove(1));
        all_at_once(&mut queues, round)?;
    }
    queues.push((1, device.compute_queue()?));
    all_at_once(&mut queues, ROUNDS + 2)
}

/// As many queues as a device has, all at work. One more of either kind is refused, and there is room again
/// for one when one is closed.
pub fn many_queues(device: &Device) -> Result<()> {
    const MOST: usize = 128;
    const MOST_COMPUTE: usize = 63;
    let kernel = module!(device, "vector")?.kernel("fill")?;
    let words = device.alloc_in::<u32>(Memory::Host, MOST)?;
    let source = device.alloc_in::<u32>(Memory::Host, 1)?;
    let mut kernels =
        (0..MOST_COMPUTE).map(|_| device.compute_queue()).collect::<Result<Vec<_>>>()?;
    refused(device.compute_queue(), "at most 63 compute queues");
    kernels.remove(20);
    kernels.push(device.compute_queue()?);
    let mut copies =
        (MOST_COMPUTE..MOST).map(|_| device.copy_queue()).collect::<Result<Vec<_>>>()?;
    refused(device.copy_queue(), "at most 128 queues");
    for round in 1..=3 {
        source.set(0, round)?;
        for (i, queue) in kernels.iter_mut().enumerate() {
            let word = words.slice(i..i + 1)?;
            // SAFETY: the kernel writes the one word.
            unsafe { queue.exec(&kernel, &Launch::new(1, 32), &args![word, round, 1u32])? };
            queue.submit()?;
        }
        for (i, queue) in copies.iter_mut().enumerate() {
            queue.copy(words.slice(MOST_COMPUTE + i..MOST_COMPUTE + i + 1)?, &source)?;
            queue.submit()?;
        }
        for queue in kernels.iter_mut().chain(&mut copies) {
            queue.finish()?;
        }
        assert!(words.to_vec()?.iter().all(|word| *word == round));
    }
    kernels.pop();
    device.copy_queue().map(drop)
}

/// One device and many threads: memory and queues come and go, code is loaded beside code that runs, and
/// each thread's work waits for a neighbour's.
pub fn threads_share_a_device(device: &Device) -> Result<()> {
    const THREADS: usize = 4;
    const ROUNDS: u64 = 25;
    let ends = (0..THREADS).map(|_| device.timeline()).collect::<Result<Vec<_>>>()?;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|me| {
                let (end, neighbour) = (&ends[me], &ends[(me + 1) % THREADS]);
                let round = move |round| one_round(device, me as u32, round, end, neighbour);
                scope.spawn(move || {
                    let outcome = (1..=ROUNDS).try_for_each(round);
                    // The others need not wait for one that failed.
                    end.set(ROUNDS);
                    outcome
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("it does not panic"))
    })
}

/// Sends numbers to the GPU and back, and lets go of everything else while they are on their way.
fn one_round(
    device: &Device,
    thread: u32,
    round: u64,
    end: &Timeline,
    neighbour: &Timeline,
) -> Result<()> {
    const LEN: usize = 500;
    let (mut queue, mut copies) = (device.compute_queue()?, device.copy_queue()?);
    let back = device.alloc_in::<u32>(Memory::Host, LEN)?;
    let first = |i: usize| i as u32 * (thread + 1) + round as u32;
    let ticket = {
        let kernel = module!(device, "vector")?.kernel("add_one")?;
        let host = device.alloc_in::<u32>(Memory::Host, LEN)?;
        let (x, y) = (device.alloc::<u32>(LEN)?, device.alloc::<u32>(LEN)?);
        host.write(0, &(0..LEN).map(first).collect::<Vec<_>>())?;
        let there = device.timeline()?;
        copies.copy(&x, &host)?.signal(&there, 1)?;
        copies.submit()?;
        queue.wait(&there, 1)?.wait(neighbour, round - 1)?;
        // SAFETY: both buffers have the elements that the kernel reads and writes.
        unsafe { queue.exec(&kernel, &Launch::new(8, 64), &args![&y, &x, LEN as u32])? };
        queue.copy(&back, &y)?.signal(end, round)?;
        queue.submit()?.detach()
    };
    ticket.wait(PROMPTLY)?;
    let wrong = back.to_vec()?.iter().enumerate().filter(|(i, v)| **v != first(*i) + 1).count();
    assert_eq!(wrong, 0, "of {LEN} in round {round} of thread {thread}");
    Ok(())
}

/// A queue that waits for what never comes can be closed without the others of its device noticing,
/// whether they have something to do or not.
pub fn a_queue_that_waits_is_closed_without_harm(_: &Device) -> Result<()> {
    let device = Options::new().stall_timeout(Duration::from_millis(50)).open()?;
    let spin = module!(&device, "time")?.kernel("spin_on_word")?;
    let word = device.alloc_in::<u32>(Memory::Host, 1)?;
    let never = device.timeline()?;
    let mut working = device.compute_queue()?;
    for at_work in [false, true] {
        let mut waiting = device.compute_queue()?;
        waiting.wait(&never, 1)?;
        waiting.submit()?;
        if at_work {
            // SAFETY: the kernel only reads the word.
            unsafe { working.exec(&spin, &Launch::new(1, 1), &args![&word, 1u32])? };
            working.submit()?;
        }
        thread::scope(|scope| {
            let after_a_while = scope.spawn(|| {
                thread::sleep(Duration::from_millis(200));
                word.set(0, 1)
            });
            drop(waiting);
            after_a_while.join().expect("it does not panic")
        })?;
        working.submit()?.wait(PROMPTLY)?;
        word.set(0, 0)?;
    }
    Ok(())
}
