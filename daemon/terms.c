/* SPDX-License-Identifier: ISC */
/*
 * terms - translates what conf/ says of a route.
 */
#include "daemon/terms.h"

static enum tls_verify verify_of(const struct conf_route *route)
{
	switch (route->verify) {
	case CONF_VERIFY_NONE:
		return TLS_VERIFY_NONE;
	case CONF_VERIFY_CA:
		return TLS_VERIFY_CA;
	case CONF_VERIFY_NAME:
		break;
	}
	return TLS_VERIFY_NAME;
}

struct tls_policy terms_tls(const struct snapshot *s,
			    const struct conf_route *route)
{
	return (struct tls_policy){
		.verify = verify_of(route),
		.trust = snapshot_trust(s, route->trust),
		.names = (const char *const *)route->names.at,
		.nnames = route->names.n,
		.pins = (const uint8_t(*)[32])route->pins,
		.npins = route->npins,
		.common_name = route->common_name,
	};
}

void terms_auth(const struct conf_route *route, const struct secret *secret,
		struct client_conf *out)
{
	static const enum client_auth how[] = {
		[CONF_AUTH_OFF] = CLIENT_AUTH_OFF,
		[CONF_AUTH_PLAIN] = CLIENT_AUTH_PLAIN,
		[CONF_AUTH_LOGIN] = CLIENT_AUTH_LOGIN,
		[CONF_AUTH_XOAUTH2] = CLIENT_AUTH_XOAUTH2,
	};

	out->auth = how[route->auth];
	out->user = route->auth_user;
	out->secret = secret_text(secret);
}
