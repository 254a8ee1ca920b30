//! One turn of a pair of users: who acts, on which accounts, and how a turn runs its statements.

use rotation::database::alternation::Alternation;
use rotation::database::dialect::Change;
use rotation::engine::job::Job;
use rotation::error::Result;

use crate::dialect::{Admin, Postgres, Writer};
use crate::role::Roles;
use crate::writer::explain_admin;

/// The parameters that every part of a turn uses.
pub(crate) struct Turn<'a> {
    pub(crate) change: &'a Change<'a, Postgres>,
    pub(crate) job: &'a Job<'a>,
    pub(crate) writer: &'a Writer,
    pub(crate) admin: &'a Admin,
    pub(crate) pair: &'a Alternation,
    pub(crate) roles: Roles,
}

impl Turn<'_> {
    /// The role that sessions of both accounts act as. It owns the objects that they create.
    pub(crate) fn owner(&self) -> &str {
        &self.roles.original.acts_as
    }

    /// Runs a statement that has to succeed. The admin needs power over `account` for it.
    pub(crate) async fn must(&self, doing: &str, account: &str, sql: &str) -> Result<()> {
        let explain = |code: &str| explain_admin(code, account, &self.admin.username);
        self.writer.run(self.job, doing, sql, &explain).await.map(drop)
    }

    /// Runs a statement that the server may refuse, and returns the server's words if it does.
    pub(crate) async fn may(&self, doing: &str, sql: &str) -> Result<Option<String>> {
        let explain = |code: &str| explain_admin(code, &self.pair.alternate, &self.admin.username);
        Ok(self.writer.attempt(self.job, doing, sql, &explain).await?.err())
    }

    /// Takes away something that the original does not have. If the server refuses, a log line names the statement and the turn
    /// continues: an account with too many privileges still works.
    pub(crate) async fn take_away(&self, sql: &str) -> Result<()> {
        tracing::warn!(statement = sql, "the alternate has this beyond the original; it is taken away");
        if let Some(words) = self.may("take away what the original does not have", sql).await? {
            tracing::warn!(
                statement = sql,
                words,
                "the admin may not take this away; run the statement yourself"
            );
        }
        Ok(())
    }
}
