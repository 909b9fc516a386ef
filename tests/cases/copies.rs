use std::thread;
use std::time::Duration;

use doorbell::{Buffer, Commands, Device, Error, Memory, Queue, Result};

use super::SOON;

/// Bytes that differ from their neighbours, and from another seed's.
fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// A host buffer with these bytes.
fn host(device: &Device, bytes: &[u8]) -> Result<Buffer<u8>> {
    let buffer = device.alloc_in(Memory::Host, bytes.len())?;
    buffer.write(0, bytes)?;
    Ok(buffer)
}

/// What a buffer holds, wherever it lies.
fn contents(device: &Device, queue: &mut Queue, buffer: &Buffer<u8>) -> Result<Vec<u8>> {
    let back = device.alloc_in(Memory::Host, buffer.len())?;
    queue.copy(&back, buffer)?;
    queue.submit()?.wait(SOON)?;
    back.to_vec()
}

pub fn small(device: &Device) -> Result<()> {
    let mut queue = device.copy_queue()?;
    let bytes = pattern(1, 64);
    let (from, to) = (host(device, &bytes)?, device.alloc(64)?);
    queue.copy(&to, &from)?;
    queue.submit()?.wait(SOON)?;
    assert_eq!(contents(device, &mut queue, &to)?, bytes);
    Ok(())
}

pub fn of_64_mib(device: &Device) -> Result<()> {
    let mut queue = device.copy_queue()?;
    let bytes = pattern(2, 64 << 20);
    let (from, to) = (host(device, &bytes)?, device.alloc(bytes.len())?);
    queue.copy(&to, &from)?;
    queue.submit()?.wait(SOON)?;
    assert!(contents(device, &mut queue, &to)? == bytes);
    Ok(())
}

pub fn beyond_32_bits(device: &Device) -> Result<()> {
    const GIB: usize = 1 << 30;
    for len in [4 * GIB - 8, 4 * GIB, 4 * GIB + 8, 5 * GIB, 6 * GIB - 0x464_2ee0] {
        let mut queue = device.copy_queue()?;
        let (from, to) = (device.alloc::<u8>(len)?, device.alloc::<u8>(len)?);
        let probe = device.alloc_in::<u8>(Memory::Host, 32)?;
        // Both ends, and both sides of every 2 GiB, where a copy may be split.
        let mut places = vec![0, len - 16];
        places.extend((1..).map(|i| i * 2 * GIB - 8).take_while(|at| at + 32 <= len));
        for (i, &at) in places.iter().enumerate() {
            probe.write(0, &pattern(i as u64 + 3, 16))?;
            queue.copy(from.slice(at..at + 16)?, probe.slice(0..16)?)?;
            queue.submit()?.wait(SOON)?;
        }
        queue.copy(&to, &from)?;
        queue.submit()?.wait(SOON)?;
        for (i, &at) in places.iter().enumerate() {
            queue.copy(probe.slice(16..32)?, to.slice(at..at + 16)?)?;
            queue.submit()?.wait(SOON)?;
            let seen = &probe.to_vec()?[16..];
            assert_eq!(seen, pattern(i as u64 + 3, 16), "at {at:#x} of {len:#x}");
        }
    }
    Ok(())
}

fn recorded(device: &Device, len: usize) -> Result<()> {
    let mut queue = device.copy_queue()?;
    let [a, b, c, d] = [4, 5, 6, 7].map(|seed| host(device, &pattern(seed, len)));
    let (a, b, c, d) = (a?, b?, c?, d?);
    let mut recorder = queue.record();
    let (to, from) = (recorder.view_slot(&b)?, recorder.view_slot(&a)?);
    recorder.copy(to, from)?;
    let mut recording = recorder.finish()?;
    queue.replay(&mut recording)?.wait(SOON)?;
    assert!(b.to_vec()? == pattern(4, len) && d.to_vec()? == pattern(7, len));

    recording.set_view(to, &d)?;
    recording.set_view(from, &c)?;
    queue.replay(&mut recording)?.wait(SOON)?;
    assert!(b.to_vec()? == pattern(4, len) && d.to_vec()? == pattern(6, len));
    Ok(())
}

pub fn recorded_copy_changes_both_sides(device: &Device) -> Result<()> {
    recorded(device, 48)
}

pub fn recorded_long_copy_changes_both_sides(device: &Device) -> Result<()> {
    recorded(device, 32 << 20)
}

