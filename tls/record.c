/* SPDX-License-Identifier: ISC */
/*
 * record - shakes hands and carries bytes over one GnuTLS session on a
 * non-blocking socket.
 *
 * Renegotiation (TLS 1.2) is refused: a server's request is passed over, a
 * client's ends the session.  The end of data without close_notify
 * counts as an orderly end: many mail servers never send one, and SMTP marks
 * the end of everything itself.
 */
#include "tls/record.h"

#include <errno.h>
#include <string.h>

enum {
	RECORD_MAX = 16384,
	/* Alerts and refused renegotiations in a row before we hang up. */
	NUISANCES_MAX = 16,
};

struct session *session_of(const struct transport *t)
{
	return CONTAINER_OF(t, struct session, transport);
}

/* ------------------------------------------------------------------ failure */

static enum failure_asked asked_of(const struct session *s)
{
	if (s->role == FAILURE_SERVER ||
	    !gnutls_certificate_client_get_request_status(s->tls))
		return FAILURE_NOT_ASKED;
	return s->identity ? FAILURE_ASKED_SHOWN : FAILURE_ASKED_NONE;
}

static bool is_of_socket(int rc)
{
	return rc == GNUTLS_E_PULL_ERROR || rc == GNUTLS_E_PUSH_ERROR;
}

static struct failure failure_of(const struct session *s, int rc, int os)
{
	struct failure f = {.role = s->role,
			    .rc = rc,
			    .asked = asked_of(s),
			    .verdict = s->result.verdict.cause,
			    .verdict_text = s->result.verdict.text};

	if (rc == GNUTLS_E_FATAL_ALERT_RECEIVED)
		f.alert = gnutls_alert_get(s->tls);
	if (is_of_socket(rc))
		f.os = os != 0 ? os : EIO;
	return f;
}

static enum transport_result handshake_broke(struct session *s, int rc, int os,
					     struct err *e)
{
	struct failure f = failure_of(s, rc, os);
	gnutls_alert_description_t alert;

	s->phase = PHASE_BROKEN;
	s->failure = failure_cause(&f);
	failure_explain(&f, e);
	/* As well as it goes without waiting: it is for the peer's log. */
	if (failure_alert(&f, &alert))
		gnutls_alert_send(s->tls, GNUTLS_AL_FATAL, alert);
	return TRANSPORT_FAILED;
}

/* TLS 1.3: a server judges our certificate after our side of the handshake is
 * over, and so do its alerts arrive; later ones mean something else. */
static bool is_late_refusal(const struct session *s, const struct failure *f)
{
	return !s->heard && f->rc == GNUTLS_E_FATAL_ALERT_RECEIVED &&
	       failure_cause(f) == CAUSE_IS_TLS_CLIENT_CERT;
}

static enum transport_result open_broke(struct session *s, int rc, int os,
					struct err *e)
{
	struct failure f = failure_of(s, rc, os);
	gnutls_alert_description_t alert;

	s->phase = PHASE_BROKEN;
	if (is_late_refusal(s, &f)) {
		s->failure = CAUSE_IS_TLS_CLIENT_CERT;
		failure_explain(&f, e);
	} else if (f.rc == GNUTLS_E_FATAL_ALERT_RECEIVED) {
		err_temp(e, 4, 2, "the peer broke off TLS: %s",
			 gnutls_alert_get_name(
				 (gnutls_alert_description_t)f.alert));
	} else if (f.os != 0) {
		err_temp(e, 4, 2, "connection lost: %s", strerror(f.os));
		e->os = f.os;
	} else {
		err_temp(e, 4, 2, "TLS: %s", gnutls_strerror(rc));
	}
	if (failure_alert(&f, &alert))
		gnutls_alert_send(s->tls, GNUTLS_AL_FATAL, alert);
	return TRANSPORT_FAILED;
}

/* After a failure: a caller that goes on nevertheless. */
static enum transport_result still_broken(struct err *e)
{
	err_temp(e, 7, 0, "the TLS session is broken");
	return TRANSPORT_FAILED;
}

/* ---------------------------------------------------------------- transport */

static bool must_wait(int rc)
{
	return rc == GNUTLS_E_AGAIN || rc == GNUTLS_E_INTERRUPTED;
}

static enum transport_result wait_for(const struct session *s)
{
	return gnutls_record_get_direction(s->tls) ? TRANSPORT_WANTS_WRITE
						   : TRANSPORT_WANTS_READ;
}

static enum transport_result record_handshake(struct transport *t,
					      struct err *e)
{
	struct session *s = session_of(t);
	int nuisances = 0;
	int rc;

