# Makefile of relayd.
# SPDX-License-Identifier: ISC
#
# make              builds relayd and relayctl in build/$(VARIANT)
# make check        all set-up, then every test; see docs/HACKING.md
# make demo         all set-up, then the certificate story on real output
# make install      honours DESTDIR and prefix
#
# Knobs (on the command line, or in config.local.mak):
#   VARIANT=release | debug | asan | tsan | cover   default: release
#                   (fuzz is for make fuzz; fault is release with the points of
#                   base/fault.h, which all but release have)
#   WERROR=1        warnings are errors (developers and CI: tools/ set it)
#   O=DIR           where objects go, default build/$(VARIANT)
#   CFLAGS, LDFLAGS added to ours
#   TESTS=PATTERN   only tests whose path holds it
#   BENCH=PATTERN, PAIRS=N, ...  see make bench below

VARIANT ?= release
O ?= build/$(VARIANT)

# ------------------------------------------------------------- the two goals
# Everything starts from nothing but git, make and a compiler: what is missing
# is installed first, then make starts anew with a config.mak.

.PHONY: all
all: programs

config.mak: config.mak.in configure.ac tools/packages tools/setup
	tools/setup build
	autoconf
	./configure --quiet

ifeq ($(filter clean distclean,$(MAKECMDGOALS)),)
include config.mak
endif
ifeq ($(VARIANT),fuzz)
CC = clang
endif
# Knobs of this checkout, if any.
-include config.local.mak

# ------------------------------------------------------------------ flags

WARNINGS = -Wall -Wextra -Wshadow -Wswitch-enum -Wmissing-prototypes \
	-Wstrict-prototypes -Wvla -Wformat=2 -Wconversion -Wundef \
	-Wpointer-arith -Wwrite-strings -Werror=return-type
ifeq ($(WERROR),1)
WARNINGS += -Werror
endif

HARDEN = -fPIE -fstack-protector-strong -fstack-clash-protection \
	-fcf-protection -D_FORTIFY_SOURCE=2
HARDEN_LD = -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack

FLAGS_release = -O2 -g $(HARDEN)
FLAGS_fault = -O2 -g -DFAULTS $(HARDEN)
FLAGS_debug = -Og -g3 -DDEBUG -DFAULTS $(HARDEN)
FLAGS_asan = -O1 -g3 -DDEBUG -DFAULTS -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=all
FLAGS_tsan = -O1 -g3 -DDEBUG -DFAULTS -fno-omit-frame-pointer -fsanitize=thread
FLAGS_cover = -O0 -g3 -DDEBUG -DFAULTS --coverage
FLAGS_fuzz = -O1 -g -DDEBUG -fno-omit-frame-pointer \
	-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LD_release = $(HARDEN_LD)
LD_fault = $(HARDEN_LD)
LD_debug = $(HARDEN_LD)
LD_asan = -fsanitize=address,undefined
LD_tsan = -fsanitize=thread
LD_cover = --coverage
LD_fuzz = -fsanitize=fuzzer,address,undefined

ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -I. -include base/banned.h $(WARNINGS) $(FLAGS_$(VARIANT)) \
	-DRELAYD_VERSION='"$(VERSION)"' -pthread $(CFLAGS)
ALL_LDFLAGS = $(LD_$(VARIANT)) -pthread $(LDFLAGS)

# ------------------------------------------------------------------ layers
# A folder is a layer and an archive.  tools/layers says who may know whom;
# LINK_x repeats it for the linker, so that a wrong dependency of a unit test
# does not link.

LAYERS = base conf smtp net tls queue ctl daemon

