#include "ResidentKernels.h"
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define WIDE __attribute__((target("avx2")))
#define WIDE_INLINE static inline __attribute__((always_inline, target("avx2")))
static int has_wide(void) { return __builtin_cpu_supports("avx2"); }
#endif
#define INLINE static inline __attribute__((always_inline))

// MARK: storing

static unsigned width_of(uint64_t reach) {
    // One bit more for the sign.
    if (reach < 1u << 7) return 1;
    if (reach < 1u << 15) return 2;
    // Eight of them must add up to no more than 31 bits.
    return reach < 1u << 28 ? 4 : 8;
}

INLINE uint64_t folded(int64_t value) { return (uint64_t)(value ^ (value >> 63)); }

void vedette_resident_widths(const int64_t *values, size_t count, unsigned *offsets, unsigned *differences,
                             uint64_t *reach) {
    uint64_t all = 0, steps = 0;
    for (size_t i = 0; i < count; i++) all |= folded(values[i]);
    for (size_t i = 1; i < count; i++) steps |= folded((int64_t)((uint64_t)values[i] - (uint64_t)values[i - 1]));
    *offsets = width_of(all);
    *differences = width_of(steps);
    *reach = all;
}

#define STORE(type)                                                                                                    \
    for (size_t i = 0; i < count; i++) {                                                                               \
        uint64_t before = is_summed && i > 0 ? (uint64_t)values[i - 1] : 0;                                            \
        type kept = (type)((uint64_t)values[i] - before);                                                              \
        memcpy(bytes + i * sizeof(type), &kept, sizeof(type));                                                         \
    }

void vedette_resident_store(const int64_t *values, size_t count, int is_summed, unsigned width, uint8_t *bytes) {
    switch (width) {
    case 1: STORE(int8_t) break;
    case 2: STORE(int16_t) break;
    case 4: STORE(int32_t) break;
    default: STORE(int64_t)
    }
}

// MARK: reading, value by value

#define LOAD(type)                                                                                                     \
    {                                                                                                                  \
        type value;                                                                                                    \
        memcpy(&value, bytes + i * sizeof(type), sizeof(type));                                                        \
        return (int64_t)value;                                                                                         \
    }

INLINE int64_t load(const uint8_t *bytes, unsigned width, size_t i) {
    switch (width) {
    case 1: LOAD(int8_t)
    case 2: LOAD(int16_t)
    case 4: LOAD(int32_t)
    default: LOAD(int64_t)
    }
}

INLINE int64_t sum_of(const uint8_t *bytes, unsigned width, size_t count) {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += (uint64_t)load(bytes, width, i);
    return (int64_t)sum;
}

// One loop for each width.
#define BY_WIDTH(expression)                                                                                           \
    switch (column->width) {                                                                                           \
    case 1: expression(1) break;                                                                                       \
    case 2: expression(2) break;                                                                                       \
    case 4: expression(4) break;                                                                                       \
    default: expression(8)                                                                                             \
    }

static int64_t sum_before(const struct vedette_resident *column, size_t from) {
    if (!column->is_summed) return 0;
#define SUM(width) return sum_of(column->bytes, width, from);
    BY_WIDTH(SUM)
}

INLINE uint64_t scaled_bits(const struct vedette_resident *column, int64_t value) {
    int64_t integer = (int64_t)((uint64_t)column->first + (uint64_t)value * column->divisor);
    if (column->scaling == VEDETTE_BITS) return (uint64_t)integer;
    double result = (double)integer;
    switch (column->scaling) {
    case VEDETTE_MULTIPLY: result = result * column->power; break;
    case VEDETTE_THOUSANDTHS: result = result / 1000.0 / 1000.0; break;
    default: result = result / column->power;
    }
    uint64_t bits;
    memcpy(&bits, &result, 8);
    return bits;
}

void vedette_resident_decode_portable(const struct vedette_resident *column, size_t from, size_t to, uint64_t *bits) {
    uint64_t sum = (uint64_t)sum_before(column, from);
    for (size_t i = from; i < to; i++) {
        uint64_t value = (uint64_t)load(column->bytes, column->width, i);
        if (column->is_summed) value = sum += value;
        bits[i - from] = scaled_bits(column, (int64_t)value);
    }
}

void vedette_resident_integers(const struct vedette_resident *column, size_t count, int64_t *values) {
    uint64_t sum = 0;
#define INTEGERS(width)                                                                                                \
    for (size_t i = 0; i < count; i++) {                                                                               \
        uint64_t value = (uint64_t)load(column->bytes, width, i);                                                      \
        values[i] = (int64_t)(column->is_summed ? (sum += value) : value);                                             \
    }
    BY_WIDTH(INTEGERS)
}

void vedette_resident_add(const uint8_t *bytes, unsigned width, size_t from, size_t to, uint64_t *bits) {
    for (size_t i = from; i < to; i++) bits[i - from] += (uint64_t)load(bytes, width, i);
}

// MARK: reading, eight values at a time

