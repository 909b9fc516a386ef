//! Kernels that do what they must not. Each ends its queue, and only that: the process lives on,
//! other devices notice nothing, and new queues work.

use std::time::{Duration, Instant};

use doorbell::{Arg, Commands, Device, Error, Launch, Memory, Options, Result, args};

use super::SOON;
use super::kernels::module;

/// From the launch to the end of the wait. On an H200 the desktop driver itself takes 78 to 145 ms
/// from an MMU fault of a kernel to the notifier that reports it; nothing tells earlier.
fn at_once(device: &Device) -> Duration {
    Duration::from_millis(if device.info().driver == "nvidia" { 250 } else { 100 })
}

/// Launches a kernel that faults, and checks everything that is promised about that.
fn faults(
    name: &str,
    arguments: impl Fn(u64) -> Vec<Arg<'static>>,
    bystander: &Device,
) -> Result<()> {
    // A device of its own: on a Jetson a fault ends all queues of a device.
    let device = Device::open(doorbell::Select::Auto)?;
    let module = module!(&device, "faults")?;
    let kernel = module.kernel(name)?;
    let words = device.alloc_in::<u32>(Memory::Host, 64)?;
    let arguments = arguments(words.gpu().get());
    let mut queue = device.compute_queue()?;
    // SAFETY: the kernel touches `words` or faults, and a fault ends the queue.
    unsafe { queue.exec(&kernel, &Launch::new(1, 1), &arguments)? };
    let started = Instant::now();
    let outcome = queue.submit()?.wait(SOON);
    let after = started.elapsed();
    let Err(error) = outcome else { panic!("{name} did not fault") };
    let Error::Fault(fault) = &error else { panic!("{name}: {error}") };
    assert!(after < at_once(&device), "{name}: the wait ended after {after:?}");
    assert!(fault.code != 0 && error.to_string().contains("compute queue"), "{error}");
    println!("{name}, after {after:?}: {error}");
    drop(queue);

    // The same device, the same memory, a new queue.
    let mut queue = device.compute_queue()?;
    queue.write(words.slice(0..1)?, 0x600d)?;
    queue.submit()?.wait(SOON)?;
    assert_eq!(words.get(0)?, 0x600d);
    // Another device has noticed nothing.
    let mut other = bystander.compute_queue()?;
    other.submit()?.wait(SOON)
}

/// An address where nothing is mapped.
const NOWHERE: u64 = 0x10_0000;

pub fn a_read_of_nothing(device: &Device) -> Result<()> {
    faults("read_at", |out| args![out, NOWHERE].to_vec(), device)
}

pub fn a_write_to_nothing(device: &Device) -> Result<()> {
    faults("write_at", |_| args![NOWHERE, 1u32].to_vec(), device)
}

pub fn an_atomic_on_nothing(device: &Device) -> Result<()> {
    faults("atomic_at", |_| args![NOWHERE].to_vec(), device)
}

pub fn a_misaligned_read(device: &Device) -> Result<()> {
    faults("read64_at", |out| args![out, out + 4].to_vec(), device)
}

pub fn a_trap(device: &Device) -> Result<()> {
    faults("trap", |_| args![].to_vec(), device)
}

pub fn one_bad_thread_is_enough(device: &Device) -> Result<()> {
    faults("one_bad_thread", |out| args![out, NOWHERE, 0u32].to_vec(), device)
}

pub fn a_kernel_that_never_ends(_: &Device) -> Result<()> {
    let device = Options::new().stall_timeout(Duration::from_millis(200)).open()?;
    let kernel = module!(&device, "time")?.kernel("spin_on_word")?;
    let word = device.alloc_in::<u32>(Memory::Host, 1)?;
    let mut queue = device.compute_queue()?;
    // SAFETY: the kernel only reads the word.
    unsafe { queue.exec(&kernel, &Launch::new(1, 1), &args![&word, 1u32])? };
    let error = queue.submit()?.wait(Duration::from_millis(200)).expect_err("nobody sets it");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    // Closing the queue ends the kernel.
    drop(queue);
    let mut queue = device.compute_queue()?;
    queue.write(&word, 7)?;
    queue.submit()?.wait(SOON)?;
    assert_eq!(word.get(0)?, 7);
    Ok(())
}
