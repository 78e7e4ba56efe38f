/* SPDX-License-Identifier: ISC */
/*
 * cause - the closed list of reasons why mail waits or failed.
 */
#ifndef BASE_CAUSE_H
#define BASE_CAUSE_H

#include "base/base.h"

enum cause_group {
	CAUSE_OTHER,
	CAUSE_TLS,
	CAUSE_DNS,
	CAUSE_NET,
	CAUSE_PEER,
	CAUSE_AUTH,
	CAUSE_MAIL,
	CAUSE_SELF,
	CAUSE_OPS,
};

enum cause {
#define CAUSE(name, word, group, remedy) CAUSE_IS_##name,
#include "base/cause.def"
#undef CAUSE
	CAUSE_COUNT
};

const char *cause_word(enum cause c);            /* "" for CAUSE_IS_NONE */
const char *cause_remedy(enum cause c);
enum cause_group cause_group(enum cause c);
const char *cause_group_word(enum cause_group g);         /* "tls", "dns" ... */
/* Word of a cause or of a whole group: `--cause tls-pin`, `--cause tls`. */
MUST_USE bool cause_matches(enum cause c, const char *word);
/* Is this the word of a cause or of a group? */
MUST_USE bool cause_word_known(const char *word);
MUST_USE bool cause_parse(const char *word, enum cause *out);

#endif
