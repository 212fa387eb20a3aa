//! `serve`: serves the REST method over HTTP.

mod open_files;
mod server_log;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use crm_chat_credentials::SqliteCredentials;
use crm_chat_rest::{
    ExternalMetric, HangupSignal, Options, Server, Tls, hangup_signal, shutdown_signal,
};
use crm_chat_sqlite::Sqlite;

use self::server_log::{LogLevel, ServerLog};
use crate::commands::Run;
use crate::console::Console;
use crate::credentials::CredentialsFile;
use crate::error::CommandError;
use crate::store_url::StoreUrl;

const HELP: &str = "\
Callers need a webhook or a token: `crm-chat webhook add --user N` issues a
webhook. `/openapi.json` describes the methods; `/healthz`, `/readyz` and
`/metrics` are for monitoring. The log goes to standard error. If the log cannot
be written, lines are dropped and counted in `/metrics`; requests are answered
all the same.

SIGINT and SIGTERM shut the server down: requests that have arrived are
answered, and whatever is not done after ten seconds is aborted. SIGHUP reloads
the certificate.";

/// Serve the REST method over HTTP
#[derive(Args)]
#[command(after_long_help = HELP)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    credentials: CredentialsFile,
    /// Address to listen on; port 0 selects a free port
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:8080",
        value_parser = parse_host_and_port
    )]
    listen: String,
    /// Certificate chain for TLS, in PEM format
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate, in PEM format
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Limit each credential to 2 calls a second, with bursts of up to 50
    #[arg(long)]
    rate_limit: bool,
    /// Maximum number of connections from one address; a proxy counts as one address
    #[arg(
        long,
        value_name = "N",
        default_value_t = Options::default().max_connections_per_peer
    )]
    max_connections_per_peer: usize,
    /// Log the peer address from `X-Forwarded-For`; use only behind a proxy that sets it
    #[arg(long)]
    trust_forwarded: bool,
    /// Time to keep serving after a shutdown signal, while `/readyz` answers 503
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    drain: u32,
    /// Level of detail of the log; each level includes those before it
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: LogLevel,
}

/// Checks the form of an address. Host names are resolved when the server starts.
fn parse_host_and_port(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            Ok(text.to_owned())
        }
        _ => Err("expected HOST:PORT, such as `127.0.0.1:8080`".to_owned()),
    }
}

impl Run for ServeArgs {
    fn run(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), CommandError> {
        let opened = store.open()?;
        let credentials = self.credentials.open()?;
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(Tls::from_files(certificate, key).map_err(startup_error)?)
            }
            _ => None,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(startup_error)?;
        let log = ServerLog::start(self.log_level).map_err(startup_error)?;
        if store.is_open_to_others() {
            tracing::warn!(%store, "other users can read or lock the store; use `chmod 600`");
        }
        let mut options = Options::default();
        options.rate_limit = self.rate_limit;
        options.max_connections_per_peer = self.max_connections_per_peer;
        options.trust_forwarded = self.trust_forwarded;
        options.drain = Duration::from_secs(self.drain.into());
        options.metrics = vec![lost_lines_metric(&log), wal_bytes_metric(&opened)];
        runtime.block_on(self.serve(opened, credentials, tls, options, console))
    }
}

impl ServeArgs {
    /// Serves until a shutdown signal arrives.
    async fn serve(
        &self,
        store: Sqlite,
        credentials: SqliteCredentials,
        tls: Option<Tls>,
        mut options: Options,
        console: &mut Console<'_>,
    ) -> Result<(), CommandError> {
        options.max_connections = open_files::raise_limit(options.max_connections);
        // Installed before the address is printed: a signal may arrive as soon as it is.
        let stop = shutdown_signal().map_err(startup_error)?;
        let hangup = hangup_signal().map_err(startup_error)?;
        tokio::spawn(reload_on(hangup, tls.clone()));
        let scheme = if tls.is_some() { "https" } else { "http" };

        let server = Server::bind(&self.listen, store, credentials, options).await;
        let mut server = server.map_err(|error| {
            CommandError::failed(format_args!("cannot listen on `{}`: {error}", self.listen))
        })?;
        let address = server.local_addr().map_err(startup_error)?;
        if let Some(tls) = tls {
            server = server.with_tls(tls);
        } else if !is_loopback(address) {
            tracing::warn!(
                %address,
                "secrets are sent in plain text over the network; use `--tls-cert`"
            );
        }
        print_address(&format!("{scheme}://{address}"), console)?;
        server.run(stop).await;
        Ok(())
    }
}

fn lost_lines_metric(log: &ServerLog) -> ExternalMetric {
    let help = "Log lines lost because they could not be written in time";
    ExternalMetric::counter("log_lines_lost", help, log.lost_lines())
}

fn wal_bytes_metric(store: &Sqlite) -> ExternalMetric {
    let store = store.clone();
    let help = "Bytes in the write-ahead log of the store";
    ExternalMetric::gauge("store_wal_bytes", help, move || store.wal_bytes())
}

/// Reloads the certificate at each SIGHUP. Without TLS the signal is handled too, because it would
/// otherwise end the process.
async fn reload_on(mut hangup: HangupSignal, tls: Option<Tls>) {
    loop {
        hangup.received().await;
        match tls.as_ref().map(Tls::reload) {
            None => tracing::info!("nothing to reload: the server speaks plain HTTP"),
            Some(Ok(())) => tracing::info!("reloaded the certificate"),
            Some(Err(error)) => tracing::error!(
                error = %with_causes(&error),
                "cannot reload the certificate; the previous one stays in use"
            ),
        }
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Prints the address and an example request. Failing to print them is an error, because the
/// process that started the server may be waiting for the address.
fn print_address(address: &str, console: &mut Console<'_>) -> Result<(), CommandError> {
    let lines = format!(
        "listening on {address}\n\
         curl '{address}/rest/USER/SECRET/imopenlines.crm.chat.user.delete' \
         -d CRM_ENTITY_TYPE=deal -d CRM_ENTITY=DEAL -d USER_ID=MEMBER\n"
    );
    let printed = console.out.write_all(lines.as_bytes());
    printed
        .and_then(|()| console.out.flush())
        .map_err(|error| CommandError::failed(format_args!("cannot print the address: {error}")))
}

/// Converts a start-up error, with its causes, into a command error.
fn startup_error(error: impl Error) -> CommandError {
    CommandError::failed(with_causes(&error))
}

/// Formats an error and its causes, separated by colons.
fn with_causes(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        next = cause.source();
    }
    message
}
