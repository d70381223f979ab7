// Columns as the metric store keeps them in memory: integers of one width, no entropy coding, no references.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "ColumnKernels.h"

/// Bytes that may be read behind the integers of a column.
#define VEDETTE_RESIDENT_PADDING 32

/// Integers in the narrowest form they fit, and how they become doubles.
struct vedette_resident {
    /// Signed, lowest byte first, VEDETTE_RESIDENT_PADDING bytes behind them.
    const uint8_t *bytes;
    /// Bytes of each integer: 1, 2, 4 or 8.
    unsigned width;
    /// Whether each is the difference to the integer before; the first is 0.
    int is_summed;
    /// Whether every product and sum on the way to a double is exact in a double.
    int is_exact;
    int64_t first;
    uint64_t divisor;
    /// See vedette_scaling.
    int scaling;
    double power;
};

/// The widths that offsets and differences of `values` need; `reach` is the bitwise or of their magnitudes.
void vedette_resident_widths(const int64_t *values, size_t count, unsigned *offsets, unsigned *differences,
                             uint64_t *reach);

/// Writes offsets, or differences, of `width` bytes each.
void vedette_resident_store(const int64_t *values, size_t count, int is_summed, unsigned width, uint8_t *bytes);

/// Writes the bit patterns of the doubles `from` ... `to - 1`.
void vedette_resident_decode(const struct vedette_resident *column, size_t from, size_t to, uint64_t *bits);

/// The same without vector instructions, for comparison.
void vedette_resident_decode_portable(const struct vedette_resident *column, size_t from, size_t to, uint64_t *bits);

/// Writes all `count` integers as they were given to vedette_resident_store.
void vedette_resident_integers(const struct vedette_resident *column, size_t count, int64_t *values);

/// Adds the integers `from` ... `to - 1`, which are no differences, to bit patterns.
void vedette_resident_add(const uint8_t *bytes, unsigned width, size_t from, size_t to, uint64_t *bits);
