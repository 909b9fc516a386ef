// What compilers make of the mathematical functions: long sequences around the approximations of the hardware.

#include "types.h"

// Thirty functions of x and y, one row of 32 for each thread.
extern "C" __global__ void single(float* out, const float* xs, const float* ys, uint32_t n) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float x = xs[i], y = ys[i];
    float* row = out + i * 32;
    row[0] = sinf(x);
    row[1] = cosf(x);
    row[2] = tanf(x);
    row[3] = expf(x);
    row[4] = exp2f(x);
    row[5] = expm1f(x);
    row[6] = logf(x);
    row[7] = log2f(x);
    row[8] = log1pf(x);
    row[9] = powf(x, y);
    row[10] = tanhf(x);
    row[11] = sinhf(x);
    row[12] = erff(x);
    row[13] = atan2f(x, y);
    row[14] = asinf(x);
    row[15] = cbrtf(x);
    row[16] = hypotf(x, y);
    row[17] = lgammaf(x);
    // From here on the results are exact.
    row[18] = x / y;
    row[19] = sqrtf(x);
    row[20] = 1.0f / x;
    row[21] = fmodf(x, y);
    row[22] = floorf(x);
    row[23] = rintf(x);
    row[24] = truncf(x);
    row[25] = fmaf(x, y, x);
    // And here approximations by a few instructions.
    row[26] = __expf(x);
    row[27] = __sinf(x);
    row[28] = __logf(x);
    row[29] = rsqrtf(x);
    row[30] = __fdividef(x, y);
    row[31] = __powf(x, y);
}

// Sixteen functions in double precision.
extern "C" __global__ void twofold(double* out, const double* xs, const double* ys, uint32_t n) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    double x = xs[i], y = ys[i];
    double* row = out + i * 16;
    row[0] = sin(x);
    row[1] = cos(x);
    row[2] = exp(x);
    row[3] = log(x);
    row[4] = pow(x, y);
    row[5] = tanh(x);
    row[6] = atan(x);
    row[7] = erf(x);
    row[8] = cbrt(x);
    row[9] = rsqrt(x);
    // Exact ones.
    row[10] = x / y;
    row[11] = sqrt(x);
    row[12] = fmod(x, y);
    row[13] = floor(x);
    row[14] = 1.0 / x;
    row[15] = fma(x, y, x);
}

// Division and wide products of integers; a division by zero gives zero.
extern "C" __global__ void whole(uint64_t* out, const uint64_t* xs, const uint64_t* ys, uint32_t n) {
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    uint64_t x = xs[i], y = ys[i];
    int64_t sx = x, sy = y;
    uint32_t u = x, v = y;
    int32_t su = u, sv = v;
    uint64_t* row = out + i * 16;
    row[0] = v ? u / v : 0;
    row[1] = v ? u % v : 0;
    row[2] = v ? (uint32_t)(su / sv) : 0;
    row[3] = v ? (uint32_t)(su % sv) : 0;
    row[4] = y ? x / y : 0;
    row[5] = y ? x % y : 0;
    row[6] = y ? sx / sy : 0;
    row[7] = y ? sx % sy : 0;
    row[8] = u / 7;
    row[9] = (uint32_t)(su / -13);
    row[10] = x / 1000003;
    row[11] = __umul64hi(x, y);
    row[12] = __mul64hi(sx, sy);
    row[13] = x * y;
    row[14] = __popcll(x) + __clzll(y);
    row[15] = __brevll(x) ^ __ffsll(y);
}
