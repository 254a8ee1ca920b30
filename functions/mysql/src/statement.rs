//! The SQL texts that this target sends, and the quoting of the values in them. (`grants` builds grants, `assign` and `profile`
//! build clauses of `ALTER USER`.)

use std::time::Duration;

use aws_lc_rs::digest;
use rotation::value::encode::hex;

use crate::account::Name;
use crate::server::Server;

/// Sets what our statements rest on, whatever the server's defaults and `init_connect` say: quoting rules, all rows of an answer, time
/// for it, transactions that write. Then asks for the session's account, the proxy user, and the server's version. `DEFAULT` would be
/// the server's global value. MariaDB reads the first comment and MySQL the second: their names for the time limit differ, and MySQL
/// lets only some users set `max_error_count`. With `old_passwords` MariaDB refuses a hash, and then takes the account for one with a
/// password in the old format.
pub const WHO: &str = "SET NAMES utf8mb4, SESSION sql_mode = '', SESSION sql_select_limit = 18446744073709551615, \
     SESSION sql_big_selects = 1, SESSION autocommit = 1, SESSION sql_quote_show_create = 1, \
     SESSION wait_timeout = 20/*M!100401 , SESSION max_statement_time = 0, SESSION max_error_count = 64, \
     SESSION old_passwords = 0 *//*!80000 , SESSION max_execution_time = 0 */; \
     SET SESSION TRANSACTION READ WRITE; SELECT CURRENT_USER(), @@proxy_user, VERSION(), @@version_comment";

/// The statement that testSecret runs if the secret names none.
pub const CHECK: &str = "SELECT NOW()";

/// Lists why the last statement failed, for errors that do not say so.
pub const WHY: &str = "SHOW ERRORS";

/// A name in SQL. It may contain any character ("Schema Object Names" in either manual).
pub fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The names that a text of our own quotes as `identifier` does.
pub fn identifiers(sql: &str) -> Vec<String> {
    let (mut names, mut name, mut characters) = (Vec::new(), None::<String>, sql.chars().peekable());
    while let Some(character) = characters.next() {
        match (character, &mut name) {
            ('`', None) => name = Some(String::new()),
            ('`', Some(text)) if characters.next_if_eq(&'`').is_some() => text.push('`'),
            ('`', Some(_)) => names.extend(name.take()),
            (other, Some(text)) => text.push(other),
            (_, None) => {}
        }
    }
    names
}

/// A text in SQL. `WHO` makes sure that the server reads a backslash as an escape.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

impl Name {
    /// The name in SQL ("Specifying Account Names" in the MySQL manual).
    pub fn sql(&self) -> String {
        format!("{}@{}", literal(&self.user), literal(&self.host))
    }
}

/// Asks what the server is (`preflight`). A variable that the server does not have is left out of the answer.
pub const STANDING: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'super_read_only', 'innodb_read_only', 'wsrep_on', \
     'wsrep_provider', 'group_replication_group_name', 'group_replication_single_primary_mode')";

/// MySQL: from how many servers this one replicates.
pub const MYSQL_SOURCES: &str =
    "SELECT COUNT(*) FROM performance_schema.replication_connection_status WHERE SERVICE_STATE <> 'OFF'";

/// MariaDB: the same.
pub const MARIADB_SOURCES: &str = "SHOW GLOBAL STATUS LIKE 'Slaves_running'";

/// Prepares the session that makes changes, and asks what the server is. If the process disappears, the server soon ends the session.
pub fn begin(wait: Duration, idle: Duration) -> String {
    let (wait, idle) = (wait.as_secs(), idle.as_secs());
    format!("SET SESSION wait_timeout = {idle}, SESSION lock_wait_timeout = {wait}; {STANDING}")
}

/// Takes the secret's lock, which goes with the session.
pub fn lock(secret_arn: &str, wait: Duration) -> String {
    format!("SELECT GET_LOCK({}, {})", lock_name(secret_arn), wait.as_secs())
}

/// Releases the secret's lock. In a session without the lock it does nothing.
pub fn unlock(secret_arn: &str) -> String {
    format!("DO RELEASE_LOCK({})", lock_name(secret_arn))
}

/// The lock's name, of at most 64 characters. It is made from the ARN, so that every function that rotates this secret takes the
/// same lock.
fn lock_name(secret_arn: &str) -> String {
    let hash = digest::digest(&digest::SHA256, secret_arn.as_bytes());
    literal(&format!("turnlock:{}", hex(&hash.as_ref()[..20])))
}

