#!/bin/bash
# Runs inside the container that booted.sh boots: installs the package with one command, measures the time until video
# is returned, and checks the status when the service cannot run.
# shellcheck source=inside.sh
source /usr/local/lib/inside.sh
# shellcheck source=ground.sh
source /usr/local/lib/without-anything.sh
out=/var/lib/livepeer-edge/out.ts

result - "$(systemctl --version | head -n 1)"
# --- a fresh installation -------------------------------------------------------------------------------
DEBIAN_FRONTEND=noninteractive apt-get -q install --yes /root/edge.deb </dev/null >/root/install.log 2>&1 ||
  { result FAILED "one apt command installs the package"; tail -n 20 /root/install.log; }
check "the service is enabled" systemctl --quiet is-enabled $unit
check "without a configuration the service does not run, and its status names the missing key" says 'orchestrator.urls: missing'
result - "  $(show ActiveState), $(show NRestarts) restarts, $(lines) lines in the journal"
systemctl status --no-pager $unit
check "systemd finds no mistake in the units" units_are_silent
for one in livepeer-edge livepeer-edge@front; do
  result - "$one: $(systemd-analyze security --no-pager $one 2>/dev/null | tail -n 1 | sed 's/[^ -~]//g; s/^ *//')"
done

# A later test uses the package's own configuration.
without_anything ""

# --- a valid configuration ------------------------------------------------------------------------------
systemd-run --quiet --unit edge-sandbox edge-sandbox sandbox
listens() { journalctl --boot --unit edge-sandbox --output cat | grep -q 'orchestrator at'; }
check "a sandbox listens" until_true 30 listens
livepeer-edge setup --source test --orchestrator.urls 127.0.0.1:8935 --job.model noop --output $out \
  --video.width 640 --video.height 360 --existing replace || result FAILED "setup does not write the configuration"
# `date` measures milliseconds; SECONDS has only whole seconds.
begin=$(date +%s%N)
systemctl restart --no-block $unit
until (($(size $out) > 0)) || (($(date +%s%N) - begin > 60000000000)); do sleep 0.1; done
waited=$((($(date +%s%N) - begin) / 1000000))
check "the first video is returned $waited ms after the start with a valid configuration" \
  [ "$waited" -le 10000 -a "$(size $out)" -gt 0 ]
check "the agent captures, and video is returned" until_true 30 flows $out
check "systemd has been notified that the agent is ready" [ "$(show ActiveState)/$(show SubState)" = active/running ]
result - "status: $(show StatusText)"
pid=$(show MainPID)
result - "$(grep -E '^(NoNewPrivs|Seccomp|CapEff):' "/proc/$pid/status" | tr -s '\t\n' ' ')"
result - "memory: $(sed -n 's/^VmRSS:\s*//p' "/proc/$pid/status") resident"

# --- a configuration that the next version refuses ------------------------------------------------------
cp -p /etc/livepeer-edge/livepeer-edge.toml /root/right.toml
printf '\n[nonsense]\nkey = 1\n' >>/etc/livepeer-edge/livepeer-edge.toml
systemctl restart --no-block $unit
check "with a refused configuration, the last working one runs" until_true 60 flows $out
check "  and the status still says so" says 'configuration refused, the one that worked last runs'
check "  and check-config refuses it" [ "$(livepeer-edge check-config /etc/livepeer-edge/livepeer-edge.toml >&2; echo $?)" = 2 ]
cp -p /root/right.toml /etc/livepeer-edge/livepeer-edge.toml
systemctl reload $unit
mended() { ! says 'configuration refused'; }
check "  until a reload reads the corrected configuration" until_true 10 mended

# --- a hanging agent, and a stop ------------------------------------------------------------------------
before=$(show MainPID)
kill -STOP "$before"
check "a hanging agent is restarted" until_true 120 is_restarted
check "  by the watchdog" tells 'Watchdog timeout'
check "  and video is returned" until_true 60 flows $out
begin=$(date +%s%N)
systemctl stop $unit
check "the service stops within 5 s: $((($(date +%s%N) - begin) / 1000000)) ms, $(show Result)" [ "$(show Result)" = success ]
systemctl start $unit

# --- a reinstallation -----------------------------------------------------------------------------------
before=$(show MainPID)
DEBIAN_FRONTEND=noninteractive apt-get -q reinstall --yes /root/edge.deb </dev/null >>/root/install.log 2>&1
check "a reinstallation restarts the agent" until_true 60 is_restarted
check "  and keeps the configuration" grep -q '127.0.0.1:8935' /etc/livepeer-edge/livepeer-edge.toml
check "  and video is returned" until_true 60 flows $out

# --- missing configuration, camera or network -----------------------------------------------------------
has_nothing 120
journal_has_priorities
journalctl --boot --unit $unit --output short-monotonic --no-pager | tail -n 30

# --- removal --------------------------------------------------------------------------------------------
DEBIAN_FRONTEND=noninteractive apt-get -q purge --yes livepeer-edge >>/root/install.log 2>&1 ||
  { result FAILED "the package is purged"; tail -n 20 /root/install.log; }
gone() { [[ $(show LoadState) == not-found && ! -e /var/lib/private/livepeer-edge ]] && ! readlink /proc/[0-9]*/exe | grep -q bin/livepeer-edge; }
check "after a purge nothing runs and no state is left" gone
echo BOOTED-TEST-END
