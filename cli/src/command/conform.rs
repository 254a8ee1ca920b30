//! `turnlock conform`: what rotation may not do wrong, tried on any function, with a real server. It calls the function from
//! outside, as Secrets Manager does, and knows nothing of it but its command.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::screen::Screen;

mod asked;
mod authorities;
mod bench;
mod card;
mod check;
mod crash;
mod far_end;
mod flaw;
mod junit;
mod order;
mod pair;
mod scene;
mod server;
mod trial;
mod turn;
mod words;

pub(crate) use asked::Conform;
use asked::Shared;
use bench::Bench;
use card::Card;
use check::Check;
use trial::Trial;

impl Conform {
    pub(crate) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let all = [
            turn::checks(),
            order::checks(),
            crash::checks(),
            far_end::checks(),
            words::checks(),
            pair::checks(),
        ];
        let checks = check::chosen(all.into_iter().flatten().collect(), &self)?;
        if self.list {
            list(screen, &checks);
            return Ok(Exit::Fine);
        }
        self.junit.as_deref().map_or(Ok(()), |path| write(path, ""))?;
        screen.progress("starting the database ...");
        let bench = Bench::new(&self).await?;
        Trial::unnamed(&bench).scene().await.map(drop).map_err(|error| {
            Failure::usage(error.to_string(), "check the command: it has to speak the Lambda runtime API")
        })?;
        self.judge(&bench, &checks, screen).await
    }

    async fn judge(&self, bench: &Shared<Bench>, checks: &[Check], screen: &Screen) -> Result<Exit, Failure> {
        let (started, seed) = (Instant::now(), self.seed.unwrap_or_else(rand::random));
        let mut card = Card::new(screen, self, bench.server.to_string(), seed);
        for run in 1..=self.repeat {
            let seed = seed.wrapping_add(u64::from(run - 1));
            card.run(run, seed);
            for check in checks {
                card.begins(check);
                let began = Instant::now();
                let judged = check.judged(bench, seed).await;
                card.judge(check, judged, began.elapsed());
            }
        }
        // Figures are taken where every check is wanted.
        if self.check.is_empty() && self.only.is_empty() {
            card.measured(turn::measured(bench).await);
        }
        self.junit.as_deref().map_or(Ok(()), |path| write(path, &junit::xml(&card)))?;
        Ok(card.end(started.elapsed()))
    }
}

fn list(screen: &Screen, checks: &[Check]) {
    if screen.json {
        let checks = checks.iter().map(|check| json!({"part": check.part, "check": check.name}));
        return screen.out_json(&checks.collect());
    }
    checks.iter().for_each(|check| screen.out(check.name));
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| {
        Failure::usage(format!("{}: {error}", path.display()), "name a file that you may write")
    })
}
