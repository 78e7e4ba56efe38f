/* SPDX-License-Identifier: ISC */
/*
 * dsn_words - the part of a notice that people read.
 */
#include "queue/dsn_words.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/units.h"
#include "queue/wrap.h"

enum {
	LISTED_BYTES = 12 * 1024, /* no further recipient is begun behind */
	QUOTED_MAX = 600, /* bytes of a reply or a certificate */
};

#define CHECK_ADDRESS "Please check the address and what the server said."
#define NOT_YOU                                                             \
	"The fault is not in your message; sending it again does not help " \
	"before it is mended."

/* What a cause means to somebody who only wanted to send mail, and what can
 * be done.  The first row that fits. */
static const struct meaning {
	enum cause cause; /* or CAUSE_IS_NONE: all of the group */
	enum cause_group group;
	const char *happened, *advice;
} meanings[] = {
	{CAUSE_IS_TLS_CERT_EXPIRED, CAUSE_TLS,
	 "The next mail server showed a certificate that has expired, and "
	 "this mail must not travel without a secure connection.",
	 NOT_YOU},
	{CAUSE_IS_TLS_CERT_NAME, CAUSE_TLS,
	 "The next mail server showed a certificate of another name, and this "
	 "mail must not travel without a secure connection.",
	 NOT_YOU},
	{CAUSE_IS_NONE, CAUSE_TLS,
	 "There was no secure connection to the next mail server that could "
	 "be trusted, and this mail must not travel without one.",
	 NOT_YOU},
	{CAUSE_IS_DNS_NULL_MX, CAUSE_DNS,
	 "The domain of this address takes no mail.", CHECK_ADDRESS},
	{CAUSE_IS_DNS_NXDOMAIN, CAUSE_DNS,
	 "The domain of this address, or its mail server, does not exist.",
	 "Please check the address."},
	{CAUSE_IS_NONE, CAUSE_DNS,
	 "The mail server for this address could not be found.",
	 "Please check the address; if it is right, the fault is not in your "
	 "message."},
	{CAUSE_IS_NONE, CAUSE_NET,
	 "The mail server for this address could not be reached.", NOT_YOU},
	{CAUSE_IS_PEER_REJECTED, CAUSE_PEER,
	 "The next mail server refused the message.", CHECK_ADDRESS},
	{CAUSE_IS_NONE, CAUSE_PEER,
	 "The next mail server did not take the message.",
	 "What it said may tell more."},
	{CAUSE_IS_NONE, CAUSE_AUTH,
	 "The next mail server did not let this system in.", NOT_YOU},
	{CAUSE_IS_TOO_LARGE, CAUSE_MAIL,
	 "The message is larger than the next mail server takes.",
	 "Please send less at a time."},
	{CAUSE_IS_LOOP, CAUSE_MAIL, "The message went in circles.", NOT_YOU},
	{CAUSE_IS_NO_ROUTE, CAUSE_MAIL,
	 "This system does not know where to send mail for this address.",
	 CHECK_ADDRESS},
	{CAUSE_IS_NO_UTF8, CAUSE_MAIL,
	 "The next mail server cannot take mail with international "
	 "addresses or headers.",
	 "Please ask the recipient for an address in plain letters."},
	{CAUSE_IS_CORRUPT, CAUSE_MAIL,
	 "The message was damaged while it was stored here.",
	 "Please send it again."},
	{CAUSE_IS_NONE, CAUSE_MAIL, "The message could not be passed on.",
	 NOT_YOU},
	{CAUSE_IS_NONE, CAUSE_SELF, "This system has a fault of its own.",
	 NOT_YOU},
	{CAUSE_IS_NONE, CAUSE_OPS,
	 "The message was held back here by the administrator.", NOT_YOU},
	{CAUSE_IS_NONE, CAUSE_OTHER, "The message could not be passed on.",
	 NOT_YOU},
};

static const struct meaning *meaning_of(enum cause cause)
{
	enum cause_group group = cause_group(cause);
	size_t last = ARRAY_LEN(meanings) - 1;

	for (size_t i = 0; i < last; i++)
		if (meanings[i].group == group &&
		    (meanings[i].cause == CAUSE_IS_NONE ||
		     meanings[i].cause == cause))
			return &meanings[i];
	return &meanings[last];
}

const char *dsn_subject(const struct dsn *d)
{
	if (d->to_postmaster)
		return "Undelivered notice or mail without a sender";
	switch (d->about) {
	case DSN_ABOUT_FAILURE:
		return "Undelivered Mail Returned to Sender";
	case DSN_ABOUT_DELAY:
		return "Delayed Mail (still being retried)";
	case DSN_ABOUT_RELAY:
		break;
	}
	return "Successful Mail Delivery Report (relayed)";
}

