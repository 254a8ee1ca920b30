//! One case: cut, go on as the service would, and check the promises all along.

use std::io;
use std::sync::{Arc, Mutex};

use super::plan::{Aftermath, Case, Cut, Recording};
use super::stage::{Accepts, Stage};
use crate::lock::locked;
use crate::proxy::Point;
use crate::rotation::Step;
use crate::secrets::{At, Fault, Hook, Secrets, Verdict, What};

type Outcome<T = ()> = Result<T, String>;

/// A cut that is not reached shows nothing: then the recording no longer fits what the function does.
pub const NEVER_REACHED: &str = "the cut was never reached";

/// Where a case happens could not be made, which says nothing of the function.
pub const NO_STAGE: &str = "no stage: ";

/// What is broken now: nothing stored logs in, or, with an overlap strategy, AWSCURRENT does not.
pub async fn violation(secrets: &Secrets, secret: &str, accepts: &Accepts, overlaps: bool) -> Option<String> {
    let parse = |text: String| serde_json::from_str(&text).ok();
    if let Some(current) = secrets.value(secret, "AWSCURRENT").and_then(parse)
        && accepts(current).await
    {
        return None;
    }
    if overlaps {
        return Some("AWSCURRENT does not log in".into());
    }
    for version in secrets.versions(secret).ok()? {
        if let Some(value) = secrets.value_of(secret, &version.id).and_then(parse)
            && accepts(value).await
        {
            return None;
        }
    }
    Some("no stored version logs in".into())
}

/// Rotates once with every promise checked after every call, and once more as the cases will, to know where they can cut: what the
/// checks themselves do (their logins fill the server's caches) must be the same in both.
pub(super) async fn record<F, S>(make: &F) -> Outcome<Recording>
where
    F: Fn() -> S + Sync,
    S: Future<Output = io::Result<Stage>> + Send,
{
    let stage = || async { make().await.map_err(|error| format!("{NO_STAGE}{error}")) };
    let strict = stage().await?;
    walk(&strict, true).await?;
    strict.world.function.kill();
    let usual = stage().await?;
    let recording = walk(&usual, false).await?;
    usual.world.function.kill();
    Ok(recording)
}

/// One rotation without a fault, recorded step by step.
async fn walk(stage: &Stage, every_call: bool) -> Outcome<Recording> {
    let watch = Watch::over(stage, every_call);
    let world = &stage.world;
    let token = world.begin().map_err(|refusal| refusal.to_string())?;
    let mut recording = Recording::default();
    for step in Step::ALL {
        world.lab.clear_calls();
        stage.proxy.iter().for_each(|proxy| proxy.clear());
        world.step(&token, step).await.map_err(|error| format!("{}: {error}", step.name()))?;
        let messages = stage.proxy.as_ref().map(|proxy| proxy.messages()).unwrap_or_default();
        recording.add(step, world.lab.calls().len() as u64, &messages);
    }
    world.lab.secrets().end_rotation(&world.secret).map_err(|refusal| refusal.to_string())?;
    watch.verdict().await?;
    finished(stage, Some(&token)).await?;
    Ok(recording)
}

pub(super) async fn run(stage: &Stage, case: &Case) -> Outcome {
    let watch = Watch::over(stage, false);
    let token = stage.world.begin().map_err(|refusal| refusal.to_string())?;
    let end = match case.aftermath {
        Aftermath::Doubled | Aftermath::Overtaken => pause(stage, case, &token).await?,
        _ => crash(stage, case, &token).await?,
    };
    watch.verdict().await?;
    finished(stage, end.as_deref()).await
}

/// Cuts, then goes on alone. The token that must be current at the end.
async fn crash(stage: &Stage, case: &Case, token: &str) -> Outcome<Option<String>> {
    let (reached, end) = cut(stage, case.cut, case.aftermath != Aftermath::Disconnected, token).await?;
    if !reached {
        return Err(unreached(end));
    }
    if let Aftermath::KilledAgain(second) = case.aftermath {
        // What is left to do may be over before that.
        let _ = cut(stage, second, true, token).await?;
    }
    if case.aftermath == Aftermath::Abandoned {
        return anew(stage).await.map(Some);
    }
    go_through(stage, token).await?;
    Ok(Some(token.to_owned()))
}

