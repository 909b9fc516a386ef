//! The byte-level tokenizer that a file describes.
//!
//! Text is first cut at special tokens, if those are to be recognised. What lies between is cut
//! into words by the pre-tokenizer's pattern, and each word is merged pair by pair. The last two
//! steps are the tokenizers crate's; special tokens are kept out of its vocabulary, so that no
//! user's text can become one by accident.

use aho_corasick::{AhoCorasick, MatchKind};
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior};

use super::bytes;
use crate::error::{Error, Result};
use crate::gguf::{Array, FromValue, Gguf};

/// Whether the names of control tokens in a text mean the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Specials {
    /// `<|eot_id|>` is the token: for text that a chat template laid out.
    Parse,
    /// `<|eot_id|>` is ten characters: for text from strangers.
    Plain,
}

/// What a token is, by its number in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
}

impl Kind {
    fn from_id(id: i32) -> Option<Kind> {
        match id {
            1 => Some(Kind::Normal),
            2 => Some(Kind::Unknown),
            3 => Some(Kind::Control),
            4 => Some(Kind::UserDefined),
            5 => Some(Kind::Unused),
            _ => None,
        }
    }
}

/// What differs between the pre-tokenizers.
struct Rules {
    /// How many digits make a word at most, in the pattern's terms.
    digits: &'static str,
    /// Whether composed and decomposed letters are made the same first.
    compose: bool,
    /// Whether a word that is a token is taken whole, whatever the merges say.
    whole_words: bool,
    /// Whether texts begin with the beginning-of-text token, if the file does not say.
    add_bos: bool,
}

impl Rules {
    fn named(name: &str) -> Result<Rules> {
        match name {
            "llama-bpe" | "llama3" | "llama-v3" => {
                Ok(Rules { digits: "{1,3}", compose: false, whole_words: true, add_bos: true })
            }
            // The same pattern, for files of Llama 3's relatives.
            "smaug-bpe" => {
                Ok(Rules { digits: "{1,3}", compose: false, whole_words: false, add_bos: false })
            }
            "qwen2" | "deepseek-r1-qwen" => {
                Ok(Rules { digits: "", compose: true, whole_words: false, add_bos: false })
            }
            other => Err(Error::Text(format!(
                "the file's pre-tokenizer is {other:?}; llama-bpe and qwen2 are supported"
            ))),
        }
    }

    /// Contractions; letters with at most one mark before them; digits; marks with at most one
    /// space before them and the line ends behind them; blanks up to a line's end; blanks but the
    /// last, which belongs to the word that follows; blanks.
    fn pattern(&self) -> String {
        let digits = self.digits;
        format!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    }
}

/// Text to tokens and back.
#[derive(Debug)]
pub struct Tokenizer {
    words: tokenizers::Tokenizer,
    /// The bytes of all tokens one after the other, and where each begins.
    spelled: Vec<u8>,
    starts: Vec<u32>,
    kinds: Vec<Kind>,
    /// Finds control and user-defined tokens in text.
    special: Finder,
    /// Finds user-defined tokens only: those are words like any other to whoever wrote the text.
    user_defined: Finder,
    bos: Option<u32>,
    ends: Vec<u32>,
    add_bos: bool,
}

