#!/bin/sh
# RabbitMQ 4 for `make faults`: Debian 13 in a folder, beside the system's own RabbitMQ. Wants root and a Debian mirror.
set -eu
root=${1:?the folder}
if ls "$root"/usr/lib/rabbitmq/lib/rabbitmq_server-4*/sbin/rabbitmq-server >/dev/null 2>&1; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "The tests on RabbitMQ 4 need root and Debian's packages: or set PORTAL_TEST_AMQP_URL to a RabbitMQ 4." >&2
  exit 1
fi
echo "Installing RabbitMQ 4 of Debian 13 into $root"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | head -n 1)
rm -rf "$root"
debootstrap --variant=minbase --include=rabbitmq-server trixie "$root" "${mirror:?no Debian mirror is configured}" >"$root.log" 2>&1 \
  || { tail -n 5 "$root.log" >&2; exit 1; }
echo "127.0.0.1 localhost" >"$root/etc/hosts"
