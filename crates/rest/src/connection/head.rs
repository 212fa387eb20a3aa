//! Tracks the requests on a stream, and suppresses the responses that hyper generates itself.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// The state of a connection with respect to its current request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing has arrived since the last response.
    #[default]
    Idle,
    /// A head is arriving.
    Head,
    /// A request is being handled.
    Request,
}

/// The phase of a connection. Clones are handles to the same phase: the stream has one and the
/// service another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activity(watch::Sender<Phase>);

impl Activity {
    /// Records that bytes have arrived.
    fn received(&self) {
        self.0.send_if_modified(|phase| {
            let begins = *phase == Phase::Idle;
            if begins {
                *phase = Phase::Head;
            }
            begins
        });
    }

    pub(crate) fn set(&self, phase: Phase) {
        self.0.send_replace(phase);
    }

    /// Waits until no head is partially read.
    pub(crate) async fn between_heads(&self) {
        // This cannot fail, because `self` keeps the channel open.
        let _ = self.0.subscribe().wait_for(|phase| *phase != Phase::Head).await;
    }
}

/// Passes all bytes through, except for hyper's response to a head that it cannot parse.
///
/// hyper answers such a head with a bare status line, and this cannot be configured. Once that
/// response is suppressed, nothing more is written and the stream stays open, so that its owner can
/// take it back from hyper and send a complete response.
#[derive(Debug)]
pub(crate) struct HeadWatch<S> {
    stream: S,
    activity: Activity,
    suppressed: Option<StatusCode>,
}

impl<S> HeadWatch<S> {
    pub(crate) fn new(stream: S, activity: Activity) -> Self {
        Self { stream, activity, suppressed: None }
    }

    /// Returns the stream, and the status of the suppressed response.
    pub(crate) fn into_parts(self) -> (S, Option<StatusCode>) {
        (self.stream, self.suppressed)
    }

    /// Returns `true` if bytes must not be written.
    fn suppresses(&mut self, bytes: &[u8]) -> bool {
        if self.suppressed.is_none() {
            self.suppressed = bare_response(bytes);
        }
        self.suppressed.is_some()
    }
}

/// Returns the status of a response that hyper has generated itself. Such a response has neither a
/// body nor a content type, whereas all responses of the router with one of these statuses have
/// both.
fn bare_response(bytes: &[u8]) -> Option<StatusCode> {
    let rest = bytes.strip_prefix(b"HTTP/1.")?;
    let status = StatusCode::from_bytes(rest.get(2..5)?).ok()?;
    let candidate = matches!(
        status,
        StatusCode::BAD_REQUEST
            | StatusCode::URI_TOO_LONG
            | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    );
    if !candidate {
        return None;
    }
    let head = str::from_utf8(rest).ok()?.to_ascii_lowercase();
    let bare = head.ends_with("\r\n\r\n") && !head.contains("\r\ncontent-type:");
    bare.then_some(status)
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadWatch<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.received();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeadWatch<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.suppresses(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // hyper writes a head in a single slice, before the slices of a body.
        let first = slices.first().map_or(&[] as &[u8], |slice| slice);
        if self.suppresses(first) {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.suppressed.is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.suppressed.is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
