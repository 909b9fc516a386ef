// Functions that call each other through a table. By itself in a file, as the compiler counts every function of a
// table among those that any call through a pointer may reach.
#include "types.h"

// Recursion that no call instruction names: each step picks the next function from a table.
static __device__ uint32_t step_one(uint32_t n);
static __device__ uint32_t step_two(uint32_t n);
__constant__ uint32_t (*const steps[2])(uint32_t) = {step_one, step_two};
static __device__ __noinline__ uint32_t step_one(uint32_t n) { return n == 0 ? 0 : steps[n % 2](n - 1) + 1; }
static __device__ __noinline__ uint32_t step_two(uint32_t n) { return n == 0 ? 0 : steps[n % 2](n / 2) + 2; }

// out[i] = what the steps from i add up to.
extern "C" __global__ void recursion_through_table(uint32_t *out) {
    uint32_t i = threadIdx.x;
    out[i] = steps[i % 2](i);
}
