/* SPDX-License-Identifier: ISC */
/*
 * diagnose - turns the facts of a failure into its cause and its reach.
 *
 * Rules, in words:
 *
 * - What keeps us from reaching MAIL condemns the destination: the next
 *   message would fare no better.  It is always temporary, even after a 5xx
 *   greeting: somebody can mend it, and then the mail goes.
 * - From MAIL on a reply speaks of the message or the recipient, except 421
 *   (the host closes) and words about the session (TLS, authentication).
 * - The first digit of a reply decides between deferred and failed, whatever
 *   the enhanced code says ("451 5.7.3" is temporary).
 * - A connection that breaks after DATA was accepted condemns only the
 *   message: its content may be the reason, and mail behind it must flow.
 * - A refusal that comes while we still speak the message is one of the
 *   message, though it is out of turn; what sounds like a yes is not believed.
 * - Our own trouble (no descriptors, a damaged body) condemns nobody else.
 */
#include "daemon/diagnose.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static void conclude(struct failure *out, enum status status, enum reach reach,
		     enum cause cause)
{
	out->status = status;
	out->reach = reach;
	out->cause = cause;
}

/* The enhanced code for failures without a peer's own (RFC 3463, RFC 5248,
 * RFC 7505); the class is filled in from the status. */
static const char *subject_of(enum cause cause)
{
	switch (cause_group(cause)) {
	case CAUSE_TLS:
		return "7.5";
	case CAUSE_DNS:
		return "4.3";
	case CAUSE_NET:
		return cause == CAUSE_IS_CONNECTION_LOST ? "4.2" : "4.1";
	case CAUSE_AUTH:
		return "7.8";
	case CAUSE_MAIL:
		return cause == CAUSE_IS_TOO_LARGE ? "3.4" : "6.0";
	case CAUSE_SELF:
		return "3.5";
	case CAUSE_PEER:
		return cause == CAUSE_IS_PEER_TIMEOUT ? "4.2" : "5.0";
	case CAUSE_OTHER:
	case CAUSE_OPS:
		break;
	}
	return "0.0";
}

static void set_enhanced(struct failure *out, const struct reply *r)
{
	if (r && r->class == (unsigned)out->status)
		snprintf(out->enhanced, sizeof(out->enhanced), "%u.%u.%u",
			 r->class % 10u, r->subject % 1000u, r->detail % 1000u);
	else
		snprintf(out->enhanced, sizeof(out->enhanced), "%d.%s",
			 (int)out->status, subject_of(out->cause));
}

static void keep_peers_words(struct failure *out, const struct reply *r)
{
	struct buf line;

	buf_init(&line, sizeof(out->reply) - 1);
	reply_line(&line, r);
	struct span s = buf_span(&line);
	memcpy(out->reply, s.at ? s.at : "", s.len);
	out->reply[s.len] = '\0';
	buf_release(&line);
}

/* ------- before a reply could be heard */

static void diagnose_lookup(const struct facts *f, struct failure *out)
{
	static const struct {
		enum cause cause;
		const char *text;
	} found[] = {
		[LOOKUP_OK] = {CAUSE_IS_DNS_SERVFAIL, "gave nothing"},
		[LOOKUP_NXDOMAIN] = {CAUSE_IS_DNS_NXDOMAIN, "does not exist"},
		[LOOKUP_NODATA] = {CAUSE_IS_DNS_NOMX, "has no address"},
		[LOOKUP_TIMEOUT] = {CAUSE_IS_DNS_TIMEOUT,
				    "could not be resolved in time"},
		[LOOKUP_SERVFAIL] = {CAUSE_IS_DNS_SERVFAIL,
				     "could not be resolved (SERVFAIL)"},
		[LOOKUP_BOGUS] = {CAUSE_IS_DNS_BOGUS,
				  "has a wrong DNSSEC signature"},
	};

	conclude(out, ST_TEMP, AT_DESTINATION, found[f->lookup].cause);
	snprintf(out->reply, sizeof(out->reply), "host %s %s", f->host,
		 found[f->lookup].text);
}

static void diagnose_connect(const struct facts *f, struct failure *out)
{
	enum reach reach = AT_DESTINATION;
	enum cause cause;

	switch (f->os) {
	case ECONNREFUSED:
		cause = CAUSE_IS_CONNECT_REFUSED;
		break;
	case ETIMEDOUT:
		cause = CAUSE_IS_CONNECT_TIMEOUT;
		break;
	case ECONNRESET:
	case ECONNABORTED:
	case EPIPE:
		cause = CAUSE_IS_CONNECTION_LOST;
		break;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case EACCES:
	case EPERM:
		reach = AT_SELF;
		cause = CAUSE_IS_SELF_CONFIG;
		break;
	default:
		cause = CAUSE_IS_CONNECT_UNREACHABLE;
		break;
	}
	conclude(out, ST_TEMP, reach, cause);
	snprintf(out->reply, sizeof(out->reply), "connect to %s: %s", f->host,
		 strerror(f->os));
}

