//! What the crate writes for the GPU, as text, so that a change shows as a readable difference.
//! `BLESS=1 cargo test --test golden` accepts what it writes now.

use std::env;
use std::fs;
use std::path::Path;

use doorbell::{Commands, Device, Memory, Queue, Recorder, Result, Select};
use emulator::Options;
use hw_defs::c76f;
use hw_defs::decode::Bindings;

/// Records on a fresh device, whose addresses are always the same, and compares the decoded words.
fn golden(
    name: &str,
    queue: fn(&Device) -> Result<Queue>,
    record: fn(&Device, &mut Recorder) -> Result<()>,
) {
    let text = emulator::run(Options::default(), |_| -> Result<String> {
        let device = Device::open(Select::Auto)?;
        let queue = queue(&device)?;
        let mut recorder = queue.record();
        record(&device, &mut recorder)?;
        let recording = recorder.finish()?;
        let bindings = Bindings::new(&c76f::CLASS)
            .bind(1, &hw_defs::c7c0::CLASS)
            .bind(4, &hw_defs::c7b5::CLASS);
        Ok(bindings.text(&recording.words()).to_string())
    })
    .expect("this machine allows seccomp filters")
    .expect("the recording is made");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if env::var_os("BLESS").is_some() {
        fs::write(&path, &text).expect("the golden file is writable");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{} differs; BLESS=1 accepts", path.display());
}

#[test]
fn signal_and_wait_on_the_compute_queue() {
    golden("compute_signals.txt", Device::compute_queue, |device, recorder| {
        let (before, after) = (device.timeline()?, device.timeline()?);
        recorder.wait(&before, 5)?.signal(&after, 0x1_0000_0006)?;
        let words = device.alloc_in::<u32>(Memory::Host, 4)?;
        recorder.write(words.slice(0..1)?, 7)?.write(words.slice(2..4)?, 8)?;
        recorder.wait_bit_set(words.slice(1..2)?, 0x30)?;
        recorder.wait_bit_clear(words.slice(1..2)?, 0x40)?;
        recorder.memory_barrier()?;
        Ok(())
    });
}

#[test]
fn copies_on_the_copy_queue() {
    golden("copies.txt", Device::copy_queue, |device, recorder| {
        let (from, to) = (device.alloc::<u8>(5 << 30)?, device.alloc::<u8>(5 << 30)?);
        let done = device.timeline()?;
        recorder.copy(to.slice(3..80)?, from.slice(0..77)?)?;
        // Longer than one launch can move: three pieces.
        recorder.copy(&to, &from)?.signal(&done, 9)?;
        Ok(())
    });
}
