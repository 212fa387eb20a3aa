//! The object `time` of every success.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crm_chat_domain::Timestamp;
use serde::Serialize;

/// How long the figure `operating` is said to be kept.
const OPERATING_WINDOW: u64 = 600;

/// When something began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    wall: SystemTime,
    monotonic: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { wall: SystemTime::now(), monotonic: Instant::now() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.monotonic.elapsed()
    }

    /// Returns the times of a call that ends now. `processing` is how long its method took.
    pub(crate) fn time(&self, processing: Duration) -> Time {
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

/// When a call began and ended, and how long it took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Time {
    /// When the call began, in Unix seconds.
    start: f64,
    /// When it ended, in Unix seconds.
    finish: f64,
    /// How long it took, in seconds.
    duration: f64,
    /// How long the method itself took, in seconds.
    processing: f64,
    /// When the call began.
    date_start: String,
    /// When it ended.
    date_finish: String,
    /// When `operating` starts anew, in whole Unix seconds.
    operating_reset_at: u64,
    /// How much time the caller has used up of what it may use. Nothing is used up here.
    operating: f64,
}

/// Returns seconds in whole microseconds, as the original does.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}

/// Writes a date in ISO 8601, in whole seconds and with a numeric offset.
pub(crate) fn date(since_epoch: Duration) -> String {
    let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or_default();
    let text = Timestamp::new(seconds, 0).map_or_else(|_| String::new(), |date| date.to_string());
    text.replace('Z', "+00:00")
}

/// Writes the date of now.
pub(crate) fn now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    date(now.unwrap_or_default())
}
