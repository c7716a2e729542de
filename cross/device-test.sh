#!/bin/bash
# Runs inside the device that device.sh boots: checks that the service returns video, causes failures, and writes a line
# for each result to the console.
# shellcheck source=/dev/null
source /etc/default/device-test
# shellcheck source=inside.sh
source /usr/local/lib/inside.sh

# Prints the bytes that the agent wrote to the disk, and the KiB that the whole device wrote. A sector has 512 bytes.
wrote() { sed -n 's/^write_bytes: //p' "/proc/$(show MainPID)/io"; }
disk() { awk '{ print int($7 / 2) }' /sys/block/vda/stat; }
# Prints the number of lines of all instances in the journal.
all_said() { journalctl --boot SYSLOG_IDENTIFIER=livepeer-edge --output cat | wc -l; }

if until_true 900 flows $out; then
  took=
  result ok "boot to returned video, unattended: $(cut -d. -f1 /proc/uptime) s after the kernel's start"
else
  result FAILED "no video was returned"
  systemctl status --no-pager "$unit" edge-sandbox | tail -n 40
fi
check "systemd has been notified that the agent is ready" [ "$(show ActiveState)/$(show SubState)" = active/running ]
result - "status: $(show StatusText)"

if [[ -e /var/lib/device-test ]]; then
  result ok "this is the boot after a power cut"
  check "the job that ran at the power cut is ended" until_true 60 tells 'ended an earlier job'
  echo DEVICE-TEST-END
  sleep infinity
fi
touch /var/lib/device-test

pid=$(show MainPID)
result - "user $(ps -o user= -p "$pid"), $(grep -E '^(NoNewPrivs|Seccomp|CapEff):' "/proc/$pid/status" | tr -s '\t\n' ' ')"
for one in livepeer-edge livepeer-edge@front; do
  result - "$one: $(systemd-analyze security --no-pager $one | tail -n 1 | sed 's/[^ -~]//g; s/^ *//')"
done
check "systemd finds no mistake in the units" units_are_silent
result - "memory: $(sed -n 's/^VmRSS:\s*//p' "/proc/$pid/status") resident, $(($(show MemoryCurrent) / 1024)) kB of its group"

check "the service gets the credential that exists, and starts without the others" \
  [ "$(ls /run/credentials/$unit.service)" = signer-headers ]
check "udev has started the instance of the named camera" until_true 300 flows /run/front/out.ts
check "each instance has its own user" \
  [ "$(ps -o user= -p "$pid")" != "$(ps -o user= -p "$(systemctl show livepeer-edge@front -p MainPID --value)")" ]

# --- a hanging agent ------------------------------------------------------------------------------------
# has_ended COUNT: whether restarted agents have ended this number of abandoned jobs.
has_ended() {
  (($(journalctl --boot --unit "$unit" --output cat | grep -c 'ended an earlier job') >= $1))
}
before=$pid
kill -STOP "$before"
check "a hanging agent is restarted" until_true 300 is_restarted
check "  by the watchdog" tells 'Watchdog timeout'
check "  and ends the abandoned job" until_true 60 has_ended 1
check "  and video is returned" until_true 300 flows $out
before=$(show MainPID)
kill -KILL "$before"
check "a killed agent is restarted" until_true 300 is_restarted
check "  and ends the abandoned job" until_true 60 has_ended 2
check "  and video is returned" until_true 300 flows $out

# --- cameras that are removed and return ----------------------------------------------------------------
driver=/sys/bus/platform/drivers/vivid
before=$(show MainPID)
echo vivid.0 >$driver/unbind
sleep 10
result - "10 s without cameras: $(show ActiveState)/$(show SubState), $(show StatusText)"
echo vivid.0 >$driver/bind
check "video is returned after the camera is back" until_true 600 flows $out
check "  by the same process" is_the_same
check "  and video of the instance is returned too" until_true 600 flows /run/front/out.ts

# --- an orchestrator that is restarted ------------------------------------------------------------------
before=$(show MainPID)
systemctl restart edge-sandbox
counted=$(journalctl --boot --unit edge-sandbox --output cat | grep -o '[0-9]* jobs, .*violations\|[0-9]* payments, for .* s;')
check "the orchestrator counted no violation: $(paste -sd ' ' <<<"$counted")" grep -q ' 0 violations' <<<"$counted"
check "video is returned after the orchestrator is restarted" until_true 300 flows $out
check "  by the same process" is_the_same

# --- missing configuration, camera or network -----------------------------------------------------------
has_nothing 180

# --- some minutes without a failure ---------------------------------------------------------------------
sync
begin=$(wrote) disk=$(disk) said=$(all_said)
sleep "$QUIET"
check "the agent writes nothing to the disk in $QUIET s" [ "$(wrote)" = "$begin" ]
result - "the whole device wrote $(($(disk) - disk)) KiB to it; the agents $(($(all_said) - said)) lines to the journal"
result - "memory: $(sed -n 's/^VmRSS:\s*//p' "/proc/$(show MainPID)/status") resident at the end"

# --- the journal ----------------------------------------------------------------------------------------
journal=$(journalctl --boot --unit "$unit" --unit livepeer-edge@front --output cat)
no_secrets() { ! grep -E '/ai/trickle/|secret-of-the-test|Livepeer-(Payment|Segment)|[A-Za-z0-9+/]{120,}' <<<"$journal"; }
check "the journal contains no address of a channel and no payment" no_secrets
journal_has_priorities
result - "$(wc -l <<<"$journal") lines of two services in the journal"
journalctl --boot --unit "$unit" --output short-monotonic --no-pager | tail -n 25
sync
echo DEVICE-TEST-END
# device.sh cuts the power while the agent is running.
sleep infinity
