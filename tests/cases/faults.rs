//! Kernels that do what they must not. Each ends its queue, and only that: the process lives on,
//! other devices notice nothing, and new queues work.

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use doorbell::{
    Access, Arg, Commands, Device, Error, FaultKind, GpuVa, Launch, Memory, Options, Result, args,
};

use super::SOON;
use super::kernels::module;

/// From the launch to the end of the wait. On an H200 the desktop driver takes 41 or 85 ms from an
/// exception of a multiprocessor to the notifier, and 20 ms more until it says what happened; the first
/// one after the driver was loaded took 155 ms in all. The kernel log, where this process may read it,
/// bounds that. MMU faults it tells at once.
fn at_once(device: &Device, kind: FaultKind) -> Duration {
    let late = device.info().driver == "nvidia"
        && kind != FaultKind::Mmu
        && File::open("/dev/kmsg").is_err();
    Duration::from_millis(if late { 200 } else { 100 })
}

/// Whether a fault may lack what the kernel log does not tell: it speaks for the desktop driver when
/// that takes longer than usual.
fn from_the_log(device: &Device, after: Duration) -> bool {
    device.info().driver == "nvidia" && after > Duration::from_millis(65)
}

/// What a fault must be reported as.
struct Expected {
    kind: FaultKind,
    /// Where the driver tells addresses.
    address: Option<u64>,
    access: Option<Access>,
}

const MISALIGNED: Expected = Expected { kind: FaultKind::Misaligned, address: None, access: None };

fn mmu(access: Access) -> Expected {
    Expected { kind: FaultKind::Mmu, address: Some(NOWHERE), access: Some(access) }
}

/// Launches a kernel that faults, and checks everything that is promised about that.
fn faults(
    name: &str,
    arguments: impl Fn(u64) -> Vec<Arg<'static>>,
    expected: Expected,
    bystander: &Device,
) -> Result<()> {
    // A device of its own: on a Jetson a fault ends all queues of a device.
    let device = Device::open(doorbell::Select::Auto)?;
    let module = module!(&device, "faults")?;
    let kernel = module.kernel(name)?;
    let words = device.alloc_in::<u32>(Memory::Host, 64)?;
    let arguments = arguments(words.gpu().get());
    let mut queue = device.compute_queue()?;
    // First as commands, then as a recording.
    for replayed in [false, true] {
        let launch = Launch::new(1, 1);
        let started;
        let outcome = if replayed {
            let mut recorder = queue.record();
            // SAFETY: the kernel touches `words` or faults, and a fault ends the queue.
            unsafe { recorder.exec(&kernel, &launch, &arguments)? };
            let mut recording = recorder.finish()?;
            started = Instant::now();
            queue.replay(&mut recording)?.wait(SOON)
        } else {
            // SAFETY: as above.
            unsafe { queue.exec(&kernel, &launch, &arguments)? };
            started = Instant::now();
            queue.submit()?.wait(SOON)
        };
        let after = started.elapsed();
        let Err(error) = outcome else { panic!("{name} did not fault") };
        let Error::Fault(fault) = &error else { panic!("{name}: {error}") };
        println!("{name}, after {after:?}: {error}");
        assert!(after < at_once(&device, fault.kind), "{name}: the wait ended after {after:?}");
        assert_eq!((fault.kind, &*fault.kernels), (expected.kind, &[name.to_owned()][..]));
        assert!(fault.code != 0 && error.to_string().contains("compute queue"), "{error}");
        if fault.kind != FaultKind::Mmu {
            let told = fault.pc.is_some() && fault.offset.is_some();
            assert!(told || from_the_log(&device, after), "{error}");
        } else if device.info().driver == "nvidia" {
            let address = fault.address.map(GpuVa::get);
            assert_eq!((address, fault.access), (expected.address, expected.access));
        }

        // The same device, the same memory, a new queue.
        drop(queue);
        queue = device.compute_queue()?;
        queue.write(words.slice(0..1)?, 0x600d)?;
        queue.submit()?.wait(SOON)?;
        assert_eq!(words.get(0)?, 0x600d);
        // Another device has noticed nothing.
        let mut other = bystander.compute_queue()?;
        other.submit()?.wait(SOON)?;
    }
    Ok(())
}

/// An address where nothing is mapped.
const NOWHERE: u64 = 0x10_0000;

pub fn a_read_of_nothing(device: &Device) -> Result<()> {
    faults("read_at", |out| args![out, NOWHERE].to_vec(), mmu(Access::Read), device)
}

pub fn a_write_to_nothing(device: &Device) -> Result<()> {
    faults("write_at", |_| args![NOWHERE, 1u32].to_vec(), mmu(Access::Write), device)
}

