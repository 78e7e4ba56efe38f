/* SPDX-License-Identifier: ISC */
/*
 * command - what every command of relayctl works with, and the commands.
 *
 * A command prints to standard output, complains with complain(), and returns
 * the exit status.
 *
 * Thread: none.
 */
#ifndef CTL_COMMAND_H
#define CTL_COMMAND_H

#include "ctl/args.h"

enum exit_code {
	EXIT_DONE = 0,
	EXIT_REFUSED = 1,                /* or a check found something */
	EXIT_USAGE = 2,
	EXIT_NO_DAEMON = 3,
	EXIT_NOTHING = 4,                /* matched a verb that changes mail */
};

struct context {
	struct client *client;           /* borrowed */
	struct args args;
	unsigned width;                  /* of the terminal; 0: no limit */
	int64_t now_ms;
};

typedef int command_run(struct context *x);

/* "relayctl: text" on standard error, escaped. */
void complain(const char *fmt, ...) PRINTF(1, 2);
/* Complains of what went wrong, if anything did; the exit status. */
int report(const struct answer *a);

/* "" for what is missing or no string. */
const char *text_of(const json_t *object, const char *key);
int64_t number_of(const json_t *object, const char *key);        /* or 0 */
int64_t time_of(const json_t *object, const char *key);          /* or 0 */
/* Prints an object as --json does. */
void print_json(const json_t *object);
/* A sink's line that prints it as it is. */
bool print_json_line(void *arg, const json_t *object, struct span text);

struct table;
/* Until when a destination is suspended, and why, if it is. */
void note_suspension(struct table *t, const json_t *destination, int64_t now_ms);

/* ctl/status.c */
command_run run_status;
/* ctl/queue.c */
command_run run_queue_list;
command_run run_queue_summary;
/* ctl/show.c */
command_run run_queue_show;
/* ctl/explain.c */
command_run run_queue_explain;
/* ctl/trace.c */
command_run run_trace;
/* ctl/change.c */
command_run run_resubmit;
command_run run_hold;
command_run run_release;
command_run run_remove;
command_run run_extend;
/* ctl/destination.c */
command_run run_destination_list;
command_run run_destination_probe;
command_run run_destination_suspend;
command_run run_destination_resume;
/* ctl/doctor.c */
command_run run_check_tls;
/* ctl/exception.c */
command_run run_exception_add;
command_run run_exception_list;
command_run run_exception_remove;
/* A table of them, if there are any. */
void print_exceptions(const struct context *x, const json_t *list);
/* ctl/export.c */
command_run run_queue_export;
/* ctl/import.c */
command_run run_queue_import;
/* ctl/verify.c */
command_run run_queue_verify;
command_run run_check_queue;
/* ctl/audit.c */
command_run run_audit;
/* ctl/cert.c */
command_run run_cert_list;
/* What somebody has to do about a certificate; NULL: nothing, it will last. */
const char *certificate_remedy(const json_t *cert);
/* "12", or "EXPIRED". */
void certificate_left(char out[32], const json_t *cert);
/* ctl/admin.c */
command_run run_reload;
command_run run_log_level;
/* ctl/compare.c */
command_run run_check_config;

#endif
