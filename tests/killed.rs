//! A program that submits without end is killed at random moments, set-up included; the next one finds
//! the GPU as if nothing had been. On the software Orin, and on the GPU of this machine where there
//! is one. This test launches itself.

use std::env;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use doorbell::{Commands, Device, Error, Kernel, Launch, Memory, Module, Result, Select, args};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// What this program is to do when it is launched by itself.
const ROLE: &str = "DOORBELL_TEST_ROLE";
const ROUNDS: u32 = 20;
const SOON: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let outcome = match env::var(ROLE).ok().as_deref() {
        Some("work") => work_forever(),
        Some("check") => check(),
        // Under `emulate`, so that all programs share one board.
        Some("parent") => {
            kill_again_and_again();
            Ok(())
        }
        _ => return tests(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn tests() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Both set the environment of what they start.
    arguments.test_threads = Some(1);
    let emulated = Trial::test("killed::on_the_software_orin", || {
        let this = env::current_exe()?;
        // SAFETY: trials run one at a time, and no thread of theirs outlives them.
        unsafe { env::set_var(ROLE, "parent") };
        let options = emulator::Options { quiet_faults: true, ..emulator::Options::default() };
        let status = emulator::launch(options, this.as_os_str(), &[]);
        // SAFETY: as above.
        unsafe { env::remove_var(ROLE) };
        if status?.success() { Ok(()) } else { Err(Failed::from("the parent failed, see above")) }
    });
    let real = Trial::ignorable_test("killed::on_the_gpu_of_this_machine", || {
        match Device::open(Select::Auto) {
            Ok(_) => {}
            Err(error @ Error::NoDevice { .. }) => {
                return Ok(Completion::ignored_with(error.to_string()));
            }
            Err(error) => return Err(Failed::from(error)),
        }
        kill_again_and_again();
        Ok(Completion::Completed)
    });
    libtest_mimic::run(&arguments, vec![emulated, real]).exit_code()
}

/// Another process of this program.
fn start(role: &str) -> Child {
    let this = env::current_exe().expect("this program has a path");
    let mut command = Command::new(this);
    command.env(ROLE, role).stdout(Stdio::piped());
    command.spawn().expect("this program starts")
}

fn kill_again_and_again() {
    let seed = env::var("DOORBELL_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut seed: u64 = seed.unwrap_or_else(|| std::process::id().into());
    println!("DOORBELL_SEED={seed}");
    for round in 0..ROUNDS {
        let mut worker = start("work");
        // Every third is killed while it opens the device, the others while they submit.
        if round % 3 != 0 {
            let mut said = String::new();
            let mut lines = BufReader::new(worker.stdout.take().expect("it is piped"));
            lines.read_line(&mut said).expect("a pipe can be read");
            assert_eq!(said, "working\n", "round {round}: the worker has not come that far");
        }
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let micros = (seed >> 33) % 30_000;
        thread::sleep(Duration::from_micros(micros));
        worker.kill().expect("the worker runs");
        let status = worker.wait().expect("the worker can be waited for");
        assert_eq!(status.signal(), Some(libc::SIGKILL), "round {round}: {status}");

        let checked = start("check").wait().expect("the check can be waited for");
        assert!(checked.success(), "round {round}, killed after {micros} us: {checked}");
    }
}

fn add_one(device: &Device) -> Result<Kernel> {
    let cubin: &[u8] = match device.info().sm {
        90 => include_bytes!("../ptx/sm_90/vector.cubin"),
        _ => include_bytes!("../ptx/sm_87/vector.cubin"),
    };
    Module::load(device, cubin)?.kernel("add_one")
}

/// Keeps both engines and the ring busy, with allocations that come and go, until it is killed.
fn work_forever() -> Result<()> {
    let device = Device::open(Select::Auto)?;
    let kernel = add_one(&device)?;
    let mut compute = device.compute_queue()?;
    let mut copy = device.copy_queue()?;
    let words = device.alloc_in::<u32>(Memory::Host, 4096)?;
    let mut recorder = compute.record();
    for _ in 0..16 {
        // SAFETY: the kernel reads and writes the 4096 words.
        unsafe {
            recorder.exec(&kernel, &Launch::new(16, 256), &args![&words, &words, 4096u32])?;
        }
    }
    let mut recording = recorder.finish()?;
    println!("working");
    loop {
        let fresh = device.alloc::<u32>(4096)?;
        let ticket = compute.replay(&mut recording)?.detach();
        copy.wait(ticket.timeline(), ticket.value())?.copy(&fresh, &words)?;
        copy.submit()?;
    }
}

/// The GPU works as ever.
fn check() -> Result<()> {
    let device = Device::open(Select::Auto)?;
    let kernel = add_one(&device)?;
    let mut compute = device.compute_queue()?;
    let mut copy = device.copy_queue()?;
    let (a, b) =
        (device.alloc_in::<u32>(Memory::Host, 64)?, device.alloc_in::<u32>(Memory::Host, 64)?);
    // SAFETY: the kernel reads 64 words and writes 64.
    unsafe { compute.exec(&kernel, &Launch::new(1, 64), &args![&b, &a, 64u32])? };
    let ticket = compute.submit()?.detach();
    copy.wait(ticket.timeline(), ticket.value())?.copy(&a, &b)?;
    copy.submit()?.wait(SOON)?;
    assert_eq!(a.to_vec()?, [1; 64]);
    Ok(())
}
