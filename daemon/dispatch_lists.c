/* SPDX-License-Identifier: ISC */
/*
 * dispatch_lists - what revocation lists mean for destinations: those that fail
 * for one are probed when a list has changed, and what is not known is said
 * once.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/dispatch_state.h"

enum {
	AWAIT_MS = 5000, /* mail that waits longer is told why */
	AWAIT_PAUSE_MS = 1000,
};

static bool fails_for_lists(const struct destination *dest)
{
	return dest->state == DESTINATION_FAILING &&
	       (dest->cause == CAUSE_IS_TLS_CRL_UNAVAILABLE ||
		dest->cause == CAUSE_IS_TLS_CERT_REVOKED);
}

static void look_again(struct destination *dest, int64_t now_mono_ms)
{
	if (fails_for_lists(dest))
		dest->next_probe_mono_ms = now_mono_ms;
	if (dest->lists_since_mono_ms != 0)
		dest->pause_until_mono_ms = 0;
}

struct list_news {
	struct note note;
	struct dispatch *dispatch;
};

static void on_lists(struct note *note)
{
	struct list_news *news = CONTAINER_OF(note, struct list_news, note);
	struct dispatch *d = news->dispatch;

	free(news);
	d->lists_mono_ms = clock_mono_ms();
	for (struct lane *l = d->lanes; l; l = l->hh.next)
		for (size_t i = 0; i < l->ndestinations; i++)
			look_again(l->destinations[i], d->lists_mono_ms);
}

void dispatch_hear_lists(struct dispatch *d)
{
	struct list_news *news = xcalloc(1, sizeof(*news));

	news->dispatch = d;
	news->note.run = on_lists;
	mailbox_post(d->mail, &news->note);
}

void dispatch_probe_for_lists(const struct dispatch *d,
			      struct destination *dest,
			      const struct delivery *v)
{
	if (fails_for_lists(dest) && d->lists_mono_ms >= v->began_mono_ms)
		dest->next_probe_mono_ms = clock_mono_ms();
}

bool dispatch_awaits_lists(const struct dispatch *d, struct destination *dest,
			   const struct delivery *v)
{
	int64_t now = clock_mono_ms();

	if (!v->crl_pending || v->connected ||
	    v->failure.cause != CAUSE_IS_TLS_CRL_UNAVAILABLE ||
	    dest->state != DESTINATION_UP) {
		dest->lists_since_mono_ms = 0;
		return false;
	}
	if (dest->lists_since_mono_ms == 0)
		dest->lists_since_mono_ms = now;
	if (now - dest->lists_since_mono_ms >= AWAIT_MS)
		return false;
	if (d->lists_mono_ms < v->began_mono_ms)
		dest->pause_until_mono_ms = now + AWAIT_PAUSE_MS;
	return true;
}

void dispatch_note_lists(struct destination *dest, struct delivery *v)
{
	bool known;

	if (v->connected)
		dest->lists_since_mono_ms = 0;
	if (!v->crl || strcmp(v->crl, dest->crl) == 0) {
		free(v->crl);
		v->crl = NULL;
		return;
	}
	known = strncmp(v->crl, "undetermined", strlen("undetermined")) != 0;
	/* A failure is told as such. */
	if (!known && !v->failed)
		log_fact(LOG_WARN, 0, "crl-undetermined",
			 F_STR("destination", dest->name),
			 F_STR("crl", v->crl));
	else if (known && dest->crl[0] != '\0')
		log_fact(LOG_INFO, 0, "crl-known",
			 F_STR("destination", dest->name),
			 F_STR("crl", v->crl));
	free(dest->crl);
	dest->crl = v->crl;
	v->crl = NULL;
}
