#define _GNU_SOURCE
#include "CSystemd.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if __has_include(<systemd/sd-bus.h>)
#include <systemd/sd-bus.h>
#else
typedef struct sd_bus sd_bus;
typedef struct sd_bus_slot sd_bus_slot;
typedef struct sd_bus_message sd_bus_message;
typedef struct {
    const char *name;
    const char *message;
    int _need_free;
} sd_bus_error;
typedef int (*sd_bus_message_handler_t)(sd_bus_message *, void *, sd_bus_error *);
int sd_bus_new(sd_bus **);
int sd_bus_set_address(sd_bus *, const char *);
int sd_bus_set_bus_client(sd_bus *, int);
int sd_bus_start(sd_bus *);
int sd_bus_open_system(sd_bus **);
sd_bus *sd_bus_flush_close_unref(sd_bus *);
int sd_bus_get_fd(sd_bus *);
int sd_bus_process(sd_bus *, sd_bus_message **);
int sd_bus_set_method_call_timeout(sd_bus *, uint64_t);
int sd_bus_match_signal(sd_bus *, sd_bus_slot **, const char *, const char *, const char *, const char *,
                        sd_bus_message_handler_t, void *);
int sd_bus_call_method(sd_bus *, const char *, const char *, const char *, const char *, sd_bus_error *,
                       sd_bus_message **, const char *, ...);
int sd_bus_get_property_string(sd_bus *, const char *, const char *, const char *, const char *, sd_bus_error *,
                               char **);
int sd_bus_path_decode(const char *, const char *, char **);
const char *sd_bus_message_get_path(sd_bus_message *);
int sd_bus_message_read_basic(sd_bus_message *, char, void *);
int sd_bus_message_enter_container(sd_bus_message *, char, const char *);
int sd_bus_message_exit_container(sd_bus_message *);
int sd_bus_message_skip(sd_bus_message *, const char *);
void sd_bus_error_free(sd_bus_error *);
#endif

#define EACH_CALL(X)                                                                                                   \
    X(sd_bus_new)                                                                                                      \
    X(sd_bus_set_address)                                                                                              \
    X(sd_bus_set_bus_client)                                                                                           \
    X(sd_bus_start)                                                                                                    \
    X(sd_bus_open_system)                                                                                              \
    X(sd_bus_flush_close_unref)                                                                                        \
    X(sd_bus_get_fd)                                                                                                   \
    X(sd_bus_process)                                                                                                  \
    X(sd_bus_set_method_call_timeout)                                                                                  \
    X(sd_bus_match_signal)                                                                                             \
    X(sd_bus_call_method)                                                                                              \
    X(sd_bus_get_property_string)                                                                                      \
    X(sd_bus_path_decode)                                                                                              \
    X(sd_bus_message_get_path)                                                                                         \
    X(sd_bus_message_read_basic)                                                                                       \
    X(sd_bus_message_enter_container)                                                                                  \
    X(sd_bus_message_exit_container)                                                                                   \
    X(sd_bus_message_skip)                                                                                             \
    X(sd_bus_error_free)

#define DECLARE(name) static __typeof__(name) *p_##name;
EACH_CALL(DECLARE)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int is_missing;

static void load(void) {
    void *image = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!image) {
        is_missing = 1;
        return;
    }
#define FIND(name)                                                                                                     \
    p_##name = (__typeof__(name) *)dlsym(image, #name);                                                                \
    if (!p_##name) is_missing = 1;
    EACH_CALL(FIND)
}

static const char systemd[] = "org.freedesktop.systemd1";
static const char units_path[] = "/org/freedesktop/systemd1/unit";

/// Paths of units that failed and were not handed out yet; a burst beyond this is told by the journal alone.
enum { waiting_maximum = 64 };

struct vedette_units {
    sd_bus *bus;
    char *waiting[waiting_maximum];
    int count;
};

