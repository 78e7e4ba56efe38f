/* SPDX-License-Identifier: ISC */
/*
 * endpoint - the handlers of the control API, one for each of its endpoints.
 *
 * daemon/control.c has the table of their paths; relayctl(8) says what each
 * takes and gives.
 *
 * Thread: main.
 */
#ifndef DAEMON_ENDPOINT_H
#define DAEMON_ENDPOINT_H

#include "daemon/call.h"

/* control_status.c */
call_step endpoint_status;

/* control_certificate.c */
call_step endpoint_certificates;
json_t *certificates_status(struct call *c);
json_t *certificates_refused(struct call *c);
json_t *certificates_listeners(struct call *c);

/* control_destination.c */
call_step endpoint_destinations;
call_step endpoint_probe;
call_step endpoint_suspend;
call_step endpoint_resume;

/* control_metrics.c */
call_step endpoint_metrics;
call_step endpoint_health;

/* control_list.c */
call_step endpoint_list;

/* control_summary.c */
call_step endpoint_summary;

/* control_verify.c */
call_step endpoint_verify;
call_step endpoint_check_queue;

/* control_import.c; c->rest is an id */
call_step endpoint_import;
call_step endpoint_import_body;
void imports_free(struct imports *all);  /* NULL is fine */

/* control_audit.c */
call_step endpoint_audit;

/* control_doctor.c */
call_step endpoint_check_tls;

/* control_exception.c */
call_step endpoint_exceptions;
call_step endpoint_exception_add;
call_step endpoint_exception_remove;

/* control_message.c; c->rest is "ID", "ID/raw", "ID/body",
 * "ID/explain" or "ID/export" */
call_step endpoint_message;

/* control_trace.c; c->rest is an id or a Message-ID */
call_step endpoint_trace;
/* by a filter */
call_step endpoint_trace_search;

/* control_change.c */
call_step endpoint_resubmit;
call_step endpoint_hold;
call_step endpoint_release;
call_step endpoint_remove;
call_step endpoint_extend;

/* control_admin.c */
call_step endpoint_reload;
call_step endpoint_log_level;

/* control_compare.c */
call_step endpoint_check_config;

#endif
