/* SPDX-License-Identifier: ISC */
/*
 * replay - rebuilds what a power cut could leave of a queue, and audits it.
 *
 *	replay RECORD EXPECTED DIRECTORY COUNT SEED
 *
 * RECORD is by tests/power/record.c.  EXPECTED has a line for each accepted
 * message: its id, its key, the file with its bytes, its recipients joined by
 * commas.  States are built in DIRECTORY, one after the other.
 *
 * The model of the disk: what was written before a sync that is over is there.
 * Of each later write there may be nothing, all, its beginning, or any of its
 * sectors, in any order; a sector of 512 bytes is whole or not written.
 *
 * The first passes go along the record and cut at each sync with nothing and
 * with everything of what was not synced; all others cut anywhere, with
 * anything, after the commit that makes a new queue.  Of each state: it opens (which sweeps), every row and checksum is
 * right, the books are balanced, it can be written to, and every message whose
 * 250 was said before the cut is there with its bytes, or was settled as it
 * must be, and as delivered only if a next hop had said so by then.
 */
#include "tests/power/tape.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/units.h"
#include "queue/store.h"

enum { SECTOR = 512, PAGE = 4096, MAP_BYTES = 1024 * 1024 * 1024 };

struct entry {
	struct tape head;
	const char *bytes;
};

struct expected {
	uint64_t id;
	char key[40], *recipients;
	uint64_t bytes, checksum;
	bool accepted; /* by the cut */
};

static struct {
	char *record;
	struct entry *entries;
	size_t n;
	struct expected *mails;
	size_t nmails;
	const char *directory, *file;

	/* At the cut. */
	char *durable, *image;
	size_t durable_len, image_len, room;
	size_t *pending, npending; /* entries */
	bool made; /* the first commit, which makes the queue, is over */
	const char **taken; /* of mails, by number: addresses taken by now */
	char words[512]; /* about the state */
	uint64_t random;
} g;

/* The audit's syncs are not what is tested. */
int fdatasync(int fd)
{
	(void)fd;
	return 0;
}

static uint64_t any(uint64_t n)
{
	g.random ^= g.random << 13;
	g.random ^= g.random >> 7;
	g.random ^= g.random << 17;
	return g.random % n;
}

static _Noreturn void die(const char *what, const char *why)
{
	printf("FAILED: %s: %s\nstate: %s\nleft in %s\n", what, why, g.words,
	       g.file);
	fflush(stdout);
	_exit(1);
}

static void on_fault(int number)
{
	(void)number;
	die("the store", "read pages that are not there");
}

/* ------- input */

static char *slurp(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	char *bytes;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0)
		die(path, "cannot be read");
	*len = (size_t)ftell(f);
	rewind(f);
	bytes = xmalloc(*len + 1);
	if (fread(bytes, 1, *len, f) != *len)
		die(path, "cannot be read");
	bytes[*len] = '\0';
	fclose(f);
	return bytes;
}

static void read_record(const char *path)
{
	size_t len, at = 0;

	g.record = slurp(path, &len);
	while (at + sizeof(struct tape) <= len) {
		struct entry *en;

		g.entries = xrealloc(g.entries, g.n + 1, sizeof(*en));
		en = &g.entries[g.n++];
		memcpy(&en->head, g.record + at, sizeof(en->head));
		en->bytes = g.record + at + sizeof(en->head);
		at += sizeof(en->head) + en->head.len;
		if (en->head.at + en->head.len > g.room)
			g.room = en->head.at + en->head.len;
	}
	if (at != len || g.n == 0)
		die(path, "is no record");
	g.durable = xcalloc(g.room, 1);
	g.image = xcalloc(g.room, 1);
	g.pending = xcalloc(g.n, sizeof(*g.pending));
}

static void read_expected(const char *path)
{
	FILE *f = fopen(path, "r");
	char id[32], key[40], file[512], recipients[512];

	if (f == NULL)
		die(path, "cannot be read");
	while (fscanf(f, "%31s %39s %511s %511s", id, key, file, recipients) ==
	       4) {
		struct expected *x;
		size_t len;
		char *bytes = slurp(file, &len);

		g.mails = xrealloc(g.mails, g.nmails + 1, sizeof(*x));
		x = &g.mails[g.nmails++];
		*x = (struct expected){.bytes = len};
		if (!msg_id_parse(id, &x->id))
			die(path, "has a line without an id");
		snprintf(x->key, sizeof(x->key), "%s", key);
		x->recipients = xstrdup(recipients);
		x->checksum = digest_of((struct span){bytes, len});
		free(bytes);
	}
	fclose(f);
	g.taken = xcalloc(g.nmails + 1, sizeof(*g.taken));
}