pub fn an_atomic_on_nothing(device: &Device) -> Result<()> {
    faults("atomic_at", |_| args![NOWHERE].to_vec(), mmu(Access::Atomic), device)
}

pub fn a_misaligned_read(device: &Device) -> Result<()> {
    faults("read64_at", |out| args![out, out + 4].to_vec(), MISALIGNED, device)
}

pub fn a_jump_into_an_instruction(device: &Device) -> Result<()> {
    faults("jump_to", |_| args![8u64].to_vec(), MISALIGNED, device)
}

pub fn a_read_beyond_shared_memory(device: &Device) -> Result<()> {
    let expected = Expected { kind: FaultKind::OutOfRange, address: None, access: None };
    faults("read_shared_at", |out| args![out, 0x40000u32].to_vec(), expected, device)
}

pub fn a_trap(device: &Device) -> Result<()> {
    let expected = Expected { kind: FaultKind::IllegalInstruction, address: None, access: None };
    faults("trap", |_| args![].to_vec(), expected, device)
}

/// What CUDA's runtime has and a cubin calls is not there; who does not get that far is none the worse.
pub fn a_call_of_what_only_the_runtime_has(_: &Device) -> Result<()> {
    for (name, said) in [
        ("asserts", "by an assertion of the kernel's that failed"),
        ("prints", "by a call of `vprintf`, which only CUDA's runtime has"),
    ] {
        let device = Device::open(doorbell::Select::Auto)?;
        let kernel = module!(&device, "uses_runtime")?.kernel(name)?;
        let words = device.alloc_in::<u32>(Memory::Host, 64)?;
        let mut queue = device.compute_queue()?;
        // SAFETY: the kernel writes 64 words.
        unsafe { queue.exec(&kernel, &Launch::new(1, 64), &args![&words, 64u32])? };
        queue.submit()?.wait(SOON)?;
        assert!(words.to_vec()?.into_iter().eq(0..64));
        // SAFETY: as above, or it traps.
        unsafe { queue.exec(&kernel, &Launch::new(1, 64), &args![&words, 63u32])? };
        let started = Instant::now();
        let error = queue.submit()?.wait(SOON).expect_err(name);
        let after = started.elapsed();
        let Error::Fault(fault) = &error else { panic!("{name}: {error}") };
        println!("{name}, after {after:?}: {error}");
        assert_eq!(
            (fault.kind, &*fault.kernels),
            (FaultKind::IllegalInstruction, &[name.to_owned()][..])
        );
        let told = fault.detail.as_deref() == Some(said);
        assert!(told || from_the_log(&device, after) && fault.detail.is_none(), "{error}");
    }
    Ok(())
}

pub fn one_bad_thread_is_enough(device: &Device) -> Result<()> {
    faults("one_bad_thread", |out| args![out, NOWHERE, 0u32].to_vec(), mmu(Access::Read), device)
}

pub fn a_dead_queue_concerns_only_those_that_depend_on_it(_: &Device) -> Result<()> {
    let device = Device::open(doorbell::Select::Auto)?;
    let trap = module!(&device, "faults")?.kernel("trap")?;
    let (lost, gate) = (device.timeline()?, device.timeline()?);
    let mut dead = device.compute_queue()?;
    // SAFETY: the kernel does nothing but trap.
    unsafe { dead.exec(&trap, &Launch::new(1, 1), &args![])? };
    dead.signal(&lost, 1)?;
    let ticket = dead.submit()?.detach();
    assert!(matches!(ticket.wait(SOON), Err(Error::Fault(_))));

    // The dead queue stays open. A new one has nothing to do with it, however long it takes.
    let mut alive = device.compute_queue()?;
    alive.wait(&gate, 1)?;
    let done = device.timeline()?;
    alive.signal(&done, 1)?;
    let ticket = alive.submit()?.detach();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(120));
            gate.set(1);
        });
        done.wait(1, SOON)?;
        ticket.wait(SOON)
    })?;
    // A timeline that nobody but the CPU raises neither.
    let error = gate.wait(2, Duration::from_millis(120)).expect_err("nobody raises it");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");

    // But what the dead one was to signal never comes, nor what waits for that.
    let ended = |outcome: Result<()>, started: Instant| {
        assert!(matches!(outcome, Err(Error::Fault(_))), "{outcome:?}");
        assert!(started.elapsed() < Duration::from_millis(100), "after {:?}", started.elapsed());
    };
    let started = Instant::now();
    ended(lost.wait(1, SOON), started);
    alive.wait(&lost, 1)?.signal(&done, 2)?;
    let ticket = alive.submit()?.detach();
    let started = Instant::now();
    ended(ticket.wait(SOON), started);
    let started = Instant::now();
    ended(done.wait(2, SOON), started);
    // By hand it does.
    lost.set(1);
    ticket.wait(SOON)
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
