//! The log line of each call.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crm_chat_credentials::{CredentialId, Grant};
use crm_chat_domain::{ChatId, Entity, Outcome, Removal, UserId};
use tracing::field::{DisplayValue, display};

use super::{Telemetry, log};
use crate::error::ApiError;
use crate::time::CallClock;

/// The outcome of a call.
#[derive(Clone, Copy)]
pub(crate) enum CallStatus<'a> {
    Success,
    Error(&'a ApiError),
    /// The call was dropped before it had a response: the server was shut down, or a service in
    /// which the router is nested gave up the request.
    Cancelled,
}

impl<'a> CallStatus<'a> {
    pub(crate) fn of<T>(result: &'a Result<T, ApiError>) -> Self {
        result.as_ref().err().map_or(Self::Success, Self::Error)
    }

    fn error(self) -> Option<&'a ApiError> {
        match self {
            Self::Error(error) => Some(error),
            Self::Success | Self::Cancelled => None,
        }
    }

    /// Returns the code in the log and in the metrics.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Success => "OK",
            Self::Error(error) => error.code(),
            Self::Cancelled => "CANCELLED",
        }
    }

    pub(super) fn shed_reason(self) -> Option<&'static str> {
        self.error()?.shed_reason()
    }
}

/// The origin of a call, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    peer: Option<IpAddr>,
    actor: Option<UserId>,
    credential: Option<CredentialId>,
    request_id: Option<String>,
}

impl Origin {
    pub(crate) fn new(peer: Option<IpAddr>) -> Self {
        Self { peer, ..Self::default() }
    }

    /// Records the verified credentials.
    pub(crate) fn set_grant(&mut self, grant: &Grant) {
        self.actor = Some(grant.user);
        self.credential = Some(grant.credential.clone());
    }
}

/// The subject of a removal. Ids are not secret, so they may be logged.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Subject {
    chat: Option<ChatId>,
    user: Option<UserId>,
    entity: Option<Entity>,
}

impl Subject {
    /// Records the request.
    pub(crate) fn set_removal(&mut self, removal: &Removal) {
        *self = Self { chat: removal.chat, user: Some(removal.user), entity: Some(removal.entity) };
    }

    /// Records the chat that the removal found.
    pub(crate) fn set_outcome(&mut self, outcome: &Outcome) {
        self.chat = outcome.chat().or(self.chat);
    }
}

/// Collects the log line of a request, or of a command of a batch.
///
/// A log that is dropped unfinished logs the call as cancelled.
pub(crate) struct RequestLog<'a> {
    telemetry: &'a Telemetry,
    clock: CallClock,
    pub(crate) method: &'static str,
    pub(crate) origin: Origin,
    pub(crate) subject: Subject,
    finished: bool,
}

impl<'a> RequestLog<'a> {
    pub(crate) fn new(telemetry: &'a Telemetry, clock: CallClock, origin: Origin) -> Self {
        Self {
            telemetry,
            clock,
            method: "unknown",
            origin,
            subject: Subject::default(),
            finished: false,
        }
    }

    /// Sets the request id that the client has chosen, if any.
    pub(crate) fn set_request_id(&mut self, id: Option<String>) {
        self.origin.request_id = id.or(self.origin.request_id.take());
    }

    /// Returns the id of the request, generating one if the client has not chosen one.
    pub(crate) fn request_id(&mut self) -> &str {
        let id = self.telemetry.request_id(self.origin.request_id.take());
        self.origin.request_id.insert(id)
    }

    /// Counts and logs the call, including the cause of an error that the caller does not see.
    pub(crate) fn finish(&mut self, status: CallStatus<'_>) {
        self.finished = true;
        let duration = self.clock.elapsed();
        self.telemetry.count(self.method, status, duration);

        let (method, code, subject) = (self.method, status.code(), self.subject);
        self.request_id();
        let origin = &self.origin;
        let request_id = origin.request_id.as_deref();
        if let Some(cause) = status.error().and_then(ApiError::cause) {
            log(|| tracing::error!(request_id, cause, "request failed"));
        }
        log(|| {
            tracing::info!(
                request_id,
                peer = shown(origin.peer),
                credential = shown(origin.credential.as_ref()),
                actor = origin.actor.map(UserId::get),
                method,
                entity = shown(subject.entity),
                chat = subject.chat.map(ChatId::get),
                user = subject.user.map(UserId::get),
                code,
                milliseconds = milliseconds(duration),
                "request completed"
            );
        });
    }
}

impl Drop for RequestLog<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.finish(CallStatus::Cancelled);
        }
    }
}

fn shown<T: fmt::Display>(value: Option<T>) -> Option<DisplayValue<T>> {
    value.map(display)
}

/// Converts to milliseconds, rounded to microseconds.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
