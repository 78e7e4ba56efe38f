/* SPDX-License-Identifier: ISC */
/*
 * crl_store - writes and reads the files of the cache.
 *
 *	URL: http://crl.example.com/ca.crl
 *	Private: no
 *	-----BEGIN CERTIFICATE-----		the issuer
 *	...
 *	-----BEGIN X509 CRL-----
 *	...
 */
#include "tls/crl_store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char suffix[] = ".crl";

void crl_stored_release(struct crl_stored *s)
{
	free(s->url);
	if (s->issuer)
		gnutls_x509_crt_deinit(s->issuer);
	crl_unref(s->crl);
	*s = (struct crl_stored){.url = NULL};
}

/* ------------------------------------------------------------------- write */

static bool write_pem(FILE *f, const gnutls_datum_t *pem)
{
	return fwrite(pem->data, 1, pem->size, f) == pem->size;
}

static bool write_parts(FILE *f, const struct crl_stored *what)
{
	struct span der = crl_der(what->crl);
	const gnutls_datum_t raw = {(unsigned char *)der.at, (unsigned)der.len};
	gnutls_datum_t issuer = {NULL, 0}, list = {NULL, 0};
	bool good;

	good = gnutls_x509_crt_export2(what->issuer, GNUTLS_X509_FMT_PEM,
				       &issuer) >= 0 &&
	       gnutls_pem_base64_encode2("X509 CRL", &raw, &list) >= 0 &&
	       fprintf(f, "URL: %s\nPrivate: %s\n", what->url,
		       what->may_be_private ? "yes" : "no") > 0 &&
	       write_pem(f, &issuer) && write_pem(f, &list);
	gnutls_free(issuer.data);
	gnutls_free(list.data);
	return good;
}

enum status crl_store_save(const char *dir, const char *name,
			   const struct crl_stored *what, struct err *e)
{
	char *path = xasprintf("%s/%s%s", dir, name, suffix);
	char *young = xasprintf("%s/%s.new", dir, name);
	FILE *f = fopen(young, "we");
	enum status st = ST_OK;
	bool good = f && write_parts(f, what);

	if (f && fclose(f) != 0)
		good = false;
	if (!good || rename(young, path) < 0) {
		st = err_sys(e, errno ? errno : EIO, "%s", young);
		unlink(young);
	}
	free(young);
	free(path);
	return st;
}

void crl_store_remove(const char *dir, const char *name)
{
	char *path = xasprintf("%s/%s%s", dir, name, suffix);

	unlink(path);
	free(path);
}

/* -------------------------------------------------------------------- read */

/* The value of "Key: value" at the beginning of *in. */
static bool take_line(struct span *in, const char *key, struct span *value)
{
	struct span prefix = span_of(key);
	const char *end = in->len > 0 ? memchr(in->at, '\n', in->len) : NULL;

	if (!end || !span_starts_nocase(*in, prefix))
		return false;
	*value = span_skip((struct span){in->at, (size_t)(end - in->at)},
			   prefix.len);
	*in = span_skip(*in, (size_t)(end - in->at) + 1);
	return true;
}

static bool read_issuer(struct span in, gnutls_x509_crt_t *out)
{
	const gnutls_datum_t pem = {(unsigned char *)in.at, (unsigned)in.len};

	if (gnutls_x509_crt_init(out) < 0)
		return false;
	return gnutls_x509_crt_import(*out, &pem, GNUTLS_X509_FMT_PEM) >= 0;
}

static bool read_parts(struct span in, struct crl_stored *out)
{
	char why[CRL_WHY_MAX];
	struct span value;
	struct err e;

	if (!take_line(&in, "URL: ", &value))
		return false;
	out->url = span_dup(value);
	if (!take_line(&in, "Private: ", &value))
		return false;
	out->may_be_private = span_eq(value, SPAN("yes"));
	return read_issuer(in, &out->issuer) &&
	       crl_read(&out->crl, &in, &e) == ST_OK &&
	       crl_is_of(out->crl, out->issuer) &&
	       crl_signed_by(out->crl, out->issuer, why);
}

static bool read_file(const char *path, struct crl_stored *out)
{
	gnutls_datum_t data = {NULL, 0};
	struct stat st;
	bool good;

	*out = (struct crl_stored){.url = NULL};
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) ||
	    gnutls_load_file(path, &data) < 0)
		return false;
	out->saved_ms = (int64_t)st.st_mtim.tv_sec * 1000;
	good = read_parts((struct span){(const char *)data.data, data.size},
			  out);
	gnutls_free(data.data);
	if (!good)
		crl_stored_release(out);
	return good;
}

enum status crl_store_load(const char *dir,
			   void (*seen)(void *arg, struct crl_stored *s),
			   void *arg, struct err *e)
{
	struct crl_stored s;
	struct dirent *entry;
	DIR *d;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "%s", dir);
	d = opendir(dir);
	if (!d)
		return err_sys(e, errno, "%s", dir);
	while ((entry = readdir(d))) {
		char *path;

		if (!span_ends_nocase(span_of(entry->d_name), span_of(suffix)))
			continue;
		path = xasprintf("%s/%s", dir, entry->d_name);
		if (read_file(path, &s))
			seen(arg, &s);
		else
			unlink(path);
		free(path);
	}
	closedir(d);
	return ST_OK;
}
