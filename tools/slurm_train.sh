#!/usr/bin/env bash
# Trains on a Slurm cluster, one task a GPU.
#   GPUS=16 tools/slurm_train.sh PARTITION JOB_NAME CONFIG [ARGUMENT OF train.py]...
# GPUS (8) in all, GPUS_PER_NODE (8), CPUS_PER_TASK (5), PORT (by the job's number), SRUN_ARGS:
# further arguments of srun or sbatch.
# With REQUEUE=1 it is a batch job that outlives its time limit: LEAD (300) seconds before it, Slurm
# signals the run, which saves its state and is queued again; from its second start on it resumes.
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG [ARGUMENT OF train.py]..." >&2
    exit 2
fi
partition=$1
job_name=$2
config=$3
arguments=("${@:4}")

gpus=${GPUS:-8}
gpus_per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
read -r -a srun_args <<<"${SRUN_ARGS:-}"
resources=(
    --partition="$partition"
    --job-name="$job_name"
    --gres="gpu:$gpus_per_node"
    --ntasks="$gpus"
    --ntasks-per-node="$gpus_per_node"
    --cpus-per-task="${CPUS_PER_TASK:-5}"
    ${srun_args[@]+"${srun_args[@]}"}
)

if [ "${REQUEUE:-}" = 1 ] && [ -z "${MMSPEC_TOOLS:-}" ]; then
    # Slurm runs a copy of this script, which has no neighbours.
    MMSPEC_TOOLS=$(cd "$(dirname "$0")" && pwd)
    export MMSPEC_TOOLS
    exec sbatch "${resources[@]}" --requeue --open-mode=append --signal="USR1@${LEAD:-300}" \
        "$0" "$@"
fi

# Processes of two jobs on one machine must not meet.
if [ -n "${PORT:-}" ] || [ -n "${SLURM_JOB_ID:-}" ]; then
    export MASTER_PORT=${PORT:-$((20000 + SLURM_JOB_ID % 20000))}
fi
train=(
    "${PYTHON:-python}" -u "${MMSPEC_TOOLS:-$(dirname "$0")}/train.py" "$config"
    --launcher slurm ${arguments[@]+"${arguments[@]}"}
)
if [ -z "${MMSPEC_TOOLS:-}" ]; then
    exec srun "${resources[@]}" --kill-on-bad-exit=1 "${train[@]}"
fi
if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then train+=(--resume if-any); fi
status=0
srun --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 "${train[@]}" || status=$?
if [ "$status" -eq 75 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$status"
