#!/bin/sh
# For the tests of TLS and of clocks: a Redis with TLS, openssl and libfaketime. No daemon comes with these packages.
set -eu
is_there() {
  command -v redis-check-rdb >/dev/null 2>&1 && command -v openssl >/dev/null 2>&1 \
    && ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1
}
if is_there; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing a Redis with TLS, openssl and libfaketime for the tests"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-tools openssl libfaketime >/dev/null
  exit 0
fi
echo "The tests need the packages redis-tools, openssl and libfaketime: install them, then run make test again." >&2
exit 1
