//! A database account as a secret describes it: AWS's own JSON structure, read once into types.

use std::borrow::Borrow;
use std::time::Duration;

use super::alternation::Alternation;
use super::family::{Family, fits};
use crate::engine::credential::Credential;
use crate::error::{Error, Kind, Result};
use crate::reach::net;
use crate::reach::tls;
use crate::secret::Secret;
use crate::value::document::{Document, Fields};
use crate::value::password::{Policy, Rules};
use crate::value::settings::Settings;
use crate::value::strategy::Strategy;

/// Where an account lives.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// The host's name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How to talk to it.
    pub tls: Tls,
    /// Whether it may be asleep: Aurora can pause itself, and the first connection wakes it up.
    pub may_sleep: bool,
}

impl Server {
    /// How long to wait for an answer on a new connection.
    pub fn patience(&self) -> Duration {
        if self.may_sleep { net::WAKING } else { net::HANDSHAKE }
    }
}

/// Whether a server is Aurora's: by its engine, or by a cluster's endpoint.
pub(super) fn may_sleep(engine: &str, host: &str) -> bool {
    let host = folded(host);
    let mut labels = host.split('.').skip(1);
    engine.starts_with("aurora-")
        || labels.next().is_some_and(|label| label.starts_with("cluster-"))
            && labels.any(|label| label == "rds")
}

/// Whether the connection is encrypted; there is no "if possible".
#[derive(Clone, PartialEq, Eq)]
pub enum Tls {
    /// Verified against the compiled-in roots and these.
    Verified {
        /// PEM that the secret or the deployment adds.
        roots: Vec<String>,
    },
    /// The secret says `"ssl": false`.
    Plaintext,
}

impl Tls {
    /// What satisfies both: encrypted if either is, and trusting only authorities that both trust. A user who can write a secret
    /// must not receive the passwords of older versions by naming an authority of their own, or none.
    fn stricter(&self, other: &Tls) -> Tls {
        match (self, other) {
            (Tls::Plaintext, other) => other.clone(),
            (own, Tls::Plaintext) => own.clone(),
            (Tls::Verified { roots: own }, Tls::Verified { roots: others }) if own == others => {
                Tls::Verified { roots: own.clone() }
            }
            (Tls::Verified { roots: own }, Tls::Verified { roots: others }) => {
                let others: Vec<String> = others.iter().flat_map(|pem| certificates(pem)).collect();
                let own = own.iter().flat_map(|pem| certificates(pem));
                Tls::Verified { roots: own.filter(|root| others.contains(root)).collect() }
            }
        }
    }
}

/// The certificates of a PEM text, each spelled in one way.
fn certificates(pem: &str) -> Vec<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let blocks = pem.split(BEGIN).skip(1).filter_map(|rest| rest.split_once(END));
    let lines = blocks.map(|(body, _)| body.split_whitespace().collect::<Vec<_>>().join("\n"));
    lines.map(|body| format!("{BEGIN}\n{body}\n{END}\n")).collect()
}

/// One account on one server.
pub struct Account {
    /// The kind of database, as the secret spells it.
    pub engine: String,
    /// Where.
    pub server: Server,
    /// The database to log in to; `None` is the target's default.
    pub dbname: Option<String>,
    /// Whom.
    pub username: String,
    /// With what.
    pub password: Secret,
    /// How it is rotated.
    pub strategy: Strategy,
    /// The admin's secret.
    pub admin: Option<String>,
    /// What testSecret runs.
    pub statement: Option<String>,
    /// The two users, with the strategy `alternating-users`.
    pub alternation: Option<Alternation>,
}

/// What a dialect reads from a secret: an `Account`, or that and more.
pub trait DatabaseAccount: Credential + Borrow<Account> {
    /// Reads and checks an account.
    fn read(document: &Document, settings: &Settings, family: &Family) -> Result<Self>
    where
        Self: Sized;
}

