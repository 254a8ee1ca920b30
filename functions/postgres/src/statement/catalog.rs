//! The queries of the server's catalogs. Every user may run all of them, on RDS as well.

use rotation::database::alternation::Alternation;

use super::literal;

/// The role that a session of `u` acts as in this database. This is a setting like others, so the most specific one counts
/// (PostgreSQL manual, ALTER ROLE, "SET").
const ACTS_AS: &str = "coalesce((SELECT nullif(substr(c, 6), 'none') FROM pg_db_role_setting s, unnest(s.setconfig) AS c \
    WHERE c LIKE 'role=%' AND s.setrole IN (0, u.oid) \
      AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) \
    ORDER BY s.setrole = 0, s.setdatabase = 0 LIMIT 1), u.rolname::text)";

/// The accounts with these names: attributes, limits, comment, the role that each acts as; and the server's version.
pub fn roles(names: [&str; 2]) -> String {
    let [one, other] = names.map(literal);
    format!(
        "SELECT u.rolname, u.rolsuper, u.rolcreaterole, u.rolcreatedb, u.rolreplication, u.rolbypassrls, u.rolinherit, \
           u.rolconnlimit, coalesce(u.rolvaliduntil, 'infinity')::text, \
           coalesce(u.rolvaliduntil < now(), false), coalesce(shobj_description(u.oid, 'pg_authid'), ''), {ACTS_AS}, \
           current_setting('server_version_num')::int / 10000 \
         FROM pg_roles u WHERE u.rolname IN ({one}, {other})"
    )
}

/// When an account expired, if it has.
pub fn expired(role: &str) -> String {
    let role = literal(role);
    format!("SELECT rolvaliduntil::text FROM pg_roles WHERE rolname = {role} AND rolvaliduntil < now()")
}

/// An account's memberships: the role, the admin option, the grantor, whether the account inherits and may act as the role; and
/// whether the original is a member, and has the admin option.
pub fn memberships(member: &str, original: &str) -> String {
    let (member, original) = (literal(member), literal(original));
    format!(
        "SELECT r.rolname, m.admin_option, CASE WHEN to_jsonb(m) ? 'set_option' THEN g.rolname END, \
           coalesce((to_jsonb(m) ->> 'inherit_option')::bool, true), coalesce((to_jsonb(m) ->> 'set_option')::bool, true), \
           pg_has_role({original}, r.oid, 'MEMBER'), pg_has_role({original}, r.oid, 'MEMBER WITH ADMIN OPTION') \
         FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles u ON u.oid = m.member \
           LEFT JOIN pg_roles g ON g.oid = m.grantor WHERE u.rolname = {member}"
    )
}

/// The settings of accounts: account, database (empty for all), name, value.
pub fn settings(names: [&str; 2]) -> String {
    let [one, other] = names.map(literal);
    format!(
        "SELECT u.rolname, coalesce(d.datname, ''), split_part(c, '=', 1), substr(c, strpos(c, '=') + 1) \
         FROM pg_db_role_setting s JOIN pg_roles u ON u.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase, \
           unnest(s.setconfig) AS c WHERE u.rolname IN ({one}, {other})"
    )
}

/// The databases in which an account owns objects or was granted privileges by name, and how many. User mappings are left out,
/// because they cannot change hands. Default privileges are left out, because they mean nothing to an account that creates
/// nothing under its own name. The empty database stands for shared objects.
pub fn holdings(role: &str) -> String {
    format!(
        "SELECT coalesce(d.datname, ''), d.datname = current_database(), \
           count(*) FILTER (WHERE s.deptype = 'o'), count(*) FILTER (WHERE s.deptype = 'a') \
         FROM pg_shdepend s JOIN pg_roles u ON u.oid = s.refobjid LEFT JOIN pg_database d ON d.oid = s.dbid \
         WHERE s.refclassid = 'pg_authid'::regclass AND u.rolname = {} AND s.deptype IN ('o', 'a') \
           AND s.classid NOT IN ('pg_user_mapping'::regclass, 'pg_default_acl'::regclass) GROUP BY 1, 2",
        literal(role)
    )
}

