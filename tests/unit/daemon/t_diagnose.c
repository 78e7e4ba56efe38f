/* SPDX-License-Identifier: ISC */
/*
 * t_diagnose - from facts to (cause, reach, status), row by row.
 */
#include "daemon/diagnose.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

struct row {
	const char *what;
	enum fact_kind kind;
	enum client_stage stage;
	int code;                        /* reply */
	unsigned class, subject, detail;
	const char *text;
	int os;
	enum lookup_result lookup;
	enum cause tls_cause;
	bool handshaking, in_tls, ehlo_refused, smart_host;
	unsigned offers;

	enum cause cause;
	enum reach reach;
	enum status status;
	const char *enhanced;            /* NULL: not looked at */
};

static const struct row rows[] = {
	/* ------- names */
	{ "no such host", FACT_LOOKUP, .lookup = LOOKUP_NXDOMAIN,
	  .cause = CAUSE_IS_DNS_NXDOMAIN, .reach = AT_DESTINATION,
	  .status = ST_TEMP, .enhanced = "4.4.3" },
	{ "host without address", FACT_LOOKUP, .lookup = LOOKUP_NODATA,
	  .cause = CAUSE_IS_DNS_NOMX, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "resolver silent", FACT_LOOKUP, .lookup = LOOKUP_TIMEOUT,
	  .cause = CAUSE_IS_DNS_TIMEOUT, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "servfail", FACT_LOOKUP, .lookup = LOOKUP_SERVFAIL,
	  .cause = CAUSE_IS_DNS_SERVFAIL, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "bogus", FACT_LOOKUP, .lookup = LOOKUP_BOGUS,
	  .cause = CAUSE_IS_DNS_BOGUS, .reach = AT_DESTINATION,
	  .status = ST_TEMP },

	/* ------- connections */
	{ "refused", FACT_CONNECT, .os = ECONNREFUSED,
	  .cause = CAUSE_IS_CONNECT_REFUSED, .reach = AT_DESTINATION,
	  .status = ST_TEMP, .enhanced = "4.4.1" },
	{ "timeout", FACT_CONNECT, .os = ETIMEDOUT,
	  .cause = CAUSE_IS_CONNECT_TIMEOUT, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "no way", FACT_CONNECT, .os = EHOSTUNREACH,
	  .cause = CAUSE_IS_CONNECT_UNREACHABLE, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "no network", FACT_CONNECT, .os = ENETUNREACH,
	  .cause = CAUSE_IS_CONNECT_UNREACHABLE, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "reset", FACT_CONNECT, .os = ECONNRESET,
	  .cause = CAUSE_IS_CONNECTION_LOST, .reach = AT_DESTINATION,
	  .status = ST_TEMP, .enhanced = "4.4.2" },
	{ "out of descriptors is our own fault", FACT_CONNECT, .os = EMFILE,
	  .cause = CAUSE_IS_SELF_CONFIG, .reach = AT_SELF, .status = ST_TEMP },

	/* ------- the greeting and EHLO */
	{ "554 greeting is temporary", FACT_REPLY, CLIENT_GREETING, 554,
	  5, 7, 1, "no service", .cause = CAUSE_IS_PEER_GREETING,
	  .reach = AT_DESTINATION, .status = ST_TEMP },
	{ "421 greeting", FACT_REPLY, CLIENT_GREETING, 421, 4, 3, 2,
	  "too many connections", .cause = CAUSE_IS_PEER_THROTTLED,
	  .reach = AT_DESTINATION, .status = ST_TEMP, .enhanced = "4.3.2" },
	{ "554 greeting with a blocklist", FACT_REPLY, CLIENT_GREETING, 554,
	  5, 7, 1, "client host blocked using zen.spamhaus.org",
	  .cause = CAUSE_IS_PEER_BLOCKLISTED, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "EHLO and HELO refused", FACT_REPLY, CLIENT_HELO, 502, 0, 0, 0,
	  "what?", .cause = CAUSE_IS_PEER_GREETING, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "an HTTP server", FACT_PROTOCOL, CLIENT_GREETING, 0, 0, 0, 0,
	  "HTTP/1.1 400 Bad Request", .cause = CAUSE_IS_PEER_PROTOCOL,
	  .reach = AT_DESTINATION, .status = ST_TEMP },

	/* ------- TLS */
	{ "not offered", FACT_NO_STARTTLS, CLIENT_STARTTLS,
	  .offers = OFFER_SIZE, .cause = CAUSE_IS_TLS_NOT_OFFERED,
	  .reach = AT_DESTINATION, .status = ST_TEMP, .enhanced = "4.7.5" },
	{ "masked keyword", FACT_NO_STARTTLS, CLIENT_STARTTLS,
	  .offers = OFFER_SIZE | OFFER_MASKED, .cause = CAUSE_IS_TLS_MASKED,
	  .reach = AT_DESTINATION, .status = ST_TEMP },
	{ "EHLO refused, HELO works", FACT_NO_STARTTLS, CLIENT_STARTTLS,
	  .ehlo_refused = true, .cause = CAUSE_IS_TLS_MASKED,
	  .reach = AT_DESTINATION, .status = ST_TEMP },
	{ "454 at STARTTLS", FACT_REPLY, CLIENT_STARTTLS, 454, 4, 7, 0,
	  "TLS not available", .cause = CAUSE_IS_TLS_REFUSED,
	  .reach = AT_DESTINATION, .status = ST_TEMP },
	{ "500 at STARTTLS", FACT_REPLY, CLIENT_STARTTLS, 500, 0, 0, 0,
	  "unknown", .cause = CAUSE_IS_TLS_REFUSED, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "expired", FACT_TLS, CLIENT_STARTTLS,
	  .tls_cause = CAUSE_IS_TLS_CERT_EXPIRED,
	  .cause = CAUSE_IS_TLS_CERT_EXPIRED, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "closed in the handshake", FACT_LOST, CLIENT_STARTTLS,
	  .handshaking = true, .cause = CAUSE_IS_TLS_HANDSHAKE,
	  .reach = AT_DESTINATION, .status = ST_TEMP },
	{ "silent in the handshake", FACT_TIMEOUT, CLIENT_STARTTLS,
	  .handshaking = true, .cause = CAUSE_IS_TLS_TIMEOUT,
	  .reach = AT_DESTINATION, .status = ST_TEMP },
	{ "closed at STARTTLS", FACT_LOST, CLIENT_STARTTLS,
	  .cause = CAUSE_IS_TLS_HANDSHAKE, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "silent at STARTTLS", FACT_TIMEOUT, CLIENT_STARTTLS,
	  .cause = CAUSE_IS_TLS_TIMEOUT, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "530 at MAIL without TLS", FACT_REPLY, CLIENT_MAIL, 530, 5, 7, 0,
	  "Must issue a STARTTLS command first",
	  .cause = CAUSE_IS_TLS_PEER_REQUIRES, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "451 5.7.3 of Exchange: the first digit decides", FACT_REPLY,
	  CLIENT_MAIL, 451, 5, 7, 3, "STARTTLS is required to send mail.",
	  .cause = CAUSE_IS_TLS_PEER_REQUIRES, .reach = AT_DESTINATION,
	  .status = ST_TEMP, .enhanced = "4.7.5" },

	/* ------- authentication */
	{ "530 inside TLS", FACT_REPLY, CLIENT_MAIL, 530, 5, 7, 57,
	  "Client not authenticated to send mail", .in_tls = true,
	  .cause = CAUSE_IS_AUTH_REQUIRED, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "535", FACT_REPLY, CLIENT_MAIL, 535, 5, 7, 8, "bad credentials",
	  .in_tls = true, .cause = CAUSE_IS_AUTH_FAILED,
	  .reach = AT_DESTINATION, .status = ST_TEMP },

	{ "535 at AUTH", FACT_REPLY, CLIENT_AUTH, 535, 5, 7, 139,
	  "Authentication unsuccessful", .in_tls = true,
	  .cause = CAUSE_IS_AUTH_FAILED, .reach = AT_DESTINATION,
	  .status = ST_TEMP, .enhanced = "4.7.8" },
	{ "454 at AUTH", FACT_REPLY, CLIENT_AUTH, 454, 4, 7, 0,
	  "Temporary authentication failure", .in_tls = true,
	  .cause = CAUSE_IS_AUTH_FAILED, .reach = AT_DESTINATION,
	  .status = ST_TEMP, .enhanced = "4.7.0" },
	{ "534 at AUTH: mechanism too weak", FACT_REPLY, CLIENT_AUTH, 534, 5,
	  7, 9, "use another one", .in_tls = true,
	  .cause = CAUSE_IS_AUTH_FAILED, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "504 at AUTH: mechanism unknown", FACT_REPLY, CLIENT_AUTH, 504, 5, 5,
	  4, "Unrecognized authentication type", .in_tls = true,
	  .cause = CAUSE_IS_AUTH_FAILED, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "530 at AUTH", FACT_REPLY, CLIENT_AUTH, 530, 5, 7, 0, "no",
	  .in_tls = true, .cause = CAUSE_IS_AUTH_FAILED,
	  .reach = AT_DESTINATION, .status = ST_TEMP },
	{ "421 at AUTH", FACT_REPLY, CLIENT_AUTH, 421, 4, 7, 0, "closing",
	  .in_tls = true, .cause = CAUSE_IS_PEER_THROTTLED,
	  .reach = AT_DESTINATION, .status = ST_TEMP },
	{ "5.7.30 at AUTH", FACT_REPLY, CLIENT_AUTH, 550, 5, 7, 30,
	  "Basic authentication is not supported for Client Submission.",
	  .in_tls = true, .cause = CAUSE_IS_AUTH_FAILED,
	  .reach = AT_DESTINATION, .status = ST_TEMP, .enhanced = "4.7.8" },
	{ "5.7.30 at MAIL of Exchange Online", FACT_REPLY, CLIENT_MAIL, 550, 5,
	  7, 30, "Basic authentication is not supported", .in_tls = true,
	  .cause = CAUSE_IS_AUTH_FAILED, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "5.7.30 of REQUIRETLS speaks of the message", FACT_REPLY,
	  CLIENT_MAIL, 550, 5, 7, 30, "REQUIRETLS support required",
	  .in_tls = true, .cause = CAUSE_IS_PEER_REJECTED,
	  .reach = AT_MESSAGE, .status = ST_PERM, .enhanced = "5.7.30" },
	{ "5.7.57 with another code", FACT_REPLY, CLIENT_MAIL, 550, 5, 7, 57,
	  "Client not authenticated to send mail", .in_tls = true,
	  .cause = CAUSE_IS_AUTH_REQUIRED, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "454 at RCPT is about the recipient", FACT_REPLY, CLIENT_RCPT, 454,
	  4, 7, 1, "Relay access denied", .in_tls = true,
	  .cause = CAUSE_IS_PEER_DEFERRED, .reach = AT_RECIPIENT,
	  .status = ST_TEMP },
	{ "AUTH not offered", FACT_NO_AUTH, CLIENT_AUTH, .text = "AUTH PLAIN: the "
	  "server does not offer it", .in_tls = true, .cause = CAUSE_IS_AUTH_FAILED,
	  .reach = AT_DESTINATION, .status = ST_TEMP, .enhanced = "4.7.8" },
	{ "no secret", FACT_NO_SECRET, CLIENT_GREETING,
	  .text = "auth_command: token server is down",
	  .cause = CAUSE_IS_AUTH_FAILED, .reach = AT_DESTINATION,
	  .status = ST_TEMP, .enhanced = "4.7.8" },
	{ "silent at AUTH", FACT_TIMEOUT, CLIENT_AUTH, .in_tls = true,
	  .cause = CAUSE_IS_PEER_TIMEOUT, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "lost at AUTH", FACT_LOST, CLIENT_AUTH, .in_tls = true,
	  .cause = CAUSE_IS_CONNECTION_LOST, .reach = AT_DESTINATION,
	  .status = ST_TEMP },

	/* ------- the message and its recipients */
	{ "greylisted", FACT_REPLY, CLIENT_RCPT, 450, 4, 2, 0, "greylisted",
	  .cause = CAUSE_IS_PEER_DEFERRED, .reach = AT_RECIPIENT,
	  .status = ST_TEMP, .enhanced = "4.2.0" },
	{ "no such user", FACT_REPLY, CLIENT_RCPT, 550, 5, 1, 1,
	  "user unknown", .cause = CAUSE_IS_PEER_REJECTED,
	  .reach = AT_RECIPIENT, .status = ST_PERM, .enhanced = "5.1.1" },
	{ "552 at RCPT is an old 452", FACT_REPLY, CLIENT_RCPT, 552, 0, 0, 0,
	  "too many recipients", .cause = CAUSE_IS_PEER_DEFERRED,
	  .reach = AT_RECIPIENT, .status = ST_TEMP },
	{ "552 5.3.4 at RCPT is not", FACT_REPLY, CLIENT_RCPT, 552, 5, 3, 4,
	  "message too big", .cause = CAUSE_IS_TOO_LARGE, .reach = AT_MESSAGE,
	  .status = ST_PERM },
	{ "sender refused", FACT_REPLY, CLIENT_MAIL, 550, 5, 1, 8, "bad sender",
	  .cause = CAUSE_IS_PEER_REJECTED, .reach = AT_MESSAGE,
	  .status = ST_PERM },
	{ "too large at MAIL", FACT_REPLY, CLIENT_MAIL, 552, 5, 3, 4,
	  "message too big", .cause = CAUSE_IS_TOO_LARGE, .reach = AT_MESSAGE,
	  .status = ST_PERM },
	{ "no room at DATA", FACT_REPLY, CLIENT_DATA, 452, 4, 3, 1,
	  "insufficient storage", .cause = CAUSE_IS_PEER_DEFERRED,
	  .reach = AT_MESSAGE, .status = ST_TEMP },
	{ "refused after the dot", FACT_REPLY, CLIENT_DOT, 554, 5, 6, 0,
	  "content", .cause = CAUSE_IS_PEER_REJECTED, .reach = AT_MESSAGE,
	  .status = ST_PERM },
	{ "a loop", FACT_REPLY, CLIENT_DOT, 554, 5, 4, 6, "too many hops",
	  .cause = CAUSE_IS_LOOP, .reach = AT_MESSAGE, .status = ST_PERM },
	{ "blocklist, temporary", FACT_REPLY, CLIENT_RCPT, 450, 4, 7, 1,
	  "blocked using dnsbl.example", .cause = CAUSE_IS_PEER_BLOCKLISTED,
	  .reach = AT_DESTINATION, .status = ST_TEMP },
	{ "banned address of Exchange Online", FACT_REPLY, CLIENT_MAIL, 550, 5,
	  7, 606, "Access denied, banned sending IP", .in_tls = true,
	  .cause = CAUSE_IS_PEER_BLOCKLISTED, .reach = AT_MESSAGE,
	  .status = ST_PERM, .enhanced = "5.7.606" },
	{ "attribution failed", FACT_REPLY, CLIENT_RCPT, 550, 5, 7, 64,
	  "TenantAttribution; Relay Access Denied", .in_tls = true,
	  .cause = CAUSE_IS_SELF_CONFIG, .reach = AT_MESSAGE,
	  .status = ST_PERM },
	{ "a smart host does not relay for us", FACT_REPLY, CLIENT_RCPT, 554,
	  5, 7, 1, "<b@x>: Relay access denied", .smart_host = true,
	  .cause = CAUSE_IS_SELF_CONFIG, .reach = AT_MESSAGE,
	  .status = ST_PERM },
	{ "unable to relay", FACT_REPLY, CLIENT_RCPT, 550, 5, 7, 54,
	  "SMTP; Unable to relay recipient", .smart_host = true,
	  .cause = CAUSE_IS_SELF_CONFIG, .reach = AT_MESSAGE,
	  .status = ST_PERM },
	{ "an MX that does not relay is not about us", FACT_REPLY, CLIENT_RCPT,
	  554, 5, 7, 1, "<b@x>: Relay access denied",
	  .cause = CAUSE_IS_PEER_REJECTED, .reach = AT_RECIPIENT,
	  .status = ST_PERM },
	{ "a smart host's other refusals", FACT_REPLY, CLIENT_RCPT, 550, 5, 1,
	  1, "no such user at this relay", .smart_host = true,
	  .cause = CAUSE_IS_PEER_REJECTED, .reach = AT_RECIPIENT,
	  .status = ST_PERM },
	{ "421 at RCPT condemns the host", FACT_REPLY, CLIENT_RCPT, 421, 4, 7,
	  0, "closing", .cause = CAUSE_IS_PEER_THROTTLED,
	  .reach = AT_DESTINATION, .status = ST_TEMP },
	{ "server busy", FACT_REPLY, CLIENT_MAIL, 451, 4, 7, 500,
	  "Server busy. Please try again later", .in_tls = true,
	  .cause = CAUSE_IS_PEER_THROTTLED, .reach = AT_MESSAGE,
	  .status = ST_TEMP, .enhanced = "4.7.500" },

	{ "too large, said while it is sent", FACT_PROTOCOL, CLIENT_DATA, 552,
	  5, 3, 4, "message too big", .cause = CAUSE_IS_TOO_LARGE,
	  .reach = AT_MESSAGE, .status = ST_PERM, .enhanced = "5.3.4" },
	{ "no room, said while it is sent", FACT_PROTOCOL, CLIENT_DATA, 452, 4,
	  3, 1, "no space", .cause = CAUSE_IS_PEER_DEFERRED,
	  .reach = AT_MESSAGE, .status = ST_TEMP, .enhanced = "4.3.1" },
	{ "a yes while it is sent is not believed", FACT_PROTOCOL, CLIENT_DATA,
	  250, 2, 0, 0, "queued", .cause = CAUSE_IS_PEER_PROTOCOL,
	  .reach = AT_MESSAGE, .status = ST_TEMP },
	{ "too many for one transaction", FACT_REPLY, CLIENT_RCPT, 452, 4,
	  5, 3, "Too many recipients", .cause = CAUSE_IS_PEER_DEFERRED,
	  .reach = AT_RECIPIENT, .status = ST_TEMP, .enhanced = "4.5.3" },
	{ "552 at MAIL, no enhanced code", FACT_REPLY, CLIENT_MAIL, 552, 0, 0,
	  0, "too big", .cause = CAUSE_IS_TOO_LARGE, .reach = AT_MESSAGE,
	  .status = ST_PERM, .enhanced = "5.3.4" },

	/* ------- breaks */
	{ "lost before MAIL", FACT_LOST, CLIENT_EHLO,
	  .cause = CAUSE_IS_CONNECTION_LOST, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "lost after the dot condemns the message only", FACT_LOST, CLIENT_DOT,
	  .cause = CAUSE_IS_CONNECTION_LOST, .reach = AT_MESSAGE,
	  .status = ST_TEMP, .enhanced = "4.4.2" },
	{ "silent at MAIL", FACT_TIMEOUT, CLIENT_MAIL,
	  .cause = CAUSE_IS_PEER_TIMEOUT, .reach = AT_DESTINATION,
	  .status = ST_TEMP },
	{ "silent: no greeting", FACT_TIMEOUT, CLIENT_GREETING,
	  .cause = CAUSE_IS_PEER_TIMEOUT, .reach = AT_DESTINATION,
	  .status = ST_TEMP, .enhanced = "4.4.2" },
	{ "silent while the message is sent", FACT_TIMEOUT, CLIENT_DATA,
	  .cause = CAUSE_IS_PEER_TIMEOUT, .reach = AT_MESSAGE,
	  .status = ST_TEMP },
	{ "lost while the message is sent", FACT_LOST, CLIENT_DATA,
	  .cause = CAUSE_IS_CONNECTION_LOST, .reach = AT_MESSAGE,
	  .status = ST_TEMP },
	{ "silent after the dot", FACT_TIMEOUT, CLIENT_DOT,
	  .cause = CAUSE_IS_PEER_TIMEOUT, .reach = AT_MESSAGE,
	  .status = ST_TEMP },

	/* ------- ourselves */
	{ "damaged body", FACT_CORRUPT, CLIENT_DATA, .text = "checksum",
	  .cause = CAUSE_IS_CORRUPT, .reach = AT_MESSAGE, .status = ST_PERM },
	{ "store ill", FACT_SELF, CLIENT_MAIL, .text = "read error",
	  .cause = CAUSE_IS_SELF_STORE, .reach = AT_SELF, .status = ST_TEMP },
};

