//! `turnlock conform`: what rotation may not do wrong, tried on any function, with a real server. It calls the function from
//! outside, as Secrets Manager does, and knows nothing of it but its command.

use std::time::{Duration, Instant};

use crate::failure::{Exit, Failure};
use crate::screen::Screen;

mod asked;
mod bench;
mod card;
mod crash;
mod far_end;
mod flaw;
mod order;
mod pair;
mod server;
mod turn;
mod words;

pub(crate) use asked::Conform;
use bench::Bench;
use card::Card;

impl Conform {
    pub(crate) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let started = Instant::now();
        screen.progress("starting the database ...");
        let (seed, timeout) = (self.seed.unwrap_or_else(rand::random), Duration::from_secs(self.timeout));
        let bench = Bench::new(&self, seed, timeout).await?;
        let mut card = Card::new(screen, &self);
        turn::judge(&bench, &mut card).await;
        order::judge(&bench, &mut card).await;
        crash::judge(&bench, &mut card).await;
        far_end::judge(&bench, &mut card).await;
        words::judge(&bench, &mut card).await;
        pair::judge(&bench, &mut card).await;
        Ok(card.end(&bench, started.elapsed()))
    }
}
