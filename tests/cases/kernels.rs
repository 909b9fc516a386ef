use doorbell::{Arg, Commands, Device, Error, Launch, Memory, Module, Result, args};

use super::SOON;

/// A committed cubin, built for the GPU at hand.
macro_rules! module {
    ($device:expr, $name:literal) => {{
        let cubin: &[u8] = match $device.info().sm {
            90 => include_bytes!(concat!("../../ptx/sm_90/", $name, ".cubin")),
            _ => include_bytes!(concat!("../../ptx/sm_87/", $name, ".cubin")),
        };
        doorbell::Module::load($device, cubin)
    }};
}
pub(super) use module;

pub fn vector_add(device: &Device) -> Result<()> {
    let kernel = module!(device, "vector")?.kernel("vector_add")?;
    let mut queue = device.compute_queue()?;
    let n = 10_000;
    let [a, b, out] = [(); 3].map(|()| device.alloc_in::<f32>(Memory::Host, n));
    let (a, b, out) = (a?, b?, out?);
    a.write(0, &(0..n).map(|i| i as f32).collect::<Vec<_>>())?;
    b.write(0, &(0..n).map(|i| 0.5 * i as f32).collect::<Vec<_>>())?;
    let launch = Launch::new(n.div_ceil(256) as u32, 256);
    // SAFETY: the kernel writes `n` elements of `out`, which has as many.
    unsafe { queue.exec(&kernel, &launch, &args![&out, &a, &b, n as u32])? };
    queue.submit()?.wait(SOON)?;
    let expected: Vec<f32> = (0..n).map(|i| 1.5 * i as f32).collect();
    assert_eq!(out.to_vec()?, expected);
    Ok(())
}

pub fn parts_that_were_linked(device: &Device) -> Result<()> {
    const N: usize = 64;
    let module = module!(device, "separate")?;
    let mut queue = device.compute_queue()?;
    let input: Vec<u32> = (0..N as u32).collect();
    let numbers = device.alloc_in::<u32>(Memory::Host, N)?;
    numbers.write(0, &input)?;
    let pairs = device.alloc_in::<u64>(Memory::Host, 2 * N)?;
    pairs.write(
        0,
        &(0..2 * N as u64).map(|i| 0x1234_5678_9abc << (i % 2 * 9) | 1).collect::<Vec<_>>(),
    )?;
    let [scaled, steps, chosen] = [(); 3].map(|()| device.alloc_in::<u32>(Memory::Host, N));
    let (scaled, steps, chosen) = (scaled?, steps?, chosen?);
    let divided = device.alloc_in::<u64>(Memory::Host, N)?;
    let launch = Launch::new(1, N as u32);
    for (name, out) in [("scaled", &scaled), ("steps", &steps), ("chosen", &chosen)] {
        // SAFETY: the kernels read N words of `numbers` and write as many of their outputs.
        unsafe { queue.exec(&module.kernel(name)?, &launch, &args![out, &numbers])? };
    }
    // SAFETY: the kernel reads N pairs and writes N quotients.
    unsafe { queue.exec(&module.kernel("divided")?, &launch, &args![&divided, &pairs])? };
    queue.submit()?.wait(SOON)?;
    let collatz = |mut n: u32| {
        let mut steps = 0;
        while n > 1 {
            n = if n % 2 == 1 { 3 * n + 1 } else { n / 2 };
            steps += 1;
        }
        steps
    };
    let table = [3, 5, 7, 11];
    assert_eq!(
        scaled.to_vec()?,
        input.iter().map(|i| i * table[*i as usize & 3]).collect::<Vec<_>>()
    );
    assert_eq!(steps.to_vec()?, input.iter().map(|i| collatz(*i)).collect::<Vec<_>>());
    assert_eq!(chosen.to_vec()?, input.iter().map(|i| i * (2 + (i & 1))).collect::<Vec<_>>());
    assert!(pairs.to_vec()?.chunks(2).map(|p| p[0] / p[1]).eq(divided.to_vec()?));
    assert_eq!(read_one(&mut queue, device, module.variable("counter")?)?, N as u32);
    Ok(())
}

/// A word of a variable.
fn read_one(
    queue: &mut doorbell::Queue,
    device: &Device,
    variable: doorbell::View<'_>,
) -> Result<u32> {
    let word = device.alloc_in::<u32>(Memory::Host, 1)?;
    queue.copy(&word, variable)?;
    queue.submit()?.wait(SOON)?;
    word.get(0)
}

