//! A timeout for writes to a peer that does not read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// The error returned if a write makes no progress for too long.
#[derive(Debug, thiserror::Error)]
#[error("the peer did not read for {0:?}")]
pub(crate) struct WriteStalledError(Duration);

impl WriteStalledError {
    /// Returns `true` if an error, or one of its causes, is a stalled write.
    pub(crate) fn caused(error: &(dyn std::error::Error + 'static)) -> bool {
        let mut next = Some(error);
        while let Some(error) = next {
            if error.is::<Self>() {
                return true;
            }
            // The `source` of an `io::Error` is the source of its inner error, not the inner error.
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            next = match inner {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        false
    }
}

/// A stream that fails a write, a flush or a shutdown that makes no progress for some time.
///
/// It wraps the socket below TLS, where progress means that bytes leave the process.
#[derive(Debug)]
pub(crate) struct StallGuard {
    stream: TcpStream,
    timeout: Duration,
    /// Runs while a write is pending.
    timer: Option<Pin<Box<Sleep>>>,
}

impl StallGuard {
    pub(crate) fn new(stream: TcpStream, timeout: Duration) -> Self {
        Self { stream, timeout, timer: None }
    }

    /// Returns the result of a write unchanged, or an error if it has been pending for too long.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match written {
            Poll::Pending => {}
            // The system has a timeout of its own, which can fire first on a busy machine.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                return Poll::Ready(Err(self.stalled()));
            }
            Poll::Ready(_) => {
                self.timer = None;
                return written;
            }
        }
        let timeout = self.timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(timeout)));
        timer.as_mut().poll(cx).map(|()| Err(self.stalled()))
    }

    fn stalled(&self) -> io::Error {
        // Without this, the system would keep the unsent data for minutes after the close.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        io::Error::new(io::ErrorKind::TimedOut, WriteStalledError(self.timeout))
    }
}

impl AsyncRead for StallGuard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for StallGuard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(cx) {
            // Flushing a socket always succeeds, so success is not progress of a pending write.
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            flushed => self.watch(cx, flushed),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::net::TcpListener;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn progress_resets_the_write_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stream = TcpStream::connect(address).await.expect("a connection");
        let mut guard = StallGuard::new(stream, Duration::from_secs(30));
        let mut cx = Context::from_waker(Waker::noop());

        for _ in 0..3 {
            assert!(guard.watch::<()>(&mut cx, Poll::Pending).is_pending());
            advance(Duration::from_secs(29)).await;
            assert!(guard.watch::<()>(&mut cx, Poll::Pending).is_pending());
            assert!(guard.watch(&mut cx, Poll::Ready(Ok(1))).is_ready());
        }
        assert!(guard.watch::<()>(&mut cx, Poll::Pending).is_pending());
        advance(Duration::from_secs(31)).await;
        let Poll::Ready(Err(error)) = guard.watch::<()>(&mut cx, Poll::Pending) else {
            panic!("the write has not timed out");
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(WriteStalledError::caused(&error));
        assert!(WriteStalledError::caused(&io::Error::other(error)));
        assert!(!WriteStalledError::caused(&io::Error::other("another error")));
    }
}
