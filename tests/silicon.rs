//! Every instruction, alone, on the GPU of this machine against the interpreter of the software Orin,
//! bit for bit. Without a GPU, or on one of another generation, this is reported as ignored.
//!
//! Then the functions of the multi-function unit, over all their arguments, against what is committed.
//!
//!     cargo test --release --test silicon
//!     UPDATE_GOLDEN=1 cargo test --release --test silicon     # also writes what the GPU answered
//!
//! Any other value of `UPDATE_GOLDEN` is a directory to write to. `silicon --all DIRECTORY` writes the
//! differences and a line for each instruction word; `SILICON_ONLY=381,23c` asks for some opcodes alone.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use doorbell::{Commands, Device, Error, Launch, Memory, Module, Queue, Result, Select, args};
use emulator::sm::Arch;
use emulator::sm::silicon::{
    Arguments, Check, KEPT_ROUNDS, OUTPUTS, ROUNDS, Sweep, THREADS, checks, file, hash, sums,
    sweeps,
};

const SOON: Duration = Duration::from_secs(20);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let folder = arguments.iter().position(|a| a == "--all").map(|at| arguments[at + 1].clone());
    let device = match Device::open(Select::Auto) {
        Ok(device) => device,
        Err(error @ Error::NoDevice { .. }) => return println!("silicon: ignored: {error}"),
        Err(error) => panic!("{error}"),
    };
    let (arch, cubin, summing): (_, &[u8], &[u8]) = match device.info().sm {
        90 => (
            Arch::Sm90,
            include_bytes!("../ptx/sm_90/slot.cubin"),
            include_bytes!("../ptx/sm_90/mufu.cubin"),
        ),
        87 => (
            Arch::Sm87,
            include_bytes!("../ptx/sm_87/slot.cubin"),
            include_bytes!("../ptx/sm_87/mufu.cubin"),
        ),
        sm => return println!("silicon: ignored: the interpreter does not know sm_{sm}"),
    };
    let report = run(&device, arch, cubin);
    println!("{}", report.summary);
    if let Some(folder) = folder {
        let folder = Path::new(&folder);
        std::fs::write(folder.join("answers.tsv"), &report.lines).expect("a file can be written");
        std::fs::write(folder.join("differences.txt"), &report.differences).expect("a file");
        std::fs::write(folder.join("raw.bin"), &report.raw).expect("a file");
    }
    let golden = std::env::var("UPDATE_GOLDEN").ok();
    let keep = |name: &str, text: String| {
        let Some(place) = &golden else { return };
        assert!(arch == Arch::Sm90, "the committed answers are a Hopper GPU's");
        let folder = if place == "1" { "emulator/golden" } else { place };
        std::fs::write(Path::new(folder).join(name), text).expect("a file can be written");
    };
    keep("silicon.tsv", file(report.answers.iter().map(|(c, rounds)| (c, &rounds[..]))));
    let summed = sum_up(&device, arch, summing).expect("the sums come back");
    keep("mufu.tsv", sums(&summed));
    let differing = summed.iter().filter(|(sweep, sum)| *sum != sweep.golden);
    let differing = differing
        .inspect(|(sweep, sum)| {
            let (over, known) = (sweep.arguments, sweep.golden);
            println!("{} over {over:?}: {sum:016x}, not {known:016x}", sweep.name);
        })
        .count();
    println!("{} sums over the multi-function unit, {differing} differ", summed.len());
    assert!(report.differing == 0, "{} words differ", report.differing);
    assert!(differing == 0, "{differing} sums differ");
}