impl DatabaseAccount for Account {
    fn read(document: &Document, settings: &Settings, family: &Family) -> Result<Account> {
        let fields = document.fields()?;
        let name = fields.required("engine")?;
        if !family.names.contains(&name.as_str()) {
            return Err(Error::new(
                Kind::BadSecret,
                format!("the secret's engine {name:?} is not one of this function's"),
            )
            .remedy(format!(
                "this function rotates {}; attach the function for this engine",
                family.names.join(", ")
            )));
        }
        let username = fields.required("username")?;
        let strategy = Strategy::choose(fields, settings.strategy, family.strategies)?;
        let alternation = match strategy {
            Strategy::AlternatingUsers => Some(Alternation::read(fields, &username, family.username_limit)?),
            _ => None,
        };
        let account = Account {
            engine: name,
            server: server(fields, settings, family.port)?,
            dbname: fields.text("dbname")?,
            username,
            password: fields.secret("password")?,
            strategy,
            admin: fields.text("masterarn")?,
            statement: fields.text("test_statement")?,
            alternation,
        };
        fits(&account.username, family.username_limit)?;
        if account.dbname.as_deref().is_some_and(|name| name.contains('\0')) {
            return Err(Error::new(Kind::BadSecret, "the secret's \"dbname\" has a NUL character"));
        }
        if matches!(account.strategy, Strategy::Admin | Strategy::AlternatingUsers) && account.admin.is_none()
        {
            return Err(crate::value::document::missing("masterarn").cause(format!(
                "the strategy {} lets an admin act, whose secret it names",
                account.strategy.name()
            )));
        }
        Ok(account)
    }
}

impl Credential for Account {
    fn strategy(&self) -> Strategy {
        self.strategy
    }

    fn agree(&self, other: &Account) -> Result<()> {
        self.belongs_with(other, &self.users())
    }

    /// Pending is for the user whose turn it is, and was made to be rotated in the same way. Who acts, and for which users, is
    /// decided by the current version.
    fn may_be_followed_by(&self, pending: &Account) -> Result<()> {
        differs("strategy", self.strategy.name(), pending.strategy.name())?;
        differs("alternate_username", self.other_user(), pending.other_user())?;
        self.belongs_with(pending, &[self.next_user()])
    }

    /// The password; of a pair the user, and, once, who the original is.
    fn own_fields(&self) -> Vec<&str> {
        let mut own = vec!["password"];
        if let Some(pair) = &self.alternation {
            own.push("username");
            if pair.named && !pair.marked {
                own.push("original_username");
            }
        }
        own
    }

    /// The host as current spells it; whom to trust as both say.
    fn align_with(&mut self, current: &Account) {
        let tls = self.server.tls.stricter(&current.server.tls);
        self.server = Server { tls, ..current.server.clone() };
    }
}

impl Account {
    /// Refuses another version that is not for the same server and database, or whose user is none of these.
    fn belongs_with(&self, other: &Account, users: &[&str]) -> Result<()> {
        differs("engine", &self.engine, &other.engine)?;
        differs("host", &folded(&self.server.host), &folded(&other.server.host))?;
        differs("port", &self.server.port.to_string(), &other.server.port.to_string())?;
        differs(
            "dbname",
            self.dbname.as_deref().unwrap_or_default(),
            other.dbname.as_deref().unwrap_or_default(),
        )?;
        differs(
            "masterarn",
            self.admin.as_deref().unwrap_or_default(),
            other.admin.as_deref().unwrap_or_default(),
        )?;
        if matches!(other.server.tls, Tls::Plaintext) && !matches!(self.server.tls, Tls::Plaintext) {
            return Err(differing("ssl", "true", "false"));
        }
        if users.contains(&other.username.as_str()) {
            Ok(())
        } else {
            Err(differing("username", &users.join(" or "), &other.username))
        }
    }

    fn other_user(&self) -> &str {
        self.alternation.as_ref().map_or("", |pair| &pair.alternate)
    }

    /// The users that versions of this secret may be for: the account itself, or both of a pair.
    pub fn users(&self) -> Vec<&str> {
        match &self.alternation {
            Some(pair) => vec![&pair.original, &pair.alternate],
            None => vec![&self.username],
        }
    }

    /// The user of the version that follows this one.
    pub fn next_user(&self) -> &str {
        match &self.alternation {
            Some(pair) => pair.after(&self.username),
            None => &self.username,
        }
    }

    /// Whether an admin acts for it; with two passwords on one account, where the secret names one.
    pub fn is_acted_for(&self) -> bool {
        match self.strategy {
            Strategy::SingleUser | Strategy::TwoKeys => false,
            Strategy::Admin | Strategy::AlternatingUsers => true,
            Strategy::DualPassword => self.admin.is_some(),
        }
    }

