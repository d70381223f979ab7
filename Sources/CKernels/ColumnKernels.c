#include "ColumnKernels.h"
#include <string.h>

#if defined(__x86_64__)
#define WIDE __attribute__((target("avx2,bmi2,lzcnt")))
static int has_wide(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("lzcnt");
}
#else
#define WIDE
static int has_wide(void) { return 1; }
#endif
#include "WideKernels.h"

INLINE uint64_t load64(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

INLINE unsigned bit_length(uint64_t value) { return value ? 64 - (unsigned)__builtin_clzll(value) : 0; }

// MARK: bit packing

INLINE void vedette_unpack_body(const uint8_t *bytes, unsigned width, size_t count, int64_t base, int64_t *values) {
    if (width == 0) {
        for (size_t i = 0; i < count; i++) values[i] = base;
        return;
    }
    uint64_t mask = width == 64 ? ~0ull : (1ull << width) - 1;
    if (width <= 57) {
        // Eight values begin on a byte again: their places are known before they are read.
        size_t i = 0;
        for (; i + 8 <= count; i += 8, bytes += width) {
            for (unsigned k = 0; k < 8; k++) {
                unsigned bit = k * width;
                values[i + k] = (int64_t)((uint64_t)base + ((load64(bytes + (bit >> 3)) >> (bit & 7)) & mask));
            }
        }
        for (unsigned bit = 0; i < count; i++, bit += width)
            values[i] = (int64_t)((uint64_t)base + ((load64(bytes + (bit >> 3)) >> (bit & 7)) & mask));
        return;
    }
    size_t bit = 0;
    for (size_t i = 0; i < count; i++, bit += width) {
        unsigned shift = bit & 7;
        uint64_t value = load64(bytes + (bit >> 3)) >> shift;
        if (shift) value |= (uint64_t)bytes[(bit >> 3) + 8] << (64 - shift);
        values[i] = (int64_t)((uint64_t)base + (value & mask));
    }
}
BOTH_VOID(vedette_unpack, (const uint8_t *bytes, unsigned width, size_t count, int64_t base, int64_t *values),
          (bytes, width, count, base, values))

void vedette_pack(const uint64_t *values, size_t count, unsigned width, uint8_t *bytes) {
    if (width == 0) return;
    uint64_t mask = width == 64 ? ~0ull : (1ull << width) - 1;
    uint64_t word = 0;
    unsigned filled = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t kept = values[i] & mask;
        word |= kept << filled;
        filled += width;
        if (filled >= 64) {
            for (int k = 0; k < 8; k++) *bytes++ = (uint8_t)(word >> (8 * k));
            filled -= 64;
            word = filled ? kept >> (width - filled) : 0;
        }
    }
    for (; filled > 0; filled = filled > 8 ? filled - 8 : 0, word >>= 8) *bytes++ = (uint8_t)word;
}

// MARK: entropy decoding

INLINE void vedette_fill_codes_body(struct vedette_code *table, size_t count, struct vedette_code code) {
    for (size_t i = 0; i < count; i++) table[i] = code;
}
BOTH_VOID(vedette_fill_codes, (struct vedette_code *table, size_t count, struct vedette_code code),
          (table, count, code))

struct bit_ends {
    const uint8_t *front;
    const uint8_t *back;
    uint64_t front_bits;
    uint64_t back_bits;
};

INLINE int64_t unfold(uint64_t value, int mode, int64_t centre) {
    uint64_t distance = mode ? value : (value >> 1) ^ (0 - (value & 1));
    return (int64_t)((uint64_t)centre + distance);
}

INLINE uint64_t front_window(const struct bit_ends *ends) {
    return __builtin_bswap64(load64(ends->front + (ends->front_bits >> 3))) << (ends->front_bits & 7);
}

INLINE uint64_t back_window(const struct bit_ends *ends) {
    return load64(ends->back - 8 - (ends->back_bits >> 3)) << (ends->back_bits & 7);
}

// The value of the code at the top of `window`; `used` grows by its bits.
INLINE uint64_t take(uint64_t window, struct vedette_code code, uint64_t *used) {
    *used += code.length + code.extra;
    uint64_t rest = window << code.length;
    return ((uint64_t)code.lead << code.extra) | ((rest >> 1) >> (63 - code.extra));
}

