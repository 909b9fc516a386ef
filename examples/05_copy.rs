//! Copies a buffer with the copy engine, then replays a recorded copy with other operands.
//!
//!     cargo run --example 05_copy

use std::time::Duration;

use doorbell::{Commands, Device, Memory, Result, Select};

const SECOND: Duration = Duration::from_secs(1);

fn main() -> Result<()> {
    let _orin = emulator::start_unless_gpu();
    let device = Device::open(Select::Auto)?;
    let mut queue = device.copy_queue()?;

    let from = device.alloc_in::<u32>(Memory::Host, 1 << 20)?;
    let inside = device.alloc::<u32>(1 << 20)?;
    let back = device.alloc_in::<u32>(Memory::Host, 1 << 20)?;
    from.write(0, &(0..1 << 20).collect::<Vec<u32>>())?;

    queue.copy(&inside, &from)?.copy(&back, &inside)?;
    queue.submit()?.wait(SECOND)?;
    assert!(back.to_vec()? == from.to_vec()?);
    println!("copied 4 MiB in and out again, all of it right");

    // Recorded once: what changes from replay to replay are two addresses.
    let mut recorder = queue.record();
    let target = recorder.view_slot(back.slice(0..4)?)?;
    let source = recorder.view_slot(from.slice(0..4)?)?;
    recorder.copy(target, source)?;
    let mut recording = recorder.finish()?;
    for i in 0..8 {
        recording.set_view(target, back.slice(4 * i..4 * i + 4)?)?;
        recording.set_view(source, from.slice(4 * (7 - i)..4 * (7 - i) + 4)?)?;
        queue.replay(&mut recording)?;
    }
    queue.finish()?;
    println!("eight replays turned the first 32 words round: {:?}", &back.to_vec()?[..32]);
    Ok(())
}
