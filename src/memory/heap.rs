//! What all parts of an open device share: allocations, semaphore words, and who may still use
//! them.

use std::fmt;
use std::mem;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::names::Names;
use super::progress::{Links, MOST_COMPUTE_QUEUES, MOST_QUEUES, Progress, Seen, depended_on};
use crate::addr::{GpuRange, GpuVa};
use crate::barrier;
use crate::driver::sys::{PAGE, whole_pages};
use crate::driver::{Allocation, Driver, Engine, Memory};
use crate::error::{Error, Fault, Result};

/// What all parts of an open device share: the driver, how far each queue has come, and memory
/// that waits for its last user.
pub(crate) struct Heap {
    driver: Box<dyn Driver>,
    queues: Mutex<Vec<Weak<Progress>>>,
    retired: Mutex<Vec<Retired>>,
    words: Mutex<WordPool>,
    names: Mutex<Names>,
    /// Counts modules loaded, so that queues know when code may lie where other code was.
    modules: AtomicU64,
}

/// Something to release once the queues have got as far as they had to when it was given up.
struct Retired {
    users: Vec<(Arc<Progress>, u64)>,
    what: Resource,
}

enum Resource {
    Memory(Allocation),
    Word(FreeWord),
}

impl Heap {
    pub(crate) fn new(driver: Box<dyn Driver>) -> Arc<Heap> {
        Arc::new(Heap {
            driver,
            queues: Mutex::default(),
            retired: Mutex::default(),
            words: Mutex::default(),
            names: Mutex::default(),
            modules: AtomicU64::new(0),
        })
    }

    pub(crate) fn driver(&self) -> &dyn Driver {
        &*self.driver
    }

    pub(crate) fn modules(&self) -> &AtomicU64 {
        &self.modules
    }

    /// Allocates `len` bytes, rounded up to pages.
    pub(crate) fn alloc(self: &Arc<Heap>, len: u64, memory: Memory) -> Result<Arc<Block>> {
        self.sweep();
        let len = whole_pages(len.max(1))
            .ok_or_else(|| Error::request(format!("{len} bytes are more than memory can hold")))?;
        let allocation = self.driver.alloc(len, memory).map_err(|error| error.of_bytes(len))?;
        Ok(Arc::new(Block { heap: self.clone(), allocation: Some(allocation) }))
    }

    pub(crate) fn import(self: &Arc<Heap>, fd: BorrowedFd<'_>) -> Result<Arc<Block>> {
        self.sweep();
        let allocation = self.driver.import(fd)?;
        Ok(Arc::new(Block { heap: self.clone(), allocation: Some(allocation) }))
    }

    /// Whether there may be one more queue: who asks before it opens a channel is told better than the
    /// driver tells.
    pub(crate) fn check_room(&self, engine: Engine) -> Result<()> {
        free_number(&lock(&self.queues), engine).map(drop)
    }

    /// A queue begins to use the device's memory. Each has a number of its own while it is open.
    pub(crate) fn join(
        &self,
        engine: Engine,
        queue: impl FnOnce(usize) -> Progress,
    ) -> Result<Arc<Progress>> {
        let mut queues = lock(&self.queues);
        let number = free_number(&queues, engine)?;
        let queue = Arc::new(queue(number));
        queues.push(Arc::downgrade(&queue));
        Ok(queue)
    }

    /// A queue is about to close its channel. Once this returns nobody reads its notifier.
    pub(crate) fn leave(&self, queue: &Progress) {
        let _readers = lock(&self.queues);
        queue.leave();
    }

    /// Its channel is closed. Until now it counted as a user of memory: what did not finish may have
    /// been running.
    pub(crate) fn gone(&self, queue: &Progress) {
        // First, while its number is still its own.
        queue.forget_links();
        let mut queues = lock(&self.queues);
        queue.close();
        queues.retain(|other| !std::ptr::eq(other.as_ptr(), queue) && other.strong_count() > 0);
    }

    fn retire(&self, what: Resource) {
        let users: Vec<_> = lock(&self.queues)
            .iter()
            .filter_map(Weak::upgrade)
            .map(|queue| {
                let value = queue.encoded();
                (queue, value)
            })
            .filter(|(queue, value)| !queue.done(*value))
            .collect();
        lock(&self.retired).push(Retired { users, what });
        self.sweep();
    }

    /// Releases what no queue can reach any more.
    pub(crate) fn sweep(&self) {
        // Whatever is dropped here may retire something itself, so it is dropped with no lock held.
        let (ready, waiting) =
            mem::take(&mut *lock(&self.retired)).into_iter().partition::<Vec<_>, _>(
                |entry: &Retired| entry.users.iter().all(|(queue, value)| queue.done(*value)),
            );
        lock(&self.retired).extend(waiting);
        for entry in ready {
            self.release(entry.what);
        }
    }

    fn release(&self, what: Resource) {
        match what {
            Resource::Memory(allocation) => self.driver.free(allocation),
            Resource::Word(word) => lock(&self.words).free.push(word),
        }
    }

