// The inner loops of PromQL over the steps of one series. Each does to every element what the plain code would do, in
// the same order and with the same rounding.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// The windows of one series at every step, as far as they do not depend on its values.
struct vedette_windows {
    /// The first and the last sample of each window, or -1 where it has fewer than two.
    const int32_t *first;
    const int32_t *last;
    /// Seconds from the window's edges to its samples, cut as Prometheus cuts them, and between the samples.
    const double *to_start;
    const double *to_end;
    const double *sampled;
    /// What a change is divided by.
    double divisor;
    int is_counter;
    size_t count;
};

/// Whether any value is lower than the one before.
int vedette_any_fall(const double *values, size_t count);

/// The change over each window, extrapolated to its edges (Prometheus' extrapolatedRate). `changes` gives the change of
/// each window where values fall; NULL where they never do. Steps without a window are left as they are. Returns how
/// many steps got a value.
size_t vedette_extrapolate(const struct vedette_windows *windows, const double *values, const double *changes,
                           double *results);

/// Adds a value to each sum, with the error of the addition kept beside it (Neumaier 1974). `absent` is the bit pattern
/// that stands for nothing, among the values and among the sums.
void vedette_add_compensated(double *restrict sums, double *restrict errors, const double *restrict values, size_t count,
                             uint64_t absent);

/// Counts the values that are not `absent`; a count is `absent` as long as there is none.
void vedette_count_present(double *restrict counts, const double *restrict values, size_t count, uint64_t absent);

/// Whether all values are `absent`.
int vedette_all_absent(const double *values, size_t count, uint64_t absent);

/// Whether any value has this bit pattern.
int vedette_any_equal(const double *values, size_t count, uint64_t pattern);
