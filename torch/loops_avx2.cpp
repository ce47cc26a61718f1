#pragma GCC target("avx2,fma")
#define ISA avx2
#define BYTES 32
#define REGISTERS 16
#include "loops_impl.h"