INLINE int decode_plain(struct bit_ends ends, uint64_t total, const struct vedette_code *table, int mode,
                        int64_t centre, size_t count, int64_t *values) {
    size_t low = 0, high = count;
    while (low + 1 < high) {
        if (ends.front_bits + ends.back_bits > total) return -1;
        uint64_t front = front_window(&ends), back = back_window(&ends);
        struct vedette_code a = table[front >> (64 - VEDETTE_CODE_BITS)];
        struct vedette_code b = table[back >> (64 - VEDETTE_CODE_BITS)];
        values[low++] = unfold(take(front, a, &ends.front_bits), mode, centre);
        values[--high] = unfold(take(back, b, &ends.back_bits), mode, centre);
    }
    if (low < high) {
        if (ends.front_bits + ends.back_bits > total) return -1;
        uint64_t front = front_window(&ends);
        struct vedette_code a = table[front >> (64 - VEDETTE_CODE_BITS)];
        values[low] = unfold(take(front, a, &ends.front_bits), mode, centre);
    }
    return ends.front_bits + ends.back_bits > total ? -1 : 0;
}

INLINE int decode_runs(struct bit_ends ends, uint64_t total, const struct vedette_code *table, int mode,
                       int64_t centre, size_t count, int64_t *values) {
    size_t low = 0, high = count;
    int64_t zero = centre;
    for (size_t i = 0; i < count; i++) values[i] = zero;
    for (int turn = 0; low < high; turn ^= 1) {
        if (ends.front_bits + ends.back_bits > total) return -1;
        uint64_t window = turn ? back_window(&ends) : front_window(&ends);
        struct vedette_code code = table[window >> (64 - VEDETTE_CODE_BITS)];
        if (code.length == 0) return -1;
        uint64_t value = take(window, code, turn ? &ends.back_bits : &ends.front_bits);
        if (code.is_run) {
            if (value > high - low) return -1;
            if (turn) high -= value;
            else low += value;
        } else if (turn) {
            values[--high] = unfold(value, mode, centre);
        } else {
            values[low++] = unfold(value, mode, centre);
        }
    }
    return ends.front_bits + ends.back_bits > total ? -1 : 0;
}

INLINE int vedette_entropy_decode_body(const uint8_t *bytes, size_t length, const struct vedette_code *table,
                                       int has_runs, int mode, int64_t centre, size_t count, int64_t *values) {
    struct bit_ends ends = {bytes, bytes + length, 0, 0};
    uint64_t total = (uint64_t)length * 8;
    // The mode as a constant keeps a question out of the loops.
    if (has_runs)
        return mode ? decode_runs(ends, total, table, 1, centre, count, values)
                    : decode_runs(ends, total, table, 0, centre, count, values);
    return mode ? decode_plain(ends, total, table, 1, centre, count, values)
                : decode_plain(ends, total, table, 0, centre, count, values);
}
BOTH(int, vedette_entropy_decode,
     (const uint8_t *bytes, size_t length, const struct vedette_code *table, int has_runs, int mode, int64_t centre,
      size_t count, int64_t *values),
     (bytes, length, table, has_runs, mode, centre, count, values))

// MARK: sums

void vedette_sum(int64_t *values, size_t count, int64_t start) {
    uint64_t sum = (uint64_t)start;
    for (size_t i = 0; i < count; i++) {
        sum += (uint64_t)values[i];
        values[i] = (int64_t)sum;
    }
}

INLINE void vedette_add_body(int64_t *values, const int64_t *other, size_t count) {
    for (size_t i = 0; i < count; i++) values[i] = (int64_t)((uint64_t)values[i] + (uint64_t)other[i]);
}
BOTH_VOID(vedette_add, (int64_t *values, const int64_t *other, size_t count), (values, other, count))

// MARK: scaling

INLINE double scale_one(double integer, int scaling, double power) {
    switch (scaling) {
    case VEDETTE_MULTIPLY: return integer * power;
    case VEDETTE_THOUSANDTHS: return integer / 1000.0 / 1000.0;
    default: return integer / power;
    }
}

