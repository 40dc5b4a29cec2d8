#!/bin/sh
# Makes certificates for Kafka and its clients: `certificates.sh DIR NAME…` makes DIR/NAME.pem for each name, key and
# certificate in one file, by the CA DIR/ca.pem, which it makes if there is none. What is there already is kept.
#
# NAME is the principal. That of the broker is `kafka`: it is also valid for `localhost`. Whoever has DIR/ca.key can be
# anybody: move it to where keys are kept. Files in DIR are readable for the users of containers; DIR itself is not.
set -eu
test $# -ge 2 || { sed -n '2,6s/^# //p' "$0" >&2; exit 2; }
folder=$1; shift
days=${DAYS:-365}
umask 077
mkdir -p "$folder"
cd "$folder"
new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 2> /dev/null; }
if [ ! -e ca.pem ]; then
    new_key > ca.key
    openssl req -x509 -key ca.key -subj "/CN=waybill CA" -days "$((10 * days))" -out ca.pem
    chmod 444 ca.pem
fi
for name; do
    [ ! -e "$name.pem" ] || continue
    new_key > "$name.new"
    openssl req -new -key "$name.new" -subj "/CN=$name" \
        | openssl x509 -req -CA ca.pem -CAkey ca.key -set_serial "0x$(openssl rand -hex 16)" -days "$days" \
            -extfile /dev/fd/3 2> /dev/null 3<<EOF >> "$name.new"
subjectAltName = DNS:$name, DNS:localhost
EOF
    chmod 444 "$name.new"
    mv "$name.new" "$name.pem"
done
