//! What the Linux GPU drivers read: request numbers, argument structs, flags.
//!
//! The interface of the kernel drivers as Rust types, and nothing else: no system call is made
//! here and nothing is allocated. Callers pass a [`Request<A>`] together with an `A`; the type is
//! what keeps a request and an argument of another request apart, which the driver cannot do (it
//! trusts the size encoded in the number).
//!
//! ```
//! use ioctl_defs::nvgpu::ctrl::{AllocAsFlags, NVGPU_GPU_IOCTL_ALLOC_AS, nvgpu_alloc_as_args};
//! use ioctl_defs::{Argument, Request};
//!
//! // What a caller of ioctl(2) looks like.
//! fn ioctl<A: Argument>(request: Request<A>, _argument: &mut A) -> u32 {
//!     request.number()
//! }
//!
//! let mut args = nvgpu_alloc_as_args {
//!     flags: AllocAsFlags::UNIFIED_VA,
//!     va_range_start: 0x20_0000,
//!     va_range_end: 0xff_0000_0000,
//!     ..Default::default()
//! };
//! assert_eq!(ioctl(NVGPU_GPU_IOCTL_ALLOC_AS, &mut args), 0xc040_4708);
//! ```
//!
//! The argument of another request is refused by the compiler:
//!
//! ```compile_fail,E0308
//! use ioctl_defs::nvgpu::ctrl::{NVGPU_GPU_IOCTL_ALLOC_AS, nvgpu_gpu_open_tsg_args};
//! use ioctl_defs::{Argument, Request};
//!
//! fn ioctl<A: Argument>(request: Request<A>, _argument: &mut A) -> u32 {
//!     request.number()
//! }
//!
//! let mut args = nvgpu_gpu_open_tsg_args::default();
//! ioctl(NVGPU_GPU_IOCTL_ALLOC_AS, &mut args);
//! ```
//!
//! # Names
//!
//! Requests, structs, fields and plain constants carry the vendor's names verbatim, so that one
//! search finds a thing here, in the headers and in a trace. What is ours is named like ours: a
//! set of flags is a type (`MapBufferFlags`) whose members drop the vendor's prefix and quote the
//! full name beside it, `_padN` fields are the compiler's padding made visible, and where the
//! vendor has a union the member that 64-bit programs use gives the field its name. A union whose
//! members differ in shape becomes one struct per shape, with the ending `_out` (or the member's
//! name) on the second.
//!
//! # Everything is in the registry
//!
//! [`structs`], [`constants`], [`bits`], [`requests`], [`classes`] and [`controls`] list every
//! definition of the crate, structs with their layout, and [`lookup`] finds a request by its
//! number. The declaring macros fill these lists, so a definition cannot be forgotten, and
//! `tests/layout.rs` compares the lists with tables of numbers taken from the vendor's headers:
//! every struct, field, request and constant, in both directions.
//!
//! # How to add an ioctl
//!
//! 1. Declare its argument in the `structs!` of the file of its fd, unless the struct exists.
//! 2. Declare the request in the `requests!` below it.
//! 3. Add the rows to `tests/data`: one per field, one for the request. `cargo test` names what is
//!    missing or differs.
//!
//! # When a release changes the interface
//!
//! The numbers hold for L4T r36.4.2 to r36.4.4 (nvgpu, nvmap) and for branch 580 of the desktop
//! and server driver (RM, UVM), which has no stable interface. For another release: print sizes,
//! offsets, requests and constants of its headers with a C program (`offsetof`, `sizeof`, the
//! request macros), for x86-64 and for aarch64, which must agree; write them over `tests/data`;
//! run `cargo test -p doorbell-ioctl-defs` and change the declarations until it passes. The
//! drivers switch on the complete request number: a struct that grew is a new request, and the old
//! size gets ENOTTY (`nvmap_alloc_handle` grew from 16 to 20 bytes for r36). A release that must
//! be supported *beside* the present one gets a second struct and a second request with the
//! release in its name; whoever opens the node decides which to use.

#![no_std]
// The names are the vendor's.
#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals)]
// zerocopy's derive makes a hidden type per field, without `Debug`.
#![allow(missing_debug_implementations)]

#[macro_use]
mod declare;
pub mod nvgpu;
pub mod nvmap;
mod request;
pub mod rm;
pub mod uvm;

pub use declare::{Bits, Constant, Field, Struct};
pub use request::{Argument, Dir, Entry, Request, ValueRequest};

/// All files that declare something. The layout test notices one that is missing here: its rows are
/// then defined nowhere.
static MODULES: &[declare::Module] = &[
    nvgpu::address_space::MODULE,
    nvgpu::channel::MODULE,
    nvgpu::ctrl::MODULE,
    nvgpu::ctrl::board::MODULE,
    nvgpu::ctrl::characteristics::MODULE,
    nvgpu::event::MODULE,
    nvgpu::tsg::MODULE,
    nvmap::MODULE,
    rm::class::MODULE,
    rm::control::MODULE,
    rm::control::channel::MODULE,
    rm::control::debugger::MODULE,
    rm::escape::MODULE,
    rm::status::MODULE,
    uvm::MODULE,
];

/// Every argument struct of the crate, and the structs inside them.
pub fn structs() -> impl Iterator<Item = &'static Struct> {
    MODULES.iter().flat_map(|module| module.structs)
}

/// Every constant of the crate, members of flag types included.
pub fn constants() -> impl Iterator<Item = &'static Constant> {
    MODULES.iter().flat_map(|module| module.constants.iter().chain(module.flags))
}

/// Every field of a word of flags.
pub fn bits() -> impl Iterator<Item = &'static Bits> {
    MODULES.iter().flat_map(|module| module.bits)
}

/// Every class of RM, with its parameters as the argument.
pub fn classes() -> impl Iterator<Item = &'static Entry> {
    MODULES.iter().flat_map(|module| module.classes)
}

/// Every control of RM, with its parameters as the argument.
pub fn controls() -> impl Iterator<Item = &'static Entry> {
    MODULES.iter().flat_map(|module| module.controls)
}

/// Every request of the crate.
pub fn requests() -> impl Iterator<Item = &'static Entry> {
    MODULES.iter().flat_map(|module| module.requests)
}

/// The request with this number, for logs.
///
/// A search through all of them: made for a line of log, not for dispatching.
pub fn lookup(number: u32) -> Option<&'static Entry> {
    requests().find(|entry| entry.number == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_encoded_as_linux_does() {
        let request = nvgpu::ctrl::NVGPU_GPU_IOCTL_GET_CHARACTERISTICS;
        assert_eq!(request.number(), 0xc010_4705);
        assert_eq!(request.size(), 16);
        assert_eq!(request.dir(), Dir::ReadWrite);
        assert_eq!(nvmap::NVMAP_IOC_FREE.number(), 0x4e04);
    }

    #[test]
    fn lookup_finds_each_request_and_only_those() {
        for entry in requests() {
            assert_eq!(lookup(entry.number).unwrap().name, entry.name);
        }
        assert!(lookup(0xdead_beef).is_none());
    }
}
