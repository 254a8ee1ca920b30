//! Calls the function's steps through a rotation.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::rotator::Rotator;
use super::{End, EventKind, InvokeError, Retries, Rotation, Step, StepRun};
use crate::secrets::operation::context::Begun;
use crate::secrets::secret::{CURRENT, PENDING, Secret};
use crate::secrets::service::{Driver, Service};
use crate::secrets::settings::{Settings, UnderWay};
use crate::secrets::state::Key;
use crate::secrets::{Moment, Refusal};

impl Driver for Rotator {
    fn can_invoke(&self, arn: &str) -> bool {
        self.function(arn).is_some()
    }

    fn drive(self: Arc<Self>, service: Arc<Service>, begun: Begun) {
        let rotator = Arc::clone(&self);
        self.spawn(async move {
            drive(&rotator, &service, &begun).await;
        });
    }
}

/// Invokes the function for one step of a rotation, as the service would.
pub(crate) async fn step(
    rotator: &Rotator,
    service: &Service,
    key: &Key,
    token: &str,
    step: Step,
) -> Result<(), InvokeError> {
    let (event, function) = service
        .look(|state| {
            let secret = state.secret(key)?;
            Ok::<_, Refusal>((event(secret, token, step), function_of(secret)))
        })
        .map_err(|refusal| InvokeError::NotInvokable(refusal.to_string()))?;
    let function = function.and_then(|arn| rotator.function(&arn));
    let function =
        function.ok_or_else(|| InvokeError::NotInvokable("no function is attached to the secret".into()))?;
    caught(async move { function.invoke(event).await.map(|_| ()) }).await
}

/// Turns a panic of a function in this process into an error, as Lambda reports a function that crashed.
async fn caught(run: impl Future<Output = Result<(), InvokeError>>) -> Result<(), InvokeError> {
    let mut run = pin!(run);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| {
            let (error_type, error_message) = ("Panic".into(), "the function panicked".into());
            Poll::Ready(Err(InvokeError::Function { error_type, error_message }))
        })
    })
    .await
}

fn function_of(secret: &Secret) -> Option<String> {
    secret.rotation.as_ref().and_then(|settings| settings.function.clone())
}

fn event(secret: &Secret, token: &str, step: Step) -> Value {
    let mut event = json!({"SecretId": secret.arn(), "ClientRequestToken": token, "Step": step.name()});
    let under_way = secret.rotation.as_ref().and_then(|settings| settings.under_way.as_ref());
    if let Some(rotation) = under_way.filter(|rotation| rotation.token == token) {
        event["RotationToken"] = json!(rotation.rotation_token);
    }
    event
}

/// Runs a rotation to its end: all steps in order, and from the first step again after a failure.
pub(crate) async fn drive(rotator: &Rotator, service: &Service, begun: &Begun) -> Rotation {
    let immediately = under_way(service, begun).unwrap_or(true);
    let (steps, started, succeeded, failed): (&[Step], _, _, _) = if immediately {
        use EventKind::{RotationFailed, RotationStarted, RotationSucceeded};
        (&Step::ALL, RotationStarted, RotationSucceeded, RotationFailed)
    } else {
        use EventKind::{TestRotationFailed, TestRotationStarted, TestRotationSucceeded};
        (&[Step::TestSecret], TestRotationStarted, TestRotationSucceeded, TestRotationFailed)
    };
    let secret = service.look(|state| state.secret(&begun.key).map(|s| s.arn())).unwrap_or_default();
    let mut rotation =
        Rotation { secret, token: begun.token.clone(), steps: Vec::new(), end: End::Cancelled };
    rotator.tell(service.clock.now(), started, &rotation);

    rotation.end = attempts(rotator, service, begun, steps, &mut rotation.steps).await;
    settle(service, begun, immediately, rotation.end);
    let kind = match rotation.end {
        End::Succeeded => succeeded,
        End::GivenUp => failed,
        End::Cancelled => EventKind::RotationAbandoned,
    };
    rotator.tell(service.clock.now(), kind, &rotation);
    rotator.note_end(rotation.clone());
    rotation
}

