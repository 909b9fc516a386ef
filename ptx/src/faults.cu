// Kernels that do what they must not, so that the report can be tested. Launch with one thread unless said otherwise.
#include "types.h"

extern "C" __global__ void read_at(uint32_t *out, const volatile uint32_t *address) { *out = *address; }

extern "C" __global__ void write_at(volatile uint32_t *address, uint32_t value) { *address = value; }

extern "C" __global__ void atomic_at(uint32_t *address) { atomicAdd(address, 1); }

// A 64-bit access: misaligned unless the address is a multiple of eight.
extern "C" __global__ void read64_at(uint64_t *out, const volatile uint64_t *address) { *out = *address; }

// A load from an offset of shared memory, which may lie beyond what the launch asked for.
extern "C" __global__ void read_shared_at(uint32_t *out, uint32_t offset) {
    uint32_t v;
    asm volatile("ld.volatile.shared.u32 %0, [%1];" : "=r"(v) : "r"(offset));
    *out = v;
}

// A load from an offset of local memory.
extern "C" __global__ void read_local_at(uint32_t *out, uint32_t offset) {
    uint32_t v;
    asm volatile("ld.local.u32 %0, [%1];" : "=r"(v) : "r"(offset));
    *out = v;
}

extern "C" __global__ void trap() { asm volatile("trap;"); }

// Jumps by an offset from this kernel's own start, for that is how function pointers count: to nowhere for a fetch
// fault, to a buffer of zeros for an illegal instruction, to 8 for a misaligned program counter.
extern "C" __global__ void jump_to(void (*offset)()) { offset(); }

// One thread of many reads a bad address, the others are at work: any grid, any block.
extern "C" __global__ void one_bad_thread(uint32_t *out, const volatile uint32_t *address, uint32_t bad) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = i == bad ? *address : i;
}
