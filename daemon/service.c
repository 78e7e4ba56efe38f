/* SPDX-License-Identifier: ISC */
/*
 * service - starts, reloads and stops the parts of the relay in order.
 *
 * What the order is for:
 *  - struct relay names every worker before a thread runs that might look
 *    there; a worker's thread, which accepts, comes after the dispatcher;
 *  - the certificates are read after root was given up, so that what could be
 *    started can be reloaded;
 *  - the dispatcher stops to give out before the workers stop, and ends after
 *    them, because their deliveries come back to it; until then it answers
 *    operators, and so has words for workers whose threads have ended; the
 *    writer's thread ends last, so that whatever they settled becomes durable.
 */
#include "daemon/service.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/fault.h"
#include "daemon/alarm.h"
#include "daemon/certificates.h"
#include "daemon/control.h"
#include "daemon/crl_fetch.h"
#include "daemon/dispatch.h"
#include "daemon/login.h"
#include "daemon/mirror.h"
#include "daemon/notify.h"
#include "daemon/privs.h"
#include "daemon/recover.h"
#include "daemon/renewal.h"
#include "daemon/scrape.h"
#include "daemon/settings.h"
#include "daemon/sockets.h"
#include "daemon/stats.h"
#include "daemon/status.h"
#include "daemon/watchdog.h"
#include "daemon/worker.h"

enum {
	COMMIT_MAX_OPS = 512,
	COMMIT_MAX_BYTES = 16 * 1024 * 1024,
	STATUS_EVERY_S = 10,
	RATED_CLIENTS_MAX = 65536, /* some 7 MiB for each rate, at the most */
	LOOKUP_TIMEOUT_MS = 20 * 1000,
};

enum signal_kind { ON_TERM, ON_INT, ON_HUP, ON_USR1, SIGNAL_KINDS };

struct service {
	struct service_conf conf;
	struct relay relay;
	struct snapshot *snapshot; /* today's; owned reference */
	struct event_base *base;
	struct event *signals[SIGNAL_KINDS];
	struct event *mail_event, *status_tick;
	struct control *control;
	struct scrape *scrape; /* NULL: metrics are not served */
	struct watchdog *watchdog;
	struct renewal *renewal;
	struct mirror *mirror;
	struct status_asker *status_line; /* for the log */
	struct status_asker *status_told; /* for the service manager */
	int64_t started_mono_ms;

	bool dispatching; /* its thread runs */
	bool stopping;
	bool broken; /* the queue is */
	struct note broken_note;
	struct stopped {
		struct note note;
		struct service *service;
	} * drained; /* one for each worker; owned */
	size_t ndrained;
};

/* ------- reload */

static void publish(struct service *s, struct snapshot *next)
{
	FAULT(RELOAD_BEGUN);
	next->number = s->snapshot->number + 1;
	snapshot_unref(s->snapshot);
	s->snapshot = next;
	settings_apply_log(next->conf, s->conf.debug);
	alarms_configure(s->relay.alarms, next->conf->alarm_command,
			 next->conf->hostname);
	dispatch_publish(s->relay.dispatch, next);
	FAULT(RELOAD_HALF);
	for (size_t i = 0; i < s->relay.nworkers; i++)
		worker_publish(s->relay.workers[i], next);
	certificates_own(s->relay.certificates, next);
	mirror_look(s->mirror);
	renewal_follow(s->renewal, next);
	FAULT(RELOAD_OVER);
}

/* Credentials that changed on disk. */
static void publish_renewed(void *arg, struct snapshot *next)
{
	struct service *s = arg;

	if (s->stopping)
		snapshot_unref(next);
	else
		publish(s, next);
}

static bool service_reload(void *arg, conf_complain *complain,
			   void *complain_arg)
{
	struct service *s = arg;
	struct snapshot *next;

	if (s->stopping) {
		complain(complain_arg, "relayd is about to stop");
		return false;
	}
	notify_reloading();
	next = settings_next(&s->conf.file, s->snapshot, complain,
			     complain_arg);
	if (next) {
		publish(s, next);
		log_fact(LOG_INFO, 0, "reloaded",
			 F_STR("file", s->conf.file.file));
		settings_log(next);
	} else {
		/* What is good of the credentials is taken all the same. */
		renewal_look(s->renewal);
	}
	notify_ready(next ? "reloaded" : "reload refused, see the log");
	return next != NULL;
}

/* ------- what control asks */

