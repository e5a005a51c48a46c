// SPDX-License-Identifier: MIT OR Apache-2.0
//! Dates of the Gregorian calendar as an RTC shows them, and back.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "every number is brought into the range of a calendar first; a test tries all"
)]

/// Seconds of a day.
const DAY: u64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: u64 = 719_468;
/// Days in four hundred years.
const ERA: u64 = 146_097;
/// The last second that two digits of a century can tell, at the end of 9999.
const LAST: u64 = 253_402_300_799;

/// A date and time; fields may hold what a guest wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) second: u8,
    pub(super) minute: u8,
    pub(super) hour: u8,
    /// 1 is Sunday.
    pub(super) weekday: u8,
    pub(super) day: u8,
    pub(super) month: u8,
    /// Of the century.
    pub(super) year: u8,
    pub(super) century: u8,
}

impl Date {
    /// So many seconds after 1970 began; after the year 9999 time stands still.
    #[expect(clippy::cast_possible_truncation, reason = "fields of a date are below 100")]
    pub(super) const fn at(seconds: u64) -> Self {
        let seconds = if seconds > LAST { LAST } else { seconds };
        let days = seconds / DAY;
        // Years begin in March, so that the leap day is their last.
        let shifted = days + EPOCH;
        let (era, of_era) = (shifted / ERA, shifted % ERA);
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = era * 400 + year + (month <= 2) as u64;
        Self {
            second: (seconds % 60) as u8,
            minute: (seconds / 60 % 60) as u8,
            hour: (seconds / 3600 % 24) as u8,
            weekday: ((days + 4) % 7 + 1) as u8,
            day: day as u8,
            month: month as u8,
            year: (year % 100) as u8,
            century: (year / 100) as u8,
        }
    }

    /// Seconds since 1970 began; what is no date becomes a near one, before 1970 zero.
    pub(super) fn seconds(&self) -> u64 {
        let month = u64::from(self.month.clamp(1, 12));
        let day = u64::from(self.day.clamp(1, 31));
        let year = u64::from(self.century.min(99)) * 100 + u64::from(self.year.min(99));
        // March of year zero is the first month there is.
        let year = (year + u64::from(month > 2)).max(1) - 1;
        let (era, of_era) = (year / 400, year % 400);
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let days = era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
        let time = u64::from(self.hour.min(23)) * 3600
            + u64::from(self.minute.min(59)) * 60
            + u64::from(self.second.min(59));
        days.saturating_sub(EPOCH) * DAY + time
    }
}

/// The first second after this one at which second, minute and hour are as
/// wanted; none if a clock never shows them.
pub(super) fn alarm_after(second: u64, wanted: [Option<u8>; 3]) -> Option<u64> {
    let [seconds, minutes, hours] = wanted.map(|field| field.map(u64::from));
    if seconds.is_some_and(|n| n > 59)
        || minutes.is_some_and(|n| n > 59)
        || hours.is_some_and(|n| n > 23)
    {
        return None;
    }
    let mut at = second.min(LAST) + 1;
    if let Some(second) = seconds {
        at += (second + 60 - at % 60) % 60;
    }
    // Where a field must go on, those below it begin again.
    let second = seconds.unwrap_or(0);
    if let Some(minute) = minutes
        && at / 60 % 60 != minute
    {
        let ahead = (minute + 60 - at / 60 % 60) % 60;
        at = (at / 60 + ahead) * 60 + second;
    }
    if let Some(hour) = hours
        && at / 3600 % 24 != hour
    {
        let ahead = (hour + 24 - at / 3600 % 24) % 24;
        at = (at / 3600 + ahead) * 3600 + minutes.unwrap_or(0) * 60 + second;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::{Date, LAST, alarm_after};
    use proptest::prelude::*;

    #[test]
    fn known_days_come_out_right() {
        let date = |second, minute, hour, weekday, day, month, year, century| Date {
            second,
            minute,
            hour,
            weekday,
            day,
            month,
            year,
            century,
        };
        assert_eq!(Date::at(0), date(0, 0, 0, 5, 1, 1, 70, 19));
        assert_eq!(Date::at(951_827_696), date(56, 34, 12, 3, 29, 2, 0, 20));
        assert_eq!(Date::at(1_700_000_000), date(20, 13, 22, 3, 14, 11, 23, 20));
        assert_eq!(Date::at(u64::MAX), date(59, 59, 23, 6, 31, 12, 99, 99));
    }

    proptest! {
        #[test]
        fn every_second_survives_the_way_there_and_back(second in 0..=LAST) {
            prop_assert_eq!(Date::at(second).seconds(), second);
        }

        #[test]
        fn whatever_is_written_is_some_time(fields: [u8; 8]) {
            let [second, minute, hour, weekday, day, month, year, century] = fields;
            let date = Date { second, minute, hour, weekday, day, month, year, century };
            prop_assert!(date.seconds() <= LAST);
        }

        #[test]
        fn an_alarm_comes_at_the_first_second_that_matches(
            start in 0..200_000_u64,
            second in proptest::option::of(0..60_u8),
            minute in proptest::option::of(0..60_u8),
            hour in proptest::option::of(0..24_u8),
        ) {
            let shows = |t: &u64| {
                second.is_none_or(|n| t % 60 == n.into())
                    && minute.is_none_or(|n| t / 60 % 60 == n.into())
                    && hour.is_none_or(|n| t / 3600 % 24 == n.into())
            };
            let first = (start + 1..start + 90_000).find(shows);
            prop_assert_eq!(alarm_after(start, [second, minute, hour]), first);
        }
    }
}
