//! An open GPU.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::channel::Patience;
use crate::driver::nvgpu::{self, Nvgpu};
use crate::driver::rm::{self, Rm};
use crate::driver::{ClockPair, Driver, Engine, Info, Memory};
use crate::error::{Error, Result};
use crate::memory::{Buffer, Element, Heap};
use crate::queue::{Queue, Setup};
use crate::signal::{Timeline, WaitPolicy};

/// Which GPU to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Select {
    /// The first that is found: a Jetson's own before a desktop's. Of a desktop's or server's GPUs the one
    /// that the environment names, `DOORBELL_GPU=1` for `/dev/nvidia1`, or else the first whose node this
    /// process has.
    #[default]
    Auto,
    /// A Jetson's own, through nvgpu.
    Jetson,
    /// A desktop's or server's, through NVIDIA's own driver; which of them as with [`Select::Auto`].
    Desktop,
    /// The desktop's or server's GPU with this number: 1 is `/dev/nvidia1`.
    Gpu(u32),
}

impl Select {
    /// The number of the GPU that is wanted, if one is: the environment has a say where the program has none.
    fn number(self, environment: Option<OsString>) -> Result<Option<u32>> {
        match (self, environment) {
            (Select::Gpu(number), _) => Ok(Some(number)),
            (_, None) => Ok(None),
            (_, Some(text)) => match text.to_str().and_then(|text| text.parse().ok()) {
                Some(number) => Ok(Some(number)),
                None => Err(Error::Request(format!(
                    "{GPU} is {text:?}: it takes the number of a GPU, 1 for /dev/nvidia1"
                ))),
            },
        }
    }
}

/// Names one of several GPUs to programs that leave the choice open.
const GPU: &str = "DOORBELL_GPU";

/// How to open a GPU; [`Device::open`] takes the defaults.
///
/// ```no_run
/// use doorbell::{Options, WaitPolicy};
/// let device = Options::new().wait_policy(WaitPolicy::BLOCK).open()?;
/// # Ok::<(), doorbell::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "options do nothing until `open` is called"]
pub struct Options {
    select: Select,
    policy: WaitPolicy,
    stall_timeout: Duration,
    ring_entries: u32,
    command_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            select: Select::Auto,
            policy: WaitPolicy::default(),
            stall_timeout: Duration::from_secs(30),
            ring_entries: 1024,
            command_bytes: 256 << 10,
        }
    }
}

impl Options {
    /// The defaults.
    pub fn new() -> Options {
        Options::default()
    }

    /// Which GPU.
    pub fn select(mut self, select: Select) -> Options {
        self.select = select;
        self
    }

    /// How the CPU waits. [`WaitPolicy::YIELD`] unless set.
    pub fn wait_policy(mut self, policy: WaitPolicy) -> Options {
        self.policy = policy;
        self
    }

    /// How long a queue whose ring or command memory is full waits for the GPU before it returns
    /// [`Error::Timeout`]; 30 s unless set.
    pub fn stall_timeout(mut self, timeout: Duration) -> Options {
        self.stall_timeout = timeout;
        self
    }

    /// Submissions that a queue can have in flight, plus one: a power of two from 2 to 65,536;
    /// 1,024 unless set.
    pub fn ring_entries(mut self, entries: u32) -> Options {
        self.ring_entries = entries;
        self
    }

    /// Memory of a queue for commands that are not done yet, from 4 KiB to 1 GiB; 256 KiB unless set.
    pub fn command_bytes(mut self, bytes: u64) -> Options {
        self.command_bytes = bytes;
        self
    }

    /// Opens the GPU. The sentence of what stands in the way says how to remove it; where no node
    /// is there at all it is [`Error::NoDevice`].
    pub fn open(self) -> Result<Device> {
        if !self.ring_entries.is_power_of_two() || !(2..=65536).contains(&self.ring_entries) {
            return Err(Error::Request(format!(
                "a ring of {} entries is not possible: use a power of two from 2 to 65,536",
                self.ring_entries
            )));
        }
        if !(4096..=1 << 30).contains(&self.command_bytes) {
            return Err(Error::Request(format!(
                "{} bytes of command memory are not possible: use 4 KiB to 1 GiB",
                self.command_bytes
            )));
        }
        let number = || self.select.number(env::var_os(GPU));
        let driver: Box<dyn Driver> = match self.select {
            Select::Jetson => Box::new(Nvgpu::open()?),
            Select::Desktop | Select::Gpu(_) => Box::new(Rm::open(number()?)?),
            Select::Auto if Nvgpu::present() => Box::new(Nvgpu::open()?),
            Select::Auto if Rm::present() => Box::new(Rm::open(number()?)?),
            Select::Auto => {
                let looked_for = [nvgpu::PATHS.as_slice(), &[rm::PATH]].concat().join(", ");
                return Err(Error::NoDevice { looked_for });
            }
        };
        Ok(Device { heap: Heap::new(driver), options: self })
    }
}