static int note_change(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    struct vedette_units *units = userdata;
    (void)error;
    const char *interface = NULL, *key = NULL, *state = NULL;
    if (p_sd_bus_message_read_basic(message, 's', &interface) < 0) return 0;
    if (strcmp(interface, "org.freedesktop.systemd1.Unit") != 0) return 0;
    if (p_sd_bus_message_enter_container(message, 'a', "{sv}") <= 0) return 0;
    while (p_sd_bus_message_enter_container(message, 'e', "sv") > 0) {
        if (p_sd_bus_message_read_basic(message, 's', &key) < 0) return 0;
        if (strcmp(key, "ActiveState") == 0) {
            if (p_sd_bus_message_enter_container(message, 'v', "s") <= 0) return 0;
            if (p_sd_bus_message_read_basic(message, 's', &state) < 0) return 0;
            p_sd_bus_message_exit_container(message);
        } else if (p_sd_bus_message_skip(message, "v") < 0) {
            return 0;
        }
        p_sd_bus_message_exit_container(message);
    }
    const char *path = p_sd_bus_message_get_path(message);
    if (state && strcmp(state, "failed") == 0 && path && units->count < waiting_maximum) {
        char *copy = strdup(path);
        if (copy) units->waiting[units->count++] = copy;
    }
    return 0;
}

int vedette_units_open(vedette_units **result, const char *address) {
    pthread_once(&once, load);
    if (is_missing) return -ENOSYS;
    struct vedette_units *units = calloc(1, sizeof *units);
    if (!units) return -ENOMEM;
    int code;
    if (address) {
        code = p_sd_bus_new(&units->bus);
        if (code >= 0) code = p_sd_bus_set_address(units->bus, address);
        if (code >= 0) code = p_sd_bus_set_bus_client(units->bus, 1);
        if (code >= 0) code = p_sd_bus_start(units->bus);
    } else {
        code = p_sd_bus_open_system(&units->bus);
    }
    // A bus that hangs must not stop the thread that collects.
    if (code >= 0) code = p_sd_bus_set_method_call_timeout(units->bus, 500000);
    if (code >= 0)
        code = p_sd_bus_match_signal(units->bus, NULL, systemd, NULL, "org.freedesktop.DBus.Properties",
                                     "PropertiesChanged", note_change, units);
    sd_bus_error error = {0};
    if (code >= 0)
        code = p_sd_bus_call_method(units->bus, systemd, "/org/freedesktop/systemd1",
                                    "org.freedesktop.systemd1.Manager", "Subscribe", &error, NULL, "");
    p_sd_bus_error_free(&error);
    if (code < 0) {
        vedette_units_close(units);
        return code;
    }
    *result = units;
    return 0;
}

void vedette_units_close(vedette_units *units) {
    if (units->bus) p_sd_bus_flush_close_unref(units->bus);
    for (int i = 0; i < units->count; i++) free(units->waiting[i]);
    free(units);
}

int vedette_units_get_descriptor(vedette_units *units) { return p_sd_bus_get_fd(units->bus); }

int vedette_units_next(vedette_units *units, char *unit, size_t unit_size, char *result, size_t result_size) {
    while (units->count == 0) {
        int code = p_sd_bus_process(units->bus, NULL);
        if (code < 0) return code;
        if (code == 0 && units->count == 0) return 0;
    }
    char *path = units->waiting[0];
    memmove(units->waiting, units->waiting + 1, sizeof units->waiting[0] * (size_t)--units->count);
    char *name = NULL, *word = NULL;
    result[0] = 0;
    unit[0] = 0;
    if (p_sd_bus_path_decode(path, units_path, &name) > 0) {
        snprintf(unit, unit_size, "%s", name);
        sd_bus_error error = {0};
        size_t length = strlen(name);
        if (length > 8 && strcmp(name + length - 8, ".service") == 0 &&
            p_sd_bus_get_property_string(units->bus, systemd, path, "org.freedesktop.systemd1.Service", "Result",
                                         &error, &word) >= 0)
            snprintf(result, result_size, "%s", word);
        p_sd_bus_error_free(&error);
    }
    free(word);
    free(name);
    free(path);
    return unit[0] ? 1 : vedette_units_next(units, unit, unit_size, result, result_size);
}
