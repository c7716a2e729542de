# shellcheck shell=bash disable=SC2034
# Functions for the tests inside a booted system: device-test.sh in an emulated device, and booted-test.sh in a
# container. Source this file.

# systemctl must not write colours and links to the log.
export SYSTEMD_COLORS=0 SYSTEMD_URLIFY=0 SYSTEMD_PAGER=cat

# The unit that the checks are about.
unit=livepeer-edge
# The file of the unit's returned video.
out=/run/livepeer-edge/out.ts

result() { printf 'RESULT %-9s %s\n' "$@"; }
show() { systemctl show "$unit" --property "$1" --value; }
size() { stat --format %s "$1" 2>/dev/null || echo 0; }
# until_true SECONDS COMMAND...: waits until the command succeeds, and prints after how many seconds it did.
until_true() {
  local limit=$1 begin=$SECONDS
  shift
  until "$@"; do
    ((SECONDS - begin < limit)) || return 1
    sleep 1
  done
  took=$((SECONDS - begin))
}
# check WHAT COMMAND...: runs the command, and prints a line with the result. If the command is until_true, the line has
# the time too.
took=
check() {
  local what=$1
  shift
  if "$@"; then result ok "$what${took:+ after $took s}"; else result FAILED "$what"; fi
  took=
}

# flows FILE: succeeds if the file of returned video grows within 2 s.
flows() {
  local before
  before=$(size "$1")
  sleep 2
  (($(size "$1") > before))
}
is_restarted() { [[ $(show MainPID) != 0 && $(show MainPID) != "$before" && $(show ActiveState) == active ]]; }
is_the_same() { [[ $(show MainPID) == "$before" ]]; }

# These search the journal and `systemctl status` of the unit.
tells() { journalctl --boot --unit "$unit" --output cat | grep -q -- "$1"; }
says() { systemctl status --no-pager --full --lines 10 "$unit" | grep -q -- "$1"; }
lines() { journalctl --boot --unit "$unit" --output cat | wc -l; }

units_are_silent() {
  local said
  said=$(systemd-analyze verify --man=no livepeer-edge.service livepeer-edge@front.service 2>&1) || said+=failed
  [[ -z $said ]] || { echo "$said"; return 1; }
}

# has_nothing SECONDS: starts instances without configuration, camera or network, and checks after SECONDS what they
# have logged. without_anything in ground.sh writes their configurations.
has_nothing() {
  local seconds=$1 one each unit
  systemctl start --no-block livepeer-edge@fresh livepeer-edge@no-camera livepeer-edge@no-network
  sleep "$seconds"
  for one in 'fresh orchestrator.urls: missing' 'no-camera /dev/nowhere' 'no-network orchestrator.example'; do
    unit=livepeer-edge@${one%% *}
    check "$unit: the status contains ${one#* }" says "${one#* }"
    each=$(($(lines) * 600 / seconds))
    # At most one line per second is allowed.
    check "  $(show ActiveState), $(show NRestarts) restarts in $seconds s; $each lines in the journal in 10 minutes" \
      [ "$each" -le 600 ]
    systemctl status --no-pager --full --lines 8 "$unit"
  done
  systemctl stop 'livepeer-edge@no-*'
}

# The journal adds time and priority, so a line of the agent must not begin with them.
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
