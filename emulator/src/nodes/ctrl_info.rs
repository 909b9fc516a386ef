//! What the ctrl file tells: the GPU's characteristics, masks, engines and clocks.

use std::time::Duration;

use ioctl_defs::nvgpu::ctrl::*;
use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};
use zerocopy::IntoBytes;

use super::caller::Answer;
use super::ctrl::Ctrl;
use super::{Call, Nodes};

impl Nodes {
    pub(super) fn get_characteristics(
        &mut self,
        call: &mut Call<'_>,
        ctrl: &Ctrl,
        args: &mut nvgpu_gpu_get_characteristics,
    ) -> Answer {
        let told = nvgpu_gpu_characteristics {
            device_instance_id: ctrl.instance,
            ..self.profile.characteristics
        };
        let (size, address) =
            (args.gpu_characteristics_buf_size, args.gpu_characteristics_buf_addr);
        let room = size.min(size_of_val(&told) as u64) as usize;
        call.caller.write(address, &told.as_bytes()[..room])?;
        args.gpu_characteristics_buf_size = size_of_val(&told) as u64;
        Ok(0)
    }

    pub(super) fn get_tpc_masks(
        &mut self,
        call: &mut Call<'_>,
        size: &mut u32,
        address: u64,
    ) -> Answer {
        tell(call, self.profile.tpc_masks.as_bytes(), size, address)
    }

    pub(super) fn get_l2_masks(
        &mut self,
        call: &mut Call<'_>,
        size: &mut u32,
        address: u64,
    ) -> Answer {
        tell(call, self.profile.l2_masks.as_bytes(), size, address)
    }

    /// Whole items only.
    pub(super) fn get_engine_info(
        &mut self,
        call: &mut Call<'_>,
        args: &mut nvgpu_gpu_get_engine_info_args,
    ) -> Answer {
        let item = size_of::<nvgpu_gpu_get_engine_info_item>() as u32;
        let items = self.profile.engines.as_bytes();
        let mut room = args.engine_info_buf_size / item * item;
        let answer = tell(call, items, &mut room, args.engine_info_buf_addr);
        args.engine_info_buf_size = room;
        answer
    }

    pub(super) fn correlate_time(
        &mut self,
        call: &mut Call<'_>,
        args: &mut nvgpu_gpu_get_cpu_time_correlation_info_args,
    ) -> Answer {
        if args.count > NVGPU_GPU_GET_CPU_TIME_CORRELATION_INFO_MAX_COUNT {
            return Err(Errno::EINVAL.into());
        }
        let clock: fn() -> u64 = match args.source_id {
            NVGPU_GPU_GET_CPU_TIME_CORRELATION_INFO_SRC_ID_TSC => counter,
            NVGPU_GPU_GET_CPU_TIME_CORRELATION_INFO_SRC_ID_OSTIME => time_of_day_us,
            _ => return Err(Errno::EINVAL.into()),
        };
        for sample in &mut args.samples[..args.count as usize] {
            sample.gpu_timestamp = call.gpu.time_ns();
            sample.cpu_timestamp = clock();
        }
        Ok(0)
    }
}

/// Writes as much as there is room for and returns how much there is.
fn tell(call: &mut Call<'_>, all: &[u8], size: &mut u32, address: u64) -> Answer {
    let room = (*size as usize).min(all.len());
    call.caller.write(address, &all[..room])?;
    *size = all.len() as u32;
    Ok(0)
}

/// Microseconds, as the newest drivers have it. Older ones return the counter here too.
fn time_of_day_us() -> u64 {
    clock_gettime(ClockId::CLOCK_REALTIME).map_or(0, |time| Duration::from(time).as_micros() as u64)
}

/// The CPU's own counter, which the driver reads and does not convert.
#[cfg(target_arch = "aarch64")]
fn counter() -> u64 {
    let ticks: u64;
    // SAFETY: reads a register that Linux lets every program read.
    unsafe { std::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack)) };
    ticks
}

/// The CPU's own counter, which the driver reads and does not convert.
#[cfg(target_arch = "x86_64")]
fn counter() -> u64 {
    // SAFETY: every processor of this architecture has the instruction.
    unsafe { std::arch::x86_64::_rdtsc() }
}
