//! What a program sees of the nodes, and what it must not notice.

mod common;

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::*;
use emulator::profile::Profile;
use emulator::{Board, Options, Session, run, start_unless_gpu};
use ioctl_defs::nvgpu::ctrl::*;

fn on_a_board<R: Send>(body: impl FnOnce(&Board) -> R + Send) -> R {
    run(Options::default(), body).unwrap()
}

fn access(path: &str, mode: i32) -> bool {
    let path = std::ffi::CString::new(path).unwrap();
    // SAFETY: `path` is a string that is alive.
    unsafe { libc::access(path.as_ptr(), mode) == 0 }
}

#[test]
fn nodes_look_like_devices() {
    on_a_board(|_| {
        for node in [NVMAP, CTRL] {
            assert!(access(node, libc::F_OK) && access(node, libc::R_OK | libc::W_OK));
            assert!(!access(node, libc::X_OK));
            for status in [fs::metadata(node).unwrap(), fs::symlink_metadata(node).unwrap()] {
                assert!(status.file_type().is_char_device());
                assert_eq!((status.mode() & 0o7777, status.uid()), (0o660, 0));
                assert_ne!(status.rdev(), 0);
            }
        }
        assert!(fs::metadata("/dev/nvgpu/igpu0").unwrap().is_dir());
        assert!(!Path::new("/dev/nvgpu/igpu0/nonesuch").exists());
        assert!(!Path::new("/dev/nvhost-ctrl-gpu").exists());
    });
    assert!(!Path::new(NVMAP).exists(), "only the filtered thread sees them");
}

#[test]
fn an_older_release_has_other_names() {
    let profile = Profile::by_name("agx-orin-30w-nvhost").unwrap();
    run(Options { profile, ..Options::default() }, |_| {
        assert!(Path::new("/dev/nvhost-ctrl-gpu").exists());
        assert!(!Path::new(CTRL).exists());
        assert_eq!(errno(open_with(CTRL, libc::O_RDWR)), libc::ENOENT);
        open("/dev/nvhost-ctrl-gpu");
    })
    .unwrap();
}

#[test]
fn paths_lead_there_by_any_way() {
    on_a_board(|_| {
        open("//dev/./nvgpu/../nvmap");
        let dev = fs::File::open("/dev").unwrap();
        let flags = libc::O_RDWR | libc::O_CLOEXEC;
        // SAFETY: the path is a string that is alive; the descriptor is new.
        drop(owned(unsafe { libc::openat(dev.as_raw_fd(), c"nvmap".as_ptr(), flags) }));
        let how = [flags as u64, 0, 0];
        // SAFETY: path and `how` are alive, and its size is given.
        let fd = unsafe {
            libc::syscall(libc::SYS_openat2, dev.as_raw_fd(), c"nvmap".as_ptr(), how.as_ptr(), 24)
        };
        drop(owned(fd as i32));
    });
}

#[test]
fn close_on_exec_is_the_programs_choice() {
    on_a_board(|_| {
        // SAFETY: asks for a flag.
        let cloexec = |fd: i32| unsafe { libc::fcntl(fd, libc::F_GETFD) } == libc::FD_CLOEXEC;
        let node = open_with(CTRL, libc::O_RDWR).unwrap();
        assert!(!cloexec(node.as_raw_fd()));
        // FIOCLEX has the request type of a TSG, and is the kernel's own.
        raw_ioctl(node.as_raw_fd(), libc::FIOCLEX as u32, 0).unwrap();
        assert!(cloexec(node.as_raw_fd()));
        assert!(cloexec(open_space(&node).unwrap().as_raw_fd()), "the driver's own always are");
    });
}

