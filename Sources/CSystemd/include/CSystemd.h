// Reading the system's journal through libsystemd, which is opened when it is first needed: the binary starts where
// there is none, and the source says so. Every call but vedette_journal_load wants that to have returned NULL.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef struct sd_journal sd_journal;

/// Opens libsystemd.so.0 once. NULL when it is usable, else why not. Thread-safe.
const char *vedette_journal_load(void);

/// The calls of sd-journal(3), one for one; errors are negative errno values.
int vedette_journal_open(sd_journal **journal);
int vedette_journal_open_folder(sd_journal **journal, const char *path);
void vedette_journal_close(sd_journal *journal);
int vedette_journal_add_match(sd_journal *journal, const void *data, size_t size);
int vedette_journal_seek_tail(sd_journal *journal);
int vedette_journal_seek_head(sd_journal *journal);
int vedette_journal_seek_cursor(sd_journal *journal, const char *cursor);
int vedette_journal_test_cursor(sd_journal *journal, const char *cursor);
int vedette_journal_next(sd_journal *journal);
int vedette_journal_previous_skip(sd_journal *journal, uint64_t skip);
int vedette_journal_get_realtime(sd_journal *journal, uint64_t *microseconds);
/// The cursor of the current entry; free(3) it.
int vedette_journal_get_cursor(sd_journal *journal, char **cursor);
void vedette_journal_restart_data(sd_journal *journal);
/// The next field of the current entry as NAME=value; 0 behind the last one.
int vedette_journal_enumerate_data(sd_journal *journal, const void **data, size_t *length);
int vedette_journal_set_data_threshold(sd_journal *journal, size_t bytes);
int vedette_journal_get_descriptor(sd_journal *journal);
int vedette_journal_process(sd_journal *journal);

/// A watch over units that fail, as systemd tells on the bus. For one thread.
typedef struct vedette_units vedette_units;

/// Connects to the bus at `address`, or to the system's own where that is NULL, and subscribes to systemd's signals.
/// A negative errno value where there is no library, no bus, or no systemd.
int vedette_units_open(vedette_units **units, const char *address);
void vedette_units_close(vedette_units *units);
/// Readable when something may have happened.
int vedette_units_get_descriptor(vedette_units *units);
/// Takes in what came and copies the next failure: the unit's name and systemd's word for its result (may be empty).
/// 1 for a failure, 0 when there is none, a negative errno value when the bus is gone.
int vedette_units_next(vedette_units *units, char *unit, size_t unit_size, char *result, size_t result_size);
