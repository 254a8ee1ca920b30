//! Measures what clients notice. Several kinds of clients use AWSCURRENT all the time while a secret rotates, and while the function is
//! killed in the middle of a rotation. Time is scaled; docs/benchmarks.md says how.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::Lab;
use lab::continuity::{Clients, Habits, Tally};
use lab::rotation::{Retries, Step};
use lab::runtime::RunningFunction;
use lab::secrets::{At, Fault, Hook, What};
use tokio::time::MissedTickBehavior;

use crate::figures::NONE;
use crate::page::{self, Part};
use crate::plan::{CASES, Case};
use crate::servers::Servers;
use crate::subject::{Side, Subjects};
use crate::{client, machine};

const PART: Part = Part {
    begin: "<!-- continuity: written by cargo xtask continuity -->",
    end: "<!-- end of continuity -->",
};

/// The number of milliseconds that stand for an hour.
const HOUR: u64 = 500;
/// The time between two rotations: four hours, the shortest that Secrets Manager allows.
const EVERY: Duration = Duration::from_millis(HOUR * 4);
/// The age at which AWS's caching libraries renew a copy by default: an hour.
const LIBRARY: Duration = Duration::from_millis(HOUR);
/// The age at which the Secrets Manager Agent renews a copy by default: 300 seconds.
const AGENT: Duration = Duration::from_millis(HOUR / 12);
/// How long a pool keeps a session, as HikariCP does: half an hour.
const LIFETIME: Duration = Duration::from_millis(HOUR / 2);

/// The number of clients of each kind, and of sessions in a pool.
const CLIENTS: usize = 3;
/// The pause of a client between two logins, or between two uses of a session.
const PAUSE: Duration = Duration::from_millis(20);
/// The time limit for one case: a few times what a case takes.
const LIMIT: Duration = Duration::from_secs(120);

/// Where a rotation is cut: before the effect of a step's first call to Secrets Manager, or after the effect of its last call.
#[derive(Clone, Copy)]
struct Cut {
    step: Step,
    after: bool,
}

/// The result of one case.
struct Series {
    /// The tallies of the agent's clients, of the libraries' clients, and of the pool.
    tallies: [Tally; 3],
    /// The longest time for which the undisturbed rotation kept a client out.
    gap: Duration,
}

/// Runs every case, or those with this text in their name, and prints the results. A run of all cases also writes them into the page.
pub(crate) async fn run(functions: PathBuf, only: Option<&str>) -> io::Result<()> {
    let (load, began) = (machine::load(), Instant::now());
    let servers = Servers::start().await?;
    let mut table = page::head(&[
        "case",
        "logins",
        "refused: agent, 300 s",
        "library, 1 h",
        "pool, 1 h",
        "longest kept out, ms: no fault",
        "with faults",
        "sessions cut",
    ]);
    print!("{table}");
    let mut broken = Vec::new();
    for case in CASES.iter().filter(|case| case.name().contains(only.unwrap_or_default())) {
        let series = tokio::time::timeout(LIMIT, series(case, &servers, functions.clone()));
        let series =
            series.await.map_err(|_| io::Error::other(format!("{}: it does not end", case.name())))??;
        let row = series.row(case);
        print!("{row}");
        table += &row;
        broken.extend(series.broken(case));
    }
    if !broken.is_empty() {
        return Err(io::Error::other(broken.join("\n")));
    }
    let circumstances = page::circumstances(load, began.elapsed());
    let rotations = 1 + cuts().count();
    let text = format!(
        "{circumstances} Every secret was rotated {rotations} times, {} of them cut.\n\n{table}",
        rotations - 1
    );
    if only.is_none() { page::replace(&PART, &text) } else { Ok(()) }
}

fn cuts() -> impl Iterator<Item = Cut> {
    Step::ALL.into_iter().flat_map(|step| [false, true].map(|after| Cut { step, after }))
}

/// All rotations of one secret while its clients are at work.
async fn series(case: &Case, servers: &Servers, functions: PathBuf) -> io::Result<Series> {
    let lab = Lab::start(Default::default()).await?;
    let name = "continuity";
    let port = servers.port(case.engine);
    let account = servers.account(case, &format!("{name}-admin"), port).await?;
    account.store(&lab, name)?;
    let subjects = Subjects::new(functions, None, lab.endpoint())?;
    let function = Arc::new(subjects.function(case, Side::Ours, servers, port)?.start().await?);
    lab.attach(name, function.clone());
    let clients = clients(&lab, name, &client::open(case.engine, port));
    for kind in &clients {
        kind.renewed().await;
    }
    let mut schedule = tokio::time::interval(EVERY);
    schedule.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut calls = [0; 4];
    let mut gap = None;
    for cut in std::iter::once(None).chain(cuts().map(Some)) {
        schedule.tick().await;
        rotate(&lab, name, &function, cut, &mut calls).await.map_err(|error| {
            let output = String::from_utf8_lossy(&function.output()).into_owned();
            io::Error::other(format!("{}: {error}\n{output}", case.name()))
        })?;
        // Waits until no client has an older copy, so that a slow machine does not change the result.
        for kind in &clients {
            kind.renewed().await;
        }
        gap.get_or_insert_with(|| longest(&clients.each_ref().map(Clients::tally)));
    }
    let [agent, library, pool] = clients;
    let tallies = [agent.stop().await, library.stop().await, pool.stop().await];
    Ok(Series { tallies, gap: gap.unwrap_or_default() })
}

