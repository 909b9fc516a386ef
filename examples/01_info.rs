//! Opens the GPU and says what it is.
//!
//!     cargo run --example 01_info

use doorbell::{Device, Result, Select};

fn main() -> Result<()> {
    // On a machine with no GPU the software Orin answers instead.
    let _orin = emulator::start_unless_gpu();

    let device = Device::open(Select::Auto)?;
    let info = device.info();
    println!("{} at {}, driver {}", info.chip, info.node, info.driver);
    println!("  compute capability  {}.{}", info.sm / 10, info.sm % 10);
    println!("  multiprocessors     {}", info.sm_count);
    println!("  L2 cache            {} KiB", info.l2_bytes / 1024);
    if let Some(hz) = info.max_clock_hz {
        println!("  highest clock       {} MHz", hz / 1_000_000);
    }
    println!("  addresses           {} bits, allocations in {}", info.va_bits, info.va);
    println!("  one memory          {}", if info.unified_memory { "yes" } else { "no" });
    Ok(())
}
