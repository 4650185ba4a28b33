#!/bin/sh
# RabbitMQ for the tests: the one that is named or there, else Debian's when we are root, else a clear message.
set -eu
if [ -n "${PORTAL_TEST_AMQP_URL:-}" ]; then exit 0; fi
for server in /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server \
  /usr/local/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server \
  /opt/rabbitmq/sbin/rabbitmq-server /opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server; do
  if [ -e "$server" ]; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing RabbitMQ for the tests"
  # Only the files are wanted: each test run starts a broker of its own, and none stays behind.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends rabbitmq-server >/dev/null
  exit 0
fi
echo "The tests need RabbitMQ: install rabbitmq-server, or set PORTAL_TEST_AMQP_URL, then run make test again." >&2
exit 1
