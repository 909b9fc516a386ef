//! The cases on the GPU of this machine. Without one, each is reported as ignored.

mod cases;

use doorbell::{Device, Error, Select};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

fn main() {
    let mut arguments = Arguments::from_args();
    // One GPU, and cases that measure or fill it: not side by side.
    arguments.test_threads.get_or_insert(1);
    let trials = cases::CASES
        .iter()
        .map(|case| {
            Trial::ignorable_test(case.name, || {
                let device = match Device::open(Select::Auto) {
                    Ok(device) => device,
                    Err(error @ Error::NoDevice { .. }) => {
                        return Ok(Completion::ignored_with(error.to_string()));
                    }
                    Err(error) => return Err(Failed::from(error)),
                };
                // Where GPU and CPU have one memory, taking the last of it ends other programs.
                let one_memory = device.info().unified_memory;
                if let Some(free) = available().filter(|free| one_memory && *free < case.needs()) {
                    let [needs, free] = [case.needs(), free].map(|bytes| bytes >> 20);
                    let reason = format!("it needs {needs} MiB and {free} MiB are available");
                    return Ok(Completion::ignored_with(reason));
                }
                (case.run)(&device).map_err(Failed::from)?;
                Ok(Completion::Completed)
            })
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// Bytes of main memory that a program can have without others giving any up.
fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}
