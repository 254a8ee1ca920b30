//! PgBouncer in front of a PostgreSQL server.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

use super::folder::Folder;
use super::instance::{Instance, Plan};
use super::postgres::Postgres;
use super::program::Program;

/// Debian's.
const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// When a pooler takes a client's server session away again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// When the client goes.
    Session,
    /// When the client's transaction ends.
    Transaction,
}

/// A running pooler. Dropping it stops it.
pub struct PgBouncer {
    instance: Instance,
}

impl PgBouncer {
    /// Starts a pooler for all databases of a server, with the server's own certificate. It knows the passwords of these users from a
    /// file, which nobody changes. Without any it asks the server (`auth_query`), so it knows new passwords at once.
    pub async fn start(
        server: &Postgres,
        pooling: Pooling,
        passwords: &[(&str, &str)],
    ) -> io::Result<PgBouncer> {
        if !Path::new(PROGRAM).exists() {
            return Err(io::Error::other(
                "PgBouncer is not installed: `cargo xtask setup`, or apt-get install pgbouncer",
            ));
        }
        let folder = Folder::new()?;
        folder.write("users.txt", &users(server, passwords))?;
        if let Some(identity) = server.identity() {
            folder.write("server.crt", &identity.certificate_pem)?;
            folder.write("server.key", &identity.key_pem)?;
        }
        let settings = settings(server, pooling, passwords.is_empty());
        let mut instance = Instance::new(plan(settings), folder);
        instance.start().await?;
        Ok(PgBouncer { instance })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.instance.port()
    }

    /// Its output so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.instance.log()).unwrap_or_default()).into_owned()
    }
}

fn plan(settings: String) -> Plan {
    let program = Program::Native(vec![PROGRAM.into()]);
    Plan {
        name: "PgBouncer".to_owned(),
        command: Box::new(move |folder, port| {
            // The port has no option on the command line.
            let (file, settings) =
                (folder.join("pgbouncer.ini"), format!("{settings}listen_port = {port}\n"));
            fs::write(&file, settings).expect("the folder can be written");
            let mut command: Vec<OsString> = program.server_command(folder);
            command.push(file.into());
            command
        }),
        is_ready: |_, log| log.contains("process up"),
        stop_signal: "TERM",
        last_signal: "KILL",
    }
}

fn users(server: &Postgres, passwords: &[(&str, &str)]) -> String {
    let own = (server.superuser(), server.superuser_password());
    let mut file = String::new();
    for (user, password) in passwords.iter().chain([&own]) {
        let _ = writeln!(file, "\"{user}\" \"{password}\"");
    }
    file
}

fn settings(server: &Postgres, pooling: Pooling, asks: bool) -> String {
    let mode = match pooling {
        Pooling::Session => "session",
        Pooling::Transaction => "transaction",
    };
    let tls = if server.identity().is_some() {
        "client_tls_sslmode = allow\nclient_tls_cert_file = server.crt\nclient_tls_key_file = server.key\n"
    } else {
        ""
    };
    let asked = match asks {
        true => format!(
            "auth_user = {}\nauth_query = SELECT usename, passwd FROM pg_shadow WHERE usename = $1\n",
            server.superuser()
        ),
        false => String::new(),
    };
    format!(
        "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nunix_socket_dir =\npool_mode = {mode}\n\
         auth_type = scram-sha-256\nauth_file = users.txt\n{asked}{tls}server_tls_sslmode = disable\n",
        server.port()
    )
}
