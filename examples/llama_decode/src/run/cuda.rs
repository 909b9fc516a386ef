//! The CUDA driver's way, for comparison: the same cubins, arguments and order.

use std::collections::HashMap;
use std::ffi::c_void;
use std::fmt;
use std::sync::atomic::{Ordering, fence};

use libcuda::{Address, Function, Geometry, Graph, Module, Pinned};

use super::arguments::{Argument, arguments};
use super::{Backend, Error, Mib, Result, Span, Via, cubins, too_little};
use crate::plan::{BufferId, Limits, Machine, Place, Plan, Step};

/// Dynamic shared memory that a launch may have without asking first.
const SHARED_WITHOUT_ASKING: u32 = 48 << 10;

/// A CUDA context with a plan in it.
pub struct Cuda {
    via: Via,
    driver: libcuda::Cuda,
    buffers: Vec<Held>,
    modules: HashMap<&'static str, Module>,
    functions: HashMap<(&'static str, &'static str), Function>,
    /// The most dynamic shared memory that a launch of each asks for.
    shared: HashMap<(&'static str, &'static str), u32>,
    /// What a ring sends: a graph, or launches as often as that is needed.
    graph: Option<Graph>,
    launches: Vec<Prepared>,
    repeats: u32,
}

#[derive(Clone, Copy)]
enum Held {
    Gpu(Address),
    Shared(Pinned),
}

/// A step as the driver takes it.
struct Prepared {
    function: Function,
    geometry: Geometry,
    /// One pointer to each argument.
    pointers: Vec<*mut c_void>,
    /// What the pointers lead to.
    _arguments: Box<[Argument]>,
}

impl fmt::Debug for Cuda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.via, self.driver.name)
    }
}

impl Cuda {
    /// Opens the first device of the CUDA driver.
    pub fn open(via: Via) -> Result<Cuda> {
        Ok(Cuda {
            via,
            driver: libcuda::Cuda::open(None)?,
            buffers: Vec::new(),
            modules: HashMap::new(),
            functions: HashMap::new(),
            shared: HashMap::new(),
            graph: None,
            launches: Vec::new(),
            repeats: 0,
        })
    }

    fn function(&mut self, step: &Step) -> Result<Function> {
        let name = (step.module, step.kernel);
        if let Some(function) = self.functions.get(&name) {
            return Ok(*function);
        }
        let module = match self.modules.get(step.module) {
            Some(module) => *module,
            None => {
                let cubin = cubins::cubin(step.module, self.driver.sm)?;
                // SAFETY: the cubins inside this program are whole.
                let module = unsafe { self.driver.module(cubin) }?;
                self.modules.insert(step.module, module);
                module
            }
        };
        let function = self.driver.function(module, step.kernel)?;
        self.functions.insert(name, function);
        Ok(function)
    }

    fn address(&self, buffer: BufferId) -> Address {
        match self.buffers[buffer.0 as usize] {
            Held::Gpu(address) => address,
            Held::Shared(pinned) => pinned.gpu,
        }
    }

    fn prepared(&mut self, step: &Step) -> Result<Prepared> {
        let function = self.function(step).map_err(|error| Error::of_step(step, error))?;
        let most = self.shared.entry((step.module, step.kernel)).or_insert(SHARED_WITHOUT_ASKING);
        if step.shared > *most {
            self.driver.allow_shared(function, step.shared)?;
            *most = step.shared;
        }
        let mut arguments = arguments(step, &|buffer| self.address(buffer));
        let pointers = arguments.iter_mut().map(|a| a.bytes.as_mut_ptr().cast()).collect();
        let early = step.early && self.via.starts_early();
        let geometry = Geometry { grid: step.grid, block: step.block, shared: step.shared, early };
        Ok(Prepared { function, geometry, pointers, _arguments: arguments })
    }
}

impl Prepared {
    #[inline]
    fn launch(&mut self, driver: &libcuda::Cuda) -> Result<()> {
        // SAFETY: a plan's arguments are those of its kernels, which keep to the plan's buffers.
        Ok(unsafe { driver.launch(self.function, &self.geometry, &mut self.pointers) }?)
    }
}

fn launch_all(driver: &libcuda::Cuda, launches: &mut [Prepared], repeats: u32) -> Result<()> {
    (0..repeats).try_for_each(|_| launches.iter_mut().try_for_each(|launch| launch.launch(driver)))
}

