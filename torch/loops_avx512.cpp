#pragma GCC target("avx512f,avx512vl,avx512dq,avx2,fma")
#define ISA avx512
#define BYTES 64
#define REGISTERS 32
#include "loops_impl.h"
