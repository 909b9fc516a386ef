//! Every format, bit for bit, against another program that reads the same file.

use llama_decode::gguf::write::Header;
use llama_decode::quant::Format;
use llama_decode_oracle::{bf16_values, values};
use proptest::prelude::*;

fn theirs(format: Format, blocks: &[u8], weights: usize) -> Vec<f32> {
    if format == Format::Bf16 {
        return bf16_values(blocks).expect("a plain type");
    }
    let mut header = Header::default();
    header.tensor("t", format, &[weights]);
    let mut file = Vec::new();
    header.write(&mut file, |_, out| out.write_all(blocks)).expect("memory takes everything");
    values(&file, "t").expect("a sound file of a format it knows")
}

fn ours(format: Format, blocks: &[u8], weights: usize) -> Vec<f32> {
    let mut values = vec![0.0; weights];
    format.dequantize(blocks, &mut values);
    values
}

/// Equal bit for bit, except that what is not a number may be so in any way.
fn same(a: &[f32], b: &[f32]) -> bool {
    let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
    a.len() == b.len() && a.iter().zip(b).all(same)
}

proptest! {
    #[test]
    fn any_bits_have_the_values_that_others_give_them(
        bytes in prop::collection::vec(any::<u8>(), 2 * 256 * 4),
    ) {
        for format in Format::ALL {
            let weights = 2 * 256;
            let blocks = &bytes[..format.bytes(weights)];
            let (ours, theirs) = (ours(format, blocks, weights), theirs(format, blocks, weights));
            prop_assert!(same(&ours, &theirs), "{}: {:?} {:?}", format.name(), ours, theirs);
        }
    }
}
