//! Timestamps, with `jiff` as the reference.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crm_chat_domain::{InvalidTimestampError, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;

/// 0000-01-01T00:00:00Z.
const FIRST: i64 = -62_167_219_200;
/// 9999-12-31T23:59:59Z.
const LAST: i64 = 253_402_300_799;

/// Returns the seconds and nanoseconds of a time, if the text is one.
fn parse(text: &str) -> Option<(i64, u32)> {
    let timestamp: Timestamp = text.parse().ok()?;
    Some((timestamp.seconds(), timestamp.nanoseconds()))
}

#[test]
fn times_are_read_and_written() {
    for (text, expected, written) in [
        ("1970-01-01T00:00:00Z", (0, 0), "1970-01-01T00:00:00Z"),
        ("2026-11-22T09:12:41Z", (1_795_338_761, 0), "2026-11-22T09:12:41Z"),
        ("2026-11-22t10:12:41.50+01:00", (1_795_338_761, 500_000_000), "2026-11-22T09:12:41.5Z"),
        ("2026-11-22 09:12:41.000000001z", (1_795_338_761, 1), "2026-11-22T09:12:41.000000001Z"),
        ("1969-12-31T23:59:59.999999999Z", (-1, 999_999_999), "1969-12-31T23:59:59.999999999Z"),
        ("2000-02-29T00:00:00-00:00", (951_782_400, 0), "2000-02-29T00:00:00Z"),
        ("0000-01-01T00:00:00Z", (FIRST, 0), "0000-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.9Z", (LAST, 900_000_000), "9999-12-31T23:59:59.9Z"),
    ] {
        assert_eq!(parse(text), Some(expected), "{text}");
        let (seconds, nanoseconds) = expected;
        let timestamp = Timestamp::new(seconds, nanoseconds).unwrap();
        assert_eq!(timestamp.to_string(), written);
    }
}

#[test]
fn invalid_time_is_refused() {
    for text in [
        "",
        "2026-11-22",
        "2026-11-22T09:12:41",
        "2026-11-22T09:12Z",
        "2026-11-22T09:12:41,5Z",
        "2026-11-22T09:12:41.Z",
        "2026-11-22T09:12:41.5",
        "2026-11-22T09:12:41.0000000001Z",
        "2026-11-22T09:12:60Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T09:60:00Z",
        "2026-00-22T09:12:41Z",
        "2026-13-22T09:12:41Z",
        "2026-11-00T09:12:41Z",
        "2026-11-31T09:12:41Z",
        "2026-02-29T09:12:41Z",
        "1900-02-29T09:12:41Z",
        "2026-11-22T09:12:41+24:00",
        "2026-11-22T09:12:41+0100",
        "2026-11-22T09:12:41+01",
        "2026-11-22T09:12:41Z ",
        "+2026-11-22T09:12:41Z",
        "2026-11-22T09:12:4١Z",
        "0000-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
    ] {
        assert_eq!(text.parse::<Timestamp>(), Err(InvalidTimestampError), "{text}");
    }
    for (seconds, nanoseconds) in [(FIRST - 1, 0), (LAST + 1, 0), (0, 1_000_000_000)] {
        assert_eq!(Timestamp::new(seconds, nanoseconds), Err(InvalidTimestampError));
    }
}

#[test]
fn system_time_is_converted_exactly_before_and_after_the_epoch() {
    for (seconds, nanoseconds) in [
        (0, 0),
        (1, 1),
        (-1, 0),
        (-1, 999_999_999),
        (-2, 1),
        (FIRST, 0),
        (FIRST, 1),
        (LAST, 999_999_999),
    ] {
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let second = if seconds < 0 { UNIX_EPOCH - whole } else { UNIX_EPOCH + whole };
        let time = second + Duration::from_nanos(nanoseconds.into());
        let expected = Timestamp::new(seconds, nanoseconds);
        assert_eq!(Timestamp::try_from(time), expected);
        assert!(expected.is_ok());
    }
    for time in [
        UNIX_EPOCH - Duration::from_secs(FIRST.unsigned_abs()) - Duration::from_nanos(100),
        UNIX_EPOCH + Duration::from_secs(LAST.unsigned_abs() + 1),
    ] {
        assert_eq!(Timestamp::try_from(time), Err(InvalidTimestampError));
    }
}

