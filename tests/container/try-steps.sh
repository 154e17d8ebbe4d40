#!/usr/bin/env bash
# Take the steps of Containerfile in a bare Debian, with no engine of containers, and let its entry point analyse the small
# project. The base image is stood in for by debootstrap with the Debian and the Python of that release.
# All of it lies in one folder, and its mounts in a space of their own: both are gone when the script ends, however it ends.
# Needs root and, the first time, Debian's package debootstrap.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() {
    echo "test-container: $1" >&2
    exit 1
}

[[ $(id -u) == 0 ]] || fail "a bare system is made by root; this is $(id -un). Call it as root, or in a container."
if [[ -z ${OWN_MOUNTS:-} ]]; then OWN_MOUNTS=1 exec unshare --mount "$0"; fi
if ! command -v debootstrap >/dev/null; then
    echo "test-container: installing debootstrap"
    { apt-get update -qq && apt-get install -qq --no-install-recommends debootstrap >/dev/null; } ||
        fail "debootstrap is missing and could not be installed. Install it (apt-get install debootstrap)."
fi

root=$(mktemp -d)
trap 'umount "$root/opt" "$root/proc" 2>/dev/null || :; rm -rf --one-file-system "$root" "$root.log"' EXIT
trap 'exit 130' INT TERM

# Mirror, proxy and certificate of this machine, for pip and uv there; the rest of the environment stays outside.
mirror=${PIP_INDEX_URL:-$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || :)}
mapfile -t variables < <(env | grep -E '^(PIP|UV)_[A-Z_]*(INDEX|URL|TIMEOUT)[A-Z_]*=|^(PIP_CERT|SSL_CERT_FILE)=|^[a-zA-Z]+_(proxy|PROXY)=' || :)
variables+=(PATH=/usr/local/bin:/usr/bin:/bin HOME=/root LANG=C.UTF-8 ${mirror:+"PIP_INDEX_URL=$mirror"})

folder=/
entry=()
# shellcheck disable=SC2016 # the inner shell expands it
inside() { chroot "$root" env -i "${variables[@]}" sh -euc 'cd "$0" && exec "$@"' "$folder" "$@"; }

step() { # word of the Containerfile, its arguments
    case $1 in
        FROM)
            debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv "${2##*-}" "$root" >"$root.log" ||
                fail "debootstrap could not make Debian '${2##*-}' of the base image $2: $(tail -n 1 "$root.log")"
            mount -t proc proc "$root/proc"
            cp /etc/resolv.conf /etc/hosts "$root/etc/"
            [[ -z ${SSL_CERT_FILE:=${PIP_CERT:-}} ]] || install -D "$SSL_CERT_FILE" "$root$SSL_CERT_FILE" ;;
        COPY)
            [[ $2 == ". "* ]] || fail "the step 'COPY $2' copies something else than the repository. Teach this script to take it."
            mkdir -p "$root/${2#. }"
            tar --create --anchored --exclude-from=.containerignore -- * .[!.]* | tar --extract --no-same-owner -C "$root/${2#. }" ;;
        WORKDIR) folder=$2 && mkdir -p "$root/$2" ;;
        RUN) inside sh -euc "$2" ;;
        ENV) read -ra words <<<"$2" && variables+=("${words[@]}") ;;
        ENTRYPOINT) mapfile -t entry < <(python3 -c 'import json, sys; print(*json.loads(sys.argv[1]), sep="\n")' "$2") ;;
        *) fail "Containerfile has the step '$1', which this script does not know. Teach it to take it." ;;
    esac
}

while read -r word arguments <&3; do
    [[ -z $word || $word == "#"* ]] && continue
    began=$SECONDS
    step "$word" "$arguments"
    echo "test-container: $word $arguments: $((SECONDS - began)) s"
done 3<Containerfile

# As in a read-only image, on a project that is mounted.
mount --bind "$root/opt" "$root/opt"
mount -o remount,bind,ro "$root/opt"
cp -r .test/config "$root$folder/"
began=$SECONDS
inside "${entry[@]}" --cores 2 results/rest/report.html
[[ -s $root$folder/results/rest/report.html ]] || fail "the entry point ended well and made no report."
echo "test-container: the small project: $((SECONDS - began)) s"