/// What the second user of a pair has of its own: memberships that the original lacks, objects, and privileges under its own name, a
/// line each.
pub fn extras(pair: &Alternation) -> String {
    let (original, alternate) = (literal(&pair.original), literal(&pair.alternate));
    format!(
        "SELECT format('member of %I', r.rolname) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid \
           JOIN pg_roles u ON u.oid = m.member WHERE u.rolname = {alternate} AND NOT pg_has_role({original}, r.oid, 'MEMBER') \
         UNION ALL SELECT concat_ws(' and ', nullif(owned, 0) || CASE owned WHEN 1 THEN ' object' ELSE ' objects' END || ' of its own', \
             nullif(given, 0) || CASE given WHEN 1 THEN ' privilege' ELSE ' privileges' END) || \
           CASE WHEN place = '' THEN '' ELSE format(' in the database %I', place) END \
           FROM ({}) AS held (place, here, owned, given) WHERE owned + given > 0",
        holdings(&pair.alternate)
    )
}

/// The relations and routines that an account owns in this database, each as the statement that gives it to another. What follows its
/// table (indexes, sequences of columns, row types) is left out.
pub fn transfers(from: &str, to: &str) -> String {
    let (from, to) = (literal(from), literal(to));
    format!(
        "SELECT format('ALTER %s %s OWNER TO %I', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' \
             WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass, {to}::text) \
           FROM pg_class c JOIN pg_roles u ON u.oid = c.relowner \
           WHERE u.rolname = {from} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't' \
             AND NOT EXISTS (SELECT FROM pg_depend d WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid \
               AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')) \
         UNION ALL SELECT format('ALTER ROUTINE %s OWNER TO %I', p.oid::regprocedure, {to}::text) \
           FROM pg_proc p JOIN pg_roles u ON u.oid = p.proowner WHERE u.rolname = {from}"
    )
}

/// The objects on which an account was granted privileges by name, in this database and shared ones: each with GRANT's word for its kind.
pub fn given(role: &str) -> String {
    format!(
        "SELECT DISTINCT CASE \
             WHEN i.type IN ('table', 'view', 'materialized view', 'foreign table') THEN 'TABLE' \
             WHEN i.type IN ('function', 'procedure', 'aggregate') THEN 'ROUTINE' \
             WHEN i.type = 'server' THEN 'FOREIGN SERVER' WHEN i.type = 'parameter ACL' THEN 'PARAMETER' \
             WHEN i.type IN ('sequence', 'schema', 'database', 'type', 'domain', 'language', 'foreign-data wrapper', \
               'large object', 'tablespace') THEN upper(replace(i.type, '-', ' ')) ELSE i.type END, i.identity \
         FROM pg_shdepend s JOIN pg_roles u ON u.oid = s.refobjid, pg_identify_object(s.classid, s.objid, 0) AS i \
         WHERE s.refclassid = 'pg_authid'::regclass AND u.rolname = {} AND s.deptype = 'a' \
           AND s.classid <> 'pg_default_acl'::regclass \
           AND s.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) ORDER BY 1, 2",
        literal(role)
    )
}

/// How the admin of this session stands to a role. First column: the admin has the role's privileges. Second column: the admin
/// has granted itself a membership that would have to be restored.
pub fn standing_to(role: &str) -> String {
    format!(
        "SELECT pg_has_role(current_user, u.oid, 'USAGE'), EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles me ON me.oid = m.member \
           WHERE m.roleid = u.oid AND me.rolname = current_user \
             AND (m.grantor = me.oid OR NOT to_jsonb(m) ? 'set_option')) \
         FROM pg_roles u WHERE u.rolname = {}",
        literal(role)
    )
}

/// Who holds an advisory lock: process, user, application, and since when, where this session may know that. (PostgreSQL manual,
/// "pg_locks": the high half of the key stands in `classid`, the low half in `objid`.)
pub fn holder(key: i64) -> String {
    format!(
        "SELECT a.pid, a.usename, a.application_name, ', since ' || a.xact_start::text \
         FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
           AND l.classid::int8 = ('{key}'::int8 >> 32) & 4294967295 AND l.objid::int8 = '{key}'::int8 & 4294967295 LIMIT 1"
    )
}

/// Whether one role has all privileges of another.
pub fn inherits(member: &str, role: &str) -> String {
    format!("SELECT pg_has_role({}, {}, 'USAGE')", literal(member), literal(role))
}

