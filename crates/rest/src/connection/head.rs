//! Tracks the requests on a stream, and holds back the answers that hyper makes itself.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// The place of a connection between two requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing has arrived since the last answer.
    #[default]
    Idle,
    /// A head has begun to arrive.
    Head,
    /// A request is being worked on.
    Request,
}

/// The phase of one connection, shared by its stream and its service. A handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activity(watch::Sender<Phase>);

impl Activity {
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

    /// Waits until no head is half read.
    pub(crate) async fn between_heads(&self) {
        // The sender is `self`, so the channel is not closed meanwhile.
        let _ = self.0.subscribe().wait_for(|phase| *phase != Phase::Head).await;
    }
}

/// Passes everything through but the answer of hyper to a head that it cannot read.
///
/// hyper answers such a head by a status line alone and offers no way to change that. Once its
/// answer is held back, nothing is written any more and the stream stays open, so that its owner can
/// take it back from hyper and answer in full.
#[derive(Debug)]
pub(crate) struct HeadWatch<S> {
    stream: S,
    activity: Activity,
    held_back: Option<StatusCode>,
}

impl<S> HeadWatch<S> {
    pub(crate) fn new(stream: S, activity: Activity) -> Self {
        Self { stream, activity, held_back: None }
    }

    /// Returns the stream, and the status of the answer that was held back.
    pub(crate) fn into_parts(self) -> (S, Option<StatusCode>) {
        (self.stream, self.held_back)
    }

    /// Returns whether bytes must not be written.
    fn holds_back(&mut self, bytes: &[u8]) -> bool {
        if self.held_back.is_none() {
            self.held_back = bare_refusal(bytes);
        }
        self.held_back.is_some()
    }
}

/// Returns the status of an answer of hyper's own, which has neither a body nor a content type.
/// Each answer of ours with one of these statuses has both.
fn bare_refusal(bytes: &[u8]) -> Option<StatusCode> {
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
        if self.holds_back(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // hyper writes a head in one slice, before any slice of a body.
        let first = slices.first().map_or(&[] as &[u8], |slice| slice);
        if self.holds_back(first) {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held_back.is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held_back.is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