static void diagnose_no_starttls(const struct facts *f, struct failure *out)
{
	bool masked = f->ehlo_refused || (f->offers & OFFER_MASKED);

	conclude(out, ST_TEMP, AT_DESTINATION,
		 masked ? CAUSE_IS_TLS_MASKED : CAUSE_IS_TLS_NOT_OFFERED);
	snprintf(out->reply, sizeof(out->reply),
		 masked ? "%s hides STARTTLS (%s), the route demands TLS; "
			  "greeting: %s"
			: "%s does not offer STARTTLS%s, the route demands "
			  "TLS; greeting: %s",
		 f->host,
		 !masked	   ? ""
		 : f->ehlo_refused ? "EHLO is refused"
				   : "its words are masked",
		 f->greeting ? f->greeting : "");
}

static void diagnose_no_auth(const struct facts *f, struct failure *out)
{
	conclude(out, ST_TEMP, AT_DESTINATION, CAUSE_IS_AUTH_FAILED);
	snprintf(out->reply, sizeof(out->reply), "%s: %.900s", f->host,
		 f->reply->text);
}

/* ------- the connection itself */

/* How much a broken or silent connection condemns depends on where it was. */
static enum reach reach_of_break(enum client_stage stage)
{
	return stage == CLIENT_DATA || stage == CLIENT_DOT ? AT_MESSAGE
							   : AT_DESTINATION;
}

/* From the word STARTTLS on it is TLS that fails. */
static bool in_starttls(const struct facts *f)
{
	return f->handshaking || f->stage == CLIENT_STARTTLS;
}

static void diagnose_lost(const struct facts *f, struct failure *out)
{
	if (in_starttls(f)) {
		conclude(out, ST_TEMP, AT_DESTINATION, CAUSE_IS_TLS_HANDSHAKE);
		snprintf(out->reply, sizeof(out->reply),
			 "%s closed the connection %s%s%s", f->host,
			 f->handshaking ? "in the TLS handshake"
					: "instead of answering STARTTLS",
			 f->text ? ": " : "", f->text ? f->text : "");
		return;
	}
	conclude(out, ST_TEMP, reach_of_break(f->stage),
		 CAUSE_IS_CONNECTION_LOST);
	snprintf(out->reply, sizeof(out->reply),
		 "the connection to %s was lost at %s%s%s", f->host,
		 client_stage_word(f->stage), f->text ? ": " : "",
		 f->text ? f->text : "");
}

static void diagnose_timeout(const struct facts *f, struct failure *out)
{
	if (in_starttls(f))
		conclude(out, ST_TEMP, AT_DESTINATION, CAUSE_IS_TLS_TIMEOUT);
	else
		conclude(out, ST_TEMP, reach_of_break(f->stage),
			 CAUSE_IS_PEER_TIMEOUT);
	snprintf(out->reply, sizeof(out->reply),
		 "%s did not answer in time%s%s", f->host,
		 f->handshaking ? " in the TLS handshake" : " at ",
		 f->handshaking ? "" : client_stage_word(f->stage));
}

/* ------- replies */

static bool says(const struct reply *r, const char *word)
{
	return strcasestr(r->text, word) != NULL;
}

static bool has_code(const struct reply *r, unsigned subject, unsigned detail)
{
	return r->class && r->subject == subject && r->detail == detail;
}

/* Exchange Online has a range for banned addresses, X.7.606 to X.7.649; the
 * rest of the world says so in words. */
static bool is_blocklisted(const struct reply *r)
{
	if (r->class && r->subject == 7 && r->detail >= 606 && r->detail <= 649)
		return true;
	return says(r, "blocklist") || says(r, "block list") ||
	       says(r, "blacklist") || says(r, "dnsbl") || says(r, "spamhaus");
}

/* Exchange Online: X.7.500 to X.7.599, "server busy", and X.7.230, a server of
 * ours that it thinks too old. */
static bool is_throttled(const struct reply *r)
{
	if (r->class && r->subject == 7 &&
	    ((r->detail >= 500 && r->detail <= 599) || r->detail == 230))
		return true;
	return says(r, "too many connections") || says(r, "rate limit") ||
	       says(r, "server busy") || says(r, "throttl") ||
	       says(r, "too busy");
}

/* 530 5.7.0 and 451 5.7.3 demand STARTTLS; RFC 3207 section 4, and what
 * Exchange says. */
