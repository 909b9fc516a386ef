//! Every kernel of every cubin in `ptx/`, with fixed inputs: on the software Orin and on the GPU of this
//! machine, against what an H200 left in memory. A kernel that no run covers fails by name.
//!
//!     cargo test --release --test kernels                       # both; without a GPU that half is ignored
//!     UPDATE_GOLDEN=1 cargo test --release --test kernels       # asks this machine's Hopper GPU anew
//!
//! Any other value of `UPDATE_GOLDEN` is a directory to write to.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use doorbell::{Arg, Commands, Device, Error, Launch, Memory, Module, Result, Select};
use emulator::Options;
use emulator::profile::Profile;
use emulator::sm::silicon::kernels::{self, Argument, HEADER, Outcome, Run};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

const SOON: Duration = Duration::from_secs(20);

fn main() {
    if let Ok(place) = env::var("UPDATE_GOLDEN") {
        return ask(&place);
    }
    let mut arguments = Arguments::from_args();
    // One GPU: not side by side.
    arguments.test_threads.get_or_insert(1);
    let boards = [("sm_87", "agx-orin-30w"), ("sm_90", "no-board-hopper")];
    let each = |(sm, board)| cubins(sm).map(move |cubin| software(cubin, board));
    let mut trials: Vec<Trial> = boards.into_iter().flat_map(each).collect();
    trials.push(Trial::ignorable_test("every_kernel_on_this_gpu", || match open()? {
        Ok(device) => {
            for cubin in cubins(&format!("sm_{}", device.info().sm)) {
                compare(&device, &cubin)?;
            }
            Ok(Completion::Completed)
        }
        Err(why) => Ok(Completion::ignored_with(why)),
    }));
    libtest_mimic::run(&arguments, trials).exit();
}

fn software(cubin: Cubin, board: &str) -> Trial {
    let profile = Profile::by_name(board).expect("there is such a board");
    Trial::test(format!("software_orin/{}", cubin.path()), move || {
        emulator::run(Options { profile, ..Options::default() }, |_| {
            compare(&Device::open(Select::Auto)?, &cubin).map_err(Failed::from)
        })?
    })
}

/// The GPU of this machine, or why there is none.
fn open() -> Result<std::result::Result<Device, String>> {
    match Device::open(Select::Auto) {
        Ok(device) if matches!(device.info().sm, 87 | 90) => Ok(Ok(device)),
        Ok(device) => Ok(Err(format!("there are no kernels for sm_{}", device.info().sm))),
        Err(error @ Error::NoDevice { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

/// A cubin of `ptx/`.
#[derive(Clone)]
struct Cubin {
    folder: String,
    name: String,
}

impl Cubin {
    fn path(&self) -> String {
        format!("{}/{}", self.folder, self.name)
    }

    /// What its outcomes are kept under: what a Hopper GPU left is right for all.
    fn key(&self, run: &Run) -> String {
        format!("{}/{}", self.folder.replace("sm_87", "sm_90"), run.name())
    }
}

/// The cubins of a generation from both toolchains, and those that need features of its own.
fn cubins(sm: &str) -> impl Iterator<Item = Cubin> {
    let root = Path::new("ptx");
    let mut all = Vec::new();
    let own = (sm == "sm_90").then(|| format!("{sm}a"));
    for folder in [sm.to_owned(), format!("cuda13/{sm}")].into_iter().chain(own) {
        let mut left = vec![root.join(&folder)];
        while let Some(at) = left.pop() {
            for entry in fs::read_dir(at).expect("the kernels are built: ptx/build") {
                let path: PathBuf = entry.expect("an entry").path();
                if path.is_dir() {
                    left.push(path);
                    continue;
                }
                let name = path.strip_prefix(root.join(&folder)).expect("below it");
                let name = name.with_extension("").to_string_lossy().into_owned();
                all.push(Cubin { folder: folder.clone(), name });
            }
        }
    }
    all.sort_by_key(Cubin::path);
    all.into_iter()
}

/// Runs what the cubin has and gives the outcomes.
fn outcomes(device: &Device, cubin: &Cubin) -> std::result::Result<Vec<(Run, Outcome)>, String> {
    let runs = kernels::runs();
    let of: Vec<&Run> = runs.iter().filter(|run| run.cubin == cubin.name).collect();
    if of.is_empty() && kernels::elsewhere(&cubin.name, "") {
        return Ok(Vec::new());
    }
    let path = Path::new("ptx").join(cubin.path()).with_extension("cubin");
    let content = fs::read(path).expect("the cubin can be read");
    let said = |error: Error| format!("{}: {error}", cubin.path());
    let names = Module::load(device, &content).map_err(said)?;
    for kernel in names.kernels() {
        let name = kernel.name();
        if !kernels::elsewhere(&cubin.name, name) && of.iter().all(|run| run.kernel != name) {
            return Err(format!("{}: no run covers {name}", cubin.path()));
        }
    }
    of.into_iter()
        .map(|run| {
            // Each on a module of its own: some change globals.
            let outcome = Module::load(device, &content).and_then(|m| once(device, &m, run));
            Ok((run.clone(), run.outcome(&outcome.map_err(said)?)))
        })
        .collect()
}

/// Launches a kernel and reads its buffers back.
fn once(device: &Device, module: &Module, run: &Run) -> Result<Vec<Vec<u32>>> {
    let kernel = module.kernel(run.kernel)?;
    let mut buffers = Vec::new();
    for argument in &run.arguments {
        if let Argument::Memory(words, _) = argument {
            let buffer = device.alloc_in::<u32>(Memory::Host, words.len())?;
            buffer.write(0, words)?;
            buffers.push(buffer);
        }
    }
    let mut next = buffers.iter();
    let arguments: Vec<Arg> = run
        .arguments
        .iter()
        .map(|argument| match argument {
            Argument::Memory(..) => Arg::from(next.next().expect("one for each")),
            Argument::Bytes(bytes) => Arg::bytes(bytes),
        })
        .collect();
    let launch = Launch::new(run.grid, run.block).shared(run.shared);
    let mut queue = device.compute_queue()?;
    // SAFETY: the kernels use their buffers as the runs lay them out.
    unsafe { queue.exec(&kernel, &launch, &arguments)? };
    queue.submit()?.wait(SOON)?;
    buffers.iter().map(|buffer| buffer.to_vec()).collect()
}

fn compare(device: &Device, cubin: &Cubin) -> std::result::Result<(), String> {
    let silicon = kernels::outcomes();
    let mut wrong = Vec::new();
    for (run, outcome) in outcomes(device, cubin)? {
        let key = cubin.key(&run);
        match silicon.get(&key) {
            None => wrong.push(format!("{key} was never asked of silicon")),
            Some(silicon) if !run.agrees(silicon, &outcome) => wrong.push(format!("{key} differs")),
            Some(_) => {}
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// Writes what this machine's GPU leaves of each run.
fn ask(place: &str) {
    let device = open().expect("the GPU opens").expect("there is a GPU");
    assert_eq!(device.info().sm, 90, "the committed outcomes are a Hopper GPU's");
    let mut text = String::from(HEADER);
    for cubin in cubins("sm_90") {
        for (run, outcome) in outcomes(&device, &cubin).expect("the kernels run") {
            text += &kernels::line(&cubin.key(&run), &outcome);
        }
    }
    let folder = if place == "1" { "emulator/golden" } else { place };
    let path = Path::new(folder).join("kernels.tsv");
    fs::write(&path, text).expect("the file can be written");
    println!("wrote {}", path.display());
}
