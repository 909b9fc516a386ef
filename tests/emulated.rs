//! The cases on the software Orin, with no GPU in the machine.

mod cases;

use doorbell::{Device, Select};
use emulator::Options;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let trials = cases::CASES
        .iter()
        .map(|case| {
            Trial::test(case.name, || {
                emulator::run(Options::default(), |_| {
                    let device = Device::open(Select::Auto)?;
                    (case.run)(&device)
                })?
                .map_err(Failed::from)
            })
        })
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
