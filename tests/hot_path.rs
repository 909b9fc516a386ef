//! The hot path allocates nothing and makes no system call: shown by an allocator that counts and
//! by a seccomp filter that traps every system call of the thread, counts it and lets it through.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use doorbell::{Commands, Device, Launch, Memory, Module, Options, Result, WaitPolicy, args};
use emulator::profile::Profile;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is going away may have lost its counter; it is not the one under test.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// System calls that the trapped thread has made, and the last one's number.
static SYSTEM_CALLS: AtomicUsize = AtomicUsize::new(0);
static LAST_CALL: AtomicI64 = AtomicI64::new(-1);

/// The sixth argument by which the filter knows calls that the handler makes again. Calls with six
/// arguments of their own cannot be let through this way; none of those happens on this thread.
const LET_THROUGH: u64 = 0x0d00_12be_1100_d00f;

#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCH: u32 = 0xc000_00b7;

/// Traps every later system call of this thread but the return from a signal handler.
fn trap_system_calls() {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const ANSWER: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    // Offsets into seccomp_data: nr 0, arch 4, args[5] 56.
    let mut program = [
        step(LOAD, 0, 0, 4),
        step(EQUAL, 0, 6, AUDIT_ARCH),
        step(LOAD, 0, 0, 0),
        step(EQUAL, 5, 0, libc::SYS_rt_sigreturn as u32),
        step(LOAD, 0, 0, 56),
        step(EQUAL, 0, 2, LET_THROUGH as u32),
        step(LOAD, 0, 0, 60),
        step(EQUAL, 1, 0, (LET_THROUGH >> 32) as u32),
        step(ANSWER, 0, 0, libc::SECCOMP_RET_TRAP),
        step(ANSWER, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the action and the filter are valid for the calls; the handler is safe to run at any
    // time, for it touches nothing but atomics.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = on_system_call as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
        assert_eq!(libc::sigaction(libc::SIGSYS, &action, ptr::null_mut()), 0);
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER as libc::c_ulong;
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const filter), 0, "no seccomp");
    }
}

/// Counts the call and makes it.
extern "C" fn on_system_call(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    SYSTEM_CALLS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the kernel hands a handler with SA_SIGINFO the context of the trapped call.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    #[cfg(target_arch = "x86_64")]
    let (number, args) = {
        let register = |index: libc::c_int| context.uc_mcontext.gregs[index as usize];
        let args = [
            register(libc::REG_RDI),
            register(libc::REG_RSI),
            register(libc::REG_RDX),
            register(libc::REG_R10),
            register(libc::REG_R8),
        ];
        (register(libc::REG_RAX), args)
    };
    #[cfg(target_arch = "aarch64")]
    let (number, args) = {
        let registers = &context.uc_mcontext.regs;
        (registers[8] as i64, [0, 1, 2, 3, 4].map(|i| registers[i] as i64))
    };
    LAST_CALL.store(number, Ordering::Relaxed);
    // SAFETY: the call that the thread was about to make, with its own arguments.
    let result =
        unsafe { libc::syscall(number, args[0], args[1], args[2], args[3], args[4], LET_THROUGH) };
    let result = match result {
        // SAFETY: this thread's own error number. The trapped call reports it below as the kernel
        // would have.
        -1 => -i64::from(unsafe { *libc::__errno_location() }),
        result => result,
    };
    #[cfg(target_arch = "x86_64")]
    {
        context.uc_mcontext.gregs[libc::REG_RAX as usize] = result;
    }
    #[cfg(target_arch = "aarch64")]
    {
        context.uc_mcontext.regs[0] = result as u64;
    }
}

/// Runs `hot` and returns what it cost: allocations and frees, and system calls.
fn cost(hot: &mut dyn FnMut() -> Result<()>) -> Result<(usize, usize)> {
    let before = (ALLOCATIONS.get(), SYSTEM_CALLS.load(Ordering::Relaxed));
    hot()?;
    let after = (ALLOCATIONS.get(), SYSTEM_CALLS.load(Ordering::Relaxed));
    Ok((after.0 - before.0, after.1 - before.1))
}

/// On a thread of its own, for the trap stays until the thread ends.
fn on_a_trapped_thread(board: &str, test: impl FnOnce(&Device) -> Result<()> + Send) {
    let profile = Profile::by_name(board).expect("there is such a board");
    emulator::run(emulator::Options { profile, ..Default::default() }, |_| {
        let device = Options::new().wait_policy(WaitPolicy::SPIN).open()?;
        test(&device)
    })
    .expect("this machine allows seccomp filters")
    .expect("the test runs");
}

const ROUNDS: usize = 2000;
const SOON: Duration = Duration::from_secs(20);

