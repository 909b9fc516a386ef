//! `doorbell emulate`: runs any program on the software Orin.

use std::ffi::OsString;
use std::fmt::{self, Display, Formatter};
use std::io::ErrorKind;
use std::num::NonZero;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use clap::Args;
use emulator::inject::{Fault, Injector};
use emulator::profile::Profile;
use emulator::{Options, launch};

use crate::output;

#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct Emulate {
    /// Which board to be; see --list-boards
    #[arg(long, value_name = "NAME", value_parser = board)]
    board: Option<Profile>,
    /// Print each call of the program on stderr, decoded
    #[arg(long)]
    log: bool,
    /// Let something fail; may be given several times
    ///
    /// NAME@N=ERRNO   the N-th call of this name fails: `open`, or an ioctl such as
    ///                NVGPU_GPU_IOCTL_ALLOC_AS
    /// alloc@N        the N-th allocation finds no memory
    /// hang-channel@N the N-th channel never executes anything
    /// lose-notifier  no error notifier is ever written
    #[arg(long, value_name = "RULE", verbatim_doc_comment)]
    inject: Vec<Fault>,
    /// Model caches that stay stale and stores that others do not see yet
    ///
    /// What lacks an invalidate, a membar or a flush then reads old bytes in every run, and not by
    /// bad luck. Kernels run slower.
    #[arg(long)]
    caches: bool,
    /// Warn of accesses of kernels that nothing orders. Kernels run much slower
    #[arg(long)]
    races: bool,
    /// Let engines, blocks and warps take turns in an order that this number decides
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many threads run the blocks of a kernel: as many as there are processors unless given
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<usize>>,
    /// List the boards that there are
    #[arg(long, exclusive = true)]
    list_boards: bool,
    /// The program, found as a shell finds it, and its arguments
    #[arg(
        value_name = "PROGRAM",
        required_unless_present = "list_boards",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

const AFTER_HELP: &str = "\
The program runs unchanged, down to its system calls. It and whatever it starts see the nodes of
the board, and find the board's name in DOORBELL_EMULATED.

Exit status: the program's own; 128 and the signal's number if a signal ended it; 127 if there is
no such program, 126 if it cannot be run, 125 if there can be no software Orin here; 2 for wrong
usage.

Examples:
  doorbell emulate -- doorbell doctor
  doorbell emulate --log -- doorbell info
  doorbell emulate --board agx-orin-maxn -- ./my_program --its-option
  doorbell emulate --inject alloc@3 -- ./my_program
  doorbell emulate --inject NVGPU_GPU_IOCTL_ALLOC_AS@1=ENOMEM -- doorbell info";

fn board(name: &str) -> Result<Profile, String> {
    Profile::by_name(name).ok_or_else(|| "`doorbell emulate --list-boards` shows them".to_owned())
}

/// One line per board.
struct Boards(Vec<Profile>);

impl Display for Boards {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|board| board.name.len()).max().unwrap_or(0);
        self.0.iter().try_for_each(|board| writeln!(f, "{:<width$}  {}", board.name, board.about))
    }
}

impl Emulate {
    /// Gives the exit status.
    pub(crate) fn run(self) -> u8 {
        let Some((program, args)) = self.command.split_first() else {
            output::text(&Boards(Profile::all()));
            return 0;
        };
        let profile = self.board.unwrap_or_default();
        // SAFETY: no other thread runs yet that could read the environment meanwhile.
        unsafe { std::env::set_var(crate::EMULATED, profile.name) };
        let inject = Injector::new(self.inject);
        let Emulate { log, caches, races, seed, threads, .. } = self;
        let options =
            Options { profile, inject, log, caches, races, seed, threads, ..Options::default() };
        match launch(options, program, args) {
            Ok(status) => forwarded(status),
            Err(error) => {
                eprintln!("doorbell: {error}");
                match error.kind() {
                    ErrorKind::NotFound => 127,
                    ErrorKind::Other => 125,
                    _ => 126,
                }
            }
        }
    }
}

/// As shells do it: a byte has no other room for a signal.
fn forwarded(status: ExitStatus) -> u8 {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
