//! The cases on the software Orin, with no GPU in the machine.

mod cases;

use doorbell::{Device, Select};
use emulator::Options;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let plain = cases::CASES.iter().map(|case| trial(case, case.name.to_owned(), false));
    // Once more where caches stay stale and stores are not seen at once: nothing may be missing.
    let cached = cases::CASES.iter().map(|case| trial(case, format!("{}/caches", case.name), true));
    libtest_mimic::run(&Arguments::from_args(), plain.chain(cached).collect()).exit();
}

fn trial(case: &'static cases::Case, name: String, caches: bool) -> Trial {
    Trial::test(name, move || {
        emulator::run(Options { caches, ..Options::default() }, |_| {
            let device = Device::open(Select::Auto)?;
            (case.run)(&device)
        })?
        .map_err(Failed::from)
    })
}