static bool demands_starttls(const struct facts *f)
{
	const struct reply *r = f->reply;

	if (f->in_tls)
		return false;
	return says(r, "starttls") &&
	       (r->code == 530 || has_code(r, 7, 3) || has_code(r, 7, 0));
}

static bool before_mail(enum client_stage stage)
{
	return stage == CLIENT_GREETING || stage == CLIENT_EHLO ||
	       stage == CLIENT_HELO;
}

/* Exchange Online has it at AUTH and at MAIL; RFC 8689 uses the same code for
 * REQUIRETLS, which speaks of the message. */
static bool is_basic_auth_off(const struct reply *r)
{
	return has_code(r, 7, 30) && says(r, "authentication");
}

/* Whatever is said to AUTH but 421: RFC 4954 sections 4 and 6. */
static bool is_auth_failed(const struct facts *f)
{
	return (f->stage == CLIENT_AUTH && f->reply->code != 421) ||
	       f->reply->code == 535 || is_basic_auth_off(f->reply);
}

static bool is_auth_required(const struct reply *r)
{
	return r->code == 530 || has_code(r, 7, 57);
}

/* What speaks of the session, at whatever command it was said. */
static bool diagnose_session(const struct facts *f, struct failure *out)
{
	const struct reply *r = f->reply;
	enum cause cause;

	if (f->stage == CLIENT_STARTTLS)
		cause = CAUSE_IS_TLS_REFUSED;
	else if (demands_starttls(f))
		cause = CAUSE_IS_TLS_PEER_REQUIRES;
	else if (is_auth_failed(f))
		cause = CAUSE_IS_AUTH_FAILED;
	else if (is_auth_required(r))
		cause = CAUSE_IS_AUTH_REQUIRED;
	else if (is_blocklisted(r) && (before_mail(f->stage) || r->code < 500))
		cause = CAUSE_IS_PEER_BLOCKLISTED;
	else if (r->code == 421 || (before_mail(f->stage) && is_throttled(r)))
		cause = CAUSE_IS_PEER_THROTTLED;
	else if (before_mail(f->stage))
		cause = CAUSE_IS_PEER_GREETING;
	else
		return false;
	conclude(out, ST_TEMP, AT_DESTINATION, cause);
	return true;
}

/* RFC 5248 has no code of its own for it: 5.7.1 and words.  The two of
 * Exchange Online are attribution and a connector's restriction. */
static bool speaks_of_us(const struct facts *f)
{
	const struct reply *r = f->reply;

	if (has_code(r, 7, 64) || has_code(r, 7, 51))
		return true;
	return f->smart_host && says(r, "relay") &&
	       (says(r, "denied") || says(r, "unable") ||
		says(r, "not permitted") || says(r, "not allowed") ||
		says(r, "prohibited"));
}

static void diagnose_refusal(const struct facts *f, struct failure *out)
{
	const struct reply *r = f->reply;
	enum reach reach = f->stage == CLIENT_RCPT ? AT_RECIPIENT : AT_MESSAGE;
	/* RFC 5321 4.5.3.1.10: 552 at RCPT is an old "too many". */
	bool temporary =
		r->code < 500 || (r->code == 552 && f->stage == CLIENT_RCPT &&
				  !has_code(r, 3, 4));

	if (temporary)
		conclude(out, ST_TEMP, reach,
			 is_throttled(r) ? CAUSE_IS_PEER_THROTTLED
					 : CAUSE_IS_PEER_DEFERRED);
	else if (r->code == 552 || has_code(r, 3, 4))
		conclude(out, ST_PERM, AT_MESSAGE, CAUSE_IS_TOO_LARGE);
	else if (has_code(r, 4, 6))
		conclude(out, ST_PERM, reach, CAUSE_IS_LOOP);
	else if (speaks_of_us(f))
		conclude(out, ST_PERM, AT_MESSAGE, CAUSE_IS_SELF_CONFIG);
	else if (is_blocklisted(r))
		conclude(out, ST_PERM, AT_MESSAGE, CAUSE_IS_PEER_BLOCKLISTED);
	else
		conclude(out, ST_PERM, reach, CAUSE_IS_PEER_REJECTED);
}

static void diagnose_reply(const struct facts *f, struct failure *out)
{
	if (!diagnose_session(f, out))
		diagnose_refusal(f, out);
	keep_peers_words(out, f->reply);
}

/* An answer to a message that we have not finished. */
static bool is_early_refusal(const struct facts *f)
{
	return f->stage == CLIENT_DATA && f->reply && f->reply->code >= 400;
}