/// Why a cut was not reached: a step failed before it, or the steps did not come by there.
fn unreached(end: Outcome) -> String {
    match end {
        Ok(()) => NEVER_REACHED.to_owned(),
        Err(error) => format!("a step failed before the cut: {error}"),
    }
}

/// Runs the steps until the cut, and looks whether somebody can log in right after it. Whether it was reached, and how the steps
/// ended.
async fn cut(stage: &Stage, cut: Cut, kills: bool, token: &str) -> Outcome<(bool, Outcome)> {
    let world = &stage.world;
    // Every step runs until one fails, or none does because the loss could be made good.
    let end = steps_with(stage, token, cut.step(), || arm(stage, cut, kills)).await;
    let armed = match &stage.proxy {
        Some(proxy) => proxy.is_armed().await,
        None => false,
    };
    let reached = world.lab.faults().unused().is_empty() && !armed;
    disarm(stage);
    match violation(&world.lab.secrets(), &world.secret, &stage.accepts, stage.overlaps).await {
        Some(broken) => Err(format!("right after the cut {cut} ({end:?}): {broken}")),
        None => Ok((reached, end)),
    }
}

/// Runs the steps as the service does, and sets the trap just before the step that it is for.
async fn steps_with(stage: &Stage, token: &str, trapped: Step, set: impl FnOnce()) -> Outcome {
    let (world, mut set) = (&stage.world, Some(set));
    for step in Step::ALL {
        if let Some(set) = set.take_if(|_| step == trapped) {
            set();
        }
        world.step(token, step).await.map_err(|error| format!("{}: {error}", step.name()))?;
    }
    world.lab.secrets().end_rotation(&world.secret).map_err(|refusal| refusal.to_string())
}

/// Tries again as the service does, with the same token. Once is enough, unless the function says that it clashed with what
/// the lost connection was still doing at the server: then the service tries once more.
async fn go_through(stage: &Stage, token: &str) -> Outcome {
    let outcome = match stage.world.steps(token).await {
        Err(error) if error.contains(": Conflict:") => stage.world.steps(token).await,
        outcome => outcome,
    };
    outcome.map_err(|error| format!("the same token does not go through again: {error}"))
}

/// Takes the label away and rotates anew.
async fn anew(stage: &Stage) -> Outcome<String> {
    let world = &stage.world;
    let secrets = world.lab.secrets();
    if secrets.version_with(&world.secret, "AWSPENDING") != secrets.version_with(&world.secret, "AWSCURRENT")
    {
        world.abandon().map_err(|refusal| refusal.to_string())?;
    }
    world.rotate().await.map_err(|error| format!("a new token does not go through: {error}"))
}

/// Tries the pending token again, as the service does. If the first process has been promoted meanwhile, a pending that was made
/// for the current before can only be dropped, as in the model.
async fn again(stage: &Stage) -> Outcome<String> {
    let world = &stage.world;
    let token = world.lab.secrets().version_with(&world.secret, "AWSPENDING").ok_or("nothing is pending")?;
    match world.steps(&token).await {
        Ok(()) => Ok(token),
        Err(refused) => anew(stage).await.map_err(|error| format!("{refused}; and then: {error}")),
    }
}