CFLAGS_base = $(XXHASH_CFLAGS)
CFLAGS_conf = $(CONFUSE_CFLAGS)
CFLAGS_net = $(EVENT_CFLAGS) $(UNBOUND_CFLAGS) $(IDN2_CFLAGS)
CFLAGS_tls = $(GNUTLS_CFLAGS)
CFLAGS_queue = $(LMDB_CFLAGS) $(XXHASH_CFLAGS)
CFLAGS_ctl = $(CURL_CFLAGS) $(JANSSON_CFLAGS)
CFLAGS_daemon = $(EVENT_CFLAGS) $(JANSSON_CFLAGS) $(SYSTEMD_CFLAGS) $(CURL_CFLAGS)

LIBS_base = $(XXHASH_LIBS) -lresolv
LIBS_conf = $(CONFUSE_LIBS)
# -lresolv: the parser of DNS answers in the C library.
LIBS_net = $(EVENT_LIBS) $(UNBOUND_LIBS) $(IDN2_LIBS) -lresolv
LIBS_tls = $(GNUTLS_LIBS)
LIBS_queue = $(LMDB_LIBS) $(XXHASH_LIBS)
LIBS_ctl = $(CURL_LIBS) $(JANSSON_LIBS)
LIBS_daemon = $(SYSTEMD_LIBS) $(CURL_LIBS) -lcrypt

LINK_base = base
LINK_conf = conf base
LINK_smtp = smtp base
LINK_net = net base
LINK_tls = tls net base
LINK_queue = queue smtp base
LINK_ctl = ctl base
LINK_daemon = daemon ctl queue tls net smtp conf base

# main.c of daemon/ and relayctl.c of ctl/ hold main(); they are in no archive.
MAINS = daemon/main.c ctl/relayctl.c