impl Tokenizer {
    /// The tokenizer of a file; none if the file has no vocabulary and is used with token ids.
    pub fn new(file: &Gguf) -> Result<Option<Tokenizer>> {
        match file.need::<&str>("tokenizer.ggml.model")? {
            "gpt2" => {}
            "no_vocab" | "none" => return Ok(None),
            other => {
                return Err(Error::Text(format!(
                    "the file's tokenizer is of kind {other:?}; byte-level BPE (gpt2) is supported"
                )));
            }
        }
        let rules = Rules::named(file.need("tokenizer.ggml.pre")?)?;
        let texts: Vec<&str> = all(file, "tokenizer.ggml.tokens")?
            .ok_or_else(|| Error::Text("the file has no list of tokens".to_owned()))?;
        fits(file, texts.len())?;
        let kinds = kinds(file, texts.len())?;
        let (mut spelled, mut starts) = (Vec::new(), vec![0]);
        for (id, (text, kind)) in texts.iter().zip(&kinds).enumerate() {
            match kind {
                Kind::Normal => spelled.extend(spell(id, text)?),
                _ => spelled.extend(text.as_bytes()),
            }
            starts.push(u32::try_from(spelled.len()).map_err(|_| {
                Error::Text("the tokens together are longer than 4 GiB".to_owned())
            })?);
        }
        let words = words(file, &rules, &texts, &kinds)?;
        let named = |key: &str| token_key(file, key, texts.len());
        let is_special = |kind| matches!(kind, Kind::Control | Kind::UserDefined);
        Ok(Some(Tokenizer {
            words,
            special: Finder::new(&texts, &kinds, is_special)?,
            user_defined: Finder::new(&texts, &kinds, |kind| kind == Kind::UserDefined)?,
            bos: named("bos_token_id")?,
            ends: ends(file, &texts, &kinds)?,
            add_bos: file.find("tokenizer.ggml.add_bos_token")?.unwrap_or(rules.add_bos),
            spelled,
            starts,
            kinds,
        }))
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether there is no token at all.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The tokens of a text, with the beginning-of-text token before them if the model wants one
    /// and the text does not bring it along.
    pub fn encode(&self, text: &str, specials: Specials) -> Result<Vec<u32>> {
        let mut tokens = self.encode_part(text, specials)?;
        if let Some(bos) = self.bos.filter(|_| self.add_bos) {
            if tokens.first() != Some(&bos) {
                tokens.insert(0, bos);
            }
        }
        Ok(tokens)
    }

    /// The tokens of a text that continues another.
    pub fn encode_part(&self, text: &str, specials: Specials) -> Result<Vec<u32>> {
        let finder = match specials {
            Specials::Parse => &self.special,
            Specials::Plain => &self.user_defined,
        };
        let mut tokens = Vec::new();
        let mut rest = 0;
        for found in finder.names.find_iter(text) {
            self.encode_words(&text[rest..found.start()], &mut tokens)?;
            tokens.push(finder.ids[found.pattern().as_usize()]);
            rest = found.end();
        }
        self.encode_words(&text[rest..], &mut tokens)?;
        Ok(tokens)
    }

    fn encode_words(&self, text: &str, tokens: &mut Vec<u32>) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let encoded = self
            .words
            .encode_fast(text, false)
            .map_err(|error| Error::Text(format!("cannot make tokens of the text: {error}")))?;
        tokens.extend_from_slice(encoded.get_ids());
        Ok(())
    }

    /// The bytes of a token; of a control token, its name. Empty for a token that does not exist.
    pub fn bytes(&self, token: u32) -> &[u8] {
        let token = token as usize;
        match (self.starts.get(token), self.starts.get(token + 1)) {
            (Some(&start), Some(&end)) => &self.spelled[start as usize..end as usize],
            _ => &[],
        }
    }

    /// Whether a token is a sign to the program rather than part of a text.
    pub fn is_control(&self, token: u32) -> bool {
        let text = [Kind::Normal, Kind::UserDefined];
        self.kinds.get(token as usize).is_none_or(|kind| !text.contains(kind))
    }

    /// The text of whole tokens; control tokens are left out.
    pub fn decode(&self, tokens: &[u32]) -> String {
        let mut stream = super::Stream::new(self);
        let mut text: String = tokens.iter().map(|&token| stream.push(token)).collect();
        text.push_str(&stream.finish());
        text
    }

    /// The token that begins a text.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// The tokens that end a text, the likeliest to be used first. There may be more than four.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The name of a token, as templates want it.
    pub fn name(&self, token: Option<u32>) -> String {
        token.map_or(String::new(), |token| String::from_utf8_lossy(self.bytes(token)).into_owned())
    }
}

/// Finds names of tokens in a text, of several that begin together the longest.
#[derive(Debug)]
struct Finder {
    names: AhoCorasick,
    ids: Vec<u32>,
}

impl Finder {
    fn new(texts: &[&str], kinds: &[Kind], wanted: impl Fn(Kind) -> bool) -> Result<Finder> {
        let ids: Vec<u32> = (0..texts.len())
            .filter(|&id| wanted(kinds[id]) && !texts[id].is_empty())
            .map(|id| id as u32)
            .collect();
        let names = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(ids.iter().map(|&id| texts[id as usize]))
            .map_err(|error| Error::Text(format!("too many special tokens: {error}")))?;
        Ok(Finder { names, ids })
    }
}

/// The list of a key.
fn all<'a, T: FromValue<'a>>(file: &'a Gguf, key: &str) -> Result<Option<Vec<T>>> {
    let Some(array) = file.find::<Array<'a>>(key)? else { return Ok(None) };
    let expected = || Error::Text(format!("key {key} is not a list of what it should be"));
    array.all().map(Some).ok_or_else(expected)
}