START_TEST(test_row)
{
	const struct row *row = &rows[_i];
	struct reply reply = {
		.code = row->code,
		.class = (uint8_t)row->class,
		.subject = (uint16_t)row->subject,
		.detail = (uint16_t)row->detail,
	};
	if (row->text) {
		snprintf(reply.text, sizeof(reply.text), "%s", row->text);
		reply.len = strlen(reply.text);
	}
	const struct facts facts = {
		.kind = row->kind,
		.host = "out/mx.example:25",
		.lookup = row->lookup,
		.os = row->os,
		.stage = row->stage,
		.handshaking = row->handshaking,
		.in_tls = row->in_tls,
		.smart_host = row->smart_host,
		.offers = row->offers,
		.ehlo_refused = row->ehlo_refused,
		.reply = &reply,
		.tls_cause = row->tls_cause,
		.greeting = "mx.example ESMTP",
		.text = row->text,
	};
	struct failure got;

	diagnose(&facts, &got);
	ck_assert_msg(got.cause == row->cause, "%s: cause %s, not %s",
		      row->what, cause_word(got.cause), cause_word(row->cause));
	ck_assert_msg(got.reach == row->reach, "%s: reach %d", row->what,
		      (int)got.reach);
	ck_assert_msg(got.status == row->status, "%s: status %d", row->what,
		      (int)got.status);
	ck_assert_msg(got.reply[0] != '\0', "%s: no words", row->what);
	ck_assert_msg(got.enhanced[0] == '0' + (int)got.status,
		      "%s: class of %s", row->what, got.enhanced);
	if (row->enhanced)
		ck_assert_str_eq(got.enhanced, row->enhanced);
}
END_TEST

