/* SPDX-License-Identifier: ISC */
/*
 * conf - relayd.conf as one immutable, checked value.
 *
 * conf_read() takes a file whole or refuses it whole.  What it returns never
 * changes; threads share it by reference count.  Syntax, types, bounds,
 * references between sections and combinations are checked here; files that
 * the configuration names (certificates, keys) are checked by tls/.
 *
 * Thread: conf_read one at a time (libconfuse keeps its state in globals), the
 *         rest any; conf_ref and conf_unref are atomic.
 * Units:  _ms milliseconds, _bytes bytes.
 * The options, their defaults and meaning: relayd.conf(5), conf/options.def.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "base/addr.h"
#include "base/err.h"
#include "base/log.h"

enum conf_tls {
	CONF_TLS_OFF,
	CONF_TLS_OPPORTUNISTIC,
	CONF_TLS_FORCED,
	CONF_TLS_IMPLICIT,               /* listeners only */
};

enum conf_verify { CONF_VERIFY_NONE, CONF_VERIFY_CA, CONF_VERIFY_NAME };

enum conf_client_cert {
	CONF_CLIENT_CERT_NONE,
	CONF_CLIENT_CERT_REQUEST,
	CONF_CLIENT_CERT_REQUIRE,
};

enum conf_auth {
	CONF_AUTH_OFF,
	CONF_AUTH_PLAIN,
	CONF_AUTH_LOGIN,
	CONF_AUTH_XOAUTH2,
};

enum conf_chunking {
	CONF_CHUNKING_OFF,
	CONF_CHUNKING_STRICT,
	CONF_CHUNKING_PASSTHROUGH,
};

enum conf_crl { CONF_CRL_OFF, CONF_CRL_WARN, CONF_CRL_REQUIRE };

/* Where a section or option stands, for messages: "relayd.conf:12". */
struct conf_place {
	const char *file;                /* borrowed from struct conf */
	int         line;
};

struct conf_strings {
	char **at;
	size_t n;
};

struct conf_durations {
	int64_t *at_ms;
	size_t   n;
};

struct conf_identity {
	char *name;
	char *certificate, *key;         /* PEM files */
	char *ocsp_response;             /* "": none */
	struct conf_place place;
};

struct conf_trust {
	char *name;
	struct conf_strings ca;          /* "system" or PEM files */
	enum conf_crl crl;
	struct conf_strings crl_files;
	int64_t crl_refresh_ms;
	char *min_tls;                   /* "1.2" or "1.3" */
	struct conf_place place;
};

struct conf_source {
	char *name;
	struct network *networks;        /* none: any client */
	size_t nnetworks;
	bool forced_tls;                 /* stricter than the listener's */
	struct conf_strings client_names;        /* lower case: exact or
						  * "*.suffix" */
	struct conf_strings recipients;  /* domain patterns; none: any */
	bool authenticated;
	struct conf_place place;
};

struct conf_listener {
	char *name;
	struct addr *addresses;
	size_t naddresses;
	enum conf_tls tls;
	const struct conf_identity **identities;
	size_t nidentities;
	const struct conf_trust *trust;  /* NULL: no client certificates */
	enum conf_client_cert client_cert;
	uint64_t max_message_bytes;
	unsigned max_recipients;
	unsigned max_connections;
	unsigned max_connections_per_client;
	unsigned max_messages_per_connection;    /* 0: no limit, as below */
	unsigned max_connections_per_minute;
	unsigned max_messages_per_minute;
	unsigned max_recipients_per_minute;
	int64_t timeout_ms;
	enum conf_chunking chunking;
	struct network *proxies;         /* whose connections start with a PROXY
					    header */
	size_t nproxies;
	char *auth_file;                 /* "": AUTH is not offered */
	struct conf_source *sources;     /* none: loopback clients only */
	size_t nsources;
	struct conf_place place;
};

struct conf_route {
	char *name;
	struct conf_strings domains;     /* lower case: exact, "*.suffix", "*" */
	struct host_port *hosts;         /* lower case, in the order to try */
	size_t nhosts;
	bool mx;                         /* resolve MX instead of hosts */
	enum conf_tls tls;
	enum conf_verify verify;
	struct conf_strings names;       /* none: the host's own name */
	uint8_t (*pins)[32];             /* SHA-256 of the SPKI */
	size_t npins;
	bool common_name;
	const struct conf_trust *trust;  /* NULL: the system's */
	const struct conf_identity *identity;    /* NULL: no client certificate */
	unsigned max_connections;
	unsigned max_messages_per_connection;
	int64_t connect_timeout_ms;
	int64_t starttls_timeout_ms;
	char *source_address;            /* without port; "": any */
	enum conf_auth auth;
	char *auth_user;
	char *auth_secret_file, *auth_command;   /* "": not by this */
	bool no_exceptions;
	int64_t lifetime_ms;             /* queue's unless given here */
	int64_t warn_after_ms;           /* likewise */
	struct conf_durations retry;     /* likewise */
	struct conf_place place;
};

struct conf_queue {
	char *path;
	uint64_t max_bytes, min_free_disk_bytes;
	int64_t lifetime_ms, keep_expired_ms, keep_delivered_ms, keep_trace_ms;
	struct conf_durations retry;
	int64_t probe_ms, hold_clock_ms, self_grace_ms;
	int64_t warn_after_ms;           /* the sender of a delay; 0: never */
};

struct conf_control {
	char *socket;
	char *group;                     /* "": the socket keeps its group */
	struct addr metrics;             /* len 0: not served */
};

struct conf {
	char *file;                      /* as given to conf_read */
	char *hostname, *postmaster, *user;
	int64_t stop_timeout_ms;
	char *alarm_command;             /* "": none */
	unsigned workers;                /* 0: one per CPU */
	enum log_level log_level;
	enum log_format log_format;
	struct conf_queue queue;
	struct conf_control control;
	struct conf_identity *identities;
	size_t nidentities;
	struct conf_trust *trusts;
	size_t ntrusts;
	struct conf_listener *listeners;
	size_t nlisteners;
	struct conf_route *routes;
	size_t nroutes;
};

/* Called for every problem: a line without line end, "FILE:LINE: text"
 * (or "FILE: text" where there is no line). */
typedef void conf_complain(void *arg, const char *line);

/*
 * Reads file, applies overrides ("queue.path=/tmp/q"; --set of relayd(8)),
 * and returns the configuration with one reference, or NULL after at least
 * one complaint.  All problems found are complained of, not the first only.
 */
MUST_USE struct conf *conf_read(const char *file, const char *const *overrides,
				size_t noverrides, conf_complain *complain,
				void *arg);
struct conf *conf_ref(struct conf *c);
void conf_unref(struct conf *c);         /* NULL is fine */

const char *conf_tls_word(enum conf_tls t);
const char *conf_verify_word(enum conf_verify v);

/* The route for a domain (lower case, or an address literal with brackets):
 * exact beats "*.suffix" (the longest) beats "*".  NULL: none. */
const struct conf_route *conf_route_for(const struct conf *c, const char *domain);
const struct conf_route *conf_route_named(const struct conf *c, const char *name);
/* Does a domain pattern (exact, "*.suffix", "*") match? */
bool conf_domain_matches(const char *pattern, const char *domain);

/* What must be the same for the running daemon to take `now` in place of
 * `then` (the set of all listeners' addresses, queue.path, queue.max_size,
 * control.socket, control.group, user, workers); complains of what is not.
 * True when it may be taken. */
bool conf_can_replace(const struct conf *then, const struct conf *now,
		      conf_complain *complain, void *arg);

#endif
