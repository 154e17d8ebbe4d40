#!/usr/bin/env bash
# Start a real SLURM of one node on this machine: munge, MariaDB, slurmdbd, slurmctld and slurmd, without systemd.
# Everything lives in $SLURM_STATE and listens on 127.0.0.1. /etc/slurm gets a link to it, since the steps of a
# Snakemake job do not pass SLURM_CONF on; a configuration that is there already is left alone, and the script refuses.
# Needs root and, the first time, Debian's packages. NODE_CPUS=8 says how many CPUs the node claims to have.
set -euo pipefail
cd "$(dirname "$0")"
SLURM_STATE=${SLURM_STATE:-/var/tmp/homodyne-slurm}

packages=(slurmctld slurmd slurm-client slurmdbd munge mariadb-server)

all_programs() {
    local program
    for program in slurmctld slurmd sacct slurmdbd munged mariadbd; do
        command -v "$program" >/dev/null || return 1
    done
}

ended() { # exit status: a start that failed leaves nothing behind but what the logs say
    if (($1)); then
        tail -n 5 "$SLURM_STATE"/*.log >&2
        ./slurm-down.sh >&2
    fi
}

cluster_lives() {
    local file
    for file in "$SLURM_STATE"/*.pid; do
        [[ -s $file && $(cat "/proc/$(<"$file")/comm" 2>/dev/null) == "$(basename "$file" .pid)" ]] && return 0
    done
    return 1
}

until_works() { # seconds, sentence for failure, command...
    local end=$((SECONDS + $1)) sentence=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS > end)); then
            echo "slurm-up: $sentence The ends of the logs:" >&2
            exit 1
        fi
        sleep 0.3
    done
}

fill() { # template: its copy in $SLURM_STATE, readable by root alone as slurmdbd demands
    sed -e "s|@HOST@|$(hostname -s)|g" -e "s|@STATE@|$SLURM_STATE|g" -e "s|@CPUS@|${NODE_CPUS:-8}|g" \
        -e "s|@MEMORY@|$(awk '/^MemTotal/ { print int($2 / 1100) }' /proc/meminfo)|g" "$1" >"$SLURM_STATE/$1"
    chmod 600 "$SLURM_STATE/$1"
}

listens() { (: <"/dev/tcp/127.0.0.1/$1"); }

sql() { mariadb --no-defaults --user=root --socket="$SLURM_STATE/mariadb.socket" "$@"; }

if [[ $(id -u) != 0 ]]; then
    echo "slurm-up: SLURM's daemons start jobs in the name of users, so they need root; this is $(id -un)." >&2
    exit 1
fi
if [[ -e /etc/slurm/slurm.conf && $(readlink /etc/slurm/slurm.conf) != "$SLURM_STATE/slurm.conf" ]]; then
    echo "slurm-up: /etc/slurm/slurm.conf says that this machine belongs to a cluster. Use another machine." >&2
    exit 1
fi
if cluster_lives; then
    echo "slurm-up: a cluster is up in $SLURM_STATE. Call slurm-down.sh first." >&2
    exit 1
fi
# What a cluster left behind that went down with its machine.
./slurm-down.sh
if ! all_programs; then
    echo "slurm-up: installing ${packages[*]}"
    apt-get update -qq
    # In runlevel 1 Debian's packages do not start their services.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "${packages[@]}" \
        >/tmp/slurm-up.apt.log 2>&1 || { tail -n 20 /tmp/slurm-up.apt.log >&2; exit 1; }
fi

mkdir -m 755 "$SLURM_STATE"
trap 'ended $?' EXIT
mkdir "$SLURM_STATE"/{slurmctld,slurmd,mariadb}
fill slurm.conf
fill slurmdbd.conf
chmod 644 "$SLURM_STATE/slurm.conf"
mkdir -p /etc/slurm
ln -sfn "$SLURM_STATE/slurm.conf" "$SLURM_STATE/slurmdbd.conf" /etc/slurm/
# The name of the node must lead to this machine.
getent hosts "$(hostname -s)" >/dev/null || echo "127.0.0.1 $(hostname -s)" >>/etc/hosts

head -c 1024 /dev/urandom >"$SLURM_STATE/munge.key"
chmod 400 "$SLURM_STATE/munge.key"
munged --force --key-file="$SLURM_STATE/munge.key" --socket="$SLURM_STATE/munge.socket" \
    --pid-file="$SLURM_STATE/munged.pid" --log-file="$SLURM_STATE/munged.log" --seed-file="$SLURM_STATE/munged.seed" \
    2>>"$SLURM_STATE/munged.log"
until_works 20 "munged does not answer." munge --no-input --socket="$SLURM_STATE/munge.socket"

# A database for root alone: no network but loopback, no durability, since it lives as long as the test.
mariadb-install-db --no-defaults --user=root --datadir="$SLURM_STATE/mariadb" \
    --auth-root-authentication-method=normal --skip-test-db >"$SLURM_STATE/mariadb.log" 2>&1
setsid mariadbd --no-defaults --user=root --datadir="$SLURM_STATE/mariadb" --socket="$SLURM_STATE/mariadb.socket" \
    --pid-file="$SLURM_STATE/mariadbd.pid" --bind-address=127.0.0.1 --port=26306 --innodb-flush-log-at-trx-commit=0 \
    --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 >>"$SLURM_STATE/mariadb.log" 2>&1 </dev/null &
until_works 60 "MariaDB does not answer." sql -e "SELECT 1"
sql -e "CREATE DATABASE slurm; CREATE USER slurm@'127.0.0.1' IDENTIFIED BY 'slurm';
    GRANT ALL ON slurm.* TO slurm@'127.0.0.1'"

setsid slurmdbd
until_works 60 "slurmdbd does not listen." listens 26819
until_works 30 "sacctmgr finds no slurmdbd." sacctmgr --noheader list cluster
for entity in "cluster homodyne" "account beamtime cluster=homodyne" "user root account=beamtime"; do
    # shellcheck disable=SC2086
    sacctmgr --immediate --quiet add $entity >>"$SLURM_STATE/sacctmgr.log"
done
setsid slurmctld
until_works 30 "slurmctld does not answer." scontrol ping
setsid slurmd
until_works 60 "the node does not become idle." sh -c "sinfo --noheader --partition=short --format=%t | grep -qx idle"
until_works 30 "the node runs no job." srun --account=beamtime --time=1 --mem=50 true
echo "slurm-up: $(sinfo --version) is up with $(sinfo --noheader --partition=short --format='%c CPUs and %m MB')."
