//! Tests of a ledger: what a line covers, what a crash costs, and that nothing is ever counted twice or not at all.

use std::time::{Duration, Instant};

use super::*;

fn stamp(text: &str) -> Stamp {
    Stamp::parse(text).unwrap()
}

fn item() -> Item {
    Item::new("o.example:8935", "model")
}

/// A ledger with its file, whose process may crash at any step.
struct Device {
    ledger: Ledger,
    file: String,
    now: Instant,
    stamp: Stamp,
    writes: usize,
}

impl Device {
    fn new() -> Self {
        let mut device = Self {
            ledger: Ledger::default(),
            file: String::new(),
            now: Instant::now(),
            stamp: stamp("2026112914"),
            writes: 0,
        };
        device.restart();
        device
    }

    fn restart(&mut self) {
        let (ledger, malformed) = Ledger::parse(&self.file);
        assert_eq!(malformed, 0, "{}", self.file);
        self.ledger = ledger;
        let write = self.ledger.rewrite(self.stamp);
        self.carry_out(write, None);
    }

    /// Writes, or crashes after `cut` bytes of the text. Returns whether the process lives.
    fn carry_out(&mut self, write: Recorded, cut: Option<usize>) -> bool {
        let before = self.file.len();
        match write {
            Recorded::Covered => return true,
            Recorded::Append(text) => {
                self.file.push_str(&text);
                if let Some(cut) = cut {
                    self.file.truncate(before + cut.min(text.len()));
                    return false;
                }
            }
            // A replacement is atomic.
            Recorded::Replace(text) => match cut {
                Some(cut) if cut < text.len() => return false,
                Some(_) | None => self.file = text,
            },
        }
        self.writes += 1;
        self.ledger.on_written(true, self.now);
        cut.is_none()
    }

    fn pay(&mut self, amount: u128, left: Option<u128>, cut: Option<usize>) -> bool {
        let write = self.ledger.record(item(), amount, left, (self.stamp, self.now));
        self.carry_out(write, cut)
    }

    fn spent(&self, period: Period) -> u128 {
        self.ledger.spent(period, self.stamp)
    }
}

#[test]
fn a_steady_rate_needs_one_line_a_minute() {
    let mut device = Device::new();
    device.pay(60, None, None);
    let start = device.writes;
    for _ in 0..120 {
        device.now += Duration::from_secs(5);
        device.pay(5, None, None);
    }
    assert_eq!(device.writes - start, 10);
    assert_eq!(device.spent(Period::Hour), 660);
}

#[test]
fn growing_amounts_need_few_more_lines() {
    let mut device = Device::new();
    device.pay(1, None, None);
    let start = device.writes;
    for _ in 0..1000 {
        device.now += Duration::from_millis(50);
        device.pay(100, None, None);
    }
    // 4^9 is more than the sum of 100 000.
    assert!(device.writes - start <= 9, "{}", device.writes - start);
}

#[test]
fn a_crash_costs_at_most_the_reserve_and_never_forgets() {
    let mut device = Device::new();
    device.pay(60, None, None);
    for _ in 0..4 {
        device.now += Duration::from_secs(5);
        device.pay(5, None, None);
    }
    device.restart();
    assert_eq!(device.spent(Period::Day), 60 + 240);
    let items = device.ledger.by_item(Period::Day, device.stamp);
    assert_eq!(items[0].item, Item::unsettled());
    assert_eq!((items[0].total.amount, items[1].total.amount), (240, 60));
}

#[test]
fn a_clean_end_costs_nothing() {
    let mut device = Device::new();
    for amount in [60, 5, 5] {
        device.now += Duration::from_secs(5);
        device.pay(amount, None, None);
    }
    let write = device.ledger.close(device.stamp);
    device.carry_out(write, None);
    device.restart();
    assert_eq!(device.spent(Period::Day), 70);
    assert_eq!(device.ledger.close(device.stamp), Recorded::Covered);
}

#[test]
fn an_idle_minute_gives_up_the_reserve() {
    let mut device = Device::new();
    device.pay(60, None, None);
    device.now += Duration::from_secs(59);
    assert_eq!(device.ledger.settle(device.stamp, device.now), Recorded::Covered);
    device.now += Duration::from_secs(1);
    let write = device.ledger.settle(device.stamp, device.now);
    assert!(matches!(write, Recorded::Append(_)), "{write:?}");
    device.carry_out(write, None);
    device.restart();
    assert_eq!(device.spent(Period::Day), 60);
}

#[test]
fn a_clock_that_jumps_forward_and_back_refills_nothing() {
    let mut device = Device::new();
    device.pay(60, None, None);
    let real = device.stamp;
    for later in ["2026112915", "2026113014", "2026123114", "2027060100"] {
        device.stamp = stamp(later);
        assert_eq!(device.spent(Period::Hour), 0, "{later}");
        device.now += Duration::from_secs(60);
        device.pay(7, None, None);
        let before = [Period::Hour, Period::Day, Period::Month]
            .map(|period| device.ledger.spent(period, real));
        assert!(before.iter().all(|spent| *spent > 60), "{later} {before:?}");
    }
    device.restart();
    device.stamp = real;
    assert!(device.spent(Period::Hour) >= 60 + 4 * 7);
}