/* ------- a recipient */

/* "    the server said: 550 5.1.1 unknown", or nothing. */
static void quote(struct wrap *w, const char *label, const char *s)
{
	if (s[0] == '\0')
		return;
	w->indent = "        ";
	wrap_plain(w, "    ");
	wrap_plain(w, label);
	wrap_plain(w, ":");
	wrap_words(w, span_of(s), QUOTED_MAX);
	wrap_end(w);
}

static void sentence(struct wrap *w, const char *s)
{
	if (w->column == 0)
		wrap_plain(w, w->indent);
	wrap_words(w, span_of(s), SIZE_MAX);
}

static void tell_recipient(struct wrap *w, const struct dsn *d,
			   const struct dsn_recipient *r)
{
	const struct meaning *meaning = meaning_of(r->cause);
	char date[CLOCK_RFC5322_MAX];

	w->indent = "";
	wrap_plain(w, "<");
	wrap_words(w, span_of(r->recipient->address), SIZE_MAX);
	wrap_plain(w, ">\r\n");
	w->indent = "    ";
	if (r->expired)
		sentence(w, "The time for trying is over.");
	if (d->removed) {
		sentence(w, "The administrator of this system removed it.");
		wrap_end(w);
	} else if (d->about != DSN_ABOUT_RELAY) {
		sentence(w, meaning->happened);
		if (!d->to_postmaster)
			sentence(w, meaning->advice);
		wrap_end(w);
	}
	quote(w, "next server", r->host);
	quote(w, "what was said", r->reply);
	quote(w, "its certificate", r->certificate);
	if (d->about == DSN_ABOUT_DELAY && r->until_ms > 0) {
		clock_rfc5322(date, r->until_ms);
		quote(w, "tried until", date);
	}
	wrap_plain(w, "\r\n");
}

/* ------- all of it */

static const char *opening(const struct dsn *d)
{
	if (d->to_postmaster)
		return "A message could not be delivered, and its sender "
		       "cannot be told: it has an empty return path, as "
		       "notices like this one have, or there is no route to "
		       "its sender. So this goes to you.";
	switch (d->about) {
	case DSN_ABOUT_FAILURE:
		return "Your message could not be delivered as listed below. "
		       "It is not tried any more.";
	case DSN_ABOUT_DELAY:
		return "Your message has not been delivered yet as listed "
		       "below. It is still being tried. YOU DO NOT NEED TO "
		       "SEND IT AGAIN.";
	case DSN_ABOUT_RELAY:
		break;
	}
	return "Your message was passed on to the next mail server as listed "
	       "below. That server gives no confirmations, so this is all "
	       "that will be heard unless something goes wrong there.";
}

static void paragraph(struct wrap *w, const char *text)
{
	w->indent = "";
	wrap_words(w, span_of(text), SIZE_MAX);
	wrap_plain(w, "\r\n\r\n");
}

static void closing(struct wrap *w, const struct dsn *d)
{
	char id[MSG_ID_LEN + 1];

	msg_id_text(id, d->message->id);
	w->indent = "";
	if (d->about == DSN_ABOUT_FAILURE && !d->removed)
		paragraph(w, d->to_postmaster
				     ? "The message is kept for some time; "
				       "`relayctl resubmit' with the number "
				       "below delivers it once the cause is "
				       "gone."
				     : "Nothing is lost yet: the message is "
				       "kept here for some time, and the "
				       "administrator of this system can still "
				       "have it delivered once the cause is "
				       "gone.");
	wrap_words(w, SPAN("Administrator:"), SIZE_MAX);
	wrap_words(w, span_of(d->postmaster), SIZE_MAX);
	wrap_end(w);
	wrap_words(w, SPAN("Number of the message here:"), SIZE_MAX);
	wrap_words(w, span_of(id), SIZE_MAX);
	wrap_end(w);
}

void dsn_words(struct buf *out, const struct dsn *d, bool utf8)
{
	struct wrap w = {.out = out, .indent = "", .utf8 = utf8};
	char others[96];
	size_t i;

	wrap_words(&w, SPAN("This is the mail system at"), SIZE_MAX);
	wrap_words(&w, span_of(d->hostname), SIZE_MAX);
	wrap_plain(&w, "\r\n\r\n");
	paragraph(&w, opening(d));
	for (i = 0; i < d->n && out->len < LISTED_BYTES; i++)
		tell_recipient(&w, d, &d->recipients[i]);
	if (i < d->n) {
		snprintf(others, sizeof(others),
			 "... and %zu others, listed in the report below.",
			 d->n - i);
		paragraph(&w, others);
	}
	closing(&w, d);
}