/// No text may become a token that the model has no row for.
fn fits(file: &Gguf, count: usize) -> Result<()> {
    let rows = file.tensor("token_embd.weight")?.map_or(count, |embedding| embedding.rows());
    if count > rows {
        return Err(Error::Text(format!(
            "the file has {count} tokens and rows for {rows} of them"
        )));
    }
    Ok(())
}

fn kinds(file: &Gguf, count: usize) -> Result<Vec<Kind>> {
    let Some(ids) = all::<i32>(file, "tokenizer.ggml.token_type")? else {
        return Ok(vec![Kind::Normal; count]);
    };
    if ids.len() != count {
        let types = ids.len();
        return Err(Error::Text(format!("the file has {count} tokens and {types} types of them")));
    }
    let known = |&id: &i32| {
        Kind::from_id(id)
            .ok_or_else(|| Error::Text(format!("a token has type {id}, which is unknown here")))
    };
    ids.iter().map(known).collect()
}

/// The bytes that a normal token's letters stand for.
fn spell(id: usize, text: &str) -> Result<Vec<u8>> {
    let spelled = text.chars().map(bytes::byte).collect::<Option<_>>();
    spelled.ok_or_else(|| Error::Text(format!("token {id}, {text:?}, does not spell bytes")))
}

/// Words to tokens: pattern and merges.
fn words(
    file: &Gguf,
    rules: &Rules,
    texts: &[&str],
    kinds: &[Kind],
) -> Result<tokenizers::Tokenizer> {
    let mut vocabulary = Vocab::new();
    for (id, (text, _)) in
        texts.iter().zip(kinds).enumerate().filter(|(_, (_, kind))| **kind == Kind::Normal)
    {
        if let Some(first) = vocabulary.insert((*text).to_owned(), id as u32) {
            return Err(Error::Text(format!("tokens {first} and {id} are both {text:?}")));
        }
    }
    // A text may hold any byte, and none may vanish.
    if let Some(byte) = (0..=255).find(|&b| !vocabulary.contains_key(&bytes::letter(b).to_string()))
    {
        return Err(Error::Text(format!("the vocabulary has no token for byte {byte:#04x}")));
    }
    let merges = all::<&str>(file, "tokenizer.ggml.merges")?
        .ok_or_else(|| Error::Text("the file has no list of merges".to_owned()))?;
    let merges = merges
        .into_iter()
        .map(|merge| match merge.split_once(' ') {
            Some((left, right)) => Ok((left.to_owned(), right.to_owned())),
            None => Err(Error::Text(format!("merge {merge:?} is not a pair"))),
        })
        .collect::<Result<Vec<_>>>()?;

    let wrong = |error| Error::Text(format!("the file's merges do not fit its tokens: {error}"));
    let bpe = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .ignore_merges(rules.whole_words)
        .build()
        .map_err(wrong)?;
    let pattern = SplitPattern::Regex(rules.pattern());
    let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(wrong)?;
    let steps: Vec<PreTokenizerWrapper> =
        vec![split.into(), ByteLevel::new(false, true, false).into()];
    let mut words = tokenizers::Tokenizer::new(bpe);
    words.with_pre_tokenizer(Some(Sequence::new(steps)));
    if rules.compose {
        words.with_normalizer(Some(NFC)).map_err(wrong)?;
    }
    Ok(words)
}

/// The token that a key names, which must exist.
fn token_key(file: &Gguf, key: &str, count: usize) -> Result<Option<u32>> {
    let key = format!("tokenizer.ggml.{key}");
    match file.find::<u32>(&key)? {
        Some(id) if id as usize >= count => {
            Err(Error::Text(format!("key {key} is {id}, and there are {count} tokens")))
        }
        found => Ok(found),
    }
}

/// What ends a text: the tokens that keys say, then control tokens by the names that both
/// families use, for many files name only one of those that their models emit.
fn ends(file: &Gguf, texts: &[&str], kinds: &[Kind]) -> Result<Vec<u32>> {
    const NAMES: [&str; 5] =
        ["<|eot_id|>", "<|im_end|>", "<|end_of_text|>", "<|endoftext|>", "<|eom_id|>"];
    let mut ends = Vec::new();
    for key in ["eos_token_id", "eot_token_id", "eom_token_id"] {
        ends.extend(token_key(file, key, texts.len())?);
    }
    for name in NAMES {
        let is_it = |&id: &usize| kinds[id] == Kind::Control && texts[id] == name;
        ends.extend((0..texts.len()).find(is_it).map(|id| id as u32));
    }
    let mut seen = std::collections::HashSet::new();
    ends.retain(|id| seen.insert(*id));
    Ok(ends)
}
