//! The tokenizer against one written here without patterns, tables or caches.

use std::collections::HashMap;
use std::io::Write;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::gguf::write::{Entry, Header, Item};
use crate::gguf::{Array, Gguf};
use crate::made::{self, Mix, Shape};

/// The words and merges of the shipped model, and special tokens of every kind behind them.
#[derive(Clone)]
struct Words {
    tokens: Vec<String>,
    types: Vec<i32>,
    merges: Vec<String>,
}

fn words() -> Words {
    WORDS.clone()
}

static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/model/stories.gguf");
    let file = Gguf::open(path).expect("the shipped model");
    let strings = |key| -> Vec<String> {
        let list: Array<'_> = file.need(key).expect("is there");
        list.all::<&str>().expect("strings").into_iter().map(str::to_owned).collect()
    };
    let types: Array<'_> = file.need("tokenizer.ggml.token_type").expect("is there");
    let types: Vec<i32> = types.all().expect("whole numbers");
    let mut tokens = strings("tokenizer.ggml.tokens");
    let normal = types.iter().take_while(|&&kind| kind == 1).count();
    tokens.truncate(normal);
    let mut words =
        Words { tokens, types: vec![1; normal], merges: strings("tokenizer.ggml.merges") };
    for (name, kind) in [
        ("<|begin|>", 3),
        ("<|eot_id|>", 3),
        ("<|eot_id|>!", 3),
        ("<think>", 4),
        ("the", 5),
        ("<unk>", 2),
    ] {
        words.tokens.push(name.to_owned());
        words.types.push(kind);
    }
    words
});

// Building one takes longer than most tests.
static LLAMA: LazyLock<Tokenizer> = LazyLock::new(|| WORDS.tokenizer("llama-bpe"));
static QWEN: LazyLock<Tokenizer> = LazyLock::new(|| WORDS.tokenizer("qwen2"));

impl Words {
    fn id(&self, name: &str) -> u32 {
        self.tokens.iter().rposition(|token| token == name).expect("is a token") as u32
    }

    fn file(&self, pre: &str) -> Gguf {
        let mut header = Header::default();
        header.key("tokenizer.ggml.model", Item::String("gpt2".into()));
        header.key("tokenizer.ggml.pre", Item::String(pre.into()));
        header.key("tokenizer.ggml.tokens", Item::Strings(self.tokens.clone()));
        header.key("tokenizer.ggml.token_type", Item::I32s(self.types.clone()));
        header.key("tokenizer.ggml.merges", Item::Strings(self.merges.clone()));
        header.key("tokenizer.ggml.bos_token_id", Item::U32(self.id("<|begin|>")));
        in_memory(&header)
    }

    fn tokenizer(&self, pre: &str) -> Tokenizer {
        Tokenizer::new(&self.file(pre)).expect("sound").expect("a vocabulary")
    }

    fn refused(&self) -> String {
        Tokenizer::new(&self.file("qwen2")).expect_err("must be refused").to_string()
    }
}

fn in_memory(header: &Header) -> Gguf {
    let mut bytes = Vec::new();
    header.write(&mut bytes, |_, _| Ok(())).expect("memory takes everything");
    Gguf::new(bytes).expect("sound")
}

/// Where the first word of a text ends, by the rules in words.
fn word_end(text: &[char], most_digits: usize) -> usize {
    // True of the characters that these tests draw from.
    let letter = |c: char| c.is_alphabetic() && !c.is_numeric();
    let mark = |c: char| !c.is_whitespace() && !letter(c) && !c.is_numeric();
    let line_end = |c: char| c == '\r' || c == '\n';
    let run = |from: usize, is: &dyn Fn(char) -> bool| {
        text[from..].iter().position(|&c| !is(c)).map_or(text.len(), |n| from + n)
    };
    if text[0] == '\'' {
        let fold = |c: &char| if *c == 'ſ' { 's' } else { c.to_ascii_lowercase() };
        let rest: String = text[1..].iter().take(2).map(fold).collect();
        for ending in ["s", "t", "re", "ve", "m", "ll", "d"] {
            if rest.starts_with(ending) {
                return 1 + ending.len();
            }
        }
    }
    let before = usize::from(!line_end(text[0]) && !letter(text[0]) && !text[0].is_numeric());
    if before < text.len() && letter(text[before]) {
        return run(before, &letter);
    }
    if text[0].is_numeric() {
        return run(0, &char::is_numeric).min(most_digits);
    }
    let before = usize::from(text[0] == ' ');
    if before < text.len() && mark(text[before]) {
        return run(run(before, &mark), &line_end);
    }
    let blanks = run(0, &char::is_whitespace);
    if let Some(last) = text[..blanks].iter().rposition(|&c| line_end(c)) {
        return last + 1;
    }
    // The last blank belongs to what follows.
    if blanks < text.len() && blanks > 1 { blanks - 1 } else { blanks }
}

