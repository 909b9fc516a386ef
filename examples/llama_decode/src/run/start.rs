//! From an opened file to a decoder.

use super::{Decoder, Error, Pace, Result, Via, load, open};
use crate::gguf::Gguf;
use crate::model::Model;
use crate::plan::{Limits, Plan};

/// Tokens of one batch of a prompt. Twice as many take 24 MiB more for a model of 1B.
const PREFILL: u32 = 256;
/// Tokens that the GPU may emit before the CPU has taken any: more than can be under way.
const RING: u32 = 4096;
/// Positions of the cache, where the model allows more and the user has not said.
const CONTEXT: u32 = 4096;

/// Opens the GPU, makes the plan, and loads the weights. `progress` gets bytes that are done and
/// bytes there are.
pub fn start(
    file: &Gguf,
    model: &Model,
    via: Via,
    context: Option<u32>,
    pace: Pace,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Decoder> {
    let most = u32::try_from(model.config.context).unwrap_or(u32::MAX);
    if let Some(asked) = context.filter(|asked| *asked > most) {
        return Err(Error::Request(format!(
            "the model was made for contexts of at most {most} tokens: --context {asked} is too large"
        )));
    }
    let context = context.unwrap_or(CONTEXT.min(most));
    let limits = Limits { context, prefill: PREFILL.min(context), ring: RING };
    let mut backend = open(via)?;
    let plan = Plan::new(model, &backend.machine(), &limits)?;
    backend.place(&plan, &limits)?;
    load(&mut *backend, &plan, file, progress)?;
    Decoder::new(backend, plan, limits, pace)
}
