//! Tokens to text as they come.

use super::Tokenizer;

/// Turns tokens to text one by one. A token may end within a character; such bytes are held back
/// until the tokens that follow complete it.
#[derive(Debug)]
pub struct Stream<'a> {
    tokenizer: &'a Tokenizer,
    held: Vec<u8>,
}

impl<'a> Stream<'a> {
    /// Nothing held back yet.
    pub fn new(tokenizer: &'a Tokenizer) -> Stream<'a> {
        Stream { tokenizer, held: Vec::new() }
    }

    /// The text that is complete with this token; nothing for control tokens. Bytes that are no
    /// character whatever follows become U+FFFD.
    pub fn push(&mut self, token: u32) -> String {
        if !self.tokenizer.is_control(token) {
            self.held.extend_from_slice(self.tokenizer.bytes(token));
        }
        let complete = complete(&self.held);
        let text = String::from_utf8_lossy(&self.held[..complete]).into_owned();
        self.held.drain(..complete);
        text
    }

    /// What is still held back, when nothing follows.
    pub fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.held).into_owned();
        self.held.clear();
        text
    }
}

/// How many bytes do not depend on what follows: all but a character begun at the end.
fn complete(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match std::str::from_utf8(&bytes[at..]) {
            Ok(_) => return bytes.len(),
            Err(error) => match error.error_len() {
                Some(wrong) => at += error.valid_up_to() + wrong,
                None => return at + error.valid_up_to(),
            },
        }
    }
}