static bool service_check(void *arg, struct conf **out, conf_complain *complain,
			  void *complain_arg)
{
	const struct service *s = arg;
	const struct check_report report = {
		.problem = complain,
		.warning = complain,
		.arg = complain_arg,
	};

	return check_file(&s->conf.file, &report, out);
}

static struct snapshot *service_snapshot(void *arg)
{
	const struct service *s = arg;

	return s->snapshot;
}

/* ------- stop */

static void on_drained(struct note *note)
{
	struct service *s = CONTAINER_OF(note, struct stopped, note)->service;

	if (++s->ndrained == s->relay.nworkers)
		event_base_loopbreak(s->base);
}

/* Asks all to stop; the loop ends when the last worker has. */
static void begin_stop(struct service *s, int64_t within_ms)
{
	struct relay *relay = &s->relay;

	s->stopping = true;
	sockets_refuse(relay);
	if (s->dispatching)
		dispatch_stop(relay->dispatch);
	s->drained = xcalloc(relay->nworkers + 1, sizeof(*s->drained));
	for (size_t i = 0; i < relay->nworkers; i++) {
		s->drained[i].note.run = on_drained;
		s->drained[i].service = s;
		worker_stop(relay->workers[i], within_ms, &s->drained[i].note);
	}
}

/* In the writer's thread; main does the rest. */
static void on_broken(void *arg, const struct err *why)
{
	struct service *s =
		CONTAINER_OF((struct relay *)arg, struct service, relay);

	log_fact(LOG_ERROR, 0, "queue-broken",
		 F_STR("cause", cause_word(CAUSE_IS_SELF_STORE)),
		 F_STR("reply", why->text),
		 F_STR("remedy",
		       "look at the disk; relayd ends with status 1, and reads "
		       "the queue anew when it is started again"));
	mailbox_post(s->relay.main_mail, &s->broken_note);
}

/* Nothing that is still delivered could be recorded, so nothing is waited
 * for. */
static void stop_broken(struct note *note)
{
	struct service *s = CONTAINER_OF(note, struct service, broken_note);

	s->broken = true;
	if (s->stopping)
		return;
	notify_stopping();
	begin_stop(s, 0);
}

/* ------- signals */

static void on_stop_signal(evutil_socket_t number, short what, void *arg)
{
	struct service *s = arg;

	(void)what;
	if (s->stopping)
		return;
	log_fact(LOG_INFO, 0, "stopping",
		 F_STR("signal", number == SIGINT ? "INT" : "TERM"));
	notify_stopping();
	begin_stop(s, s->snapshot->conf->stop_timeout_ms);
}

static void hear_nothing(void *arg, const char *line)
{
	(void)arg;
	(void)line;
}

static void on_hup(evutil_socket_t number, short what, void *arg)
{
	(void)number;
	(void)what;
	/* The log hears why, if it is refused. */
	(void)service_reload(arg, hear_nothing, NULL);
}

static void on_usr1(evutil_socket_t number, short what, void *arg)
{
	struct service *s = arg;

	(void)number;
	(void)what;
	if (!s->stopping)
		status_ask(s->status_line);
}

static void on_status_tick(evutil_socket_t fd, short what, void *arg)
{
	struct service *s = arg;

	(void)fd;
	(void)what;
	if (!s->stopping)
		status_ask(s->status_told);
}

static void on_status_for_log(void *arg, const struct status_report *r)
{
	(void)arg;
	status_log(r);
}

static void on_status_for_manager(void *arg, const struct status_report *r)
{
	const struct service *s = arg;
	char *sentence;

	if (s->stopping)
		return;
	sentence = status_sentence(r);
	notify_status(sentence);
	free(sentence);
}

static void on_mail(evutil_socket_t fd, short what, void *arg)
{
	struct service *s = arg;

	(void)fd;
	(void)what;
	mailbox_run(s->relay.main_mail);
}

static enum status start_loop(struct service *s, struct err *e)
{
	static const struct {
		int number;
		event_callback_fn seen;
	} table[SIGNAL_KINDS] = {
		[ON_TERM] = {SIGTERM, on_stop_signal},
		[ON_INT] = {SIGINT, on_stop_signal},
		[ON_HUP] = {SIGHUP, on_hup},
		[ON_USR1] = {SIGUSR1, on_usr1},
	};
	const struct timeval every = {.tv_sec = STATUS_EVERY_S};
	enum status st = mailbox_open(&s->relay.main_mail, e);

