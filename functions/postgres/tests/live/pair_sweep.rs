//! The crash sweep with an admin: every turn of two users, with and without an owner role, the takeover of a clone that AWS's
//! function made, and one user alone.

use std::io;
use std::sync::Arc;

use lab::sweep::{self, Stage};
use lab::world::World;
use serde_json::Value;

use super::app::FIRST;
use super::pair::{ADMIN_SECRET, Pair, Power};
use super::sweep::{FORGETS_ROLES, Ground, IGNORES_ROLES, OVER_TLS, PLAIN};

/// The state before the rotation that is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// Nothing. The rotation creates the alternate.
    Nothing,
    /// This many rotations.
    Rotations(usize),
    /// An owner role that both users act as, and one rotation.
    OwnerRole,
    /// The state that AWS's function leaves: a clone that is in use and owns a table.
    Aws,
    /// Both users. The admin has marked the second one.
    Pair,
    /// The strategy `admin`.
    Admin,
}

impl Before {
    /// Sets the secret's fields for this state.
    fn choose(self, secret: &mut Value, app: &str, owner: &str) {
        match self {
            Before::OwnerRole => secret["owner_role"] = owner.into(),
            Before::Admin => secret["strategy"] = "admin".into(),
            Before::Pair => {
                secret["alternate_username"] = format!("{app}_blue").into();
                secret["sync"] = "exact".into();
            }
            Before::Nothing | Before::Rotations(_) | Before::Aws => {}
        }
    }

    /// Produces this state, once there is a secret.
    async fn lead_up(self, pair: &Pair, world: &World) -> io::Result<()> {
        let rotations = match self {
            Before::Rotations(count) => count,
            Before::OwnerRole => 1,
            Before::Pair => return second_user(pair, world).await,
            Before::Aws => return clone_in_use(pair, world).await,
            Before::Nothing | Before::Admin => 0,
        };
        for _ in 0..rotations {
            world.rotate().await.map_err(io::Error::other)?;
        }
        Ok(())
    }
}

/// A second user with a table. The admin has marked it.
async fn second_user(pair: &Pair, world: &World) -> io::Result<()> {
    let (app, admin) = (&pair.app.user, &pair.admin);
    let arn = world.lab.secrets().arn(&world.secret).map_err(io::Error::other)?;
    let blue = format!("{app}_blue");
    let sql = format!(
        "CREATE ROLE {blue} LOGIN PASSWORD '{FIRST}' CONNECTION LIMIT 3; CREATE TABLE t_{app} (); ALTER TABLE t_{app} OWNER TO {blue}; \
         GRANT {blue} TO {admin} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE; COMMENT ON ROLE {blue} IS 'turnlock:{arn}'"
    );
    pair.app.server.execute(&sql).await
}

/// A clone as AWS's function makes it. It owns a table and is current.
async fn clone_in_use(pair: &Pair, world: &World) -> io::Result<()> {
    let (app, clone) = (&pair.app.user, pair.clone_name());
    let admin = pair.app.server.connect(&pair.admin, &pair.admin_password, "postgres").await;
    let sql = format!("CREATE ROLE {clone} LOGIN PASSWORD '{FIRST}'; GRANT {app} TO {clone}");
    admin.map_err(io::Error::other)?.batch_execute(&sql).await.map_err(io::Error::other)?;
    let sql = format!("CREATE TABLE t_{app} (); ALTER TABLE t_{app} OWNER TO {clone}");
    pair.app.server.execute(&sql).await?;
    let mut value = world.current();
    value["username"] = clone.into();
    world.put("00000000-0000-4000-8000-0000000000ee", &value, "AWSCURRENT").map_err(io::Error::other)
}

/// The role that both users should act as: the application's own, or a new one.
async fn owner(before: Before, pair: &Pair) -> io::Result<String> {
    let app = &pair.app.user;
    if before != Before::OwnerRole {
        return Ok(app.clone());
    }
    let owner = format!("owner_of_{app}");
    let sql = format!("CREATE ROLE {owner}; GRANT {owner} TO {app}; ALTER ROLE {app} SET role TO {owner}");
    pair.app.server.execute(&sql).await.map(|()| owner)
}

