// Functions that CUDA's runtime has and the cubin has not.
extern "C" __global__ void asserts(int *out, int limit)
{
    int i = threadIdx.x;
    assert(i < limit);
    out[i] = i;
}

extern "C" __global__ void prints(int *out, int limit)
{
    int i = threadIdx.x;
    out[i] = i;
    if (i >= limit)
        printf("%d\n", i);
}
