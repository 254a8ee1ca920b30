//! The databases that functions are tried on: started here, talkative, and asked who logs in.

use std::fmt;
use std::io;

use lab::certs::Identity;
use lab::servers::{MySql, Postgres, Redshift, Release, Tls};
use serde_json::{Value, json};

use super::asked::Engine;

/// MariaDB's own installer makes this account. It owns the view `mysql.user`, which functions may read.
const SYSTEM_ACCOUNT: [&str; 2] = [
    "CREATE OR REPLACE USER 'mariadb.sys'@'localhost' ACCOUNT LOCK PASSWORD EXPIRE",
    "GRANT SELECT, DELETE ON mysql.global_priv TO 'mariadb.sys'@'localhost'",
];

/// A server that this test started.
pub(super) enum Server {
    Postgres(u32, Postgres),
    MySql(Release, MySql),
    Redshift(Redshift),
}

impl Server {
    /// Starts one that writes down every statement.
    pub(super) async fn start(engine: Engine, tls: Tls) -> io::Result<Server> {
        let release = match engine {
            Engine::Postgres => {
                let version = Postgres::any();
                let options = Postgres::version(version)
                    .tls(tls)
                    .setting("log_statement", "all")
                    .setting("log_min_duration_statement", "0")
                    .setting("log_min_messages", "debug1")
                    .setting("max_connections", "200");
                return Ok(Server::Postgres(version, options.start().await?));
            }
            Engine::Redshift => return Ok(Server::Redshift(Redshift::start(tls).await?)),
            Engine::Mysql => Release::MYSQL_9,
            Engine::Mariadb => Release::MARIADB_10,
        };
        let options = MySql::release(release).tls(tls).setting("general_log", "1");
        let server = options.start().await?;
        if engine == Engine::Mariadb {
            for statement in SYSTEM_ACCOUNT {
                server.execute(statement).await?;
            }
        }
        Ok(Server::MySql(release, server))
    }

    /// Runs a statement as the superuser.
    pub(super) async fn run(&self, sql: &str) -> io::Result<()> {
        match self {
            Server::Postgres(_, server) => server.execute(sql).await,
            Server::MySql(_, server) => server.execute(sql).await,
            Server::Redshift(server) => server.execute(sql).await,
        }
    }

    /// Makes an account.
    pub(super) async fn add(&self, user: &str, password: &str) -> io::Result<()> {
        let password = password.replace('\\', "\\\\").replace('\'', "''");
        let account = self.account(user);
        self.run(&match self {
            Server::Postgres(..) => format!("CREATE ROLE {account} LOGIN PASSWORD E'{password}'"),
            Server::MySql(..) => format!("CREATE USER {account} IDENTIFIED BY '{password}'"),
            Server::Redshift(..) => format!("CREATE USER {account} PASSWORD '{password}'"),
        })
        .await
    }

    /// Gives an account every right there is.
    pub(super) async fn empower(&self, user: &str) -> io::Result<()> {
        let account = self.account(user);
        match self {
            Server::Postgres(..) => self.run(&format!("ALTER ROLE {account} SUPERUSER")).await,
            Server::MySql(..) => self.run(&format!("GRANT ALL ON *.* TO {account} WITH GRANT OPTION")).await,
            Server::Redshift(..) => self.run(&format!("ALTER USER {account} CREATEUSER")).await,
        }
    }

    /// An account in SQL.
    pub(super) fn account(&self, user: &str) -> String {
        match self {
            Server::Postgres(..) | Server::Redshift(..) => format!("\"{}\"", user.replace('"', "\"\"")),
            Server::MySql(..) => {
                format!("'{}'@'%'", user.replace('\\', "\\\\").replace('\'', "''"))
            }
        }
    }

    /// Makes a table that the account may read.
    pub(super) async fn share_table(&self, table: &str, user: &str) -> io::Result<()> {
        let account = self.account(user);
        let statements = match self {
            Server::Postgres(..) | Server::Redshift(..) => [
                format!("CREATE TABLE public.{table} (id int)"),
                format!("GRANT SELECT ON public.{table} TO {account}"),
            ],
            Server::MySql(..) => [
                format!("CREATE DATABASE {table}; CREATE TABLE {table}.{table} (id int)"),
                format!("GRANT SELECT ON {table}.{table} TO {account}"),
            ],
        };
        for statement in statements.iter().flat_map(|it| it.split("; ")) {
            self.run(statement).await?;
        }
        Ok(())
    }