/// Merges pairs of the lowest rank until none is left.
fn by_hand(words: &Words, text: &str, most_digits: usize, whole_words: bool) -> Vec<u32> {
    let normal = words.types.iter().take_while(|&&kind| kind == 1).count();
    let ids: HashMap<&str, u32> =
        words.tokens[..normal].iter().enumerate().map(|(id, t)| (t.as_str(), id as u32)).collect();
    let ranks: HashMap<(&str, &str), usize> = words
        .merges
        .iter()
        .enumerate()
        .map(|(rank, merge)| (merge.split_once(' ').expect("a pair"), rank))
        .collect();
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let end = at + word_end(&chars[at..], most_digits);
        let word: String = chars[at..end].iter().collect();
        at = end;
        let mut parts: Vec<String> = word.bytes().map(|b| bytes::letter(b).to_string()).collect();
        if whole_words && ids.contains_key(parts.concat().as_str()) {
            parts = vec![parts.concat()];
        }
        loop {
            let pairs = parts.windows(2).enumerate();
            let best = pairs
                .filter_map(|(n, p)| Some((*ranks.get(&(p[0].as_str(), p[1].as_str()))?, n)))
                .min();
            let Some((_, n)) = best else { break };
            let right = parts.remove(n + 1);
            parts[n].push_str(&right);
        }
        tokens.extend(parts.iter().map(|part| ids[part.as_str()]));
    }
    tokens
}

fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zA-Z]{1,8}",
        "[ \t\r\n]{1,4}",
        "[0-9]{1,7}",
        "(the|was|little|said|n't|'S|'ll|'Re|'ſ|'VE|'m|'x|<think|\\|>)",
        "[ !?.,;:'\"<>|_-]{1,3}",
        "[äéßÆłżΩДя中文ひカ한ªʰǅ]{1,3}",
        "[²½٣੭Ⅷ१]{1,4}",
        "[\u{301}€→😀\u{200d}\u{a0}\u{3000}\u{2028}\u{85}\0]{1,2}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn llama_and_qwen_words_are_cut_and_merged_as_by_hand(text in any_text()) {
        prop_assume!(!text.contains("<think>"));
        let tokens = LLAMA.encode_part(&text, Specials::Plain).expect("encodes");
        prop_assert_eq!(&tokens, &by_hand(&WORDS, &text, 3, true), "{:?}", &text);
        prop_assert_eq!(LLAMA.decode(&tokens), text.clone());

        // Letters that are composed of two stay two by hand, so none may be drawn here.
        let text = text.replace('\u{301}', "");
        let tokens = QWEN.encode_part(&text, Specials::Plain).expect("encodes");
        prop_assert_eq!(&tokens, &by_hand(&WORDS, &text, 1, false), "{:?}", &text);
    }

    #[test]
    fn a_stream_is_the_whole_text_in_pieces(tokens in prop::collection::vec(0u32..1100, 0..40)) {
        let tokenizer = &*LLAMA;
        let mut stream = Stream::new(tokenizer);
        let mut text = String::new();
        let mut spelled = Vec::new();
        for &token in &tokens {
            text.push_str(&stream.push(token));
            if !tokenizer.is_control(token) {
                spelled.extend_from_slice(tokenizer.bytes(token));
            }
            // What is held back is never more than a character that has begun.
            prop_assert!(String::from_utf8_lossy(&spelled).starts_with(&text));
        }
        text.push_str(&stream.finish());
        prop_assert_eq!(text, String::from_utf8_lossy(&spelled));
    }
}

