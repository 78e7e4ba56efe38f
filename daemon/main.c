/* SPDX-License-Identifier: ISC */
/*
 * main - relayd(8): reads the command line and does what it says.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "base/fault.h"
#include "conf/version.h"
#include "daemon/check.h"
#include "daemon/crl_fetch.h"
#include "daemon/detach.h"
#include "daemon/privs.h"
#include "daemon/service.h"
#include "net/version.h"
#include "queue/version.h"
#include "tls/version.h"

enum { EXIT_USAGE = 2 };

enum action { ACTION_RUN, ACTION_CHECK, ACTION_VERSION, ACTION_FAULTS };

struct options {
	enum action action;
	bool foreground;
	bool debug;
	struct conf_file file;
	const char **overrides; /* owned */
};

static _Noreturn void usage(void)
{
	fputs("usage: relayd [-c file] [-fnvV] [--set key=value ...]\n",
	      stderr);
	exit(EXIT_USAGE);
}

static void add_override(struct options *o, const char *text)
{
	const char *equals = strchr(text, '=');

	if (!equals || equals == text) {
		fprintf(stderr, "relayd: --set %s: key=value is wanted\n",
			text);
		usage();
	}
	o->overrides = xrealloc(o->overrides, o->file.noverrides + 1,
				sizeof(*o->overrides));
	o->overrides[o->file.noverrides++] = text;
}

static void options_read(struct options *o, int argc, char **argv)
{
	static const struct option names[] = {
		{"set", required_argument, NULL, 's'},
#ifdef FAULTS
		{"faults", no_argument, NULL, 'F'},
#endif
		{NULL, 0, NULL, 0},
	};
	int c;

	*o = (struct options){.file.file = "/etc/relayd/relayd.conf"};
	while ((c = getopt_long(argc, argv, "c:fnvV", names, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->file.file = optarg;
			break;
		case 'f':
			o->foreground = true;
			break;
		case 'n':
			o->action = ACTION_CHECK;
			break;
		case 'v':
			o->debug = true;
			break;
		case 'V':
			o->action = ACTION_VERSION;
			break;
		case 'F':
			o->action = ACTION_FAULTS;
			break;
		case 's':
			add_override(o, optarg);
			break;
		default:
			usage();
		}
	}
	if (optind < argc) {
		fprintf(stderr, "relayd: %s: an argument too many\n",
			argv[optind]);
		usage();
	}
	o->file.overrides = o->overrides;
}

/* ------- -V */

static int print_version(void)
{
	char lmdb[32];

	queue_lmdb_version(lmdb, sizeof(lmdb));
	printf("relayd %s\n", RELAYD_VERSION);
	printf("libevent %s\n", net_libevent_version());
	printf("GnuTLS %s\n", tls_gnutls_version());
	printf("LMDB %s\n", lmdb);
	printf("libconfuse %s\n", conf_libconfuse_version());
	printf("libunbound %s\n", net_libunbound_version());
	printf("libcurl %s\n", crl_fetch_libcurl_version());
	printf("jansson %s\n", jansson_version_str());
	return EXIT_SUCCESS;
}

/* ------- --faults */

/* Of builds for tests, see base/fault.h. */
static int print_faults(void)
{
#ifdef FAULTS
	for (unsigned i = 0; i < FAULT_POINTS; i++)
		printf("%-20s %s\n", fault_name((enum fault_point)i),
		       fault_text((enum fault_point)i));
#endif
	return EXIT_SUCCESS;
}

static bool arm_faults(void)
{
#ifdef FAULTS
	struct err e;

	if (fault_arm(&e) != ST_OK) {
		fprintf(stderr, "relayd: %s\n", e.text);
		return false;
	}
#endif
	return true;
}

/* ------- -n */

static void print_problem(void *arg, const char *line)
{
	(void)arg;
	puts(line);
}

static void print_warning(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "%s (warning)\n", line);
}

static void warn_of_user(const struct conf *conf,
			 const struct check_report *report)
{
	struct privs privs;
	struct err e;

	if (privs_find(&privs, conf, &e) != ST_OK ||
	    privs_drop(&privs, &e) != ST_OK)
		report->warning(report->arg, e.text);
	else if (privs.drop)
		check_readable(conf, report);
}

/* What root can read the user of the daemon may not. */
static int check_only(const struct options *o)
{
	const struct check_report report = {
		.problem = print_problem,
		.warning = print_warning,
	};
	struct conf *conf;

	if (!check_file(&o->file, &report, NULL))
		return EXIT_FAILURE;
	conf = conf_read(o->file.file, o->file.overrides, o->file.noverrides,
			 print_problem, NULL);
	if (!conf)
		return EXIT_FAILURE;
	warn_of_user(conf, &report);
	conf_unref(conf);
	return EXIT_SUCCESS;
}

/* ------- the daemon */

static int run(struct options *o)
{
	const struct service_conf conf = {
		.file = o->file,
		.debug = o->debug,
	};
	struct service *service;
	int waiter = -1;
	struct err e;

	if (!arm_faults())
		return EXIT_FAILURE;
	privs_limit();
	if (!o->foreground && detach_begin(&waiter, &e) != ST_OK) {
		fprintf(stderr, "relayd: %s\n", e.text);
		return EXIT_FAILURE;
	}
	if (service_start(&service, &conf, &e) != ST_OK) {
		if (o->foreground)
			fprintf(stderr, "relayd: %s\n", e.text);
		else
			detach_failed(waiter, e.text);
		return EXIT_FAILURE;
	}
	if (!o->foreground)
		detach_ready(waiter);
	bool as_asked = service_run(service);
	service_free(service);
	return as_asked ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct options o;
	int code = EXIT_FAILURE;

	detach_keep_stdio();
	options_read(&o, argc, argv);
	switch (o.action) {
	case ACTION_RUN:
		code = run(&o);
		break;
	case ACTION_CHECK:
		code = check_only(&o);
		break;
	case ACTION_VERSION:
		code = print_version();
		break;
	case ACTION_FAULTS:
		code = print_faults();
		break;
	}
	free(o.overrides);
	return code;
}
