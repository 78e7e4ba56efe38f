/* SPDX-License-Identifier: ISC */
/*
 * options - the tables made from options.def.
 */
#include "conf/options.h"

/* For the bounds in options.def. */
#define FOREVER (3650 * INT64_C(86400000))
#define MIB(n) (INT64_C(n) << 20)

#define STRUCT_main struct conf
#define STRUCT_log struct conf
#define STRUCT_queue struct conf_queue
#define STRUCT_control struct conf_control
#define STRUCT_identity struct conf_identity
#define STRUCT_trust struct conf_trust
#define STRUCT_listener struct conf_listener
#define STRUCT_source struct conf_source
#define STRUCT_route struct conf_route

static const struct option options[] = {
#define OPT(section, name_, type_, preset_, low_, high_, field_, sentence) \
	[OPT_##section##_##name_] = {                                      \
		.kind = KIND_##section,                                    \
		.name = #name_,                                            \
		.type = TYPE_##type_,                                      \
		.preset = preset_,                                         \
		.low = low_,                                               \
		.high = high_,                                             \
		.field = offsetof(STRUCT_##section, field_),               \
	},
#include "conf/options.def"
#undef OPT
};

_Static_assert(ARRAY_LEN(options) == OPTION_COUNT, "an option without a row");

#define KIND(section, parent_, first_, after_last)             \
	.word = KIND_##section == KIND_main ? "" : #section,   \
	.parent = (parent_), .size = sizeof(STRUCT_##section), \
	.first = OPT_##section##_##first_, .end = (after_last)
#define TITLED(section)                                           \
	.titled = true, .name = offsetof(STRUCT_##section, name), \
	.place = offsetof(STRUCT_##section, place)

static const struct kind_row kinds[] = {
	[KIND_main] = {KIND(main, KIND_COUNT, hostname, OPT_log_level)},
	[KIND_log] = {KIND(log, KIND_main, level, OPT_queue_path)},
	[KIND_queue] = {KIND(queue, KIND_main, path, OPT_control_socket)},
	[KIND_control] = {KIND(control, KIND_main, socket,
			       OPT_identity_certificate)},
	[KIND_identity] = {KIND(identity, KIND_main, certificate, OPT_trust_ca),
			   TITLED(identity)},
	[KIND_trust] = {KIND(trust, KIND_main, ca, OPT_listener_address),
			TITLED(trust)},
	[KIND_listener] = {KIND(listener, KIND_main, address,
				OPT_source_networks),
			   TITLED(listener)},
	[KIND_source] = {KIND(source, KIND_listener, networks,
			      OPT_route_domains),
			 TITLED(source)},
	[KIND_route] = {KIND(route, KIND_main, domains, OPTION_COUNT),
			TITLED(route)},
};

_Static_assert(ARRAY_LEN(kinds) == KIND_COUNT, "a kind without a row");

const struct kind_row *kind_row(enum kind kind)
{
	BUG_ON((size_t)kind >= KIND_COUNT);
	return &kinds[kind];
}

const struct option *option_row(size_t index)
{
	BUG_ON(index >= OPTION_COUNT);
	return &options[index];
}

bool option_is_list(const struct option *o)
{
	return o->type >= TYPE_STRINGS;
}
