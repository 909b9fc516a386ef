// What a module brings along besides code: constants, variables, pointers between them, tables of functions.
#include "types.h"

__constant__ uint32_t primes[16] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53};
__device__ uint32_t initialised[4] = {0x11111111, 0x22222222, 0x33333333, 0x44444444};
__device__ uint32_t zeroed[1024];
__device__ uint32_t counter;
// A pointer inside initialised data, with an offset: the loader must write the address.
__device__ uint32_t *third = &initialised[2];

// Bank 3, with an index that the compiler cannot know.
extern "C" __global__ void read_constant(uint32_t *out) { out[threadIdx.x] = primes[threadIdx.x % 16]; }

// A pointer that may lead to bank 3 or elsewhere: even threads read `primes`, odd ones `other`. The compiler takes the
// address of bank 3 from bank 0.
extern "C" __global__ void read_either(uint32_t *out, const uint32_t *other, uint32_t from) {
    const uint32_t *table = threadIdx.x % 2 ? other : primes;
    out[threadIdx.x] = table[(threadIdx.x + from) % 16];
}

// Bank 4 and the relocations: initialised words, zeroed words, the word behind `third`.
extern "C" __global__ void read_globals(uint32_t *out) {
    uint32_t i = threadIdx.x;
    out[i] = i < 4 ? initialised[i] : i == 4 ? *third : zeroed[i % 1024];
}

// Variables keep their value from launch to launch.
extern "C" __global__ void count_launches(uint32_t *out) { *out = ++counter; }

extern "C" __global__ void write_zeroed(uint32_t value) { zeroed[threadIdx.x] = value + threadIdx.x; }

typedef uint32_t (*Operation)(uint32_t, uint32_t);
static __device__ __noinline__ uint32_t plus(uint32_t a, uint32_t b) { return a + b; }
static __device__ __noinline__ uint32_t minus(uint32_t a, uint32_t b) { return a - b; }
static __device__ __noinline__ uint32_t times(uint32_t a, uint32_t b) { return a * b; }
__constant__ Operation operations[3] = {plus, minus, times};

// Calls through a table: out[i] = plus, minus or times, by i % 3, of i and b.
extern "C" __global__ void call_table(uint32_t *out, uint32_t b) {
    uint32_t i = threadIdx.x;
    out[i] = operations[i % 3](i, b);
}

// Double-precision literals live in bank 2.
extern "C" __global__ void literals(double *out, double x) {
    out[0] = x * 3.14159265358979312 + 2.71828182845904509;
    out[1] = x / 1.61803398874989490;
    out[2] = x < 1.41421356237309515 ? 0.57721566490153287 : 0.91596559417721901;
}
