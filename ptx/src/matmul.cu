// c = a * b on tensor cores: half in, float out. a is m x k, b is k x n, c is m x n, all row-major.
// m and n are multiples of 64, k of 32. Blocks of 128 threads, grid (n / 64, m / 64).
#include <cuda_fp16.h>
#include "types.h"

// Rows are padded by eight halves: the eight rows that one ldmatrix reads then lie in different banks.
enum : uint32_t { A_ROW = 32 + 8, B_ROW = 64 + 8 };

static __device__ uint32_t shared_address(const void *p) { return (uint32_t)__cvta_generic_to_shared(p); }

static __device__ void load_a(uint32_t (&r)[4], const half *p) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(p)) : "memory");
}

static __device__ void load_b(uint32_t (&r)[2], const half *p) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1]) : "r"(shared_address(p)) : "memory");
}

static __device__ void multiply_add(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Each of the four warps owns 32 x 32 of the block's 64 x 64 result: two fragments down, four across.
extern "C" __global__ void __launch_bounds__(128)
matmul_half(float *c, const half *a, const half *b, uint32_t m, uint32_t n, uint32_t k) {
    __shared__ __align__(16) half a_tile[64 * A_ROW];
    __shared__ __align__(16) half b_tile[32 * B_ROW];
    uint32_t thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
    uint32_t row = warp / 2 * 32, column = warp % 2 * 32;
    a += (uint64_t)blockIdx.y * 64 * k;
    b += blockIdx.x * 64;

    float sum[2][4][4] = {};
    for (uint32_t at = 0; at < k; at += 32) {
        // 16 bytes at a time: a tile of 64 rows of four, b tile of 32 rows of eight, two of each per thread.
        for (uint32_t i = thread; i < 256; i += 128) {
            *(uint4 *)&a_tile[i / 4 * A_ROW + i % 4 * 8] = *(const uint4 *)&a[(uint64_t)(i / 4) * k + at + i % 4 * 8];
            *(uint4 *)&b_tile[i / 8 * B_ROW + i % 8 * 8] = *(const uint4 *)&b[(uint64_t)(at + i / 8) * n + i % 8 * 8];
        }
        __syncthreads();
        for (uint32_t step = 0; step < 32; step += 16) {
            uint32_t af[2][4], bf[4][2];
            for (uint32_t i = 0; i < 2; i++)
                load_a(af[i], &a_tile[(row + i * 16 + lane % 16) * A_ROW + step + lane / 16 * 8]);
            for (uint32_t j = 0; j < 4; j++)
                load_b(bf[j], &b_tile[(step + lane % 16) * B_ROW + column + j * 8]);
            for (uint32_t i = 0; i < 2; i++)
                for (uint32_t j = 0; j < 4; j++) multiply_add(sum[i][j], af[i], bf[j]);
        }
        __syncthreads();
    }

    // A fragment holds rows lane / 4 and lane / 4 + 8, two neighbouring columns each.
    for (uint32_t i = 0; i < 2; i++)
        for (uint32_t j = 0; j < 4; j++) {
            uint64_t r = blockIdx.y * 64 + row + i * 16 + lane / 4;
            uint32_t col = blockIdx.x * 64 + column + j * 8 + lane % 4 * 2;
            *(float2 *)&c[r * n + col] = {sum[i][j][0], sum[i][j][1]};
            *(float2 *)&c[(r + 8) * n + col] = {sum[i][j][2], sum[i][j][3]};
        }
}
