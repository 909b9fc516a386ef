//! What a run begins with, as the words of the State buffer.

use crate::plan::state;
use crate::sample::Sampling;

/// How many tokens the GPU can watch for that end the text.
pub(super) const WATCHED: usize = 4;

#[derive(Debug, Clone)]
pub(super) struct Start<'a> {
    pub(super) token: u32,
    pub(super) position: u32,
    pub(super) stop: bool,
    pub(super) limit: u32,
    /// At most [`WATCHED`].
    pub(super) ends: &'a [u32],
    pub(super) context: u32,
    pub(super) sampling: &'a Sampling,
}

impl Start<'_> {
    pub(super) fn bytes(&self) -> [u8; state::BYTES as usize] {
        let mut words = [0u32; state::BYTES as usize / 4];
        words[state::TOKEN] = self.token;
        words[state::POSITION] = self.position;
        words[state::STOP] = self.stop.into();
        words[state::LIMIT] = self.limit;
        let ends = &mut words[state::END_TOKENS..state::END_TOKENS + WATCHED];
        ends.fill(state::NO_TOKEN);
        for (word, end) in ends.iter_mut().zip(self.ends) {
            *word = *end;
        }
        words[state::CONTEXT] = self.context;
        words[state::TEMPERATURE] = self.sampling.temperature.to_bits();
        words[state::TOP_K] = self.sampling.top_k;
        words[state::TOP_P] = self.sampling.top_p.to_bits();
        words[state::MIN_P] = self.sampling.min_p.to_bits();
        words[state::PENALTY] = self.sampling.repetition_penalty.to_bits();
        words[state::LAST_N] = self.sampling.last_n;
        words[state::SEED] = self.sampling.seed as u32;
        words[state::SEED + 1] = (self.sampling.seed >> 32) as u32;
        let mut bytes = [0; state::BYTES as usize];
        for (bytes, word) in bytes.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}
