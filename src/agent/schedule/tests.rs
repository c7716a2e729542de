//! Tests the words of schedules, and their times over weeks and over both clock changes in explicit time zones.
//!
//! Does not: read this computer's time zone.

use super::*;
use crate::agent::local_time::LocalTime;

/// 2026-01-05, a Monday, 00:00 UTC.
const MONDAY: i64 = 1_767_571_200;
const HOUR: i64 = 3600;
/// The rule of central Europe: a test needs no file of time zones.
const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

fn schedule(text: &str) -> Schedule {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Checks whether a schedule is open at a UTC time, and the next change, in seconds after that time.
#[track_caller]
fn check(text: &str, zone: &str, now: i64, is_open: bool, change: Option<(i64, &str)>) {
    let zone = LocalTime::of(zone);
    let slot = schedule(text).at(now, |unix| zone.offset(unix));
    let found = slot.changes_at.map(|at| (at - now, slot.label.as_str()));
    assert_eq!((slot.is_open, found), (is_open, change), "{text} at {now}");
}

#[test]
fn a_schedule_is_open_within_its_windows() {
    let office = "Mon..Fri 08:00..18:00";
    check(office, "UTC", MONDAY, false, Some((8 * HOUR, "Mon 08:00")));
    check(office, "UTC", MONDAY + 8 * HOUR - 1, false, Some((1, "Mon 08:00")));
    check(office, "UTC", MONDAY + 8 * HOUR, true, Some((10 * HOUR, "Mon 18:00")));
    check(office, "UTC", MONDAY + 18 * HOUR, false, Some((14 * HOUR, "Tue 08:00")));
    // Over a week end.
    let friday = MONDAY + 4 * 24 * HOUR;
    check(office, "UTC", friday + 18 * HOUR, false, Some((62 * HOUR, "Mon 08:00")));

    check("08:00..12:00,13:00..17:00", "UTC", MONDAY + 12 * HOUR, false, Some((HOUR, "Mon 13:00")));
    check("Sat,Sun", "UTC", MONDAY, false, Some((5 * 24 * HOUR, "Sat 00:00")));
    check("Sat,Sun", "UTC", MONDAY + 5 * 24 * HOUR, true, Some((48 * HOUR, "Mon 00:00")));
    check(
        "Mon 08:00..10:00; Mon 10:00..12:00",
        "UTC",
        MONDAY + 9 * HOUR,
        true,
        Some((3 * HOUR, "Mon 12:00")),
    );
    check("*", "UTC", MONDAY, true, None);
    check("00:00..24:00", "UTC", MONDAY, true, None);
    check("12:00..12:00", "UTC", MONDAY, true, None);
}

#[test]
fn a_window_may_end_on_the_next_day() {
    let night = "Sun 22:00..06:00";
    check(night, "UTC", MONDAY, true, Some((6 * HOUR, "Mon 06:00")));
    check(night, "UTC", MONDAY - 2 * HOUR, true, Some((8 * HOUR, "Mon 06:00")));
    check(night, "UTC", MONDAY + 6 * HOUR, false, Some((6 * 24 * HOUR + 16 * HOUR, "Sun 22:00")));
    check("Fri..Mon", "UTC", MONDAY, true, Some((24 * HOUR, "Tue 00:00")));
}

#[test]
fn times_are_local() {
    check("08:00..18:00", BERLIN, MONDAY + 7 * HOUR, true, Some((10 * HOUR, "Mon 18:00")));
    // Monday in UTC, and still Sunday in New York.
    check("Sun", "EST5EDT,M3.2.0,M11.1.0", MONDAY, true, Some((5 * HOUR, "Mon 00:00")));
    // Offsets of half hours.
    check("08:00..18:00", "IST-5:30", MONDAY, false, Some((2 * HOUR + HOUR / 2, "Mon 08:00")));
}

#[test]
fn a_schedule_is_described_with_the_local_time() {
    let zone = LocalTime::of(BERLIN);
    let describe =
        |text| schedule(text).describe(MONDAY + 8 * HOUR + 720, |unix| zone.offset(unix));
    let office = "job.schedule is open up to Mon 18:00; it is Mon 09:12 here";
    assert_eq!(describe("Mon..Fri 08:00..18:00"), office);
    let evening = "job.schedule is closed up to Mon 20:00; it is Mon 09:12 here";
    assert_eq!(describe("20:00..21:00"), evening);
    assert_eq!(describe("*"), "job.schedule is open at all times; it is Mon 09:12 here");
}

/// 2026-03-29 at 01:00 UTC, local time goes from 02:00 to 03:00.
const SPRING: i64 = 1_774_746_000;
/// 2026-10-25 at 01:00 UTC, local time goes from 03:00 to 02:00.
const AUTUMN: i64 = 1_792_890_000;

#[test]
fn a_window_that_clocks_skip_opens_with_the_first_time_after_it() {
    check("02:30..06:00", BERLIN, SPRING - 1, false, Some((1, "Sun 03:00")));
    check("02:30..06:00", BERLIN, SPRING, true, Some((3 * HOUR, "Sun 06:00")));
    // All of it is skipped.
    check("02:00..03:00", BERLIN, SPRING - 1, false, Some((23 * HOUR + 1, "Mon 02:00")));
    // The night is an hour shorter.
    check("Sat 22:00..06:00", BERLIN, SPRING - 4 * HOUR, true, Some((7 * HOUR, "Sun 06:00")));
    check("Sun 08:00..18:00", BERLIN, SPRING - HOUR, false, Some((6 * HOUR, "Sun 08:00")));
}

#[test]
fn a_window_in_the_hour_that_comes_twice_is_open_twice() {
    // 02:30 summer time, 02:59:59 summer time, 02:00 and 02:30 winter time.
    let text = "02:30..03:00";
    check(text, BERLIN, AUTUMN - HOUR, false, Some((HOUR / 2, "Sun 02:30")));
    check(text, BERLIN, AUTUMN - HOUR / 2, true, Some((HOUR / 2, "Sun 02:00")));
    check(text, BERLIN, AUTUMN, false, Some((HOUR / 2, "Sun 02:30")));
    check(text, BERLIN, AUTUMN + HOUR / 2, true, Some((HOUR / 2, "Sun 03:00")));
    // The night is an hour longer.
    check("Sat 22:00..06:00", BERLIN, AUTUMN - 5 * HOUR, true, Some((9 * HOUR, "Sun 06:00")));
    check("01:00..02:30", BERLIN, AUTUMN - HOUR, true, Some((HOUR / 2, "Sun 02:30")));
    check("01:00..02:30", BERLIN, AUTUMN, true, Some((HOUR / 2, "Sun 02:30")));
}

#[test]
fn the_next_change_is_the_first_one_at_any_time_of_a_year() {
    for text in ["Mon..Fri 08:00..18:00", "02:30..03:00", "Sat 22:00..02:15; Sun 02:45..03:10"] {
        let (schedule, zone) = (schedule(text), LocalTime::of(BERLIN));
        let offset = |unix| zone.offset(unix);
        let is_open = |unix| schedule.is_open(Local::at(unix, &offset));
        // The days around the clock changes and two others, each quarter of an hour with an odd second.
        for day in [SPRING, AUTUMN, MONDAY, MONDAY + 5 * 24 * HOUR] {
            for now in (day - 24 * HOUR..day + 24 * HOUR).step_by(907) {
                let slot = schedule.at(now, offset);
                let change = slot.changes_at.unwrap();
                assert_eq!(slot.is_open, is_open(now));
                assert_ne!(is_open(change), slot.is_open, "{text} at {now}");
                // Every minute before it is as now: windows begin and end with a minute.
                let minutes = (now - now.rem_euclid(60) + 60..change).step_by(60);
                assert!(
                    minutes.into_iter().all(|at| is_open(at) == slot.is_open),
                    "{text} at {now}"
                );
            }
        }
    }
}

#[test]
fn words_that_are_no_schedule_are_named() {
    let wrong = |text: &str| text.parse::<Schedule>().unwrap_err().to_string();
    for (text, word) in [
        ("Mon..Fir", "Mon..Fir"),
        ("Mon 8..18", "8..18"),
        ("25:00..26:00", "25:00..26:00"),
        ("08:60..09:00", "08:60..09:00"),
        ("24:00..08:00", "24:00..08:00"),
        ("08:00", "08:00"),
        ("08:00-18:00", "08:00-18:00"),
        ("Mon +8:00..18:00", "+8:00..18:00"),
        ("Mon,,Tue", "Mon,,Tue"),
        ("Mon..", "Mon.."),
    ] {
        let expected = format!("\"{word}\" is neither days (Mon..Fri) nor times (08:00..18:00)");
        assert_eq!(wrong(text), expected);
    }
    for text in ["", " ", ";", "Mon; ", "Mon Tue 08:00..09:00", "Mon 08:00..09:00 10:00..11:00"] {
        assert!(wrong(text).starts_with("a window has days, times or both"), "{text:?}");
    }
    assert_eq!(wrong(&["Mon"; 29].join(";")), "has more than 28 windows");
    assert_eq!(schedule("monday..FRIDAY 08:00..18:00"), schedule("Mon..Fri 08:00..18:00"));
}
