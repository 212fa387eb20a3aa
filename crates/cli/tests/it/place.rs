//! A folder of its own for each test, and the program in it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Chat 8773 is the last chat of `deal:288`; user 7 owns it, 30 is a bot, 40 is inactive. User 1 may remove users from
/// it; user 2 has access to the deal only. `contact:3` has no chat.
pub(crate) const WORLD: &str = include_str!("world.json");

pub(crate) struct Place {
    folder: TempDir,
}

/// What came of running the program.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    /// A folder whose store holds a document.
    pub(crate) fn holding(document: &str) -> Self {
        let place = Self::empty();
        place.feed("import", document).succeeded();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Names what lies in the folder, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        let mut files: Vec<_> = entries.map(|entry| name(entry).into_string().unwrap()).collect();
        files.sort();
        files
    }

    /// The program, to be run in the folder.
    pub(crate) fn program<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crm-chat"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("CRM_CHAT_STORE")
            .env_remove("CRM_CHAT_CREDENTIALS")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts the program with its standard input open.
    pub(crate) fn start(&self, line: &str) -> Child {
        let mut command = self.program(line.split(' '));
        command.stdin(Stdio::piped()).spawn().unwrap()
    }

    /// Runs the program with arguments that are parted by spaces.
    pub(crate) fn run(&self, line: &str) -> Ran {
        self.run_with(line.split(' '))
    }

    pub(crate) fn run_with<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Ran {
        self.program(arguments).output().unwrap().into()
    }

    /// Runs the program with an input.
    pub(crate) fn feed(&self, line: &str, input: impl AsRef<[u8]>) -> Ran {
        let mut child = self.start(line);
        let mut stdin = child.stdin.take().unwrap();
        let input = input.as_ref().to_vec();
        // A program that does not read to the end is no failure here.
        let writer = std::thread::spawn(move || stdin.write_all(&input).is_ok());
        let ran = child.wait_with_output().unwrap().into();
        writer.join().unwrap();
        ran
    }

    pub(crate) fn export(&self) -> String {
        self.run("export").succeeded().out
    }

    /// The store's content as JSON.
    pub(crate) fn content(&self) -> Value {
        serde_json::from_str(&self.export()).unwrap()
    }

    /// The removal log.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.run("log").succeeded().lines()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        self.ended(0)
    }

    #[track_caller]
    pub(crate) fn ended(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{self:?}");
        self
    }

    /// Checks that standard error has this in it.
    #[track_caller]
    pub(crate) fn said(self, text: &str) -> Self {
        assert!(self.err.contains(text), "no `{text}` in {self:?}");
        self
    }

    /// Checks what was printed as an answer.
    #[track_caller]
    pub(crate) fn answered(self, out: &str) -> Self {
        assert_eq!(self.out, out, "{self:?}");
        self
    }

    /// Reads the answer as lines of JSON.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line);
        self.out.lines().map(parse).collect::<Result<_, _>>().unwrap()
    }
}
