//! Programs of their own under the software Orin: how they start, and how they end.

mod common;

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use emulator::{Options, Unavailable, launch, run};
use ioctl_defs::nvgpu::channel::{
    NVGPU_IOCTL_CHANNEL_GET_USER_SYNCPOINT, nvgpu_get_user_syncpoint_args,
};

fn shell(script: &str) -> io::Result<ExitStatus> {
    let arguments: [OsString; 2] = ["-c".into(), script.into()];
    launch(Options::default(), "sh".as_ref(), &arguments)
}

#[test]
fn the_exit_status_is_passed_on() {
    assert!(shell("exit 0").unwrap().success());
    assert_eq!(shell("exit 42").unwrap().code(), Some(42));
    assert_eq!(shell("kill -TERM $$").unwrap().signal(), Some(libc::SIGTERM));
    assert_eq!(shell("kill -KILL $$").unwrap().signal(), Some(libc::SIGKILL));
}

#[test]
fn nodes_exist_for_the_program_and_what_it_starts() {
    assert!(
        shell("test -c /dev/nvmap && sh -c 'test -w /dev/nvgpu/igpu0/ctrl'").unwrap().success()
    );
    assert!(shell("test ! -e /dev/nvgpu/igpu0/nonesuch").unwrap().success());
    assert!(shell("exec 3<>/dev/nvmap").unwrap().success());
}

#[test]
fn a_missing_program_is_not_found() {
    let error = launch(Options::default(), "no-such-program".as_ref(), &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("no-such-program"), "{error}");
    let error = launch(Options::default(), "/etc/passwd".as_ref(), &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

#[test]
fn descendants_are_waited_for_and_served() {
    // The shell ends first; what it left behind still finds the nodes, and says so by a file.
    let witness = std::env::temp_dir().join(format!("doorbell-{}", std::process::id()));
    let path = witness.to_str().unwrap();
    let status = shell(&format!("(sleep 0.3; test -c /dev/nvmap && : > {path}) & exit 7"));
    assert_eq!(status.unwrap().code(), Some(7));
    assert!(witness.exists());
    std::fs::remove_file(witness).unwrap();
}

#[test]
fn a_deaf_program_is_interrupted_and_this_process_is_not() {
    // The terminal's interrupt goes to all processes of its group; here each gets its own.
    let status = shell("kill -INT $$; exit 3").unwrap();
    assert_eq!(status.signal(), Some(libc::SIGINT), "the program has the default action");
    let script = "kill -INT $(awk '/^PPid/ {print $2}' /proc/$PPID/status); exit 5";
    assert_eq!(shell(script).unwrap().code(), Some(5), "and this process ignored it");
    // SAFETY: asks for the present action.
    let action = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGINT, std::ptr::null(), &raw mut action);
        action
    };
    assert!(action.sa_sigaction == libc::SIG_DFL || action.sa_sigaction == libc::SIG_IGN);
}

#[test]
fn several_programs_run_at_once() {
    std::thread::scope(|scope| {
        for code in 10..14 {
            scope.spawn(move || {
                let script = format!("sleep 0.1; test -c /dev/nvmap && exit {code}");
                assert_eq!(shell(&script).unwrap().code(), Some(code));
            });
        }
    });
}

#[test]
fn the_program_keeps_its_descriptor_limit() {
    // This process's own has been raised by whichever test launched first; its parent's has not.
    let parent = std::os::unix::process::parent_id();
    let limits = std::fs::read_to_string(format!("/proc/{parent}/limits")).unwrap();
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let soft = limit.split_ascii_whitespace().next().unwrap();
    assert!(shell(&format!("test $(ulimit -n) = {soft}")).unwrap().success());
}

#[test]
fn a_program_under_a_board_cannot_have_another() {
    let error = run(Options::default(), |_| shell("exit 0").unwrap_err()).unwrap();
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Unavailable>());
    assert!(inner.is_some(), "{error:?}");
}

#[test]
fn what_would_crash_a_board_ends_the_program() {
    // Asking for a syncpoint before there is an address space crashes the real kernel.
    if std::env::var_os("DOORBELL_TEST_CRASH").is_some() {
        run(Options::default(), |_| {
            let channel = common::open_channel(&common::open(common::CTRL)).unwrap();
            let mut args = nvgpu_get_user_syncpoint_args::default();
            let _ = common::ioctl(&channel, NVGPU_IOCTL_CHANNEL_GET_USER_SYNCPOINT, &mut args);
        })
        .unwrap();
        return;
    }
    let name = "what_would_crash_a_board_ends_the_program";
    let mut itself = std::process::Command::new(std::env::current_exe().unwrap());
    let itself = itself.args(["--exact", name]).env("DOORBELL_TEST_CRASH", "1");
    let output = itself.output().unwrap();
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.lines().any(|line| line.starts_with("software Orin: ")), "{said}");
}
