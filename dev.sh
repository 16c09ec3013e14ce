#!/usr/bin/env bash
# The way into LoyalNest on one machine. This file only finds a Python; local/prepare.py makes the environment and
# local/__main__.py has the commands.
set -euo pipefail

# Files that are named on the command line are where the caller stands.
export LOYALNEST_CALLED_FROM=$PWD
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

# Images of containers like to forbid it for the sake of their size, and then each of the many processes that start here
# compiles a thousand modules anew. What is compiled lies apart, so that there is still nothing beside the sources.
if [ -n "${PYTHONDONTWRITEBYTECODE:-}" ]; then
    unset PYTHONDONTWRITEBYTECODE
    export PYTHONPYCACHEPREFIX=${PYTHONPYCACHEPREFIX:-$PWD/.loyalnest/pycache}
fi

help() {
    cat <<'TEXT'
LoyalNest on this machine. Everything it makes lives in .venv/, target/ and .loyalnest/.

  ./dev.sh up [--port N] [--detach]   start everything and show where it is; Ctrl-C stops it
  ./dev.sh down                       stop everything; the data stays
  ./dev.sh test [pytest arguments]    run all tests, or those that the arguments choose
  ./dev.sh check                      ruff, basedpyright, import-linter, rustfmt, clippy, schema snapshot
  ./dev.sh audit                      ask whether a locked package has a known vulnerability;
                                      exit code 3: not all could be asked
  ./dev.sh schema                     print the GraphQL schema
  ./dev.sh documents                  give the front ends' documents (schema/trusted/) their ids
  ./dev.sh doctor [--json]            say what is missing or wrong, and how to mend it
  ./dev.sh demo [--orders N] [--fast] send a day of orders and watch balances move
  ./dev.sh shopify [--hurry N]        a Shopify of our own for the demo's shops, with a checkout that sends its orders
  ./dev.sh verify                     check every ledger entry against its hash chain, every order against its points,
                                      and that all that is sealed opens
  ./dev.sh orders-doctor [FILE] [--shop DOMAIN] [--book]
                                      compare Shopify's orders with the ledger, and book what is missing;
                                      without a file Shopify is asked for the shop's orders
  ./dev.sh trace ID                   tell what the logs and the database know of a request
  ./dev.sh keys [--turn]              wrap all keys by the present master key; turn every merchant's keys
  ./dev.sh functions                  build the Shopify functions
  ./dev.sh psql                       open a prompt on the database

DATABASE_URL (PostgreSQL 15 or newer) and REDIS_URL name servers to use instead of those that LoyalNest brings.
TEXT
}

find_python() {
    local candidate
    # An environment that is there keeps its Python.
    for candidate in .venv/bin/python python3.14 python3.13 python3.12 python3.11 python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    echo "LoyalNest needs Python 3.11 or newer, and none is on the PATH. Install it (apt install python3, brew install python) and run this again." >&2
    return 1
}

command=${1:-help}
case $command in
    help | -h | --help)
        help
        ;;
    up | test | check | audit | schema | documents | demo | shopify | verify | orders-doctor | keys | trace | functions | psql)
        python=$(find_python)
        "$python" -m local.prepare
        exec .venv/bin/python -m local "$@"
        ;;
    down | doctor)
        # Neither makes an environment: the one has nothing to stop without it, and the other would hide what is wrong.
        if ! .venv/bin/python -c 'import asyncpg, psutil, redis, rich, typer' >/dev/null 2>&1; then
            echo "The environment in .venv/ is missing or broken, and ./dev.sh up makes it anew." >&2
            exit 1
        fi
        exec .venv/bin/python -m local "$@"
        ;;
    *)
        echo "There is no command '$command'." >&2
        help >&2
        exit 2
        ;;
esac
