//! Finds every difference between two accounts: attributes, memberships, privileges on every object, the settings of a session,
//! and the owner of new objects. After each rotation there must be none.

use lab::servers::Postgres;
use serde_json::Value;

use super::pair::{Pair, Power};

/// What one account has and the other lacks.
async fn differences(pair: &Pair, values: [&Value; 2]) -> Vec<String> {
    let mut found = Vec::new();
    let users = values.map(|value| value["username"].as_str().unwrap().to_owned());
    let (one, other) = (users[0].as_str(), users[1].as_str());
    let version = pair.version().await;
    for sql in [attributes(one, other), memberships(one, other), privileges(one, other, version)] {
        let rows = pair.app.server.query(&sql).await.unwrap_or_else(|error| panic!("{error}"));
        found.extend(
            rows.into_iter()
                .map(|row| row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join(" ")),
        );
    }
    let settings = "SELECT name || '=' || coalesce(setting, '') FROM pg_settings WHERE name NOT IN ('role', 'session_authorization')";
    for database in ["postgres", "template1"] {
        let seen = [
            pair.as_user_in(database, values[0], settings).await.unwrap(),
            pair.as_user_in(database, values[1], settings).await.unwrap(),
        ];
        let missing = |mine: &[String], theirs: &[String], user: &str| {
            let mine = mine.iter().filter(|setting| !theirs.contains(setting));
            mine.map(|setting| format!("{user} has {setting} in {database}")).collect::<Vec<_>>()
        };
        found.extend(missing(&seen[0], &seen[1], one));
        found.extend(missing(&seen[1], &seen[0], other));
    }
    let schema = format!("of_{}", pair.app.user);
    let mut owners = Vec::new();
    for value in values {
        let user = value["username"].as_str().unwrap();
        let table = format!("{schema}.made_by_{user}_{}", value["password"].as_str().unwrap().len());
        let sql = format!(
            "DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (x int); INSERT INTO {table} VALUES (1); \
             SELECT tableowner FROM pg_tables WHERE schemaname || '.' || tablename = '{table}'"
        );
        owners.extend(pair.as_user(value, &sql).await.unwrap());
        for reader in values {
            let sql = format!(
                "UPDATE {table} SET x = 2; ALTER TABLE {table} ADD COLUMN IF NOT EXISTS y int; SELECT x FROM {table}"
            );
            assert_eq!(pair.as_user(reader, &sql).await, Ok(vec!["2".to_owned()]), "{reader} and {table}");
        }
    }
    if owners[0] != owners[1] {
        found.push(format!("what they make belongs to {owners:?}"));
    }
    found
}

fn attributes(one: &str, other: &str) -> String {
    format!(
        "SELECT a.key, a.value, b.value FROM (SELECT j.* FROM pg_roles r, jsonb_each(to_jsonb(r)) j WHERE rolname = '{one}') a \
         JOIN (SELECT j.* FROM pg_roles r, jsonb_each(to_jsonb(r)) j WHERE rolname = '{other}') b USING (key) \
         WHERE key NOT IN ('oid', 'rolname', 'rolconfig') \
           AND coalesce(nullif(a.value, 'null'), '\"infinity\"') <> coalesce(nullif(b.value, 'null'), '\"infinity\"')"
    )
}

/// Membership in every role other than these two. In a pair, the alternate is also a member of the original.
fn memberships(one: &str, other: &str) -> String {
    format!(
        "SELECT r.rolname, k FROM pg_roles r, unnest(CASE WHEN current_setting('server_version_num')::int >= 160000 \
           THEN ARRAY['MEMBER', 'USAGE', 'SET'] ELSE ARRAY['MEMBER', 'USAGE'] END) AS k \
         WHERE rolname NOT IN ('{one}', '{other}') \
           AND pg_has_role('{one}', r.oid, k) <> pg_has_role('{other}', r.oid, k)"
    )
}

/// Tables and views among the relations.
const TABLES: &str = "(SELECT * FROM pg_class WHERE relkind IN ('r','p','v','m','f'))";

