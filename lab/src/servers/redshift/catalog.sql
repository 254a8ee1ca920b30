-- Redshift's system views over PostgreSQL's catalog. Each view is named as its AWS documentation page and has that page's
-- columns. Run once in template1, so that every database has them.
--
-- How Redshift's things are kept: a group is a role `grp:NAME`, an RBAC role is a role `role:NAME`, what a user has and
-- PostgreSQL does not know is a setting `standin.*` of the user, settings PostgreSQL does not know are `rs.*`; the table
-- privileges DROP and ALTER are TRIGGER and MAINTAIN; every other privilege that PostgreSQL lacks is a row of
-- `standin.granted`, one table for each database.

CREATE SCHEMA standin;
GRANT USAGE ON SCHEMA standin TO PUBLIC;

CREATE VIEW standin.identities AS
  SELECT oid::int AS id,
         CASE WHEN rolname LIKE 'grp:%' THEN 'group' WHEN rolname LIKE 'role:%' THEN 'role' ELSE 'user' END AS kind,
         CASE WHEN rolname LIKE 'grp:%' THEN substr(rolname, 5) WHEN rolname LIKE 'role:%' THEN substr(rolname, 6)
              ELSE rolname END::text AS name,
         rolname
    FROM pg_roles WHERE rolname NOT LIKE 'pg\_%' AND rolname <> 'postgres'
  UNION ALL SELECT 0, 'public', 'public', NULL;

-- Superusers see everything, others themselves ("Visibility of data in system tables and views").
CREATE FUNCTION standin.sees(name text) RETURNS boolean LANGUAGE sql STABLE AS
  $$ SELECT name IN (current_user, 'public') OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) $$;

CREATE TABLE standin.granted (
  kind text, object text, scope text, privilege text, identity_type text, identity_name text, admin_option boolean,
  PRIMARY KEY (kind, object, scope, privilege, identity_type, identity_name));

CREATE FUNCTION standin.give(kind text, object text, scope text, privilege text, identity_type text, name text, admin boolean)
RETURNS void LANGUAGE sql AS
  $$ INSERT INTO standin.granted VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (kind, object, scope, privilege, identity_type, identity_name)
     DO UPDATE SET admin_option = granted.admin_option OR excluded.admin_option $$;

CREATE FUNCTION standin.take(kind text, object text, scope text, privilege text, identity_type text, name text, only_option boolean)
RETURNS void LANGUAGE plpgsql AS
  $$ BEGIN
       UPDATE standin.granted g SET admin_option = false
        WHERE only_option AND (g.kind, g.object, g.scope, g.privilege, g.identity_type, g.identity_name)
            = ($1, $2, $3, $4, $5, $6);
       DELETE FROM standin.granted g
        WHERE NOT only_option AND (g.kind, g.object, g.scope, g.privilege, g.identity_type, g.identity_name)
            = ($1, $2, $3, $4, $5, $6);
     END $$;

CREATE VIEW standin.extra AS
  SELECT g.kind, g.object, g.scope, g.privilege, i.id AS identity_id, g.identity_name, g.identity_type, g.admin_option
    FROM standin.granted g JOIN standin.identities i ON (i.kind, i.name) = (g.identity_type, g.identity_name)
   WHERE standin.sees(i.name);

CREATE FUNCTION standin.refuse(code text, message text) RETURNS void LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message; END $$;

-- "Usage notes for column-level access control": the same privilege is never held at both levels.
CREATE FUNCTION standin.table_grant(tables regclass[], privileges text[], grantee oid) RETURNS void LANGUAGE plpgsql AS
  $$ BEGIN
       IF EXISTS (SELECT FROM pg_attribute t CROSS JOIN aclexplode(t.attacl) a
                   WHERE t.attrelid = ANY (tables) AND a.grantee = $3 AND a.privilege_type = ANY (privileges)) THEN
         PERFORM standin.refuse('42501', 'cannot grant a privilege on a table whose columns already carry it');
       END IF;
     END $$;

