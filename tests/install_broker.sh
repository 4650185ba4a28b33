#!/bin/sh
# RabbitMQ for the tests: the one that is named or there, else Debian's when we are root, else a clear message.
set -eu
if [ -n "${PORTAL_TEST_AMQP_URL:-}" ]; then exit 0; fi
for place in /usr/lib/rabbitmq/lib /usr/local/lib/rabbitmq/lib /opt/rabbitmq /opt/homebrew/opt/rabbitmq; do
  if ls "$place"/rabbitmq_server-*/sbin/rabbitmq-server "$place"/sbin/rabbitmq-server >/dev/null 2>&1; then exit 0; fi
done
if (command -v nc >/dev/null 2>&1 && nc -z 127.0.0.1 5672) >/dev/null 2>&1; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing RabbitMQ for the tests"
  apt-get update -qq
  # Only the files are wanted: each test run starts a broker of its own, and none stays behind.
  printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d.portal && chmod 755 /usr/sbin/policy-rc.d.portal
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    mv /usr/sbin/policy-rc.d.portal /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  else
    rm -f /usr/sbin/policy-rc.d.portal
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends rabbitmq-server >/dev/null
  exit 0
fi
echo "The tests need RabbitMQ: install the package rabbitmq-server, or set PORTAL_TEST_AMQP_URL, then run make test again." >&2
exit 1