    /// Takes the table from the account again.
    pub(super) async fn withhold_table(&self, table: &str, user: &str) -> io::Result<()> {
        let name = self.table(table);
        self.run(&format!("REVOKE SELECT ON {name} FROM {}", self.account(user))).await
    }

    fn table(&self, table: &str) -> String {
        match self {
            Server::Postgres(..) | Server::Redshift(..) => format!("public.{table}"),
            Server::MySql(..) => format!("{table}.{table}"),
        }
    }

    /// Whether a login with this value may read the table.
    pub(super) async fn reads(&self, value: &Value, table: &str) -> io::Result<bool> {
        let (user, password) = credential(value)?;
        let sql = format!("SELECT count(*) FROM {}", self.table(table));
        Ok(match self {
            Server::Postgres(_, server) => {
                let session = server.connect(&user, &password, "postgres").await;
                session.map_err(io::Error::other)?.batch_execute(&sql).await.is_ok()
            }
            Server::MySql(_, server) => server.query_as(&user, &password, &sql).await.is_ok(),
            Server::Redshift(server) => {
                let session = server.connect(&user, &password, "dev").await;
                session.map_err(io::Error::other)?.batch_execute(&sql).await.is_ok()
            }
        })
    }

    /// Whether the server accepts what a secret's value holds.
    pub(super) async fn accepts(&self, value: &Value) -> io::Result<bool> {
        let (user, password) = credential(value)?;
        match self {
            Server::Postgres(_, server) => server.can_login(&user, &password, "postgres").await,
            Server::MySql(_, server) => server.can_login(&user, &password, "").await,
            Server::Redshift(server) => server.can_login(&user, &password).await,
        }
    }

    /// Everything that it wrote down, log by log.
    pub(super) fn written(&self) -> Vec<String> {
        match self {
            Server::Postgres(_, server) => vec![server.log()],
            Server::Redshift(server) => vec![server.queries().join("\n"), server.log()],
            Server::MySql(_, server) => vec![server.log(), server.general_log()],
        }
    }

    /// What says in a log that a password was changed: silence would be seen.
    pub(super) fn mentions_change(text: &str) -> bool {
        ["ALTER ROLE", "ALTER USER", "SET PASSWORD"].iter().any(|words| text.contains(words))
    }

    /// A secret for an account, without anything about TLS.
    pub(super) fn secret(&self, user: &str, password: &str) -> Value {
        let engine = match self {
            Server::Postgres(..) => "postgres",
            Server::MySql(Release::MYSQL_9, _) => "mysql",
            Server::MySql(..) => "mariadb",
            Server::Redshift(..) => "redshift",
        };
        let mut secret = json!({
            "engine": engine, "host": self.host(), "port": self.port(), "username": user, "password": password,
            "note": {"kept": [1, "two"]},
        });
        match self {
            Server::Postgres(..) => secret["dbname"] = json!("postgres"),
            Server::Redshift(..) => secret["dbname"] = json!("dev"),
            Server::MySql(..) => {}
        }
        secret
    }

    /// The name that the certificate is for.
    fn host(&self) -> &str {
        match self {
            Server::Postgres(_, server) => server.host(),
            Server::MySql(_, server) => server.host(),
            Server::Redshift(server) => server.host(),
        }
    }

    /// The port it listens on.
    pub(super) fn port(&self) -> u16 {
        match self {
            Server::Postgres(_, server) => server.port(),
            Server::MySql(_, server) => server.port(),
            Server::Redshift(server) => server.port(),
        }
    }

    /// The authority that a client has to trust, PEM.
    pub(super) fn ca_pem(&self) -> &str {
        match self {
            Server::Postgres(_, server) => server.ca_pem(),
            Server::MySql(_, server) => server.ca_pem(),
            Server::Redshift(server) => server.ca_pem(),
        }
    }

    /// The certificate and key, for a proxy; none without TLS.
    pub(super) fn identity(&self) -> Option<&Identity> {
        match self {
            Server::Postgres(_, server) => server.identity(),
            Server::MySql(_, server) => server.identity(),
            Server::Redshift(server) => server.identity(),
        }
    }
}

fn credential(value: &Value) -> io::Result<(String, String)> {
    let word = |key: &str| value[key].as_str().map(str::to_owned);
    let both = word("username").zip(word("password"));
    both.ok_or_else(|| io::Error::other("the value has no user name and password"))
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Server::Postgres(version, _) => write!(f, "PostgreSQL {version}"),
            Server::MySql(release, _) => write!(f, "{release}"),
            Server::Redshift(_) => write!(f, "a stand-in for Redshift"),
        }
    }
}