/// The kinds of objects with the same privileges in every version (tables have got new ones): the kind, the list of its objects,
/// an object's name, the privileges, and the function that tests them.
const OBJECTS: [(&str, &str, &str, &[&str], &str); 10] = [
    (
        "columns",
        TABLES,
        "o.oid::regclass",
        &["SELECT", "INSERT", "UPDATE", "REFERENCES"],
        "has_any_column_privilege",
    ),
    (
        "sequence",
        "(SELECT * FROM pg_class WHERE relkind = 'S')",
        "o.oid::regclass",
        &["USAGE", "SELECT", "UPDATE"],
        "has_sequence_privilege",
    ),
    ("schema", "pg_namespace", "o.nspname", &["CREATE", "USAGE"], "has_schema_privilege"),
    ("database", "pg_database", "o.datname", &["CREATE", "CONNECT", "TEMPORARY"], "has_database_privilege"),
    ("function", "pg_proc", "o.oid::regprocedure", &["EXECUTE"], "has_function_privilege"),
    ("type", "pg_type", "o.oid::regtype", &["USAGE"], "has_type_privilege"),
    ("language", "pg_language", "o.lanname", &["USAGE"], "has_language_privilege"),
    ("tablespace", "pg_tablespace", "o.spcname", &["CREATE"], "has_tablespace_privilege"),
    ("wrapper", "pg_foreign_data_wrapper", "o.fdwname", &["USAGE"], "has_foreign_data_wrapper_privilege"),
    ("server", "pg_foreign_server", "o.srvname", &["USAGE"], "has_server_privilege"),
];

/// Tests every object with every `has_..._privilege` function of the server.
fn privileges(one: &str, other: &str, version: u32) -> String {
    let each = |privileges: &[&str]| {
        let all = privileges.iter().flat_map(|p| [format!("'{p}'"), format!("'{p} WITH GRANT OPTION'")]);
        all.collect::<Vec<_>>().join(", ")
    };
    let part = |kind: &str, from: &str, name: &str, privileges: &[&str], test: &str| {
        format!(
            "SELECT '{kind}', {name}::text, p FROM {from} o, unnest(ARRAY[{}]) p \
             WHERE {test}('{one}'::name, o.oid, p) <> {test}('{other}'::name, o.oid, p)",
            each(privileges)
        )
    };
    let mut tables = vec!["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"];
    if version >= 17 {
        tables.push("MAINTAIN");
    }
    let mut parts = vec![part("table", TABLES, "o.oid::regclass", &tables, "has_table_privilege")];
    parts
        .extend(OBJECTS.map(|(kind, from, name, privileges, test)| part(kind, from, name, privileges, test)));
    if version >= 15 {
        // A parameter has a name and no OID.
        let privileges = each(&["SET", "ALTER SYSTEM"]);
        parts.push(format!(
            "SELECT 'parameter', o.name, p FROM pg_settings o, unnest(ARRAY[{privileges}]) p \
             WHERE has_parameter_privilege('{one}'::name, o.name, p) <> has_parameter_privilege('{other}'::name, o.name, p)"
        ));
    }
    if version >= 18 {
        let (objects, test) = ("pg_largeobject_metadata", "has_largeobject_privilege");
        parts.push(part("large object", objects, "o.oid", &["SELECT", "UPDATE"], test));
    }
    parts.push(format!(
        "SELECT 'column', o.attrelid::regclass || '.' || o.attname, p FROM pg_attribute o JOIN pg_class c ON c.oid = o.attrelid, \
         unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) p \
         WHERE c.relkind IN ('r','p','v','m','f') AND NOT o.attisdropped \
           AND has_column_privilege('{one}'::name, o.attrelid, o.attnum, p) <> has_column_privilege('{other}'::name, o.attrelid, o.attnum, p)"
    ));
    parts.join(" UNION ALL ")
}

