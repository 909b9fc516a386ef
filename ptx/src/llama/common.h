// What all kernels of the decoder share: the words of the state, loads, tensor-core products, sums over threads.

#pragma once
#include <cuda_fp16.h>
#include <cuda_bf16.h>

using u8 = unsigned char;
using i8 = signed char;
using u16 = unsigned short;
using u32 = unsigned int;
using i32 = int;
using u64 = unsigned long long;

// Words of the state buffer; the plan says what they mean.
enum State : u32 {
    TOKEN = 0,
    POSITION = 1,
    STOP = 2,
    EMITTED = 3,
    LIMIT = 4,
    END_TOKENS = 5,
    CONTEXT = 9,
    TEMPERATURE = 16,
    TOP_K = 17,
    TOP_P = 18,
    MIN_P = 19,
    PENALTY = 20,
    LAST_N = 21,
    SEED = 22,
};

// Lets the next kernel start, which will wait by itself, and then waits until the kernel before has ended and its
// stores can be seen. What was requested before this call did not have to wait. Only Hopper has it: elsewhere a
// kernel starts when the one before has ended.
__device__ __forceinline__ void let_next_start() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
__device__ __forceinline__ void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Weights are read once per token: they should not push anything else out of L1. Volatile keeps the loads where they
// are written, before the wait.
__device__ __forceinline__ uint4 load_weights(const u8* at) {
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(at));
    return v;
}

// Copies 16 bytes to shared memory while the thread goes on. Past L1, which may hold what lay there before: a kernel that
// starts early is not cleared of that. What a thread has asked for since the last `commit_copies` is a group.
__device__ __forceinline__ void copy_16(void* to, const void* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((u32)__cvta_generic_to_shared(to)), "l"(from) : "memory");
}
__device__ __forceinline__ void copy_16_if(bool condition, void* to, const void* from) {
    asm volatile("{ .reg .pred p; setp.ne.u32 p, %2, 0; @p cp.async.cg.shared.global [%0], [%1], 16; }"
                 ::"r"((u32)__cvta_generic_to_shared(to)), "l"(from), "r"((u32)condition) : "memory");
}
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until no more than the last `under_way` groups of this thread are under way.
template <u32 under_way>
__device__ __forceinline__ void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(under_way) : "memory");
}

// Four 8 x 8 matrices of 16-bit elements as fragments: lane l has the address of row l % 8 of matrix l / 8.
template <bool transposed>
__device__ __forceinline__ uint4 load_matrices(const u8* row) {
    uint4 v;
    const u32 at = (u32)__cvta_generic_to_shared(row);
    if (transposed)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(at) : "memory");
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(at) : "memory");
    return v;
}

// c += a x b with 16 rows of signed (or unsigned) bytes in a, 8 columns of signed bytes in b, 32 bytes each.
__device__ __forceinline__ void mma_s8(i32 (&c)[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
__device__ __forceinline__ void mma_u8(i32 (&c)[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
__device__ __forceinline__ void mma_f16(float (&c)[4], uint4 a, u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
}
__device__ __forceinline__ void mma_bf16(float (&c)[4], uint4 a, u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
}

// Over groups of `lanes` neighbouring lanes of a warp; every lane gets the result.
template <int lanes>
__device__ __forceinline__ float sum_of(float v) {
#pragma unroll
    for (int step = 1; step < lanes; step *= 2) v += __shfl_xor_sync(0xffffffff, v, step);
    return v;
}
template <int lanes>
__device__ __forceinline__ i32 sum_of(i32 v) {
#pragma unroll
    for (int step = 1; step < lanes; step *= 2) v += __shfl_xor_sync(0xffffffff, v, step);
    return v;
}
template <int lanes>
__device__ __forceinline__ float max_of(float v) {
#pragma unroll
    for (int step = 1; step < lanes; step *= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffff, v, step));
    return v;
}

__device__ __forceinline__ u32 ceil_div(u32 a, u32 b) { return (a + b - 1) / b; }
