//! What kernels take from constant bank 0 beside their arguments and the geometry.

use doorbell::{
    Arg, Buffer, Commands, Device, Kernel, Launch, Memory, Queue, Recorder, Result, args,
};

use super::SOON;
use super::kernels::module;

/// Runs a kernel by commands, chained to others, and by replays of several instances of a recording;
/// each time with the output cleared, and looked at afterwards.
fn in_every_way(
    device: &Device,
    kernel: &Kernel,
    out: &Buffer<u32>,
    launches: &[(Launch, Vec<Arg<'_>>)],
    check: impl Fn(usize, &[u32]),
) -> Result<()> {
    let mut queue = device.compute_queue()?;
    let zeros = vec![0; out.len()];
    let check_all = |out: Vec<u32>| {
        let part = out.len() / launches.len();
        out.chunks(part).take(launches.len()).enumerate().for_each(|(i, part)| check(i, part));
    };
    let mut recorder: Recorder = queue.record();
    recorder.in_flight(3);
    for (launch, args) in launches {
        // SAFETY: the caller's arguments fit.
        unsafe { recorder.exec(kernel, launch, args)? };
    }
    let mut recording = recorder.finish()?;
    for round in 0..5 {
        out.write(0, &zeros)?;
        if round == 0 {
            let queue: &mut Queue = &mut queue;
            for (launch, args) in launches {
                // SAFETY: as above.
                unsafe { queue.exec(kernel, launch, args)? };
            }
            queue.submit()?.wait(SOON)?;
        } else {
            queue.replay(&mut recording)?.wait(SOON)?;
        }
        check_all(out.to_vec()?);
    }
    Ok(())
}

const PRIMES: [u32; 16] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53];

/// A pointer that leads to a `__constant__` table in some threads and to a buffer in others.
pub fn pointers_to_constants(device: &Device) -> Result<()> {
    let kernel = module!(device, "constants")?.kernel("read_either")?;
    let other = device.alloc_in::<u32>(Memory::Host, 16)?;
    other.write(0, &[900; 16])?;
    let out = device.alloc_in::<u32>(Memory::Host, 3 * 32)?;
    let at = |i: usize| out.slice(32 * i..32 * i + 32);
    let launches = (0..3u32)
        .map(|i| Ok((Launch::new(1, 32), args![at(i as usize)?, &other, i].to_vec())))
        .collect::<Result<Vec<_>>>()?;
    in_every_way(device, &kernel, &out, &launches, |from, out| {
        for (i, word) in out.iter().enumerate() {
            let expected = if i % 2 == 0 { PRIMES[(i + from) % 16] } else { 900 };
            assert_eq!(*word, expected, "thread {i}, from {from}");
        }
    })
}

/// An argument read through a pointer to where it stands in bank 0.
pub fn pointers_to_arguments(device: &Device) -> Result<()> {
    let kernel = module!(device, "parameters")?.kernel("parameter_by_pointer")?;
    let other = device.alloc_in::<u32>(Memory::Host, 64)?;
    other.write(0, &[900; 64])?;
    let out = device.alloc_in::<u32>(Memory::Host, 3 * 64)?;
    let at = |i: usize| out.slice(64 * i..64 * i + 64);
    let words: Vec<Vec<u8>> = (0..3u32)
        .map(|i| (0..64u32).flat_map(|word| (1000 * i + word).to_le_bytes()).collect())
        .collect();
    let launches = (0..3)
        .map(|i| Ok((Launch::new(1, 64), args![at(i)?, Arg::bytes(&words[i]), &other].to_vec())))
        .collect::<Result<Vec<_>>>()?;
    in_every_way(device, &kernel, &out, &launches, |launch, out| {
        for (i, word) in out.iter().enumerate() {
            let expected = if i % 2 == 0 { (1000 * launch + i) as u32 } else { 900 };
            assert_eq!(*word, expected, "thread {i} of launch {launch}");
        }
    })
}

/// Sizes of shared memory, also where a replay changes them, and the number of multiprocessors.
pub fn sizes_of_shared_memory(device: &Device) -> Result<()> {
    let kernel = module!(device, "shared")?.kernel("shared_sizes")?;
    let out = device.alloc_in::<u32>(Memory::Host, 4)?;
    let mut queue = device.compute_queue()?;
    let mut recorder = queue.record();
    let shape = recorder.launch_slot(Launch::new(1, 2))?;
    // SAFETY: the kernel writes four words.
    unsafe { recorder.exec(&kernel, shape, &args![&out])? };
    let mut recording = recorder.finish()?;
    for dynamic in [0u32, 1000, 40_000] {
        let launch = Launch::new(1, 2).shared(dynamic);
        // The kernel's own 200 bytes, and all of them in units of 128.
        let expected = [dynamic, (200 + dynamic).next_multiple_of(128), device.info().sm_count];
        // SAFETY: as above.
        unsafe {
            queue.exec(&kernel, &launch, &args![&out])?;
            recording.set_launch(shape, launch)?;
        }
        queue.submit()?.wait(SOON)?;
        assert_eq!(out.to_vec()?[..3], expected, "{dynamic} bytes of dynamic shared memory");
        out.write(0, &[0; 4])?;
        queue.replay(&mut recording)?.wait(SOON)?;
        assert_eq!(out.to_vec()?[..3], expected, "{dynamic} bytes, replayed");
    }
    Ok(())
}
