#!/usr/bin/env bash
# Trains with several processes, one a GPU; on a machine without GPUs, on the CPU.
#   tools/dist_train.sh CONFIG GPUS [ARGUMENT OF train.py]...
# On several machines, the same command on each with its own NODE_RANK:
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=HOST PORT=29500 tools/dist_train.sh CONFIG 8
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [ARGUMENT OF train.py]..." >&2
    exit 2
fi
config=$1
gpus=$2
shift 2

exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$gpus" \
    "$(dirname "$0")/train.py" "$config" --launcher pytorch "$@"
