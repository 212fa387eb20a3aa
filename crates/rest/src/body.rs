//! Reads request bodies within limits of size, time and rate.

mod budget;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout, timeout_at};

use crate::Options;

pub(crate) use budget::{BodyBudget, NoRoomError};
use budget::{Pool, Reservation};

/// The part of a body that is too long which is still read and discarded, as a multiple of the
/// limit. Most clients read the response only after they have sent the whole body.
const DISCARD_FACTOR: usize = 8;

/// The time before the minimum rate is enforced, so that a brief hiccup of the network does no
/// harm.
const RATE_GRACE_PERIOD: Duration = Duration::from_secs(2);

/// The time for which an unread body is received and discarded while the response is sent. If the
/// connection were closed at once, the client's system would discard the response.
const LINGER: Duration = Duration::from_secs(5);

/// The error returned if a body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is longer than {0} bytes")]
    TooLong(usize),
    #[error(
        "the body is longer than {0} bytes, the limit for requests without credentials in the \
         head: send the token in the header `Authorization` or in the query"
    )]
    TooLongUnauthenticated(usize),
    #[error("the body did not arrive completely")]
    Incomplete,
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error(transparent)]
    NoRoom(#[from] NoRoomError),
}

/// Limits of one body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimits {
    max: usize,
    too_long: fn(usize) -> BodyError,
    timeout: Duration,
    min_rate: u32,
}

impl BodyLimits {
    /// Returns the limits for a caller who was authenticated by the head.
    pub(crate) fn authenticated(options: &Options) -> Self {
        Self {
            max: options.max_body,
            too_long: BodyError::TooLong,
            timeout: options.body_timeout,
            min_rate: options.min_body_rate,
        }
    }

    /// Returns the limits for a caller whose credentials may be in the body.
    pub(crate) fn unauthenticated(options: &Options) -> Self {
        let authenticated = Self::authenticated(options);
        if options.max_unauthenticated_body >= authenticated.max {
            return authenticated;
        }
        Self {
            max: options.max_unauthenticated_body,
            too_long: BodyError::TooLongUnauthenticated,
            ..authenticated
        }
    }

    fn too_long(&self) -> BodyError {
        (self.too_long)(self.max)
    }

    /// Returns the time since the start of a body after which it has arrived too slowly, given
    /// that `received` bytes have arrived.
    fn time_allowed(&self, received: usize) -> Duration {
        let rate = f64::from(self.min_rate);
        #[expect(clippy::cast_precision_loss, reason = "a time limit may be rounded")]
        let earned = Duration::try_from_secs_f64(received as f64 / rate).unwrap_or(Duration::MAX);
        self.timeout.min(RATE_GRACE_PERIOD.saturating_add(earned))
    }
}

/// The body of a request.
#[derive(Debug)]
pub(crate) struct RequestBody {
    body: Body,
    ended: bool,
    /// Set if the rest is not worth receiving.
    abandoned: bool,
    content_length: Option<usize>,
    expects_continue: bool,
}

impl RequestBody {
    pub(crate) fn new(headers: &HeaderMap, body: Body) -> Self {
        Self {
            body,
            ended: false,
            abandoned: false,
            content_length: content_length(headers),
            expects_continue: headers.contains_key(EXPECT),
        }
    }

    /// Returns `true` if the whole body has been read.
    pub(crate) fn is_read(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    /// Reads the whole body. Its bytes count against the pool until the reservation is dropped.
    pub(crate) async fn read(
        &mut self,
        limits: BodyLimits,
        deadline: Instant,
        pool: &Arc<Pool>,
    ) -> Result<(Bytes, Reservation), BodyError> {
        let started_at = Instant::now();
        let max = limits.max;
        let max_discarded = max.saturating_mul(DISCARD_FACTOR);
        let mut reservation = pool.reserve();
        if self.content_length.is_some_and(|length| length > max_discarded) {
            self.abandoned = true;
            return Err(limits.too_long());
        }
        let mut bytes = BytesMut::new();
        let mut received = 0_usize;
        while !self.is_read() {
            let deadline = deadline.min(started_at + limits.time_allowed(received));
            let chunk = tokio::select! {
                // A body that was evicted must not take further bytes from the pool.
                biased;
                error = reservation.evicted() => return Err(error.into()),
                chunk = timeout_at(deadline, self.next_chunk()) => chunk,
            };
            let chunk = chunk.unwrap_or_else(|_| {
                self.abandoned = true;
                Err(BodyError::TooSlow)
            })?;
            received = received.saturating_add(chunk.len());
            if received > max_discarded {
                self.abandoned = true;
                break;
            }
            if received > max {
                // Keep receiving, but hold nothing: the request ends in an error anyway.
                bytes = BytesMut::new();
                reservation.release();
                continue;
            }
            reservation.grow(chunk.len())?;
            bytes.extend_from_slice(&chunk);
        }
        if received > max {
            return Err(limits.too_long());
        }
        reservation.complete()?;
        Ok((bytes.freeze(), reservation))
    }

    /// Waits for the next bytes. Returns an empty chunk at the end.
    async fn next_chunk(&mut self) -> Result<Bytes, BodyError> {
        match self.body.frame().await {
            Some(Ok(frame)) => Ok(frame.into_data().unwrap_or_default()),
            Some(Err(_)) => {
                self.ended = true;
                Err(BodyError::Incomplete)
            }
            None => {
                self.ended = true;
                Ok(Bytes::new())
            }
        }
    }

    /// Receives and discards the unread rest in the background for a while, so that the client
    /// sees the response.
    pub(crate) fn discard(mut self, limits: BodyLimits) {
        let max = limits.max.saturating_mul(DISCARD_FACTOR);
        if self.is_read()
            || self.abandoned
            // The client waits for `100 Continue`, so it has not sent anything.
            || self.expects_continue
            || self.content_length.is_some_and(|length| length > max)
        {
            return;
        }
        tokio::spawn(timeout(LINGER.min(limits.timeout), async move {
            let mut received = 0_usize;
            while !self.is_read() && received <= max {
                let Ok(chunk) = self.next_chunk().await else {
                    break;
                };
                received = received.saturating_add(chunk.len());
            }
        }));
    }
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
