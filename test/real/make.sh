#!/bin/sh
# A C project, made up here, built in parallel; changed; built again.
. "$(dirname "$0")/common.sh"
need gcc make ar
n=${full:+120}; n=${n:-30}
mkdir src obj
i=0
{
  printf '#pragma once\n'
  while [ $i -lt "$n" ]; do printf 'int f%d(int);\n' $i; i=$((i + 1)); done
} >src/all.h
i=0
while [ $i -lt "$n" ]; do
  printf '#include "all.h"\n#include <stdio.h>\n#include <string.h>\nint f%d(int x) { char b[64]; snprintf(b, sizeof b, "%%d", x); return (int)strlen(b) + %d%s; }\n' \
    $i $i "$([ $i = 0 ] || echo " + f$((i - 1))(x)")" >src/f$i.c
  i=$((i + 1))
done
printf '#include "all.h"\n#include <stdio.h>\nint main(void) { printf("%%d\\n", f%d(12345)); return 0; }\n' $((n - 1)) >src/main.c
cat >Makefile <<'MAKE'
SRC := $(wildcard src/f*.c)
OBJ := $(SRC:src/%.c=obj/%.o)
prog: obj/main.o lib.a
	gcc -o $@ obj/main.o lib.a
lib.a: $(OBJ)
	rm -f $@ && ar rcs $@ $(OBJ)
obj/%.o: src/%.c src/all.h
	gcc -O1 -g -MMD -c -o $@ $<
-include $(OBJ:.o=.d)
MAKE
want=$((n * 5 + n * (n - 1) / 2))
check build make -s -j4
check "the program is right" test "$(./prog)" = "$want"
check "nothing to do" sh -c 'make -q'
touch -d '+2 seconds' src/f3.c
check "one file changed" sh -c '! make -q && make -s && test "$(./prog)" = '"$want"
check "debug information is readable" sh -c 'command -v objdump >/dev/null || exit 0; objdump -h prog'
check "run in parallel" sh -c 'for i in 1 2 3 4 5 6 7 8; do ./prog & done >out; wait; test $(grep -c "^'"$want"'$" out) = 8'
verdict
