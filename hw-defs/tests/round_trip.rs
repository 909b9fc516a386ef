//! What is encoded is what is decoded, whatever the values.

use hw_defs::class::CLASSES;
use hw_defs::decode::{Bindings, Decoder, MethodWrite, Step};
use hw_defs::gpfifo::{self, Entry, Level, Sync};
use hw_defs::push::{self, Header, SecOp};
use hw_defs::qmd::{self, Layout, Qmd};
use hw_defs::{c7b5, c7c0, c76f, class};
use proptest::prelude::*;

fn header() -> impl Strategy<Value = Header> {
    let op = prop_oneof![Just(SecOp::Inc), Just(SecOp::NonInc), Just(SecOp::OneInc)];
    let method = (0..0x1000_u32).prop_map(|word| word * 4);
    let data = (op, 0..push::SUBCHANNELS, method.clone(), 1..=push::MAX_COUNT)
        .prop_map(|(op, subchannel, method, count)| Header::Data { op, subchannel, method, count });
    let immediate = (0..push::SUBCHANNELS, method, 0..=push::MAX_COUNT)
        .prop_map(|(subchannel, method, data)| Header::Immediate { subchannel, method, data });
    prop_oneof![4 => data, 4 => immediate, 1 => Just(Header::EndSegment)]
}

fn sync() -> impl Strategy<Value = Sync> {
    prop_oneof![Just(Sync::Proceed), Just(Sync::Wait)]
}

fn check_qmd<const WORDS: usize>(
    layout: &Layout,
    before: Qmd<WORDS>,
    pick: prop::sample::Index,
    value: u32,
) {
    let fields: Vec<_> = layout.fields().collect();
    let field = *pick.get(&fields);
    let value = value & field.max();
    let mut after = before;
    after.set(field, value);
    assert_eq!(after.get(field), value);
    for other in &fields {
        if other.hi < field.lo || other.lo > field.hi {
            assert_eq!(after.get(*other), before.get(*other), "{field} changed {other}");
        }
    }
    let outside = |(i, word): (usize, &u32)| {
        if i == field.word() { word & !field.in_word().mask() } else { *word }
    };
    assert!(
        before.words().iter().enumerate().map(outside).eq(after
            .words()
            .iter()
            .enumerate()
            .map(outside)),
        "{field} changed bits of no field"
    );
    let too_large = u64::from(field.max()) + 1;
    assert_eq!(after.try_set(field, too_large).map_err(|e| e.value), Err(too_large));
    assert_eq!(after.get(field), value, "a refused value changes nothing");
}

