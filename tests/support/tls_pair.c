/* SPDX-License-Identifier: ISC */
/*
 * tls_pair - drives two sessions in turns over a socket pair.
 */
#include "tests/support/tls_pair.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/certs.h"

#define OK(call) BUG_ON((call) < 0)

enum { TURNS_MAX = 1000 };

static void take_sockets(struct tls_pair *p, const int fds[2])
{
	*p = (struct tls_pair){
		.client = { .fd = fds[0], .result = TRANSPORT_WANTS_WRITE },
		.server = { .fd = fds[1], .result = TRANSPORT_WANTS_READ },
	};
}

void tls_pair_open(struct tls_pair *p)
{
	int fds[2];

	BUG_ON(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0);
	take_sockets(p, fds);
}

static void make_rude(int fd)
{
	static const struct linger none = { .l_onoff = 1, .l_linger = 0 };
	static const int on = 1;

	OK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)));
	OK(fcntl(fd, F_SETFL, O_NONBLOCK));
}

void tls_pair_open_rude(struct tls_pair *p)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr *any = (struct sockaddr *)&at;
	int door = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(at);
	int fds[2];

	OK(bind(door, any, len));
	OK(listen(door, 1));
	OK(getsockname(door, any, &len));
	OK(fds[0] = socket(AF_INET, SOCK_STREAM, 0));
	OK(connect(fds[0], any, len));
	OK(fds[1] = accept(door, NULL, NULL));
	make_rude(fds[0]);
	make_rude(fds[1]);
	close(door);
	take_sockets(p, fds);
}

void tls_side_hang_up(struct tls_side *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static void close_side(struct tls_side *s)
{
	if (s->t)
		s->t->ops->free(s->t);
	s->t = NULL;
	tls_side_hang_up(s);
}

void tls_pair_close(struct tls_pair *p)
{
	close_side(&p->client);
	close_side(&p->server);
}

static bool is_done(const struct tls_side *s)
{
	return s->result == TRANSPORT_OK || s->result == TRANSPORT_FAILED;
}

/* False: this side is done. */
static bool shake_once(struct tls_side *s)
{
	if (is_done(s))
		return false;
	s->result = s->t->ops->handshake(s->t, &s->e);
	if (s->result == TRANSPORT_FAILED)
		tls_side_hang_up(s);
	return !is_done(s);
}

/* TCP takes its time. */
static void wait_for_either(const struct tls_pair *p)
{
	const struct tls_side *sides[] = { &p->client, &p->server };
	struct pollfd fds[2];
	nfds_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(sides); i++)
		if (!is_done(sides[i]))
			fds[n++] = (struct pollfd){
				.fd = sides[i]->fd,
				.events = sides[i]->result ==
							  TRANSPORT_WANTS_WRITE
						  ? POLLOUT
						  : POLLIN };
	OK(poll(fds, n, 1000));
}

void tls_pair_shake(struct tls_pair *p)
{
	for (int turn = 0; turn < TURNS_MAX; turn++) {
		bool client = shake_once(&p->client);
		bool server = shake_once(&p->server);

		if (!client && !server)
			return;
		wait_for_either(p);
	}
	BUG_ON(true);
}

bool tls_pair_carries(struct tls_side *from, struct tls_side *to,
		      const char *text)
{
	enum transport_result r = TRANSPORT_WANTS_READ;
	size_t len = strlen(text);
	char got[256];
	size_t n = 0;
	size_t sent = 0;

	BUG_ON(len >= sizeof(got));
	if (from->t->ops->write(from->t, text, len, &sent, &from->e) !=
		    TRANSPORT_OK ||
	    sent != len)
		return false;
	/* Tickets and key updates may come before it, one at a read. */
	for (int i = 0; i < 8 && r == TRANSPORT_WANTS_READ; i++)
		r = to->t->ops->read(to->t, got, sizeof(got), &n, &to->e);
	return r == TRANSPORT_OK && n == len && memcmp(got, text, len) == 0;
}

struct tls_identity *tls_pair_identity(const char *dir, const char *name)
{
	char *certificate = certs_path(dir, name, "pem");
	char *key = certs_path(dir, name, "key");
	struct tls_identity *i = NULL;
	struct err e;

	BUG_ON(tls_identity_load(&i, certificate, key, &e) != ST_OK);
	free(certificate);
	free(key);
	return i;
}

struct tls_trust *tls_pair_trust(const char *dir, const char *name,
				 const char *min_tls)
{
	char *file = certs_path(dir, name, "pem");
	const char *const files[] = { file };
	struct tls_trust *t = NULL;
	struct err e;

	BUG_ON(tls_trust_load(&t, files, 1, min_tls, &e) != ST_OK);
	free(file);
	return t;
}

/* ----------------------------------------------------------------- the raw */

struct raw {
	struct transport transport;
	gnutls_session_t tls;
	gnutls_certificate_credentials_t creds;
	unsigned tickets;
};