	if (st != ST_OK)
		return st;
	s->base = event_base_new();
	if (!s->base)
		return err_temp(e, 3, 0, "no event loop");
	for (size_t i = 0; i < SIGNAL_KINDS; i++) {
		s->signals[i] = evsignal_new(s->base, table[i].number,
					     table[i].seen, s);
		BUG_ON(!s->signals[i] || event_add(s->signals[i], NULL) < 0);
	}
	s->mail_event = event_new(s->base, mailbox_fd(s->relay.main_mail),
				  EV_READ | EV_PERSIST, on_mail, s);
	s->status_tick = event_new(s->base, -1, EV_PERSIST, on_status_tick, s);
	BUG_ON(!s->mail_event || event_add(s->mail_event, NULL) < 0);
	BUG_ON(!s->status_tick);
	if (notify_wanted())
		event_add(s->status_tick, &every);
	s->status_line = status_new(&s->relay, on_status_for_log, s);
	s->status_told = status_new(&s->relay, on_status_for_manager, s);
	return ST_OK;
}

/* ------- start */

/* All that may need root, and the end of being root. */
static enum status open_doors(struct service *s, const struct conf *conf,
			      int *control_fd, struct err *e)
{
	struct privs privs;
	enum status st;

	st = privs_find(&privs, conf, e);
	if (st == ST_OK)
		st = privs_prepare(&privs, conf, e);
	if (st == ST_OK)
		st = sockets_open(&s->relay, conf, e);
	if (st == ST_OK)
		st = control_bind(control_fd, &conf->control, e);
	if (st != ST_OK)
		return st;
	privs_give(&privs, conf->control.socket);
	return privs_drop(&privs, e);
}

static unsigned count_cpus(void)
{
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return 1;
	return (unsigned)CPU_COUNT(&cpus);
}

static enum status make_workers(struct service *s, struct err *e)
{
	struct relay *relay = &s->relay;
	unsigned wanted = s->snapshot->conf->workers;
	enum status st = ST_OK;

	if (wanted == 0)
		wanted = count_cpus();
	relay->workers = xcalloc(wanted, sizeof(struct worker *));
	for (unsigned i = 0; i < wanted && st == ST_OK; i++) {
		st = worker_new(&relay->workers[i], relay, i, s->snapshot, e);
		if (st == ST_OK)
			relay->nworkers++;
	}
	return st;
}

static enum status start_alarms(struct service *s, struct err *e)
{
	const struct conf *conf = s->snapshot->conf;
	enum status st = alarms_start(&s->relay.alarms, e);

	if (st == ST_OK)
		alarms_configure(s->relay.alarms, conf->alarm_command,
				 conf->hostname);
	return st;
}

static enum status open_queue(struct service *s, struct err *e)
{
	const struct conf_queue *q = &s->snapshot->conf->queue;
	const struct store_conf store = {
		.path = q->path,
		.max_bytes = q->max_bytes,
		.min_free_disk_bytes = q->min_free_disk_bytes,
	};

	enum status st = store_lmdb_open(&s->relay.store, &store, e);

	if (st == ST_OK)
		st = underway_open(&s->relay.underway, q->path, e);
	if (st == ST_OK)
		st = recover(&s->relay, s->snapshot->conf, e);
	return st;
}

/* Without a place on disk they are fetched after every start. */
static void open_lists(struct service *s)
{
	char *dir = xasprintf("%s/crl", s->snapshot->conf->queue.path);
	struct err e;

	if (crl_cache_open(s->relay.crls, dir, &e) != ST_OK)
		log_text(LOG_WARN, "crl-unkept", "%s", e.text);
	free(dir);
}

static enum status start_threads(struct service *s, struct err *e)
{
	struct relay *relay = &s->relay;
	const struct writer_conf writer = {
		.store = relay->store,
		.committed = dispatch_committed,
		.broken = on_broken,
		.arg = relay,
		.max_ops = COMMIT_MAX_OPS,
		.max_bytes = COMMIT_MAX_BYTES,
		.commit = stats_commit(relay->stats),
		.batch = stats_batch(relay->stats),
	};
	enum status st;

