//! The cases to measure: every function with every strategy, and AWS's function for the same, if there is one.

use std::time::Duration;

/// How long each call to Secrets Manager takes, in milliseconds.
pub(crate) const LATENCIES: [u64; 4] = [0, 5, 10, 25];

/// The server of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Postgres,
    MySql,
    MariaDb,
    Redshift,
    Keys,
}

/// A function with a strategy.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) package: &'static str,
    pub(crate) engine: Engine,
    pub(crate) strategy: &'static str,
    /// The folder of AWS's function for the same case, if it works on this server.
    pub(crate) template: Option<&'static str>,
}

/// The functions, in the order of the tables.
pub(crate) const PACKAGES: [&str; 4] =
    ["rotate-postgres", "rotate-mysql", "rotate-redshift", "rotate-api-key"];

/// AWS's functions for MySQL are not here, because they neither recognise MySQL 9 nor can set a password there.
pub(crate) const CASES: [Case; 12] = [
    case(0, Engine::Postgres, "single-user", Some("SecretsManagerRDSPostgreSQLRotationSingleUser")),
    case(0, Engine::Postgres, "admin", None),
    case(0, Engine::Postgres, "alternating-users", Some("SecretsManagerRDSPostgreSQLRotationMultiUser")),
    case(1, Engine::MySql, "single-user", None),
    case(1, Engine::MySql, "alternating-users", None),
    case(1, Engine::MySql, "dual-password", None),
    case(1, Engine::MariaDb, "single-user", Some("SecretsManagerRDSMariaDBRotationSingleUser")),
    case(1, Engine::MariaDb, "alternating-users", Some("SecretsManagerRDSMariaDBRotationMultiUser")),
    case(1, Engine::MariaDb, "dual-password", None),
    case(2, Engine::Redshift, "single-user", None),
    case(2, Engine::Redshift, "alternating-users", None),
    case(3, Engine::Keys, "two-keys", None),
];

const fn case(
    package: usize,
    engine: Engine,
    strategy: &'static str,
    template: Option<&'static str>,
) -> Case {
    Case { package: PACKAGES[package], engine, strategy, template }
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Engine::Postgres => "PostgreSQL",
            Engine::MySql => "MySQL",
            Engine::MariaDb => "MariaDB",
            Engine::Redshift => "Redshift",
            Engine::Keys => "HTTP",
        }
    }
}

impl Case {
    pub(crate) fn name(&self) -> String {
        format!("{}, {}", self.engine.name(), self.strategy)
    }

    /// Whether the strategy promises that AWSCURRENT logs in at every instant.
    pub(crate) fn overlaps(&self) -> bool {
        ["alternating-users", "dual-password", "two-keys"].contains(&self.strategy)
    }

    /// Whether an admin's secret is needed.
    pub(crate) fn has_admin(&self) -> bool {
        !["single-user", "two-keys"].contains(&self.strategy)
    }
}

/// A latency as the lab takes it.
pub(crate) fn latency(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
