use super::*;

fn ours(format: Format, blocks: &[u8], weights: usize) -> Vec<f32> {
    let mut values = vec![0.0; weights];
    format.dequantize(blocks, &mut values);
    values
}

/// Values worked out on paper, so that two programs with one misunderstanding do not agree.
#[test]
fn blocks_worked_out_by_hand() {
    let half = |x: f32| f16::from_f32(x).to_le_bytes();

    let mut q4_0 = [half(0.5).to_vec(), vec![0; 16]].concat();
    q4_0[2 + 3] = 0xf1;
    let values = ours(Format::Q4_0, &q4_0, 32);
    assert_eq!((values[0], values[3], values[3 + 16]), (-4.0, -3.5, 3.5));

    let mut q8_0 = [half(0.25).to_vec(), vec![0; 32]].concat();
    q8_0[2 + 31] = -128i8 as u8;
    assert_eq!(ours(Format::Q8_0, &q8_0, 32)[31], -32.0);

    // Group 1: scale 5, minimum 3; group 6: scale 0b11_0010 = 50, minimum 0b01_0100 = 20.
    let mut q4_k = vec![0; 144];
    q4_k[0..2].copy_from_slice(&half(2.0));
    q4_k[2..4].copy_from_slice(&half(0.5));
    q4_k[4 + 1] = 5;
    q4_k[4 + 5] = 3;
    q4_k[4 + 10] = 0x42;
    q4_k[4 + 2] = 0b11 << 6;
    q4_k[4 + 6] = 0b01 << 6;
    // Group 1 has the upper halves of the first 32 bytes, group 6 the lower ones of the last.
    q4_k[16 + 7] = 0x90;
    q4_k[16 + 96 + 30] = 0x0b;
    let mut q5_k = [&q4_k[..16], &[0; 32], &q4_k[16..]].concat();
    let values = ours(Format::Q4K, &q4_k, 256);
    assert_eq!(values[32 + 7], 2.0 * 5.0 * 9.0 - 0.5 * 3.0);
    assert_eq!(values[6 * 32 + 30], 2.0 * 50.0 * 11.0 - 0.5 * 20.0);
    assert_eq!(values[32], -1.5);

    q5_k[16 + 7] = 1 << 1;
    q5_k[16 + 30] = 1 << 6;
    let values = ours(Format::Q5K, &q5_k, 256);
    assert_eq!(values[32 + 7], 2.0 * 5.0 * 25.0 - 0.5 * 3.0);
    assert_eq!(values[6 * 32 + 30], 2.0 * 50.0 * 27.0 - 0.5 * 20.0);

    // Weight 128 + 64 + 17: upper half of byte 64 + 17, bits 4 and 5 of high byte 32 + 17.
    let mut q6_k = vec![0; 210];
    q6_k[208..].copy_from_slice(&half(0.5));
    q6_k[64 + 17] = 0x70;
    q6_k[128 + 32 + 17] = 0b10 << 4;
    q6_k[192 + 8 + 5] = -3i8 as u8;
    let values = ours(Format::Q6K, &q6_k, 256);
    assert_eq!(values[128 + 64 + 17], 0.5 * -3.0 * (32.0 + 7.0 - 32.0));
    assert_eq!(values[128 + 64 + 18], 0.5 * -3.0 * -32.0);
}

#[test]
fn numbers_and_names_go_together() {
    for format in Format::ALL {
        assert_eq!(Format::from_id(format.id()), Some(format));
        assert_eq!(type_name(format.id()), format.name());
    }
    assert_eq!(Format::from_id(3), None);
    assert_eq!(type_name(3), "Q4_1");
    assert_eq!(type_name(99), "number 99");
    assert_eq!(supported(), "F32, F16, BF16, Q4_0, Q8_0, Q4_K, Q5_K, Q6_K");
}
