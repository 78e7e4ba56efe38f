/* SPDX-License-Identifier: ISC */
/*
 * options - the grammar of relayd.conf as tables: kinds of section and the
 * options of each.
 *
 * Thread: any; all of it is constant.
 */
#ifndef CONF_OPTIONS_H
#define CONF_OPTIONS_H

#include "conf/conf.h"

enum kind {
	KIND_main,
	KIND_log,
	KIND_queue,
	KIND_control,
	KIND_identity,
	KIND_trust,
	KIND_listener,
	KIND_source,
	KIND_route,
	KIND_COUNT
};

struct kind_row {
	const char *word; /* "" for main */
	enum kind parent; /* KIND_COUNT: main has none */
	bool titled; /* may stand many times, with a title */
	size_t size; /* of its struct */
	size_t name, place; /* members of it, if titled */
	size_t first, end; /* its rows among the options */
};

enum option_type {
	TYPE_STRING,
	TYPE_HOSTNAME,
	TYPE_MAILBOX,
	TYPE_BOOL,
	TYPE_COUNT,
	TYPE_DURATION,
	TYPE_SIZE,
	TYPE_LEVEL,
	TYPE_FORMAT,
	TYPE_TLS,
	TYPE_ROUTE_TLS,
	TYPE_SOURCE_TLS,
	TYPE_VERIFY,
	TYPE_CLIENT_CERT,
	TYPE_CRL,
	TYPE_MIN_TLS,
	TYPE_CHUNKING,
	TYPE_AUTH,
	TYPE_IDENTITY,
	TYPE_TRUST,
	TYPE_SERVE, /* an address, or off */
	/* lists */
	TYPE_STRINGS,
	TYPE_DURATIONS,
	TYPE_ADDRESSES,
	TYPE_NETWORKS,
	TYPE_HOSTS,
	TYPE_DOMAINS,
	TYPE_NAMES,
	TYPE_PINS,
	TYPE_IDENTITIES,
	TYPE_ROWS
};

struct option {
	enum kind kind;
	const char *name;
	enum option_type type;
	const char *preset; /* NULL: none; lists: by blanks */
	int64_t low, high;
	int field; /* offset in the kind's struct */
};

/* OPT_route_hosts: the index of a row. */
enum option_index {
#define OPT(section, name, ...) OPT_##section##_##name,
#include "conf/options.def"
#undef OPT
	OPTION_COUNT
};

const struct kind_row *kind_row(enum kind kind);
const struct option *option_row(size_t index);
bool option_is_list(const struct option *o);

#endif