#[test]
fn a_character_is_shown_when_its_last_byte_came() {
    let tokenizer = words().tokenizer("llama-bpe");
    let one = |byte: u8| {
        (0..tokenizer.len() as u32).find(|&t| tokenizer.bytes(t) == [byte]).expect("a byte token")
    };
    let mut stream = Stream::new(&tokenizer);
    let shown: Vec<String> = "é😀".bytes().map(|byte| stream.push(one(byte))).collect();
    assert_eq!(shown, ["", "é", "", "", "", "😀"]);
    assert_eq!(stream.push(one(0xf0)), "");
    assert_eq!(stream.push(one(b'a')), "\u{fffd}a");
    assert_eq!(stream.push(one(0xe2)), "");
    assert_eq!(stream.finish(), "\u{fffd}");
    assert_eq!(stream.finish(), "");
}

#[test]
fn special_tokens_are_found_only_where_they_are_meant() {
    let words = words();
    let tokenizer = words.tokenizer("qwen2");
    let eot = words.id("<|eot_id|>");
    let parse = |text: &str| tokenizer.encode(text, Specials::Parse).expect("encodes");
    let plain = |text: &str| tokenizer.encode(text, Specials::Plain).expect("encodes");

    assert_eq!(parse("<|eot_id|>"), [eot]);
    assert_eq!(parse("<|eot_id|>!"), [words.id("<|eot_id|>!")], "the longest wins");
    assert_eq!(parse("a<|eot_id|><|eot_id|>")[1..], [eot, eot]);
    let spelled = plain("<|eot_id|>");
    assert!(spelled.len() > 1 && !spelled.contains(&eot), "{spelled:?}");
    assert_eq!(tokenizer.decode(&spelled), "<|eot_id|>");
    assert_eq!(tokenizer.decode(&[eot]), "");

    // User-defined tokens are words of the language, and unused or unknown ones are nothing.
    assert_eq!(plain("<think>"), [words.id("<think>")]);
    assert_eq!(tokenizer.decode(&[words.id("<think>")]), "<think>");
    assert!(!parse("the<unk>").iter().any(|&t| t == words.id("<unk>") || t == words.id("the")));
    assert!(parse("").is_empty());
}

#[test]
fn texts_begin_as_the_model_expects() {
    let words = words();
    let begin = words.id("<|begin|>");
    let llama = words.tokenizer("llama-bpe");
    let tokens = |text: &str| llama.encode(text, Specials::Parse).expect("encodes");
    assert_eq!(tokens("")[..], [begin]);
    assert_eq!(tokens("the")[0], begin);
    assert_eq!(tokens("<|begin|>the"), tokens("the"), "not twice");
    assert_eq!(llama.encode_part("the", Specials::Parse).expect("encodes"), tokens("the")[1..]);
    let qwen = words.tokenizer("qwen2");
    assert!(!qwen.encode("the", Specials::Parse).expect("encodes").contains(&begin));
    assert_eq!((llama.bos(), llama.ends()), (Some(begin), &[words.id("<|eot_id|>")][..]));
}

#[test]
fn qwen_composes_letters_and_takes_digits_one_by_one() {
    let words = words();
    let (llama, qwen) = (words.tokenizer("llama-bpe"), words.tokenizer("qwen2"));
    let plain = |t: &Tokenizer, text: &str| t.encode_part(text, Specials::Plain).expect("encodes");
    assert_eq!(plain(&qwen, "e\u{301}"), plain(&qwen, "é"));
    assert_ne!(plain(&llama, "e\u{301}"), plain(&llama, "é"));
    assert_eq!(plain(&qwen, "1234").len(), 4);
}

#[test]
fn whole_words_go_before_merges_for_llama_only() {
    // "abc" is a token, but the merges lead to "a" + "bc".
    let mut words = words();
    words.merges = vec!["b c".into(), "ab c".into(), "a b".into()];
    let normal = words.types.iter().take_while(|&&kind| kind == 1).count();
    for (n, token) in ["bc", "ab", "abc"].into_iter().enumerate() {
        words.tokens[normal - 1 - n] = token.into();
    }
    let tokens = |pre: &str| {
        let tokenizer = words.tokenizer(pre);
        tokenizer.encode_part("abc", Specials::Plain).expect("encodes")
    };
    assert_eq!(tokens("llama-bpe"), [words.id("abc")]);
    for pre in ["qwen2", "deepseek-r1-qwen", "smaug-bpe"] {
        assert_eq!(tokens(pre), [words.id("a"), words.id("bc")], "{pre}");
    }
}