/* ------- the disk */

static void put(char *image, size_t *image_len, const struct entry *en,
		size_t from, size_t len)
{
	size_t at = en->head.at + from;

	if (at > *image_len)
		memset(image + *image_len, 0, at - *image_len);
	memcpy(image + at, en->bytes + from, len);
	if (at + len > *image_len)
		*image_len = at + len;
}

static void put_all(char *image, size_t *image_len, const struct entry *en)
{
	if (en->head.kind == TAPE_TRUNCATE)
		*image_len = en->head.at;
	else
		put(image, image_len, en, 0, en->head.len);
}

/* From one border of sectors to the next, as they lie in the file. */
static size_t to_border(const struct entry *en, size_t from, size_t grain)
{
	size_t len = grain - (en->head.at + from) % grain;

	return len < en->head.len - from ? len : en->head.len - from;
}

/* Its beginning, or any of its sectors. */
static void put_torn(const struct entry *en)
{
	size_t grain = any(2) ? SECTOR : PAGE;
	size_t end = any(en->head.len + 1);
	bool prefix = any(2);

	for (size_t at = 0; at < en->head.len;) {
		size_t len = to_border(en, at, grain);

		if (prefix ? at + len <= end : any(2))
			put(g.image, &g.image_len, en, at, len);
		at += len;
	}
}

static void put_maybe(const struct entry *en)
{
	switch (any(3)) {
	case 0:
		break;
	case 1:
		put_all(g.image, &g.image_len, en);
		break;
	default:
		put_torn(en);
		break;
	}
}

static void shuffle(size_t *list, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = any(i), tmp = list[j];

		list[j] = list[i - 1];
		list[i - 1] = tmp;
	}
}

enum what { NOTHING, EVERYTHING, ANYTHING };

static void build(size_t cut, enum what what, uint64_t seed)
{
	static const char *const word[] = {"nothing", "everything", "anything"};
	size_t *list = xcalloc(g.npending + 1, sizeof(*list));

	snprintf(g.words, sizeof(g.words),
		 "cut at %zu of %zu, with %s of %zu writes, seed %llu", cut,
		 g.n, word[what], g.npending, (unsigned long long)seed);
	memcpy(g.image, g.durable, g.durable_len);
	g.image_len = g.durable_len;
	memcpy(list, g.pending, g.npending * sizeof(*list));
	if (what == ANYTHING)
		shuffle(list, g.npending);
	for (size_t i = 0; i < g.npending; i++) {
		const struct entry *en = &g.entries[list[i]];

		if (what == EVERYTHING)
			put_all(g.image, &g.image_len, en);
		else if (what == ANYTHING)
			put_maybe(en);
	}
	free(list);
}

