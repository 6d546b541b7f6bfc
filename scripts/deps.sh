#!/usr/bin/env bash
# Installs the Debian packages that are missing. The one place that lists them.
#   scripts/deps.sh build          to build curvefs and its tests
#   scripts/deps.sh build demo     and to run the demo's cluster
#   scripts/deps.sh build test     and to run the fast tests
#   scripts/deps.sh build test full   and the slow ones
set -euo pipefail

build=(g++ cmake ninja-build ccache pkg-config libabsl-dev librocksdb-dev libxxhash-dev libcli11-dev libspdlog-dev
       libfmt-dev nlohmann-json3-dev libtomlplusplus-dev protobuf-compiler libprotobuf-dev libgtest-dev
       libcurl4-openssl-dev libssl-dev libpugixml-dev golang-go liblz4-dev libzstd-dev libasio-dev libgrpc++-dev libcpp-httplib-dev)
run=(fuse3)
demo=(etcd-server)
test=(python3 attr acl rsync sqlite3 git util-linux curl etcd-server iproute2)
full=(clang-19 clang-tidy-19 libclang-rt-19-dev fio dbench stress-ng gcc make
      ceph-mon ceph-osd ceph-common radosgw)

wanted=("${run[@]}")
for group in "$@"; do
  case $group in
    build) wanted+=("${build[@]}") ;;
    demo) wanted+=("${demo[@]}") ;;
    test) wanted+=("${test[@]}") ;;
    full) wanted+=("${full[@]}") ;;
    *) echo "deps.sh: no group '$group'; there are build, demo, test and full" >&2; exit 2 ;;
  esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "deps.sh: not a Debian system, so nothing is installed; these packages' likes are needed: ${wanted[*]}" >&2
  exit 0
fi

installed=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' 2>/dev/null | sed -n 's/^ii *//p')
missing=()
for package in "${wanted[@]}"; do
  grep -qxF "$package" <<<"$installed" || missing+=("$package")
done

# What is downloaded, not installed. Without it all is built but what a cluster's metaserver needs.
engine() {
  case " $* " in
    *" build "*) "$(dirname "$0")/raft_engine.sh" || echo "deps.sh: the Raft engine is left out of the build" >&2 ;;
  esac
}
if [ ${#missing[@]} -eq 0 ]; then
  engine "$@"
  exit 0
fi

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "deps.sh: these Debian packages are missing, and neither root nor sudo is there to install them." >&2
    echo "As root:  apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  sudo=(sudo)
fi
echo "installing Debian packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
install() { "${sudo[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}"; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! install >"$log" 2>&1; then
  { "${sudo[@]}" apt-get update -q && install; } >"$log" 2>&1 || {
    cat "$log" >&2
    echo "deps.sh: apt-get failed; see above" >&2
    exit 1
  }
fi
engine "$@"
