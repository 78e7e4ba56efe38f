/* SPDX-License-Identifier: ISC */
/*
 * err - the error value that every fallible function fills.
 *
 * The return value is the first digit of the SMTP reply it would become
 * (RFC 3463 section 2); struct err carries the rest.  It is valid only when
 * the call did not return ST_OK.  errno and foreign codes are translated
 * where they occur; nothing above sees them.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/base.h"

enum status {
	ST_OK = 0,
	ST_TEMP = 4,
	ST_PERM = 5,
};

enum { ERR_TEXT_MAX = 256 };

struct err {
	enum status status;
	uint16_t    reply;           /* SMTP reply code to give, 0: by status */
	uint8_t     subject, detail; /* enhanced code status.subject.detail */
	int         os;              /* errno that caused it, 0 if none */
	char        text[ERR_TEXT_MAX]; /* one printable line, never empty */
};

/* Each fills *e and returns its status, so that a caller can write
 * `return err_temp(e, 3, 1, "...")`.  Control bytes in the text become '?'. */
enum status err_temp(struct err *e, int subject, int detail, const char *fmt,
		     ...) PRINTF(4, 5);
enum status err_perm(struct err *e, int subject, int detail, const char *fmt,
		     ...) PRINTF(4, 5);
/* From errno: ENOSPC and EDQUOT are 4.3.1, all else 4.3.0; always ST_TEMP.
 * The text is "<what>: <strerror>". */
enum status err_sys(struct err *e, int os, const char *fmt, ...) PRINTF(3, 4);

#endif