    /// The value that follows this one: a new password, of a pair the other user, and everything else as it was.
    pub fn renewed(&self, document: &Document, settings: &Settings, rules: &Rules) -> Result<Document> {
        let password = Policy::new(&settings.password, rules)?.generate(&mut rand::rngs::SysRng)?;
        let mut fields = document.fields()?.copy();
        if let Some(pair) = &self.alternation {
            fields.put("username", self.next_user());
            if pair.named {
                fields.put("original_username", &pair.original);
            }
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "exposes the new password to the document that Secrets Manager will hold"
        )]
        fields.put("password", password.expose());
        Ok(Document::Object(fields))
    }
}

/// The secret texts of a value: the password. Other fields are words like any other, and to mask those would hide what an error says.
pub fn secrets(document: &Document) -> Vec<Secret> {
    match document {
        Document::Object(fields) => fields.secret("password").into_iter().collect(),
        Document::Plain(secret) => vec![secret.share()],
    }
}

/// A host name as it is compared: DNS knows no case and ends in a dot.
pub fn folded(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

pub(super) fn server(fields: &Fields, settings: &Settings, port: u16) -> Result<Server> {
    let host = fields.required("host")?;
    net::server_name(&host)?;
    let tls = match fields.value("ssl") {
        Some(serde_json::Value::Bool(false)) => Tls::Plaintext,
        Some(serde_json::Value::String(text)) if text.eq_ignore_ascii_case("false") => Tls::Plaintext,
        _ => {
            let own = fields.text("sslrootcert")?;
            let roots: Vec<String> = own.into_iter().chain(settings.extra_roots.clone()).collect();
            // One that cannot be read is found here, before anything is made; nothing is parsed twice.
            if !roots.is_empty() {
                tls::client_config(&roots.iter().map(String::as_str).collect::<Vec<_>>())?;
            }
            Tls::Verified { roots }
        }
    };
    let may_sleep = may_sleep(&fields.text("engine")?.unwrap_or_default(), &host);
    Ok(Server { host, port: fields.port(port)?, tls, may_sleep })
}

fn differs(key: &str, ours: &str, theirs: &str) -> Result<()> {
    if ours == theirs { Ok(()) } else { Err(differing(key, ours, theirs)) }
}

fn differing(key: &str, ours: &str, theirs: &str) -> Error {
    let what = format!(
        "the versions do not belong together: \"{key}\" is {ours:?} in AWSCURRENT and {theirs:?} in the other"
    );
    Error::new(Kind::BadSecret, what).remedy(
        "do not edit the secret while it rotates; remove AWSPENDING from the other version and rotate again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusting(names: &[&str]) -> Tls {
        let pem = |name: &&str| format!("-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----\n");
        Tls::Verified { roots: names.iter().map(pem).collect() }
    }

    #[track_caller]
    fn check(one: &Tls, other: &Tls, expected: &Tls) {
        assert!(one.stricter(other) == *expected && other.stricter(one) == *expected);
    }

    #[test]
    fn only_aurora_may_sleep() {
        for (engine, host, expected) in [
            ("aurora-postgresql", "10.0.0.1", true),
            ("postgres", "app.cluster-c0ffee1234.us-east-1.rds.amazonaws.com", true),
            ("mysql", "APP.Cluster-ro-c0ffee1234.rds.cn-north-1.amazonaws.com.cn", true),
            ("postgres", "app.c0ffee1234.us-east-1.rds.amazonaws.com", false),
            ("postgres", "app.cluster-a.example.com", false),
            ("mysql", "localhost", false),
        ] {
            assert_eq!(may_sleep(engine, host), expected, "{engine} {host}");
        }
    }

    #[test]
    fn of_two_versions_trust_the_stricter_counts() {
        check(&Tls::Plaintext, &Tls::Plaintext, &Tls::Plaintext);
        check(&Tls::Plaintext, &trusting(&["a"]), &trusting(&["a"]));
        check(&trusting(&["a"]), &trusting(&["a"]), &trusting(&["a"]));
        check(&trusting(&["a"]), &trusting(&["b"]), &trusting(&[]));
        check(&trusting(&[]), &trusting(&["b"]), &trusting(&[]));
        check(&trusting(&["a", "b"]), &trusting(&["b", "c"]), &trusting(&["b"]));
        let Tls::Verified { roots } = trusting(&["a", "b"]) else { panic!("it verifies") };
        check(
            &Tls::Verified { roots: vec![roots.concat().replace('\n', "\r\n")] },
            &trusting(&["b"]),
            &trusting(&["b"]),
        );
    }
}
