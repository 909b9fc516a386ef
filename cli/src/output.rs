//! Printing to standard output, whose reader may leave early.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::exit;

use serde::Serialize;

/// Prints text as it is.
pub(crate) fn text(text: &impl Display) {
    finish(write!(io::stdout().lock(), "{text}"));
}

/// Prints one JSON object.
pub(crate) fn json(value: &impl Serialize) {
    let mut out = io::stdout().lock();
    let written = serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from);
    finish(written.and_then(|()| writeln!(out)));
}

/// `doorbell info | head -1` is no mistake: end in silence, as programs in pipes do.
fn finish(written: io::Result<()>) {
    match written.and_then(|()| io::stdout().flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit(0),
        Err(error) => {
            eprintln!("doorbell: cannot print: {error}");
            exit(1);
        }
    }
}