START_TEST(test_peers_words_are_kept)
{
	struct reply reply = {
		.code = 451, .class = 4, .subject = 4, .detail = 0,
	};
	snprintf(reply.text, sizeof(reply.text),
		 "Primary target IP address responded with: \"451 5.7.3 "
		 "STARTTLS is required to send mail.\"");
	reply.len = strlen(reply.text);
	const struct facts facts = {
		.kind = FACT_REPLY, .stage = CLIENT_MAIL, .reply = &reply,
		.host = "out/mx.example:25",
	};
	struct failure got;

	diagnose(&facts, &got);
	ck_assert_str_eq(got.reply,
			 "451 4.4.0 Primary target IP address responded with: "
			 "\"451 5.7.3 STARTTLS is required to send mail.\"");
}
END_TEST

/* ------- what a host can take */

static const struct need_row {
	struct needs needs;
	unsigned offers;
	uint64_t size_limit;
	enum cause cause;                /* NONE: it can */
	const char *enhanced;
} need_rows[] = {
	{ {.bytes = 100}, 0, 0, CAUSE_IS_NONE, NULL },
	{ {.bytes = 100}, OFFER_SIZE, 100, CAUSE_IS_NONE, NULL },
	{ {.bytes = 101}, OFFER_SIZE, 100, CAUSE_IS_TOO_LARGE, "5.3.4" },
	{ {.has_8bit = true}, OFFER_8BITMIME, 0, CAUSE_IS_NONE, NULL },
	{ {.has_8bit = true}, ~(unsigned)OFFER_8BITMIME, 0, CAUSE_IS_PEER_REJECTED,
	  "5.6.3" },
	{ {.smtputf8 = true}, OFFER_SMTPUTF8, 0, CAUSE_IS_NONE, NULL },
	{ {.smtputf8 = true}, ~(unsigned)OFFER_SMTPUTF8, 0, CAUSE_IS_NO_UTF8, "5.6.7" },
	{ {.smtputf8 = true, .has_8bit = true}, 0, 0, CAUSE_IS_NO_UTF8,
	  "5.6.7" },
	{ {.bare_newlines = true}, OFFER_CHUNKING, 0, CAUSE_IS_NONE, NULL },
	{ {.bare_newlines = true}, ~(unsigned)OFFER_CHUNKING, 0, CAUSE_IS_PEER_REJECTED,
	  "5.6.11" },
	{ {.bytes = 9, .has_8bit = true, .bare_newlines = true}, 0, 8,
	  CAUSE_IS_TOO_LARGE, "5.3.4" },
};

