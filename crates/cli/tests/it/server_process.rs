//! A server process, and connections to it.

#![cfg(unix)]

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::TestDir;

/// The name of the file that a server logs to.
pub(crate) const LOG_FILE: &str = "serve.log";

/// The time after which a test that hangs fails.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_mins(1);

/// A running `crm-chat serve`.
pub(crate) struct ServerProcess {
    pub(crate) child: Child,
    /// Kept open, because the program may still print.
    _stdout: BufReader<ChildStdout>,
    /// The address that the server printed.
    pub(crate) address: String,
    /// The example request that the server printed.
    pub(crate) curl: String,
}

impl ServerProcess {
    /// Starts a server that logs to the file [`LOG_FILE`].
    pub(crate) fn start(dir: &TestDir) -> Self {
        Self::with_options(dir, "")
    }

    /// Starts a server with more options, separated by spaces.
    pub(crate) fn with_options(dir: &TestDir, options: &str) -> Self {
        let log = File::create(dir.path(LOG_FILE)).unwrap();
        let options = options.split_whitespace();
        Self::spawn(
            dir.command(["serve", "--listen", "127.0.0.1:0"].into_iter().chain(options)),
            log,
        )
    }

    /// Starts a server that logs elsewhere.
    pub(crate) fn logging_to(dir: &TestDir, log: impl Into<Stdio>) -> Self {
        Self::spawn(dir.command(["serve", "--listen", "127.0.0.1:0"]), log)
    }

    /// Starts a server and waits until it listens.
    pub(crate) fn spawn(mut command: Command, log: impl Into<Stdio>) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let [mut first, mut curl] = [String::new(), String::new()];
        stdout.read_line(&mut first).unwrap();
        stdout.read_line(&mut curl).unwrap();
        let address = first.trim().rsplit_once('/').map(|(_, address)| address.to_owned());
        let address = address.unwrap_or_else(|| panic!("no address in {first:?}"));
        Self { child, _stdout: stdout, address, curl }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Stops the server by SIGTERM and returns its exit status.
    pub(crate) fn stop(self) -> ExitStatus {
        self.signal("-TERM");
        self.wait()
    }

    /// Waits until the server ends and returns its exit status.
    pub(crate) fn wait(mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < TEST_TIMEOUT, "the server does not stop");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Kills the server, so that a test that fails does not leave it running.
impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP connection that sends one request after another.
pub(crate) struct HttpConnection(pub(crate) BufReader<TcpStream>);

impl HttpConnection {
    pub(crate) fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(TEST_TIMEOUT))?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(crate) fn post(&mut self, path: &str, body: &Value) -> io::Result<(u16, Value)> {
        self.send(path, &body.to_string())
    }

    pub(crate) fn send(&mut self, path: &str, body: &str) -> io::Result<(u16, Value)> {
        let length = body.len();
        let (status, answer) = self.exchange(&format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        ))?;
        Ok((status, serde_json::from_slice(&answer).unwrap_or(Value::Null)))
    }

    pub(crate) fn get(&mut self, path: &str) -> io::Result<(u16, String)> {
        let (status, answer) = self.exchange(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"))?;
        Ok((status, String::from_utf8(answer).unwrap()))
    }

    /// Sends a complete request, and returns the status and the body of the response.
    pub(crate) fn exchange(&mut self, request: &str) -> io::Result<(u16, Vec<u8>)> {
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut length = 0;
        while line.trim() != "" {
            line.clear();
            self.0.read_line(&mut line)?;
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer)?;
        Ok((status, answer))
    }
}

/// Issues a webhook for a user and returns its secret.
pub(crate) fn issue_webhook(dir: &TestDir, user: i64) -> String {
    dir.run(&format!("webhook add --user {user}")).assert_success().stdout.trim().to_owned()
}

/// Waits until a server's log contains a text, and returns the log.
#[track_caller]
pub(crate) fn wait_for_log(dir: &TestDir, text: &str) -> String {
    let began = Instant::now();
    loop {
        let log = fs::read_to_string(dir.path(LOG_FILE)).unwrap();
        if log.contains(text) {
            return log;
        }
        assert!(began.elapsed() < TEST_TIMEOUT, "no `{text}` in {log}");
        thread::sleep(Duration::from_millis(5));
    }
}
