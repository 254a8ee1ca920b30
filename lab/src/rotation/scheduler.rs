//! Keeping dates: beginning a rotation when its window opens, removing secrets when their recovery window is over.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::secrets::operation;
use crate::secrets::operation::context::Begun;
use crate::secrets::service::Service;
use crate::uuid::new_uuid;

/// Windows open on the hour, so a look each second is soon enough; the clock set forward is noticed at once.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Begins every rotation that is due, for as long as it runs.
pub(crate) async fn keep_schedules(service: Arc<Service>) -> Infallible {
    let mut moves = service.clock.moves();
    loop {
        for begun in begin_due(&service) {
            service.drive(begun);
        }
        // The clock lives as long as the service, so its channel stays open.
        let _ = tokio::time::timeout(LOOK_AGAIN, moves.changed()).await;
    }
}

/// Begins what is due, and lets go of what is over. A rotation that was given up is tried again under its own token.
fn begin_due(service: &Service) -> Vec<Begun> {
    let begun = service.change(|cx| {
        let mut begun = Vec::new();
        cx.state.remove_expired(cx.now);
        for key in cx.state.due(cx.now) {
            let now = cx.now;
            // A lab that has just been started waits for its functions to be attached.
            let function = cx.state.secret(&key)?.rotation.as_ref().and_then(|s| s.function.clone());
            if !function.is_some_and(|arn| (cx.invokable)(&arn)) {
                continue;
            }
            let secret = cx.state.secret_mut(&key)?;
            let incomplete = secret.rotation_incomplete();
            let settings = secret.rotation.get_or_insert_default();
            settings.next = settings.rules.window(settings.last, now);
            match &mut settings.under_way {
                Some(rotation) if incomplete && rotation.given_up => {
                    rotation.given_up = false;
                    begun.push(Begun { key, token: rotation.token.clone() });
                }
                // Under way, or stuck on a label that an operator has to look at.
                _ if incomplete => {}
                _ => {
                    operation::begin(cx, &key, &new_uuid(), true)?;
                    begun.extend(cx.begun.take());
                }
            }
        }
        Ok(begun)
    });
    // The only refusal is that the state file cannot be written; every caller is told so.
    begun.unwrap_or_default()
}
