//! The second of two users: the admin creates it if need be, makes it equal to the original, and sets its password last.
//!
//! Every statement commits by itself, so only their order makes a crash harmless. Until the last statement nobody can log in to an
//! account that is being created, and the next try continues where this one stopped.

use rotation::database::alternation::{Alternation, Equality};
use rotation::engine::job::Job;
use rotation::error::{Error, Kind, Result};
use rotation::secret::Secret;
use rotation::value::password::Policy;
use rotation::value::settings::PasswordForm;
use serde_json::json;

use crate::account::{FAMILY, Name};
use crate::assign;
use crate::connect::Session;
use crate::dialect::Writer;
use crate::equalize::{self, Pair};
use crate::profile::{MARK, Profile, UNFINISHED};
use crate::refusal;
use crate::statement::{self, literal};
use crate::stored::{self, Method};

/// Which account is made equal to which, and its new password.
pub(crate) struct Plan<'a> {
    /// The account to copy from.
    pub original: Name,
    /// The original as it is.
    pub truth: Profile,
    /// The account that is made equal to the original.
    pub alternate: &'a Name,
    /// The secret's settings for the pair.
    pub pair: &'a Alternation,
    /// The alternate as it is, if it exists.
    pub found: Option<Profile>,
    /// The password that the alternate gets at the end.
    pub password: &'a Secret,
}

impl Plan<'_> {
    /// Whether nobody has ever been able to log in to the alternate.
    fn is_unfinished(&self, admin: &Writer) -> bool {
        self.found.as_ref().is_none_or(|found| found.is_unfinished(&admin.secret_arn, self.alternate))
    }

    fn sync(&self, admin: &Writer) -> Equality {
        if self.is_unfinished(admin) { Equality::Exact } else { self.pair.sync }
    }
}

/// Makes the alternates that do not exist, and gives all of them the grants of their originals.
pub(crate) async fn prepare(job: &Job<'_>, admin: &mut Writer, plans: &[&Plan<'_>]) -> Result<()> {
    for plan in plans.iter().filter(|plan| plan.found.is_none()) {
        create(job, admin, plan).await?;
    }
    let pairs = plans.iter().map(|plan| Pair {
        original: &plan.original,
        alternate: plan.alternate,
        sync: plan.sync(admin),
    });
    let pairs = Vec::from_iter(pairs);
    equalize::all(job, admin, &pairs).await
}

/// Opens an alternate that is prepared with its new password.
pub(crate) async fn open(job: &Job<'_>, admin: &mut Writer, plan: &Plan<'_>) -> Result<()> {
    let sync = plan.sync(admin);
    let mut last = String::new();
    if sync == Equality::Exact {
        adopt(job, admin, plan.alternate, &plan.truth).await?;
        last.push_str(" ACCOUNT UNLOCK");
    }
    if plan.is_unfinished(admin) && admin.server.has_attributes() {
        last.push_str(&format!(" ATTRIBUTE {}", literal(&json!({ UNFINISHED: null }).to_string())));
    }
    set_password(job, admin, plan, &last).await
}

/// Creates an account that nobody can log in to, with this secret's mark and a note that the account is not finished.
async fn create(job: &Job<'_>, admin: &mut Writer, plan: &Plan<'_>) -> Result<()> {
    let name = plan.alternate;
    if !plan.pair.create {
        return Err(Error::new(
            Kind::BadSecret,
            format!("there is no account {name}, and \"create_users\" is false"),
        )
        .remedy("make the account, or remove \"create_users\" from the secret"));
    }
    tracing::info!(account = name.to_string(), "the account is made, closed until it is complete");
    let clauses = if admin.server.is_mariadb() && job.settings.form == PasswordForm::Plaintext {
        let methods = [Method { plugin: stored::NATIVE.to_owned(), stored: None }];
        let mark = stored::placeholder_password(&admin.secret_arn, name);
        closed(&assign::authentication(job, true, &methods, &mark)?, "")
    } else if admin.server.is_mariadb() {
        assign::via(&[Method::native(&stored::unfinished(&admin.secret_arn, name))])
    } else {
        // A random password, made by the same rules as the real one so that policies accept it. Nobody keeps it.
        let unknown =
            Policy::new(&job.settings.password, &FAMILY.rules)?.generate(&mut rand::rngs::SysRng)?;
        job.scrub.learn(&unknown);
        let mark = json!({ MARK: admin.secret_arn, UNFINISHED: true }).to_string();
        let mark = if admin.server.has_attributes() {
            format!(" ATTRIBUTE {}", literal(&mark))
        } else {
            String::new()
        };
        closed(&assign::authentication(job, false, &plan.truth.methods, &unknown)?, &mark)
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "exposes an unknown password to the statement that makes the account"
    )]
    let sql = Secret::new(statement::create(name, clauses.expose()));
    admin.run_secret(job, &format!("make the account {name}"), &sql).await
}

#[expect(clippy::disallowed_methods, reason = "exposes an unknown password to the clause that it is part of")]
fn closed(authentication: &Secret, mark: &str) -> Secret {
    Secret::new(format!("{} ACCOUNT LOCK{mark}", authentication.expose()))
}

/// Copies the original's limits, policies and attributes.
async fn adopt(job: &Job<'_>, admin: &mut Session, name: &Name, truth: &Profile) -> Result<()> {
    let found = Profile::of(job, admin, name).await?;
    let doing = format!("copy limits and policies to {name}");
    if found.options != truth.options {
        admin.run(job, &doing, &statement::alter(name, &truth.options), refusal::statement).await?;
    }
    if let Some(patch) = truth.attribute_patch(&found) {
        let clause = format!("ATTRIBUTE {}", literal(&patch));
        admin.run(job, &doing, &statement::alter(name, &clause), refusal::statement).await?;
    }
    Ok(())
}

/// Runs the last statement. From then on pending logs in.
#[expect(clippy::disallowed_methods, reason = "exposes the authentication to the clause that it is part of")]
async fn set_password(job: &Job<'_>, admin: &mut Session, plan: &Plan<'_>, last: &str) -> Result<()> {
    let clause = assign::authentication(job, admin.server.is_mariadb(), &plan.truth.methods, plan.password)?;
    let clause = Secret::new(format!("{}{last}", clause.expose()));
    assign::alter(job, admin, plan.alternate, &clause, refusal::statement).await
}
