#pragma once
// For kernels that are compiled twice. A file that includes this defines before it WIDE, the attribute of the
// compilation for this processor's vectors, and has_wide(), whether it has them.

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