static struct raw *raw_of(const struct transport *t)
{
	return CONTAINER_OF(t, struct raw, transport);
}

gnutls_session_t raw_session(struct transport *t)
{
	return raw_of(t)->tls;
}

unsigned raw_tickets(struct transport *t)
{
	return raw_of(t)->tickets;
}

static enum transport_result result_of(struct raw *r, ssize_t rc, size_t *n,
				       struct err *e)
{
	if (rc >= 0) {
		*n = (size_t)rc;
		return rc == 0 ? TRANSPORT_EOF : TRANSPORT_OK;
	}
	if (rc == GNUTLS_E_AGAIN)
		return gnutls_record_get_direction(r->tls)
			       ? TRANSPORT_WANTS_WRITE
			       : TRANSPORT_WANTS_READ;
	err_temp(e, 0, 0, "%s", gnutls_strerror((int)rc));
	return TRANSPORT_FAILED;
}

static enum transport_result raw_handshake(struct transport *t, struct err *e)
{
	struct raw *r = raw_of(t);
	int rc = gnutls_handshake(r->tls);
	size_t n;

	if (rc >= 0)
		return TRANSPORT_OK;
	if (gnutls_error_is_fatal(rc))
		gnutls_alert_send_appropriate(r->tls, rc);
	else
		rc = GNUTLS_E_AGAIN;
	return result_of(r, rc, &n, e);
}

static enum transport_result raw_read(struct transport *t, char *at, size_t max,
				      size_t *n, struct err *e)
{
	struct raw *r = raw_of(t);

	return result_of(r, gnutls_record_recv(r->tls, at, max), n, e);
}

static enum transport_result raw_write(struct transport *t, const char *at,
				       size_t len, size_t *n, struct err *e)
{
	struct raw *r = raw_of(t);

	return result_of(r, gnutls_record_send(r->tls, at, len), n, e);
}

static size_t raw_pending(const struct transport *t)
{
	return gnutls_record_check_pending(raw_of(t)->tls);
}

static void raw_shutdown(struct transport *t)
{
	gnutls_bye(raw_of(t)->tls, GNUTLS_SHUT_WR);
}

static void raw_free(struct transport *t)
{
	struct raw *r = raw_of(t);

	gnutls_deinit(r->tls);
	gnutls_certificate_free_credentials(r->creds);
	free(r);
}

static const struct transport_ops raw_ops = {
	.handshake = raw_handshake,
	.read = raw_read,
	.write = raw_write,
	.pending = raw_pending,
	.shutdown = raw_shutdown,
	.free = raw_free,
};

static int on_ticket(gnutls_session_t tls, unsigned type, unsigned when,
		     unsigned incoming, const gnutls_datum_t *msg)
{
	struct raw *r = gnutls_session_get_ptr(tls);

	(void)type, (void)when, (void)msg;
	if (incoming)
		r->tickets++;
	return 0;
}

static void enable_tickets(gnutls_session_t tls)
{
	gnutls_datum_t key;

	OK(gnutls_session_ticket_key_generate(&key));
	OK(gnutls_session_ticket_enable_server(tls, &key));
	gnutls_free(key.data);
}

static void set_key(gnutls_certificate_credentials_t creds,
		    const struct raw_conf *conf)
{
	char *certificate = certs_path(conf->dir, conf->name, "pem");
	char *key = certs_path(conf->dir, conf->name, "key");

	OK(gnutls_certificate_set_x509_key_file(creds, certificate, key,
						GNUTLS_X509_FMT_PEM));
	free(certificate);
	free(key);
}

struct transport *raw_new(int fd, const struct raw_conf *conf)
{
	struct raw *r = xcalloc(1, sizeof(*r));
	unsigned role =
		conf->kind == RAW_CLIENT ? GNUTLS_CLIENT : GNUTLS_SERVER;

	r->transport.ops = &raw_ops;
	OK(gnutls_certificate_allocate_credentials(&r->creds));
	if (conf->name)
		set_key(r->creds, conf);
	OK(gnutls_init(&r->tls, role | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL));
	OK(gnutls_priority_set_direct(r->tls, conf->priority, NULL));
	OK(gnutls_credentials_set(r->tls, GNUTLS_CRD_CERTIFICATE, r->creds));
	gnutls_session_set_ptr(r->tls, r);
	gnutls_transport_set_int(r->tls, fd);
	gnutls_handshake_set_hook_function(r->tls,
					   GNUTLS_HANDSHAKE_NEW_SESSION_TICKET,
					   GNUTLS_HOOK_POST, on_ticket);
	if (conf->host)
		OK(gnutls_server_name_set(r->tls, GNUTLS_NAME_DNS, conf->host,
					  strlen(conf->host)));
	if (role == GNUTLS_SERVER)
		gnutls_certificate_server_set_request(r->tls, conf->ask);
	if (conf->kind == RAW_SERVER_WITH_TICKETS)
		enable_tickets(r->tls);
	return &r->transport;
}
