//! What an NVIDIA GPU reads: class methods, launch descriptors, ring entries, and the way back from
//! words to text.
//!
//! Only numbers and the few functions that put them together and take them apart. Nothing here
//! allocates, makes a system call, or knows which driver brought the words to the GPU.
//!
//! ```
//! use hw_defs::decode::Bindings;
//! use hw_defs::{c7c0, c76f, push};
//!
//! let release = c76f::SEM_EXECUTE_OPERATION.set(c76f::SEM_EXECUTE_OPERATION_RELEASE)
//!     | c76f::SEM_EXECUTE_PAYLOAD_SIZE.set(c76f::SEM_EXECUTE_PAYLOAD_SIZE_64BIT);
//! let words = [
//!     push::inc(1, c76f::SET_OBJECT, 1),
//!     c7c0::AMPERE_COMPUTE_B,
//!     push::immd(1, c7c0::INVALIDATE_SHADER_CACHES, c7c0::INVALIDATE_SHADER_CACHES_DATA.set(1)),
//!     push::inc(0, c76f::SEM_ADDR_LO, 5),
//!     0xffa0_0000,
//!     0xff,
//!     42,
//!     0,
//!     release,
//! ];
//! assert_eq!(
//!     Bindings::new(&c76f::CLASS).text(&words).to_string(),
//!     "  1  c76f SET_OBJECT  NVCLASS=0xc7c0 (0x0000c7c0)\n\
//!      \x20 1  c7c0 INVALIDATE_SHADER_CACHES  DATA=TRUE (0x00000010)\n\
//!      \x20 0  c76f SEM_ADDR_LO  0xffa00000\n\
//!      \x20 0  c76f SEM_ADDR_HI  0x000000ff\n\
//!      \x20 0  c76f SEM_PAYLOAD_LO  0x0000002a\n\
//!      \x20 0  c76f SEM_PAYLOAD_HI  0x00000000\n\
//!      \x20 0  c76f SEM_EXECUTE  OPERATION=RELEASE PAYLOAD_SIZE=64BIT (0x01000001)\n"
//! );
//! ```
//!
//! # Names
//!
//! Names are the vendor's, less the class prefix: what its header calls
//! `NVC7B5_LAUNCH_DMA_DATA_TRANSFER_TYPE_PIPELINED` is
//! [`c7b5::LAUNCH_DMA_DATA_TRANSFER_TYPE_PIPELINED`], and `NVC7C0_QMDV03_00_CTA_RASTER_WIDTH` is
//! [`qmd::v03_00::CTA_RASTER_WIDTH`]. So a search for a name finds it here and in the header alike.
//! METHOD is a [`Method`], METHOD_FIELD a [`Field`], METHOD_FIELD_VALUE a `u32` that is *not*
//! shifted: [`Field::set`] puts it in place. USERD, the doorbell page and everything that takes
//! words apart have Rust names.
//!
//! # To add a method
//!
//! 1. Add its row to `tests/data/methods.tsv`; the tests now say that it is missing.
//! 2. Add its lines to the class, in order of offset: one for the method, one for each field, each
//!    name in full. A method that two generations share goes to the file they share (`host.rs`,
//!    `compute.rs`, `copy.rs` in `src/class/`), otherwise to each class's own.
//! 3. If the position is wrong, or a name does not nest, or fields go beyond the word, the build or
//!    the tests say so.

#![no_std]

mod name;

#[macro_use]
mod field;
pub mod class;
pub mod decode;
pub mod gpfifo;
pub mod push;
pub mod qmd;
pub mod userd;
pub mod usermode;

pub use class::{Class, Method};
#[doc(inline)]
pub use class::{c7b5, c7c0, c8b5, c56f, c76f, c86f, cbc0};
pub use field::{Field, Value};
