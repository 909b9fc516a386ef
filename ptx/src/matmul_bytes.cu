// c = a * b on tensor cores, from bytes to 32-bit integers. a is m x k, row-major; b is k x n, column-major; c is m x n,
// row-major. m is a multiple of 16, n of 64, k of 32. Grid (n / 64, m / 16), blocks of 32: fragments come straight from
// global memory.
#include "types.h"

extern "C" __global__ void __launch_bounds__(32)
matmul_bytes(int32_t *c, const int8_t *a, const int8_t *b, uint32_t m, uint32_t n, uint32_t k) {
    uint32_t lane = threadIdx.x, row = blockIdx.y * 16 + lane / 4, column = blockIdx.x * 64, at = lane % 4 * 4;
    int32_t sum[8][4] = {};
    for (uint32_t i = at; i < k; i += 32) {
        const int8_t *upper = a + (uint64_t)row * k + i, *lower = upper + (uint64_t)8 * k;
        uint32_t fa[4] = {*(const uint32_t *)upper, *(const uint32_t *)lower, *(const uint32_t *)(upper + 16),
                          *(const uint32_t *)(lower + 16)};
        for (uint32_t j = 0; j < 8; j++) {
            const int8_t *p = b + (uint64_t)(column + j * 8 + lane / 4) * k + i;
            uint32_t fb[2] = {*(const uint32_t *)p, *(const uint32_t *)(p + 16)};
            asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                : "+r"(sum[j][0]), "+r"(sum[j][1]), "+r"(sum[j][2]), "+r"(sum[j][3])
                : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[0]), "r"(fb[1]));
        }
    }
    // A fragment holds rows lane / 4 and lane / 4 + 8, two neighbouring columns each.
    for (uint32_t j = 0; j < 8; j++) {
        int32_t *p = c + (uint64_t)row * n + column + j * 8 + lane % 4 * 2;
        *(int2 *)p = {sum[j][0], sum[j][1]};
        *(int2 *)(p + (uint64_t)8 * n) = {sum[j][2], sum[j][3]};
    }
}
