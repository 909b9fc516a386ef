// What compilers make of less common things: atomics that do not know which memory they mean, barriers in shared memory,
// barriers named by registers, tables of functions, virtual calls, narrow pairs, sparse matrices.
#include <cuda_fp16.h>
#include "types.h"

// Even threads add to shared memory, odd ones to global memory, through pointers that may be either. For floats and
// 64-bit numbers shared memory has no unit: the instruction says so and a loop of swaps follows. `global` holds a float,
// a pair of halves, two long numbers, a double and a counter; out the same of shared memory, and at last a sum of what
// the threads found, which does not depend on their order. Blocks of 64.
extern "C" __global__ void generic_atomics(uint64_t *global, uint64_t *out) {
    __shared__ uint64_t box[6];
    if (threadIdx.x < 6) box[threadIdx.x] = 0;
    __syncthreads();
    uint64_t *at = threadIdx.x % 2 ? global : box;
    asm volatile("" : "+l"(at));
    atomicAdd((float *)&at[0], 0.5f);
    atomicAdd((__half2 *)&at[1], __floats2half2_rn(1, 2));
    uint64_t before = atomicAdd((unsigned long long *)&at[2], threadIdx.x + (1ull << 40));
    atomicMax((unsigned long long *)&at[3], (unsigned long long)threadIdx.x << 33);
    atomicAdd((double *)&at[4], 0.25);
    for (uint64_t seen = 0;;) {
        uint64_t old = atomicCAS((unsigned long long *)&at[5], seen, seen + 1);
        if (old == seen) break;
        seen = old;
    }
    atomicAdd((unsigned long long *)&out[6], (unsigned long long)(before >> 40));
    __syncthreads();
    if (threadIdx.x < 6) out[threadIdx.x] = box[threadIdx.x];
}

static __device__ uint32_t shared_address(const void *p) { return (uint32_t)__cvta_generic_to_shared(p); }

static __device__ uint64_t arrive(uint32_t barrier) {
    uint64_t state;
    asm volatile("mbarrier.arrive.shared.b64 %0, [%1];" : "=l"(state) : "r"(barrier) : "memory");
    return state;
}

static __device__ void wait(uint32_t barrier, uint64_t state) {
    uint32_t over;
    do asm volatile("{ .reg .pred p; mbarrier.test_wait.shared.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                    : "=r"(over) : "r"(barrier), "l"(state) : "memory");
    while (!over);
}

// A barrier in shared memory, four phases long: neighbours swap their numbers, the last warp drops out after two, and
// then copies arrive by themselves. One block of 128.
extern "C" __global__ void __launch_bounds__(128) memory_barrier(uint32_t *out, const uint32_t *in) {
    __shared__ uint64_t barrier;
    __shared__ uint32_t box[2][128];
    uint32_t i = threadIdx.x, at = shared_address(&barrier), pending;
    if (i == 0) asm volatile("mbarrier.init.shared.b64 [%0], 128;" ::"r"(at) : "memory");
    __syncthreads();
    box[0][i] = in[i];
    uint64_t state = arrive(at);
    asm volatile("mbarrier.pending_count.b64 %0, %1;" : "=r"(pending) : "l"(state));
    wait(at, state);
    uint32_t sum = box[0][127 - i];
    box[1][i] = sum * 3 + i;
    if (i >= 96) {
        asm volatile("mbarrier.arrive_drop.shared.b64 %0, [%1];" : "=l"(state) : "r"(at) : "memory");
        out[i] = sum;
        // Everybody found between one and all arrivals missing.
        out[128 + i] = pending >= 1 && pending <= 128;
        return;
    }
    wait(at, arrive(at));
    sum += box[1][95 - i];
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(shared_address(&box[0][i])), "l"(in + 95 - i) : "memory");
    asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(at) : "memory");
    uint32_t over;
    do asm volatile("{ .reg .pred p; mbarrier.test_wait.parity.shared.b64 p, [%1], 0; selp.u32 %0, 1, 0, p; }"
                    : "=r"(over) : "r"(at) : "memory");
    while (!over);
    out[i] = sum * 5 + box[0][95 - i];
    out[128 + i] = pending >= 1 && pending <= 128;
}

// Barriers whose number and thread count are in registers: each pair of warps meets at its own. Blocks of 128.
extern "C" __global__ void __launch_bounds__(128) barriers_by_register(uint32_t *out, uint32_t first, uint32_t count) {
    __shared__ uint32_t box[128];
    uint32_t i = threadIdx.x, pair = i / 64 + first, odd;
    box[i] = i * i;
    asm volatile("bar.sync %0, %1;" ::"r"(pair), "r"(count) : "memory");
    uint32_t sum = box[i ^ 32];
    asm volatile("{ .reg .pred p; setp.ne.u32 p, %1, 0; barrier.red.popc.u32 %0, %2, %3, p; }"
                 : "=r"(odd) : "r"(sum % 3), "r"(pair), "r"(count) : "memory");
    out[i] = sum * 128 + odd;
}