define layer
SRC_$(1) := $$(filter-out $$(MAINS),$$(wildcard $(1)/*.c))
OBJ_$(1) := $$(SRC_$(1):%.c=$$(O)/%.o)
$$(O)/$(1).a: $$(OBJ_$(1))
	@rm -f $$@
	$$(QUIET_AR)$$(AR) rcs $$@ $$^
$$(OBJ_$(1)) $$(patsubst %.c,$$(O)/%.o,$$(filter $(1)/%,$$(MAINS))): LAYER_CFLAGS = $$(CFLAGS_$(1))
endef
$(foreach l,$(LAYERS),$(eval $(call layer,$(l))))

archives = $(patsubst %,$(O)/%.a,$(LINK_$(1)))
libs = $(foreach l,$(LINK_$(1)),$(LIBS_$(l)))

ifneq ($(V),1)
QUIET_CC = @echo "  CC   $@";
QUIET_LD = @echo "  LD   $@";
QUIET_AR = @echo "  AR   $@";
endif

$(O)/%.o: %.c config.mak
	@mkdir -p $(@D)
	$(QUIET_CC)$(CC) $(ALL_CFLAGS) $(LAYER_CFLAGS) -MMD -MP -c -o $@ $<

.PHONY: programs
programs: $(O)/relayd $(O)/relayctl compile_commands.json

$(O)/relayd: $(O)/daemon/main.o $(call archives,daemon)
	$(QUIET_LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,daemon)

$(O)/relayctl: $(O)/ctl/relayctl.o $(call archives,ctl)
	$(QUIET_LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,ctl)

# ------------------------------------------------------------- unit tests
# tests/unit/LAYER/t_*.c: a program each, linked with what the layer may know.
# tests/support/*.c may be used by all of them.

TEST_SUPPORT := $(patsubst %.c,$(O)/%.o,$(wildcard tests/support/*.c))

define unit
UNIT_$(1) := $$(patsubst %.c,$$(O)/%,$$(wildcard tests/unit/$(1)/t_*.c))
$$(UNIT_$(1)): $$(O)/tests/unit/$(1)/%: $$(O)/tests/unit/$(1)/%.o $$(SUPPORT_$(1)) $$(call archives,$(1))
	$$(QUIET_LD)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(call libs,$(1)) $$(CHECK_LIBS)
$$(patsubst %.c,$$(O)/%.o,$$(wildcard tests/unit/$(1)/*.c)): LAYER_CFLAGS = $$(foreach l,$$(LINK_$(1)),$$(CFLAGS_$$(l))) $$(CHECK_CFLAGS)
UNIT += $$(UNIT_$(1))
endef
SUPPORT_queue = $(O)/tests/support/store_mem.o
SUPPORT_daemon = $(O)/tests/support/certs.o
SUPPORT_tls = $(O)/tests/support/crls.o $(O)/tests/support/certs.o $(O)/tests/support/tls_pair.o
$(TEST_SUPPORT): LAYER_CFLAGS = $(foreach l,$(LAYERS),$(CFLAGS_$(l))) $(CHECK_CFLAGS)
$(foreach l,$(LAYERS),$(eval $(call unit,$(l))))

# ------------------------------------------------------------------- fuzz
# tests/fuzz/fuzz_*.c: a program each.  With replay.c it reads the inputs of
# tests/fuzz/corpus, which is a test; built by clang with libFuzzer (make fuzz)
# it looks for new ones, and what it finds is kept in build/fuzz.
#
#   FUZZ=PATTERN    only targets whose name holds it
#   SECONDS=N       for each target, default 20

FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAY := $(FUZZ_NAMES:%=$(O)/tests/fuzz/fuzz_%)
FUZZ_CHOSEN = $(if $(FUZZ),$(foreach n,$(FUZZ_NAMES),$(if $(findstring $(FUZZ),$(n)),$(n))),$(FUZZ_NAMES))
SECONDS ?= 20
ifeq ($(VARIANT),fuzz)
FUZZ_MAIN =
else
FUZZ_MAIN = $(O)/tests/fuzz/replay.o
endif
$(REPLAY): $(O)/tests/fuzz/fuzz_%: $(O)/tests/fuzz/fuzz_%.o $(O)/tests/fuzz/fuzz.o $(FUZZ_MAIN) $(call archives,daemon)
	$(QUIET_LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,daemon)
$(patsubst %.c,$(O)/%.o,$(wildcard tests/fuzz/*.c)): LAYER_CFLAGS = $(foreach l,$(LAYERS),$(CFLAGS_$(l)))

.PHONY: fuzz fuzz-programs
fuzz:
	@tools/setup build fuzz
	@$(MAKE) --no-print-directory VARIANT=fuzz WERROR= fuzz-programs
	@for name in $(FUZZ_CHOSEN); do \
		tests/fuzz/run $$name $(SECONDS) || exit 1; done

fuzz-programs: $(FUZZ_CHOSEN:%=$(O)/tests/fuzz/fuzz_%)

# ------------------------------------------------------------------ bench
# bench/*.c: a program each; wire.c is shared by those that talk.  They are
# peers of relayd, not parts of it: of its archives they know what queue does.
#
#   BENCH=PATTERN   only scenarios whose name holds it
#   PAIRS=N         how often relayd and each peer take turns, default 5
#   BENCH_ARGS=...  more options of bench/run, see bench/run --help

BENCH_SHARED = bench/wire.c
BENCH_SOURCES := $(wildcard bench/*.c)
BENCH_OBJ = $(BENCH_SOURCES:%.c=$(O)/%.o)
BENCH_PROGRAMS = $(patsubst %.c,$(O)/%,$(filter-out $(BENCH_SHARED),$(BENCH_SOURCES)))
BENCH_CFLAGS = $(CFLAGS_queue) $(EVENT_CFLAGS) $(GNUTLS_CFLAGS)
$(BENCH_OBJ): LAYER_CFLAGS = $(BENCH_CFLAGS)
$(BENCH_PROGRAMS): %: %.o $(BENCH_SHARED:%.c=$(O)/%.o) $(call archives,queue)
	$(QUIET_LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,queue) \
		$(EVENT_LIBS) $(GNUTLS_LIBS) -lm

.PHONY: bench bench-programs
bench-programs: $(BENCH_PROGRAMS)
PAIRS ?= 5
bench: programs bench-programs
	RELAYD=$(O)/relayd RELAYCTL=$(O)/relayctl bench/run \
		--programs=$(O)/bench --pairs=$(PAIRS) \
		$(if $(BENCH),--only='$(BENCH)') $(BENCH_ARGS)

# A queue of a million messages: 6 GB under TMPDIR.  MILLION_ARGS: its options.
.PHONY: million
million: programs bench-programs
	RELAYD=$(O)/relayd RELAYCTL=$(O)/relayctl SEED=$(O)/bench/seed \
		bench/million $(MILLION_ARGS)

# -------------------------------------------------- crashes and power cuts
# Long runs of what `make check` does in seconds; docs/RELIABILITY.md.
#
#   COUNT=N         kills, or states of the disk
#   SEED=N          the same again, as far as the machine lets it

# All variants but the one for users have the points of base/fault.h.
ifeq ($(VARIANT),release)
FAULT_O = build/fault
else
FAULT_O = $(O)
endif

.PHONY: fault-program crash
fault-program:
ifeq ($(VARIANT),release)
	@$(MAKE) --no-print-directory VARIANT=fault O=$(FAULT_O) $(FAULT_O)/relayd
endif

crash: programs fault-program
	RELAYD=$(O)/relayd RELAYCTL=$(O)/relayctl RELAYD_FAULTS=$(FAULT_O)/relayd \
		python3 -B tests/crash/storm.py $(or $(COUNT),1000) $(SEED)

POWER = $(O)/tests/power/replay $(O)/tests/power/record.so
$(O)/tests/power/replay: $(O)/tests/power/replay.o $(call archives,queue)
	$(QUIET_LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,queue)
$(O)/tests/power/replay.o: LAYER_CFLAGS = $(CFLAGS_queue)
# Sanitizers want to be the first library, so this has none.
$(O)/tests/power/record.so: tests/power/record.c tests/power/tape.h
	@mkdir -p $(@D)
	$(QUIET_LD)$(CC) -std=c11 -D_GNU_SOURCE -I. $(WARNINGS) -O2 -g \
		-shared -fPIC -o $@ $< -ldl

.PHONY: power
power: programs $(POWER)
	RELAYD=$(O)/relayd RELAYCTL=$(O)/relayctl POWER=$(O)/tests/power \
		python3 -B tests/power/power.py $(or $(COUNT),10000) $(SEED)

# --------------------------------------------------------------- all tests
# Python programs are black-box tests: they run relayd and relayctl as users
# do, against real peers.

BLACKBOX := $(sort $(wildcard tests/*/test_*.py))
chosen = $(if $(TESTS),$(foreach t,$(1),$(if $(findstring $(TESTS),$(t)),$(t))),$(1))

