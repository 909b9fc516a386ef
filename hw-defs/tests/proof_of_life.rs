//! The first submission that was seen to work on an Orin: six words that release a 64-bit semaphore
//! with a timestamp once the engine is idle.

use hw_defs::gpfifo::{Entry, Level, Sync};
use hw_defs::semaphore::{self, RELEASE, TIMESTAMP, WFI};

#[test]
fn pushbuffer() {
    let words =
        semaphore::operation(0, 0xff_ffa0_0000, 0x00de_adbe_ef42, RELEASE | WFI | TIMESTAMP);
    assert_eq!(
        words,
        [0x2005_0017, 0xffa0_0000, 0x0000_00ff, 0xadbe_ef42, 0x0000_00de, 0x0310_0001]
    );
}

#[test]
fn ring_entry() {
    let entry = Entry::encode(0xff_ffa0_1000, 6, Level::Subroutine, Sync::Proceed);
    assert_eq!(entry, 0x0000_1aff_ffa0_1000);
}
