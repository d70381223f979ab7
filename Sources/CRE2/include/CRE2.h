// RE2 behind C functions: the same syntax and linear time as Go's regexp, which Prometheus and Loki use.
#pragma once
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef struct vedette_re2 vedette_re2;

/// Compiles `pattern`; never NULL. Ask `vedette_re2_error` before any other use.
/// `maximumMemoryBytes` bounds the program and its caches.
vedette_re2 *vedette_re2_compile(const char *pattern, size_t length, int foldCase, int64_t maximumMemoryBytes);
void vedette_re2_free(vedette_re2 *expression);

/// The error text, or NULL when the expression compiled. It lives as long as the expression.
const char *vedette_re2_error(const vedette_re2 *expression);
/// RE2's error code, 0 for none; `argument` receives the offending piece of the pattern (not NUL-terminated).
int vedette_re2_error_code(const vedette_re2 *expression, const char **argument, size_t *argumentLength);

/// The number of capture groups, the whole match not counted.
int vedette_re2_group_count(const vedette_re2 *expression);
/// The name of group `index` (1-based), or NULL.
const char *vedette_re2_group_name(const vedette_re2 *expression, int index);

/// Whether all of `text` matches (anchored) or some part of it (not anchored).
int vedette_re2_matches(const vedette_re2 *expression, const char *text, size_t length, int anchored);

/// Finds the first match at or after `start`; fills `spans` with `groups` pairs of begin and end offsets
/// (-1, -1 for a group that took no part). The whole match is pair 0. Returns 0 when there is none.
int vedette_re2_find(
    const vedette_re2 *expression, const char *text, size_t length, size_t start, ptrdiff_t *spans, int groups);

#ifdef __cplusplus
}
#endif
