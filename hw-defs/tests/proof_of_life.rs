//! The first submission that was seen to work on an Orin: six words that release a 64-bit semaphore.

use hw_defs::gpfifo::{Entry, Level, Sync};
use hw_defs::{c76f, push};

const RELEASE: u32 = c76f::SEM_EXECUTE_OPERATION.set(c76f::SEM_EXECUTE_OPERATION_RELEASE)
    | c76f::SEM_EXECUTE_RELEASE_WFI.set(c76f::SEM_EXECUTE_RELEASE_WFI_EN)
    | c76f::SEM_EXECUTE_PAYLOAD_SIZE.set(c76f::SEM_EXECUTE_PAYLOAD_SIZE_64BIT)
    | c76f::SEM_EXECUTE_RELEASE_TIMESTAMP.set(c76f::SEM_EXECUTE_RELEASE_TIMESTAMP_EN);

#[test]
fn header_and_execute_word() {
    assert_eq!(push::inc(0, c76f::SEM_ADDR_LO, 5), 0x2005_0017);
    assert_eq!(RELEASE, 0x0310_0001);
}

#[test]
fn ring_entry() {
    let entry = Entry::encode(0xff_ffa0_1000, 6, Level::Subroutine, Sync::Proceed);
    assert_eq!(entry, 0x0000_1aff_ffa0_1000);
}
