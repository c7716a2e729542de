#!/bin/bash
# Runs inside of the device that device.sh boots: looks whether the service does what it is for, treats it
# badly, and writes a line for each result to the console.
source /etc/default/device-test
unit=livepeer-edge

result() { printf 'RESULT %-9s %s\n' "$@"; }
uptime_seconds() { cut -d. -f1 /proc/uptime; }
show() { systemctl show "$unit" --property "$1" --value; }
size() { stat --format %s "$1" 2>/dev/null || echo 0; }
# until SECONDS COMMAND...: waits for something to become true; says after how many seconds.
until_true() {
  local limit=$1 begin=$SECONDS
  shift
  until "$@"; do
    ((SECONDS - begin < limit)) || return 1
    sleep 1
  done
  took=$((SECONDS - begin))
}
# Whether returned video grows; asked about once a second.
grows() {
  local now
  now=$(size "$1")
  ((now > ${seen:-0})) && { seen=$now; return 0; }
  seen=$now
  return 1
}
flows() {
  seen=$(size "$1")
  sleep 2
  grows "$1"
}
check() {
  local what=$1
  shift
  if "$@"; then result ok "$what${took:+ after $took s}"; else result FAILED "$what"; fi
  took=
}
is_restarted() { [[ $(show MainPID) != 0 && $(show MainPID) != "$before" && $(show ActiveState) == active ]]; }
wrote() { sed -n 's/^write_bytes: //p' "/proc/$(show MainPID)/io"; }

took=
out=/run/livepeer-edge/out.ts
if until_true 900 flows $out; then
  took=
  result ok "boot to returned video, unattended: $(uptime_seconds) s after the kernel's start"
else
  result FAILED "no video came back"
  systemctl status --no-pager "$unit" edge-sandbox | tail -n 40
fi
check "systemd was told that it is ready" [ "$(show ActiveState)/$(show SubState)" = active/running ]
result - "status: $(show StatusText)"

if [[ -e /var/lib/device-test ]]; then
  result ok "that was the boot after a power cut"
  echo DEVICE-TEST-END
  sleep infinity
fi
touch /var/lib/device-test

pid=$(show MainPID)
result - "user $(ps -o user= -p "$pid"), $(grep -E '^(NoNewPrivs|Seccomp|CapEff):' "/proc/$pid/status" | tr -s '\t\n' ' ')"
result - "$(systemd-analyze security --no-pager $unit | tail -n 1 | sed 's/[^ -~]//g')"
result - "memory: $(sed -n 's/^VmRSS:\s*//p' "/proc/$pid/status") resident, $(($(show MemoryCurrent) / 1024)) kB of its group"

check "it is handed the credential that is there, and starts without the others" \
  [ "$(ls /run/credentials/$unit.service)" = api-token ]
check "the instance of the named camera was started by udev" until_true 300 flows /run/front/out.ts
check "instances have users of their own" \
  [ "$(ps -o user= -p "$pid")" != "$(ps -o user= -p "$(systemctl show livepeer-edge@front -p MainPID --value)")" ]

# --- a hanging agent -------------------------------------------------------------------------------------
before=$pid
kill -STOP "$before"
check "a hanging agent is restarted by the watchdog" until_true 300 is_restarted
check "  and video comes back" until_true 300 flows $out
before=$(show MainPID)
kill -KILL "$before"
check "a killed agent is restarted" until_true 300 is_restarted
check "  and video comes back" until_true 300 flows $out

# --- cameras that go and come ----------------------------------------------------------------------------
driver=/sys/bus/platform/drivers/vivid
echo vivid.0 >$driver/unbind
sleep 5
result - "without cameras: $(show ActiveState)/$(show SubState), $(show StatusText)"
echo vivid.0 >$driver/bind
check "video comes back when the camera does" until_true 600 flows $out
check "  and that of the instance" until_true 600 flows /run/front/out.ts

# --- a quiet time ------------------------------------------------------------------------------------------
begin=$(wrote)
sleep "$QUIET"
check "the agent writes nothing to the disk in $QUIET s" [ "$(wrote)" = "$begin" ]
result - "memory: $(sed -n 's/^VmRSS:\s*//p' "/proc/$(show MainPID)/status") resident after all this"

# --- the journal -------------------------------------------------------------------------------------------
journal=$(journalctl --boot --unit "$unit" --unit livepeer-edge@front --output cat)
no_secrets() { ! grep -E '/ai/trickle/|secret-of-the-test|Livepeer-(Payment|Segment)|[A-Za-z0-9+/]{120,}' <<<"$journal"; }
check "the journal holds no address of a channel and no payment" no_secrets
result - "$(wc -l <<<"$journal") lines of two services in the journal, $(journalctl --boot -u $unit -p warning -o cat | wc -l) of them warnings of the first"
journalctl --boot --unit "$unit" --output short-monotonic --no-pager | tail -n 25
sync
echo DEVICE-TEST-END
# The power is cut while it works.
sleep infinity
