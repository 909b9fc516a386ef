//! `doorbell trace`: what a program, ours or any other, asks of the GPU's kernel drivers.

mod call;
mod count;
mod decode;
mod tracee;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use call::Calls;
use count::Count;
use tracee::{Stop, Tracees};

#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct Trace {
    /// Print a table of the calls at the end, instead of a line for each
    #[arg(long)]
    count: bool,
    /// Write to a file instead of standard error
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The program, found as a shell finds it, and its arguments
    #[arg(
        value_name = "PROGRAM",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

const AFTER_HELP: &str = "\
Shown are open, ioctl, mmap and close of the nodes of nvgpu, nvmap, RM and UVM, made by the program
and whatever it starts:

  [PID] SECONDS CALL(NODE) {fields that went in} = RESULT {fields that came back}, MICROSECONDS

Fields have the vendor's names; those that are zero, or that the call left alone, are left out.
Classes and controls of RM are decoded with their parameters. A submission is no call: programs
write to a ring and ring a doorbell, which nothing outside can see.

The program runs slower, for it stops at each of its system calls; the times are upper limits.

Exit status: the program's own; 128 and the signal's number if a signal ended it; 127 if there is
no such program, 126 if it cannot be run, 125 if it cannot be traced; 2 for wrong usage.

Examples:
  doorbell trace -- doorbell info
  doorbell trace --output calls.txt -- ./any_cuda_program
  doorbell trace --count -- python3 my_script.py
  doorbell emulate -- doorbell trace -- doorbell info     on the software Orin";

impl Trace {
    /// Gives the exit status.
    pub(crate) fn run(self) -> u8 {
        self.follow().unwrap_or_else(|(message, status)| crate::fail(&message, status))
    }

    fn follow(self) -> Result<u8, (String, u8)> {
        let mut out: Box<dyn Write> = match &self.output {
            Some(path) => Box::new(
                File::create(path)
                    .map(io::BufWriter::new)
                    .map_err(|error| (format!("cannot write {}: {error}", path.display()), 1))?,
            ),
            None => Box::new(io::stderr()),
        };
        let (program, args) = self.command.split_first().expect("clap wants one");
        let mut tracees = Tracees::start(program, args).map_err(|error| {
            let status = match error.kind() {
                ErrorKind::NotFound => 127,
                ErrorKind::Other => 125,
                _ => 126,
            };
            (format!("{}: {error}", program.to_string_lossy()), status)
        })?;

        let (began, mut calls, mut count) = (Instant::now(), Calls::default(), Count::default());
        let mut writing = Ok(());
        while let Some(stop) = tracees.next() {
            let call = match stop {
                Stop::Enter { thread, call } => {
                    calls.enter(thread, call, began.elapsed());
                    continue;
                }
                Stop::Leave { thread, result } => calls.leave(thread, result, began.elapsed()),
                Stop::End { thread } => {
                    calls.forget(thread);
                    continue;
                }
            };
            count.add(call.as_ref());
            if let Some(call) = call.filter(|_| !self.count && writing.is_ok()) {
                writing = writeln!(out, "{call}");
            }
        }
        if self.count {
            writing = writing.and_then(|()| write!(out, "{}", count.table()));
        }
        writing
            .and_then(|()| writeln!(out, "{count}"))
            .and_then(|()| out.flush())
            .map_err(|error| (format!("cannot write the trace: {error}"), 1))?;
        Ok(tracees.status())
    }
}