async fn stage(before: Before, ground: Ground) -> io::Result<Stage> {
    let pair = Arc::new(Pair::on(ground.server().await?, Power::CreateRole).await);
    let proxy = ground.proxy(&pair.app.server).await?;
    let behind_proxy = |secret: &mut Value| ground.lead(secret, &proxy);
    let owner = owner(before, &pair).await?;
    let world = pair.app.world_with(&[], |secret| {
        secret["masterarn"] = ADMIN_SECRET.into();
        behind_proxy(secret);
        before.choose(secret, &pair.app.user, &owner);
    });
    let world = world.await;
    pair.add_admin(&world, ADMIN_SECRET, behind_proxy);
    before.lead_up(&pair, &world).await?;
    let (secrets, secret, used) = (world.lab.secrets(), world.secret.clone(), Arc::clone(&pair));
    let epilogue = move || {
        let (current, pair, owner) = (secrets.value(&secret, "AWSCURRENT"), Arc::clone(&used), owner.clone());
        Box::pin(async move {
            let current =
                serde_json::from_str(&current.unwrap_or_default()).map_err(|error| format!("{error}"))?;
            let acts_as = pair.as_user(&current, "SELECT current_user").await?;
            if acts_as != [owner.as_str()] {
                return Err(format!("{current} acts as {acts_as:?}"));
            }
            nothing_is_left_over(&pair).await
        }) as sweep::Answer<Result<(), String>>
    };
    let accepts = move |value: Value| {
        let pair = Arc::clone(&pair);
        Box::pin(async move { pair.accepts(&value).await }) as sweep::Answer<bool>
    };
    let (accepts, epilogue): (sweep::Accepts, sweep::Epilogue) = (Arc::new(accepts), Arc::new(epilogue));
    let overlaps = before != Before::Admin;
    Ok(Stage { world, proxy: Some(proxy), accepts, overlaps, epilogue: Some(epilogue) })
}

/// Checks that the admin has given back what it borrowed, that the alternate's objects have a new owner, and that no alternate
/// has more than its original.
async fn nothing_is_left_over(pair: &Pair) -> Result<(), String> {
    let (app, admin) = (&pair.app.user, &pair.admin);
    let sql = format!(
        "SELECT 'the admin still has ' || roleid::regrole FROM pg_auth_members WHERE member = '{admin}'::regrole AND NOT admin_option \
         UNION ALL SELECT tablename || ' belongs to ' || tableowner FROM pg_tables WHERE tablename = 't_{app}' AND tableowner <> '{app}' \
         UNION ALL SELECT o.rolname || ' is a member of ' || r.rolname FROM pg_roles o, pg_roles r \
           WHERE o.rolname IN ('{app}_clone', '{app}_blue') AND o.rolcanlogin AND r.rolname NOT IN ('{app}', o.rolname) \
             AND pg_has_role(o.oid, r.oid, 'MEMBER') AND NOT pg_has_role('{app}', r.oid, 'MEMBER') \
         UNION ALL SELECT o.rolname || ' may log in ' || o.rolconnlimit || ' times' FROM pg_roles o \
           WHERE o.rolname IN ('{app}_clone', '{app}_blue') AND o.rolcanlogin AND o.rolconnlimit <> -1"
    );
    match pair.value(&sql).await {
        None => Ok(()),
        Some(left) => Err(left),
    }
}

async fn survives(before: Before) {
    survives_on(before, PLAIN).await;
}

async fn survives_on(before: Before, ground: Ground) {
    let name = format!("two users on {ground:?}, before them {before:?}");
    let swept = sweep::check(&name, move || stage(before, ground), 6).await;
    swept.unwrap_or_else(|failures| panic!("{failures}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn making_the_alternate_survives_a_cut_anywhere() {
    survives(Before::Nothing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_originals_turn_survives_a_cut_anywhere() {
    survives(Before::Rotations(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alternates_second_turn_survives_a_cut_anywhere() {
    survives(Before::Rotations(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_role_survives_a_cut_anywhere() {
    survives(Before::OwnerRole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_made_beforehand_survives_a_cut_anywhere() {
    survives(Before::Pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn taking_over_a_clone_survives_a_cut_anywhere() {
    survives(Before::Aws).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_for_one_user_survives_a_cut_anywhere() {
    survives(Before::Admin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_over_tls_survive_a_cut_anywhere() {
    survives_on(Before::Nothing, OVER_TLS).await;
    survives_on(Before::Rotations(1), OVER_TLS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_over_tls_survives_a_cut_anywhere() {
    survives_on(Before::Admin, OVER_TLS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_on_a_minor_that_forgets_roles_survive_a_cut_anywhere() {
    survives_on(Before::Nothing, FORGETS_ROLES).await;
    survives_on(Before::Rotations(1), FORGETS_ROLES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_on_a_minor_that_ignores_roles_survives_a_cut_anywhere() {
    survives_on(Before::Admin, IGNORES_ROLES).await;
}