/// One test, for the counter of system calls is the process's.
#[test]
fn submit_replay_and_wait_allocate_nothing_and_make_no_system_call() {
    on_a_trapped_thread("agx-orin-30w", |device| {
        let mut copy = device.copy_queue()?;
        let mut compute = device.compute_queue()?;
        let to = device.alloc_in::<u64>(Memory::Host, 64)?;
        let from = device.alloc_in::<u64>(Memory::Host, 64)?;
        let done = device.timeline()?;
        let mut recorder = copy.record();
        let place = recorder.view_slot(to.slice(0..1)?)?;
        let value = recorder.value_slot(0)?;
        recorder.copy(place, from.slice(0..1)?)?.signal(&done, value)?;
        let mut recording = recorder.finish()?;
        let mut count = 0u64;

        let mut prepared_copy = || {
            for _ in 0..ROUNDS {
                count += 1;
                from.set(0, count)?;
                recording
                    .set_view(place, to.slice(count as usize % 64..count as usize % 64 + 1)?)?;
                recording.set_value(value, count)?;
                let ticket = copy.replay(&mut recording)?;
                done.wait(count, SOON)?;
                ticket.wait(SOON)?;
                assert_eq!(to.get(count as usize % 64)?, count);
            }
            Ok(())
        };
        let mut encoded = 0u64;
        let mut submit_and_wait = || {
            for _ in 0..ROUNDS {
                encoded += 1;
                compute.write(to.slice(0..1)?, encoded)?;
                compute.submit()?.wait(SOON)?;
            }
            Ok(())
        };
        // Warm: every page touched, every lazily bound function bound.
        prepared_copy()?;
        submit_and_wait()?;

        trap_system_calls();
        // The trap itself works: one call is seen, and gets through.
        let before = SYSTEM_CALLS.load(Ordering::Relaxed);
        // SAFETY: getppid has no preconditions.
        assert!(unsafe { libc::getppid() } > 0);
        assert_eq!(SYSTEM_CALLS.load(Ordering::Relaxed), before + 1);

        let copies = cost(&mut prepared_copy)?;
        let submissions = cost(&mut submit_and_wait)?;
        let last = LAST_CALL.load(Ordering::Relaxed);
        assert_eq!(copies, (0, 0), "replays of a copy cost this; the last call was {last}");
        assert_eq!(submissions, (0, 0), "submissions cost this; the last call was {last}");
        let boxed = cost(&mut || {
            drop(std::hint::black_box(Box::new(1)));
            Ok(())
        })?;
        assert_eq!(boxed.0, 2, "the counter counts");
        Ok(())
    });
    // Launches are chained in one way on an Orin, and in another on Hopper.
    for board in ["agx-orin-30w", "no-board-hopper"] {
        on_a_trapped_thread(board, replays_of_kernels);
    }
}

/// A chain and a graph, with another value each time.
fn replays_of_kernels(device: &Device) -> Result<()> {
    let cubin: &[u8] = match device.info().sm {
        90 => include_bytes!("../ptx/sm_90/vector.cubin"),
        _ => include_bytes!("../ptx/sm_87/vector.cubin"),
    };
    let module = Module::load(device, cubin)?;
    let (fill, add_one) = (module.kernel("fill")?, module.kernel("add_one")?);
    let mut queue = device.compute_queue()?;
    let words = device.alloc_in::<u32>(Memory::Host, 5 * 32)?;
    let at = |i: usize| words.slice(32 * i..32 * (i + 1));
    let one = Launch::new(1, 32);
    let mut recorder = queue.record();
    let value = recorder.value_slot(0)?;
    // SAFETY: the kernels read and write the 32 words that they are given.
    unsafe {
        recorder.exec(&fill, &one, &args![at(0)?, value, 32u32])?;
        recorder.exec(&add_one, &one, &args![at(1)?, at(0)?, 32u32])?;
        let top = recorder.exec_after(&add_one, &one, &args![at(2)?, at(1)?, 32u32], &[])?;
        let side = recorder.exec_after(&add_one, &one, &args![at(3)?, at(1)?, 32u32], &[])?;
        recorder.exec_after(&add_one, &one, &args![at(4)?, at(2)?, 32u32], &[top, side])?;
    }
    let mut recording = recorder.finish()?;
    let mut count = 0u32;
    let mut replays = || {
        for _ in 0..ROUNDS / 10 {
            count += 1;
            recording.set_value(value, count.into())?;
            queue.replay(&mut recording)?.wait(SOON)?;
            assert_eq!(words.get(4 * 32 + 31)?, count + 3);
        }
        Ok(())
    };
    // Warm, as above.
    replays()?;
    trap_system_calls();
    let spent = cost(&mut replays)?;
    let last = LAST_CALL.load(Ordering::Relaxed);
    assert_eq!(spent, (0, 0), "replays of kernels cost this; the last call was {last}");
    Ok(())
}
