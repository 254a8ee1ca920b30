//! Release series of MySQL and MariaDB.

use std::fmt;

/// MySQL or MariaDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flavor {
    /// Oracle's.
    MySql,
    /// The MariaDB Foundation's.
    MariaDb,
}

/// A release series, such as MySQL 9.7 or MariaDB 10.11.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Release {
    /// The flavor.
    pub flavor: Flavor,
    /// The first two numbers of the version.
    pub version: (u32, u32),
}

impl Release {
    /// MySQL 8.4, with long-term support. Only Docker has it.
    pub const MYSQL_8: Release = Release { flavor: Flavor::MySql, version: (8, 4) };
    /// MySQL 9.7, with long-term support.
    pub const MYSQL_9: Release = Release { flavor: Flavor::MySql, version: (9, 7) };
    /// MariaDB 10.11, with long-term support.
    pub const MARIADB_10: Release = Release { flavor: Flavor::MariaDb, version: (10, 11) };
    /// MariaDB 11.8, with long-term support.
    pub const MARIADB_11: Release = Release { flavor: Flavor::MariaDb, version: (11, 8) };

    /// The release that `SELECT VERSION()` or `mysqld --version` names.
    pub(super) fn parse(text: &str) -> Option<Release> {
        let flavor = if text.contains("MariaDB") { Flavor::MariaDb } else { Flavor::MySql };
        let version =
            text.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
        let mut numbers = version.split('.').map(str::parse);
        let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return None };
        Some(Release { flavor, version: (major, minor) })
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Release { flavor, version: (major, minor) } = self;
        match flavor {
            Flavor::MySql => write!(f, "MySQL {major}.{minor}"),
            Flavor::MariaDb => write!(f, "MariaDB {major}.{minor}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, release: Release) {
        assert_eq!(Release::parse(text), Some(release));
    }

    #[test]
    fn versions_are_read_as_servers_print_them() {
        check("9.7.4", Release::MYSQL_9);
        check("mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))", Release::MYSQL_9);
        check("10.11.19-MariaDB-0+deb12u1-log", Release::MARIADB_10);
        check("mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64", Release::MARIADB_10);
        assert_eq!(Release::parse("no version at all"), None);
    }
}
