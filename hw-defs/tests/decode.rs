//! Each way in which a stream can be wrong, and data that comes in another segment than its header.

use hw_defs::decode::{Bindings, Decoder, Error, MethodWrite, Step};
use hw_defs::push::{self, BadHeader};
use hw_defs::{c7b5, c7c0, c76f};

fn bindings() -> Bindings {
    Bindings::new(&c76f::CLASS).bind(1, &c7c0::CLASS).bind(4, &c7b5::CLASS)
}

fn write(subchannel: u32, method: u32, data: u32) -> MethodWrite {
    MethodWrite { index: 7, subchannel, method, data }
}

#[track_caller]
fn refused(subchannel: u32, method: u32, data: u32) -> String {
    bindings().accept(write(subchannel, method, data)).unwrap_err().to_string()
}

#[test]
fn malformed_headers() {
    let feed = |word| Decoder::new().feed(word).unwrap_err();
    let error = |word, why| Error::Header { index: 0, word, why };
    for op in [0, 2, 6] {
        let word = op << 29 | 0x0001_2017;
        assert_eq!(feed(word), error(word, BadHeader::SecOp(op)));
    }
    assert_eq!(feed(0x2000_0017), error(0x2000_0017, BadHeader::ZeroCount));
    assert_eq!(feed(0x2005_1017), error(0x2005_1017, BadHeader::Reserved(0x1000)));
    assert_eq!(feed(0x8005_1017), error(0x8005_1017, BadHeader::Reserved(0x1000)));
    assert_eq!(feed(0xe000_0001), error(0xe000_0001, BadHeader::Reserved(1)));
    assert_eq!(
        feed(0x2000_0017).to_string(),
        "word 0: 0x20000017 is no header: it announces no data"
    );
}

#[test]
fn after_an_error_comes_a_header() {
    let mut decoder = Decoder::new();
    assert!(decoder.feed(0).is_err());
    assert_eq!(decoder.feed(push::immd(1, c7c0::WAIT_FOR_IDLE, 0)).map(|_| ()), Ok(()));
    assert_eq!(decoder.finish(), Ok(()));
}

#[test]
fn truncated_data() {
    let mut decoder = Decoder::new();
    decoder.feed(push::inc(1, c7c0::SEND_PCAS_A, 3)).unwrap();
    decoder.feed(0x1234).unwrap();
    assert_eq!(
        decoder.finish(),
        Err(Error::Truncated { index: 2, subchannel: 1, method: 0x2b8, missing: 2 })
    );
    assert_eq!(
        decoder.finish().unwrap_err().to_string(),
        "word 2: the stream ends where 2 more data words are due, the next for method 0x02b8 on \
         subchannel 1"
    );
}

/// A static header in one buffer and patched data in another, joined by two ring entries.
#[test]
fn data_in_the_next_segment() {
    let mut decoder = Decoder::new();
    decoder.feed(push::inc(4, c7b5::OFFSET_IN_UPPER, 2)).unwrap();
    decoder.start_segment();
    let expected = MethodWrite { index: 0, subchannel: 4, method: 0x400, data: 0xff };
    assert_eq!(decoder.feed(0xff), Ok(Step::Write(expected)));
    decoder.start_segment();
    let expected = MethodWrite { index: 0, subchannel: 4, method: 0x404, data: 0xe000_0000 };
    assert_eq!(decoder.feed(0xe000_0000), Ok(Step::Write(expected)));
    assert_eq!(decoder.feed(push::END_PB_SEGMENT), Ok(Step::EndSegment));
    assert_eq!(decoder.finish(), Ok(()));
}

#[test]
fn methods_that_nobody_has() {
    assert_eq!(
        refused(1, 0x698, 1),
        "word 7: c7c0 (AMPERE_COMPUTE_B) has no method 0x0698 (data 0x00000001, subchannel 1)"
    );
    assert_eq!(
        refused(1, 0x38, 0),
        "word 7: c76f (AMPERE_CHANNEL_GPFIFO_B) has no method 0x0038 (data 0x00000000, subchannel 1)"
    );
    assert_eq!(
        refused(2, 0x100, 0),
        "word 7: method 0x0100 on subchannel 2, which has no class yet"
    );
    // One beyond the inline descriptor of this class, and one past the last method address.
    assert!(matches!(
        bindings().accept(write(1, 0x420, 0)),
        Err(Error::UnknownMethod { class, .. }) if *class == c7c0::CLASS
    ));
    assert!(bindings().accept(write(1, 0x4000, 0)).is_err());
}

#[test]
fn reserved_bits() {
    assert_eq!(
        refused(4, c7b5::OFFSET_OUT_UPPER.offset, 0x0002_00ff),
        "word 7: c7b5 (AMPERE_DMA_COPY_B) OFFSET_OUT_UPPER = 0x000200ff sets reserved bits 0x00020000"
    );
    // Named by the vendor, but as reserved.
    let data = c7b5::LAUNCH_DMA_RESERVED_ERR_CODE.set(1);
    assert!(matches!(
        bindings().accept(write(4, c7b5::LAUNCH_DMA.offset, data)),
        Err(Error::Reserved { bits: 0x1000_0000, .. })
    ));
}

#[test]
fn set_object_binds() {
    let mut bindings = Bindings::new(&c76f::CLASS);
    let set_object = |class| write(3, c76f::SET_OBJECT.offset, class);
    assert_eq!(bindings.class(3), None);
    bindings.accept(set_object(c7c0::AMPERE_COMPUTE_B)).unwrap();
    assert_eq!(bindings.class(3), Some(&c7c0::CLASS));
    bindings.accept(set_object(c7b5::AMPERE_DMA_COPY_B)).unwrap();
    assert_eq!(bindings.class(3), Some(&c7b5::CLASS));
    assert_eq!(bindings.class(1), None);
    let error = bindings.accept(set_object(0xa140)).unwrap_err();
    assert_eq!(error.to_string(), "word 7: SET_OBJECT puts unknown class a140 on subchannel 3");
    assert_eq!(bindings.class(3), Some(&c7b5::CLASS), "a refused class changes nothing");
}

/// A host method is the host's even where a class is bound.
#[test]
fn host_methods_on_every_subchannel() {
    for subchannel in 0..push::SUBCHANNELS {
        let known = bindings().accept(write(subchannel, c76f::SEM_EXECUTE.offset, 1)).unwrap();
        assert_eq!((known.class, known.method), (&c76f::CLASS, &c76f::SEM_EXECUTE));
    }
}
