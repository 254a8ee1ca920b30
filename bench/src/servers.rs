//! The servers, and the accounts and secrets that are rotated on them. All logins use TLS, except where messages are counted.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use lab::Lab;
use lab::servers::{MySql, Postgres, Redshift, Release, Tls};
use serde_json::{Value, json};

use crate::issuer::Issuer;
use crate::plan::{Case, Engine};

/// A password that no rotation makes; the generator's alphabet is wider.
const FIRST: &str = "F1rst-pa55-0f-this-app";

/// Every server that a case may need.
pub(crate) struct Servers {
    postgres: Postgres,
    mysql: MySql,
    mariadb: MySql,
    redshift: Redshift,
    issuer: Issuer,
}

/// The account and the secrets that a function rotates.
pub(crate) struct Account {
    pub(crate) value: Value,
    /// The admin's secret, stored under the name that the value's `masterarn` says.
    pub(crate) admin: Option<Value>,
}

impl Account {
    /// Stores the account's secrets, and lets the function of the same name rotate it.
    pub(crate) fn store(&self, lab: &Lab, name: &str) -> io::Result<()> {
        let secrets = lab.secrets();
        if let Some(admin) = &self.admin {
            secrets.create(&format!("{name}-admin"), &admin.to_string()).map_err(io::Error::other)?;
        }
        secrets.create(name, &self.value.to_string()).map_err(io::Error::other)?;
        secrets.enable_rotation(name, name).map_err(io::Error::other)
    }
}

impl Servers {
    pub(crate) async fn start() -> io::Result<Servers> {
        // Many functions at once need many sessions.
        let postgres = Postgres::version(Postgres::any()).setting("max_connections", "300");
        let (postgres, mysql, mariadb, redshift, issuer) = tokio::try_join!(
            postgres.start(),
            MySql::release(Release::MYSQL_9).start(),
            MySql::release(Release::MARIADB_10).start(),
            Redshift::start(Tls::Good),
            Issuer::start(),
        )?;
        // MariaDB's own installer creates this account. AWS's function reads a view that the account owns.
        for statement in [
            "CREATE OR REPLACE USER 'mariadb.sys'@'localhost' ACCOUNT LOCK PASSWORD EXPIRE",
            "GRANT SELECT, DELETE ON mysql.global_priv TO 'mariadb.sys'@'localhost'",
        ] {
            mariadb.execute(statement).await?;
        }
        Ok(Servers { postgres, mysql, mariadb, redshift, issuer })
    }

    /// The port of a server.
    pub(crate) fn port(&self, engine: Engine) -> u16 {
        match engine {
            Engine::Postgres => self.postgres.port(),
            Engine::MySql => self.mysql.port(),
            Engine::MariaDb => self.mariadb.port(),
            Engine::Redshift => self.redshift.port(),
            Engine::Keys => self.issuer.port(),
        }
    }

    /// The authority that signed a server's certificate.
    pub(crate) fn ca_pem(&self, engine: Engine) -> &str {
        match engine {
            Engine::Postgres => self.postgres.ca_pem(),
            Engine::MySql => self.mysql.ca_pem(),
            Engine::MariaDb => self.mariadb.ca_pem(),
            Engine::Redshift => self.redshift.ca_pem(),
            Engine::Keys => "",
        }
    }

    /// Makes an account for a case, with secrets that lead to `port`: the server's own, with TLS, or a proxy's, without.
    pub(crate) async fn account(&self, case: &Case, admin_secret: &str, port: u16) -> io::Result<Account> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        if case.engine == Engine::Keys {
            let (id, key) = self.issuer.first();
            return Ok(Account { value: json!({"provider": "mine", "key": key, "id": id}), admin: None });
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let user = format!("app{number}");
        let document = |user: &str, password: &str| {
            json!({
                "engine": case.engine.name().to_lowercase().replace("postgresql", "postgres"), "host": "localhost",
                "port": port, "username": user, "password": password, "ssl": port == self.port(case.engine),
                "sslrootcert": self.ca_pem(case.engine),
            })
        };
        let mut value = document(&user, FIRST);
        value["strategy"] = case.strategy.into();
        let (admin, admin_password) = self.make(case.engine, &user, case.has_admin()).await?;
        let admin = case.has_admin().then(|| document(&admin, &admin_password));
        if admin.is_some() {
            value["masterarn"] = admin_secret.into();
        }
        Ok(Account { value, admin })
    }

    /// Makes the user, and finds or makes an admin.
    async fn make(&self, engine: Engine, user: &str, with_admin: bool) -> io::Result<(String, String)> {
        match engine {
            Engine::Postgres => {
                self.postgres.execute(&format!("CREATE ROLE {user} LOGIN PASSWORD '{FIRST}'")).await?;
                Ok((self.postgres.superuser().to_owned(), self.postgres.superuser_password().to_owned()))
            }
            Engine::MySql => make_mysql(&self.mysql, user, with_admin, "").await,
            Engine::MariaDb => make_mysql(&self.mariadb, user, with_admin, "%").await,
            Engine::Redshift => {
                self.redshift.execute(&format!("CREATE USER {user} PASSWORD '{FIRST}'")).await?;
                Ok((self.redshift.admin().to_owned(), self.redshift.admin_password().to_owned()))
            }
            Engine::Keys => unreachable!("keys have no accounts"),
        }
    }
}

async fn make_mysql(
    server: &MySql,
    user: &str,
    with_admin: bool,
    proxied: &str,
) -> io::Result<(String, String)> {
    server.execute(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY '{FIRST}'")).await?;
    let admin = format!("{user}_admin");
    if with_admin {
        for statement in [
            format!("CREATE USER '{admin}'@'%' IDENTIFIED BY '{FIRST}'"),
            format!("GRANT ALL ON *.* TO '{admin}'@'%' WITH GRANT OPTION"),
            format!("GRANT PROXY ON ''@'{proxied}' TO '{admin}'@'%' WITH GRANT OPTION"),
        ] {
            server.execute(&statement).await?;
        }
    }
    Ok((admin, FIRST.to_owned()))
}