pub fn recording_lies_in_gpu_memory(device: &Device) -> Result<()> {
    let mut queue = device.copy_queue()?;
    let (from, to) = (host(device, &pattern(8, 256))?, host(device, &[0; 256])?);
    let done = device.timeline()?;
    let mut recorder = queue.record();
    let step = recorder.value_slot(0)?;
    recorder.copy(&to, &from)?.signal(&done, step)?;
    let mut recording = recorder.finish()?;
    let words = recording.words();
    for round in 1..=20 {
        from.write(0, &pattern(round, 256))?;
        recording.set_value(step, round)?;
        queue.replay(&mut recording)?;
        done.wait(round, SOON)?;
        assert_eq!(to.to_vec()?, pattern(round, 256));
    }
    // Replaying changes payloads, never the commands.
    assert_eq!(recording.words().len(), words.len());
    Ok(())
}

pub fn host_bytes_rewritten_between_copies(device: &Device) -> Result<()> {
    let mut queue = device.copy_queue()?;
    let (from, to) = (host(device, &[0])?, device.alloc::<u8>(256)?);
    for i in 0..256 {
        from.set(0, i as u8 ^ 0x5a)?;
        queue.copy(to.slice(i..i + 1)?, &from)?;
        queue.submit()?.wait(SOON)?;
    }
    let expected: Vec<u8> = (0..=255).map(|i| i ^ 0x5a).collect();
    assert_eq!(contents(device, &mut queue, &to)?, expected);
    Ok(())
}

pub fn through_another_buffer(device: &Device) -> Result<()> {
    let mut queue = device.copy_queue()?;
    let (from, middle, to) = (host(device, &[0])?, device.alloc::<u8>(1)?, device.alloc(256)?);
    for i in 0..256 {
        from.set(0, i as u8 ^ 0xa5)?;
        queue.copy(&middle, &from)?.copy(to.slice(i..i + 1)?, &middle)?;
        queue.submit()?.wait(SOON)?;
    }
    let expected: Vec<u8> = (0..=255).map(|i| i ^ 0xa5).collect();
    assert_eq!(contents(device, &mut queue, &to)?, expected);
    Ok(())
}

pub fn between_two_devices_buffers(device: &Device) -> Result<()> {
    // One GPU, opened twice: two address spaces, two groups of channels.
    let other = Device::open(doorbell::Select::Auto)?;
    let (mut here, mut there) = (device.copy_queue()?, other.copy_queue()?);
    let to = device.alloc::<u8>(256)?;
    for i in 0..256 {
        let bytes = [i as u8 ^ 0x3c];
        let (outside, inside) = (host(&other, &bytes)?, other.alloc_in(Memory::Host, 1)?);
        there.copy(&inside, &outside)?;
        there.submit()?.wait(SOON)?;
        let from = host(device, &inside.to_vec()?)?;
        here.copy(to.slice(i..i + 1)?, &from)?;
        here.submit()?.wait(SOON)?;
    }
    let expected: Vec<u8> = (0..=255).map(|i| i ^ 0x3c).collect();
    assert_eq!(contents(device, &mut here, &to)?, expected);
    Ok(())
}

/// The CPU writes shared memory while the queue is held, so that the engine must see the newest
/// bytes and not some that it or the CPU cached.
fn late_writes(device: &Device, barrier: bool) -> Result<()> {
    let mut queue = device.copy_queue()?;
    let gate = device.timeline()?;
    let (from, to) = (host(device, &[0; 64])?, host(device, &[0; 64])?);
    for round in 1..256 {
        queue.wait(&gate, round)?;
        if barrier {
            queue.memory_barrier()?;
        }
        queue.copy(&to, &from)?;
        let ticket = queue.submit()?.detach();
        let bytes = pattern(round, 64);
        from.write(0, &bytes)?;
        gate.set(round);
        ticket.wait(SOON)?;
        assert_eq!(to.to_vec()?, bytes, "round {round}");
    }
    Ok(())
}

pub fn cpu_writes_seen_by_each_copy(device: &Device) -> Result<()> {
    late_writes(device, false)
}

pub fn cpu_writes_seen_after_a_barrier(device: &Device) -> Result<()> {
    late_writes(device, true)
}