impl Backend for Cuda {
    fn machine(&self) -> Machine {
        Machine { sms: self.driver.multiprocessors, sm: self.driver.sm }
    }

    fn describe(&self) -> String {
        let libcuda::Cuda { name, version, multiprocessors: sms, .. } = &self.driver;
        format!("{name} with {sms} SMs, CUDA driver {}.{}", version / 1000, version % 1000 / 10)
    }

    fn place(&mut self, plan: &Plan, limits: &Limits) -> Result<()> {
        let free = self.driver.free_memory()?;
        if plan.buffers.iter().map(|buffer| buffer.bytes).sum::<u64>() > free {
            return Err(too_little(plan, limits, format!("{} are free", Mib(free))));
        }
        for spec in &plan.buffers {
            self.buffers.push(match spec.place {
                Place::Gpu => Held::Gpu(self.driver.alloc(spec.bytes)?),
                Place::Shared => Held::Shared(self.driver.pinned(spec.bytes)?),
            });
        }
        plan.decode.iter().try_for_each(|step| self.function(step).map(|_| ()))
    }

    fn write(&mut self, buffer: BufferId, at: u64, bytes: &[u8]) -> Result<()> {
        match self.buffers[buffer.0 as usize] {
            // SAFETY: the caller keeps to the buffer's bytes, and nothing runs.
            Held::Gpu(address) => Ok(unsafe { self.driver.upload(address + at, bytes) }?),
            Held::Shared(pinned) => {
                for (i, byte) in bytes.iter().enumerate() {
                    // SAFETY: as above.
                    unsafe { pinned.cpu.add(at as usize + i).write_volatile(*byte) };
                }
                Ok(())
            }
        }
    }

    fn settle(&mut self) -> Result<()> {
        // Every upload has waited.
        Ok(())
    }

    fn read(&mut self, buffer: BufferId, at: u64, bytes: &mut [u8]) -> Result<()> {
        match self.buffers[buffer.0 as usize] {
            // SAFETY: as in `write`.
            Held::Gpu(address) => Ok(unsafe { self.driver.download(bytes, address + at) }?),
            Held::Shared(pinned) => {
                for (i, byte) in bytes.iter_mut().enumerate() {
                    // SAFETY: as in `write`.
                    *byte = unsafe { pinned.cpu.add(at as usize + i).read_volatile() };
                }
                Ok(())
            }
        }
    }

    fn word(&self, buffer: BufferId, index: usize) -> u32 {
        let Held::Shared(pinned) = self.buffers[buffer.0 as usize] else {
            panic!("only shared buffers are read while the GPU works");
        };
        // SAFETY: the index is inside the buffer; the GPU may write the word at any time.
        let word = unsafe { pinned.cpu.cast::<u32>().add(index).read_volatile() };
        fence(Ordering::Acquire);
        word
    }

    fn send(&mut self, steps: &[Step]) -> Result<()> {
        steps.iter().try_for_each(|step| self.prepared(step)?.launch(&self.driver))
    }

    fn prepare(&mut self, steps: &[Step], repeats: u32, _ahead: u32) -> Result<()> {
        self.launches = steps.iter().map(|step| self.prepared(step)).collect::<Result<_>>()?;
        self.repeats = repeats;
        if self.via != Via::CudaStream {
            let launches = &mut self.launches;
            let graph = self.driver.graph(|| launch_all(&self.driver, launches, repeats))?;
            self.graph = Some(graph);
        }
        Ok(())
    }

    fn ring(&mut self) -> Result<()> {
        match self.graph {
            Some(graph) => Ok(self.driver.launch_graph(graph)?),
            None => launch_all(&self.driver, &mut self.launches, self.repeats),
        }
    }

    fn is_idle(&mut self) -> Result<bool> {
        Ok(self.driver.is_idle()?)
    }

    fn profile(&mut self, _steps: &[Step]) -> Result<Vec<Span>> {
        let why = "kernels are timed by the GPU's own timestamps, which take --via direct";
        Err(Error::Unavailable(why.to_owned()))
    }

    fn blame(&mut self, _steps: &[Step]) -> Option<String> {
        // After a fault the context is dead for the rest of the process.
        None
    }
}