void vedette_scale_portable(const int64_t *values, size_t count, int64_t first, uint64_t divisor, int scaling,
                            double power, uint64_t *bits) {
    for (size_t i = 0; i < count; i++) {
        int64_t integer = (int64_t)((uint64_t)first + (uint64_t)values[i] * divisor);
        if (scaling == VEDETTE_BITS) {
            bits[i] = (uint64_t)integer;
            continue;
        }
        double value = scale_one((double)integer, scaling, power);
        memcpy(&bits[i], &value, 8);
    }
}

// Integers below 2^51 become doubles by adding and taking away 1.5 * 2^52, which needs no conversion instruction.
#define CONVERSION_LIMIT (1ll << 51)
#define CONVERSION_BITS 0x4338000000000000ull
#define CONVERSION 6755399441055744.0

INLINE double converted(int64_t value) {
    uint64_t pattern = (uint64_t)value + CONVERSION_BITS;
    double shifted;
    memcpy(&shifted, &pattern, 8);
    return shifted - CONVERSION;
}

#define SCALE_LOOP(expression)                                                                                         \
    for (size_t i = 0; i < count; i++) {                                                                               \
        double integer = converted(values[i]) * factor + offset;                                                       \
        double value = expression;                                                                                     \
        memcpy(&bits[i], &value, 8);                                                                                   \
    }

WIDE static int scale_wide(const int64_t *values, size_t count, int64_t first, uint64_t divisor, int scaling,
                           double power, uint64_t *bits) {
    uint64_t reach = 0;
    for (size_t i = 0; i < count; i++) reach |= (uint64_t)(values[i] ^ (values[i] >> 63));
    // Products and sums of integers below 2^53 are exact.
    if (scaling == VEDETTE_BITS || reach >= CONVERSION_LIMIT || divisor >= 1ull << 51 || first > 1ll << 52
        || first < -(1ll << 52) || bit_length(reach) + bit_length(divisor) > 52)
        return 0;
    double factor = (double)divisor, offset = (double)first;
    switch (scaling) {
    case VEDETTE_MULTIPLY: SCALE_LOOP(integer * power) break;
    case VEDETTE_THOUSANDTHS: SCALE_LOOP(integer / 1000.0 / 1000.0) break;
    default:
        if (power == 1.0) {
            SCALE_LOOP(integer)
        } else {
            SCALE_LOOP(integer / power)
        }
    }
    return 1;
}

void vedette_scale(const int64_t *values, size_t count, int64_t first, uint64_t divisor, int scaling, double power,
                   uint64_t *bits) {
    if (has_wide() && scale_wide(values, count, first, divisor, scaling, power, bits)) return;
    vedette_scale_portable(values, count, first, divisor, scaling, power, bits);
}

// MARK: whole packed columns

#define BLOCK_COUNT 128
#define PATCH_FLAG 0x80u

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

INLINE int read_varint(struct cursor *cursor, uint64_t *value) {
    uint64_t found = 0;
    for (unsigned shift = 0; shift < 64 && cursor->at < cursor->end; shift += 7) {
        uint8_t byte = *cursor->at++;
        found |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = found;
            return 1;
        }
    }
    return 0;
}

// A block as its head says it is.
struct block {
    const uint8_t *packed;
    unsigned width;
    unsigned patch_count;
    struct cursor patches;
    int64_t base;
};

// Reads the head of a block of `count` values and passes over its bytes; returns 0 when they cannot be right.
INLINE int read_head(struct cursor *cursor, size_t count, struct block *block) {
    if (cursor->at >= cursor->end) return 0;
    unsigned head = *cursor->at++;
    uint64_t base, high;
    block->width = head & ~PATCH_FLAG;
    if (block->width > 64 || !read_varint(cursor, &base)) return 0;
    block->base = (int64_t)((base >> 1) ^ (0 - (base & 1)));
    block->patch_count = 0;
    if (head & PATCH_FLAG) {
        if (block->width > 63 || cursor->at >= cursor->end) return 0;
        block->patch_count = *cursor->at++;
        block->patches = *cursor;
        for (unsigned i = 0; i < block->patch_count; i++) {
            if (cursor->at >= cursor->end || *cursor->at++ >= count || !read_varint(cursor, &high)) return 0;
        }
    }
    size_t packed = (count * block->width + 7) / 8;
    if ((size_t)(cursor->end - cursor->at) < packed) return 0;
    block->packed = cursor->at;
    cursor->at += packed;
    return 1;
}

