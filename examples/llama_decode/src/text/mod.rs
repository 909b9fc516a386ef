//! Text to tokens and back, and chats to text.
//!
//! [`Tokenizer`] is built from what the file says; [`Stream`] turns tokens to text as they come;
//! [`ChatTemplate`] lays messages out as the model was trained to see them.

pub mod bytes;
mod chat;
mod python;
mod stream;
mod tokenizer;

#[cfg(test)]
mod tests;

pub use chat::{ChatTemplate, Message};
pub use stream::Stream;
pub use tokenizer::{Specials, Tokenizer};
