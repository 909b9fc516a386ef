//! From a GGUF file to text, on the GPU, one doorbell a token.
//!
//! Data flows one way: [`gguf`] reads the file, [`model`] says what is in it, [`repack`] lays the
//! weights out as the kernels load them, [`plan`] lists the launches of one token, [`run`] sends
//! them and collects tokens, [`text`] makes words of those, [`report`] says what it cost, [`results`] of
//! several models at once.
//! [`mod@reference`] computes the same on the CPU, slowly and plainly.

pub mod chat;
pub mod error;
pub mod gguf;
pub mod made;
pub mod model;
pub mod options;
pub mod plan;
pub mod quant;
pub mod reference;
pub mod repack;
pub mod report;
pub mod results;
pub mod run;
pub mod sample;
pub mod status;
pub mod streams;
pub mod text;