	if (s->phase == PHASE_OPEN)
		return TRANSPORT_OK;
	if (s->phase == PHASE_BROKEN)
		return still_broken(e);
	do {
		errno = 0;
		rc = gnutls_handshake(s->tls);
	} while (rc < 0 && !must_wait(rc) && !gnutls_error_is_fatal(rc) &&
		 ++nuisances < NUISANCES_MAX);
	if (must_wait(rc))
		return wait_for(s);
	if (rc < 0)
		return handshake_broke(s, rc, errno, e);
	s->phase = PHASE_OPEN;
	s->secured = true;
	return TRANSPORT_OK;
}

/* False: a client's request cannot be put aside, for GnuTLS keeps it. */
static bool renegotiation_refused(const struct session *s)
{
	if (s->role == FAILURE_SERVER)
		return false;
	gnutls_alert_send(s->tls, GNUTLS_AL_WARNING, GNUTLS_A_NO_RENEGOTIATION);
	return true;
}

static enum transport_result record_read(struct transport *t, char *at,
					 size_t max, size_t *n, struct err *e)
{
	struct session *s = session_of(t);
	ssize_t rc = GNUTLS_E_REHANDSHAKE;

	if (s->phase != PHASE_OPEN)
		return still_broken(e);
	for (int nuisances = 0; nuisances < NUISANCES_MAX; nuisances++) {
		errno = 0;
		rc = gnutls_record_recv(s->tls, at, max);
		if (rc >= 0 || must_wait((int)rc) ||
		    gnutls_error_is_fatal((int)rc))
			break;
		if (rc == GNUTLS_E_REHANDSHAKE && !renegotiation_refused(s))
			break;
	}
	if (rc > 0) {
		s->heard = true;
		*n = (size_t)rc;
		return TRANSPORT_OK;
	}
	if (rc == 0 || rc == GNUTLS_E_PREMATURE_TERMINATION)
		return TRANSPORT_EOF;
	if (must_wait((int)rc))
		return wait_for(s);
	return open_broke(s, (int)rc, errno, e);
}

/* GnuTLS has a word of its own for a connection that was reset. */
static bool met_no_peer(int rc)
{
	return is_of_socket(rc) || rc == GNUTLS_E_PREMATURE_TERMINATION;
}

/* Our first bytes met a closed socket.  If the peer said why, it was an alert
 * that still waits to be read. */
static enum transport_result write_broke(struct session *s, int rc, int os,
					 struct err *e)
{
	struct failure f;
	char byte;
	ssize_t got;

	if (met_no_peer(rc) && !s->heard) {
		got = gnutls_record_recv(s->tls, &byte, sizeof(byte));
		f = failure_of(s, got < 0 ? (int)got : 0, 0);
		if (got < 0 && is_late_refusal(s, &f))
			rc = (int)got;
	}
	return open_broke(s, rc, os, e);
}

/* A record that could not leave whole waits inside GnuTLS, and the next write
 * must begin with the same bytes: the caller may add to what he has, never
 * change it.  unsent is the length of that record. */
static enum transport_result record_write(struct transport *t, const char *at,
					  size_t len, size_t *n, struct err *e)
{
	struct session *s = session_of(t);
	size_t take = len < RECORD_MAX ? len : RECORD_MAX;
	ssize_t rc;

	if (s->phase != PHASE_OPEN)
		return still_broken(e);
	BUG_ON(len == 0 || len < s->unsent);
	if (s->unsent > 0)
		take = s->unsent;
	errno = 0;
	rc = gnutls_record_send(s->tls, at, take);
	if (rc >= 0) {
		s->unsent = 0;
		*n = (size_t)rc;
		return TRANSPORT_OK;
	}
	if (!must_wait((int)rc))
		return write_broke(s, (int)rc, errno, e);
	s->unsent = take;
	return wait_for(s);
}

static size_t record_pending(const struct transport *t)
{
	return gnutls_record_check_pending(session_of(t)->tls);
}

static void record_shutdown(struct transport *t)
{
	struct session *s = session_of(t);

	if (s->phase == PHASE_OPEN)
		gnutls_bye(s->tls, GNUTLS_SHUT_WR);
}

static void record_free(struct transport *t)
{
	struct session *s = session_of(t);

	if (s->tls)
		gnutls_deinit(s->tls);
	free(s->host);
	free(s);
}

const struct transport_ops record_ops = {
	.handshake = record_handshake,
	.read = record_read,
	.write = record_write,
	.pending = record_pending,
	.shutdown = record_shutdown,
	.free = record_free,
};
