//! Which classes of a GPU this crate uses.

use ioctl_defs::Argument;
use ioctl_defs::rm::Class;
use ioctl_defs::rm::class::*;

/// The newest of each kind that both the GPU and this crate know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Classes {
    pub(crate) usermode: Usermode,
    pub(crate) channel: Class<NV_CHANNEL_ALLOC_PARAMS>,
    pub(crate) compute: Class<()>,
    pub(crate) copy: Class<NVB0B5_ALLOCATION_PARAMETERS>,
}

/// The class of the doorbell's page; Hopper's has parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Usermode {
    Hopper,
    Older(Class<()>),
}

const CHANNELS: [Class<NV_CHANNEL_ALLOC_PARAMS>; 2] =
    [HOPPER_CHANNEL_GPFIFO_A, AMPERE_CHANNEL_GPFIFO_A];
const COMPUTE: [Class<()>; 4] =
    [HOPPER_COMPUTE_A, ADA_COMPUTE_A, AMPERE_COMPUTE_B, AMPERE_COMPUTE_A];
const COPY: [Class<NVB0B5_ALLOCATION_PARAMETERS>; 3] =
    [HOPPER_DMA_COPY_A, AMPERE_DMA_COPY_B, AMPERE_DMA_COPY_A];
const USERMODE: [Class<()>; 2] = [AMPERE_USERMODE_A, TURING_USERMODE_A];

impl Classes {
    /// Chooses from the GPU's own list, or says what is missing.
    pub(crate) fn choose(list: &[u32]) -> Result<Classes, String> {
        let usermode = if list.contains(&HOPPER_USERMODE_A.number()) {
            Usermode::Hopper
        } else {
            Usermode::Older(first(list, &USERMODE, "doorbell")?)
        };
        Ok(Classes {
            usermode,
            channel: first(list, &CHANNELS, "channel")?,
            compute: first(list, &COMPUTE, "compute")?,
            copy: first(list, &COPY, "copy")?,
        })
    }
}

fn first<P: Argument>(list: &[u32], known: &[Class<P>], what: &str) -> Result<Class<P>, String> {
    known.iter().find(|class| list.contains(&class.number())).copied().ok_or_else(|| {
        let known: Vec<_> = known.iter().map(Class::name).collect();
        format!(
            "it has no {what} class that this crate speaks ({}); Ampere, Ada and Hopper GPUs do, outside MIG mode",
            known.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(list: &[u32]) -> Result<[u32; 3], String> {
        let classes = Classes::choose(list)?;
        Ok([classes.channel.number(), classes.compute.number(), classes.copy.number()])
    }

    #[test]
    fn each_generation_gets_its_own() {
        let ga100 = [0xc56f, 0xc6c0, 0xc6b5, 0xc561, 0xc461];
        let ga102 = [0xc461, 0xc561, 0xc56f, 0xc7b5, 0xc797, 0xc7c0];
        let ad102 = [0xc461, 0xc561, 0xc56f, 0xc7b5, 0xc997, 0xc9c0];
        let gh100 = [0xc361, 0xc461, 0xc561, 0xc661, 0xc86f, 0xc8b5, 0xcbc0];
        assert_eq!(numbers(&ga100), Ok([0xc56f, 0xc6c0, 0xc6b5]));
        assert_eq!(numbers(&ga102), Ok([0xc56f, 0xc7c0, 0xc7b5]));
        assert_eq!(numbers(&ad102), Ok([0xc56f, 0xc9c0, 0xc7b5]));
        assert_eq!(numbers(&gh100), Ok([0xc86f, 0xcbc0, 0xc8b5]));
    }

    #[test]
    fn what_is_missing_is_named() {
        let turing = [0xc461, 0xc46f, 0xc5c0, 0xc5b5];
        let refusal = numbers(&turing).unwrap_err();
        assert!(refusal.contains("channel") && refusal.contains("AMPERE_CHANNEL_GPFIFO_A"));
    }
}