/// What the GPU sums up over the functions of its multi-function unit.
fn sum_up(device: &Device, arch: Arch, cubin: &[u8]) -> Result<Vec<(Sweep, u64)>> {
    let mut queue = device.compute_queue()?;
    let sum = device.alloc_in::<u64>(Memory::Host, 1)?;
    let mut summed = Vec::new();
    for sweep in sweeps(arch) {
        let mut cubin = cubin.to_vec();
        let text = text(&cubin, ".text.mufu");
        sweep.fill(&mut cubin[text]);
        let module = Module::load(device, &cubin)?;
        let kernel = module.kernel("mufu")?;
        sum.write(0, &[0])?;
        let Arguments { start, step, count } = sweep.arguments;
        // SAFETY: the kernel adds to the one number of the buffer.
        unsafe { queue.exec(&kernel, &Launch::new(1024, 256), &args![&sum, start, step, count])? };
        queue.submit()?.wait(SOON)?;
        let mut silicon = [0];
        sum.read(0, &mut silicon)?;
        summed.push((sweep, silicon[0]));
    }
    Ok(summed)
}

#[derive(Default)]
struct Report {
    summary: String,
    lines: String,
    differences: String,
    raw: Vec<u8>,
    /// What the GPU said to each word it took.
    answers: Vec<(Check, Vec<Vec<u32>>)>,
    differing: usize,
}

fn run(device: &Device, arch: Arch, cubin: &[u8]) -> Report {
    let mut report = Report::default();
    let mut bench = Bench::new(device).expect("memory for the inputs");
    let only = std::env::var("SILICON_ONLY").ok();
    let wanted = |check: &Check| match &only {
        Some(only) => only.split(',').any(|o| o == format!("{:03x}", check.opcode())),
        None => true,
    };
    let all: Vec<Check> = checks(arch).into_iter().filter(wanted).collect();
    let (mut same, mut refused) = (0, 0);
    for batch in all.chunks(256) {
        let mut answers = Vec::new();
        for check in batch {
            let answer = bench.answers(check, cubin);
            if answer.is_err() {
                refused += 1;
                bench.renew().expect("another queue");
            }
            answers.push((check, answer));
            if refused > 1500 {
                break;
            }
        }
        // The interpreter is slower than the GPU: on all cores.
        let workers = std::thread::available_parallelism().map_or(1, |n| n.get());
        let verdicts: Vec<Verdict> = std::thread::scope(|scope| {
            let parts: Vec<_> = answers
                .chunks(answers.len().div_ceil(workers))
                .map(|part| {
                    scope.spawn(|| part.iter().map(|(c, a)| judge(c, a)).collect::<Vec<_>>())
                })
                .collect();
            parts.into_iter().flat_map(|part| part.join().expect("no panic")).collect()
        });
        for ((check, answer), verdict) in answers.iter().zip(verdicts) {
            report.lines += &verdict.line;
            report.differences += &verdict.differences;
            match verdict.count {
                0 => same += 1,
                _ => report.differing += 1,
            }
            if let Ok(answer) = answer {
                let kept = answer.iter().take(KEPT_ROUNDS).cloned().collect();
                report.answers.push((**check, kept));
            }
            // The words themselves, for whoever looks for the rule.
            if let (Ok(answer), true) = (answer, verdict.count != 0 && report.raw.len() < 40 << 20)
            {
                report.raw.extend(check.word().to_le_bytes());
                for row in answer.iter().flat_map(|a| a.chunks(OUTPUTS)) {
                    report.raw.extend(row[..6].iter().flat_map(|w| w.to_le_bytes()));
                }
            }
        }
        if refused > 1500 {
            break;
        }
    }
    let total = all.len();
    report.summary =
        format!("{total} words, {same} the same, {} differ, {refused} refused", report.differing);
    report
}

/// What became of one word.
struct Verdict {
    count: usize,
    line: String,
    differences: String,
}

