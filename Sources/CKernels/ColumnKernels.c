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
#define INLINE static inline __attribute__((always_inline))

// Two compilations of one body: for this processor's vectors where it has them, and for any.
#define BOTH(type, name, parameters, arguments)                                                                        \
    WIDE static type name##_wide parameters { return name##_body arguments; }                                          \
    static type name##_any parameters { return name##_body arguments; }                                                \
    type name parameters { return has_wide() ? name##_wide arguments : name##_any arguments; }
#define BOTH_VOID(name, parameters, arguments)                                                                         \
    WIDE static void name##_wide parameters { name##_body arguments; }                                                 \
    static void name##_any parameters { name##_body arguments; }                                                       \
    void name parameters {                                                                                             \
        if (has_wide()) name##_wide arguments;                                                                         \
        else name##_any arguments;                                                                                     \
    }

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

// Reads one block into `block`; returns 0 when the bytes cannot be right.
INLINE int read_block(struct cursor *cursor, size_t count, int64_t *block) {
    if (cursor->at >= cursor->end) return 0;
    unsigned head = *cursor->at++, width = head & ~PATCH_FLAG;
    uint64_t base, high;
    if (width > 64 || !read_varint(cursor, &base)) return 0;
    base = (base >> 1) ^ (0 - (base & 1));
    unsigned patch_count = 0;
    struct cursor patches = *cursor;
    if (head & PATCH_FLAG) {
        if (width > 63 || cursor->at >= cursor->end) return 0;
        patch_count = *cursor->at++;
        patches = *cursor;
        for (unsigned i = 0; i < patch_count; i++) {
            if (cursor->at >= cursor->end || *cursor->at++ >= count || !read_varint(cursor, &high)) return 0;
        }
    }
    size_t packed = (count * width + 7) / 8;
    if ((size_t)(cursor->end - cursor->at) < packed) return 0;
    vedette_unpack(cursor->at, width, count, (int64_t)base, block);
    cursor->at += packed;
    for (unsigned i = 0; i < patch_count; i++) {
        unsigned index = *patches.at++;
        if (read_varint(&patches, &high)) block[index] = (int64_t)((uint64_t)block[index] + (high << width));
    }
    return 1;
}

int vedette_decode_packed(const uint8_t *bytes, size_t length, size_t count, int is_summed, const int64_t *reference,
                          int64_t first, uint64_t divisor, int scaling, double power, uint64_t *bits) {
    struct cursor cursor = {bytes, bytes + length};
    int64_t block[BLOCK_COUNT] = {0};
    if (count == 0) return length == 0 ? 0 : -1;
    // The first value is known; the blocks begin behind it.
    vedette_scale(block, 1, first, divisor, scaling, power, bits);
    int64_t sum = 0;
    for (size_t done = 1; done < count;) {
        size_t n = count - done < BLOCK_COUNT ? count - done : BLOCK_COUNT;
        if (!read_block(&cursor, n, block)) return -1;
        if (is_summed) {
            vedette_sum(block, n, sum);
            sum = block[n - 1];
        }
        if (reference) vedette_add(block, reference + done, n);
        vedette_scale(block, n, first, divisor, scaling, power, bits + done);
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
