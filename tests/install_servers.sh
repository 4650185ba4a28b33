#!/bin/sh
# For the tests of TLS and of clocks, and of `portal run` on the servers of the machine: a Redis with TLS, openssl,
# libfaketime and PostgreSQL. No daemon starts: PostgreSQL is told to make no cluster of its own.
set -eu
is_there() {
  command -v redis-check-rdb >/dev/null 2>&1 && command -v openssl >/dev/null 2>&1 \
    && ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 \
    && { command -v postgres >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; }
}
if is_there; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing a Redis with TLS, openssl, libfaketime and PostgreSQL for the tests"
  apt-get update -qq
  mkdir -p /etc/postgresql-common/createcluster.d
  echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/portal-tests.conf
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    redis-tools openssl libfaketime postgresql >/dev/null
  exit 0
fi
echo "The tests need the packages redis-tools, openssl, libfaketime and postgresql: install them, then run make test again." >&2
exit 1
