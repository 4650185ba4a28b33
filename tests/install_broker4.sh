#!/bin/sh
# RabbitMQ 4 for `make faults`: Debian 13 in a folder, beside the system's own RabbitMQ. Wants root and a Debian mirror.
set -eu
root=${1:?the folder}
# Written last: a folder without it was left half made.
if [ -e "$root/etc/hosts" ]; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "The tests on RabbitMQ 4 need Debian, and root: run make broker4 again as root." >&2
  exit 1
fi
echo "Installing RabbitMQ 4 of Debian 13 into $root"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
rm -rf "$root"
if ! debootstrap --variant=minbase --include=rabbitmq-server \
  trixie "$root" "${mirror:?no Debian mirror is configured}" >"$root.log" 2>&1; then
  tail -n 5 "$root.log" >&2
  echo "RabbitMQ 4 is not installed: does Debian's mirror $mirror have trixie? See $root.log." >&2
  exit 1
fi
echo "127.0.0.1 localhost" >"$root/etc/hosts"