static void write_image(void)
{
	int fd = open(g.file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	size_t at = 0;

	while (fd >= 0 && at < g.image_len) {
		ssize_t n = write(fd, g.image + at, g.image_len - at);

		if (n <= 0)
			die(g.file, "cannot be written");
		at += (size_t)n;
	}
	if (fd < 0 || close(fd) != 0)
		die(g.file, "cannot be written");
}

/* ------- the audit */

static void see_fault(void *arg, uint64_t id, const char *text)
{
	(void)arg, (void)id;
	die("verify", text);
}

static void verify(struct store *s)
{
	struct store_check c;
	struct balance b;
	struct err e;

	store_check_init(&c);
	while (!c.over)
		if (s->ops->verify(s, &c, 10000, see_fault, NULL, &e) != ST_OK)
			die("verify", e.text);
	store_check_release(&c);
	if (s->ops->balance(s, &b, &e) != ST_OK)
		die("balance", e.text);
	if (!store_balanced(&b))
		die("balance", "the books are not balanced");
}

static bool see_message(void *arg, const struct message *m)
{
	(void)arg, (void)m;
	return true;
}

/* What a start and `relayctl queue list` do. */
static void list(struct store *s)
{
	uint64_t cursor = 0;
	bool more = true;
	struct err e;

	while (more)
		if (s->ops->scan(s, &cursor, 256, &more, see_message, NULL,
				 &e) != ST_OK)
			die("scan", e.text);
}

static void write_one(struct store *s)
{
	struct message *m = message_new();
	struct store_op op = {.verb = STORE_ENQUEUE, .message = m};
	struct store_op *ops = &op;

	m->id = op.id = s->ops->new_id(s);
	m->checksum = digest_of(SPAN(""));
	message_add(m, "new@example.net", "out", "out/x:25");
	if (s->ops->apply(s, &ops, 1) != ST_OK || op.status != ST_OK)
		die("new mail", op.err.text);
	store_op_release(&op);
	message_free(m);
}

static bool names(const char *list_of, const char *address)
{
	size_t len = strlen(address);

	for (const char *p = list_of; p != NULL && *p != '\0';) {
		if (strncmp(p, address, len) == 0 &&
		    (p[len] == ',' || p[len] == '\0' || p[len] == ' '))
			return true;
		p = strpbrk(p, ", ");
		p += p != NULL;
	}
	return false;
}

static void audit_recipients(size_t i, const struct message *m)
{
	size_t commas = 0;

	for (const char *p = g.mails[i].recipients; *p != '\0'; p++)
		commas += *p == ',';
	if (m->nrecipients != commas + 1)
		die(g.mails[i].key, "a recipient is missing");
	for (size_t r = 0; r < m->nrecipients; r++) {
		const char *address = m->recipients[r].address;
		enum rcpt_state state = m->recipients[r].state;

		if (!names(g.mails[i].recipients, address))
			die(g.mails[i].key, "another recipient");
		if (state == RCPT_DELIVERED && !names(g.taken[i], address))
			die(g.mails[i].key,
			    "delivered, and no next hop had taken it");
		if (state == RCPT_FAILED && strncmp(address, "bad", 3) != 0)
			die(g.mails[i].key, "failed, and should not");
		if (state == RCPT_EXPIRED && strncmp(address, "brief", 5) != 0)
			die(g.mails[i].key, "expired, and should not");
	}
}

static void audit_body(struct store *s, const struct expected *x)
{
	struct digest *d = digest_new();
	uint64_t at = 0;
	struct buf piece;
	struct err e;

	buf_init(&piece, 64 * 1024);
	do {
		buf_clear(&piece);
		if (s->ops->read_body(s, x->id, at, &piece, &e) != ST_OK)
			die(x->key, e.text);
		digest_add(d, buf_span(&piece));
		at += piece.len;
	} while (piece.len > 0);
	if (at != x->bytes || digest_value(d) != x->checksum)
		die(x->key, "its bytes are not those that were sent");
	buf_release(&piece);
	digest_free(d);
}

static void audit_mail(struct store *s, size_t i)
{
	const struct expected *x = &g.mails[i];
	struct message *m = NULL;
	struct err e;

	switch (s->ops->load(s, x->id, &m, &e)) {
	case ST_OK:
		audit_body(s, x);
		break;
	case ST_PERM: /* it must be settled */
		if (s->ops->history(s, x->id, &m, NULL, NULL, &e) != ST_OK)
			die(x->key, "lost: 250 was said, and it is not there");
		break;
	case ST_TEMP:
		die(x->key, e.text);
	}
	audit_recipients(i, m);
	message_free(m);
}

static void audit(void)
{
	const struct store_conf conf = {
		.path = g.directory,
		.max_bytes = MAP_BYTES,
	};
	char *lock = xasprintf("%s-lock", g.file);
	struct store *s;
	struct err e;

	write_image();
	unlink(lock);
	free(lock);
	if (store_lmdb_open(&s, &conf, &e) != ST_OK)
		die("open", e.text);
	list(s);
	for (size_t i = 0; i < g.nmails; i++)
		if (g.mails[i].accepted)
			audit_mail(s, i);
	write_one(s);
	verify(s);
	s->ops->close(s);
}

/* ------- along the record */

static struct expected *mail_of(const char *text, size_t len, bool by_key)
{
	for (size_t i = 0; i < g.nmails; i++) {
		char id[MSG_ID_LEN + 1];

		msg_id_text(id, g.mails[i].id);
		const char *name = by_key ? g.mails[i].key : id;
		if (len >= strlen(name) && memcmp(text, name, strlen(name)) == 0)
			return &g.mails[i];
	}
	return NULL;
}

static void flush(void)
{
	for (size_t i = 0; i < g.npending; i++)
		put_all(g.durable, &g.durable_len, &g.entries[g.pending[i]]);
	g.npending = 0;
}

/* Only the write that was made by O_DSYNC; others stay where they were. */
static void flush_synced(void)
{
	for (size_t i = g.npending; i-- > 0;) {
		const struct entry *en = &g.entries[g.pending[i]];

		if (en->head.kind != TAPE_SYNCED_WRITE)
			continue;
		put_all(g.durable, &g.durable_len, en);
		memmove(&g.pending[i], &g.pending[i + 1],
			(g.npending - i - 1) * sizeof(*g.pending));
		g.npending--;
	}
}

static void took(const struct entry *en)
{
	struct expected *x = mail_of(en->bytes, en->head.len, true);
	char *all;

	if (x == NULL)
		return; /* a notice */
	size_t i = (size_t)(x - g.mails);
	all = xasprintf("%s %.*s", g.taken[i] ? g.taken[i] : "",
			(int)en->head.len, en->bytes);
	free((char *)(uintptr_t)g.taken[i]);
	g.taken[i] = all;
}

static void pass_over(size_t at)
{
	const struct entry *en = &g.entries[at];
	struct expected *x;

	switch ((enum tape_kind)en->head.kind) {
	case TAPE_WRITE:
	case TAPE_SYNCED_WRITE:
	case TAPE_TRUNCATE:
		g.pending[g.npending++] = at;
		break;
	case TAPE_WRITE_SYNCED:
		flush_synced();
		g.made = true;
		break;
	case TAPE_SYNC:
		flush();
		break;
	case TAPE_ACCEPTED:
		x = mail_of(en->bytes, en->head.len, false);
		g.made = true; /* or should be */
		if (x != NULL)
			x->accepted = true;
		break;
	case TAPE_TAKEN:
		took(en);
		break;
	}
}

static void rewind_record(void)
{
	g.durable_len = g.npending = 0;
	g.made = false;
	for (size_t i = 0; i < g.nmails; i++) {
		g.mails[i].accepted = false;
		free((char *)(uintptr_t)g.taken[i]);
		g.taken[i] = NULL;
	}
}

/* Is it worth to cut before this one? */
static bool is_border(const struct entry *en, enum what what)
{
	if (!g.made)
		return false;
	if (what == ANYTHING)
		return g.npending > 0;
	return en->head.kind == TAPE_SYNC ||
	       en->head.kind == TAPE_SYNCED_WRITE ||
	       en->head.kind == TAPE_WRITE_SYNCED ||
	       en->head.kind == TAPE_ACCEPTED;
}

static size_t count_borders(enum what what)
{
	size_t n = 0;

	rewind_record();
	for (size_t at = 0; at < g.n; at++) {
		n += is_border(&g.entries[at], what);
		pass_over(at);
	}
	return n;
}

/* About `max` states, spread evenly; how many it were. */
static unsigned long pass(enum what what, unsigned long max, uint64_t seed)
{
	size_t borders = count_borders(what), stride, seen = 0;
	unsigned long n = 0;

	if (borders == 0 || max == 0)
		return 0;
	stride = (borders + max - 1) / max;
	g.random = seed;
	size_t first = any(stride);
	rewind_record();
	for (size_t at = 0; at < g.n; at++) {
		if (is_border(&g.entries[at], what) &&
		    seen++ % stride == first) {
			build(at, what, seed);
			audit();
			n++;
		}
		pass_over(at);
	}
	return n;
}

static void summarise(unsigned long states)
{
	size_t syncs = 0, writes = 0;

	for (size_t i = 0; i < g.n; i++) {
		uint32_t kind = g.entries[i].head.kind;

		syncs += kind == TAPE_SYNC || kind == TAPE_WRITE_SYNCED;
		writes += kind == TAPE_WRITE || kind == TAPE_SYNCED_WRITE;
	}
	printf("measured: %lu states after a power cut, of %zu writes and "
	       "%zu syncs with %zu accepted messages: each opened, verified, "
	       "balanced; 0 lost, 0 altered, 0 delivered too early\n",
	       states, writes, syncs, g.nmails);
}

int main(int argc, char **argv)
{
	unsigned long count, states = 0;
	uint64_t seed;

	if (argc != 6) {
		fputs("usage: replay record expected directory count seed\n",
		      stderr);
		return 2;
	}
	g.directory = argv[3];
	char *file = xasprintf("%s/queue.mdb", g.directory);
	g.file = file;
	signal(SIGBUS, on_fault);
	signal(SIGSEGV, on_fault);
	read_record(argv[1]);
	read_expected(argv[2]);
	count = strtoul(argv[4], NULL, 10);
	seed = strtoul(argv[5], NULL, 10) + 1;
	states += pass(NOTHING, count / 4, seed);
	states += pass(EVERYTHING, count / 4, seed);
	while (states < count) {
		unsigned long more =
			pass(ANYTHING, count - states, ++seed * 7919);

		if (more == 0)
			die(argv[1], "has nothing that a power cut could lose");
		states += more;
	}
	rewind_record();
	summarise(states);
	free(file);
	return 0;
}