/// An open GPU: an address space, and what lives in it.
///
/// ```no_run
/// use doorbell::{Commands, Device, Select};
/// use std::time::Duration;
///
/// let device = Device::open(Select::Auto)?;
/// let (from, to) = (device.alloc::<u32>(1024)?, device.alloc::<u32>(1024)?);
/// from.set(0, 42)?;
/// let mut queue = device.copy_queue()?;
/// queue.copy(&to, &from)?;
/// queue.submit()?.wait(Duration::from_secs(1))?;
/// assert_eq!(to.get(0)?, 42);
/// # Ok::<(), doorbell::Error>(())
/// ```
pub struct Device {
    heap: Arc<Heap>,
    options: Options,
}

impl Device {
    /// Opens a GPU with the default [`Options`].
    pub fn open(select: Select) -> Result<Device> {
        Options::new().select(select).open()
    }

    pub(crate) fn heap(&self) -> &Arc<Heap> {
        &self.heap
    }

    /// What the GPU is and can do.
    pub fn info(&self) -> &Info {
        self.heap.driver().info()
    }

    /// Memory for `len` elements that kernels and copies work on, zeroed. On a desktop or server GPU
    /// the CPU cannot reach it: what is to be read back is copied to [`Memory::Host`].
    pub fn alloc<T: Element>(&self, len: usize) -> Result<Buffer<T>> {
        self.alloc_in(Memory::Device, len)
    }

    /// Memory of a given kind, zeroed.
    pub fn alloc_in<T: Element>(&self, memory: Memory, len: usize) -> Result<Buffer<T>> {
        Buffer::new(&self.heap, len, memory)
    }

    /// A buffer of another library or process, such as a camera's, given as a dma-buf. The
    /// descriptor may be closed afterwards. Jetsons only.
    pub fn import(&self, fd: BorrowedFd<'_>) -> Result<Buffer<u8>> {
        Buffer::import(&self.heap, fd)
    }

    /// A new timeline, at 0.
    pub fn timeline(&self) -> Result<Timeline> {
        Timeline::new(&self.heap, self.options.policy)
    }

    /// A queue for kernels. Opening the first one of a process takes up to a second on a Jetson. A device
    /// has at most 63 of them, and 128 queues in all; a dead one counts until it is dropped.
    pub fn compute_queue(&self) -> Result<Queue> {
        self.queue(Engine::Compute)
    }

    /// A queue for copies. A device has at most 128 queues in all.
    pub fn copy_queue(&self) -> Result<Queue> {
        self.queue(Engine::Copy)
    }

    fn queue(&self, engine: Engine) -> Result<Queue> {
        let patience =
            Patience { timeout: self.options.stall_timeout, policy: self.options.policy };
        Queue::open(
            &self.heap,
            Setup {
                engine,
                entries: self.options.ring_entries,
                command_bytes: self.options.command_bytes,
                patience,
            },
        )
    }

    /// The GPU's clock beside the CPU's, to place timestamps on the CPU's time axis.
    pub fn clock(&self) -> Result<ClockPair> {
        self.heap.driver().clock()
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = self.info();
        write!(f, "{} with {} SMs at {}", info.chip, info.sm_count, info.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_a_gpu_where_the_program_does_not() {
        let number = |select: Select, text: &str| select.number(Some(text.into()));
        assert_eq!(number(Select::Auto, "3"), Ok(Some(3)));
        assert_eq!(number(Select::Gpu(1), "3"), Ok(Some(1)));
        assert_eq!(Select::Desktop.number(None), Ok(None));
        for wrong in ["", "-1", "one", "1,2", "/dev/nvidia1"] {
            let refusal = number(Select::Desktop, wrong).unwrap_err().to_string();
            assert!(refusal.contains(GPU) && refusal.contains(wrong), "{refusal}");
        }
    }
}
