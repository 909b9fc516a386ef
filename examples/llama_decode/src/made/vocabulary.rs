//! A byte-level vocabulary of any size that fits together: all bytes, then merges of letters, then
//! the control tokens at the ids where the family has them.

use super::Shape;
use crate::gguf::write::{Header, Item};
use crate::model::Architecture;
use crate::text::bytes;

/// Adds the keys of the tokenizer.
pub(super) fn keys(header: &mut Header, shape: &Shape) {
    let named: &[&str] = match shape.architecture {
        Architecture::Llama => &[
            "<|begin_of_text|>",
            "<|end_of_text|>",
            "<|start_header_id|>",
            "<|end_header_id|>",
            "<|eot_id|>",
        ],
        Architecture::Qwen3 => &["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    };
    let specials = match (shape.architecture, shape.vocab) {
        (Architecture::Llama, 128_256) => 256,
        (Architecture::Qwen3, 151_936) => 293,
        _ => 8,
    };
    let first = shape.vocab - specials;
    let (mut tokens, merges) = byte_pairs(first);
    let unused = (named.len()..specials).map(|n| format!("<|unused_{n}|>"));
    tokens.extend(named.iter().map(|&name| name.to_owned()).chain(unused));
    let mut types = vec![1; first];
    types.resize(shape.vocab, 3);

    let (pre, add_bos, eos) = match shape.architecture {
        Architecture::Llama => ("llama-bpe", true, first + 4),
        Architecture::Qwen3 => ("qwen2", false, first + 2),
    };
    header.key("tokenizer.ggml.model", Item::String("gpt2".into()));
    header.key("tokenizer.ggml.pre", Item::String(pre.into()));
    header.key("tokenizer.ggml.tokens", Item::Strings(tokens));
    header.key("tokenizer.ggml.token_type", Item::I32s(types));
    header.key("tokenizer.ggml.merges", Item::Strings(merges));
    header.key("tokenizer.ggml.bos_token_id", Item::U32(first as u32));
    header.key("tokenizer.ggml.eos_token_id", Item::U32(eos as u32));
    header.key("tokenizer.ggml.add_bos_token", Item::Bool(add_bos));
}

/// `count` tokens: the bytes, then each shorter token followed by each letter.
fn byte_pairs(count: usize) -> (Vec<String>, Vec<String>) {
    let mut tokens: Vec<String> = (0..=255).map(|byte| bytes::letter(byte).to_string()).collect();
    assert!(count >= tokens.len(), "a vocabulary of {count} tokens cannot hold every byte");
    // The space first, so that words that follow others are among the shortest.
    let letters: Vec<char> = b" etaoinshrdlcumwfgypbvkjxqz".map(bytes::letter).to_vec();
    let mut merges = Vec::new();
    let mut stems: Vec<String> = letters.iter().map(char::to_string).collect();
    while tokens.len() < count {
        let stem_letter = stems.iter().flat_map(|stem| letters.iter().map(move |l| (stem, *l)));
        // A space begins a word and stands nowhere else.
        let longer: Vec<(String, char)> = stem_letter
            .filter(|(_, letter)| *letter != letters[0])
            .map(|(stem, letter)| (stem.clone(), letter))
            .take(count - tokens.len())
            .collect();
        merges.extend(longer.iter().map(|(stem, letter)| format!("{stem} {letter}")));
        stems = longer.iter().map(|(stem, letter)| format!("{stem}{letter}")).collect();
        tokens.extend(stems.iter().cloned());
    }
    (tokens, merges)
}
