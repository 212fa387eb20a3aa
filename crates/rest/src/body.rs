//! The bytes of a body, within bounds of size and time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout, timeout_at};

use crate::Options;
use crate::failure::Failure;
use crate::parameters::Malformed;
use crate::reading::{Pool, Reservation};

/// The number of times that the limit is read and thrown away before the connection is given up: a
/// client that is still sending sees no answer.
const PATIENCE: usize = 8;

/// The time in which a body may arrive at any rate: a connection may have a hiccup.
const RATE_GRACE: Duration = Duration::from_secs(2);

/// The time for which a body that is not wanted is read and thrown away while the answer is on its
/// way. If the connection were closed at once, the client's system would throw away the answer.
const LINGER: Duration = Duration::from_secs(5);

/// Bounds of one body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyBounds {
    max: usize,
    too_long: fn(usize) -> Failure,
    timeout: Duration,
    min_rate: u32,
}

impl BodyBounds {
    /// Returns the bounds of a caller who is known.
    pub(crate) fn known(options: &Options) -> Self {
        Self {
            max: options.max_body,
            too_long: Failure::BodyTooLong,
            timeout: options.body_timeout,
            min_rate: options.min_body_rate,
        }
    }

    /// Returns the bounds of a caller whose credentials may be in the body.
    pub(crate) fn unknown(options: &Options) -> Self {
        let known = Self::known(options);
        if options.max_unauthenticated_body >= known.max {
            return known;
        }
        Self {
            max: options.max_unauthenticated_body,
            too_long: Failure::UnknownBodyTooLong,
            ..known
        }
    }

    fn too_long(&self) -> Failure {
        (self.too_long)(self.max)
    }

    /// Returns how long after its beginning a body of which `seen` bytes have arrived is given up.
    fn patience(&self, seen: usize) -> Duration {
        let rate = f64::from(self.min_rate);
        #[expect(clippy::cast_precision_loss, reason = "a rounded time limit is as good")]
        let earned = Duration::try_from_secs_f64(seen as f64 / rate).unwrap_or(Duration::MAX);
        self.timeout.min(RATE_GRACE.saturating_add(earned))
    }
}

/// The body of a request.
#[derive(Debug)]
pub(crate) struct RequestBody {
    body: Body,
    ended: bool,
    /// Set if the rest is not worth waiting for.
    given_up: bool,
    announced: Option<usize>,
    expects_continue: bool,
}

impl RequestBody {
    pub(crate) fn new(headers: &HeaderMap, body: Body) -> Self {
        Self {
            body,
            ended: false,
            given_up: false,
            announced: announced(headers),
            expects_continue: headers.contains_key(EXPECT),
        }
    }

    /// Returns whether all of the body has been read.
    pub(crate) fn is_read(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    /// Reads the body whole. The bytes count in the pool until the reservation is dropped.
    pub(crate) async fn read(
        &mut self,
        bounds: BodyBounds,
        deadline: Instant,
        pool: &Arc<Pool>,
    ) -> Result<(Bytes, Reservation), Failure> {
        let began = Instant::now();
        let max = bounds.max;
        let patience = max.saturating_mul(PATIENCE);
        let mut reservation = pool.begin();
        if self.announced.is_some_and(|length| length > patience) {
            self.given_up = true;
            return Err(bounds.too_long());
        }
        let mut bytes = BytesMut::new();
        let mut seen = 0_usize;
        while !self.is_read() {
            let deadline = deadline.min(began + bounds.patience(seen));
            let data = tokio::select! {
                biased;
                error = reservation.given_up() => return Err(error.into()),
                data = timeout_at(deadline, self.data()) => data,
            };
            let data = data.unwrap_or_else(|_| {
                self.given_up = true;
                Err(Malformed::TooSlow)
            })?;
            seen = seen.saturating_add(data.len());
            if seen > patience {
                self.given_up = true;
                break;
            }
            if seen > max {
                bytes = BytesMut::new();
                reservation.give_back();
                continue;
            }
            reservation.take(data.len())?;
            bytes.extend_from_slice(&data);
        }
        if seen > max {
            return Err(bounds.too_long());
        }
        reservation.complete()?;
        Ok((bytes.freeze(), reservation))
    }

    /// Waits for the next bytes; returns none at the end.
    async fn data(&mut self) -> Result<Bytes, Malformed> {
        match self.body.frame().await {
            Some(Ok(frame)) => Ok(frame.into_data().unwrap_or_default()),
            Some(Err(_)) => {
                self.ended = true;
                Err(Malformed::Incomplete)
            }
            None => {
                self.ended = true;
                Ok(Bytes::new())
            }
        }
    }

    /// Reads and throws away what was not read, for a while, so that the answer arrives. A client
    /// that waits for `100 Continue` sends nothing.
    pub(crate) fn discard(mut self, bounds: BodyBounds) {
        let max = bounds.max.saturating_mul(PATIENCE);
        if self.is_read()
            || self.given_up
            || self.expects_continue
            || self.announced.is_some_and(|length| length > max)
        {
            return;
        }
        tokio::spawn(timeout(LINGER.min(bounds.timeout), async move {
            let mut seen = 0_usize;
            while !self.is_read() && seen <= max {
                let Ok(data) = self.data().await else {
                    break;
                };
                seen = seen.saturating_add(data.len());
            }
        }));
    }
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