    /// A semaphore word, zeroed: for anybody, or for a queue to count by.
    pub(crate) fn word(self: &Arc<Heap>, of_queue: bool) -> Result<Word> {
        self.sweep();
        let mut words = lock(&self.words);
        if words.free.is_empty() {
            words.grow(&*self.driver)?;
        }
        let free = words.free.pop().expect("grow adds words or fails");
        let word = Word { heap: self.clone(), at: free, of_queue, links: Links::default() };
        // Somebody may have used it before.
        word.timestamp_word().store(0, Ordering::Relaxed);
        word.store(0);
        Ok(word)
    }

    /// The kind of queue whose own timeline a word is, if it is one's.
    pub(crate) fn queue_of(&self, word: &Word) -> Option<Engine> {
        let queues = lock(&self.queues);
        let mut open = queues.iter().filter_map(Weak::upgrade);
        Some(open.find(|queue| std::ptr::eq(&*queue.word, word))?.engine)
    }

    /// Looks, without a system call, for a fault that keeps `word` from being signalled.
    pub(crate) fn look_for_fault(&self, word: &Word) -> Result<Option<Fault>> {
        self.driver.look();
        let queues = lock(&self.queues);
        if !queues.iter().filter_map(Weak::upgrade).any(|queue| queue.is_dead()) {
            return Ok(None);
        }
        drop(queues);
        self.fault_behind(word, Seen::is_dead)
    }

    /// Asks the driver about every queue that `word` depends on: for a channel that died without
    /// raising its notifier.
    pub(crate) fn ask_for_fault(&self, word: &Word) -> Result<Option<Fault>> {
        self.fault_behind(word, |_| true)
    }

    /// The first fault of those queues, among those that `word` depends on, that have something left
    /// to do and are worth asking about.
    fn fault_behind(&self, word: &Word, worth: fn(&Seen) -> bool) -> Result<Option<Fault>> {
        // Notifiers are read under the lock, see `leave`.
        let seen: Vec<_> =
            lock(&self.queues).iter().filter_map(Weak::upgrade).map(Seen::new).collect();
        for behind in depended_on(word, &seen) {
            if worth(behind) && !behind.queue.is_idle() {
                if let Some(fault) = self.driver.fault(behind.queue.channel)? {
                    return Ok(Some(self.name(fault, &behind.queue)));
                }
            }
        }
        Ok(None)
    }

    /// Adds what the driver cannot know: which queue died, and which kernels were running there.
    fn name(&self, fault: Fault, queue: &Progress) -> Fault {
        let mut fault = Fault { channel: queue.engine.to_string(), ..fault };
        // Asking may have raised notifiers, so they are looked at again.
        let queues = lock(&self.queues);
        let open = queues.iter().filter_map(Weak::upgrade);
        let dead: Vec<_> = open.filter(|queue| queue.is_dead()).collect();
        drop(queues);
        let names = self.names();
        if let Some((kernel, offset)) = fault.pc.and_then(|pc| names.at(pc)) {
            fault.kernels = vec![kernel];
            fault.offset = Some(offset);
            return fault;
        }
        if let Some(function) = fault.pc.and_then(|pc| names.absent_at(pc)) {
            fault.pc = None;
            fault.detail = Some(match function {
                "__assertfail" => "by an assertion of the kernel's that failed".to_owned(),
                _ => format!("by a call of `{function}`, which only CUDA's runtime has"),
            });
        }
        // A fault ends all queues of a group, and any of them may have run the kernel.
        for dead in dead {
            for kernel in names.of(dead.launched()) {
                if !fault.kernels.contains(&kernel) {
                    fault.kernels.push(kernel);
                }
            }
        }
        fault
    }

    /// The kernels and recordings of the device, by what queues note when they launch them.
    pub(crate) fn names(&self) -> MutexGuard<'_, Names> {
        lock(&self.names)
    }

    /// Fills `into` with queues that can wake a sleeping waiter.
    pub(crate) fn events(&self, into: &mut [Option<Arc<Progress>>]) {
        let queues = lock(&self.queues);
        let with_event =
            queues.iter().filter_map(Weak::upgrade).filter(|queue| queue.event.is_some());
        for (place, queue) in into.iter_mut().zip(with_event) {
            *place = Some(queue);
        }
    }
}

/// A dead queue counts until it is closed, for its channel holds what it has until then.
fn free_number(queues: &[Weak<Progress>], engine: Engine) -> Result<usize> {
    let open: Vec<_> = queues.iter().filter_map(Weak::upgrade).collect();
    let compute = open.iter().filter(|queue| queue.engine == Engine::Compute).count();
    if engine == Engine::Compute && compute >= MOST_COMPUTE_QUEUES {
        return Err(Error::request(format!(
            "a device has at most {MOST_COMPUTE_QUEUES} compute queues: close one"
        )));
    }
    let free = (0..MOST_QUEUES).find(|number| open.iter().all(|queue| queue.number != *number));
    free.ok_or_else(|| {
        Error::request(format!("a device has at most {MOST_QUEUES} queues: close one"))
    })
}