.PHONY: check demo run-unit run-check run-demo setup-test unit
unit run-unit: $(UNIT)
	tools/run-tests $(call chosen,$(UNIT))

run-check: programs $(UNIT) $(REPLAY) $(POWER) fault-program $(O)/bench/seed
	-tests/peers/fetch
	RELAYD=$(O)/relayd RELAYCTL=$(O)/relayctl RELAYD_FAULTS=$(FAULT_O)/relayd \
		POWER=$(O)/tests/power tools/run-tests $(call chosen,$(BLACKBOX) $(UNIT) $(REPLAY))

# Figures that depend on the machine, with their limits.
.PHONY: measure
measure: programs
	MEASURE=1 RELAYD=$(O)/relayd RELAYCTL=$(O)/relayctl \
		tools/run-tests tests/queue/test_large.py

run-demo: programs
	@RELAYD=$(O)/relayd RELAYCTL=$(O)/relayctl tests/demo/demo

# The test library is found by configure, so what is missing comes first.
setup-test:
	@tools/setup build test
	@grep -q '^HAVE_CHECK = yes' config.mak || ./configure --quiet

check: setup-test
	@$(MAKE) --no-print-directory run-check

demo: setup-test
	@$(MAKE) --no-print-directory run-demo

.PHONY: asan tsan cover
asan:
	$(MAKE) VARIANT=asan check
