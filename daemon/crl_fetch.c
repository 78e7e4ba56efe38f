/* SPDX-License-Identifier: ISC */
/*
 * crl_fetch - fetches revocation lists with libcurl, some at a time.
 *
 * One thread waits for all transfers and for its mailbox at once, so that a
 * server that is silent delays no other list, and no stop.
 */
#include "daemon/crl_fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/thread.h"
#include "daemon/dispatch.h"

enum {
	TRANSFERS_MAX = 8,
	TIMEOUT_MS = 30 * 1000,
	CONNECT_TIMEOUT_MS = 10 * 1000,
	REDIRECTS_MAX = 3,
	PAUSE_MAX_MS = 60 * 1000,
};

struct transfer {
	CURL *easy; /* owned; NULL: idle */
	struct crl_want want;
	struct buf body;
	bool too_large;
	bool began_inside; /* the first address was not public */
	bool refused; /* an address that may not be connected to ... */
	char address[ADDR_TEXT_MAX]; /* ... this one */
};

struct crl_fetch {
	struct thread *thread;
	struct mailbox *mail;
	struct note stop, wanted;
	atomic_bool told; /* `wanted` is in the mailbox */
	struct crl_cache *cache;
	struct dispatch *dispatch;

	/* The thread's own. */
	CURLM *multi;
	struct transfer transfers[TRANSFERS_MAX];
	bool stopping;
};

/* ------- where it may lead */

/* RFC 6890, and what is no host at all. */
static bool is_inside(const struct addr *a)
{
	static const char *const networks[] = {
		"0.0.0.0/8",	"10.0.0.0/8",	  "100.64.0.0/10",
		"127.0.0.0/8",	"169.254.0.0/16", "172.16.0.0/12",
		"192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15",
		"224.0.0.0/3",	"::/96",	  "64:ff9b:1::/48",
		"fc00::/7",	"fe80::/10",	  "fec0::/10",
		"ff00::/8",
	};
	struct network n;

	for (size_t i = 0; i < ARRAY_LEN(networks); i++) {
		BUG_ON(!network_parse(networks[i], &n));
		if (network_has(&n, a))
			return true;
	}
	return false;
}

static bool may_connect(struct transfer *t, const struct addr *a)
{
	bool inside = is_inside(a);
	long redirects = 0;

	curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_COUNT, &redirects);
	if (redirects == 0)
		t->began_inside = inside;
	if (!inside)
		return true;
	return redirects == 0 ? t->want.may_be_private : t->began_inside;
}

static curl_socket_t on_socket(void *arg, curlsocktype purpose,
			       struct curl_sockaddr *to)
{
	struct transfer *t = arg;
	struct addr a;

	(void)purpose;
	addr_from_sockaddr(&a, &to->addr, to->addrlen);
	if (!may_connect(t, &a)) {
		t->refused = true;
		addr_host_text(t->address, &a);
		errno = EACCES;
		return CURL_SOCKET_BAD;
	}
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* ------- one transfer */

static size_t on_bytes(char *at, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	if (buf_add(&t->body, (struct span){at, size * n}))
		return size * n;
	t->too_large = true;
	return 0;
}

static bool set_up(struct transfer *t)
{
	CURL *c = t->easy;

	return curl_easy_setopt(c, CURLOPT_URL, t->want.url) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http") == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http") ==
		       CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX) ==
		       CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS) ==
		       CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
				(long)CONNECT_TIMEOUT_MS) == CURLE_OK &&
	       /* Each connection is looked at: none is used again. */
	       curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_socket) ==
		       CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes) ==
		       CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_WRITEDATA, t) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_USERAGENT,
				"relayd/" RELAYD_VERSION) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_PRIVATE, t) == CURLE_OK;
}

/* The same words for the same trouble: libcurl's own tell milliseconds. */
static const char *explain(const struct transfer *t, CURLcode code,
			   char text[CRL_TEXT_MAX])
{
	long os = 0;

	curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os);
	if (t->refused) {
		snprintf(text, CRL_TEXT_MAX,
			 "its address %s is not public, and the authority is "
			 "not named in ca",
			 t->address);
		return text;
	}
	if (t->too_large)
		return "the list is too large: over 32 MiB";
	switch ((int)code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return "its host can't be resolved";
	case CURLE_COULDNT_CONNECT:
		return os != 0 ? strerror((int)os) : "no connection";
	case CURLE_OPERATION_TIMEDOUT:
		return "no answer in time";
	case CURLE_TOO_MANY_REDIRECTS:
		return "more than three redirects";
	case CURLE_UNSUPPORTED_PROTOCOL:
		return "redirected to what is not http";
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
		return "the connection broke";
	default:
		return curl_easy_strerror(code);
	}
}

/* Why there is no list, or NULL. */
static const char *failure_of(const struct transfer *t, CURLcode code,
			      char text[CRL_TEXT_MAX])
{
	long status = 0;

	if (code != CURLE_OK)
		return explain(t, code, text);
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		return NULL;
	snprintf(text, CRL_TEXT_MAX, "HTTP status %ld", status);
	return text;
}

static void log_outcome(const struct crl_want *want,
			const struct crl_outcome *out)
{
	char next[CLOCK_RFC3339_MAX];

	if (out->unkept[0])
		log_fact(LOG_WARN, 0, "crl-unkept", F_STR("url", want->url),
			 F_STR("text", out->unkept));
	if (!out->first)
		return;
	if (out->failure[0]) {
		log_fact(LOG_WARN, 0, "crl-failed", F_STR("url", want->url),
			 F_STR("text", out->failure));
		return;
	}
	clock_rfc3339(next, out->next_update_ms);
	log_fact(LOG_INFO, 0, "crl-fetched", F_STR("url", want->url),
		 F_INT("entries", out->entries),
		 F_STR("next_update", out->next_update_ms ? next : NULL));
}

