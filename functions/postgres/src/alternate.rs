//! The strategy `alternating-users`: the account whose turn it is gets the pending password. An alternate is first made equal to
//! the original. The admin does all of it in one transaction, under the secret's lock. The last statement allows the login.
//! docs/decisions/0004-one-owner.md says why the alternate is a member of the original and acts as it.

use rotation::database::account::Account;
use rotation::database::alternation::{Alternation, Equality};
use rotation::database::dialect::Change;
use rotation::database::guard::{self, Guard, Named, Standing};
use rotation::error::{Error, Kind, Result};

use crate::dialect::{Admin, Postgres, Writer};
use crate::role::{ATTRIBUTES, Role, Roles};
use crate::statement::catalog;
use crate::turn::Turn;
use crate::writer::{self, explain, explain_admin};
use crate::{extras, memberships, ownership, parameters, statement};

pub(crate) async fn apply(
    change: &Change<'_, Postgres>,
    writer: &Writer,
    admin: &Admin,
    pair: &Alternation,
) -> Result<()> {
    let (job, pending) = (change.job, &change.pending.account);
    let roles = Roles::read(job, writer, &pair.original, &pair.alternate).await?;
    let turn = Turn { change, job, writer, admin, pair, roles };
    turn.guard().demand(&turn.subject(&pending.username)).await?;
    let together = turn.belong_together().await?;
    if pending.username == pair.original {
        if together {
            ownership::bring_home(&turn).await?;
        }
        return turn.set_password(pending, statement::set_password).await;
    }
    if together {
        turn.equalize().await?;
    }
    turn.set_password(pending, statement::open_alternate).await
}

