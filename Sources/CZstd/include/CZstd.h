// Zstandard: Debian's libzstd-dev, linked statically.
#pragma once
// Frames without magic are behind this door.
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>
