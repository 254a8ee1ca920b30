//! The common part of all running database servers: address, superuser and log.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::folder::Folder;
use super::instance::{Instance, Plan};
use super::running::RunningServer;
use crate::certs::{Authority, Identity};

/// A running server. Dropping it stops it and removes its data.
pub struct Server {
    scheme: &'static str,
    host: String,
    port: u16,
    superuser: String,
    password: String,
    ca_pem: String,
    /// `None` without TLS, and for a server that was running already.
    identity: Option<Identity>,
    /// The file with the server's output, if it is known.
    log: Option<PathBuf>,
    /// `None` for a server that was running already.
    instance: Option<Instance>,
}

/// A server whose folder is ready.
pub(super) struct LaidOut {
    pub(super) scheme: &'static str,
    pub(super) superuser: &'static str,
    pub(super) password: String,
    pub(super) authority: Authority,
    pub(super) identity: Option<Identity>,
    pub(super) plan: Plan,
    pub(super) folder: Folder,
}

impl Server {
    /// Starts a server and waits until it takes connections.
    pub(super) async fn start(
        prepare: impl FnOnce() -> io::Result<LaidOut> + Send + 'static,
    ) -> io::Result<Server> {
        // In an async task, fetching, unpacking and copying would block everything else.
        let laid_out = tokio::task::spawn_blocking(prepare).await.map_err(io::Error::other)??;
        let LaidOut { scheme, superuser, password, authority, identity, plan, folder } = laid_out;
        let ca_pem = authority.pem();
        folder.write("ca.pem", &ca_pem)?;
        let mut instance = Instance::new(plan, folder);
        instance.start().await?;
        Ok(Server {
            scheme,
            host: "localhost".to_owned(),
            port: instance.port(),
            superuser: superuser.to_owned(),
            password,
            ca_pem,
            identity,
            log: Some(instance.log()),
            instance: Some(instance),
        })
    }

    /// A server that runs already.
    pub(super) fn already_running(scheme: &'static str, running: RunningServer) -> Server {
        let RunningServer { host, port, user, password, ca_pem, log } = running;
        Server { scheme, host, port, superuser: user, password, ca_pem, identity: None, log, instance: None }
    }

    /// The name that the certificate is for.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port it listens on, the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The user that may do anything.
    pub fn superuser(&self) -> &str {
        &self.superuser
    }

    /// The superuser's password.
    pub fn superuser_password(&self) -> &str {
        &self.password
    }

    /// The authority that a client has to trust, PEM. (It did not sign the certificate of `UnknownAuthority`.)
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The certificate and key, for a proxy that opens the server's TLS; `None` without TLS, and for a server that was running already.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The server's output so far; empty for a server that was running already and named no log.
    pub fn log(&self) -> String {
        let log = self.log.as_ref().map(|log| fs::read(log).unwrap_or_default());
        String::from_utf8_lossy(&log.unwrap_or_default()).into_owned()
    }

    /// The URL that gives this server to another process, in `TURNLOCK_TEST_POSTGRES_URL` or a similar variable; `None` if the server
    /// was running already.
    pub fn url(&self) -> Option<String> {
        let (ca, log) = (self.file("ca.pem")?, self.file("log")?);
        let Server { scheme, host, port, superuser, password, .. } = self;
        let files = format!("sslrootcert={}&log={}", ca.display(), log.display());
        Some(format!("{scheme}://{superuser}:{password}@{host}:{port}/?{files}"))
    }

    /// A file in the server's folder; `None` if the server was running already.
    pub(super) fn file(&self, name: &str) -> Option<PathBuf> {
        self.instance.as_ref().map(|instance| instance.file(name))
    }

    /// Stops the server, ending all sessions; its data and port stay.
    pub fn stop(&mut self) -> io::Result<()> {
        self.instance()?.stop()
    }

    /// Stops the server if it runs, and starts it again.
    pub async fn restart(&mut self) -> io::Result<()> {
        let instance = self.instance()?;
        instance.stop()?;
        instance.start().await
    }

    fn instance(&mut self) -> io::Result<&mut Instance> {
        self.instance
            .as_mut()
            .ok_or_else(|| io::Error::other("a server that was running over is not ours to stop"))
    }
}
