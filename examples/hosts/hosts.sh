#!/bin/sh
# Five hosts to try Shipway on, without a second machine: one sshd each, on 127.0.0.10 (staging) to 127.0.0.14, with folders as homes.
#   ./hosts.sh up        starts them; what they have stays in run/
#   ./hosts.sh cut 12    stops the sshd of 127.0.0.12, and leaves its service running
#   ./hosts.sh rekey 12  starts it again with another host key
#   ./hosts.sh down      stops everything
set -eu
cd "$(dirname "$0")"
run=${HOSTS_FOLDER:-$PWD/run} port=${HOSTS_PORT:-2222}
script=$PWD/../script
hosts="10 11 12 13 14"

key() { [ -f "$1" ] || ssh-keygen -q -t ed25519 -N "" -C "" -f "$1"; }

serve() { # the sshd of one host
    home=$run/127.0.0.$1
    cat >"$home/sshd_config" <<EOF
ListenAddress 127.0.0.$1:$port
HostKey $home/host_key
AuthorizedKeysFile $run/key.pub
PidFile $home/sshd.pid
SetEnv HOME=$home
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
EOF
    [ "$(id -u)" != 0 ] || mkdir -p /run/sshd
    "$(PATH=$PATH:/usr/sbin:/sbin command -v sshd)" -f "$home/sshd_config" -E "$home/sshd.log"
}

cut() { [ ! -f "$run/127.0.0.$1/sshd.pid" ] || kill "$(cat "$run/127.0.0.$1/sshd.pid")" 2>/dev/null || true; }

case $1 in
up)
    mkdir -p "$run" && key "$run/key"
    : >"$run/known_hosts"
    for host in $hosts; do
        home=$run/127.0.0.$host
        mkdir -p "$home" && key "$home/host_key"
        cp -R "$script/quotes.sh" "$script/releases" releases "$home"
        printf '#!/bin/sh\nexport QUOTES_HOST=127.0.0.%s\nexec ./quotes.sh "$@"\n' "$host" >"$home/shop.sh"
        chmod +x "$home/shop.sh"
        echo "[127.0.0.$host]:$port $(cat "$home/host_key.pub")" >>"$run/known_hosts"
        serve "$host"
    done
    for host in 10 11; do echo "Make it work, then make it fast." >"$run/127.0.0.$host/quotes.txt"; done
    ;;
cut) cut "$2" ;;
rekey)
    cut "$2"
    rm -f "$run/127.0.0.$2/host_key" "$run/127.0.0.$2/host_key.pub"
    key "$run/127.0.0.$2/host_key"
    serve "$2"
    ;;
down)
    for host in $hosts; do
        cut "$host"
        [ ! -f "$run/127.0.0.$host/running/pid" ] || kill "$(cat "$run/127.0.0.$host/running/pid")" 2>/dev/null || true
    done
    ;;
esac
