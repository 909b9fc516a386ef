//! RM, the driver of desktop and server GPUs (branch 580): objects of classes, controls of objects.
//!
//! RM has few ioctls ([`escape`]). Three of them do the work: one allocates an object of a
//! [`Class`], one calls a [`Control`] of an object, one frees an object. Class and control are
//! numbers in the argument, with an address of parameters beside them; here each number is tied to
//! the type of its parameters, as a request is to its argument.
//!
//! ```
//! use ioctl_defs::Argument;
//! use ioctl_defs::rm::control::{
//!     NV0000_CTRL_CMD_GPU_GET_ID_INFO_V2, NV0000_CTRL_GPU_GET_ID_INFO_V2_PARAMS,
//! };
//! use ioctl_defs::rm::Control;
//! use ioctl_defs::rm::escape::NVOS54_PARAMETERS;
//!
//! fn call<P: Argument>(object: u32, control: Control<P>, params: &mut P) -> NVOS54_PARAMETERS {
//!     NVOS54_PARAMETERS {
//!         hObject: object,
//!         cmd: control.number(),
//!         params: (&raw mut *params) as u64,
//!         paramsSize: size_of::<P>() as u32,
//!         ..Default::default()
//!     }
//! }
//!
//! let mut params = NV0000_CTRL_GPU_GET_ID_INFO_V2_PARAMS { gpuId: 0x100, ..Default::default() };
//! let argument = call(1, NV0000_CTRL_CMD_GPU_GET_ID_INFO_V2, &mut params);
//! assert_eq!((argument.cmd, argument.paramsSize), (0x205, 32));
//! ```

use core::fmt;
use core::marker::PhantomData;

use crate::{Argument, Dir, Entry};

pub mod class;
pub mod control;
pub mod escape;
pub mod status;

/// Declares a number of RM that is tied to the type of its parameters.
macro_rules! typed_number {
    ($(#[doc = $doc:literal])+ $name:ident) => {
        $(#[doc = $doc])+
        pub struct $name<P> {
            name: &'static str,
            number: u32,
            parameters: PhantomData<fn(P) -> P>,
        }

        impl<P: Argument> $name<P> {
            /// Ties `number` to its parameters.
            pub const fn new(name: &'static str, number: u32) -> Self {
                $name { name, number, parameters: PhantomData }
            }

            /// The number, as RM reads it.
            pub const fn number(&self) -> u32 {
                self.number
            }

            /// The vendor's name.
            pub const fn name(&self) -> &'static str {
                self.name
            }

            pub(crate) const fn entry(&self) -> Entry {
                Entry {
                    name: self.name,
                    number: self.number,
                    dir: if size_of::<P>() == 0 { Dir::None } else { Dir::ReadWrite },
                    size: size_of::<P>(),
                    argument: P::NAME,
                }
            }
        }

        // By hand: derived, these would ask the same of `P`.
        impl<P> Clone for $name<P> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<P> Copy for $name<P> {}

        impl<P> fmt::Debug for $name<P> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} ({:#x})", self.name, self.number)
            }
        }
    };
}

typed_number! {
    /// A class of objects, allocated with parameters of type `P` (none, for `()`).
    Class
}

typed_number! {
    /// A control of an object, called with parameters of type `P`.
    Control
}
