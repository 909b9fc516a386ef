//! The two orderings that the GPU cares about.
//!
//! The GPU observes memory from outside the CPU's inner domain, and what it must see in order is
//! a mix of ordinary, write-combined and device memory, so the fences of `std` are too weak in
//! the architecture: on Arm they cover the inner shareable domain only, on x86 they do not drain
//! write-combining buffers.

/// Everything stored before is visible to the GPU before anything stored after.
#[inline(always)]
pub(crate) fn stores() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier has no operands. Outer shareable is the domain the GPU belongs to.
    unsafe {
        core::arch::asm!("dmb oshst", options(nostack, preserves_flags));
    }
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has SSE. Needed for the write-combined memory of rings and commands;
    // ordinary stores are already ordered.
    unsafe {
        core::arch::x86_64::_mm_sfence();
    }
    #[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
    compile_error!("doorbell knows the memory ordering of aarch64 and x86-64 only");
}

/// Everything loaded before was read before anything loaded after: what the GPU wrote ahead of a
/// semaphore is there once the semaphore is.
#[inline(always)]
pub(crate) fn loads() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier has no operands.
    unsafe {
        core::arch::asm!("dmb oshld", options(nostack, preserves_flags));
    }
    // x86 keeps loads in order; the compiler must too.
    #[cfg(not(target_arch = "aarch64"))]
    std::sync::atomic::fence(std::sync::atomic::Ordering::Acquire);
}
