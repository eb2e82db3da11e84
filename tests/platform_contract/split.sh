#!/bin/sh
# A script with shares, for tests: what serves, the canary and its share stand in one file, as in a gateway's configuration.
set -eu
cd "${QUOTES_STATE%/*}"
mkdir -p running
split=running/split
baseline=$(cut -d' ' -f1 $split 2>/dev/null || true)
put() { echo "$*" >$split.new && mv $split.new $split; }

case $1 in
deploy)
    case $2 in *broken*) echo "$2 does not start" >&2; exit 1 ;; esac
    put "${baseline:--}" "$2" 0
    ;;
shift) put "$baseline" "$2" "$3" ;;
promote) put "$2" ;;
rollback) put "${2:--}" ;;
status) [ ! -f $split ] || cat $split ;;
verify) [ ! -e "running/ill-$2" ] && grep -qw -- "$2" $split ;;
counts)
    for version in $(cut -d' ' -f1-2 $split 2>/dev/null); do
        [ "$version" != - ] || continue
        echo "shipway_requests_total{version=\"$version\"} $(cat "running/requests-$version" 2>/dev/null | wc -c)"
        echo "shipway_request_errors_total{version=\"$version\"} 0"
    done
    echo "# EOF"
    ;;
esac
