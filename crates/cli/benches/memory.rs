//! Measures the peak memory of `import`, `apply` and `export`, and fails if one exceeds its limit.
//!
//! ```sh
//! cargo bench -p crm-chat-cli --bench memory
//! ```
//!
//! Linux only: the peak of a process is `VmHWM` in its `/proc/PID/status`, which is polled until
//! the process ends.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const CHATS: u64 = 100_000;
const MEMBERS: u64 = 10;
const REQUESTS: u64 = 100_000;

/// The limit of `import`, as a multiple of the size of the document.
const IMPORT_LIMIT: f64 = 4.0;
/// The limit of `apply`, in MiB above an idle process.
const APPLY_LIMIT: f64 = 64.0;
/// The limit of `export`, in MiB above an idle process.
const EXPORT_LIMIT: f64 = 8.0;

const MIB: f64 = 1024.0 * 1024.0;

fn main() -> io::Result<ExitCode> {
    let directory = tempfile::tempdir()?;
    let document = directory.path().join("world.json");
    let requests = directory.path().join("requests");
    write_document(&document)?;
    write_requests(&requests)?;

    let size = size_in_mib(&document)?;
    let import = run(directory.path(), &["import".as_ref(), document.as_ref()])?;
    import.print("import");
    let import_ratio = import.peak / size;
    println!(
        "  {import_ratio:.2} times the document of {size:.1} MiB; the limit is {IMPORT_LIMIT}"
    );

    let idle = peak_of_idle_process(directory.path())?;
    let apply = run(directory.path(), &["apply".as_ref(), requests.as_ref()])?;
    apply.print("apply");
    let apply_growth = apply.peak - idle;
    println!(
        "  {apply_growth:.1} MiB above the {idle:.1} MiB of an idle process; \
         the limit is {APPLY_LIMIT}"
    );
    println!("  {:.0} requests per second", per_second(REQUESTS, apply.time));

    let export = run(directory.path(), &["export".as_ref()])?;
    export.print("export");
    let export_growth = export.peak - idle;
    println!("  {export_growth:.1} MiB above an idle process; the limit is {EXPORT_LIMIT}");

    let within_limits = import_ratio <= IMPORT_LIMIT
        && apply_growth <= APPLY_LIMIT
        && export_growth <= EXPORT_LIMIT;
    Ok(if within_limits { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes a document in which chat `n` belongs to `deal:n`, and user 1 may remove members from it.
fn write_document(path: &Path) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let deal = |id| format!(r#"{{"type":"deal","id":{id}}}"#);
    write!(out, r#"{{"users":["#)?;
    write_list(&mut out, 1..=MEMBERS * CHATS / 100, |id| {
        format!(r#"{{"id":{id},"active":true}}"#)
    })?;
    write!(out, r#"],"chats":["#)?;
    write_list(&mut out, 1..=CHATS, |id| {
        let members: Vec<String> = (0..MEMBERS).map(|nth| member(id, nth).to_string()).collect();
        format!(r#"{{"id":{id},"owner":{},"members":[{}]}}"#, member(id, 0), members.join(","))
    })?;
    write!(out, r#"],"links":["#)?;
    write_list(&mut out, 1..=CHATS, |id| format!(r#"{{"entity":{},"chat":{id}}}"#, deal(id)))?;
    write!(out, r#"],"access":["#)?;
    write_list(&mut out, 1..=CHATS, |id| format!(r#"{{"user":1,"entity":{}}}"#, deal(id)))?;
    write!(out, r#"],"removers":["#)?;
    write_list(&mut out, 1..=CHATS, |id| format!(r#"{{"user":1,"chat":{id}}}"#))?;
    write!(out, "]}}")?;
    out.flush()
}

/// Writes requests that all remove a user: the owner in one chat of ten, an ordinary member in the
/// others.
fn write_requests(path: &Path) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    for id in 1..=REQUESTS {
        let user = member(id, id % MEMBERS);
        writeln!(
            out,
            r#"{{"actor":1,"CRM_ENTITY_TYPE":"deal","CRM_ENTITY":{id},"USER_ID":{user}}}"#
        )?;
    }
    out.flush()
}

/// Returns the `nth` member of a chat. A user is a member of many chats.
fn member(chat: u64, nth: u64) -> u64 {
    (chat * 7 + nth * 997) % (MEMBERS * CHATS / 100) + 1
}

fn write_list<T: Display>(
    out: &mut impl Write,
    ids: impl Iterator<Item = u64>,
    item: impl Fn(u64) -> T,
) -> io::Result<()> {
    for (index, id) in ids.enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(out, "{comma}{}", item(id))?;
    }
    Ok(())
}

/// The measurements of one process.
struct Measurement {
    /// The peak resident memory, in MiB.
    peak: f64,
    time: Duration,
}

impl Measurement {
    fn print(&self, command: &str) {
        println!("{command}: peak {:.1} MiB, {:.1} s", self.peak, self.time.as_secs_f64());
    }
}

/// Runs the program until it ends, and measures it.
fn run(directory: &Path, arguments: &[&Path]) -> io::Result<Measurement> {
    let start = Instant::now();
    let mut child = program(directory).args(arguments).spawn()?;
    let mut peak = 0.0_f64;
    let status = loop {
        peak = peak.max(peak_memory(&child).unwrap_or(0.0));
        match child.try_wait()? {
            Some(status) => break status,
            None => thread::sleep(Duration::from_millis(1)),
        }
    };
    assert!(status.success(), "{arguments:?}: {status}");
    Ok(Measurement { peak, time: start.elapsed() })
}

/// Returns the peak resident memory of an `apply` that waits for its second line, in MiB.
fn peak_of_idle_process(directory: &Path) -> io::Result<f64> {
    let mut command = program(directory);
    let mut child = command.arg("apply").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    // The answer shows that the program has started up and is waiting for the next line.
    stdin.write_all(b"{}\n")?;
    BufReader::new(stdout).read_line(&mut String::new())?;
    let peak = peak_memory(&child).ok_or(io::ErrorKind::Unsupported)?;
    child.kill()?;
    child.wait()?;
    Ok(peak)
}

/// Returns a command that runs the program in a directory.
fn program(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crm-chat"));
    command
        .current_dir(directory)
        .env_remove("CRM_CHAT_STORE")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// Returns the peak resident memory of a running process, in MiB.
fn peak_memory(child: &Child) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes / 1024.0)
}

#[expect(clippy::cast_precision_loss, reason = "a few bytes do not matter")]
fn size_in_mib(path: &Path) -> io::Result<f64> {
    Ok(path.metadata()?.len() as f64 / MIB)
}

#[expect(clippy::cast_precision_loss, reason = "the rate is printed rounded")]
fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
