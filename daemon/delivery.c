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

void delivery_free(struct delivery *d)
{
	if (!d)
		return;
	BUG_ON(d->jobs || d->returned || d->dropped);
	snapshot_unref(d->snapshot);
	free(d->own_host.host);
	free(d->destination);
	free(d->lane_name);
	free(d->address);
	free(d->certificate);
	free(d);
}