#if defined(__x86_64__)
WIDE_INLINE __m256i widened(const uint8_t *bytes, unsigned width, size_t i) {
    switch (width) {
    case 1: return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(bytes + i)));
    case 2: return _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(bytes + 2 * i)));
    default: return _mm256_loadu_si256((const __m256i *)(bytes + 4 * i));
    }
}

// Each of eight integers, and those before it.
WIDE_INLINE __m256i running_sums(__m256i eight) {
    eight = _mm256_add_epi32(eight, _mm256_slli_si256(eight, 4));
    eight = _mm256_add_epi32(eight, _mm256_slli_si256(eight, 8));
    __m256i low = _mm256_shuffle_epi32(eight, 0xff);
    return _mm256_add_epi32(eight, _mm256_permute2x128_si256(low, low, 0x08));
}

// Integers below 2^51 become doubles by adding and taking away 1.5 * 2^52.
WIDE_INLINE __m256d converted(__m256i integers) {
    const __m256i pattern = _mm256_set1_epi64x(0x4338000000000000ll);
    return _mm256_sub_pd(_mm256_castsi256_pd(_mm256_add_epi64(integers, pattern)), _mm256_set1_pd(6755399441055744.0));
}

WIDE_INLINE __m256d scaled(__m256d value, int scaling, __m256d power) {
    switch (scaling) {
    case VEDETTE_MULTIPLY: return _mm256_mul_pd(value, power);
    case VEDETTE_THOUSANDTHS:
        return _mm256_div_pd(_mm256_div_pd(value, _mm256_set1_pd(1000.0)), _mm256_set1_pd(1000.0));
    case VEDETTE_DIVIDE: return _mm256_div_pd(value, power);
    default: return value;
    }
}

WIDE_INLINE void decode_eights(const struct vedette_resident *column, unsigned width, int is_summed, int scaling,
                               size_t from, size_t to, uint64_t *bits) {
    const __m256d factor = _mm256_set1_pd((double)column->divisor), first = _mm256_set1_pd((double)column->first);
    const __m256d power = _mm256_set1_pd(column->power);
    __m256i carry = _mm256_set1_epi64x(is_summed ? sum_of(column->bytes, width, from) : 0);
    double *out = (double *)bits;
    for (size_t i = from; i < to; i += 8, out += 8) {
        __m256i eight = widened(column->bytes, width, i);
        if (is_summed) eight = running_sums(eight);
        __m256i low = _mm256_cvtepi32_epi64(_mm256_castsi256_si128(eight));
        __m256i high = _mm256_cvtepi32_epi64(_mm256_extracti128_si256(eight, 1));
        if (is_summed) {
            low = _mm256_add_epi64(low, carry);
            high = _mm256_add_epi64(high, carry);
            carry = _mm256_permute4x64_epi64(high, 0xff);
        }
        __m256d a = _mm256_add_pd(_mm256_mul_pd(converted(low), factor), first);
        __m256d b = _mm256_add_pd(_mm256_mul_pd(converted(high), factor), first);
        a = scaled(a, scaling, power);
        b = scaled(b, scaling, power);
        if (i + 8 <= to) {
            _mm256_storeu_pd(out, a);
            _mm256_storeu_pd(out + 4, b);
        } else {
            double rest[8];
            _mm256_storeu_pd(rest, a);
            _mm256_storeu_pd(rest + 4, b);
            memcpy(out, rest, (to - i) * sizeof(double));
        }
    }
}

// One loop for each way, so that none asks which it is.
#define BY_SCALING(width, is_summed)                                                                                   \
    switch (scaling) {                                                                                                 \
    case VEDETTE_MULTIPLY: decode_eights(column, width, is_summed, VEDETTE_MULTIPLY, from, to, bits); return;          \
    case VEDETTE_THOUSANDTHS: decode_eights(column, width, is_summed, VEDETTE_THOUSANDTHS, from, to, bits); return;    \
    case VEDETTE_DIVIDE: decode_eights(column, width, is_summed, VEDETTE_DIVIDE, from, to, bits); return;              \
    default: decode_eights(column, width, is_summed, -1, from, to, bits); return;                                      \
    }
#define BY_SUMMED(width)                                                                                               \
    if (column->is_summed) BY_SCALING(width, 1) else BY_SCALING(width, 0)

WIDE static void decode_wide(const struct vedette_resident *column, size_t from, size_t to, uint64_t *bits) {
    int scaling = column->scaling == VEDETTE_DIVIDE && column->power == 1.0 ? -1 : column->scaling;
    switch (column->width) {
    case 1: BY_SUMMED(1)
    case 2: BY_SUMMED(2)
    default: BY_SUMMED(4)
    }
}
#endif

void vedette_resident_decode(const struct vedette_resident *column, size_t from, size_t to, uint64_t *bits) {
#if defined(__x86_64__)
    if (column->is_exact && column->width < 8 && column->scaling != VEDETTE_BITS && has_wide()) {
        decode_wide(column, from, to, bits);
        return;
    }
#endif
    vedette_resident_decode_portable(column, from, to, bits);
}
