//! From the start of a process to its first kernel's result, as whole processes.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use doorbell::{Commands, Device, Launch, Memory, Module, args};

use libcuda::Cuda;

use super::cuda::{launch, module};
use crate::bench::{Cubins, Outcome, SOON, Stop, open, status};

/// The process that is measured.
#[derive(Debug, Args)]
pub(crate) struct StartUp {
    way: Way,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Way {
    Direct,
    Cuda,
}

/// What the process writes on standard output when it has its result.
const RESULT: u8 = b'!';
const WANTED: u32 = 0x600d_c0de;

impl StartUp {
    pub(crate) fn run(&self) -> u8 {
        status(match self.way {
            Way::Direct => direct(),
            Way::Cuda => cuda(),
        })
    }
}

fn direct() -> Outcome<()> {
    let device: Device = open()?;
    let kernel = Module::load(&device, Cubins::of(&device).word)?.kernel("write_word")?;
    let word = device.alloc_in::<u32>(Memory::Host, 1)?;
    let mut queue = device.compute_queue()?;
    // SAFETY: the kernel writes the one word.
    unsafe { queue.exec(&kernel, &Launch::new(1, 1), &args![&word, WANTED])? };
    queue.submit()?.wait(SOON)?;
    report(word.get(0)?)
}

fn cuda() -> Outcome<()> {
    let cuda = Cuda::open(None)?;
    let module = module(&cuda, Cubins::for_sm(cuda.sm).word)?;
    let kernel = cuda.function(module, "write_word")?;
    let word = cuda.pinned(4)?;
    launch(&cuda, kernel, 1, 1, &mut [word.gpu, WANTED.into()])?;
    cuda.synchronize()?;
    // SAFETY: the kernel has ended, and nobody holds a reference to the word.
    let result = unsafe { word.cpu.cast::<u32>().read_volatile() };
    // The process's end gives everything back sooner than one call after the other.
    std::mem::forget(cuda);
    report(result)
}

fn report(word: u32) -> Outcome<()> {
    if word != WANTED {
        return Err(Stop::Failed(format!("the first kernel wrote {word:#x}, not {WANTED:#x}")));
    }
    let mut out = std::io::stdout().lock();
    let written = out.write_all(&[RESULT]).and_then(|()| out.flush());
    written.map_err(|error| Stop::Failed(format!("cannot say that it worked: {error}")))
}

/// Starts a process: time until its result, and until it has ended.
pub(crate) fn measure(way: Way) -> Outcome<[Duration; 2]> {
    let failed = |error: std::io::Error| Stop::Failed(format!("cannot start a process: {error}"));
    let program = std::env::current_exe().map_err(failed)?;
    let name = match way {
        Way::Direct => "direct",
        Way::Cuda => "cuda",
    };
    let start = Instant::now();
    let mut child = Command::new(program)
        .args(["start-up", name])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut said = [0];
    let read = child.stdout.as_mut().expect("it is piped").read_exact(&mut said);
    let result = start.elapsed();
    let status = child.wait().map_err(failed)?;
    let whole = start.elapsed();
    if read.is_err() || said != [RESULT] || !status.success() {
        return Err(Stop::Failed(format!("a process that only starts ({name}) failed: {status}")));
    }
    Ok([result, whole])
}
