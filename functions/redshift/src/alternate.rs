//! The strategy `alternating-users`: the user whose turn it is gets the pending password. An alternate is made equal to the original
//! first, in every database. No transaction spans the databases: each statement commits by itself, and the password comes last. The
//! next try repeats whatever a crash cut off.

use rotation::database::admin::Admin;
use rotation::database::alternation::{Alternation, Equality};
use rotation::database::dialect::Change;
use rotation::database::guard::{self, Guard, Named, Standing};
use rotation::database::session::of_admin;
use rotation::engine::gate::{self, Gate};
use rotation::engine::job::Job;
use rotation::error::{Error, Kind, Result};
use rotation::value::version::Stage;

use crate::connect::explain;
use crate::databases::{Place, Tour};
use crate::dialect::{Redshift, Writer};
use crate::user::{self, User};
use crate::{equalize, statement, writer};

/// One turn of a pair of users.
struct Turn<'a> {
    change: &'a Change<'a, Redshift>,
    job: &'a Job<'a>,
    admin: &'a Admin,
    writer: &'a Writer,
    pair: &'a Alternation,
    mark: String,
}

pub(crate) async fn apply(
    change: &Change<'_, Redshift>,
    writer: &Writer,
    admin: &Admin,
    pair: &Alternation,
) -> Result<()> {
    let (job, current, pending) = (change.job, change.current, &change.pending.account);
    let turn = Turn { change, job, admin, writer, pair, mark: user::mark(&writer.secret_arn) };
    turn.must_be_superuser().await?;
    let names = [&*pair.original, &*pair.alternate];
    let mut users = user::read(job, writer, names, &turn.mark).await?;
    let original = users.iter().position(|user| user.name == pair.original).map(|at| users.swap_remove(at));
    let (Some(original), alternate) = (original, users.pop()) else {
        let what = format!("the original user {:?} does not exist", pair.original);
        return Err(Error::new(Kind::BadSecret, what)
            .remedy("it is what the other user is made equal to: make it, or name the pair with \"alternate_username\""));
    };
    if pending.username == pair.original {
        turn.guard().demand(&turn.subject(Some(&original), &pair.original)).await?;
        return writer::set_password(job, writer, pending, None).await;
    }
    turn.guard().demand(&turn.subject(alternate.as_ref(), &pair.alternate)).await?;
    let together = turn.belong_together(&original).await?;
    let is_equal = together && turn.equalize(&original, alternate).await?;
    // Copying can take long, and Redshift has no lock. A rotation that another one has overtaken must not change the password.
    let labels = job.store.describe().await?;
    if gate::check(&labels, &job.token)? == Gate::Promoted {
        return Ok(());
    }
    if labels.holder(Stage::Current) != Some(&current.id) {
        return Err(Error::new(Kind::Conflict, "AWSCURRENT moved while privileges were copied"));
    }
    let until = is_equal.then_some(&*original.valid_until);
    writer::set_password(job, writer, pending, until).await
}

/// What both users hold, everywhere.
pub(crate) async fn compared(
    dialect: &Redshift,
    job: &Job<'_>,
    admin: &Admin,
    pair: &Alternation,
) -> Result<Vec<Place>> {
    let session = &of_admin(dialect, job, admin, None).await?;
    Tour { dialect, job, admin, pair, session }.read().await
}

fn standing(user: Option<&User>) -> Standing {
    match user {
        None => Standing::Absent,
        Some(user) if user.marked => Standing::Marked,
        Some(_) => Standing::Unmarked,
    }
}

