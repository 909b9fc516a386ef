use std::io::Write;

use super::*;
use crate::gguf::write::{Entry, Header, Item};
use crate::made::{self, Mix, SHAPES, Shape};

fn header(name: &str) -> Header {
    let shape = Shape::named(name).expect("a shape");
    made::header(&shape, Mix::named("q4_k_m").expect("a mix"))
}

fn file(header: &Header) -> Gguf {
    let mut bytes = Vec::new();
    // Half-precision and single-precision ones alike read as small positive numbers.
    let fill = |entry: &Entry, out: &mut dyn Write| out.write_all(&vec![0x3c; entry.bytes()]);
    header.write(&mut bytes, fill).expect("memory takes everything");
    Gguf::new(bytes).expect("sound")
}

fn refused(header: &Header) -> String {
    Model::new(&file(header)).expect_err("must be refused").to_string()
}

fn set(header: &mut Header, key: &str, item: Item) {
    header.keys.retain(|(known, _)| known != key);
    header.key(key, item);
}

fn tensor<'a>(header: &'a mut Header, name: &str) -> &'a mut Entry {
    header.tensors.iter_mut().find(|entry| entry.name == name).expect("is there")
}

#[test]
fn shapes_are_read_as_they_were_written() {
    for shape in SHAPES.iter().filter(|shape| shape.name.contains("tiny")) {
        let file = file(&made::header(shape, Mix::Q4KM));
        let model = Model::new(&file).expect("sound");
        let c = &model.config;
        assert_eq!(c.architecture, shape.architecture);
        assert_eq!(
            (c.layers, c.embedding, c.feed_forward),
            (shape.layers, shape.embedding, shape.feed_forward)
        );
        assert_eq!(
            (c.heads, c.kv_heads, c.head_size),
            (shape.heads, shape.kv_heads, shape.head_size)
        );
        assert_eq!((c.vocab, c.context, c.tied), (shape.vocab, shape.context, shape.tied));
        assert_eq!(c.rope_base, shape.rope_base);
        assert_eq!(model.head.name == "output.weight", !shape.tied);
        let is_qwen = shape.architecture == Architecture::Qwen3;
        assert_eq!(c.rope_pairs == RopePairs::Halves, is_qwen);
        assert!(model.layers.iter().all(|layer| layer.q_norm.is_some() == is_qwen));
        assert_eq!(model.matrices().count(), 7 * c.layers + 1 + usize::from(!c.tied));
    }
}

#[test]
fn mixes_have_their_formats_where_quantisers_put_them() {
    let shape = Shape { layers: 16, ..Shape::named("llama-tiny").expect("a shape") };
    let formats = |mix, part: &str| -> Vec<Format> {
        let file = file(&made::header(&shape, mix));
        let model = Model::new(&file).expect("sound");
        let parts = model.matrices().filter(|(_, tensor)| tensor.name.contains(part));
        parts.map(|(_, tensor)| tensor.format).collect()
    };
    assert_eq!(formats(Mix::Q4KM, "token_embd"), [Format::Q6K]);
    let down = formats(Mix::Q4KM, "ffn_down");
    let wide: Vec<usize> = (0..16).filter(|&n| down[n] == Format::Q6K).collect();
    assert_eq!(wide, [0, 1, 4, 7, 10, 13, 14, 15]);
    assert!(formats(Mix::Q4KM, "ffn_up").iter().all(|format| *format == Format::Q4K));
}

#[test]
fn long_contexts_slow_the_slow_pairs_down() {
    let shape = Shape::named("llama-3.2-1b").expect("a shape");
    // Only the rotation matters here.
    let shape = Shape { layers: 1, embedding: 256, feed_forward: 256, vocab: 512, ..shape };
    let file = made::in_memory(&shape, Mix::Q4_0, 1).expect("sound");
    let config = Model::new(&file).expect("sound").config;
    assert_eq!(config.rope_divisors.len(), 32);
    assert_eq!((config.rope_divisors[0], config.rope_divisors[31]), (1.0, 32.0));
    assert!(config.rope_divisors.windows(2).all(|pair| pair[0] <= pair[1]));
    let frequencies = config.rope_frequencies();
    assert_eq!(frequencies[0], 1.0);
    let slowest = 500_000f64.powf(-62.0 / 64.0) / 32.0;
    assert!((frequencies[31] / slowest - 1.0).abs() < 1e-12);
}

