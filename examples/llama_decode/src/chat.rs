//! A talk with the model, turn by turn.

use crate::error::{Error, Result};
use crate::gguf::Gguf;
use crate::text::{ChatTemplate, Message, Specials, Tokenizer};

/// What was said so far, and how the model wants to see it.
#[derive(Debug)]
pub struct Chat<'a> {
    template: ChatTemplate,
    tokenizer: &'a Tokenizer,
    messages: Vec<Message>,
    think: bool,
}

impl<'a> Chat<'a> {
    /// Nothing said yet but what the model is told before. `think` is for models that think aloud if
    /// they may.
    pub fn new(
        file: &Gguf,
        tokenizer: &'a Tokenizer,
        system: Option<&str>,
        think: bool,
    ) -> Result<Chat<'a>> {
        let template = ChatTemplate::new(file, tokenizer)?.ok_or_else(|| {
            Error::Text("this model was not made for chats: use --prompt".to_owned())
        })?;
        let mut chat = Chat { template, tokenizer, messages: Vec::new(), think };
        if let Some(system) = system {
            chat.say("system", system.to_owned());
        }
        Ok(chat)
    }

    /// How the model counts words.
    pub fn tokenizer(&self) -> &'a Tokenizer {
        self.tokenizer
    }

    /// The user's turn: the tokens of all that was said, up to where the answer begins.
    pub fn ask(&mut self, text: String) -> Result<Vec<u32>> {
        self.say("user", text);
        let text = self.template.render(&self.messages, self.think)?;
        self.tokenizer.encode(&text, Specials::Parse)
    }

    /// The model's turn.
    pub fn answered(&mut self, text: String) {
        self.say("assistant", text);
    }

    fn say(&mut self, role: &str, content: String) {
        self.messages.push(Message { role: role.to_owned(), content });
    }
}
