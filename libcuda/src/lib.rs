//! The CUDA driver, loaded at run time: the few dozen calls that a comparison with it needs.
//!
//! Nothing of the runtime uses this: programs that measure do, and where there is no libcuda they go
//! on without.

mod api;

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::fmt;
use std::ptr::{null, null_mut};

use api::{Api, Config, EARLY, Handle};

/// An address of GPU memory, or of main memory that the GPU reaches.
pub type Address = u64;

/// Why a call of the driver's gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no CUDA driver here, or a much older one.
    #[error("the CUDA driver cannot be loaded ({0})")]
    NotThere(String),
    /// A call failed.
    #[error("{call} failed with {name}")]
    Call {
        /// The call.
        call: &'static str,
        /// The driver's name for the result.
        name: String,
    },
    /// A name with a zero byte in it, which is where the driver would take it to end.
    #[error("{0:?} has a zero byte in it")]
    Name(String),
}

/// What calls return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The CUDA driver with a context on one device, and one stream.
///
/// What was allocated, loaded and made with it goes when this is dropped, with the context.
pub struct Cuda {
    api: Api,
    device: c_int,
    stream: Handle,
    /// The driver's version, 13000 for 13.0.
    pub version: u32,
    /// The device's name.
    pub name: String,
    /// Compute capability times ten.
    pub sm: u32,
    /// Multiprocessors.
    pub multiprocessors: u32,
}

/// Loaded machine code.
#[derive(Clone, Copy)]
pub struct Module(Handle);
/// A kernel of a module.
#[derive(Clone, Copy)]
pub struct Function(Handle);
/// A graph that is ready to be launched.
#[derive(Clone, Copy)]
pub struct Graph(Handle);
/// A moment by the GPU's clock.
#[derive(Clone, Copy)]
pub struct Event(Handle);

/// Pinned main memory: where the CPU sees it, and where the GPU does.
#[derive(Debug, Clone, Copy)]
pub struct Pinned {
    /// For the CPU.
    pub cpu: *mut u8,
    /// For the GPU.
    pub gpu: Address,
}

/// How a kernel is launched.
#[derive(Debug, Clone, Copy)]
pub struct Geometry {
    /// Blocks along x, y, z.
    pub grid: [u32; 3],
    /// Threads of a block along x, y, z.
    pub block: [u32; 3],
    /// Dynamic shared memory of a block in bytes.
    pub shared: u32,
    /// It may start before the kernel ahead of it has ended, and waits for it itself.
    pub early: bool,
}

impl fmt::Debug for Cuda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CUDA driver {} on {}", self.version, self.name)
    }
}

macro_rules! opaque {
    ($($name:ident)*) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        })*
    };
}

opaque!(Module Function Graph Event);

