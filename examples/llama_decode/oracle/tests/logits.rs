//! The plain forward pass against one in 64-bit tensors.

use llama_decode::gguf::Gguf;
use llama_decode::made::{self, Mix, Shape};
use llama_decode::model::Model;
use llama_decode::reference::Reference;
use llama_decode_oracle::{Oracle, distance};

fn small(name: &str) -> Shape {
    let shape = Shape::named(name).expect("a shape");
    // As small as whole blocks and an uneven number of layers allow.
    Shape { layers: 3, vocab: 512, ..shape }
}

#[test]
fn logits_agree_with_64_bit_tensors() {
    for (name, mix) in
        [("llama-tiny", "q4_k_m"), ("llama-tiny-untied", "f16"), ("qwen3-tiny", "f32")]
    {
        let mix = Mix::named(mix).expect("a mix");
        let file = made::in_memory(&small(name), mix, 5).expect("sound");
        let model = Model::new(&file).expect("a model");
        let theirs = Oracle::new(file.bytes(), &model.config).expect("another reader agrees");
        let tokens: Vec<u32> = (0..150).map(|n| n * 37 % 512).collect();
        for length in [1, 2, 150] {
            let ours = Reference::new(&model).read(&tokens[..length]).expect("room");
            let theirs = theirs.logits(&tokens[..length]).expect("fits");
            // Keys and values that round the other way are most of this: 1e-5 without the cache's
            // rounding.
            let distance = distance(&ours, &theirs);
            assert!(distance < 3e-4, "{name}, {length} tokens: {distance}");
        }
    }
}

#[test]
fn the_shipped_model_agrees_too() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../model/stories.gguf");
    let file = Gguf::open(path).expect("the shipped model");
    let model = Model::new(&file).expect("a model");
    let tokens: Vec<u32> = (0..40).map(|n| n * 11 % 1000).collect();
    let ours = Reference::new(&model).read(&tokens).expect("room");
    let theirs = Oracle::new(file.bytes(), &model.config).expect("another reader agrees");
    let distance = distance(&ours, &theirs.logits(&tokens).expect("fits"));
    assert!(distance < 3e-4, "{distance}");
}