pub fn geometry_as_the_kernel_sees_it(device: &Device) -> Result<()> {
    let kernel = module!(device, "word")?.kernel("count_threads")?;
    let mut queue = device.compute_queue()?;
    let count = device.alloc_in::<u64>(Memory::Host, 1)?;
    let mut threads = 0;
    for (grid, block) in [
        ([1, 1, 1], [1, 1, 1]),
        ([5, 1, 1], [33, 1, 1]),
        ([2, 3, 4], [8, 4, 2]),
        ([1, 1, 7], [1, 16, 3]),
        ([3, 65, 1], [1024, 1, 1]),
    ] {
        // SAFETY: the kernel adds to the one counter.
        unsafe { queue.exec(&kernel, &Launch::new(grid, block), &args![&count])? };
        threads += grid.iter().chain(&block).map(|n| u64::from(*n)).product::<u64>();
    }
    queue.submit()?.wait(SOON)?;
    assert_eq!(count.get(0)?, threads);
    Ok(())
}

pub fn shared_memory_barriers_and_reductions(device: &Device) -> Result<()> {
    let module = module!(device, "reduce")?;
    let mut queue = device.compute_queue()?;
    let n = 4096;
    let input = device.alloc_in::<f32>(Memory::Host, n)?;
    input.write(0, &(0..n).map(|i| (i % 17) as f32).collect::<Vec<_>>())?;
    let expected: f32 = (0..n).map(|i| (i % 17) as f32).sum();
    for name in ["sum_shared", "sum_shuffle"] {
        let kernel = module.kernel(name)?;
        let sums = device.alloc_in::<f32>(Memory::Host, n / 256)?;
        let launch = Launch::new(n as u32 / 256, 256);
        // SAFETY: each block writes one sum.
        unsafe { queue.exec(&kernel, &launch, &args![&sums, &input, n as u32])? };
        queue.submit()?.wait(SOON)?;
        let total: f32 = sums.to_vec()?.iter().sum();
        assert_eq!(total, expected, "{name}");
    }
    Ok(())
}

pub fn dynamic_shared_memory_up_to_the_limit(device: &Device) -> Result<()> {
    let kernel = module!(device, "shared")?.kernel("shared_dynamic")?;
    let mut queue = device.compute_queue()?;
    let wrong = device.alloc_in::<u32>(Memory::Host, 1)?;
    let limit = if device.info().sm == 90 { 227 << 10 } else { 163 << 10 };
    for bytes in [1024, 48 << 10, 100 << 10, limit] {
        let launch = Launch::new(4, 128).shared(bytes);
        // SAFETY: the kernel uses its dynamic shared memory and counts what it finds wrong.
        unsafe { queue.exec(&kernel, &launch, &args![&wrong, bytes / 4])? };
    }
    queue.submit()?.wait(SOON)?;
    assert_eq!(wrong.get(0)?, 0);
    let launch = Launch::new(1, 128).shared(limit + 1024);
    // SAFETY: refused.
    let refused = unsafe { queue.exec(&kernel, &launch, &args![&wrong, 1u32]).map(drop) };
    let error = refused.expect_err("more than a block can have");
    assert!(error.to_string().contains("shared memory"), "{error}");
    Ok(())
}

pub fn local_memory_and_recursion(device: &Device) -> Result<()> {
    let module = module!(device, "local")?;
    let mut queue = device.compute_queue()?;
    let out = device.alloc_in::<u32>(Memory::Host, 64)?;
    let kernel = module.kernel("recursion")?;
    // SAFETY: the kernel writes one word per thread.
    unsafe { queue.exec(&kernel, &Launch::new(1, 1), &args![&out, 2u32, 3u32])? };
    queue.submit()?.wait(SOON)?;
    // Ackermann's function of 2 and 3.
    assert_eq!(out.get(0)?, 9);
    Ok(())
}