/// Whether this number is that of a session of this user that runs a statement.
pub fn is_busy(session: u32, user: &str) -> String {
    format!(
        "SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = {session} AND USER = {} AND COMMAND = 'Query' AND TIME > 0",
        literal(user)
    )
}

/// Ends another session of the same user, with the statement that it runs and the locks that it holds.
pub fn kill(session: u32) -> String {
    format!("KILL {session}")
}

/// Asks for the account of this session, which needs no privilege.
pub const OWN_ACCOUNT: &str = "SHOW CREATE USER CURRENT_USER()";

/// MySQL: sets a new primary password. The old one becomes the second (`retain`) or is replaced. MySQL masks the password in its
/// logs, so the statement contains it, and password policies can check it.
pub fn change_password(account: &str, password: &str, current: Option<&str>, retain: bool) -> String {
    let replace = current.map(|current| format!(" REPLACE {}", literal(current))).unwrap_or_default();
    let retain = if retain { " RETAIN CURRENT PASSWORD" } else { "" };
    format!("ALTER USER {account} IDENTIFIED BY {}{replace}{retain}", literal(password))
}

/// MySQL: discards the second password.
pub fn discard_old(account: &str) -> String {
    format!("ALTER USER {account} DISCARD OLD PASSWORD")
}

/// MariaDB: sets the user's own password, as the hash that the server stores.
pub fn set_own_hash(hash: &str) -> String {
    format!("SET PASSWORD = {}", literal(hash))
}

/// MariaDB: sets the user's own password, for servers whose policies insist on the password itself. Their logs show it.
pub fn set_own_plaintext(password: &str) -> String {
    format!("SET PASSWORD = PASSWORD({})", literal(password))
}

/// MySQL: reads an account.
pub fn mysql_account(name: &Name, server: Server) -> String {
    let attributes = if server.has_user_attributes() { "User_attributes" } else { "NULL" };
    format!(
        "SELECT plugin, authentication_string, ssl_type, ssl_cipher, x509_issuer, x509_subject, max_questions, max_updates, \
         max_connections, max_user_connections, password_lifetime, Password_reuse_history, Password_reuse_time, \
         Password_require_current, account_locked, {attributes} FROM mysql.user WHERE User = {} AND Host = {}",
        literal(&name.user),
        literal(&name.host)
    )
}

/// MariaDB: reads an account.
pub fn mariadb_account(name: &Name) -> String {
    format!(
        "SELECT Priv FROM mysql.global_priv WHERE User = {} AND Host = {}",
        literal(&name.user),
        literal(&name.host)
    )
}

/// The statement that would create the account again, as the server prints it.
pub fn created(name: &Name) -> String {
    format!("SHOW CREATE USER {}", name.sql())
}

