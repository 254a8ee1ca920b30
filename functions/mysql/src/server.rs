//! The server's family, version and abilities. The server reports its version, which is compared as numbers.

/// The two families. They share a protocol and half of their statements for accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// MySQL and Aurora MySQL.
    Mysql,
    /// MariaDB.
    Mariadb,
}

/// A server's family and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its family.
    pub family: Family,
    /// Its version: major, minor, patch.
    pub version: [u32; 3],
}

impl Server {
    /// Reads `VERSION()` and `@@version_comment`. A server's configuration may change either, so the family is looked for in
    /// both. A part that is not a number counts as the newest: Aurora calls itself `8.0.mysql_aurora.3.08.0`.
    pub fn parse(version: &str, comment: &str) -> Server {
        let named = |text: &str| text.to_ascii_lowercase().contains("mariadb");
        let family = if named(version) || named(comment) { Family::Mariadb } else { Family::Mysql };
        let mut parts = version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(u32::MAX));
        let mut next = || parts.next().unwrap_or(u32::MAX);
        Server { family, version: [next(), next(), next()] }
    }

    /// Whether this is MariaDB.
    pub fn is_mariadb(&self) -> bool {
        self.family == Family::Mariadb
    }

    /// Whether an account can have two passwords (MySQL manual, "Password Management", dual passwords since 8.0.14) or two
    /// authentications (MariaDB documentation, "Authentication from MariaDB 10.4").
    pub fn has_two_passwords(&self) -> bool {
        self.version >= if self.is_mariadb() { [10, 4, 0] } else { [8, 0, 14] }
    }

    /// Whether our statements for passwords and hashes work here. Older servers are out of support.
    pub fn is_supported(&self) -> bool {
        self.version >= if self.is_mariadb() { [10, 4, 0] } else { [8, 0, 0] }
    }

    /// Whether wrong logins can lock an account (MySQL manual, "Password Management", since 8.0.19).
    pub fn has_login_locks(&self) -> bool {
        !self.is_mariadb() && self.version >= [8, 0, 19]
    }

    /// Whether `mysql.user` has a column for attributes (MySQL manual, "Grant Tables", since 8.0.14). Partial revokes are kept there.
    pub fn has_user_attributes(&self) -> bool {
        !self.is_mariadb() && self.version >= [8, 0, 14]
    }

    /// Whether an account can carry attributes (MySQL manual, "CREATE USER", since 8.0.21).
    pub fn has_attributes(&self) -> bool {
        !self.is_mariadb() && self.version >= [8, 0, 21]
    }

    /// The family and version, for people.
    pub fn name(&self) -> String {
        let family = if self.is_mariadb() { "MariaDB" } else { "MySQL" };
        let parts = self.version.iter().take_while(|part| **part != u32::MAX).map(u32::to_string);
        format!("{family} {}", parts.collect::<Vec<_>>().join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_and_families_are_named() {
        let check = |version: &str, comment: &str, family: Family, numbers: [u32; 3], two: bool| {
            let server = Server::parse(version, comment);
            assert_eq!((server.family, server.version), (family, numbers), "{version}");
            assert_eq!(server.has_two_passwords(), two, "{version}");
        };
        check("9.7.4-2", "(Debian)", Family::Mysql, [9, 7, 4], true);
        check("8.0.13", "MySQL Community Server - GPL", Family::Mysql, [8, 0, 13], false);
        check("8.0.40", "Source distribution", Family::Mysql, [8, 0, 40], true);
        check("10.0.1", "MySQL Community Server - GPL", Family::Mysql, [10, 0, 1], true);
        check("8.0.mysql_aurora.3.08.0", "", Family::Mysql, [8, 0, u32::MAX], true);
        check("5.7.44-log", "", Family::Mysql, [5, 7, 44], false);
        check("10.11.19-MariaDB-0+deb12u1-log", "Debian 12", Family::Mariadb, [10, 11, 19], true);
        check("11.4.2", "mariadb.org binary distribution", Family::Mariadb, [11, 4, 2], true);
        check("10.3.39-MariaDB", "", Family::Mariadb, [10, 3, 39], false);
        check("", "", Family::Mysql, [u32::MAX; 3], true);
    }
}
