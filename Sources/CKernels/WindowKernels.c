#include "WindowKernels.h"
#include <string.h>

#if defined(__x86_64__)
#define WIDE __attribute__((target("avx2")))
static int has_wide(void) { return __builtin_cpu_supports("avx2"); }
#else
#define WIDE
static int has_wide(void) { return 1; }
#endif
// None contracts a product and a sum into one rounding: that instruction set is not asked for.
#include "WideKernels.h"

INLINE uint64_t bits_of(double value) {
    uint64_t bits;
    memcpy(&bits, &value, 8);
    return bits;
}

INLINE int vedette_any_fall_body(const double *values, size_t count) {
    // Pieces, so that a fall is found early and the inner loop has nothing to ask.
    for (size_t start = 1; start < count; start += 64) {
        size_t end = count - start < 64 ? count : start + 64;
        int64_t any = 0;
        for (size_t i = start; i < end; i++) any |= values[i] < values[i - 1] ? -1 : 0;
        if (any) return 1;
    }
    return 0;
}
BOTH(int, vedette_any_fall, (const double *values, size_t count), (values, count))

#define PIECE 64

INLINE void extrapolate_piece(const double *first, const double *change, const double *to_start, const double *to_end,
                              const double *sampled, double divisor, int is_counter, size_t count, double *results) {
    for (size_t i = 0; i < count; i++) {
        double start = to_start[i];
        if (is_counter) {
            // A counter is never below zero: not beyond the point where it would have been zero.
            double zero = sampled[i] * (first[i] / change[i]);
            int is_cut = (change[i] > 0) & (first[i] >= 0) & (zero < start);
            start = is_cut ? zero : start;
        }
        double factor = (sampled[i] + start + to_end[i]) / sampled[i] / divisor;
        results[i] = change[i] * factor;
    }
}

INLINE size_t vedette_extrapolate_body(const struct vedette_windows *windows, const double *values,
                                       const double *changes, double *results) {
    size_t done = 0;
    for (size_t start = 0; start < windows->count; start += PIECE) {
        size_t count = windows->count - start < PIECE ? windows->count - start : PIECE;
        double first[PIECE], change[PIECE], result[PIECE];
        const int32_t *firsts = windows->first + start, *lasts = windows->last + start;
        size_t present = 0;
        for (size_t i = 0; i < count; i++) {
            int is_there = firsts[i] >= 0;
            present += (size_t)is_there;
            first[i] = values[is_there ? firsts[i] : 0];
            change[i] = values[is_there ? lasts[i] : 0] - first[i];
        }
        if (changes) memcpy(change, changes + start, count * sizeof(double));
        extrapolate_piece(first, change, windows->to_start + start, windows->to_end + start, windows->sampled + start,
                          windows->divisor, windows->is_counter, count, result);
        if (present == count) {
            memcpy(results + start, result, count * sizeof(double));
        } else {
            for (size_t i = 0; i < count; i++)
                if (firsts[i] >= 0) results[start + i] = result[i];
        }
        done += present;
    }
    return done;
}
BOTH(size_t, vedette_extrapolate,
     (const struct vedette_windows *windows, const double *values, const double *changes, double *results),
     (windows, values, changes, results))

INLINE void vedette_add_compensated_body(double *restrict sums, double *restrict errors, const double *restrict values,
                                         size_t count, uint64_t absent) {
    for (size_t i = 0; i < count; i++) {
        double value = values[i], sum = sums[i], error = errors[i];
        double total = sum + value;
        double large = __builtin_fabs(sum) >= __builtin_fabs(value) ? sum : value;
        double small = __builtin_fabs(sum) >= __builtin_fabs(value) ? value : sum;
        double grown = error + ((large - total) + small);
        grown = __builtin_fabs(total) == __builtin_inf() ? 0 : grown;
        int is_first = bits_of(sum) == absent;
        total = is_first ? value : total;
        grown = is_first ? error : grown;
        int is_nothing = bits_of(value) == absent;
        sums[i] = is_nothing ? sum : total;
        errors[i] = is_nothing ? error : grown;
    }
}
BOTH_VOID(vedette_add_compensated,
          (double *restrict sums, double *restrict errors, const double *restrict values, size_t count,
           uint64_t absent),
          (sums, errors, values, count, absent))

INLINE void vedette_count_present_body(double *restrict counts, const double *restrict values, size_t count,
                                       uint64_t absent) {
    for (size_t i = 0; i < count; i++) {
        double before = counts[i];
        double after = bits_of(before) == absent ? 1 : before + 1;
        counts[i] = bits_of(values[i]) == absent ? before : after;
    }
}
BOTH_VOID(vedette_count_present,
          (double *restrict counts, const double *restrict values, size_t count, uint64_t absent),
          (counts, values, count, absent))

INLINE int vedette_all_absent_body(const double *values, size_t count, uint64_t absent) {
    for (size_t start = 0; start < count; start += 64) {
        size_t end = count - start < 64 ? count : start + 64;
        uint64_t other = 0;
        for (size_t i = start; i < end; i++) other |= bits_of(values[i]) ^ absent;
        if (other) return 0;
    }
    return 1;
}
BOTH(int, vedette_all_absent, (const double *values, size_t count, uint64_t absent), (values, count, absent))

INLINE int vedette_any_equal_body(const double *values, size_t count, uint64_t pattern) {
    int64_t any = 0;
    for (size_t i = 0; i < count; i++) any |= bits_of(values[i]) == pattern ? -1 : 0;
    return any != 0;
}
BOTH(int, vedette_any_equal, (const double *values, size_t count, uint64_t pattern), (values, count, pattern))
