/* SPDX-License-Identifier: ISC */
/*
 * relayctl - looks into relayd's queue and acts on it.
 *
 * Finds the command in the table below, parses its options, and runs it; the
 * commands are in the other files of this folder (ctl/command.h).
 */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ctl/command.h"
#include "ctl/print.h"

#define DEFAULT_SOCKET "/run/relayd/control.sock"

enum { WORDS_MAX = 2, ANY_NUMBER = 1000000 };

/* clang-format off */
static const struct command {
	const char *words[WORDS_MAX];
	const char *args;                /* for the usage */
	const char *help;
	unsigned sets;                   /* enum option_set */
	size_t min, max;                 /* arguments that are no options */
	command_run *run;
} commands[] = {
	{ { "status" }, "", "how the daemon is, and what needs attention", 0, 0,
	  0, run_status },
	{ { "queue", "list" }, "[FILTER] [--sort F] [--limit N]",
	  "a line for each message", TAKES_FILTER | TAKES_LIST, 0, 0,
	  run_queue_list },
	{ { "queue", "summary" }, "[FILTER] [--by F,...]",
	  "mail counted by destination and cause",
	  TAKES_FILTER | TAKES_SUMMARY, 0, 0, run_queue_summary },
	{ { "queue", "show" }, "ID [--raw | --body]",
	  "envelope, recipients, headers", TAKES_SHOW, 1, 1, run_queue_show },
	{ { "queue", "explain" }, "ID", "what holds it right now", 0, 1, 1,
	  run_queue_explain },
	{ { "queue", "verify" }, "", "look at every row and checksum", 0, 0, 0,
	  run_queue_verify },
	{ { "queue", "export" }, "[FILTER] DIR",
	  "copy mail into files, .eml and .json", TAKES_FILTER, 1, 1,
	  run_queue_export },
	{ { "queue", "import" }, "DIR", "take mail from such files",
	  TAKES_IMPORT, 1, 1, run_queue_import },
	{ { "trace" }, "ID | MESSAGE-ID | FILTER [--limit N] [--transcript]",
	  "the message's history", TAKES_TRACE | TAKES_FILTER | TAKES_LIMIT, 0,
	  1, run_trace },
	{ { "resubmit" }, "[--deferred] [--held] ... [FILTER] [ID ...]",
	  "route anew, forget back-off, try now",
	  TAKES_STATES | TAKES_FILTER | TAKES_CHANGE, 0, ANY_NUMBER,
	  run_resubmit },
	{ { "hold" }, "[FILTER] [ID ...]", "keep from being delivered",
	  TAKES_FILTER | TAKES_CHANGE, 0, ANY_NUMBER, run_hold },
	{ { "release" }, "[FILTER] [ID ...]", "let held mail go",
	  TAKES_FILTER | TAKES_CHANGE, 0, ANY_NUMBER, run_release },
	{ { "extend" }, "[FILTER] [ID ...] --by T", "let it expire later",
	  TAKES_FILTER | TAKES_CHANGE | TAKES_EXTEND, 0, ANY_NUMBER,
	  run_extend },
	{ { "remove" }, "[FILTER] [ID ...]", "take out of the queue",
	  TAKES_FILTER | TAKES_CHANGE | TAKES_BOUNCE, 0, ANY_NUMBER,
	  run_remove },
	{ { "destination", "list" }, "", "next hops and their state", 0, 0, 0,
	  run_destination_list },
	{ { "destination", "probe" }, "DESTINATION",
	  "try now whether it is up", 0, 1, 1, run_destination_probe },
	{ { "destination", "suspend" }, "DESTINATION [--for T] [--reason R]",
	  "send nothing there until it is resumed", TAKES_FOR | TAKES_REASON, 1,
	  1, run_destination_suspend },
	{ { "destination", "resume" }, "DESTINATION", "end a suspension", 0, 1,
	  1, run_destination_resume },
	{ { "audit" }, "[--limit N]", "who changed what", TAKES_LIMIT, 0, 0,
	  run_audit },
	{ { "exception", "add" },
	  "--destination D --allow F,... [--pin SHA256] --until T --reason R",
	  "let faults of TLS pass, for a time",
	  TAKES_DESTINATION | TAKES_EXCEPTION | TAKES_REASON, 0, 0,
	  run_exception_add },
	{ { "exception", "list" }, "", "TLS exceptions in force", 0, 0, 0,
	  run_exception_list },
	{ { "exception", "remove" }, "DESTINATION", "end one now",
	  TAKES_DESTINATION, 0, 1, run_exception_remove },
	{ { "cert", "list" }, "", "certificates: our own, and as last seen of others",
	  0, 0, 0, run_cert_list },
	{ { "check", "tls" }, "HOST[:PORT] [--route R]",
	  "connect as mail would, and say what is wrong", TAKES_ROUTE, 1, 1,
	  run_check_tls },
	{ { "check", "config" }, "", "what relayd -n prints, for its file",
	  TAKES_CHECK, 0, 0, run_check_config },
	{ { "check", "queue" }, "", "is anything lost, or forgotten?", 0, 0, 0,
	  run_check_queue },
	{ { "reload" }, "", "take the changed configuration", 0, 0, 0,
	  run_reload },
	{ { "log-level" }, "debug | info | warn | error",
	  "until the next reload", 0, 1, 1, run_log_level },
};
/* clang-format on */