#[test]
fn a_linear_stretch_divides_every_frequency() {
    let mut header = header("qwen3-tiny");
    set(&mut header, "qwen3.rope.scaling.type", Item::String("linear".into()));
    set(&mut header, "qwen3.rope.scaling.factor", Item::F32(4.0));
    let file = file(&header);
    assert_eq!(Model::new(&file).expect("sound").config.rope_divisors, [4.0; 64]);
    set(&mut header, "qwen3.rope.scaling.type", Item::String("yarn".into()));
    assert!(refused(&header).contains("scaled by yarn"));

    let mut header = self::header("llama-tiny");
    set(&mut header, "llama.rope.scaling.attn_factor", Item::F32(1.5));
    assert!(refused(&header).contains("attention factor of 1.5"));

    // The factor alone, by either name; and what says that there is none.
    let divisor = |keys: &[(&str, Item)]| {
        let mut header = self::header("qwen3-tiny");
        for (key, item) in keys {
            set(&mut header, &format!("qwen3.rope.{key}"), item.clone());
        }
        Model::new(&self::file(&header)).expect("sound").config.rope_divisors[0]
    };
    let (old, new) = (("scale_linear", Item::F32(2.0)), ("scaling.factor", Item::F32(4.0)));
    assert_eq!(divisor(&[old.clone(), new.clone()]), 4.0);
    assert_eq!(divisor(&[old]), 2.0);
    assert_eq!(divisor(&[("scaling.factor", Item::F32(0.0))]), 1.0);
    let (none, linear) = ("none".to_owned(), "linear".to_owned());
    assert_eq!(divisor(&[new, ("scaling.type", Item::String(none))]), 1.0);
    assert_eq!(divisor(&[("scaling.type", Item::String(linear))]), 1.0);
}

#[test]
fn what_is_missing_is_named() {
    let mut header = header("qwen3-tiny");
    header.tensors.retain(|entry| entry.name != "blk.1.attn_k_norm.weight");
    assert!(refused(&header).contains("tensor blk.1.attn_k_norm.weight is missing"));
    let mut header = self::header("llama-tiny");
    header.keys.retain(|(key, _)| key != "llama.block_count");
    assert!(refused(&header).contains("key llama.block_count is missing"));
    header.keys.retain(|(key, _)| key != "general.architecture");
    assert!(refused(&header).contains("key general.architecture is missing"));
}

#[test]
fn what_does_not_fit_is_named() {
    let mut wrong = header("llama-tiny");
    tensor(&mut wrong, "blk.0.ffn_up.weight").dims = vec![256, 511];
    let told = refused(&wrong);
    assert!(told.contains("tensor blk.0.ffn_up.weight has sizes [256, 511]; [256, 512]"), "{told}");

    let mut wrong = header("llama-tiny");
    tensor(&mut wrong, "blk.1.attn_norm.weight").format = Format::Q8_0;
    assert!(refused(&wrong).contains("[256] of Q8_0; [256] of F32, F16 or BF16 are expected"));
    tensor(&mut wrong, "blk.1.attn_norm.weight").format = Format::Bf16;
    let half = file(&wrong);
    let norm = &Model::new(&half).expect("sound").layers[1].attention_norm;
    assert_eq!(norm[..], [f32::from_bits(0x3c3c_0000); 256]);

    for (key, value, why) in [
        ("llama.block_count", 0, "out of range"),
        ("llama.block_count", 3, "blk.2.attn_norm.weight is missing"),
        ("llama.block_count", 1, "has a tensor blk.1.attn_norm.weight"),
        ("llama.attention.head_count_kv", 3, "do not divide"),
        ("llama.attention.key_length", 63, "head of 63 elements"),
        ("llama.attention.value_length", 32, "value_length is 32 and heads are 64"),
        ("llama.rope.dimension_count", 32, "dimension_count is 32"),
        ("llama.vocab_size", 999, "token_embd has 1024 rows"),
        ("llama.expert_count", 8, "mixture of 8 experts"),
    ] {
        let mut wrong = header("llama-tiny");
        set(&mut wrong, key, Item::U32(value));
        let told = refused(&wrong);
        assert!(told.contains(why), "{key} = {value}: {told}");
    }
    let mut listed = header("llama-tiny");
    set(&mut listed, "llama.attention.head_count_kv", Item::I32s(vec![2, 2]));
    assert_eq!(Model::new(&file(&listed)).expect("sound").config.kv_heads, 2);
    for sizes in [vec![2, 4], vec![], vec![-2, -2]] {
        set(&mut listed, "llama.attention.head_count_kv", Item::I32s(sizes));
        assert!(refused(&listed).contains("head_count_kv is not one size for all layers"));
    }
    let mut wrong = header("llama-tiny");
    set(&mut wrong, "llama.attention.layer_norm_rms_epsilon", Item::F32(f32::NAN));
    assert!(refused(&wrong).contains("out of range"));
}

#[test]
fn other_models_are_named() {
    let mut other = header("llama-tiny");
    set(&mut other, "general.architecture", Item::String("gemma3".into()));
    assert!(refused(&other).contains("its architecture is gemma3; llama and qwen3 are supported"));
    let mut part = Header::default();
    part.key("split.count", Item::U32(3));
    assert!(refused(&part).contains("it is in 3 files, of which this is one"));
    let mut biased = header("llama-tiny");
    biased.tensor("blk.0.attn_q.bias", Format::F32, &[256]);
    assert!(refused(&biased).contains("has a tensor blk.0.attn_q.bias, which llama models"));
}

#[test]
fn absent_keys_have_the_values_that_the_format_gives_them() {
    let mut old = header("llama-tiny");
    let dropped =
        ["rope.freq_base", "attention.key_length", "attention.value_length", "vocab_size"];
    old.keys.retain(|(key, _)| !dropped.iter().any(|name| *key == format!("llama.{name}")));
    let file = file(&old);
    let config = Model::new(&file).expect("sound").config;
    assert_eq!((config.rope_base, config.head_size, config.vocab), (10_000.0, 64, 1024));
}