proptest! {
    #[test]
    fn fields(class in 0..CLASSES.len(), pick: prop::sample::Index, word: u32, value: u32) {
        let all: Vec<_> = CLASSES[class].methods().flat_map(|method| method.fields).collect();
        let field = pick.get(&all);
        let value = value & field.max();
        let changed = word & !field.mask() | field.set(value);
        prop_assert_eq!(field.get(changed), value);
        prop_assert_eq!(changed & !field.mask(), word & !field.mask());
        prop_assert!(field.fits(field.max()));
        prop_assert!(field.max() == u32::MAX || !field.fits(field.max() + 1));
    }

    #[test]
    fn headers(header in header()) {
        prop_assert_eq!(Header::decode(header.encode()), Ok(header));
    }

    #[test]
    fn header_words(word: u32) {
        if let Ok(header) = Header::decode(word) {
            prop_assert_eq!(header.encode(), word);
        }
    }

    #[test]
    fn segments(
        va in (0..gpfifo::VA_LIMIT / 4).prop_map(|word| word * 4),
        words in 1..=gpfifo::MAX_WORDS,
        level in prop_oneof![Just(Level::Main), Just(Level::Subroutine)],
        sync in sync(),
    ) {
        let entry = Entry::encode(va, words, level, sync);
        prop_assert_eq!(Entry::decode(entry), Ok(Entry::Segment { va, words, level, sync }));
    }

    #[test]
    fn control_entries(opcode in 0..=4_u32, operand: u32, sync in sync()) {
        let entry = Entry::control(opcode, operand, sync);
        prop_assert_eq!(Entry::decode(entry), Ok(Entry::Control { opcode, operand, sync }));
    }

    #[test]
    fn entry_bits(bits: u64) {
        match Entry::decode(bits) {
            Ok(Entry::Segment { va, words, level, sync }) => {
                prop_assert_eq!(Entry::encode(va, words, level, sync), bits);
            }
            Ok(Entry::Control { opcode, operand, sync }) => {
                prop_assert_eq!(Entry::control(opcode, operand, sync), bits);
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn qmd_v03(words: [[u32; 32]; 2], pick: prop::sample::Index, value: u32) {
        let words = std::array::from_fn(|i| words[i / 32][i % 32]);
        check_qmd::<64>(&qmd::v03_00::LAYOUT, Qmd::from_words(words), pick, value);
    }

    #[test]
    fn qmd_v04(words: [[u32; 32]; 3], pick: prop::sample::Index, value: u32) {
        let words = std::array::from_fn(|i| words[i / 32][i % 32]);
        check_qmd::<96>(&qmd::v04_00::LAYOUT, Qmd::from_words(words), pick, value);
    }

    /// Data goes where its header says, for every way of spreading it.
    #[test]
    fn data_follows_its_header(
        op in prop_oneof![Just(SecOp::Inc), Just(SecOp::NonInc), Just(SecOp::OneInc)],
        subchannel in 0..push::SUBCHANNELS,
        start in 0..0x100_u32,
        data in prop::collection::vec(any::<u32>(), 1..40),
    ) {
        let count = u32::try_from(data.len()).unwrap();
        let header = Header::Data { op, subchannel, method: start * 4, count };
        let mut decoder = Decoder::new();
        prop_assert_eq!(decoder.feed(header.encode()), Ok(Step::Header));
        for (i, &data) in data.iter().enumerate() {
            prop_assert!(decoder.finish().is_err());
            let i = u32::try_from(i).unwrap();
            let steps = match op {
                SecOp::Inc => i,
                SecOp::NonInc => 0,
                SecOp::OneInc => i.min(1),
            };
            let method = start * 4 + steps * 4;
            let write = MethodWrite { index: i as usize + 1, subchannel, method, data };
            prop_assert_eq!(decoder.feed(data), Ok(Step::Write(write)));
        }
        prop_assert_eq!(decoder.finish(), Ok(()));
    }

    /// Random words are refused or read, never a panic, and what is read is what was sent.
    #[test]
    fn random_streams(words in prop::collection::vec(any::<u32>(), 0..200)) {
        let mut decoder = Decoder::new();
        let mut bindings = Bindings::new(&c76f::CLASS).bind(1, &c7c0::CLASS).bind(4, &c7b5::CLASS);
        let text = bindings.text(&words).to_string();
        prop_assert_eq!(text.lines().count() == 0, words.is_empty());
        for (i, word) in words.iter().enumerate() {
            match decoder.feed(*word) {
                Ok(Step::Write(write)) => {
                    prop_assert_eq!(write.index, i);
                    match bindings.accept(write) {
                        Ok(known) => {
                            prop_assert_eq!(known.method.check(write.data), 0);
                            let at = known.method.at(known.element).offset;
                            prop_assert_eq!(at, write.method);
                            prop_assert!(!known.to_string().is_empty());
                        }
                        Err(error) => prop_assert_eq!(error.index(), i),
                    }
                }
                Ok(Step::Header | Step::EndSegment) => {}
                Err(error) => prop_assert_eq!(error.index(), i),
            }
        }
    }

    /// Any data prints for any method of any class.
    #[test]
    fn any_write_prints(class in 0..CLASSES.len(), pick: prop::sample::Index, data: u32) {
        let class = CLASSES[class];
        let methods: Vec<_> = class.methods().collect();
        let method = pick.get(&methods);
        let write =
            MethodWrite { index: 0, subchannel: 1, method: method.offset, data: data & method.mask() };
        let host = class::lookup(0xc76f).unwrap();
        let bindings = match method.offset < 0x100 {
            true => Bindings::new(class),
            false => Bindings::new(host).bind(1, class),
        };
        // An engine's own row of SET_OBJECT; the host's is what answers.
        prop_assume!(method.name != "SET_OBJECT");
        let known = { bindings }.accept(write).unwrap();
        prop_assert!(known.to_string().contains(method.name));
    }
}
