/* SPDX-License-Identifier: ISC */
/*
 * staple - reads an OCSP response and looks whether it is fit to be shown.
 */
#include "tls/staple.h"

#include <errno.h>
#include <string.h>
#include <gnutls/ocsp.h>

#include "base/bytes.h"
#include "base/clock.h"

/* Clocks differ, and responders date their answers to the second. */
enum { SLACK_MS = 5 * 60 * 1000 };

const char *staple_fault(enum staple_says says, int64_t this_ms,
			 int64_t next_ms, int64_t now_ms)
{
	if (says == STAPLE_REVOKED)
		return "it says that the certificate is revoked";
	if (says == STAPLE_UNKNOWN)
		return "it does not know the certificate";
	if (next_ms == 0)
		return "it does not say until when it holds";
	if (this_ms > now_ms + SLACK_MS)
		return "it does not hold yet";
	if (next_ms <= now_ms)
		return "it has expired";
	return NULL;
}

static enum status read_file(gnutls_ocsp_resp_t resp, const char *file,
			     struct err *e)
{
	static const char begin[] = "-----BEGIN ";
	gnutls_datum_t data = {NULL, 0};
	bool is_pem;
	int rc;

	errno = 0;
	rc = gnutls_load_file(file, &data);
	if (rc < 0)
		return err_perm(e, 7, 0, "%s: %s", file,
				errno ? strerror(errno) : gnutls_strerror(rc));
	is_pem = memmem(data.data, data.size, begin, sizeof(begin) - 1) != NULL;
	rc = gnutls_ocsp_resp_import2(resp, &data,
				      is_pem ? GNUTLS_X509_FMT_PEM
					     : GNUTLS_X509_FMT_DER);
	gnutls_free(data.data);
	if (rc < 0)
		return err_perm(e, 7, 0, "%s: no OCSP response: %s", file,
				gnutls_strerror(rc));
	if (gnutls_ocsp_resp_get_status(resp) != GNUTLS_OCSP_RESP_SUCCESSFUL)
		return err_perm(e, 7, 0, "%s: the responder refused to answer",
				file);
	return ST_OK;
}

static enum status check_signature(gnutls_ocsp_resp_t resp, const char *file,
				   gnutls_x509_crt_t issuer, struct err *e)
{
	unsigned faults = 0;

	if (!issuer)
		return ST_OK;
	if (gnutls_ocsp_resp_verify_direct(resp, issuer, &faults, 0) < 0 ||
	    faults != 0)
		return err_perm(e, 7, 0,
				"%s: not signed for the issuer of the "
				"certificate",
				file);
	return ST_OK;
}

static int64_t time_ms(time_t at)
{
	return at == (time_t)-1 ? 0 : (int64_t)at * 1000;
}

static enum status check_answer(gnutls_ocsp_resp_t resp, const char *file,
				int64_t *until_ms, struct err *e)
{
	time_t this_update = -1, next_update = -1;
	unsigned status = GNUTLS_OCSP_CERT_UNKNOWN;
	enum staple_says says = STAPLE_UNKNOWN;
	const char *fault;

	if (gnutls_ocsp_resp_get_single(resp, 0, NULL, NULL, NULL, NULL,
					&status, &this_update, &next_update,
					NULL, NULL) < 0)
		return err_perm(e, 7, 0, "%s: no answer in it", file);
	if (status == GNUTLS_OCSP_CERT_GOOD)
		says = STAPLE_GOOD;
	else if (status == GNUTLS_OCSP_CERT_REVOKED)
		says = STAPLE_REVOKED;
	fault = staple_fault(says, time_ms(this_update), time_ms(next_update),
			     clock_wall_ms());
	if (fault)
		return err_perm(e, 7, 0, "%s: %s", file, fault);
	*until_ms = time_ms(next_update);
	return ST_OK;
}

enum status staple_load(struct staple *out, const char *file,
			gnutls_x509_crt_t leaf, gnutls_x509_crt_t issuer,
			struct err *e)
{
	gnutls_ocsp_resp_t resp = NULL;
	struct staple made = {.until_ms = 0};
	enum status st;

	if (gnutls_ocsp_resp_init(&resp) < 0)
		return err_temp(e, 7, 0, "no memory for an OCSP response");
	st = read_file(resp, file, e);
	if (st == ST_OK && gnutls_ocsp_resp_check_crt(resp, 0, leaf) < 0)
		st = err_perm(e, 7, 0, "%s: it is about another certificate",
			      file);
	if (st == ST_OK)
		st = check_signature(resp, file, issuer, e);
	if (st == ST_OK)
		st = check_answer(resp, file, &made.until_ms, e);
	if (st == ST_OK &&
	    gnutls_ocsp_resp_export(resp, &made.data.response) < 0)
		st = err_temp(e, 7, 0, "no memory for an OCSP response");
	if (st == ST_OK) {
		made.data.exptime = (time_t)(made.until_ms / 1000);
		*out = made;
	}
	gnutls_ocsp_resp_deinit(resp);
	return st;
}

void staple_release(struct staple *s)
{
	gnutls_free(s->data.response.data);
	*s = (struct staple){.until_ms = 0};
}
