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
                (case.run)(&device).map_err(Failed::from)?;
                Ok(Completion::Completed)
            })
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}