#[test]
fn other_files_are_the_kernels() {
    on_a_board(|board| {
        let ctrl = open(CTRL);
        let (mut terminal, mut other) = (-1, -1);
        let unset = ptr::null_mut();
        // SAFETY: writes two descriptors into locals.
        check(unsafe { libc::openpty(&mut terminal, &mut other, unset, ptr::null(), ptr::null()) })
            .unwrap();
        let (terminal, _other) = (owned(terminal), owned(other));
        // SAFETY: asks a question of a descriptor.
        let is_terminal = |fd: i32| unsafe { libc::isatty(fd) } == 1;
        assert!(is_terminal(terminal.as_raw_fd()));
        assert!(!is_terminal(ctrl.as_raw_fd()));
        let null = open("/dev/null");
        assert!(!is_terminal(null.as_raw_fd()));
        let request = NVGPU_GPU_IOCTL_GET_CHARACTERISTICS.number();
        assert_eq!(errno(raw_ioctl(null.as_raw_fd(), request, 0)), libc::ENOTTY);
        assert_eq!(errno(raw_ioctl(9999, request, 0)), libc::EBADF);
        assert_eq!(errno(Mapping::new(&null, 4096)), libc::ENODEV);
        assert!(fs::read_to_string("/proc/thread-self/status").unwrap().contains("Seccomp:\t2"));
        assert_eq!(errno(open_with("/nonesuch", libc::O_RDONLY)), libc::ENOENT);
        assert_eq!(board.ioctls(), 1, "isatty of the ctrl file is the only one of ours");
    });
}

#[test]
fn bad_pointers_are_errors() {
    on_a_board(|_| {
        let ctrl = open(CTRL);
        let request = NVGPU_GPU_IOCTL_ALLOC_AS.number();
        assert_eq!(errno(raw_ioctl(ctrl.as_raw_fd(), request, 8)), libc::EFAULT);
        // SAFETY: a path at an address where nothing is mapped: the kernel finds that out.
        let fd = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, 8, libc::O_RDONLY) };
        assert_eq!((fd, errno(check(-1))), (-1, libc::EFAULT));
    });
}

#[test]
fn a_path_may_end_with_its_page() {
    on_a_board(|_| {
        let page = 4096;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: two new pages, the second of which goes again; the path ends just before it.
        unsafe {
            let at = libc::mmap(ptr::null_mut(), 2 * page, protection, flags, -1, 0);
            assert_ne!(at, libc::MAP_FAILED);
            libc::munmap(at.byte_add(page), page);
            let path = c"/dev/nvmap".to_bytes_with_nul();
            let start = at.byte_add(page - path.len()).cast::<u8>();
            ptr::copy_nonoverlapping(path.as_ptr(), start, path.len());
            drop(owned(libc::open(start.cast(), libc::O_RDWR | libc::O_CLOEXEC)));
            libc::munmap(at, page);
        }
    });
}

#[test]
fn mmap_follows_the_drivers_rules() {
    on_a_board(|_| {
        let program = Program::new();
        assert_eq!(errno(Mapping::new(&program.nvmap, 4096)), libc::EPERM);
        assert_eq!(errno(Mapping::new(&program.space, 4096)), libc::ENODEV);
        assert_eq!(errno(Mapping::new(&program.ctrl, 128 << 10)), libc::EINVAL);
        assert_eq!(errno(Mapping::with(&program.ctrl, 4096, 4096)), libc::EINVAL);
        let page = Mapping::new(&program.ctrl, 4096).unwrap();
        assert_eq!(errno(Mapping::new(&program.ctrl, 4096)), libc::EBUSY);
        drop(page);
        Mapping::new(&program.ctrl, 64 << 10).unwrap();
        let buffer = program.buffer(8192);
        assert_eq!(errno(Mapping::with(&buffer.fd, 8192, 4096)), libc::EINVAL);
        let second = Mapping::with(&buffer.fd, 4096, 4096).unwrap();
        second.u32(0).store(7, Ordering::Relaxed);
        assert_eq!(buffer.cpu.u32(4096).load(Ordering::Relaxed), 7);
    });
}

#[test]
fn threads_share_the_board() {
    on_a_board(|board| {
        let ctrl = open(CTRL);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        drop(open_tsg(&ctrl).unwrap());
                        assert!(Path::new(NVMAP).exists());
                    }
                });
            }
        });
        assert_eq!(board.ioctls(), 80);
    });
}

#[test]
fn boards_are_apart() {
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                on_a_board(|board| {
                    let ctrl = open(CTRL);
                    drop(open_tsg(&ctrl).unwrap());
                    assert_eq!(board.ioctls(), 1);
                });
            });
        }
    });
}

#[test]
fn a_thread_has_one_board_only() {
    on_a_board(|_| {
        let error = Session::start(Options::default()).unwrap_err().to_string();
        assert!(error.contains("already runs under a software Orin"), "{error}");
        assert_eq!(error.lines().count(), 1);
    });
}