fn judge(check: &Check, answer: &Result<Vec<Vec<u32>>>) -> Verdict {
    let word = check.word();
    let answers = match answer {
        Ok(answers) => answers,
        Err(error) => {
            return Verdict {
                count: 1,
                line: format!("{word:032x}\t{check}\trefused\n"),
                differences: format!("REFUSED {word:032x} {check}: {error}\n"),
            };
        }
    };
    let (mut count, mut differences) = (0, String::new());
    for (round, silicon) in answers.iter().enumerate() {
        let model = check.interpret(round).expect("what decodes runs");
        let inputs = check.inputs(round);
        for (at, (s, m)) in silicon.iter().zip(&model).enumerate().filter(|(_, (s, m))| s != m) {
            count += 1;
            if count > 6 {
                continue;
            }
            let (thread, place) = (at / OUTPUTS, at % OUTPUTS);
            let [a, b, c, d] = [0, 4, 8, 12].map(|n| &inputs[thread * 20 + n..][..4]);
            let warp = &inputs[(THREADS + thread / 32) * 20..][..17];
            let (p, constants) = (inputs[thread * 20 + 16] & 0x7f, check.constants(round));
            writeln!(
                differences,
                "  {round}.{thread}[{place}]: silicon {s:08x} model {m:08x}; a {a:08x?} b {b:08x?} \
                 c {c:08x?} d {d:08x?} p {p:02x} warp {warp:08x?} const {constants:08x?}"
            )
            .expect("a string takes it");
        }
    }
    let hash = hash(answers);
    if count != 0 {
        writeln!(differences, "DIFFERS {word:032x} {check}: {count} words").expect("as above");
    }
    Verdict { count, line: format!("{word:032x}\t{check}\t{hash:08x}\t{count}\n"), differences }
}

struct Bench<'d> {
    device: &'d Device,
    queue: Queue,
    inputs: doorbell::Buffer<u32>,
    outputs: doorbell::Buffer<u32>,
}

impl<'d> Bench<'d> {
    fn new(device: &'d Device) -> Result<Self> {
        let inputs = device.alloc_in(Memory::Host, (THREADS + THREADS / 32) * 20)?;
        let outputs = device.alloc_in(Memory::Host, THREADS * OUTPUTS * ROUNDS)?;
        Ok(Bench { device, queue: device.compute_queue()?, inputs, outputs })
    }

    fn renew(&mut self) -> Result<()> {
        self.queue = self.device.compute_queue()?;
        Ok(())
    }

    fn answers(&mut self, check: &Check, cubin: &[u8]) -> Result<Vec<Vec<u32>>> {
        let module = Module::load(self.device, &fill(cubin, &check.code()))?;
        let kernel = module.kernel("slot")?;
        let mut out = Vec::new();
        for round in 0..ROUNDS {
            self.inputs.write(0, check.inputs(round))?;
            self.outputs.write(0, &vec![0; THREADS * OUTPUTS])?;
            let constants = check.constants(round).map(u32::to_le_bytes);
            let constants = doorbell::Arg::bytes(constants.as_flattened());
            let launch = Launch::new(1, THREADS as u32);
            // SAFETY: the kernel reads its records of the inputs and writes its rows of the outputs.
            unsafe {
                self.queue.exec(&kernel, &launch, &args![&self.inputs, &self.outputs, constants])?
            };
            self.queue.submit()?.wait(SOON)?;
            let mut words = vec![0; THREADS * OUTPUTS];
            self.outputs.read(0, &mut words)?;
            out.push(words);
        }
        Ok(out)
    }
}

/// The container with other code in it.
fn fill(cubin: &[u8], code: &[u8]) -> Vec<u8> {
    let range = text(cubin, ".text.slot");
    assert!(code.len() <= range.len(), "{} bytes of code do not fit", code.len());
    let mut cubin = cubin.to_vec();
    cubin[range.start..range.start + code.len()].copy_from_slice(code);
    cubin
}

/// Where a section of a cubin is.
fn text(cubin: &[u8], name: &str) -> std::ops::Range<usize> {
    let elf = goblin::elf::Elf::parse(cubin).expect("a cubin");
    let named = |s: &&goblin::elf::SectionHeader| elf.shdr_strtab.get_at(s.sh_name) == Some(name);
    let section = elf.section_headers.iter().find(named).expect("the cubin has the kernel");
    section.file_range().expect("with code")
}
