//! The first submission that was seen to work on an Orin: six words that release a 64-bit semaphore
//! with a timestamp once the engine is idle.

use hw_defs::c76f::*;
use hw_defs::gpfifo::{Entry, Level, Sync};
use hw_defs::push;

#[test]
fn pushbuffer() {
    let execute = SEM_EXECUTE_OPERATION.set(SEM_EXECUTE_OPERATION_RELEASE)
        | SEM_EXECUTE_RELEASE_WFI.set(SEM_EXECUTE_RELEASE_WFI_EN)
        | SEM_EXECUTE_PAYLOAD_SIZE.set(SEM_EXECUTE_PAYLOAD_SIZE_64BIT)
        | SEM_EXECUTE_RELEASE_TIMESTAMP.set(SEM_EXECUTE_RELEASE_TIMESTAMP_EN);
    assert_eq!([push::inc(0, SEM_ADDR_LO, 5), execute], [0x2005_0017, 0x0310_0001]);
}

#[test]
fn ring_entry() {
    let entry = Entry::encode(0xff_ffa0_1000, 6, Level::Subroutine, Sync::Proceed);
    assert_eq!(entry, 0x0000_1aff_ffa0_1000);
}
