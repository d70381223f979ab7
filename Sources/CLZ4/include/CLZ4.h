// LZ4 block and frame compression: Debian's liblz4-dev, linked statically.
#pragma once
#include <lz4.h>
#include <lz4frame.h>