// What becomes of the integers of a column.
struct target {
    int is_summed;
    const int64_t *reference;
    int64_t first;
    uint64_t divisor;
    int scaling;
    double power;
    uint64_t *bits;
    // Where the integers go as well; NULL where nobody wants them.
    int64_t *integers;
};

// Any block, integer by integer; `sum` is what the values before add up to.
static void decode_wide_block(struct block *block, size_t count, size_t done, const struct target *target, int64_t *sum) {
    int64_t values[BLOCK_COUNT];
    vedette_unpack(block->packed, block->width, count, block->base, values);
    for (unsigned i = 0; i < block->patch_count; i++) {
        unsigned index = *block->patches.at++;
        uint64_t high;
        if (read_varint(&block->patches, &high))
            values[index] = (int64_t)((uint64_t)values[index] + (high << block->width));
    }
    if (target->is_summed) {
        vedette_sum(values, count, *sum);
        *sum = values[count - 1];
    }
    if (target->reference) vedette_add(values, target->reference + done, count);
    if (target->integers) memcpy(target->integers + done, values, count * sizeof(int64_t));
    vedette_scale(values, count, target->first, target->divisor, target->scaling, target->power, target->bits + done);
}

#if defined(__x86_64__)
#include <immintrin.h>

// Values of more bits may reach over the four bytes that are looked at.
#define NARROW_WIDTH 25
#define NARROW __attribute__((target("avx2")))
#define NARROW_INLINE static inline __attribute__((always_inline, target("avx2")))

// Where eight values of one width are: bytes of each half, and the bits to drop.
static struct lanes {
    uint8_t bytes[32];
    uint32_t shift[8];
    uint32_t half;
} lanes[NARROW_WIDTH + 1];

__attribute__((constructor)) static void fill_lanes(void) {
    for (unsigned width = 0; width <= NARROW_WIDTH; width++) {
        struct lanes *one = &lanes[width];
        one->half = 4 * width / 8;
        for (unsigned k = 0; k < 8; k++) {
            unsigned start = k * width / 8 - (k < 4 ? 0 : one->half);
            one->shift[k] = k * width % 8;
            for (unsigned byte = 0; byte < 4; byte++) one->bytes[4 * k + byte] = (uint8_t)(start + byte);
        }
    }
}

NARROW_INLINE __m256d scaled(__m256d integer, int scaling, __m256d power) {
    switch (scaling) {
    case VEDETTE_MULTIPLY: return _mm256_mul_pd(integer, power);
    case VEDETTE_THOUSANDTHS:
        return _mm256_div_pd(_mm256_div_pd(integer, _mm256_set1_pd(1000.0)), _mm256_set1_pd(1000.0));
    case VEDETTE_DIVIDE: return _mm256_div_pd(integer, power);
    default: return integer;
    }
}

// The block as 32-bit integers, patched; returns 0 where they, or their sums, may not fit.
NARROW_INLINE int unpack_narrow(struct block *block, size_t count, int32_t *values) {
    if (block->width > NARROW_WIDTH || block->base > 1 << 23 || block->base < -(1 << 23)) return 0;
    uint64_t magnitude = (uint64_t)(block->base < 0 ? -block->base : block->base);
    uint64_t reach = BLOCK_COUNT * ((1ull << block->width) + magnitude), high;
    struct cursor patches = block->patches;
    for (unsigned i = 0; i < block->patch_count; i++) {
        patches.at++;
        if (!read_varint(&patches, &high) || high >= 1u << (31 - block->width)) return 0;
        reach += high << block->width;
    }
    if (reach >= 1u << 31) return 0;
    const struct lanes *one = &lanes[block->width];
    __m256i bytes = _mm256_loadu_si256((const __m256i *)one->bytes);
    __m256i shift = _mm256_loadu_si256((const __m256i *)one->shift);
    __m256i mask = _mm256_set1_epi32((int)((1u << block->width) - 1)), base = _mm256_set1_epi32((int)block->base);
    const uint8_t *at = block->packed;
    for (size_t i = 0; i < count; i += 8, at += block->width) {
        __m256i eight = _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)at)),
            _mm_loadu_si128((const __m128i *)(at + one->half)), 1);
        eight = _mm256_srlv_epi32(_mm256_shuffle_epi8(eight, bytes), shift);
        _mm256_storeu_si256((__m256i *)(values + i), _mm256_add_epi32(_mm256_and_si256(eight, mask), base));
    }
    patches = block->patches;
    for (unsigned i = 0; i < block->patch_count; i++) {
        unsigned index = *patches.at++;
        if (read_varint(&patches, &high)) values[index] += (int32_t)(high << block->width);
    }
    return 1;
}

