//! The driver's own buffers for a graphics context, of which only the addresses matter.
//!
//! They lie in the driver's part of the address space. Some hardware fields that name them have 40 bits,
//! which the driver notices late: for some buffers it stops the machine.

use super::space::Space;

/// Hardware fields for these buffers and for the ring end here.
pub(super) const FIELD_LIMIT: u64 = 1 << 40;

const SUBCONTEXT_HEADER: u64 = 4 << 10;
const BUNDLE: u64 = 12 << 10;
const PAGE_POOL: u64 = 128 << 10;
const RTV: u64 = 512 << 10;

/// In the order in which the driver maps them. The sizes of image, patch buffer, access map and trace are
/// not documented; these reproduce what was measured: with 2 MiB below the limit everything but RTV fits.
const BUFFERS: [(Name, u64); 8] = [
    (Name::Other, 512 << 10),
    (Name::Other, 8 << 10),
    (Name::Bundle, BUNDLE),
    (Name::Attribute, 1 << 20),
    (Name::PagePool, PAGE_POOL),
    (Name::Rtv, RTV),
    (Name::Other, 512 << 10),
    (Name::Other, 64 << 10),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    PagePool,
    Bundle,
    Attribute,
    Rtv,
    Other,
}

/// The buffers of one TSG in one address space.
#[derive(Debug, Default)]
pub(super) struct Context {
    headers: Vec<(u32, u64)>,
    buffers: Vec<(Name, u64)>,
}

/// What comes of an address that is too high.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TooHigh {
    /// The driver stops the machine.
    Bug(&'static str, u64),
    /// It complains in the kernel log and goes on.
    Warns(&'static str, u64),
}

impl Context {
    /// Maps what is not yet mapped; none when addresses ran out.
    pub fn extend(&mut self, space: &mut Space, veid: u32) -> Option<()> {
        if self.headers.iter().all(|(mapped, _)| *mapped != veid) {
            self.headers.push((veid, space.reserve_kernel(SUBCONTEXT_HEADER)?));
        }
        for (name, size) in &BUFFERS[self.buffers.len()..] {
            self.buffers.push((*name, space.reserve_kernel(*size)?));
        }
        Some(())
    }

    /// Checks the addresses in the order in which the driver commits them.
    pub fn check(&self) -> Option<TooHigh> {
        let at = |name| {
            let (_, address) = self.buffers.iter().find(|(other, _)| *other == name)?;
            (*address >= FIELD_LIMIT).then_some(*address)
        };
        None.or_else(|| Some(TooHigh::Bug("page pool", at(Name::PagePool)?)))
            .or_else(|| Some(TooHigh::Bug("bundle buffer", at(Name::Bundle)?)))
            .or_else(|| Some(TooHigh::Warns("RTV buffer", at(Name::Rtv)?)))
    }

    pub fn release(self, space: &mut Space) {
        let headers = self.headers.into_iter().map(|(_, address)| address);
        let buffers = self.buffers.into_iter().map(|(_, address)| address);
        headers.chain(buffers).for_each(|address| space.free_kernel(address));
    }
}
