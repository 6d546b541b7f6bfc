#!/bin/sh
# SQLite in both journal modes, with several writers, checked with integrity_check.
. "$(dirname "$0")/common.sh"
need sqlite3
rows=${full:+3000}; rows=${rows:-300}
for mode in delete wal truncate persist; do
  db=$mode.db
  check "$mode: create" sqlite3 $db "pragma journal_mode=$mode; create table t(id integer primary key, w int, v text); create index i on t(w, v);"
  writers=4 w=0 pids=
  while [ $w -lt $writers ]; do
    (
      {
        echo ".timeout 60000"
        n=0
        while [ $n -lt $((rows / writers)) ]; do
          echo "begin immediate; insert into t(w, v) values($w, hex(randomblob(200))); update t set v = hex(randomblob(100)) where id % 37 = $w; commit;"
          n=$((n + 1))
        done
      } | sqlite3 -bail $db >/dev/null
    ) 2>"$scratch/w$w" &
    pids="$pids $!"
    w=$((w + 1))
  done
  for p in $pids; do wait "$p" || { fail "$mode: a writer ended badly"; cat "$scratch"/w* >&2; }; done
  check "$mode: integrity" test "$(sqlite3 $db 'pragma integrity_check')" = ok
  check "$mode: all rows are there" test "$(sqlite3 $db 'select count(*) from t')" = $((rows / writers * writers))
  check "$mode: rollback" test "$(sqlite3 $db 'begin; delete from t; rollback; select count(*) from t')" = $((rows / writers * writers))
  check "$mode: vacuum" sqlite3 $db 'vacuum'
  check "$mode: integrity after vacuum" test "$(sqlite3 $db 'pragma integrity_check')" = ok
  check "$mode: backup" sh -c "sqlite3 $db '.backup copy.db' && test \"\$(sqlite3 copy.db 'pragma integrity_check')\" = ok"
  # A writer that is killed in the middle of a transaction leaves the state before it.
  (echo "begin; delete from t where id % 2 = 0;"; echo ".shell kill -9 \$PPID"; echo "commit;") | sh -c 'sqlite3 "$1" >/dev/null 2>&1 || true' x $db 2>/dev/null || true
  check "$mode: recovered" test "$(sqlite3 $db 'select count(*) from t; pragma integrity_check' | tr '\n' ' ')" = "$((rows / writers * writers)) ok "
done
verdict