// Eight running sums behind `carry`, the last of which becomes the next carry.
NARROW_INLINE __m256i summed(__m256i eight, __m256i *carry) {
    eight = _mm256_add_epi32(eight, _mm256_slli_si256(eight, 4));
    eight = _mm256_add_epi32(eight, _mm256_slli_si256(eight, 8));
    __m256i low = _mm256_shuffle_epi32(eight, 0xff);
    eight = _mm256_add_epi32(eight, _mm256_permute2x128_si256(low, low, 0x08));
    eight = _mm256_add_epi32(eight, *carry);
    *carry = _mm256_permutevar8x32_epi32(eight, _mm256_set1_epi32(7));
    return eight;
}

// Sums, adds the reference, scales. What is looked at beyond `count` is thrown away. Returns the bits that any integer
// had, or all where that cannot be told: the caller does it again the long way then.
NARROW_INLINE uint64_t finish_narrow(
    const int32_t *values, size_t count, size_t done, const struct target *target, int is_summed, int has_reference,
    int scaling, int64_t *sum) {
    const __m256i conversion = _mm256_set1_epi64x((long long)CONVERSION_BITS);
    const __m256d offset = _mm256_set1_pd(CONVERSION), power = _mm256_set1_pd(target->power);
    const __m256d factor = _mm256_set1_pd((double)target->divisor), first = _mm256_set1_pd((double)target->first);
    const __m256i before = _mm256_set1_epi64x(*sum), zero = _mm256_setzero_si256();
    __m256i carry = zero, reach = zero;
    double *out = (double *)(target->bits + done);
    for (size_t i = 0; i < count; i += 8) {
        __m256i eight = _mm256_loadu_si256((const __m256i *)(values + i));
        if (is_summed) eight = summed(eight, &carry);
        double tail[8];
        int is_whole = i + 8 <= count;
        for (int half = 0; half < 2; half++) {
            __m128i four = half ? _mm256_extracti128_si256(eight, 1) : _mm256_castsi256_si128(eight);
            __m256i integer = _mm256_cvtepi32_epi64(four);
            if (is_summed) integer = _mm256_add_epi64(integer, before);
            if (has_reference) {
                int64_t other[4] = {0};
                size_t start = i + 4 * (size_t)half;
                if (start + 4 <= count) {
                    integer = _mm256_add_epi64(
                        integer, _mm256_loadu_si256((const __m256i *)(target->reference + done + start)));
                } else {
                    for (size_t k = 0; start + k < count; k++) other[k] = target->reference[done + start + k];
                    integer = _mm256_add_epi64(integer, _mm256_loadu_si256((const __m256i *)other));
                }
                reach = _mm256_or_si256(reach, _mm256_xor_si256(integer, _mm256_cmpgt_epi64(zero, integer)));
            }
            if (target->integers) {
                size_t start = i + 4 * (size_t)half;
                if (start + 4 <= count) {
                    _mm256_storeu_si256((__m256i *)(target->integers + done + start), integer);
                } else {
                    int64_t rest[4];
                    _mm256_storeu_si256((__m256i *)rest, integer);
                    for (size_t k = 0; start + k < count; k++) target->integers[done + start + k] = rest[k];
                }
            }
            __m256d value = _mm256_sub_pd(_mm256_castsi256_pd(_mm256_add_epi64(integer, conversion)), offset);
            value = scaled(_mm256_add_pd(_mm256_mul_pd(value, factor), first), scaling, power);
            _mm256_storeu_pd((is_whole ? out + i : tail) + 4 * half, value);
        }
        if (!is_whole) memcpy(out + i, tail, (count - i) * sizeof(double));
    }
    if (is_summed) *sum += _mm256_extract_epi32(carry, 0);
    uint64_t bits[4];
    _mm256_storeu_si256((__m256i *)bits, reach);
    return bits[0] | bits[1] | bits[2] | bits[3];
}

