//! A program under `emulate`: the software Orin answers from another process, and the program is
//! alone in its own. This test launches itself.

use std::env;
use std::fs;
use std::process::{Command, ExitCode};

use doorbell::{Commands, Device, Memory, Result, Select};

const INSIDE: &str = "DOORBELL_TEST_INSIDE";

fn main() -> ExitCode {
    if env::var_os(INSIDE).is_some() {
        return match inside() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let this = env::current_exe().expect("this program has a path");
    // SAFETY: nothing else runs yet that could read the environment.
    unsafe { env::set_var(INSIDE, "1") };
    let status = emulator::launch(emulator::Options::default(), this.as_os_str(), &[])
        .expect("the program starts");
    assert!(status.success(), "inside: {status}");
    // SAFETY: as above; the launched program has ended.
    unsafe { env::remove_var(INSIDE) };
    println!("test buffers_cost_no_files_and_copies_work ... ok");
    examples_print_the_same_either_way();
    println!("test examples_print_the_same_either_way ... ok");
    println!("\ntest result: ok. 2 passed; 0 failed; 0 ignored");
    ExitCode::SUCCESS
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").expect("Linux has it").count()
}

fn inside() -> Result<()> {
    let device = Device::open(Select::Auto)?;
    let mut queue = device.copy_queue()?;
    let before = open_files();
    let buffers = (0..300).map(|_| device.alloc::<u64>(512)).collect::<Result<Vec<_>>>()?;
    assert_eq!(open_files(), before, "buffers hold files open");
    buffers[0].set(511, 0x1234_5678_9abc_def0)?;
    for pair in buffers.windows(2) {
        queue.copy(&pair[1], &pair[0])?;
    }
    let _ = queue.submit()?;
    let back = device.alloc_in::<u64>(Memory::Host, 1)?;
    queue.copy(&back, buffers[299].slice(511..512)?)?;
    queue.finish()?;
    assert_eq!(back.get(0)?, 0x1234_5678_9abc_def0);
    drop(buffers);
    drop(queue);
    Ok(())
}

/// The examples lie beside this test's folder when cargo builds both.
fn examples_print_the_same_either_way() {
    let this = env::current_exe().expect("this program has a path");
    let folder = this.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps");
    for name in ["01_info", "05_copy"] {
        let example = folder.join("examples").join(name);
        if !example.exists() {
            println!("{name} is not built: `cargo test` builds it, a single test does not");
            continue;
        }
        let alone = Command::new(&example).output().expect("the example starts");
        assert!(alone.status.success(), "{name}: {}", String::from_utf8_lossy(&alone.stderr));
        let output = env::temp_dir().join(format!("doorbell-{name}-{}", std::process::id()));
        let script = format!("exec '{}' > '{}'", example.display(), output.display());
        let args = ["-c".into(), script.into()];
        let status = emulator::launch(emulator::Options::default(), "sh".as_ref(), &args)
            .expect("the shell starts");
        let launched = fs::read(&output).expect("the example has written");
        let _ = fs::remove_file(&output);
        assert!(status.success(), "{name}: {status}");
        assert!(!launched.is_empty());
        assert_eq!(String::from_utf8_lossy(&alone.stdout), String::from_utf8_lossy(&launched));
    }
}
