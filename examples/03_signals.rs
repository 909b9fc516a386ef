//! Two queues that wait for each other without the CPU, and what a round trip costs.
//!
//!     cargo run --release --example 03_signals

use std::time::{Duration, Instant};

use doorbell::{Commands, Device, Options, Result, WaitPolicy};

const ROUNDS: u64 = 1000;
const SECOND: Duration = Duration::from_secs(1);

fn main() -> Result<()> {
    let _orin = emulator::start_unless_gpu();
    let device = Options::new().wait_policy(WaitPolicy::SPIN).open()?;

    let (mut compute, mut copy) = (device.compute_queue()?, device.copy_queue()?);
    let (ping, pong) = (device.timeline()?, device.timeline()?);
    for round in 1..=100 {
        compute.wait(&pong, round - 1)?.signal(&ping, round)?;
        compute.submit()?;
        copy.wait(&ping, round)?.signal(&pong, round)?;
        copy.submit()?;
    }
    pong.wait(100, 10 * SECOND)?;
    println!("100 rounds between two queues, one wait by the CPU");

    println!("{}", round_trips(&device)?);
    Ok(())
}

/// From the call of submit until the CPU has seen the result, many times over.
fn round_trips(device: &Device) -> Result<String> {
    let mut queue = device.compute_queue()?;
    let mut times = Vec::with_capacity(ROUNDS as usize);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        queue.submit()?.wait(SECOND)?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let at = |permille: usize| times[times.len() * permille / 1000].as_nanos() as f64 / 1000.0;
    Ok(format!(
        "submit to result, {ROUNDS} times: median {:.1} us, p99 {:.1} us, worst {:.1} us",
        at(500),
        at(990),
        times[times.len() - 1].as_nanos() as f64 / 1000.0
    ))
}