pub fn host_memory_both_ways(device: &Device) -> Result<()> {
    let mut queue = device.copy_queue()?;
    let bytes = pattern(9, 100_000);
    let up = host(device, &bytes)?;
    let inside = device.alloc::<u8>(bytes.len())?;
    let down = device.alloc_in::<u8>(Memory::Host, bytes.len())?;
    queue.copy(&inside, &up)?.copy(&down, &inside)?;
    queue.submit()?.wait(SOON)?;
    assert!(down.to_vec()? == bytes);
    if device.info().unified_memory {
        assert!(inside.to_vec()? == bytes, "the CPU reads device memory in place");
    }
    Ok(())
}

pub fn of_nothing_and_of_odd_places(device: &Device) -> Result<()> {
    let mut queue = device.copy_queue()?;
    let bytes = pattern(10, 10_000);
    let (from, to) = (host(device, &bytes)?, host(device, &[0xee; 10_000])?);
    queue.copy(to.slice(5..5)?, from.slice(77..77)?)?;
    queue.copy(to.slice(4093..8200)?, from.slice(3..4110)?)?;
    queue.submit()?.wait(SOON)?;
    let seen = to.to_vec()?;
    assert_eq!(seen[4093..8200], bytes[3..4110]);
    assert!(seen[..4093].iter().chain(&seen[8200..]).all(|byte| *byte == 0xee));
    Ok(())
}

/// A compute queue copies with a kernel, in order with its launches: any places, any lengths.
pub fn by_a_compute_queue(device: &Device) -> Result<()> {
    let mut queue = device.compute_queue()?;
    let bytes = pattern(11, 10_000);
    let (from, to) = (host(device, &bytes)?, host(device, &[0xee; 10_000])?);
    let between = device.alloc::<u8>(10_000)?;
    let mut expected = vec![0xee; 10_000];
    let pieces = [
        (0, 0, 0),
        (0, 0, 1),
        (16, 32, 4096),
        (4208, 4160, 1001),
        (5301, 5302, 77),
        (6004, 6020, 999),
    ];
    for (at, of, len) in pieces {
        queue.copy(between.slice(at..at + len)?, from.slice(of..of + len)?)?;
        queue.copy(to.slice(at..at + len)?, between.slice(at..at + len)?)?;
        expected[at..at + len].copy_from_slice(&bytes[of..of + len]);
    }
    queue.submit()?.wait(SOON)?;
    assert!(to.to_vec()? == expected);

    let mut recorder = queue.record();
    let (there, back) =
        (recorder.view_slot(between.slice(0..64)?)?, recorder.view_slot(to.slice(0..64)?)?);
    recorder.copy(there, from.slice(0..64)?)?.copy(back, there)?;
    let mut recording = recorder.finish()?;
    for i in 0..10 {
        recording.set_view(there, between.slice(100 * i..100 * i + 64)?)?;
        recording.set_view(back, to.slice(999 * i..999 * i + 64)?)?;
        queue.replay(&mut recording)?;
        expected[999 * i..999 * i + 64].copy_from_slice(&bytes[..64]);
    }
    queue.finish()?;
    assert!(to.to_vec()? == expected);
    Ok(())
}

pub fn refuse_what_cannot_be(device: &Device) -> Result<()> {
    let (mut compute, mut copy) = (device.compute_queue()?, device.copy_queue()?);
    let (long, short) = (host(device, &[1; 16])?, host(device, &[2; 8])?);
    let refused = |result: Result<()>, words: &str| match result {
        Err(Error::Request(text)) => assert!(text.contains(words), "{text:?} has no {words:?}"),
        other => panic!("expected a refusal with {words:?}, got {other:?}"),
    };
    refused(copy.copy(&long, &short).map(drop), "equally long");
    refused(compute.copy(&long, &short).map(drop), "equally long");
    refused(copy.write(long.slice(0..3)?, 1).map(drop), "4 or 8 bytes");
    refused(copy.write(long.slice(0..4)?, 1 << 32).map(drop), "does not fit");
    refused(copy.write(long.slice(4..12)?, 1).map(drop), "multiple of 8");
    refused(copy.wait_bit_set(&long, 1).map(drop), "4 bytes");
    refused(copy.wait_bit_clear(long.slice(0..4)?, 0).map(drop), "empty mask");
    // Nothing of that was encoded, and the queues go on.
    for queue in [&mut compute, &mut copy] {
        queue.submit()?.wait(SOON)?;
    }
    thread::sleep(Duration::from_millis(1));
    assert_eq!(long.to_vec()?, [1; 16]);
    Ok(())
}
