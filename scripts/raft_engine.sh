#!/usr/bin/env bash
# Puts the sources of the Raft engine (etcd's, Debian's golang-etcd-server-dev) and of the two protobuf packages that it
# needs below build/raft-engine, from Debian's archive. Installing that package would bring some 130 others along.
#   scripts/raft_engine.sh          does nothing if they are there
set -euo pipefail
cd "$(dirname "$0")/.."

version=3.4.23
packages=(golang-etcd-server-dev golang-github-gogo-protobuf-dev golang-github-golang-protobuf-1-3-dev)
destination=build/raft-engine
[ -e "$destination/$version" ] && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
fetch() (cd "$work" && apt-get download -q "${packages[@]}")
if ! fetch >"$work/log" 2>&1; then
  sudo=()
  [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  { "${sudo[@]}" apt-get update -q && fetch; } >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    echo "raft_engine.sh: cannot download ${packages[*]}; see above" >&2
    exit 1
  }
fi
if ! ls "$work"/golang-etcd-server-dev_"$version"-*.deb >/dev/null 2>&1; then
  echo "raft_engine.sh: Debian has another version of golang-etcd-server-dev than $version: $(cd "$work" && ls golang-etcd-server-dev_*)." >&2
  echo "The engine is tested as version $version; see docs/adr/0005-raft-engine.md before you change that." >&2
  exit 1
fi
mkdir "$work/x"
for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/x"; done
rm -rf "$destination"
mkdir -p "$destination"
mv "$work/x/usr/share/gocode" "$destination/gocode"
for name in golang-etcd-server-dev golang-github-gogo-protobuf-dev golang-github-golang-protobuf-1-3-dev; do
  cp "$work/x/usr/share/doc/$name/copyright" "$destination/$name.copyright"
done
touch "$destination/$version"
echo "sources of the Raft engine are in $destination"