impl Turn<'_> {
    /// Refuses an admin that is no superuser. Only superusers see other users' rows in the views, and may grant default
    /// privileges for others.
    async fn must_be_superuser(&self) -> Result<()> {
        let doing = "say whether the admin is a superuser";
        let rows = self.writer.run(self.job, doing, statement::IS_SUPERUSER, &explain).await?;
        if rows.into_iter().flatten().flatten().next().as_deref() == Some("t") {
            return Ok(());
        }
        let what = format!("the admin {:?} is no superuser", self.admin.username);
        Err(Error::new(Kind::ServerRefused, what)
            .remedy("only superusers see all privileges and may copy them: name another admin in \"masterarn\", or ALTER USER ... CREATEUSER"))
    }

    fn guard(&self) -> Guard<'_, Redshift> {
        Guard::new(self.change, self.admin, self.writer)
    }

    fn subject<'a>(&self, user: Option<&User>, name: &'a str) -> Named<'a> {
        let marking =
            format!("{}; {};", statement::create_mark(&self.mark), statement::mark(name, &self.mark));
        Named { name, standing: standing(user), marking }
    }

    fn tour(&self) -> Tour<'_> {
        let (dialect, session) = (self.change.dialect, &self.writer.session);
        Tour { dialect, job: self.job, admin: self.admin, pair: self.pair, session }
    }

    async fn belong_together(&self, original: &User) -> Result<bool> {
        let current = self.change.current.account.username.as_str();
        let together = self.guard().may_share(&self.subject(Some(original), current)).await?;
        if !together {
            guard::warn_of_password_alone("user", current);
        }
        Ok(together)
    }

    /// Creates the alternate if it does not exist, and makes it equal to the original unless the secret wants an existing one left alone.
    async fn equalize(&self, original: &User, alternate: Option<User>) -> Result<bool> {
        let sync = self.pair.sync;
        let alternate = match alternate {
            Some(_) if sync == Equality::Untouched => return Ok(false),
            Some(alternate) => alternate,
            None => self.make().await?,
        };
        if !alternate.marked {
            self.make_mark().await?;
            self.must("mark the alternate", &statement::mark(&alternate.name, &self.mark)).await?;
        }
        let tour = self.tour();
        let places = tour.read().await?;
        self.refuse_other_policies(&places)?;
        equalize::everywhere(&tour, &places).await?;
        for option in alternate.options_to_become(original, sync) {
            self.must("copy a user's option", &statement::alter_user(&alternate.name, &option)).await?;
        }
        if !original.external_id.is_empty() {
            tracing::warn!(
                "the original is known to an identity provider (EXTERNALID); that cannot be copied"
            );
        }
        Ok(true)
    }

    async fn make(&self) -> Result<User> {
        let name = &self.pair.alternate;
        if !self.pair.create {
            let what = format!("the user {name:?} does not exist, and \"create_users\" is false");
            return Err(Error::new(Kind::BadSecret, what)
                .remedy("create the user, or remove \"create_users\": false"));
        }
        self.make_mark().await?;
        self.must("make the alternate", &statement::create_marked(name, &self.mark)).await?;
        tracing::info!(
            user = name,
            mark = self.mark,
            "made the alternate, a member of the group that marks it"
        );
        Ok(User::fresh(name))
    }

    /// Creates the mark, unless an earlier rotation has.
    async fn make_mark(&self) -> Result<()> {
        let sql = format!("SELECT groname FROM pg_group WHERE groname = {}", statement::literal(&self.mark));
        let found = self.writer.run(self.job, "look for the mark", &sql, &explain).await?;
        if found.is_empty() {
            self.must("make the mark", &statement::create_mark(&self.mark)).await?;
        }
        Ok(())
    }

    /// Refuses two users with different policies. A policy hides rows or values, so an alternate without one would see more.
    fn refuse_other_policies(&self, places: &[Place]) -> Result<()> {
        for Place { seen, .. } in places {
            let (mut ours, mut theirs) = (seen.original.policies.clone(), seen.alternate.policies.clone());
            ours.sort();
            theirs.sort();
            if ours != theirs {
                let what = "row-level security or masking policies are attached to one of the two users and not to the other";
                return Err(Error::new(Kind::ServerRefused, what)
                    .cause(format!("{:?}: {}; {:?}: {}", self.pair.original, ours.join(", "), self.pair.alternate, theirs.join(", ")))
                    .remedy("attach them to a role that the original has (it is copied), or to both users by hand"));
            }
        }
        Ok(())
    }

    async fn must(&self, doing: &str, sql: &str) -> Result<()> {
        self.writer.run(self.job, doing, sql, &explain).await.map(drop)
    }
}
