#!/usr/bin/env bash
# Builds the release binary for a device, without Docker: in a chroot of Debian 11 that recipe.sh prepares, with the
# Rust of this computer. The script checks that the binary runs with glibc 2.31.
#
#   cross/build.sh amd64|arm64|armhf [CARGO OPTION...]    such as --no-default-features
#
# The last line of the output is the path of the binary in the work folder: livepeer-edge-ARCH, or
# livepeer-edge-ARCH-sandbox if it includes the sandbox. Needs root, mmdebstrap and a mirror of Debian.
set -euo pipefail
source "$(dirname "$0")/ground.sh"

of_architecture "${1:?usage: build.sh amd64|arm64|armhf [CARGO OPTION...]}"
need_root
in_own_mounts "$@"
shift
command -v cargo >/dev/null || skip "cargo is missing: https://rustup.rs"
[[ $(dpkg --print-architecture) == amd64 ]] || skip "the chroot with the compilers needs an amd64 computer"

# --- the chroot, like the images of the Dockerfiles -----------------------------------------------------
place=$work/compile-$arch
# Use the release only: the security archive of Debian 11 lists files that are already deleted.
make_tree "$place" bullseye --variant=minbase --include=ca-certificates \
  --setup-hook='sed -i /security/d "$1"/etc/apt/sources.list' \
  --customize-hook="upload '$project/cross/recipe.sh' /recipe.sh" \
  --customize-hook="chroot \"\$1\" sh /recipe.sh $arch" >&2
# The environment variables for cargo are those of the Dockerfile.
declare -A dockerfiles=([arm64]=Dockerfile.aarch64 [armhf]=Dockerfile.armv7)
variables=()
if [[ -n ${dockerfiles[$arch]-} ]]; then
  mapfile -t variables < <(sed -n 's/^ENV //p' "$project/cross/${dockerfiles[$arch]}")
fi

# --- Rust of this computer, with std for the target; or a nightly that compiles std ---------------------
cd "$project"
rust=$(rustc --print sysroot)
std=()
if [[ ! -d $rust/lib/rustlib/$target ]]; then
  rustup target add "$target" >&2 || true
fi
if [[ ! -d $rust/lib/rustlib/$target ]]; then
  rust=$(rustc +nightly --print sysroot) || skip "no std for $target here: rustup target add $target"
  library=$rust/lib/rustlib/src/rust/library
  if [[ ! -d $library ]]; then
    # Debian also has the source, which can be used if its version is that of the nightly.
    make_tree "$work/rust-src" forky --variant=extract --include=rust-src >&2
    library=$(echo "$work"/rust-src/usr/src/rustc-*/library)
    [[ -d $library ]] || skip "no source of std: rustup component add rust-src --toolchain nightly"
  fi
  say "no std for $target here; compiling it from $library with $("$rust/bin/rustc" --version)"
  std=('-Zbuild-std=std,panic_abort')
fi
cargo fetch --locked --quiet
if ((${#std[@]})); then
  # the dependencies of std
  "$rust/bin/cargo" fetch --locked --quiet --manifest-path "$library/sysroot/Cargo.toml"
fi

# The program refuses a clock that is earlier than this date. The date of the last commit makes builds reproducible.
if date=$(git -C "$project" log -1 --format=%ct 2>/dev/null); then
  variables+=("SOURCE_DATE_EPOCH=$date")
fi

# --- build ----------------------------------------------------------------------------------------------
output=$work/build-$arch
mkdir -p "$output" "$place"/{rust,project,output,std,cargo/registry}
mount --bind -o ro "$rust" "$place/rust"
mount --bind -o ro "$project" "$place/project"
mount --bind "$output" "$place/output"
mount --bind "${CARGO_HOME:-$HOME/.cargo}/registry" "$place/cargo/registry"
[[ -z ${library-} ]] || mount --bind -o ro "$library" "$place/std"
enter "$place" env "${variables[@]}" ${library:+__CARGO_TESTS_ONLY_SRC_ROOT=/std} \
  CARGO_HOME=/cargo CARGO_TERM_COLOR=never PATH=/rust/bin:/usr/bin:/bin \
  sh -c 'cd /project && exec nice cargo "$@"' sh build "${std[@]}" \
  --release --locked --offline --target "$target" --target-dir /output "$@" >&2

# --- checks of the binary -------------------------------------------------------------------------------
binary=$output/$target/release/livepeer-edge
glibc=$(readelf --version-info --wide "$binary" | grep -oE 'GLIBC_[0-9.]+' | sort --unique --version-sort | tail -1)
say "$(stat --format='%s bytes' "$binary"), newest symbol $glibc, needs:" \
  "$(readelf --dynamic --wide "$binary" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | paste -sd ' ')"
[[ $(printf '%s\n' "$glibc" GLIBC_2.31 | sort --version-sort | tail -1) == GLIBC_2.31 ]] ||
  fail "$glibc is newer than the glibc of Debian 11 and Ubuntu 20.04"
result=$work/livepeer-edge-$arch-sandbox
if [[ " $* " == *" --no-default-features "* ]]; then
  result=${result%-sandbox}
  # Boards have little memory. The same code is larger on a PC.
  declare -A limits=([arm64]=4 [armhf]=4 [amd64]=5)
  limit=${limits[$arch]}
  (($(stat --format=%s "$binary") <= limit << 20)) || fail "the binary is larger than $limit MiB, the limit for $arch"
  say "smaller than $limit MiB, the limit for $arch"
fi
cp "$binary" "$result"
printf '%s\n' "$result"
