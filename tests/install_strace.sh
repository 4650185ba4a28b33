#!/bin/sh
# strace for the tests of failing disks: the one that is there, else Debian's when we are root; else those tests skip.
set -eu
if command -v strace >/dev/null 2>&1; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing strace for the tests of failing disks"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends strace >/dev/null
  exit 0
fi
echo "Without strace the tests of failing disks are skipped: install the package strace to run them." >&2