/* ------- usage */

static size_t count_words(const struct command *cmd)
{
	return cmd->words[1] ? 2 : 1;
}

static void print_command(FILE *out, const struct command *cmd)
{
	fprintf(out, "%s%s%s", cmd->words[0], cmd->words[1] ? " " : "",
		cmd->words[1] ? cmd->words[1] : "");
}

static void print_usage(FILE *out)
{
	fputs("usage: relayctl [-s SOCKET] [--json] COMMAND ...\n"
	      "       relayctl -V\n\n",
	      out);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const struct command *cmd = &commands[i];
		char left[32];

		snprintf(left, sizeof(left), "%s%s%s", cmd->words[0],
			 cmd->words[1] ? " " : "",
			 cmd->words[1] ? cmd->words[1] : "");
		fprintf(out, "  %-20s %s\n", left, cmd->help);
	}
	fputs("\nrelayctl COMMAND --help tells its options; relayctl(8) all.\n",
	      out);
}

static void print_command_usage(FILE *out, const struct command *cmd)
{
	fputs("usage: relayctl ", out);
	print_command(out, cmd);
	fprintf(out, "%s%s\n", cmd->args[0] ? " " : "", cmd->args);
}

/* ------- finding the command */

static const struct command *find(int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const struct command *cmd = &commands[i];

		if (argc < (int)count_words(cmd) ||
		    strcmp(argv[0], cmd->words[0]) != 0)
			continue;
		if (!cmd->words[1] || strcmp(argv[1], cmd->words[1]) == 0)
			return cmd;
	}
	return NULL;
}

/* The words that may follow the first one, or nothing known. */
static void complain_unknown(int argc, char **argv)
{
	const char *separator = ": wants ";
	bool known = false;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		known |= strcmp(argv[0], commands[i].words[0]) == 0;
	if (!known) {
		complain("unknown command: %s; relayctl --help lists them",
			 argv[0]);
		return;
	}
	fprintf(stderr, "relayctl: %s", argv[0]);
	if (argc > 1 && argv[1][0] != '-') {
		fputc(' ', stderr);
		print_text(stderr, argv[1]);
	}
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(argv[0], commands[i].words[0]) != 0)
			continue;
		fprintf(stderr, "%s%s", separator, commands[i].words[1]);
		separator = ", ";
	}
	fputc('\n', stderr);
}

/* ------- running it */

static const char *socket_path(const char *option)
{
	const char *s = option ? option : getenv("RELAYCTL_SOCKET");

	return s && s[0] ? s : DEFAULT_SOCKET;
}

static int run(const struct command *cmd, struct context *x)
{
	int code;

	if (x->args.nrest < cmd->min || x->args.nrest > cmd->max) {
		print_command_usage(stderr, cmd);
		return EXIT_USAGE;
	}
	x->width = print_width(stdout);
	x->now_ms = clock_wall_ms();
	x->client = client_open(socket_path(x->args.socket));
	code = cmd->run(x);
	client_close(x->client);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		complain("cannot write the output");
		return code ? code : EXIT_REFUSED;
	}
	return code;
}

static int run_command(int argc, char **argv, struct context *x)
{
	const struct command *cmd = find(argc, argv);
	int skip;

	if (!cmd) {
		complain_unknown(argc, argv);
		return EXIT_USAGE;
	}
	skip = (int)count_words(cmd) - 1;
	if (!args_parse(&x->args, cmd->sets, argc - skip, argv + skip)) {
		print_command_usage(stderr, cmd);
		return EXIT_USAGE;
	}
	if (x->args.help) {
		print_command_usage(stdout, cmd);
		args_print_options(cmd->sets);
		return EXIT_DONE;
	}
	return run(cmd, x);
}

/* The options in front of the command; the index of its first word, or 0
 * when *code is the exit status. */
static int global_options(int argc, char **argv, struct args *a, int *code)
{
	int i = 1;

	*code = EXIT_DONE;
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			a->json = true;
		} else if (strcmp(argv[i], "-V") == 0) {
			puts("relayctl " RELAYD_VERSION);
			return 0;
		} else if (strcmp(argv[i], "-h") == 0 ||
			   strcmp(argv[i], "--help") == 0) {
			print_usage(stdout);
			return 0;
		} else if (strcmp(argv[i], "-s") == 0 && i + 1 < argc) {
			a->socket = argv[++i];
		} else if (strncmp(argv[i], "-s", 2) == 0 && argv[i][2]) {
			a->socket = argv[i] + 2;
		} else {
			break;
		}
	}
	if (i < argc && argv[i][0] != '-')
		return i;
	if (i < argc)
		complain("unknown option %s", argv[i]);
	print_usage(stderr);
	*code = EXIT_USAGE;
	return 0;
}

int main(int argc, char **argv)
{
	struct context x = {0};
	int first, code;

	/* Whoever closes the pipe has seen enough: end without a word. */
	signal(SIGPIPE, SIG_DFL);
	setlocale(LC_CTYPE, "");
	first = global_options(argc, argv, &x.args, &code);
	if (first == 0)
		return code;
	return run_command(argc - first, argv + first, &x);
}