/// Whether one role exists and another may act as it. From PostgreSQL 16 on, not every membership allows that.
pub fn may_act(member: &str, role: &str) -> String {
    format!(
        "SELECT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = {} AND pg_has_role({}, r.oid, \
           CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END))",
        literal(role),
        literal(member)
    )
}

/// The grants that this session's user lacks to set passwords, as statements to run. (RDS for PostgreSQL: with
/// `rds.restrict_password_commands` only members of `rds_password` may set them.) From PostgreSQL 16 on, administering a role
/// makes one a member, but gives nothing else. So only the user's own or an inherited membership counts.
pub const LACKS_FOR_PASSWORDS: &str = "SELECT format('GRANT %I TO %I', r.rolname, session_user) FROM pg_roles r \
    WHERE r.rolname = 'rds_password' AND NOT pg_has_role(session_user, r.oid, 'USAGE') \
      AND NOT EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles me ON me.oid = m.member \
        WHERE m.roleid = r.oid AND me.rolname = session_user) \
      AND lower(current_setting('rds.restrict_password_commands', true)) IN ('on', '1', 'true', 'yes')";

/// The grants that this session's user lacks to change those of these accounts that exist. `copied` is the account whose
/// attributes another one gets. Before PostgreSQL 16, CREATEROLE covers every role that is neither superuser nor for replication.
pub fn lacks_as_admin(accounts: &[&str], copied: Option<&str>) -> String {
    let names = accounts.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", ");
    let copied = literal(copied.unwrap_or_default());
    format!(
        "WITH me AS (SELECT * FROM pg_roles WHERE rolname = session_user AND NOT rolsuper), \
           u AS (SELECT * FROM pg_roles WHERE rolname IN ({names})), \
           modern AS (SELECT current_setting('server_version_num')::int >= 160000 AS is) \
         SELECT format('ALTER ROLE %I CREATEROLE', me.rolname) FROM me WHERE NOT me.rolcreaterole \
         UNION ALL SELECT format('ALTER ROLE %I NOSUPERUSER', u.rolname) FROM me, u WHERE u.rolsuper \
         UNION ALL SELECT format('GRANT %I TO %I WITH ADMIN OPTION', u.rolname, me.rolname) FROM me, u, modern \
           WHERE modern.is AND NOT pg_has_role(me.oid, u.oid, 'MEMBER WITH ADMIN OPTION') \
         UNION ALL SELECT format('ALTER ROLE %I REPLICATION', me.rolname) FROM me, u, modern \
           WHERE modern.is AND u.rolreplication AND u.rolname = {copied} AND NOT me.rolreplication \
         UNION ALL SELECT format('ALTER ROLE %I NOREPLICATION', u.rolname) FROM me, u, modern \
           WHERE NOT modern.is AND u.rolreplication \
         UNION ALL {LACKS_FOR_PASSWORDS}"
    )
}

/// The security labels in which the alternate differs from the original, as statements that make them equal.
pub fn labels(original: &str, alternate: &str, take: bool) -> String {
    let [original, alternate] = [original, alternate].map(literal);
    let of = |role: &str| {
        format!(
            "(SELECT l.provider, l.label FROM pg_shseclabel l JOIN pg_roles u ON u.oid = l.objoid \
             WHERE l.classoid = 'pg_authid'::regclass AND u.rolname = {role})"
        )
    };
    format!(
        "SELECT format('SECURITY LABEL FOR %I ON ROLE %I IS %L', provider, {alternate}::text, o.label) \
         FROM {} AS o FULL JOIN {} AS a USING (provider) \
         WHERE o.label IS DISTINCT FROM a.label AND (o.label IS NOT NULL OR {take}) ORDER BY 1",
        of(&original),
        of(&alternate)
    )
}

/// This session: the user that logged in, the role that it acts as, the role that it is set to act as. Then the role that the
/// pair's other user acts as, if there is one, and whether only that user may replicate, which no membership passes on.
pub fn who(other: &str) -> String {
    format!(
        "SELECT session_user, current_user, {ACTS_AS}, o.acts_as, coalesce(o.rolreplication AND NOT u.rolreplication, false) \
         FROM pg_roles u LEFT JOIN (SELECT {ACTS_AS} AS acts_as, u.rolreplication FROM pg_roles u WHERE u.rolname = {}) AS o ON true \
         WHERE u.rolname = session_user",
        literal(other)
    )
}

