#!/bin/sh
# Deploys the quotes on this machine, by hand or by Shipway: `./quotes.sh deploy 1.1`.
set -eu
state=${QUOTES_STATE:-running} host=${QUOTES_HOST:-127.0.0.1} port=${QUOTES_PORT:-8085}
mkdir -p "$state"

case $1 in
deploy)
    [ -z "$2" ] || [ -f "releases/$2/quotes.py" ] || { echo "releases/$2 is not there" >&2; exit 1; }
    echo "::progress 20 stopping what runs"
    [ ! -f "$state/pid" ] || kill "$(cat "$state/pid")" 2>/dev/null || true
    rm -f "$state/pid" "$state/version"
    [ -n "$2" ] || exit 0 # a first version that is rolled back leaves nothing
    echo "::progress 50 starting $2"
    nohup python3 "releases/$2/quotes.py" "$port" >"$state/log" 2>&1 &
    echo $! >"$state/pid"
    for _ in $(seq 100); do "$0" verify "$2" 2>/dev/null && break || sleep 0.05; done
    "$0" verify "$2"
    echo "$2" >"$state/version"
    ;;
status) [ ! -f "$state/version" ] || ! kill -0 "$(cat "$state/pid")" 2>/dev/null || cat "$state/version" ;;
verify) [ "$(curl -fsS --max-time 5 "http://$host:$port/version")" = "$2" ] ;;
esac
