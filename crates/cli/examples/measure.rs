//! Measures how much memory `import`, `apply` and `export` take.
//!
//! ```sh
//! cargo build --release -p crm-chat-cli
//! cargo run --release -p crm-chat-cli --example measure
//! ```
//!
//! Linux only: the peak of a process is `VmHWM` of its `/proc/PID/status`, read again and again until it ends.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const CHATS: u64 = 100_000;
const MEMBERS: u64 = 10;
const REQUESTS: u64 = 100_000;

/// The limits: times the document for `import`, MiB above an idle process for `apply` and `export`.
const IMPORT_LIMIT: f64 = 4.0;
const APPLY_LIMIT: f64 = 64.0;
const EXPORT_LIMIT: f64 = 8.0;

const MIB: f64 = 1024.0 * 1024.0;

fn main() -> io::Result<ExitCode> {
    let folder = tempfile::tempdir()?;
    let (document, requests) = (folder.path().join("world.json"), folder.path().join("requests"));
    write_document(&document)?;
    write_requests(&requests)?;

    let size = megabytes(&document)?;
    let import = run(folder.path(), &["import".as_ref(), document.as_ref()])?;
    import.print("import");
    let times = import.peak / size;
    println!("  {times:.2} times the document of {size:.1} MiB; the limit is {IMPORT_LIMIT}");

    let idle = idle(folder.path())?;
    let apply = run(folder.path(), &["apply".as_ref(), requests.as_ref()])?;
    apply.print("apply");
    let above = apply.peak - idle;
    println!(
        "  {above:.1} MiB above the {idle:.1} MiB of an idle process; the limit is {APPLY_LIMIT}"
    );
    println!("  {:.0} requests a second", per_second(REQUESTS, apply.time));

    let export = run(folder.path(), &["export".as_ref()])?;
    export.print("export");
    let streamed = export.peak - idle;
    println!("  {streamed:.1} MiB above an idle process; the limit is {EXPORT_LIMIT}");

    let held = times <= IMPORT_LIMIT && above <= APPLY_LIMIT && streamed <= EXPORT_LIMIT;
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Chat `n` belongs to `deal:n`, and user 1 may remove each of its members from it.
fn write_document(path: &Path) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let deal = |id| format!(r#"{{"type":"deal","id":{id}}}"#);
    write!(out, r#"{{"users":["#)?;
    list(&mut out, 1..=MEMBERS * CHATS / 100, |id| format!(r#"{{"id":{id},"active":true}}"#))?;
    write!(out, r#"],"chats":["#)?;
    list(&mut out, 1..=CHATS, |id| {
        let members: Vec<String> = (0..MEMBERS).map(|nth| member(id, nth).to_string()).collect();
        format!(r#"{{"id":{id},"owner":{},"members":[{}]}}"#, member(id, 0), members.join(","))
    })?;
    write!(out, r#"],"links":["#)?;
    list(&mut out, 1..=CHATS, |id| format!(r#"{{"entity":{},"chat":{id}}}"#, deal(id)))?;
    write!(out, r#"],"access":["#)?;
    list(&mut out, 1..=CHATS, |id| format!(r#"{{"user":1,"entity":{}}}"#, deal(id)))?;
    write!(out, r#"],"removers":["#)?;
    list(&mut out, 1..=CHATS, |id| format!(r#"{{"user":1,"chat":{id}}}"#))?;
    write!(out, "]}}")?;
    out.flush()
}

/// Every request removes somebody: the owner of one chat in ten, and an ordinary member of the others.
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

/// The `nth` member of a chat. The chats share the users.
fn member(chat: u64, nth: u64) -> u64 {
    (chat * 7 + nth * 997) % (MEMBERS * CHATS / 100) + 1
}

fn list<T: Display>(
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

struct Measured {
    peak: f64,
    time: Duration,
}

impl Measured {
    fn print(&self, what: &str) {
        println!("{what}: peak {:.1} MiB, {:.1} s", self.peak, self.time.as_secs_f64());
    }
}

/// Runs the program to its end.
fn run(folder: &Path, arguments: &[&Path]) -> io::Result<Measured> {
    let start = Instant::now();
    let mut child = program(folder)?.args(arguments).spawn()?;
    let mut peak = 0.0_f64;
    let status = loop {
        peak = peak.max(high_water(&child).unwrap_or(0.0));
        match child.try_wait()? {
            Some(status) => break status,
            None => thread::sleep(Duration::from_millis(1)),
        }
    };
    assert!(status.success(), "{arguments:?}: {status}");
    let time = start.elapsed();
    Ok(Measured { peak, time })
}

/// The peak of an `apply` that has opened the store and waits for its input.
fn idle(folder: &Path) -> io::Result<f64> {
    let mut child = program(folder)?.arg("apply").stdin(Stdio::piped()).spawn()?;
    thread::sleep(Duration::from_secs(1));
    let peak = high_water(&child).ok_or(io::ErrorKind::Unsupported)?;
    child.kill()?;
    child.wait()?;
    Ok(peak)
}

/// The program that was built beside this example.
fn program(folder: &Path) -> io::Result<Command> {
    let example = std::env::current_exe()?;
    let built: Option<PathBuf> = example.ancestors().nth(2).map(|folder| folder.join("crm-chat"));
    let mut command = Command::new(built.ok_or(io::ErrorKind::NotFound)?);
    command
        .current_dir(folder)
        .env_remove("CRM_CHAT_STORE")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    Ok(command)
}

/// The most memory that a process ever had resident, in MiB.
fn high_water(child: &Child) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes / 1024.0)
}

#[expect(clippy::cast_precision_loss, reason = "a few MiB more or less")]
fn megabytes(path: &Path) -> io::Result<f64> {
    Ok(path.metadata()?.len() as f64 / MIB)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