tsan:
	$(MAKE) VARIANT=tsan check
cover:
	tools/setup cover
	$(MAKE) VARIANT=cover check
	gcovr --root . --exclude 'tests/.*' --object-directory build/cover \
		--print-summary --html-details build/cover/index.html

# -------------------------------------------------------------------- lint
# Each can be run alone; tools/packages says what they need.

SOURCES := $(foreach l,$(LAYERS),$(wildcard $(l)/*.c)) $(BENCH_SOURCES)
HEADERS := $(foreach l,$(LAYERS),$(wildcard $(l)/*.h)) $(wildcard bench/*.h)
SCRIPTS := tools/setup tools/version tools/check-layers tests/peers/fetch \
	tests/fuzz/run .ci/run
PAGES := man/relayd.8 man/relayctl.8 man/relayd.conf.5
LIBRARY_CFLAGS = $(foreach l,$(LAYERS),$(CFLAGS_$(l)))

.PHONY: lint layers hdr-check docs-check format-check format tidy analyzer \
	cppcheck scripts-check pages-check
lint: setup-lint
	@$(MAKE) --no-print-directory layers hdr-check docs-check \
		format-check scripts-check pages-check cppcheck tidy analyzer

.PHONY: setup-lint
setup-lint:
	@tools/setup build test lint

layers:
	tools/check-layers

# Every header compiles alone.
hdr-check: $(HEADERS:%=$(O)/%.checked)
$(O)/%.h.checked: %.h config.mak
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) $(LIBRARY_CFLAGS) -fsyntax-only -x c $<
	@touch $@

docs-check:
	tools/docs-check

# Headers are aligned by hand.
format:
	clang-format -i $(SOURCES)
format-check:
	clang-format --dry-run --Werror $(SOURCES)

scripts-check:
	shellcheck $(SCRIPTS)

# The pages that ours refer to need not be installed here.
pages-check: $(PAGES)
	! mandoc -Tlint -W style $(PAGES) | \
		grep -v 'referenced manual not found'

# BUG_ON("text") is meant: a branch that nobody can reach.
cppcheck:
	cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr -I. \
		--enable=warning,performance,portability \
		--library=tools/cppcheck.cfg \
		--suppress=missingIncludeSystem \
		--suppress=incorrectStringBooleanError $(LAYERS) bench

TIDY := $(SOURCES:%=$(O)/%.tidied)
tidy: $(TIDY)
$(O)/%.c.tidied: %.c .clang-tidy
	@mkdir -p $(@D)
	@echo "  TIDY $<"
	@clang-tidy --quiet $< -- -std=c11 -D_GNU_SOURCE -I. \
		-include base/banned.h $(LIBRARY_CFLAGS) \
		-DRELAYD_VERSION='"lint"' 2>$@.log || { cat $@.log; exit 1; }
	@touch $@

# gcc 12 loses sight of what is stored in uthash's tables and calls it leaked.
UTHASH := $(shell grep -l 'HASH_ADD' $(SOURCES) /dev/null)
ANALYZED := $(SOURCES:%=$(O)/%.analyzed)
$(UTHASH:%=$(O)/%.analyzed): ANALYZER = -Wno-analyzer-malloc-leak
analyzer: $(ANALYZED)
$(O)/%.c.analyzed: %.c config.mak
	@mkdir -p $(@D)
	@echo "  SCAN $<"
	@$(CC) $(ALL_CFLAGS) $(LIBRARY_CFLAGS) -Werror -fanalyzer $(ANALYZER) \
		-c -o /dev/null $<
	@touch $@

# ----------------------------------------------------------------- install
# systemd reads units, users and directories under $(prefix)/lib, mandoc pages
# under $(mandir).

INSTALL = install
unitdir = $(prefix)/lib/systemd/system
sysusersdir = $(prefix)/lib/sysusers.d
tmpfilesdir = $(prefix)/lib/tmpfiles.d
docdir = $(datarootdir)/doc/relayd
bashdir = $(datarootdir)/bash-completion/completions
zshdir = $(datarootdir)/zsh/site-functions

.PHONY: install uninstall dist
install: programs
	$(INSTALL) -d $(addprefix $(DESTDIR),$(sbindir) $(bindir) \
		$(mandir)/man8 $(mandir)/man5 $(unitdir) $(sysusersdir) \
		$(tmpfilesdir) $(docdir) $(bashdir) $(zshdir))
	$(INSTALL) -m 755 $(O)/relayd $(DESTDIR)$(sbindir)/relayd
	$(INSTALL) -m 755 $(O)/relayctl $(DESTDIR)$(bindir)/relayctl
	$(INSTALL) -m 644 man/relayd.8 man/relayctl.8 $(DESTDIR)$(mandir)/man8
	$(INSTALL) -m 644 man/relayd.conf.5 $(DESTDIR)$(mandir)/man5
	sed 's,/usr/sbin/relayd,$(sbindir)/relayd,' dist/relayd.service \
		>$(DESTDIR)$(unitdir)/relayd.service
	chmod 644 $(DESTDIR)$(unitdir)/relayd.service
	$(INSTALL) -m 644 dist/relayd.socket $(DESTDIR)$(docdir)/relayd.socket.sample
	$(INSTALL) -m 644 dist/sysusers.conf $(DESTDIR)$(sysusersdir)/relayd.conf
	$(INSTALL) -m 644 dist/tmpfiles.conf $(DESTDIR)$(tmpfilesdir)/relayd.conf
	$(INSTALL) -m 644 dist/relayd.conf $(DESTDIR)$(docdir)/relayd.conf.sample
	$(INSTALL) -m 644 dist/alerts.rules.yml dist/grafana-dashboard.json \
		$(DESTDIR)$(docdir)
	$(INSTALL) -m 644 dist/completion/relayctl.bash \
		$(DESTDIR)$(bashdir)/relayctl
	$(INSTALL) -m 644 dist/completion/_relayctl $(DESTDIR)$(zshdir)/_relayctl

uninstall:
	rm -f $(addprefix $(DESTDIR),$(sbindir)/relayd $(bindir)/relayctl \
		$(mandir)/man8/relayd.8 $(mandir)/man8/relayctl.8 \
		$(mandir)/man5/relayd.conf.5 $(unitdir)/relayd.service \
		$(sysusersdir)/relayd.conf $(tmpfilesdir)/relayd.conf \
		$(docdir)/relayd.conf.sample $(docdir)/relayd.socket.sample \
		$(bashdir)/relayctl $(zshdir)/_relayctl)

dist:
	@mkdir -p build
	tools/version >build/VERSION
	git archive --prefix=relayd-$(VERSION)/ --add-file=build/VERSION \
		-o build/relayd-$(VERSION).tar.gz HEAD
	@echo build/relayd-$(VERSION).tar.gz

# -------------------------------------------------------------- the rest

# For editors and clang-tidy.
compile_commands.json: Makefile config.mak $(SOURCES)
	@{ echo '['; sep=; for f in $(SOURCES); do \
		printf '%s{"directory":"%s","file":"%s","command":"%s"}' \
		"$$sep" '$(CURDIR)' "$$f" \
		'$(CC) -std=c11 -D_GNU_SOURCE -I. $(LIBRARY_CFLAGS) -c '"$$f"; \
		sep=','; done; echo ']'; } >$@

.PHONY: clean distclean
clean:
	rm -rf build/release build/fault build/debug build/asan build/tsan build/cover \
		build/fuzz
distclean:
	rm -rf build config.mak config.log config.status configure \
		autom4te.cache compile_commands.json

-include $(wildcard $(O)/*/*.d $(O)/tests/*/*.d $(O)/tests/*/*/*.d)
