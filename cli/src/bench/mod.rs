//! `doorbell bench`: what a dispatch costs on this machine.

mod chains;
mod direct;
mod dispatch;
mod histogram;
mod machine;
mod moving;
mod soak;
mod stop;

use clap::{Args, Subcommand};

pub(crate) use direct::{CHAIN, Cubins, Direct, EARLY, SOON, Sample, expect, open};
pub(crate) use histogram::{HEADINGS, Histogram, Ns, Summary};
pub(crate) use machine::Machine;
pub(crate) use moving::{BLOCK, ELEMENTS, below};
pub(crate) use stop::{Interrupt, Outcome, Stop, status};

#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Time submissions, kernels and replays
    Dispatch(dispatch::Dispatch),
    /// Count what chains of kernels lose: each must see what the one before it stored
    Chains(chains::Chains),
    /// Do the same again and again, and watch memory and open files
    Soak(soak::Soak),
}

impl Bench {
    /// Gives the exit status.
    pub(crate) fn run(&self) -> u8 {
        status(match &self.what {
            What::Dispatch(dispatch) => dispatch.run(),
            What::Chains(chains) => chains.run(),
            What::Soak(soak) => soak.run(),
        })
    }
}

/// How often each thing is done.
pub(crate) fn rounds(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(rounds @ 1..=10_000_000) => Ok(rounds),
        _ => Err("a number from 1 to 10,000,000 is wanted".to_owned()),
    }
}

/// Says on stderr what is being done.
pub(crate) fn progress(what: &str) {
    eprintln!("doorbell: {what}");
}
