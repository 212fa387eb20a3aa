//! `serve`: answers the REST method over HTTP.

use std::io;
use std::path::PathBuf;

use clap::Args;
use crm_chat_rest::{Options, Server, SqliteCredentials, Tls, stop_signal};
use crm_chat_sqlite::Sqlite;

use crate::console::Console;
use crate::credentials::CredentialsFile;
use crate::failure::Failure;
use crate::store_url::StoreUrl;

pub(crate) const HELP: &str = "\
Callers need a webhook or a token: `crm-chat webhook add --user N` issues one.
What is served stands in `/openapi.json`; `/healthz`, `/readyz` and `/metrics`
are for whoever watches the server. The log goes to standard error.

SIGINT or SIGTERM stops: calls that were accepted are answered, later ones are
turned away, and after ten seconds the rest is cut off.";

#[derive(Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    credentials: CredentialsFile,
    /// The address; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
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
}

impl Serve {
    pub(crate) fn run(&self, store: &StoreUrl, console: &mut Console<'_>) -> Result<(), Failure> {
        let store = store.open()?;
        let credentials = self.credentials.open()?;
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(Tls::from_files(certificate, key).map_err(|error| unusable(&error))?)
            }
            _ => None,
        };
        tracing_subscriber::fmt()
            .with_writer(io::stderr)
            .with_ansi(false)
            .init();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| unusable(&error))?;
        runtime.block_on(self.serve(store, credentials, tls, console))
    }

    async fn serve(
        &self,
        store: Sqlite,
        credentials: SqliteCredentials,
        tls: Option<Tls>,
        console: &mut Console<'_>,
    ) -> Result<(), Failure> {
        let mut options = Options::default();
        options.rate_limit = self.rate_limit;
        let stop = stop_signal().map_err(|error| unusable(&error))?;
        let scheme = if tls.is_some() { "https" } else { "http" };

        let server = Server::bind(&self.listen, store, credentials, options).await;
        let mut server = server.map_err(|error| {
            Failure::input(format_args!("cannot listen at `{}`: {error}", self.listen))
        })?;
        if let Some(tls) = tls {
            server = server.with_tls(tls);
        }
        let address = server.local_addr().map_err(|error| unusable(&error))?;
        announce(&format!("{scheme}://{address}"), console)?;
        server.run(stop).await;
        Ok(())
    }
}

/// Prints where to call, and how. Whoever started the server may wait for it.
fn announce(address: &str, console: &mut Console<'_>) -> io::Result<()> {
    writeln!(console.out, "listening on {address}")?;
    writeln!(
        console.out,
        "curl '{address}/rest/USER/SECRET/imopenlines.crm.chat.user.delete' \
         -d CRM_ENTITY_TYPE=deal -d CRM_ENTITY=288 -d USER_ID=12"
    )?;
    console.out.flush()
}

/// Something that the server needs cannot be had.
fn unusable(error: &dyn std::error::Error) -> Failure {
    let mut message = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        message.push_str(": ");
        message.push_str(&error.to_string());
        next = error.source();
    }
    Failure::input(message)
}