async fn attempts(
    rotator: &Rotator,
    service: &Service,
    begun: &Begun,
    steps: &[Step],
    runs: &mut Vec<StepRun>,
) -> End {
    let Retries { attempts, mut backoff } = rotator.retries;
    let start = Instant::now();
    for attempt in 1..=attempts.max(1) {
        if attempt > 1 {
            tokio::time::sleep(backoff).await;
            backoff *= 2;
        }
        let mut failed = false;
        for step in steps {
            if under_way(service, begun).is_none() {
                return End::Cancelled;
            }
            let run = run(rotator, service, begun, attempt, *step, start).await;
            failed = run.result.is_err();
            runs.push(run);
            if failed {
                break;
            }
        }
        if !failed {
            return End::Succeeded;
        }
    }
    End::GivenUp
}

async fn run(
    rotator: &Rotator,
    service: &Service,
    begun: &Begun,
    attempt: usize,
    what: Step,
    start: Instant,
) -> StepRun {
    let at = start.elapsed();
    let began = Instant::now();
    let mut result = step(rotator, service, &begun.key, &begun.token, what).await;
    let duration: Duration = began.elapsed();
    // A finishSecret that reports success but leaves AWSCURRENT where it was has not rotated anything.
    if what == Step::FinishSecret && result.is_ok() && !is_current(service, begun) {
        let text = "finishSecret succeeded, but AWSCURRENT is not on the new version";
        result = Err(InvokeError::NotInvokable(text.into()));
    }
    StepRun { attempt, step: what, at, duration, result }
}

fn is_current(service: &Service, begun: &Begun) -> bool {
    let current = service.look(|state| Ok(state.secret(&begun.key)?.id_of(CURRENT)));
    current.is_ok_and(|current: Option<String>| current.as_deref() == Some(&begun.token))
}

/// Whether the rotation is still wanted. If so, whether it is a real rotation (true) or a test (false).
fn under_way(service: &Service, begun: &Begun) -> Option<bool> {
    let look = service.look(|state| {
        let secret = state.secret(&begun.key)?;
        let rotation = secret.rotation.as_ref().and_then(|settings| settings.under_way.as_ref());
        let wanted = rotation.filter(|r| r.token == begun.token && secret.deletion.is_none());
        Ok(wanted.map(|rotation| rotation.immediately))
    });
    look.ok().flatten()
}

/// The service's work at the end: it cleans up after a success, and remembers a failure.
fn settle(service: &Service, begun: &Begun, immediately: bool, end: End) {
    let now = service.clock.now();
    // The secret may be deleted by now. Then there is nothing to settle.
    let _ = service.change(|cx| {
        let token = begun.token.as_str();
        let secret = cx.state.secret_mut(&begun.key)?;
        let settings: &mut Settings = secret.rotation.get_or_insert_default();
        // An operator may have removed the label, and another rotation may have begun. That rotation is left alone.
        let under_way = settings.under_way.take_if(|rotation| rotation.token == token);
        match end {
            End::Succeeded if immediately => {
                settings.last = Some(now);
                settings.next = settings.rules.window(settings.last, now).filter(|_| settings.enabled);
                let interval = settings.next.map(|next| (next.opens.0 - now.0).div_ceil(Moment::DAY));
                settings.interval_days = interval;
                secret.changed = now;
                if let Some(version) = secret.version_mut(token) {
                    version.labels.remove(PENDING);
                }
            }
            _ if immediately => {
                if let Some(rotation) = under_way {
                    let given_up = end == End::GivenUp;
                    settings.under_way = Some(UnderWay { given_up, ..rotation });
                }
            }
            // The version of a test is removed, whatever the result.
            _ => secret.versions.retain(|version| version.id != token || version.labels.contains(CURRENT)),
        }
        Ok(())
    });
}