// One loop for each way, so that none asks which it is.
#define FINISH(is_summed, has_reference)                                                                               \
    switch (scaling) {                                                                                                 \
    case VEDETTE_MULTIPLY:                                                                                             \
        return finish_narrow(values, count, done, target, is_summed, has_reference, VEDETTE_MULTIPLY, sum);            \
    case VEDETTE_THOUSANDTHS:                                                                                          \
        return finish_narrow(values, count, done, target, is_summed, has_reference, VEDETTE_THOUSANDTHS, sum);         \
    case VEDETTE_DIVIDE:                                                                                               \
        return finish_narrow(values, count, done, target, is_summed, has_reference, VEDETTE_DIVIDE, sum);              \
    default: return finish_narrow(values, count, done, target, is_summed, has_reference, -1, sum);                     \
    }

NARROW static uint64_t finish_block(
    const int32_t *values, size_t count, size_t done, const struct target *target, int64_t *sum) {
    int scaling = target->scaling == VEDETTE_DIVIDE && target->power == 1.0 ? -1 : target->scaling;
    if (target->reference) {
        FINISH(1, 1)
    } else if (target->is_summed) {
        FINISH(1, 0)
    } else {
        FINISH(0, 0)
    }
}

// A block whose values, sums and results are small enough to be exact in 32 bits, 64 bits and doubles.
NARROW static int decode_narrow_block(
    struct block *block, size_t count, size_t done, const struct target *target, int64_t *sum) {
    int32_t values[BLOCK_COUNT + 8];
    // Sums of a block stay below 2^31, those before it must too, but for some bits.
    int64_t before = *sum;
    uint64_t magnitude = (uint64_t)(before ^ (before >> 63));
    if (target->scaling == VEDETTE_BITS || (target->reference && !target->is_summed)) return 0;
    if (target->first > 1ll << 52 || target->first < -(1ll << 52)) return 0;
    unsigned room = 51 - bit_length(target->divisor);
    if (bit_length(target->divisor) > 20 || bit_length(magnitude | 1u << 31) + 1 > room) return 0;
    if (!unpack_narrow(block, count, values)) return 0;
    uint64_t reach = finish_block(values, count, done, target, sum);
    if (bit_length(reach) <= room) return 1;
    *sum = before;
    return 0;
}
#else
static int decode_narrow_block(
    struct block *block, size_t count, size_t done, const struct target *target, int64_t *sum) {
    return 0;
}
#endif

int vedette_decode_packed(const uint8_t *bytes, size_t length, size_t count, int is_summed, const int64_t *reference,
                          int64_t first, uint64_t divisor, int scaling, double power, uint64_t *bits,
                          int64_t *integers) {
    struct cursor cursor = {bytes, bytes + length};
    struct target target = {is_summed, reference, first, divisor, scaling, power, bits, integers};
    int64_t sum = 0;
    if (count == 0) return length == 0 ? 0 : -1;
    // The first value is known; the blocks begin behind it.
    vedette_scale_portable(&sum, 1, first, divisor, scaling, power, bits);
    if (integers) integers[0] = 0;
    int is_narrow = has_wide();
    for (size_t done = 1; done < count;) {
        size_t n = count - done < BLOCK_COUNT ? count - done : BLOCK_COUNT;
        struct block block;
        if (!read_head(&cursor, n, &block)) return -1;
        if (!is_narrow || !decode_narrow_block(&block, n, done, &target, &sum))
            decode_wide_block(&block, n, done, &target, &sum);
        done += n;
    }
    return cursor.at == cursor.end ? 0 : -1;
}

int vedette_decode_packed_portable(const uint8_t *bytes, size_t length, size_t count, int is_summed,
                                   const int64_t *reference, int64_t first, uint64_t divisor, int scaling,
                                   double power, uint64_t *bits) {
    struct cursor cursor = {bytes, bytes + length};
    struct target target = {is_summed, reference, first, divisor, scaling, power, bits, NULL};
    int64_t sum = 0;
    if (count == 0) return length == 0 ? 0 : -1;
    vedette_scale_portable(&sum, 1, first, divisor, scaling, power, bits);
    for (size_t done = 1; done < count;) {
        size_t n = count - done < BLOCK_COUNT ? count - done : BLOCK_COUNT;
        struct block block;
        if (!read_head(&cursor, n, &block)) return -1;
        decode_wide_block(&block, n, done, &target, &sum);
        done += n;
    }
    return cursor.at == cursor.end ? 0 : -1;
}