	st = dispatch_open(&relay->dispatch, relay, s->snapshot, e);
	if (st == ST_OK)
		st = writer_start(&relay->writer, &writer, e);
	if (st == ST_OK)
		st = login_start(&relay->login, e);
	if (st == ST_OK)
		st = crl_fetch_start(&relay->crl_fetch, relay->crls,
				     relay->dispatch, e);
	if (st == ST_OK)
		st = dispatch_start(relay->dispatch, e);
	if (st == ST_OK)
		s->dispatching = true;
	for (size_t i = 0; i < relay->nworkers && st == ST_OK; i++)
		st = worker_run(relay->workers[i], e);
	return st;
}

static enum status start_renewal(struct service *s, struct err *e)
{
	const struct mirror_conf mirror = {
		.base = s->base,
		.relay = &s->relay,
		.snapshot = service_snapshot,
		.arg = s,
	};
	const struct renewal_conf renewal = {
		.base = s->base,
		.publish = publish_renewed,
		.arg = s,
	};
	enum status st = renewal_new(&s->renewal, &renewal, e);

	s->mirror = mirror_new(&mirror);
	if (st == ST_OK)
		renewal_follow(s->renewal, s->snapshot);
	return st;
}

/* Mail goes on also where nobody can measure it. */
static void start_scrape(struct service *s, const struct control_conf *control)
{
	const struct addr *at = &s->snapshot->conf->control.metrics;
	struct err e;

	if (at->len > 0 && scrape_start(&s->scrape, at, control, &e) != ST_OK)
		log_text(LOG_WARN, "metrics-off", "%s", e.text);
}

static enum status start_control(struct service *s, int *fd, struct err *e)
{
	const struct control_conf control = {
		.base = s->base,
		.relay = &s->relay,
		.renewal = s->renewal,
		.mirror = s->mirror,
		.fd = *fd,
		.reload = service_reload,
		.check = service_check,
		.snapshot = service_snapshot,
		.arg = s,
	};

	*fd = -1; /* its own now, also when it fails */
	start_scrape(s, &control);
	return control_start(&s->control, &control, e);
}

static enum status start_parts(struct service *s, struct conf *conf,
			       int *control_fd, struct err *e)
{
	enum status st = start_loop(s, e);

	if (st == ST_OK)
		st = open_doors(s, conf, control_fd, e);
	if (st == ST_OK)
		st = settings_load(&s->snapshot, conf, s->relay.crls, e);
	if (st == ST_OK)
		st = start_alarms(s, e);
	if (st == ST_OK)
		st = open_queue(s, e);
	if (st == ST_OK)
		open_lists(s);
	if (st == ST_OK)
		st = make_workers(s, e);
	if (st == ST_OK)
		s->relay.certificates = certificates_new(s->base, &s->relay);
	if (st == ST_OK)
		st = start_threads(s, e);
	if (st == ST_OK)
		st = start_renewal(s, e);
	if (st == ST_OK)
		st = start_control(s, control_fd, e);
	return st;
}

/* What tests must have otherwise; from 1 to max, else what is usual. */
static unsigned long env_number(const char *name, unsigned long max,
				unsigned long usual)
{
	const char *text = getenv(name);
	unsigned long n = text ? strtoul(text, NULL, 10) : 0;

	return n > 0 && n <= max ? n : usual;
}

static void set_names(struct relay *r)
{
	r->resolver_servers = getenv("RELAYD_RESOLVER");
	/* RFC 5321 section 2.3.5. */
	r->mx_port =
		(uint16_t)env_number("RELAYD_MX_PORT", UINT16_MAX, PORT_SMTP);
	r->lookup_timeout_ms = (int64_t)env_number(
		"RELAYD_DNS_TIMEOUT_MS", UINT16_MAX, LOOKUP_TIMEOUT_MS);
}

enum status service_start(struct service **out, const struct service_conf *conf,
			  struct err *e)
{
	struct service *s = xcalloc(1, sizeof(*s));
	struct conf *first = NULL;
	int control_fd = -1;
	enum status st;

	s->conf = *conf;
	s->started_mono_ms = clock_mono_ms();
	s->broken_note.run = stop_broken;
	s->relay.clients = tally_new();
	s->relay.stats = stats_new();
	s->relay.crls = crl_cache_new();
	s->relay.rates.connections = rate_new(RATED_CLIENTS_MAX);
	s->relay.rates.messages = rate_new(RATED_CLIENTS_MAX);
	s->relay.rates.recipients = rate_new(RATED_CLIENTS_MAX);
	set_names(&s->relay);
	st = settings_read(&first, &conf->file, e);
	if (st != ST_OK)
		goto out;
	settings_apply_log(first, conf->debug);
	st = start_parts(s, first, &control_fd, e);
	if (st != ST_OK)
		goto out;
	*out = s;
	s = NULL;
out:
	if (control_fd >= 0) {
		close(control_fd);
		unlink(first->control.socket);
	}
	conf_unref(first);
	service_free(s);
	return st;
}

