//! The time of a log record.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time from the years 0000 to 9999, with a precision of one nanosecond.
///
/// The core has no clock: a backend stamps a record with its own, for example by
/// [`SystemTime::now`]. A timestamp is parsed from and displayed as RFC 3339. Any offset is
/// accepted; the output is in UTC, with as many digits of the fraction as needed. Leap seconds are
/// rejected.
///
/// ```
/// use crm_chat_domain::Timestamp;
///
/// let timestamp: Timestamp = "2026-11-22T10:12:41.50+01:00".parse()?;
/// assert_eq!(timestamp.to_string(), "2026-11-22T09:12:41.5Z");
/// # Ok::<(), crm_chat_domain::InvalidTimestampError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
    seconds: i64,
    /// 0 to 999,999,999.
    nanoseconds: u32,
}

/// The error returned when a value is not a valid [`Timestamp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a time must be written as in `2026-11-22T09:12:41Z` (RFC 3339) and lie in the years 0000 \
     to 9999"
)]
pub struct InvalidTimestampError;

const SECONDS_A_DAY: i64 = 86_400;
/// The seconds from 0000-01-01T00:00:00Z to 9999-12-31T23:59:59Z.
const SECONDS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

impl Timestamp {
    /// Returns the timestamp that is this many seconds, and 0 to 999,999,999 nanoseconds more,
    /// after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`InvalidTimestampError`] if the nanoseconds are a second or more, or if the year is not
    /// from 0000 to 9999.
    pub fn new(seconds: i64, nanoseconds: u32) -> Result<Self, InvalidTimestampError> {
        if SECONDS.contains(&seconds) && nanoseconds < 1_000_000_000 {
            Ok(Self { seconds, nanoseconds })
        } else {
            Err(InvalidTimestampError)
        }
    }

    /// Returns the whole seconds since 1970-01-01T00:00:00Z, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Returns the nanoseconds after the whole second, 0 to 999,999,999.
    #[must_use]
    pub const fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }
}

impl TryFrom<SystemTime> for Timestamp {
    type Error = InvalidTimestampError;

    fn try_from(time: SystemTime) -> Result<Self, InvalidTimestampError> {
        let seconds = |duration: Duration| {
            i64::try_from(duration.as_secs()).map_err(|_| InvalidTimestampError)
        };
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self::new(seconds(after)?, after.subsec_nanos()),
            Err(before) => {
                let before = before.duration();
                let whole = seconds(before)?.checked_neg().ok_or(InvalidTimestampError)?;
                // Round down: half a second before 1970 is second -1 and half a second more.
                match 1_000_000_000_u32.checked_sub(before.subsec_nanos()) {
                    Some(rest) if rest < 1_000_000_000 => Self::new(whole.saturating_sub(1), rest),
                    _ => Self::new(whole, 0),
                }
            }
        }
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestampError;

    fn from_str(text: &str) -> Result<Self, InvalidTimestampError> {
        parse(text).ok_or(InvalidTimestampError)
    }
}

/// Parses `YYYY-MM-DDThh:mm:ss[.fraction](Z|±hh:mm)`.
fn parse(text: &str) -> Option<Timestamp> {
    // Up to the seconds every field has a fixed place, so one pattern checks all separators.
    let (date_time, rest) = text.split_at_checked(19)?;
    let date_time: &[u8; 19] = date_time.as_bytes().try_into().ok()?;
    let &[
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T' | b't' | b' ',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
    ] = date_time
    else {
        return None;
    };
    let year = number(&[y1, y2, y3, y4])?;
    let month = number(&[m1, m2]).filter(|month| (1..=12).contains(month))?;
    let day = number(&[d1, d2]).filter(|day| (1..=days_in(year, month)).contains(day))?;
    let time =
        time_of_day([h1, h2], [n1, n2])?.checked_add(number(&[s1, s2]).filter(|s| *s < 60)?)?;

    let (nanoseconds, offset) = match rest.strip_prefix('.') {
        Some(rest) => {
            let end = rest.find(|digit: char| !digit.is_ascii_digit())?;
            let (digits, offset) = rest.split_at_checked(end)?;
            (fraction(digits)?, offset)
        }
        None => (0, rest),
    };
    let local = days_from_civil(year, month, day).checked_mul(SECONDS_A_DAY)?.checked_add(time)?;
    Timestamp::new(local.checked_sub(offset_seconds(offset)?)?, nanoseconds).ok()
}

/// Parses ASCII digits.
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0_i64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| digit.wrapping_sub(b'0'))?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

/// Parses one to nine digits of a second's fraction as nanoseconds.
fn fraction(digits: &str) -> Option<u32> {
    // More digits cannot be represented, and rounding could make different times equal.
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    format!("{digits:0<9}").parse().ok()
}

/// Parses an offset from UTC, in seconds.
fn offset_seconds(offset: &str) -> Option<i64> {
    match offset.as_bytes() {
        b"Z" | b"z" => Some(0),
        &[sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let seconds = time_of_day([h1, h2], [m1, m2])?;
            if sign == b'-' { seconds.checked_neg() } else { Some(seconds) }
        }
        _ => None,
    }
}

/// Converts `hh` and `mm` to seconds.
fn time_of_day(hours: [u8; 2], minutes: [u8; 2]) -> Option<i64> {
    let hours = number(&hours).filter(|hours| *hours < 24)?;
    let minutes = number(&minutes).filter(|minutes| *minutes < 60)?;
    hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)
}

/// Returns the number of days of a month, from 1 to 12.
fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the number of days from 1970-01-01 to a date of the years 0000 to 9999.
///
/// The algorithm is `days_from_civil` of Howard Hinnant's "chrono-Compatible Low-Level Date
/// Algorithms".
#[expect(clippy::arithmetic_side_effects, reason = "bounded by the years 0000 to 9999")]
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Returns the year, month and day that are this many days after 1970-01-01.
///
/// The algorithm is `civil_from_days` of the same source.
#[expect(clippy::arithmetic_side_effects, reason = "bounded by the years 0000 to 9999")]
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.seconds.div_euclid(SECONDS_A_DAY));
        let time = self.seconds.rem_euclid(SECONDS_A_DAY);
        let (hours, minutes, seconds) = (time / 3600, time / 60 % 60, time % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}")?;
        if self.nanoseconds != 0 {
            let fraction = format!("{:09}", self.nanoseconds);
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
