//! What can go wrong, each as one sentence for whoever typed the command.

use std::path::PathBuf;

/// Everything that stops this program, other than the GPU.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system would not give the file.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file asked for.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are not a GGUF file, or not a sound one.
    #[error("not a usable GGUF file: {0}")]
    Gguf(String),
    /// A sound file, but not of a model that can be run.
    #[error("cannot run this model: {0}")]
    Model(String),
    /// The tokenizer, the chat template or a token list is not usable.
    #[error("{0}")]
    Text(String),
    /// A sampling setting out of its range.
    #[error("{0}")]
    Sampling(String),
}

/// A result whose error is a sentence.
pub type Result<T> = std::result::Result<T, Error>;
