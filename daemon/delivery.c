/* SPDX-License-Identifier: ISC */
/*
 * delivery - the lists of jobs that travel between dispatcher and workers.
 */
#include "daemon/delivery.h"

#include <stdlib.h>

void job_free(struct job *j)
{
	if (!j)
		return;
	free(j->numbers);
	free(j);
}

void job_push(struct job **list, struct job *j)
{
	j->next = *list;
	*list = j;
}

void job_splice(struct job **to, struct job **from)
{
	struct job **end = from;

	while (*end)
		end = &(*end)->next;
	*end = *to;
	*to = *from;
	*from = NULL;
}

enum conf_tls delivery_tls(const struct delivery *d)
{
	if (d->route->tls == CONF_TLS_FORCED &&
	    exception_is_clear(d->exception))
		return CONF_TLS_OPPORTUNISTIC;
	return d->route->tls;
}

void delivery_free(struct delivery *d)
{
	if (!d)
		return;
	BUG_ON(d->jobs || d->returned || d->dropped);
	snapshot_unref(d->snapshot);
	exception_unref(d->exception);
	free(d->own_host.host);
	free(d->destination);
	free(d->lane_name);
	free(d->address);
	free(d->certificate);
	free(d->crl);
	transcript_free(d->transcript);
	free(d);
}
