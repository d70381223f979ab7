// The inner loops of the metric store's column codec; docs/formats/metric-block.md has the layout they read and write.
// Every buffer of bytes that is read has at least 32 bytes of its own in front of it and behind it.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// The longest code of an entropy-coded column.
#define VEDETTE_CODE_BITS 9

/// What one code means: a run of zeros, or a class of values, with bits of its own behind the code.
struct vedette_code {
    /// Bits of the code; 0 where no code begins with these bits.
    uint8_t length;
    /// Bits behind the code, at most 48.
    uint8_t extra;
    /// The leading bits of the value, or 1 for a run.
    uint8_t lead;
    uint8_t is_run;
};

/// Unpacks `count` values of `width` bits, lowest bit first, and adds `base` to each.
void vedette_unpack(const uint8_t *bytes, unsigned width, size_t count, int64_t base, int64_t *values);

/// Packs the lowest `width` bits of each of `count` values; writes (count * width + 7) / 8 bytes.
void vedette_pack(const uint64_t *values, size_t count, unsigned width, uint8_t *bytes);

/// Writes `code` into `count` entries.
void vedette_fill_codes(struct vedette_code *table, size_t count, struct vedette_code code);

/// Decodes `count` values from codes read forward from the first bit and backward from the last, in turn.
/// `mode`: 0 folds signs, 1 does not; `centre` is added. Returns 0, or -1 when the bytes cannot be right.
int vedette_entropy_decode(const uint8_t *bytes, size_t length, const struct vedette_code *table, int has_runs,
                           int mode, int64_t centre, size_t count, int64_t *values);

/// Replaces each value by the sum of it, all before it and `start`. Wraps.
void vedette_sum(int64_t *values, size_t count, int64_t start);

/// Adds `other` to `values`. Wraps.
void vedette_add(int64_t *values, const int64_t *other, size_t count);

/// How an integer becomes a double: i / power, i * power, i / 1000 / 1000, or the integer as a bit pattern.
enum vedette_scaling { VEDETTE_DIVIDE = 0, VEDETTE_MULTIPLY = 1, VEDETTE_THOUSANDTHS = 2, VEDETTE_BITS = 3 };

/// Writes the bit patterns of first + values[i] * divisor, scaled. Wraps.
void vedette_scale(const int64_t *values, size_t count, int64_t first, uint64_t divisor, int scaling, double power,
                   uint64_t *bits);
/// The same without vector instructions, for comparison.
void vedette_scale_portable(const int64_t *values, size_t count, int64_t first, uint64_t divisor, int scaling,
                            double power, uint64_t *bits);

/// Decodes a packed column of `count` values at once: unpacks, sums up when `is_summed`, adds `reference` where there is
/// one, scales. `integers`, unless NULL, gets what is scaled. Returns 0, or -1 when the bytes cannot be right.
int vedette_decode_packed(const uint8_t *bytes, size_t length, size_t count, int is_summed, const int64_t *reference,
                          int64_t first, uint64_t divisor, int scaling, double power, uint64_t *bits,
                          int64_t *integers);

/// The same without vector instructions, for comparison.
int vedette_decode_packed_portable(const uint8_t *bytes, size_t length, size_t count, int is_summed,
                                   const int64_t *reference, int64_t first, uint64_t divisor, int scaling,
                                   double power, uint64_t *bits);

/// As vedette_decode_packed, but stops at the multiples of the divisor above the first value, which is 0.
int vedette_integers_packed(const uint8_t *bytes, size_t length, size_t count, int is_summed, const int64_t *reference,
                            int64_t *values);

/// Turns doubles into integers: rounds value * power (for VEDETTE_DIVIDE; the other way round for VEDETTE_MULTIPLY) and
/// tries whether scaling back gives the same bits. Values where it does not become INT64_MIN; returns how many.
size_t vedette_unscale(const uint64_t *bits, size_t count, int scaling, double power, double inverse, int64_t *values);

/// The sum of the bit lengths of every `step`th difference of neighbours, less that of `other`; an estimate of the size.
uint64_t vedette_difference_bits(const int64_t *values, const int64_t *other, size_t count, size_t step);

/// Counts the classes of zigzag(value - centre) (mode 0) or value - centre (mode 1) into 128 counters.
void vedette_count_classes(const int64_t *values, size_t count, int mode, int64_t centre, uint32_t *counts);

/// The bitwise or of all values[i] - values[0].
uint64_t vedette_or_of_differences(const int64_t *values, size_t count);