#[test]
fn a_clock_that_is_not_confirmed_opens_no_period() {
    let mut device = Device::new();
    let wall = stamp("2031010100");
    assert_eq!(Ledger::default().time(None, wall), wall);
    device.pay(60, None, None);
    assert_eq!(device.ledger.time(None, wall), device.stamp);
    assert_eq!(device.ledger.time(None, stamp("1970010100")), device.stamp);
    assert_eq!(device.ledger.time(Some(wall), wall), wall);
}

#[test]
fn an_addition_counts_in_its_period_and_is_kept() {
    let mut device = Device::new();
    device.pay(60, None, None);
    let write = device.ledger.add(9, device.stamp);
    device.carry_out(write, None);
    device.restart();
    assert_eq!(device.ledger.added(Period::Hour, device.stamp), 9);
    let next = stamp("2026112915");
    assert_eq!(device.ledger.added(Period::Hour, next), 0);
    assert_eq!(device.ledger.added(Period::Day, next), 9);
}

#[test]
fn after_a_failed_write_the_whole_file_is_written_a_minute_later() {
    let mut device = Device::new();
    let write = device.ledger.record(item(), 60, None, (device.stamp, device.now));
    assert!(matches!(write, Recorded::Append(_)));
    device.ledger.on_written(false, device.now);
    assert!(device.pay(5, None, None));
    assert_eq!(device.spent(Period::Day), 65);
    device.now += WRITE_EVERY;
    let write = device.ledger.record(item(), 5, None, (device.stamp, device.now));
    assert!(matches!(write, Recorded::Replace(_)), "{write:?}");
    device.carry_out(write, None);
    let write = device.ledger.close(device.stamp);
    device.carry_out(write, None);
    device.restart();
    assert_eq!(device.spent(Period::Day), 70);
}

#[test]
fn the_file_stays_short_over_years() {
    let mut device = Device::new();
    for step in 0..3_000_u64 {
        let time =
            super::super::LocalTime::new(Duration::from_secs(1_790_000_000 + step * 21_600), 0);
        device.stamp = time.stamp();
        device.now += Duration::from_secs(21_600);
        let item = Item::new(&format!("o{}.example", step % 200), "model");
        let write = device.ledger.record(item, 1, None, (device.stamp, device.now));
        device.carry_out(write, None);
    }
    assert!(device.file.len() < 256 << 10, "{}", device.file.len());
    let items = device.ledger.by_item(Period::Month, device.stamp);
    assert!(items.len() <= ITEMS + 1, "{}", items.len());
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}

/// A device that spends by one rule: nothing is signed once the limit is reached. It crashes before, during and after
/// writes, restarts, loses the clock and gets it back.
#[test]
fn whatever_crashes_the_limit_is_exceeded_by_one_amount_at_most_and_the_ledger_never_counts_less() {
    for seed in 1..=120_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut device = Device::new();
        let limit = 200 + u128::from(random.below(2000));
        let (mut released, mut largest, mut reserved) = (0_u128, 0_u128, 0_u128);
        for step in 0..300 {
            device.now += Duration::from_secs(random.below(12));
            let spent = device.spent(Period::Day);
            assert!(spent >= released, "seed {seed} step {step}: {spent} < {released}");
            assert!(spent <= released + reserved, "seed {seed} step {step}");
            match random.below(10) {
                0 => {
                    reserved += device.ledger.held;
                    device.restart();
                }
                1 => {
                    let write = device.ledger.close(device.stamp);
                    device.carry_out(write, None);
                    device.restart();
                }
                2 => {
                    let write = device.ledger.settle(device.stamp, device.now);
                    device.carry_out(write, None);
                }
                _ if spent >= limit => {}
                _ => {
                    let amount = 1 + u128::from(random.below(60));
                    // A crash may cut the line anywhere; a whole line is 100 bytes at most.
                    let cut = (random.below(6) == 0).then(|| random.below(120) as usize);
                    let held = device.ledger.held;
                    if device.pay(amount, Some(limit - spent), cut) {
                        released += amount;
                        largest = largest.max(amount);
                    } else {
                        // Signed, perhaps counted, never released.
                        let writing = device.ledger.writing.map_or(0, |(_, held)| held);
                        reserved += held + amount + device.ledger.held + writing;
                        device.restart();
                    }
                }
            }
        }
        assert!(released <= limit + largest, "seed {seed}: {released} of {limit}");
        let (ledger, _) = Ledger::parse(&device.file);
        assert!(ledger.spent(Period::Day, device.stamp) >= released, "seed {seed}");
    }
}
