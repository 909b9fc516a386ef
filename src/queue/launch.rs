//! One launch in words: its descriptor, and its constant bank 0 with geometry and arguments.

use super::commands::{Keep, Shape};
use super::encode::Operand;
use crate::addr::{GpuRange, GpuVa};
use crate::args::{Arg, Content};
use crate::error::{Error, Result};
use crate::module::Kernel;
use crate::qmd::Descriptor;

/// Bytes between descriptors: more than the longest has, and a multiple of their alignment.
pub(crate) const DESCRIPTOR_BYTES: u64 = 512;

/// Banks begin where a launch's descriptor ends, on lines of their own.
const BANK_ALIGN: u64 = 256;

/// A launch that was checked and is ready to be written.
pub(crate) struct Prepared<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) shape: Shape,
    pub(crate) descriptor: Descriptor,
    pub(crate) args: &'a [Arg<'a>],
}

/// Part of bank 0 that a recording's slot fills: where, and how many bytes.
pub(crate) struct SlotArg {
    pub(crate) at: u32,
    pub(crate) bytes: u32,
    pub(crate) operand: Operand,
}

impl<'a> Prepared<'a> {
    /// Checks a launch against the kernel's layout and the GPU's limits.
    pub(crate) fn new(
        kernel: &'a Kernel,
        shape: Shape,
        args: &'a [Arg<'a>],
    ) -> Result<Prepared<'a>> {
        let parameters = &kernel.inner.parameters.list;
        if args.len() != parameters.len() {
            return Err(Error::Launch {
                kernel: kernel.name().to_owned(),
                reason: format!("it takes {} arguments, not {}", parameters.len(), args.len()),
            });
        }
        for (i, (arg, parameter)) in args.iter().zip(parameters).enumerate() {
            let size = parameter.size as usize;
            let place = kernel.inner.parameters.base + parameter.offset;
            let reason = match arg.len() {
                Some(len) if len == size => continue,
                Some(len) => format!("argument {i} has {size} bytes, not {len}"),
                // Slots fill whole words.
                None if matches!(size, 4 | 8) && place % 4 == 0 => continue,
                None => format!(
                    "argument {i} has {size} bytes at {place:#x}, and a slot fills 4 or 8 at a multiple of 4"
                ),
            };
            return Err(Error::Launch { kernel: kernel.name().to_owned(), reason });
        }
        Ok(Prepared { kernel, shape, descriptor: kernel.describe(&shape.launch)?, args })
    }

    /// Bytes of descriptor and bank together.
    pub(crate) fn bytes(&self) -> u64 {
        DESCRIPTOR_BYTES + u64::from(self.kernel.inner.bank0_bytes).next_multiple_of(BANK_ALIGN)
    }

    /// Tells the descriptor where its bank is, when it lies at `va` itself.
    pub(crate) fn place(&mut self, va: GpuVa) {
        place_bank(&mut self.descriptor, va, self.kernel.inner.bank0_words());
    }

    /// Where the code begins when another launch starts this one: it waits for that one, first of all
    /// or where it chooses to.
    pub(crate) fn waiting_entry(&self) -> Option<GpuVa> {
        self.kernel.inner.waiting_entry.filter(|_| !self.shape.launch.early)
    }

    /// Makes the launch one that another starts.
    pub(crate) fn follow(&mut self) {
        if let Some(entry) = self.waiting_entry() {
            self.descriptor.enter(entry);
        }
    }

    /// Writes bank 0, word by word, but for its own address; `put` takes a byte offset and a word.
    pub(crate) fn write_bank(&self, put: &mut dyn FnMut(u32, u32)) {
        let kernel = &self.kernel.inner;
        let (base, end) = (kernel.parameters_begin(), kernel.bank0_bytes.next_multiple_of(4));
        kernel.write_head(&self.shape.launch, put);
        let mut packer = Packer { at: base, word: 0, put };
        for (arg, parameter) in self.args.iter().zip(&kernel.parameters.list) {
            packer.zeros_up_to(base + parameter.offset);
            match arg.content {
                Content::Small(bytes, len) => packer.bytes(&bytes[..usize::from(len)]),
                Content::Bytes(bytes) => packer.bytes(bytes),
                Content::View(view) => packer.bytes(&view.start().get().to_le_bytes()),
                Content::Slot(operand, _) => {
                    packer.bytes(&operand.value.to_le_bytes()[..parameter.size as usize]);
                }
            }
        }
        packer.zeros_up_to(end);
    }

    /// The arguments that slots fill.
    pub(crate) fn slot_args(&self) -> impl Iterator<Item = SlotArg> + '_ {
        let parameters = &self.kernel.inner.parameters;
        self.args.iter().zip(&parameters.list).filter_map(|(arg, parameter)| match arg.content {
            Content::Slot(operand, _) => {
                let at = parameters.base + parameter.offset;
                Some(SlotArg { at, bytes: parameter.size, operand })
            }
            _ => None,
        })
    }

    /// Which recordings the slots belong to.
    pub(crate) fn slot_owners(&self) -> impl Iterator<Item = u64> + '_ {
        let args = self.args.iter().filter_map(|arg| match arg.content {
            Content::Slot(_, recording) => Some(recording),
            _ => None,
        });
        args.chain(self.shape.slot.map(|(recording, _)| recording))
    }

    /// What a recording must keep alive.
    pub(crate) fn owners(&self) -> impl Iterator<Item = Keep<'_>> {
        let args = self.args.iter().map(|arg| match &arg.content {
            Content::View(view) => Keep::Block(view.owner()),
            _ => Keep::Nothing,
        });
        args.chain([Keep::Kernel(&self.kernel.inner)])
    }
}

/// Puts bytes together to words: shared memory takes whole words best, and parameters may be
/// smaller.
struct Packer<'a> {
    at: u32,
    word: u32,
    put: &'a mut dyn FnMut(u32, u32),
}

impl Packer<'_> {
    fn byte(&mut self, byte: u8) {
        self.word |= u32::from(byte) << (8 * (self.at % 4));
        self.at += 1;
        if self.at % 4 == 0 {
            (self.put)(self.at - 4, self.word);
            self.word = 0;
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.byte(*byte);
        }
    }

    fn zeros_up_to(&mut self, end: u32) {
        while self.at < end {
            self.byte(0);
        }
    }
}

/// Where bank 0 of the descriptor at `va` lies: behind it.
pub(crate) fn bank_of(va: GpuVa) -> GpuVa {
    va.checked_add(DESCRIPTOR_BYTES).expect("memory does not wrap")
}

/// Tells a descriptor that lies at `va` where its bank 0 of `words` words is.
pub(crate) fn place_bank(descriptor: &mut Descriptor, va: GpuVa, words: usize) {
    let bytes = (words as u64 * 4).next_multiple_of(16).max(16);
    let bank = GpuRange::new(bank_of(va), bytes).expect("memory does not wrap");
    // The parser has checked that a bank has at most 64 KiB, which the field holds.
    let placed = descriptor.bank(0, bank);
    debug_assert!(placed.is_ok());
}