impl Cuda {
    /// The device at a place on the PCI bus (`0000:01:00.0`), or the first.
    ///
    /// Waits spin: that is the driver's fastest way, at the price of a core.
    pub fn open(pci: Option<&str>) -> Result<Cuda> {
        let pci = pci.map(c_string).transpose()?;
        let api = Api::load().map_err(|error| Error::NotThere(error.to_string()))?;
        let (device, stream, version, sm, multiprocessors) = (0, null_mut(), 0, 0, 0);
        let name = String::new();
        let mut cuda = Cuda { api, device, stream, version, name, sm, multiprocessors };
        let (mut device, mut context, mut stream, mut version) = (0, null_mut(), null_mut(), 0);
        // SAFETY: all pointers lead to variables of the types that the calls fill.
        unsafe {
            cuda.check("cuInit", (cuda.api.init)(0))?;
            cuda.check("cuDriverGetVersion", (cuda.api.driver_version)(&mut version))?;
            match &pci {
                Some(pci) => {
                    let found = (cuda.api.device_at)(&mut device, pci.as_ptr());
                    cuda.check("cuDeviceGetByPCIBusId", found)?;
                }
                None => cuda.check("cuDeviceGet", (cuda.api.device)(&mut device, 0))?,
            }
            let flags = (cuda.api.context_flags)(device, api::CU_CTX_SCHED_SPIN);
            cuda.check("cuDevicePrimaryCtxSetFlags", flags)?;
            let retained = (cuda.api.retain_context)(&mut context, device);
            cuda.check("cuDevicePrimaryCtxRetain", retained)?;
            cuda.check("cuCtxSetCurrent", (cuda.api.set_context)(context))?;
            let created = (cuda.api.create_stream)(&mut stream, api::CU_STREAM_NON_BLOCKING);
            cuda.check("cuStreamCreate", created)?;
        }
        (cuda.device, cuda.stream, cuda.version) = (device, stream, version.unsigned_abs());
        cuda.name = cuda.device_name()?;
        cuda.sm = 10 * cuda.attribute(api::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?
            + cuda.attribute(api::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
        cuda.multiprocessors = cuda.attribute(api::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
        Ok(cuda)
    }

    fn device_name(&self) -> Result<String> {
        let mut name = [0 as c_char; 256];
        // SAFETY: the call writes at most as many bytes as it is told, the last a zero.
        let name = unsafe {
            let result =
                (self.api.device_name)(name.as_mut_ptr(), name.len() as c_int, self.device);
            self.check("cuDeviceGetName", result)?;
            CStr::from_ptr(name.as_ptr())
        };
        Ok(name.to_string_lossy().into_owned())
    }

    fn attribute(&self, attribute: c_uint) -> Result<u32> {
        let mut value = 0;
        // SAFETY: the number is filled in.
        let result = unsafe { (self.api.attribute)(&mut value, attribute, self.device) };
        self.check("cuDeviceGetAttribute", result)?;
        Ok(value.unsigned_abs())
    }

    #[inline]
    fn check(&self, call: &'static str, result: c_int) -> Result<()> {
        if result == 0 { Ok(()) } else { Err(self.failed(call, result)) }
    }

    #[cold]
    fn failed(&self, call: &'static str, result: c_int) -> Error {
        let mut name: *const c_char = null();
        // SAFETY: it fills in a pointer to a string that lives for ever, or null.
        let name = unsafe {
            (self.api.error_name)(result, &mut name);
            (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy())
        };
        Error::Call { call, name: name.unwrap_or("an unknown error".into()).into_owned() }
    }

    /// Bytes of GPU memory that are free.
    pub fn free_memory(&self) -> Result<u64> {
        let (mut free, mut total) = (0, 0);
        // SAFETY: both numbers are filled in.
        self.check("cuMemGetInfo", unsafe { (self.api.memory)(&mut free, &mut total) })?;
        Ok(free as u64)
    }

    /// Loads a cubin.
    ///
    /// # Safety
    /// The cubin is whole: the driver reads as far as its headers say.
    pub unsafe fn module(&self, cubin: &[u8]) -> Result<Module> {
        let mut module = null_mut();
        // SAFETY: the caller's word.
        let result = unsafe { (self.api.load_module)(&mut module, cubin.as_ptr().cast()) };
        self.check("cuModuleLoadData", result)?;
        Ok(Module(module))
    }

    /// A kernel by its name.
    pub fn function(&self, module: Module, name: &str) -> Result<Function> {
        let name = c_string(name)?;
        let mut function = null_mut();
        // SAFETY: the module is loaded and the name ends with a zero.
        let result = unsafe { (self.api.get_function)(&mut function, module.0, name.as_ptr()) };
        self.check("cuModuleGetFunction", result)?;
        Ok(Function(function))
    }

    /// Lets launches of a function have so much dynamic shared memory. Up to 48 KiB nobody need ask.
    pub fn allow_shared(&self, function: Function, bytes: u32) -> Result<()> {
        let attribute = api::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        // SAFETY: the function is loaded.
        let result = unsafe { (self.api.set_function)(function.0, attribute, bytes as c_int) };
        self.check("cuFuncSetAttribute", result)
    }

    /// Device memory, zeroed.
    pub fn alloc(&self, bytes: u64) -> Result<Address> {
        let mut address = 0;
        // SAFETY: the address is filled in, and then as many bytes are there.
        unsafe {
            self.check("cuMemAlloc", (self.api.alloc)(&mut address, bytes as usize))?;
            self.check("cuMemsetD8", (self.api.clear)(address, 0, bytes as usize))?;
        }
        self.wait_for_copies()?;
        Ok(address)
    }

    /// Gives device memory back.
    ///
    /// # Safety
    /// It came from [`Cuda::alloc`], and nothing that was sent uses it any more.
    pub unsafe fn free(&self, address: Address) -> Result<()> {
        // SAFETY: the caller's word.
        self.check("cuMemFree", unsafe { (self.api.free)(address) })
    }

    /// Main memory that the GPU reaches, zeroed.
    pub fn pinned(&self, bytes: u64) -> Result<Pinned> {
        let (mut cpu, mut gpu) = (null_mut(), 0);
        let flags = api::CU_MEMHOSTALLOC_PORTABLE_AND_MAPPED;
        // SAFETY: both are filled in; then the memory is there and is zeroed.
        unsafe {
            let made = (self.api.alloc_host)(&mut cpu, bytes as usize, flags);
            self.check("cuMemHostAlloc", made)?;
            let found = (self.api.address_of_host)(&mut gpu, cpu, 0);
            self.check("cuMemHostGetDevicePointer", found)?;
            cpu.cast::<u8>().write_bytes(0, bytes as usize);
        }
        Ok(Pinned { cpu: cpu.cast(), gpu })
    }

    /// Gives pinned memory back.
    ///
    /// # Safety
    /// It came from [`Cuda::pinned`], and neither side uses it any more.
    pub unsafe fn free_pinned(&self, pinned: Pinned) -> Result<()> {
        // SAFETY: the caller's word.
        self.check("cuMemFreeHost", unsafe { (self.api.free_host)(pinned.cpu.cast()) })
    }

    /// Copies into device memory, and waits.
    ///
    /// # Safety
    /// As many bytes are there, and nothing uses them meanwhile.
    pub unsafe fn upload(&self, to: Address, bytes: &[u8]) -> Result<()> {
        // SAFETY: the caller's word.
        let result = unsafe { (self.api.upload)(to, bytes.as_ptr().cast(), bytes.len()) };
        self.check("cuMemcpyHtoD", result)?;
        self.wait_for_copies()
    }

    /// Copies out of device memory, and waits.
    ///
    /// # Safety
    /// As many bytes are there, and nothing writes them meanwhile.
    pub unsafe fn download(&self, bytes: &mut [u8], from: Address) -> Result<()> {
        // SAFETY: the caller's word.
        let result = unsafe { (self.api.download)(bytes.as_mut_ptr().cast(), from, bytes.len()) };
        self.check("cuMemcpyDtoH", result)
    }

    /// Copies between any two places, and waits.
    ///
    /// # Safety
    /// Both have as many bytes, and nothing uses them meanwhile.
    pub unsafe fn copy(&self, to: Address, from: Address, bytes: usize) -> Result<()> {
        // SAFETY: the caller's word.
        self.check("cuMemcpy", unsafe { (self.api.copy)(to, from, bytes) })?;
        self.wait_for_copies()
    }

    /// Waits for copies and clears outside our stream. The driver's calls return before device memory
    /// has what came from pageable or device memory, and our stream does not wait for the default one.
    fn wait_for_copies(&self) -> Result<()> {
        // SAFETY: null is the default stream.
        self.check("cuStreamSynchronize", unsafe { (self.api.synchronize)(null_mut()) })
    }

    /// The same, put into the stream.
    ///
    /// # Safety
    /// As for [`Cuda::copy`], until it has happened.
    #[inline]
    pub unsafe fn copy_async(&self, to: Address, from: Address, bytes: usize) -> Result<()> {
        // SAFETY: the caller's word.
        let result = unsafe { (self.api.copy_async)(to, from, bytes, self.stream) };
        self.check("cuMemcpyAsync", result)
    }

    /// Puts a launch into the stream. Each argument is a pointer to its bytes.
    ///
    /// # Safety
    /// There are as many arguments as the function has, each of as many bytes; and the function keeps
    /// to memory that it may touch, and waits by itself if it may start early.
    #[inline]
    pub unsafe fn launch(
        &self,
        function: Function,
        geometry: &Geometry,
        args: &mut [*mut c_void],
    ) -> Result<()> {
        let Geometry { grid, block, shared, early } = *geometry;
        let (args, extra) = (args.as_mut_ptr(), null_mut());
        if early {
            let attributes = &EARLY;
            let stream = self.stream;
            let config = Config { grid, block, shared, stream, attributes, attribute_count: 1 };
            // SAFETY: the config is whole and lives as long as the call; the rest is the caller's word.
            let result = unsafe { (self.api.launch_with)(&config, function.0, args, extra) };
            return self.check("cuLaunchKernelEx", result);
        }
        let ([x, y, z], [bx, by, bz]) = (grid, block);
        // SAFETY: the caller's word.
        let result = unsafe {
            (self.api.launch)(function.0, x, y, z, bx, by, bz, shared, self.stream, args, extra)
        };
        self.check("cuLaunchKernel", result)
    }

    /// A graph of what `launches` puts into the stream, in that order, ready on the device.
    pub fn graph<E: From<Error>>(
        &self,
        launches: impl FnOnce() -> Result<(), E>,
    ) -> Result<Graph, E> {
        let (mut graph, mut ready) = (null_mut(), null_mut());
        let mode = api::CU_STREAM_CAPTURE_MODE_RELAXED;
        // SAFETY: the stream is ours; both handles are filled in before they are used.
        unsafe {
            self.check("cuStreamBeginCapture", (self.api.begin_capture)(self.stream, mode))?;
            let launched = launches();
            let ended = (self.api.end_capture)(self.stream, &mut graph);
            launched?;
            self.check("cuStreamEndCapture", ended)?;
            let made = (self.api.instantiate)(&mut ready, graph, 0);
            self.check("cuGraphInstantiate", made)?;
            self.check("cuGraphDestroy", (self.api.destroy_graph)(graph))?;
            self.check("cuGraphUpload", (self.api.upload_graph)(ready, self.stream))?;
        }
        self.synchronize()?;
        Ok(Graph(ready))
    }

    /// Puts a graph into the stream.
    #[inline]
    pub fn launch_graph(&self, graph: Graph) -> Result<()> {
        // SAFETY: graph and stream are ours.
        self.check("cuGraphLaunch", unsafe { (self.api.launch_graph)(graph.0, self.stream) })
    }

    /// Waits until everything in the stream has ended.
    #[inline]
    pub fn synchronize(&self) -> Result<()> {
        // SAFETY: the stream is ours.
        self.check("cuStreamSynchronize", unsafe { (self.api.synchronize)(self.stream) })
    }

    /// Whether everything in the stream has ended; a fault comes out here.
    pub fn is_idle(&self) -> Result<bool> {
        // SAFETY: the stream is ours.
        match unsafe { (self.api.query)(self.stream) } {
            api::CUDA_ERROR_NOT_READY => Ok(false),
            result => self.check("cuStreamQuery", result).map(|()| true),
        }
    }

    /// A moment that has not come yet.
    pub fn event(&self) -> Result<Event> {
        let mut event = null_mut();
        // SAFETY: the handle is filled in.
        self.check("cuEventCreate", unsafe { (self.api.create_event)(&mut event, 0) })?;
        Ok(Event(event))
    }

    /// Puts it into the stream.
    pub fn record(&self, event: Event) -> Result<()> {
        // SAFETY: event and stream are ours.
        self.check("cuEventRecord", unsafe { (self.api.record_event)(event.0, self.stream) })
    }

    /// Nanoseconds between two events that have both happened.
    pub fn elapsed_ns(&self, from: Event, to: Event) -> Result<f64> {
        let mut ms = 0f32;
        // SAFETY: the events are ours and the number is filled in.
        self.check("cuEventElapsedTime", unsafe { (self.api.elapsed)(&mut ms, from.0, to.0) })?;
        Ok(f64::from(ms) * 1e6)
    }
}

impl Drop for Cuda {
    fn drop(&mut self) {
        if !self.stream.is_null() {
            // SAFETY: the context was retained; a failure leaves it to the process's end.
            unsafe { (self.api.release_context)(self.device) };
        }
    }
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::Name(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sentences() {
        let call = Error::Call { call: "cuInit", name: "CUDA_ERROR_NO_DEVICE".to_owned() };
        assert_eq!(call.to_string(), "cuInit failed with CUDA_ERROR_NO_DEVICE");
        let name = Cuda::open(Some("0000\0")).unwrap_err();
        assert_eq!(name.to_string(), r#""0000\0" has a zero byte in it"#);
    }
}
