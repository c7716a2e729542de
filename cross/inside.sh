# shellcheck shell=bash disable=SC2034
# What tests inside of a booted system stand on: device-test.sh in an emulated device, booted-test.sh in a
# container. To be sourced.

# What goes to a log needs no colours and links.
export SYSTEMD_COLORS=0 SYSTEMD_URLIFY=0 SYSTEMD_PAGER=cat

# The unit that is asked about.
unit=livepeer-edge
# Where its returned video goes.
out=/run/livepeer-edge/out.ts

result() { printf 'RESULT %-9s %s\n' "$@"; }
show() { systemctl show "$unit" --property "$1" --value; }
size() { stat --format %s "$1" 2>/dev/null || echo 0; }
# until_true SECONDS COMMAND...: waits for something to become true; says after how many seconds.
until_true() {
  local limit=$1 begin=$SECONDS
  shift
  until "$@"; do
    ((SECONDS - begin < limit)) || return 1
    sleep 1
  done
  took=$((SECONDS - begin))
}
# check WHAT COMMAND...: a line that says whether it is so, and how long that took to become.
took=
check() {
  local what=$1
  shift
  if "$@"; then result ok "$what${took:+ after $took s}"; else result FAILED "$what"; fi
  took=
}

# Whether returned video grows.
flows() {
  local before
  before=$(size "$1")
  sleep 2
  (($(size "$1") > before))
}
is_restarted() { [[ $(show MainPID) != 0 && $(show MainPID) != "$before" && $(show ActiveState) == active ]]; }
is_the_same() { [[ $(show MainPID) == "$before" ]]; }

# What the journal and `systemctl status` say of the unit.
tells() { journalctl --boot --unit "$unit" --output cat | grep -q -- "$1"; }
says() { systemctl status --no-pager --full --lines 10 "$unit" | grep -q -- "$1"; }
lines() { journalctl --boot --unit "$unit" --output cat | wc -l; }

units_are_silent() {
  local said
  said=$(systemd-analyze verify --man=no livepeer-edge.service livepeer-edge@front.service 2>&1) || said+=failed
  [[ -z $said ]] || { echo "$said"; return 1; }
}

# has_nothing SECONDS: starts instances that have nothing to work with, and looks after some time what they
# have said. Their configurations are without_anything's.
has_nothing() {
  local seconds=$1 one each unit
  systemctl start --no-block livepeer-edge@fresh livepeer-edge@no-camera livepeer-edge@no-network
  sleep "$seconds"
  for one in 'fresh orchestrator.urls: missing' 'no-camera /dev/nowhere' 'no-network orchestrator.example'; do
    unit=livepeer-edge@${one%% *}
    check "$unit: its status says ${one#* }" says "${one#* }"
    each=$(($(lines) * 600 / seconds))
    # The limit is a line per second.
    check "  $(show ActiveState), $(show NRestarts) restarts in $seconds s; $each lines in the journal in 10 minutes" \
      [ "$each" -le 600 ]
    systemctl status --no-pager --full --lines 8 "$unit"
  done
  systemctl stop 'livepeer-edge@no-*'
}

# The journal has the time and the priority, so a line of ours begins with neither.
journal_is_plain() {
  ! journalctl --boot SYSLOG_IDENTIFIER=livepeer-edge --output cat |
    grep -E '^(<[0-7]>|\[?[0-9]{2,4}[-:][0-9]{2}|(ERROR|WARN|INFO|DEBUG)\b)'
}
journal_has_priorities() {
  local errors warnings infos
  count() { journalctl --boot SYSLOG_IDENTIFIER=livepeer-edge --priority "$1..$1" --output cat | wc -l; }
  errors=$(count err) warnings=$(count warning) infos=$(count info)
  check "lines have priorities: $errors errors, $warnings warnings, $infos infos" [ "$errors" -gt 0 -a "$infos" -gt 0 ]
  check "no line begins with a time, a level or a priority" journal_is_plain
}
