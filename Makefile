# A thin front on the CMake presets (CMakePresets.json). Everything is built below build/.
#
#   make            build build/release/curvefs
#   make demo       the same, then show what it does: a file system, a real tree, every byte compared; then a whole cluster
#   make test       build and run the fast tests; the last line is "N passed, N failed"
#   make test-full  sanitizers, long random runs, crash loops, real programs on a real mount
#   make install    to PREFIX (/usr/local), with the mount helper in /sbin; DESTDIR is honoured
#   make deps       install the Debian packages that the build needs (make demo and make test do it too)

PRESET ?= release
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
BUILD = build/$(PRESET)

.PHONY: all build demo test test-full install uninstall clean deps docs format

all: build

deps:
	@scripts/deps.sh build

build: deps
	@cmake --preset $(PRESET) > build-configure.log 2>&1 || { cat build-configure.log; rm -f build-configure.log; exit 1; }
	@rm -f build-configure.log
	@cmake --build --preset $(PRESET) -j $(JOBS)

demo:
	@scripts/deps.sh build demo
	@cmake --preset $(PRESET) > /dev/null
	@cmake --build --preset $(PRESET) -j $(JOBS) --target curvefs-programs
	@scripts/demo.sh $(BUILD)/curvefs
	@scripts/demo_cluster.sh $(BUILD)/curvefs

test:
	@scripts/deps.sh build test
	@scripts/test.sh fast

test-full:
	@scripts/deps.sh build test full
	@scripts/test.sh full

# curvefs-metaserver is left out where it could not be built (make deps). The units are started by hand, once /etc/curvefs has their files.
SYSTEMD ?= /lib/systemd/system
install: build
	install -D -m 755 $(BUILD)/curvefs $(DESTDIR)$(PREFIX)/bin/curvefs
	install -d $(DESTDIR)/sbin $(DESTDIR)$(SYSTEMD) $(DESTDIR)$(PREFIX)/share/doc/curvefs/examples
	ln -sfn $(PREFIX)/bin/curvefs $(DESTDIR)/sbin/mount.curvefs
	for p in mds metaserver; do \
	  [ ! -x $(BUILD)/curvefs-$$p ] || install -m 755 $(BUILD)/curvefs-$$p $(DESTDIR)$(PREFIX)/bin/curvefs-$$p; \
	  sed 's#/usr/local/#$(PREFIX)/#' dist/curvefs-$$p.service > $(DESTDIR)$(SYSTEMD)/curvefs-$$p.service; \
	  install -m 644 dist/$$p.toml $(DESTDIR)$(PREFIX)/share/doc/curvefs/examples/$$p.toml; \
	done
	install -m 644 docs/OPERATIONS.md docs/CONFIG.md $(DESTDIR)$(PREFIX)/share/doc/curvefs

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/curvefs $(DESTDIR)/sbin/mount.curvefs
	for p in mds metaserver; do rm -f $(DESTDIR)$(PREFIX)/bin/curvefs-$$p $(DESTDIR)$(SYSTEMD)/curvefs-$$p.service; done
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/curvefs

# docs/CONFIG.md is made from the table of knobs in src/cli/config.cc.
docs: build
	$(BUILD)/curvefs config --markdown > docs/CONFIG.md

format:
	git ls-files '*.h' '*.cc' | xargs clang-format-19 -i

clean:
	rm -rf build