CREATE FUNCTION standin.has_table_grant(which regclass, privilege text, grantee oid) RETURNS boolean LANGUAGE sql AS
  $$ SELECT EXISTS (SELECT FROM pg_class c CROSS JOIN aclexplode(c.relacl) a
                     WHERE c.oid = which AND a.grantee = $3 AND a.privilege_type = $2) $$;

CREATE VIEW standin.namespaces AS
  SELECT * FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'standin');

CREATE FUNCTION pg_catalog.getdate() RETURNS timestamp LANGUAGE sql AS $$ SELECT now()::timestamp $$;
-- Redshift joins texts with + too: AWS's rotation function for two users does so in its catalog query.
CREATE OPERATOR pg_catalog.+ (LEFTARG = text, RIGHTARG = text, FUNCTION = textcat);
CREATE OR REPLACE FUNCTION pg_catalog.version() RETURNS text LANGUAGE sql STABLE AS
  $$ SELECT 'PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 (Red Hat 3.4.2-6.fc3), Redshift 1.0.76230' $$;

-- PG_PROC: a procedure returns nothing at all.
CREATE VIEW standin.pg_proc AS
  SELECT oid, proname, pronamespace, proowner, proargtypes, CASE prokind WHEN 'p' THEN 0::oid ELSE prorettype END AS prorettype
    FROM pg_catalog.pg_proc;

-- Its page lists INSERT, SELECT, UPDATE, DELETE, REFERENCES and DROP. ALTER and TRUNCATE are in SHOW GRANTS only.
CREATE VIEW pg_catalog.svv_relation_privileges AS
  SELECT n.nspname::text AS namespace_name, c.relname::text AS relation_name,
         CASE a.privilege_type WHEN 'TRIGGER' THEN 'DROP' ELSE a.privilege_type END AS privilege_type,
         i.id AS identity_id, i.name AS identity_name, i.kind AS identity_type, a.is_grantable AS admin_option
    FROM pg_class c JOIN standin.namespaces n ON n.oid = c.relnamespace CROSS JOIN aclexplode(c.relacl) a
    JOIN standin.identities i ON i.id = a.grantee::int
   WHERE c.relkind IN ('r', 'v', 'm') AND a.grantee <> c.relowner AND standin.sees(i.name)
     AND a.privilege_type NOT IN ('MAINTAIN', 'TRUNCATE');

CREATE VIEW pg_catalog.svv_column_privileges AS
  SELECT n.nspname::text AS namespace_name, c.relname::text AS relation_name, t.attname::text AS column_name,
         a.privilege_type, i.id AS identity_id, i.name AS identity_name, i.kind AS identity_type
    FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN standin.namespaces n ON n.oid = c.relnamespace
   CROSS JOIN aclexplode(t.attacl) a JOIN standin.identities i ON i.id = a.grantee::int
   WHERE standin.sees(i.name);

CREATE VIEW pg_catalog.svv_schema_privileges AS
  SELECT n.nspname::text AS namespace_name, a.privilege_type, i.id AS identity_id, i.name AS identity_name,
         i.kind AS identity_type, a.is_grantable AS admin_option, 'SCHEMA' AS privilege_scope
    FROM standin.namespaces n CROSS JOIN aclexplode(n.nspacl) a JOIN standin.identities i ON i.id = a.grantee::int
   WHERE a.grantee <> n.nspowner AND standin.sees(i.name)
  UNION ALL
  SELECT object, privilege, identity_id, identity_name, identity_type, admin_option, scope
    FROM standin.extra WHERE kind = 'schema' AND (scope <> 'SCHEMA' OR privilege <> 'DROP');

CREATE VIEW pg_catalog.svv_database_privileges AS
  SELECT d.datname::text AS database_name, CASE a.privilege_type WHEN 'TEMPORARY' THEN 'TEMP' ELSE a.privilege_type END AS privilege_type,
         i.id AS identity_id, i.name AS identity_name, i.kind AS identity_type, a.is_grantable AS admin_option,
         'DATABASE' AS privilege_scope
    FROM pg_database d CROSS JOIN aclexplode(d.datacl) a JOIN standin.identities i ON i.id = a.grantee::int
   WHERE a.grantee <> d.datdba AND a.privilege_type <> 'CONNECT' AND standin.sees(i.name)
  UNION ALL
  SELECT object, privilege, identity_id, identity_name, identity_type, admin_option, scope
    FROM standin.extra WHERE kind = 'database';

