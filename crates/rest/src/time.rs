//! The object `time` in every successful response.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crm_chat_domain::Timestamp;
use serde::Serialize;

/// The advertised length, in seconds, of the window over which `operating` accumulates.
const OPERATING_WINDOW: u64 = 600;

/// The start of a call, by the wall clock and by the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallClock {
    wall: SystemTime,
    monotonic: Instant,
}

impl CallClock {
    pub(crate) fn start() -> Self {
        Self { wall: wall_clock(), monotonic: Instant::now() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.monotonic.elapsed()
    }

    /// Returns the times of a call that ends now. `processing` is the duration of its method.
    pub(crate) fn time(&self, processing: Duration) -> Time {
        // Computed from the monotonic clock, so that `finish` never precedes `start`.
        let duration = self.elapsed();
        let start = self.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        let finish = start + duration;
        Time {
            start: seconds(start),
            finish: seconds(finish),
            duration: seconds(duration),
            processing: seconds(processing),
            date_start: date(start),
            date_finish: date(finish),
            operating_reset_at: finish.as_secs() + OPERATING_WINDOW,
            operating: 0.0,
        }
    }
}

/// The start, the end and the duration of a call.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Time {
    /// Start of the call, as a Unix time in seconds.
    start: f64,
    /// End of the call, as a Unix time in seconds.
    finish: f64,
    /// Duration of the call in seconds.
    duration: f64,
    /// Duration of the method itself in seconds.
    processing: f64,
    /// Start of the call.
    date_start: String,
    /// End of the call.
    date_finish: String,
    /// Time at which `operating` is reset, as a Unix time in seconds.
    operating_reset_at: u64,
    /// Processing time that counts against the caller's quota. Always 0, because there is no quota.
    operating: f64,
}

/// Converts to seconds, rounded to microseconds as the original server does.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}

/// Formats a date in ISO 8601, in whole seconds and with a numeric offset.
pub(crate) fn date(since_epoch: Duration) -> String {
    let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or_default();
    let text = Timestamp::new(seconds, 0).map_or_else(|_| String::new(), |date| date.to_string());
    text.replace('Z', "+00:00")
}

/// Formats the current date.
pub(crate) fn now() -> String {
    let now = wall_clock().duration_since(UNIX_EPOCH);
    date(now.unwrap_or_default())
}

/// Returns the current time by the wall clock.
#[expect(clippy::disallowed_methods, reason = "responses contain the server's time")]
pub(crate) fn wall_clock() -> SystemTime {
    SystemTime::now()
}