/// Tables, views and the like, without temporary ones.
const TABLES: &str =
    "(SELECT * FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND relpersistence <> 't') AS o";

/// The kinds of objects with privileges: GRANT's word, an object's name, the list of objects, the privileges, and the function
/// that tests them.
const KINDS: [[&str; 5]; 10] = [
    [
        "TABLE",
        "o.oid::regclass",
        TABLES,
        "ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'] || \
         CASE WHEN current_setting('server_version_num')::int >= 170000 THEN ARRAY['MAINTAIN'] ELSE '{}' END",
        "has_table_privilege",
    ],
    [
        "SEQUENCE",
        "o.oid::regclass",
        "(SELECT * FROM pg_class WHERE relkind = 'S' AND relpersistence <> 't') AS o",
        "ARRAY['USAGE', 'SELECT', 'UPDATE']",
        "has_sequence_privilege",
    ],
    [
        "SCHEMA",
        "quote_ident(o.nspname)",
        "pg_namespace AS o",
        "ARRAY['CREATE', 'USAGE']",
        "has_schema_privilege",
    ],
    ["ROUTINE", "o.oid::regprocedure", "pg_proc AS o", "ARRAY['EXECUTE']", "has_function_privilege"],
    [
        "DATABASE",
        "quote_ident(o.datname)",
        "pg_database AS o",
        "ARRAY['CREATE', 'CONNECT', 'TEMPORARY']",
        "has_database_privilege",
    ],
    [
        "TYPE",
        "o.oid::regtype",
        // An array or a multirange has the privileges of its element.
        "(SELECT * FROM pg_type WHERE typtype <> 'm' AND oid NOT IN (SELECT typarray FROM pg_type)) AS o",
        "ARRAY['USAGE']",
        "has_type_privilege",
    ],
    [
        "LANGUAGE",
        "quote_ident(o.lanname)",
        "(SELECT * FROM pg_language WHERE lanpltrusted) AS o",
        "ARRAY['USAGE']",
        "has_language_privilege",
    ],
    [
        "FOREIGN DATA WRAPPER",
        "quote_ident(o.fdwname)",
        "pg_foreign_data_wrapper AS o",
        "ARRAY['USAGE']",
        "has_foreign_data_wrapper_privilege",
    ],
    [
        "FOREIGN SERVER",
        "quote_ident(o.srvname)",
        "pg_foreign_server AS o",
        "ARRAY['USAGE']",
        "has_server_privilege",
    ],
    [
        "TABLESPACE",
        "quote_ident(o.spcname)",
        "pg_tablespace AS o",
        "ARRAY['CREATE']",
        "has_tablespace_privilege",
    ],
];

/// The privileges that one role has in this database and another lacks, as the statements that would grant them; the first
/// hundred. Large objects and parameters are left out, because no function tests their privileges on every supported version.
pub fn lacking(has: &str, lacks: &str) -> String {
    let (has, to, lacks) = (literal(has), literal(&super::identifier(lacks)), literal(lacks));
    let on_columns = format!(
        "SELECT format('GRANT %s (%I) ON TABLE %s TO %s', p, a.attname, o.oid::regclass, {to}) \
         FROM {TABLES} JOIN pg_attribute AS a ON a.attrelid = o.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped, \
           unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS p \
         WHERE has_column_privilege({has}::name, o.oid, a.attnum, p) AND NOT has_table_privilege({has}::name, o.oid, p) \
           AND NOT has_column_privilege({lacks}::name, o.oid, a.attnum, p)"
    );
    let parts = KINDS.map(|[kind, name, all, privileges, test]| {
        format!(
            "SELECT format('GRANT %s ON {kind} %s TO %s', p, {name}, {to}) FROM {all}, unnest({privileges}) AS p \
             WHERE {test}({has}::name, o.oid, p) AND NOT {test}({lacks}::name, o.oid, p)"
        )
    });
    format!("{on_columns} UNION ALL {} LIMIT 100", parts.join(" UNION ALL "))
}