/// Holds the first process at the cut, lets a second one do everything, and then lets the first go on.
async fn pause(stage: &Stage, case: &Case, token: &str) -> Outcome<Option<String>> {
    let world = &stage.world;
    let Cut::Call { step, number, after } = case.cut else {
        return Err("only calls can be held".into());
    };
    let (hook, mut held) = Hook::hold();
    let what = if after { What::After(hook) } else { What::Before(hook) };
    let fault = Fault::new(At::Call(number), what);
    let slow = async {
        let end = steps_with(stage, token, step, || world.lab.faults().set(vec![fault])).await;
        // If the call never came, nobody need wait for it any more.
        world.lab.faults().clear();
        end
    };
    let others = async {
        held.reached().await?;
        let end = match case.aftermath {
            Aftermath::Overtaken => anew(stage).await.map(Some),
            // While the first one stands there holding the lock, the second may be turned away; it is tried again below.
            _ => Ok(world.steps(token).await.err().map(|_| token.to_owned())),
        };
        held.release();
        Some(end)
    };
    let (slow_end, end) = tokio::join!(slow, others);
    disarm(stage);
    // How a slow process fares that was held is seen by what is stored at the end.
    let end = end.ok_or_else(|| unreached(slow_end))?;
    if case.aftermath == Aftermath::Overtaken {
        return match end {
            Ok(token) => Ok(token),
            // Turned away while the first one held the lock: the service tries the newer token again.
            Err(first) => again(stage).await.map(Some).map_err(|error| format!("{first}; and then: {error}")),
        };
    }
    end?;
    go_through(stage, token).await?;
    Ok(Some(token.to_owned()))
}

fn arm(stage: &Stage, cut: Cut, kills: bool) {
    let function = Arc::clone(&stage.world.function);
    match cut {
        Cut::Call { number, after, .. } => {
            let hook = if kills { Hook::kill(&function) } else { Hook::new(|_| async { Verdict::Cut }) };
            let what = if after { What::After(hook) } else { What::Before(hook) };
            stage.world.lab.faults().set(vec![Fault::new(At::Call(number), what)]);
        }
        Cut::Message { place, after, .. } => {
            let Some(proxy) = &stage.proxy else { return };
            proxy.clear();
            let at = if after { Point::after(place) } else { Point::before(place) };
            proxy.cut_with(at, move || {
                if kills {
                    function.kill();
                }
            });
        }
    }
}

fn disarm(stage: &Stage) {
    stage.world.lab.faults().clear();
    if let Some(proxy) = &stage.proxy {
        proxy.clear();
    }
}

/// The end that every case must come to.
async fn finished(stage: &Stage, token: Option<&str>) -> Outcome {
    let world = &stage.world;
    let current = world.lab.secrets().version_with(&world.secret, "AWSCURRENT");
    if token.is_some() && current.as_deref() != token {
        return Err("at the end AWSCURRENT is not on the new version".into());
    }
    let current = world.labelled("AWSCURRENT").ok_or("at the end AWSCURRENT has no value")?;
    if !(stage.accepts)(current).await {
        return Err("at the end AWSCURRENT does not log in".into());
    }
    match &stage.epilogue {
        Some(epilogue) => epilogue().await,
        None => Ok(()),
    }
}

/// Looks at the promises after each call, while its answer is held back.
struct Watch(Arc<Mutex<Vec<String>>>);

impl Watch {
    /// Watches every call, or only those that change something.
    fn over(stage: &Stage, every: bool) -> Watch {
        let found = Arc::new(Mutex::new(Vec::new()));
        let (secrets, secret) = (stage.world.lab.secrets(), stage.world.secret.clone());
        let (accepts, overlaps) = (Arc::clone(&stage.accepts), stage.overlaps);
        let seen = Arc::clone(&found);
        stage.world.lab.on_call(move |call| {
            let (secrets, secret, accepts, seen) =
                (secrets.clone(), secret.clone(), Arc::clone(&accepts), Arc::clone(&seen));
            async move {
                let changes =
                    ["PutSecretValue", "UpdateSecretVersionStage"].contains(&call.operation.as_str());
                if (every || changes)
                    && let Some(broken) = violation(&secrets, &secret, &accepts, overlaps).await
                {
                    locked(&seen).push(format!("after call {} ({}): {broken}", call.number, call.operation));
                }
            }
        });
        Watch(found)
    }

    async fn verdict(&self) -> Outcome {
        let found = locked(&self.0);
        if found.is_empty() { Ok(()) } else { Err(found.join("; ")) }
    }
}
