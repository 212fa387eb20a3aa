//! Serves a SQLite store to callers whose credentials last as long as the process: to try things by
//! hand.
//!
//! `serve --store PATH [--listen ADDR] [--tls-cert FILE --tls-key FILE] [--rate-limit] [--webhook
//! WHO]… [--token WHO]…`
//!
//! `WHO` is `USER[:SCOPE,…[:SECONDS]]`: `1`, `1:` without a scope, `1:imopenlines:0` as a token
//! that has expired. Printed are `listening on http://ADDR`, and then for each credential, in the
//! order given, `webhook USER SECRET` or `token USER TOKEN`.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use crm_chat_credentials::{CredentialStore, MemoryCredentials, Scopes};
use crm_chat_domain::UserId;
use crm_chat_rest::{Options, Server, Tls, shutdown_signal};
use crm_chat_sqlite::Sqlite;

type AnyError = Box<dyn Error + Send + Sync>;

#[derive(Default)]
struct Args {
    store: Option<String>,
    listen: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    options: Options,
    /// Whether it is a webhook, and whose.
    credentials: Vec<(bool, String)>,
}

fn args() -> Result<Args, AnyError> {
    let mut found = Args::default();
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        if name == "--rate-limit" {
            found.options.rate_limit = true;
            continue;
        }
        let value = args.next().ok_or_else(|| format!("{name} lacks its value"))?;
        match name.as_str() {
            "--store" => found.store = Some(value),
            "--listen" => found.listen = Some(value),
            "--tls-cert" => found.certificate = Some(value),
            "--tls-key" => found.key = Some(value),
            "--webhook" => found.credentials.push((true, value)),
            "--token" => found.credentials.push((false, value)),
            _ => return Err(format!("what is {name}?").into()),
        }
    }
    Ok(found)
}

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let args = args()?;
    let store = Sqlite::open(args.store.ok_or("--store is missing")?).await?;
    let mut lines = Vec::new();
    let credentials = MemoryCredentials::new()?;
    for (webhook, who) in &args.credentials {
        lines.push(issue(&credentials, *webhook, who).await?);
    }

    let stop = shutdown_signal()?;
    let listen = args.listen.as_deref().unwrap_or("127.0.0.1:8080");
    let mut server = Server::bind(listen, store, credentials, args.options).await?;
    let mut scheme = "http";
    if let Some((certificate, key)) = args.certificate.zip(args.key) {
        server = server.with_tls(Tls::from_files(certificate, key)?);
        scheme = "https";
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on {scheme}://{}", server.local_addr()?)?;
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    drop(out);
    server.run(stop).await;
    Ok(())
}

async fn issue(
    credentials: &MemoryCredentials,
    webhook: bool,
    who: &str,
) -> Result<String, AnyError> {
    let mut parts = who.split(':');
    let user: UserId = parts.next().unwrap_or_default().parse()?;
    let scopes = parts.next().unwrap_or("imopenlines");
    let scopes: Scopes = scopes.split(',').filter(|scope| !scope.is_empty()).collect();
    let seconds = parts.next().unwrap_or("3600").parse()?;
    let (kind, issued) = if webhook {
        ("webhook", credentials.add_webhook(user, scopes).await?)
    } else {
        let lifetime = Duration::from_secs(seconds);
        ("token", credentials.add_token(user, scopes, lifetime).await?)
    };
    Ok(format!("{kind} {user} {}", issued.secret.expose()))
}
