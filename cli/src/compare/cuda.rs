//! The CUDA driver, loaded at run time: the two dozen calls that the comparison needs.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr::{null, null_mut};

use libloading::Library;

use crate::bench::{Outcome, Stop};

/// A context, module, function, stream, graph or event.
type Handle = *mut c_void;
pub(crate) type Address = u64;

macro_rules! driver_api {
    ($($call:ident = $symbol:literal ($($arg:ty),* $(,)?);)*) => {
        /// Entry points of libcuda, by their versioned names.
        struct Api {
            $($call: unsafe extern "C" fn($($arg),*) -> c_int,)*
        }

        impl Api {
            fn load() -> Result<Api, String> {
                // SAFETY: the CUDA driver's initialisers do nothing that a Rust program forbids.
                let library = unsafe { Library::new("libcuda.so.1") }.map_err(|error| error.to_string())?;
                // It starts threads of its own, so it stays for as long as the process.
                let library: &'static Library = Box::leak(Box::new(library));
                Ok(Api {
                    $($call: {
                        // SAFETY: the type is the call's, by the driver's own header.
                        let symbol = unsafe { library.get(concat!($symbol, "\0").as_bytes()) };
                        *symbol.map_err(|error| error.to_string())?
                    },)*
                })
            }
        }
    };
}

driver_api! {
    init = "cuInit" (c_uint);
    error_name = "cuGetErrorName" (c_int, *mut *const c_char);
    driver_version = "cuDriverGetVersion" (*mut c_int);
    device = "cuDeviceGet" (*mut c_int, c_int);
    device_at = "cuDeviceGetByPCIBusId" (*mut c_int, *const c_char);
    attribute = "cuDeviceGetAttribute" (*mut c_int, c_uint, c_int);
    context_flags = "cuDevicePrimaryCtxSetFlags_v2" (c_int, c_uint);
    retain_context = "cuDevicePrimaryCtxRetain" (*mut Handle, c_int);
    set_context = "cuCtxSetCurrent" (Handle);
    load_module = "cuModuleLoadData" (*mut Handle, *const c_void);
    get_function = "cuModuleGetFunction" (*mut Handle, Handle, *const c_char);
    alloc = "cuMemAlloc_v2" (*mut Address, usize);
    free = "cuMemFree_v2" (Address);
    alloc_host = "cuMemHostAlloc" (*mut *mut c_void, usize, c_uint);
    free_host = "cuMemFreeHost" (*mut c_void);
    address_of_host = "cuMemHostGetDevicePointer_v2" (*mut Address, *mut c_void, c_uint);
    clear = "cuMemsetD8_v2" (Address, u8, usize);
    copy = "cuMemcpy" (Address, Address, usize);
    copy_async = "cuMemcpyAsync" (Address, Address, usize, Handle);
    create_stream = "cuStreamCreate" (*mut Handle, c_uint);
    synchronize = "cuStreamSynchronize" (Handle);
    launch = "cuLaunchKernel" (
        Handle, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, Handle,
        *mut *mut c_void, *mut *mut c_void,
    );
    launch_with = "cuLaunchKernelEx" (*const Config, Handle, *mut *mut c_void, *mut *mut c_void);
    begin_capture = "cuStreamBeginCapture_v2" (Handle, c_uint);
    end_capture = "cuStreamEndCapture" (Handle, *mut Handle);
    instantiate = "cuGraphInstantiateWithFlags" (*mut Handle, Handle, u64);
    upload_graph = "cuGraphUpload" (Handle, Handle);
    launch_graph = "cuGraphLaunch" (Handle, Handle);
    create_event = "cuEventCreate" (*mut Handle, c_uint);
    record_event = "cuEventRecord" (Handle, Handle);
    elapsed = "cuEventElapsedTime" (*mut f32, Handle, Handle);
}

/// `CUlaunchConfig`.
#[repr(C)]
struct Config {
    grid: [c_uint; 3],
    block: [c_uint; 3],
    shared_bytes: c_uint,
    stream: Handle,
    attributes: *const Attribute,
    count: c_uint,
}