START_TEST(test_needs)
{
	const struct need_row *row = &need_rows[_i];
	struct failure got;
	bool fits = diagnose_needs(&row->needs, "mx.example", row->offers,
				   row->size_limit, &got);

	ck_assert_int_eq(fits, row->cause == CAUSE_IS_NONE);
	if (fits)
		return;
	ck_assert_str_eq(cause_word(got.cause), cause_word(row->cause));
	ck_assert_str_eq(got.enhanced, row->enhanced);
	ck_assert_int_eq(got.status, ST_PERM);
	ck_assert_int_eq(got.reach, AT_MESSAGE);
	ck_assert_ptr_nonnull(strstr(got.reply, "mx.example "));
}
END_TEST

START_TEST(test_too_many)
{
	static const struct {
		int code;
		unsigned class, subject, detail;
		const char *text;
		bool too_many;
	} list[] = {
		{ 452, 4, 5, 3, "x", true },
		{ 552, 5, 5, 3, "x", true },
		{ 452, 0, 0, 0, "x", true },
		{ 552, 0, 0, 0, "x", true },
		{ 452, 4, 3, 0, "too many recipients", true },
		{ 452, 4, 3, 1, "Insufficient system storage", false },
		{ 552, 5, 2, 2, "mailbox full", false },
		{ 450, 4, 5, 3, "x", false },
		{ 550, 5, 5, 3, "x", false },
		{ 250, 2, 5, 3, "x", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		struct reply r = {
			.code = list[i].code,
			.class = (uint8_t)list[i].class,
			.subject = (uint16_t)list[i].subject,
			.detail = (uint16_t)list[i].detail,
		};
		snprintf(r.text, sizeof(r.text), "%s", list[i].text);
		ck_assert_msg(reply_is_too_many(&r) == list[i].too_many,
			      "row %zu", i);
	}
}
END_TEST

START_TEST(test_who_is_too_busy)
{
	static const struct {
		struct failure f;
		bool busy;
	} said[] = {
		{{ST_TEMP, AT_MESSAGE, CAUSE_IS_PEER_THROTTLED, "4.7.500",
		  "451 4.7.500 Server busy" }, true},
		{{ST_TEMP, AT_DESTINATION, CAUSE_IS_PEER_THROTTLED, "4.7.0",
		  "421 4.7.0 Try again later"}, true},
		{{ST_TEMP, AT_DESTINATION, CAUSE_IS_PEER_THROTTLED, "4.3.2",
		  "421 4.3.2 The server is too busy"}, true},
		{{ST_TEMP, AT_RECIPIENT, CAUSE_IS_PEER_THROTTLED, "4.7.28",
		  "450 4.7.28 rate limit"}, true},
		{{ST_TEMP, AT_RECIPIENT, CAUSE_IS_PEER_THROTTLED, "4.2.1",
		  "450 4.2.1 rate limit of the mailbox"}, false},
		{{ST_TEMP, AT_DESTINATION, CAUSE_IS_PEER_THROTTLED, "4.3.2",
		  "421 4.3.2 Service not available"}, false},
		{{ST_TEMP, AT_DESTINATION, CAUSE_IS_PEER_THROTTLED, "4.7.0",
		  "421 4.7.0 Too many connections"}, false},
		{{ST_TEMP, AT_MESSAGE, CAUSE_IS_PEER_DEFERRED, "4.7.1",
		  "451 4.7.1 Greylisted"}, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(said); i++)
		ck_assert_msg(failure_is_throttle(&said[i].f) == said[i].busy,
			      "%s", said[i].f.reply);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("diagnose");
	TCase *tc = tcase_create("rows");

	tcase_add_loop_test(tc, test_row, 0, (int)ARRAY_LEN(rows));
	tcase_add_test(tc, test_peers_words_are_kept);
	tcase_add_loop_test(tc, test_needs, 0, (int)ARRAY_LEN(need_rows));
	tcase_add_test(tc, test_too_many);
	tcase_add_test(tc, test_who_is_too_busy);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
