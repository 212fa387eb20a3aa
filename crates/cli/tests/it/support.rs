//! A directory for each test, and the program running in it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A document in which chat 8773 is the last chat of `deal:288`.
///
/// User 7 owns the chat, 30 is a bot, and 40 is inactive. User 1 may remove users from it. User 2
/// has access to the deal only. `contact:3` has no chat.
pub(crate) const WORLD: &str = include_str!("world.json");

/// A temporary directory in which the program runs.
pub(crate) struct TestDir {
    directory: TempDir,
}

/// The result of running the program.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The exit status, or `None` if a signal ended the program.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl TestDir {
    /// Creates an empty directory.
    pub(crate) fn empty() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    /// Creates a directory with a store, and imports a document into it.
    pub(crate) fn with_store(document: &str) -> Self {
        let dir = Self::empty();
        dir.run_with_stdin("import", document).assert_success();
        dir
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Returns the names of the files in the directory, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        let mut files: Vec<_> = entries.map(|entry| name(entry).into_string().unwrap()).collect();
        files.sort();
        files
    }

    /// Returns a command that runs the program in the directory.
    pub(crate) fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crm-chat"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_remove("CRM_CHAT_STORE")
            .env_remove("CRM_CHAT_CREDENTIALS")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts the program with its standard input open.
    pub(crate) fn spawn(&self, line: &str) -> Child {
        let mut command = self.command(line.split(' '));
        command.stdin(Stdio::piped()).spawn().unwrap()
    }

    /// Runs the program with arguments that are separated by spaces.
    pub(crate) fn run(&self, line: &str) -> Finished {
        self.run_args(line.split(' '))
    }

    /// Runs the program with arguments.
    pub(crate) fn run_args<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Finished {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs the program with text on its standard input.
    pub(crate) fn run_with_stdin(&self, line: &str, input: impl AsRef<[u8]>) -> Finished {
        let mut child = self.spawn(line);
        let mut stdin = child.stdin.take().unwrap();
        let input = input.as_ref().to_vec();
        // The error of a program that does not read its whole input is ignored.
        let writer = std::thread::spawn(move || stdin.write_all(&input).is_ok());
        let finished = child.wait_with_output().unwrap().into();
        writer.join().unwrap();
        finished
    }

    /// Exports the store.
    pub(crate) fn export(&self) -> String {
        self.run("export").assert_success().stdout
    }

    /// Exports the store and parses the document.
    pub(crate) fn export_json(&self) -> Value {
        serde_json::from_str(&self.export()).unwrap()
    }

    /// Returns the records of the removal log.
    pub(crate) fn removal_log(&self) -> Vec<Value> {
        self.run("log").assert_success().json_lines()
    }
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Finished {
    #[track_caller]
    pub(crate) fn assert_success(self) -> Self {
        self.assert_status(0)
    }

    #[track_caller]
    pub(crate) fn assert_status(self, expected: i32) -> Self {
        assert_eq!(self.status, Some(expected), "{self:?}");
        self
    }

    /// Asserts that standard error contains a text.
    #[track_caller]
    pub(crate) fn assert_stderr_has(self, expected: &str) -> Self {
        assert!(self.stderr.contains(expected), "no `{expected}` in {self:?}");
        self
    }

    /// Asserts that standard output is exactly a text.
    #[track_caller]
    pub(crate) fn assert_stdout(self, expected: &str) -> Self {
        assert_eq!(self.stdout, expected, "{self:?}");
        self
    }

    /// Parses standard output as lines of JSON.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line);
        self.stdout.lines().map(parse).collect::<Result<_, _>>().unwrap()
    }
}
