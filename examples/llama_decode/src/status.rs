//! The line that tells how it goes, on standard error, where that is a terminal.
//!
//! Where text comes out on the same terminal meanwhile, the line is the terminal's last, and the text
//! scrolls above it.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::libc;

/// A line that is written over and over.
#[derive(Debug)]
pub struct Status {
    place: Place,
    shown: bool,
    next: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nobody watches.
    Nowhere,
    /// Wherever the cursor is.
    Here,
    /// The last line of the terminal, which has so many.
    Last(Size),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    rows: u16,
    columns: u16,
}

/// How often the line changes.
const PERIOD: Duration = Duration::from_millis(100);
/// A terminal with fewer lines has none to spare.
const FEWEST_ROWS: u16 = 5;
/// Where the terminal keeps the cursor, and takes it from there.
const KEEP: &str = "\x1b7";
const BACK: &str = "\x1b8";

/// Whether text scrolls above the last line at this moment, which must not outlive the program.
static SPLIT: AtomicBool = AtomicBool::new(false);

impl Status {
    /// A line, if standard error is a terminal. `text` says whether text goes to standard output
    /// while it is shown.
    pub fn new(text: bool) -> Status {
        let place = match (stderr().is_terminal(), text && stdout().is_terminal()) {
            (false, _) => Place::Nowhere,
            (true, false) => Place::Here,
            (true, true) => size().map_or(Place::Nowhere, Place::Last),
        };
        Status { place, shown: false, next: Instant::now() }
    }

    /// Shows a text, if it is time for that.
    pub fn show(&mut self, text: impl FnOnce() -> String) {
        let now = Instant::now();
        if self.place == Place::Nowhere || now < self.next {
            return;
        }
        self.next = now + PERIOD;
        match self.place {
            Place::Nowhere => {}
            Place::Here => write(&format!("\r\x1b[K{}", text())),
            Place::Last(_) => self.show_last(&text()),
        }
        self.shown = true;
    }

    fn show_last(&mut self, text: &str) {
        let Some(size) = size() else { return };
        if self.place != Place::Last(size) {
            self.clear();
            self.place = Place::Last(size);
        }
        let Size { rows, columns } = size;
        if !self.shown {
            SPLIT.store(true, Ordering::Relaxed);
            // Up one line if the cursor is in the last; then everything but that scrolls.
            write(&format!("\x1bD\x1b[A{KEEP}\x1b[1;{}r{BACK}", rows - 1));
        }
        let text: String = text.chars().take(columns.into()).collect();
        write(&format!("{KEEP}\x1b[{rows};1H\x1b[2K{text}{BACK}"));
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if !std::mem::take(&mut self.shown) {
            return;
        }
        match self.place {
            Place::Nowhere => {}
            Place::Here => write("\r\x1b[K"),
            Place::Last(Size { rows, .. }) => {
                write(&format!("{KEEP}\x1b[r\x1b[{rows};1H\x1b[2K{BACK}"));
                SPLIT.store(false, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A status line that cannot be written is no reason to stop.
fn write(text: &str) {
    let _ = stderr().write_all(text.as_bytes());
}

/// Gives the terminal its last line back when the program must end at once. A signal handler may
/// call this.
pub fn give_back() {
    if SPLIT.load(Ordering::Relaxed) {
        let reset = b"\x1b7\x1b[r\x1b8\r\n\x1b[J";
        // SAFETY: the bytes are there; the descriptor is open or it is an error that nobody needs.
        unsafe { libc::write(libc::STDERR_FILENO, reset.as_ptr().cast(), reset.len()) };
    }
}

/// The size of the terminal, if it is one whose cursor can be moved.
fn size() -> Option<Size> {
    let moves = std::env::var("TERM").is_ok_and(|name| !name.is_empty() && name != "dumb");
    let mut size = MaybeUninit::<libc::winsize>::zeroed();
    // SAFETY: the call fills in what it is made for, and zeros are a size too.
    let size = unsafe {
        let result = libc::ioctl(libc::STDERR_FILENO, libc::TIOCGWINSZ, size.as_mut_ptr());
        (result == 0).then(|| size.assume_init())?
    };
    let size = Size { rows: size.ws_row, columns: size.ws_col };
    (moves && size.rows >= FEWEST_ROWS).then_some(size)
}
