// Compiled as a part and linked: functions lie in sections of their own, and addresses in instructions.
#include "types.h"

__device__ int table[4] = {3, 5, 7, 11};
__device__ int counter;

__device__ __noinline__ int scale(int x, int by)
{
    atomicAdd(&counter, 1);
    return x * table[by & 3];
}

__device__ __noinline__ int collatz(int n)
{
    return n <= 1 ? 0 : 1 + collatz(n % 2 ? 3 * n + 1 : n / 2);
}

__device__ int twice(int x) { return 2 * x; }
__device__ int thrice(int x) { return 3 * x; }
__device__ int (*functions[2])(int) = {twice, thrice};

extern "C" __global__ void scaled(int *out, const int *in)
{
    int i = threadIdx.x;
    out[i] = scale(in[i], i);
}

extern "C" __global__ void counted(int *out) { *out = counter; }

// Some numbers come back to 1 only after more than a hundred calls.
extern "C" __global__ void steps(int *out, const int *in)
{
    int i = threadIdx.x;
    out[i] = collatz(in[i]);
}

extern "C" __global__ void chosen(int *out, const int *in)
{
    int i = threadIdx.x;
    out[i] = functions[in[i] & 1](i);
}

extern "C" __global__ void divided(uint64_t *out, const uint64_t *in)
{
    int i = threadIdx.x;
    out[i] = in[2 * i] / in[2 * i + 1];
}