/// `CUlaunchAttribute` whose value is one number.
#[repr(C, align(8))]
struct Attribute {
    id: c_uint,
    _pad: c_uint,
    value: c_int,
    _rest: [u8; 60],
}

/// The CUDA driver with a context on one device, and one stream.
///
/// Nothing is ever destroyed: the process ends with it, and libcuda tidies up then.
pub(crate) struct Cuda {
    api: Api,
    stream: Handle,
    pub(crate) version: c_int,
}

#[derive(Clone, Copy)]
pub(crate) struct Module(Handle);
#[derive(Clone, Copy)]
pub(crate) struct Function(Handle);
#[derive(Clone, Copy)]
pub(crate) struct Graph(Handle);
#[derive(Clone, Copy)]
pub(crate) struct Event(Handle);

/// Pinned main memory: where the CPU sees it, and where the GPU does.
#[derive(Clone, Copy)]
pub(crate) struct Pinned {
    pub(crate) cpu: *mut u32,
    pub(crate) gpu: Address,
}

/// The driver's fastest way to wait, at the price of a core: as this crate does it here.
const CU_CTX_SCHED_SPIN: c_uint = 1;
const CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: c_uint = 75;
const CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: c_uint = 76;
const CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION: c_uint = 6;
const CU_STREAM_NON_BLOCKING: c_uint = 1;
const CU_STREAM_CAPTURE_MODE_RELAXED: c_uint = 2;
const CU_MEMHOSTALLOC_PORTABLE_AND_MAPPED: c_uint = 1 | 2;

impl Cuda {
    /// The GPU at a place on the PCI bus, or the first. Why there is no CUDA is a clause for the
    /// user.
    pub(crate) fn open(pci: Option<&str>) -> Result<Cuda, String> {
        let api = Api::load()?;
        let mut cuda = Cuda { api, stream: null_mut(), version: 0 };
        cuda.begin(pci).map_err(|stop| match stop {
            Stop::Failed(message) => message,
            Stop::Interrupted => "interrupted".to_owned(),
        })?;
        Ok(cuda)
    }

    fn begin(&mut self, pci: Option<&str>) -> Outcome<()> {
        let pci = pci.map(CString::new).transpose().map_err(|error| error.to_string())?;
        let (mut device, mut context, mut version) = (0, null_mut(), 0);
        let mut stream = null_mut();
        // SAFETY: all pointers lead to variables of the types that the calls fill.
        unsafe {
            self.check("cuInit", (self.api.init)(0))?;
            self.check("cuDriverGetVersion", (self.api.driver_version)(&mut version))?;
            match &pci {
                Some(pci) => {
                    let found = (self.api.device_at)(&mut device, pci.as_ptr());
                    self.check("cuDeviceGetByPCIBusId", found)?;
                }
                None => self.check("cuDeviceGet", (self.api.device)(&mut device, 0))?,
            }
            let flags = (self.api.context_flags)(device, CU_CTX_SCHED_SPIN);
            self.check("cuDevicePrimaryCtxSetFlags", flags)?;
            let retained = (self.api.retain_context)(&mut context, device);
            self.check("cuDevicePrimaryCtxRetain", retained)?;
            self.check("cuCtxSetCurrent", (self.api.set_context)(context))?;
            let created = (self.api.create_stream)(&mut stream, CU_STREAM_NON_BLOCKING);
            self.check("cuStreamCreate", created)?;
        }
        (self.stream, self.version) = (stream, version);
        Ok(())
    }