int vedette_integers_packed(const uint8_t *bytes, size_t length, size_t count, int is_summed, const int64_t *reference,
                            int64_t *values) {
    struct cursor cursor = {bytes, bytes + length};
    int64_t sum = 0;
    if (count == 0) return length == 0 ? 0 : -1;
    values[0] = 0;
    for (size_t done = 1; done < count;) {
        size_t n = count - done < BLOCK_COUNT ? count - done : BLOCK_COUNT;
        struct block block;
        if (!read_head(&cursor, n, &block)) return -1;
        vedette_unpack(block.packed, block.width, n, block.base, values + done);
        for (unsigned i = 0; i < block.patch_count; i++) {
            unsigned index = *block.patches.at++;
            uint64_t high;
            if (read_varint(&block.patches, &high))
                values[done + index] = (int64_t)((uint64_t)values[done + index] + (high << block.width));
        }
        if (is_summed) {
            vedette_sum(values + done, n, sum);
            sum = values[done + n - 1];
        }
        if (reference) vedette_add(values + done, reference + done, n);
        done += n;
    }
    return cursor.at == cursor.end ? 0 : -1;
}

// Doubles beyond this are not all integers of their own.
#define INTEGER_LIMIT 9007199254740992.0

size_t vedette_unscale(const uint64_t *bits, size_t count, int scaling, double power, double inverse, int64_t *values) {
    size_t misfits = 0;
    for (size_t i = 0; i < count; i++) {
        double value;
        memcpy(&value, &bits[i], 8);
        double scaled = value * inverse;
        int fits = scaled >= -INTEGER_LIMIT && scaled <= INTEGER_LIMIT;
        int64_t integer = 0;
        if (fits) {
            // Round to nearest by way of a number so large that its neighbours are integers.
            double rounded = scaled >= 0 ? (scaled + 4503599627370496.0) - 4503599627370496.0
                                         : (scaled - 4503599627370496.0) + 4503599627370496.0;
            if (scaled >= 4503599627370496.0 || scaled <= -4503599627370496.0) rounded = scaled;
            integer = (int64_t)rounded;
            double back = scale_one((double)integer, scaling, power);
            uint64_t pattern;
            memcpy(&pattern, &back, 8);
            fits = pattern == bits[i];
        }
        values[i] = fits ? integer : INT64_MIN;
        misfits += !fits;
    }
    return misfits;
}

// MARK: estimates

INLINE uint64_t vedette_difference_bits_body(const int64_t *values, const int64_t *other, size_t count, size_t step) {
    uint64_t total = 0;
    for (size_t i = 1; i < count; i += step) {
        uint64_t difference = (uint64_t)values[i] - (uint64_t)values[i - 1] - (uint64_t)other[i] + (uint64_t)other[i - 1];
        total += bit_length((difference << 1) ^ (uint64_t)((int64_t)difference >> 63));
    }
    return total;
}
BOTH(uint64_t, vedette_difference_bits, (const int64_t *values, const int64_t *other, size_t count, size_t step),
     (values, other, count, step))

INLINE void vedette_count_classes_body(const int64_t *values, size_t count, int mode, int64_t centre, uint32_t *counts) {
    for (size_t i = 0; i < count; i++) {
        uint64_t distance = (uint64_t)values[i] - (uint64_t)centre;
        uint64_t folded = mode ? distance : (distance << 1) ^ (uint64_t)((int64_t)distance >> 63);
        unsigned length = bit_length(folded);
        unsigned symbol = length < 2 ? length : 2 * (length - 1) + (unsigned)((folded >> (length - 2)) & 1);
        counts[symbol]++;
    }
}
BOTH_VOID(vedette_count_classes, (const int64_t *values, size_t count, int mode, int64_t centre, uint32_t *counts),
          (values, count, mode, centre, counts))

uint64_t vedette_or_of_differences(const int64_t *values, size_t count) {
    uint64_t all = 0;
    for (size_t i = 1; i < count; i++) all |= (uint64_t)values[i] - (uint64_t)values[0];
    return all;
}
