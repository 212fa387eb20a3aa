//! Serves a SQLite store with credentials that exist as long as the process, for experiments and
//! for the tests of the client libraries.
//!
//! ```text
//! serve --store PATH [--listen ADDRESS] [--tls-cert FILE --tls-key FILE] [--rate-limit]
//!       [--webhook CALLER]… [--token CALLER]…
//! ```
//!
//! `CALLER` is `USER[:SCOPE,…[:SECONDS]]`. For example, `1:` has no scopes, and `1:imopenlines:0`
//! is a token that has already expired. The program prints `listening on http://ADDRESS` and then,
//! for each credential in the given order, `webhook USER SECRET` or `token USER TOKEN`.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use crm_chat_credentials::{CredentialKind, CredentialStore, MemoryCredentials, Scopes};
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
    /// The credentials to issue, in order: their kinds and callers.
    credentials: Vec<(CredentialKind, String)>,
}

fn args() -> Result<Args, AnyError> {
    let mut parsed = Args::default();
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        if name == "--rate-limit" {
            parsed.options.rate_limit = true;
            continue;
        }
        let value = args.next().ok_or_else(|| format!("option {name} requires a value"))?;
        match name.as_str() {
            "--store" => parsed.store = Some(value),
            "--listen" => parsed.listen = Some(value),
            "--tls-cert" => parsed.certificate = Some(value),
            "--tls-key" => parsed.key = Some(value),
            "--webhook" => parsed.credentials.push((CredentialKind::Webhook, value)),
            "--token" => parsed.credentials.push((CredentialKind::Token, value)),
            _ => return Err(format!("unknown option {name}").into()),
        }
    }
    Ok(parsed)
}

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let args = args()?;
    let store = Sqlite::open(args.store.ok_or("option --store is required")?).await?;
    let mut lines = Vec::new();
    let credentials = MemoryCredentials::new()?;
    for (kind, caller) in &args.credentials {
        lines.push(issue(&credentials, *kind, caller).await?);
    }

    let shutdown = shutdown_signal()?;
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
    server.run(shutdown).await;
    Ok(())
}

async fn issue(
    credentials: &MemoryCredentials,
    kind: CredentialKind,
    caller: &str,
) -> Result<String, AnyError> {
    let mut parts = caller.split(':');
    let user: UserId = parts.next().unwrap_or_default().parse()?;
    let scopes = parts.next().unwrap_or("imopenlines");
    let scopes: Scopes = scopes.split(',').filter(|scope| !scope.is_empty()).collect();
    let seconds = parts.next().unwrap_or("3600").parse()?;
    let (name, issued) = match kind {
        CredentialKind::Webhook => ("webhook", credentials.add_webhook(user, scopes).await?),
        CredentialKind::Token => {
            let lifetime = Duration::from_secs(seconds);
            ("token", credentials.add_token(user, scopes, lifetime).await?)
        }
    };
    Ok(format!("{name} {user} {}", issued.secret.expose()))
}