static void release(struct crl_fetch *f, struct transfer *t)
{
	curl_multi_remove_handle(f->multi, t->easy);
	curl_easy_cleanup(t->easy);
	buf_release(&t->body);
	t->easy = NULL;
}

static void conclude(struct crl_fetch *f, struct transfer *t,
		     const char *failure)
{
	struct crl_outcome out;

	crl_cache_done(f->cache, &t->want, buf_span(&t->body), failure, &out);
	log_outcome(&t->want, &out);
	if (out.first)
		dispatch_hear_lists(f->dispatch);
	release(f, t);
}

static void begin(struct crl_fetch *f, struct transfer *t,
		  const struct crl_want *want)
{
	*t = (struct transfer){.want = *want, .easy = curl_easy_init()};
	buf_init(&t->body, CRL_BYTES_MAX);
	BUG_ON(!t->easy); /* out of memory */
	if (!set_up(t) || curl_multi_add_handle(f->multi, t->easy) != CURLM_OK)
		conclude(f, t, "this machine's libcurl can't fetch it");
}

/* ------- the thread */

static struct transfer *idle(struct crl_fetch *f)
{
	for (size_t i = 0; i < TRANSFERS_MAX; i++)
		if (!f->transfers[i].easy)
			return &f->transfers[i];
	return NULL;
}

/* Begins what is due; returns how long nothing else is. */
static int begin_due(struct crl_fetch *f)
{
	int64_t again_mono_ms = INT64_MAX, pause_ms;
	struct crl_want want;
	struct transfer *t;

	while ((t = idle(f)) && crl_cache_take(f->cache, &want, &again_mono_ms))
		begin(f, t, &want);
	/* With all of them busy, one that ends is waited for. */
	if (!t || again_mono_ms == INT64_MAX)
		return PAUSE_MAX_MS;
	pause_ms = again_mono_ms - clock_mono_ms();
	if (pause_ms < 0)
		return 0;
	return pause_ms < PAUSE_MAX_MS ? (int)pause_ms : PAUSE_MAX_MS;
}

/* True if any has ended. */
static bool end_finished(struct crl_fetch *f)
{
	bool any = false;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(f->multi, &left))) {
		char text[CRL_TEXT_MAX];
		struct transfer *t = NULL;
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
		conclude(f, t, failure_of(t, code, text));
		any = true;
	}
	return any;
}

static void fetch_main(void *arg)
{
	struct crl_fetch *f = arg;

	while (!f->stopping) {
		struct curl_waitfd mail = {.fd = mailbox_fd(f->mail),
					   .events = CURL_WAIT_POLLIN};
		int pause_ms = begin_due(f);
		int running;

		curl_multi_perform(f->multi, &running);
		if (end_finished(f))
			continue;
		curl_multi_poll(f->multi, &mail, 1, pause_ms, NULL);
		mailbox_run(f->mail);
	}
	for (size_t i = 0; i < TRANSFERS_MAX; i++)
		if (f->transfers[i].easy)
			release(f, &f->transfers[i]);
}

static void run_stop(struct note *note)
{
	CONTAINER_OF(note, struct crl_fetch, stop)->stopping = true;
}

/* It has woken the thread, which looks what is due. */
static void run_wanted(struct note *note)
{
	atomic_store(&CONTAINER_OF(note, struct crl_fetch, wanted)->told,
		     false);
}

static void on_wanted(void *arg)
{
	struct crl_fetch *f = arg;

	if (!atomic_exchange(&f->told, true))
		mailbox_post(f->mail, &f->wanted);
}

static void fetch_free(struct crl_fetch *f)
{
	mailbox_close(f->mail);
	if (f->multi)
		curl_multi_cleanup(f->multi);
	free(f);
}

enum status crl_fetch_start(struct crl_fetch **out, struct crl_cache *cache,
			    struct dispatch *dispatch, struct err *e)
{
	struct crl_fetch *f = xcalloc(1, sizeof(*f));
	enum status st;

	f->cache = cache;
	f->dispatch = dispatch;
	f->stop.run = run_stop;
	f->wanted.run = run_wanted;
	atomic_init(&f->told, false);
	st = mailbox_open(&f->mail, e);
	if (st != ST_OK)
		goto out;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		f->multi = curl_multi_init();
	if (!f->multi) {
		st = err_temp(e, 3, 0, "libcurl can't be used");
		goto out;
	}
	crl_cache_watch(cache, on_wanted, f);
	st = thread_start(&f->thread, "crl", fetch_main, f, e);
	if (st != ST_OK) {
		crl_cache_watch(cache, NULL, NULL);
		goto out;
	}
	*out = f;
	f = NULL;
out:
	if (f)
		fetch_free(f);
	return st;
}

void crl_fetch_stop(struct crl_fetch *f)
{
	if (!f)
		return;
	mailbox_post(f->mail, &f->stop);
	thread_join(f->thread);
	crl_cache_watch(f->cache, NULL, NULL);
	while (mailbox_run(f->mail) > 0)
		;
	fetch_free(f);
}

const char *crl_fetch_libcurl_version(void)
{
	return curl_version_info(CURLVERSION_NOW)->version;
}
