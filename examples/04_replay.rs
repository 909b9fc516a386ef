//! Records a launch once and replays it with one ring of the doorbell each time, an argument changed
//! in between.
//!
//!     cargo run --release --example 04_replay

use std::time::{Duration, Instant};

use doorbell::{Commands, Device, Launch, Memory, Module, Result, Select, args};

const REPLAYS: u32 = 10_000;

fn main() -> Result<()> {
    let _orin = emulator::start_unless_gpu();
    let device = Device::open(Select::Auto)?;

    let cubin: &[u8] = match device.info().sm {
        90 => include_bytes!("../ptx/sm_90/word.cubin"),
        _ => include_bytes!("../ptx/sm_87/word.cubin"),
    };
    let write = Module::load(&device, cubin)?.kernel("write_word")?;
    let word = device.alloc_in::<u32>(Memory::Host, 1)?;

    let mut queue = device.compute_queue()?;
    let mut recorder = queue.record();
    let value = recorder.value_slot(0)?;
    // SAFETY: the kernel writes one number, for which there is room.
    unsafe { recorder.exec(&write, &Launch::new(1, 1), &args![&word, value])? };
    let mut recording = recorder.finish()?;

    let mut sending = Duration::ZERO;
    let mut waiting = Duration::ZERO;
    for i in 1..=REPLAYS {
        let started = Instant::now();
        recording.set_value(value, i.into())?;
        let ticket = queue.replay(&mut recording)?;
        let sent = Instant::now();
        ticket.wait(Duration::from_secs(10))?;
        (sending, waiting) = (sending + (sent - started), waiting + sent.elapsed());
        assert_eq!(word.get(0)?, i);
    }
    println!(
        "{device:?}: {REPLAYS} replays, {:?} each to send, {:?} more until the end was seen",
        sending / REPLAYS,
        waiting / REPLAYS
    );
    Ok(())
}
