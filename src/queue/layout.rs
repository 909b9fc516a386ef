//! Launches of a recording, and how they lie in memory behind its commands.

use std::sync::Arc;

use hw_defs::qmd::QmdField;

use super::encode::{self, Half, Operand};
use super::launch::{DESCRIPTOR_BYTES, Prepared, bank_of, place_bank};
use super::recording::Patch;
use crate::addr::GpuVa;
use crate::module::KernelInner;
use crate::qmd::Descriptor;

/// Words of a launch that slots fill: of its descriptor, and of its bank.
#[derive(Default)]
pub(super) struct Patched {
    pub(super) descriptor: Vec<(usize, Operand)>,
    pub(super) bank: Vec<(usize, Half, Operand)>,
}

/// A launch, but for where it lies.
pub(super) struct Launched {
    pub(super) descriptor: Descriptor,
    bank: Vec<u32>,
    bytes: u64,
    pub(super) kernel: Arc<KernelInner>,
    /// Where it enters its code when another launch starts it.
    waiting: Option<GpuVa>,
    pub(super) start: Start,
    /// Launches that it starts, or that count it.
    pub(super) tells: Vec<usize>,
    /// Fields of the descriptor that slots fill.
    fields: Vec<(QmdField, u8, Operand)>,
    words: Patched,
    pub(super) released: bool,
    early: bool,
}

/// How a launch of a recording is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// By the host's command at this place.
    Host(usize),
    /// By this launch, ahead of its end.
    Chained(usize),
    /// By the last of so many launches that have ended.
    Told(u32),
}

impl Launched {
    /// A launch that was checked, its bank filled; `words` of it are slots.
    pub(super) fn new(prepared: Prepared<'_>, bank: Vec<u32>, words: Patched) -> Launched {
        Launched {
            bytes: prepared.bytes(),
            kernel: prepared.kernel.inner.clone(),
            waiting: prepared.waiting_entry(),
            early: prepared.shape.launch.early,
            descriptor: prepared.descriptor,
            bank,
            start: Start::Told(0),
            tells: Vec::new(),
            fields: Vec::new(),
            words,
            released: false,
        }
    }

    /// Has the launch be started by another, ahead of the end of that one.
    pub(super) fn follow(&mut self, before: usize) {
        self.start = Start::Chained(before);
        if let Some(entry) = self.waiting {
            self.descriptor.enter(entry);
        }
    }

    /// A launch that runs nothing.
    pub(super) fn relay(&self) -> Launched {
        let mut descriptor = self.descriptor.clone();
        descriptor.relay();
        Launched {
            descriptor,
            bank: self.bank.clone(),
            bytes: self.bytes,
            kernel: self.kernel.clone(),
            waiting: None,
            start: Start::Told(1),
            tells: Vec::new(),
            fields: Vec::new(),
            words: Patched::default(),
            released: false,
            early: false,
        }
    }

    /// Has it release a timeline when it has ended.
    pub(super) fn release(&mut self, timeline: Operand, value: Operand) {
        self.descriptor.release(timeline.value, value.value);
        self.released = true;
        let release = &self.descriptor.fields().release;
        for ([low, high], operand) in [(release.address, timeline), (release.payload, value)] {
            self.fields.push((low, 0, operand));
            self.fields.push((high, 32, operand));
        }
    }

    /// What slots fill of it when it begins at a word of the recording.
    fn patches(&self, place: usize) -> impl Iterator<Item = Patch> + '_ {
        let fields = self.fields.iter().filter_map(move |(field, shift, operand)| {
            let bits = field.in_word();
            Some(Patch {
                at: (place + field.word()) as u32,
                slot: operand.slot?,
                shift: *shift,
                mask: bits.max(),
                lo: bits.lo as u8,
                rest: self.descriptor.words()[field.word()] & !bits.mask(),
                addend: operand.addend,
            })
        });
        let descriptor = self.words.descriptor.iter().filter_map(move |(word, operand)| {
            Patch::whole_word(place + word, *operand, Half::Low)
        });
        let bank = self.words.bank.iter().filter_map(move |(word, half, operand)| {
            Patch::whole_word(bank_in(place) + word, *operand, *half)
        });
        fields.chain(descriptor).chain(bank)
    }
}

/// Commands, descriptors and banks of a recording one behind the other, but for the addresses of
/// where they lie.
pub(super) struct Image<'a> {
    launches: &'a [Launched],
    words: Vec<u32>,
    /// Where each launch begins in `words`.
    places: Vec<usize>,
}

impl<'a> Image<'a> {
    /// Puts launches behind commands, and notes which of their words slots fill.
    pub(super) fn new(
        commands: &[u32],
        launches: &'a [Launched],
        patches: &mut Vec<Patch>,
    ) -> Image<'a> {
        let mut words = commands.to_vec();
        let mut places = Vec::new();
        for launch in launches {
            words.resize(words.len().next_multiple_of(DESCRIPTOR_BYTES as usize / 4), 0);
            let place = words.len();
            places.push(place);
            words.resize(place + launch.bytes as usize / 4, 0);
            let bank = bank_in(place);
            words[bank..bank + launch.bank.len()].copy_from_slice(&launch.bank);
            patches.extend(launch.patches(place));
        }
        Image { launches, words, places }
    }

    /// Bytes from one copy to the next. Copies begin on lines of their own, so that patching one never
    /// disturbs the fetch of another, and descriptors stay aligned.
    pub(super) fn stride(&self) -> usize {
        (self.words.len() * 4).next_multiple_of(DESCRIPTOR_BYTES as usize)
    }

    /// The words of a copy that lies at `start`.
    pub(super) fn at(&self, start: GpuVa) -> Vec<u32> {
        let mut words = self.words.clone();
        let address = |place: usize| {
            let address = start.checked_add(place as u64 * 4);
            address.expect("the block does not wrap")
        };
        for (launch, place) in self.launches.iter().zip(&self.places) {
            if let Start::Host(command) = launch.start {
                words[command + encode::LAUNCH_ADDRESS] = (address(*place).get() >> 8) as u32;
            }
            let descriptor =
                self.descriptor(launch, address(*place), |other| address(self.places[other]));
            words[*place..*place + descriptor.words().len()].copy_from_slice(descriptor.words());
            for (offset, word) in launch.kernel.own_addresses(bank_of(address(*place))) {
                words[bank_in(*place) + offset as usize / 4] = word;
            }
        }
        words
    }

    /// The descriptor of a launch that lies at `own`, where the others lie at `address_of`.
    fn descriptor(
        &self,
        launch: &Launched,
        own: GpuVa,
        address_of: impl Fn(usize) -> GpuVa,
    ) -> Descriptor {
        let mut descriptor = launch.descriptor.clone();
        place_bank(&mut descriptor, own, launch.bank.len());
        match launch.start {
            Start::Host(_) | Start::Told(1) => {}
            Start::Chained(before) => descriptor.wait_for(address_of(before)),
            Start::Told(launches) => descriptor.count(launches),
        }
        let start_of = |next: usize| self.launches[next].start;
        match launch.tells[..] {
            [] => {}
            [next] if matches!(start_of(next), Start::Chained(_)) => {
                descriptor.start_next(own, address_of(next), self.launches[next].early);
            }
            ref told => descriptor.tell(told.iter().map(|next| {
                let counts = matches!(start_of(*next), Start::Told(2..));
                (address_of(*next), counts)
            })),
        }
        descriptor
    }
}

/// Where the bank of a launch begins whose descriptor begins at a place, in words.
fn bank_in(place: usize) -> usize {
    place + DESCRIPTOR_BYTES as usize / 4
}
