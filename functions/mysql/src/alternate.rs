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
use crate::grants::{self, Change, Difference, Grant, Grants};
use crate::profile::{MARK, Profile, UNFINISHED};
use crate::refusal;
use crate::statement::{self, literal};
use crate::stored::{self, Method};

/// How often the difference is read and settled. One change can cause another: for example, a grant option makes dynamic privileges
/// grantable. No case is known that needs more than this.
const ROUNDS: usize = 5;

/// Which account is made equal to which, and its new password.
pub(crate) struct Plan<'a> {
    /// The account to copy from.
    pub original: &'a Name,
    /// The account that is made equal to the original.
    pub alternate: &'a Name,
    /// The secret's settings for the pair.
    pub pair: &'a Alternation,
    /// The alternate as it is, if it exists.
    pub found: Option<&'a Profile>,
    /// The password that the alternate gets at the end.
    pub password: &'a Secret,
}

/// Makes the alternate equal to the original, and opens it with its new password.
pub(crate) async fn apply(job: &Job<'_>, admin: &mut Writer, plan: &Plan<'_>) -> Result<()> {
    let Plan { original, alternate, pair, .. } = plan;
    let truth = Profile::of(job, admin, original).await?;
    let unfinished = plan.found.is_none_or(|found| found.is_unfinished(&admin.secret_arn, alternate));
    if plan.found.is_none() {
        create(job, admin, plan, &truth).await?;
    }
    let sync = if unfinished { Equality::Exact } else { pair.sync };
    equalize(job, admin, original, alternate, sync).await?;
    if sync == Equality::Exact {
        adopt(job, admin, alternate, &truth).await?;
    }
    let mut last = String::new();
    if sync == Equality::Exact {
        last.push_str(" ACCOUNT UNLOCK");
    }
    if unfinished && admin.server.has_attributes() {
        last.push_str(&format!(" ATTRIBUTE {}", literal(&json!({ UNFINISHED: null }).to_string())));
    }
    open(job, admin, alternate, &truth, plan.password, &last).await
}

/// Creates an account that nobody can log in to, with this secret's mark and a note that the account is not finished.
async fn create(job: &Job<'_>, admin: &mut Writer, plan: &Plan<'_>, truth: &Profile) -> Result<()> {
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
        closed(&assign::authentication(job, false, &truth.methods, &unknown)?, &mark)
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
async fn open(
    job: &Job<'_>,
    admin: &mut Session,
    name: &Name,
    truth: &Profile,
    password: &Secret,
    last: &str,
) -> Result<()> {
    let clause = assign::authentication(job, admin.server.is_mariadb(), &truth.methods, password)?;
    let clause = Secret::new(format!("{}{last}", clause.expose()));
    assign::alter(job, admin, name, &clause, refusal::statement).await
}

/// The difference between the alternate's grants and the original's, as far as the secret lets the function change them.
pub(crate) async fn difference(
    job: &Job<'_>,
    admin: &mut Session,
    original: &Name,
    alternate: &Name,
    sync: Equality,
) -> Result<Difference> {
    let truth = grants::read(job, admin, original).await?;
    let found = grants::read(job, admin, alternate).await?;
    let difference = Difference::between(&truth, &found);
    Ok(match sync {
        Equality::Exact => difference,
        Equality::Given => difference.additions(),
        Equality::Untouched => Difference::default(),
    })
}

async fn equalize(
    job: &Job<'_>,
    admin: &mut Session,
    original: &Name,
    alternate: &Name,
    sync: Equality,
) -> Result<()> {
    let mut gone: Vec<Grant> = Vec::new();
    for round in 0..ROUNDS {
        let left = difference(job, admin, original, alternate, sync).await?;
        let (mut added, taken) = (grants::added(&left), grants::taken(&left));
        added.retain(|grant, _| !gone.contains(grant));
        if added.is_empty() && taken.is_empty() {
            return Ok(());
        }
        if round == 0 && !taken.is_empty() {
            let beyond = grants::words(&taken);
            tracing::warn!(
                account = alternate.to_string(),
                beyond,
                "what the account has beyond the original is taken away"
            );
        }
        for change in grants::take(&left.options_beyond, alternate) {
            run(job, admin, alternate, &change).await?;
        }
        for change in grants::give(&added, alternate) {
            gone.extend(run_singly(job, admin, original, alternate, &added, change).await?);
        }
        // The alternate gets all that it lacks before it loses anything.
        for change in grants::take(&left.beyond, alternate) {
            run(job, admin, alternate, &change).await?;
        }
        default_roles(job, admin, original, alternate, sync, &added, &left.beyond).await?;
    }
    let left = difference(job, admin, original, alternate, sync).await?;
    let what = format!("{alternate} cannot be made equal to {original}");
    Err(Error::new(Kind::ServerRefused, what)
        .cause(format!("it lacks: {}", grants::words(&grants::added(&left))))
        .cause(format!("it has beyond: {}", grants::words(&grants::taken(&left))))
        .remedy("the admin may hold restrictions of its own (partial revokes) that it passes on: let another admin act"))
}

async fn run(job: &Job<'_>, admin: &mut Session, name: &Name, change: &Change) -> Result<()> {
    let doing = format!("change what {name} may do");
    admin.run(job, &doing, &change.sql, refusal::statement).await.map(drop)
}

/// Gives grants, one by one if the server refuses them together. Returns the grants on objects that do not exist any more.
async fn run_singly(
    job: &Job<'_>,
    admin: &mut Session,
    original: &Name,
    name: &Name,
    missing: &Grants,
    change: Change,
) -> Result<Vec<Grant>> {
    let doing = format!("give {name} what {original} may do");
    let answer = match admin.attempt(job, &doing, &change.sql).await? {
        Ok(_) => return Ok(Vec::new()),
        Err(answer) => answer,
    };
    if !statement::MISSING_OBJECT.contains(&answer.code) {
        return Err(refusal::of(&admin.place, &doing, &answer, refusal::statement));
    }
    if let [grant] = change.about.as_slice() {
        tracing::warn!(
            grant = grants::words(&Grants::from([(grant.clone(), false)])),
            "the original has a grant on something that is gone"
        );
        return Ok(change.about);
    }
    let mut gone = Vec::new();
    for grant in change.about {
        let single = Grants::from([(grant.clone(), missing.get(&grant).copied().unwrap_or(false))]);
        for change in grants::give(&single, name) {
            gone.extend(Box::pin(run_singly(job, admin, original, name, missing, change)).await?);
        }
    }
    Ok(gone)
}

/// Sets the default roles, all at once, if any of them differ.
async fn default_roles(
    job: &Job<'_>,
    admin: &mut Session,
    original: &Name,
    alternate: &Name,
    sync: Equality,
    missing: &Grants,
    extra: &Grants,
) -> Result<()> {
    let is_default = |grant: &&Grant| grant.kind == grants::Kind::DefaultRole;
    if missing.keys().chain(extra.keys()).filter(is_default).count() == 0 {
        return Ok(());
    }
    let mut wanted = grants::read(job, admin, original).await?;
    if sync == Equality::Given && !admin.server.is_mariadb() {
        wanted.extend(grants::read(job, admin, alternate).await?);
    }
    let roles: Vec<&str> = wanted.keys().filter(is_default).map(|grant| grant.what.as_str()).collect();
    let sql = statement::default_roles(alternate, &roles, admin.server.is_mariadb());
    admin.run(job, &format!("set the default roles of {alternate}"), &sql, refusal::statement).await.map(drop)
}
