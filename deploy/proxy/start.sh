#!/bin/sh
# Finds the certificate, makes one where there is none, and runs nginx.
#
#   /certs/tls.crt, /certs/tls.key   yours: the chain and its key, as PEM, readable for uid 10001
#   DOMAIN                           name or address of this machine, for a certificate made here
#   HTTPS_PORT                       the port on this machine that plain HTTP is sent to
set -eu

domain=${DOMAIN:-localhost}
if [ -e /certs/tls.crt ] || [ -e /certs/tls.key ]; then
  name=/certs/tls
  for file in "$name.crt" "$name.key"; do
    [ -r "$file" ] || {
      echo "$file: not there, or not readable for uid $(id -u). Both tls.crt and tls.key are needed." >&2
      exit 2
    }
  done
else
  name=/certs/self-signed
  # Anew where it is for another name, or ends within 30 days.
  if ! { openssl x509 -in "$name.crt" -noout -checkend 2592000 &&
    openssl x509 -in "$name.crt" -noout -subject -nameopt RFC2253 | grep -qxF "subject=CN=$domain"; } \
    >/dev/null 2>&1; then
    case $domain in
      *[!0-9.]*) kind=DNS ;;
      *) kind=IP ;;
    esac
    case $domain in *:*) kind=IP ;; esac
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 398 \
      -keyout "$name.key" -out "$name.crt" -subj "/CN=$domain" \
      -addext "subjectAltName=$kind:$domain" 2>/dev/null || {
      echo "No certificate could be made for DOMAIN=$domain: name this machine, or its address." >&2
      exit 2
    }
  fi
  echo "A certificate made here, which browsers warn of: $(openssl x509 -in "$name.crt" -noout -fingerprint -sha256)"
fi
ln -sf "$name.crt" /tmp/tls.crt
ln -sf "$name.key" /tmp/tls.key

mkdir -p /tmp/nginx
resolver=$(awk '/^nameserver/ { print ($2 ~ /:/) ? "[" $2 "]" : $2; exit }' /etc/resolv.conf)
port=${HTTPS_PORT:-443}
[ "$port" = 443 ] && port="" || port=":$port"
cat >/tmp/nginx/found.conf <<EOF
resolver $resolver valid=5s;
map "" \$https_port { default "$port"; }
EOF
exec nginx -c /etc/nginx/proxy.conf -g 'daemon off;'
