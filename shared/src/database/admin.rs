//! The admin: whose secret `masterarn` names, read as AWS's functions read it.

use std::cell::RefCell;

use super::account::{Account, Server, Tls, may_sleep, secrets, server};
use super::family::Family;
use super::host::{Directory, Endpoint, same_server};
use super::proxy;
use crate::engine::job::Job;
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::value::document::Fields;
use crate::value::version::Stage;

/// The admin that acts for a user that cannot act for itself, and its server.
pub struct Admin<I = String> {
    /// The admin's own secret.
    pub secret_name: String,
    /// The server that will be changed: the writer, if the admin's secret names a proxy.
    pub server: Server,
    /// Whom to log in as.
    pub username: String,
    /// With what.
    pub password: Secret,
    /// The database of the secret that is rotated, where the admin works; `None` is the target's default.
    pub dbname: Option<String>,
    /// What the secret's own logins on the admin's server have proven so far.
    pub accepted: RefCell<Vec<I>>,
}

impl<I> Admin<I> {
    /// The admin who acts for an account, if one does; the account's host has to be the admin's server.
    pub async fn find<D: Directory>(
        job: &Job<'_>,
        account: &Account,
        family: &Family,
    ) -> Result<Option<Admin<I>>> {
        if !account.is_acted_for() {
            return Ok(None);
        }
        let admin = Admin::read::<D>(job, account, family).await?;
        let one_server = async |admin: &str, child: &str| D::is_one_server(job, admin, child).await;
        let child = proxy::behind::<D>(job, &account.server).await?;
        let same = same_server(&child, &admin.server, one_server).await;
        same.map_err(|error| proxy::naming(error, &account.server, &child))?;
        Ok(Some(admin))
    }

    /// Reads the admin that an account's secret names. A secret of exactly `username` and `password` was made by RDS or
    /// Redshift; then the directory finds the server, from the labels and tags of the admin's secret.
    async fn read<D: Directory>(job: &Job<'_>, account: &Account, family: &Family) -> Result<Admin<I>> {
        let name = account.admin.as_deref().ok_or_else(|| crate::value::document::missing("masterarn"))?;
        let version = job.store.labelled_other(name, Stage::Current).await?.ok_or_else(|| {
            Error::new(Kind::BadSecret, format!("the admin secret {name} has no current version"))
                .remedy("correct \"masterarn\", or store the admin's credential there")
        })?;
        for secret in secrets(&version.document) {
            job.scrub.learn(&secret);
        }
        let of_admin = |error: Error| error.cause(format!("in the admin secret {name}"));
        let fields = version.document.fields().map_err(of_admin)?;
        let (server, found) = if is_managed(fields) {
            let Endpoint { host, port, engine } =
                D::endpoint(job, &job.store.describe_other(name).await?).await?;
            let roots = job.settings.extra_roots.iter().cloned().collect();
            let may_sleep = may_sleep(&engine, &host);
            (Server { host, port, tls: Tls::Verified { roots }, may_sleep }, Some(engine))
        } else {
            let server = server(fields, job.settings, family.port).map_err(of_admin)?;
            (proxy::behind::<D>(job, &server).await.map_err(of_admin)?, fields.text("engine")?)
        };
        if let Some(found) = found.filter(|found| !family.names.contains(&found.as_str())) {
            let what = format!("the admin secret {name} is for {found:?}, and not for {}", account.engine);
            return Err(Error::new(Kind::BadSecret, what).remedy("correct \"masterarn\""));
        }
        let admin = Admin {
            secret_name: name.to_owned(),
            server,
            username: fields.required("username").map_err(of_admin)?,
            password: fields.secret("password").map_err(of_admin)?,
            dbname: account.dbname.clone(),
            accepted: RefCell::default(),
        };
        if account.users().contains(&admin.username.as_str()) {
            let what = format!("the secret's user {:?} is the admin itself", admin.username);
            return Err(Error::new(Kind::NotOurs, what).remedy(
                "rotate the admin's own secret with the strategy single-user, or correct \"masterarn\"",
            ));
        }
        Ok(admin)
    }
}

fn is_managed(fields: &Fields) -> bool {
    let mut keys: Vec<&str> = fields.keys().collect();
    keys.sort_unstable();
    keys == ["password", "username"]
}
