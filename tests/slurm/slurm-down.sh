#!/usr/bin/env bash
# Stop the cluster that slurm-up.sh started, and nothing else, and remove its state. Does nothing when there is none.
set -uo pipefail
SLURM_STATE=${SLURM_STATE:-/var/tmp/homodyne-slurm}

stop() { # program: ended by the number in its pid file, if that number is still this program
    local file=$SLURM_STATE/$1.pid pid
    [[ -s $file ]] || return 0
    pid=$(<"$file")
    [[ $(cat "/proc/$pid/comm" 2>/dev/null) == "$1" ]] || return 0
    kill "$pid"
    for _ in {1..60}; do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.25
    done
    kill -KILL "$pid"
}

[[ -d $SLURM_STATE ]] || exit 0
if [[ -S $SLURM_STATE/munge.socket && -s $SLURM_STATE/slurmctld.pid ]]; then
    # Jobs end with the cluster, also those whose slurmd is gone.
    timeout 20 scancel --user=root 2>/dev/null
    for _ in {1..60}; do
        [[ -z $(timeout 5 squeue --noheader 2>/dev/null) ]] && break
        sleep 0.5
    done
fi
for daemon in slurmd slurmctld slurmdbd mariadbd munged; do stop "$daemon"; done
for file in slurm.conf slurmdbd.conf; do
    [[ $(readlink "/etc/slurm/$file") == "$SLURM_STATE/$file" ]] && rm "/etc/slurm/$file"
done
rm -rf "$SLURM_STATE"
echo "slurm-down: the cluster is gone."
