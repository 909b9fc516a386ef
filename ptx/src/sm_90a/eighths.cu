// Products of floats of eight bits in a warp group, with sums in single precision and in halves.
#include "products.h"

FROM_SHARED(e4m3_16, "m64n16k32.f32.e4m3.e4m3", 8, "%10", "%8", "%9", ", 1, 1")
FROM_SHARED(e4m3_128, "m64n128k32.f32.e4m3.e5m2", 64, "%66", "%64", "%65", ", -1, 1")
FROM_SHARED(e5m2_64, "m64n64k32.f32.e5m2.e5m2", 32, "%34", "%32", "%33", ", 1, 1")
FROM_SHARED(e5m2_half, "m64n64k32.f16.e5m2.e4m3", 16, "%18", "%16", "%17", ", 1, -1")
FROM_REGISTERS(e4m3_half_registers, "m64n32k32.f16.e4m3.e4m3", 8, "%13", "%8,%9,%10,%11", "%12", ", 1, 1")
FROM_REGISTERS(e4m3_registers, "m64n64k32.f32.e4m3.e4m3", 32, "%37", "%32,%33,%34,%35", "%36", ", 1, 1")