struct Shape {
    uint32_t side;
    __device__ Shape(uint32_t side) : side(side) {}
    virtual __device__ uint32_t area(uint32_t depth) const { return side * side + depth; }
};

struct Nested : Shape {
    __device__ Nested(uint32_t side) : Shape(side) {}
    __device__ uint32_t area(uint32_t depth) const override { return depth == 0 ? side : 2 * area(depth - 1) + side; }
};

typedef uint32_t (*Step)(uint32_t, uint32_t);
static __device__ uint32_t plus(uint32_t a, uint32_t b) { return a + b; }
static __device__ uint32_t times(uint32_t a, uint32_t b) { return a * b; }
static __device__ __noinline__ uint32_t power(uint32_t a, uint32_t b) { return b == 0 ? 1 : a * power(a, b - 1); }
__device__ Step steps[3] = {plus, power, times};
__constant__ Step fixed_steps[2] = {power, plus};

// Objects on the stack, one of a class that calls itself, and functions from tables in global and constant memory.
extern "C" __global__ void virtual_recursion(uint32_t *out, uint32_t n) {
    uint32_t i = threadIdx.x;
    Shape plain(i + 1);
    Nested nested(i + 2);
    const Shape *shape = i % 3 ? &plain : &nested;
    asm volatile("" : "+l"(shape));
    out[i] = shape->area(n + i % 4) + steps[(i + n) % 3](i, 3) * 7 + fixed_steps[i % 2](3, i % 5);
}

// Narrow numbers made of wide ones, and signs as predicates.
extern "C" __global__ void narrow_pairs(uint32_t *out, const uint32_t *in) {
    uint32_t i = threadIdx.x, *mine = out + i * 8;
    uint32_t a = in[i], b = in[i + 1], c = in[i + 2], d;
    asm("cvt.pack.sat.s16.s32 %0, %1, %2;" : "=r"(mine[0]) : "r"(a), "r"(b));
    asm("cvt.pack.sat.u8.s32.b32 %0, %1, %2, %3;" : "=r"(mine[1]) : "r"(a), "r"(b), "r"(c));
    asm("cvt.pack.sat.s4.s32.b32 %0, %1, %2, %3;" : "=r"(mine[2]) : "r"((int)a >> 27), "r"((int)b >> 28), "r"(c));
    asm("cvt.pack.sat.u2.s32.b32 %0, %1, %2, %3;" : "=r"(mine[3]) : "r"((int)a >> 29), "r"((int)b >> 30), "r"(c));
    asm("add.sat.s32 %0, %1, %2;" : "=r"(mine[4]) : "r"(a), "r"(b));
    asm("mad.hi.sat.s32 %0, %1, %2, %3;" : "=r"(mine[5]) : "r"(a), "r"(b), "r"(c));
    asm("cvt.rni.sat.u8.f32 %0, %1;" : "=r"(d) : "f"(__int_as_float((a & 0x03ffffff) | 0x40000000)));
    mine[6] = d;
    asm("vset4.s32.s32.lt.add %0, %1, %2, %3;" : "=r"(mine[7]) : "r"(a), "r"(b), "r"(c));
}

// Products with a matrix half of which is left out, in halves and in bytes. One warp.
extern "C" __global__ void sparse_products(float *floats, int32_t *words, const uint32_t *in, const uint32_t *places) {
    uint32_t i = threadIdx.x, place = places[i];
    const uint32_t *x = in + i * 8;
    float f[4] = {};
    int32_t w[4] = {};
    asm("mma.sp::ordered_metadata.sync.aligned.m16n8k32.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9, %10, %11}, {%0, %1, %2, %3}, %12, 0x1;"
        : "+f"(f[0]), "+f"(f[1]), "+f"(f[2]), "+f"(f[3])
        : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(x[4]), "r"(x[5]), "r"(x[6]), "r"(x[7]), "r"(place));
    asm("mma.sp::ordered_metadata.sync.aligned.m16n8k64.row.col.satfinite.s32.s8.u8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9, %10, %11}, {%0, %1, %2, %3}, %12, 0x0;"
        : "+r"(w[0]), "+r"(w[1]), "+r"(w[2]), "+r"(w[3])
        : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(x[4]), "r"(x[5]), "r"(x[6]), "r"(x[7]), "r"(place));
    for (uint32_t n = 0; n < 4; n++) {
        floats[i * 4 + n] = f[n];
        words[i * 4 + n] = w[n];
    }
}