/// Gives an application something of every kind.
async fn furnish(pair: &Pair, power: Power) {
    let (app, server) = (&pair.app.user, &pair.app.server);
    let groups = format!(
        "CREATE ROLE reads_{app}; CREATE ROLE writes_{app}; CREATE ROLE deep_{app}; GRANT deep_{app} TO reads_{app}; \
         GRANT reads_{app} TO {app}; GRANT writes_{app} TO {app} WITH ADMIN OPTION"
    );
    let objects = format!(
        "CREATE SCHEMA of_{app}; GRANT USAGE, CREATE ON SCHEMA of_{app} TO {app}; \
         CREATE TABLE of_{app}.direct (a int, b int); GRANT SELECT (a), UPDATE (b) ON of_{app}.direct TO {app}; \
         CREATE TABLE of_{app}.group_ (a int); GRANT SELECT, INSERT ON of_{app}.group_ TO reads_{app}; \
         CREATE TABLE of_{app}.deep (a int); GRANT ALL ON of_{app}.deep TO deep_{app}; \
         CREATE SEQUENCE of_{app}.numbers; GRANT USAGE ON of_{app}.numbers TO {app} WITH GRANT OPTION; \
         CREATE FUNCTION of_{app}.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE EXECUTE ON FUNCTION of_{app}.f() FROM PUBLIC; \
         GRANT EXECUTE ON FUNCTION of_{app}.f() TO {app}; GRANT CREATE ON DATABASE postgres TO {app}; \
         ALTER DEFAULT PRIVILEGES IN SCHEMA of_{app} GRANT SELECT ON TABLES TO {app}; \
         CREATE FOREIGN DATA WRAPPER wrapper_{app}; CREATE SERVER server_{app} FOREIGN DATA WRAPPER wrapper_{app}; \
         GRANT USAGE ON FOREIGN DATA WRAPPER wrapper_{app} TO {app}; GRANT USAGE ON FOREIGN SERVER server_{app} TO reads_{app}"
    );
    let settings = format!(
        "ALTER ROLE {app} CONNECTION LIMIT 7 VALID UNTIL '2199-01-01'; ALTER ROLE {app} SET search_path TO of_{app}, \"odd, name\", public; \
         ALTER ROLE {app} SET statement_timeout = '61s'; ALTER ROLE {app} SET DateStyle = 'SQL, DMY'; \
         ALTER ROLE {app} IN DATABASE postgres SET work_mem = '7MB'; ALTER ROLE {app} IN DATABASE template1 SET work_mem = '8MB'"
    );
    for sql in [groups, objects, settings] {
        server.execute(&sql).await.unwrap();
    }
    if pair.version().await >= 15 {
        server.execute(&format!("GRANT SET ON PARAMETER log_min_messages TO {app}")).await.unwrap();
    }
    if power == Power::Superuser {
        let sql = format!(
            "ALTER ROLE {app} CREATEDB REPLICATION BYPASSRLS CREATEROLE; ALTER ROLE {app} SET my.tenant = 'it''s'"
        );
        server.execute(&sql).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_each_rotation_of_another_shape_nothing_tells_the_two_apart() {
    for version in [14, 16, 18] {
        for shape in ["owner_role", "alternate_username"] {
            let pair = Pair::new(version, Power::Superuser).await;
            furnish(&pair, Power::Superuser).await;
            let (app, other) = (&pair.app.user, format!("other_{}", pair.app.user));
            let made = match shape {
                "owner_role" => format!(
                    "CREATE ROLE {other}; GRANT ALL ON SCHEMA of_{app} TO {other}; GRANT SELECT ON of_{app}.deep TO {other}; \
                     GRANT {other} TO {app}; ALTER ROLE {app} SET role TO {other}"
                ),
                _ => format!(
                    "CREATE ROLE {other} LOGIN; GRANT ALL ON of_{app}.group_ TO {other} WITH GRANT OPTION; ALTER ROLE {other} SET work_mem = '9MB'"
                ),
            };
            pair.app.server.execute(&made).await.unwrap();
            let world = pair.world_with(&[], |secret| {
                secret[shape] = other.as_str().into();
                secret["sync"] = "exact".into();
            });
            let world = world.await;
            if shape == "alternate_username" {
                let arn = world.lab.secrets().arn(&world.secret).unwrap();
                let mark = format!("COMMENT ON ROLE {other} IS 'turnlock:{arn}'");
                pair.app.server.execute(&mark).await.unwrap();
            }
            let mut previous = world.current();
            for round in 0..4 {
                world.rotate().await.unwrap_or_else(|error| panic!("{version} {shape} {round}: {error}"));
                let current = world.current();
                let found = differences(&pair, [&previous, &current]).await;
                assert!(found.is_empty(), "PostgreSQL {version}, {shape}, round {round}: {found:#?}");
                previous = current;
                let sql = format!(
                    "GRANT DELETE ON of_{app}.direct TO {app}; REVOKE ALL ON SEQUENCE of_{app}.numbers FROM {app}; REVOKE reads_{app} FROM {app}"
                );
                pair.app.server.execute(&sql).await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_each_rotation_nothing_tells_the_two_apart() {
    for version in Postgres::versions().await.unwrap() {
        for power in [Power::Superuser, Power::CreateRole] {
            let pair = Pair::new(version, power).await;
            furnish(&pair, power).await;
            let (app, clone) = (pair.app.user.clone(), pair.clone_name());
            let world = pair.world().await;
            let mut previous = world.current();
            for round in 0..5 {
                world.rotate().await.unwrap_or_else(|error| panic!("{version} {power:?} {round}: {error}"));
                let current = world.current();
                let found = differences(&pair, [&previous, &current]).await;
                assert!(found.is_empty(), "PostgreSQL {version}, {power:?}, round {round}: {found:#?}");
                previous = current;
                // Meanwhile somebody grants and revokes, for the original and for the alternate alone.
                let sql = match round {
                    0 => format!(
                        "CREATE TABLE of_{app}.later (x int); REVOKE ALL ON of_{app}.direct FROM {app}; REVOKE reads_{app} FROM {app}"
                    ),
                    1 => format!(
                        "CREATE ROLE new_{app}; GRANT new_{app} TO {app}; GRANT SELECT ON of_{app}.direct TO new_{app}; ALTER ROLE {app} RESET statement_timeout; ALTER ROLE {app} CONNECTION LIMIT -1"
                    ),
                    2 if power == Power::Superuser => format!(
                        "GRANT ALL ON of_{app}.deep TO {clone}; GRANT deep_{app} TO {clone}; ALTER ROLE {clone} SET work_mem = '9MB'; \
                         GRANT USAGE ON LANGUAGE plpgsql TO {clone}; GRANT CREATE ON SCHEMA of_{app} TO {clone} WITH GRANT OPTION; \
                         GRANT SELECT (a) ON of_{app}.group_ TO {clone}; GRANT EXECUTE ON FUNCTION of_{app}.f() TO {clone}; \
                         ALTER ROLE {app} NOBYPASSRLS NOREPLICATION; ALTER ROLE {app} RESET my.tenant; GRANT CREATE ON TABLESPACE pg_default TO {clone}"
                    ),
                    2 => format!(
                        "ALTER ROLE {clone} SET work_mem = '9MB'; ALTER ROLE {clone} CONNECTION LIMIT 1"
                    ),
                    _ => format!("GRANT INSERT ON of_{app}.deep TO {app} WITH GRANT OPTION"),
                };
                pair.app.server.execute(&sql).await.unwrap();
                if round == 2 {
                    // The account in use is not touched. Changes to the alternate disappear at its own next turn.
                    world.rotate().await.unwrap();
                    previous = world.current();
                }
            }
            if power == Power::Superuser {
                for part in ["REVOKE", "of_", "taken away", "NOBYPASSRLS"] {
                    assert!(world.output().contains(part), "no {part} in {}", world.output());
                }
            }
        }
    }
}
