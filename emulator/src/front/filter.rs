//! Which system calls of a program the kernel hands to the supervisor.
//!
//! The filter is a classic BPF program over the number and the registers of each system call. It names as
//! few calls as it can, because each one named costs the program two context switches: opens and existence
//! tests (their paths are in memory, which a filter cannot see), ioctls of the five request types that
//! nvgpu and nvmap use, and mmaps of a file.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W};
use libc::{c_long, sock_filter, sock_fprog};
use nix::errno::Errno;

#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCH: u32 = 0xc000_00b7;

/// Offsets into `struct seccomp_data`.
const NR: u32 = 0;
const ARCH: u32 = 4;
const fn low_word_of_argument(n: u32) -> u32 {
    16 + 8 * n
}

/// Request types of nvgpu's ctrl, address space, TSG and channel files, and of nvmap.
const IOCTL_TYPES: [u8; 5] = *b"GATHN";

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

fn load(offset: u32) -> sock_filter {
    statement(BPF_LD | BPF_W | BPF_ABS, offset)
}

/// Skips `n` instructions when the condition holds.
fn skip_if(condition: u32, k: u32, n: u8) -> sock_filter {
    sock_filter { code: (BPF_JMP | condition | BPF_K) as u16, jt: n, jf: 0, k }
}

/// Skips `n` instructions when the condition does not hold.
fn skip_unless(condition: u32, k: u32, n: u8) -> sock_filter {
    sock_filter { code: (BPF_JMP | condition | BPF_K) as u16, jt: 0, jf: n, k }
}

fn allow() -> sock_filter {
    statement(BPF_RET | BPF_K, libc::SECCOMP_RET_ALLOW)
}

fn notify() -> sock_filter {
    statement(BPF_RET | BPF_K, libc::SECCOMP_RET_USER_NOTIF)
}

/// The call is the supervisor's unless one of these bits of an argument is set.
fn notify_unless(argument: u32, bits: i32) -> Vec<sock_filter> {
    let argument = load(low_word_of_argument(argument));
    vec![argument, skip_if(BPF_JSET, bits as u32, 1), notify(), allow()]
}

fn notify_ioctls() -> Vec<sock_filter> {
    let request = load(low_word_of_argument(1));
    let mut body = vec![request, statement(BPF_ALU | BPF_AND | BPF_K, 0xff00)];
    for letter in IOCTL_TYPES {
        body.extend([skip_unless(BPF_JEQ, u32::from(letter) << 8, 1), notify()]);
    }
    body.push(allow());
    body
}

/// The filter's instructions. Made before a fork, because this allocates.
pub fn program() -> Vec<sock_filter> {
    // A call of another architecture (a 32-bit program) passes: its numbers mean other calls, and the
    // filter is no sandbox. Calls of the x32 kind pass by matching nothing: their numbers have a bit
    // that none of ours has.
    let mut program = vec![load(ARCH), skip_if(BPF_JEQ, AUDIT_ARCH, 1), allow(), load(NR)];
    let mut answer = |call: c_long, body: Vec<sock_filter>| {
        program.push(skip_unless(BPF_JEQ, call as u32, body.len() as u8));
        program.extend(body);
    };
    answer(libc::SYS_ioctl, notify_ioctls());
    answer(libc::SYS_mmap, notify_unless(3, libc::MAP_ANONYMOUS));
    answer(libc::SYS_openat, vec![notify()]);
    // With AT_EMPTY_PATH these ask about a descriptor, not about a path.
    answer(libc::SYS_newfstatat, notify_unless(3, libc::AT_EMPTY_PATH));
    answer(libc::SYS_statx, notify_unless(2, libc::AT_EMPTY_PATH));
    answer(libc::SYS_faccessat, vec![notify()]);
    answer(libc::SYS_faccessat2, vec![notify()]);
    answer(libc::SYS_openat2, vec![notify()]);
    #[cfg(target_arch = "x86_64")]
    for call in [libc::SYS_open, libc::SYS_stat, libc::SYS_lstat, libc::SYS_access] {
        answer(call, vec![notify()]);
    }
    program.push(allow());
    program
}

/// Filters the calling thread, and whatever it starts later, for good. The descriptor is where the
/// notifications are read.
///
/// Makes nothing but system calls: it also runs between fork and exec.
pub fn install(program: &[sock_filter]) -> nix::Result<OwnedFd> {
    // SAFETY: sets one attribute of the calling thread and reads no memory.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    // SPEC_ALLOW: it is no sandbox, so its program need not run slower for the sake of one. Without
    // WAIT_KILLABLE_RECV (Linux 5.19) a signal interrupts a call that the supervisor has already begun to
    // carry out, and the program repeats it.
    let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    match set_filter(program, listener | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(Errno::EINVAL) => set_filter(program, listener),
        result => result,
    }
}