/// Lists all grants of accounts, without their roles' grants, as rows of one shape (`grants::read`).
pub fn grants(names: &[&Name], server: Server) -> String {
    let list = |text: fn(&Name) -> String| names.iter().map(|name| text(name)).collect::<Vec<_>>().join(", ");
    let grantees = list(|name| literal(&name.grantee()));
    let accounts = list(|name| format!("({}, {})", literal(&name.user), literal(&name.host)));
    let spelled = |user: &str, host: &str| format!("CONCAT('''', {user}, '''@''', {host}, '''')");
    let own = spelled("User", "Host");
    let mut selects = vec![
        format!(
            "SELECT 'user', GRANTEE, '', '', '', PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.USER_PRIVILEGES \
             WHERE GRANTEE IN ({grantees})"
        ),
        format!(
            "SELECT 'schema', GRANTEE, TABLE_SCHEMA, '', '', PRIVILEGE_TYPE, IS_GRANTABLE \
             FROM information_schema.SCHEMA_PRIVILEGES WHERE GRANTEE IN ({grantees})"
        ),
        format!(
            "SELECT 'table', GRANTEE, TABLE_SCHEMA, TABLE_NAME, '', PRIVILEGE_TYPE, IS_GRANTABLE \
             FROM information_schema.TABLE_PRIVILEGES WHERE GRANTEE IN ({grantees})"
        ),
        format!(
            "SELECT 'column', GRANTEE, TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, PRIVILEGE_TYPE, IS_GRANTABLE \
             FROM information_schema.COLUMN_PRIVILEGES WHERE GRANTEE IN ({grantees})"
        ),
        format!(
            "SELECT 'routine', {own}, Db, Routine_name, Routine_type, Proc_priv, '' FROM mysql.procs_priv \
             WHERE (User, Host) IN ({accounts})"
        ),
        format!(
            "SELECT 'proxy', {own}, Proxied_user, Proxied_host, '', '', With_grant FROM mysql.proxies_priv \
             WHERE (User, Host) IN ({accounts})"
        ),
    ];
    if server.is_mariadb() {
        selects.push(format!(
            "SELECT 'role', {own}, Role, '', '', '', Admin_option FROM mysql.roles_mapping WHERE (User, Host) IN ({accounts})"
        ));
        selects.push(format!(
            "SELECT 'default', {own}, JSON_VALUE(Priv, '$.default_role'), '', '', '', '' FROM mysql.global_priv \
             WHERE (User, Host) IN ({accounts}) AND JSON_VALUE(Priv, '$.default_role') <> ''"
        ));
    } else {
        selects.push(format!(
            "SELECT 'role', {}, FROM_USER, FROM_HOST, '', '', WITH_ADMIN_OPTION FROM mysql.role_edges \
             WHERE (TO_USER, TO_HOST) IN ({accounts})",
            spelled("TO_USER", "TO_HOST")
        ));
        selects.push(format!(
            "SELECT 'default', {}, DEFAULT_ROLE_USER, DEFAULT_ROLE_HOST, '', '', '' FROM mysql.default_roles \
             WHERE (USER, HOST) IN ({accounts})",
            spelled("USER", "HOST")
        ));
    }
    if server.has_user_attributes() {
        selects.push(format!(
            "SELECT 'restrictions', {own}, '', '', '', User_attributes->'$.Restrictions', '' FROM mysql.user \
             WHERE (User, Host) IN ({accounts}) AND User_attributes->'$.Restrictions' IS NOT NULL"
        ));
    }
    selects.join("; ")
}

/// Sets exactly these default roles, which are active from the login on.
pub fn default_roles(name: &Name, roles: &[&str], mariadb: bool) -> String {
    let list = if roles.is_empty() { "NONE".to_owned() } else { roles.join(", ") };
    if mariadb {
        format!("SET DEFAULT ROLE {list} FOR {}", name.sql())
    } else {
        format!("ALTER USER {} DEFAULT ROLE {list}", name.sql())
    }
}

/// Changes properties of an account other than its privileges.
pub fn alter(name: &Name, clauses: &str) -> String {
    format!("ALTER USER {} {clauses}", name.sql())
}

/// Makes an account.
pub fn create(name: &Name, clauses: &str) -> String {
    format!("CREATE USER {} {clauses}", name.sql())
}

/// The errors for an object that does not exist any more, or for a view whose tables do not. Grants on an object outlive the object.
pub const MISSING_OBJECT: [u16; 5] = [1146, 1054, 1305, 1049, 1356];

/// MariaDB: after how many wrong logins a user is blocked.
pub const WRONG_LOGINS: &str = "SELECT @@max_password_errors";

/// The host parts under which a user exists.
pub fn hosts(user: &str, mariadb: bool) -> String {
    // On MariaDB mysql.user is a view, which fails if its definer was dropped.
    let table = if mariadb { "global_priv" } else { "user" };
    format!("SELECT Host FROM mysql.{table} WHERE User = {}", literal(user))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_the_column_for_attributes_is_not_asked_for_it() {
        let name = Name::new("app", "%");
        for (version, asked) in [("8.0.11", false), ("8.0.13", false), ("8.0.14", true), ("9.7.0", true)] {
            let server = Server::parse(version, "");
            assert_eq!(mysql_account(&name, server).contains("User_attributes"), asked, "{version}");
            assert_eq!(grants(&[&name], server).contains("User_attributes"), asked, "{version}");
        }
    }

    #[test]
    fn names_and_texts_are_quoted_whatever_they_contain() {
        assert_eq!(identifier("a`b"), "`a``b`");
        assert_eq!(identifier("ü\\'\"%"), "`ü\\'\"%`");
        assert_eq!(identifiers(&format!("{}.{}", identifier("a`.`b"), identifier("ü'"))), ["a`.`b", "ü'"]);
        assert_eq!(identifiers("SELECT"), [""; 0]);
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'b"), "'a\\\\''b'");
        assert_eq!(literal(""), "''");
        assert_eq!(Name::new("o'neil @%", "10.0.%").sql(), "'o''neil @%'@'10.0.%'");
    }
}
