//! `serve`: answers the REST method over HTTP.

mod open_files;

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

use crate::console::Console;
use crate::credentials::CredentialsFile;
use crate::failure::Failure;
use crate::logging::{Log, LogLevel};
use crate::store_url::StoreUrl;

pub(crate) const HELP: &str = "\
Callers need a webhook or a token: `crm-chat webhook add --user N` issues one.
`/openapi.json` describes the methods; `/healthz`, `/readyz` and `/metrics` are
for monitoring. The log goes to standard error; a log that cannot be written
loses lines, which `/metrics` counts, and never an answer.

SIGINT or SIGTERM stops: requests that have arrived are answered, and after ten
seconds the rest is cut off. SIGHUP reads the certificate again.";

#[derive(Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    credentials: CredentialsFile,
    /// The address to listen on; port 0 picks a free one
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:8080",
        value_parser = host_and_port
    )]
    listen: String,
    /// The chain of certificates to speak TLS with, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Holds each credential to a leaky bucket of 50 calls that drains 2 a second
    #[arg(long)]
    rate_limit: bool,
    /// The most connections of one address; a proxy in front has one address
    #[arg(
        long,
        value_name = "N",
        default_value_t = Options::default().max_connections_per_peer
    )]
    max_connections_per_peer: usize,
    /// Takes the peer in the log from `X-Forwarded-For`: only behind a proxy that sets it
    #[arg(long)]
    trust_forwarded: bool,
    /// Keeps serving for a time after a signal to stop, while `/readyz` answers 503
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    drain: u32,
    /// The level of detail of the log; each level includes those before it
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: LogLevel,
}

/// Accepts what has the form of an address; names are looked up when the server starts.
fn host_and_port(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            Ok(text.to_owned())
        }
        _ => Err("an address is HOST:PORT, such as `127.0.0.1:8080`".to_owned()),
    }
}

impl Serve {
    pub(crate) fn run(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), Failure> {
        let opened = store.open()?;
        let credentials = self.credentials.open()?;
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(Tls::from_files(certificate, key).map_err(|error| unusable(&error))?)
            }
            _ => None,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| unusable(&error))?;
        let log = Log::start(self.log_level).map_err(|error| unusable(&error))?;
        if store.is_open_to_others() {
            tracing::warn!(%store, "other users can read or lock the store; use `chmod 600`");
        }
        let mut options = Options::default();
        options.rate_limit = self.rate_limit;
        options.max_connections_per_peer = self.max_connections_per_peer;
        options.trust_forwarded = self.trust_forwarded;
        options.drain = Duration::from_secs(self.drain.into());
        options.metrics = vec![lost_lines(&log), wal_bytes(&opened)];
        runtime.block_on(self.serve(opened, credentials, tls, options, console))
    }

    async fn serve(
        &self,
        store: Sqlite,
        credentials: SqliteCredentials,
        tls: Option<Tls>,
        options: Options,
        console: &mut Console<'_>,
    ) -> Result<(), Failure> {
        open_files::raise_limit(options.max_connections);
        let stop = shutdown_signal().map_err(|error| unusable(&error))?;
        let hangup = hangup_signal().map_err(|error| unusable(&error))?;
        tokio::spawn(reload_on(hangup, tls.clone()));
        let scheme = if tls.is_some() { "https" } else { "http" };

        let server = Server::bind(&self.listen, store, credentials, options).await;
        let mut server = server.map_err(|error| {
            Failure::input(format_args!("cannot listen at `{}`: {error}", self.listen))
        })?;
        let address = server.local_addr().map_err(|error| unusable(&error))?;
        if let Some(tls) = tls {
            server = server.with_tls(tls);
        } else if !is_loopback(address) {
            tracing::warn!(
                %address,
                "secrets are sent in plain text over the network; use `--tls-cert`"
            );
        }
        announce(&format!("{scheme}://{address}"), console)?;
        server.run(stop).await;
        Ok(())
    }
}

fn lost_lines(log: &Log) -> ExternalMetric {
    let help = "Log lines lost because they could not be written in time";
    ExternalMetric::counter("log_lines_lost", help, log.lost_lines())
}

fn wal_bytes(store: &Sqlite) -> ExternalMetric {
    let store = store.clone();
    let help = "Bytes in the journal of the store";
    ExternalMetric::gauge("store_wal_bytes", help, move || store.wal_bytes())
}

/// Reads the certificate again at each SIGHUP, which would end the process if it were not handled.
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

/// Prints the address and an example of a request. A process that started the server may wait for
/// it, so it is an error if it cannot be printed.
fn announce(address: &str, console: &mut Console<'_>) -> Result<(), Failure> {
    let lines = format!(
        "listening on {address}\n\
         curl '{address}/rest/USER/SECRET/imopenlines.crm.chat.user.delete' \
         -d CRM_ENTITY_TYPE=deal -d CRM_ENTITY=DEAL -d USER_ID=MEMBER\n"
    );
    let printed = console.out.write_all(lines.as_bytes());
    printed
        .and_then(|()| console.out.flush())
        .map_err(|error| Failure::input(format_args!("cannot print the address: {error}")))
}

/// Converts a start-up error, with its causes, into a command failure.
fn unusable(error: &dyn Error) -> Failure {
    Failure::input(with_causes(error))
}

fn with_causes(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        message.push_str(": ");
        message.push_str(&error.to_string());
        next = error.source();
    }
    message
}
