#!/bin/sh
# Starts workerd for the local server; Miniflare runs this in its place. See workerd-process.ts.
#
# STOWAGE_WORKERD  the real workerd
# STOWAGE_SERVER   pid of the server process, if workerd is to end with it
# STOWAGE_DATA     the data directory, if there is one: workerd's pid is recorded there

# Ctrl-C reaches the whole process group. Only the server decides when workerd ends.
trap '' INT HUP

if [ -n "$STOWAGE_SERVER" ]; then
  # Linux: the kernel ends workerd when the server ends, however that came about.
  if [ -z "$STOWAGE_BOUND" ] && setpriv --pdeathsig KILL true 2>/dev/null; then
    export STOWAGE_BOUND=1
    exec setpriv --pdeathsig KILL "$0" "$@"
  fi
  # The server may have ended before that took effect.
  [ "$PPID" = "$STOWAGE_SERVER" ] || exit 1
fi

if [ -n "$STOWAGE_DATA" ]; then
  # The import path is not used: it is there so that the process can be told by its command line.
  echo $$ >"$STOWAGE_DATA/workerd.pid"
  set -- "$@" "--import-path=$STOWAGE_DATA"
fi

exec "$STOWAGE_WORKERD" "$@"