CREATE VIEW pg_catalog.svv_function_privileges AS
  SELECT n.nspname::text AS namespace_name, p.proname::text AS function_name, oidvectortypes(p.proargtypes) AS argument_types,
         a.privilege_type, i.id AS identity_id, i.name AS identity_name, i.kind AS identity_type, a.is_grantable AS admin_option
    FROM pg_catalog.pg_proc p JOIN standin.namespaces n ON n.oid = p.pronamespace CROSS JOIN aclexplode(p.proacl) a
    JOIN standin.identities i ON i.id = a.grantee::int
   WHERE a.grantee <> p.proowner AND standin.sees(i.name);

CREATE VIEW pg_catalog.svv_language_privileges AS
  SELECT l.lanname::text AS language_name, a.privilege_type, i.id AS identity_id, i.name AS identity_name,
         i.kind AS identity_type, a.is_grantable AS admin_option
    FROM pg_language l CROSS JOIN aclexplode(l.lanacl) a JOIN standin.identities i ON i.id = a.grantee::int
   WHERE a.grantee <> l.lanowner AND standin.sees(i.name);

CREATE VIEW pg_catalog.svv_default_privileges AS
  SELECT n.nspname::text AS schema_name, CASE d.defaclobjtype WHEN 'r' THEN 'RELATION' ELSE 'FUNCTION' END AS object_type,
         o.id AS owner_id, o.name AS owner_name, o.kind AS owner_type,
         CASE a.privilege_type WHEN 'TRIGGER' THEN 'DROP' ELSE a.privilege_type END AS privilege_type,
         i.id AS grantee_id, i.name AS grantee_name, i.kind AS grantee_type, a.is_grantable AS admin_option
    FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace CROSS JOIN aclexplode(d.defaclacl) a
    JOIN standin.identities o ON o.id = d.defaclrole::int JOIN standin.identities i ON i.id = a.grantee::int
   WHERE d.defaclobjtype IN ('r', 'f') AND a.grantee <> d.defaclrole AND (a.grantee <> 0 OR d.defaclobjtype <> 'f')
     AND (standin.sees(i.name) OR standin.sees(o.name)) AND a.privilege_type NOT IN ('MAINTAIN', 'TRUNCATE')
  UNION ALL
  SELECT nullif(e.scope, ''), 'PROCEDURE', o.id, o.name, o.kind, e.privilege, e.identity_id, e.identity_name,
         e.identity_type, e.admin_option
    FROM standin.extra e JOIN standin.identities o ON (o.kind, o.name) = ('user', e.object) WHERE e.kind = 'default procedure';

CREATE VIEW pg_catalog.svv_user_grants AS
  SELECT u.id AS user_id, u.name AS user_name, r.id AS role_id, r.name AS role_name, m.admin_option
    FROM pg_auth_members m JOIN standin.identities u ON u.id = m.member::int JOIN standin.identities r ON r.id = m.roleid::int
   WHERE u.kind = 'user' AND r.kind = 'role' AND standin.sees(u.name);

CREATE VIEW pg_catalog.svv_role_grants AS
  SELECT u.id AS role_id, u.name AS role_name, r.id AS granted_role_id, r.name AS granted_role_name
    FROM pg_auth_members m JOIN standin.identities u ON u.id = m.member::int JOIN standin.identities r ON r.id = m.roleid::int
   WHERE u.kind = 'role' AND r.kind = 'role' AND standin.sees('');

CREATE VIEW pg_catalog.svv_datashare_privileges AS
  SELECT object AS datashare_name, privilege AS privilege_type, identity_id, identity_name, identity_type, admin_option
    FROM standin.extra WHERE kind = 'datashare';

CREATE VIEW pg_catalog.svv_ml_model_privileges AS
  SELECT split_part(object, '.', 1) AS namespace_name, split_part(object, '.', 2) AS model_name, 1 AS model_version,
         privilege AS privilege_type, identity_id, identity_name, identity_type, admin_option
    FROM standin.extra WHERE kind = 'model';

