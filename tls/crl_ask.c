/* SPDX-License-Identifier: ISC */
/*
 * crl_ask - what the lists at hand say of a certificate.
 */
#include <stdio.h>

#include "base/clock.h"
#include "tls/cert.h"
#include "tls/crl_table.h"

/* What is at hand from one source. */
struct found {
	struct crl_lists lists;
	char failure[CRL_TEXT_MAX];
};

static void take_out(struct found *f, const struct crl_source *e)
{
	for (size_t i = 0; i < e->lists.n; i++)
		crl_lists_add(&f->lists, crl_ref(e->lists.at[i]));
	memcpy(f->failure, e->failure, sizeof(f->failure));
}

/* TLS_CRL_OFF: none of these lists is the issuer's. */
static enum tls_crl judge(struct found *f, const struct crl_ask *ask,
			  const struct crl_points *points,
			  char why[CRL_WHY_MAX])
{
	const struct crl_question q = {
		.crt = ask->crt,
		.points = points,
		.wall_ms = clock_wall_ms(),
	};
	enum tls_crl answer = TLS_CRL_OFF;

	for (size_t i = 0; i < f->lists.n; i++) {
		char text[CRL_WHY_MAX];
		enum tls_crl this = TLS_CRL_UNDETERMINED;

		if (!crl_is_of(f->lists.at[i], ask->issuer))
			continue;
		if (crl_signed_by(f->lists.at[i], ask->issuer, text))
			this = crl_judge(f->lists.at[i], &q, text);
		/* A revocation beats all, a good one what can't tell. */
		if (answer == TLS_CRL_OFF || this == TLS_CRL_REVOKED ||
		    (this == TLS_CRL_GOOD && answer == TLS_CRL_UNDETERMINED)) {
			answer = this;
			memcpy(why, text, CRL_WHY_MAX);
		}
		if (answer == TLS_CRL_REVOKED)
			break;
	}
	crl_lists_release(&f->lists);
	return answer;
}

static void ask_file(struct crl_cache *c, const struct crl_ask *ask,
		     const struct crl_points *points, const char *path,
		     struct crl_answer *out)
{
	char id[CRL_ID_MAX], why[CRL_WHY_MAX] = "";
	struct found f = {.lists.n = 0};
	struct crl_source *e;

	if (!crl_source_id(id, path, NULL))
		return;
	pthread_mutex_lock(&c->lock);
	e = crl_source_find(c, id);
	if (e)
		take_out(&f, e);
	pthread_mutex_unlock(&c->lock);
	out->state = judge(&f, ask, points, why);
	if (out->state == TLS_CRL_REVOKED)
		snprintf(out->text, sizeof(out->text), "%s, says %s", why,
			 path);
	else if (out->state == TLS_CRL_UNDETERMINED)
		snprintf(out->text, sizeof(out->text), "%s: the list %s", path,
			 why);
}

/* Finds or makes the entry of a URL; what failed a while ago is due again. */
static bool want(struct crl_cache *c, const struct crl_ask *ask,
		 const char *url, const char *id, struct found *f)
{
	int64_t now = clock_mono_ms();
	struct crl_source *e = crl_source_find(c, id);

	if (!e) {
		e = crl_source_add(c, id, url);
		e->issuer = cert_copy(ask->issuer);
		e->due_mono_ms = now;
		crl_cache_sweep(c, e);
	}
	e->asked_mono_ms = now;
	e->may_be_private = ask->may_be_private;
	e->retry_ms = ask->retry_ms;
	if (e->refresh_ms != ask->refresh_ms) {
		e->refresh_ms = ask->refresh_ms;
		if (e->lists.n > 0)
			crl_source_plan(e);
	}
	if (e->failures > 0 && e->tried_mono_ms + e->retry_ms < e->due_mono_ms)
		e->due_mono_ms = e->tried_mono_ms + e->retry_ms;
	take_out(f, e);
	return crl_source_is_news(c, e);
}

static void note_answer(struct crl_cache *c, const char *id,
			enum tls_crl answer)
{
	struct crl_source *e;

