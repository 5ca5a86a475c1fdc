#!/usr/bin/env bash
# Trains with several processes, one a GPU; on a machine without GPUs, on the CPU.
#   tools/dist_train.sh CONFIG GPUS [ARGUMENT OF train.py]...
# On several machines, the same command on each with its own NODE_RANK:
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=HOST PORT=29500 tools/dist_train.sh CONFIG 8
# On SIGTERM or SIGUSR1, to the script of one machine or of all, the run saves its state and every
# script ends with status 75; the same command with --resume goes on.
set -euo pipefail
set -m # the launcher hears Ctrl-C, which a shell's background jobs ignore otherwise

if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [ARGUMENT OF train.py]..." >&2
    exit 2
fi
config=$1
gpus=$2
shift 2

MMSPEC_STATUS_FILE=$(mktemp)
export MMSPEC_STATUS_FILE
"${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$gpus" \
    "$(dirname "$0")/train.py" "$config" --launcher pytorch "$@" &
launcher=$!
# Not to torchrun, which gives its processes 30 seconds after a signal.
trap 'pkill -USR1 -P "$launcher" || true' TERM USR1
trap 'kill -INT "$launcher"' INT

while true; do
    status=0
    wait "$launcher" || status=$?
    kill -0 "$launcher" 2>/dev/null || break # otherwise a signal ended the wait
done
if [ -s "$MMSPEC_STATUS_FILE" ]; then status=$(cat "$MMSPEC_STATUS_FILE"); fi
rm -f "$MMSPEC_STATUS_FILE"
exit "$status"