CREATE VIEW pg_catalog.svv_iam_privileges AS
  SELECT object AS iam_arn, privilege AS command_type, identity_id, identity_name, identity_type
    FROM standin.extra WHERE kind = 'iam';

CREATE VIEW pg_catalog.svv_rls_attached_policy AS
  SELECT split_part(object, '.', 1) AS relschema, split_part(object, '.', 2) AS relname, 'table' AS relkind,
         privilege AS polname, 'admin' AS grantor, identity_name AS grantee, identity_type AS granteekind,
         true AS is_pol_on, true AS is_rls_on
    FROM standin.extra WHERE kind = 'rls';

CREATE VIEW pg_catalog.svv_attached_masking_policy AS
  SELECT privilege AS policy_name, split_part(object, '.', 1) AS schema_name, split_part(object, '.', 2) AS table_name,
         'table' AS table_type, 'admin' AS grantor, identity_name AS grantee, identity_type AS grantee_type, 0 AS priority
    FROM standin.extra WHERE kind = 'masking';

CREATE FUNCTION standin.kept(config text[], name text) RETURNS text LANGUAGE sql IMMUTABLE AS
  $$ SELECT substr(c, length(name) + 10) FROM unnest(config) c WHERE c LIKE 'standin.' || name || '=%' $$;

-- Only superusers see this one.
CREATE VIEW pg_catalog.svl_user_info AS
  SELECT r.rolname::text AS usename, r.oid::int AS usesysid, r.rolcreatedb AS usecreatedb, r.rolsuper AS usesuper,
         r.rolsuper AS usecatupd, CASE r.rolconnlimit WHEN -1 THEN 'UNLIMITED' ELSE r.rolconnlimit::text END AS useconnlimit,
         coalesce(standin.kept(r.rolconfig, 'syslog_access'), CASE WHEN r.rolsuper THEN 'UNRESTRICTED' ELSE 'RESTRICTED' END) AS syslogaccess,
         NULL::timestamp AS last_ddl_ts, coalesce(standin.kept(r.rolconfig, 'session_timeout'), '0')::int AS sessiontimeout,
         standin.kept(r.rolconfig, 'external_id') AS external_id
    FROM pg_roles r JOIN standin.identities i ON i.id = r.oid::int WHERE i.kind = 'user' AND r.rolcanlogin;

-- "SVV_USER_INFO": the same for everybody, and each user sees itself. Serverless has this one alone.
CREATE VIEW pg_catalog.svv_user_info AS
  SELECT usename AS user_name, usesysid AS user_id, usecreatedb AS createdb, usesuper AS superuser, usecatupd AS catalog_update,
         useconnlimit AS connection_limit, syslogaccess AS syslog_access, last_ddl_ts AS last_ddl_timestamp,
         sessiontimeout AS session_timeout, external_id AS external_user_id
    FROM pg_catalog.svl_user_info WHERE standin.sees(usename);

DROP VIEW pg_catalog.pg_user;
CREATE VIEW pg_catalog.pg_user AS
  SELECT r.rolname AS usename, r.oid::int AS usesysid, r.rolcreatedb AS usecreatedb, r.rolsuper AS usesuper,
         r.rolsuper AS usecatupd, '********'::text AS passwd, r.rolvaliduntil AS valuntil,
         (SELECT array_agg(replace(c, 'rs.', '')) FROM unnest(r.rolconfig) c WHERE c NOT LIKE 'standin.%') AS useconfig
    FROM pg_roles r JOIN standin.identities i ON i.id = r.oid::int WHERE i.kind = 'user' AND r.rolcanlogin;

DROP VIEW pg_catalog.pg_group;
CREATE VIEW pg_catalog.pg_group AS
  SELECT i.name AS groname, i.id AS grosysid,
         ARRAY(SELECT member::int FROM pg_auth_members m WHERE m.roleid::int = i.id) AS grolist
    FROM standin.identities i WHERE i.kind = 'group';

CREATE VIEW pg_catalog.svv_redshift_databases AS
  SELECT d.datname::text AS database_name, i.id AS database_owner, 'local' AS database_type, NULL::text AS database_acl,
         NULL::text AS database_options
    FROM pg_database d JOIN standin.identities i ON i.id = d.datdba::int WHERE NOT d.datistemplate
  UNION ALL
  SELECT DISTINCT object, 0, 'shared', NULL, NULL FROM standin.granted WHERE kind = 'database' AND privilege = 'USAGE';

DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relname ~ '^svv_|^pg_(user|group)$'
  LOOP EXECUTE format('GRANT SELECT ON pg_catalog.%I TO PUBLIC', name); END LOOP;
END $$;
GRANT SELECT ON standin.pg_proc TO PUBLIC;

-- SHOW GRANTS FOR a user: columns as in the examples of its page, of which some have no grant option. Functions are left out.
CREATE VIEW standin.shown AS
  SELECT database_name, NULL::text AS schema_name, NULL::text AS object_name, 'DATABASE' AS object_type, privilege_type,
         identity_id, identity_name, identity_type, privilege_scope, 'awsuser' AS grantor_name
    FROM pg_catalog.svv_database_privileges WHERE database_name = current_database()
  UNION ALL
  SELECT current_database()::text, namespace_name, NULL, 'SCHEMA', privilege_type, identity_id, identity_name, identity_type,
         privilege_scope, 'awsuser'
    FROM pg_catalog.svv_schema_privileges
  UNION ALL
  SELECT current_database()::text, object, NULL, 'SCHEMA', privilege, identity_id, identity_name, identity_type, scope, 'awsuser'
    FROM standin.extra WHERE kind = 'schema' AND scope = 'SCHEMA' AND privilege = 'DROP'
  UNION ALL
  SELECT current_database()::text, n.nspname::text, c.relname::text, CASE c.relkind WHEN 'r' THEN 'TABLE' ELSE 'VIEW' END,
         CASE a.privilege_type WHEN 'TRIGGER' THEN 'DROP' WHEN 'MAINTAIN' THEN 'ALTER' ELSE a.privilege_type END,
         i.id, i.name, i.kind, 'TABLE', 'awsuser'
    FROM pg_class c JOIN standin.namespaces n ON n.oid = c.relnamespace CROSS JOIN aclexplode(c.relacl) a
    JOIN standin.identities i ON i.id = a.grantee::int
   WHERE c.relkind IN ('r', 'v', 'm') AND a.grantee <> c.relowner;

CREATE FUNCTION standin.show_grants(who text, database text, most int) RETURNS SETOF standin.shown LANGUAGE plpgsql AS
  $$ BEGIN
       IF database <> current_database() THEN
         PERFORM standin.refuse('0A000', 'the stand-in shows the grants of the session''s own database');
       ELSIF NOT EXISTS (SELECT FROM standin.identities i WHERE (i.kind, i.name) = ('user', who)) THEN
         PERFORM standin.refuse('42704', format('user "%s" does not exist', who));
       ELSIF NOT standin.sees(who) THEN
         PERFORM standin.refuse('42501', 'permission denied to show the grants of another user');
       ELSIF most IS NULL AND (SELECT count(*) > 10000 FROM standin.shown s WHERE (s.identity_type, s.identity_name) = ('user', who)) THEN
         PERFORM standin.refuse('54000', 'SHOW GRANTS would return more than 10000 rows');
       END IF;
       RETURN QUERY SELECT * FROM standin.shown s WHERE (s.identity_type, s.identity_name) = ('user', who) LIMIT most;
     END $$;
GRANT SELECT ON standin.shown TO PUBLIC;

-- PG_TABLES without what Redshift does not have. A function that grants every table it finds meets no other.
CREATE OR REPLACE VIEW pg_catalog.pg_tables AS
  SELECT n.nspname AS schemaname, c.relname AS tablename, pg_get_userbyid(c.relowner) AS tableowner, t.spcname AS tablespace,
         c.relhasindex AS hasindexes, c.relhasrules AS hasrules, c.relhastriggers AS hastriggers, c.relrowsecurity AS rowsecurity
    FROM pg_class c LEFT JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_tablespace t ON t.oid = c.reltablespace
   WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'standin'
     AND c.relname NOT IN ('pg_auth_members', 'pg_authid', 'pg_db_role_setting', 'pg_policy', 'pg_shdescription');