pub fn constants_globals_and_tables(device: &Device) -> Result<()> {
    let module = module!(device, "constants")?;
    let mut queue = device.compute_queue()?;
    let out = device.alloc_in::<u32>(Memory::Host, 16)?;
    let kernel = module.kernel("read_constant")?;
    // SAFETY: the kernels write at most 16 words.
    unsafe { queue.exec(&kernel, &Launch::new(1, 16), &args![&out])? };
    queue.submit()?.wait(SOON)?;
    assert_eq!(out.to_vec()?[..6], [2, 3, 5, 7, 11, 13]);
    let count = module.kernel("count_launches")?;
    let mut last = 0;
    for _ in 0..5 {
        // SAFETY: as above.
        unsafe { queue.exec(&count, &Launch::new(1, 1), &args![&out])? };
        queue.submit()?.wait(SOON)?;
        let now = out.get(0)?;
        assert!(last == 0 || now == last + 1, "{last}, then {now}");
        last = now;
    }
    Ok(())
}

pub fn refuse_what_cannot_be_launched(device: &Device) -> Result<()> {
    let module = module!(device, "vector")?;
    let (add, fill) = (module.kernel("vector_add")?, module.kernel("fill")?);
    let mut queue = device.compute_queue()?;
    let buffer = device.alloc::<u32>(4)?;
    let refused = |result: Result<()>, words: &str| match result {
        Err(error @ Error::Launch { .. }) => {
            assert!(error.to_string().contains(words), "{error} has no {words:?}");
        }
        other => panic!("expected a refusal with {words:?}, got {other:?}"),
    };
    let good = args![&buffer, 1u32, 4u32];
    let one = Launch::new(1, 1);
    // SAFETY: none of these is launched.
    unsafe {
        refused(queue.exec(&add, &one, &good).map(drop), "4 arguments, not 3");
        refused(queue.exec(&fill, &one, &args![&buffer, 1u64, 4u32]).map(drop), "has 4 bytes");
        refused(queue.exec(&fill, &Launch::new(0, 1), &good).map(drop), "empty");
        refused(queue.exec(&fill, &Launch::new(1, 2048), &good).map(drop), "1024");
        refused(queue.exec(&fill, &Launch::new(1, (32, 33)), &good).map(drop), "registers allow");
        refused(queue.exec(&fill, &Launch::new(1, (1, 1, 65)), &good).map(drop), "64");
        refused(queue.exec(&fill, &Launch::new((1, 65536), 1), &good).map(drop), "65535");
        let mut copy = device.copy_queue()?;
        let error = copy.exec(&fill, &one, &good).map(drop).expect_err("no kernels there");
        assert!(error.to_string().contains("compute queue"), "{error}");
    }
    let error = module.kernel("no_such_kernel").expect_err("there is none");
    assert!(error.to_string().contains("vector_add"), "{error}");
    assert!(Module::load(device, b"no cubin").is_err());
    queue.submit()?.wait(SOON)
}

/// Blocks that read each other's shared memory. Only Hopper has clusters.
pub fn clusters_read_their_neighbours(device: &Device) -> Result<()> {
    if device.info().sm != 90 {
        println!("sm_{} has no clusters", device.info().sm);
        return Ok(());
    }
    let cubin: &[u8] = include_bytes!("../../ptx/sm_90/cluster.cubin");
    let module = Module::load(device, cubin)?;
    let mut queue = device.compute_queue()?;
    let out = device.alloc_in::<u32>(Memory::Host, 16)?;
    let kernel = module.kernel("cluster_of_4")?;
    // SAFETY: each of the 16 blocks writes one word.
    unsafe { queue.exec(&kernel, &Launch::new(16, 32), &args![&out])? };
    queue.submit()?.wait(SOON)?;
    let expected: Vec<u32> =
        (0..16).map(|block| (0..4).map(|i| (block / 4 * 4 + i) * 3 + 1).sum()).collect();
    assert_eq!(out.to_vec()?, expected);
    let kernel = module.kernel("cluster_of_2_by_2")?;
    // SAFETY: as above.
    unsafe { queue.exec(&kernel, &Launch::new((4, 4), 32), &args![&out])? };
    queue.submit()?.wait(SOON)?;
    let ranks = [0, 1, 0, 1, 2, 3, 2, 3];
    assert_eq!(out.to_vec()?, [ranks, ranks].concat());
    // A grid that is not made of whole clusters is refused.
    // SAFETY: refused.
    let refused = unsafe { queue.exec(&kernel, &Launch::new((3, 4), 32), &args![&out]).map(drop) };
    assert!(refused.expect_err("half a cluster").to_string().contains("clusters"));
    Ok(())
}