#[cfg(feature = "serde")]
#[test]
fn time_is_a_string_in_json() {
    let timestamp: Timestamp = serde_json::from_str(r#""2026-11-22T10:12:41+01:00""#).unwrap();
    assert_eq!(serde_json::to_string(&timestamp).unwrap(), r#""2026-11-22T09:12:41Z""#);
    let error = serde_json::from_str::<Timestamp>(r#""yesterday""#).unwrap_err();
    assert!(error.to_string().starts_with(&InvalidTimestampError.to_string()), "{error}");
    assert!(serde_json::from_str::<Timestamp>("1795338761").is_err());
}

/// Texts in the form of RFC 3339, with fields inside and outside their range.
fn texts() -> impl Strategy<Value = String> {
    let offset = prop_oneof![
        select(vec!["Z", "z", "+00:00", "-00:00", ""]).prop_map(str::to_owned),
        // RFC 3339 allows offsets below 24 hours; `jiff` accepts larger ones.
        "[+-]([01][0-9]|2[0-3]):[0-6][0-9]",
    ];
    let time = "[0-2][0-9]:[0-6][0-9]:[0-5][0-9](\\.[0-9]{1,9})?";
    ("[0-9]{4}-[01][0-9]-[0-3][0-9]", "[Tt ]", time, offset)
        .prop_map(|(date, separator, time, offset)| [date, separator, time, offset].concat())
}

proptest! {
    #[test]
    fn time_is_written_and_read_as_by_jiff(
        seconds in FIRST..=jiff::Timestamp::MAX.as_second() - 1,
        nanoseconds in prop_oneof![Just(0), select(vec![1, 10, 500_000_000]), 0..1_000_000_000_u32],
    ) {
        let ours = Timestamp::new(seconds, nanoseconds).unwrap();
        let since = Duration::from_secs(seconds.unsigned_abs());
        let sign = if seconds < 0 { -1 } else { 1 };
        let whole = jiff::SignedDuration::try_from(since).unwrap() * sign;
        let since = whole + jiff::SignedDuration::from_nanos(nanoseconds.into());
        let reference = jiff::Timestamp::from_duration(since).unwrap();
        prop_assert_eq!(ours.to_string(), reference.to_string());
        prop_assert_eq!(reference.to_string().parse(), Ok(ours));
        prop_assert_eq!(Timestamp::try_from(SystemTime::try_from(reference).unwrap()), Ok(ours));
    }

    #[test]
    fn rfc_3339_text_is_read_as_by_jiff(text in texts()) {
        let expected = text.parse::<jiff::Timestamp>().ok();
        // The last day of `jiff` ends early; the tables above cover the rest of it.
        prop_assume!(expected.is_some() || !text.starts_with("9999-12-3"));
        let expected = expected.map(|time| {
            let nanoseconds = time.as_nanosecond().rem_euclid(1_000_000_000);
            let seconds = time.as_nanosecond().div_euclid(1_000_000_000);
            (i64::try_from(seconds).unwrap(), u32::try_from(nanoseconds).unwrap())
        });
        let expected = expected.filter(|(seconds, _)| (FIRST..=LAST).contains(seconds));
        prop_assert_eq!(parse(&text), expected);
    }

    #[test]
    fn arbitrary_text_is_refused_or_survives_the_round_trip(
        text in any::<String>(),
        time in texts(),
        at in 0..30_usize,
    ) {
        let cut = time.char_indices().nth(at).map_or(time.len(), |(index, _)| index);
        let damaged = format!("{}{text}{}", &time[..cut], &time[cut..]);
        for text in [text, damaged] {
            if let Ok(timestamp) = text.parse::<Timestamp>() {
                prop_assert_eq!(timestamp.to_string().parse(), Ok(timestamp));
            }
        }
    }
}

/// The days that calendars get wrong: the ends of February and of the year, and the days after
/// them.
#[test]
fn turns_of_every_year_match_the_calendar() {
    for year in 0..=9999_i16 {
        let first = jiff::civil::date(year, 1, 1);
        let last_of_february = jiff::civil::date(year, 2, 1).last_of_month();
        for date in [
            first,
            last_of_february,
            last_of_february.tomorrow().unwrap(),
            jiff::civil::date(year, 12, 31),
        ] {
            let text = format!("{date}T00:00:00Z");
            let read: Timestamp = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
            match text.parse::<jiff::Timestamp>() {
                Ok(reference) => assert_eq!(read.seconds(), reference.as_second(), "{text}"),
                Err(_) => assert_eq!(text, "9999-12-31T00:00:00Z", "`jiff`'s last day ends early"),
            }
        }
    }
}
