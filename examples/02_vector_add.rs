//! Adds two vectors on the GPU: a cubin in, a kernel launched, the result checked.
//!
//!     cargo run --release --example 02_vector_add

use std::time::Duration;

use doorbell::{Commands, Device, Launch, Memory, Module, Result, Select, args};

const N: usize = 100_000;

fn main() -> Result<()> {
    let _orin = emulator::start_unless_gpu();
    let device = Device::open(Select::Auto)?;

    // Built from ptx/src/vector.cu and committed, so that nobody needs a CUDA toolkit.
    let cubin: &[u8] = match device.info().sm {
        90 => include_bytes!("../ptx/sm_90/vector.cubin"),
        _ => include_bytes!("../ptx/sm_87/vector.cubin"),
    };
    let add = Module::load(&device, cubin)?.kernel("vector_add")?;

    let a = device.alloc_in::<f32>(Memory::Host, N)?;
    let b = device.alloc_in::<f32>(Memory::Host, N)?;
    let sum = device.alloc_in::<f32>(Memory::Host, N)?;
    a.write(0, &(0..N).map(|i| i as f32).collect::<Vec<_>>())?;
    b.write(0, &vec![0.5; N])?;

    let mut queue = device.compute_queue()?;
    let launch = Launch::new(N.div_ceil(256) as u32, 256);
    // SAFETY: the kernel reads N elements of `a` and `b` and writes as many of `sum`.
    unsafe { queue.exec(&add, &launch, &args![&sum, &a, &b, N as u32])? };
    queue.submit()?.wait(Duration::from_secs(10))?;

    let wrong = (0..N).zip(sum.to_vec()?).filter(|(i, sum)| *sum != *i as f32 + 0.5).count();
    println!("{device:?}: {N} sums, {wrong} wrong");
    assert_eq!(wrong, 0);
    Ok(())
}