impl Drop for Heap {
    fn drop(&mut self) {
        // Every queue holds the heap, so none is left that could use anything.
        for entry in mem::take(&mut *lock(&self.retired)) {
            self.release(entry.what);
        }
        for page in mem::take(&mut lock(&self.words).pages) {
            self.driver.free(page);
        }
    }
}

impl fmt::Debug for Heap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heap").field("driver", &self.driver).finish_non_exhaustive()
    }
}

/// A panic elsewhere leaves these lists whole: every change to them is a single push or removal.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Owner of one allocation.
pub(crate) struct Block {
    heap: Arc<Heap>,
    /// Always there until drop.
    allocation: Option<Allocation>,
}

impl Block {
    /// The device that it is memory of.
    pub(crate) fn heap(&self) -> &Arc<Heap> {
        &self.heap
    }

    fn allocation(&self) -> &Allocation {
        self.allocation.as_ref().expect("only drop takes it")
    }

    /// Where the GPU sees the memory.
    pub(crate) fn range(&self) -> GpuRange {
        self.allocation().range
    }

    /// Where the CPU does.
    pub(crate) fn host(&self) -> Option<*mut u8> {
        self.allocation().host.as_ref().map(|mapping| mapping.as_ptr())
    }
}

impl Block {
    /// Writes the first bytes of memory that has a CPU mapping and that no command uses yet.
    pub(crate) fn fill(&self, bytes: &[u8]) {
        let host = self.host().expect("only called for memory with a host mapping");
        assert!(bytes.len() as u64 <= self.range().len());
        for (i, byte) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..byte.len()].copy_from_slice(byte);
            // SAFETY: the block is whole pages, so even the last word lies inside.
            unsafe { host.cast::<u64>().add(i).write_volatile(u64::from_le_bytes(word)) };
        }
        barrier::stores();
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(allocation) = self.allocation.take() {
            self.heap.retire(Resource::Memory(allocation));
        }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block at {}", self.range())
    }
}

/// A semaphore: a 64-bit payload and the GPU time of its last release, in memory that both sides
/// cache.
pub(crate) struct Word {
    heap: Arc<Heap>,
    at: FreeWord,
    /// A queue's own, which tells what memory is free again: nobody else may raise it.
    of_queue: bool,
    pub(super) links: Links,
}

#[derive(Clone, Copy)]
struct FreeWord {
    va: GpuVa,
    payload: NonNull<AtomicU64>,
}

// SAFETY: it leads into a page that the heap keeps mapped, and is only used atomically.
unsafe impl Send for FreeWord {}
// SAFETY: as above.
unsafe impl Sync for FreeWord {}

/// A word has a cache line of its own, so that waiting for one never slows the release of another.
const WORD_STRIDE: u64 = 64;

impl Word {
    pub(crate) fn gpu(&self) -> GpuVa {
        self.at.va
    }

    pub(crate) fn heap(&self) -> &Arc<Heap> {
        &self.heap
    }

    pub(crate) fn is_of_queue(&self) -> bool {
        self.of_queue
    }

    /// The payload; what the GPU wrote before it is visible to the caller.
    pub(crate) fn load(&self) -> u64 {
        // SAFETY: the heap keeps the page mapped for as long as a word of it exists.
        let seen = unsafe { self.at.payload.as_ref() }.load(Ordering::Acquire);
        barrier::loads();
        seen
    }

    /// Writes the payload; what the CPU wrote before is visible to the GPU first.
    pub(crate) fn store(&self, value: u64) {
        barrier::stores();
        // SAFETY: as in `load`.
        unsafe { self.at.payload.as_ref() }.store(value, Ordering::Release);
    }

    /// GPU nanoseconds of the last timestamped release.
    pub(crate) fn timestamp(&self) -> u64 {
        self.timestamp_word().load(Ordering::Acquire)
    }

    fn timestamp_word(&self) -> &AtomicU64 {
        // SAFETY: as in `load`; the timestamp follows the payload.
        unsafe { self.at.payload.add(1).as_ref() }
    }
}

impl Drop for Word {
    fn drop(&mut self) {
        self.heap.retire(Resource::Word(self.at));
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.load(), self.gpu())
    }
}

#[derive(Default)]
struct WordPool {
    pages: Vec<Allocation>,
    free: Vec<FreeWord>,
}

impl WordPool {
    fn grow(&mut self, driver: &dyn Driver) -> Result<()> {
        let page = driver.alloc(PAGE, Memory::Host)?;
        let host = page.host.as_ref().expect("host memory has a host mapping").as_ptr();
        for offset in (0..PAGE / WORD_STRIDE).rev().map(|i| i * WORD_STRIDE) {
            let slot = page.range.slice(offset, WORD_STRIDE).expect("offset is below a page");
            // SAFETY: the offset is inside the page's mapping.
            let payload = unsafe { NonNull::new_unchecked(host.add(offset as usize)) };
            self.free.push(FreeWord { va: slot.start(), payload: payload.cast() });
        }
        self.pages.push(page);
        Ok(())
    }
}
