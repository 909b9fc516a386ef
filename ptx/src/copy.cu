// What a compute queue copies with.
#include "types.h"

// Any places and any number of bytes: a thread for each 16, which it moves in one piece where both places allow it.
// More bytes per thread, or threads that go on to others, were hardly faster at any size, and slower at 1 GiB.
extern "C" __global__ void copy_bytes(uint8_t *to, const uint8_t *from, uint64_t bytes) {
    uint64_t at = 16 * ((uint64_t)blockIdx.x * blockDim.x + threadIdx.x);
    if (at >= bytes) return;
    to += at, from += at;
    uint64_t left = bytes - at < 16 ? bytes - at : 16, places = (uint64_t)to | (uint64_t)from;
    if (left == 16 && places % 16 == 0)
        *(uint4 *)to = *(const uint4 *)from;
    else if (left == 16 && places % 4 == 0)
        for (int i = 0; i < 4; i++) ((uint32_t *)to)[i] = ((const uint32_t *)from)[i];
    else
        for (uint64_t i = 0; i < left; i++) to[i] = from[i];
}
