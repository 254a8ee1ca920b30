//! The service behind the HTTP server and the library's handle: one state and one lock, so that effects have one order.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;

use super::call::{Call, CallLog};
use super::caller::{Caller, Callers};
use super::disk::Disk;
use super::fault::Faults;
use super::input::Input;
use super::moment::Clock;
use super::name::partition;
use super::operation;
use super::operation::context::{Begun, Context};
use super::refusal::Refusal;
use super::state::State;

/// Invokes the functions of rotations. The service knows nothing else about it.
pub(crate) trait Driver: Send + Sync {
    /// Whether the rotation function with this ARN can be invoked.
    fn can_invoke(&self, arn: &str) -> bool;

    /// Drives a rotation to its end, in the background.
    fn drive(self: Arc<Self>, service: Arc<Service>, begun: Begun);
}

type OnCall = Arc<dyn Fn(Call) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Settings that can change while the lab runs.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) latency: Duration,
    pub(crate) value_lag: Duration,
    pub(crate) metadata_lag: Duration,
}

/// The state, and its file if there is one. They share a lock, so that the file has the order of the effects.
struct Durable {
    state: State,
    disk: Option<Disk>,
    closed: bool,
}

pub(crate) struct Service {
    pub(crate) callers: Callers,
    pub(crate) clock: Clock,
    pub(crate) calls: CallLog,
    pub(crate) faults: Faults,
    driver: Arc<dyn Driver>,
    pace: Mutex<Pace>,
    pub(crate) on_call: Mutex<Option<OnCall>>,
    state: Mutex<Durable>,
}

impl Service {
    pub(crate) fn new(
        callers: Callers,
        pace: Pace,
        state: State,
        disk: Option<Disk>,
        driver: Arc<dyn Driver>,
    ) -> Self {
        let service = Self {
            callers,
            clock: Clock::new(),
            calls: CallLog::new(),
            faults: Faults::default(),
            driver,
            pace: Mutex::new(pace),
            on_call: Mutex::new(None),
            state: Mutex::new(Durable { state, disk, closed: false }),
        };
        service.set_pace(pace);
        service
    }

    pub(crate) fn pace(&self) -> Pace {
        *self.pace.lock().expect("nothing panics while it holds the pace")
    }

    pub(crate) fn set_pace(&self, pace: Pace) {
        self.state().state.remember = pace.value_lag.max(pace.metadata_lag);
        *self.pace.lock().expect("nothing panics while it holds the pace") = pace;
    }

    /// The caller of unsigned requests, and of the library itself.
    pub(crate) fn unsigned(&self) -> Caller {
        self.callers.unsigned.clone()
    }

    /// The ARN of a function that is attached under this name.
    pub(crate) fn function_arn(&self, name: &str) -> String {
        let Caller { region, account, .. } = &self.callers.unsigned;
        format!("arn:{}:lambda:{region}:{account}:function:{name}", partition(region))
    }

    /// Performs one operation. When this returns, its effect is durable.
    pub(crate) fn perform(
        self: &Arc<Self>,
        caller: &Caller,
        operation: &str,
        input: &Input,
    ) -> Result<Value, Refusal> {
        let mut begun = None;
        let answer = self.with(caller, |cx| {
            let answer = operation::perform(cx, operation, input);
            begun = cx.begun.take();
            answer
        });
        if let Some(begun) = begun {
            self.drive(begun);
        }
        answer
    }

    /// Hands a rotation to the driver.
    pub(crate) fn drive(self: &Arc<Self>, begun: Begun) {
        Arc::clone(&self.driver).drive(Arc::clone(self), begun);
    }

    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> Result<T, Refusal>) -> Result<T, Refusal> {
        look(&self.state().state)
    }

    /// Changes the state as the service itself, not on behalf of a caller.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut Context<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.with(&self.unsigned(), change)
    }

    fn with<T>(
        &self,
        caller: &Caller,
        work: impl FnOnce(&mut Context<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let Pace { value_lag, metadata_lag, .. } = self.pace();
        let invokable = |arn: &str| self.driver.can_invoke(arn);
        let mut durable = self.state();
        durable.check()?;
        let mut cx = Context {
            state: &mut durable.state,
            now: self.clock.now(),
            caller,
            value_lag,
            metadata_lag,
            invokable: &invokable,
            begun: None,
        };
        let answer = work(&mut cx);
        durable.save()?;
        answer
    }

    /// Closes the state file. No call is answered after this, because its effect would not be kept.
    pub(crate) fn close(&self) {
        let mut durable = self.state();
        durable.closed = true;
        durable.disk = None;
    }

    fn state(&self) -> MutexGuard<'_, Durable> {
        self.state.lock().expect("no operation panics")
    }
}

impl Durable {
    fn check(&self) -> Result<(), Refusal> {
        match (&self.disk, self.closed) {
            (_, true) => Err(internal("The lab has ended.")),
            (Some(disk), false) if disk.is_broken() => {
                Err(internal("An earlier write to the lab's state file failed."))
            }
            _ => Ok(()),
        }
    }

    /// Writes the changes. After a failure no call is answered any more, because the file would lack its effect.
    fn save(&mut self) -> Result<(), Refusal> {
        let changes = self.state.take_changes();
        let Some(disk) = self.disk.as_mut().filter(|_| !changes.is_empty()) else { return Ok(()) };
        let saved = disk.append(changes).and_then(|()| match disk.wants_compaction() {
            true => disk.compact(self.state.all().map(|(_, secret)| &**secret)),
            false => Ok(()),
        });
        saved.map_err(|error| internal(&format!("The lab's state file could not be written: {error}.")))
    }
}

fn internal(message: &str) -> Refusal {
    Refusal { kind: "InternalServiceError".into(), message: message.into(), status: 500 }
}