impl Turn<'_> {
    fn guard(&self) -> Guard<'_, Postgres> {
        Guard::new(self.change, self.admin, self.writer)
    }

    fn subject<'a>(&self, name: &'a str) -> Named<'a> {
        let mark = guard::mark(&self.writer.secret_arn);
        Named { name, standing: self.standing(name), marking: statement::comment_on_role(name, &mark) }
    }

    async fn belong_together(&self) -> Result<bool> {
        let current = self.change.current.account.username.as_str();
        let together = self.guard().may_share(&self.subject(current)).await?;
        if !together {
            guard::warn_of_password_alone("account", current);
        }
        Ok(together)
    }

    fn standing(&self, account: &str) -> Standing {
        let original = Some(&self.roles.original);
        let role =
            [original, self.roles.alternate.as_ref()].into_iter().flatten().find(|role| role.name == account);
        match role {
            None => Standing::Absent,
            Some(role) if guard::is_marked(&role.comment, &self.writer.secret_arn) => Standing::Marked,
            Some(_) => Standing::Unmarked,
        }
    }

    async fn set_password(&self, pending: &Account, statement: fn(&str, &str) -> String) -> Result<()> {
        let explain = |code: &str| explain_admin(code, &pending.username, &self.admin.username);
        writer::set_password(self.job, self.writer, pending, statement, &explain).await
    }

    /// Creates the alternate if it does not exist, and makes it equal to the original.
    async fn equalize(&self) -> Result<()> {
        let Roles { original, alternate, .. } = &self.roles;
        if let Some(role) = &self.pair.owner_role
            && original.acts_as != *role
        {
            return Err(acts_otherwise(original, role));
        }
        if original.expired {
            let what = format!("the account {:?} was valid until {}", original.name, original.valid_until);
            return Err(Error::new(Kind::ServerRefused, what)
                .remedy("extend it (ALTER ROLE ... VALID UNTIL): the alternate would not log in either"));
        }
        let name = self.pair.alternate.as_str();
        let made;
        let alternate = match alternate {
            Some(_) if self.pair.sync == Equality::Untouched => return Ok(()),
            Some(alternate) => alternate,
            None if !self.pair.create => {
                let what = format!("the account {name:?} does not exist, and \"create_users\" is false");
                return Err(Error::new(Kind::BadSecret, what)
                    .remedy("create the user, or remove \"create_users\": false"));
            }
            None => {
                self.must("make the alternate", name, &statement::create_role(name)).await?;
                made = Role::fresh(name);
                &made
            }
        };
        memberships::must_be_able_to_act(self).await?;
        if self.pair.sync == Equality::Exact {
            ownership::first(self).await?;
        }
        memberships::equalize(self).await?;
        if self.pair.sync == Equality::Given {
            extras::warn(self).await?;
        }
        self.attributes(alternate).await?;
        parameters::equalize(self).await?;
        self.labels().await?;
        if self.pair.sync == Equality::Exact {
            ownership::here(self).await?;
        }
        if !guard::is_marked(&alternate.comment, &self.writer.secret_arn) {
            let comment = guard::marked(&alternate.comment, &self.writer.secret_arn);
            self.must("mark the alternate", name, &statement::comment_on_role(name, &comment)).await?;
        }
        Ok(())
    }

    /// Copies the security labels that their providers let the admin copy. A label that cannot be copied is logged and stops
    /// nothing, because sessions act as the original. The server refuses every label whose provider is not loaded.
    async fn labels(&self) -> Result<()> {
        let take = self.pair.sync == Equality::Exact;
        let sql = catalog::labels(&self.pair.original, &self.pair.alternate, take);
        let rows = self.writer.run(self.job, "compare security labels", &sql, &explain).await?;
        for sql in rows.into_iter().flatten().flatten() {
            if let Some(words) = self.may("copy a security label", &sql).await? {
                tracing::warn!(
                    statement = sql,
                    words,
                    "a security label is not copied; run the statement yourself"
                );
            }
        }
        Ok(())
    }

    /// Copies attributes and limits. If the alternate has an attribute anyway by acting as the original, a refusal stops nothing.
    async fn attributes(&self, alternate: &Role) -> Result<()> {
        let original = &self.roles.original;
        let mut changes = Vec::new();
        if !alternate.inherits {
            changes.push(("INHERIT".to_owned(), false));
        }
        if alternate.connection_limit != original.connection_limit {
            changes.push((format!("CONNECTION LIMIT {}", original.connection_limit), false));
        }
        if alternate.valid_until != original.valid_until {
            changes.push((format!("VALID UNTIL {}", statement::literal(&original.valid_until)), false));
        }
        for ((keyword, carried), (has, wanted)) in
            ATTRIBUTES.into_iter().zip(alternate.attributes.into_iter().zip(original.attributes))
        {
            if wanted && !has {
                changes.push((keyword.to_owned(), carried));
            } else if has && !wanted && self.pair.sync == Equality::Exact {
                self.take_away(&statement::alter_role(&alternate.name, format!("NO{keyword}"))).await?;
            }
        }
        for (property, carried) in changes {
            let sql = statement::alter_role(&alternate.name, &property);
            let Some(words) = self.may("copy an attribute", &sql).await? else { continue };
            if !carried {
                let what = format!("{property} of {:?} cannot be copied", original.name);
                return Err(Error::new(Kind::ServerRefused, what).cause(words).remedy(format!(
                    "let the admin {:?} have it too, or take it from {:?}; on RDS, REPLICATION comes with the role rds_replication",
                    self.admin.username, original.name
                )));
            }
            tracing::info!(property, words, "not copied; the alternate has it by acting as the original");
        }
        Ok(())
    }
}

/// Refuses an "owner_role" that the original does not act as. The function does not grant that role, because a secret could name
/// any role; only the original's own settings count.
fn acts_otherwise(original: &Role, role: &str) -> Error {
    let what = format!(
        "the secret's \"owner_role\" is {role:?}, and sessions of {:?} act as {:?}",
        original.name, original.acts_as
    );
    Error::new(Kind::NotOurs, what).remedy(format!(
        "if that is meant, let an admin say so: GRANT {} TO {}; {};",
        statement::identifier(role),
        statement::identifier(&original.name),
        statement::set_for_role(&original.name, "", "role", role)
    ))
}