/* ------- life */

static void log_start(const struct service *s)
{
	struct status_report r = {.active = 0};
	struct err e;

	if (status_read_totals(&s->relay, &r, &e) != ST_OK)
		log_text(LOG_ERROR, "queue-unread", "%s", e.text);
	log_fact(LOG_INFO, 0, "started", F_STR("version", RELAYD_VERSION),
		 F_INT("pid", getpid()), F_INT("workers", s->relay.nworkers),
		 F_INT("queued", r.live[RCPT_QUEUED]),
		 F_INT("deferred", r.live[RCPT_DEFERRED]),
		 F_INT("held", r.live[RCPT_HELD]),
		 F_INT("delivered", r.live[RCPT_DELIVERED]),
		 F_INT("expired", r.live[RCPT_EXPIRED]),
		 F_INT("failed", r.live[RCPT_FAILED]));
	for (size_t i = 0; i < s->relay.nlistening; i++) {
		char address[ADDR_TEXT_MAX];

		addr_text(address, &s->relay.listening[i].addr);
		log_fact(LOG_INFO, 0, "listening",
			 F_STR("listener", s->relay.listening[i].listener),
			 F_STR("address", address));
	}
	settings_log(s->snapshot);
	certificates_own(s->relay.certificates, s->snapshot);
}

bool service_run(struct service *s)
{
	log_start(s);
	s->watchdog = watchdog_new(s->base, &s->relay);
	notify_ready("started");
	mirror_look(s->mirror);
	if (notify_wanted())
		status_ask(s->status_told);
	BUG_ON(event_base_dispatch(s->base) < 0);
	return !s->broken;
}

static void stop_threads(struct service *s)
{
	struct relay *relay = &s->relay;

	if (!s->stopping)
		begin_stop(s, 0);
	for (size_t i = 0; i < relay->nworkers; i++)
		worker_join(relay->workers[i]);
	login_stop(relay->login);
	crl_fetch_stop(relay->crl_fetch);
	if (s->dispatching)
		dispatch_join(relay->dispatch);
	for (size_t i = 0; i < relay->nworkers; i++)
		worker_free(relay->workers[i]);
	writer_stop(relay->writer);
	dispatch_close(relay->dispatch);
	/* Answers that came late; nobody is left to write new ones. */
	if (relay->main_mail)
		while (mailbox_run(relay->main_mail) > 0)
			;
}

static void free_event(struct event *ev)
{
	if (ev)
		event_free(ev);
}

static void free_loop(struct service *s)
{
	for (size_t i = 0; i < SIGNAL_KINDS; i++)
		free_event(s->signals[i]);
	free_event(s->mail_event);
	free_event(s->status_tick);
	status_free(s->status_line);
	status_free(s->status_told);
	mailbox_close(s->relay.main_mail);
	if (s->base)
		event_base_free(s->base);
}

void service_free(struct service *s)
{
	bool ran;

	if (!s)
		return;
	ran = s->stopping;
	watchdog_stop(s->watchdog);
	control_stop(s->control);
	scrape_stop(s->scrape);
	renewal_free(s->renewal);
	mirror_free(s->mirror);
	certificates_close(s->relay.certificates);
	stop_threads(s);
	certificates_free(s->relay.certificates);
	watchdog_free(s->watchdog);
	alarms_stop(s->relay.alarms);
	free_loop(s);
	underway_close(s->relay.underway);
	if (s->relay.store)
		s->relay.store->ops->close(s->relay.store);
	sockets_close(&s->relay);
	tally_free(s->relay.clients);
	stats_free(s->relay.stats);
	rate_free(s->relay.rates.connections);
	rate_free(s->relay.rates.messages);
	rate_free(s->relay.rates.recipients);
	snapshot_unref(s->snapshot);
	crl_cache_free(s->relay.crls);
	if (ran)
		log_fact(LOG_INFO, 0, "stopped",
			 F_SECONDS("uptime_s",
				   clock_mono_ms() - s->started_mono_ms));
	free(s->relay.workers);
	free(s->drained);
	free(s);
}