pub fn parameters_up_to_32_kib(device: &Device) -> Result<()> {
    let module = module!(device, "parameters")?;
    let mut queue = device.compute_queue()?;
    for (name, words) in
        [("parameters_4k", 1022), ("parameters_6k", 1498), ("parameters_32k", 8189)]
    {
        let kernel = module.kernel(name)?;
        let out = device.alloc_in::<u32>(Memory::Host, words)?;
        let values: Vec<u32> = (0..words as u32).map(|i| i.wrapping_mul(0x9e37_79b9)).collect();
        let bytes: Vec<u8> = values.iter().flat_map(|word| word.to_le_bytes()).collect();
        let launch = Launch::new(words.div_ceil(128) as u32, 128);
        // SAFETY: the kernel writes as many words as it is given.
        unsafe { queue.exec(&kernel, &launch, &args![&out, Arg::bytes(&bytes)])? };
        queue.submit()?.wait(SOON)?;
        assert_eq!(out.to_vec()?, values, "{name}");
    }
    Ok(())
}

pub fn named_barriers_and_a_bank_of_64_kib(device: &Device) -> Result<()> {
    let module = module!(device, "shared")?;
    let mut queue = device.compute_queue()?;
    let sum = device.alloc_in::<u32>(Memory::Host, 1)?;
    let (input, out) =
        (device.alloc_in::<u32>(Memory::Host, 256)?, device.alloc_in::<u32>(Memory::Host, 256)?);
    input.write(0, &(0..256).collect::<Vec<u32>>())?;
    let table = device.alloc_in::<u32>(Memory::Host, 16384)?;
    let read = module!(device, "bank64k")?.kernel("read_bank64k")?;
    // SAFETY: the kernels write one word, four times 64, and 16384.
    unsafe {
        queue.exec(&module.kernel("barrier_relay")?, &Launch::new(1, 512), &args![&sum])?;
        let pair = module.kernel("barrier_pair")?;
        queue.exec(&pair, &Launch::new(1, 128), &args![&out, &input, 4u32])?;
        queue.exec(&read, &Launch::new(64, 256), &args![&table, 16384u32])?;
    }
    queue.submit()?.wait(SOON)?;
    assert_eq!(sum.get(0)?, 120);
    assert_eq!(out.to_vec()?, (0..256).map(|i| 2 * i).collect::<Vec<u32>>());
    let expected = (0..16384u32).map(|i| i.wrapping_mul(2_654_435_761).wrapping_add(1));
    assert_eq!(table.to_vec()?, expected.collect::<Vec<_>>());
    Ok(())
}

/// Binaries run on GPUs of their own generation, the same or newer.
pub fn cubins_of_other_gpus(device: &Device) -> Result<()> {
    let orin = include_bytes!("../../ptx/sm_87/vector.cubin");
    let hopper = include_bytes!("../../ptx/sm_90/vector.cubin");
    let (own, stranger): (&[u8], &[u8]) = match device.info().sm {
        90 => (hopper, orin),
        _ => (orin, hopper),
    };
    let error = Module::load(device, stranger).expect_err("another generation").to_string();
    assert!(error.contains("was built for"), "{error}");
    // The flags of an ELF file of this kind begin with the compute capability.
    const FLAGS: usize = 48;
    let mut older = own.to_vec();
    older[FLAGS] = (device.info().sm / 10 * 10) as u8;
    let mut queue = device.compute_queue()?;
    let kernel = Module::load(device, &older)?.kernel("add_one")?;
    let words = device.alloc_in::<u32>(Memory::Host, 2)?;
    let args = args![words.slice(1..2)?, words.slice(0..1)?, 1u32];
    // SAFETY: the kernel reads one word and writes another.
    unsafe { queue.exec(&kernel, &Launch::new(1, 32), &args)? };
    queue.submit()?.wait(SOON)?;
    assert_eq!(words.to_vec()?, [0, 1]);
    if device.info().sm / 10 == 8 {
        let oldest = include_bytes!("../../ptx/sm_80/copy.cubin");
        let kernel = Module::load(device, oldest)?.kernel("copy_bytes")?;
        let args = args![words.slice(0..1)?, words.slice(1..2)?, 4u64];
        // SAFETY: the kernel copies one word to another.
        unsafe { queue.exec(&kernel, &Launch::new(1, 32), &args)? };
        queue.submit()?.wait(SOON)?;
        assert_eq!(words.to_vec()?, [1, 1]);
    }
    Ok(())
}
