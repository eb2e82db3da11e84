#!/bin/sh
# A deployment script for tests: what runs stands in a file; what a version's name says goes wrong.
set -eu
echo "$1 ${2:-}" >>asked
case $1 in
deploy)
    echo "$2" >>deployed
    case $2 in
    *hangs*) echo "waiting for the database"; (setsid env -i /bin/sh -c 'exec sleep 300' &); sleep 300 ;;
    *asks*) printf 'Password: '; read -r answer; echo "never $answer" ;;
    *floods*) yes "0123456789012345678901234567890123456789012345678901234567890123456789" ;;
    *dies*) kill -KILL $$ ;;
    *fails*) sleep 300 & echo "no space left on ${TOKEN:-device}"; exit 3 ;;
    *lies*) exit 0 ;;
    *redirects*) exec >>own.log 2>&1; echo "$2" >version; sleep 300 & sleep 1.2; exit 3 ;;
    *busy*) [ "$(wc -l <deployed)" -gt 2 ] || exit 75 ;;
    *leaves*) (while sleep 0.1; do echo still here; done) & echo $! >left ;;
    *slow*) echo "::progress 40 copying"; while [ ! -f go ]; do sleep 0.05; done ;;
    *ill*) echo "$2" >version; echo "$2" >ill; exit 0 ;;
    esac
    echo "$2" >version
    ;;
rollback) echo "$2" >version ;;
status) cat version ;;
verify) [ ! -f ill ] || ! grep -qx "$2" ill || { echo "$2 does not answer"; exit 1; } ;;
esac
