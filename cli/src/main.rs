//! The `doorbell` command.

mod bench;
mod compare;
mod doctor;
mod emulate;
mod info;
mod output;
mod trace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Drives NVIDIA GPUs straight through their kernel driver.
#[derive(Debug, Parser)]
#[command(name = "doorbell", version, arg_required_else_help = true, after_help = AFTER_HELP)]
struct Doorbell {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  doorbell doctor                       would a dispatch work here, and if not, why?
  doorbell info                         what is the GPU and what can it do?
  doorbell bench dispatch               what does a dispatch cost?
  doorbell compare                      and what through the CUDA driver?
  doorbell trace -- PROGRAM ARGS        what does a program ask of the GPU's drivers?
  doorbell emulate -- PROGRAM ARGS      run a program on the software Orin";

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell whether a dispatch works on this machine, and what cures it if not
    Doctor(doctor::Doctor),
    /// Show what the GPU is and can do
    Info(info::Info),
    /// Measure what a dispatch costs
    Bench(bench::Bench),
    /// Measure the same work through this crate and through the CUDA driver
    Compare(compare::Compare),
    /// Run one kernel and say so: what `compare` starts
    #[command(hide = true)]
    StartUp(compare::StartUp),
    /// Run a program and print its calls to the GPU's kernel drivers, decoded
    Trace(trace::Trace),
    /// Run a program on the software Orin
    Emulate(Box<emulate::Emulate>),
}

/// Tells a program which board of the software Orin it runs on.
const EMULATED: &str = "DOORBELL_EMULATED";

/// The exit status for wrong usage, as clap has it.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let status = match Doorbell::parse().command {
        Command::Doctor(doctor) => {
            doctor.run().map_or_else(|message| fail(&message, USAGE), |works| u8::from(!works))
        }
        Command::Info(info) => info.run().map_or_else(|message| fail(&message, 1), |()| 0),
        Command::Bench(bench) => bench.run(),
        Command::Compare(compare) => compare.run(),
        Command::StartUp(start_up) => start_up.run(),
        Command::Trace(trace) => trace.run(),
        Command::Emulate(emulate) => emulate.run(),
    };
    ExitCode::from(status)
}

/// One sentence for the user, and the exit status.
fn fail(message: &str, status: u8) -> u8 {
    eprintln!("doorbell: {message}");
    status
}
