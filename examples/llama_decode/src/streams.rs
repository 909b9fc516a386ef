//! Standard output and standard error, and what to do when nobody reads them.

use std::fmt::Display;
use std::io::{self, Write};

use crate::run::{Error, Result};

/// Writes a text to standard output, at once.
pub fn put(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    let wrote = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    wrote.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Error::Gone,
        _ => Error::Request(format!("cannot write to standard output: {error}")),
    })
}

/// Writes a line to standard error. That nobody reads it is no reason to stop.
pub fn tell(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
