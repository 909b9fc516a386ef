//! The machine code of kernels, by name, inside the program.

use super::{Error, Result};

macro_rules! cubins {
    ($($name:literal),* $(,)?) => {
        fn find(name: &str, sm: u32) -> Option<&'static [u8]> {
            match (name, sm) {
                $(
                    ($name, 90) => {
                        Some(include_bytes!(concat!("../../../../ptx/sm_90/", $name, ".cubin")))
                    }
                    ($name, 87) => {
                        Some(include_bytes!(concat!("../../../../ptx/sm_87/", $name, ".cubin")))
                    }
                )*
                _ => None,
            }
        }
    };
}

cubins!("word", "llama/attention", "llama/embed", "llama/prefill", "llama/rows", "llama/token",);

/// A cubin by its name, for a GPU of compute capability `sm` / 10.
pub(super) fn cubin(name: &str, sm: u32) -> Result<&'static [u8]> {
    find(name, sm).ok_or_else(|| {
        Error::request(format!(
            "there are no kernels `{name}` for sm_{sm}: an Orin (sm_87) or a Hopper GPU (sm_90) is needed"
        ))
    })
}