static void diagnose_protocol(const struct facts *f, struct failure *out)
{
	if (is_early_refusal(f)) {
		diagnose_reply(f, out);
		return;
	}
	/* A filter that garbles the dialogue looks like this, too. */
	conclude(out, ST_TEMP, reach_of_break(f->stage),
		 f->offers & OFFER_MASKED ? CAUSE_IS_TLS_MASKED
					  : CAUSE_IS_PEER_PROTOCOL);
	snprintf(out->reply, sizeof(out->reply),
		 "%s does not speak SMTP at %s: %.900s", f->host,
		 client_stage_word(f->stage), f->reply ? f->reply->text : "");
}

/* ------- */

static void own_words(const struct facts *f, struct failure *out)
{
	snprintf(out->reply, sizeof(out->reply), "%s",
		 f->text ? f->text : cause_word(out->cause));
}

void diagnose(const struct facts *f, struct failure *out)
{
	memset(out, 0, sizeof(*out));
	switch (f->kind) {
	case FACT_LOOKUP:
		diagnose_lookup(f, out);
		break;
	case FACT_CONNECT:
		diagnose_connect(f, out);
		break;
	case FACT_REPLY:
		diagnose_reply(f, out);
		break;
	case FACT_NO_STARTTLS:
		diagnose_no_starttls(f, out);
		break;
	case FACT_NO_AUTH:
		diagnose_no_auth(f, out);
		break;
	case FACT_NO_SECRET:
		conclude(out, ST_TEMP, AT_DESTINATION, CAUSE_IS_AUTH_FAILED);
		own_words(f, out);
		break;
	case FACT_TLS:
		conclude(out, ST_TEMP, AT_DESTINATION, f->tls_cause);
		own_words(f, out);
		break;
	case FACT_LOST:
		diagnose_lost(f, out);
		break;
	case FACT_TIMEOUT:
		diagnose_timeout(f, out);
		break;
	case FACT_PROTOCOL:
		diagnose_protocol(f, out);
		break;
	case FACT_CORRUPT:
		conclude(out, ST_PERM, AT_MESSAGE, CAUSE_IS_CORRUPT);
		own_words(f, out);
		break;
	case FACT_SELF:
		conclude(out, ST_TEMP, AT_SELF, CAUSE_IS_SELF_STORE);
		own_words(f, out);
		break;
	}
	bool is_reply = f->kind == FACT_REPLY ||
			(f->kind == FACT_PROTOCOL && is_early_refusal(f));
	set_enhanced(out, is_reply ? f->reply : NULL);
}

/* ------- what a host can take */

bool diagnose_needs(const struct needs *needs, const char *host,
		    unsigned offers, uint64_t size_limit, struct failure *out)
{
	char size[96];
	const struct {
		bool missing;
		enum cause cause;
		const char *enhanced, *text;
	} rows[] = {
		{size_limit > 0 && needs->bytes > size_limit,
		 CAUSE_IS_TOO_LARGE, "5.3.4", size},
		{needs->smtputf8 && !(offers & OFFER_SMTPUTF8),
		 CAUSE_IS_NO_UTF8, "5.6.7",
		 "does not offer SMTPUTF8, which the message needs"},
		{needs->has_8bit && !(offers & OFFER_8BITMIME),
		 CAUSE_IS_PEER_REJECTED, "5.6.3",
		 "does not offer 8BITMIME, and the message has 8-bit bytes"},
		{needs->bare_newlines && !(offers & OFFER_CHUNKING),
		 CAUSE_IS_PEER_REJECTED, "5.6.11",
		 "does not offer CHUNKING, and the message has bare CR or LF, "
		 "which can't be sent otherwise"},
	};

	snprintf(size, sizeof(size),
		 "takes at most %" PRIu64 " bytes, the message has %" PRIu64,
		 size_limit, needs->bytes);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!rows[i].missing)
			continue;
		memset(out, 0, sizeof(*out));
		conclude(out, ST_PERM, AT_MESSAGE, rows[i].cause);
		snprintf(out->enhanced, sizeof(out->enhanced), "%s",
			 rows[i].enhanced);
		snprintf(out->reply, sizeof(out->reply), "%s %s", host,
			 rows[i].text);
		return false;
	}
	return true;
}

bool failure_is_throttle(const struct failure *f)
{
	bool policy = strncmp(f->enhanced, "4.7.", 4) == 0;

	if (f->cause != CAUSE_IS_PEER_THROTTLED || f->status != ST_TEMP ||
	    strcasestr(f->reply, "too many"))
		return false;
	if (f->reach == AT_RECIPIENT)
		return policy;
	return policy || strcasestr(f->reply, "busy") ||
	       strcasestr(f->reply, "throttl") ||
	       strcasestr(f->reply, "rate limit");
}

bool reply_is_too_many(const struct reply *r)
{
	if (r->code != 452 && r->code != 552)
		return false;
	return r->class == 0 || has_code(r, 5, 3) ||
	       says(r, "too many recipients");
}