#[test]
fn a_program_may_lend_itself_a_board() {
    // On a thread of its own: there is no way back.
    let lend = || match start_unless_gpu() {
        Some(session) => {
            let ctrl = thread::spawn(|| open(CTRL)).join().unwrap();
            drop(open_tsg(&ctrl).unwrap());
            assert_eq!(session.board().ioctls(), 1);
            assert!(start_unless_gpu().is_none(), "now it has one");
        }
        None => assert!(
            [CTRL, "/dev/nvhost-ctrl-gpu", "/dev/nvidiactl"].iter().any(|node| open_with(
                node,
                libc::O_RDWR
            )
            .is_ok())
        ),
    };
    thread::spawn(lend).join().unwrap();
}

#[test]
fn a_panic_of_the_program_is_passed_on() {
    let result = std::panic::catch_unwind(|| on_a_board(|_| panic!("of the program")));
    assert_eq!(*result.unwrap_err().downcast::<&str>().unwrap(), "of the program");
}

#[test]
fn calls_are_logged() {
    let options = Options { log: true, ..Options::default() };
    let log = run(options, |board| {
        let ctrl = open(CTRL);
        let space = open_space(&ctrl).unwrap();
        let log = board.log();
        (log, ctrl.as_raw_fd(), space.as_raw_fd())
    });
    let (log, ctrl, space) = log.unwrap();
    assert!(log[0].ends_with(&format!("open({CTRL}) = {ctrl}")), "{log:?}");
    let expected = format!("NVGPU_GPU_IOCTL_ALLOC_AS({ctrl}) = 0, gives {space}");
    assert!(log[1].ends_with(&expected), "{log:?}");
}

#[test]
fn a_place_that_forbids_filters_is_told_apart() {
    thread::spawn(|| {
        // As a container does it: seccomp(2) itself gives EPERM, in this thread and what it starts.
        let word = |code, k| libc::sock_filter { code, jt: 0, jf: 0, k };
        let load_number = word(0x20, 0);
        let unless_seccomp_skip =
            libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: libc::SYS_seccomp as u32 };
        let refuse = word(0x06, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
        let allow = word(0x06, libc::SECCOMP_RET_ALLOW);
        let mut words = [load_number, unless_seccomp_skip, refuse, allow];
        let program = libc::sock_fprog { len: 4, filter: words.as_mut_ptr() };
        // SAFETY: attributes of this thread; the kernel copies the program.
        unsafe {
            check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)).unwrap();
            let filter = libc::SECCOMP_MODE_FILTER as libc::c_ulong;
            check(libc::prctl(libc::PR_SET_SECCOMP, filter, &raw const program)).unwrap();
        }
        let error = run(Options::default(), |_| ()).unwrap_err().to_string();
        assert!(
            error.contains("refuses a seccomp filter") && error.contains("not permitted"),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1);
    })
    .join()
    .unwrap();
}

/// Whether a call that is being answered withstands signals; older kernels cannot say so.
fn withstands_signals() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(5), Some(19))
}

#[test]
fn signals_do_not_repeat_calls() {
    if !withstands_signals() {
        println!("skipped: this kernel is older than 5.19");
        return;
    }
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: a handler that does nothing, for a signal that nothing else here uses.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        check(libc::sigaction(libc::SIGUSR1, &raw const action, ptr::null_mut())).unwrap();
    }
    on_a_board(|_| {
        // SAFETY: asks who this is.
        let this = unsafe { libc::pthread_self() } as usize;
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    // SAFETY: the thread is alive until the scope ends.
                    unsafe { libc::pthread_kill(this as libc::pthread_t, libc::SIGUSR1) };
                    thread::sleep(std::time::Duration::from_micros(20));
                }
            });
            let ctrl = open(CTRL);
            let channels: Vec<_> = (0..512).map(|_| open_channel(&ctrl).unwrap()).collect();
            assert_eq!(errno(open_channel(&ctrl)), libc::ENOMEM, "each call opened one");
            drop(channels);
            let tsgs: Vec<_> = (0..200).map(|_| open(NVMAP)).collect();
            drop(tsgs);
            ended.store(true, Ordering::Relaxed);
        });
    });
}
