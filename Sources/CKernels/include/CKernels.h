// Kernels that need one instruction the Swift compiler will not choose by itself.
// Each picks the best variant of this processor at run time, so no compiler flag is needed.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "ColumnKernels.h"
#include "ResidentKernels.h"
#include "WindowKernels.h"

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `length` bytes, continuing from `crc` (0 to start).
uint32_t vedette_crc32c(uint32_t crc, const void *bytes, size_t length);

/// The offset of the first occurrence of `needle` in `bytes`, or -1. An empty needle is found at 0.
ptrdiff_t vedette_find(const void *bytes, size_t length, const void *needle, size_t needleLength);
