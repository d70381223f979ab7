// Zstandard: Debian's libzstd-dev, linked statically.
#pragma once
#include <zstd.h>
#include <zstd_errors.h>
