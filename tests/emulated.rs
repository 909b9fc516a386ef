//! The cases on the software Orin, with no GPU in the machine; and on the board that does not exist, for
//! what only Hopper does.

mod cases;

use doorbell::{Device, Select};
use emulator::Options;
use emulator::profile::Profile;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let mut trials = Vec::new();
    for (board, prefix) in [("agx-orin-30w", ""), ("no-board-hopper", "hopper::")] {
        let profile = Profile::by_name(board).expect("there is such a board");
        for case in cases::CASES {
            let name = format!("{prefix}{}", case.name);
            let plain = Options { profile: profile.clone(), ..Options::default() };
            // Once more where caches stay stale, stores are not seen at once, and races are looked for.
            let strict = Options { caches: true, races: true, ..plain.clone() };
            // What launches do to each other, in an order in which nothing comes when it might.
            if ["launches::", "graphs::"].iter().any(|room| case.name.starts_with(room)) {
                let shaken = Options { seed: Some(1), ..strict.clone() };
                trials.push(trial(case, format!("{name}/shaken"), shaken));
            }
            trials.push(trial(case, name.clone(), plain));
            trials.push(trial(case, format!("{name}/strict"), strict));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn trial(case: &'static cases::Case, name: String, options: Options) -> Trial {
    Trial::test(name, move || {
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
