// Snappy block compression: Debian's libsnappy-dev, linked statically.
#pragma once
#include <snappy-c.h>