fn set_filter(program: &[sock_filter], flags: libc::c_ulong) -> nix::Result<OwnedFd> {
    let program = sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel copies the `len` instructions at `filter`, which are alive and stay unchanged.
    let fd = Errno::result(unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    })?;
    // SAFETY: the descriptor was just made for this caller.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel's interpreter does with the few instructions that the filter uses.
    fn verdict(arch: u32, nr: c_long, arguments: [u64; 6]) -> u32 {
        let mut data = Vec::new();
        data.extend((nr as u32).to_le_bytes());
        data.extend(arch.to_le_bytes());
        data.extend(0u64.to_le_bytes());
        for argument in arguments {
            data.extend(argument.to_le_bytes());
        }
        let (program, mut at, mut a) = (program(), 0, 0u32);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let jump = |holds| usize::from(if holds { jt } else { jf });
            match u32::from(code) {
                c if c == BPF_LD | BPF_W | BPF_ABS => {
                    let word = data[k as usize..][..4].try_into().unwrap();
                    a = u32::from_le_bytes(word);
                }
                c if c == BPF_ALU | BPF_AND | BPF_K => a &= k,
                c if c == BPF_JMP | BPF_JEQ | BPF_K => at += jump(a == k),
                c if c == BPF_JMP | BPF_JSET | BPF_K => at += jump(a & k != 0),
                c if c == BPF_RET | BPF_K => return k,
                c => panic!("instruction {c:#x} is not in this interpreter"),
            }
        }
    }

    fn notifies(nr: c_long, arguments: [u64; 6]) -> bool {
        match verdict(AUDIT_ARCH, nr, arguments) {
            libc::SECCOMP_RET_USER_NOTIF => true,
            libc::SECCOMP_RET_ALLOW => false,
            other => panic!("verdict {other:#x}"),
        }
    }

    fn ioctl(request: u64) -> bool {
        notifies(libc::SYS_ioctl, [3, request, 0x7fff_0000, 0, 0, 0])
    }

    #[test]
    fn ioctls_pass_unless_their_type_is_ours() {
        assert!(ioctl(0xc010_4705));
        assert!(ioctl(0x4e04));
        // Python passes large requests sign-extended.
        assert!(ioctl(0xffff_ffff_c040_4708));
        // TCGETS has the type of the TSG's requests; FIONREAD too.
        assert!(ioctl(0x5401));
        assert!(!ioctl(0x4008_6200));
        assert!(!ioctl(0x8004_4501));
    }

    #[test]
    fn only_mmaps_of_files_notify() {
        let map = |flags: i32| notifies(libc::SYS_mmap, [0, 4096, 3, flags as u64, 3, 0]);
        assert!(map(libc::MAP_SHARED));
        assert!(!map(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS));
    }

    #[test]
    fn questions_about_paths_notify_and_those_about_descriptors_pass() {
        let fstatat = |flags: i32| notifies(libc::SYS_newfstatat, [0, 0, 0, flags as u64, 0, 0]);
        assert!(fstatat(0));
        assert!(!fstatat(libc::AT_EMPTY_PATH));
        let statx = |flags: i32| notifies(libc::SYS_statx, [0, 0, flags as u64, 0, 0, 0]);
        assert!(statx(libc::AT_SYMLINK_NOFOLLOW));
        assert!(!statx(libc::AT_EMPTY_PATH));
        for call in [libc::SYS_openat, libc::SYS_openat2, libc::SYS_faccessat, libc::SYS_faccessat2]
        {
            assert!(notifies(call, [0; 6]));
        }
        for call in [libc::SYS_read, libc::SYS_close, libc::SYS_fstat, libc::SYS_sendmsg] {
            assert!(!notifies(call, [0; 6]));
        }
    }

    #[test]
    fn calls_of_other_architectures_pass() {
        assert_eq!(verdict(0x4000_0003, libc::SYS_openat, [0; 6]), libc::SECCOMP_RET_ALLOW);
        let x32 = libc::SYS_openat | 0x4000_0000;
        assert_eq!(verdict(AUDIT_ARCH, x32, [0; 6]), libc::SECCOMP_RET_ALLOW);
    }
}