#[test]
fn unsound_vocabularies_are_refused_in_words() {
    let mut twice = words();
    twice.tokens[300] = twice.tokens[301].clone();
    assert!(twice.refused().contains("tokens 300 and 301 are both"), "{}", twice.refused());
    let mut short = words();
    short.types.pop();
    assert!(short.refused().contains("types of them"));
    let mut odd = words();
    odd.types[3] = 77;
    assert!(odd.refused().contains("type 77"));
    let mut strange = words();
    strange.merges[0] = "xyzzy plugh".into();
    assert!(strange.refused().contains("do not fit"), "{}", strange.refused());
    strange.merges[0] = "alone".into();
    assert!(strange.refused().contains("not a pair"));
    let mut raw = words();
    raw.tokens[300] = "two words".into();
    assert!(raw.refused().contains("does not spell bytes"));
    let mut less = words();
    let bang = less.tokens.iter().position(|t| t == "!").expect("a byte");
    less.types[bang] = 5;
    assert!(less.refused().contains("no token for byte 0x21"), "{}", less.refused());
}

#[test]
fn other_tokenizers_are_named_and_none_is_none() {
    let file = |kind: &str, pre: &str| {
        let mut header = Header::default();
        header.key("tokenizer.ggml.model", Item::String(kind.into()));
        header.key("tokenizer.ggml.pre", Item::String(pre.into()));
        Tokenizer::new(&in_memory(&header))
    };
    assert!(file("no_vocab", "").expect("fine").is_none());
    let refused = |kind, pre| file(kind, pre).expect_err("must be refused").to_string();
    assert!(refused("llama", "default").contains("\"llama\""));
    assert!(refused("gpt2", "tekken").contains("\"tekken\""));
    assert!(refused("gpt2", "qwen2").contains("no list of tokens"));
}

#[test]
fn more_tokens_than_rows_are_refused() {
    let shape = Shape::named("qwen3-tiny").expect("a shape");
    let mut header = made::header(&shape, Mix::named("q8_0").expect("a mix"));
    header.tensors.truncate(1);
    header.tensors[0].dims = vec![32, 1000];
    let mut bytes = Vec::new();
    let fill = |entry: &Entry, out: &mut dyn Write| out.write_all(&vec![0; entry.bytes()]);
    header.write(&mut bytes, fill).expect("memory takes everything");
    let told = Tokenizer::new(&Gguf::new(bytes).expect("sound")).expect_err("must be refused");
    assert_eq!(told.to_string(), "the file has 1024 tokens and rows for 1000 of them");
}

#[test]
fn made_models_have_a_vocabulary_and_a_chat() {
    for name in ["llama-tiny", "qwen3-tiny"] {
        let shape = Shape::named(name).expect("a shape");
        let mix = Mix::named("q8_0").expect("a mix");
        let file = made::in_memory(&shape, mix, 1).expect("sound");
        let tokenizer = Tokenizer::new(&file).expect("sound").expect("a vocabulary");
        assert_eq!(tokenizer.len(), shape.vocab);
        let text = "Once upon a time, 3 días\nago 😀";
        let tokens = tokenizer.encode(text, Specials::Parse).expect("encodes");
        assert_eq!(tokenizer.decode(&tokens), text);
        assert!(tokens.len() < text.len());
        let template = ChatTemplate::new(&file, &tokenizer).expect("sound").expect("a template");
        let turn = Message { role: "user".into(), content: "Hello".into() };
        let chat = template.render(&[turn], true).expect("renders");
        let tokens = tokenizer.encode(&chat, Specials::Parse).expect("encodes");
        assert!(tokenizer.is_control(tokens[0]));
        assert_eq!(
            tokens.iter().filter(|&&t| Some(t) == tokenizer.bos()).count(),
            usize::from(name == "llama-tiny")
        );
        assert!(tokenizer.decode(&tokens).contains("Hello"));
    }
}