	pthread_mutex_lock(&c->lock);
	e = crl_source_find(c, id);
	if (e)
		e->unsatisfied = answer != TLS_CRL_GOOD;
	pthread_mutex_unlock(&c->lock);
}

static void say_undetermined(char text[CRL_TEXT_MAX], const char *url,
			     const char *why, const char *failure)
{
	char fault[CRL_TEXT_MAX];

	snprintf(fault, sizeof(fault), "the list %s", why);
	if (!why[0])
		snprintf(text, CRL_TEXT_MAX, "%.140s: %.170s", url,
			 failure[0] ? failure : "the list is being fetched");
	else if (!failure[0] || strcmp(failure, fault) == 0)
		snprintf(text, CRL_TEXT_MAX, "%.140s: %.170s", url, fault);
	else
		snprintf(text, CRL_TEXT_MAX,
			 "%.140s: %.100s; fetched anew: %.58s", url, fault,
			 failure);
}

static void ask_url(struct crl_cache *c, const struct crl_ask *ask,
		    const struct crl_points *points, const char *url,
		    struct crl_answer *out)
{
	char id[CRL_ID_MAX], why[CRL_WHY_MAX] = "";
	struct found f = {.lists.n = 0};
	bool news;

	if (!crl_source_id(id, url, ask->issuer))
		return;
	pthread_mutex_lock(&c->lock);
	news = want(c, ask, url, id, &f);
	pthread_mutex_unlock(&c->lock);
	crl_cache_wake(c, news);
	out->state = judge(&f, ask, points, why);
	if (out->state == TLS_CRL_OFF) {
		out->state = TLS_CRL_UNDETERMINED;
		out->pending = f.failure[0] == '\0';
	}
	note_answer(c, id, out->state);
	if (out->state == TLS_CRL_REVOKED)
		snprintf(out->text, sizeof(out->text), "%s, says %s", why, url);
	else if (out->state == TLS_CRL_UNDETERMINED)
		say_undetermined(out->text, url, why, f.failure);
}

/* What is known for sure beats what is not known, and the worst is told. */
static bool is_better(enum tls_crl a, enum tls_crl b)
{
	static const int rank[] = {
		[TLS_CRL_OFF] = 0,
		[TLS_CRL_UNDETERMINED] = 1,
		[TLS_CRL_GOOD] = 2,
		[TLS_CRL_REVOKED] = 3,
	};

	return rank[a] > rank[b];
}

static void say_no_point(const struct crl_points *points,
			 const struct crl_ask *ask, char text[CRL_TEXT_MAX])
{
	const char *files = ask->nfiles > 0
				    ? ", and no list of crl_files is of its "
				      "issuer"
				    : "";

	if (points->n == 0)
		snprintf(text, CRL_TEXT_MAX, "has no distribution point%s",
			 files);
	else
		snprintf(text, CRL_TEXT_MAX,
			 "has no distribution point that can be fetched by "
			 "http (%.150s)%s",
			 points->url[0], files);
}

void crl_cache_ask(struct crl_cache *c, const struct crl_ask *ask,
		   struct crl_answer *out)
{
	struct crl_points points;

	*out = (struct crl_answer){.state = TLS_CRL_OFF};
	crl_points_of(ask->crt, &points);
	for (size_t i = 0; i < ask->nfiles + points.n; i++) {
		struct crl_answer one = {.state = TLS_CRL_OFF};
		size_t url = i - ask->nfiles;
		bool pending = out->pending;

		if (i < ask->nfiles)
			ask_file(c, ask, &points, ask->files[i], &one);
		else if (points.http & 1U << url)
			ask_url(c, ask, &points, points.url[url], &one);
		pending = pending || one.pending;
		if (is_better(one.state, out->state))
			*out = one;
		out->pending = pending;
	}
	if (out->state == TLS_CRL_OFF) {
		out->state = TLS_CRL_UNDETERMINED;
		say_no_point(&points, ask, out->text);
	}
}