fn clients(lab: &Lab, name: &str, open: &lab::continuity::Open) -> [Clients; 3] {
    let secrets = lab.secrets();
    let habits = |cache| Habits { clients: CLIENTS, cache, pause: PAUSE };
    [
        Clients::start(&secrets, name, habits(AGENT), client::login(open)),
        Clients::start(&secrets, name, habits(LIBRARY), client::login(open)),
        Clients::pool(&secrets, name, habits(LIBRARY), LIFETIME, open),
    ]
}

fn longest(tallies: &[Tally]) -> Duration {
    tallies.iter().map(|tally| tally.gap).max().unwrap_or_default()
}

/// Runs one rotation and counts the calls of each step. At the cut, if there is one, the function is killed, and the service tries
/// again with the same token.
async fn rotate(
    lab: &Lab,
    name: &str,
    function: &Arc<RunningFunction>,
    cut: Option<Cut>,
    calls: &mut [u64; 4],
) -> io::Result<()> {
    let token = lab.secrets().begin_rotation(name).map_err(io::Error::other)?;
    for (step, calls) in Step::ALL.into_iter().zip(calls) {
        let cut = cut.filter(|cut| cut.step == step);
        if let Some(cut) = cut {
            arm(lab, function, if cut.after { *calls } else { 1 }, cut.after);
        }
        lab.clear_calls();
        let ended = lab.step(name, &token, step).await;
        let struck = lab.faults().unused().is_empty();
        lab.faults().clear();
        match (cut, ended) {
            (None, Ok(())) => *calls = lab.calls().len() as u64,
            (Some(_), Err(_)) if struck => return again(lab, name, &token).await,
            (_, ended) => return Err(io::Error::other(format!("{}: {ended:?}", step.name()))),
        }
    }
    lab.secrets().end_rotation(name).map_err(io::Error::other)
}

/// Kills the function at a call.
fn arm(lab: &Lab, function: &Arc<RunningFunction>, number: u64, after: bool) {
    let hook = Hook::kill(function);
    let what = if after { What::After(hook) } else { What::Before(hook) };
    lab.faults().set(vec![Fault::new(At::Call(number), what)]);
}

/// The service's next try, and those after it.
async fn again(lab: &Lab, name: &str, token: &str) -> io::Result<()> {
    tokio::time::sleep(Retries::default().backoff).await;
    let rotation = lab.reattempt(name, token).await.map_err(io::Error::other)?;
    if rotation.succeeded() { Ok(()) } else { Err(io::Error::other(format!("{:?}", rotation.steps))) }
}

impl Series {
    fn row(&self, case: &Case) -> String {
        let ms = |time: Duration| if time.is_zero() { NONE.to_owned() } else { time.as_millis().to_string() };
        let [agent, library, pool] = &self.tallies;
        let logins: u64 = self.tallies.iter().map(Tally::logins).sum();
        page::row(&[
            case.name(),
            logins.to_string(),
            agent.refused.to_string(),
            library.refused.to_string(),
            pool.refused.to_string(),
            ms(self.gap),
            ms(longest(&self.tallies)),
            format!("{} of {}", pool.cut, pool.accepted),
        ])
    }

    /// The broken promises.
    fn broken(&self, case: &Case) -> Vec<String> {
        let mut broken = Vec::new();
        for (whose, tally) in ["agent", "library", "pool"].iter().zip(&self.tallies) {
            let Tally { refused, unanswered, cut, trouble, .. } = tally;
            if (case.overlaps() && *refused > 0) || *unanswered > 0 || *cut > 0 {
                broken.push(format!(
                    "{}, {whose}: {refused} logins refused, {unanswered} unanswered, {cut} sessions cut: {trouble:?}",
                    case.name()
                ));
            }
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(strategy: &str, tally: &Tally, breaks: usize) {
        let case = CASES.iter().find(|case| case.strategy == strategy).expect("a strategy that is measured");
        let series =
            Series { tallies: [tally.clone(), Tally::default(), tally.clone()], gap: Duration::ZERO };
        assert_eq!(series.broken(case).len(), breaks, "{strategy}: {tally:?}");
    }

    #[test]
    fn a_refused_login_breaks_the_promise_of_an_overlap_strategy_and_a_cut_session_anyones() {
        let refused = Tally { refused: 1, ..Tally::default() };
        let cut = Tally { cut: 1, ..Tally::default() };
        let unanswered = Tally { unanswered: 1, ..Tally::default() };
        for (strategy, breaks) in [
            ("single-user", 0),
            ("admin", 0),
            ("alternating-users", 2),
            ("dual-password", 2),
            ("two-keys", 2),
        ] {
            check(strategy, &refused, breaks);
            check(strategy, &cut, 2);
            check(strategy, &unanswered, 2);
            check(strategy, &Tally { accepted: 1, ..Tally::default() }, 0);
        }
    }
}
