#!/bin/sh
# A repository: commits, branches, clone, gc, fsck.
. "$(dirname "$0")/common.sh"
need git
HOME=$scratch GIT_CONFIG_NOSYSTEM=1; export HOME GIT_CONFIG_NOSYSTEM
git config --global user.email nobody@example.org
git config --global user.name Nobody
git config --global init.defaultBranch main
git config --global gc.auto 0
commits=${full:+60}; commits=${commits:-15}
check init git init -q one
cd one
i=0
while [ $i -lt "$commits" ]; do
  mkdir -p "dir$((i % 7))/sub"
  head -c $((i * 997 % 50000 + 1)) /dev/urandom >"dir$((i % 7))/file$i"
  echo "line $i" >>log.txt
  cp log.txt "dir$((i % 7))/sub/copy$((i % 3))"
  [ $((i % 5)) != 4 ] || git mv -k "dir$((i % 7))/file$i" "moved$i" >/dev/null 2>&1 || true
  check add git add -A
  check commit git commit -q -m "commit $i"
  i=$((i + 1))
done
check "branch" git checkout -q -b side HEAD~5
echo side >side.txt; git add side.txt; check commit git commit -q -m side
check "back to main" git checkout -q main
check merge git merge -q -m merged side
check fsck git fsck --full --strict
cd ..
check clone git clone -q --no-hardlinks one two
check "local clone" git clone -q one three
(cd two && check "gc" git gc -q --aggressive --prune=now && check "fsck after gc" git fsck --full --strict) || bad=1
check "status of the clone is clean" sh -c 'test -z "$(git -C two status --porcelain)"'
check "trees agree" diff -r --exclude=.git one two
check worktree git -C two worktree add -q ../tree HEAD~3
check stash sh -c 'cd two && echo x >>log.txt && git stash -q && git stash pop -q && git checkout -q log.txt'
check push sh -c 'git init -q --bare bare.git && git -C one push -q "$PWD/bare.git" main && git -C bare.git fsck --full'
verdict
