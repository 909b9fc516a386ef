// Local memory: arrays that cannot live in registers, and a stack whose depth the compiler cannot know.
#include "types.h"

// Writes 64 words of local memory in one order and reads them back in another.
extern "C" __global__ void local_array(uint32_t *out, uint32_t seed) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    uint32_t words[64];
    #pragma unroll 1
    for (uint32_t k = 0; k < 64; k++) words[(k * 29 + seed) % 64] = k * 3 + i;
    uint32_t sum = 0;
    #pragma unroll 1
    for (uint32_t k = 0; k < 64; k++) sum = sum * 31 + words[(k * seed + i) % 64];
    out[i] = sum;
}

// 16 KiB per thread. Every thread marks its own memory and counts marks of others: out must be zero everywhere.
extern "C" __global__ void local_big(uint32_t *out, uint32_t step) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    uint32_t words[4096];
    #pragma unroll 1
    for (uint32_t k = 0; k < 4096; k++) words[(k * step) % 4096] = i ^ (k * step) % 4096;
    uint32_t wrong = 0;
    #pragma unroll 1
    for (uint32_t k = 0; k < 4096; k++) wrong += words[k] != (i ^ k);
    out[i] = wrong;
}

// A local array behind a generic pointer, as in a call that does not know where its argument lives.
static __device__ __noinline__ uint32_t total(const volatile uint32_t *words, uint32_t n) {
    uint32_t sum = 0;
    for (uint32_t k = 0; k < n; k++) sum += words[k];
    return sum;
}

extern "C" __global__ void local_generic(uint32_t *out, uint32_t n) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    uint32_t words[32];
    for (uint32_t k = 0; k < 32; k++) words[k] = i + k;
    out[i] = total(words, min(n, 32));
}

// Ackermann's function: recursion that no compiler turns into a loop.
static __device__ __noinline__ uint32_t ackermann(uint32_t m, uint32_t n) {
    if (m == 0) return n + 1;
    return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

extern "C" __global__ void recursion(uint32_t *out, uint32_t m, uint32_t n) {
    out[blockIdx.x * blockDim.x + threadIdx.x] = ackermann(m, n);
}

// Calls itself `depth` times and holds 64 bytes at each level: for stacks of a known size, and for overflowing them.
static __device__ __noinline__ uint32_t descend(uint32_t depth, uint32_t salt) {
    volatile uint32_t held[16];
    for (uint32_t k = 0; k < 16; k++) held[k] = depth + salt + k;
    uint32_t below = depth == 0 ? 0 : descend(depth - 1, salt);
    return below + held[(depth + salt) % 16] - depth - salt;
}

// out = sum over d = 0..=depth of (d + salt) % 16.
extern "C" __global__ void deep_recursion(uint32_t *out, uint32_t depth, uint32_t salt) {
    out[blockIdx.x * blockDim.x + threadIdx.x] = descend(depth, salt);
}

// Two functions that call each other: 1 if n is even.
static __device__ __noinline__ uint32_t odd(uint32_t n);
static __device__ __noinline__ uint32_t even(uint32_t n) { return n == 0 ? 1 : odd(n - 1) & 1; }
static __device__ __noinline__ uint32_t odd(uint32_t n) { return n == 0 ? 0 : even(n - 1) & 1; }

extern "C" __global__ void mutual_recursion(uint32_t *out, uint32_t n) {
    out[threadIdx.x] = even(n + threadIdx.x);
}

// An array of its own below a recursion: the stack is the array and what the recursion takes.
extern "C" __global__ void recursion_with_frame(uint32_t *out, uint32_t m, uint32_t n) {
    volatile uint32_t words[40];
    for (uint32_t k = 0; k < 40; k++) words[k] = k + n;
    uint32_t depth = ackermann(m, n);
    out[blockIdx.x * blockDim.x + threadIdx.x] = words[depth % 40];
}

// Functions with arrays of their own, called through a table: the compiler knows the largest of them.
static __device__ __noinline__ uint32_t forwards(uint32_t n) {
    volatile uint32_t words[20];
    for (uint32_t k = 0; k < 20; k++) words[k] = n + k;
    return words[n % 20];
}

static __device__ __noinline__ uint32_t backwards(uint32_t n) {
    volatile uint32_t words[30];
    for (uint32_t k = 0; k < 30; k++) words[k] = n - k;
    return words[n % 30];
}

__constant__ uint32_t (*const ways[2])(uint32_t) = {forwards, backwards};

// out[i] = i + i % 20 for even i, i - i % 30 for odd i.
extern "C" __global__ void call_with_frames(uint32_t *out) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = ways[i % 2](i);
}
