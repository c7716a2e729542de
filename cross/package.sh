#!/usr/bin/env bash
# Makes the files of a release for an architecture: the Debian package, a tarball with the same files, the list of all
# dependencies (SBOM, CycloneDX), and the checksums of these files.
#
#   cross/package.sh amd64|arm64|armhf
#
# The files are written to `packages` in the work folder. Has the needs of build.sh and run.sh; cargo-deb and
# cargo-cyclonedx are installed into the work folder if they are missing.
set -euo pipefail
source "$(dirname "$0")/ground.sh"

of_architecture "${1:?usage: package.sh amd64|arm64|armhf}"
need_root
need_emulator
cd "$project"

export PATH=$work/tools/bin:$PATH
for tool in cargo-deb cargo-cyclonedx; do
  command -v "$tool" >/dev/null || cargo install --quiet --locked --root "$work/tools" "$tool" ||
    skip "$tool cannot be installed here"
done

binary=$(cross/build.sh "$arch" --no-default-features)
version=$(cross/run.sh "$arch" "$binary" --version)
version=${version#* }
built=$work/build-$arch/$target/release
cmp "$binary" "$built/livepeer-edge"
# The binary itself writes the manual pages and completions, so that they match its commands and keys.
cross/run.sh "$arch" "$binary" help man >"$built/livepeer-edge.1"
gzip --best --no-name --keep --force "$built/livepeer-edge.1"
cross/run.sh "$arch" "$binary" completions bash >"$built/livepeer-edge.bash"
cross/run.sh "$arch" "$binary" completions zsh >"$built/_livepeer-edge"
cross/run.sh "$arch" "$binary" completions fish >"$built/livepeer-edge.fish"
# The pages for the device owner.
cross/handed-out.sh README.md >"$built/README.md"
cross/handed-out.sh systemd/README.md >"$built/service.md"

packages=$work/packages
mkdir -p "$packages"
rm -f "$packages"/*"$arch"*
# --- the Debian package ---------------------------------------------------------------------------------
variant=()
[[ $arch == amd64 ]] || variant=(--variant board)
CARGO_TARGET_DIR=$work/build-$arch cargo deb --quiet --locked --no-build --no-strip \
  --target "$target" "${variant[@]}" --output "$packages/livepeer-edge_${version}_$arch.deb"
# --- the tarball, which is reproducible -----------------------------------------------------------------
name=livepeer-edge-$version-linux-$arch
unpacked=$work/$name
rm -rf "$unpacked"
mkdir -p "$unpacked"
cp "$binary" "$unpacked/livepeer-edge"
cp "$built/livepeer-edge.1" "$built/README.md" LICENSE "$unpacked"
mkdir "$unpacked/completions"
cp "$built/livepeer-edge.bash" "$built/_livepeer-edge" "$built/livepeer-edge.fish" "$unpacked/completions"
cp -r systemd "$unpacked"
cp "$built/service.md" "$unpacked/systemd/README.md"
rm -r "$unpacked/systemd/package"
tar --create --xz --file "$packages/$name.tar.xz" --directory "$work" --sort=name --owner=0 --group=0 \
  --numeric-owner --mtime="@$(git log -1 --format=%ct 2>/dev/null || echo 0)" "$name"
rm -r "$unpacked"
# --- the list of dependencies ---------------------------------------------------------------------------
cargo cyclonedx --quiet --format json --spec-version 1.5 --no-default-features --target "$target" \
  --override-filename "$name.cdx"
mv "$name.cdx.json" "$packages/"
# cargo-cyclonedx writes a list for each crate of the workspace; that of the program includes the others.
rm -f src/*/"$name.cdx.json"
# ------------------------------------------------------------------------------------------------------
(cd "$packages" && sha256sum -- *.deb *.tar.xz *.cdx.json >SHA256SUMS)
say "in $packages:"
(cd "$packages" && ls -l -- *"$arch"*) >&2
printf '%s\n' "$packages/livepeer-edge_${version}_$arch.deb"
