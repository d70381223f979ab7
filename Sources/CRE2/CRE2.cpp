#include "CRE2.h"
#include <map>
#include <re2/re2.h>
#include <string>
#include <vector>

struct vedette_re2 {
    RE2 expression;
    std::map<int, std::string> names;
    vedette_re2(re2::StringPiece pattern, const RE2::Options &options) : expression(pattern, options) {
        if (expression.ok()) names = expression.CapturingGroupNames();
    }
};

extern "C" {

vedette_re2 *vedette_re2_compile(const char *pattern, size_t length, int foldCase, int64_t maximumMemoryBytes) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_case_sensitive(!foldCase);
    options.set_max_mem(maximumMemoryBytes);
    // Prometheus and Loki compile label matchers with (?s); callers write the flag themselves where they want it.
    options.set_never_nl(false);
    return new vedette_re2(re2::StringPiece(pattern, length), options);
}

void vedette_re2_free(vedette_re2 *expression) { delete expression; }

const char *vedette_re2_error(const vedette_re2 *expression) {
    return expression->expression.ok() ? nullptr : expression->expression.error().c_str();
}

int vedette_re2_error_code(const vedette_re2 *expression, const char **argument, size_t *argumentLength) {
    const std::string &piece = expression->expression.error_arg();
    *argument = piece.data();
    *argumentLength = piece.size();
    return expression->expression.error_code();
}

int vedette_re2_group_count(const vedette_re2 *expression) { return expression->expression.NumberOfCapturingGroups(); }

const char *vedette_re2_group_name(const vedette_re2 *expression, int index) {
    auto found = expression->names.find(index);
    return found == expression->names.end() ? nullptr : found->second.c_str();
}

int vedette_re2_matches(const vedette_re2 *expression, const char *text, size_t length, int anchored) {
    re2::StringPiece piece(text, length);
    return expression->expression.Match(
        piece, 0, length, anchored ? RE2::ANCHOR_BOTH : RE2::UNANCHORED, nullptr, 0);
}

int vedette_re2_find(
    const vedette_re2 *expression, const char *text, size_t length, size_t start, ptrdiff_t *spans, int groups) {
    if (start > length) return 0;
    re2::StringPiece piece(text, length);
    std::vector<re2::StringPiece> found(groups);
    if (!expression->expression.Match(piece, start, length, RE2::UNANCHORED, found.data(), groups)) return 0;
    for (int i = 0; i < groups; i++) {
        if (found[i].data() == nullptr) {
            spans[2 * i] = spans[2 * i + 1] = -1;
        } else {
            spans[2 * i] = found[i].data() - text;
            spans[2 * i + 1] = spans[2 * i] + (ptrdiff_t)found[i].size();
        }
    }
    return 1;
}
}
