//! Memory as a block sees it that somebody watches: caches, a detector of races, or both.

use std::cell::{Cell, RefCell};

use super::SpaceId;
use super::mmu::{PAGE, Space};
use super::races::{GridId, Races};
use super::visibility::Visibility;
use crate::sm::{Access, GlobalMemory, MemoryFault, Scope, Span, Tie, Verb, Watch, Who};

/// An address space seen through the caches of one multiprocessor.
pub(super) struct Watched<'a> {
    space: &'a Space,
    id: SpaceId,
    sm: u32,
    visibility: Option<RefCell<&'a mut Visibility>>,
    races: Option<RefCell<&'a mut Races>>,
    /// The grid's number for those.
    grid: GridId,
    waits: bool,
    /// An atomic access is being made, which goes to memory itself.
    past_caches: Cell<bool>,
}

impl<'a> Watched<'a> {
    pub(super) fn new(
        (id, space): (SpaceId, &'a Space),
        sm: u32,
        visibility: Option<&'a mut Visibility>,
        races: Option<(&'a mut Races, GridId)>,
    ) -> Watched<'a> {
        let grid = races.as_ref().map_or(0, |(_, grid)| *grid);
        let races = races.map(|(races, _)| RefCell::new(races));
        let visibility = visibility.map(RefCell::new);
        let past_caches = Cell::new(false);
        Watched { space, id, sm, visibility, races, grid, waits: false, past_caches }
    }

    /// The same for a launch that waits for another, if it does.
    pub(super) fn waiting(self, waits: bool) -> Watched<'a> {
        Watched { waits, ..self }
    }

    fn races(&self, tell: impl FnOnce(&mut Races)) {
        if let Some(races) = &self.races {
            tell(&mut races.borrow_mut());
        }
    }

    fn at(&self) -> (SpaceId, &'a Space) {
        (self.id, self.space)
    }
}

impl GlobalMemory for Watched<'_> {
    fn span(&self, address: u64) -> Result<Span<'_>, MemoryFault> {
        let Some(visibility) = self.visibility.as_ref().filter(|_| !self.past_caches.get()) else {
            return GlobalMemory::span(self.space, address);
        };
        let (_, _, writable) = self.space.around(address).ok_or(MemoryFault::Unmapped)?;
        let mut visibility = visibility.borrow_mut();
        let bytes = visibility.data(self.sm).page(self.id, address).bytes();
        // SAFETY: pages are aligned, and none is dropped while this borrows the caches they are in.
        // Their bytes are atomics.
        Ok(unsafe { Span::new(address / PAGE * PAGE, bytes, PAGE, writable) })
    }

    fn latch_is_open(&self) -> bool {
        !self.waits
    }

    fn watch(&self) -> Option<&dyn Watch> {
        Some(self)
    }
}

impl Watch for Watched<'_> {
    fn before(&self, access: &Access) {
        self.races(|races| races.access(self.grid, self.id, access));
        if let Some(visibility) = self.visibility.as_ref().filter(|_| access.shared.is_none()) {
            visibility.borrow_mut().before(self.at(), access);
            self.past_caches.set(access.verb == Verb::Atomic);
        }
    }

    fn after(&self, access: &Access) {
        if let Some(visibility) = self.visibility.as_ref().filter(|_| access.shared.is_none()) {
            visibility.borrow_mut().after(self.at(), access);
            self.past_caches.set(false);
        }
    }

    fn fence(&self, who: &Who, scope: Scope) {
        self.races(|races| races.fence(self.grid, who, scope));
        if let Some(visibility) = &self.visibility {
            visibility.borrow_mut().fence(who, scope);
        }
    }

    fn forget_lines(&self, who: &Who) {
        if let Some(visibility) = &self.visibility {
            visibility.borrow_mut().data(who.sm).invalidate();
        }
    }

    fn arrives(&self, who: &Who, barrier: u32, waits: bool) {
        self.races(|races| races.arrives(self.grid, who, barrier, waits));
    }

    fn opens(&self, block: [u32; 3], barrier: Option<u32>) {
        self.races(|races| races.opens(self.grid, block, barrier));
    }

    fn ties(&self, who: &Who, tie: Tie) {
        self.races(|races| races.ties(self.grid, who, tie));
    }
}
