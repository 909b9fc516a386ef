//! The cases on the software Orin, with no GPU in the machine.

mod cases;

use doorbell::{Device, Select};
use emulator::Options;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let plain = cases::CASES.iter().map(|case| trial(case, case.name.to_owned(), false));
    // Once more where caches stay stale, stores are not seen at once, and races are looked for.
    let strict = cases::CASES.iter().map(|case| trial(case, format!("{}/strict", case.name), true));
    libtest_mimic::run(&Arguments::from_args(), plain.chain(strict).collect()).exit();
}

fn trial(case: &'static cases::Case, name: String, strict: bool) -> Trial {
    Trial::test(name, move || {
        let options = Options { caches: strict, races: strict, ..Options::default() };
        emulator::run(options, |board| {
            let device = Device::open(Select::Auto)?;
            (case.run)(&device)?;
            // Races, and what a real driver lets pass although it cannot be meant.
            match board.warnings().into_iter().next() {
                Some(warning) => Err(Failed::from(warning)),
                None => Ok(()),
            }
        })?
    })
}
