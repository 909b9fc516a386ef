//! What somebody who watches blocks is told.

/// Somebody who hears of every access to global and shared memory.
pub trait Watch {
    /// Lanes are about to reach memory.
    fn before(&self, access: &Access);
    /// They have.
    fn after(&self, access: &Access);
    /// A warp has ordered what it stored before what it stores later.
    fn fence(&self, who: &Who, scope: Scope);
    /// A warp has emptied its multiprocessor's data cache.
    fn forget_lines(&self, who: &Who);
    /// A warp comes to a barrier of its block, and may wait there.
    fn arrives(&self, who: &Who, barrier: u32, waits: bool);
    /// Everybody has come whom a barrier of the block needs; or, where it names none, the barrier of the cluster that
    /// begins with that block.
    fn opens(&self, block: [u32; 3], barrier: Option<u32>);
    /// A warp does something else that orders accesses.
    fn ties(&self, who: &Who, tie: Tie);
}

/// A barrier in shared memory: whose, and where.
pub type Counter = ([u32; 3], u64);

/// What orders accesses, beside fences and the named barriers of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tie {
    /// The warp comes to the barrier of the cluster that begins with this block.
    ToCluster([u32; 3]),
    /// It goes on from there once everybody has come.
    FromCluster([u32; 3]),
    /// It arrives at a barrier in shared memory.
    Arrives(Counter),
    /// The copies that it has under way will.
    CopiesArrive(Counter),
    /// Whatever was missing for a phase of a barrier has come.
    EndsPhase(Counter),
    /// It finds that a phase has ended.
    Passes(Counter),
    /// It makes a group of what it has under way, which a scoreboard counts.
    Groups(Under, u32),
    /// It waits until that scoreboard counts no more than so many groups.
    AwaitsGroups(u32, u32),
}

/// What a warp can have under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Under {
    /// Copies of up to sixteen bytes a lane to shared memory.
    Copies,
    /// Bulk copies from shared memory.
    Bulk,
}

/// Who carries an access out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The warp, before its next instruction.
    Warp,
    /// What it has under way, until it waits for that.
    Group(Under),
    /// Something on its way that a barrier hears of.
    Counted(Counter),
}

/// Which warp, and at which instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// The block in its grid.
    pub block: [u32; 3],
    /// The multiprocessor.
    pub sm: u32,
    /// The warp in its block.
    pub warp: u32,
    /// The address of the instruction.
    pub pc: u64,
}

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Reads.
    Load,
    /// Writes.
    Store,
    /// Both, in one step.
    Atomic,
}

/// How far an order reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The block.
    Block,
    /// The whole GPU.
    Gpu,
    /// The CPU too.
    System,
}

/// What the lanes of a warp do to memory with one instruction.
#[derive(Clone, Debug)]
pub struct Access {
    /// The warp.
    pub who: Who,
    /// Who does it for the warp.
    pub by: By,
    /// What it does.
    pub verb: Verb,
    /// The block whose shared memory this is about; none if it is global memory.
    pub shared: Option<[u32; 3]>,
    /// Ordered with others of its kind, and past the multiprocessor's own cache: volatile, relaxed or
    /// cached in L2 only. Atomics are too.
    pub strong: bool,
    /// How wide it is in each lane.
    pub bytes: u32,
    /// The lanes that take part.
    pub lanes: u32,
    /// Each lane's address, or offset in shared memory.
    pub addresses: [u64; 32],
    /// What each lane stores.
    pub values: [[u32; 4]; 32],
}

impl Access {
    /// The lanes that take part, with their addresses.
    pub fn each(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        (0..32).filter(|lane| self.lanes >> lane & 1 == 1).map(|lane| (lane, self.addresses[lane]))
    }
}