    /// Compute capability times ten, of the first device.
    pub(crate) fn sm(&self) -> Outcome<u32> {
        let get = |attribute| {
            let mut value = 0;
            // SAFETY: the number is filled in.
            let result = unsafe { (self.api.attribute)(&mut value, attribute, 0) };
            self.check("cuDeviceGetAttribute", result)?;
            Ok::<_, Stop>(value.unsigned_abs())
        };
        let major = get(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
        Ok(10 * major + get(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?)
    }

    #[inline]
    fn check(&self, call: &str, result: c_int) -> Outcome<()> {
        if result == 0 { Ok(()) } else { Err(self.failed(call, result)) }
    }

    #[cold]
    fn failed(&self, call: &str, result: c_int) -> Stop {
        let mut name: *const c_char = null();
        // SAFETY: it fills in a pointer to a string that lives for ever, or null.
        let name = unsafe {
            (self.api.error_name)(result, &mut name);
            (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy())
        };
        Stop::Failed(format!("{call} failed with {}", name.unwrap_or("an unknown error".into())))
    }

    pub(crate) fn module(&self, cubin: &[u8]) -> Outcome<Module> {
        let mut module = null_mut();
        // SAFETY: an ELF image tells its own size; ours are whole.
        let result = unsafe { (self.api.load_module)(&mut module, cubin.as_ptr().cast()) };
        self.check("cuModuleLoadData", result)?;
        Ok(Module(module))
    }

    pub(crate) fn function(&self, module: Module, name: &str) -> Outcome<Function> {
        let name = CString::new(name).map_err(|error| error.to_string())?;
        let mut function = null_mut();
        // SAFETY: the module is loaded and the name ends with a zero.
        let result = unsafe { (self.api.get_function)(&mut function, module.0, name.as_ptr()) };
        self.check("cuModuleGetFunction", result)?;
        Ok(Function(function))
    }

    /// Device memory, zeroed.
    pub(crate) fn alloc(&self, bytes: usize) -> Outcome<Address> {
        let mut address = 0;
        // SAFETY: the address is filled in, and then as many bytes are there.
        unsafe {
            self.check("cuMemAlloc", (self.api.alloc)(&mut address, bytes))?;
            self.check("cuMemsetD8", (self.api.clear)(address, 0, bytes))?;
        }
        Ok(address)
    }

    pub(crate) fn free(&self, address: Address) -> Outcome<()> {
        // SAFETY: the caller got it from `alloc`; a wrong address is an error of the driver's.
        self.check("cuMemFree", unsafe { (self.api.free)(address) })
    }

    pub(crate) fn pinned(&self, bytes: usize) -> Outcome<Pinned> {
        let (mut cpu, mut gpu) = (null_mut(), 0);
        let flags = CU_MEMHOSTALLOC_PORTABLE_AND_MAPPED;
        // SAFETY: both are filled in; then the memory is there and is zeroed.
        unsafe {
            self.check("cuMemHostAlloc", (self.api.alloc_host)(&mut cpu, bytes, flags))?;
            let found = (self.api.address_of_host)(&mut gpu, cpu, 0);
            self.check("cuMemHostGetDevicePointer", found)?;
            cpu.cast::<u8>().write_bytes(0, bytes);
        }
        Ok(Pinned { cpu: cpu.cast(), gpu })
    }

    pub(crate) fn free_pinned(&self, pinned: Pinned) -> Outcome<()> {
        // SAFETY: the caller got it from `pinned`.
        self.check("cuMemFreeHost", unsafe { (self.api.free_host)(pinned.cpu.cast()) })
    }

    /// Launches with arguments of 4 or 8 bytes each, in the low bytes of a number each.
    #[inline]
    pub(crate) fn launch(
        &self,
        function: Function,
        grid: u32,
        block: u32,
        args: &mut [u64],
    ) -> Outcome<()> {
        let mut pointers = [null_mut(); 4];
        for (pointer, arg) in pointers.iter_mut().zip(args) {
            *pointer = std::ptr::from_mut(arg).cast();
        }
        // SAFETY: the driver reads as many arguments as the function has, four at most, and of
        // each its first bytes, which on a little-endian CPU are the low ones.
        let result = unsafe {
            let pointers = pointers.as_mut_ptr();
            let (stream, extra) = (self.stream, null_mut());
            (self.api.launch)(function.0, grid, 1, 1, block, 1, 1, 0, stream, pointers, extra)
        };
        self.check("cuLaunchKernel", result)
    }

    /// The same for a kernel that waits for the one before itself, so that it may start earlier.
    pub(crate) fn launch_early(
        &self,
        function: Function,
        grid: u32,
        block: u32,
        args: &mut [u64],
    ) -> Outcome<()> {
        let mut pointers = [null_mut(); 4];
        for (pointer, arg) in pointers.iter_mut().zip(args) {
            *pointer = std::ptr::from_mut(arg).cast();
        }
        let attribute = Attribute {
            id: CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
            _pad: 0,
            value: 1,
            _rest: [0; 60],
        };
        let config = Config {
            grid: [grid, 1, 1],
            block: [block, 1, 1],
            shared_bytes: 0,
            stream: self.stream,
            attributes: &attribute,
            count: 1,
        };
        // SAFETY: as in `launch`; configuration and attribute live as long as the call.
        let result = unsafe {
            (self.api.launch_with)(&config, function.0, pointers.as_mut_ptr(), null_mut())
        };
        self.check("cuLaunchKernelEx", result)
    }

    #[inline]
    pub(crate) fn synchronize(&self) -> Outcome<()> {
        // SAFETY: the stream is ours.
        self.check("cuStreamSynchronize", unsafe { (self.api.synchronize)(self.stream) })
    }

    /// A graph of what `launches` puts into the stream, in that order, ready on the device.
    pub(crate) fn graph(&self, launches: impl FnOnce() -> Outcome<()>) -> Outcome<Graph> {
        let (mut graph, mut ready) = (null_mut(), null_mut());
        let mode = CU_STREAM_CAPTURE_MODE_RELAXED;
        // SAFETY: the stream is ours; both handles are filled in before they are used.
        unsafe {
            self.check("cuStreamBeginCapture", (self.api.begin_capture)(self.stream, mode))?;
            launches()?;
            self.check("cuStreamEndCapture", (self.api.end_capture)(self.stream, &mut graph))?;
            let made = (self.api.instantiate)(&mut ready, graph, 0);
            self.check("cuGraphInstantiate", made)?;
            self.check("cuGraphUpload", (self.api.upload_graph)(ready, self.stream))?;
        }
        self.synchronize()?;
        Ok(Graph(ready))
    }

    #[inline]
    pub(crate) fn launch_graph(&self, graph: Graph) -> Outcome<()> {
        // SAFETY: graph and stream are ours.
        self.check("cuGraphLaunch", unsafe { (self.api.launch_graph)(graph.0, self.stream) })
    }

    pub(crate) fn event(&self) -> Outcome<Event> {
        let mut event = null_mut();
        // SAFETY: the handle is filled in.
        self.check("cuEventCreate", unsafe { (self.api.create_event)(&mut event, 0) })?;
        Ok(Event(event))
    }

    pub(crate) fn record(&self, event: Event) -> Outcome<()> {
        // SAFETY: event and stream are ours.
        self.check("cuEventRecord", unsafe { (self.api.record_event)(event.0, self.stream) })
    }

    /// Nanoseconds between two events that have both happened.
    pub(crate) fn elapsed_ns(&self, from: Event, to: Event) -> Outcome<f64> {
        let mut ms = 0f32;
        // SAFETY: the events are ours and the number is filled in.
        self.check("cuEventElapsedTime", unsafe { (self.api.elapsed)(&mut ms, from.0, to.0) })?;
        Ok(f64::from(ms) * 1e6)
    }

    /// Copies between any two places, and waits.
    pub(crate) fn copy(&self, to: Address, from: Address, bytes: usize) -> Outcome<()> {
        // SAFETY: the caller allocated both places with as many bytes.
        self.check("cuMemcpy", unsafe { (self.api.copy)(to, from, bytes) })
    }

    #[inline]
    pub(crate) fn copy_async(&self, to: Address, from: Address, bytes: usize) -> Outcome<()> {
        // SAFETY: as above.
        let result = unsafe { (self.api.copy_async)(to, from, bytes, self.stream) };
        self.check("cuMemcpyAsync", result)
    }
}
