//! Keeps dates: begins a rotation when its window opens, and removes secrets when their recovery window is over.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::secrets::operation;
use crate::secrets::operation::context::Begun;
use crate::secrets::service::Service;
use crate::uuid::new_uuid;

/// Windows open on the hour, so a check each second is soon enough. A clock that is set forward is noticed at once.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Begins every rotation that is due, for as long as this future runs.
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

/// Begins due rotations, and removes expired secrets. A rotation that was given up is tried again under its own token.
fn begin_due(service: &Service) -> Vec<Begun> {
    let begun = service.change(|cx| {
        let mut begun = Vec::new();
        cx.state.remove_expired(cx.now);
        for key in cx.state.due(cx.now) {
            let now = cx.now;
            // After the lab's start, a rotation waits until its function is attached.
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
                // The rotation is running, or stuck on a label that an operator has to look at.
                _ if incomplete => {}
                _ => {
                    operation::begin(cx, &key, &new_uuid(), true)?;
                    begun.extend(cx.begun.take());
                }
            }
        }
        Ok(begun)
    });
    // The only refusal is a state file that cannot be written, and every caller gets that error.
    begun.unwrap_or_default()
}
