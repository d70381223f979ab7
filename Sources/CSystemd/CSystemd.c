#define _GNU_SOURCE
#include "CSystemd.h"

#include <dlfcn.h>
#include <pthread.h>

// The headers make sure that what is called is what libsystemd has.
#if __has_include(<systemd/sd-journal.h>)
#include <systemd/sd-journal.h>
#else
enum { SD_JOURNAL_LOCAL_ONLY = 1 << 0 };
int sd_journal_open(sd_journal **, int);
int sd_journal_open_directory(sd_journal **, const char *, int);
void sd_journal_close(sd_journal *);
int sd_journal_add_match(sd_journal *, const void *, size_t);
int sd_journal_seek_tail(sd_journal *);
int sd_journal_seek_head(sd_journal *);
int sd_journal_seek_cursor(sd_journal *, const char *);
int sd_journal_test_cursor(sd_journal *, const char *);
int sd_journal_next(sd_journal *);
int sd_journal_previous_skip(sd_journal *, uint64_t);
int sd_journal_get_realtime_usec(sd_journal *, uint64_t *);
int sd_journal_get_cursor(sd_journal *, char **);
void sd_journal_restart_data(sd_journal *);
int sd_journal_enumerate_data(sd_journal *, const void **, size_t *);
int sd_journal_set_data_threshold(sd_journal *, size_t);
int sd_journal_get_fd(sd_journal *);
int sd_journal_process(sd_journal *);
#endif

#define EACH_CALL(X)                                                                                                   \
    X(sd_journal_open)                                                                                                 \
    X(sd_journal_open_directory)                                                                                       \
    X(sd_journal_close)                                                                                                \
    X(sd_journal_add_match)                                                                                            \
    X(sd_journal_seek_tail)                                                                                            \
    X(sd_journal_seek_head)                                                                                            \
    X(sd_journal_seek_cursor)                                                                                          \
    X(sd_journal_test_cursor)                                                                                          \
    X(sd_journal_next)                                                                                                 \
    X(sd_journal_previous_skip)                                                                                        \
    X(sd_journal_get_realtime_usec)                                                                                    \
    X(sd_journal_get_cursor)                                                                                           \
    X(sd_journal_restart_data)                                                                                         \
    X(sd_journal_enumerate_data)                                                                                       \
    X(sd_journal_set_data_threshold)                                                                                   \
    X(sd_journal_get_fd)                                                                                               \
    X(sd_journal_process)

#define DECLARE(name) static __typeof__(name) *p_##name;
EACH_CALL(DECLARE)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *failure;

static void load(void) {
    void *image = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!image) {
        failure = "libsystemd.so.0 is not installed";
        return;
    }
#define FIND(name)                                                                                                     \
    p_##name = (__typeof__(name) *)dlsym(image, #name);                                                                \
    if (!p_##name) failure = "libsystemd.so.0 is too old: it lacks " #name;
    EACH_CALL(FIND)
}

const char *vedette_journal_load(void) {
    pthread_once(&once, load);
    return failure;
}

int vedette_journal_open(sd_journal **journal) { return p_sd_journal_open(journal, SD_JOURNAL_LOCAL_ONLY); }
int vedette_journal_open_folder(sd_journal **journal, const char *path) {
    return p_sd_journal_open_directory(journal, path, 0);
}
void vedette_journal_close(sd_journal *journal) { p_sd_journal_close(journal); }
int vedette_journal_add_match(sd_journal *journal, const void *data, size_t size) {
    return p_sd_journal_add_match(journal, data, size);
}
int vedette_journal_seek_tail(sd_journal *journal) { return p_sd_journal_seek_tail(journal); }
int vedette_journal_seek_head(sd_journal *journal) { return p_sd_journal_seek_head(journal); }
int vedette_journal_seek_cursor(sd_journal *journal, const char *cursor) {
    return p_sd_journal_seek_cursor(journal, cursor);
}
int vedette_journal_test_cursor(sd_journal *journal, const char *cursor) {
    return p_sd_journal_test_cursor(journal, cursor);
}
int vedette_journal_next(sd_journal *journal) { return p_sd_journal_next(journal); }
int vedette_journal_previous_skip(sd_journal *journal, uint64_t skip) {
    return p_sd_journal_previous_skip(journal, skip);
}
int vedette_journal_get_realtime(sd_journal *journal, uint64_t *microseconds) {
    return p_sd_journal_get_realtime_usec(journal, microseconds);
}
int vedette_journal_get_cursor(sd_journal *journal, char **cursor) { return p_sd_journal_get_cursor(journal, cursor); }
void vedette_journal_restart_data(sd_journal *journal) { p_sd_journal_restart_data(journal); }
int vedette_journal_enumerate_data(sd_journal *journal, const void **data, size_t *length) {
    return p_sd_journal_enumerate_data(journal, data, length);
}
int vedette_journal_set_data_threshold(sd_journal *journal, size_t bytes) {
    return p_sd_journal_set_data_threshold(journal, bytes);
}
int vedette_journal_get_descriptor(sd_journal *journal) { return p_sd_journal_get_fd(journal); }
int vedette_journal_process(sd_journal *journal) { return p_sd_journal_process(journal); }
